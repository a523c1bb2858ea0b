/** How long calls took, as bars: one for each bucket between the quickest and the slowest that occurred. */
import type { SourceInfo } from "../../api/system";
import { plural } from "../../design/words";
import { millis } from "./words";

const HEIGHT = 72;
const BAR = 30;

export function Times({ of }: { of: SourceInfo["latency"] }) {
  const filled = of.flatMap((bucket, index) => (bucket.calls > 0 ? [index] : []));
  const first = Math.max(0, (filled[0] ?? 0) - 1);
  const last = Math.min(of.length - 1, (filled.at(-1) ?? 0) + 1);
  const shown = of.slice(first, last + 1);
  const most = Math.max(1, ...shown.map((bucket) => bucket.calls));
  const label = (index: number) => {
    const end = shown[index]?.upToMillis ?? null;
    return end === null ? "more" : `≤ ${millis(end).replace(".0 ", " ")}`;
  };
  return (
    <figure className="times">
      <figcaption className="faint">Time of a call</figcaption>
      <svg width={shown.length * BAR * 2} viewBox={`0 0 ${shown.length * BAR * 2} ${HEIGHT + 26}`} role="img" aria-label={shown.map((bucket, index) => `${label(index)}: ${plural(bucket.calls, "call")}`).join("; ")}>
        {shown.map((bucket, index) => {
          const height = bucket.calls === 0 ? 0 : Math.max(2, (HEIGHT * bucket.calls) / most);
          return (
            <g key={index}>
              <rect x={index * BAR * 2 + 4} y={HEIGHT - height} width={BAR * 2 - 8} height={height} rx={2}><title>{`${label(index)}: ${plural(bucket.calls, "call")}`}</title></rect>
              <text x={index * BAR * 2 + BAR} y={HEIGHT + 18} textAnchor="middle">{label(index)}</text>
            </g>
          );
        })}
      </svg>
    </figure>
  );
}
