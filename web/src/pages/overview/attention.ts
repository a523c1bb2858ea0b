/** What the project owes: changes that wait, work that runs, tables that maintenance should look after. */
import type { Status } from "../../api/system";
import { bytes, plural } from "../../design/words";
import { href } from "../../router";

export interface Debt {
  id: string;
  title: string;
  remark: string;
  href: string;
  isUrgent: boolean;
}

/** A table in buckets or partitions always has a few small files; more than these cost time. */
const FEW = 16;

/** Everything that asks for attention, the most urgent first. */
export function debts(status: Status): Debt[] {
  const found: Debt[] = [];
  if (status.pendingChanges) {
    found.push({ id: "plan", title: "The schema folder differs from what is deployed", remark: "Review the plan", href: href(["schema"], { view: "plan" }), isUrgent: true });
  }
  for (const running of status.running) {
    found.push({ id: running, title: running, remark: "runs, or waits to be resumed", href: href(["overview"]), isUrgent: true });
  }
  for (const table of status.tables) {
    const parts = owed(table);
    if (parts.length) {
      found.push({ id: table.typeName, title: `${table.typeName}: ${parts.join(", ")}`, remark: "Maintenance looks after it by itself", href: href(["lake", table.typeName, "snapshots"]), isUrgent: false });
    }
  }
  return found;
}

/** What maintenance owes to a table, in words; nothing when all is well. */
export function owed(table: Status["tables"][number]): string[] {
  return [
    table.smallFiles > FEW ? plural(table.smallFiles, "small file") : "",
    table.deleteFiles > 0 ? plural(table.deleteFiles, "delete file") : "",
    table.expiredSnapshots > 0 ? plural(table.expiredSnapshots, "snapshot") + " past retention" : "",
    table.unindexedRows > 0 ? plural(table.unindexedRows, "row") + " to index" : "",
    table.orphanBytes > 0 ? bytes(table.orphanBytes) + " that nothing needs" : "",
  ].filter(Boolean);
}
