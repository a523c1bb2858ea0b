/** A headless Chromium for the tests, and what every page is held to: no foreign request, no error, no overflow, no axe violation. */
import assert from "node:assert/strict";
import { mkdir, readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { join } from "node:path";
import { chromium } from "playwright-core";

const AXE = createRequire(import.meta.url).resolve("axe-core/axe.min.js");
const FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"];

/** Starts the browser with an empty profile. */
export function launch() {
  return chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", headless: true, args: FLAGS });
}

/** Opens a page that remembers requests to other origins and errors of scripts. */
export async function open(browser, { url, at = "/overview", width = 1280, height = 800, scheme = "light", mayFail = false, ...more }) {
  const context = await browser.newContext({ viewport: { width, height }, colorScheme: scheme, reducedMotion: "reduce", ...more });
  const page = await context.newPage();
  page.setDefaultTimeout(20_000);
  const faults = [];
  page.on("request", (request) => {
    const address = request.url();
    if (!address.startsWith(`${url}/`) && !/^(data|blob):/.test(address)) faults.push(`foreign request ${address}`);
  });
  page.on("pageerror", (error) => faults.push(`error ${error.message}`));
  page.on("console", (message) => {
    // The browser itself logs every answer that is not a success.
    if (message.type() === "error" && !(mayFail && message.text().startsWith("Failed to load resource"))) faults.push(`console ${message.text()}`);
  });
  await page.goto(`${url}/#${at}`);
  return { page, faults, close: () => context.close() };
}

/** Goes to another place of the page. */
export async function visit(page, place) {
  await page.evaluate((hash) => { window.location.hash = hash; }, place);
}

/** Holds a drawn page to what holds for all. */
export async function inspect({ page, faults }, name) {
  await screenshot(page, name);
  assert.deepEqual(faults, [], `${name} has faults`);
  const beyond = await page.evaluate(() => document.documentElement.scrollWidth - document.documentElement.clientWidth);
  assert.ok(beyond <= 0, `${name} is ${beyond} px wider than the window`);
  assert.deepEqual(await violations(page), [], `${name} is not accessible`);
}

async function violations(page) {
  // The policy of the page forbids foreign scripts; evaluated text is the debugger's.
  await page.evaluate(await readFile(AXE, "utf8"));
  const { violations: found } = await page.evaluate(() => window.axe.run(document, { resultTypes: ["violations"] }));
  return found.map((violation) => `${violation.id}: ${violation.nodes.map((node) => node.target.join(" ")).slice(0, 4).join(" | ")}`);
}

async function screenshot(page, name) {
  const folder = process.env.SCREENSHOTS;
  if (!folder) return;
  await mkdir(folder, { recursive: true });
  await page.screenshot({ path: join(folder, `${name.replaceAll(/[^a-z0-9]+/gi, "-")}.png`) });
}
