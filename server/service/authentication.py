"""From a token to the caller: tokens and sessions of ours, and tokens of trusted issuers.

What a token says is remembered for a second, and for as long as nothing changes in the store where that can be told:
so checking one costs at most one read a second and no write, and a token that was revoked anywhere stops working
everywhere within that second.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

from server.domain.account import LOCAL_ISSUER, AccessToken, Account, BackendKey, Caller, Claims
from server.domain.address import address_key
from server.domain.errors import CREDENTIALS_INVALID, ServiceError, WrongSecretError
from server.domain.record import record
from server.domain.session import Session
from server.ports import Clock, Ids, Snapshot, Store, TokenVerifier, Transaction
from server.service.access_tokens import TOKEN_PREFIX, token_hash
from server.service.backend_keys import KEY_PREFIX
from server.service.sessions import SESSION_PREFIX

REMEMBERED_SECONDS = 1.0
REMEMBERED_TOKENS = 50_000
"""How many tokens are remembered at once; beyond it all are forgotten, which costs a read each."""


@record
class _Remembered:
    credential: AccessToken | BackendKey | Session
    who: Caller | BackendKey
    until: float
    version: int | None
    """The store's, before it was read."""


class Authentication:
    """Finds who is calling. `monotonic` gives seconds and is what remembering is measured with."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        ids: Ids,
        verifier: TokenVerifier | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = store
        self._clock = clock
        self._ids = ids
        self._verifier = verifier
        self._monotonic = monotonic
        self._remembered: dict[bytes, _Remembered] = {}
        # Callers with the same token wait here for the one that reads it.
        self._locks = [threading.Lock() for _ in range(64)]
        self._tokens_used: dict[str, datetime] = {}
        self._keys_used: dict[str, datetime] = {}
        self._accounts: dict[Claims, tuple[Account, float]] = {}

    def who(self, token: str, deadline: float | None = None) -> Caller | BackendKey:
        """Give who holds the token; `CREDENTIALS_INVALID` when it opens nothing, whatever the cause."""
        if token.startswith((TOKEN_PREFIX, KEY_PREFIX)):
            return self._by_secret(token, deadline)
        if self._verifier is None:
            raise WrongSecretError(CREDENTIALS_INVALID, guess=hash(token))
        return Caller(self.account_of(self._verifier.verify(token)))

    def by_session(self, secret: str, deadline: float | None = None) -> Caller | None:
        """Give who is signed in by the secret of a session; None when it opens nothing."""
        known = self._known(secret, deadline) if secret.startswith(SESSION_PREFIX) else None
        if known is None or not known.credential.usable_at(self._clock()) or isinstance(known.who, BackendKey):
            return None
        return known.who

    def forget_session(self, secret: str) -> None:
        """Look a session up anew the next time: it has just ended."""
        self._remembered.pop(token_hash(secret), None)

    def _by_secret(self, secret: str, deadline: float | None) -> Caller | BackendKey:
        known = self._known(secret, deadline)
        now = self._clock()
        if known is None:
            raise WrongSecretError(CREDENTIALS_INVALID, guess=hash(secret))
        if not known.credential.usable_at(now):
            raise ServiceError(CREDENTIALS_INVALID)
        used = self._keys_used if isinstance(known.credential, BackendKey) else self._tokens_used
        used[known.credential.id] = now
        return known.who

    def _known(self, secret: str, deadline: float | None) -> _Remembered | None:
        """Give what is known of a secret of ours, at most a second old; None when there is no such secret."""
        key = token_hash(secret)
        known = self._fresh(key)
        if known is None:
            with self._locks[key[0] % len(self._locks)]:
                known = self._fresh(key) or self._read(secret, key, deadline)
        return known

    def _fresh(self, key: bytes) -> _Remembered | None:
        known = self._remembered.get(key)
        if known is None or known.until > self._monotonic():
            return known
        return known if known.version is not None and known.version == self._store.version() else None

    def _read(self, secret: str, key: bytes, deadline: float | None) -> _Remembered | None:
        # The second begins before the read, as does the version: what is revoked after it is seen in the next one.
        until, version = self._monotonic() + REMEMBERED_SECONDS, self._store.version()
        found: tuple[AccessToken | BackendKey | Session, Caller | BackendKey] | None
        with self._store.look(deadline) as tx:
            if secret.startswith(KEY_PREFIX):
                found = self._backend_key(tx, key)
            elif secret.startswith(SESSION_PREFIX):
                found = self._session(tx, key)
            else:
                found = self._access_token(tx, key)
        if found is None:
            return None
        credential, who = found
        known = _Remembered(credential, who, until, version)
        if len(self._remembered) >= REMEMBERED_TOKENS:
            self._remembered.clear()
        self._remembered[key] = known
        return known

    @staticmethod
    def _backend_key(tx: Snapshot, key: bytes) -> tuple[BackendKey, BackendKey] | None:
        found = tx.backend_key(key)
        return None if found is None else (found, found)

    @staticmethod
    def _access_token(tx: Snapshot, key: bytes) -> tuple[AccessToken, Caller] | None:
        found = tx.access_token(key)
        if found is None:
            return None
        token, account = found
        return token, Caller(account, token.read_only, token.user_id, token.organization_id)

    @staticmethod
    def _session(tx: Snapshot, key: bytes) -> tuple[Session, Caller] | None:
        found = tx.session(key)
        return None if found is None else (found[0], Caller(found[1]))

    def account_of(self, claims: Claims) -> Account:
        """Give the account of a person; who is seen for the first time gets one, who changed is updated."""
        known = self._accounts.get(claims)
        if known is not None and known[1] > self._monotonic():
            return known[0]
        until = self._monotonic() + REMEMBERED_SECONDS
        with self._store.look() as tx:
            account = tx.account_by_identity(claims.issuer, claims.subject)
        if account is None or not _says_the_same(account, _filled(claims, account)):
            with self._store.transaction() as tx:
                account = self._put_account(tx, claims)
        if len(self._accounts) >= REMEMBERED_TOKENS:
            self._accounts.clear()
        self._accounts[claims] = (account, until)
        return account

    def local_account(self, email: str, name: str) -> Account:
        """Give the operator's account for an address, making or renaming it; the operator vouches for the address."""
        claims = Claims(LOCAL_ISSUER, address_key(email), name, email, email_verified=True)
        with self._store.transaction() as tx:
            known = tx.account_by_identity(claims.issuer, claims.subject)
            return self._put_account(tx, replace(claims, name=name or (known.name if known else email)))

    def _put_account(self, tx: Transaction, claims: Claims) -> Account:
        now = self._clock()
        fresh = Account(
            id=self._ids(),
            issuer=claims.issuer,
            subject=claims.subject,
            name=claims.name,
            email=claims.email,
            email_verified=claims.email_verified,
            avatar_url=claims.avatar_url,
            created_at=now,
            updated_at=now,
        )
        if tx.add_account(fresh):
            return fresh
        known = tx.account_by_identity(claims.issuer, claims.subject)
        assert known is not None  # noqa: S101 # it is what stood in the way
        said = _filled(claims, known)
        if _says_the_same(known, said):
            return known
        account = replace(
            known,
            name=said.name,
            email=said.email,
            email_verified=said.email_verified,
            avatar_url=said.avatar_url,
            updated_at=now,
        )
        tx.update_account(account)
        return account

    def write_last_used(self) -> None:
        """Write when tokens were last used; called now and then beside the requests, and at the end."""
        tokens, self._tokens_used = self._tokens_used, {}
        keys, self._keys_used = self._keys_used, {}
        if not tokens and not keys:
            return
        try:
            with self._store.transaction() as tx:
                tx.touch_access_tokens(tokens)
                tx.touch_backend_keys(keys)
        except BaseException:
            # The next time; what was used since then is newer.
            for used, unwritten in ((self._tokens_used, tokens), (self._keys_used, keys)):
                for id_, at in unwritten.items():
                    used.setdefault(id_, at)
            raise


def _filled(claims: Claims, known: Account) -> Claims:
    """Give the claims, with what this token doesn't say as it was said before: access tokens often say less."""
    return replace(
        claims,
        name=known.name if claims.name == claims.subject else claims.name,
        email=claims.email or known.email,
        email_verified=claims.email_verified if claims.email else known.email_verified,
        avatar_url=claims.avatar_url or known.avatar_url,
    )


def _says_the_same(account: Account, claims: Claims) -> bool:
    return (account.name, account.email, account.email_verified, account.avatar_url) == (
        claims.name,
        claims.email,
        claims.email_verified,
        claims.avatar_url,
    )
