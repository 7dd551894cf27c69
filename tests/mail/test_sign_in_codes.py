"""Codes to sign in with: what their mails say, when they go out, and that nothing else shows them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import httpx
import pytest

from server.domain.secrets import SecretKeys
from server.domain.session import CodeMailState, SignInCode, SignInMethods
from server.mail.in_log import LogMailer
from server.main import build_service
from server.ports import Mail, Mailer, MailError, MailRefusedError, MailServerError, SignInMail, Store
from server.service.sign_in import SignInOptions
from server.service.sign_in_mail import FIRST_DELAY_SECONDS, LEASE, SignInMails
from server.settings import Settings, SettingsError
from tests.conftest import KEY, GivenClock, World
from tests.mail.conftest import PUBLIC_URL, SENDER, TEMPLATES, smtp_mailer
from tests.mail.mail_server import MailServer, mail_server
from tests.mail.test_headers import HEADERS, NOON, on_the_wire, read
from tests.mail.test_words import SNAPSHOTS, TAGS, Page
from tests.running import RunningServer, running_server, wait_until

KEYS = SecretKeys([KEY])
SESSIONS = "/invitations.v1.SessionService"


def a_code_mail(locale: str = "", email: str = "grace@example.com") -> SignInMail:
    return SignInMail(
        id="7f0e6fd4-3f5c-4f2e-9a7b-0d6c1a2b3c4d",
        email=email,
        locale=locale,
        site="organizations.example.com",
        code="00421337",
        written_at=NOON,
        expires_at=NOON + timedelta(minutes=10),
    )


# What they say.


@pytest.mark.parametrize("tag", TAGS)
def test_a_mail_says_the_code_for_what_and_how_long(tag: str) -> None:
    words = TEMPLATES.render(a_code_mail(tag))
    assert f"{words.subject}\n\n{words.text}" == (SNAPSHOTS / f"sign_in.{tag}.txt").read_text(encoding="utf-8")
    page = Page(words.html)
    assert dict(page.elements[0:1]) == {"html": {"lang": tag}}
    for part in (words.text, page.text):
        assert "0042 1337" in part
        assert "organizations.example.com" in part
    assert not {"a", "img", "script", "link", "form"} & {name for name, _ in page.elements}


@pytest.mark.parametrize("tag", TAGS)
def test_the_subject_which_mail_servers_log_has_no_code(tag: str) -> None:
    assert not re.search(r"\d", TEMPLATES.render(a_code_mail(tag)).subject)


@pytest.mark.parametrize("email", ["grace@example.com", "grâce@example.com", "grace@bücher.example"])
def test_the_headers_of_a_code_are_ours(email: str) -> None:
    message = read(on_the_wire(a_code_mail("zh", email)))
    assert sorted(name.lower() for name, _ in message.items()) == sorted(HEADERS)
    assert message["From"].addresses[0].addr_spec == SENDER.address
    assert message["Auto-Submitted"] == "auto-generated"
    assert len(message["To"].addresses) == 1


def test_a_code_is_never_in_a_representation() -> None:
    assert "00421337" not in repr(a_code_mail())


# When they go out.


class GivenMailer:
    """A mailer that takes mails, or raises what it is given."""

    def __init__(self) -> None:
        self.error: Exception | None = None
        self.mails: list[Mail] = []

    @contextmanager
    def session(self) -> Iterator[Callable[[Mail], None]]:
        def send(mail: Mail) -> None:
            if self.error is not None:
                raise self.error
            self.mails.append(mail)

        yield send


@pytest.fixture
def desk(store: Store, clock: GivenClock) -> World:
    options = SignInOptions(SignInMethods(email_code=True))
    return World(build_service(store, KEYS, clock=clock, sign_in=options), clock)


def sender(world: World, mailer: Mailer) -> SignInMails:
    return SignInMails(world.service.store, world.clock, KEYS, mailer, "organizations.example.com")


def now(world: World, code: SignInCode) -> SignInCode:
    with world.service.store.snapshot() as tx:
        found = tx.sign_in_code(code.id)
    assert found is not None
    return found


def test_a_code_goes_out_once_over_a_real_mail_server(desk: World, smtp: MailServer) -> None:
    code = desk.service.sign_in.send_code("Grace@Example.com", "de-AT")
    sends = sender(desk, smtp_mailer(smtp.url))
    assert [sends.send_due(), sends.send_due()] == [1, 0]
    (mail,) = smtp.mails
    assert mail.recipients == ("Grace@example.com",)
    assert str(mail.message["Subject"]) == "Ihr Code zum Anmelden"
    (shown,) = re.findall(r"^(\d{4} \d{4})$", mail.part("plain"), re.MULTILINE)
    assert desk.service.sign_in.with_code(code.id, shown).account.email == "Grace@Example.com"
    assert now(desk, code).mail_state is CodeMailState.SENT


def test_a_code_is_tried_again_until_it_ends(desk: World) -> None:
    code = desk.service.sign_in.send_code("grace@example.com")
    mailer = GivenMailer()
    mailer.error = MailServerError("down")
    sends = sender(desk, mailer)
    tries = 0
    while now(desk, code).mail_state is CodeMailState.QUEUED:
        sends.send_due()
        tries = now(desk, code).mail_attempts
        desk.clock.forward(timedelta(seconds=1))
        assert desk.clock() < code.expires_at + timedelta(minutes=1)
    assert 5 < tries < 12
    mailer.error = None
    assert (sends.send_due(), mailer.mails) == (0, [])


def test_a_code_that_was_not_sent_goes_out_a_little_later(desk: World) -> None:
    desk.service.sign_in.send_code("grace@example.com")
    mailer = GivenMailer()
    mailer.error = MailError("greylisted")
    sends = sender(desk, mailer)
    assert sends.send_due() == 0
    mailer.error = None
    desk.clock.forward(timedelta(seconds=FIRST_DELAY_SECONDS) - timedelta(microseconds=1))
    assert sends.send_due() == 0
    desk.clock.forward(timedelta(microseconds=1))
    assert sends.send_due() == 1


def test_what_is_refused_for_good_is_not_tried_again_and_holds_up_nobody(
    desk: World, caplog: pytest.LogCaptureFixture
) -> None:
    codes = [desk.service.sign_in.send_code(f"{name}@example.com") for name in ("grace", "ada")]
    mailer = GivenMailer()
    mailer.error = MailRefusedError(
        f"550 no such user, said the mail with {KEYS.sign_in_code(codes[0].id, codes[0].key_id)}"
    )
    sender(desk, mailer).send_due()
    assert [now(desk, code).mail_state for code in codes] == [CodeMailState.FAILED] * 2
    for code in codes:
        assert KEYS.sign_in_code(code.id, code.key_id) not in caplog.text
    assert "example.com" not in caplog.text


def test_a_code_that_ended_while_the_service_was_down_is_not_sent(desk: World) -> None:
    code = desk.service.sign_in.send_code("grace@example.com")
    desk.clock.forward(timedelta(minutes=10))
    mailer = GivenMailer()
    assert sender(desk, mailer).send_due() == 0
    assert (mailer.mails, now(desk, code).mail_state) == ([], CodeMailState.FAILED)


def test_what_a_crash_left_is_sent_when_its_lease_ends(desk: World) -> None:
    code = desk.service.sign_in.send_code("grace@example.com")
    mailer = GivenMailer()
    mailer.error = KeyboardInterrupt()  # type: ignore[assignment]
    with pytest.raises(KeyboardInterrupt):
        sender(desk, mailer).send_due()
    mailer.error = None
    assert sender(desk, mailer).send_due() == 0
    desk.clock.forward(LEASE)
    assert sender(desk, mailer).send_due() == 1
    assert now(desk, code).mail_attempts == 2


def test_the_log_takes_codes_and_no_other_mail(desk: World, caplog: pytest.LogCaptureFixture) -> None:
    code = desk.service.sign_in.send_code("grace@example.com")
    assert sender(desk, LogMailer()).send_due() == 1
    digits = KEYS.sign_in_code(code.id, code.key_id)
    assert f"grace@example.com is {digits[:4]} {digits[4:]} " in caplog.text


# The real server.


def ask(server: RunningServer, method: str, request: dict[str, str]) -> httpx.Response:
    headers = {"x-session": "cookie", "origin": server.url}
    return httpx.post(f"{server.url}{SESSIONS}/{method}", json=request, headers=headers)


def test_the_real_server_mails_a_code_that_signs_in(tmp_path: Path, smtp: MailServer) -> None:
    with running_server(tmp_path, "--smtp-url", smtp.url, "--public-url", PUBLIC_URL) as server:
        asked = ask(server, "SendSignInCode", {"email": "grace@example.com", "locale": "en"})
        wait_until(lambda: smtp.mails)
        (mail,) = smtp.mails
        (shown,) = re.findall(r"^(\d{4} \d{4})$", mail.part("plain"), re.MULTILINE)
        assert "organizations.example.com" in mail.part("plain")
        answer = ask(server, "SignInWithCode", {"codeId": asked.json()["codeId"], "code": shown})
        assert answer.status_code == 200
        (cookie,) = answer.headers.get_list("set-cookie")
        assert cookie.startswith("__Host-session=orgsvcses_")
        kept = b"".join(path.read_bytes() for path in tmp_path.glob("organizations.db*"))
    secret = cookie.partition("=")[2].partition(";")[0]
    for told in (shown, shown.replace(" ", ""), secret, "grace@example.com"):
        assert told not in server.log
    assert shown.replace(" ", "").encode() not in kept
    assert secret.encode() not in kept
    assert "nobody can sign in" not in server.log


@pytest.mark.slow
def test_a_code_waits_for_the_mail_server_over_a_restart(tmp_path: Path) -> None:
    with mail_server() as smtp:
        url = smtp.url
    options = ("--smtp-url", url, "--public-url", PUBLIC_URL)
    with running_server(tmp_path, *options) as server:
        ask(server, "SendSignInCode", {"email": "grace@example.com"})
        wait_until(lambda: "wasn't sent" in server.log)
    with mail_server(port=int(url.rpartition(":")[2])) as smtp, running_server(tmp_path, *options):
        wait_until(lambda: smtp.mails, 60)


@pytest.mark.slow
def test_in_development_the_log_shows_the_code(tmp_path: Path) -> None:
    with running_server(tmp_path, "--development") as server:
        asked = ask(server, "SendSignInCode", {"email": "grace@example.com"})
        wait_until(lambda: "the code to sign in as" in server.log)
        (shown,) = re.findall(r"grace@example.com is (\d{4} \d{4}) ", server.log)
        assert ask(server, "SignInWithCode", {"codeId": asked.json()["codeId"], "code": shown}).status_code == 200


@pytest.mark.parametrize(
    ("public_url", "others_come"),
    [
        ("", False),
        ("http://localhost:8080", False),
        ("https://127.0.0.1", False),
        ("http://[::1]:8080/orgs", False),
        ("https://orgs.example.com", True),
        ("http://localhost.example.com", True),
        ("http://192.168.0.2:8080", True),
    ],
)
def test_the_log_shows_codes_only_on_a_machine_of_ones_own(public_url: str, others_come: bool) -> None:
    settings = Settings(development="1", public_url=public_url)
    with pytest.raises(SettingsError, match="DEVELOPMENT") if others_come else nullcontext():
        assert settings.offers_codes
    # Where they are mailed, anybody may come.
    assert replace(settings, smtp_url="smtp://localhost").offers_codes
    assert not replace(settings, development="").offers_codes


@pytest.mark.slow
@pytest.mark.parametrize(
    ("options", "says"),
    [
        ((), "DEVELOPMENT=1"),
        (("--sign-in-codes", "off", "--development"), "SIGN_IN_CODES is off"),
        (("--oidc-issuer", "https://accounts.example", "--oidc-audience", "us", "--development"), "OIDC_CLIENT_ID"),
    ],
)
def test_where_nobody_can_sign_in_the_start_says_so_once_and_no_code_is_sent(
    tmp_path: Path, options: tuple[str, ...], says: str
) -> None:
    with running_server(tmp_path, *options) as server:
        refused = ask(server, "SendSignInCode", {"email": "grace@example.com"})
        assert "SIGN_IN_UNAVAILABLE" in refused.text
    (line,) = [line for line in server.log.splitlines() if "nobody can sign in to the pages" in line]
    assert says in line
