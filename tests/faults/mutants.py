"""The service with one safeguard taken out, each a mistake that is easily made. The checks must catch every one."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from server.domain.errors import INVITE_NOT_FOUND, LAST_ADMIN, ServiceError
from server.domain.invite_link import InviteLink, lookup_hash
from server.domain.organization import Member, MemberStatus, Role
from server.domain.secrets import SecretKeys
from server.main import Service, build_service, utc_now
from server.ports import Transaction
from server.service.call import Call, writing
from server.service.organizations import Organizations, admit
from server.store.sql import SqlTransaction
from server.store.sql_store import Current
from server.store.sqlite import SqliteStore

KEYS = SecretKeys([b"a key for tests of thirty-two bytes"])
_PAUSE_SECONDS = 0.002
"""Time between a look and what is done on it, in which others get in: what load does to real servers."""


class LookedUpBefore(Organizations):
    """Joins by a link that was looked up before the transaction."""

    def join_by_invite(self, call: Call, invite_id: str) -> Member:
        with self._store.snapshot() as tx:
            organization = tx.organization_by_invite(lookup_hash(invite_id))
        if organization is None:
            raise ServiceError(INVITE_NOT_FOUND)
        time.sleep(_PAUSE_SECONDS)
        with writing(self._store, call) as tx:
            return admit(tx, organization, call.caller.account, Role.MEMBER, ids=self._ids, clock=self._clock)


class AdminsCountedBefore(Organizations):
    """Counts the other admins before the transaction that lets one go."""

    def _go(self, call: Call, user_id: str, **change: Any) -> None:
        with self._store.snapshot() as tx:
            member = tx.member_by_user_id(user_id)
            assert member is not None
            if not tx.has_other_admin(member.organization_id, user_id):
                raise ServiceError(LAST_ADMIN)
        time.sleep(_PAUSE_SECONDS)
        with writing(self._store, call) as tx:
            tx.put_member(replace(member, **change))

    def leave(self, call: Call, user_id: str) -> None:
        self._go(call, user_id, status=MemberStatus.LEFT)

    def set_role(self, call: Call, organization_id: str, user_id: str, role: Role) -> None:
        if role is Role.ADMIN:
            super().set_role(call, organization_id, user_id, role)
        else:
            self._go(call, user_id, role=role)


class NoPrimaryKeyTransaction(SqlTransaction):
    """Replaces a link by looking for the old one, as one does where the schema doesn't hold it."""

    def put_invite_link(self, link: InviteLink) -> None:
        self._write("DELETE FROM links_without_key WHERE id = :id", id=link.id)
        self._write(
            "INSERT INTO links_without_key VALUES (:organization_id, :id, :key_id, :lookup_hash, :created_by, 0)",
            organization_id=link.organization_id,
            id=link.id,
            key_id=link.key_id,
            lookup_hash=link.lookup_hash,
            created_by=link.created_by,
        )


class NoPrimaryKeyStore(SqliteStore):
    """Keeps links in a table that would take two of one organization."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, utc_now)
        with self._writing(None) as execute:
            execute("CREATE TABLE links_without_key AS SELECT * FROM invite_links", {})
            execute("DROP TABLE invite_links", {})
            execute("CREATE VIEW invite_links AS SELECT * FROM links_without_key", {})

    def transaction(self, deadline: float | None = None) -> AbstractContextManager[Transaction]:
        return Current(self._local, self._writing(deadline), NoPrimaryKeyTransaction)


class AnsweredBeforeCommitStore(SqliteStore):
    """Answers what it wrote before it is committed, and commits a little later by itself."""

    @contextmanager
    def transaction(self, deadline: float | None = None) -> Iterator[Transaction]:
        # Each write is a transaction of its own: what was read may be old when it is acted on.
        with self._reading(deadline) as look:
            time.sleep(_PAUSE_SECONDS)
            yield SqlTransaction(self._torn(look))

    def _torn(self, look: Any) -> Any:
        def execute(sql: str, parameters: dict[str, Any]) -> Any:
            if sql.lstrip().startswith("SELECT"):
                return look(sql, parameters)
            with self._writing(None) as write:
                return write(sql, parameters)

        return execute


def service_with(store: SqliteStore, organizations: type[Organizations] = Organizations) -> Service:
    """Give the use cases with a mutant in their place."""
    service = build_service(store, KEYS)
    return replace(service, organizations=organizations(store, utc_now, service.organizations._ids))
