"""Codes to sign in with, written into the log instead of being mailed: in development alone."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from server.ports import Mail, MailRefusedError, SignInMail

log = logging.getLogger(__name__)


class LogMailer:
    """See `ports.Mailer`."""

    @contextmanager
    def session(self) -> Iterator[Callable[[Mail], None]]:
        """See `ports.Mailer`."""
        yield _write


def _write(mail: Mail) -> None:
    if not isinstance(mail, SignInMail):
        raise MailRefusedError("only codes to sign in with are written into the log")
    log.warning("the code to sign in as %s is %s %s (in development it isn't mailed)", mail.email, mail.code[:4],
                mail.code[4:])  # fmt: skip
