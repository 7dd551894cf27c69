"""Mails with codes to sign in with: they go out within seconds after the request, and not after the code has ended.

A code is claimed in a transaction of its own before it is sent, so that of two processes one sends it; what a crash
leaves claimed is tried again when the lease ends. The code is made at sending, and never kept.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta

from server.domain.errors import ServiceError
from server.domain.secrets import SecretKeys
from server.domain.session import CodeMailState, SignInCode
from server.ports import Clock, Mail, Mailer, MailError, MailRefusedError, MailServerError, SignInMail, Store

log = logging.getLogger(__name__)

BATCH = 100
LEASE = timedelta(seconds=60)
"""For how long a code that is being mailed is its sender's own; longer than a mail server is waited for."""

FIRST_DELAY_SECONDS = 5.0
"""The pause after the first try that failed; each next one is twice as long."""


@dataclass(frozen=True, slots=True)
class SignInMails:
    """Sends codes that wait. `site` is the host that people sign in to."""

    store: Store
    clock: Clock
    keys: SecretKeys
    mailer: Mailer
    site: str

    def send_due(self, stopping: Callable[[], bool] = lambda: False) -> int:
        """Send the codes that are due, a hundred at most; give how many went out."""
        with self.store.snapshot() as tx:
            due = tx.due_sign_in_codes(self.clock(), BATCH)
        if not due:
            return 0
        sent = 0
        with self.mailer.session() as send:
            for code in due:
                if stopping():
                    break
                claimed = self._claim(code)
                if claimed is None:
                    continue
                try:
                    sent += self._send(claimed, send)
                except MailServerError:
                    break
        return sent

    def _claim(self, code: SignInCode) -> SignInCode | None:
        """Take a code for ourselves; None when another has it, or it isn't to be sent any more."""
        now = self.clock()
        if not code.usable_at(now):
            self._write(replace(code, mail_state=CodeMailState.FAILED), code.mail_attempts)
            return None
        claimed = replace(code, mail_attempts=code.mail_attempts + 1, next_attempt_at=now + LEASE)
        return claimed if self._write(claimed, code.mail_attempts) else None

    def _send(self, code: SignInCode, send: Callable[[Mail], None]) -> bool:
        facts = {"code_id": code.id, "attempts": code.mail_attempts}
        try:
            send(self._written(code))
        except MailError as error:
            # What the mail server says may quote the mail; its kind doesn't.
            self._not_sent(code, for_good=isinstance(error, MailRefusedError))
            log.warning("a code to sign in wasn't sent", extra=facts | {"error": type(error).__name__})
            if isinstance(error, MailServerError):
                raise
            return False
        except Exception as error:  # noqa: BLE001 # one mail that can't be made must not hold up the others
            self._not_sent(code, for_good=False)
            log.error("a code to sign in can't be sent", extra=facts | {"error": type(error).__name__})
            return False
        self._write(replace(code, mail_state=CodeMailState.SENT), code.mail_attempts)
        log.info("a code to sign in was sent", extra=facts)
        return True

    def _written(self, code: SignInCode) -> SignInMail:
        try:
            digits = self.keys.sign_in_code(code.id, code.key_id)
        except ServiceError as error:
            raise MailRefusedError("the key that the code was made with is no longer configured") from error
        return SignInMail(code.id, code.email, code.locale, self.site, digits, self.clock(), code.expires_at)

    def _not_sent(self, code: SignInCode, *, for_good: bool) -> None:
        """Have it tried again after a pause, unless it can't be sent, or has ended until then."""
        pause = timedelta(seconds=FIRST_DELAY_SECONDS * 2 ** min(code.mail_attempts - 1, 6))
        next_attempt_at = self.clock() + pause
        state = CodeMailState.FAILED if for_good or next_attempt_at >= code.expires_at else CodeMailState.QUEUED
        self._write(replace(code, mail_state=state, next_attempt_at=next_attempt_at), code.mail_attempts)

    def _write(self, code: SignInCode, attempts: int) -> bool:
        with self.store.transaction() as tx:
            return tx.update_code_mail(code, attempts)
