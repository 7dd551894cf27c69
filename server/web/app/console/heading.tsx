import type { ComponentChildren } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { common } from "../texts/common";
import { timesMoved } from "./place";

let told = 0;

/**
 * The heading of a view, and the title of its page. After going from one view to another it takes the focus, so that
 * the keyboard goes on from there and screen readers say where one is.
 */
export function Heading({
  title,
  within,
  children,
}: {
  title: string;
  within?: string | undefined;
  children?: ComponentChildren;
}) {
  const heading = useRef<HTMLHeadingElement>(null);
  useEffect(() => {
    document.title = [title, within, common().service].filter(Boolean).join(" · ");
  }, [title, within]);
  useEffect(() => {
    if (timesMoved() === told) return;
    told = timesMoved();
    heading.current?.focus({ preventScroll: true });
  }, []);
  return (
    <div class="heading">
      <h1 ref={heading} tabIndex={-1}>
        {title}
      </h1>
      {children && <div class="buttons">{children}</div>}
    </div>
  );
}
