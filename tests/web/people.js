// Does in Chromium what people do on pages. Each line of standard input is a step, as JSON:
// { person, step, value }. A person has a browser of their own, with its cookies and one tab; whoever wasn't there before
// comes with { step: "come", value: context }. Each line of standard output answers one step: { answer } or { problem }.

import { createInterface } from "node:readline";
import { chromium } from "playwright-core";

const browser = await chromium.launch({
  executablePath: process.argv[2],
  args: [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
  ],
});

const people = new Map();

async function come(name, context) {
  const tab = await (await browser.newContext(context)).newPage();
  tab.setDefaultTimeout(15_000);
  const person = { tab, requests: [], said: [] };
  tab.on("request", (request) =>
    person.requests.push({ method: request.method(), url: request.url(), headers: request.headers() }),
  );
  tab.on("console", (message) => person.said.push(message.text()));
  tab.on("pageerror", (error) => person.said.push(String(error)));
  people.set(name, person);
}

/** What a page shows, as it matters to people. */
async function view(tab) {
  return {
    url: tab.url(),
    title: await tab.title(),
    text: await tab.locator("body").innerText(),
    heading: await tab.getByRole("heading", { level: 1 }).innerText(),
    buttons: await tab.getByRole("button").allInnerTexts(),
    links: await tab.getByRole("link").evaluateAll((links) => links.map((link) => link.href)),
    language: await tab.locator("html").getAttribute("lang"),
    ground: await tab.locator("body").evaluate((body) => getComputedStyle(body).backgroundColor),
    tooWide: await tab.evaluate(() => document.documentElement.scrollWidth > innerWidth),
    elements: await tab.locator("main *").evaluateAll((all) => [...new Set(all.map((one) => one.localName))].sort()),
    focus: await tab.evaluate(() => document.activeElement?.textContent ?? ""),
  };
}

const steps = {
  open: ({ tab }, url) => tab.goto(url).then(() => {}),
  reload: ({ tab }) => tab.reload().then(() => {}),
  back: ({ tab }) => tab.goBack().then(() => {}),
  fill: ({ tab }, [label, text]) => tab.getByLabel(label, { exact: true }).fill(text),
  choose: ({ tab }, [label, option]) =>
    tab
      .getByLabel(label, { exact: true })
      .selectOption(option)
      .then(() => {}),
  click: ({ tab }, name) => tab.getByRole("button", { name, exact: true }).click(),
  follow: ({ tab }, name) => tab.getByRole("link", { name, exact: true }).click(),
  press: ({ tab }, key) => tab.keyboard.press(key),
  see: async ({ tab }, sentence) => {
    try {
      await tab.getByText(sentence).first().waitFor();
    } catch {
      throw new Error(`not seen: ${sentence}\n${tab.url()}\n${await tab.locator("body").innerText()}`);
    }
    return view(tab);
  },
  arrive: ({ tab }, url) => tab.waitForURL(url).then(() => {}),
  /** The service does what is asked, and the answer gets lost on its way. */
  lose: ({ tab }, part) =>
    tab.route(
      (url) => url.pathname.includes(part),
      async (route) => {
        await route.fetch();
        await route.abort();
      },
      { times: 1 },
    ),
  /** What comes back from all that is asked until now, in bytes on the wire, by address. */
  weigh: async ({ tab }, url) => {
    const sizes = {};
    const weighing = [];
    const weigh = (request) =>
      weighing.push(
        request.sizes().then(({ responseHeadersSize, responseBodySize }) => {
          sizes[request.url()] = responseHeadersSize + responseBodySize;
        }),
      );
    tab.on("requestfinished", weigh);
    await tab.goto(url, { waitUntil: "networkidle" });
    tab.off("requestfinished", weigh);
    await Promise.all(weighing);
    return sizes;
  },
  shifts: ({ tab }) =>
    tab.evaluate(
      () =>
        new Promise((resolve) => {
          new PerformanceObserver((list) =>
            resolve(list.getEntries().reduce((sum, entry) => sum + (entry.hadRecentInput ? 0 : entry.value), 0)),
          ).observe({ type: "layout-shift", buffered: true });
          setTimeout(() => resolve(0), 200);
        }),
    ),
  forget: ({ tab }) => tab.context().clearCookies(),
  call: ({ tab }, [name, options]) => tab.evaluate(([name, options]) => window[name](options), [name, options]),
  sent: ({ requests }) => requests,
  said: ({ said }) => said,
  leave: ({ tab }) => tab.context().close(),
};

for await (const line of createInterface({ input: process.stdin })) {
  const { person, step, value } = JSON.parse(line);
  let given;
  try {
    const answer = await (step === "come" ? come(person, value) : steps[step](people.get(person), value));
    given = { answer: answer ?? null };
  } catch (error) {
    given = { problem: `${error}` };
  }
  process.stdout.write(`${JSON.stringify(given)}\n`);
}
await browser.close();
