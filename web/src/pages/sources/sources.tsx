/** Sources: the services of the schema, how their calls do, and which are left alone by their breakers. */
import { useResource } from "../../api/resource";
import { type SourceInfo, sources } from "../../api/system";
import { Badge, Figures, Page, Panel, type Tone } from "../../design/parts/layout";
import { Bones, Empty, Loaded } from "../../design/parts/states";
import { bytes, count, plural, short } from "../../design/words";
import { Times } from "./times";
import { faults, millis, share } from "./words";
import "./sources.css";

/** How often the states are asked for, in milliseconds. */
const PULSE = 5000;

const BREAKERS: Record<string, { tone: Tone; label: string }> = {
  closed: { tone: "good", label: "Calls are sent" },
  "half open": { tone: "warn", label: "Tried again, one call at a time" },
  open: { tone: "danger", label: "Left alone: too many calls failed" },
  off: { tone: "plain", label: "Without a breaker" },
};

export function SourcesPage() {
  const found = useResource("sources", sources, PULSE);
  return (
    <Page title="Sources" lead="The services that answer beside the tables, as this node has seen them since it started.">
      <Loaded of={found} bones={<section className="panel"><div className="body"><Bones rows={6} height="1.6rem" /></div></section>}>
        {(list) => (list.length ? list.map((source) => <Source key={source.name} source={source} />) : <Nothing />)}
      </Loaded>
    </Page>
  );
}

function Nothing() {
  return (
    <section className="panel">
      <Empty title="The tables answer alone" icon="link">
        A file of the schema folder that holds the SDL of a GraphQL service, with <code>@source(name:, url:)</code> in its header, adds the
        service to the API.
      </Empty>
    </section>
  );
}

function Source({ source }: { source: SourceInfo }) {
  const breaker = BREAKERS[source.breaker] ?? { tone: "plain", label: source.breaker };
  const kinds = faults(source);
  const failed = source.calls - source.answered - source.inFlight - source.queued;
  return (
    <Panel title={source.name} aside={<span className="source-head"><Badge tone={breaker.tone}>{breaker.label}</Badge> <span className="faint">{source.owner}</span></span>}>
      <p className="faint source-address"><code>{source.url}</code></p>
      <Figures
        of={[
          { label: "Calls", value: short(source.calls), remark: `${count(source.inFlight)} now, ${count(source.queued)} waiting` },
          { label: "Failed", value: share(Math.max(0, failed), source.calls), remark: plural(Math.max(0, failed), "call") },
          { label: "Median", value: millis(source.p50Millis) },
          { label: "95 of 100", value: millis(source.p95Millis), remark: `99: ${millis(source.p99Millis)}` },
          { label: "Received", value: bytes(source.bytesReceived), remark: `${bytes(source.bytesSent)} sent` },
          { label: "Connections", value: count(source.connections), remark: plural(source.retries, "retry", "retries") },
        ]}
      />
      <div className="source-more">
        {source.calls > 0 && <Times of={source.latency} />}
        <ul className="lines">
          {kinds.map((kind) => <li key={kind.label}><span>{kind.label}</span><span className="faint">{plural(kind.calls, "call")}</span></li>)}
          {source.breakerOpened > 0 && <li><span>The breaker opened</span><span className="faint">{plural(source.breakerOpened, "time")}</span></li>}
          {source.retriesRefused > 0 && <li><span>Not tried again, for too many calls were</span><span className="faint">{plural(source.retriesRefused, "call")}</span></li>}
          {source.cacheHits + source.cacheMisses > 0 && <li><span>Served by a kept answer</span><span className="faint">{share(source.cacheHits, source.cacheHits + source.cacheMisses)}</span></li>}
          {source.cacheStale > 0 && <li><span>Served by an old answer, for the call failed</span><span className="faint">{plural(source.cacheStale, "call")}</span></li>}
          {kinds.length === 0 && <li><span className="soft">No call failed.</span></li>}
        </ul>
      </div>
    </Panel>
  );
}
