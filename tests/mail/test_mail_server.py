"""How mails reach a mail server: TLS, login, refusals, and the settings of all that."""

from __future__ import annotations

import datetime
import socket
import ssl
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from aiosmtpd.smtp import AuthResult

from server.domain.invitation import DeliveryState
from server.mail import MailSetupError
from server.mail.message import Sender
from server.mail.smtp import SmtpMailer, SmtpServer
from server.main import build_outbox
from server.ports import MailState
from server.settings import Settings, SettingsError
from tests.certificates import self_signed
from tests.conftest import World
from tests.mail.conftest import SENDER, TEMPLATES, Household
from tests.mail.mail_server import MailServer, mail_server

PASSWORD = "p@ss:w/rd?"


@dataclass(frozen=True)
class Certificate:
    """A certificate of its own authority."""

    path: Path
    context: ssl.SSLContext

    @property
    def option(self) -> str:
        return f"cafile={quote(str(self.path))}"


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    path = self_signed(tmp_path_factory.mktemp("tls") / "mail server.pem")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    return Certificate(path, context)


def check_password(server: Any, session: Any, envelope: Any, mechanism: str, data: Any) -> AuthResult:
    right = (data.login, data.password) == (b"mailer", PASSWORD.encode())
    return AuthResult(success=right, handled=False, auth_data=data)


LOGIN = {"auth_required": True, "authenticator": check_password}


def sent(home: Household, url: str) -> str:
    """Invite and send; give the reason when it doesn't go out, empty when it does."""
    invitation = home.invite("grace@example.com")
    went_out = home.outbox(url).send_due()
    again = home.again(invitation)
    assert (again.delivery_state is DeliveryState.SENT) == bool(went_out)
    return again.delivery_error


# TLS and login.


def test_starttls_and_login_are_used_where_the_server_wants_them(home: Household, certificate: Certificate) -> None:
    with mail_server(tls=certificate.context, require_starttls=True, **LOGIN) as smtp:
        user = f"mailer:{quote(PASSWORD, safe='')}"
        assert sent(home, f"smtp://{user}@127.0.0.1:{smtp.port}?{certificate.option}") == ""
        (mail,) = smtp.mails
        assert mail.encrypted
        assert mail.user == "mailer"


def test_starttls_is_used_when_it_is_offered_and_not_when_it_is_forbidden(
    home: Household, certificate: Certificate
) -> None:
    with mail_server(tls=certificate.context) as smtp:
        assert sent(home, f"{smtp.url}?{certificate.option}") == ""
        home.invite("alan@example.com")
        assert home.outbox(f"{smtp.url}?starttls=never").send_due() == 1
        assert [mail.encrypted for mail in smtp.mails] == [True, False]


def test_tls_from_the_start_is_spoken_on_smtps(home: Household, certificate: Certificate) -> None:
    with mail_server(ssl_context=certificate.context) as smtp:
        assert sent(home, f"smtps://127.0.0.1:{smtp.port}?{certificate.option}") == ""
        assert len(smtp.mails) == 1


def test_a_certificate_that_nobody_vouches_for_is_not_trusted(home: Household, certificate: Certificate) -> None:
    with mail_server(tls=certificate.context) as smtp:
        assert "CERTIFICATE_VERIFY_FAILED" in sent(home, smtp.url)
        assert smtp.mails == []


def test_a_certificate_of_another_host_is_not_trusted(home: Household, certificate: Certificate) -> None:
    with mail_server(tls=certificate.context) as smtp:
        assert "CERTIFICATE_VERIFY_FAILED" in sent(home, f"smtp://localhost:{smtp.port}?{certificate.option}")
        assert smtp.mails == []


def test_a_server_without_starttls_gets_nothing_where_it_is_required(home: Household, smtp: MailServer) -> None:
    assert "STARTTLS" in sent(home, f"{smtp.url}?starttls=required")
    assert smtp.mails == []


@pytest.mark.parametrize(
    ("host", "option", "sends"),
    # 0.0.0.0 is reached here, and yet isn't known to be this machine.
    [("127.0.0.1", "", True), ("127.0.0.2", "", True), ("0.0.0.0", "", False), ("0.0.0.0", "?starttls=never", True)],
)
def test_a_password_is_sent_unencrypted_to_this_machine_alone_unless_that_is_asked_for(
    home: Household, host: str, option: str, sends: bool
) -> None:
    seen: list[str] = []

    def authenticate(server: Any, session: Any, envelope: Any, mechanism: str, data: Any) -> AuthResult:
        seen.append(data.login.decode())
        return AuthResult(success=True, auth_data=data)

    with mail_server(host=host, auth_require_tls=False, authenticator=authenticate) as smtp:
        reason = sent(home, f"smtp://mailer:secret@{host}:{smtp.port}{option}")
    assert seen == (["mailer"] if sends else [])
    assert ("unencrypted" in reason) == (not sends)


def test_a_wrong_password_holds_everything_up_until_it_is_right(home: Household, certificate: Certificate) -> None:
    with mail_server(tls=certificate.context, **LOGIN) as smtp:
        reason = sent(home, f"smtp://mailer:wrong@127.0.0.1:{smtp.port}?{certificate.option}")
        assert reason.startswith("the mail server said: 535")
        assert "wrong" not in reason
        home.world.clock.forward(datetime.timedelta(minutes=1))
        right = f"smtp://mailer:{quote(PASSWORD, safe='')}@127.0.0.1:{smtp.port}?{certificate.option}"
        assert home.outbox(right).send_due() == 1


# Refusals.


def test_a_recipient_that_is_refused_for_good_fails_with_the_servers_reason(home: Household, smtp: MailServer) -> None:
    smtp.answers["grace@example.com"] = "550 5.1.1 no such user here"
    assert sent(home, smtp.url) == "550 5.1.1 no such user here"
    assert [mail.state for mail in home.mails()] == [MailState.FAILED]
    smtp.answers.clear()
    home.invite("alan@example.com")
    home.world.clock.forward(datetime.timedelta(days=1))
    assert home.outbox(smtp.url).send_due() == 1
    assert [mail.recipients for mail in smtp.mails] == [("alan@example.com",)]


def test_a_recipient_that_is_refused_for_now_is_tried_again_and_the_others_are_not_held_up(
    home: Household, smtp: MailServer
) -> None:
    smtp.answers["grace@example.com"] = "450 4.2.0 greylisted"
    home.invite("alan@example.com")
    invitation = home.invite("grace@example.com")
    home.invite("mary@example.com")
    assert home.outbox(smtp.url).send_due() == 2
    assert home.again(invitation).delivery_error == "450 4.2.0 greylisted"
    smtp.answers.clear()
    home.world.clock.forward(datetime.timedelta(seconds=10))
    assert home.outbox(smtp.url).send_due() == 1
    assert len(smtp.mails) == 3


def test_a_mail_whose_content_is_refused_for_good_fails(home: Household, smtp: MailServer) -> None:
    smtp.answer = "554 5.7.1 looks like spam"
    assert sent(home, smtp.url) == "554 5.7.1 looks like spam"
    assert [mail.state for mail in home.mails()] == [MailState.FAILED]


def test_an_address_that_needs_smtputf8_fails_where_the_server_cannot(home: Household) -> None:
    invitation = home.invite("jürgen@example.com")
    with mail_server(enable_SMTPUTF8=False) as smtp:
        assert home.outbox(smtp.url).send_due() == 0
    assert "SMTPUTF8" in home.again(invitation).delivery_error
    assert home.again(invitation).delivery_state is DeliveryState.FAILED


def test_a_server_that_lets_the_connection_go_is_called_again(home: Household, smtp: MailServer) -> None:
    for number in range(4):
        home.invite(f"person{number}@example.com")

    class Tired(MailServer):
        async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802
            answer = await super().handle_DATA(server, session, envelope)
            session.used = getattr(session, "used", 0) + 1
            return answer

        async def handle_RCPT(  # noqa: N802
            self, server: Any, session: Any, envelope: Any, address: str, rcpt_options: list[str]
        ) -> str:
            if getattr(session, "used", 0):
                return "421 4.7.0 too many mails in one connection"
            return await super().handle_RCPT(server, session, envelope, address, rcpt_options)

    smtp.__class__ = Tired
    assert home.outbox(smtp.url).send_due() == 4
    assert len(smtp.mails) == 4


def test_a_server_that_says_nothing_is_given_up(home: Household) -> None:
    invitation = home.invite("grace@example.com")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        server = SmtpServer.from_url(f"smtp://127.0.0.1:{silent.getsockname()[1]}")
        mailer = SmtpMailer(replace(server, timeout_seconds=0.2), SENDER, TEMPLATES)
        assert home.outbox(mailer).send_due() == 0
    assert "timed out" in home.again(invitation).delivery_error


# Settings.


def test_a_url_of_a_mail_server_is_read() -> None:
    server = SmtpServer.from_url("smtp://a%40b:p%3Aw@mail.example.com")
    assert (server.host, server.port, server.user, server.password) == ("mail.example.com", 587, "a@b", "p:w")
    assert (server.tls_from_start, server.starttls) == (False, "offered")
    assert SmtpServer.from_url("smtps://[::1]").host == "::1"
    assert SmtpServer.from_url("smtps://mail.example.com").port == 465
    assert SmtpServer.from_url("smtp://mail:25/?starttls=required").starttls == "required"
    assert "p:w" not in repr(server)


@pytest.mark.parametrize(
    "url",
    [
        "mail.example.com",
        "http://mail.example.com",
        "smtp://",
        "smtp://:s3cret@mail.example.com",
        "smtp://s3cret@mail.example.com",
        "smtp://u:s3crét@mail.example.com",
        "smtp://u:s3cret@mail.example.com:port",
        "smtp://u:s3cret@mail.example.com:99999",
        "smtp://u:s3cret@mail.example.com/path",
        "smtp://u:s3cret@mail.example.com#s",
        "smtp://u:s3cret@mail.example.com?starttls=maybe",
        "smtp://u:s3cret@mail.example.com?tls=1",
        "smtp://u:s3cret@mail.example.com?starttls",
        "smtp://u:s3cret@mail.example.com?cafile=/nowhere.pem",
        "smtp://u:s3cret@[mail.example.com",
    ],
)
def test_a_url_that_is_none_of_a_mail_server_is_refused_without_showing_it(url: str) -> None:
    with pytest.raises(MailSetupError, match=r"\ASMTP_URL") as refusal:
        SmtpServer.from_url(url)
    assert "s3cr" not in str(refusal.value)


@pytest.mark.parametrize(
    ("text", "name", "address"),
    [
        ("no-reply@example.com", "", "no-reply@example.com"),
        ("Acme Inc. <a@example.com>", "Acme Inc.", "a@example.com"),
        ('"Acme, Inc" <a@localhost>', "Acme, Inc", "a@localhost"),
        ("<a@localhost>", "", "a@localhost"),
        ("Ünïon <a@bücher.example>", "Ünïon", "a@xn--bcher-kva.example"),
    ],
)
def test_a_sender_is_read(text: str, name: str, address: str) -> None:
    sender = Sender.parse(text)
    assert (sender.name, sender.address) == (name, address)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "nobody",
        "a@b, c@d",
        "A <a@b.example> x",
        "ü@example.com",
        "A\r\nBcc: x@y.example <a@b.example>",
        "a@b_c",
        "@b",
        "a@",
    ],
)
def test_a_sender_that_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(MailSetupError, match="MAIL_FROM"):
        Sender.parse(text)


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        (Settings(smtp_url="smtp://localhost", public_url="https://example.com", mail_from="nobody"), "MAIL_FROM"),
        (Settings(smtp_url="nonsense", public_url="https://example.com"), "SMTP_URL"),
        (Settings(smtp_url="smtp://localhost"), "PUBLIC_URL"),
        (Settings(smtp_url="smtp://localhost", public_url="ftp://example.com"), "PUBLIC_URL"),
        (Settings(smtp_url="smtp://localhost", public_url="https://example.com/?x"), "PUBLIC_URL"),
        (Settings(smtp_url="smtp://localhost", public_url="https://u@example.com"), "PUBLIC_URL"),
        (Settings(smtp_url="smtp://localhost", public_url="https://example.com:x"), "PUBLIC_URL"),
        (Settings(mail_templates="/nowhere"), "MAIL_TEMPLATES"),
    ],
)
def test_settings_that_cannot_be_used_are_named(world: World, settings: Settings, named: str) -> None:
    with pytest.raises(SettingsError, match=named):
        build_outbox(settings, world.service.store, None)  # type: ignore[arg-type]


def test_without_a_mail_server_nothing_is_sent(world: World) -> None:
    assert build_outbox(Settings(), world.service.store, None) is None  # type: ignore[arg-type]


def test_a_path_and_a_slash_may_stand_in_the_public_url() -> None:
    assert Settings(public_url="https://example.com/team/").public_base == "https://example.com/team"
