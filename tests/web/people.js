// Does in Chromium what people do on pages. Each line of standard input is a step, as JSON:
// { person, step, value }. A person has a browser of their own, with its cookies and one tab; whoever wasn't there before
// comes with { step: "come", value: context }. Each line of standard output answers one step: { answer } or { problem }.

import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { chromium } from "playwright-core";
import decodeQR from "qr/decode.js";

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
    // Names of another machine, which is this one.
    "--host-resolver-rules=MAP *.test 127.0.0.1",
  ],
});

const people = new Map();

const axe = readFileSync(new URL(import.meta.resolve("axe-core/axe.min.js")), "utf8");

/** What a camera sees: each module of a code that was drawn as a path of squares, as some dots. */
function read(drawn) {
  const squares = [...drawn.path.matchAll(/M(\d+) (\d+)h1v1h-1z/g)].map(([, x, y]) => [Number(x), Number(y)]);
  const dots = 4;
  const width = drawn.size * dots;
  const data = new Uint8ClampedArray(width * width * 4).fill(255);
  for (const [x, y] of squares) {
    for (let row = y * dots; row < (y + 1) * dots; row += 1) {
      for (let column = x * dots; column < (x + 1) * dots; column += 1) {
        data.fill(0, (row * width + column) * 4, (row * width + column) * 4 + 3);
      }
    }
  }
  return decodeQR({ width, height: width, data });
}

/** Writes into the page's console what the policy has stopped, which the browser tells in words of its own or not at all. */
function tellWhatIsStopped() {
  addEventListener("securitypolicyviolation", ({ effectiveDirective, blockedURI }) =>
    console.error(`stopped by the policy: ${effectiveDirective} ${blockedURI}`),
  );
}

async function come(name, context) {
  const room = await browser.newContext(context);
  await room.addInitScript(tellWhatIsStopped);
  const tab = await room.newPage();
  tab.setDefaultTimeout(30_000);
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
  forward: ({ tab }) => tab.goForward().then(() => {}),
  back: ({ tab }) => tab.goBack().then(() => {}),
  fill: ({ tab }, [label, text]) => tab.getByLabel(label, { exact: true }).fill(text),
  choose: ({ tab }, [label, option]) =>
    tab
      .getByLabel(label, { exact: true })
      .selectOption(option)
      .then(() => {}),
  click: ({ tab }, name) => tab.getByRole("button", { name, exact: true }).click(),
  follow: ({ tab }, name) => tab.getByRole("link", { name, exact: true }).click(),
  /** Clicks, and follows the redirects from there up to one that leads to a path, whose address it gives. */
  "click and stop": async ({ tab }, [name, part]) => {
    const { request } = tab.context();
    let stop;
    const stopped = new Promise((resolve) => {
      stop = resolve;
    });
    const follow = async (route) => {
      let response = await route.fetch({ maxRedirects: 0 });
      let { location } = response.headers();
      while (location && !location.includes(part)) {
        response = await request.get(new URL(location, response.url()).href, { maxRedirects: 0 });
        location = response.headers().location;
      }
      await route.fulfill({ contentType: "text/html", body: "" });
      stop(location ?? null);
    };
    await tab.route(() => true, follow, { times: 1 });
    await tab.getByRole("button", { name, exact: true }).click();
    return stopped;
  },
  /** Does the same in the dialog that is open. */
  confirm: ({ tab }, name) => tab.locator("dialog[open]").getByRole("button", { name, exact: true }).click(),
  fillIn: ({ tab }, [label, text]) => tab.locator("dialog[open]").getByLabel(label, { exact: true }).fill(text),
  /** Follows the link that has a text somewhere in it. */
  enter: ({ tab }, text) => tab.getByRole("link").filter({ hasText: text }).click(),
  /** Waits until a sentence is shown no more. */
  gone: ({ tab }, sentence) => tab.getByText(sentence).first().waitFor({ state: "hidden" }),
  /** Waits for a row of a table with both texts in it. */
  until: ({ tab }, [one, other]) =>
    tab.locator("tbody tr", { hasText: one }).filter({ hasText: other }).first().waitFor(),
  /** Waits until every row of a table has a text in it. */
  every: ({ tab }, text) =>
    tab
      .waitForFunction((text) => {
        const rows = [...document.querySelectorAll("tbody tr")];
        return rows.length > 0 && rows.every((row) => row.innerText.includes(text));
      }, text)
      .then(() => {}),
  /** Waits until everything is there that the page asked for. */
  still: async ({ tab }) => {
    await tab.getByRole("heading", { level: 1 }).waitFor();
    await tab.waitForFunction(() => !document.querySelector("[aria-busy=true], .skeleton"));
  },
  look: ({ tab }) => view(tab),
  /** Where something begins, and how wide it is. */
  "place of": async ({ tab }, selector) => {
    const { x, width } = await tab.locator(selector).boundingBox();
    return [x, width];
  },
  tick: ({ tab }, [label, ticked]) => tab.getByLabel(label, { exact: true }).setChecked(ticked),
  valueOf: ({ tab }, label) => tab.getByLabel(label, { exact: true }).inputValue(),
  /** The rows of a table, once it has any and none is being asked for. */
  rows: async ({ tab }) => {
    await tab.locator(".list[aria-busy=true]").waitFor({ state: "hidden" });
    await tab.locator("tbody th").first().waitFor();
    return tab.locator("tbody tr").allInnerTexts();
  },
  focus: ({ tab }) => tab.evaluate(() => document.activeElement?.ariaLabel ?? document.activeElement?.innerText),
  clipboard: ({ tab }) => tab.evaluate(() => navigator.clipboard.readText()),
  code: async ({ tab }) => {
    await tab.locator("svg.qr path").waitFor();
    return read(
      await tab.locator("svg.qr").evaluate((code) => ({
        size: code.viewBox.baseVal.width,
        path: code.firstElementChild.getAttribute("d"),
      })),
    );
  },
  /** What axe-core holds for serious or worse. */
  axe: async ({ tab }) => {
    await tab.evaluate(axe);
    // What is on its way from one color to another has neither.
    await tab.evaluate(() => Promise.allSettled(document.getAnimations().map((one) => one.finished)));
    const { violations } = await tab.evaluate(() => window.axe.run());
    const grave = violations.filter(({ impact }) => impact === "serious" || impact === "critical");
    return grave.flatMap(({ id, nodes }) =>
      nodes.map(({ html, failureSummary }) => `${id}: ${html} ${failureSummary}`),
    );
  },
  dress: ({ tab }, colorScheme) => tab.emulateMedia({ colorScheme }),
  resize: ({ tab }, [width, height]) => tab.setViewportSize({ width, height }),
  photograph: ({ tab }, path) => tab.screenshot({ path }).then(() => {}),
  fail: ({ tab }, part) =>
    tab.route(
      (url) => url.pathname.includes(part),
      (route) => route.abort(),
      { times: 1 },
    ),
  /** Goes by Tab to what has a name, and tells whether people can see that the focus is there. */
  reach: async ({ tab }, name) => {
    const passed = [];
    for (let presses = 0; presses < 60; presses += 1) {
      await tab.keyboard.press("Tab");
      const { names, visible } = await tab.evaluate(() => {
        const at = document.activeElement;
        const style = getComputedStyle(at);
        return {
          names: [at.ariaLabel, at.innerText, at.labels?.[0]?.innerText].filter(Boolean).map((text) => text.trim()),
          visible: at.matches(":focus-visible") && (style.outlineStyle !== "none" || style.boxShadow !== "none"),
        };
      });
      if (names.includes(name)) return visible;
      passed.push(names[0] ?? "?");
    }
    throw new Error(`not reached: ${name}; passed: ${passed.join(", ")}`);
  },
  type: ({ tab }, text) => tab.keyboard.type(text),
  /** Puts something into the next page of the service, as whoever found a hole in it would. */
  smuggle: ({ tab }, html) =>
    tab.route(
      () => true,
      async (route) => {
        const response = await route.fetch();
        const body = (await response.text()).replace("<body>", `<body>${html}`);
        await route.fulfill({ response, body });
      },
      { times: 1 },
    ),
  /** What a script does that tries to bring in others; tells what it was stopped with, and nothing for what worked. */
  misbehave: ({ tab }) =>
    tab.evaluate(async () => {
      // Later, when it isn't the browser's own tools any more that run it: they may do what pages may not.
      await new Promise((later) => setTimeout(later));
      const attempts = {
        html: () => {
          document.createElement("div").innerHTML = "<img src=x onerror='globalThis.harmed = 1'>";
        },
        script: () => {
          document.createElement("script").textContent = "globalThis.harmed = 1";
        },
        text: () => new Function("globalThis.harmed = 1")(),
        handler: () => document.createElement("div").setAttribute("onclick", "globalThis.harmed = 1"),
      };
      return Object.fromEntries(
        Object.entries(attempts).map(([name, attempt]) => {
          try {
            attempt();
            return [name, null];
          } catch (error) {
            return [name, error.name];
          }
        }),
      );
    }),
  harmed: ({ tab }) => tab.evaluate(() => globalThis.harmed ?? null),
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
  /** What a browser does that was told to keep no cookies. */
  "refuse cookies": ({ tab }) =>
    tab.route("**", async (route) => {
      const response = await route.fetch();
      await tab.context().clearCookies();
      const headers = { ...response.headers() };
      delete headers["set-cookie"];
      await route.fulfill({ response, headers });
    }),
  /** The tab's clock is ours from here on, and stands where `pass` puts it. */
  "set clock": ({ tab }) => tab.clock.install(),
  pass: ({ tab }, seconds) => tab.clock.fastForward(seconds * 1000),
  /** Clicks a button in another tab of the same browser, waits for a sentence there, and comes back to this one. */
  "click elsewhere": async ({ tab }, [url, name, sentence]) => {
    const other = await tab.context().newPage();
    await other.goto(url);
    await other.getByRole("button", { name, exact: true }).click();
    await other.getByText(sentence).first().waitFor();
    await other.close();
    // Without a window nothing is ever hidden.
    await tab.evaluate(() => document.dispatchEvent(new Event("visibilitychange")));
  },
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
