"""What the service needs from outside: a clock, ids, a store, and the word of sign-in providers.

A store is a written contract. Every engine passes the suite in `tests/store/`; what a method promises stands here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import field
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from server.domain.account import AccessToken, Account, BackendKey, Claims
from server.domain.invitation import DeliveryState, Invitation, InvitationStatus, NamedRole
from server.domain.invite_link import InviteLink
from server.domain.organization import Member, Membership, MemberStatus, Organization, Role
from server.domain.record import record
from server.domain.session import Session, SignInCode

Clock = Callable[[], datetime]
"""Gives the time as an aware datetime in UTC, to the microsecond."""

Ids = Callable[[], str]
"""Gives a fresh UUID as text, of version 4 or 7."""


class TokenVerifier(Protocol):
    """Checks the tokens of trusted OpenID Connect issuers."""

    def verify(self, token: str) -> Claims:
        """Give what the token says; `CREDENTIALS_INVALID` or `ISSUER_UNAVAILABLE` otherwise."""
        ...


class SignInProvider(Protocol):
    """The OpenID Connect provider at which people sign in to the pages (code flow with PKCE)."""

    @property
    def issuer(self) -> str: ...
    def authorization_url(self, *, state: str, nonce: str, verifier: str, choose_account: bool) -> str:
        """Give where to send the browser; `ISSUER_UNAVAILABLE` when the provider can't be reached.

        With `choose_account` the provider is to ask who the person is even where it remembers.
        """
        ...

    def claims(self, code: str, *, nonce: str, verifier: str) -> Claims:
        """Give what the provider says of the person for the code that it sent the browser back with.

        `SIGN_IN_REFUSED` when that isn't right, `ISSUER_UNAVAILABLE` when it can't be reached.
        """
        ...


@record
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


@record
class MemberOrder:
    """By name or by time of joining; the user id breaks ties, so that every row has one place."""

    by: str = "name"
    descending: bool = False


@record
class MemberPage:
    """Members in order, and the place after the last of them (None at the end)."""

    members: tuple[Member, ...]
    after: tuple[str | int, str] | None


@record
class InvitationFilter:
    """Which invitations; an empty part doesn't filter.

    `email_key`, `email_search` (a part of the address) and `search` (also of the inviter's name) are keys
    (`address.fold`); statuses are as computed at `now`.
    """

    now: datetime
    organization_ids: tuple[str, ...] = ()
    statuses: tuple[InvitationStatus, ...] = ()
    delivery_states: tuple[DeliveryState, ...] = ()
    email_key: str = ""
    email_search: str = ""
    search: str = ""
    inviter_account_id: str = ""
    created_from: datetime | None = None
    created_before: datetime | None = None


@record
class InvitationOrder:
    """By time of creation, time of expiry or address; the id breaks ties."""

    by: str = "created_at"
    descending: bool = True


@record
class InvitationPage:
    """Invitations in order, and the place after the last of them (None at the end)."""

    invitations: tuple[Invitation, ...]
    after: tuple[str | int, str] | None


class MailState(StrEnum):
    """Where a mail in the outbox stands. SUPERSEDED: a newer one of the same invitation goes out instead."""

    QUEUED = "queued"
    SENT = "sent"
    FAILED = "failed"
    SUPERSEDED = "superseded"


@record
class OutboxMail:
    """A mail that is to go out. It names the invitation; text and secrets are made when it is sent.

    `link` is a link of the caller's own to put in the mail, sealed; empty for ours.
    """

    id: str
    organization_id: str
    invitation_id: str
    generation: int
    email_key: str
    state: MailState
    attempts: int
    error: str
    link: str
    created_at: datetime
    next_attempt_at: datetime
    sent_at: datetime | None


@record
class StoredAnswer:
    """What an idempotency key stands for: the request's fingerprint, and the sealed answer (None before it's known)."""

    fingerprint: bytes
    answer: bytes | None


class Sealing(Protocol):
    """Encrypts what may be kept but not read from a copied database."""

    def seal(self, purpose: str, content: bytes) -> bytes:
        """Give the content encrypted and authenticated, bound to the purpose."""
        ...

    def open(self, purpose: str, sealed: bytes) -> bytes:
        """Give the content back; ValueError when it wasn't sealed for this purpose with a key we have."""
        ...


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

    def organizations(self, search: str, offset: int, limit: int) -> tuple[Sequence[Organization], int]:
        """Give organizations of the instance, the newest first, and how many there are; `search` is a key."""
        ...

    def members_by_offset(self, organization_id: str, offset: int, limit: int) -> Sequence[Member]:
        """Give active members, those who joined last first."""
        ...

    def member_by_email(self, organization_id: str, email_key: str) -> Member | None:
        """Give an active member with this address."""
        ...

    def invitation(self, invitation_id: str) -> Invitation | None: ...
    def invitation_by_token(self, token_hash: bytes) -> Invitation | None: ...
    def pending_invitation(self, organization_id: str, email_key: str) -> Invitation | None:
        """Give the one that is stored as pending, expired or not."""
        ...

    def invitations(
        self,
        invitation_filter: InvitationFilter,
        order: InvitationOrder,
        after: tuple[str | int, str] | None = None,
        *,
        limit: int,
        offset: int = 0,
    ) -> InvitationPage: ...
    def count_invitations(self, invitation_filter: InvitationFilter) -> int: ...
    def count_mails_since(self, email_key: str, since: datetime) -> tuple[int, datetime | None]:
        """Give how many mails to an address were queued since a moment, and when the first of them was."""
        ...

    def due_mails(self, now: datetime, limit: int) -> Sequence[OutboxMail]:
        """Give queued mails whose next attempt is due, the longest due first."""
        ...

    def mails(self, states: tuple[MailState, ...], limit: int) -> Sequence[OutboxMail]:
        """Give mails in some states (all, when empty), the newest first."""
        ...

    def named_roles(self) -> Sequence[NamedRole]:
        """Give all named roles of the instance, by name."""
        ...

    def backend_key(self, key_hash: bytes) -> BackendKey | None: ...
    def backend_keys(self) -> Sequence[BackendKey]:
        """Give all keys that aren't revoked, the oldest first."""
        ...

    def access_token_by_id(self, token_id: str) -> AccessToken | None: ...
    def access_tokens(
        self, account_id: str, user_ids: tuple[str, ...], *, of_users_only: bool, after: str, limit: int
    ) -> Sequence[AccessToken]:
        """Give the account's tokens that aren't revoked, by id, those after the id `after`."""
        ...

    def session(self, token_hash: bytes) -> tuple[Session, Account] | None:
        """Give the session with this SHA-256 and its account, also when it is expired or revoked."""
        ...

    def sign_in_code(self, code_id: str) -> SignInCode | None: ...
    def count_sign_in_codes_since(self, email_key: str, since: datetime) -> tuple[int, datetime | None]:
        """Give how many codes for an address were asked for since a moment, and when the first of them was."""
        ...

    def due_sign_in_codes(self, now: datetime, limit: int) -> Sequence[SignInCode]:
        """Give codes whose mail is queued and due, the longest due first."""
        ...


class Transaction(Snapshot, Protocol):
    """Reads and writes that happen together or not at all.

    What is decided on what was read holds: a write transaction that began with `hold_organization` sees no change
    to that organization, its members, links and invitations by others until it ends.
    """

    def hold_organization(self, organization_id: str) -> None:
        """Keep others from changing the organization until this ends; where there is none nothing happens."""
        ...

    def lock_organization(self, organization_id: str) -> Organization | None:
        """Hold the organization, and give it as it stands."""
        ...

    def lock_organization_by_invite(self, lookup_hash: bytes) -> Organization | None:
        """Hold the organization whose live link has this hash, and give it as it stands."""
        ...

    def add_organization(self, organization: Organization) -> None: ...
    def update_organization(self, organization: Organization) -> None:
        """Write name, invite domains and time of change."""
        ...

    def delete_organization(self, organization_id: str) -> None:
        """Remove it with its members, links and its users' tokens."""
        ...

    def add_member(self, member: Member) -> None:
        """Write a member with a fresh user id, and keep the organization's member count right."""
        ...

    def put_member(self, member: Member) -> None:
        """Write a member whole, new or known, and keep the organization's member count right."""
        ...

    def put_invite_link(self, link: InviteLink) -> None:
        """Make this the organization's one live link, instead of any before."""
        ...

    def delete_invite_link(self, organization_id: str) -> None:
        """Leave the organization without a live link."""
        ...

    def add_account(self, account: Account) -> bool:
        """Add an account; False, changing nothing, when its issuer and subject are known."""
        ...

    def update_account(self, account: Account) -> None:
        """Write what the issuer says of the person, here and in the person's members."""
        ...

    def add_invitation(self, invitation: Invitation) -> bool:
        """Add a pending invitation; False, changing nothing, when the address has one in this organization."""
        ...

    def update_invitation(self, invitation: Invitation, was: InvitationStatus) -> bool:
        """Write an invitation where it is still stored as `was`; tell whether it was.

        False also when it would become a second pending one of its address.
        """
        ...

    def delete_invitation(self, invitation_id: str) -> bool: ...
    def queue_mail(self, mail: OutboxMail) -> None:
        """Add a mail; older queued ones of the same invitation are superseded."""
        ...

    def update_mail(self, mail: OutboxMail, attempts: int) -> bool:
        """Write a mail where it is queued with so many attempts; tell whether it was."""
        ...

    def set_delivery(self, invitation_id: str, generation: int, state: DeliveryState, error: str) -> None:
        """Write how the mail of this generation of an invitation fared."""
        ...

    def requeue_failed_mails(self, now: datetime, mail_ids: tuple[str, ...]) -> int:
        """Make failed mails (these, or all) due now, with fresh attempts; tell how many."""
        ...

    def forget_mails(self, before: datetime, limit: int) -> int:
        """Remove mails that were queued before a moment and don't wait any more; tell how many."""
        ...

    def lock_limit_use(self, limit: str, subject: str) -> datetime:
        """Give when a subject has back all that it used of a limit; nobody else changes that until the end."""
        ...

    def put_limit_use(self, limit: str, subject: str, full_at: datetime) -> None:
        """Keep when a subject will have back all that it used of a limit."""
        ...

    def forget_limit_uses(self, now: datetime, limit: int) -> int:
        """Remove uses of which everything has come back; tell how many."""
        ...

    def add_named_role(self, role: NamedRole) -> bool:
        """Add a role; False, changing nothing, when its key or name is taken."""
        ...

    def delete_named_role(self, role_id: str) -> bool: ...
    def add_backend_key(self, key: BackendKey, key_hash: bytes) -> None: ...
    def revoke_backend_key(self, key_id: str, now: datetime) -> bool: ...
    def touch_backend_keys(self, last_used: dict[str, datetime]) -> None: ...
    def claim_answer(
        self, caller: str, key: str, fingerprint: bytes, now: datetime, kept_since: datetime
    ) -> StoredAnswer | None:
        """Take an idempotency key for a request; give what it stands for already, when it is taken.

        What was taken before `kept_since` counts as free. Where another transaction is taking the same key, this waits
        for its outcome.
        """
        ...

    def store_answer(self, caller: str, key: str, answer: bytes) -> None: ...
    def forget_answers(self, before: datetime, limit: int) -> int: ...
    def add_access_token(self, token: AccessToken, token_hash: bytes) -> None: ...
    def revoke_access_token(self, token_id: str, now: datetime) -> bool:
        """Revoke where not revoked yet; tell whether it was this call that did."""
        ...

    def add_session(self, session: Session, token_hash: bytes) -> None: ...
    def revoke_session(self, token_hash: bytes, now: datetime) -> bool:
        """Revoke where not revoked yet; tell whether it was this call that did."""
        ...

    def revoke_sessions(self, account_id: str, now: datetime) -> None: ...
    def forget_sessions(self, before: datetime, limit: int) -> int:
        """Remove sessions that expired before a moment; tell how many."""
        ...

    def lock_address(self, email_key: str) -> None:
        """Let nobody else go on with this address until the transaction ends, who locks it too."""
        ...

    def add_sign_in_code(self, code: SignInCode) -> None: ...
    def lock_sign_in_code(self, code_id: str) -> SignInCode | None: ...
    def update_sign_in_code(self, code: SignInCode) -> None:
        """Write how often it was guessed wrong and when it was used, of a code that is locked."""
        ...

    def update_code_mail(self, code: SignInCode, attempts: int) -> bool:
        """Write how the mail fares where it is queued with so many attempts; tell whether it was."""
        ...

    def forget_sign_in_codes(self, before: datetime, limit: int) -> int:
        """Remove codes that were asked for before a moment; tell how many."""
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
    def look(self, deadline: float | None = None) -> AbstractContextManager[Snapshot]:
        """Give reads that needn't be from one moment: a cheap snapshot for whoever reads once."""
        ...

    def transaction(self, deadline: float | None = None) -> AbstractContextManager[Transaction]: ...
    def version(self) -> int | None:
        """Give a number that is another once anything has changed; None where that can't be told at little cost.

        What this process has committed shows at once, what others have within half a second.
        """
        ...

    def ping(self) -> None:
        """Raise a `ServiceError` when the store can't be used."""
        ...

    def close(self) -> None: ...


@record
class InvitationMail:
    """What a mail that invites one person says. `id` is the same however often it is tried.

    Names are as people gave them: who writes the mail makes them harmless. `link` is a secret, and never logged.
    """

    id: str
    email: str
    locale: str
    organization: str
    inviter: str
    role: Role
    named_roles: tuple[str, ...]
    link: str = field(repr=False)
    written_at: datetime
    expires_at: datetime


@record
class SignInMail:
    """A mail with a code to sign in with. `site` is the host that it signs in to. `code` is a secret."""

    id: str
    email: str
    locale: str
    site: str
    code: str = field(repr=False)
    written_at: datetime
    expires_at: datetime


Mail = InvitationMail | SignInMail


class MailError(Exception):
    """A mail couldn't be handed over, and may be later; the text says why."""


class MailRefusedError(MailError):
    """The mail is refused for good."""


class MailServerError(MailError):
    """No mail at all can be handed over at the moment."""


class Mailer(Protocol):
    """Writes mails and hands them to a mail server."""

    def session(self) -> AbstractContextManager[Callable[[Mail], None]]:
        """Give what hands one mail over, or raises a `MailError`; the mails of a session may share a connection."""
        ...
