/** What an operation does. */
export type OperationKind = "query" | "mutation" | "subscription";

/** An operation with its document, and with the types of its variables and of its data. */
export interface Operation<Data, Variables> {
  readonly kind: OperationKind;
  readonly name: string;
  /** The SHA-256 of the text. */
  readonly id: string;
  /** Empty where the server knows the document by its id. */
  readonly text: string;
  /** Never there: it holds the types. */
  readonly types?: { readonly data: Data; readonly variables: Variables };
}

/** What an operation without variables takes. */
export type NoVariables = Record<string, never>;

/** What the server says of an error for programs. */
export interface ErrorExtensions {
  /** For instance `NOT_FOUND`, `STALE`, `DENIED`, `LIMIT_EXCEEDED`, `UNAVAILABLE`. */
  code?: string;
  /** The team to ask. */
  owner?: string;
  table?: string;
  hint?: string;
  /** Whether the same request may succeed later. */
  retryable?: boolean;
  /** Finds the line in the log of the server. */
  reference?: string;
  [name: string]: unknown;
}

/** One error of an answer. */
export interface GraphqlError {
  message: string;
  path?: (string | number)[];
  locations?: { line: number; column: number }[];
  extensions?: ErrorExtensions;
}

/** An answer, whole or not: where `errors` is empty, `data` is all there. */
export interface Answer<Data> {
  data: Data | null;
  errors: GraphqlError[];
  status: number;
}

/** An answer with errors; `data` holds what could be answered all the same. */
export class RequestError<Data = unknown> extends Error {
  constructor(readonly errors: GraphqlError[], readonly status: number, readonly data: Data | null) {
    super(errors.map((error) => error.message).join("; "));
    this.name = "RequestError";
  }

  /** The code of the first error that has one. */
  get code(): string | undefined {
    return this.errors.find((error) => error.extensions?.code !== undefined)?.extensions?.code;
  }

  /** Whether all that went wrong may go well later. */
  get retryable(): boolean {
    return this.errors.every((error) => error.extensions?.retryable === true);
  }
}

/** How a client reaches its server. */
export interface ClientOptions {
  /** The address of the API, for instance `http://127.0.0.1:4700/graphql`. */
  url: string;
  /** Sent as `Authorization: Bearer …`. */
  token?: string;
  /** What the program calls itself, as `web` or `web/3.1`. */
  client?: string;
  /** Further headers. */
  headers?: { [name: string]: string };
  /** Stands in for the global `fetch`. */
  fetch?: (url: string, init: RequestInit) => Promise<Response>;
}

/** What holds for one request. */
export interface CallOptions {
  /** Ends the request. */
  signal?: AbortSignal;
  /** Further headers. */
  headers?: { [name: string]: string };
}

type Sending = "text" | "persisted" | "id";
type Json = { [name: string]: unknown };

const JSON_ACCEPTED = "application/graphql-response+json, application/json";

/** The request body that asks an operation; `whole` sends the text along with its hash. */
function body(operation: Operation<unknown, unknown>, variables: unknown, whole: boolean): Json {
  const asked: Json = { operationName: operation.name, variables };
  if (SENDING === "id") return { documentId: `sha256:${operation.id}`, ...asked };
  if (SENDING === "text") return { query: operation.text, ...asked };
  const extensions = { persistedQuery: { version: 1, sha256Hash: operation.id } };
  return whole ? { query: operation.text, ...asked, extensions } : { ...asked, extensions };
}

/** Reads the body of an answer, or of a refusal of the request as a whole. */
function read<Data>(text: string, status: number): Answer<Data> {
  let answer: Json & { data?: Data | null; errors?: GraphqlError[] };
  try {
    answer = JSON.parse(text) as typeof answer;
  } catch {
    return { data: null, errors: [{ message: `the server answered ${status} without JSON` }], status };
  }
  const { data, errors } = answer;
  if (data !== undefined || (errors !== undefined && errors.length > 0)) return { data: data ?? null, errors: errors ?? [], status };
  // The request was refused as a whole, for instance because this schema is not served any more.
  const { message, code, hint } = answer as { message?: string; code?: string; hint?: string };
  const error: GraphqlError = { message: message ?? `the server answered ${status} without data` };
  if (code !== undefined) error.extensions = hint === undefined ? { code } : { code, hint };
  return { data: null, errors: [error], status };
}

function hasCode(answer: Answer<unknown>, code: string): boolean {
  return answer.errors.some((error) => error.extensions?.code === code);
}

function whole<Data>(answer: Answer<Data>): Data {
  if (answer.errors.length > 0) throw new RequestError(answer.errors, answer.status, answer.data);
  return answer.data as Data;
}

/** One event of a stream. */
interface Event {
  name: string;
  data: string;
}

/** Events as they arrive, by the rules of server-sent events. */
async function* events(stream: ReadableStream<Uint8Array>): AsyncGenerator<Event> {
  const reader = stream.getReader();
  const decoder = new TextDecoder();
  let rest = "";
  let name = "";
  let data: string[] = [];
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      rest += decoder.decode(value, { stream: true });
      // A carriage return at the end may be half of a line end.
      const lines = rest.split(/\r\n|\n|\r(?!$)/);
      rest = lines.pop() ?? "";
      for (const line of lines) {
        if (line === "") {
          if (name !== "" || data.length > 0) yield { name, data: data.join("\n") };
          name = "";
          data = [];
        } else if (!line.startsWith(":")) {
          const end = line.includes(":") ? line.indexOf(":") : line.length;
          const value = line.slice(end + 1).replace(/^ /, "");
          if (line.slice(0, end) === "event") name = value;
          else if (line.slice(0, end) === "data") data.push(value);
        }
      }
    }
  } finally {
    await reader.cancel().catch(() => undefined);
  }
}

/** Sends operations and gives typed answers. */
export class Transport {
  constructor(private readonly options: ClientOptions) {}

  /** The answer to a question or a change, whole or not. */
  async execute<Data, Variables>(operation: Operation<Data, Variables>, variables: Variables, call: CallOptions = {}): Promise<Answer<Data>> {
    const send = async (asked: Json): Promise<Answer<Data>> => {
      const response = await this.post(asked, JSON_ACCEPTED, call);
      return read<Data>(await response.text(), response.status);
    };
    const answer = await send(body(operation, variables, false));
    if (SENDING !== "persisted") return answer;
    if (hasCode(answer, "PERSISTED_QUERY_NOT_FOUND")) return send(body(operation, variables, true));
    // A server that keeps no documents wants the text alone.
    const text = { query: operation.text, operationName: operation.name, variables };
    return hasCode(answer, "PERSISTED_QUERY_NOT_SUPPORTED") ? send(text) : answer;
  }

  /** The data of a question or a change; throws a `RequestError` when any of it failed. */
  async run<Data, Variables>(operation: Operation<Data, Variables>, variables: Variables, call: CallOptions = {}): Promise<Data> {
    return whole(await this.execute(operation, variables, call));
  }

  /** What a subscription says, until it is complete; leaving the loop ends it. */
  async *listen<Data, Variables>(operation: Operation<Data, Variables>, variables: Variables, call: CallOptions = {}): AsyncGenerator<Data> {
    const response = await this.post(body(operation, variables, true), "text/event-stream", call);
    if (response.body === null || !(response.headers.get("content-type") ?? "").startsWith("text/event-stream")) {
      whole(read<Data>(await response.text(), response.status));
      throw new RequestError([{ message: "the server answered a subscription without a stream" }], response.status, null);
    }
    for await (const event of events(response.body)) {
      if (event.name === "complete") return;
      if (event.name === "next") yield whole(read<Data>(event.data, response.status));
    }
    throw new RequestError([{ message: "the stream ended before it was complete", extensions: { retryable: true } }], response.status, null);
  }

  private post(asked: Json, accept: string, call: CallOptions): Promise<Response> {
    const { url, token, client = CLIENT, headers, fetch = (to: string, init: RequestInit) => globalThis.fetch(to, init) } = this.options;
    const all: { [name: string]: string } = {
      "content-type": "application/json",
      accept,
      ...(SCHEMA === "" ? {} : { "headwater-schema": SCHEMA }),
      ...(client === "" ? {} : { "headwater-client": client }),
      ...headers,
      ...call.headers,
    };
    if (token !== undefined) all["authorization"] = `Bearer ${token}`;
    const signal = call.signal === undefined ? {} : { signal: call.signal };
    return fetch(url, { method: "POST", headers: all, body: JSON.stringify(asked), ...signal });
  }
}
