/** Every page with data, light and dark, wide and at phone width. */
import { after, before, describe, test } from "node:test";
import { inspect, launch, open, visit } from "./browser.mjs";
import { ask, fullProject, serve } from "./project.mjs";

/** A place, and text that is there only when the page shows its data. */
const PAGES = [
  ["overview", "/overview", ".river:visible >> text=/\\d rows/ >> visible=true"],
  ["schema graph", "/schema", ".card >> text=Rating"],
  ["schema type", "/schema/Film", ".type-details >> text=text search"],
  ["schema modules", "/schema?view=modules", "text=catalog.graphql"],
  ["schema plan", "/schema?view=plan", "text=Nothing to apply"],
  ["explore", "/explore", ".graphiql-execute-button"],
  ["lake", "/lake", "a:has-text('films')"],
  ["maintenance", "/lake", ".maintenance:has-text('.headwater/objects') >> text=rows to index"],
  ["rows", "/lake/Film", "td >> text=Film number 2"],
  ["rows without key", "/lake/Rating", "td >> text=2026-01-01"],
  ["pictures", "/lake/Photo", ".grid img"],
  ["columns", "/lake/Film/columns", "tbody >> text=title"],
  ["snapshots", "/lake/Film/snapshots", "text=present"],
  ["usage", "/usage", ".unused >> text=Film.genres"],
  ["usage of a field", "/usage/Film.title", "td >> text=Titles"],
  ["usage of nothing", "/usage/Film.genres", "text=Nobody asked for it"],
];

const LOOKS = [
  { width: 1280, scheme: "light" },
  { width: 1280, scheme: "dark" },
  { width: 360, height: 740, scheme: "light" },
];

let project, server, browser;
before(async () => {
  project = await fullProject();
  [server, browser] = await Promise.all([serve(project), launch()]);
  await ask(server, "web/3.1", "query Titles { films { nodes { title year } } }");
  await ask(server, "etl", "{ films { nodes { title } } }");
});
after(async () => {
  await browser?.close();
  await server?.stop();
  await project?.remove();
});

for (const look of LOOKS) {
  describe(`at ${look.width} px in ${look.scheme} colours`, () => {
    let opened;
    before(async () => { opened = await open(browser, { url: server.url, ...look }); });
    after(() => opened?.close());
    for (const [name, place, sign] of PAGES) {
      test(`${name} is drawn`, async () => {
        await visit(opened.page, place);
        await opened.page.locator(sign).first().waitFor();
        await inspect(opened, `${name} ${look.width} ${look.scheme}`);
      });
    }
  });
}

test("the place is kept over a reload", async () => {
  const { page, close } = await open(browser, { url: server.url, at: "/lake/Film?order=year&direction=down" });
  await page.locator("th[aria-sort=descending]").waitFor();
  await page.reload();
  await page.locator("th[aria-sort=descending]").waitFor();
  await visit(page, "/nowhere");
  await page.getByRole("heading", { name: "There is no such page" }).waitFor();
  await close();
});
