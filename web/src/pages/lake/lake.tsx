/** Lake: the tables, and what is in each of them. */
import { useResource } from "../../api/resource";
import { type Status, status, type TableInfo, tables } from "../../api/system";
import { Badge, Page, Panel } from "../../design/parts/layout";
import { Bones, Empty, Loaded } from "../../design/parts/states";
import { ago, bytes, count, moment, plural } from "../../design/words";
import { href, type Place } from "../../router";
import { owed } from "../overview/attention";
import { TablePage } from "./table";
import "./lake.css";

export function LakePage({ place }: { place: Place }) {
  const typeName = place.path[1];
  return typeName ? <TablePage key={typeName} typeName={typeName} place={place} /> : <Tables />;
}

function Tables() {
  const found = useResource("tables", tables);
  const rows = found.value?.reduce((sum, table) => sum + table.rows, 0) ?? 0;
  return (
    <Page title="Lake" lead={found.value?.length ? `${plural(rows, "row")} in ${plural(found.value.length, "table")}.` : "Tables, their rows and their history."}>
      <section className="panel">
        <Loaded of={found} bones={<div className="body"><Bones rows={6} height="1.6rem" /></div>}>
          {(list) => (list.length ? <TableList tables={list} /> : <NoTables />)}
        </Loaded>
      </section>
      {found.value?.length ? <Maintenance /> : null}
    </Page>
  );
}

/** How often the state of maintenance is asked for, in milliseconds. */
const PULSE = 5000;

/** What maintenance owes, what runs now, and what everything stands on. */
function Maintenance() {
  const found = useResource("maintenance", status, PULSE);
  return (
    <Panel title="Maintenance">
      <Loaded of={found} bones={<Bones rows={3} height="1.6rem" />}>
        {(now) => (
          <div className="maintenance">
            <p className="faint">Objects at <code>{now.objects}</code>, metadata in {now.metadata === "postgres" ? "PostgreSQL" : "SQLite"}.</p>
            {now.running.length > 0 && <ul>{now.running.map((running) => <li key={running}><Badge tone="good">Runs</Badge> {running}</li>)}</ul>}
            <DebtList tables={now.tables} />
          </div>
        )}
      </Loaded>
    </Panel>
  );
}

function DebtList({ tables: list }: { tables: Status["tables"] }) {
  const owing = list.map((table) => ({ table, parts: owed(table) })).filter(({ parts }) => parts.length > 0);
  if (!owing.length) return <p>Nothing is owed: files are merged, indexes know every row, nothing is past its retention.</p>;
  return <ul>{owing.map(({ table, parts }) => <li key={table.typeName}><a href={href(["lake", table.typeName, "snapshots"])}>{table.typeName}</a>: {parts.join(", ")}</li>)}</ul>;
}

function NoTables() {
  return (
    <Empty title="There is no table yet" icon="layers">
      Each type with <code>@table</code> becomes one when the schema is applied; <code>headwater import TYPE FILE</code> fills it.
    </Empty>
  );
}

function TableList({ tables: list }: { tables: TableInfo[] }) {
  return (
    <div className="scroll">
      <table className="table tables">
        <thead>
          <tr>
            <th scope="col">Table</th>
            <th scope="col" className="is-wide-only">Module</th>
            <th scope="col" className="is-wide-only">Owner</th>
            <th scope="col" className="is-wide-only">Format</th>
            <th scope="col" className="is-number">Rows</th>
            <th scope="col" className="is-number">Size</th>
            <th scope="col" className="is-number is-wide-only">Files</th>
            <th scope="col" className="is-number is-wide-only">Snapshots</th>
            <th scope="col" className="is-wide-only">Changed</th>
          </tr>
        </thead>
        <tbody>{list.map((table) => <TableRow key={table.typeName} table={table} />)}</tbody>
      </table>
    </div>
  );
}

function TableRow({ table }: { table: TableInfo }) {
  return (
    <tr>
      <th scope="row">
        <a className="row-link" href={href(["lake", table.typeName])}>{table.name}</a>
        <span className="faint"> {table.typeName}</span>
      </th>
      <td className="is-wide-only">{table.module}</td>
      <td className="is-wide-only">{table.owner}</td>
      <td className="is-wide-only"><Badge>{table.format === "LANCE" ? "Lance" : "Iceberg"}</Badge></td>
      <td className="is-number">{count(table.rows)}</td>
      <td className="is-number">{bytes(table.bytes)}</td>
      <td className="is-number is-wide-only">{count(table.files)}</td>
      <td className="is-number is-wide-only">{count(table.snapshots)}</td>
      <td className="is-wide-only faint">{table.changedAt ? <time dateTime={table.changedAt} title={moment(table.changedAt)}>{ago(table.changedAt)}</time> : "never"}</td>
    </tr>
  );
}
