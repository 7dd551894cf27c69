import type { ComponentChildren } from "preact";
import { useEffect, useState } from "preact/hooks";
import type { Refusal } from "../api";
import { duration } from "../language";
import { common } from "../texts/common";
import { Button } from "./controls";
import { Filled, fill } from "./filled";

/** Something that a person should read: good news, a hint, or what went wrong. */
export function Notice({ tone = "info", children }: { tone?: "info" | "good" | "wrong"; children: ComponentChildren }) {
  return (
    <div class={`notice ${tone}`} role={tone === "wrong" ? "alert" : "status"}>
      {children}
    </div>
  );
}

/** Gives our sentence for a reason, undefined where we have none. */
export function sentenceFor(refusal: Refusal): string | undefined {
  const ours: Readonly<Record<string, string>> = common().reasons;
  return Object.hasOwn(ours, refusal.reason) ? ours[refusal.reason] : undefined;
}

/** The same as a sentence, for where no elements can stand. */
export function sentenceOf(refusal: Refusal): string {
  const ours = sentenceFor(refusal);
  return ours === undefined ? refusal.sentence : fill(ours, refusal.metadata);
}

/** Why something wasn't done, in the person's language, or in the service's own words where we have none. */
export function RefusalText({ refusal }: { refusal: Refusal }) {
  const ours = sentenceFor(refusal);
  const wait = refusal.retryAfterSeconds;
  return (
    <>
      {ours ? <Filled text={ours} facts={refusal.metadata} /> : <span lang="en">{refusal.sentence}</span>}
      {wait !== null && ` ${fill(common().retryIn, { time: duration(wait) })}`}
    </>
  );
}

/** The same as a notice, with a way to try again where that may help. */
export function RefusalNotice({ refusal, again }: { refusal: Refusal; again?: (() => void) | undefined }) {
  const wait = refusal.retryAfterSeconds;
  return (
    <Notice tone="wrong">
      <p>
        <RefusalText refusal={refusal} />
      </p>
      {again && (refusal.passing || wait !== null) && <Button onClick={again}>{common().tryAgain}</Button>}
    </Notice>
  );
}

const TOAST_SECONDS = 6;

let say: (text: string) => void = () => {};

/** Tells at the edge of the page that something was done; read out, and gone after some seconds. */
export const toast = (text: string): void => say(text);

/** Where toasts appear; once a page, always there, so that screen readers watch it. */
export function Toasts() {
  const [text, setText] = useState("");
  useEffect(() => {
    say = setText;
  }, []);
  useEffect(() => {
    const timer = setTimeout(() => setText(""), TOAST_SECONDS * 1000);
    return () => clearTimeout(timer);
  }, [text]);
  return (
    <div class="toasts" role="status">
      {text && <p class="toast">{text}</p>}
    </div>
  );
}
