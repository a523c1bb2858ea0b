// A program on the generated client: it asks a `fetch` that knows recorded answers only, that knows no
// document before it was sent once, and that streams.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { Client, RequestError } from "./operations.js";
import type { By, FindSearch, Tree, Whole } from "./operations.js";

type Asked = { operation: string; variables: object; answer: object };
const recorded = JSON.parse(readFileSync("answers.json", "utf8")) as Asked[];
const known = new Set<string>();
let stream: string[] = [];
let left = 0;

const fetch = async (_url: string, init: RequestInit): Promise<Response> => {
  const { operationName, variables, query, extensions } = JSON.parse(String(init.body));
  const hash: string = extensions.persistedQuery.sha256Hash;
  assert.match(hash, /^[0-9a-f]{64}$/);
  if ((init.headers as { [name: string]: string })["accept"] === "text/event-stream") {
    const chunks = stream.map((chunk) => new TextEncoder().encode(chunk));
    const body = new ReadableStream<Uint8Array>({
      pull: (controller) => {
        const chunk = chunks.shift();
        if (chunk === undefined) controller.close();
        else controller.enqueue(chunk);
      },
      cancel: () => {
        left += 1;
      },
    });
    return new Response(body, { headers: { "content-type": "text/event-stream" } });
  }
  if (query === undefined && !known.has(hash)) {
    const errors = [{ message: "PersistedQueryNotFound", extensions: { code: "PERSISTED_QUERY_NOT_FOUND" } }];
    return new Response(JSON.stringify({ errors }));
  }
  assert.equal(query !== undefined, !known.has(hash), "a text is sent once");
  known.add(hash);
  const answer = recorded.find((asked) => {
    try {
      assert.deepEqual([asked.operation, asked.variables], [operationName, variables]);
      return true;
    } catch {
      return false;
    }
  });
  assert.ok(answer, JSON.stringify([operationName, variables]));
  return new Response(JSON.stringify(answer.answer));
};
const client = new Client({ url: "http://recorded/graphql", fetch });

const told = (found: FindSearch): string => {
  switch (found.__typename) {
    case "Book":
      return `${found.kind} of ${found.pages} by ${found.owner?.name ?? "nobody"}, ${found.tags?.[0]?.join("+") ?? "-"}`;
    case "Person":
      return `${found.name ?? "?"} is ${found.age ?? "?"}, friend ${found.friend?.__typename === "Person" ? found.friend.age : "?"}`;
    case "Note":
      return found.text ?? "?";
  }
};
const found = await client.find({ more: true });
assert.deepEqual(found.search.map(told), ["E_BOOK of 7 by Ada, a+b", "Bo is 9, friend ?", "? is ?, friend 4", "hello"]);
const by: By = { tree: { name: null, self: { others: [{ class: "mro" }] }, count: 2 } };
const fewer = await client.find({ by, kinds: ["E_BOOK"], limit: 1, more: false });
assert.ok(fewer.search.every((one) => one.__typename !== "Person" || one.age === undefined));
assert.ok(!("text" in (fewer.search[3] ?? {})));

const whole = (node: Whole | null): string | null => (node?.__typename === "Person" ? `${node.name} ${node.age}` : (node?.id ?? null));
const both = await client.node({ id: "p" });
assert.equal(both.node?.id, "p");
assert.equal(both.node?.owner?.id, "t");
assert.equal(whole(both.other), "Ada 36");
assert.equal((await client.node({ id: "p", yes: false, no: true })).node, undefined);

const tree: Tree = { by: { id: "7" } };
const named = await client.class({ self: tree, class: "p" });
assert.equal(named.type, 'a "tree"');
assert.deepEqual([named.client?.self, named.client?.list, named.node?._], [null, [1, null], "p"]);
assert.deepEqual([named.counted, named.odd], ["9007199254740993", { x: [1, null] }]);
assert.equal((await client.client({ in_: null })).class, true);

const next = (id: string): string => `event: next\r\ndata: {"data": {"changed":\r\ndata: {"id": "${id}", "at": "7", "node": null}}}\r\n\r\n`;
const parts = [":\n\n", next("1").slice(0, 30), next("1").slice(30, 52), next("1").slice(52), next("2") + "event: complete\n", "data:\n\n"];
stream = parts;
const ids: string[] = [];
for await (const { changed } of client.changed()) ids.push(changed.id);
assert.deepEqual(ids, ["1", "2"]);
stream = [next("1"), 'event: next\ndata: {"errors": [{"message": "no"}]}\n\n'];
await assert.rejects(async () => {
  for await (const { changed } of client.changed({ kind: "PAPER" })) assert.equal(changed.at, "7");
}, /^RequestError: no$/);
stream = [next("1")];
await assert.rejects(
  async () => {
    for await (const { changed } of client.changed()) assert.equal(changed.id, "1");
  },
  (error) => error instanceof RequestError && error.retryable,
);
stream = [next("1"), next("2"), next("3")];
const before = left;
for await (const { changed } of client.changed()) {
  assert.equal(changed.id, "1");
  break;
}
assert.equal(left, before + 1);

// What the types refuse.
const refused = (): void => {
  // @ts-expect-error two fields where one is taken
  const two: By = { id: "1", name: "x" };
  // @ts-expect-error null where one is taken
  const none: By = { id: null };
  // @ts-expect-error a field of another type than the one found out
  const told = (one: FindSearch) => (one.__typename === "Book" ? one.friend : null);
  // @ts-expect-error a field of one type only
  const pages = (one: FindSearch) => one.pages;
  void [two, none, told, pages];
};
assert.ok(refused);
