// What the programs in TypeScript use of node, whose own types are not installed.
declare module "node:fs" { export function readFileSync(path: string, encoding: string): string }

declare module "node:assert/strict" {
  interface Assert {
    ok(value: unknown, message?: string): asserts value;
    equal(found: unknown, wanted: unknown, message?: string): void;
    notEqual(found: unknown, other: unknown, message?: string): void;
    deepEqual(found: unknown, wanted: unknown): void;
    match(found: string, wanted: RegExp): void;
    rejects(made: Promise<unknown> | (() => Promise<unknown>), wanted: RegExp | ((error: unknown) => boolean)): Promise<void>;
  }
  const assert: Assert;
  export default assert;
}
declare const process: { argv: string[] };
