import type { Inputs } from "preact/hooks";
import { useCallback, useEffect, useRef, useState } from "preact/hooks";
import { type Refusal, refusalOf } from "../api";

export type Loaded<T> =
  | { state: "loading" }
  | { state: "failed"; refusal: Refusal; again: () => void }
  | { state: "ready"; value: T; again: () => void };

/**
 * Asks when the component appears and whenever an input changes; an answer that comes too late is dropped. Where the same
 * is asked again, the answer before stays until the new one is there.
 */
export function useLoad<T>(load: (signal: AbortSignal) => Promise<T>, inputs: Inputs): Loaded<T> {
  const [loaded, setLoaded] = useState<Loaded<T>>({ state: "loading" });
  const [turn, setTurn] = useState(0);
  const again = useCallback(() => setTurn((last) => last + 1), []);
  const answered = useRef(0);
  useEffect(() => {
    const stop = new AbortController();
    setLoaded((last) => (last.state === "ready" && answered.current !== turn ? last : { state: "loading" }));
    answered.current = turn;
    load(stop.signal).then(
      (value) => stop.signal.aborted || setLoaded({ state: "ready", value, again }),
      (thrown) => stop.signal.aborted || setLoaded({ state: "failed", refusal: refusalOf(thrown), again }),
    );
    return () => stop.abort();
  }, [...inputs, turn]);
  return loaded;
}

/** One thing that a person does: `run` does it unless it is being done, and `refusal` is why it wasn't, the last time. */
export function useAction<A extends unknown[]>(act: (...given: A) => Promise<void>) {
  const [busy, setBusy] = useState(false);
  const [refusal, setRefusal] = useState<Refusal | null>(null);
  const running = useRef(false);
  const run = async (...given: A): Promise<void> => {
    if (running.current) return;
    running.current = true;
    setBusy(true);
    setRefusal(null);
    try {
      await act(...given);
    } catch (thrown) {
      setRefusal(refusalOf(thrown));
    } finally {
      running.current = false;
      setBusy(false);
    }
  };
  return { run, busy, refusal, forget: () => setRefusal(null) };
}
