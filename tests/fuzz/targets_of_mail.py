"""What is fuzzed of mails: what the operator says of them, and what strangers wrote that stands in them."""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta
from email import message_from_bytes
from email.policy import SMTP
from functools import cache

import click

from server.cli import LONGEST_SPAN, Span
from server.domain.organization import Role
from server.faces.logto import _role_key
from server.mail import MailSetupError
from server.mail.message import Sender, compose
from server.mail.render import Templates
from server.mail.smtp import SmtpServer
from server.ports import InvitationMail, Mail, MailError, SignInMail
from server.service.outbox import _harmless_reason, _is_web_link
from server.service.roles import _KEY
from tests.fuzz.issuer import now
from tests.fuzz.texts import any_text

_HEADERS = {
    *("From", "To", "Subject", "Date", "Message-ID", "Auto-Submitted", "Content-Language"),
    *("MIME-Version", "Content-Type"),
}


@cache
def _templates() -> Templates:
    return Templates()


def _headers_of(mail: Mail, sender: Sender) -> None:
    """Write a mail: it has our headers and no other, each once, whatever stands in it."""
    written = compose(mail, _templates().render(mail), sender).as_bytes()
    head = written.partition(b"\r\n\r\n")[0].replace(b"\r\n ", b" ").replace(b"\r\n\t", b" ")
    names = [line.partition(b":")[0].decode() for line in head.split(b"\r\n")]
    assert len(names) == len(set(names))
    assert set(names) == _HEADERS
    read = message_from_bytes(written, policy=SMTP)
    assert [len(read[name].addresses) for name in ("From", "To")] == [1, 1]


def mails(data: bytes) -> None:
    """An invitation's address, organization, inviter, role, locale and link, with zeros between; or a code's."""
    email, organization, inviter, role, locale, link, *_ = (*any_text(data).split("\0"), *[""] * 6)
    times = {"written_at": now(), "expires_at": now() + timedelta(days=7)}
    sender = Sender("Acme", "no-reply", "example.com")
    named = tuple(filter(None, role.split(",")))
    with suppress(MailError):
        _headers_of(
            InvitationMail("1", email, locale, organization, inviter, Role.MEMBER, named, link, **times), sender
        )
    with suppress(MailError):
        _headers_of(SignInMail("1", email, locale, organization, "12345678", **times), sender)
    if _is_web_link(link):
        assert link.startswith(("http", "HTTP")) or link[:4].lower() == "http"
        assert not set(link) & set(" \t\r\n")
    reason = _harmless_reason(MailError(organization))
    assert "\n" not in reason


def mail_settings(data: bytes) -> None:
    """The first byte says what: a sender, a server's URL, a span of time, a name of a role."""
    which, text = data[:1] or b"\0", any_text(data[1:]).replace("\0", "")
    with suppress(MailSetupError, click.BadParameter):
        match which[0] % 4:
            case 0:
                mail = SignInMail("1", "ada@example.com", "", "x", "12345678", now(), now() + timedelta(minutes=10))
                _headers_of(mail, Sender.parse(text))
            case 1:
                # A file named here is the operator's, and is read.
                server = SmtpServer.from_url(text.replace("cafile", "file"))
                assert server.host
                assert 0 < server.port < 65536
            case 2:
                assert timedelta(0) < Span().convert(text, None, None) <= LONGEST_SPAN
            case _:
                assert not text or _KEY.fullmatch(_role_key(text))


TARGETS = (mails, mail_settings)
SEEDS: dict[str, tuple[bytes, ...]] = {
    "mails": (
        "ada@example.com\0Adas Café · evil.com\0Bob <b@c>\0Billing,Ops\0de\0https://a.example/i?x=1#y".encode(),
        "jörg@faß.de\0\u202eabc\0=?utf-8?q?=0d=0aBcc:_x?=\0\0zh-CN\0javascript:1".encode(),
        b"a@b.co\0http://[\0orgsvcinv_secret refused",
    ),
    "mail_settings": (
        b"\0Acme <no-reply@example.com>",
        b"\0no-reply@localhost",
        b"\x01smtps://user:p%40ss@mail.example.com:465?starttls=required",
        b"\x01smtp://[::1]:25",
        b"\x0290d",
        b"\x03Content Editor",
    ),
}
