/** One table: its rows, pictures, columns and snapshots, each at an address of its own. */
import type { ReactNode } from "react";
import { useResource } from "../../api/resource";
import { exampleQuery, type Subject } from "../../api/rows";
import { shape } from "../../api/shape";
import { deployed, type TableInfo, tables } from "../../api/system";
import { Badge, Page, Tabs } from "../../design/parts/layout";
import { Bones, Empty, Loaded, Marked } from "../../design/parts/states";
import { bytes, plural } from "../../design/words";
import { href, type Place } from "../../router";
import { Columns } from "./columns";
import { Gallery } from "./gallery";
import { RowDialog } from "./row-dialog";
import { Rows } from "./rows";
import { Snapshots } from "./snapshots";

/** A table with everything that its views need. */
interface Found {
  subject: Subject;
  table: TableInfo;
}

async function find(typeName: string): Promise<Found | "absent"> {
  const [schema, list, api] = await Promise.all([deployed(), tables(), shape()]);
  const type = schema.types.find((candidate) => candidate.name === typeName);
  const table = list.find((candidate) => candidate.typeName === typeName);
  return type && table ? { subject: { type, deployed: schema, shape: api }, table } : "absent";
}

export function TablePage({ typeName, place }: { typeName: string; place: Place }) {
  const found = useResource(`table ${typeName}`, () => find(typeName));
  const there = found.value !== "absent" ? found.value : null;
  return (
    <Page
      title={there?.table.name ?? typeName}
      crumb={<><a href={href(["lake"])}>Lake</a> / {typeName}</>}
      lead={there && <TableLead found={there} />}
      actions={there && <a className="button" href={href(["explore"], { query: exampleQuery(there.subject) })}>Query in Explore</a>}
    >
      <Loaded of={found} bones={<Bones rows={8} height="1.6rem" />}>
        {(value) => (value === "absent" ? <Absent typeName={typeName} /> : <TableViews found={value} place={place} reload={found.reload} />)}
      </Loaded>
    </Page>
  );
}

function TableLead({ found: { subject, table } }: { found: Found }) {
  return (
    <>
      {subject.type.description && <><Marked text={subject.type.description} /><br /></>}
      <span className="table-facts">
        <span>{plural(table.rows, "row")}</span><span>{bytes(table.bytes)}</span>
        <Badge>{table.format === "LANCE" ? "Lance" : "Iceberg"}</Badge>
        <Badge>owner {table.owner}</Badge>
      </span>
    </>
  );
}

function TableViews({ found, place, reload }: { found: Found; place: Place; reload: () => void }) {
  const { subject, table } = found;
  const name = subject.type.name;
  const hasPictures = subject.type.fields.some((field) => field.kind === "media");
  const view = place.path[2] ?? (hasPictures ? "pictures" : "rows");
  const tab = (label: string, path: string) => ({ label, href: href(["lake", name, path]), isHere: view === path });
  const tabs = [tab("Rows", "rows"), tab("Columns", "columns"), tab("Snapshots", "snapshots")];
  if (hasPictures) tabs.unshift(tab("Pictures", "pictures"));
  const views: Record<string, () => ReactNode> = {
    rows: () => <Rows subject={subject} place={place} />,
    pictures: () => <Gallery subject={subject} place={place} />,
    columns: () => <Columns typeName={name} rows={table.rows} />,
    snapshots: () => <Snapshots table={table} onChange={reload} />,
  };
  const key = place.parameters.get("row");
  return (
    <>
      <Tabs label={`Views of ${table.name}`} tabs={tabs} />
      {views[view]?.() ?? <section className="panel"><Empty title="There is no such view">Nothing is kept at <code>{place.path.join("/")}</code>.</Empty></section>}
      {key !== null && subject.type.key.length > 0 && <RowDialog subject={subject} keyText={key} place={place} />}
    </>
  );
}

function Absent({ typeName }: { typeName: string }) {
  return (
    <section className="panel">
      <Empty title="There is no such table" icon="layers" actions={<a className="button" href={href(["lake"])}>All tables</a>}>
        The deployed schema has no table for <code>{typeName}</code>.
      </Empty>
    </section>
  );
}
