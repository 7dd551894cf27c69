// What the pages for people who come in look like: one card with one thing in it.

import type { ComponentChildren } from "preact";
import { useEffect, useRef } from "preact/hooks";
import type { SignedIn } from "../gen/invitations/v1/session_pb";
import { LanguageChoice, Person } from "../kit/account";
import { useAction } from "../kit/calls";
import { Avatar, Button, ButtonLink, Skeleton } from "../kit/controls";
import { RefusalNotice, Toasts } from "../kit/notices";
import { changeAccount, signInUrl } from "../session";
import { common } from "../texts/common";
import { joining } from "../texts/joining";

/** The page: a card in the middle, and the choice of language below. */
export function Frame({ busy = false, children }: { busy?: boolean; children: ComponentChildren }) {
  return (
    <div class="frame">
      <main class="card" aria-busy={busy}>
        {children}
      </main>
      <footer>
        <LanguageChoice />
      </footer>
      <Toasts />
    </div>
  );
}

/** The heading, which is the tab's title too. With `taken` it takes the focus: what came of something is read out. */
export function Title({ taken = false, children }: { taken?: boolean; children: ComponentChildren }) {
  const heading = useRef<HTMLHeadingElement>(null);
  useEffect(() => {
    document.title = heading.current?.textContent ?? "";
  });
  useEffect(() => {
    if (taken) heading.current?.focus();
  }, [taken]);
  return (
    <h1 ref={heading} tabIndex={-1}>
      {children}
    </h1>
  );
}

/** Holds the place of what is being loaded. */
export function Waiting() {
  return (
    <>
      <span class="emblem skeleton" aria-hidden="true" />
      <h1>
        <span class="visually-hidden">{joining().loadingTitle}</span>
        <Skeleton width="80%" />
      </h1>
      <p>
        <Skeleton width="60%" />
      </p>
      <p>
        <Skeleton width="45%" />
      </p>
    </>
  );
}

export function Emblem({ name }: { name: string }) {
  return (
    <div class="emblem">
      <Avatar name={name} />
    </div>
  );
}

export type Fact = readonly [name: string, value: string];

/** A list of facts; what is empty is left out. */
export function Facts({ facts }: { facts: readonly Fact[] }) {
  return (
    <dl class="facts">
      {facts
        .filter(([, value]) => value)
        .map(([name, value]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd dir="auto">{value}</dd>
          </div>
        ))}
    </dl>
  );
}

/** The account that the person acts as, and a way to change it. */
export function Acting({ who, leave = changeAccount }: { who: SignedIn; leave?: () => Promise<void> }) {
  const change = useAction(leave);
  return (
    <section class="acting" aria-label={joining().actAs}>
      <p class="quiet small">{joining().actAs}</p>
      <div class="acting-row">
        <Person who={who} />
        <Button look="quiet" busy={change.busy} onClick={() => change.run()}>
          {common().otherAccount}
        </Button>
      </div>
      {change.refusal && <RefusalNotice refusal={change.refusal} />}
    </section>
  );
}

/** For nobody: why to sign in, and the way there. */
export function SignInFirst({ why, label }: { why: string; label: string }) {
  return (
    <>
      <p>{why}</p>
      <div class="buttons wide">
        <ButtonLink look="primary" href={signInUrl()}>
          {label}
        </ButtonLink>
      </div>
    </>
  );
}
