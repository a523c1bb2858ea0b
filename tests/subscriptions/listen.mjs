// Listens to subscriptions with the usual clients. In, as arguments: the protocol (`sse` or `ws`), the URL, a
// token or nothing; on stdin, a line each: {"id", "query", "variables"?} starts an operation, {"stop": id}
// ends one. Out, on stdout, a line each: {"id", "next"}, {"id", "error"}, {"id", "complete"}, {"closed"}.
import { createInterface } from "node:readline";
import { createClient as overEvents } from "graphql-sse";
import { createClient as overSocket } from "graphql-ws";
import WebSocket from "ws";

const [protocol, url, token] = process.argv.slice(2);
const say = (line) => process.stdout.write(`${JSON.stringify(line)}\n`);
const client =
  protocol === "sse"
    ? overEvents({ url, retryAttempts: 0, headers: token ? { authorization: `Bearer ${token}` } : {} })
    : overSocket({
        url: url.replace(/^http/, "ws"),
        webSocketImpl: WebSocket,
        retryAttempts: 0,
        lazyCloseTimeout: 60_000,
        connectionParams: token ? { authorization: `Bearer ${token}` } : undefined,
        on: { closed: (event) => say({ closed: [event.code, event.reason] }) },
      });

const shown = (error) => {
  if (Array.isArray(error)) return error;
  return { message: error.message ?? error.reason, code: error.code, status: error.response?.status };
};
const running = new Map();
for await (const line of createInterface({ input: process.stdin })) {
  const { id, query, variables, stop } = JSON.parse(line);
  if (stop !== undefined) {
    running.get(stop)?.();
    continue;
  }
  const sink = {
    next: (next) => say({ id, next }),
    error: (error) => say({ id, error: shown(error) }),
    complete: () => say({ id, complete: true }),
  };
  running.set(id, client.subscribe({ query, variables }, sink));
}
client.dispose();
