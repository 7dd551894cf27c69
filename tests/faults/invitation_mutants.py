"""Invitations and idempotency keys with one safeguard taken out, each a mistake that is easily made."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any, ClassVar

from server.domain.account import Caller
from server.domain.errors import ServiceError
from server.domain.invitation import Invitation, InvitationStatus
from server.domain.organization import Member
from server.main import Service, build_service, utc_now
from server.ports import Clock, Transaction
from server.sealing import KeySealing
from server.service.call import Call, writing
from server.service.idempotency import KEPT, Idempotency
from server.service.invitations import Invitations, InvitationView, Invited, NewInvitation
from server.store.sql import SqlTransaction
from server.store.sql_invitations import _parameters
from server.store.sqlite import SqliteStore
from tests.faults.mutants import KEYS, AnsweredBeforeCommitStore

_PAUSE_SECONDS = 0.002
"""Time between a look and what is done on it, in which others get in: what load does to real servers."""


class LookedAtBefore(Invitations):
    """Looks at the state before the transaction that changes it."""

    def _change(self, tx: Transaction, found: Invitation, **changes: Any) -> Invitation:
        """Write whatever stands there now."""
        now = tx.invitation(found.id)
        assert now is not None
        moved = replace(found, updated_at=self._clock(), **changes)
        tx.update_invitation(moved, now.stored_status)
        return moved

    def _looked_at(self, call: Call, token: str, invitation_id: str) -> Invitation:
        with self._store.snapshot() as tx:
            found = self._presented(tx, call, token, invitation_id)
        found.require_pending(self._clock())
        time.sleep(_PAUSE_SECONDS)
        return found

    def accept(self, call: Call, *, token: str = "", invitation_id: str = "") -> tuple[InvitationView, Member]:
        found, account = self._looked_at(call, token, invitation_id), call.caller.account
        with writing(self._store, call) as tx:
            status = InvitationStatus.ACCEPTED
            moved = self._change(tx, found, stored_status=status, accepted_account_id=account.id)
            member = self._grant(tx, moved, account)
            return self._views(tx, [moved])[0], member

    def decline(self, call: Call, *, token: str = "", invitation_id: str = "") -> InvitationView:
        found = self._looked_at(call, token, invitation_id)
        with writing(self._store, call) as tx:
            return self._views(tx, [self._change(tx, found, stored_status=InvitationStatus.DECLINED)])[0]

    def revoke(self, call: Call, invitation_id: str, **_: Any) -> Invitation:
        found = self.get(call, invitation_id)
        if found.stored_status is InvitationStatus.REVOKED:
            return found
        found.require_pending(self._clock())
        time.sleep(_PAUSE_SECONDS)
        with writing(self._store, call) as tx:
            return self._change(tx, found, stored_status=InvitationStatus.REVOKED)


class GuardIgnored(LookedAtBefore):
    """Writes the state only where it is still pending, and goes on as if it had been."""

    def _change(self, tx: Transaction, found: Invitation, **changes: Any) -> Invitation:
        moved = replace(found, updated_at=self._clock(), **changes)
        tx.update_invitation(moved, found.stored_status)
        return moved


class GrantedBefore(Invitations):
    """Makes somebody a member in one transaction, and the invitation accepted in the next."""

    def accept(self, call: Call, *, token: str = "", invitation_id: str = "") -> tuple[InvitationView, Member]:
        account = call.caller.account
        with writing(self._store, call) as tx:
            found = self._presented(tx, call, token, invitation_id)
            found.require_pending(self._clock())
            self._grant(tx, found, account)
        time.sleep(_PAUSE_SECONDS)
        return super().accept(call, token=token, invitation_id=invitation_id)


class TokenLookedUpBefore(Invitations):
    """Finds the invitation by its token before the transaction, and by its id inside it."""

    def _accepted(self, call: Call, invitation_id: str) -> tuple[InvitationView, Member]:
        with writing(self._store, call) as tx:
            found = tx.invitation(invitation_id)
            assert found is not None
            return self._accept(tx, found, call.caller.account)

    def accept(self, call: Call, *, token: str = "", invitation_id: str = "") -> tuple[InvitationView, Member]:
        with self._store.snapshot() as tx:
            found = self._presented(tx, call, token, invitation_id)
        time.sleep(_PAUSE_SECONDS)
        return self._accepted(call, found.id)


class TimeTakenBefore(Invitations):
    """Takes the time when a call begins, and not when its turn has come."""

    def accept(self, call: Call, *, token: str = "", invitation_id: str = "") -> tuple[InvitationView, Member]:
        return self._at(self._clock()).accept(call, token=token, invitation_id=invitation_id)

    def _at(self, moment: datetime) -> Invitations:
        clock: Clock = lambda: moment  # noqa: E731
        return Invitations(self._store, clock, self._ids, self._keys, self._sealing, self._policy)


class EachByItself(Invitations):
    """Invites those of a batch one after the other, each in a transaction of its own."""

    def create_batch(
        self,
        call: Call,
        organization_id: str,
        news: Sequence[NewInvitation | ServiceError],
        *,
        all_or_nothing: bool = False,
    ) -> list[Invited | ServiceError]:
        outcomes: list[Invited | ServiceError] = []
        for new in news:
            try:
                if isinstance(new, ServiceError):
                    raise new
                outcomes.append(self.create(call, organization_id, new))
            except ServiceError as refusal:
                if all_or_nothing:
                    raise
                outcomes.append(refusal)
        return outcomes


class _LooksBeforeItAdds(SqlTransaction):
    def add_invitation(self, invitation: Invitation) -> bool:
        if self.pending_invitation(invitation.organization_id, invitation.email_key) is not None:
            return False
        time.sleep(_PAUSE_SECONDS)
        row = _parameters(invitation)
        self._write(f"INSERT INTO invitations ({', '.join(row)}) VALUES ({', '.join(f':{p}' for p in row)})", **row)
        return True


class NoPendingIndexStore(AnsweredBeforeCommitStore):
    """Adds an invitation where it saw none pending, as one does where the schema doesn't hold it."""

    def __init__(self, path: Path, clock: Clock) -> None:
        super().__init__(path, clock)
        with self._writing(None) as execute:
            execute("DROP INDEX invitations_pending", {})

    @contextmanager
    def transaction(self, deadline: float | None = None) -> Iterator[Transaction]:
        with super().transaction(deadline) as tx:
            yield _LooksBeforeItAdds(tx._execute)  # type: ignore[attr-defined]


def invitations_with(store: SqliteStore, invitations: type[Invitations]) -> Service:
    """Give the use cases with a mutant of invitations in their place."""
    service = build_service(store, KEYS)
    return replace(
        service, invitations=invitations(store, utc_now, service.invitations._ids, KEYS, service.invitations._sealing)
    )


# Idempotency keys.


class _UndoneError(Exception):
    pass


class AnswersLookedUpBefore(Idempotency):
    """Looks the key up, does the work, and keeps the answer, each in a transaction of its own."""

    def once(self, call: Call, key: str, operation: str, request: bytes, work: Callable[[], bytes]) -> bytes:
        caller = f"account:{call.caller.account_id}"
        fingerprint, purpose = sha256(operation.encode() + b"\0" + request).digest(), f"idempotent\0{caller}\0{key}"
        now = self.clock()
        stored = None
        with suppress(_UndoneError), self.store.transaction() as tx:
            stored = tx.claim_answer(caller, key, fingerprint, now, now - KEPT)
            raise _UndoneError
        if stored is not None:
            return self._again(stored.fingerprint == fingerprint, stored.answer, purpose)
        time.sleep(_PAUSE_SECONDS)
        answer = work()
        sealed = self.sealing.seal(purpose, answer)
        with self.store.transaction() as tx:
            tx.claim_answer(caller, key, fingerprint, now, now - KEPT)
            tx.store_answer(caller, key, sealed)
        return answer


class ClaimedByItself(Idempotency):
    """Takes the key in a transaction of its own, so that it stays taken when the work comes to nothing."""

    def once(self, call: Call, key: str, operation: str, request: bytes, work: Callable[[], bytes]) -> bytes:
        caller = f"account:{call.caller.account_id}"
        fingerprint, purpose = sha256(operation.encode() + b"\0" + request).digest(), f"idempotent\0{caller}\0{key}"
        now = self.clock()
        with self.store.transaction() as tx:
            stored = tx.claim_answer(caller, key, fingerprint, now, now - KEPT)
        if stored is not None:
            return self._again(stored.fingerprint == fingerprint, stored.answer, purpose)
        with self.store.transaction() as tx:
            answer = work()
            tx.store_answer(caller, key, self.sealing.seal(purpose, answer))
        return answer


class KeysOfEverybody(Idempotency):
    """Tells keys apart without regard to who sends them."""

    def once(self, call: Call, key: str, operation: str, request: bytes, work: Callable[[], bytes]) -> bytes:
        anybody = Caller(replace(call.caller.account, id="anybody"))
        return super().once(Call(anybody, call.deadline), key, operation, request, work)


class AnyRequestAlike(Idempotency):
    """Answers by the key alone, whatever is asked with it."""

    def once(self, call: Call, key: str, operation: str, request: bytes, work: Callable[[], bytes]) -> bytes:
        return super().once(call, key, operation, b"", work)


class AnyMethodAlike(Idempotency):
    """Compares what is sent, and not to which method."""

    def once(self, call: Call, key: str, operation: str, request: bytes, work: Callable[[], bytes]) -> bytes:
        return super().once(call, key, "", request, work)


class KeptAlways(Idempotency):
    """Never lets a key go."""

    def once(self, call: Call, key: str, operation: str, request: bytes, work: Callable[[], bytes]) -> bytes:
        standing = Idempotency(self.store, lambda: datetime(2030, 1, 1, tzinfo=UTC), self.sealing)
        return standing.once(call, key, operation, request, work)

    def forget_old(self) -> None:
        pass


class KeptTooShortly(Idempotency):
    """Lets a key go after twelve hours."""

    def once(self, call: Call, key: str, operation: str, request: bytes, work: Callable[[], bytes]) -> bytes:
        start = datetime(2030, 1, 1, tzinfo=UTC)
        hasty = Idempotency(self.store, lambda: start + 2 * (self.clock() - start), self.sealing)
        return hasty.once(call, key, operation, request, work)


class FailuresKept(Idempotency):
    """Answers again with a refusal, too."""

    _refusals: ClassVar[dict[str, ServiceError]] = {}

    def once(self, call: Call, key: str, operation: str, request: bytes, work: Callable[[], bytes]) -> bytes:
        if key in self._refusals:
            raise self._refusals[key]
        try:
            return super().once(call, key, operation, request, work)
        except ServiceError as refusal:
            self._refusals[key] = refusal
            raise


class ReadOnlyTokensToo(Idempotency):
    """Answers again without asking whether the caller's token may change anything."""

    def once(self, call: Call, key: str, operation: str, request: bytes, work: Callable[[], bytes]) -> bytes:
        return super().once(Call(replace(call.caller, read_only=False)), key, operation, request, work)


class NoSealing:
    """Keeps answers as they are."""

    def seal(self, purpose: str, content: bytes) -> bytes:
        return content

    def open(self, purpose: str, sealed: bytes) -> bytes:
        return sealed


class OneSealForAll(KeySealing):
    """Seals every answer alike, so that one can be put in another's place."""

    def seal(self, purpose: str, content: bytes) -> bytes:
        return super().seal("any", content)

    def open(self, purpose: str, sealed: bytes) -> bytes:
        return super().open("any", sealed)
