/** Light or dark: the system's choice until the reader makes another, which this browser remembers. */
import { useSyncExternalStore } from "react";

export type Theme = "system" | "light" | "dark";

const KEY = "headwater.theme";
const listeners = new Set<() => void>();
const dark = window.matchMedia("(prefers-color-scheme: dark)");

/** What the reader chose. */
export function chosen(): Theme {
  const theme = document.documentElement.dataset.theme;
  return theme === "light" || theme === "dark" ? theme : "system";
}

/** Chooses, and remembers it. */
export function choose(theme: Theme): void {
  if (theme === "system") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
  try {
    if (theme === "system") localStorage.removeItem(KEY);
    else localStorage.setItem(KEY, theme);
  } catch {
    // A browser without storage keeps the choice until the page is left.
  }
  listeners.forEach((listener) => listener());
}

/** The choice, and what it comes to. */
export function useTheme(): { theme: Theme; shown: "light" | "dark" } {
  const theme = useSyncExternalStore(subscribe, chosen);
  const isDark = useSyncExternalStore(subscribe, () => dark.matches);
  return { theme, shown: theme === "system" ? (isDark ? "dark" : "light") : theme };
}

function subscribe(changed: () => void): () => void {
  listeners.add(changed);
  dark.addEventListener("change", changed);
  return () => {
    listeners.delete(changed);
    dark.removeEventListener("change", changed);
  };
}
