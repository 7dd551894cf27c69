"""What every use case knows of the call that it answers, and the checks that they share."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import field
from typing import TypeVar

from server.domain.account import Account, BackendKey, Caller, Scope
from server.domain.errors import (
    ACCOUNT_TOKEN_REQUIRED,
    BACKEND_KEY_REQUIRED,
    CONFLICT,
    CREDENTIALS_MISSING,
    INVITER_NOT_MEMBER,
    NOT_YOURS,
    ORGANIZATION_NOT_FOUND,
    PERSON_REQUIRED,
    TOKEN_READ_ONLY,
    ServiceError,
)
from server.domain.organization import Member
from server.domain.record import record
from server.ports import Snapshot, Store, Transaction
from server.service.limits import UNLIMITED, Limits

Value = TypeVar("Value")


@record
class Call:
    """One call: who makes it (None when nobody has signed in), until when an answer is wanted, and what limits it.

    `deadline` is in seconds of `time.monotonic`.
    """

    who: Caller | BackendKey | None
    deadline: float | None = None
    limits: Limits = UNLIMITED
    _counted: set[str] = field(default_factory=set, repr=False, compare=False)

    @property
    def caller(self) -> Caller:
        """The calling person; `CREDENTIALS_MISSING` when nobody has signed in, `PERSON_REQUIRED` for a backend key."""
        if isinstance(self.who, BackendKey):
            raise ServiceError(PERSON_REQUIRED)
        if self.who is None:
            raise ServiceError(CREDENTIALS_MISSING)
        return self.who

    def count_for(self, organization_id: str) -> None:
        """Count the call for the organization, once, however often it is tried; `RATE_LIMITED` for one too many.

        Only for those who may know of the organization: nobody else may use up what it has.
        """
        if organization_id not in self._counted:
            self.limits.organization(organization_id)
            self._counted.add(organization_id)

    def require_person(self) -> None:
        """Refuse whoever isn't one, before anything is looked up: the answer mustn't tell strangers what exists."""
        _ = self.caller

    @property
    def backend(self) -> BackendKey:
        """The calling backend key; `CREDENTIALS_MISSING` when nobody calls, `BACKEND_KEY_REQUIRED` for a person."""
        if self.who is None:
            raise ServiceError(CREDENTIALS_MISSING)
        if not isinstance(self.who, BackendKey):
            raise ServiceError(BACKEND_KEY_REQUIRED)
        return self.who

    def require_backend(self, scope: Scope) -> BackendKey:
        """Give the calling backend key, which must have the scope."""
        self.backend.require(scope)
        return self.backend

    def require_account_token(self) -> Caller:
        """Give the caller; `ACCOUNT_TOKEN_REQUIRED` when the token is one organization's user's."""
        if self.caller.user_id is not None:
            raise ServiceError(ACCOUNT_TOKEN_REQUIRED)
        return self.caller


RETRIES = 5
"""How often work that met a conflict is tried."""


def retried(work: Callable[[], Value], deadline: float | None) -> Value:
    """Do the work of a call, again when others changed the same thing meanwhile (`CONFLICT`).

    Nothing of a try that failed is left, since each is a transaction. Between tries there is a pause with jitter.
    """
    for attempt in range(1, RETRIES + 1):
        try:
            return work()
        except ServiceError as refusal:
            pause = random.uniform(0, 0.01 * 2**attempt)  # noqa: S311 # jitter
            late = deadline is not None and time.monotonic() + pause > deadline
            if refusal.reason is not CONFLICT or attempt == RETRIES or late:
                raise
            time.sleep(pause)
    raise AssertionError("the last try returns or raises")


def writing(store: Store, call: Call) -> AbstractContextManager[Transaction]:
    """Give the transaction of a call that changes something; `TOKEN_READ_ONLY` for a token that may only read."""
    if not isinstance(call.who, BackendKey) and call.caller.read_only:
        raise ServiceError(TOKEN_READ_ONLY)
    return store.transaction(call.deadline)


def caller_member(tx: Snapshot, call: Call, organization_id: str) -> Member:
    """Give the caller's own user in the organization.

    `ORGANIZATION_NOT_FOUND` when there is none: whoever isn't a member can't tell whether it exists.
    """
    member = tx.member(organization_id, call.caller.account_id) if call.caller.reaches(organization_id) else None
    if member is None or not member.is_active:
        raise ServiceError(ORGANIZATION_NOT_FOUND)
    call.count_for(organization_id)
    return member


def caller_admin(tx: Snapshot, call: Call, organization_id: str) -> Member:
    """Give the caller's own user in the organization; also `ADMIN_REQUIRED` when it isn't an admin."""
    member = caller_member(tx, call, organization_id)
    member.require_admin()
    return member


def administrator(
    tx: Snapshot, call: Call, organization_id: str, scope: Scope, on_behalf_of: str | None = None
) -> Account | None:
    """Give the account that administers the organization in this call, None for a backend key that acts for nobody.

    A person must be an admin. A backend key must reach the organization and have the scope; when it acts for an
    account, that must be an admin (`INVITER_NOT_MEMBER`, `ADMIN_REQUIRED`).
    """
    if not isinstance(call.who, BackendKey):
        caller_admin(tx, call, organization_id)
        if on_behalf_of not in (None, call.caller.account_id):
            raise ServiceError(NOT_YOURS)
        return call.caller.account
    call.who.require(scope)
    if not call.who.reaches(organization_id) or tx.organization(organization_id) is None:
        raise ServiceError(ORGANIZATION_NOT_FOUND)
    call.count_for(organization_id)
    if on_behalf_of is None:
        return None
    member = tx.member(organization_id, on_behalf_of)
    if member is None or not member.is_active:
        raise ServiceError(INVITER_NOT_MEMBER)
    member.require_admin()
    return tx.account(on_behalf_of)
