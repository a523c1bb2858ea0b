/** Usage: who asks what of the API, by type and field, and what nobody asks any more. */
import { useResource } from "../../api/resource";
import { type Deployed, deployed, type Usage, usage, type UsageOf } from "../../api/system";
import { Badge, Page, Panel, Tabs } from "../../design/parts/layout";
import { Bones, Empty, Loaded } from "../../design/parts/states";
import { count, plural, short } from "../../design/words";
import { href, type Place } from "../../router";
import { byType, type Fields, unused } from "./fields";
import "./usage.css";

/** The periods that can be chosen, in days. */
const PERIODS = [7, 30, 90];

interface Everything {
  usage: Usage;
  deployed: Deployed;
}

async function everything(days: number): Promise<Everything> {
  const [used, schema] = await Promise.all([usage(days), deployed()]);
  return { usage: used, deployed: schema };
}

export function UsagePage({ place }: { place: Place }) {
  const wanted = Number(place.parameters.get("days") ?? 30);
  const days = PERIODS.includes(wanted) ? wanted : 30;
  const found = useResource(`usage ${days}`, () => everything(days));
  const coordinate = place.path[1];
  const periods = PERIODS.map((period) => ({ label: plural(period, "day"), href: href(place.path, { days: String(period) }), isHere: period === days }));
  return (
    <Page
      title={coordinate ?? "Usage"}
      crumb={coordinate && <a href={href(["usage"], { days: String(days) })}>Usage</a>}
      lead={coordinate ? undefined : "Who asks what of the API: plans are weighed by it, and name whom they would break."}
    >
      <Tabs label="Period" tabs={periods} />
      <Loaded of={found} bones={<section className="panel"><div className="body"><Bones rows={8} height="1.6rem" /></div></section>}>
        {(value) => {
          if (coordinate) return <One of={value.usage.coordinates.find((one) => one.coordinate === coordinate)} coordinate={coordinate} days={days} />;
          return value.usage.coordinates.length ? <All of={value} days={days} /> : <Nothing days={value.usage.days} />;
        }}
      </Loaded>
    </Page>
  );
}

function Nothing({ days }: { days: number }) {
  return (
    <section className="panel">
      <Empty title="Nobody asked anything yet" icon="pulse">
        {days > 0 ? "In this time no program asked the API. " : ""}
        Programs say what they are by the header <code>Headwater-Client: web/3.1</code>; what this UI asks is not counted.
      </Empty>
    </section>
  );
}

function All({ of, days }: { of: Everything; days: number }) {
  const rest = unused(of.deployed, of.usage);
  return (
    <>
      {byType(of.usage).map((type) => <TypePanel key={type.name} type={type} days={days} />)}
      {rest.length > 0 && (
        <Panel title="Asked by nobody" aside={<span className="faint">{plural(rest.length, "field")}</span>}>
          <p className="unused">{rest.map((coordinate) => <code key={coordinate}>{coordinate}</code>)}</p>
        </Panel>
      )}
    </>
  );
}

function TypePanel({ type, days }: { type: Fields; days: number }) {
  return (
    <Panel title={type.name} aside={type.owner && <span className="faint">{type.owner}</span>} isFlush>
      <div className="scroll" role="region" aria-label={`Use of ${type.name}`} tabIndex={0}>
        <table className="table usage">
          <thead>
            <tr>
              <th scope="col">Field</th>
              <th scope="col" className="is-number">Requests</th>
              <th scope="col">Clients</th>
            </tr>
          </thead>
          <tbody>
            {type.fields.map((field) => (
              <tr key={field.coordinate}>
                <th scope="row"><a className="row-link" href={href(["usage", field.coordinate], { days: String(days) })}>{field.name}</a></th>
                <td className="is-number">
                  <span className="use">
                    <svg aria-hidden="true" width="64" height="6"><rect width="64" height="6" rx="3" /><rect className="share" width={Math.max(2, 64 * field.share)} height="6" rx="3" /></svg>
                    {short(field.requests)}
                  </span>
                </td>
                <td>{field.clients.join(", ")}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </Panel>
  );
}

function One({ of, coordinate, days }: { of: UsageOf | undefined; coordinate: string; days: number }) {
  if (!of) {
    return (
      <section className="panel">
        <Empty title="Nobody asked for it" icon="pulse"><code>{coordinate}</code> was not used in {plural(days, "day")}.</Empty>
      </section>
    );
  }
  return (
    <Panel title={plural(of.requests, "request")} aside={of.owner && <span className="faint">{of.owner}</span>} isFlush>
      <div className="scroll" role="region" aria-label={`Who uses ${coordinate}`} tabIndex={0}>
        <table className="table">
          <thead>
            <tr>
              <th scope="col">Client</th>
              <th scope="col">Version</th>
              <th scope="col">Operation</th>
              <th scope="col" className="is-number">Requests</th>
              <th scope="col">Last</th>
            </tr>
          </thead>
          <tbody>
            {of.by.map((by) => (
              <tr key={`${by.client} ${by.version} ${by.operation} ${by.requests}`}>
                <th scope="row">{by.client}</th>
                <td>{by.version}</td>
                <td>{by.operation ? <span className="mono">{by.operation}</span> : <Badge>without a name</Badge>}</td>
                <td className="is-number">{count(by.requests)}</td>
                <td className="faint">{by.daysAgo === 0 ? "today" : `${plural(by.daysAgo, "day")} ago`}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </Panel>
  );
}
