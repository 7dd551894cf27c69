"""Limits of requests, and the slowing of guesses. Each process counts for itself, in bounded memory.

What is counted in the database, for all processes together, are invitations and mails (`service/invitations.py`).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Generic, TypeVar

from server.domain.account import BackendKey, Caller
from server.domain.errors import RATE_LIMITED, ServiceError, WrongSecretError
from server.domain.rates import Rate

Value = TypeVar("Value")

MOST_SUBJECTS = 100_000
"""How many subjects a limit remembers at least; at most twice as many (some 20 MiB)."""

PROVEN_SECONDS = 3600.0

Find = Callable[[str, "float | None"], "Caller | BackendKey | None"]
"""Gives who holds a secret, asked for until a deadline."""


class Recent(Generic[Value]):
    """Values by key, each for at least so many seconds, and less only where there are too many of them.

    Two generations: what was put lately, and what was put before that. Forgetting the older one costs nothing, however
    many keys an attacker invents.
    """

    def __init__(self, seconds: float, monotonic: Callable[[], float], most: int) -> None:
        self._seconds = seconds
        self._monotonic = monotonic
        self._most = most
        self._young: dict[object, Value] = {}
        self._old: dict[object, Value] = {}
        self._turn = monotonic() + seconds

    def get(self, key: object) -> Value | None:
        """Give the value of a key, None when there is none any more."""
        value = self._young.get(key)
        return self._old.get(key) if value is None else value

    def put(self, key: object, value: Value, now: float | None = None) -> None:
        """Keep a value, at a moment where that is known."""
        now = self._monotonic() if now is None else now
        if now >= self._turn or len(self._young) >= self._most:
            # What is in neither was put at least one turn ago.
            self._old = self._young if now < self._turn + self._seconds else {}
            self._young = {}
            self._turn = now + self._seconds
        self._young[key] = value

    def __len__(self) -> int:
        return len(self._young) + len(self._old)


class Limit:
    """Counts what subjects do against a rate; without one nothing is counted.

    Threads don't wait for each other here: of two at the same instant one may go uncounted.
    """

    def __init__(
        self,
        name: str,
        rate: Rate | None,
        monotonic: Callable[[], float] = time.monotonic,
        most: int = MOST_SUBJECTS,
    ) -> None:
        self._name = name
        self._rate = rate
        self._monotonic = monotonic
        self._full_at: Recent[float] = Recent(rate.seconds if rate else 0.0, monotonic, most)

    def take(self, subject: str) -> None:
        """Count one; `RATE_LIMITED`, and nothing is counted, where that is too many."""
        rate = self._rate
        if rate is None:
            return
        now = self._monotonic()
        full_at = self._full_at.get(subject) or 0.0
        wait = rate.wait(full_at, now)
        if wait:
            raise self._refusal(rate, wait)
        self._full_at.put(subject, rate.used(full_at, now), now)

    def require(self, subject: str) -> None:
        """Refuse (`RATE_LIMITED`) where one more would be too many; nothing is counted."""
        full_at = self._full_at.get(subject)
        if full_at is not None and self._rate is not None:
            wait = self._rate.wait(full_at, self._monotonic())
            if wait:
                raise self._refusal(self._rate, wait)

    def count(self, subject: str) -> None:
        """Count one that has happened already."""
        if self._rate is not None:
            now = self._monotonic()
            # No further than to nothing left: whoever overdid it waits no longer than others.
            full_at = self._rate.used(self._full_at.get(subject) or 0.0, now)
            self._full_at.put(subject, min(full_at, now + self._rate.seconds), now)

    def _refusal(self, rate: Rate, wait: float) -> ServiceError:
        return rate_limited(self._name, rate, wait)


def rate_limited(name: str, rate: Rate, wait_seconds: float) -> ServiceError:
    """Give the refusal of one too many, by the limit's name."""
    facts = {"limit": name, "count": str(rate.count), "window_seconds": f"{rate.seconds:g}"}
    return ServiceError(RATE_LIMITED, facts, retry_after_seconds=wait_seconds)


class Guesses:
    """Slows guessing: of access tokens, sessions, invite ids, mailed tokens and codes to sign in.

    Who is known pays alone: a signed-in caller's wrong guesses count against the caller. All others count against the
    client's address. When an address has used up its guesses, a token that was right from there within the last hour
    still is let in, so that nobody behind the same address can lock others out; what is new there waits, and isn't
    looked up. The same wrong secret again is no new guess.
    """

    def __init__(
        self, rate: Rate | None, monotonic: Callable[[], float] = time.monotonic, most: int = MOST_SUBJECTS
    ) -> None:
        self._limit = Limit("guesses", rate, monotonic, most)
        self._wrong: Recent[str] = Recent(rate.seconds if rate else 0.0, monotonic, most)
        self._proven: Recent[str] = Recent(PROVEN_SECONDS, monotonic, most)

    def require(self, subject: str, secret: str | None = None) -> None:
        """Refuse (`RATE_LIMITED`) a subject that guessed too often, unless the secret was right from there."""
        try:
            self._limit.require(subject)
        except ServiceError:
            if secret is None or not self._proven.get((subject, hash(secret))):
                raise

    def right(self, subject: str, secret: str) -> None:
        """Remember that a secret was right."""
        self._proven.put((subject, hash(secret)), subject)

    def wrong(self, subject: str, secret_hash: int) -> None:
        """Count a wrong one, unless it was counted already."""
        guess = (subject, secret_hash)
        if not self._wrong.get(guess):
            self._wrong.put(guess, subject)
            self._limit.count(subject)


class Limits:
    """All limits that a process counts, by their rates' names; what isn't named is unlimited."""

    def __init__(
        self,
        rates: Mapping[str, Rate | None] | None = None,
        monotonic: Callable[[], float] = time.monotonic,
        most: int = MOST_SUBJECTS,
    ) -> None:
        rates = rates or {}
        self._address = Limit("address", rates.get("address"), monotonic, most)
        self._caller = Limit("caller", rates.get("caller"), monotonic, most)
        self._backend = Limit("backend", rates.get("backend"), monotonic, most)
        self._organization = Limit("organization", rates.get("organization"), monotonic, most)
        self._guesses = Guesses(rates.get("guesses"), monotonic, most)
        self._codes = Limit("codes", rates.get("codes"), monotonic, most)

    def request(self, address: str) -> None:
        """Count a request of a client's address."""
        if address:
            self._address.take(address)

    def code(self, address: str) -> None:
        """Count a code to sign in that a client's address asks to have mailed, to whomever."""
        if address:
            self._codes.take(address)

    def identify(
        self, address: str, secret: str | None, find: Find, deadline: float | None = None
    ) -> Caller | BackendKey | None:
        """Give who holds the secret, as `find` says, and count a call of theirs; None where it is nobody's."""
        self._guesses.require(address, secret)
        if secret is None:
            return None
        who = find(secret, deadline)
        if who is None:
            # A session that ended, or a guess at one.
            self._wrong(address, None, hash(secret))
            return None
        self._guesses.right(address, secret)
        if isinstance(who, BackendKey):
            self._backend.take(who.id)
        else:
            self._guesses.require(who.account_id)
            self._caller.take(who.account_id)
        return who

    def organization(self, organization_id: str) -> None:
        """Count a call about the organization, of its own people or of a backend key."""
        self._organization.take(organization_id)

    def wrong_secret(self, address: str, who: Caller | BackendKey | None, refusal: WrongSecretError) -> None:
        """Count a guess against who made it."""
        self._wrong(address, who, refusal.guess)

    def _wrong(self, address: str, who: Caller | BackendKey | None, guess: int) -> None:
        if isinstance(who, Caller):
            self._guesses.wrong(who.account_id, guess)
        elif who is None and address:
            self._guesses.wrong(address, guess)


UNLIMITED = Limits()
"""Nothing is counted."""
