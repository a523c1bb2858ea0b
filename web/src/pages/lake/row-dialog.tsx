/** One row with all its values; of a picture, what was measured, and the rows that look like it. */
import { useResource } from "../../api/resource";
import { type Found, keyOfText, type Media, type Row, rowTitle, rowWithNeighbours, shownFields, type Subject } from "../../api/rows";
import { Dialog } from "../../design/parts/dialog";
import { Bones, Empty, Loaded } from "../../design/parts/states";
import { bytes, moment } from "../../design/words";
import { go, type Place, withParameters } from "../../router";
import { Grid } from "./gallery";
import { Picture } from "./picture";
import { RelatedRows } from "./related";
import { Value } from "./value";

export function RowDialog({ subject, keyText, place }: { subject: Subject; keyText: string; place: Place }) {
  const key = keyOfText(subject.type, keyText);
  const found = useResource(`row ${subject.type.name} ${keyText}`, async () => (key ? rowWithNeighbours(subject, key) : { row: null, near: [], related: [] }));
  const row = found.value?.row ?? null;
  const close = () => go(withParameters(place, { row: null }));
  return (
    <Dialog title={row ? rowTitle(subject.type, row) : subject.type.name} isWide={hasPicture(subject)} onClose={close}>
      <Loaded of={found} bones={<Bones rows={6} />}>
        {(value) =>
          value.row
            ? <RowFacts subject={subject} row={value.row} found={value} place={place} />
            : <Empty title="There is no such row">No <code>{subject.type.name}</code> has the key <code>{keyText}</code>.</Empty>}
      </Loaded>
    </Dialog>
  );
}

function hasPicture({ type }: Subject): boolean {
  return type.fields.some((field) => field.kind === "media");
}

function RowFacts({ subject, row, found: { near, related }, place }: { subject: Subject; row: Row; found: Found; place: Place }) {
  const { type } = subject;
  const field = type.fields.find((found) => found.kind === "media");
  const media = field ? (row[field.name] as Media | null) : null;
  const others = shownFields(subject).filter((found) => found.kind !== "media");
  return (
    <>
      <div className={media ? "row-with-picture" : undefined}>
        {media && field && <Picture typeName={type.name} field={field.name} media={media} label={rowTitle(type, row)} isOriginal />}
        <dl className="facts">
          {others.map((found) => (
            <div key={found.name}><dt>{found.name}</dt><dd><Value value={row[found.name]} field={found} subject={subject} row={row} /></dd></div>
          ))}
          {media && measured(media).map(([name, value]) => <div key={name}><dt>{name}</dt><dd>{value}</dd></div>)}
          {media?.meanColor && <div><dt>Mean colour</dt><dd><span className="swatch" style={{ background: media.meanColor }} />{media.meanColor}</dd></div>}
        </dl>
      </div>
      {near.map(([name, neighbours]) => (
        <section key={name} className="near" aria-label="More like this">
          <h3>More like this <span className="faint mono">{name}</span></h3>
          {neighbours.length
            ? <Grid subject={subject} rows={neighbours.map((neighbour) => neighbour.node)} place={place} remark={(index) => `distance ${(neighbours[index]?.distance ?? 0).toFixed(3)}`} />
            : <p className="faint">Nothing is near it.</p>}
        </section>
      ))}
      {related.map((many) => <RelatedRows key={many.name} related={many} of={type.name} />)}
    </>
  );
}

/** From −1, all black, over 0, balanced, to 1, all white. */
function exposed(value: number): string {
  const word = value < -0.4 ? "dark" : value > 0.4 ? "bright" : "balanced";
  return `${value < 0 ? "−" : "+"}${Math.abs(value).toFixed(2)}, ${word}`;
}

/** What was measured, with its unit; what is not known is left out. */
function measured(media: Media): [string, string][] {
  const facts: [string, string | null][] = [
    ["Size", media.width && media.height ? `${media.width} × ${media.height} px` : null],
    ["File", `${media.format}, ${bytes(Number(media.bytes))}`],
    ["Taken", media.takenAt && moment(media.takenAt)],
    ["Camera", media.camera],
    ["Place", media.latitude !== null && media.longitude !== null ? `${media.latitude.toFixed(4)}°, ${media.longitude.toFixed(4)}°` : null],
    ["Sharpness", media.sharpness === null ? null : `${media.sharpness.toFixed(2)}, ${media.sharpness < 0.5 ? "blurred" : "sharp"}`],
    ["Exposure", media.exposure === null ? null : exposed(media.exposure)],
  ];
  return facts.filter((fact): fact is [string, string] => fact[1] !== null);
}
