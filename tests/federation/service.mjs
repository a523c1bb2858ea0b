// One service of the demo graph by @apollo/subgraph, or the whole graph by graphql-js alone.
// In: `node service.mjs accounts|products|reviews|inventory|monolith [PORT]`. Out: a GraphQL server on
// loopback that says `listening on URL` once it is there, and ends with its input.
import { createServer } from "node:http";
import { readFileSync } from "node:fs";
import { buildSubgraphSchema } from "@apollo/subgraph";
import { buildSchema, execute, parse, validate } from "graphql";
import { monolith, services } from "./resolvers.mjs";

const [name, port = "0"] = process.argv.slice(2);
const sdl = readFileSync(new URL(`${name}.graphql`, import.meta.url), "utf8");
const schema =
  name === "monolith" ? attach(buildSchema(sdl), monolith) : buildSubgraphSchema({ typeDefs: parse(sdl), resolvers: services[name] });

function attach(schema, resolvers) {
  for (const [typeName, fields] of Object.entries(resolvers)) {
    const type = schema.getType(typeName);
    for (const [field, resolve] of Object.entries(fields)) {
      if (field === "__resolveType") type.resolveType = resolve;
      else type.getFields()[field].resolve = resolve;
    }
  }
  return schema;
}

async function answer({ query, variables, operationName }) {
  const document = parse(query);
  const errors = validate(schema, document);
  if (errors.length > 0) return { errors };
  return execute({ schema, document, variableValues: variables, operationName });
}

const server = createServer(async (request, response) => {
  let body;
  try {
    const parts = [];
    for await (const part of request) parts.push(part);
    body = await answer(JSON.parse(Buffer.concat(parts).toString("utf8")));
  } catch (error) {
    body = { errors: [{ message: String(error.message) }] };
  }
  response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(body));
});
server.listen(Number(port), "127.0.0.1", () => console.log(`listening on http://127.0.0.1:${server.address().port}/graphql`));
process.stdin.resume().on("end", () => process.exit(0));
