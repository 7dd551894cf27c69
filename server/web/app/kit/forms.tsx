import type { ComponentChildren, JSX } from "preact";
import { useEffect, useId, useRef, useState } from "preact/hooks";
import { common } from "../texts/common";
import { Button } from "./controls";
import { toast } from "./notices";

type Labelled = { label: string; hint?: ComponentChildren };

/** A choice of one from a few. Each option is a value and what it is called. */
export function Select({
  label,
  hint,
  options,
  ...select
}: Labelled & { options: readonly (readonly [value: string, text: string])[] } & JSX.IntrinsicElements["select"]) {
  const id = useId();
  return (
    <div class="field">
      <label for={id}>{label}</label>
      <select {...select} id={id} aria-describedby={hint ? `${id}-about` : undefined}>
        {options.map(([value, text]) => (
          <option key={value} value={value}>
            {text}
          </option>
        ))}
      </select>
      {hint && (
        <p id={`${id}-about`} class="about">
          {hint}
        </p>
      )}
    </div>
  );
}

/** Like Field, for several lines. */
export function TextArea({
  label,
  hint,
  problem = "",
  ...area
}: Labelled & { problem?: string } & JSX.IntrinsicElements["textarea"]) {
  const id = useId();
  const box = useRef<HTMLTextAreaElement>(null);
  useEffect(() => {
    if (problem) box.current?.focus();
  }, [problem]);
  return (
    <div class="field">
      <label for={id}>{label}</label>
      <textarea
        {...area}
        ref={box}
        id={id}
        aria-invalid={problem ? true : undefined}
        aria-describedby={`${id}-about`}
      />
      <p id={`${id}-about`} class={problem ? "about problem" : "about"}>
        {problem || hint}
      </p>
    </div>
  );
}

export function Checkbox({ label, hint, ...input }: Labelled & { name: string; defaultChecked?: boolean }) {
  const id = useId();
  return (
    <div class="choice">
      <input {...input} type="checkbox" id={id} aria-describedby={hint ? `${id}-about` : undefined} />
      <label for={id}>{label}</label>
      {hint && (
        <p id={`${id}-about`} class="about">
          {hint}
        </p>
      )}
    </div>
  );
}

type RadiosProps = {
  legend: string;
  name: string;
  options: readonly { value: string; label: string; hint?: string }[];
  /** The value that is chosen at first. */
  chosen: string;
};

/** A choice of one, each with room to say what it means. */
export function Radios({ legend, name, options, chosen }: RadiosProps) {
  const id = useId();
  return (
    <fieldset class="radios">
      <legend>{legend}</legend>
      {options.map(({ value, label, hint }) => (
        <div key={value} class="choice">
          <input
            type="radio"
            id={`${id}-${value}`}
            name={name}
            value={value}
            defaultChecked={value === chosen}
            autofocus={value === chosen}
            aria-describedby={hint ? `${id}-${value}-about` : undefined}
          />
          <label for={`${id}-${value}`}>{label}</label>
          {hint && (
            <p id={`${id}-${value}-about`} class="about">
              {hint}
            </p>
          )}
        </div>
      ))}
    </fieldset>
  );
}

async function copy(text: string): Promise<void> {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    // Without HTTPS there is no clipboard for scripts; the old way copies what is selected.
    const box = document.createElement("textarea");
    box.value = text;
    const place = document.activeElement?.closest("dialog") ?? document.body;
    place.append(box);
    const before = document.activeElement;
    box.select();
    document.execCommand("copy");
    box.remove();
    if (before instanceof HTMLElement) before.focus();
  }
}

const COPIED_SECONDS = 2;

type CopyButtonProps = { value: string; look?: "primary" | "plain" | "quiet"; children: string; "aria-label"?: string };

/** Copies a text, and says so in its own place too. */
export function CopyButton({ value, children, "aria-label": label, ...rest }: CopyButtonProps) {
  const [copied, setCopied] = useState(false);
  useEffect(() => {
    if (!copied) return;
    const timer = setTimeout(() => setCopied(false), COPIED_SECONDS * 1000);
    return () => clearTimeout(timer);
  }, [copied]);
  return (
    <Button
      {...rest}
      aria-label={copied ? undefined : label}
      onClick={async () => {
        await copy(value);
        setCopied(true);
        toast(common().copied);
      }}
    >
      {copied ? common().copied : children}
    </Button>
  );
}

/** Something to take along: shown as a whole, and copied by a button. */
export function CopyField({ label, hint, value }: Labelled & { value: string }) {
  const id = useId();
  return (
    <div class="field">
      <label for={id}>{label}</label>
      <div class="copy">
        <input
          id={id}
          class="code"
          dir="ltr"
          readOnly
          value={value}
          aria-describedby={hint ? `${id}-about` : undefined}
          onFocus={({ currentTarget }) => currentTarget.select()}
        />
        <CopyButton look="primary" value={value}>
          {common().copy}
        </CopyButton>
      </div>
      {hint && (
        <p id={`${id}-about`} class="about">
          {hint}
        </p>
      )}
    </div>
  );
}
