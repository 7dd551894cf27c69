"""The work of the five calls on SQLite, as the Python twins share it.

One connection, used from the event loop: a statement takes some microseconds, and handing it to a thread costs more
than it takes. A write is one transaction, on disk when it returns.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import secrets
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pysqlite3 import dbapi2 as sqlite3

PARTS = re.split(r"^-- name: (\w+)\n", (Path(__file__).parent / "statements.sql").read_text(), flags=re.MULTILINE)
SQL = dict(zip(PARTS[1::2], PARTS[2::2], strict=True))
DAY_MICROS = 86_400_000_000
MAIL_LIMIT, MAIL_WINDOW_MICROS = 10, 600_000_000


class Refused(Exception):  # noqa: N818 # a refusal, not a fault
    """A refusal: a Connect code and a sentence."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True, slots=True)
class Caller:
    """Whoever holds a token."""

    account_id: str
    name: str
    email: str
    avatar_url: str
    issuer: str
    read_only: bool
    user_id: str | None
    organization_id: str | None


@dataclass(frozen=True, slots=True)
class Member:
    """A membership; times in microseconds since 1970."""

    user_id: str
    role: str
    status: str
    joined_at: int
    full_name: str
    email: str
    avatar_url: str
    login_provider: str


@dataclass(frozen=True, slots=True)
class Invitation:
    """An invitation that was made, with its token where no mail carries it."""

    id: str
    organization_id: str
    email: str
    role: str
    inviter_account_id: str
    inviter_name: str
    now: int
    expires_at: int
    queued: bool
    token: str


def micros() -> int:
    """Give the time."""
    return time.time_ns() // 1000


def link_hash(invite_id: str) -> bytes:
    """Give what a link is looked up by."""
    return hashlib.sha256(b"invite-link\0" + invite_id.lower().encode()).digest()


class Organizations:
    """The five calls."""

    def __init__(self, path: str) -> None:
        self._db = sqlite3.connect(path, timeout=5, isolation_level=None, check_same_thread=False)
        for pragma in ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON", "temp_store = MEMORY"):
            self._db.execute(f"PRAGMA {pragma}")
        self._db.execute("PRAGMA mmap_size = 268435456")

    def _one(self, name: str, **values: Any) -> Any:
        return self._db.execute(SQL[name], values).fetchone()

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")

    def caller(self, authorization: str | None) -> Caller:
        """Give who an Authorization header says is calling."""
        if authorization is None or not authorization.startswith("Bearer "):
            raise Refused("unauthenticated", "an access token is needed")
        row = self._one("caller", hash=hashlib.sha256(authorization[7:].encode()).digest())
        if row is None or row[9] is not None or (row[8] is not None and row[8] <= micros()):
            raise Refused("unauthenticated", "the access token isn't valid")
        return Caller(row[0], row[1], row[2], row[3], row[4], bool(row[5]), row[6], row[7])

    def _member(self, caller: Caller, organization_id: str) -> Member:
        row = None
        if caller.organization_id in (None, organization_id):
            row = self._one("membership", organization=organization_id, account=caller.account_id)
        if row is None or row[2] != "active":
            raise Refused("not_found", "there is no such organization")
        return Member(*row)

    def _admin(self, caller: Caller, organization_id: str) -> Member:
        if caller.read_only:
            raise Refused("permission_denied", "the token may only read")
        member = self._member(caller, organization_id)
        if member.role != "admin":
            raise Refused("permission_denied", "only admins may do this")
        return member

    def summary(self, invite_id: str) -> tuple[str, str, int]:
        """Give the id, the name and the number of members of the organization that a link leads to."""
        row: tuple[str, str, int] | None = self._one("summary", hash=link_hash(invite_id))
        if row is None:
            raise Refused("not_found", "there is no such invite")
        return row

    def create_link(self, caller: Caller, organization_id: str) -> str:
        """Replace an organization's link and give the new one's id."""
        with self._transaction():
            user_id = self._admin(caller, organization_id).user_id
            invite_id = str(uuid.uuid4())
            self._db.execute(
                SQL["put_link"],
                {
                    "organization": organization_id,
                    "id": str(uuid.uuid4()),
                    "hash": link_hash(invite_id),
                    "user": user_id,
                    "now": micros(),
                },
            )
        return invite_id

    def join(self, caller: Caller, invite_id: str) -> Member:
        """Make the caller a member by a link; who is one stays as they are."""
        if caller.user_id is not None or caller.read_only:
            raise Refused("permission_denied", "this needs a token of the account that may write")
        with self._transaction():
            organization_id, _, _ = self.summary(invite_id)
            known = self._one("membership", organization=organization_id, account=caller.account_id)
            if known is not None and known[2] == "active":
                return Member(*known)
            member = Member(
                known[0] if known else str(uuid.uuid4()),
                "member",
                "active",
                micros(),
                caller.name,
                caller.email,
                caller.avatar_url,
                caller.issuer.rpartition("://")[2],
            )
            if known:
                self._db.execute(SQL["return_member"], {"user": member.user_id, "now": member.joined_at})
            else:
                values = {
                    "user": member.user_id,
                    "organization": organization_id,
                    "account": caller.account_id,
                    "now": member.joined_at,
                    "name": caller.name,
                    "name_key": caller.name.casefold(),
                    "email": caller.email,
                    "email_key": caller.email.casefold(),
                    "avatar": caller.avatar_url,
                    "provider": member.login_provider,
                }
                self._db.execute(SQL["add_member"], values)
            self._db.execute(SQL["count_member"], {"organization": organization_id})
        return member

    def members(self, caller: Caller, organization_id: str, size: int, token: str) -> tuple[list[Member], str]:
        """Give a page of members, the caller first and the others by name, and the token of the next page."""
        limit = min(size or 25, 100)
        after = json.loads(base64.urlsafe_b64decode(token)) if token else ["", ""]
        own = self._member(caller, organization_id)
        first = [] if token else [own]
        room = limit - len(first)
        values = {"organization": organization_id, "caller": own.user_id, "limit": room + 1}
        values |= {"after_key": after[0], "after_id": after[1]}
        rows = self._db.execute(SQL["members"], values).fetchall()
        page = first + [Member(*row[:8]) for row in rows[:room]]
        if len(rows) <= room:
            return page, ""
        last = [rows[room - 1][8], rows[room - 1][0]] if room else ["", ""]
        return page, base64.urlsafe_b64encode(json.dumps(last).encode()).decode()

    def invite(self, caller: Caller, organization_id: str, email: str, role: str, *, send_email: bool) -> Invitation:
        """Invite an address."""
        key, now = email.casefold(), micros()
        with self._transaction():
            self._admin(caller, organization_id)
            if self._one("member_by_email", organization=organization_id, email_key=key):
                raise Refused("already_exists", "somebody with this address is a member")
            pending = self._one("pending_invitation", organization=organization_id, email_key=key)
            if pending is not None and pending[1] > now:
                raise Refused("already_exists", "the address has a pending invitation")
            if send_email and self._one("count_mails", email_key=key, since=now - MAIL_WINDOW_MICROS)[0] >= MAIL_LIMIT:
                raise Refused("resource_exhausted", "too many mails to this address")
            if pending is not None:
                self._db.execute(SQL["expire_invitation"], {"id": pending[0], "now": now})
            token = "orgsvcinv_" + secrets.token_urlsafe(32)
            made = Invitation(
                str(uuid.uuid4()),
                organization_id,
                email,
                role,
                caller.account_id,
                caller.name,
                now,
                now + 30 * DAY_MICROS,
                send_email,
                "" if send_email else token,
            )
            values = {
                "id": made.id,
                "organization": organization_id,
                "email": email,
                "email_key": key,
                "role": role,
                "inviter": caller.account_id,
                "inviter_name": caller.name,
                "inviter_key": caller.name.casefold(),
                "delivery": "queued" if send_email else "not_requested",
                "hash": hashlib.sha256(token.encode()).digest(),
                "now": now,
                "expires": made.expires_at,
            }
            self._db.execute(SQL["add_invitation"], values)
            if send_email:
                mail = {"id": str(uuid.uuid4()), "organization": organization_id, "invitation": made.id}
                self._db.execute(SQL["queue_mail"], mail | {"email_key": key, "now": now})
        return made
