/** What went wrong, as every page shows it: a message, what to try, and whether a token would help. */
import { RequestError } from "../generated/system";

/** A failure with its next step. */
export class Problem extends Error {
  readonly code: string;
  readonly hint: string | null;
  /** Everything that was said beyond the message. */
  readonly details: string[];

  constructor(message: string, more: { code?: string; hint?: string | null; details?: string[] } = {}) {
    super(message);
    this.name = "Problem";
    this.code = more.code ?? "INTERNAL";
    this.hint = more.hint ?? null;
    this.details = more.details ?? [];
  }

  /** Whether the server wants to know who asks. */
  get needsToken(): boolean {
    return this.code === "UNAUTHENTICATED" || this.code === "DENIED";
  }
}

interface ErrorBody {
  code?: string;
  message?: string;
  hint?: string;
  causes?: string[];
  diagnostics?: { rendered: string }[];
}

/** A refusal before any GraphQL was read. */
export function problemOfBody(text: string, status: number): Problem {
  let body: ErrorBody;
  try {
    body = JSON.parse(text) as ErrorBody;
  } catch {
    return new Problem(`the server answered with status ${status}`, { hint: "look into the server's log" });
  }
  const causes = body.causes ?? [];
  const message = [body.message ?? `the server answered with status ${status}`, ...causes].join(": ");
  const details = (body.diagnostics ?? []).map((diagnostic) => diagnostic.rendered);
  return new Problem(message, { code: body.code ?? "INTERNAL", hint: body.hint ?? null, details });
}

/** Anything thrown, as a problem. */
export function problemOf(error: unknown): Problem {
  if (error instanceof Problem) return error;
  if (error instanceof RequestError) return problemOfErrors(error.errors);
  return new Problem(error instanceof Error ? error.message : String(error));
}

/** Errors inside an answer: the first in front, the others as details. */
export function problemOfErrors(errors: { message: string; extensions?: Record<string, unknown> }[]): Problem {
  const [first, ...others] = errors;
  const extensions = first?.extensions ?? {};
  return new Problem(first?.message ?? "the answer holds an error without a message", {
    code: typeof extensions["code"] === "string" ? extensions["code"] : "INTERNAL",
    hint: typeof extensions["hint"] === "string" ? extensions["hint"] : null,
    details: others.map((other) => other.message),
  });
}
