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
  if (room > 0 && room < 2 * CARD) return stacked(types);
  const boxes: Box[] = types.map((type) => ({ id: type.name, width: CARD, height: cardHeight(type) }));
  const drawing = draw(boxes, links, room);
  return {
    cards: types.flatMap((type) => {
      const box = drawing.boxes.get(type.name);
      const fields = shown(type);
      return box ? [{ type, fields, more: type.fields.length - fields.length, x: box.x, y: box.y, height: box.height }] : [];
    }),
    links: links.map((link, index) => ({ ...link, path: pathOf(drawing, index, link, startOf(link, types)) })),
    width: drawing.width,
    height: drawing.height,
  };
}

/** Where there is no room beside a card, the cards lie one below the other; the fields name where they lead. */
function stacked(types: DeployedType[]): TypeGraph {
  let y = 0;
  const cards = types.map((type) => {
    const fields = shown(type);
    const card = { type, fields, more: type.fields.length - fields.length, x: 0, y, height: cardHeight(type) };
    y += card.height + LINE;
    return card;
  });
  return { cards, links: [], width: CARD, height: y - LINE };
}

/** What a field gives, as the schema spells it. */
export function typeTextOf(type: DeployedType, field: DeployedField): string {
  return field.kind === "nearest" ? `[${field.target ?? type.name}!]!` : field.typeText;
}

/** How far below the top of its card a link begins: at the field that leads away, where it is shown. */
function startOf(link: TypeLink, types: DeployedType[]): number | null {
  const type = types.find((found) => found.name === link.from);
  const at = type ? shown(type).findIndex((field) => link.labels[0] === `${type.name}.${field.name}`) : -1;
  return at < 0 ? null : HEAD + LINE * (at + 1) - LINE / 2 + 2;
}

function shown(type: DeployedType): DeployedField[] {
  return type.fields.length <= SHOWN ? type.fields : type.fields.slice(0, SHOWN - 1);
}

function cardHeight(type: DeployedType): number {
  return HEAD + Math.min(type.fields.length, SHOWN) * LINE + FOOT;
}

/** The name inside the wrappers: `Film` of `[Film!]!`. */
function innerType(typeText: string): string {
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

function pathOf(drawing: Drawing, index: number, link: TypeLink, start: number | null): string {
  const points = (drawing.bends[index] ?? []).map((point) => ({ ...point }));
  const [first, last] = [points[0], points.at(-1)];
  const [from, to] = [drawing.boxes.get(link.from), drawing.boxes.get(link.to)];
  if (first && from && start !== null) first.y = from.y + start;
  if (last && to) last.y = to.y + HEAD / 2;
  return points.reduce((path, point, at) => {
    const before = points[at - 1];
    if (!before) return `M${point.x} ${point.y}`;
    const middle = (before.x + point.x) / 2;
    return `${path}C${middle} ${before.y} ${middle} ${point.y} ${point.x} ${point.y}`;
  }, "");
}
