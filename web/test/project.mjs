/**
 * A real project for the tests: the schema of the movies example, small files that are made here, and the
 * real binary that applies, imports and serves them.
 */
import { execFile, spawn } from "node:child_process";
import { cp, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { promisify } from "node:util";
import { deflateSync } from "node:zlib";

const run = promisify(execFile);
const SCHEMA = new URL("../../examples/movies/schema", import.meta.url).pathname;
const BINARY = process.env.HEADWATER;
if (!BINARY) throw new Error("HEADWATER must name the binary: build it with `cargo build -p cli`");

/** Films in the table; more than a page holds, so that there is a next one. */
export const FILMS = 60;
const SUBJECTS = ["sunrise over a lake", "sunset over a lake", "forest path", "harbour at night", "desert road", "snow field"];

/** A folder with the schema of the example, not applied. */
export async function emptyProject() {
  const folder = await mkdtemp(join(tmpdir(), "headwater-web-"));
  await cp(SCHEMA, join(folder, "schema"), { recursive: true });
  return { folder, headwater: (...args) => headwater(folder, ...args), remove: () => rm(folder, { recursive: true, force: true }) };
}

/** A project with films, users, ratings and photos. */
export async function fullProject() {
  const project = await emptyProject();
  await project.headwater("apply", "--yes");
  await importText(project, "Film", "films.csv", "id,title,year,genres", films());
  await importText(project, "User", "users.csv", "id,age,occupation", range(12, (index) => `${index},${20 + index},${index % 2 ? "writer" : "engineer"}`));
  await importText(project, "Rating", "ratings.csv", "userId,filmId,stars,at", range(200, rating));
  await importPhotos(project);
  return project;
}

/** Serves a project until the test ends; `options` are those of `up`. */
export async function serve(project, ...options) {
  const child = spawn(BINARY, ["--project", project.folder, "up", "--listen", "127.0.0.1:0", ...options], { stdio: ["ignore", "pipe", "pipe"] });
  const said = [];
  child.stderr.on("data", (chunk) => said.push(String(chunk)));
  const ended = new Promise((resolve) => child.once("exit", resolve));
  const address = new Promise((resolve) => {
    createInterface({ input: child.stdout }).on("line", (line) => {
      const found = line.match(/ at (http:\/\/\S+)$/);
      if (found) resolve(found[1].replace(/\/$/, ""));
    });
  });
  const url = await Promise.race([address, ended.then(() => { throw new Error(`headwater up ended: ${said.join("")}`); })]);
  return { url, stop: async () => { child.kill("SIGTERM"); await ended; } };
}

/** Asks as a program would that says what it is. */
export async function ask(server, client, query) {
  const headers = { "content-type": "application/json", "headwater-client": client };
  const answer = await fetch(`${server.url}/graphql`, { method: "POST", headers, body: JSON.stringify({ query }) });
  const { errors } = await answer.json();
  if (errors) throw new Error(JSON.stringify(errors));
}

/** Adds rows of text to a table. */
export async function importText(project, typeName, name, head, lines) {
  const file = join(project.folder, name);
  await writeFile(file, [head, ...lines, ""].join("\n"));
  await project.headwater("import", typeName, file);
}

async function headwater(folder, ...args) {
  const { stdout } = await run(BINARY, ["--project", folder, ...args]);
  return stdout;
}

function films() {
  const genres = ["Drama|Comedy", "Action", "Animation|Children"];
  return range(FILMS, (index) => `${index},${index === 7 ? "The Quiet Delta" : `Film number ${index}`},${index % 9 ? 1950 + index : ""},${genres[index % 3]}`);
}

function rating(index) {
  const at = new Date(Date.UTC(2026, 0, 1, index)).toISOString();
  return `${1 + (index % 12)},${1 + (index % FILMS)},${1 + (index % 5)},${at}`;
}

async function importPhotos(project) {
  const folder = join(project.folder, "photos");
  await mkdir(folder);
  await Promise.all(range(12, (index) => writeFile(join(folder, `photo-${String(index).padStart(2, "0")}.png`), picture(index - 1))));
  await project.headwater("import", "Photo", folder);
}

function range(count, of) {
  return Array.from({ length: count }, (_, index) => of(index + 1));
}

/** A picture of 96 × 64 pixels: a sky, a sun and ground, in the colours of its subject. */
function picture(index) {
  const [width, height] = [96, 64];
  const subject = index % SUBJECTS.length;
  const rows = range(height, (y) => {
    const row = Buffer.alloc(1 + width * 3);
    for (let x = 0; x < width; x += 1) row.set(pixel(subject, index, x, y, height), 1 + x * 3);
    return row;
  });
  return png(width, height, Buffer.concat(rows));
}

function pixel(subject, index, x, y, height) {
  const horizon = height * (0.4 + 0.06 * subject);
  const isSun = (x - 20 - 6 * (index % 9)) ** 2 + (y - 16) ** 2 < 60;
  if (isSun) return [250, 230, 170 + 8 * subject];
  const shade = y < horizon ? y * 2 : 140 - y;
  return [40 + 30 * subject + shade / 3, 120 - 14 * subject + shade / 2, 200 - 32 * subject + shade / 4].map((value) => Math.max(0, Math.min(255, Math.round(value))));
}

function png(width, height, raw) {
  const head = Buffer.alloc(13);
  head.writeUInt32BE(width, 0);
  head.writeUInt32BE(height, 4);
  head.set([8, 2, 0, 0, 0], 8);
  const signature = Buffer.from([137, 80, 78, 71, 13, 10, 26, 10]);
  return Buffer.concat([signature, chunk("IHDR", head), chunk("IDAT", deflateSync(raw)), chunk("IEND", Buffer.alloc(0))]);
}

function chunk(kind, data) {
  const body = Buffer.concat([Buffer.from(kind, "latin1"), data]);
  const around = Buffer.alloc(4);
  around.writeUInt32BE(data.length);
  const sum = Buffer.alloc(4);
  sum.writeUInt32BE(crc32(body));
  return Buffer.concat([around, body, sum]);
}

function crc32(bytes) {
  let crc = 0xffffffff;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit += 1) crc = (crc >>> 1) ^ (crc & 1 ? 0xedb88320 : 0);
  }
  return (crc ^ 0xffffffff) >>> 0;
}
