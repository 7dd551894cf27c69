"""The mail server, spoken to by smtplib (`ports.Mailer`)."""

from __future__ import annotations

import smtplib
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from email.message import EmailMessage
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from server.domain.hosts import is_this_machine
from server.mail import MailSetupError
from server.mail.message import Sender, compose, recipient
from server.mail.render import Templates
from server.ports import Mail, MailError, MailRefusedError, MailServerError

TIMEOUT_SECONDS = 10.0
"""How long each answer of the mail server is waited for."""

_PORTS = {"smtp": 587, "smtps": 465}
_HOW = "write smtp://user:password@host:587, or smtps://host for TLS from the start"


@dataclass(frozen=True, slots=True)
class SmtpServer:
    """A mail server and how to speak to it. `starttls` is `offered` (used when it is), `required` or `never`."""

    host: str
    port: int
    user: str
    password: str = field(repr=False)
    tls_from_start: bool
    starttls: str
    context: ssl.SSLContext
    timeout_seconds: float = TIMEOUT_SECONDS

    @classmethod
    def from_url(cls, url: str) -> SmtpServer:
        """Read SMTP_URL: `smtp[s]://[user:password@]host[:port][?starttls=required|never][&cafile=path]`.

        `MailSetupError` says what is wrong, and never the URL itself: it holds a password.
        """
        try:
            parts = urlsplit(url)
            options = parse_qs(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query))
            port = parts.port or _PORTS.get(parts.scheme, 0)
        except ValueError as error:
            raise MailSetupError(f"SMTP_URL can't be read: {_HOW}") from error
        starttls = options.pop("starttls", ["offered"])[-1]
        cafile = options.pop("cafile", [""])[-1]
        user, password = unquote(parts.username or ""), unquote(parts.password or "")
        if parts.scheme not in _PORTS or not parts.hostname or parts.path not in ("", "/") or parts.fragment:
            raise MailSetupError(f"SMTP_URL is no URL of a mail server; {_HOW}")
        if options or starttls not in ("offered", "required", "never"):
            raise MailSetupError("SMTP_URL knows two options: starttls=required or never, and cafile=/path/to/ca.pem")
        if bool(user) != bool(password) or not (user + password).isascii():
            raise MailSetupError("SMTP_URL needs a user and a password or neither, in ASCII, percent-encoded")
        try:
            context = ssl.create_default_context(cafile=cafile or None)
        except OSError as error:
            raise MailSetupError(f"SMTP_URL's cafile {cafile!r} can't be used: {error}") from error
        return cls(parts.hostname, port, user, password, parts.scheme == "smtps", starttls, context)


class SmtpMailer:
    """Writes mails by the templates and hands them to the server; see `ports.Mailer`."""

    def __init__(self, server: SmtpServer, sender: Sender, templates: Templates) -> None:
        self._server = server
        self._sender = sender
        self._templates = templates

    @contextmanager
    def session(self) -> Iterator[Callable[[Mail], None]]:
        """See `ports.Mailer`."""
        connection = _Connection(self._server, self._sender)

        def send(mail: Mail) -> None:
            message = compose(mail, self._templates.render(mail), self._sender)
            connection.send(message, recipient(mail.email).addr_spec)

        try:
            yield send
        finally:
            connection.close()


class _Connection:
    """A connection that is opened by the first mail, and again when the server has let it go."""

    def __init__(self, server: SmtpServer, sender: Sender) -> None:
        self._server = server
        self._sender = sender
        self._smtp: smtplib.SMTP | None = None

    def send(self, message: EmailMessage, to: str) -> None:
        used_before = self._smtp is not None
        try:
            self._send(message, to)
        except MailServerError:
            self.close()
            if not used_before:
                raise
            # Servers end a connection after so many mails; that says nothing about this one.
            self._send(message, to)

    def close(self) -> None:
        if self._smtp is not None:
            with suppress(OSError, smtplib.SMTPException):
                self._smtp.quit()
            self._smtp.close()
            self._smtp = None

    def _send(self, message: EmailMessage, to: str) -> None:
        if self._smtp is None:
            self._smtp = self._open()
        try:
            self._smtp.send_message(message, self._sender.address, [to])
        except smtplib.SMTPRecipientsRefused as refusal:
            raise _refusal(*refusal.recipients[to]) from refusal
        except smtplib.SMTPDataError as refusal:
            raise _refusal(refusal.smtp_code, refusal.smtp_error) from refusal
        except smtplib.SMTPNotSupportedError as error:
            raise MailRefusedError("the mail server can't send to addresses that aren't ASCII (SMTPUTF8)") from error
        except (OSError, smtplib.SMTPException) as error:
            raise _unusable(error) from error

    def _open(self) -> smtplib.SMTP:
        server = self._server
        options: dict[str, Any] = {"timeout": server.timeout_seconds, "local_hostname": self._sender.domain}
        try:
            if server.tls_from_start:
                smtp: smtplib.SMTP = smtplib.SMTP_SSL(server.host, server.port, context=server.context, **options)
            else:
                smtp = smtplib.SMTP(server.host, server.port, **options)
        except (OSError, smtplib.SMTPException) as error:
            raise _unusable(error) from error
        try:
            self._secure(smtp)
        except (OSError, smtplib.SMTPException) as error:
            smtp.close()
            raise _unusable(error) from error
        except MailError:
            smtp.close()
            raise
        return smtp

    def _secure(self, smtp: smtplib.SMTP) -> None:
        """Switch to TLS and log in, as far as the settings want it."""
        server, encrypted = self._server, self._server.tls_from_start
        smtp.ehlo_or_helo_if_needed()
        if not encrypted and server.starttls != "never" and smtp.has_extn("starttls"):
            smtp.starttls(context=server.context)
            encrypted = True
        if not encrypted and server.starttls == "required":
            raise MailServerError("the mail server doesn't offer STARTTLS, which SMTP_URL requires")
        if not server.user:
            return
        if not encrypted and server.starttls != "never" and not is_this_machine(server.host):
            raise MailServerError(
                "the mail server doesn't offer STARTTLS, and the password isn't sent unencrypted unless SMTP_URL says"
                " starttls=never"
            )
        smtp.login(server.user, server.password)


def _text(answer: bytes | str) -> str:
    return answer.decode("utf-8", "replace") if isinstance(answer, bytes) else answer


def _refusal(code: int, answer: bytes | str) -> MailError:
    """Give what a refusal of one mail means: 5xx is for good, 421 is about the connection, other 4xx pass."""
    text = f"{code} {_text(answer)}"
    if code == 421:
        return MailServerError(text)
    return MailRefusedError(text) if 500 <= code < 600 else MailError(text)


def _unusable(error: Exception) -> MailServerError:
    """Give why no mail at all can be sent; what is refused before a recipient is named is about us, and passes."""
    if isinstance(error, smtplib.SMTPResponseException):
        return MailServerError(f"the mail server said: {error.smtp_code} {_text(error.smtp_error)}")
    return MailServerError(f"the mail server can't be used: {error}")
