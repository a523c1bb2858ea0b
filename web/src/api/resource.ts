/** Something that a page loads: nothing yet, a value, or a problem; reloaded when its key or the token changes. */
import { useCallback, useEffect, useRef, useState } from "react";
import { Problem, problemOf } from "./problem";
import { useToken } from "./session";

/** What there is of it now. `value` stays while a newer one is on its way. */
export interface Resource<Value> {
  value: Value | null;
  problem: Problem | null;
  isLoading: boolean;
  reload: () => void;
}

interface State<Value> {
  key: string;
  value: Value | null;
  problem: Problem | null;
  isLoading: boolean;
}

/**
 * Loads under a key. `every` (milliseconds) loads again and again while the page is visible; a failed
 * repetition shows its problem beside the last value.
 */
export function useResource<Value>(key: string, load: () => Promise<Value>, every?: number): Resource<Value> {
  const whole = `${key} ${useToken() ?? ""}`;
  const [state, setState] = useState<State<Value>>({ key: whole, value: null, problem: null, isLoading: true });
  const [turn, setTurn] = useState(0);
  const loader = useRef(load);
  loader.current = load;

  useEffect(() => {
    let isCurrent = true;
    setState((before) => ({ ...before, key: whole, value: before.key === whole ? before.value : null, problem: before.key === whole ? before.problem : null, isLoading: true }));
    loader.current().then(
      (value) => isCurrent && setState({ key: whole, value, problem: null, isLoading: false }),
      (error: unknown) => isCurrent && setState((before) => ({ ...before, problem: problemOf(error), isLoading: false })),
    );
    return () => {
      isCurrent = false;
    };
  }, [whole, turn]);

  const reload = useCallback(() => setTurn((before) => before + 1), []);
  useEffect(() => {
    if (every === undefined) return;
    const timer = window.setInterval(() => document.visibilityState === "visible" && reload(), every);
    return () => window.clearInterval(timer);
  }, [every, reload]);

  // A render between a change of the key and its effect must not show what belongs to another key.
  if (state.key !== whole) return { value: null, problem: null, isLoading: true, reload };
  return { value: state.value, problem: state.problem, isLoading: state.isLoading, reload };
}
