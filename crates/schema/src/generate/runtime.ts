/** A field with a value of its own. */
export interface Leaf<Value, Args = NoArgs> { readonly leaf: Value; readonly args: Args }
/** A field with fields below it. */
export interface Branch<Of, Around, Args = NoArgs> { readonly of: Of; readonly around: Around; readonly args: Args }
/** A field without arguments. */
export type NoArgs = Record<never, never>;
/** How the objects of a branch are wrapped: one, maybe none, or many. */
export type One = "one";
export interface Maybe<Inner> { readonly maybe: Inner }
export interface Many<Inner> { readonly many: Inner }

type Wrapped<Around, Value> =
  Around extends Maybe<infer Inner> ? Wrapped<Inner, Value> | null
  : Around extends Many<infer Inner> ? Wrapped<Inner, Value>[]
  : Value;

type WithArgs<Args> = NoArgs extends Args ? { $?: Args } : { $: Args };

/** What can be asked of a shape: `true` for a value, an object for what lies below, `$` for arguments. */
export type Selection<Shape> = {
  [Key in keyof Shape]?:
    Shape[Key] extends Branch<infer Of, infer _Around, infer Args> ? Selection<Of> & WithArgs<Args>
    : Shape[Key] extends Leaf<infer _Value, infer Args> ? (NoArgs extends Args ? true | WithArgs<Args> : WithArgs<Args>)
    : never;
};

/** Refuses fields that a shape does not have, at any depth. */
export type Known<Shape, Asked> = {
  [Key in keyof Asked]:
    Key extends "$" ? Asked[Key]
    : Key extends keyof Shape
      ? (Shape[Key] extends Branch<infer Of, infer _Around, infer _Args> ? Known<Of, Asked[Key]> : Asked[Key])
      : never;
};

/** The answer to a selection. */
export type Selected<Shape, Asked> = {
  -readonly [Key in keyof Asked & keyof Shape]:
    Shape[Key] extends Branch<infer Of, infer Around, infer _Args> ? Wrapped<Around, Selected<Of, Asked[Key]>>
    : Shape[Key] extends Leaf<infer Value, infer _Args> ? Value
    : never;
};

type Answer<Shape, Key extends keyof Shape, Asked> =
  Shape[Key] extends Branch<infer Of, infer Around, infer _Args> ? Wrapped<Around, Selected<Of, Asked>>
  : Shape[Key] extends Leaf<infer Value, infer _Args> ? Value
  : never;

type Below<Shape, Key extends keyof Shape> =
  Shape[Key] extends Branch<infer Of, infer _Around, infer _Args> ? Of : never;

/** The plain values of a shape: every field that needs neither arguments nor a selection. */
export type Values<Shape> = {
  [Key in keyof Shape as Shape[Key] extends Leaf<infer _Value, infer Args> ? (NoArgs extends Args ? Key : never) : never]:
    Shape[Key] extends Leaf<infer Value, infer _Args> ? Value : never;
};

/** One error of an answer. */
export interface GraphQLError {
  message: string;
  path?: (string | number)[];
  locations?: { line: number; column: number }[];
  extensions?: { [name: string]: unknown };
}

/** An answer with errors; `data` holds what could be answered all the same. */
export class RequestError extends Error {
  constructor(readonly errors: GraphQLError[], readonly status: number, readonly data: unknown) {
    super(errors.map((error) => error.message).join("; "));
    this.name = "RequestError";
  }
}

/** How a client reaches its server. */
export interface ClientOptions {
  /** The address of the API, for instance `http://127.0.0.1:4700/graphql`. */
  url: string;
  /** Sent as `Authorization: Bearer …`. */
  token?: string;
  /** Further headers. */
  headers?: { [name: string]: string };
  /** Stands in for the global `fetch`. */
  fetch?: (url: string, init: RequestInit) => Promise<Response>;
}

type Tree = { [name: string]: unknown };

/** Writes an operation for a selection, with every argument as a variable. */
export function operation(kind: "query" | "mutation", selection: object): { query: string; variables: Tree } {
  const variables: Tree = {};
  const declared: string[] = [];
  const fields = (shape: string, asked: Tree): string => {
    const written = Object.entries(asked).filter(([name]) => name !== "$").map(([name, below]) => {
      const table = FIELDS[shape] ?? {};
      const known = Object.hasOwn(table, name) ? table[name] : undefined;
      if (known === undefined && name !== "__typename") throw new TypeError(`${shape} has no field ${name}`);
      const [of, types] = known ?? ["", {}];
      const tree = typeof below === "object" && below !== null ? (below as Tree) : {};
      const given = Object.entries((tree["$"] as Tree | undefined) ?? {}).filter(([, value]) => value !== undefined);
      const args = given.map(([argument, value]) => {
        const variable = `v${declared.length}`;
        declared.push(`$${variable}: ${types[argument] ?? "String"}`);
        variables[variable] = value;
        return `${argument}: $${variable}`;
      });
      const head = args.length > 0 ? `${name}(${args.join(", ")})` : name;
      return of === "" ? head : `${head} ${fields(of, tree)}`;
    });
    return `{ ${written.length > 0 ? written.join(" ") : "__typename"} }`;
  };
  const body = fields(ROOTS[kind], selection as Tree);
  const head = declared.length > 0 ? `${kind} (${declared.join(", ")})` : kind;
  return { query: `${head} ${body}`, variables };
}

/** Sends operations and gives typed answers. */
class Transport {
  constructor(private readonly options: ClientOptions) {}

  /** Sends any operation. */
  async request<Data>(query: string, variables: { [name: string]: unknown } = {}): Promise<Data> {
    const send = this.options.fetch ?? ((url: string, init: RequestInit) => globalThis.fetch(url, init));
    const headers: { [name: string]: string } = {
      "content-type": "application/json",
      accept: "application/graphql-response+json, application/json",
      ...(SCHEMA === "" ? {} : { "headwater-schema": SCHEMA }),
      ...this.options.headers,
    };
    if (this.options.token !== undefined) headers["authorization"] = `Bearer ${this.options.token}`;
    const response = await send(this.options.url, { method: "POST", headers, body: JSON.stringify({ query, variables }) });
    const text = await response.text();
    let answer: { data?: Data | null; errors?: GraphQLError[] };
    try {
      answer = JSON.parse(text) as typeof answer;
    } catch {
      throw new RequestError([{ message: `the server answered ${response.status} without JSON` }], response.status, null);
    }
    if (answer.errors !== undefined && answer.errors.length > 0) throw new RequestError(answer.errors, response.status, answer.data ?? null);
    if (answer.data === undefined) {
      // The request was refused as a whole, for instance because this schema is not served any more.
      const { message, code, hint } = answer as { message?: string; code?: string; hint?: string };
      const words = message ?? `the server answered ${response.status} without data`;
      throw new RequestError([{ message: words, extensions: { code, hint } }], response.status, null);
    }
    return answer.data as Data;
  }

  protected async send(kind: "query" | "mutation", selection: object): Promise<any> {
    const { query, variables } = operation(kind, selection);
    return this.request(query, variables);
  }

  protected async field(kind: "query" | "mutation", name: string, args: object, select: object | true): Promise<any> {
    const below = select === true ? { $: args } : { ...select, $: args };
    return (await this.send(kind, { [name]: below }))[name];
  }
}
