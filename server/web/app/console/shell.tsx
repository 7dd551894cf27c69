import type { ComponentChildren } from "preact";
import { useEffect, useId } from "preact/hooks";
import type { AccountMembership } from "../gen/gitpod/v1/account_pb";
import type { SignedIn } from "../gen/invitations/v1/session_pb";
import { LanguageChoice, Person } from "../kit/account";
import { useAction } from "../kit/calls";
import { Avatar, Button } from "../kit/controls";
import { RefusalNotice } from "../kit/notices";
import { signOut } from "../session";
import { common } from "../texts/common";
import { consoleTexts } from "../texts/console";
import { isAdmin } from "./account";
import { ORGANIZATIONS, type OrganizationView, organizationPath, TOKENS, usePlace, viewAt } from "./place";
import { RoleBadge } from "./words";

/** What stands around every view. */
export function Frame({ who, children }: { who: SignedIn; children: ComponentChildren }) {
  const texts = consoleTexts();
  const { path } = usePlace();
  const view = viewAt(path).name;
  return (
    <>
      {/* No link: a fragment would be a place of its own in the history. */}
      <button type="button" class="skip" onClick={() => document.getElementById("main")?.focus()}>
        {texts.skip}
      </button>
      <header class="bar">
        <div class="inner">
          <nav aria-label={texts.title}>
            <Mark />
            <a class="bar-link" href={ORGANIZATIONS} aria-current={view === "organizations" ? "page" : undefined}>
              {texts.organizations.title}
            </a>
            <a class="bar-link" href={TOKENS} aria-current={view === "tokens" ? "page" : undefined}>
              {texts.tokens.title}
            </a>
          </nav>
          <AccountMenu who={who} />
        </div>
      </header>
      <main id="main" class="inner" tabIndex={-1}>
        {children}
      </main>
    </>
  );
}

/** The service's mark, as in icon.svg. */
function Mark() {
  return (
    <svg class="mark" viewBox="0 0 32 32" aria-hidden="true">
      <rect width="32" height="32" rx="8" />
      <circle cx="12" cy="13" r="4" />
      <path d="M5 25c0-4 3-6.500 7-6.500s7 2.500 7 6.500z" />
      <path class="plus" d="M24 11v8M20 15h8" />
    </svg>
  );
}

function AccountMenu({ who }: { who: SignedIn }) {
  const texts = consoleTexts();
  const id = useId();
  const leave = useAction(signOut);
  const leaveEverywhere = useAction(() => signOut({ everywhere: true }));
  const refusal = leave.refusal ?? leaveEverywhere.refusal;
  return (
    <>
      <button type="button" class="menu-button" popovertarget={id}>
        <span class="visually-hidden">{texts.account}</span>
        <Avatar name={who.name || who.email} />
        <bdi class="menu-name">{who.name || who.email}</bdi>
      </button>
      <div id={id} class="menu" popover="auto">
        <div class="stack">
          <div>
            <p class="quiet small">{texts.signedIn}</p>
            <Person who={who} />
          </div>
          <LanguageChoice />
          {refusal && <RefusalNotice refusal={refusal} />}
          <div class="buttons column">
            <Button busy={leave.busy} onClick={() => leave.run()}>
              {common().signOut}
            </Button>
            <Button look="quiet" busy={leaveEverywhere.busy} onClick={() => leaveEverywhere.run()}>
              {texts.signOutEverywhere}
            </Button>
          </div>
        </div>
      </div>
    </>
  );
}

const TABS = ["members", "invitations", "link", "settings"] as const;

/** What only admins are let do, by the service; others get there by an address alone, and are told so. */
const OF_ADMINS: ReadonlySet<OrganizationView> = new Set(["invitations", "link"]);

/** What stands around the views of one organization. */
export function OrganizationFrame({
  membership,
  view,
  children,
}: {
  membership: AccountMembership;
  view: OrganizationView;
  children: ComponentChildren;
}) {
  const texts = consoleTexts();
  const { organizationId, organizationName } = membership;
  const admin = isAdmin(membership);
  const tabs = TABS.filter((tab) => admin || !OF_ADMINS.has(tab));
  useEffect(() => {
    document.querySelector(".tabs [aria-current]")?.scrollIntoView({ block: "nearest", inline: "nearest" });
  }, [view]);
  return (
    <>
      <div class="organization">
        <Avatar name={organizationName} />
        <p dir="auto" class="organization-name">
          {organizationName}
        </p>
        <RoleBadge admin={admin} />
      </div>
      <nav class="tabs" aria-label={organizationName}>
        {tabs.map((tab) => (
          <a
            key={tab}
            href={organizationPath(organizationId, tab)}
            aria-current={tab === view ? "page" : view.startsWith(`${tab}/`) ? "true" : undefined}
          >
            {texts[tab].title}
          </a>
        ))}
      </nav>
      {children}
    </>
  );
}
