// The console, for members and admins: every path below /console comes here.

import { useEffect, useState } from "preact/hooks";
import { accounts, onSignedOut, refusalOf } from "./api";
import { MineContext, useMine } from "./console/account";
import { Heading } from "./console/heading";
import { Invitations } from "./console/invitations";
import { Invite } from "./console/invite";
import { InviteLink } from "./console/link";
import { Members } from "./console/members";
import { Organizations } from "./console/organizations";
import { ORGANIZATIONS, type OrganizationView, usePlace, viewAt } from "./console/place";
import { Settings } from "./console/settings";
import { Frame, OrganizationFrame } from "./console/shell";
import { Tokens } from "./console/tokens";
import type { Account } from "./gen/gitpod/v1/account_pb";
import type { SignedIn } from "./gen/invitations/v1/session_pb";
import { useLoad } from "./kit/calls";
import { ButtonLink, Skeleton } from "./kit/controls";
import { mount } from "./kit/mount";
import { RefusalNotice, Toasts } from "./kit/notices";
import { refreshSession, signInUrl, useSession } from "./session";
import { common } from "./texts/common";
import { consoleTexts } from "./texts/console";

const toSignIn = () => location.replace(signInUrl());

function Console() {
  const session = useSession();
  const nobody = session.state === "ready" && !session.signedIn;
  useEffect(() => {
    if (nobody) toSignIn();
  }, [nobody]);
  return (
    <>
      {session.state === "failed" && (
        <main class="inner">
          <RefusalNotice refusal={session.refusal} again={() => void refreshSession().catch(() => {})} />
        </main>
      )}
      {session.state === "ready" && session.signedIn && <SignedInConsole who={session.signedIn} />}
      <Toasts />
    </>
  );
}

function SignedInConsole({ who }: { who: SignedIn }) {
  const found = useLoad((signal) => accounts.getAccount({}, { signal }), [who.accountId]);
  const [newer, setNewer] = useState<Account>();
  const account = newer ?? (found.state === "ready" ? found.value.account : undefined);
  const again = async () => {
    try {
      setNewer((await accounts.getAccount({})).account);
    } catch (thrown) {
      refusalOf(thrown);
    }
  };
  useEffect(() => {
    // Another tab may have signed out in the meantime, or in as somebody else.
    const look = () => {
      if (document.visibilityState !== "visible") return;
      refreshSession().then(
        ({ signedIn }) => signedIn && signedIn.accountId !== who.accountId && location.reload(),
        () => {},
      );
    };
    document.addEventListener("visibilitychange", look);
    return () => document.removeEventListener("visibilitychange", look);
  }, [who.accountId]);
  return (
    <Frame who={who}>
      {found.state === "failed" && <RefusalNotice refusal={found.refusal} again={found.again} />}
      {found.state === "loading" && <Skeleton width="12rem" />}
      {account && (
        <MineContext.Provider value={{ account, again }}>
          <Views />
        </MineContext.Provider>
      )}
    </Frame>
  );
}

const ORGANIZATION_VIEWS = {
  members: Members,
  invitations: Invitations,
  "invitations/new": Invite,
  link: InviteLink,
  settings: Settings,
} as const satisfies Record<OrganizationView, unknown>;

function Views() {
  const { path } = usePlace();
  const { account } = useMine();
  const view = viewAt(path);
  if (!("organizationId" in view)) {
    if (view.name === "organizations") return <Organizations key={path} />;
    if (view.name === "tokens") return <Tokens key={path} />;
    return <Nowhere key={path} text={consoleTexts().nowhere.text} />;
  }
  const membership = account.memberships.find(({ organizationId }) => organizationId === view.organizationId);
  if (!membership) return <Nowhere key={path} text={common().reasons.ORGANIZATION_NOT_FOUND} />;
  const Content = ORGANIZATION_VIEWS[view.name];
  return (
    <OrganizationFrame membership={membership} view={view.name}>
      <Content key={path} membership={membership} />
    </OrganizationFrame>
  );
}

function Nowhere({ text }: { text: string }) {
  const texts = consoleTexts();
  return (
    <>
      <Heading title={texts.nowhere.title} />
      <div class="empty">
        <p>{text}</p>
        <ButtonLink href={ORGANIZATIONS}>{texts.nowhere.back}</ButtonLink>
      </div>
    </>
  );
}

onSignedOut(toSignIn);
void mount(Console);
