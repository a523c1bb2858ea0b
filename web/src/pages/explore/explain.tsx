/** How the question in the editor would be answered, as a pane of GraphiQL: asked for by a button, and not run. */
import { type GraphiQLPlugin, useEditorContext } from "@graphiql/react";
import { useState } from "react";
import { Problem, problemOf } from "../../api/problem";
import { system } from "../../api/system";
import { Icon } from "../../design/parts/icon";
import { Marked, sentence } from "../../design/parts/states";

export const EXPLAIN: GraphiQLPlugin = { title: "Plan", icon: () => <Icon name="flow" size={20} />, content: Explain };

type State = { text: string } | { problem: Problem } | null;

function Explain() {
  const { queryEditor, variableEditor } = useEditorContext({ nonNull: true });
  const [state, setState] = useState<State>(null);
  const [isBusy, setBusy] = useState(false);
  const explain = async () => {
    setBusy(true);
    try {
      const query = queryEditor?.getValue() ?? "";
      const operationName = queryEditor?.operationName ?? null;
      const { text } = await system.explain({ query, operationName, variables: variables(variableEditor?.getValue()) }, { text: true });
      setState({ text });
    } catch (error) {
      setState({ problem: problemOf(error) });
    }
    setBusy(false);
  };
  return (
    <section className="explain" aria-label="Plan">
      <h2>Plan</h2>
      <p className="soft">What would be read and called for the question in the editor, and what it costs. It is not run.</p>
      <button type="button" className="button is-main" disabled={isBusy} onClick={explain}>Explain</button>
      {state && "text" in state && <pre tabIndex={0} role="group" aria-label="The plan">{state.text}</pre>}
      {state && "problem" in state && (
        <div role="alert" className="notice is-danger">
          <span><Marked text={sentence(state.problem.message)} />{state.problem.hint && <>: <Marked text={state.problem.hint} /></>}</span>
        </div>
      )}
    </section>
  );
}

/** The variables in their editor; a problem that names the place when they are no JSON. */
function variables(text: string | undefined): unknown {
  if (!text?.trim()) return {};
  try {
    return JSON.parse(text);
  } catch {
    throw new Problem("the variables are no JSON", { code: "INVALID_INPUT", hint: "mend them in their editor, and explain again" });
  }
}
