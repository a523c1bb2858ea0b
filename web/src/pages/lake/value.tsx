/** Shows one value of a row: text, numbers, lists, pictures, references, embedded objects. */
import type { Media, Row, Subject } from "../../api/rows";
import { rowTitle } from "../../api/rows";
import type { DeployedField } from "../../api/system";
import { moment } from "../../design/words";
import { href } from "../../router";
import { Picture } from "./picture";

/** Whether a column of this type is set to the right. */
export function isNumeric(typeText: string): boolean {
  return /^(Int|Float|Long|Decimal)!?$/.test(typeText);
}

export function Value({ value, field, subject, row }: { value: unknown; field: DeployedField; subject: Subject; row: Row }) {
  if (value === null || value === undefined) return <span className="faint" title="null">–</span>;
  if (field.kind === "media") {
    return <Picture typeName={subject.type.name} field={field.name} media={value as Media} label={rowTitle(subject.type, row)} isSmall />;
  }
  if (field.kind === "reference") return <Reference value={value as Row} field={field} subject={subject} />;
  if (Array.isArray(value)) return <List values={value} />;
  if (typeof value === "object") return <code>{JSON.stringify(value)}</code>;
  if (/^DateTime!?$/.test(field.typeText)) return <time className="is-whole" dateTime={String(value)}>{moment(String(value))}</time>;
  return typeof value === "string" && value.length > 16 ? <span className="is-text">{value}</span> : <>{String(value)}</>;
}

/** The row that a reference leads to, by its name. */
function Reference({ value, field, subject }: { value: Row; field: DeployedField; subject: Subject }) {
  const type = subject.deployed.types.find((found) => found.name === field.target);
  if (!type || type.key.length === 0) return <code>{JSON.stringify(value)}</code>;
  const key = JSON.stringify(type.key.map((name) => value[name]));
  return <a href={href(["lake", type.name], { row: key })}>{rowTitle(type, value)}</a>;
}

/** Long lists of numbers are vectors; nobody reads them whole. */
function List({ values }: { values: unknown[] }) {
  if (values.length === 0) return <span className="faint">none</span>;
  if (values.length > 12) return <span className="mono faint">[{values.slice(0, 3).join(", ")}, … {values.length}]</span>;
  if (values.some((value) => typeof value === "object")) return <code>{JSON.stringify(values)}</code>;
  return <span className="is-list">{values.map((value, index) => <span key={index} className="badge">{String(value)}</span>)}</span>;
}
