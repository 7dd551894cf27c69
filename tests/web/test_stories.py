"""What people do from the first click to the last, with a provider that isn't ours and mails that really travel."""

from __future__ import annotations

import re
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from server.domain.secrets import SecretKeys
from server.domain.session import MAX_WRONG_GUESSES
from server.main import build_service, open_store
from server.service.call import Call
from server.service.invitations import NewInvitation
from server.settings import Settings
from tests.certificates import self_signed
from tests.mail.mail_server import mail_server
from tests.running import running_server, wait_until
from tests.web.browser import Browser
from tests.web.provider import NAME, sign_in_there
from tests.web.signing_in import sign_in
from tests.web.town import Come, Town, found, invite, reachable_server, shown

UNTIL_JOIN = "Nothing happens until you join."
UNTIL_ANSWER = "Nothing happens until you accept or decline."


# By the link.

pytestmark = pytest.mark.slow


def test_an_organization_fills_by_its_link_and_an_old_link_says_so(newcomer: Come, town: Town) -> None:
    ada = newcomer()
    ada.open(f"{town.url}/console")
    shown(ada, f"Continue with {NAME}", "sign-in-provider")
    found(ada, town, "ada", "Acme")
    ada.follow("Invite link")
    ada.click("Create link")
    ada.see("The link is ready.")
    ada.click("Copy")
    ada.see("Copied")
    link = ada.do("clipboard")

    bob = newcomer()
    bob.open(link)
    shown(bob, "To join you need to be signed in.", "invite-signed-out")
    bob.follow("Sign in to join")
    sign_in_there(bob, town.service, "bob")
    seen = shown(bob, UNTIL_JOIN, "invite-signed-in")
    assert seen["url"] == link
    assert "bob@example.com" in seen["text"]
    bob.click("Join")
    shown(bob, "You are a member of Acme now.", "invite-joined")
    bob.follow("Go to Acme")
    assert "Invite link" not in bob.see("2 members")["text"]

    ada.follow("Members")
    ada.do("until", ["bob@example.com", "Member"])
    ada.follow("Invite link")
    ada.click("Replace link")
    shown(ada, "The old link stops working at once", "console-link-replacing")
    ada.do("confirm", "Replace")
    ada.see("There is a new link.")
    new = ada.do("valueOf", "Link")

    eve = newcomer()
    eve.open(link)
    seen = shown(eve, "Ask an admin of the organization for the current link.", "invite-replaced")
    assert seen["heading"] == "This link doesn't work"
    assert "Acme" not in seen["text"]
    eve.open(new)
    eve.follow("Sign in to join")
    sign_in_there(eve, town.service, "eve")
    eve.see(UNTIL_JOIN)
    ada.click("Turn off")
    ada.do("confirm", "Turn off")
    ada.see("The link is off.")
    eve.click("Join")
    shown(eve, "turned off", "invite-turned-off")
    ada.follow("Members")
    assert "eve@example.com" not in ada.see("2 members")["text"]


# By mail.


def test_people_answer_mails_and_what_cant_be_answered_says_why(newcomer: Come, town: Town) -> None:
    ada = newcomer()
    console = found(ada, town, "ada", "Mailed")
    invite(ada, *(f"{name}@example.com" for name in ("bob", "eve", "kim", "mia", "nia")))

    eve = newcomer()
    eve.open(town.mail_to("eve@example.com").link)
    seen = shown(eve, "To answer you need to be signed in.", "invitation-signed-out")
    assert seen["heading"] == "Ada invites you to Mailed"
    eve.follow("Sign in to answer")
    sign_in_there(eve, town.service, "eve")
    shown(eve, UNTIL_ANSWER, "invitation-signed-in")
    eve.click("Accept")
    shown(eve, "You are a member of Mailed now.", "invitation-accepted")
    eve.open(town.mail_to("eve@example.com").link)
    eve.see("You are a member of Mailed already.")

    nia = newcomer()
    nia.open(town.mail_to("nia@example.com").link)
    nia.follow("Sign in to answer")
    sign_in_there(nia, town.service, "nia")
    nia.see(UNTIL_ANSWER)
    nia.click("Decline")
    shown(nia, "You won't become a member.", "invitation-declining")
    nia.click("Yes, decline")
    shown(nia, "You declined.", "invitation-declined")

    ada.follow("To the invitations")
    ada.do("until", ["eve@example.com", "Accepted"])
    ada.do("until", ["nia@example.com", "Declined"])
    ada.click("Revoke: mia@example.com")
    ada.do("confirm", "Revoke")
    ada.see("The invitation of mia@example.com was revoked.")
    mia = newcomer()
    mia.open(town.mail_to("mia@example.com").link)
    shown(mia, "was withdrawn", "invitation-revoked")

    # Whose own page of the invitation somebody else opens.
    bob = newcomer()
    bob.open(town.mail_to("bob@example.com").link)
    bob.follow("Sign in to answer")
    sign_in_there(bob, town.service, "bob")
    bob.see(UNTIL_ANSWER)
    bob.click("Accept")
    bob.see("You are a member of Mailed now.")
    kim = newcomer()
    kim.open(town.mail_to("kim@example.com").link)
    kim.follow("Sign in to answer")
    sign_in_there(kim, town.service, "kim")
    kim.see(UNTIL_ANSWER)
    kim.click("Accept")
    shown(kim, "The organization is full", "invitation-full")
    ada.open(f"{console}/members")
    assert "kim@example.com" not in ada.see("3 members")["text"]


def test_an_invitation_expires(newcomer: Come, town: Town) -> None:
    then = datetime.now(UTC) - timedelta(days=1)
    settings = Settings.from_environ({"DATABASE_URL": town.service.database_url})
    with closing(open_store(settings)) as store:
        yesterday = build_service(store, SecretKeys(settings.secret_keys()), clock=lambda: then)
        ada = yesterday.authentication.local_account("ada@example.org", "Ada")
        secret, _ = yesterday.tokens.issue(ada, description="for the tests", expires_at=None)
        call = Call(yesterday.authentication.who(secret))
        organization, _ = yesterday.organizations.create(call, "Brief")
        new = NewInvitation("late@example.org", ttl=timedelta(hours=1), send_email=False)
        token = yesterday.invitations.create(call, organization.id, new).token
    late = newcomer(f"/invitations#{token}")
    seen = shown(late, "has expired. Ask an admin of the organization to send it again.", "invitation-expired")
    assert seen["buttons"] == []


def test_another_account_is_told_so_and_changes_to_the_right_one(newcomer: Come, town: Town) -> None:
    ada = newcomer()
    found(ada, town, "ada", "Addressed")
    invite(ada, "eve@example.com")
    [(invitation_id,)] = town.query("select id from invitations order by created_at desc limit 1")
    bob = newcomer()
    bob.open(f"{town.url}/invitations#id={invitation_id}")
    bob.follow("Sign in")
    sign_in_there(bob, town.service, "bob")
    seen = shown(bob, "The invitation is for e***@example.com", "invitation-wrong-account")
    assert "Addressed" not in seen["text"]
    bob.click("Use another account")
    # The provider still knows them as Bob, and has to ask.
    sign_in_there(bob, town.service, "eve")
    bob.see(UNTIL_ANSWER)
    bob.click("Accept")
    bob.see("You are a member of Addressed now.")


# Signing in by a code that is mailed.


def test_a_mailed_code_signs_in_after_wrong_ones_and_a_dead_one(chromium: Browser, tmp_path: Path) -> None:
    with mail_server() as mail, reachable_server(tmp_path, {"SMTP_URL": mail.url}) as service:

        def code(count: int) -> str:
            wait_until(lambda: len(mail.mails) == count)
            return re.findall(r"\b\d{4} \d{4}\b", mail.mails[-1].part("plain"))[0]

        ada = chromium.come(reducedMotion="reduce")
        ada.do("set clock")
        ada.open(f"{service.url}/console")
        shown(ada, "Send me a code", "sign-in-code")
        ada.fill("E-mail address", "ada@example.com")
        ada.press("Enter")
        shown(ada, "We sent a code to ada@example.com.", "sign-in-code-sent")
        dead = code(1)
        wrong = "".join(str(9 - int(digit)) for digit in dead if digit != " ")
        for guess in (*[wrong] * MAX_WRONG_GUESSES, dead):
            ada.fill("Code", guess)
            ada.click("Sign in")
            ada.see("That code isn't right")
            ada.fill("Code", "")
        shown(ada, "That code isn't right", "sign-in-code-wrong")
        ada.do("pass", 31)
        ada.click("Send another code")
        ada.see("Another code is on its way.")
        ada.fill("Code", code(2))
        ada.click("Sign in")
        assert ada.see("You aren't in an organization yet")["url"] == f"{service.url}/console"
        assert ada.said() == []
        ada.do("leave")


@pytest.mark.parametrize("host", ["localhost", "https"])
def test_the_session_is_kept_on_this_machine_and_behind_tls(host: str, chromium: Browser, tmp_path: Path) -> None:
    options: list[str] = []
    if host == "https":
        pem = str(self_signed(tmp_path / "server.pem"))
        options = ["--tls-cert", pem, "--tls-key", pem]
    with running_server(tmp_path, "--development", *options) as service:
        url = service.url.replace("127.0.0.1", "localhost") if host == "localhost" else service.url
        assert url.startswith(f"{'https' if host == 'https' else 'http'}://")
        ada = chromium.come(ignoreHTTPSErrors=True)
        ada.open(f"{url}/console")
        sign_in(ada, service, "ada@example.com")
        ada.see("You aren't in an organization yet")
        ada.do("reload")
        assert ada.see("You aren't in an organization yet")["url"] == f"{url}/console"
        ada.click("Your account: ada@example.com")
        ada.click("Sign out")
        ada.see("Send me a code")
        ada.open(f"{url}/console")
        ada.see("Send me a code")
        assert ada.said() == []
        ada.do("leave")


# When the provider says no.


def test_what_goes_wrong_at_the_provider_is_told_and_changes_nothing(newcomer: Come, town: Town) -> None:
    before = town.rows()
    kim = newcomer("/sign-in?return=/console")
    kim.click(f"Continue with {NAME}")
    kim.see("Who are you?")
    kim.click("Don't")
    seen = shown(kim, "The sign-in provider didn't say who you are", "sign-in-refused")
    assert seen["buttons"] == [f"Continue with {NAME}"]
    assert "Afterwards you go on where you were." in seen["text"]

    # The way back of a browser that began is of no use in another one.
    kim.click(f"Continue with {NAME}")
    kim.see("Who are you?")
    kim.fill("Who are you?", "kim")
    back = kim.do("click and stop", ["Let me in", "/sign-in/callback"])
    mallory = newcomer()
    mallory.open(back)
    shown(mallory, "Begin again.", "sign-in-expired")
    assert town.rows() == before
    # And still is of use in the right one.
    kim.open(back)
    kim.see("Organizations")


def test_a_provider_that_is_down_is_told(newcomer: Come, town: Town) -> None:
    kim = newcomer("/sign-in?return=/console")
    kim.click(f"Continue with {NAME}")
    kim.see("Who are you?")
    kim.fill("Who are you?", "kim")
    back = kim.do("click and stop", ["Let me in", "/sign-in/callback"])
    before = town.rows()
    with town.provider.down():
        kim.open(back)
        shown(kim, "The sign-in provider can't be reached at the moment.", "sign-in-unavailable")
    assert town.rows() == before
