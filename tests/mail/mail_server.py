"""A real mail server, for tests: it keeps what it takes, and refuses what it is told to."""

from __future__ import annotations

import re
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import policy
from email.message import EmailMessage
from email.parser import BytesParser
from typing import Any

from aiosmtpd.controller import Controller


@dataclass(frozen=True)
class Received:
    """A mail that arrived, and how."""

    sender: str
    recipients: tuple[str, ...]
    message: EmailMessage
    encrypted: bool
    user: str

    def part(self, kind: str) -> str:
        """Give the text of the `plain` or the `html` part."""
        body = self.message.get_body((kind,))
        assert body is not None
        content: str = body.get_content()
        return content.replace("\r\n", "\n")

    @property
    def link(self) -> str:
        """The link in the text."""
        return re.findall(r"^https?://\S+$", self.part("plain"), re.MULTILINE)[0]

    @property
    def token(self) -> str:
        return self.link.rpartition("#")[2].rpartition("=")[2]


@dataclass
class MailServer:
    """What a running server took, and what it refused.

    `answers` are answers to recipients, `answer` is the one to a mail's content; `{content}` in it stands for what the
    mail says, which some servers quote.
    """

    port: int = 0
    mails: list[Received] = field(default_factory=list)
    refused: list[Received] = field(default_factory=list)
    answers: dict[str, str] = field(default_factory=dict)
    answer: str = "250 OK"
    connections: int = 0

    @property
    def url(self) -> str:
        return f"smtp://127.0.0.1:{self.port}"

    async def handle_EHLO(  # noqa: N802 # aiosmtpd's name
        self, server: Any, session: Any, envelope: Any, hostname: str, responses: list[str]
    ) -> list[str]:
        self.connections += 1
        session.host_name = hostname
        return responses

    async def handle_RCPT(  # noqa: N802 # aiosmtpd's name
        self, server: Any, session: Any, envelope: Any, address: str, rcpt_options: list[str]
    ) -> str:
        if address in self.answers:
            return self.answers[address]
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802 # aiosmtpd's name
        message = BytesParser(_class=EmailMessage, policy=policy.default).parsebytes(envelope.content)
        user = session.auth_data.login.decode() if session.auth_data else ""
        mail = Received(envelope.mail_from, tuple(envelope.rcpt_tos), message, session.ssl is not None, user)
        (self.mails if self.answer.startswith("250") else self.refused).append(mail)
        return self.answer.replace("{content}", " ".join(mail.part("plain").split()))


class _AnyPort(Controller):
    def _trigger_server(self) -> None:
        assert self.server is not None
        self.port = self.server.sockets[0].getsockname()[1]
        super()._trigger_server()


@contextmanager
def mail_server(
    port: int = 0, tls: ssl.SSLContext | None = None, host: str = "127.0.0.1", **options: Any
) -> Iterator[MailServer]:
    """Run a mail server. `tls` offers STARTTLS; the options are those of aiosmtpd's SMTP."""
    running = MailServer()
    controller = _AnyPort(running, hostname=host, server_hostname="mail.test", port=port, tls_context=tls, **options)
    controller.start()
    running.port = controller.port
    try:
        yield running
    finally:
        controller.stop()
