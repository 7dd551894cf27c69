"""Invitations to an address: the words, the states, and the moves between them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from server.domain.account import Account
from server.domain.address import address_key
from server.domain.errors import (
    EMAIL_NOT_VERIFIED_FOR_INVITATION,
    INVITATION_ALREADY_ACCEPTED,
    INVITATION_DECLINED,
    INVITATION_EXPIRED,
    INVITATION_REVOKED,
    INVITATION_WRONG_ACCOUNT,
    Reason,
    ServiceError,
    invalid_field,
)
from server.domain.organization import Role
from server.domain.record import record

DEFAULT_TTL = timedelta(days=30)
SHORTEST_TTL = timedelta(hours=1)
LONGEST_TTL = timedelta(days=365)


class InvitationStatus(StrEnum):
    """Where an invitation stands. EXPIRED is computed from the time; it is written only to make room for another."""

    PENDING = "pending"
    ACCEPTED = "accepted"
    DECLINED = "declined"
    REVOKED = "revoked"
    EXPIRED = "expired"


class DeliveryState(StrEnum):
    """Where the mail of an invitation stands."""

    NOT_REQUESTED = "not_requested"
    QUEUED = "queued"
    SENT = "sent"
    FAILED = "failed"


class IfPending(StrEnum):
    """What to do when the address has a pending invitation already."""

    REFUSE = "refuse"
    RENEW = "renew"
    REPLACE = "replace"


_DEAD: Mapping[InvitationStatus, Reason] = {
    InvitationStatus.ACCEPTED: INVITATION_ALREADY_ACCEPTED,
    InvitationStatus.DECLINED: INVITATION_DECLINED,
    InvitationStatus.REVOKED: INVITATION_REVOKED,
    InvitationStatus.EXPIRED: INVITATION_EXPIRED,
}


@record
class Invitation:
    """An invitation of one person, by address, into one organization.

    `stored_status` is what the row says; ask `status_at`. `named_roles` are ids of named roles, which add to `role`.
    The token that is mailed is derived from `id` and `generation` (`SecretKeys.invitation_token`), and never kept.
    """

    id: str
    organization_id: str
    email: str
    role: Role
    named_roles: tuple[str, ...]
    stored_status: InvitationStatus
    inviter_account_id: str | None
    inviter_name: str
    public_metadata: dict[str, Any]
    private_metadata: dict[str, Any]
    redirect_url: str
    locale: str
    delivery_state: DeliveryState
    delivery_error: str
    generation: int
    key_id: str
    token_hash: bytes
    created_at: datetime
    updated_at: datetime
    expires_at: datetime
    responded_at: datetime | None
    accepted_account_id: str | None

    @property
    def email_key(self) -> str:
        """What the address is compared by."""
        return address_key(self.email)

    def status_at(self, now: datetime) -> InvitationStatus:
        """Where the invitation stands at a moment."""
        if self.stored_status is InvitationStatus.PENDING and now >= self.expires_at:
            return InvitationStatus.EXPIRED
        return self.stored_status

    def require_pending(self, now: datetime) -> None:
        """Refuse an invitation that can't be answered any more, with the reason why."""
        reason = _DEAD.get(self.status_at(now))
        if reason is not None:
            raise ServiceError(reason, {"email": masked_address(self.email)})

    def require_addressee(self, account: Account) -> None:
        """Refuse an account that can't show that the invited address is its own."""
        if address_key(account.email) != self.email_key:
            raise ServiceError(INVITATION_WRONG_ACCOUNT, {"email": masked_address(self.email)})
        if not account.email_verified:
            raise ServiceError(EMAIL_NOT_VERIFIED_FOR_INVITATION, {"email": masked_address(self.email)})


@record
class NamedRole:
    """A role of the instance with a name of its own and the rights of `rights`. `key` is unique."""

    id: str
    key: str
    name: str
    description: str
    rights: Role


def invitation_link(public_url: str, redirect_url: str, token: str) -> str:
    """Give the link by which an invitation is answered: at a redirect URL that was allowed, or else at our own page.

    The token stands in the fragment, which browsers send to no server: it stays out of logs and referrers.
    """
    if not redirect_url:
        return f"{public_url}/invitations#{token}"
    return f"{redirect_url}{'&' if '#' in redirect_url else '#'}invitation_token={token}"


def token_hash(token: str) -> bytes:
    """Give what a mailed token is looked up by: SHA-256, enough for 256 unguessable bits."""
    return hashlib.sha256(b"invitation\0" + token.encode()).digest()


def masked_address(address: str) -> str:
    """Give an address as strangers may see it: `a***@example.com`."""
    local, _, domain = address.rpartition("@")
    return f"{local[:1]}***@{domain}"


def invitation_expiry(now: datetime, ttl: timedelta | None, field_path: str = "ttl") -> datetime:
    """Give when an invitation made now ends; a ttl of None means 30 days. `INVALID_REQUEST` beyond the limits."""
    span = DEFAULT_TTL if ttl is None else ttl
    if not SHORTEST_TTL <= span <= LONGEST_TTL:
        raise invalid_field(field_path, "must be from 1 hour to 365 days")
    return now + span
