/** Numbers about services in words. Pure. */
import type { SourceInfo } from "../../api/system";

/** `12.4 ms`, `1.2 s`; a dash when it is not known. */
export function millis(value: number | null): string {
  if (value === null) return "–";
  if (value >= 1000) return `${(value / 1000).toFixed(1)} s`;
  return `${value >= 100 ? Math.round(value) : value.toFixed(1)} ms`;
}

/** `3.1 %`. */
export function share(part: number, all: number): string {
  if (all === 0) return "–";
  const percent = (100 * part) / all;
  return `${percent === 0 || percent >= 10 ? Math.round(percent) : percent.toFixed(1)} %`;
}

const FAULTS: [keyof SourceInfo["errors"], string][] = [
  ["timeout", "Took too long"],
  ["connect", "Could not be reached"],
  ["refused", "Not sent: the breaker was open, or too many waited"],
  ["protocol", "Answered what is no answer"],
  ["tooLarge", "Answered too much"],
  ["status", "Answered with a failure"],
  ["cancelled", "Given up by who asked"],
];

/** What went wrong, by kind; kinds that never happened are left out. */
export function faults(source: SourceInfo): { label: string; calls: number }[] {
  const all = FAULTS.map(([kind, label]) => ({ label, calls: source.errors[kind] }));
  return all.filter((fault) => fault.calls > 0);
}
