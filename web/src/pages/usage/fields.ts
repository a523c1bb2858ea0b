/** The use of the API by type and field, and the fields that nobody asks for. Pure: no request, no element. */
import type { Deployed, Usage } from "../../api/system";

/** The fields of one type that are used. */
export interface Fields {
  name: string;
  owner: string;
  fields: { coordinate: string; name: string; requests: number; clients: string[]; /** Of the most used field of all. */ share: number }[];
}

/** The used fields, by type: root fields first, then types by how much they are used. */
export function byType(usage: Usage): Fields[] {
  const most = Math.max(1, ...usage.coordinates.map((one) => one.requests));
  const types = new Map<string, Fields>();
  for (const one of usage.coordinates) {
    const [name, field, argument] = one.coordinate.split(".");
    // Arguments are told by their field; a type by itself means that any of its members may be used.
    if (!name || !field || argument) continue;
    const type = types.get(name) ?? { name, owner: isRoot(name) ? "" : one.owner, fields: [] };
    const clients = [...new Set(one.by.map((by) => by.client))];
    type.fields.push({ coordinate: one.coordinate, name: field, requests: one.requests, clients, share: one.requests / most });
    types.set(name, type);
  }
  const all = [...types.values()];
  all.forEach((type) => type.fields.sort((a, b) => b.requests - a.requests || a.name.localeCompare(b.name)));
  const weight = (type: Fields) => (isRoot(type.name) ? Infinity : (type.fields[0]?.requests ?? 0));
  return all.sort((a, b) => weight(b) - weight(a) || a.name.localeCompare(b.name));
}

/** The fields of deployed types that nobody asks for. */
export function unused(deployed: Deployed, usage: Usage): string[] {
  const used = new Set(usage.coordinates.map((one) => one.coordinate));
  const all = deployed.types.flatMap((type) => type.fields.map((field) => `${type.name}.${field.name}`));
  return all.filter((coordinate) => !used.has(coordinate)).sort();
}

function isRoot(name: string): boolean {
  return name === "Query" || name === "Mutation";
}
