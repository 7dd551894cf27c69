import type { ComponentChildren } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { type Refusal, refusalOf } from "../api";
import { useAction } from "../kit/calls";
import { Button, Dialog } from "../kit/controls";
import { RefusalNotice, sentenceOf, toast } from "../kit/notices";
import { common } from "../texts/common";

type ActionDialogProps<T> = {
  /** What it is about; null while the dialog is closed. */
  subject: T | null;
  title: (subject: T) => string;
  /** What the button that does it says. */
  confirm: string;
  look?: "primary" | "danger";
  /** Does it; `false` where something has to be entered first, which the content says. */
  act: (subject: T, form: FormData) => Promise<unknown>;
  onClose: () => void;
  /** Reasons that the content shows beside what they are about. */
  beside?: readonly string[];
  children: (subject: T, refusal: Refusal | null) => ComponentChildren;
};

/** A dialog that does one thing. It closes when that is done, and otherwise says why it isn't. */
export function ActionDialog<T>({ subject, title, onClose, ...rest }: ActionDialogProps<T>) {
  return (
    <Dialog open={subject !== null} title={subject === null ? "" : title(subject)} onClose={onClose}>
      {subject !== null && <ActionForm subject={subject} onClose={onClose} {...rest} />}
    </Dialog>
  );
}

function ActionForm<T>({
  subject,
  confirm,
  look = "primary",
  act,
  onClose,
  beside = [],
  children,
}: Omit<ActionDialogProps<T>, "title" | "subject"> & { subject: T }) {
  const open = useRef(true);
  useEffect(
    () => () => {
      open.current = false;
    },
    [],
  );
  const { run, busy, refusal } = useAction(async (form: FormData) => {
    let done: unknown;
    try {
      done = await act(subject, form);
    } catch (thrown) {
      // Whoever closed the dialog in the meantime is told elsewhere.
      if (!open.current) toast(sentenceOf(refusalOf(thrown)));
      throw thrown;
    }
    if (open.current && done !== false) onClose();
  });
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        void run(new FormData(event.currentTarget));
      }}
    >
      <div class="stack">
        {children(subject, refusal)}
        {refusal && !beside.includes(refusal.reason) && <RefusalNotice refusal={refusal} />}
        <div class="buttons end">
          <Button onClick={onClose}>{common().cancel}</Button>
          <Button type="submit" look={look} busy={busy}>
            {confirm}
          </Button>
        </div>
      </div>
    </form>
  );
}
