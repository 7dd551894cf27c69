"""Signing in to the service's own pages: sessions of a browser, and the codes that are mailed to people."""

from __future__ import annotations

from datetime import datetime, timedelta
from enum import StrEnum

from server.domain.errors import invalid_field
from server.domain.record import record

CODE_LIFE = timedelta(minutes=10)
MAX_WRONG_GUESSES = 5
"""After so many a code is dead; the person asks for another, and is never locked out."""


@record
class Session:
    """A browser in which a person is signed in, without the secret."""

    id: str
    account_id: str
    created_at: datetime
    expires_at: datetime
    revoked_at: datetime | None

    def usable_at(self, now: datetime) -> bool:
        """Whether the session opens anything at `now`."""
        return self.revoked_at is None and now < self.expires_at


class CodeMailState(StrEnum):
    """Where the mail with a code stands."""

    QUEUED = "queued"
    SENT = "sent"
    FAILED = "failed"


@record
class SignInCode:
    """A code that was asked for. The code itself is derived from `id` and a key, and never kept."""

    id: str
    email: str
    email_key: str
    locale: str
    key_id: str
    mail_state: CodeMailState
    mail_attempts: int
    next_attempt_at: datetime
    wrong_guesses: int
    created_at: datetime
    expires_at: datetime
    used_at: datetime | None

    def usable_at(self, now: datetime) -> bool:
        """Whether the right code still signs in at `now`."""
        return self.used_at is None and now < self.expires_at and self.wrong_guesses < MAX_WRONG_GUESSES


@record
class SignInMethods:
    """The ways to sign in to the pages. `provider` is its name as people know it, empty where there is none.

    `code_in_log` says that codes are written into the log instead of being mailed.
    """

    provider: str = ""
    email_code: bool = False
    code_in_log: bool = False


def local_path(path: str) -> str:
    """Give a path of this service, as it may stand in `Location`; `INVALID_REQUEST` for what leads elsewhere.

    Browsers drop tabs and line ends, and read a backslash as a slash: only printable ASCII without it passes.
    """
    plain = path.isascii() and path.isprintable() and " " not in path and not set(path) & set("\\#")
    if not plain or not path.startswith("/") or path.startswith("//"):
        raise invalid_field("return_path", "must be empty or a path of this service, like /console")
    return path
