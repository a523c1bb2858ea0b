/** Overview: the way of data as a picture with live counts, what needs attention, and what changed last. */
import { requests } from "../../api/metrics";
import { useResource } from "../../api/resource";
import { deployed, status, system, tables } from "../../api/system";
import { Badge, Figures, Page, Panel } from "../../design/parts/layout";
import { Bones, Empty, Loaded } from "../../design/parts/states";
import { ago, bytes, count, moment, plural, short } from "../../design/words";
import { href } from "../../router";
import { type Debt, debts } from "./attention";
import type { Facts } from "./flow";
import { River } from "./river";
import "./overview.css";

/** How often the counts are asked for, in milliseconds. */
const PULSE = 5000;

interface Everything extends Facts {
  versions: { version: number; author: string; at: string }[];
}

async function everything(): Promise<Everything> {
  const [found, list, now, counts, versions] = await Promise.all([
    deployed(),
    tables(),
    status(),
    requests(),
    system.schemaVersions({}, { version: true, author: true, at: true }),
  ]);
  return { deployed: found, tables: list, status: now, requests: counts, versions };
}

export function OverviewPage() {
  const facts = useResource("overview", everything, PULSE);
  return (
    <Page
      title="Overview"
      lead="One schema; tables, queries and clients flow from it."
      actions={facts.value && (facts.problem ? <Badge tone="danger">Offline</Badge> : <Badge tone="good"><span className="pulse" /> Live</Badge>)}
    >
      <Loaded of={facts} bones={<Waiting />}>
        {(value) => (value.deployed.version === 0 ? <Start pending={value.status.pendingChanges} /> : <Running facts={value} />)}
      </Loaded>
    </Page>
  );
}

function Running({ facts }: { facts: Everything }) {
  const sum = (of: (table: Facts["tables"][number]) => number) => facts.tables.reduce((total, table) => total + of(table), 0);
  const asked = Object.values(facts.requests).reduce((total, number) => total + number, 0);
  return (
    <>
      <section className="panel river" aria-label="The way of data"><River facts={facts} /></section>
      <Figures
        of={[
          { label: "Rows", value: short(sum((table) => table.rows)), remark: `in ${plural(facts.tables.length, "table")}` },
          { label: "Stored", value: bytes(facts.status.bytes), remark: plural(sum((table) => table.files), "data file") },
          { label: "Snapshots", value: count(sum((table) => table.snapshots)), remark: "to go back to" },
          { label: "Schema", value: `v${facts.deployed.version}`, remark: facts.deployed.fingerprint.slice(0, 12) },
          { label: "Requests", value: short(asked), remark: "since the server started" },
        ]}
      />
      <div className="halves">
        <Panel title="Needs attention"><Debts of={debts(facts.status)} /></Panel>
        <Panel title="Lately"><Lately facts={facts} /></Panel>
      </div>
    </>
  );
}

function Debts({ of }: { of: Debt[] }) {
  if (of.length === 0) return <p className="soft">Nothing. The files are deployed, and no table waits for maintenance.</p>;
  return (
    <ul className="lines">
      {of.map((debt) => (
        <li key={debt.id}>
          <a href={debt.href}>{debt.title}</a>
          <span className="faint">{debt.isUrgent ? <Badge tone="warn">{debt.remark}</Badge> : debt.remark}</span>
        </li>
      ))}
    </ul>
  );
}

/** The last changes of schema and tables, newest first. */
function Lately({ facts }: { facts: Everything }) {
  const schemas = facts.versions.map((version) => ({ id: `v${version.version}`, at: version.at, href: href(["schema"]), title: `Schema version ${version.version}`, remark: `applied by ${version.author}` }));
  const changed = facts.tables.flatMap((table) => (table.changedAt && table.snapshots > 0 ? [{ id: table.typeName, at: table.changedAt, href: href(["lake", table.typeName, "snapshots"]), title: table.name, remark: plural(table.rows, "row") }] : []));
  const events = [...schemas, ...changed].sort((a, b) => Date.parse(b.at) - Date.parse(a.at)).slice(0, 7);
  return (
    <ul className="lines">
      {events.map((event) => (
        <li key={event.id}>
          <span><a href={event.href}>{event.title}</a> <span className="faint">{event.remark}</span></span>
          <time className="faint" dateTime={event.at} title={moment(event.at)}>{ago(event.at)}</time>
        </li>
      ))}
    </ul>
  );
}

function Start({ pending }: { pending: boolean }) {
  return (
    <section className="panel">
      <Empty
        title="Nothing is deployed yet"
        icon="flow"
        actions={pending ? <a className="button is-main" href={href(["schema"], { view: "plan" })}>Review the plan</a> : <a className="button" href={href(["schema"])}>Open the schema</a>}
      >
        Write types into <code>schema/</code>, or let <code>headwater init --from FILE…</code> propose them from your files.
        Then run <code>headwater apply</code>: tables and the API follow from them.
      </Empty>
    </section>
  );
}

function Waiting() {
  return (
    <>
      <section className="panel river"><div className="body"><Bones rows={1} height="16rem" /></div></section>
      <section className="panel"><div className="body"><Bones rows={2} /></div></section>
    </>
  );
}
