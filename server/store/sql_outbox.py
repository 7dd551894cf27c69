"""Mails that wait to go out, in SQL."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from server.ports import MailState, OutboxMail
from server.store.sql_base import (
    Reads,
    Row,
    Writes,
    from_micros,
    in_list,
    micros_or_none,
    moment_or_none,
    to_micros,
)

_COLUMNS = (
    "id, organization_id, invitation_id, generation, email_key, state, attempts, error, link, created_at,"
    " next_attempt_at, sent_at"
)

_QUEUE = (
    f"INSERT INTO outbox ({_COLUMNS}) VALUES (:id, :organization_id, :invitation_id, :generation, :email_key, :state,"
    " :attempts, :error, :link, :created_at, :next_attempt_at, :sent_at)"
)


def _mail(row: Row) -> OutboxMail:
    return OutboxMail(
        row[0],
        row[1],
        row[2],
        row[3],
        row[4],
        MailState(row[5]),
        row[6],
        row[7],
        row[8],
        from_micros(row[9]),
        from_micros(row[10]),
        moment_or_none(row[11]),
    )


class OutboxReads(Reads):
    """See `ports.Snapshot`."""

    def count_mails_since(self, email_key: str, since: datetime) -> tuple[int, datetime | None]:
        count, first = self._all(
            "SELECT count(*), min(created_at) FROM outbox WHERE email_key = :email AND created_at > :since",
            {"email": email_key, "since": to_micros(since)},
        )[0]
        return int(count), moment_or_none(first)

    def due_mails(self, now: datetime, limit: int) -> Sequence[OutboxMail]:
        rows = self._all(
            f"SELECT {_COLUMNS} FROM outbox WHERE state = 'queued' AND next_attempt_at <= :now"
            " ORDER BY next_attempt_at, id LIMIT :limit",
            {"now": to_micros(now), "limit": limit},
        )
        return [_mail(row) for row in rows]

    def mails(self, states: tuple[MailState, ...], limit: int) -> Sequence[OutboxMail]:
        parameters: dict[str, Any] = {"limit": limit}
        where = in_list("state", "state", states, parameters) if states else "1 = 1"
        rows = self._all(
            f"SELECT {_COLUMNS} FROM outbox WHERE {where} ORDER BY created_at DESC, id DESC LIMIT :limit", parameters
        )
        return [_mail(row) for row in rows]


class OutboxWrites(Writes, OutboxReads):
    """See `ports.Transaction`."""

    def queue_mail(self, mail: OutboxMail) -> None:
        if mail.generation > 1:
            self._write(
                "UPDATE outbox SET state = 'superseded' WHERE invitation_id = :invitation_id AND state = 'queued'",
                invitation_id=mail.invitation_id,
            )
        self._write(
            _QUEUE,
            id=mail.id,
            organization_id=mail.organization_id,
            invitation_id=mail.invitation_id,
            generation=mail.generation,
            email_key=mail.email_key,
            state=mail.state,
            attempts=mail.attempts,
            error=mail.error,
            link=mail.link,
            created_at=to_micros(mail.created_at),
            next_attempt_at=to_micros(mail.next_attempt_at),
            sent_at=micros_or_none(mail.sent_at),
        )

    def update_mail(self, mail: OutboxMail, attempts: int) -> bool:
        updated = self._write(
            "UPDATE outbox SET state = :state, attempts = :attempts, error = :error,"
            " next_attempt_at = :next_attempt_at, sent_at = :sent_at"
            " WHERE id = :id AND state = 'queued' AND attempts = :was",
            id=mail.id,
            state=mail.state,
            attempts=mail.attempts,
            error=mail.error,
            next_attempt_at=to_micros(mail.next_attempt_at),
            sent_at=micros_or_none(mail.sent_at),
            was=attempts,
        )
        return updated == 1

    def requeue_failed_mails(self, now: datetime, mail_ids: tuple[str, ...]) -> int:
        parameters: dict[str, Any] = {"now": to_micros(now)}
        where = " AND " + in_list("id", "mail", mail_ids, parameters) if mail_ids else ""
        return self._write(
            "UPDATE outbox SET state = 'queued', attempts = 0, error = '', next_attempt_at = :now"
            f" WHERE state = 'failed'{where}",
            **parameters,
        )

    def forget_mails(self, before: datetime, limit: int) -> int:
        return self._write(
            "DELETE FROM outbox WHERE id IN (SELECT id FROM outbox WHERE created_at < :before AND state <> 'queued'"
            " ORDER BY created_at, id LIMIT :limit)",
            before=to_micros(before),
            limit=limit,
        )

    def lock_limit_use(self, limit: str, subject: str) -> datetime:
        if not self._row_lock:
            found = self._one(
                "SELECT full_at FROM limit_uses WHERE limit_name = :limit AND subject = :subject",
                limit=limit,
                subject=subject,
            )
            return from_micros(0 if found is None else found[0])
        # Written even if it is new, since a row that isn't there can't be locked.
        row = self._one(
            "INSERT INTO limit_uses (limit_name, subject, full_at) VALUES (:limit, :subject, 0)"
            " ON CONFLICT (limit_name, subject) DO UPDATE SET full_at = limit_uses.full_at RETURNING full_at",
            limit=limit,
            subject=subject,
        )
        assert row is not None  # noqa: S101 # it is there now
        return from_micros(row[0])

    def put_limit_use(self, limit: str, subject: str, full_at: datetime) -> None:
        self._write(
            "INSERT INTO limit_uses (limit_name, subject, full_at) VALUES (:limit, :subject, :full_at)"
            " ON CONFLICT (limit_name, subject) DO UPDATE SET full_at = excluded.full_at",
            limit=limit,
            subject=subject,
            full_at=to_micros(full_at),
        )

    def forget_limit_uses(self, now: datetime, limit: int) -> int:
        return self._write(
            "DELETE FROM limit_uses WHERE (limit_name, subject) IN"
            " (SELECT limit_name, subject FROM limit_uses WHERE full_at < :now ORDER BY full_at LIMIT :limit)",
            now=to_micros(now),
            limit=limit,
        )
