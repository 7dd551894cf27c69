"""Idempotency keys with one safeguard taken out, each a mistake that is easily made."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from hashlib import sha256
from typing import ClassVar

from server.domain.account import Caller
from server.domain.errors import ServiceError
from server.sealing import KeySealing
from server.service.call import Call
from server.service.idempotency import KEPT, Idempotency

_PAUSE_SECONDS = 0.002
"""Time between a look and what is done on it, in which others get in: what load does to real servers."""


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
