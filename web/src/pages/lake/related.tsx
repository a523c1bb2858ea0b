/** The first rows of another type that belong to a row, below it: what refers back to it is left out. */
import { keyText, type Related, type Row, rowTitle, shownFields } from "../../api/rows";
import { plural } from "../../design/words";
import { href } from "../../router";
import { isNumeric, Value } from "./value";

export function RelatedRows({ related: { name, subject, rows }, of }: { related: Related; of: string }) {
  const { type } = subject;
  const fields = shownFields(subject).filter((field) => field.target !== of);
  return (
    <section className="near" aria-label={name}>
      <h3>{name} <span className="faint">{type.name}{rows.length > 0 && `, the first ${plural(rows.length, "row")}`}</span></h3>
      {rows.length === 0 && <p className="faint">None.</p>}
      {rows.length > 0 && (
        <div className="scroll" role="region" aria-label={`Rows of ${name}`} tabIndex={0}>
          <table className="table row-table">
            <thead>
              <tr>{fields.map((field) => <th key={field.name} scope="col" className={isNumeric(field.typeText) ? "is-number" : undefined}>{field.name}</th>)}</tr>
            </thead>
            <tbody>
              {rows.map((row, index) => (
                <tr key={type.key.length ? keyText(type, row) : index}>
                  {fields.map((field) => (
                    <td key={field.name} className={isNumeric(field.typeText) ? "is-number" : undefined}>
                      {field.name === type.key[0] ? <Whole related={{ name, subject, rows }} row={row} /> : <Value value={row[field.name]} field={field} subject={subject} row={row} />}
                    </td>
                  ))}
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
    </section>
  );
}

/** Leads to the row itself. */
function Whole({ related: { subject: { type } }, row }: { related: Related; row: Row }) {
  return <a className="row-link" href={href(["lake", type.name], { row: keyText(type, row) })}>{String(row[type.key[0] ?? ""] ?? rowTitle(type, row))}</a>;
}
