import { timestampDate } from "@bufbuild/protobuf/wkt";
import { useState } from "preact/hooks";
import { accounts, invitations, once, organizations, type Refusal, refusalOf } from "../api";
import type { AccountMembership, JoinableOrganization } from "../gen/gitpod/v1/account_pb";
import type { InvitationPreview } from "../gen/invitations/v1/invitation_pb";
import { useAction, useLoad } from "../kit/calls";
import { Avatar, Button, Field, Skeleton } from "../kit/controls";
import { Filled, fill } from "../kit/filled";
import { Checkbox } from "../kit/forms";
import { RefusalNotice, toast } from "../kit/notices";
import { date, plural } from "../language";
import { useSession } from "../session";
import { consoleTexts } from "../texts/console";
import { isAdmin, useMine } from "./account";
import { ActionDialog } from "./acting";
import { Heading } from "./heading";
import { go, organizationPath } from "./place";
import { RoleBadge } from "./words";

const PAGE_SIZE = 100;

/** What waits for the person to answer it. A part that can't be read doesn't hide the other. */
async function openDoors(signal: AbortSignal) {
  const [invited, joinable] = await Promise.allSettled([
    invitations.listMyInvitations({ pageSize: PAGE_SIZE }, { signal }),
    accounts.listJoinableOrganizations({ pagination: { pageSize: PAGE_SIZE } }, { signal }),
  ]);
  return {
    invitations: invited.status === "fulfilled" ? invited.value.invitations : refusalOf(invited.reason),
    joinable: joinable.status === "fulfilled" ? joinable.value.joinableOrganizations : refusalOf(joinable.reason),
  };
}

export function Organizations() {
  const texts = consoleTexts().organizations;
  const { account, again } = useMine();
  const doors = useLoad(openDoors, []);
  const [creating, setCreating] = useState<true | null>(null);
  const answered = () => {
    void again();
    if (doors.state !== "loading") doors.again();
  };
  return (
    <>
      <Heading title={texts.title}>
        <Button look="primary" onClick={() => setCreating(true)}>
          {texts.create}
        </Button>
      </Heading>
      {doors.state === "ready" ? (
        <>
          <Invitations found={doors.value.invitations} again={doors.again} answered={answered} />
          <Mine memberships={account.memberships} alone={isEmpty(doors.value.invitations)} />
          <Joinable found={doors.value.joinable} again={doors.again} answered={answered} />
        </>
      ) : (
        <div class="tiles" aria-busy="true">
          {account.memberships.slice(0, 3).map(({ organizationId }) => (
            <div key={organizationId} class="tile">
              <Skeleton width="60%" />
            </div>
          ))}
        </div>
      )}
      <CreateDialog open={creating} onClose={() => setCreating(null)} />
    </>
  );
}

const isEmpty = (found: readonly unknown[] | Refusal): boolean => "reason" in found || found.length === 0;

function Mine({ memberships, alone }: { memberships: readonly AccountMembership[]; alone: boolean }) {
  const texts = consoleTexts().organizations;
  if (memberships.length === 0) {
    return (
      <div class="empty">
        <p>{texts.none}</p>
      </div>
    );
  }
  return (
    <section aria-labelledby="mine">
      {/* Below nothing but the view's own heading it would say the same again. */}
      <h2 id="mine" class={alone ? "visually-hidden" : undefined}>
        {texts.mine}
      </h2>
      <ul class="tiles">
        {memberships.map((membership) => (
          <li key={membership.organizationId}>
            <a class="tile" href={organizationPath(membership.organizationId)}>
              <Avatar name={membership.organizationName} />
              <span class="names">
                <strong dir="auto">{membership.organizationName}</strong>
                <span class="quiet small">{plural(membership.organizationMemberCount, texts.members)}</span>
              </span>
              <RoleBadge admin={isAdmin(membership)} />
            </a>
          </li>
        ))}
      </ul>
    </section>
  );
}

type DoorsProps<T> = { found: readonly T[] | Refusal; again: () => void; answered: () => void };

function Invitations({ found, again, answered }: DoorsProps<InvitationPreview>) {
  const texts = consoleTexts().organizations;
  if ("reason" in found) {
    // Without a verified address nobody has invitations of their own; that is no fault.
    return found.reason === "EMAIL_NOT_VERIFIED" ? null : <RefusalNotice refusal={found} again={again} />;
  }
  if (found.length === 0) return null;
  return (
    <section aria-labelledby="invitations">
      <h2 id="invitations">{texts.invitations}</h2>
      <ul class="tiles">
        {found.map((invitation) => (
          <InvitationTile key={invitation.id} invitation={invitation} answered={answered} />
        ))}
      </ul>
    </section>
  );
}

function InvitationTile({ invitation, answered }: { invitation: InvitationPreview; answered: () => void }) {
  const texts = consoleTexts().organizations;
  const [declining, setDeclining] = useState<InvitationPreview | null>(null);
  const name = invitation.organizationName;
  const asked = { invitation: { case: "invitationId", value: invitation.id } } as const;
  const accept = useAction(async () => {
    await once("AcceptInvitation", invitations.acceptInvitation, asked);
    toast(fill(texts.joined, { organization: name }));
    answered();
  });
  const decline = async () => {
    await once("DeclineInvitation", invitations.declineInvitation, asked);
    toast(fill(texts.declined, { organization: name }));
    answered();
  };
  return (
    <li class="tile">
      <Avatar name={name} />
      <span class="names">
        <strong dir="auto">{name}</strong>
        <span class="quiet small">
          {invitation.inviterName && (
            <>
              <Filled text={texts.invitedBy} facts={{ name: invitation.inviterName }} /> ·{" "}
            </>
          )}
          {plural(invitation.organizationMemberCount, texts.members)}
          {invitation.expiresAt && ` · ${fill(texts.until, { date: date(timestampDate(invitation.expiresAt)) })}`}
        </span>
        {accept.refusal && <RefusalNotice refusal={accept.refusal} />}
      </span>
      <span class="buttons">
        <Button look="primary" busy={accept.busy} onClick={() => accept.run()} aria-label={`${texts.accept}: ${name}`}>
          {texts.accept}
        </Button>
        <Button onClick={() => setDeclining(invitation)} aria-label={`${texts.decline}: ${name}`}>
          {texts.decline}
        </Button>
      </span>
      <ActionDialog
        subject={declining}
        title={() => texts.declineTitle}
        confirm={texts.decline}
        look="danger"
        act={decline}
        onClose={() => setDeclining(null)}
      >
        {() => (
          <p>
            <Filled text={texts.declineText} facts={{ organization: name }} />
          </p>
        )}
      </ActionDialog>
    </li>
  );
}

function Joinable({ found, again, answered }: DoorsProps<JoinableOrganization>) {
  const texts = consoleTexts().organizations;
  if ("reason" in found) return <RefusalNotice refusal={found} again={again} />;
  if (found.length === 0) return null;
  return (
    <section aria-labelledby="joinable">
      <h2 id="joinable">{texts.joinable}</h2>
      <p class="quiet">{texts.joinableHint}</p>
      <ul class="tiles">
        {found.map((organization) => (
          <JoinableTile key={organization.organizationId} organization={organization} answered={answered} />
        ))}
      </ul>
    </section>
  );
}

function JoinableTile({ organization, answered }: { organization: JoinableOrganization; answered: () => void }) {
  const texts = consoleTexts().organizations;
  const name = organization.organizationName;
  const join = useAction(async () => {
    const joinId = { case: "organizationId", value: organization.organizationId } as const;
    await once("JoinOrganization", organizations.joinOrganization, { joinId });
    toast(fill(texts.joined, { organization: name }));
    answered();
  });
  return (
    <li class="tile">
      <Avatar name={name} />
      <span class="names">
        <strong dir="auto">{name}</strong>
        <span class="quiet small">{plural(organization.organizationMemberCount, texts.members)}</span>
        {join.refusal && <RefusalNotice refusal={join.refusal} />}
      </span>
      <Button busy={join.busy} onClick={() => join.run()} aria-label={`${texts.join}: ${name}`}>
        {texts.join}
      </Button>
    </li>
  );
}

function CreateDialog({ open, onClose }: { open: true | null; onClose: () => void }) {
  const texts = consoleTexts().organizations;
  const session = useSession();
  const { account, again } = useMine();
  const verified = session.state === "ready" && session.signedIn?.emailVerified;
  const domain = account.email.split("@").at(-1) ?? "";
  const create = async (_: true, form: FormData) => {
    const name = String(form.get("name"));
    const made = await once("CreateOrganization", organizations.createOrganization, {
      name,
      inviteAccountsWithMatchingDomain: form.has("domain"),
    });
    toast(fill(texts.created, { organization: made.organization?.name ?? name }));
    await again();
    if (made.organization) go(organizationPath(made.organization.id));
  };
  return (
    <ActionDialog
      subject={open}
      title={() => texts.create}
      confirm={texts.createNow}
      act={create}
      onClose={onClose}
      beside={["INVALID_REQUEST"]}
    >
      {(_, refusal) => (
        <>
          <Field
            label={texts.name}
            hint={texts.nameHint}
            name="name"
            dir="auto"
            autocomplete="organization"
            required
            problem={refusal?.reason === "INVALID_REQUEST" ? texts.nameWrong : ""}
          />
          {verified && !account.publicEmailProvider && (
            <Checkbox name="domain" label={fill(texts.letDomainIn, { domain })} hint={texts.letDomainInHint} />
          )}
        </>
      )}
    </ActionDialog>
  );
}
