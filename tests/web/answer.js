// Does in Chromium what a person does on a page, step by step. The job is read as JSON from standard input:
// { chromium, context, steps }, where a step is one of { open }, { reload }, { fill: [label, text] }, { click: name },
// { press: key }, { lose: part of a URL }, { see: text }. What is printed: { seen, requests, console }; `seen` has one
// entry for each { see }.

import { text } from "node:stream/consumers";
import { chromium } from "playwright-core";

const job = JSON.parse(await text(process.stdin));
const browser = await chromium.launch({
  executablePath: job.chromium,
  args: ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"],
});

const steps = {
  open: (page, url) => page.goto(url),
  reload: (page) => page.reload(),
  fill: (page, [label, value]) => page.getByLabel(label, { exact: true }).fill(value),
  click: (page, name) => page.getByRole("button", { name, exact: true }).click(),
  press: (page, key) => page.keyboard.press(key),
  // The service does what is asked, and the answer gets lost on its way.
  lose: (page, part) =>
    page.route(
      (url) => url.pathname.includes(part),
      async (route) => {
        await route.fetch();
        await route.abort();
      },
      { times: 1 },
    ),
  see: async (page, sentence) => {
    const status = page.getByRole("status");
    try {
      await status.filter({ hasText: sentence }).waitFor({ timeout: 15_000 });
    } catch {
      throw new Error(`not seen: ${sentence}\n${await page.locator("body").innerText()}`);
    }
    return {
      url: page.url(),
      text: await page.locator("main").innerText(),
      status: await status.innerText(),
      heading: await page.getByRole("heading", { level: 1 }).innerText(),
      buttons: await page.getByRole("button").allInnerTexts(),
      links: await page.getByRole("link").evaluateAll((links) => links.map((link) => link.href)),
      language: await page.locator("html").getAttribute("lang"),
      ground: await page.locator("body").evaluate((body) => getComputedStyle(body).backgroundColor),
      tooWide: await page.evaluate(() => document.documentElement.scrollWidth > innerWidth),
      elements: await page.locator("main *").evaluateAll((all) => [...new Set(all.map((one) => one.localName))].sort()),
    };
  },
};

try {
  const page = await (await browser.newContext(job.context)).newPage();
  const [seen, requests, said] = [[], [], []];
  page.on("request", (request) =>
    requests.push({ method: request.method(), url: request.url(), headers: request.headers() }),
  );
  page.on("console", (message) => said.push(message.text()));
  page.on("pageerror", (error) => said.push(String(error)));
  for (const step of job.steps) {
    const [[name, value]] = Object.entries(step);
    const found = await steps[name](page, value);
    if (name === "see") seen.push(found);
  }
  process.stdout.write(JSON.stringify({ seen, requests, console: said }));
} finally {
  await browser.close();
}
