"""Sessions of browsers: who is signed in to the service's own pages.

A session's secret is 256 random bits; only its SHA-256 is kept. `Authentication` checks it as it checks access tokens.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import timedelta

from server.domain.account import Account
from server.domain.session import Session
from server.ports import Clock, Ids, Store
from server.service.access_tokens import token_hash

SESSION_PREFIX = "orgsvcses_"
KEPT = timedelta(days=7)
"""For how long a session that has expired can still be found in the database."""

FORGOTTEN_AT_ONCE = 1000


@dataclass(frozen=True, slots=True)
class SignedIn:
    """Who is signed in, in which session, and its secret where it has just been made."""

    account: Account
    session: Session
    secret: str = ""


@dataclass(frozen=True, slots=True)
class Sessions:
    """The use cases of sessions; each lasts `life`."""

    store: Store
    clock: Clock
    ids: Ids
    life: timedelta = timedelta(days=14)

    def start(self, account: Account, *, earlier: str = "") -> SignedIn:
        """Begin a session; its secret is given here and never again.

        The session of the secret `earlier` ends: the browser that held it now holds this one instead.
        """
        secret = SESSION_PREFIX + secrets.token_urlsafe(32)
        now = self.clock()
        session = Session(self.ids(), account.id, now, now + self.life, None)
        with self.store.transaction() as tx:
            if earlier:
                tx.revoke_session(token_hash(earlier), now)
            tx.add_session(session, token_hash(secret))
        return SignedIn(account, session, secret)

    def find(self, secret: str) -> SignedIn | None:
        """Give who is signed in by a secret, if anybody."""
        if not secret.startswith(SESSION_PREFIX):
            return None
        with self.store.snapshot() as tx:
            found = tx.session(token_hash(secret))
        if found is None or not found[0].usable_at(self.clock()):
            return None
        return SignedIn(found[1], found[0])

    def end(self, secret: str, *, everywhere: bool = False) -> None:
        """End a session, or all sessions of its account; where it has ended already nothing happens."""
        signed_in = self.find(secret)
        if signed_in is None:
            return
        with self.store.transaction() as tx:
            if everywhere:
                tx.revoke_sessions(signed_in.account.id, self.clock())
            else:
                tx.revoke_session(token_hash(secret), self.clock())

    def forget_old(self) -> None:
        """Remove sessions that expired long ago; called now and then beside the requests."""
        forgotten = FORGOTTEN_AT_ONCE
        while forgotten == FORGOTTEN_AT_ONCE:
            with self.store.transaction() as tx:
                forgotten = tx.forget_sessions(self.clock() - KEPT, FORGOTTEN_AT_ONCE)
