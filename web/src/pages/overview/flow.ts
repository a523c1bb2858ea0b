/**
 * The way of data as places and streams: modules of the schema lead to tables, tables into the lake, the
 * lake to the ways in which it answers. In: what is deployed, with counts. Out: rectangles and curves.
 * Not here: drawing.
 */
import type { Requests } from "../../api/metrics";
import type { Deployed, Status, TableInfo } from "../../api/system";
import { hueOf } from "../../design/hue";
import { bytes, count, plural, short } from "../../design/words";
import { href } from "../../router";

/** A place that data comes through. */
export interface Station {
  id: string;
  title: string;
  remark: string;
  href: string;
  /** The colour of its module. */
  hue?: string;
  x: number;
  y: number;
  height: number;
}

/** Data between two places. */
export interface Stream {
  id: string;
  path: string;
  width: number;
}

export interface Stage {
  title: string;
  remark: string;
  x: number;
  stations: Station[];
}

export interface Flow {
  stages: Stage[];
  streams: Stream[];
  height: number;
}

/** What the picture tells. */
export interface Facts {
  deployed: Deployed;
  tables: TableInfo[];
  status: Status;
  requests: Requests;
}

export const WIDTH = 1160;
export const STATION = 212;
const TOP = 64;
const ROW = 58;
const GAP = 16;
/** The least height of the lake. */
const LAKE = 168;
/** The width of what the lake gives. */
const OUTFLOW = 9;
/** Between streams where they meet. */
const BANK = 7;
/** More tables than this are drawn as one. */
const SHOWN = 10;

interface Planned {
  id: string;
  title: string;
  remark: string;
  href: string;
  hue?: string;
}

/** Lays the picture out. */
export function flow(facts: Facts): Flow {
  const tables = shownTables(facts);
  const modules = modulesOf(facts, tables.map((table) => table.module));
  const answers = answersOf(facts);
  const rows = Math.max(modules.length, tables.length, answers.length, 3);
  const inner = rows * ROW + (rows - 1) * GAP;
  const xs = [0, 1, 2, 3].map((index) => (index * (WIDTH - STATION)) / 3);
  const at = (index: number, planned: Planned[]) => spread(planned, xs[index] ?? 0, inner);
  const height = Math.min(inner, Math.max(LAKE, inner * 0.62));
  const lake: Station = { ...lakeOf(facts), x: xs[2] ?? 0, y: TOP + (inner - height) / 2, height };
  const stages: Stage[] = [
    { title: "Schema", remark: `version ${facts.deployed.version}`, x: xs[0] ?? 0, stations: at(0, modules) },
    { title: "Tables", remark: plural(facts.tables.length, "table"), x: xs[1] ?? 0, stations: at(1, tables) },
    { title: "Lake", remark: `metadata in ${metadata(facts.status.metadata)}`, x: xs[2] ?? 0, stations: [lake] },
    { title: "Answers", remark: "to apps and people", x: xs[3] ?? 0, stations: at(3, answers) },
  ];
  return { stages, streams: streams(stages, tables, lake), height: TOP + inner + 4 };
}

function metadata(kind: string): string {
  return kind === "sqlite" ? "SQLite" : kind === "postgres" ? "Postgres" : kind;
}

interface PlannedTable extends Planned {
  module: string;
  rows: number;
}

function shownTables({ tables, deployed }: Facts): PlannedTable[] {
  const largest = [...tables].sort((a, b) => b.rows - a.rows);
  const rest = largest.slice(SHOWN);
  const shown = new Set((rest.length > 1 ? largest.slice(0, SHOWN) : largest).map((table) => table.typeName));
  const planned: PlannedTable[] = tables.filter((table) => shown.has(table.typeName)).map((table) => ({
    id: `table ${table.typeName}`,
    title: table.name,
    remark: `${plural(table.rows, "row")} · ${format(table.format)}`,
    href: href(["lake", table.typeName]),
    hue: hueOf(deployed, table.module),
    module: table.module,
    rows: table.rows,
  }));
  if (rest.length > 1) {
    const rows = rest.reduce((sum, table) => sum + table.rows, 0);
    planned.push({ id: "table others", title: `${count(rest.length)} smaller tables`, remark: plural(rows, "row"), href: href(["lake"]), module: rest[0]?.module ?? "", rows });
  }
  // Tables of one module lie together, so that their streams do not cross.
  const order = [...new Set(planned.map((table) => table.module))];
  return planned.sort((a, b) => order.indexOf(a.module) - order.indexOf(b.module));
}

function format(name: string): string {
  return name === "LANCE" ? "Lance" : "Iceberg";
}

function modulesOf({ deployed }: Facts, used: string[]): Planned[] {
  const order = [...new Set(used)];
  return deployed.modules
    .filter((module) => order.includes(module.name))
    .sort((a, b) => order.indexOf(a.name) - order.indexOf(b.name))
    .map((module) => ({
      id: `module ${module.name}`,
      title: module.name,
      remark: `owned by ${module.owner}`,
      href: href(["schema"], { view: "modules" }),
      hue: hueOf(deployed, module.name),
    }));
}

function lakeOf({ tables, status }: Facts): Planned {
  const rows = tables.reduce((sum, table) => sum + table.rows, 0);
  return { id: "lake", title: short(rows), remark: `rows in ${bytes(status.bytes)}`, href: href(["lake"]) };
}

function answersOf({ deployed, requests }: Facts): Planned[] {
  const fields = deployed.types.filter((type) => type.table).flatMap((type) => type.fields);
  const searchable = fields.filter((field) => field.search).length;
  const near = fields.filter((field) => field.kind === "nearest").length;
  const sql = requests["/operations/{name}"] ?? 0;
  const answers: Planned[] = [
    { id: "graphql", title: "GraphQL", remark: plural(requests["/graphql"] ?? 0, "request"), href: href(["explore"]) },
    { id: "operations", title: "SQL and commands", remark: plural(sql, "request"), href: href(["lake"]) },
  ];
  if (searchable) answers.push({ id: "search", title: "Text search", remark: `over ${plural(searchable, "field")}`, href: href(["lake"]) });
  if (near) answers.push({ id: "nearest", title: "Nearest", remark: `over ${plural(near, "field")}`, href: href(["lake"]) });
  return answers;
}

/** Puts stations one below the other, centred. */
function spread(planned: Planned[], x: number, inner: number): Station[] {
  const needed = planned.length * ROW + (planned.length - 1) * GAP;
  const start = TOP + (inner - needed) / 2;
  return planned.map((station, index) => ({ ...station, x, y: start + index * (ROW + GAP), height: ROW }));
}

function streams(stages: Stage[], tables: PlannedTable[], lake: Station): Stream[] {
  const most = Math.max(1, ...tables.map((table) => table.rows));
  const widths = tables.map((table) => 3 + 19 * (Math.log10(1 + table.rows) / Math.log10(1 + most)));
  const mouths = sideBySide(widths, lake);
  const modules = stages[0]?.stations ?? [];
  const found: Stream[] = [];
  (stages[1]?.stations ?? []).forEach((station, index) => {
    const module = modules.find((candidate) => candidate.id === `module ${tables[index]?.module ?? ""}`);
    const middle = centre(station);
    if (module) found.push({ id: `to ${station.id}`, path: curve(module.x + STATION, centre(module), station.x, middle), width: 2 });
    found.push({ id: `from ${station.id}`, path: curve(station.x + STATION, middle, lake.x, mouths[index] ?? middle), width: widths[index] ?? 3 });
  });
  const answers = stages[3]?.stations ?? [];
  const springs = sideBySide(answers.map(() => OUTFLOW), lake);
  answers.forEach((station, index) => {
    found.push({ id: `to ${station.id}`, path: curve(lake.x + STATION, springs[index] ?? 0, station.x, centre(station)), width: OUTFLOW });
  });
  return found;
}

/** Where streams of these widths meet a side of the lake: beside each other, in its middle. */
function sideBySide(widths: number[], lake: Station): number[] {
  const whole = widths.reduce((sum, width) => sum + width + BANK, -BANK);
  let y = centre(lake) - whole / 2;
  return widths.map((width) => {
    const middle = y + width / 2;
    y += width + BANK;
    return middle;
  });
}

function centre(station: Station): number {
  return station.y + station.height / 2;
}

function curve(x1: number, y1: number, x2: number, y2: number): string {
  const middle = (x1 + x2) / 2;
  return `M${x1} ${y1}C${middle} ${y1} ${middle} ${y2} ${x2} ${y2}`;
}
