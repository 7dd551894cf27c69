import { timestampDate } from "@bufbuild/protobuf/wkt";
import { useRef, useState } from "preact/hooks";
import { invitations, once, ROOT } from "../api";
import type { AccountMembership } from "../gen/gitpod/v1/account_pb";
import {
  type Invitation,
  InvitationStatus,
  ListInvitationsRequest_OrderBy as OrderBy,
} from "../gen/invitations/v1/invitation_pb";
import { Button, ButtonLink, Dialog } from "../kit/controls";
import { Filled, fill } from "../kit/filled";
import { CopyField, Radios } from "../kit/forms";
import { toast } from "../kit/notices";
import { day, plural } from "../language";
import { consoleTexts } from "../texts/console";
import { ActionDialog } from "./acting";
import { ChoiceFilter, Filters, NothingFound, SearchFilter } from "./filters";
import { Heading } from "./heading";
import { List, usePages } from "./list";
import { organizationPath, usePlace } from "./place";
import {
  chosen,
  DELIVERIES,
  DELIVERY_KEYS,
  DeliveryBadge,
  roleName,
  STATUS_KEYS,
  STATUSES,
  StatusBadge,
} from "./words";

const SORTS = {
  oldest: { orderBy: OrderBy.CREATED_AT, ascending: true },
  ends_first: { orderBy: OrderBy.EXPIRES_AT, ascending: true },
  ends_last: { orderBy: OrderBy.EXPIRES_AT, ascending: false },
  address: { orderBy: OrderBy.EMAIL, ascending: true },
  address_down: { orderBy: OrderBy.EMAIL, ascending: false },
} as const;

/** Gives the link that a token makes; the fragment is sent to no server. */
export const tokenLink = (token: string): string => new URL(`invitations#${token}`, ROOT).href;

/** A link that somebody passes on themselves. */
interface Handed {
  email: string;
  token: string;
}

function useInvitations(organizationId: string) {
  const { query } = usePlace();
  const status = chosen(STATUSES, query.get("status"));
  const delivery = chosen(DELIVERIES, query.get("delivery"));
  const filter = {
    search: query.get("search") ?? "",
    statuses: status === undefined ? [] : [status],
    deliveryStates: delivery === undefined ? [] : [delivery],
  };
  const sort = chosen(SORTS, query.get("sort"));
  return usePages(JSON.stringify([organizationId, filter, sort]), async ({ token, count, signal }) => {
    const asked = { organizationId, filter, ...sort, pageToken: token, includeTotal: count };
    const answer = await invitations.listInvitations(asked, { signal });
    return { rows: answer.invitations, next: answer.nextPageToken, total: answer.totalSize };
  });
}

export function Invitations({ membership }: { membership: AccountMembership }) {
  const texts = consoleTexts().invitations;
  const { organizationId, organizationName } = membership;
  const { query } = usePlace();
  const pages = useInvitations(organizationId);
  const [resending, setResending] = useState<Invitation | null>(null);
  const [revoking, setRevoking] = useState<Invitation | null>(null);
  const [handed, setHanded] = useState<Handed | null>(null);
  const made = useRef<Handed | null>(null);
  const narrowed = ["search", "status", "delivery"].some((name) => query.has(name));
  const actions = (invitation: Invitation) => {
    const pending = invitation.status === InvitationStatus.PENDING;
    return (
      <span class="buttons">
        {(pending || invitation.status === InvitationStatus.EXPIRED) && (
          <Button
            look="quiet"
            onClick={() => setResending(invitation)}
            aria-label={`${texts.resend}: ${invitation.email}`}
          >
            {texts.resend}
          </Button>
        )}
        {pending && (
          <Button
            look="quiet"
            onClick={() => setRevoking(invitation)}
            aria-label={`${texts.revoke}: ${invitation.email}`}
          >
            {texts.revoke}
          </Button>
        )}
      </span>
    );
  };
  return (
    <>
      <Heading title={texts.title} within={organizationName}>
        <ButtonLink look="primary" href={organizationPath(organizationId, "invitations/new")}>
          {texts.invite}
        </ButtonLink>
      </Heading>
      <Filters label={texts.filters}>
        <SearchFilter label={texts.search} />
        <ChoiceFilter
          name="status"
          label={texts.status}
          options={[["", texts.anyStatus], ...STATUS_KEYS.map((key) => [key, texts.statuses[key]] as const)]}
        />
        <ChoiceFilter
          name="delivery"
          label={texts.delivery}
          options={[["", texts.anyDelivery], ...DELIVERY_KEYS.map((key) => [key, texts.deliveries[key]] as const)]}
        />
        <ChoiceFilter
          name="sort"
          label={texts.sort}
          options={[
            ["", texts.sorts.newest],
            ["oldest", texts.sorts.oldest],
            ["ends_first", texts.sorts.endsFirst],
            ["ends_last", texts.sorts.endsLast],
            ["address", texts.sorts.address],
            ["address_down", texts.sorts.addressDown],
          ]}
        />
      </Filters>
      <List
        pages={pages}
        caption={fill(texts.caption, { organization: organizationName })}
        counted={(total) => plural(total, texts.counted)}
        empty={narrowed ? <NothingFound /> : <p>{texts.none}</p>}
        keyOf={(invitation) => invitation.id}
        columns={[
          { label: texts.address, cell: (invitation) => <Whom invitation={invitation} /> },
          { label: texts.status, cell: (invitation) => <Standing invitation={invitation} /> },
          { label: texts.delivery, cell: (invitation) => <Delivery invitation={invitation} /> },
          { label: texts.invited, cell: (invitation) => <Invited invitation={invitation} /> },
        ]}
        actions={actions}
      />
      <ActionDialog
        subject={resending}
        title={({ email }) => fill(texts.resendOf, { email })}
        confirm={texts.resendNow}
        onClose={() => {
          setResending(null);
          if (made.current) setHanded(made.current);
          made.current = null;
        }}
        act={async ({ id, email }, form) => {
          const sendEmail = form.get("way") === "mail";
          const { token } = await once("ResendInvitation", invitations.resendInvitation, {
            invitationId: id,
            sendEmail,
          });
          toast(fill(sendEmail ? texts.resent : texts.renewed, { email }));
          made.current = token ? { email, token } : null;
          pages.again();
        }}
      >
        {() => (
          <>
            <p>{texts.resendText}</p>
            <Radios
              legend={texts.way}
              name="way"
              chosen="mail"
              options={[
                { value: "mail", label: texts.byMail },
                { value: "link", label: texts.byLink, hint: texts.byLinkHint },
              ]}
            />
          </>
        )}
      </ActionDialog>
      <ActionDialog
        subject={revoking}
        title={({ email }) => fill(texts.revokeOf, { email })}
        confirm={texts.revokeNow}
        look="danger"
        onClose={() => setRevoking(null)}
        act={async ({ id, email }) => {
          await once("RevokeInvitation", invitations.revokeInvitation, { invitationId: id });
          toast(fill(texts.revoked, { email }));
          pages.again();
        }}
      >
        {({ email }) => (
          <p>
            <Filled text={texts.revokeText} facts={{ email }} />
          </p>
        )}
      </ActionDialog>
      <Dialog
        open={handed !== null}
        title={handed ? fill(texts.linkFor, { email: handed.email }) : ""}
        onClose={() => setHanded(null)}
      >
        {handed && (
          <div class="stack">
            <CopyField label={texts.link} value={tokenLink(handed.token)} hint={texts.linkOnce} />
            <div class="buttons end">
              <Button onClick={() => setHanded(null)}>{texts.linkTaken}</Button>
            </div>
          </div>
        )}
      </Dialog>
    </>
  );
}

function Whom({ invitation }: { invitation: Invitation }) {
  return (
    <span class="names">
      <bdi class="name">{invitation.email}</bdi>
      <span class="quiet small">{[invitation.role, ...invitation.namedRoles].map(roleName).join(", ")}</span>
    </span>
  );
}

function Standing({ invitation }: { invitation: Invitation }) {
  const texts = consoleTexts().invitations;
  const { status, expiresAt, respondedAt } = invitation;
  const pending = status === InvitationStatus.PENDING;
  const when = respondedAt ?? expiresAt;
  return (
    <span class="names">
      <StatusBadge status={status} />
      {when && (
        <span class="quiet small when">
          {pending ? fill(texts.until, { date: day(timestampDate(when)) }) : day(timestampDate(when))}
        </span>
      )}
    </span>
  );
}

function Delivery({ invitation }: { invitation: Invitation }) {
  return (
    <span class="names">
      <DeliveryBadge state={invitation.deliveryState} />
      {invitation.deliveryError && (
        <span class="quiet small" lang="en" dir="auto">
          {invitation.deliveryError}
        </span>
      )}
    </span>
  );
}

function Invited({ invitation }: { invitation: Invitation }) {
  return (
    <span class="names">
      <span class="when">{invitation.createdAt && day(timestampDate(invitation.createdAt))}</span>
      {invitation.inviterName && <bdi class="quiet small">{invitation.inviterName}</bdi>}
    </span>
  );
}
