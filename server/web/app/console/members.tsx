import { timestampDate } from "@bufbuild/protobuf/wkt";
import { useState } from "preact/hooks";
import { once, organizations } from "../api";
import type { AccountMembership } from "../gen/gitpod/v1/account_pb";
import {
  type OrganizationMember,
  OrganizationRole,
  ListMembersRequest_SortField as SortField,
} from "../gen/gitpod/v1/organization_pb";
import { SortOrder } from "../gen/gitpod/v1/pagination_pb";
import { UserStatus } from "../gen/gitpod/v1/user_pb";
import { Avatar, Button, ButtonLink } from "../kit/controls";
import { Filled, fill } from "../kit/filled";
import { Radios } from "../kit/forms";
import { toast } from "../kit/notices";
import { day, plural } from "../language";
import { common } from "../texts/common";
import { consoleTexts } from "../texts/console";
import { isAdmin, useMine } from "./account";
import { ActionDialog } from "./acting";
import { ChoiceFilter, Filters, NothingFound, SearchFilter } from "./filters";
import { Heading } from "./heading";
import { LeaveDialog } from "./leaving";
import { List, usePages } from "./list";
import { organizationPath, usePlace } from "./place";
import { Badge, chosen, RoleBadge } from "./words";

const ROLES = { admin: OrganizationRole.ADMIN, member: OrganizationRole.MEMBER } as const;

const SORTS = {
  name: { field: SortField.NAME, order: SortOrder.ASC },
  name_down: { field: SortField.NAME, order: SortOrder.DESC },
  newest: { field: SortField.DATE_JOINED, order: SortOrder.DESC },
  oldest: { field: SortField.DATE_JOINED, order: SortOrder.ASC },
} as const;

function useMembers(organizationId: string) {
  const { query } = usePlace();
  const role = chosen(ROLES, query.get("role"));
  const filter = {
    search: query.get("search") ?? "",
    roles: role === undefined ? [] : [role],
    statuses: query.get("status") === "left" ? [UserStatus.LEFT] : [],
  };
  const sort = chosen(SORTS, query.get("sort"));
  return usePages(JSON.stringify([organizationId, filter, sort]), async ({ token, count, signal }) => {
    const asked = { organizationId, pagination: { token }, count: { include: count }, filter, ...(sort && { sort }) };
    const answer = await organizations.listMembers(asked, { signal });
    return { rows: answer.members, next: answer.pagination?.nextToken ?? "", total: answer.count?.value };
  });
}

export function Members({ membership }: { membership: AccountMembership }) {
  const texts = consoleTexts().members;
  const { organizationId, organizationName, userId } = membership;
  const { query } = usePlace();
  const { again } = useMine();
  const pages = useMembers(organizationId);
  const [changing, setChanging] = useState<OrganizationMember | null>(null);
  const [removing, setRemoving] = useState<OrganizationMember | null>(null);
  const [leaving, setLeaving] = useState<AccountMembership | null>(null);
  const admin = isAdmin(membership);
  const narrowed = ["search", "role", "status"].some((name) => query.has(name));
  const actions = (member: OrganizationMember) => {
    if (member.status !== UserStatus.ACTIVE) return null;
    const own = member.userId === userId;
    return (
      <span class="buttons">
        {admin && (
          <Button
            look="quiet"
            onClick={() => setChanging(member)}
            aria-label={`${texts.changeRole}: ${nameOf(member)}`}
          >
            {texts.changeRole}
          </Button>
        )}
        {own ? (
          <Button look="quiet" onClick={() => setLeaving(membership)}>
            {texts.leave}
          </Button>
        ) : (
          admin && (
            <Button look="quiet" onClick={() => setRemoving(member)} aria-label={`${texts.remove}: ${nameOf(member)}`}>
              {texts.remove}
            </Button>
          )
        )}
      </span>
    );
  };
  return (
    <>
      <Heading title={texts.title} within={organizationName}>
        {admin && (
          <ButtonLink look="primary" href={organizationPath(organizationId, "invitations/new")}>
            {texts.invite}
          </ButtonLink>
        )}
      </Heading>
      <Filters label={texts.filters}>
        <SearchFilter label={texts.search} />
        <ChoiceFilter
          name="role"
          label={texts.role}
          options={[
            ["", texts.anyRole],
            ["admin", common().organizationRoles.admin],
            ["member", common().organizationRoles.member],
          ]}
        />
        <ChoiceFilter
          name="status"
          label={texts.status}
          options={[
            ["", texts.present],
            ["left", texts.left],
          ]}
        />
        <ChoiceFilter
          name="sort"
          label={texts.sort}
          options={[
            ["", texts.sorts.standard],
            ["name", texts.sorts.name],
            ["name_down", texts.sorts.nameDown],
            ["newest", texts.sorts.newest],
            ["oldest", texts.sorts.oldest],
          ]}
        />
      </Filters>
      <List
        pages={pages}
        caption={fill(texts.caption, { organization: organizationName })}
        counted={(total) => plural(total, texts.counted)}
        empty={narrowed ? <NothingFound /> : <p>{texts.none}</p>}
        keyOf={(member) => member.userId}
        columns={[
          { label: texts.member, cell: (member) => <Who member={member} own={member.userId === userId} /> },
          { label: texts.role, cell: (member) => <RoleBadge admin={member.role === OrganizationRole.ADMIN} /> },
          {
            label: texts.joined,
            cell: (member) => member.memberSince && day(timestampDate(member.memberSince)),
          },
        ]}
        actions={actions}
      />
      <ActionDialog
        subject={changing}
        title={(member) => fill(texts.changeRoleOf, { name: nameOf(member) })}
        confirm={texts.saveRole}
        onClose={() => setChanging(null)}
        act={async (member, form) => {
          const role = form.get("role") === "admin" ? OrganizationRole.ADMIN : OrganizationRole.MEMBER;
          await once("SetRole", organizations.setRole, { organizationId, userId: member.userId, role });
          const called = role === OrganizationRole.ADMIN ? texts.nowAdmin : texts.nowMember;
          toast(fill(called, { name: nameOf(member) }));
          if (member.userId === userId) void again();
          pages.again();
        }}
      >
        {(member) => (
          <Radios
            legend={texts.role}
            name="role"
            chosen={member.role === OrganizationRole.ADMIN ? "admin" : "member"}
            options={[
              { value: "admin", label: common().organizationRoles.admin, hint: texts.adminMay },
              { value: "member", label: common().organizationRoles.member, hint: texts.memberMay },
            ]}
          />
        )}
      </ActionDialog>
      <ActionDialog
        subject={removing}
        title={(member) => fill(texts.removeTitle, { name: nameOf(member) })}
        confirm={texts.removeNow}
        look="danger"
        onClose={() => setRemoving(null)}
        act={async (member) => {
          await once("LeaveOrganization", organizations.leaveOrganization, { userId: member.userId });
          toast(fill(texts.removed, { name: nameOf(member) }));
          void again();
          pages.again();
        }}
      >
        {() => (
          <p>
            <Filled text={texts.removeText} facts={{ organization: organizationName }} />
          </p>
        )}
      </ActionDialog>
      <LeaveDialog membership={leaving} onClose={() => setLeaving(null)} />
    </>
  );
}

const nameOf = (member: OrganizationMember): string => member.fullName || member.email;

function Who({ member, own }: { member: OrganizationMember; own: boolean }) {
  const texts = consoleTexts().members;
  return (
    <span class="who">
      <Avatar name={nameOf(member)} />
      <span class="names">
        <span>
          <bdi class="name">{nameOf(member)}</bdi> {own && <Badge tone="good">{texts.you}</Badge>}
          {member.status === UserStatus.LEFT && <Badge>{texts.leftBadge}</Badge>}
        </span>
        {member.fullName && <bdi class="quiet small">{member.email}</bdi>}
      </span>
    </span>
  );
}
