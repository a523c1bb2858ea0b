/**
 * A layered drawing of a directed graph: cycles broken, nodes in layers from left to right, long edges led
 * through invisible nodes, crossings lessened by medians. In: sizes and edges. Out: places and bends.
 * Knows nothing of schemas.
 */

export interface Box {
  id: string;
  width: number;
  height: number;
}

export interface Edge {
  from: string;
  to: string;
}

export interface Placed {
  x: number;
  y: number;
  width: number;
  height: number;
}

export interface Drawing {
  boxes: Map<string, Placed>;
  /** For each edge, in the order given, the points it passes; empty for an edge to itself. */
  bends: { x: number; y: number }[][];
  width: number;
  height: number;
}

const BETWEEN_LAYERS = 96;
const BETWEEN_BOXES = 28;
const BETWEEN_PARTS = 40;
/** Rounds of ordering; more changes nothing for graphs that fit on a screen. */
const SWEEPS = 6;

/** Draws the graph part by part, and lays the parts on shelves no wider than `room` where they fit. */
export function draw(boxes: Box[], edges: Edge[], room: number): Drawing {
  const drawing: Drawing = { boxes: new Map(), bends: edges.map(() => []), width: 0, height: 0 };
  let shelf = { x: 0, y: 0, height: 0 };
  for (const part of parts(boxes, edges)) {
    const inside = new Set(part.map((box) => box.id));
    const own = edges.flatMap((edge, index) => (inside.has(edge.from) && edge.from !== edge.to ? [{ ...edge, index }] : []));
    const laid = layPart(part, own);
    if (shelf.x > 0 && shelf.x + laid.width > room) shelf = { x: 0, y: shelf.y + shelf.height + BETWEEN_PARTS, height: 0 };
    laid.boxes.forEach((box, id) => drawing.boxes.set(id, { ...box, x: box.x + shelf.x, y: box.y + shelf.y }));
    own.forEach((edge, index) => {
      drawing.bends[edge.index] = (laid.bends[index] ?? []).map((point) => ({ x: point.x + shelf.x, y: point.y + shelf.y }));
    });
    drawing.width = Math.max(drawing.width, shelf.x + laid.width);
    shelf = { x: shelf.x + laid.width + BETWEEN_PARTS, y: shelf.y, height: Math.max(shelf.height, laid.height) };
    drawing.height = Math.max(drawing.height, shelf.y + shelf.height);
  }
  return drawing;
}

/** Groups of nodes that edges connect, the largest first. */
function parts(boxes: Box[], edges: Edge[]): Box[][] {
  const leader = new Map(boxes.map((box) => [box.id, box.id]));
  const find = (id: string): string => {
    const above = leader.get(id) ?? id;
    return above === id ? id : find(above);
  };
  edges.forEach((edge) => leader.set(find(edge.from), find(edge.to)));
  const groups = new Map<string, Box[]>();
  boxes.forEach((box) => groups.set(find(box.id), [...(groups.get(find(box.id)) ?? []), box]));
  return [...groups.values()].sort((a, b) => b.length - a.length);
}

interface Node extends Box {
  layer: number;
  isReal: boolean;
}

function layPart(part: Box[], edges: Edge[]): Drawing {
  const layerOf = layersOf(part, edges);
  const nodes = new Map<string, Node>(part.map((box) => [box.id, { ...box, layer: layerOf.get(box.id) ?? 0, isReal: true }]));
  const chains = edges.map((edge, index) => chain(edge, index, nodes));
  const layers: Node[][] = [];
  nodes.forEach((node) => (layers[node.layer] ??= []).push(node));
  order(layers, chains);
  const boxes = place(layers);
  const size = (of: (box: Placed) => number) => Math.max(0, ...[...boxes.values()].map(of));
  const bends = chains.map((ids) => bendsOf(ids, boxes));
  nodes.forEach((node) => node.isReal || boxes.delete(node.id));
  return { boxes, bends, width: size((box) => box.x + box.width), height: size((box) => box.y + box.height) };
}

/** The layer of each node: one after its last predecessor, edges that close a cycle not counted. */
function layersOf(part: Box[], edges: Edge[]): Map<string, number> {
  const out = new Map<string, string[]>();
  edges.forEach((edge) => out.set(edge.from, [...(out.get(edge.from) ?? []), edge.to]));
  const finished: string[] = [];
  const state = new Map<string, "open" | "done">();
  const forward: Edge[] = [];
  const visit = (id: string) => {
    state.set(id, "open");
    for (const next of out.get(id) ?? []) {
      if (state.get(next) === "open") continue;
      forward.push({ from: id, to: next });
      if (!state.has(next)) visit(next);
    }
    state.set(id, "done");
    finished.push(id);
  };
  const entered = new Set(edges.map((edge) => edge.to));
  // Sources first, so that a cycle is broken where it is entered.
  [...part].sort((a, b) => Number(entered.has(a.id)) - Number(entered.has(b.id))).forEach((box) => state.has(box.id) || visit(box.id));
  const layer = new Map(part.map((box) => [box.id, 0]));
  for (const id of finished.reverse()) {
    for (const edge of forward.filter((found) => found.from === id)) {
      layer.set(edge.to, Math.max(layer.get(edge.to) ?? 0, (layer.get(id) ?? 0) + 1));
    }
  }
  return layer;
}

/** The nodes that an edge passes, left to right or right to left; adds an invisible one in every layer between. */
function chain(edge: Edge, index: number, nodes: Map<string, Node>): string[] {
  const from = nodes.get(edge.from);
  const to = nodes.get(edge.to);
  if (!from || !to) return [];
  const step = Math.sign(to.layer - from.layer);
  const ids = [edge.from];
  for (let layer = from.layer + step; step !== 0 && layer !== to.layer; layer += step) {
    const id = `${index}@${layer}`;
    nodes.set(id, { id, width: 0, height: 8, layer, isReal: false });
    ids.push(id);
  }
  return [...ids, edge.to];
}

/** Orders every layer by the mean place of its neighbours, from both sides in turn. */
function order(layers: Node[][], chains: string[][]): void {
  const near = new Map<string, string[]>();
  const add = (a: string, b: string) => near.set(a, [...(near.get(a) ?? []), b]);
  chains.forEach((ids) => ids.slice(1).forEach((id, index) => { add(id, ids[index]!); add(ids[index]!, id); }));
  for (let sweep = 0; sweep < SWEEPS; sweep += 1) {
    const direction = sweep % 2 === 0 ? 1 : -1;
    const sequence = direction === 1 ? layers : [...layers].reverse();
    sequence.slice(1).forEach((layer, index) => {
      const places = new Map((sequence[index] ?? []).map((node, at) => [node.id, at]));
      const weight = new Map(layer.map((node, at) => [node.id, mean((near.get(node.id) ?? []).flatMap((id) => places.get(id) ?? [])) ?? at]));
      layer.sort((a, b) => (weight.get(a.id) ?? 0) - (weight.get(b.id) ?? 0));
    });
  }
}

function mean(values: number[]): number | null {
  return values.length ? values.reduce((sum, value) => sum + value, 0) / values.length : null;
}

/** Puts the layers side by side, each centred. */
function place(layers: Node[][]): Map<string, Placed> {
  const heightOf = (layer: Node[]) => layer.reduce((sum, node) => sum + node.height + BETWEEN_BOXES, -BETWEEN_BOXES);
  const tallest = Math.max(0, ...layers.map(heightOf));
  const placed = new Map<string, Placed>();
  let x = 0;
  for (const layer of layers) {
    const width = Math.max(0, ...layer.map((node) => node.width));
    let y = (tallest - heightOf(layer)) / 2;
    for (const node of layer) {
      placed.set(node.id, { x, y, width: node.isReal ? node.width : width, height: node.height });
      y += node.height + BETWEEN_BOXES;
    }
    x += width + BETWEEN_LAYERS;
  }
  return placed;
}

/** The points of an edge: out of one side, straight through invisible nodes, into the other. */
function bendsOf(ids: string[], boxes: Map<string, Placed>): { x: number; y: number }[] {
  const passed = ids.flatMap((id) => boxes.get(id) ?? []);
  const [first, last] = [passed[0], passed.at(-1)];
  if (!first || !last || ids.length < 2) return [];
  const isForward = first.x <= last.x;
  return passed.flatMap((box, index) => {
    const y = box.y + box.height / 2;
    const left = { x: box.x, y };
    const right = { x: box.x + box.width, y };
    if (index === 0) return [isForward ? right : left];
    if (index === passed.length - 1) return [isForward ? left : right];
    return isForward ? [left, right] : [right, left];
  });
}
