// Composes the supergraph that the peers serve.
// In: `node compose.mjs FOLDER NAME=URL...`, the folder with `NAME.graphql` for each service. Out, on
// stdout: the supergraph's SDL with those addresses.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { composeServices } from "@theguild/federation-composition";
import { parse } from "graphql";

const [folder, ...given] = process.argv.slice(2);
const services = given.map((one) => {
  const [name, url] = [one.slice(0, one.indexOf("=")), one.slice(one.indexOf("=") + 1)];
  return { name, url, typeDefs: parse(readFileSync(join(folder, `${name}.graphql`), "utf8")) };
});
const result = composeServices(services);
if (result.errors?.length) {
  for (const error of result.errors) console.error(error.message);
  process.exit(1);
}
process.stdout.write(result.supergraphSdl);
