// The page of a mailed invitation, /invitations#token or /invitations#id=…: what it leads to, accepting and declining.

import { timestampDate } from "@bufbuild/protobuf/wkt";
import { useEffect, useState } from "preact/hooks";
import { invitations, isSignedOut, once, type Refusal, refusalOf } from "./api";
import { type InvitationPreview, InvitationStatus } from "./gen/invitations/v1/invitation_pb";
import { Frame, Title } from "./joining/frame";
import { type Link, takeLink } from "./joining/kept-link";
import { JoiningPage, type Offer } from "./joining/page";
import { mount } from "./kit/mount";
import { Notice } from "./kit/notices";
import { number, time } from "./language";
import { common } from "./texts/common";
import { joining } from "./texts/joining";

/** What is said of an invitation that isn't pending: the same as where the service refuses it. */
const OVER: Partial<Record<InvitationStatus, string>> = {
  [InvitationStatus.ACCEPTED]: "INVITATION_ALREADY_ACCEPTED",
  [InvitationStatus.DECLINED]: "INVITATION_DECLINED",
  [InvitationStatus.REVOKED]: "INVITATION_REVOKED",
  [InvitationStatus.EXPIRED]: "INVITATION_EXPIRED",
};

function roleName(role: string): string {
  const names: Readonly<Record<string, string>> = common().organizationRoles;
  return names[role] ?? role;
}

function offerOf(preview: InvitationPreview): Offer {
  const reason = OVER[preview.status];
  return {
    organizationId: preview.organizationId,
    organizationName: preview.organizationName,
    inviterName: preview.inviterName,
    facts: [
      [joining().members, number(preview.organizationMemberCount)],
      [joining().role, [roleName(preview.role), ...preview.namedRoles].join(", ")],
      [joining().sentTo, preview.maskedEmail],
      [joining().validUntil, preview.expiresAt ? time(timestampDate(preview.expiresAt)) : ""],
    ],
    redirectUrl: preview.redirectUrl,
    over: reason
      ? { reason, metadata: { email: preview.maskedEmail }, sentence: "", retryAfterSeconds: null, passing: false }
      : null,
  };
}

function titleOf({ reason }: Refusal): string {
  return reason.startsWith("INVITATION_") ? joining().invitationTitle : joining().troubleTitle;
}

function OneInvitation({ link }: { link: Link }) {
  const look = async (signal: AbortSignal) => {
    try {
      const { invitation } = await invitations.previewInvitation({ invitation: link }, { signal });
      return invitation ? offerOf(invitation) : null;
    } catch (thrown) {
      // By its id an invitation shows itself to its addressee alone.
      if (isSignedOut(refusalOf(thrown))) return null;
      throw thrown;
    }
  };
  const words = {
    accept: joining().accept,
    signIn: joining().signInToAnswer,
    accountNeeded: joining().accountNeededToAnswer,
    pending: joining().untilAnswer,
  };
  return (
    <JoiningPage
      look={look}
      accept={() => once("AcceptInvitation", invitations.acceptInvitation, { invitation: link })}
      decline={() => once("DeclineInvitation", invitations.declineInvitation, { invitation: link })}
      givesMembers
      words={words}
      titleOf={titleOf}
    />
  );
}

function InvitationPage() {
  const [opened, setOpened] = useState(() => ({ turn: 0, link: takeLink() }));
  useEffect(() => {
    // Another link opened in the same tab, or the way back to one, loads nothing. Of the first both events tell; by the
    // second the fragment is gone.
    const open = () => setOpened(({ turn }) => ({ turn: turn + 1, link: takeLink() }));
    const openAnother = () => location.hash.length > 1 && open();
    addEventListener("popstate", open);
    addEventListener("hashchange", openAnother);
    return () => {
      removeEventListener("popstate", open);
      removeEventListener("hashchange", openAnother);
    };
  }, []);
  const { turn, link } = opened;
  if (link === null) {
    return (
      <Frame>
        <Title taken>{joining().noLinkTitle}</Title>
        <Notice tone="wrong">{joining().noLink}</Notice>
      </Frame>
    );
  }
  return <OneInvitation key={turn} link={link} />;
}

void mount(InvitationPage);
