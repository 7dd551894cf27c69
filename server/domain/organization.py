"""Organizations and their members: the words, and the rules that need no database."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import field, replace
from datetime import datetime
from enum import StrEnum
from typing import Any

from server.domain.account import Account
from server.domain.address import address_domain, domain_key
from server.domain.errors import ADMIN_REQUIRED, ServiceError, invalid_field
from server.domain.record import record
from server.domain.text import is_plain_line


class Role(StrEnum):
    """What a member may do: an admin everything, a member read and leave."""

    ADMIN = "admin"
    MEMBER = "member"

    def together_with(self, other: Role) -> Role:
        """Give what the two amount to for who has both."""
        return Role.ADMIN if Role.ADMIN in (self, other) else Role.MEMBER


class MemberStatus(StrEnum):
    """A member that left keeps its row, so that who returns is the same user again."""

    ACTIVE = "active"
    LEFT = "left"


@record
class Organization:
    """An organization. `invite_domains` are keys of e-mail domains whose verified owners may join by themselves."""

    id: str
    name: str
    invite_domains: tuple[str, ...]
    member_count: int
    created_at: datetime
    updated_at: datetime
    details: dict[str, Any] = field(default_factory=dict)
    """What only one wire knows of: a slug, a description, metadata."""

    def admits(self, account: Account) -> bool:
        """Whether the account may join by its e-mail domain alone."""
        return account.email_verified and address_domain(account.email) in self.invite_domains


@record
class Member:
    """An account's user in one organization. `user_id` is what Gitpod's wire calls `userId`.

    Name, address and picture are the account's, copied here so that listing an organization reads its rows alone.
    """

    user_id: str
    organization_id: str
    account_id: str
    role: Role
    status: MemberStatus
    joined_at: datetime
    full_name: str
    email: str
    avatar_url: str
    login_provider: str
    named_roles: tuple[str, ...] = ()
    """Ids of named roles, which come on top of `role`."""
    public_metadata: dict[str, Any] = field(default_factory=dict)
    private_metadata: dict[str, Any] = field(default_factory=dict)

    @property
    def is_active(self) -> bool:
        """Whether the member is in the organization now."""
        return self.status is MemberStatus.ACTIVE

    @property
    def is_admin(self) -> bool:
        """Whether the member may administer the organization now."""
        return self.is_active and self.role is Role.ADMIN

    def require_admin(self) -> None:
        """Refuse who isn't an admin (`ADMIN_REQUIRED`)."""
        if not self.is_admin:
            raise ServiceError(ADMIN_REQUIRED)

    def granted(
        self,
        role: Role,
        named_roles: Iterable[str],
        public_metadata: dict[str, Any],
        private_metadata: dict[str, Any],
    ) -> Member:
        """Give the member with these in addition: nothing that it has goes, save for metadata keys given anew."""
        return replace(
            self,
            role=self.role.together_with(role),
            named_roles=tuple(dict.fromkeys((*self.named_roles, *named_roles))),
            public_metadata=self.public_metadata | public_metadata,
            private_metadata=self.private_metadata | private_metadata,
        )


@record
class Membership:
    """One of an account's memberships, with what a list of organizations shows."""

    member: Member
    organization: Organization


def merged(kept: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """Give metadata with changes merged in: objects key by key at every depth, and a key of None is removed."""
    result = dict(kept)
    for key, value in changes.items():
        if value is None:
            result.pop(key, None)
        elif isinstance(value, dict):
            known = result.get(key)
            result[key] = merged(known if isinstance(known, dict) else {}, value)
        else:
            result[key] = value
    return result


def normalized_invite_domains(domains: tuple[str, ...]) -> tuple[str, ...]:
    """Give the domains' keys, each once, in the order given."""
    return tuple(dict.fromkeys(domain_key(domain) for domain in domains))


MIN_NAME_LENGTH = 3
MAX_NAME_LENGTH = 256


def organization_name(text: str) -> str:
    """Give the name as it is kept: trimmed, of 3 to 256 characters on one line; `INVALID_REQUEST` otherwise."""
    name = text.strip()
    if not MIN_NAME_LENGTH <= len(name) <= MAX_NAME_LENGTH:
        raise invalid_field(
            "name", f"must have {MIN_NAME_LENGTH} to {MAX_NAME_LENGTH} characters without spaces around them"
        )
    if not is_plain_line(name):
        raise invalid_field("name", "must be one line without control or text direction characters")
    return name
