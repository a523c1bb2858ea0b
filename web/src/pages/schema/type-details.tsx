/** One type: what it is, who owns it, its fields and where its rows are. */
import type { DeployedField, DeployedType } from "../../api/system";
import { Badge } from "../../design/parts/layout";
import { Icon } from "../../design/parts/icon";
import { Marked } from "../../design/parts/states";
import { href } from "../../router";
import { typeTextOf } from "./types";

export function TypeDetails({ type, closeHref, hrefOf }: { type: DeployedType; closeHref: string; hrefOf: (name: string) => string }) {
  return (
    <section className="panel type-details" aria-label={`Type ${type.name}`}>
      <header>
        <h2>{type.name}</h2>
        <a className="button is-quiet is-icon" href={closeHref} aria-label="Close the type"><Icon name="close" /></a>
      </header>
      <div className="body">
        {type.description && <p className="soft"><Marked text={type.description} /></p>}
        <p className="type-facts">
          <Badge>{type.module}</Badge>
          <Badge>owner {type.owner}</Badge>
          {type.format && <Badge tone="accent">{type.format === "LANCE" ? "Lance" : "Iceberg"}</Badge>}
          {type.table === null && <Badge>embedded</Badge>}
        </p>
        <ul className="type-fields">{type.fields.map((field) => <FieldItem key={field.name} type={type} field={field} isKey={type.key.includes(field.name)} hrefOf={hrefOf} />)}</ul>
        {type.table && <a className="button" href={href(["lake", type.name])}>Open table {type.table}</a>}
      </div>
    </section>
  );
}

function FieldItem({ type, field, isKey, hrefOf }: { type: DeployedType; field: DeployedField; isKey: boolean; hrefOf: (name: string) => string }) {
  return (
    <li>
      <p>
        <strong>{field.name}</strong>
        {field.target ? <a className="mono" href={hrefOf(field.target)}>{typeTextOf(type, field)}</a> : <span className="mono soft">{typeTextOf(type, field)}</span>}
      </p>
      <p className="field-notes">
        {isKey && <Badge tone="accent">key</Badge>}
        {field.kind !== "column" && <Badge>{field.kind}</Badge>}
        {field.search && <Badge>text search</Badge>}
        {field.vector && <Badge>vector</Badge>}
        {field.deprecated && <Badge tone="warn">deprecated</Badge>}
      </p>
      {field.description && <p className="faint"><Marked text={field.description} /></p>}
      {field.deprecated && <p className="faint">{field.deprecated}</p>}
    </li>
  );
}
