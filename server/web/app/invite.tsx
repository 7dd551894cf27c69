// The page of an invite link, /invite/{inviteId}: who invites, and joining.

import { once, organizations, type Refusal } from "./api";
import { JoiningPage, type Offer } from "./joining/page";
import { mount } from "./kit/mount";
import { number } from "./language";
import { urlOf } from "./session";
import { common } from "./texts/common";
import { joining } from "./texts/joining";

const inviteId = location.pathname.slice(new URL(urlOf("/invite/")).pathname.length);

async function look(signal: AbortSignal): Promise<Offer> {
  const summary = await organizations.getOrganizationInviteSummary({ inviteId }, { signal });
  return {
    organizationId: summary.organizationId,
    organizationName: summary.organizationName,
    inviterName: "",
    facts: [
      [joining().members, number(summary.organizationMemberCount)],
      [joining().role, common().organizationRoles.member],
    ],
    redirectUrl: "",
    over: null,
  };
}

const join = () =>
  once("JoinOrganization", organizations.joinOrganization, { joinId: { case: "inviteId", value: inviteId } });

const titleOf = ({ reason }: Refusal): string =>
  reason === "INVITE_NOT_FOUND" ? joining().linkTitle : joining().troubleTitle;

function InvitePage() {
  const words = {
    accept: joining().join,
    signIn: joining().signInToJoin,
    accountNeeded: joining().accountNeeded,
    pending: joining().untilJoin,
  };
  return <JoiningPage look={look} accept={join} words={words} titleOf={titleOf} />;
}

void mount(InvitePage);
