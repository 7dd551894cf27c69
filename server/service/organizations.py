"""Organizations and their members: what one can ask."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from server.domain.account import Account
from server.domain.address import address_domain, is_public_email_domain
from server.domain.errors import (
    EMAIL_NOT_VERIFIED,
    INVITE_NOT_FOUND,
    LAST_ADMIN,
    ORGANIZATION_AMBIGUOUS,
    ORGANIZATION_FULL,
    ORGANIZATION_NOT_FOUND,
    USER_NOT_FOUND,
    ServiceError,
    WrongSecretError,
)
from server.domain.invite_link import lookup_hash
from server.domain.organization import (
    Member,
    Membership,
    MemberStatus,
    Organization,
    Role,
    normalized_invite_domains,
    organization_name,
)
from server.ports import Clock, Ids, MemberFilter, MemberOrder, MemberPage, Snapshot, Store, Transaction
from server.service.call import Call, caller_admin, caller_member, writing
from server.service.paging import page_limit, page_place, page_token


@dataclass(frozen=True, slots=True)
class MembersPage:
    """Members in order, the token of the next page ("" at the end), and the count where it was asked for."""

    members: Sequence[Member]
    next_token: str
    count: int | None


_BEFORE_ALL = ("", "")
"""The place before the first member by name."""


class Organizations:
    """The use cases of organizations and members."""

    def __init__(self, store: Store, clock: Clock, ids: Ids, most_members: int | None = None) -> None:
        self._store = store
        self._clock = clock
        self._ids = ids
        self._most_members = most_members

    def create(self, call: Call, name: str, *, invite_matching_domain: bool = False) -> tuple[Organization, Member]:
        """Make an organization with the caller as its first admin.

        With `invite_matching_domain`, people with a verified address at the caller's domain may join by
        themselves (`EMAIL_NOT_VERIFIED` when the caller's isn't); that is left out for a domain where anybody gets an
        address.
        """
        account = call.require_account_token().account
        if invite_matching_domain and not account.email_verified:
            raise ServiceError(EMAIL_NOT_VERIFIED)
        domain = address_domain(account.email)
        shared = invite_matching_domain and domain and not is_public_email_domain(domain)
        now = self._clock()
        organization = Organization(self._ids(), organization_name(name), (domain,) if shared else (), 0, now, now)
        with writing(self._store, call) as tx:
            tx.add_organization(organization)
            member = self._admit(tx, organization, account, Role.ADMIN)
        return replace(organization, member_count=1), member

    def get(self, call: Call, organization_id: str) -> Organization:
        """Give an organization to one of its members."""
        with self._store.snapshot(call.deadline) as tx:
            caller_member(tx, call, organization_id)
            return _existing(tx.organization(organization_id))

    def update(
        self,
        call: Call,
        organization_id: str,
        *,
        name: str | None = None,
        invite_domains: tuple[str, ...] | None = None,
    ) -> Organization:
        """Change what is given, as an admin."""
        with writing(self._store, call) as tx:
            organization = tx.lock_organization(organization_id)
            caller_admin(tx, call, organization_id)
            current = _existing(organization)
            changed = replace(
                current,
                name=current.name if name is None else organization_name(name),
                invite_domains=current.invite_domains
                if invite_domains is None
                else normalized_invite_domains(invite_domains),
                updated_at=self._clock(),
            )
            tx.update_organization(changed)
            return changed

    def delete(self, call: Call, organization_id: str) -> None:
        """Remove an organization with all that belongs to it, as an admin."""
        with writing(self._store, call) as tx:
            tx.hold_organization(organization_id)
            caller_admin(tx, call, organization_id)
            tx.delete_organization(organization_id)

    def join_by_invite(self, call: Call, invite_id: str) -> Member:
        """Make the caller a member by the live link's id; who is one already stays as they are."""
        account = call.require_account_token().account
        with writing(self._store, call) as tx:
            organization = tx.lock_organization_by_invite(lookup_hash(invite_id))
            if organization is None:
                raise WrongSecretError(INVITE_NOT_FOUND, guess=hash(invite_id))
            return self._admit(tx, organization, account, Role.MEMBER)

    def join_by_domain(self, call: Call, organization_id: str) -> Member:
        """Make the caller a member of an organization that admits the domain of their verified address."""
        account = call.require_account_token().account
        with writing(self._store, call) as tx:
            organization = tx.lock_organization(organization_id)
            known = tx.member(organization_id, account.id)
            if known is not None and known.is_active:
                return known
            # Before the organization is looked at, so that the answer doesn't tell whether it exists.
            if not account.email_verified:
                raise ServiceError(EMAIL_NOT_VERIFIED)
            if organization is None or not organization.admits(account):
                raise ServiceError(ORGANIZATION_NOT_FOUND)
            return self._admit(tx, organization, account, Role.MEMBER)

    def leave(self, call: Call, user_id: str) -> None:
        """End a membership: one's own, or another's as an admin. The user's access tokens end with it.

        Where it has ended already nothing happens.
        """
        call.require_person()
        with writing(self._store, call) as tx:
            member = tx.member_by_user_id(user_id)
            if member is not None:
                tx.hold_organization(member.organization_id)
                # Looked at again under the lock: it may have changed, or its organization be gone, while we waited.
                member = tx.member_by_user_id(user_id)
            if member is None:
                raise ServiceError(USER_NOT_FOUND)
            own = member.account_id == call.caller.account_id and call.caller.reaches(member.organization_id)
            if not own:
                _require_shared_organization(tx, call, member).require_admin()
            if not member.is_active:
                return
            end_membership(tx, member, clock=self._clock)

    def set_role(self, call: Call, organization_id: str, user_id: str, role: Role) -> None:
        """Give a member a role, as an admin."""
        with writing(self._store, call) as tx:
            tx.hold_organization(organization_id)
            caller_admin(tx, call, organization_id)
            member = active_member(tx.member_by_user_id(user_id), organization_id)
            if role is not Role.ADMIN:
                keep_an_admin(tx, member)
            tx.put_member(replace(member, role=role))

    def list_members(
        self,
        call: Call,
        organization_id: str,
        member_filter: MemberFilter,
        order: MemberOrder | None = None,
        *,
        page_size: int = 0,
        token: str = "",
        count: bool = False,
    ) -> MembersPage:
        """List members. Without an order the caller comes first and the others by name."""
        limit = page_limit(page_size)
        listing = (organization_id, member_filter, order)
        key_type = int if order is not None and order.by == "joined_at" else str
        place = page_place(listing, token, key_type, str)
        with self._store.snapshot(call.deadline) as tx:
            caller = caller_member(tx, call, organization_id)
            first: tuple[Member, ...] = ()
            others = member_filter
            if order is None:
                others = replace(member_filter, exclude_user_id=caller.user_id)
                if place is None:
                    first = self._caller_alone(tx, caller, member_filter)
            room = limit - len(first)
            page = tx.members(organization_id, others, order or MemberOrder(), place, room or 1)
            if not room:
                # The caller alone fills the page; whoever else there is comes after the empty name.
                page = MemberPage((), _BEFORE_ALL if page.members else None)
            total = tx.count_members(organization_id, member_filter) if count else None
        return MembersPage((*first, *page.members), page_token(listing, page.after), total)

    def list_members_by_offset(
        self, call: Call, organization_id: str, *, account_id: str | None = None, offset: int = 0, limit: int
    ) -> tuple[Sequence[Member], int]:
        """List active members (or the one of an account), those who joined last first, and how many there are."""
        with self._store.snapshot(call.deadline) as tx:
            caller_member(tx, call, organization_id)
            if account_id is None:
                count = _existing(tx.organization(organization_id)).member_count
                return tx.members_by_offset(organization_id, offset, limit), count
            member = tx.member(organization_id, account_id)
        found = [member] if member is not None and member.is_active else []
        return found[offset : offset + limit], len(found)

    def get_member(self, call: Call, user_id: str) -> Member:
        """Give a user of an organization that the caller is a member of."""
        call.require_person()
        with self._store.snapshot(call.deadline) as tx:
            return self._visible_member(tx, call, user_id)

    def own_member(self, call: Call) -> Member:
        """Give the user that the caller is.

        For a token of the account that is the one user it has; `ORGANIZATION_AMBIGUOUS` when it has none or many.
        """
        with self._store.snapshot(call.deadline) as tx:
            caller = call.caller
            if caller.organization_id is not None:
                return caller_member(tx, call, caller.organization_id)
            memberships = tx.memberships(caller.account_id)
        if len(memberships) != 1:
            raise ServiceError(ORGANIZATION_AMBIGUOUS, {"count": str(len(memberships))})
        return memberships[0].member

    def list_own(self, call: Call) -> Sequence[Membership]:
        """List the caller's memberships that their token reaches, by organization name."""
        with self._store.snapshot(call.deadline) as tx:
            memberships = tx.memberships(call.caller.account_id)
        return [m for m in memberships if call.caller.reaches(m.organization.id)]

    def list_joinable(self, call: Call, *, page_size: int = 0, token: str = "") -> tuple[Sequence[Organization], str]:
        """List organizations that admit the caller by their e-mail domain, and the token of the next page."""
        account = call.caller.account
        domain = address_domain(account.email)
        if not account.email_verified or not domain or call.caller.user_id is not None:
            return [], ""
        limit = page_limit(page_size)
        place = page_place(domain, token, str)
        with self._store.snapshot(call.deadline) as tx:
            found = tx.organizations_admitting(domain, place[0] if place else "", limit + 1)
            joined = {m.organization.id for m in tx.memberships(account.id)}
        page = found[:limit]
        after = (page[-1].id,) if len(found) > limit else None
        return [o for o in page if o.id not in joined], page_token(domain, after)

    def _admit(self, tx: Transaction, organization: Organization, account: Account, role: Role) -> Member:
        most = self._most_members
        return admit(tx, organization, account, role, ids=self._ids, clock=self._clock, most_members=most)

    def _visible_member(self, tx: Snapshot, call: Call, user_id: str) -> Member:
        member = tx.member_by_user_id(user_id)
        if member is None:
            raise ServiceError(USER_NOT_FOUND)
        _require_shared_organization(tx, call, member)
        return member

    def _caller_alone(self, tx: Snapshot, caller: Member, member_filter: MemberFilter) -> tuple[Member, ...]:
        """Give the caller, where the filter lets them through."""
        if member_filter == MemberFilter():
            return (caller,)
        wanted = member_filter.user_ids
        if wanted and caller.user_id not in wanted:
            return ()
        only = replace(member_filter, user_ids=(caller.user_id,))
        return tx.members(caller.organization_id, only, MemberOrder(), None, 1).members


def admit(
    tx: Transaction,
    organization: Organization,
    account: Account,
    role: Role,
    *,
    ids: Ids,
    clock: Clock,
    most_members: int | None = None,
) -> Member:
    """Make the account a member, under the organization's lock; an active member stays as it is.

    `organization` is as it stands under the lock; `ORGANIZATION_FULL` when it has `most_members` already (None: as many
    as there come). Who left before is the same user again.
    """
    known = tx.member(organization.id, account.id)
    if known is not None and known.is_active:
        return known
    if most_members is not None and organization.member_count >= most_members:
        raise ServiceError(ORGANIZATION_FULL, {"limit": str(most_members)})
    member = Member(
        user_id=known.user_id if known else ids(),
        organization_id=organization.id,
        account_id=account.id,
        role=role,
        status=MemberStatus.ACTIVE,
        joined_at=clock(),
        full_name=account.name,
        email=account.email,
        avatar_url=account.avatar_url,
        login_provider=account.login_provider,
    )
    if known is None:
        tx.add_member(member)
    else:
        tx.put_member(member)
    return member


def end_membership(tx: Transaction, member: Member, *, clock: Clock) -> None:
    """End an active membership, under the organization's lock: its roles and access tokens end with it.

    `LAST_ADMIN` for the only admin.
    """
    keep_an_admin(tx, member)
    tx.put_member(replace(member, status=MemberStatus.LEFT, role=Role.MEMBER, named_roles=()))
    tx.revoke_user_access_tokens(member.user_id, clock())


def _existing(organization: Organization | None) -> Organization:
    if organization is None:
        raise ServiceError(ORGANIZATION_NOT_FOUND)
    return organization


def _require_shared_organization(tx: Snapshot, call: Call, member: Member) -> Member:
    """Give the caller's own user in this member's organization; `USER_NOT_FOUND` when there is none."""
    try:
        return caller_member(tx, call, member.organization_id)
    except ServiceError as error:
        if error.reason is ORGANIZATION_NOT_FOUND:
            raise ServiceError(USER_NOT_FOUND) from error
        raise


def active_member(member: Member | None, organization_id: str) -> Member:
    """Give a member of the organization that was looked up; `USER_NOT_FOUND` when it isn't one now."""
    if member is None or not member.is_active or member.organization_id != organization_id:
        raise ServiceError(USER_NOT_FOUND)
    return member


def keep_an_admin(tx: Transaction, leaving: Member) -> None:
    """Refuse what would leave an organization without an admin, under the organization's lock."""
    if leaving.is_admin and not tx.has_other_admin(leaving.organization_id, leaving.user_id):
        raise ServiceError(LAST_ADMIN)
