import { Client, RequestError, operation, type Film, type FilmInput } from "./api.js";

const sent: { query: string; variables: unknown }[] = [];
let answer: unknown = null;
const client = new Client({
  url: "http://localhost/graphql",
  token: "secret",
  fetch: async (_url, init) => {
    sent.push(JSON.parse(String(init.body)));
    return new Response(JSON.stringify(answer));
  },
});
function equal(got: unknown, wanted: unknown): void {
  const [a, b] = [JSON.stringify(got), JSON.stringify(wanted)];
  if (a !== b) throw new Error(`${a} is not ${b}`);
}

answer = { data: { film: { title: "Heat", length: "170", similar: [{ id: "2" }], poster: { url: "/m" } } } };
const film = await client.film({ id: 7 }, {
  title: true,
  length: true,
  similar: { $: { first: 3 }, id: true },
  poster: { url: { $: { variant: "THUMBNAIL" } } },
});
const title: string | undefined = film?.title;
const length: string | null | undefined = film?.length;
const ids: string[] | undefined = film?.similar.map((other) => other.id);
equal([title, length, ids, film?.poster?.url], ["Heat", "170", ["2"], "/m"]);
equal(sent.at(-1), {
  query: "query ($v0: ID!, $v1: Int, $v2: Variant!) { film(id: $v0) { title length similar(first: $v1) { id } poster { url(variant: $v2) } } }",
  variables: { v0: 7, v1: 3, v2: "THUMBNAIL" },
});

answer = { data: { films: { totalCount: "1", nodes: [{ __typename: "Film" }] }, fingerprint: "f" } };
const both = await client.query({
  films: { $: { where: { and: [{ length: 3 }] } }, totalCount: true, nodes: { __typename: true } },
  fingerprint: true,
});
const name: "Film" | undefined = both.films?.nodes[0]?.__typename;
equal([name, both.fingerprint], ["Film", "f"]);

const input: FilmInput = { id: "1", title: "Ran" };
answer = { data: { createFilm: { id: "1" } } };
equal(await client.createFilm({ input }, { id: true }), { id: "1" });
answer = { data: { fingerprint: "g" } };
equal(await client.fingerprint(), "g");

const row: Film = { __typename: "Film", id: "1", title: "Ran", year: null, length: null, genre: "DRAMA", tags: [], stars: null };
equal(row.tags, []);

answer = { data: { film: null }, errors: [{ message: "no such film" }] };
try {
  await client.film({ id: "0" }, { id: true });
  throw new Error("an answer with errors must be thrown");
} catch (error) {
  if (!(error instanceof RequestError)) throw error;
  equal([error.message, error.data], ["no such film", { film: null }]);
}

// What must not compile.
async function refused(): Promise<void> {
  // @ts-expect-error: there is no field `titel`.
  await client.film({ id: "1" }, { titel: true });
  // @ts-expect-error: there is no field `idd` below.
  await client.film({ id: "1" }, { similar: { idd: true } });
  // @ts-expect-error: `id` is required.
  await client.film({}, { id: true });
  // @ts-expect-error: `variant` is required.
  await client.film({ id: "1" }, { poster: { url: true } });
  const found = await client.film({ id: "1" }, { title: true });
  // @ts-expect-error: `year` was not selected.
  found?.year;
  // @ts-expect-error: no such genre.
  await client.createFilm({ input: { id: "1", title: "x", genre: "NOIR" } }, { id: true });
}
void refused;

let failed = false;
try {
  operation("query", { nothing: true });
} catch {
  failed = true;
}
equal(failed, true);
console.log("client works");
