/** Shows SDL with its words told apart: comments and descriptions, keywords, directives, types, texts. */
import type { ReactNode } from "react";

/** What is told apart, in the order in which it is looked for. */
const WORDS = /(?<comment>#[^\n]*)|(?<text>"""[\s\S]*?"""|"(?:\\.|[^"\\\n])*")|(?<directive>@\w+)|(?<keyword>\b(?:extend|schema|type|interface|union|enum|input|scalar|implements|directive)\b(?!\s*:))|(?<type>\b[A-Z]\w*)/g;

export function Sdl({ text, label }: { text: string; label: string }) {
  return <pre className="sdl" tabIndex={0} role="region" aria-label={label}>{pieces(text.trim())}</pre>;
}

function pieces(text: string): ReactNode[] {
  const found: ReactNode[] = [];
  let end = 0;
  for (const match of text.matchAll(WORDS)) {
    const kind = Object.entries(match.groups ?? {}).find((group) => group[1] !== undefined)?.[0];
    found.push(text.slice(end, match.index), <span key={match.index} className={`sdl-${kind ?? ""}`}>{match[0]}</span>);
    end = match.index + match[0].length;
  }
  return [...found, text.slice(end)];
}
