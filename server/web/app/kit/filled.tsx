import type { ComponentChildren } from "preact";

export type Facts = Readonly<Record<string, string>>;

const HOLES = /\{(\w+)\}/g;

/** Fills the {holes} of a text; for titles and labels, which hold no elements. */
export function fill(text: string, facts: Facts): string {
  return text.replace(HOLES, (hole, name: string) => facts[name] ?? hole);
}

/** Fills the {holes} of a text with what people wrote, each set apart so that its direction can't disturb the rest. */
export function Filled({ text, facts }: { text: string; facts: Facts }) {
  const parts: ComponentChildren[] = text.split(HOLES).map((part, index) =>
    // Every second part is the name of a hole.
    index % 2 === 0 ? part : <bdi key={index}>{facts[part] ?? `{${part}}`}</bdi>,
  );
  return <>{parts}</>;
}
