/** Draws the types as cards and what leads from one to another as lines. */
import { useLayoutEffect, useMemo, useRef, useState } from "react";
import type { Deployed } from "../../api/system";
import { hueOf } from "../../design/hue";
import { CARD, HEAD, LINE, type TypeCard, typeGraph, typeTextOf } from "./types";

interface Options {
  deployed: Deployed;
  selected: string | null;
  /** Types of other modules step back. */
  module: string | null;
  hrefOf: (typeName: string) => string;
}

export function Graph({ deployed, selected, module, hrefOf }: Options) {
  const [frame, room] = useRoom();
  const graph = useMemo(() => typeGraph(deployed, room), [deployed, room]);
  const moduleOf = new Map(deployed.types.map((type) => [type.name, type.module]));
  const isNear = (link: { from: string; to: string }) => link.from === selected || link.to === selected;
  const isBack = (...types: string[]) => module !== null && types.every((type) => moduleOf.get(type) !== module);
  return (
    <div ref={frame} className="scroll graph" role="region" aria-label="Types and what they refer to" tabIndex={0}>
      <svg viewBox={`-2 -2 ${graph.width + 4} ${graph.height + 4}`} width={graph.width + 4} height={graph.height + 4} role="group" aria-label="Graph of the types">
        <defs>
          <marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" orient="auto">
            <path d="M1 1L7 4L1 7" fill="none" stroke="context-stroke" strokeWidth="1.4" />
          </marker>
        </defs>
        {graph.links.map((link) => (
          <path key={`${link.from} ${link.to}`} className={`link${isNear(link) ? " is-near" : ""}${isBack(link.from, link.to) ? " is-back" : ""}`} d={link.path} markerEnd="url(#tip)">
            <title>{link.labels.join(", ")}</title>
          </path>
        ))}
        {graph.cards.map((card) => (
          <Card key={card.type.name} card={card} hue={hueOf(deployed, card.type.module)} href={hrefOf(card.type.name)} isSelected={card.type.name === selected} isBack={isBack(card.type.name)} />
        ))}
      </svg>
    </div>
  );
}

/** How wide the drawing may be before it must be scrolled. */
function useRoom() {
  const frame = useRef<HTMLDivElement>(null);
  const [room, setRoom] = useState(0);
  useLayoutEffect(() => {
    const element = frame.current;
    if (!element) return;
    const measure = () => {
      const style = getComputedStyle(element);
      setRoom(element.clientWidth - parseFloat(style.paddingLeft) - parseFloat(style.paddingRight));
    };
    measure();
    const observer = new ResizeObserver(measure);
    observer.observe(element);
    return () => observer.disconnect();
  }, []);
  return [frame, room] as const;
}

function Card({ card, hue, href, isSelected, isBack }: { card: TypeCard; hue: string; href: string; isSelected: boolean; isBack: boolean }) {
  const { type } = card;
  const classes = ["card", isSelected && "is-selected", isBack && "is-back", type.table === null && "is-embedded"].filter(Boolean);
  return (
    <a href={href} className={classes.join(" ")} aria-current={isSelected || undefined}>
      <g transform={`translate(${card.x} ${card.y})`}>
        <rect className="card-body" width={CARD} height={card.height} rx={10} />
        <circle className="card-hue" cx={CARD - 18} cy={17} r={4.5} style={{ fill: hue }} />
        <text className="card-name" x={14} y={22}>{clipped(type.name, 24)}</text>
        <text className="card-module" x={14} y={40}>{clipped(`${type.module} · by ${type.owner}`, 34)}</text>
        <line x1={0} x2={CARD} y1={HEAD} y2={HEAD} />
        {card.fields.map((field, index) => {
          const y = HEAD + LINE * (index + 1) - 4;
          return (
            <g key={field.name} aria-hidden="true">
              <text className={type.key.includes(field.name) ? "card-field is-key" : "card-field"} x={14} y={y}>{clipped(field.name, 16)}</text>
              <text className="card-type" x={CARD - 14} y={y}>{clipped(typeTextOf(type, field), 16)}</text>
            </g>
          );
        })}
        {card.more > 0 && <text className="card-type is-more" x={14} y={HEAD + LINE * (card.fields.length + 1) - 4}>and {card.more} more</text>}
      </g>
    </a>
  );
}

function clipped(text: string, length: number): string {
  return text.length > length ? `${text.slice(0, length - 1)}…` : text;
}
