/**
 * Rows of a table through the project's own API: writes the question for what a type has, asks it, and
 * gives plain rows. In: the deployed type and the API's shape. Not here: how a value is shown.
 */
import { graphql } from "./graphql";
import { innerName, isList, type Shape, spelled } from "./shape";
import type { Deployed, DeployedField, DeployedType } from "./system";

export type Row = Record<string, unknown>;

/** A stored picture, as far as pages show it. */
export interface Media {
  hash: string;
  format: string;
  bytes: string;
  width: number | null;
  height: number | null;
  takenAt: string | null;
  camera: string | null;
  latitude: number | null;
  longitude: number | null;
  sharpness: number | null;
  exposure: number | null;
  meanColor: string | null;
}

/** A page of rows. */
export interface Page {
  nodes: Row[];
  totalCount: number | null;
  hasNextPage: boolean;
  hasPreviousPage: boolean;
  startCursor: string | null;
  endCursor: string | null;
}

/** Which rows. */
export interface Wanted {
  size: number;
  /** The cursor that the page follows, or `before`, which it precedes. */
  after: string | null;
  before: string | null;
  orderBy: string | null;
  descending: boolean;
  search: string | null;
  /** A snapshot's id, for an older state. */
  at: string | null;
}

/** A row that is near another. */
export interface Neighbour {
  distance: number;
  node: Row;
}

const MEDIA = "{ hash format bytes width height takenAt camera latitude longitude sharpness exposure meanColor }";

/** Everything that questions about one type need. */
export interface Subject {
  type: DeployedType;
  deployed: Deployed;
  shape: Shape;
}

/** The fields that a table of rows shows: all but those that give many other rows. */
export function shownFields({ type, shape }: Subject): DeployedField[] {
  const offered = new Map(shape.fields(type.name).map((field) => [field.name, field]));
  return type.fields.filter((field) => {
    const found = offered.get(field.name);
    if (!found || field.kind === "nearest" || field.deprecated) return false;
    return field.kind !== "reference" || !isList(found.type);
  });
}

/** The question for a page of rows, without its variables' values. */
function listQuery(subject: Subject): string {
  const field = subject.shape.list(subject.type.name);
  const takes = (name: string) => field?.args.find((argument) => argument.name === name);
  const names = ["first", "after", "last", "before", "orderBy", "search", "asOf"].filter(takes);
  const declared = names.map((name) => `$${name}: ${spelled(takes(name)!.type)}`).join(", ");
  const given = names.map((name) => `${name}: $${name}`).join(", ");
  return `query Rows(${declared}) {\n  page: ${field?.name ?? ""}(${given}) {\n    totalCount\n    pageInfo { hasNextPage hasPreviousPage startCursor endCursor }\n    nodes ${selection(subject)}\n  }\n}`;
}

/** A question that reads well, to start from in Explore. */
export function exampleQuery(subject: Subject): string {
  const field = subject.shape.list(subject.type.name);
  const lines = selection(subject).slice(2, -2).split("\n").map((line) => `      ${line.trim()}`);
  const name = (field?.name ?? "").replace(/^./, (letter) => letter.toUpperCase());
  return `query ${name} {\n  ${field?.name ?? ""}(first: 10) {\n    totalCount\n    nodes {\n${lines.join("\n")}\n    }\n  }\n}`;
}

/** A page of rows. */
export async function page(subject: Subject, wanted: Wanted): Promise<Page> {
  const isBackwards = wanted.before !== null;
  const { page: found } = await graphql<{ page: Pick<Page, "totalCount" | "nodes"> & { pageInfo: Omit<Page, "totalCount" | "nodes"> } }>(
    listQuery(subject),
    {
      first: isBackwards ? null : wanted.size,
      after: wanted.after,
      last: isBackwards ? wanted.size : null,
      before: wanted.before,
      orderBy: wanted.orderBy ? [{ [wanted.orderBy]: wanted.descending ? "DESC" : "ASC" }] : null,
      search: wanted.search,
      asOf: wanted.at ? { snapshot: wanted.at } : null,
    },
  );
  return { nodes: found.nodes, totalCount: found.totalCount, ...found.pageInfo };
}

/** The fields with `@nearest`. */
function nearestFields(type: DeployedType): DeployedField[] {
  return type.fields.filter((field) => field.kind === "nearest");
}

/** A field that gives many rows of another type: the first of them, and what is needed to show them. */
export interface Related {
  name: string;
  subject: Subject;
  rows: Row[];
}

/** A row with what it leads to. */
export interface Found {
  row: Row | null;
  near: [string, Neighbour[]][];
  related: Related[];
}

/** How many rows of a field that gives many are shown with a row. */
const FIRST = 5;

/** One row by its key, with the rows near it for each field with `@nearest`, and those that refer to it. */
export async function rowWithNeighbours(subject: Subject, key: Row): Promise<Found> {
  const field = subject.shape.one(subject.type.name);
  const declared = subject.type.key.map((name) => `$${name}: ${spelled(field!.args.find((argument) => argument.name === name)!.type)}`);
  const given = subject.type.key.map((name) => `${name}: $${name}`);
  const near = nearestFields(subject.type);
  const below = near.map((nearest) => `${nearest.name}Edges(first: 12) { distance node ${selection(subject)} }`);
  const many = manyOf(subject);
  many.forEach((found) => below.push(`${found.name}(first: ${FIRST}) ${selection(found.subject)}`));
  const own = selection(subject).slice(0, -1);
  const { row } = await graphql<{ row: Row | null }>(`query Row(${declared.join(", ")}) { row: ${field!.name}(${given.join(", ")}) ${own} ${below.join("\n")} } }`, key);
  if (!row) return { row, near: [], related: [] };
  return {
    row,
    near: near.map((nearest) => [nearest.name, row[`${nearest.name}Edges`] as Neighbour[]]),
    related: many.map((found) => ({ ...found, rows: row[found.name] as Row[] })),
  };
}

/** The references to many rows that can be asked for a few of them. */
function manyOf({ type, deployed, shape }: Subject): Omit<Related, "rows">[] {
  const offered = new Map(shape.fields(type.name).map((field) => [field.name, field]));
  return type.fields.flatMap((field) => {
    const found = offered.get(field.name);
    const target = deployed.types.find((candidate) => candidate.name === field.target);
    const isMany = field.kind === "reference" && !field.deprecated && found && isList(found.type) && found.args.some((argument) => argument.name === "first");
    return isMany && target ? [{ name: field.name, subject: { type: target, deployed, shape } }] : [];
  });
}

/** The key of a row, as text for the address and as an identity for lists. */
export function keyText(type: DeployedType, row: Row): string {
  return JSON.stringify(type.key.map((name) => row[name]));
}

/** Reads a key back. */
export function keyOfText(type: DeployedType, text: string): Row | null {
  try {
    const values = JSON.parse(text) as unknown;
    if (!Array.isArray(values) || values.length !== type.key.length) return null;
    return Object.fromEntries(type.key.map((name, index) => [name, values[index]]));
  } catch {
    return null;
  }
}

/** What a row is called: its first searchable text, else its key. */
export function rowTitle(type: DeployedType, row: Row): string {
  const named = type.fields.find((field) => field.search && typeof row[field.name] === "string");
  const text = named ? row[named.name] : null;
  if (typeof text === "string" && text !== "") return text;
  return type.key.map((name) => String(row[name])).join(" · ") || type.name;
}

/** The selection for a row: values, embedded objects, media, and the keys and names of single references. */
function selection(subject: Subject): string {
  const { type, shape } = subject;
  const offered = new Map(shape.fields(type.name).map((field) => [field.name, field]));
  const lines = shownFields(subject).map((field) => {
    const target = innerName(offered.get(field.name)!.type);
    if (field.kind === "media") return `  ${field.name} ${MEDIA}`;
    if (field.kind === "reference") return `  ${field.name} ${referenced(subject, target)}`;
    return `  ${field.name} ${embedded(shape, target, 3)}`.trimEnd();
  });
  return `{\n${lines.join("\n")}\n}`;
}

function referenced({ deployed }: Subject, target: string): string {
  const type = deployed.types.find((found) => found.name === target);
  const named = type?.fields.find((field) => field.search && field.kind === "column");
  const names = [...new Set([...(type?.key ?? []), ...(named ? [named.name] : [])])];
  return `{ ${names.join(" ") || "__typename"} }`;
}

/** The selection for a value that may be an embedded object; nothing for a scalar. */
function embedded(shape: Shape, typeName: string, depth: number): string {
  if (!shape.isObject(typeName)) return "";
  if (depth === 0) return "{ __typename }";
  const below = shape.fields(typeName).map((field) => `${field.name} ${embedded(shape, innerName(field.type), depth - 1)}`.trim());
  return `{ ${below.join(" ")} }`;
}
