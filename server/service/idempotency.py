"""Idempotency keys: a request that is sent again gets the answer that it got, and nothing happens twice.

The key is taken, the work done and the answer kept in one transaction, so that a crash leaves all or nothing, and of
two that arrive at once one waits for the other. What failed is not kept: nothing was done, so a repeat tries again.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from server.domain.account import BackendKey
from server.domain.errors import CONFLICT, IDEMPOTENCY_KEY_INVALID, IDEMPOTENCY_KEY_REUSED, ServiceError
from server.ports import Clock, Sealing, Store
from server.service.call import Call, writing

KEPT = timedelta(hours=24)
MAX_KEY_LENGTH = 255
FORGOTTEN_AT_ONCE = 1000


def canonical(content: bytes) -> bytes:
    """Give a JSON request as one spelling of it, so that the order of keys doesn't make it another request."""
    try:
        return json.dumps(json.loads(content), sort_keys=True, separators=(",", ":")).encode()
    except (ValueError, RecursionError):
        return content


@dataclass(frozen=True, slots=True)
class Idempotency:
    """Answers repeated requests."""

    store: Store
    clock: Clock
    sealing: Sealing

    def once(self, call: Call, key: str, operation: str, request: bytes, work: Callable[[], bytes]) -> bytes:
        """Give the answer of `work`, or the one that it gave when this key came first within 24 hours.

        `operation` and `request` are what must be the same (`IDEMPOTENCY_KEY_REUSED`). Keys belong to their caller.
        """
        if not (1 <= len(key) <= MAX_KEY_LENGTH and key.isascii() and key.isprintable()):
            raise ServiceError(IDEMPOTENCY_KEY_INVALID)
        who = call.who
        caller = f"key:{who.id}" if isinstance(who, BackendKey) else f"account:{call.caller.account_id}"
        fingerprint = hashlib.sha256(operation.encode() + b"\0" + request).digest()
        purpose = f"idempotent-answer\0{caller}\0{key}"
        now = self.clock()
        with writing(self.store, call) as tx:
            stored = tx.claim_answer(caller, key, fingerprint, now, now - KEPT)
            if stored is not None:
                return self._again(stored.fingerprint == fingerprint, stored.answer, purpose)
            answer = work()
            tx.store_answer(caller, key, self.sealing.seal(purpose, answer))
            return answer

    def _again(self, same: bool, sealed: bytes | None, purpose: str) -> bytes:  # one use
        if not same:
            raise ServiceError(IDEMPOTENCY_KEY_REUSED)
        if sealed is None:
            raise ServiceError(CONFLICT)
        try:
            return self.sealing.open(purpose, sealed)
        except ValueError as error:
            # The key that sealed it is no longer configured: the answer is lost, and the work must not be redone.
            raise ServiceError(IDEMPOTENCY_KEY_REUSED) from error

    def forget_old(self) -> None:
        """Remove answers that are no longer kept; called now and then beside the requests."""
        forgotten = FORGOTTEN_AT_ONCE
        while forgotten == FORGOTTEN_AT_ONCE:
            # In small steps, so that others get to write in between.
            with self.store.transaction() as tx:
                forgotten = tx.forget_answers(self.clock() - KEPT, FORGOTTEN_AT_ONCE)
