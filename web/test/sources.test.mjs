/** The page of sources, over a service that answers and one that nobody runs. */
import { after, before, test } from "node:test";
import { createServer } from "node:http";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { inspect, launch, open } from "./browser.mjs";
import { emptyProject, serve } from "./project.mjs";

/** A service with one field, on a port of its own. */
function service() {
  const http = createServer((request, response) => {
    request.resume().on("end", () => {
      response.setHeader("content-type", "application/json");
      response.end(JSON.stringify({ data: { weather: "rain" } }));
    });
  });
  return new Promise((resolve) => http.listen(0, "127.0.0.1", () => resolve({ http, url: `http://127.0.0.1:${http.address().port}/graphql` })));
}

function moduleOf(name, field, url) {
  return `extend schema @module(name: "${name}", owner: "sky") @source(name: "${name}", kind: GRAPHQL, url: "${url}")\ntype Query { ${field}: String }\n`;
}

let weather, project, server, browser;
before(async () => {
  weather = await service();
  project = await emptyProject();
  await writeFile(join(project.folder, "schema", "weather.graphql"), moduleOf("weather", "weather", weather.url));
  // Nobody listens at the discard port.
  await writeFile(join(project.folder, "schema", "tides.graphql"), moduleOf("tides", "tide", "http://127.0.0.1:9/graphql"));
  await project.headwater("apply", "--yes");
  [server, browser] = await Promise.all([serve(project), launch()]);
  for (const field of ["weather", "weather", "tide"]) {
    const headers = { "content-type": "application/json" };
    await fetch(`${server.url}/graphql`, { method: "POST", headers, body: JSON.stringify({ query: `{ ${field} }` }) });
  }
});
after(async () => {
  await browser?.close();
  await server?.stop();
  await project?.remove();
  weather?.http.close();
});

for (const look of [{ width: 1280, scheme: "light" }, { width: 1280, scheme: "dark" }, { width: 360, height: 740, scheme: "light" }]) {
  test(`services are shown at ${look.width} px in ${look.scheme} colours`, async () => {
    const opened = await open(browser, { url: server.url, at: "/sources", ...look });
    const panel = (name) => opened.page.locator(".panel", { has: opened.page.getByRole("heading", { name, exact: true }) });
    await panel("weather").getByText("No call failed.").waitFor();
    await panel("weather").getByText(weather.url).waitFor();
    await panel("tides").getByText("Could not be reached").waitFor();
    await inspect(opened, `sources ${look.width} ${look.scheme}`);
    await opened.close();
  });
}
