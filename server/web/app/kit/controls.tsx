import type { ComponentChildren, JSX } from "preact";
import { useEffect, useId, useLayoutEffect, useRef } from "preact/hooks";

type ButtonProps = {
  /** What it looks like; one primary button a view. */
  look?: "primary" | "plain" | "quiet" | "danger";
  /** Whether what it does is under way: it stays in its place and in the focus, and does nothing. */
  busy?: boolean;
} & JSX.IntrinsicElements["button"];

export function Button({ look = "plain", busy = false, type = "button", onClick, children, ...rest }: ButtonProps) {
  return (
    <button
      {...rest}
      type={type}
      class={`button ${look}`}
      aria-disabled={busy || undefined}
      aria-busy={busy || undefined}
      onClick={busy ? (event) => event.preventDefault() : onClick}
    >
      <span class="label">{children}</span>
      {busy && <span class="spinner" aria-hidden="true" />}
    </button>
  );
}

/** A link that looks like a button: for going somewhere, where a button does something. */
export function ButtonLink({
  look = "plain",
  children,
  ...rest
}: { look?: "primary" | "plain" } & JSX.IntrinsicElements["a"]) {
  return (
    <a {...rest} class={`button ${look}`}>
      <span class="label">{children}</span>
    </a>
  );
}

type FieldProps = {
  label: string;
  hint?: ComponentChildren;
  /** What is wrong with what was entered; empty where nothing is. */
  problem?: string;
} & JSX.IntrinsicElements["input"];

/** A labelled input. Its hint and problem are read out with it; room for one line of them is kept. */
export function Field({ label, hint, problem = "", ...input }: FieldProps) {
  const id = useId();
  const box = useRef<HTMLInputElement>(null);
  useEffect(() => {
    if (problem) box.current?.focus();
  }, [problem]);
  return (
    <div class="field">
      <label for={id}>{label}</label>
      <input {...input} ref={box} id={id} aria-invalid={problem ? true : undefined} aria-describedby={`${id}-about`} />
      <p id={`${id}-about`} class={problem ? "about problem" : "about"}>
        {problem || hint}
      </p>
    </div>
  );
}

type DialogProps = {
  open: boolean;
  title: string;
  /** Called when the person closes it, by Escape too. */
  onClose: () => void;
  children: ComponentChildren;
};

/** The browser's own modal dialog: it holds the focus, and gives it back. */
export function Dialog({ open, title, onClose, children }: DialogProps) {
  const dialog = useRef<HTMLDialogElement>(null);
  const id = useId();
  // Before anything is painted, and in order: where one dialog leads to another, the first gives the focus back first.
  useLayoutEffect(() => {
    if (open) dialog.current?.showModal();
    else dialog.current?.close();
  }, [open]);
  return (
    <dialog ref={dialog} aria-labelledby={id} onClose={onClose}>
      {open && (
        <>
          <h2 id={id}>{title}</h2>
          {children}
        </>
      )}
    </dialog>
  );
}

/** A grey bar where a line of text will be. */
export function Skeleton({ width = "100%" }: { width?: string }) {
  return <span class="skeleton" style={{ width }} aria-hidden="true" />;
}

/** The first letters of a name; pictures from elsewhere would tell that elsewhere who looks at what. */
export function Avatar({ name }: { name: string }) {
  const words = name.trim().split(/\s+/);
  const initials = [words[0], words.length > 1 ? words.at(-1) : ""].map((word) => [...(word ?? "")][0] ?? "").join("");
  return (
    <span class="avatar" aria-hidden="true">
      {initials.toUpperCase() || "?"}
    </span>
  );
}
