/** Events of a subscription, read as GraphQL over server-sent events has them. GraphiQL shows one after the other. */
import { getOperationAST, parse } from "graphql";
import { problemOf } from "../../api/problem";
import { send } from "../../api/session";

interface Asked {
  query: string;
  operationName?: string | null;
  variables?: unknown;
}

/** Whether the question is answered by a stream. A document that cannot be read is none: the server says what is wrong. */
export function isSubscription({ query, operationName }: Asked): boolean {
  try {
    return getOperationAST(parse(query), operationName)?.operation === "subscription";
  } catch {
    return false;
  }
}

/** The answers to a subscription. Whoever ends the loop over them ends the stream at the server. */
export function listen(asked: Asked): AsyncIterableIterator<unknown> {
  const stop = new AbortController();
  const events = read(asked, stop.signal);
  return {
    next: () => events.next(),
    // The reader may be waiting for the next event, so that its own end would wait, too.
    return: async () => {
      stop.abort();
      return { done: true, value: undefined };
    },
    [Symbol.asyncIterator]() {
      return this;
    },
  };
}

async function* read(asked: Asked, signal: AbortSignal): AsyncGenerator<unknown> {
  try {
    const response = await send("/graphql", {
      method: "POST",
      headers: { "content-type": "application/json", accept: "text/event-stream" },
      body: JSON.stringify(asked),
      signal,
    });
    const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader();
    let rest = "";
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      const blocks = (rest + value).split("\n\n");
      rest = blocks.pop() ?? "";
      for (const block of blocks) {
        const lines = block.split("\n");
        if (lines.includes("event: complete")) return;
        const data = lines.filter((line) => line.startsWith("data: ")).map((line) => line.slice(6));
        if (lines.includes("event: next")) yield JSON.parse(data.join("\n"));
      }
    }
  } catch (error) {
    if (signal.aborted) return;
    const problem = problemOf(error);
    yield { errors: [{ message: problem.message, extensions: { code: problem.code, hint: problem.hint } }] };
  }
}
