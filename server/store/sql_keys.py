"""Backend keys and idempotency keys in SQL."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from server.domain.account import BackendKey, Scope
from server.ports import StoredAnswer
from server.store.sql_base import Reads, Row, Writes, from_micros, made, micros_or_none, moment_or_none, to_micros

_COLUMNS = "id, name, organization_ids, scopes, created_at, expires_at, last_used_at, revoked_at"


def _key(row: Row) -> BackendKey:
    return BackendKey(
        row[0],
        row[1],
        tuple(row[2].split()),
        tuple(Scope(scope) for scope in row[3].split()),
        from_micros(row[4]),
        moment_or_none(row[5]),
        moment_or_none(row[6]),
        moment_or_none(row[7]),
    )


class KeyReads(Reads):
    """See `ports.Snapshot`."""

    def backend_key(self, key_hash: bytes) -> BackendKey | None:
        return made(_key, self._one(f"SELECT {_COLUMNS} FROM backend_keys WHERE key_hash = :hash", hash=key_hash))

    def backend_keys(self) -> Sequence[BackendKey]:
        rows = self._all(f"SELECT {_COLUMNS} FROM backend_keys WHERE revoked_at IS NULL ORDER BY created_at, id", {})
        return [_key(row) for row in rows]


class KeyWrites(Writes, KeyReads):
    """See `ports.Transaction`."""

    def add_backend_key(self, key: BackendKey, key_hash: bytes) -> None:
        self._write(
            f"INSERT INTO backend_keys ({_COLUMNS}, key_hash) VALUES (:id, :name, :organization_ids, :scopes,"
            " :created_at, :expires_at, :last_used_at, :revoked_at, :key_hash)",
            id=key.id,
            name=key.name,
            organization_ids=" ".join(key.organization_ids),
            scopes=" ".join(key.scopes),
            created_at=to_micros(key.created_at),
            expires_at=micros_or_none(key.expires_at),
            last_used_at=micros_or_none(key.last_used_at),
            revoked_at=micros_or_none(key.revoked_at),
            key_hash=key_hash,
        )

    def revoke_backend_key(self, key_id: str, now: datetime) -> bool:
        revoked = self._write(
            "UPDATE backend_keys SET revoked_at = :now WHERE id = :id AND revoked_at IS NULL",
            id=key_id,
            now=to_micros(now),
        )
        return revoked == 1

    def touch_backend_keys(self, last_used: dict[str, datetime]) -> None:
        for key_id, moment in sorted(last_used.items()):
            self._write(
                "UPDATE backend_keys SET last_used_at = :moment WHERE id = :id"
                " AND (last_used_at IS NULL OR last_used_at < :moment)",
                id=key_id,
                moment=to_micros(moment),
            )

    def claim_answer(
        self, caller: str, key: str, fingerprint: bytes, now: datetime, kept_since: datetime
    ) -> StoredAnswer | None:
        claimed = self._write(
            "INSERT INTO idempotency_keys (caller, key, fingerprint, answer, created_at)"
            " VALUES (:caller, :key, :fingerprint, NULL, :now) ON CONFLICT (caller, key)"
            " DO UPDATE SET fingerprint = excluded.fingerprint, answer = NULL, created_at = excluded.created_at"
            " WHERE idempotency_keys.created_at < :kept_since",
            caller=caller,
            key=key,
            fingerprint=fingerprint,
            now=to_micros(now),
            kept_since=to_micros(kept_since),
        )
        if claimed:
            return None
        row = self._one(
            "SELECT fingerprint, answer FROM idempotency_keys WHERE caller = :caller AND key = :key",
            caller=caller,
            key=key,
        )
        return made(lambda found: StoredAnswer(bytes(found[0]), None if found[1] is None else bytes(found[1])), row)

    def store_answer(self, caller: str, key: str, answer: bytes) -> None:
        self._write(
            "UPDATE idempotency_keys SET answer = :answer WHERE caller = :caller AND key = :key",
            caller=caller,
            key=key,
            answer=answer,
        )

    def forget_answers(self, before: datetime, limit: int) -> int:
        return self._write(
            "DELETE FROM idempotency_keys WHERE (caller, key) IN"
            " (SELECT caller, key FROM idempotency_keys WHERE created_at < :before LIMIT :limit)",
            before=to_micros(before),
            limit=limit,
        )
