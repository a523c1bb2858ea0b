/** The pending plan: what applying the files of the schema folder would change, step by step. */
import { useResource } from "../../api/resource";
import { type PendingPlan, pendingPlan } from "../../api/system";
import { Badge, Panel, type Tone } from "../../design/parts/layout";
import { Empty, Loaded, Marked } from "../../design/parts/states";
import { plural } from "../../design/words";

const STORAGE: Record<string, Tone> = { expand: "good", rewrite: "warn", contract: "danger", impossible: "danger" };
const WIRE: Record<string, Tone> = { safe: "good", dangerous: "warn", breaking: "danger" };

export function PlanView() {
  const plan = useResource("plan", pendingPlan);
  return (
    <Loaded of={plan}>
      {(found) => (found.isEmpty ? <section className="panel"><Empty title="Nothing to apply" icon="flow">The files of the schema folder are what is deployed. Edit one, and its plan appears here.</Empty></section> : <PlanSteps plan={found} />)}
    </Loaded>
  );
}

function PlanSteps({ plan }: { plan: PendingPlan }) {
  return (
    <>
      {plan.losses.length > 0 && (
        <div className="notice is-danger">
          <span>Applying this plan loses <strong>{plan.losses.join(", ")}</strong>. <code>headwater apply</code> demands that you name it with <code>--allow-destructive</code>.</span>
        </div>
      )}
      <div className="halves">
        <Panel title="Steps" aside={<span className="faint">{plural(plan.steps.length, "step")}</span>}>
          <ol className="steps">
            {plan.steps.map((step, index) => (
              <li key={index}>
                <p><Marked text={step.text} /></p>
                <p className="field-notes">
                  <Badge tone={STORAGE[step.storage] ?? "plain"}>{step.storage}</Badge>
                  {step.destroys.map((lost) => <Badge key={lost} tone="danger"><span>loses <Marked text={lost} /></span></Badge>)}
                </p>
              </li>
            ))}
          </ol>
        </Panel>
        <Panel title="Changes" aside={<span className="faint">{plural(plan.changes.length, "change")}</span>}>
          <ul className="lines">
            {plan.changes.map((change) => (
              <li key={`${change.path} ${change.message}`} className="change">
                <p><span className="mono">{change.path}</span><br /><span className="soft"><Marked text={change.message} /></span></p>
                <p className="field-notes">
                  {change.storage !== "none" && <Badge tone={STORAGE[change.storage] ?? "plain"}>storage: {change.storage}</Badge>}
                  {change.wire !== "none" && <Badge tone={WIRE[change.wire] ?? "plain"}>API: {change.wire}</Badge>}
                </p>
                {change.usage && <Hurt of={change.usage} />}
              </li>
            ))}
          </ul>
        </Panel>
      </div>
      <p className="faint mono plan-base">{plan.base.slice(0, 12)} → {plan.target.slice(0, 12)} · run <code>headwater apply</code> to carry it out</p>
    </>
  );
}

/** Whom a change hurts, by what was asked. */
function Hurt({ of }: { of: NonNullable<PendingPlan["changes"][number]["usage"]> }) {
  const days = plural(of.days, "day");
  if (of.requests === 0) return <p className="faint change-use">Nobody used it in {days}.</p>;
  return (
    <div className="change-use">
      <p><Badge tone="warn">Used</Badge> by {plural(of.requests, "request")} in {days}:</p>
      <ul>
        {of.consumers.map((consumer) => (
          <li key={`${consumer.client} ${consumer.version}`}>
            <strong>{consumer.client}</strong> {consumer.version} <span className="faint">{plural(consumer.requests, "request")}{named(consumer.operations)}</span>
          </li>
        ))}
      </ul>
    </div>
  );
}

function named(operations: string[]): string {
  const known = operations.filter((name) => name !== "");
  return known.length ? ` by ${known.join(", ")}` : "";
}
