/** The pictures of a table as a grid; each opens with what was measured of it and with what looks like it. */
import { useResource } from "../../api/resource";
import { keyText, type Media, page, type Row, rowTitle, type Subject } from "../../api/rows";
import { Loaded } from "../../design/parts/states";
import { type Place, withParameters } from "../../router";
import { OlderState, Pager, SearchBox, wantedOf } from "./paging";
import { Picture } from "./picture";
import { NoRows } from "./rows";

const PAGE = 48;

export function Gallery({ subject, place }: { subject: Subject; place: Place }) {
  const wanted = wantedOf(place, PAGE);
  const rows = useResource(`pictures ${subject.type.name} ${JSON.stringify(wanted)}`, () => page(subject, wanted));
  return (
    <div className="rows">
      <SearchBox subject={subject} place={place} />
      <OlderState place={place} />
      <Loaded of={rows} bones={<Waiting />}>
        {(found) =>
          found.nodes.length
            ? <><Grid subject={subject} rows={found.nodes} place={place} /><Pager place={place} page={found} size={PAGE} /></>
            : <section className="panel"><NoRows subject={subject} place={place} /></section>}
      </Loaded>
    </div>
  );
}

/** A grid of rows that have pictures; `remark` says something about each. */
export function Grid({ subject, rows, place, remark }: { subject: Subject; rows: Row[]; place: Place; remark?: (index: number) => string }) {
  const { type } = subject;
  const field = type.fields.find((found) => found.kind === "media");
  if (!field) return null;
  return (
    <ul className="grid">
      {rows.map((row, index) => {
        const media = row[field.name] as Media | null;
        const title = rowTitle(type, row);
        const about = remark?.(index) ?? (media?.width && media.height ? `${media.width} × ${media.height}` : "");
        const inside = (
          <>
            {media ? <Picture typeName={type.name} field={field.name} media={media} label="" /> : <span className="picture is-broken" />}
            <span className="grid-title clip">{title}</span>
            <span className="grid-remark">{about}</span>
          </>
        );
        return (
          <li key={type.key.length ? keyText(type, row) : index}>
            {type.key.length ? <a href={withParameters(place, { row: keyText(type, row) })}>{inside}</a> : inside}
          </li>
        );
      })}
    </ul>
  );
}

function Waiting() {
  return (
    <div className="grid" role="status">
      <span className="only-for-ears">Loading</span>
      {Array.from({ length: 12 }, (_, index) => <span key={index} className="bone picture" />)}
    </div>
  );
}
