/** What a page shows when it has nothing to show: empty, loading, failed. */
import type { ReactNode } from "react";
import type { Problem } from "../../api/problem";
import type { Resource } from "../../api/resource";
import { openTokenDialog } from "../../token-dialog";
import { Icon, type IconName } from "./icon";

/** Nothing is there, and what to do about it. */
export function Empty({ title, icon = "empty", children, actions }: { title: string; icon?: IconName; children?: ReactNode; actions?: ReactNode }) {
  return (
    <div className="state">
      <Icon name={icon} size={32} />
      <h2>{title}</h2>
      {children && <p>{children}</p>}
      {actions && <div className="actions">{actions}</div>}
    </div>
  );
}

/** It failed: why, what to try, and a way to try again. */
function Failed({ problem, retry }: { problem: Problem; retry: () => void }) {
  return (
    <div className="state is-error" role="alert">
      <Icon name="warning" size={32} />
      <h2>{sentence(problem.message)}</h2>
      {hintOf(problem) && <p className="hint"><Marked text={sentence(hintOf(problem) ?? "")} /></p>}
      {problem.details.map((detail) => <pre key={detail} className="problem-detail">{detail}</pre>)}
      <div className="actions">
        <button type="button" className="button" onClick={retry}>Try again</button>
        {problem.needsToken && <button type="button" className="button is-main" onClick={openTokenDialog}>Enter a token</button>}
      </div>
    </div>
  );
}

/** The next step; a reader of a page has a field for the token, not a header. */
function hintOf(problem: Problem): string | null {
  return problem.code === "UNAUTHENTICATED" ? "`headwater token create` makes one" : problem.hint;
}

/** A repetition failed while an older value is still shown. */
function Outdated({ problem, retry }: { problem: Problem; retry: () => void }) {
  return (
    <div className="notice is-danger" role="status">
      <span>{sentence(problem.message)}. What is shown may be out of date.</span>
      <button type="button" className="button is-quiet" onClick={retry}>Try again</button>
    </div>
  );
}

/** Grey shapes in place of what is on its way. */
export function Bones({ rows = 6, height = "1.1rem" }: { rows?: number; height?: string }) {
  return (
    <div role="status" className="bones">
      <span className="only-for-ears">Loading</span>
      {Array.from({ length: rows }, (_, index) => (
        <span key={index} className="bone" style={{ height, width: `${96 - ((index * 17) % 38)}%` }} />
      ))}
    </div>
  );
}

/** Shows a resource: its value, its problem, or bones until either is there. */
export function Loaded<Value>({ of, bones, children }: { of: Resource<Value>; bones?: ReactNode; children: (value: Value) => ReactNode }) {
  if (of.value !== null) {
    return (
      <>
        {of.problem && <Outdated problem={of.problem} retry={of.reload} />}
        {children(of.value)}
      </>
    );
  }
  if (of.problem && !of.isLoading) return <Failed problem={of.problem} retry={of.reload} />;
  return <>{bones ?? <Bones />}</>;
}

/** Text in which names stand in backticks. */
export function Marked({ text }: { text: string }) {
  return <>{text.split("`").map((part, index) => (index % 2 ? <code key={index}>{part}</code> : part))}</>;
}

/** Messages of the platform begin small; headings do not. */
export function sentence(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
