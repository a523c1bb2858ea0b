/** The token of this tab, and the one way in which requests leave the page: `send`. */
import { useSyncExternalStore } from "react";
import { problemOfBody, Problem } from "./problem";

const KEY = "headwater.token";
const listeners = new Set<() => void>();

/** The token, or null. It lives as long as the tab. */
export function token(): string | null {
  return sessionStorage.getItem(KEY);
}

/** Takes a token, or forgets it. */
export function setToken(value: string | null): void {
  if (value) sessionStorage.setItem(KEY, value);
  else sessionStorage.removeItem(KEY);
  listeners.forEach((listener) => listener());
}

/** The token, for components that must follow it. */
export function useToken(): string | null {
  return useSyncExternalStore((changed) => {
    listeners.add(changed);
    return () => listeners.delete(changed);
  }, token);
}

/** Sends a request with the token; a refusal or a missing server becomes a `Problem`. */
export async function send(url: string, init: RequestInit = {}): Promise<Response> {
  const headers = new Headers(init.headers);
  const value = token();
  if (value) headers.set("authorization", `Bearer ${value}`);
  // What this UI asks is not counted as use of the API.
  headers.set("headwater-client", "headwater-ui");
  let response: Response;
  try {
    response = await fetch(url, { ...init, headers });
  } catch (error) {
    if (init.signal?.aborted) throw error;
    throw new Problem("the server cannot be reached", { code: "UNREACHABLE", hint: "see whether `headwater up` still runs, then try again" });
  }
  // An answer of GraphQL carries its errors itself, whatever its status.
  const isGraphql = response.headers.get("content-type")?.startsWith("application/graphql-response+json");
  if (response.ok || isGraphql) return response;
  throw problemOfBody(await response.text(), response.status);
}
