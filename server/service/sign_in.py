"""Signing in to the service's own pages: at an OpenID Connect provider, or with a code that is mailed."""

from __future__ import annotations

import base64
import hmac
import json
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from unicodedata import normalize

from server.domain.address import address_key, require_address
from server.domain.errors import (
    INVITE_KEY_UNAVAILABLE,
    ISSUER_UNAVAILABLE,
    SIGN_IN_CODE_WRONG,
    SIGN_IN_EXPIRED,
    SIGN_IN_REFUSED,
    SIGN_IN_UNAVAILABLE,
    ServiceError,
    WrongSecretError,
)
from server.domain.secrets import SecretKeys
from server.domain.session import CODE_LIFE, CodeMailState, SignInCode, SignInMethods, local_path
from server.ports import Clock, Ids, Sealing, SignInProvider, Store, Transaction
from server.service.authentication import Authentication
from server.service.invitations import InvitationPolicy
from server.service.sessions import Sessions, SignedIn

PROVIDER_SIGN_IN_LIFE = timedelta(minutes=10)
"""How long a browser may take at the provider."""

HOME = "/console"
FORGOTTEN_AT_ONCE = 1000

_PURPOSE = "provider-sign-in"


def _nobody_waits() -> None:
    """Wake nobody."""


@dataclass(frozen=True, slots=True)
class SignInOptions:
    """What the operator has set up: the ways to sign in, the provider where there is one, and how long sessions last.

    `base_path` is where in the host the service's pages begin, without a slash at its end. `wake` is called when a code
    waits to be mailed.
    """

    methods: SignInMethods = field(default_factory=SignInMethods)
    provider: SignInProvider | None = None
    session_life: timedelta = timedelta(days=14)
    base_path: str = ""
    wake: Callable[[], None] = _nobody_waits


@dataclass(frozen=True, slots=True)
class SignIn:
    """The use cases of signing in."""

    store: Store
    clock: Clock
    ids: Ids
    keys: SecretKeys
    sealing: Sealing
    authentication: Authentication
    sessions: Sessions
    policy: InvitationPolicy
    options: SignInOptions

    # At the provider.

    def begin(self, return_path: str, *, choose_account: bool = False) -> tuple[str, str]:
        """Give where to send the browser, and what it must bring back to `finish`, sealed: text for a cookie."""
        provider = self._provider()
        path = local_path(return_path or self.options.base_path + HOME)
        state, nonce, verifier = (secrets.token_urlsafe(32) for _ in range(3))
        url = provider.authorization_url(state=state, nonce=nonce, verifier=verifier, choose_account=choose_account)
        ends = (self.clock() + PROVIDER_SIGN_IN_LIFE).timestamp()
        kept = {"state": state, "nonce": nonce, "verifier": verifier, "path": path, "ends": ends}
        sealed = self.sealing.seal(_PURPOSE, json.dumps(kept).encode())
        return url, base64.urlsafe_b64encode(sealed).decode().rstrip("=")

    def finish(self, sealed: str, answer: Mapping[str, str], *, earlier: str = "") -> tuple[SignedIn, str]:
        """Sign in by what the provider sent the browser back with; give the session and where to go on.

        `sealed` is what `begin` gave to this very browser: without it the answer may be an attacker's own. `earlier` is
        the secret of the session that the browser held until now, which ends.
        `SIGN_IN_EXPIRED` when it isn't, `SIGN_IN_REFUSED` and `ISSUER_UNAVAILABLE` by the provider's word.
        """
        provider = self._provider()
        kept = self._opened(sealed)
        if not hmac.compare_digest(kept["state"].encode(), answer.get("state", "").encode()):
            raise ServiceError(SIGN_IN_EXPIRED)
        # Where it names itself (RFC 9207), it is the one that was asked.
        if answer.get("iss", provider.issuer) != provider.issuer:
            raise ServiceError(SIGN_IN_REFUSED)
        if answer.get("error") in ("temporarily_unavailable", "server_error"):
            raise ServiceError(ISSUER_UNAVAILABLE)
        if "error" in answer or not answer.get("code"):
            raise ServiceError(SIGN_IN_REFUSED)
        claims = provider.claims(answer["code"], nonce=kept["nonce"], verifier=kept["verifier"])
        signed_in = self.sessions.start(self.authentication.account_of(claims), earlier=earlier)
        self.authentication.forget_session(earlier)
        return signed_in, kept["path"]

    def way_back(self, sealed: str) -> str:
        """Give where a browser was going that holds what `begin` gave; empty where it doesn't, or not any more."""
        try:
            return self._opened(sealed)["path"]
        except ServiceError:
            return ""

    def _provider(self) -> SignInProvider:
        if self.options.provider is None:
            raise ServiceError(SIGN_IN_UNAVAILABLE)
        return self.options.provider

    def _opened(self, sealed: str) -> dict[str, str]:
        try:
            content = self.sealing.open(_PURPOSE, base64.urlsafe_b64decode(sealed + "=" * (-len(sealed) % 4)))
        except ValueError as error:
            raise ServiceError(SIGN_IN_EXPIRED) from error
        kept = json.loads(content)
        if kept.pop("ends") <= self.clock().timestamp():
            raise ServiceError(SIGN_IN_EXPIRED)
        return {name: str(value) for name, value in kept.items()}

    # With a code.

    def send_code(self, email: str, locale: str = "") -> SignInCode:
        """Have a code sent to an address; `MAIL_LIMIT` when it was sent too many lately.

        Codes have a limit of their own, so that nobody can use invitations up by asking for them.
        """
        if not self.options.methods.email_code:
            raise ServiceError(SIGN_IN_UNAVAILABLE)
        # The mail must go to the mailbox that the account's key stands for, and not to one that only looks alike.
        address = require_address(normalize("NFKC", email))
        now = self.clock()
        code = SignInCode(
            id=self.ids(),
            email=address,
            email_key=address_key(address),
            locale=locale,
            key_id=self.keys.current_id,
            mail_state=CodeMailState.QUEUED,
            mail_attempts=0,
            next_attempt_at=now,
            wrong_guesses=0,
            created_at=now,
            expires_at=now + CODE_LIFE,
            used_at=None,
        )
        with self.store.transaction() as tx:
            tx.lock_address(code.email_key)
            self.policy.check_mails(address, now, tx.count_sign_in_codes_since)
            tx.add_sign_in_code(code)
        self.options.wake()
        return code

    def with_code(self, code_id: str, code: str, *, earlier: str = "") -> SignedIn:
        """Sign in with a code that was mailed; who has no account gets one, with a verified address.

        `earlier` is the secret of the session that the browser held until now, which ends.
        `SIGN_IN_CODE_WRONG` when it isn't that code, or it can't be used any more.
        """
        if not self.options.methods.email_code:
            raise ServiceError(SIGN_IN_UNAVAILABLE)
        given = "".join(code.split())
        with self.store.transaction() as tx:
            now = self.clock()
            # Locked until the guess is counted, so that no two guesses see the same number of tries left.
            found = tx.lock_sign_in_code(code_id)
            signed_in = None
            if found is not None and found.usable_at(now):
                signed_in = self._guessed(tx, found, given, now, earlier)
        # Only here: an exception inside would undo the counting.
        if signed_in is None:
            raise WrongSecretError(SIGN_IN_CODE_WRONG, guess=hash((code_id, given)))
        self.authentication.forget_session(earlier)
        return signed_in

    def _guessed(self, tx: Transaction, found: SignInCode, given: str, now: datetime, earlier: str) -> SignedIn | None:
        try:
            right = hmac.compare_digest(self.keys.sign_in_code(found.id, found.key_id).encode(), given.encode())
        except ServiceError as error:
            if error.reason is not INVITE_KEY_UNAVAILABLE:
                raise
            right = False
        if not right:
            tx.update_sign_in_code(replace(found, wrong_guesses=found.wrong_guesses + 1))
            return None
        tx.update_sign_in_code(replace(found, used_at=now))
        return self.sessions.start(self.authentication.local_account(found.email, ""), earlier=earlier)

    def forget_old(self) -> None:
        """Remove codes that count for nothing any more; called now and then beside the requests."""
        rate, forgotten = self.policy.recipient_rate, FORGOTTEN_AT_ONCE
        kept = max(CODE_LIFE, timedelta(seconds=rate.seconds if rate else 0))
        while forgotten == FORGOTTEN_AT_ONCE:
            with self.store.transaction() as tx:
                forgotten = tx.forget_sign_in_codes(self.clock() - kept, FORGOTTEN_AT_ONCE)
