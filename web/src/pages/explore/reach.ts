/**
 * Makes GraphiQL reachable for all: names for its editors, plain buttons for its tabs, regions that scroll by
 * key, and Escape as the way out of an editor that takes Tab for itself. GraphiQL draws parts late, so the
 * names follow its changes.
 */
import { type RefObject, useEffect } from "react";

const EDITORS: [string, string][] = [
  [".graphiql-query-editor", "Query"],
  [".graphiql-editor-tools, .graphiql-editor-tool", "Variables"],
  [".result-window", "Answer"],
];

export function useReach(frame: RefObject<HTMLElement | null>): void {
  useEffect(() => {
    const element = frame.current;
    if (!element) return;
    name(element);
    const observer = new MutationObserver(() => name(element));
    observer.observe(element, { subtree: true, childList: true, attributes: true, attributeFilter: ["aria-selected"] });
    const leave = (event: KeyboardEvent) => {
      const isEditor = (event.target as Element | null)?.closest(".CodeMirror");
      if (event.key !== "Escape" || !isEditor || document.querySelector(".CodeMirror-hints")) return;
      element.querySelector<HTMLElement>(".graphiql-execute-button")?.focus();
    };
    element.addEventListener("keydown", leave);
    return () => {
      observer.disconnect();
      element.removeEventListener("keydown", leave);
    };
  }, [frame]);
}

function name(element: HTMLElement): void {
  for (const [place, label] of EDITORS) {
    element.querySelectorAll(`:is(${place}) .CodeMirror`).forEach((editor) => {
      editor.querySelector("textarea")?.setAttribute("aria-label", label);
      const scroll = editor.querySelector(".CodeMirror-scroll");
      if (!scroll || scroll.hasAttribute("role")) return;
      scroll.setAttribute("role", "group");
      scroll.setAttribute("aria-label", label);
      scroll.setAttribute("tabindex", "0");
    });
  }
  // A tab that holds buttons is no tab; what is chosen is said by the button.
  element.querySelectorAll(".graphiql-tabs[role]").forEach((tabs) => tabs.removeAttribute("role"));
  element.querySelectorAll(".graphiql-tab[aria-selected]").forEach((tab) => {
    tab.querySelector(".graphiql-tab-button")?.setAttribute("aria-pressed", tab.getAttribute("aria-selected") ?? "false");
    tab.removeAttribute("aria-selected");
    tab.removeAttribute("role");
  });
}
