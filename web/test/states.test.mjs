/** Pages that have nothing to show: an empty project, a server that demands a token, one that went away, one that is slow. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { inspect, launch, open, visit } from "./browser.mjs";
import { emptyProject, fullProject, serve } from "./project.mjs";

let browser;
before(async () => { browser = await launch(); });
after(async () => { await browser?.close(); });

test("an empty project says on each page what to do", async () => {
  const project = await emptyProject();
  const server = await serve(project);
  const opened = await open(browser, { url: server.url });
  const pages = [
    ["/overview", "Nothing is deployed yet"],
    ["/schema", "No schema is deployed"],
    ["/explore", "There is nothing to ask for yet"],
    ["/lake", "There is no table yet"],
    ["/lake/Film", "There is no such table"],
    ["/sources", "The tables answer alone"],
    ["/usage", "Nobody asked anything yet"],
  ];
  for (const [place, title] of pages) {
    await visit(opened.page, place);
    await opened.page.getByRole("heading", { name: title }).waitFor();
    await inspect(opened, `empty ${place}`);
  }
  await visit(opened.page, "/schema?view=plan");
  await opened.page.getByRole("heading", { name: "Steps" }).waitFor();
  await inspect(opened, "pending plan");
  await opened.close();
  await server.stop();
  await project.remove();
});

test("a server that demands a token gets one, for data and for pictures", async () => {
  const project = await fullProject();
  const token = JSON.parse(await project.headwater("--json", "token", "create", "web", "--team", "design", "--scope", "admin"));
  const server = await serve(project, "--require-tokens");
  const opened = await open(browser, { url: server.url, at: "/lake/Photo", mayFail: true });
  const { page } = opened;
  await page.getByRole("alert").waitFor();
  await inspect(opened, "token is demanded");

  await useToken(page, "hw_wrong");
  await page.getByRole("alert").waitFor();
  await useToken(page, token.secret);
  await page.locator(".grid img[src^=blob]").first().waitFor();
  await page.waitForFunction(() => document.querySelector(".grid img")?.naturalWidth > 0);
  await inspect(opened, "token is taken");
  await opened.close();
  await server.stop();
  await project.remove();
});

async function useToken(page, secret) {
  await page.getByRole("button", { name: "Enter a token" }).click();
  await page.getByLabel("Token", { exact: true }).fill(secret);
  await page.getByRole("button", { name: "Use it" }).click();
  await page.getByRole("dialog").waitFor({ state: "detached" });
}

test("a server that went away is said to, and found again", async () => {
  const project = await fullProject();
  const server = await serve(project);
  const opened = await open(browser, { url: server.url, at: "/lake", mayFail: true });
  const { page } = opened;
  await page.getByRole("link", { name: "films" }).waitFor();
  await server.stop();
  await visit(page, "/schema");
  await page.getByText("The server cannot be reached").waitFor();
  await inspect(opened, "server is away");

  // The page finds whatever answers at its address; here the test does.
  await page.route("**/system", (route) => route.fulfill({ contentType: "application/graphql-response+json", body: JSON.stringify({ data: { schema: { version: 0, fingerprint: "", modules: [], types: [] }, status: { pendingChanges: false } } }) }));
  await page.getByRole("button", { name: "Try again" }).click();
  await page.getByRole("heading", { name: "No schema is deployed" }).waitFor();
  await opened.close();
  await project.remove();
});

test("a slow answer is waited for with a drawing of what comes", async () => {
  const project = await emptyProject();
  const server = await serve(project);
  const opened = await open(browser, { url: server.url, at: "/nowhere" });
  const { page } = opened;
  let release;
  const gate = new Promise((resolve) => { release = resolve; });
  await page.route("**/system", async (route) => { await gate; await route.continue(); });
  for (const place of ["/overview", "/schema", "/lake"]) {
    await visit(page, place);
    await page.locator(".bone").first().waitFor();
    await inspect(opened, `loading ${place}`);
  }
  release();
  await page.getByRole("heading", { name: "There is no table yet" }).waitFor();
  assert.equal(await page.locator(".bone").count(), 0);
  await opened.close();
  await server.stop();
  await project.remove();
});
