// Opens a page in Chromium, calls one function of it, and prints what it gave. The job is read as JSON from standard
// input: { chromium, page, function, options }. What is printed: { answer, requests, console }.

import { text } from "node:stream/consumers";
import { chromium } from "playwright-core";

const job = JSON.parse(await text(process.stdin));
const browser = await chromium.launch({
  executablePath: job.chromium,
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
try {
  const page = await browser.newPage();
  const requests = [];
  const said = [];
  page.on("request", (request) => requests.push({ method: request.method(), url: request.url() }));
  page.on("console", (message) => said.push(message.text()));
  page.on("pageerror", (error) => said.push(String(error)));
  await page.goto(job.page);
  const answer = await page.evaluate(([name, options]) => window[name](options), [job.function, job.options]);
  process.stdout.write(JSON.stringify({ answer, requests, console: said }));
} finally {
  await browser.close();
}
