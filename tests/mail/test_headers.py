"""Whatever names, addresses and locales hold, the headers of a mail are ours."""

from __future__ import annotations

import unicodedata
from datetime import UTC, datetime, timedelta
from email import policy
from email.generator import BytesGenerator
from email.message import EmailMessage
from email.parser import Parser
from email.utils import parsedate_to_datetime
from io import BytesIO

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from server.domain.address import domain_key, is_address
from server.domain.organization import Role
from server.domain.text import is_plain_line
from server.mail import MailSetupError
from server.mail.message import Sender, compose, recipient
from server.mail.names import MAX_NAME_LENGTH, harmless
from server.ports import InvitationMail, MailRefusedError
from tests.mail.conftest import SENDER, TEMPLATES

NOON = datetime(2030, 1, 1, 12, tzinfo=UTC)

HEADERS = {
    "from",
    "to",
    "subject",
    "date",
    "message-id",
    "auto-submitted",
    "content-language",
    "mime-version",
    "content-type",
}

# Text of every kind, and more often what has broken mails before.
NASTY = st.lists(
    st.one_of(
        st.text(max_size=8),
        st.sampled_from(
            [
                *("\r\nBcc: eve@evil.example", "\n\n<script>", "=?utf-8?q?=0D=0ABcc?=", "\u2028", "\u202e", "\x00"),
                *("évil.example", "https://evil.example/", "\u200b", "𝓍", "=?", "?="),
                *',;"\\<>@:() ',
            ]
        ),
    ),
    max_size=8,
).map("".join)

LOCALS = st.text(st.characters(exclude_categories=("Cc", "Cs", "Zs", "Zl", "Zp")), min_size=1, max_size=20)
DOMAINS = st.sampled_from(["example.com", "bücher.example", "例え.example", "a-b.c.example", "straße.example"])
ADDRESSES = st.builds("{}@{}".format, LOCALS, DOMAINS).filter(lambda email: is_address(email) and "=?" not in email)


def a_mail(email: str = "grace@example.com", **parts: object) -> InvitationMail:
    given_parts: dict[str, object] = {
        "id": "7f0e6fd4-3f5c-4f2e-9a7b-0d6c1a2b3c4d",
        "email": email,
        "locale": "",
        "organization": "Acme",
        "inviter": "Ada",
        "role": Role.MEMBER,
        "named_roles": (),
        "link": "https://organizations.example.com/invitations#token",
        "written_at": NOON,
        "expires_at": NOON + timedelta(days=7),
    }
    return InvitationMail(**(given_parts | parts))  # type: ignore[arg-type]


def on_the_wire(mail: InvitationMail, sender: Sender = SENDER) -> bytes:
    """Give a mail as smtplib writes it."""
    message = compose(mail, TEMPLATES.render(mail), sender)
    ascii_only = recipient(mail.email).addr_spec.isascii()
    written = BytesIO()
    used = message.policy if ascii_only else message.policy.clone(utf8=True)
    BytesGenerator(written, policy=used).flatten(message, linesep="\r\n")
    return written.getvalue()


def read(content: bytes) -> EmailMessage:
    return Parser(_class=EmailMessage, policy=policy.default).parsestr(content.decode())


@settings(deadline=None)
@given(email=ADDRESSES, inviter=NASTY, organization=NASTY, role=NASTY, locale=st.one_of(NASTY, st.just("zh-Hant")))
@example(
    email="a@example.com", inviter="Ada\r\nBcc: eve@evil.example", organization="x" * 300, role="", locale="de\r\nX: y"
)
def test_every_header_says_what_was_meant_and_there_is_no_other(
    email: str, inviter: str, organization: str, role: str, locale: str
) -> None:
    mail = a_mail(email, inviter=inviter, organization=organization, named_roles=(role,), locale=locale)
    content = on_the_wire(mail)
    message = read(content)
    assert sorted(name.lower() for name, _ in message.items()) == sorted(HEADERS)
    local, _, domain = email.rpartition("@")
    (to,) = message["To"].addresses
    assert (to.display_name, to.username, to.domain) == ("", local, domain_key(domain))
    (sender,) = message["From"].addresses
    assert (sender.display_name, sender.addr_spec) == (SENDER.name, SENDER.address)
    # No name but the organization's is in it.
    assert message["Subject"] == TEMPLATES.render(a_mail(organization=organization, locale=locale)).subject
    assert parsedate_to_datetime(message["Date"]) == NOON
    assert message["Message-ID"] == f"<{mail.id}@acme.example>"
    assert message["Auto-Submitted"] == "auto-generated"
    assert message["Content-Language"] in ("en", "de", "es", "zh")
    assert [part.get_content_type() for part in message.walk()] == ["multipart/alternative", "text/plain", "text/html"]
    assert all(len(line) <= 998 for line in content.split(b"\r\n"))
    assert b"\n" not in content.replace(b"\r\n", b"")


@given(email=NASTY)
@example(email="=?utf-8?q?=0D=0ABcc=3A_eve=40evil=2Eexample?=@example.com")
@example(email="a=?utf-8?b?DQpCY2M6IGV2ZUBldmlsLmV4YW1wbGU=?=@example.com")
def test_what_is_no_address_is_refused_and_never_written(email: str) -> None:
    assume(not is_address(email) or "=?" in email)
    mail = a_mail(email)
    with pytest.raises(MailRefusedError):
        compose(mail, TEMPLATES.render(mail), SENDER)


@given(name=st.text(st.characters(exclude_categories=("Cs",)), max_size=30).filter(is_plain_line))
def test_a_sender_of_any_name_is_written_as_it_is(name: str) -> None:
    assume(not {"<", ">"} & set(name) and "=?" not in name)
    sender = Sender.parse(f"{name} <no-reply@example.com>")
    (read_back,) = read(on_the_wire(a_mail(), sender))["From"].addresses
    assert read_back.addr_spec == "no-reply@example.com"
    assert read_back.display_name.split() == sender.name.split()


@pytest.mark.parametrize(
    "code", ["=?utf-8?q?=0D=0ABcc=3A_eve?=", "=?utf-8?b?DQpCY2M6IGV2ZQ==?=", "=?=?utf-8?q?=0D=0AX?="]
)
def test_code_for_line_breaks_in_a_name_stays_code(code: str) -> None:
    message = read(on_the_wire(a_mail(organization=code, inviter=code)))
    assert len(message.items()) == len(HEADERS)
    assert message["Subject"] == f"Invitation to join {harmless(code)}"
    with pytest.raises(MailSetupError):
        Sender.parse(f"{code} <no-reply@example.com>")


@given(name=NASTY)
def test_a_name_is_one_short_line_that_can_be_seen(name: str) -> None:
    line = harmless(name)
    assert len(line) <= MAX_NAME_LENGTH
    assert is_plain_line(line)
    assert line == " ".join(line.split())
    assert not any(unicodedata.category(char) == "Cf" and char not in "\u200c\u200d" for char in line)
    assert "://" not in line


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("evil.com", "evil. com"),
        ("www.evil.com/login", "www. evil. com/login"),
        ("https://evil.com", "https: / /evil. com"),
        ("Click http://1.2.3.4/", "Click http: / /1.2.3.4/"),
        ("eve@evil.com", "eve@evil. com"),
        ("mailto:eve", "mailto: eve"),
        ("evil\u3002com", "evil\u3002 com"),
        ("evil\uff0ecom", "evil\uff0e com"),
        ("evil.\u200bcom", "evil. com"),
        ("evil\u00ad.\u00adcom", "evil. com"),
        ("evil.\u200dcom", "evil. \u200dcom"),
        ("\\\\host\\share", "\\ \\host\\share"),
        ("Ada\r\nBcc: eve", "Ada Bcc: eve"),
        ("\u202emoc.live", "moc. live"),
        # What people and organizations are really called.
        ("Acme Inc.", "Acme Inc."),
        ("Acme (Intl.) Ltd., Berlin", "Acme (Intl.) Ltd., Berlin"),
        ("J. R. R. Tolkien", "J. R. R. Tolkien"),
        ("Web 2.0 at 10:30", "Web 2.0 at 10:30"),
        ("wait...", "wait..."),
        ("Müller & Söhne <GmbH>", "Müller & Söhne <GmbH>"),
        ("شركة", "شركة"),
        ("👩‍🚀 crew", "👩‍🚀 crew"),
        ("北京公司", "北京公司"),
        ("x" * 81, "x" * 79 + "…"),
        ("", ""),
    ],
)
def test_a_name_leads_nowhere_and_is_otherwise_left_as_it_is(name: str, shown: str) -> None:
    assert harmless(name) == shown
