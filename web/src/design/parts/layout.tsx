/** The frame of a page: its head, tabs, figures and badges. */
import { type ReactNode, useEffect } from "react";
import { Icon } from "./icon";

/** A page with its title, which is the document's, too. */
export function Page({ title, crumb, lead, actions, children }: { title: string; crumb?: ReactNode; lead?: ReactNode; actions?: ReactNode; children: ReactNode }) {
  useEffect(() => {
    document.title = `${title} · Headwater`;
  }, [title]);
  return (
    <div className="page">
      <div className="page-head">
        <div>
          {crumb && <p className="crumb">{crumb}</p>}
          <h1>{title}</h1>
          {lead && <p className="lead">{lead}</p>}
        </div>
        {actions && <div className="actions">{actions}</div>}
      </div>
      {children}
    </div>
  );
}

export interface Tab {
  label: string;
  href: string;
  isHere: boolean;
}

/** Links between the views of one thing. */
export function Tabs({ label, tabs }: { label: string; tabs: Tab[] }) {
  return (
    <nav className="tabs" aria-label={label}>
      {tabs.map((tab) => (
        <a key={tab.label} href={tab.href} aria-current={tab.isHere ? "page" : undefined}>{tab.label}</a>
      ))}
    </nav>
  );
}

/** Numbers that matter, with a remark each. */
export function Figures({ of }: { of: { label: string; value: string; remark?: string }[] }) {
  return (
    <dl className="figures">
      {of.map((figure) => (
        <div key={figure.label}>
          <dt>{figure.label}</dt>
          <dd>{figure.value}{figure.remark && <small>{figure.remark}</small>}</dd>
        </div>
      ))}
    </dl>
  );
}

export type Tone = "plain" | "accent" | "good" | "warn" | "danger";

export function Badge({ tone = "plain", children }: { tone?: Tone; children: ReactNode }) {
  return <span className={tone === "plain" ? "badge" : `badge is-${tone}`}>{children}</span>;
}

/** A titled surface. */
export function Panel({ title, aside, children, isFlush = false }: { title: string; aside?: ReactNode; children: ReactNode; isFlush?: boolean }) {
  return (
    <section className="panel">
      <header><h2>{title}</h2>{aside}</header>
      {isFlush ? children : <div className="body">{children}</div>}
    </section>
  );
}

/** A heading of a column that orders the rows. */
export function SortHeading({ label, order, onSort, isNumber = false }: { label: ReactNode; order: "ascending" | "descending" | null; onSort: () => void; isNumber?: boolean }) {
  return (
    <th scope="col" aria-sort={order ?? "none"} className={isNumber ? "is-number" : undefined}>
      <button type="button" className="sort" onClick={onSort}>
        {label}
        {order && <Icon name={order === "ascending" ? "up" : "down"} size={13} />}
      </button>
    </th>
  );
}
