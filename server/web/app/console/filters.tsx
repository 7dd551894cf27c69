import type { ComponentChildren } from "preact";
import { useEffect, useId, useRef, useState } from "preact/hooks";
import { consoleTexts } from "../texts/console";
import { narrow, usePlace } from "./place";

const PAUSE_MS = 300;

/** What narrows a list. All of it stands in the address, so that it can be kept, sent and gone back from. */
export function Filters({ label, children }: { label: string; children: ComponentChildren }) {
  return (
    <search aria-label={label}>
      <form class="filters" onSubmit={(event) => event.preventDefault()}>
        {children}
      </form>
    </search>
  );
}

/** A search that begins when the person pauses. */
export function SearchFilter({ label }: { label: string }) {
  const asked = usePlace().query.get("search") ?? "";
  const [text, setText] = useState(asked);
  const id = useId();
  const timer = useRef<ReturnType<typeof setTimeout> | undefined>(undefined);
  useEffect(() => {
    // What is being typed stays as it is, down to the blank at its end.
    setText((typed) => (typed.trim() === asked ? typed : asked));
  }, [asked]);
  useEffect(() => () => clearTimeout(timer.current), []);
  return (
    <div class="filter search">
      <label for={id}>{label}</label>
      <input
        id={id}
        type="search"
        dir="auto"
        value={text}
        onInput={({ currentTarget }) => {
          setText(currentTarget.value);
          clearTimeout(timer.current);
          timer.current = setTimeout(() => narrow({ search: currentTarget.value.trim() }, { instead: true }), PAUSE_MS);
        }}
      />
    </div>
  );
}

type ChoiceFilterProps = {
  name: string;
  label: string;
  /** Values and what they are called; the first one is what holds without a choice. */
  options: readonly (readonly [value: string, text: string])[];
};

export function ChoiceFilter({ name, label, options }: ChoiceFilterProps) {
  const chosen = usePlace().query.get(name) ?? options[0]?.[0];
  const id = useId();
  return (
    <div class="filter">
      <label for={id}>{label}</label>
      <select
        id={id}
        value={chosen}
        onChange={({ currentTarget: { value } }) => narrow({ [name]: value === options[0]?.[0] ? "" : value })}
      >
        {options.map(([value, text]) => (
          <option key={value} value={value}>
            {text}
          </option>
        ))}
      </select>
    </div>
  );
}

/** What stands where a filter lets nothing through. */
export function NothingFound() {
  const texts = consoleTexts().list;
  const { path } = usePlace();
  return (
    <p>
      {texts.nothingFound} <a href={path}>{texts.showAll}</a>
    </p>
  );
}
