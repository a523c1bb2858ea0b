/** How often the server was asked since it started, read from its page of counters. */
import { send } from "./session";

/** Answered requests by route. */
export type Requests = Record<string, number>;

/** Reads the counters. */
export async function requests(): Promise<Requests> {
  return parseRequests(await (await send("/metrics")).text());
}

/** Sums `headwater_requests_total` over the statuses of each route. */
function parseRequests(page: string): Requests {
  const counts: Requests = {};
  for (const match of page.matchAll(/^headwater_requests_total\{route="([^"]*)"[^}]*\} (\d+)/gm)) {
    const route = match[1] ?? "";
    counts[route] = (counts[route] ?? 0) + Number(match[2]);
  }
  return counts;
}
