/** The deployed types as a graph: which are drawn, how large, and what leads from one to another. */
import type { Deployed, DeployedField, DeployedType } from "../../api/system";
import { type Box, draw, type Drawing } from "./layers";

export const CARD = 236;
export const HEAD = 52;
export const LINE = 23;
const FOOT = 10;
/** Longer types end with the number of fields that are not shown. */
const SHOWN = 9;

export interface TypeLink {
  from: string;
  to: string;
  /** What leads there, and what leads back. */
  labels: string[];
  path: string;
}

export interface TypeCard {
  type: DeployedType;
  fields: DeployedField[];
  more: number;
  x: number;
  y: number;
  height: number;
}

export interface TypeGraph {
  cards: TypeCard[];
  links: TypeLink[];
  width: number;
  height: number;
}

/** Lays the types out, no wider than `room` where they fit. */
export function typeGraph(deployed: Deployed, room: number): TypeGraph {
  const types = deployed.types.filter((type) => type.table !== null || type.name !== "Media");
  const links = linksOf(types);
  const boxes: Box[] = types.map((type) => ({ id: type.name, width: CARD, height: cardHeight(type) }));
  const drawing = draw(boxes, links, room);
  return {
    cards: types.flatMap((type) => {
      const box = drawing.boxes.get(type.name);
      const fields = shown(type);
      return box ? [{ type, fields, more: type.fields.length - fields.length, x: box.x, y: box.y, height: box.height }] : [];
    }),
    links: links.map((link, index) => ({ ...link, path: pathOf(drawing, index) })),
    width: drawing.width,
    height: drawing.height,
  };
}

function shown(type: DeployedType): DeployedField[] {
  return type.fields.length <= SHOWN ? type.fields : type.fields.slice(0, SHOWN - 1);
}

function cardHeight(type: DeployedType): number {
  return HEAD + Math.min(type.fields.length, SHOWN) * LINE + FOOT;
}

/** The name inside the wrappers: `Film` of `[Film!]!`. */
export function innerType(typeText: string): string {
  return typeText.replace(/[[\]!\s]/g, "");
}

/** References and embedded types; a reference and the one that leads back are one link. */
function linksOf(types: DeployedType[]): TypeLink[] {
  const names = new Set(types.map((type) => type.name));
  const links = new Map<string, TypeLink>();
  const targetOf = (field: DeployedField) => field.target ?? innerType(field.typeText);
  // What holds the key of the other comes first, so that it points the way.
  const fields = types.flatMap((type) => type.fields.map((field) => ({ from: type.name, field, isMany: field.typeText.startsWith("[") })));
  for (const { from, field } of fields.sort((a, b) => Number(a.isMany) - Number(b.isMany))) {
    const to = targetOf(field);
    if (!names.has(to) || from === to) continue;
    const back = links.get(`${to} ${from}`);
    const link = back ?? links.get(`${from} ${to}`) ?? { from, to, labels: [], path: "" };
    link.labels.push(`${from}.${field.name}`);
    links.set(`${link.from} ${link.to}`, link);
  }
  return [...links.values()];
}

function pathOf(drawing: Drawing, index: number): string {
  const points = drawing.bends[index] ?? [];
  return points.reduce((path, point, at) => {
    const before = points[at - 1];
    if (!before) return `M${point.x} ${point.y}`;
    const middle = (before.x + point.x) / 2;
    return `${path}C${middle} ${before.y} ${middle} ${point.y} ${point.x} ${point.y}`;
  }, "");
}
