/** What people do with the pages: walk by keyboard, search, order, turn pages, ask, go back in time. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { inspect, launch, open, visit } from "./browser.mjs";
import { fullProject, importText, serve } from "./project.mjs";

let project, server, browser;
before(async () => {
  project = await fullProject();
  await importText(project, "Film", "more.csv", "id,title,year,genres", ["900,A film of the second import,2001,Drama"]);
  [server, browser] = await Promise.all([serve(project), launch()]);
});
after(async () => {
  await browser?.close();
  await server?.stop();
  await project?.remove();
});

test("the keyboard alone leads from the navigation to a photo and to more like it", async () => {
  const opened = await open(browser, { url: server.url });
  const { page } = opened;
  await page.getByText("Needs attention").waitFor();
  await tabTo(page, (text) => text === "Lake");
  await page.keyboard.press("Enter");
  // The overview links to the photos too, so the new page has to be there before the next Tab.
  await page.getByRole("heading", { level: 1, name: "Lake" }).waitFor();
  await page.getByRole("link", { name: "photos", exact: true }).waitFor();
  await tabTo(page, (text) => text === "photos");
  await page.keyboard.press("Enter");
  await page.locator(".grid a").first().waitFor();
  await tabTo(page, (_text, selector) => selector === "grid");
  await page.keyboard.press("Enter");
  const dialog = page.getByRole("dialog");
  await dialog.getByText("More like this").waitFor();
  const first = await dialog.getByRole("heading", { level: 2 }).innerText();
  await inspect(opened, "photo");
  await tabTo(page, (_text, selector) => selector === "near");
  await page.keyboard.press("Enter");
  await page.waitForFunction((title) => document.querySelector("dialog h2")?.textContent !== title, first);
  await dialog.getByText("More like this").waitFor();
  await page.keyboard.press("Escape");
  await dialog.waitFor({ state: "detached" });
  assert.match(page.url(), /#\/lake\/Photo$/);
  await opened.close();
});

/** Presses Tab until the focus is where it is wanted. */
async function tabTo(page, isThere) {
  for (let presses = 0; presses < 80; presses += 1) {
    await page.keyboard.press("Tab");
    const [text, place] = await page.evaluate(() => {
      const element = document.activeElement;
      return [element?.textContent?.trim() ?? "", element?.closest(".near, .grid")?.closest(".near") ? "near" : element?.closest(".grid") ? "grid" : ""];
    });
    if (isThere(text, place)) {
      const outline = await page.evaluate(() => getComputedStyle(document.activeElement).outlineStyle);
      assert.notEqual(outline, "none", `the focus on \`${text}\` cannot be seen`);
      return;
    }
  }
  assert.fail("the focus never got there");
}

test("the skip link leads past the navigation", async () => {
  const { page, close } = await open(browser, { url: server.url, at: "/lake" });
  await page.getByRole("link", { name: "films" }).waitFor();
  await page.keyboard.press("Tab");
  await page.keyboard.press("Enter");
  assert.equal(await page.evaluate(() => document.activeElement?.tagName), "MAIN");
  await close();
});

test("near rows come nearest first and leave the row itself out", async () => {
  const { page, close } = await open(browser, { url: server.url, at: "/lake/Photo" });
  await page.locator(".grid a").first().click();
  await page.locator(".near .grid-remark").first().waitFor();
  const distances = (await page.locator(".near .grid-remark").allInnerTexts()).map((text) => Number(text.replace("distance ", "")));
  assert.ok(distances.length > 2);
  assert.deepEqual(distances, [...distances].sort((a, b) => a - b));
  const title = await page.locator("dialog h2").innerText();
  assert.ok(!(await page.locator(".near .grid-title").allInnerTexts()).includes(title));
  await close();
});

test("a row shows the rows that refer to it, and a link leads on", async () => {
  const opened = await open(browser, { url: server.url, at: `/lake/Film?row=${encodeURIComponent('["3"]')}` });
  const { page } = opened;
  const dialog = page.getByRole("dialog", { name: "Film number 3" });
  await dialog.getByRole("region", { name: "Rows of ratings" }).waitFor();
  await inspect(opened, "row with related rows");
  const user = dialog.locator("tbody tr").first().locator("td").last().getByRole("link");
  const name = await user.innerText();
  await user.click();
  await page.getByRole("dialog", { name, exact: true }).getByText("occupation").waitFor();
  await opened.close();
});

test("rows are searched, ordered and turned page by page", async () => {
  const { page, close } = await open(browser, { url: server.url, at: "/lake/Film" });
  const rows = page.locator("tbody tr");
  await rows.first().waitFor();
  assert.equal(await rows.count(), 50);
  await page.getByRole("link", { name: "Next" }).click();
  await page.waitForFunction(() => document.querySelectorAll("tbody tr").length === 11);
  await page.getByRole("link", { name: "Previous" }).click();
  await page.waitForFunction(() => document.querySelectorAll("tbody tr").length === 50);

  await page.getByRole("button", { name: "year" }).click();
  await page.locator("th[aria-sort=ascending]").waitFor();
  await page.getByRole("button", { name: "year" }).click();
  await page.locator("th[aria-sort=descending]").waitFor();
  await page.locator("tbody tr:first-child >> text=2010").first().waitFor();

  await page.getByRole("searchbox").fill("delta");
  await page.keyboard.press("Enter");
  await page.waitForFunction(() => document.querySelectorAll("tbody tr").length === 1);
  await page.getByText("The Quiet Delta").waitFor();
  await page.getByRole("searchbox").fill("zebra");
  await page.keyboard.press("Enter");
  await page.getByRole("heading", { name: "Nothing matches" }).waitFor();
  await close();
});

test("explore runs what a table suggests", async () => {
  const opened = await open(browser, { url: server.url, at: "/lake/Film" });
  const { page } = opened;
  await page.getByRole("link", { name: "Query in Explore" }).click();
  await page.locator(".graphiql-execute-button").click();
  await page.locator(".result-window >> text=Film number 1").first().waitFor();
  await inspect(opened, "explore answer");
  await page.getByRole("button", { name: "Show Documentation Explorer" }).click();
  await page.getByText("FilmConnection").waitFor();
  await inspect(opened, "explore documentation");
  await page.getByRole("button", { name: "Show Plan" }).click();
  await page.getByRole("button", { name: "Explain", exact: true }).click();
  await page.locator(".explain pre >> text=films").first().waitFor();
  await inspect(opened, "explore plan");
  await opened.close();
});

test("an older snapshot is looked at and gone back to", async () => {
  const opened = await open(browser, { url: server.url, at: "/lake/Film/snapshots" });
  const { page } = opened;
  await page.getByText("61 rows").first().waitFor();
  await page.getByRole("link", { name: /See rows of/ }).nth(1).click();
  await page.getByText("These are the rows of snapshot").waitFor();
  await page.getByText("50 of 60").waitFor();
  await page.goBack();
  await page.getByRole("button", { name: /Go back to snapshot/ }).first().click();
  await inspect(opened, "go back");
  await page.getByRole("dialog").getByRole("button", { name: "Go back" }).click();
  await page.getByRole("dialog").waitFor({ state: "detached" });
  await visit(page, "/lake/Film");
  await page.getByText("50 of 60").waitFor();
  await opened.close();
});

test("a chosen theme wins over the system's and is remembered", async () => {
  const { page, close } = await open(browser, { url: server.url, at: "/lake", scheme: "dark" });
  const paper = () => page.evaluate(() => getComputedStyle(document.documentElement).backgroundColor);
  // A button that names the new theme was drawn after the theme was set.
  await page.getByRole("button", { name: /Theme of the system/ }).waitFor();
  const dark = await paper();
  await page.getByRole("button", { name: /Theme of the system/ }).click();
  await page.getByRole("button", { name: /Light theme/ }).waitFor();
  const light = await paper();
  assert.notEqual(light, dark);
  await page.reload();
  await page.getByRole("button", { name: /Light theme/ }).waitFor();
  assert.equal(await paper(), light);
  await page.getByRole("button", { name: /Light theme/ }).click();
  await page.getByRole("button", { name: /Dark theme/ }).waitFor();
  assert.equal(await paper(), dark);
  await close();
});

test("the schema's files are compared with what is deployed", async () => {
  const { writeFile, readFile } = await import("node:fs/promises");
  const file = `${project.folder}/schema/catalog.graphql`;
  const text = await readFile(file, "utf8");
  await writeFile(file, text.replace("year: Int", "year: Int\n  director: String"));
  const opened = await open(browser, { url: server.url, at: "/schema" });
  await opened.page.getByRole("link", { name: "Review the plan" }).click();
  await opened.page.getByText("Film.director").first().waitFor();
  await inspect(opened, "plan of a change");
  await writeFile(file, text);
  await opened.close();
});
