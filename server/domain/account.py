"""People: accounts, what a sign-in provider says about them, and who is calling."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from server.domain.errors import SCOPE_MISSING, ServiceError
from server.domain.record import record

LOCAL_ISSUER = "local"
"""Issuer of the accounts that an operator creates at the command line; their subject is the e-mail address."""


@record
class Claims:
    """What a trusted issuer says about a person. Identity is `issuer` and `subject` together, nothing else."""

    issuer: str
    subject: str
    name: str
    email: str
    email_verified: bool
    avatar_url: str = ""


@record
class Account:
    """A person. `id` is a UUID; `email` is as the person writes it, `email_verified` by the issuer's word."""

    id: str
    issuer: str
    subject: str
    name: str
    email: str
    email_verified: bool
    avatar_url: str
    created_at: datetime
    updated_at: datetime

    @property
    def login_provider(self) -> str:
        """How this person signs in: the issuer's host, or `local`."""
        return self.issuer.removeprefix("https://").removeprefix("http://").split("/")[0]


@record
class AccessToken:
    """A token of ours, without the secret. `user_id` is set when it belongs to one organization's user."""

    id: str
    account_id: str
    user_id: str | None
    organization_id: str | None
    description: str
    read_only: bool
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None
    revoked_at: datetime | None

    def usable_at(self, now: datetime) -> bool:
        """Whether the token opens anything at `now`."""
        return self.revoked_at is None and (self.expires_at is None or now < self.expires_at)


@record
class Caller:
    """Who is calling, as proven by a token.

    `organization_id` and `user_id` are set for a token of one organization's user: it reaches that organization
    alone. They are None for a token of the account, which reaches all of its organizations.
    """

    account: Account
    read_only: bool = False
    user_id: str | None = None
    organization_id: str | None = None

    @property
    def account_id(self) -> str:
        """Id of the calling account."""
        return self.account.id

    def reaches(self, organization_id: str) -> bool:
        """Whether this caller's token is good for the organization at all."""
        return self.organization_id in (None, organization_id)


class Scope(StrEnum):
    """What a backend key may do."""

    ORGANIZATIONS_READ = "organizations:read"
    ORGANIZATIONS_WRITE = "organizations:write"
    MEMBERS_READ = "members:read"
    MEMBERS_WRITE = "members:write"
    INVITATIONS_READ = "invitations:read"
    INVITATIONS_WRITE = "invitations:write"
    ROLES_READ = "roles:read"
    ROLES_WRITE = "roles:write"


@record
class BackendKey:
    """A key of a service of the operator's: no person, with rights over organizations as far as its scopes go.

    `organization_ids` empty means all organizations; `scopes` are never empty.
    """

    id: str
    name: str
    organization_ids: tuple[str, ...]
    scopes: tuple[Scope, ...]
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None
    revoked_at: datetime | None

    def usable_at(self, now: datetime) -> bool:
        """Whether the key opens anything at `now`."""
        return self.revoked_at is None and (self.expires_at is None or now < self.expires_at)

    def reaches(self, organization_id: str) -> bool:
        """Whether the key is good for the organization at all."""
        return not self.organization_ids or organization_id in self.organization_ids

    def require(self, scope: Scope) -> None:
        """Refuse what the key's scopes don't hold."""
        if scope not in self.scopes:
            raise ServiceError(SCOPE_MISSING, {"scope": scope.value})
