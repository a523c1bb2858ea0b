/** The administration of the project: the client that is generated from its schema, wired to this tab's session. */
import { Client } from "../generated/system";
import { send } from "./session";

/** The administration. */
export const system = new Client({ url: "/system", fetch: send });

/** Reads the deployed schema. */
export function deployed() {
  return system.schema({}, {
    version: true,
    fingerprint: true,
    modules: { name: true, owner: true, file: true, text: true, types: true },
    types: {
      name: true, description: true, module: true, owner: true, table: true, format: true, key: true,
      fields: { name: true, description: true, kind: true, typeText: true, target: true, search: true, vector: true, deprecated: true },
    },
  });
}

/** Reads what the files of the schema folder would change. */
export function pendingPlan() {
  return system.pendingPlan({}, {
    base: true, target: true, isEmpty: true, losses: true, rendered: true,
    changes: {
      path: true, message: true, storage: true, wire: true,
      usage: { days: true, requests: true, consumers: { client: true, version: true, operations: true, requests: true } },
    },
    steps: { text: true, storage: true, destroys: true },
  });
}

/** Reads the tables. */
export function tables() {
  return system.tables({}, {
    typeName: true, name: true, module: true, owner: true, format: true, rows: true, bytes: true, files: true,
    snapshots: true, changedAt: true,
  });
}

/** Reads the project at a glance. */
export function status() {
  return system.status({}, {
    version: true, schemaVersion: true, fingerprint: true, pendingChanges: true, running: true, metadata: true, objects: true, bytes: true,
    tables: {
      typeName: true, rows: true, files: true, smallFiles: true, deleteFiles: true, expiredSnapshots: true, unindexedRows: true, orphanBytes: true,
    },
  });
}

/** Reads the snapshots of a table, newest first. */
export function snapshots(typeName: string) {
  return system.snapshots({ typeName }, {
    id: true, at: true, operation: true, rows: true, bytes: true, files: true, author: true, summary: true, current: true,
  });
}

/** Reads what is in the columns of a table. */
export function columns(typeName: string) {
  return system.columns({ typeName }, { name: true, typeText: true, nulls: true, distinct: true, minimum: true, maximum: true });
}

/** Reads who asked what of the API in the last days. */
export function usage(days: number) {
  return system.usage({ days }, {
    days: true,
    coordinates: { coordinate: true, owner: true, requests: true, by: { client: true, version: true, operation: true, requests: true, daysAgo: true } },
  });
}

/** Reads how the services of the schema do. */
export function sources() {
  return system.sources({}, {
    name: true, owner: true, url: true, calls: true, answered: true, retries: true, retriesRefused: true, breaker: true, breakerOpened: true,
    inFlight: true, queued: true, connections: true, cacheHits: true, cacheMisses: true, cacheStale: true, bytesSent: true, bytesReceived: true,
    p50Millis: true, p95Millis: true, p99Millis: true, latency: { upToMillis: true, calls: true },
    errors: { timeout: true, connect: true, refused: true, protocol: true, tooLarge: true, status: true, cancelled: true },
  });
}

export type Deployed = Awaited<ReturnType<typeof deployed>>;
export type DeployedType = Deployed["types"][number];
export type DeployedField = DeployedType["fields"][number];
export type DeployedModule = Deployed["modules"][number];
export type PendingPlan = Awaited<ReturnType<typeof pendingPlan>>;
export type SourceInfo = Awaited<ReturnType<typeof sources>>[number];
export type Usage = Awaited<ReturnType<typeof usage>>;
export type UsageOf = Usage["coordinates"][number];
export type TableInfo = Awaited<ReturnType<typeof tables>>[number];
export type Status = Awaited<ReturnType<typeof status>>;
export type SnapshotInfo = Awaited<ReturnType<typeof snapshots>>[number];
export type ColumnInfo = Awaited<ReturnType<typeof columns>>[number];
