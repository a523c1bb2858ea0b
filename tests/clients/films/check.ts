// A program on the generated client: it asks a `fetch` that knows recorded answers only.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { Client, FilmByIdOperation, RequestError } from "./operations.js";
import type { FilmParts, Genre, HomeData } from "./operations.js";

type Asked = { operation: string; variables: object; answer: object };
const recorded = JSON.parse(readFileSync("answers.json", "utf8")) as Asked[];

const client = new Client({
  url: "http://recorded/graphql",
  token: "t",
  fetch: async (_url, init) => {
    const headers = init.headers as { [name: string]: string };
    assert.equal(headers["headwater-client"], "test/1");
    assert.equal(headers["headwater-schema"], "0123456789abcdef");
    assert.equal(headers["authorization"], "Bearer t");
    const { operationName, variables, query } = JSON.parse(String(init.body));
    assert.match(query, new RegExp(`(query|mutation) ${operationName}\\b`));
    const at = recorded.findIndex((asked) => {
      try {
        assert.deepEqual([asked.operation, asked.variables], [operationName, variables]);
        return true;
      } catch {
        return false;
      }
    });
    assert.notEqual(at, -1, JSON.stringify([operationName, variables]));
    return new Response(JSON.stringify(recorded.splice(at, 1)[0]?.answer));
  },
});

// A component asks for what it shows: every answer that spreads the fragment will do.
const shown = (film: FilmParts): string => `${film.title} by ${film.director?.name ?? "nobody"}`;

const home: HomeData = await client.home({ first: 3, where: { not: { year: { gt: 2000 } } }, withPlays: true });
const red = home.films?.nodes.find((film) => film.id === "f1");
assert.ok(red);
assert.equal(shown(red), "The red planet by Ada Sol");
const genres: Genre[] = red.genres;
assert.deepEqual(genres, ["DRAMA"]);
assert.deepEqual(red.director?.films.map((film) => film.title).sort(), ["The blue planet", "The red planet"]);
const plays: { seconds: number }[] | undefined = red.plays;
assert.equal(plays?.[0]?.seconds, 63);
assert.equal((await client.home({ withPlays: false })).films?.nodes[0]?.plays, undefined);

assert.equal((await client.filmById({ id: "f1" })).film?.title, "The red planet");
const none = await client.execute(FilmByIdOperation, { id: "nothing" });
assert.deepEqual([none.data?.film, none.errors], [null, []]);

const details = await client.details({ id: "f1" });
assert.equal(details.kind, "Query");
assert.equal(details.film?.views, "9007199254740993");
assert.equal(details.film?.budget, "1200000.50");
assert.deepEqual(details.film?.extra, { tags: ["a", 1, null] });
assert.equal(details.film?.studio?.type, "Oslo");
assert.equal(details.film?.studio?.city, "Oslo");
assert.equal((await client.details({ id: "f2", brief: true })).film?.studio?.city, undefined);
assert.ok((await client.decades()).filmsAggregate?.some((group) => group.count === "2"));

const added = await client.addFilm({
  input: { id: "f6", title: "New", genres: ["DRAMA"], budget: "1.50", views: "9007199254740995", released: "2026-11-30", year: null },
  idempotencyKey: "k",
});
assert.equal(added.createFilm?.node?.views, "9007199254740995");
assert.equal((await client.changeFilm({ input: { id: "f6", year: 2026 } })).updateFilm?.node?.year, 2026);
assert.equal((await client.changeFilm({ input: { id: "f6", year: null } })).updateFilm?.node?.year, null);
await client.addPlay({ input: { userId: "p1", filmId: "f6", at: "2026-11-30T10:00:00.123456Z", seconds: 5 } });

const twin = client.addFilm({ input: { id: "f6", title: "Twice", genres: [] } });
await assert.rejects(twin, (error) => {
  assert.ok(error instanceof RequestError);
  assert.deepEqual([error.code, error.errors[0]?.path, error.errors[0]?.extensions?.owner], ["ALREADY_EXISTS", ["createFilm"], "catalog"]);
  return true;
});
assert.deepEqual(recorded, []);

// What the types refuse.
const refused = (): void => {
  // @ts-expect-error a variable that must be given
  void client.filmById({});
  // @ts-expect-error a value that the enum does not have
  void client.addFilm({ input: { id: "x", title: "y", genres: ["WESTERN"] } });
  // @ts-expect-error null for a variable that may only be left out
  void client.home({ withPlays: true, first: null });
  // @ts-expect-error a field that was not asked for
  void client.filmById({ id: "f1" }).then((data) => data.film?.stars);
  // @ts-expect-error a field that may be null
  void client.filmById({ id: "f1" }).then((data) => data.film?.year.toFixed());
  // @ts-expect-error a field that may be left out
  void client.home({ withPlays: true }).then((data) => data.films?.nodes[0]?.plays.length);
};
assert.ok(refused);
