"""What every use case knows of the call that it answers, and the checks that they share."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from server.domain.account import Caller
from server.domain.errors import (
    ACCOUNT_TOKEN_REQUIRED,
    CREDENTIALS_MISSING,
    ORGANIZATION_NOT_FOUND,
    TOKEN_READ_ONLY,
    ServiceError,
)
from server.domain.organization import Member
from server.ports import Snapshot, Store, Transaction


@dataclass(frozen=True, slots=True)
class Call:
    """One call: who makes it (None when nobody has signed in) and until when an answer is wanted.

    `deadline` is in seconds of `time.monotonic`.
    """

    who: Caller | None
    deadline: float | None = None

    @property
    def caller(self) -> Caller:
        """The caller; `CREDENTIALS_MISSING` when nobody has signed in."""
        if self.who is None:
            raise ServiceError(CREDENTIALS_MISSING)
        return self.who

    def require_account_token(self) -> Caller:
        """Give the caller; `ACCOUNT_TOKEN_REQUIRED` when the token is one organization's user's."""
        if self.caller.user_id is not None:
            raise ServiceError(ACCOUNT_TOKEN_REQUIRED)
        return self.caller


@contextmanager
def writing(store: Store, call: Call) -> Iterator[Transaction]:
    """Open the transaction of a call that changes something; `TOKEN_READ_ONLY` for a token that may only read."""
    if call.caller.read_only:
        raise ServiceError(TOKEN_READ_ONLY)
    with store.transaction(call.deadline) as tx:
        yield tx


def caller_member(tx: Snapshot, call: Call, organization_id: str) -> Member:
    """Give the caller's own user in the organization.

    `ORGANIZATION_NOT_FOUND` when there is none: whoever isn't a member can't tell whether it exists.
    """
    member = tx.member(organization_id, call.caller.account_id) if call.caller.reaches(organization_id) else None
    if member is None or not member.is_active:
        raise ServiceError(ORGANIZATION_NOT_FOUND)
    return member


def caller_admin(tx: Snapshot, call: Call, organization_id: str) -> Member:
    """Give the caller's own user in the organization; also `ADMIN_REQUIRED` when it isn't an admin."""
    member = caller_member(tx, call, organization_id)
    member.require_admin()
    return member
