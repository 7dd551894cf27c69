"""Organizations and members as a backend key administers them, within its scopes and for nobody in particular."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from server.domain.account import Account, Scope
from server.domain.address import fold
from server.domain.errors import (
    ACCOUNT_NOT_FOUND,
    ALREADY_MEMBER,
    ORGANIZATION_NOT_FOUND,
    ServiceError,
)
from server.domain.metadata import require_metadata
from server.domain.organization import Member, Organization, Role, merged, organization_name
from server.ports import Clock, Ids, Snapshot, Store, Transaction
from server.service.call import Call, writing
from server.service.organizations import active_member, admit, end_membership, keep_an_admin
from server.service.roles import rights_of


@dataclass(frozen=True, slots=True)
class Administration:
    """The use cases of backend keys over organizations and members.

    An organization that a backend makes for nobody has no admin until somebody joins as one; an organization that has
    an admin keeps one.
    """

    store: Store
    clock: Clock
    ids: Ids
    most_members: int | None = None

    def create_organization(
        self, call: Call, name: str, *, created_by: str | None = None, details: dict[str, Any] | None = None
    ) -> Organization:
        """Make an organization, with an account as its first admin where one is named."""
        key = call.require_backend(Scope.ORGANIZATIONS_WRITE)
        if key.organization_ids:
            # A key confined to some organizations can't make others: it couldn't reach them.
            raise ServiceError(ORGANIZATION_NOT_FOUND)
        _require_metadata(details or {})
        now = self.clock()
        organization = Organization(self.ids(), organization_name(name), (), 0, now, now, details or {})
        with writing(self.store, call) as tx:
            tx.add_organization(organization)
            if created_by is not None:
                account = _account(tx, created_by)
                self._admit(tx, organization, account, Role.ADMIN)
            return tx.organization(organization.id) or organization

    def get_organization(self, call: Call, organization_id: str) -> Organization:
        """Give an organization."""
        call.require_backend(Scope.ORGANIZATIONS_READ)
        with self.store.snapshot(call.deadline) as tx:
            return _reached(tx, call, organization_id)

    def list_organizations(
        self, call: Call, *, search: str = "", offset: int = 0, limit: int = 20
    ) -> tuple[Sequence[Organization], int]:
        """List the organizations that the key reaches, the newest first, and how many there are."""
        key = call.require_backend(Scope.ORGANIZATIONS_READ)
        with self.store.snapshot(call.deadline) as tx:
            if not key.organization_ids:
                return tx.organizations(search, offset, limit)
            reached = [o for o in (tx.organization(id_) for id_ in key.organization_ids) if o is not None]
        found = sorted((o for o in reached if search in fold(o.name)), key=lambda o: o.created_at, reverse=True)
        return found[offset : offset + limit], len(found)

    def update_organization(
        self,
        call: Call,
        organization_id: str,
        *,
        name: str | None = None,
        details: dict[str, Any] | None = None,
        merge: bool = False,
    ) -> Organization:
        """Change what is given: the name, and keys of the details, or with `merge` keys at every depth of them."""
        call.require_backend(Scope.ORGANIZATIONS_WRITE)
        with writing(self.store, call) as tx:
            current = _locked(tx, call, organization_id)
            changed = replace(
                current,
                name=current.name if name is None else organization_name(name),
                details=merged(current.details, details or {}) if merge else current.details | (details or {}),
                updated_at=self.clock(),
            )
            _require_metadata(changed.details)
            tx.update_organization(changed)
            return changed

    def delete_organization(self, call: Call, organization_id: str) -> None:
        """Remove an organization with all that belongs to it."""
        call.require_backend(Scope.ORGANIZATIONS_WRITE)
        with writing(self.store, call) as tx:
            _locked(tx, call, organization_id)
            tx.delete_organization(organization_id)

    def get_account(self, call: Call, account_id: str) -> Account:
        """Give an account; `ACCOUNT_NOT_FOUND` when there is none."""
        call.require_backend(Scope.MEMBERS_READ)
        with self.store.snapshot(call.deadline) as tx:
            return _account(tx, account_id)

    def list_members(
        self, call: Call, organization_id: str, *, offset: int = 0, limit: int = 20
    ) -> tuple[Sequence[Member], int]:
        """List active members, those who joined last first, and how many there are."""
        call.require_backend(Scope.MEMBERS_READ)
        with self.store.snapshot(call.deadline) as tx:
            organization = _reached(tx, call, organization_id)
            return tx.members_by_offset(organization_id, offset, limit), organization.member_count

    def add_member(
        self,
        call: Call,
        organization_id: str,
        account_id: str,
        roles: Sequence[str] = (),
        *,
        public_metadata: dict[str, Any] | None = None,
        private_metadata: dict[str, Any] | None = None,
        once: bool = False,
    ) -> Member:
        """Make an account a member with these roles.

        A member already gets them in addition, or is refused (`ALREADY_MEMBER`) where it may happen only `once`.
        """
        call.require_backend(Scope.MEMBERS_WRITE)
        with writing(self.store, call) as tx:
            organization = _locked(tx, call, organization_id)
            rights = rights_of(tx, roles)
            account = _account(tx, account_id)
            known = tx.member(organization_id, account_id)
            if once and known is not None and known.is_active:
                raise ServiceError(ALREADY_MEMBER, {"email": account.email})
            member = self._admit(tx, organization, account, rights.role)
            granted = member.granted(rights.role, rights.named_roles, public_metadata or {}, private_metadata or {})
            _put(tx, granted)
            return granted

    def update_member(
        self,
        call: Call,
        organization_id: str,
        account_id: str,
        *,
        roles: Sequence[str] | None = None,
        public_metadata: dict[str, Any] | None = None,
        private_metadata: dict[str, Any] | None = None,
        merge: bool = False,
    ) -> Member:
        """Change what is given of a member: roles are replaced whole, metadata too unless it is to be merged."""
        call.require_backend(Scope.MEMBERS_WRITE)
        with writing(self.store, call) as tx:
            _locked(tx, call, organization_id)
            member = _member(tx, organization_id, account_id)
            public, private = public_metadata, private_metadata
            if merge:
                public = merged(member.public_metadata, public or {})
                private = merged(member.private_metadata, private or {})
            changed = replace(
                member,
                public_metadata=member.public_metadata if public is None else public,
                private_metadata=member.private_metadata if private is None else private,
            )
            if roles is not None:
                rights = rights_of(tx, roles)
                if rights.role is not Role.ADMIN:
                    keep_an_admin(tx, member)
                changed = replace(changed, role=rights.role, named_roles=rights.named_roles)
            _put(tx, changed)
            return changed

    def add_members(self, call: Call, organization_id: str, account_ids: Sequence[str]) -> None:
        """Make accounts members, all of them or none; who is one already stays as they are."""
        with writing(self.store, call):
            for account_id in account_ids:
                self.add_member(call, organization_id, account_id)

    def get_member(self, call: Call, organization_id: str, account_id: str) -> Member:
        """Give an active member; `USER_NOT_FOUND` when the account is none."""
        call.require_backend(Scope.MEMBERS_READ)
        with self.store.snapshot(call.deadline) as tx:
            _reached(tx, call, organization_id)
            return _member(tx, organization_id, account_id)

    def assign_roles(self, call: Call, organization_id: str, account_id: str, roles: Sequence[str]) -> Member:
        """Give a member roles on top of those that it has."""
        call.require_backend(Scope.MEMBERS_WRITE)
        with writing(self.store, call) as tx:
            _locked(tx, call, organization_id)
            _member(tx, organization_id, account_id)
            return self.add_member(call, organization_id, account_id, roles)

    def remove_member(self, call: Call, organization_id: str, account_id: str) -> Member:
        """End a membership; `LAST_ADMIN` for the only admin. The user's access tokens end with it."""
        call.require_backend(Scope.MEMBERS_WRITE)
        with writing(self.store, call) as tx:
            _locked(tx, call, organization_id)
            member = _member(tx, organization_id, account_id)
            end_membership(tx, member, clock=self.clock)
            return member

    def _admit(self, tx: Transaction, organization: Organization, account: Account, role: Role) -> Member:
        most = self.most_members
        return admit(tx, organization, account, role, ids=self.ids, clock=self.clock, most_members=most)


def _require_metadata(details: dict[str, Any]) -> None:
    for name, value in details.items():
        if isinstance(value, dict):
            require_metadata(name, value)


def _put(tx: Transaction, member: Member) -> None:
    require_metadata("public_metadata", member.public_metadata)
    require_metadata("private_metadata", member.private_metadata)
    tx.put_member(member)


def _reached(tx: Snapshot, call: Call, organization_id: str) -> Organization:
    return _known(call, tx.organization, organization_id)


def _locked(tx: Transaction, call: Call, organization_id: str) -> Organization:
    return _known(call, tx.lock_organization, organization_id)


def _known(call: Call, find: Callable[[str], Organization | None], organization_id: str) -> Organization:
    """Give an organization that the calling backend key reaches, for which the call counts."""
    organization = find(organization_id) if call.backend.reaches(organization_id) else None
    if organization is None:
        raise ServiceError(ORGANIZATION_NOT_FOUND)
    call.count_for(organization_id)
    return organization


def _account(tx: Snapshot, account_id: str) -> Account:
    account = tx.account(account_id)
    if account is None:
        raise ServiceError(ACCOUNT_NOT_FOUND, {"account": account_id})
    return account


def _member(tx: Snapshot, organization_id: str, account_id: str) -> Member:
    return active_member(tx.member(organization_id, account_id), organization_id)
