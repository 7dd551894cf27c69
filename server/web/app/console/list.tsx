// biome-ignore-all lint/a11y/noRedundantRoles: Safari forgets what a table is once its display is another.
import type { ComponentChildren } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { type Refusal, refusalOf } from "../api";
import { Button, Skeleton } from "../kit/controls";
import { fill } from "../kit/filled";
import { RefusalNotice } from "../kit/notices";
import { number } from "../language";
import { common } from "../texts/common";
import { consoleTexts } from "../texts/console";
import { turnTo, usePlace } from "./place";

/** What the service answers of a list. */
export interface Answer<T> {
  rows: readonly T[];
  /** Token of the next page; empty at the end. */
  next: string;
  /** How many there are on all pages; undefined where that wasn't asked, or can't be. */
  total?: number | undefined;
}

export interface Asking {
  token: string;
  count: boolean;
  signal: AbortSignal;
}

export interface Pages<T> {
  /** The rows of the page; null before the first answer. The last ones stay until the next are there. */
  rows: readonly T[] | null;
  total: number | undefined;
  busy: boolean;
  refusal: Refusal | null;
  page: number;
  again: () => void;
  previous: (() => void) | null;
  next: (() => void) | null;
}

/** Lists what `ask` answers, on the page that the history says; `key` tells one filter and order from another. */
export function usePages<T>(key: string, ask: (asking: Asking) => Promise<Answer<T>>): Pages<T> {
  const { trail } = usePlace();
  const token = trail.at(-1) ?? "";
  const [answer, setAnswer] = useState<Answer<T> | null>(null);
  const [refusal, setRefusal] = useState<Refusal | null>(null);
  const [busy, setBusy] = useState(true);
  const [turn, setTurn] = useState(0);
  const counted = useRef<{ of: string; total: number | undefined } | null>(null);
  const counting = `${turn} ${key}`;
  useEffect(() => {
    const stop = new AbortController();
    const count = counted.current?.of !== counting;
    setBusy(true);
    ask({ token, count, signal: stop.signal }).then(
      (answer) => {
        if (stop.signal.aborted) return;
        if (count) counted.current = { of: counting, total: answer.total };
        setAnswer(answer);
        setRefusal(null);
        setBusy(false);
      },
      (thrown) => {
        if (stop.signal.aborted) return;
        const refusal = refusalOf(thrown);
        // The history may hold a page of a list that has changed since.
        if (refusal.reason === "PAGE_TOKEN_INVALID" && trail.length > 0) return turnTo([], { instead: true });
        setRefusal(refusal);
        setBusy(false);
      },
    );
    return () => stop.abort();
  }, [key, token, turn]);
  return {
    rows: answer?.rows ?? null,
    total: counted.current?.total,
    busy,
    refusal,
    page: trail.length + 1,
    again: () => setTurn((last) => last + 1),
    previous: trail.length > 0 ? () => turnTo(trail.slice(0, -1)) : null,
    next: answer?.next ? () => turnTo([...trail, answer.next]) : null,
  };
}

export interface Column<T> {
  label: string;
  cell: (row: T) => ComponentChildren;
}

type TableProps<T> = {
  caption: string;
  /** The first one names the row. */
  columns: readonly Column<T>[];
  rows: readonly T[] | null;
  keyOf: (row: T, index: number) => string;
  /** What can be done with a row; a column of its own, where it is given. */
  actions?: ((row: T) => ComponentChildren) | undefined;
};

const EXPECTED = ["62%", "48%", "70%", "55%", "64%"];

/**
 * A table that becomes a card for each row where there is little room. The roles are written out, since a table that is
 * laid out as something else is no table any more for some screen readers.
 */
export function Table<T>({ caption, columns, rows, keyOf, actions }: TableProps<T>) {
  const [first, ...others] = columns;
  return (
    <table class="table" role="table">
      <caption class="visually-hidden">{caption}</caption>
      <thead role="rowgroup">
        <tr role="row">
          {columns.map(({ label }) => (
            <th key={label} role="columnheader" scope="col">
              {label}
            </th>
          ))}
          {actions && (
            <th role="columnheader" scope="col">
              <span class="visually-hidden">{consoleTexts().list.actions}</span>
            </th>
          )}
        </tr>
      </thead>
      <tbody role="rowgroup">
        {rows === null
          ? EXPECTED.map((width) => (
              <tr key={width} role="row" class="expected">
                <td role="cell" colSpan={columns.length + (actions ? 1 : 0)}>
                  <Skeleton width={width} />
                </td>
              </tr>
            ))
          : rows.map((row, index) => (
              <tr key={keyOf(row, index)} role="row">
                <th role="rowheader" scope="row">
                  {first?.cell(row)}
                </th>
                {others.map(({ label, cell }) => (
                  <td key={label} role="cell" data-label={label}>
                    {cell(row)}
                  </td>
                ))}
                {actions && (
                  <td role="cell" class="actions">
                    {actions(row)}
                  </td>
                )}
              </tr>
            ))}
      </tbody>
    </table>
  );
}

type ListProps<T> = Omit<TableProps<T>, "rows"> & {
  pages: Pages<T>;
  /** Says how many there are. */
  counted?: (total: number) => string;
  /** What stands in place of an empty list. */
  empty: ComponentChildren;
};

/** A page of a list, in whatever state it is, and the way to the other pages. */
export function List<T>({ pages, counted, empty, ...table }: ListProps<T>) {
  const texts = consoleTexts().list;
  const status = useRef<HTMLParagraphElement>(null);
  const shown = useRef(pages.page);
  const focused = useRef<Element | null>(null);
  const { rows, total, busy, refusal, page, previous, next } = pages;
  useEffect(() => {
    if (busy || shown.current === page) return;
    shown.current = page;
    status.current?.focus({ preventScroll: true });
    status.current?.scrollIntoView({ block: "nearest" });
  }, [busy, page]);
  useEffect(() => {
    // What had the focus has gone with its row: the keyboard goes on from the top of the list.
    if (focused.current?.isConnected !== false || document.activeElement !== document.body) return;
    status.current?.focus({ preventScroll: true });
  }, [rows]);
  const parts = [
    total !== undefined && counted?.(total),
    (previous || next) && fill(texts.page, { page: number(page) }),
  ].filter(Boolean);
  return (
    <div
      class="list"
      aria-busy={busy}
      onFocusIn={({ target }) => {
        focused.current = target as Element;
      }}
    >
      <p class={counted ? "status quiet small" : "visually-hidden"} role="status" tabIndex={-1} ref={status}>
        {rows === null && !refusal ? <span class="visually-hidden">{common().loading}</span> : parts.join(" · ")}
      </p>
      {refusal && <RefusalNotice refusal={refusal} again={pages.again} />}
      {rows?.length === 0 && !refusal && <div class="empty">{empty}</div>}
      {(rows === null ? !refusal : rows.length > 0) && <Table rows={rows} {...table} />}
      {(previous || next) && (
        <nav class="buttons pager" aria-label={texts.pages}>
          <Button disabled={!previous} onClick={() => previous?.()}>
            {texts.previous}
          </Button>
          <Button disabled={!next} onClick={() => next?.()}>
            {texts.next}
          </Button>
        </nav>
      )}
    </div>
  );
}
