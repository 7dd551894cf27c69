"""Sessions of browsers, and codes to sign in with, in SQL."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from server.domain.account import Account
from server.domain.session import CodeMailState, Session, SignInCode
from server.store.sql_base import (
    ACCOUNT,
    Reads,
    Row,
    Writes,
    account_of,
    from_micros,
    made,
    micros_or_none,
    moment_or_none,
    to_micros,
)

_SESSION = "s.id, s.account_id, s.created_at, s.expires_at, s.revoked_at"
_SESSION_WIDTH = 5
_CODE = (
    "id, email, email_key, locale, key_id, mail_state, mail_attempts, next_attempt_at, wrong_guesses, created_at,"
    " expires_at, used_at"
)


def _session_and_account(row: Row) -> tuple[Session, Account]:
    session = Session(row[0], row[1], from_micros(row[2]), from_micros(row[3]), moment_or_none(row[4]))
    return session, account_of(row[_SESSION_WIDTH:])


def _code(row: Row) -> SignInCode:
    return SignInCode(
        row[0],
        row[1],
        row[2],
        row[3],
        row[4],
        CodeMailState(row[5]),
        row[6],
        from_micros(row[7]),
        row[8],
        from_micros(row[9]),
        from_micros(row[10]),
        moment_or_none(row[11]),
    )


class SessionReads(Reads):
    """See `ports.Snapshot`."""

    def session(self, token_hash: bytes) -> tuple[Session, Account] | None:
        row = self._one(
            f"SELECT {_SESSION}, {ACCOUNT} FROM sessions s JOIN accounts a ON a.id = s.account_id"
            " WHERE s.token_hash = :hash",
            hash=token_hash,
        )
        return made(_session_and_account, row)

    def sign_in_code(self, code_id: str) -> SignInCode | None:
        return made(_code, self._one(f"SELECT {_CODE} FROM sign_in_codes WHERE id = :id", id=code_id))

    def count_sign_in_codes_since(self, email_key: str, since: datetime) -> tuple[int, datetime | None]:
        count, first = self._all(
            "SELECT count(*), min(created_at) FROM sign_in_codes WHERE email_key = :email AND created_at > :since",
            {"email": email_key, "since": to_micros(since)},
        )[0]
        return int(count), moment_or_none(first)

    def due_sign_in_codes(self, now: datetime, limit: int) -> Sequence[SignInCode]:
        rows = self._all(
            f"SELECT {_CODE} FROM sign_in_codes WHERE mail_state = 'queued' AND next_attempt_at <= :now"
            " ORDER BY next_attempt_at, id LIMIT :limit",
            {"now": to_micros(now), "limit": limit},
        )
        return [_code(row) for row in rows]


class SessionWrites(Writes, SessionReads):
    """See `ports.Transaction`."""

    def add_session(self, session: Session, token_hash: bytes) -> None:
        self._write(
            "INSERT INTO sessions (id, account_id, token_hash, created_at, expires_at, revoked_at)"
            " VALUES (:id, :account_id, :token_hash, :created_at, :expires_at, :revoked_at)",
            id=session.id,
            account_id=session.account_id,
            token_hash=token_hash,
            created_at=to_micros(session.created_at),
            expires_at=to_micros(session.expires_at),
            revoked_at=micros_or_none(session.revoked_at),
        )

    def revoke_session(self, token_hash: bytes, now: datetime) -> bool:
        revoked = self._write(
            "UPDATE sessions SET revoked_at = :now WHERE token_hash = :hash AND revoked_at IS NULL",
            hash=token_hash,
            now=to_micros(now),
        )
        return revoked == 1

    def revoke_sessions(self, account_id: str, now: datetime) -> None:
        self._write(
            "UPDATE sessions SET revoked_at = :now WHERE account_id = :account AND revoked_at IS NULL",
            account=account_id,
            now=to_micros(now),
        )

    def forget_sessions(self, before: datetime, limit: int) -> int:
        return self._write(
            "DELETE FROM sessions WHERE id IN"
            " (SELECT id FROM sessions WHERE expires_at < :before ORDER BY expires_at, id LIMIT :limit)",
            before=to_micros(before),
            limit=limit,
        )

    def lock_address(self, email_key: str) -> None:
        if self._row_lock:
            # There may be no row yet to lock. In SQLite a write transaction is alone anyway.
            self._one("SELECT pg_advisory_xact_lock(hashtextextended(:key, 0))", key=email_key)

    def add_sign_in_code(self, code: SignInCode) -> None:
        self._write(
            f"INSERT INTO sign_in_codes ({_CODE}) VALUES (:id, :email, :email_key, :locale, :key_id, :mail_state,"
            " :mail_attempts, :next_attempt_at, :wrong_guesses, :created_at, :expires_at, :used_at)",
            id=code.id,
            email=code.email,
            email_key=code.email_key,
            locale=code.locale,
            key_id=code.key_id,
            mail_state=code.mail_state,
            mail_attempts=code.mail_attempts,
            next_attempt_at=to_micros(code.next_attempt_at),
            wrong_guesses=code.wrong_guesses,
            created_at=to_micros(code.created_at),
            expires_at=to_micros(code.expires_at),
            used_at=micros_or_none(code.used_at),
        )

    def lock_sign_in_code(self, code_id: str) -> SignInCode | None:
        row = self._one(f"SELECT {_CODE} FROM sign_in_codes WHERE id = :id{self._row_lock}", id=code_id)
        return made(_code, row)

    def update_sign_in_code(self, code: SignInCode) -> None:
        self._write(
            "UPDATE sign_in_codes SET wrong_guesses = :wrong_guesses, used_at = :used_at WHERE id = :id",
            id=code.id,
            wrong_guesses=code.wrong_guesses,
            used_at=micros_or_none(code.used_at),
        )

    def update_code_mail(self, code: SignInCode, attempts: int) -> bool:
        updated = self._write(
            "UPDATE sign_in_codes SET mail_state = :mail_state, mail_attempts = :mail_attempts,"
            " next_attempt_at = :next_attempt_at WHERE id = :id AND mail_state = 'queued' AND mail_attempts = :was",
            id=code.id,
            mail_state=code.mail_state,
            mail_attempts=code.mail_attempts,
            next_attempt_at=to_micros(code.next_attempt_at),
            was=attempts,
        )
        return updated == 1

    def forget_sign_in_codes(self, before: datetime, limit: int) -> int:
        return self._write(
            "DELETE FROM sign_in_codes WHERE id IN"
            " (SELECT id FROM sign_in_codes WHERE created_at < :before ORDER BY created_at, id LIMIT :limit)",
            before=to_micros(before),
            limit=limit,
        )
