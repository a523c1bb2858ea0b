/**
 * Where the reader is: the hash of the address, as path segments and parameters. Every state that a
 * reload should keep is in it. Not here: what is shown for a place.
 */
import { useSyncExternalStore } from "react";

/** A place: `#/lake/Film/snapshots?at=7` is `["lake", "Film", "snapshots"]` with `at`. */
export interface Place {
  path: string[];
  parameters: URLSearchParams;
}

/** Reads a hash. */
export function parse(hash: string): Place {
  const [path = "", query = ""] = hash.replace(/^#\/?/, "").split("?", 2);
  return { path: path.split("/").filter(Boolean).map(decode), parameters: new URLSearchParams(query) };
}

/** Writes a hash; parameters without a value are left out. */
export function href(path: string[], parameters: Record<string, string | null | undefined> = {}): string {
  const given = Object.entries(parameters).filter((entry): entry is [string, string] => !!entry[1]);
  const query = new URLSearchParams(given).toString();
  return `#/${path.map(encodeURIComponent).join("/")}${query ? `?${query}` : ""}`;
}

/** The same place with other parameters; `null` removes one. */
export function withParameters(place: Place, changes: Record<string, string | null>): string {
  return href(place.path, { ...Object.fromEntries(place.parameters), ...changes });
}

/** Goes to a hash; `replace` leaves no step to go back to. */
export function go(hash: string, replace = false): void {
  if (!replace) {
    window.location.hash = hash;
    return;
  }
  window.history.replaceState(null, "", hash);
  window.dispatchEvent(new HashChangeEvent("hashchange"));
}

/** The present place. */
export function usePlace(): Place {
  const hash = useSyncExternalStore(onHashChange, () => window.location.hash);
  return parse(hash);
}

function onHashChange(changed: () => void): () => void {
  window.addEventListener("hashchange", changed);
  return () => window.removeEventListener("hashchange", changed);
}

function decode(segment: string): string {
  try {
    return decodeURIComponent(segment);
  } catch {
    return segment;
  }
}
