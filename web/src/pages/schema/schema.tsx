/** Schema: the types as a graph, the modules with their text, and the plan that waits. */
import { useResource } from "../../api/resource";
import { type Deployed, deployed, system } from "../../api/system";
import { Page, Tabs } from "../../design/parts/layout";
import { Bones, Empty, Loaded } from "../../design/parts/states";
import { plural } from "../../design/words";
import { href, type Place, withParameters } from "../../router";
import { Graph } from "./graph";
import { hueOf } from "../../design/hue";
import { Modules } from "./modules";
import { PlanView } from "./plan";
import { TypeDetails } from "./type-details";
import "./schema.css";

async function schemaAndPending() {
  const [schema, now] = await Promise.all([deployed(), system.status({}, { pendingChanges: true })]);
  return { schema, isPending: now.pendingChanges };
}

export function SchemaPage({ place }: { place: Place }) {
  const found = useResource("schema", schemaAndPending);
  const view = place.parameters.get("view") ?? "graph";
  const schema = found.value?.schema;
  const tabs = [
    { label: "Graph", href: href(["schema"]), isHere: view === "graph" },
    { label: "Modules", href: href(["schema"], { view: "modules" }), isHere: view === "modules" },
    { label: found.value?.isPending ? "Plan (pending)" : "Plan", href: href(["schema"], { view: "plan" }), isHere: view === "plan" },
  ];
  return (
    <Page title="Schema" lead={schema && schema.version > 0 ? `Version ${schema.version}: ${plural(schema.modules.length, "module")}, ${plural(schema.types.filter((type) => type.table).length, "table")}.` : "What everything else follows from."}>
      <Tabs label="Views of the schema" tabs={tabs} />
      <Loaded of={found} bones={<section className="panel"><div className="body"><Bones rows={1} height="22rem" /></div></section>}>
        {({ schema, isPending }) => (
          <>
            {isPending && view !== "plan" && (
              <div className="notice"><span>The files of the schema folder differ from what is deployed.</span><a href={href(["schema"], { view: "plan" })}>Review the plan</a></div>
            )}
            {viewOf(view, schema, place)}
          </>
        )}
      </Loaded>
    </Page>
  );
}

function viewOf(view: string, schema: Deployed, place: Place) {
  if (view === "plan") return <PlanView />;
  if (schema.version === 0) return <section className="panel"><Empty title="No schema is deployed" icon="graph">Write types into <code>schema/</code> and run <code>headwater apply</code>.</Empty></section>;
  return view === "modules" ? <Modules deployed={schema} /> : <GraphView schema={schema} place={place} />;
}

function GraphView({ schema, place }: { schema: Deployed; place: Place }) {
  const selected = place.path[1] ?? null;
  const type = schema.types.find((found) => found.name === selected);
  const module = place.parameters.get("module");
  const hrefOf = (name: string) => href(["schema", name], { module });
  return (
    <>
      <div className="chips" role="group" aria-label="Show a module">
        <a href={withParameters(place, { module: null })} aria-current={module === null ? "true" : undefined}>All modules</a>
        {schema.modules.map((found) => (
          <a key={found.name} href={withParameters(place, { module: found.name })} aria-current={module === found.name ? "true" : undefined}>
            <span className="dot" style={{ background: hueOf(schema, found.name) }} />{found.name} <span>by {found.owner}</span>
          </a>
        ))}
      </div>
      {selected && !type && <div className="notice"><span>There is no type <code>{selected}</code> in the deployed schema.</span></div>}
      <div className={type ? "graph-and-type" : undefined}>
        <section className="panel"><Graph deployed={schema} selected={selected} module={module} hrefOf={hrefOf} /></section>
        {type && <TypeDetails type={type} closeHref={href(["schema"], { module })} hrefOf={hrefOf} />}
      </div>
    </>
  );
}
