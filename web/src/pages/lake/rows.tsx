/** The rows of a table, a page at a time, in a chosen order, searched where the type has text for it. */
import { useResource } from "../../api/resource";
import { keyText, page, type Page, type Row, shownFields, type Subject } from "../../api/rows";
import { go, type Place, withParameters } from "../../router";
import { Bones, Empty, Loaded } from "../../design/parts/states";
import { SortHeading } from "../../design/parts/layout";
import { isNumeric, Value } from "./value";
import { OlderState, Pager, SearchBox, wantedOf } from "./paging";

const PAGE = 50;

export function Rows({ subject, place }: { subject: Subject; place: Place }) {
  const wanted = wantedOf(place, PAGE);
  const rows = useResource(`rows ${subject.type.name} ${JSON.stringify(wanted)}`, () => page(subject, wanted));
  return (
    <div className="rows">
      <SearchBox subject={subject} place={place} />
      <OlderState place={place} />
      <section className="panel">
        <Loaded of={rows} bones={<div className="body"><Bones rows={10} /></div>}>
          {(found) => (found.nodes.length ? <RowTable subject={subject} place={place} found={found} /> : <NoRows subject={subject} place={place} />)}
        </Loaded>
      </section>
      {rows.value && rows.value.nodes.length > 0 && <Pager place={place} page={rows.value} size={PAGE} />}
    </div>
  );
}

export function NoRows({ subject, place }: { subject: Subject; place: Place }) {
  const search = place.parameters.get("search");
  if (search) return <Empty title="Nothing matches" icon="search" actions={<a className="button" href={withParameters(place, { search: null, after: null, before: null })}>Show all rows</a>}>No row has <code>{search}</code> in its text.</Empty>;
  return <Empty title="The table is empty">Fill it with <code>headwater import {subject.type.name} FILE</code>.</Empty>;
}

function RowTable({ subject, place, found }: { subject: Subject; place: Place; found: Page }) {
  const fields = shownFields(subject);
  const orderable = new Set(subject.shape.orderable(subject.type.name));
  return (
    <div className="scroll" role="region" aria-label={`Rows of ${subject.type.name}`} tabIndex={0}>
      <table className="table row-table">
        <thead>
          <tr>
            {fields.map((field) =>
              orderable.has(field.name)
                ? <OrderHeading key={field.name} name={field.name} place={place} isNumber={isNumeric(field.typeText)} />
                : <th key={field.name} scope="col" className={isNumeric(field.typeText) ? "is-number" : undefined}>{field.name}</th>)}
          </tr>
        </thead>
        <tbody>
          {found.nodes.map((row, index) => (
            <tr key={subject.type.key.length ? keyText(subject.type, row) : index}>
              {fields.map((field) => (
                <td key={field.name} className={isNumeric(field.typeText) ? "is-number" : undefined}>
                  {field.name === subject.type.key[0]
                    ? <RowLink subject={subject} row={row} name={field.name} place={place} />
                    : <Value value={row[field.name]} field={field} subject={subject} row={row} />}
                </td>
              ))}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function RowLink({ subject, row, name, place }: { subject: Subject; row: Row; name: string; place: Place }) {
  return <a className="row-link" href={withParameters(place, { row: keyText(subject.type, row) })}>{String(row[name])}</a>;
}

/** Orders by a column: first up, then down, then not. */
function OrderHeading({ name, place, isNumber }: { name: string; place: Place; isNumber: boolean }) {
  const isHere = place.parameters.get("order") === name;
  const isDown = isHere && place.parameters.get("direction") === "down";
  const next = !isHere ? { order: name, direction: null } : isDown ? { order: null, direction: null } : { order: name, direction: "down" };
  return (
    <SortHeading
      label={name}
      isNumber={isNumber}
      order={isHere ? (isDown ? "descending" : "ascending") : null}
      onSort={() => go(withParameters(place, { ...next, after: null, before: null }), true)}
    />
  );
}
