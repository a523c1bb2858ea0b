/** The history of a table: each snapshot can be looked at, and gone back to. */
import { useState } from "react";
import { Problem, problemOf } from "../../api/problem";
import { useResource } from "../../api/resource";
import { type SnapshotInfo, snapshots, system, type TableInfo } from "../../api/system";
import { Dialog } from "../../design/parts/dialog";
import { Badge } from "../../design/parts/layout";
import { Bones, Empty, Loaded, sentence } from "../../design/parts/states";
import { ago, bytes, count, moment, plural } from "../../design/words";
import { href } from "../../router";

export function Snapshots({ table, onChange }: { table: TableInfo; onChange: () => void }) {
  const found = useResource(`snapshots ${table.typeName}`, () => snapshots(table.typeName));
  const [back, setBack] = useState<SnapshotInfo | null>(null);
  const done = () => {
    setBack(null);
    found.reload();
    onChange();
  };
  return (
    <section className="panel">
      <Loaded of={found} bones={<div className="body"><Bones rows={6} height="2.2rem" /></div>}>
        {(list) =>
          list.length
            ? <ol className="history">{list.map((snapshot, index) => <SnapshotItem key={snapshot.id} table={table} snapshot={snapshot} before={list[index + 1] ?? null} onBack={() => setBack(snapshot)} />)}</ol>
            : <Empty title="There is no snapshot yet">The first import or write makes one.</Empty>}
      </Loaded>
      {back && <GoBack table={table} snapshot={back} onDone={done} onClose={() => setBack(null)} />}
    </section>
  );
}

function SnapshotItem({ table, snapshot, before, onBack }: { table: TableInfo; snapshot: SnapshotInfo; before: SnapshotInfo | null; onBack: () => void }) {
  const change = snapshot.rows - (before?.rows ?? 0);
  return (
    <li>
      <div className="history-what">
        <p>
          <strong>{snapshot.summary || sentence(snapshot.operation)}</strong>
          {snapshot.current && <Badge tone="accent">present</Badge>}
          <Badge>{snapshot.operation}</Badge>
        </p>
        <p className="faint">
          <time dateTime={snapshot.at} title={moment(snapshot.at)}>{ago(snapshot.at)}</time> by {snapshot.author} · <span className="mono">{snapshot.id}</span>
        </p>
      </div>
      <p className="history-size">
        {plural(snapshot.rows, "row")} <span className={change < 0 ? "is-less" : "is-more"}>{change > 0 ? `+${count(change)}` : change < 0 ? `−${count(-change)}` : "±0"}</span>
        <span className="faint">{bytes(snapshot.bytes)} in {plural(snapshot.files, "file")}</span>
      </p>
      <p className="history-actions">
        <a className="button" href={href(["lake", table.typeName, "rows"], { at: snapshot.current ? null : snapshot.id })} aria-label={`See rows of snapshot ${snapshot.id}`}>See rows</a>
        {!snapshot.current && <button type="button" className="button" onClick={onBack} aria-label={`Go back to snapshot ${snapshot.id}`}>Go back</button>}
      </p>
    </li>
  );
}

function GoBack({ table, snapshot, onDone, onClose }: { table: TableInfo; snapshot: SnapshotInfo; onDone: () => void; onClose: () => void }) {
  const [isBusy, setBusy] = useState(false);
  const [problem, setProblem] = useState<Problem | null>(null);
  const confirm = async () => {
    setBusy(true);
    try {
      await system.rollback({ typeName: table.typeName, snapshot: snapshot.id }, { id: true });
      onDone();
    } catch (error) {
      setProblem(problemOf(error));
      setBusy(false);
    }
  };
  return (
    <Dialog title={`Go back to ${ago(snapshot.at)}?`} onClose={onClose}>
      <p className="soft">
        The table <strong>{table.name}</strong> will have the {plural(snapshot.rows, "row")} of snapshot <span className="mono">{snapshot.id}</span> again.
        Later snapshots stay in the history until they expire.
      </p>
      {problem && <div className="notice is-danger" role="alert"><span>{sentence(problem.message)}{problem.hint && `: ${problem.hint}`}</span></div>}
      <footer>
        <button type="button" className="button" onClick={onClose}>Leave it</button>
        <button type="button" className="button is-main" disabled={isBusy} onClick={() => void confirm()}>Go back</button>
      </footer>
    </Dialog>
  );
}
