/** What rows and pictures share: which page the address names, the way to the others, search, an older state. */
import { type FormEvent, useEffect, useState } from "react";
import type { Page, Subject, Wanted } from "../../api/rows";
import { Icon } from "../../design/parts/icon";
import { count } from "../../design/words";
import { go, type Place, withParameters } from "../../router";

/** The page that the address names. */
export function wantedOf({ parameters }: Place, size: number): Wanted {
  return {
    size,
    after: parameters.get("after"),
    before: parameters.get("before"),
    orderBy: parameters.get("order"),
    descending: parameters.get("direction") === "down",
    search: parameters.get("search"),
    at: parameters.get("at"),
  };
}

/** To the pages before and after. */
export function Pager({ place, page, size }: { place: Place; page: Page; size: number }) {
  const previous = page.hasPreviousPage ? withParameters(place, { before: page.startCursor, after: null }) : null;
  const next = page.hasNextPage ? withParameters(place, { after: page.endCursor, before: null }) : null;
  return (
    <nav className="pager" aria-label="Pages of rows">
      <span className="faint">{page.totalCount === null ? "" : page.totalCount <= size ? `${count(page.totalCount)} in all` : `${count(page.nodes.length)} of ${count(page.totalCount)}`}</span>
      <span className="pager-links">
        {previous && <a className="button" href={previous}><Icon name="back" size={15} />Previous</a>}
        {next && <a className="button" href={next}>Next<Icon name="next" size={15} /></a>}
      </span>
    </nav>
  );
}

/** Searches the type's text; nothing for a type without any. */
export function SearchBox({ subject, place }: { subject: Subject; place: Place }) {
  const present = place.parameters.get("search") ?? "";
  const [text, setText] = useState(present);
  useEffect(() => {
    setText(present);
  }, [present]);
  const fields = subject.type.fields.filter((field) => field.search).map((field) => field.name);
  if (fields.length === 0) return null;
  const search = (event: FormEvent) => {
    event.preventDefault();
    go(withParameters(place, { search: text.trim() || null, after: null, before: null }));
  };
  return (
    <form className="search" role="search" onSubmit={search}>
      <Icon name="search" size={16} />
      <input className="input" type="search" aria-label={`Search ${fields.join(", ")}`} placeholder={`Search ${fields.join(", ")}`} value={text} onChange={(event) => setText(event.target.value)} />
      <button type="submit" className="button">Search</button>
    </form>
  );
}

/** Says that an older state is shown, and leads back. */
export function OlderState({ place }: { place: Place }) {
  const at = place.parameters.get("at");
  if (!at) return null;
  return (
    <div className="notice">
      <span>These are the rows of snapshot <strong>{at}</strong>.</span>
      <a href={withParameters(place, { at: null, after: null, before: null })}>Back to the present</a>
    </div>
  );
}
