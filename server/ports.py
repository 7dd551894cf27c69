"""What the service needs from outside: a clock, ids, a store, and the word of sign-in providers.

A store is a written contract. Every engine passes the suite in `tests/store/`; what a method promises stands here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from server.domain.account import AccessToken, Account, Claims
from server.domain.invite_link import InviteLink
from server.domain.organization import Member, Membership, MemberStatus, Organization, Role

Clock = Callable[[], datetime]
"""Gives the time as an aware datetime in UTC, to the microsecond."""

Ids = Callable[[], str]
"""Gives a fresh UUID as text, of version 4 or 7."""


class TokenVerifier(Protocol):
    """Checks the tokens of trusted OpenID Connect issuers."""

    def verify(self, token: str) -> Claims:
        """Give what the token says; `CREDENTIALS_INVALID` or `ISSUER_UNAVAILABLE` otherwise."""
        ...


@dataclass(frozen=True, slots=True)
class MemberFilter:
    """Which members to list; an empty part doesn't filter. `search` and `email` are keys (`address.fold`)."""

    search: str = ""
    email: str = ""
    statuses: tuple[MemberStatus, ...] = (MemberStatus.ACTIVE,)
    roles: tuple[Role, ...] = ()
    user_ids: tuple[str, ...] = ()
    login_providers: tuple[str, ...] = ()
    other_than_login_providers: tuple[str, ...] = ()
    exclude_user_id: str = ""


@dataclass(frozen=True, slots=True)
class MemberOrder:
    """By name or by time of joining; the user id breaks ties, so that every row has one place."""

    by: str = "name"
    descending: bool = False


@dataclass(frozen=True, slots=True)
class MemberPage:
    """Members in order, and the place after the last of them (None at the end)."""

    members: tuple[Member, ...]
    after: tuple[str | int, str] | None


class Snapshot(Protocol):
    """Reads, all from one moment."""

    def organization(self, organization_id: str) -> Organization | None: ...
    def organizations_admitting(self, domain: str, after: str, limit: int) -> Sequence[Organization]:
        """Give organizations whose invite domains hold `domain` (a key), by id, those after the id `after`."""
        ...

    def member(self, organization_id: str, account_id: str) -> Member | None:
        """Give the account's user in the organization, active or left."""
        ...

    def member_by_user_id(self, user_id: str) -> Member | None: ...
    def members(
        self,
        organization_id: str,
        member_filter: MemberFilter,
        order: MemberOrder,
        after: tuple[str | int, str] | None,
        limit: int,
    ) -> MemberPage: ...
    def count_members(self, organization_id: str, member_filter: MemberFilter) -> int: ...
    def memberships(self, account_id: str) -> Sequence[Membership]:
        """Give the account's active memberships by organization name, then id."""
        ...

    def has_other_admin(self, organization_id: str, user_id: str) -> bool:
        """Tell whether an active admin other than this user exists."""
        ...

    def invite_link(self, organization_id: str) -> InviteLink | None: ...
    def organization_by_invite(self, lookup_hash: bytes) -> Organization | None:
        """Give the organization whose live link has this hash."""
        ...

    def account(self, account_id: str) -> Account | None: ...
    def account_by_identity(self, issuer: str, subject: str) -> Account | None: ...
    def accounts_by_email(self, email_key: str) -> Sequence[Account]: ...
    def access_token(self, token_hash: bytes) -> tuple[AccessToken, Account] | None:
        """Give the token with this SHA-256 and its account, also when it is expired or revoked."""
        ...

    def access_token_by_id(self, token_id: str) -> AccessToken | None: ...
    def access_tokens(
        self, account_id: str, user_ids: tuple[str, ...], *, of_users_only: bool, after: str, limit: int
    ) -> Sequence[AccessToken]:
        """Give the account's tokens that aren't revoked, by id, those after the id `after`."""
        ...


class Transaction(Snapshot, Protocol):
    """Reads and writes that happen together or not at all.

    What is decided on what was read holds: a write transaction that began with `lock_organization` sees no change
    to that organization, its members, links and invitations by others until it ends.
    """

    def lock_organization(self, organization_id: str) -> Organization | None: ...
    def lock_organization_by_invite(self, lookup_hash: bytes) -> Organization | None: ...
    def add_organization(self, organization: Organization) -> None: ...
    def update_organization(self, organization: Organization) -> None:
        """Write name, invite domains and time of change."""
        ...

    def delete_organization(self, organization_id: str) -> None:
        """Remove it with its members, links and its users' tokens."""
        ...

    def put_member(self, member: Member) -> None:
        """Write a member whole, new or known, and keep the organization's member count right."""
        ...

    def put_invite_link(self, link: InviteLink) -> None:
        """Make this the organization's one live link, instead of any before."""
        ...

    def add_account(self, account: Account) -> bool:
        """Add an account; False, changing nothing, when its issuer and subject are known."""
        ...

    def update_account(self, account: Account) -> None:
        """Write what the issuer says of the person, here and in the person's members."""
        ...

    def add_access_token(self, token: AccessToken, token_hash: bytes) -> None: ...
    def revoke_access_token(self, token_id: str, now: datetime) -> bool:
        """Revoke where not revoked yet; tell whether it was this call that did."""
        ...

    def revoke_user_access_tokens(self, user_id: str, now: datetime) -> None: ...
    def touch_access_tokens(self, last_used: dict[str, datetime]) -> None:
        """Write each token's time of last use, never backwards."""
        ...


class Store(Protocol):
    """Where everything is kept.

    `deadline` is in seconds of `time.monotonic`: work that can't be done by then is given up with
    `DEADLINE_PASSED`. A transaction opened inside another of the same thread is part of the outer one.
    """

    def snapshot(self, deadline: float | None = None) -> AbstractContextManager[Snapshot]: ...
    def transaction(self, deadline: float | None = None) -> AbstractContextManager[Transaction]: ...
    def ping(self) -> None:
        """Raise a `ServiceError` when the store can't be used."""
        ...

    def close(self) -> None: ...
