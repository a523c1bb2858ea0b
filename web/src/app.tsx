/** The frame around every page: skip link, header with navigation, and the page for the present place. */
import { lazy, type ReactNode, Suspense, useEffect, useRef } from "react";
import { Bones, Empty } from "./design/parts/states";
import { Icon, type IconName } from "./design/parts/icon";
import { LakePage } from "./pages/lake/lake";
import { OverviewPage } from "./pages/overview/overview";
import { SchemaPage } from "./pages/schema/schema";
import { SourcesPage } from "./pages/sources/sources";
import { UsagePage } from "./pages/usage/usage";
import { href, type Place, usePlace } from "./router";
import { choose, type Theme, useTheme } from "./theme";
import { TokenButton } from "./token-dialog";

// The editor of Explore is larger than everything else together.
const ExplorePage = lazy(() => import("./pages/explore/explore"));

const PAGES: { name: string; label: string; icon: IconName }[] = [
  { name: "overview", label: "Overview", icon: "home" },
  { name: "schema", label: "Schema", icon: "graph" },
  { name: "explore", label: "Explore", icon: "terminal" },
  { name: "lake", label: "Lake", icon: "layers" },
  { name: "sources", label: "Sources", icon: "link" },
  { name: "usage", label: "Usage", icon: "pulse" },
];

export function App() {
  const place = usePlace();
  const here = place.path[0] ?? "overview";
  const main = useRef<HTMLElement>(null);
  const subject = place.path.slice(0, 2).join("/");
  useEffect(() => {
    window.scrollTo(0, 0);
  }, [subject]);
  return (
    <>
      <button type="button" className="skip" onClick={() => main.current?.focus()}>Skip to the content</button>
      <header className="top">
        <a className="brand" href={href(["overview"])} aria-label="Headwater, overview">
          <Icon name="flow" size={26} />
          <span>Headwater</span>
        </a>
        <nav className="pages" aria-label="Pages">
          {PAGES.map((page) => (
            <a key={page.name} href={href([page.name])} aria-current={here === page.name ? "page" : undefined}>
              <Icon name={page.icon} size={17} />
              <span>{page.label}</span>
            </a>
          ))}
        </nav>
        <div className="tools">
          <ThemeButton />
          <TokenButton />
        </div>
      </header>
      <main ref={main} tabIndex={-1} className={`at-${here}`}>{pageOf(here, place)}</main>
    </>
  );
}

function pageOf(here: string, place: Place): ReactNode {
  switch (here) {
    case "overview":
      return <OverviewPage />;
    case "schema":
      return <SchemaPage place={place} />;
    case "explore":
      return <Suspense fallback={<div className="page"><Bones rows={8} /></div>}><ExplorePage place={place} /></Suspense>;
    case "lake":
      return <LakePage place={place} />;
    case "sources":
      return <SourcesPage />;
    case "usage":
      return <UsagePage place={place} />;
    default:
      return (
        <Empty title="There is no such page" actions={<a className="button" href={href(["overview"])}>Go to the overview</a>}>
          Nothing is kept at <code>{place.path.join("/")}</code>.
        </Empty>
      );
  }
}

const THEMES: Record<Theme, { next: Theme; icon: IconName; label: string }> = {
  system: { next: "light", icon: "screen", label: "Theme of the system" },
  light: { next: "dark", icon: "sun", label: "Light theme" },
  dark: { next: "system", icon: "moon", label: "Dark theme" },
};

function ThemeButton() {
  const { theme } = useTheme();
  const { next, icon, label } = THEMES[theme];
  return (
    <button type="button" className="button is-quiet is-icon" aria-label={`${label}; change it`} title={label} onClick={() => choose(next)}>
      <Icon name={icon} />
    </button>
  );
}
