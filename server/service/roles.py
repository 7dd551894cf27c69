"""Roles: admin and member, and named roles of the instance with the rights of one of the two."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from server.domain.account import Scope
from server.domain.errors import ROLE_IN_USE, ROLE_NOT_FOUND, SCOPE_MISSING, ServiceError, invalid_field
from server.domain.invitation import NamedRole
from server.domain.organization import Role
from server.domain.text import is_plain_line
from server.ports import Ids, Snapshot, Store
from server.service.call import Call

_KEY = re.compile(r"[a-z0-9][a-z0-9:_-]{0,63}")


@dataclass(frozen=True, slots=True)
class Rights:
    """What some roles give together."""

    role: Role
    named_roles: tuple[str, ...]


def rights_of(tx: Snapshot, roles: Sequence[str]) -> Rights:
    """Give what roles (keys or ids; `admin` and `member` too) give together; `ROLE_NOT_FOUND` for an unknown one."""
    named = {}
    if any(role not in tuple(Role) for role in roles):
        for known in tx.named_roles():
            named[known.id] = named[known.key] = known
    rights, ids = Role.MEMBER, []
    for role in roles:
        if role in tuple(Role):
            given = Role(role)
        elif role in named:
            given = named[role].rights
            ids.append(named[role].id)
        else:
            raise ServiceError(ROLE_NOT_FOUND, {"role": role[:64]})
        rights = rights.together_with(given)
    return Rights(rights, tuple(dict.fromkeys(ids)))


@dataclass(frozen=True, slots=True)
class Roles:
    """The use cases of named roles; for the operator, and for backend keys."""

    store: Store
    ids: Ids

    def create(
        self, key: str, name: str, *, description: str = "", rights: Role = Role.MEMBER, call: Call | None = None
    ) -> NamedRole:
        """Add a role; `ROLE_IN_USE` when its key or name is taken. Without a call, as the operator."""
        if call is not None and call.require_backend(Scope.ROLES_WRITE).organization_ids:
            # Roles are the instance's; a key confined to some organizations has no say in others.
            raise ServiceError(SCOPE_MISSING, {"scope": Scope.ROLES_WRITE.value})
        if not _KEY.fullmatch(key):
            raise invalid_field("key", "must be 1 to 64 of a-z, 0-9, ':', '_' and '-'")
        if not 1 <= len(name) <= 128 or not is_plain_line(name) or not is_plain_line(description):
            raise invalid_field("name", "must be one line of 1 to 128 characters")
        role = NamedRole(self.ids(), key, name, description, rights)
        if key in tuple(Role):
            raise ServiceError(ROLE_IN_USE, {"role": key})
        with self.store.transaction() as tx:
            if not tx.add_named_role(role):
                raise ServiceError(ROLE_IN_USE, {"role": key})
        return role

    def list(self, call: Call | None = None) -> Sequence[NamedRole]:
        """List the named roles of the instance."""
        if call is not None:
            call.require_backend(Scope.ROLES_READ)
        with self.store.snapshot() as tx:
            return tx.named_roles()
