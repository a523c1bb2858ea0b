// A service that tells of events, by the usual servers of subscriptions: `graphql-ws` at `/socket`, `graphql-sse`
// at `/events`, questions at `/graphql`. Both streams want the header `x-api-key: sesame`, which the socket looks
// for in `connection_init`. Out: `listening on URL` once it is there; it ends with its input.
import { createServer } from "node:http";
import { buildSchema, execute, parse } from "graphql";
import { createHandler } from "graphql-sse/lib/use/http";
import { useServer } from "graphql-ws/use/ws";
import { WebSocketServer } from "ws";

const schema = buildSchema(`
  type Query { listeners: Int! }
  type Subscription { counted(to: Int!): Note  endless: Note  broken: Note }
  type Note { text: String!  item: Item }
  type Item { id: ID! }
`);

let listeners = 0;
async function* counted({ to }) {
  for (let number = 1; number <= to; number += 1) {
    yield { counted: { text: `number ${number}`, item: { __typename: "Item", id: "abc"[number - 1] ?? "z" } } };
  }
}
// A generator that waits is not left by `return`; an iterator of one's own is.
function endless() {
  listeners += 1;
  let isTold = false;
  return {
    [Symbol.asyncIterator]() {
      return this;
    },
    next() {
      if (isTold) return new Promise(() => {});
      isTold = true;
      return Promise.resolve({ done: false, value: { endless: { text: "first" } } });
    },
    async return() {
      listeners -= 1;
      return { done: true, value: undefined };
    },
  };
}
const rootValue = {
  listeners: () => listeners,
  counted,
  endless,
  broken: () => {
    throw new Error("out of paper");
  },
};

const events = createHandler({
  authenticate: (request) => (request.headers.get("x-api-key") === "sesame" ? null : [null, { status: 403, statusText: "Forbidden" }]),
  onSubscribe: (_, { query, variables }) => ({ schema, document: parse(query), variableValues: variables, rootValue }),
});
const server = createServer(async (request, response) => {
  if (request.url.startsWith("/events")) return events(request, response);
  const parts = [];
  for await (const part of request) parts.push(part);
  const { query, variables } = JSON.parse(Buffer.concat(parts).toString("utf8"));
  const answer = await execute({ schema, document: parse(query), variableValues: variables, rootValue });
  response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(answer));
});
const sockets = new WebSocketServer({ server, path: "/socket" });
useServer(
  { schema, roots: { query: rootValue, subscription: rootValue }, onConnect: ({ connectionParams }) => connectionParams?.["x-api-key"] === "sesame" },
  sockets,
);
server.listen(0, "127.0.0.1", () => console.log(`listening on http://127.0.0.1:${server.address().port}`));
process.stdin.resume().on("end", () => process.exit(0));
