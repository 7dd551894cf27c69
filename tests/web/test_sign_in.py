"""Signing in to the pages with a code by mail, as people do it in a browser."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from tests.running import RunningServer, running_server
from tests.web.browser import Person
from tests.web.household import SESSIONS
from tests.web.signing_in import code_for, sign_in

MAIL_LIMIT = 4


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    settings = {"DEVELOPMENT": "1", "LIMITS": f"recipient={MAIL_LIMIT}/600s"}
    with running_server(tmp_path_factory.mktemp("server"), environ=settings) as server:
        yield server


def test_a_code_signs_in_and_leads_back_to_where_one_was(visitor: Person, service: RunningServer) -> None:
    visitor.open(f"{service.url}/sign-in?return=/invitations%3Flang%3Den")
    assert visitor.see("Afterwards you go on where you were.")["buttons"] == ["Send me a code"]
    sign_in(visitor, service, "ada@example.com")
    assert visitor.see("There is no invitation in this tab")["url"] == f"{service.url}/invitations?lang=en"

    visitor.open(f"{service.url}/sign-in")
    seen = visitor.see("You are signed in as")
    assert "ada@example.com" in seen["text"]
    assert seen["links"] == [f"{service.url}/console"]
    visitor.click("Use another account")
    visitor.see("Send me a code")


def test_what_is_missing_or_wrong_is_said_beside_the_field(visitor: Person, service: RunningServer) -> None:
    visitor.open(f"{service.url}/sign-in")
    visitor.see("E-mail address")
    visitor.click("Send me a code")
    visitor.see("Enter your e-mail address first.")
    for wrong in ("x", "not an address"):
        visitor.fill("E-mail address", wrong)
        visitor.press("Enter")
        visitor.see(f"“{wrong}” is no e-mail address.")
    visitor.fill("E-mail address", "bob@example.com")
    visitor.press("Enter")
    visitor.see("the code stands in the service's log")
    visitor.click("Sign in")
    visitor.see("Enter the code first.")
    right = code_for(service, "bob@example.com")
    wrong = "".join(str(9 - int(digit)) for digit in right if digit != " ")
    for code in (wrong, "not a code"):
        visitor.fill("Code", code)
        visitor.click("Sign in")
        visitor.see("That code isn't right")
    visitor.fill("Code", right)
    visitor.click("Sign in")
    visitor.arrive(f"{service.url}/console")


@pytest.mark.slow
def test_another_code_can_be_asked_for_after_a_while_and_the_page_may_be_lost_in_between(
    visitor: Person, service: RunningServer
) -> None:
    seen = len(service.log)
    visitor.do("set clock")
    visitor.open(f"{service.url}/sign-in")
    visitor.see("E-mail address")
    visitor.fill("E-mail address", "eve@example.com")
    visitor.press("Enter")
    visitor.see("Send another code (in 30 seconds)")
    visitor.do("pass", 10)
    visitor.see("Send another code (in 20 seconds)")
    visitor.do("reload")
    assert visitor.see("Send another code (in")["heading"] == "Enter the code"
    visitor.do("pass", 31)
    visitor.see("Send another code")
    code_for(service, "eve@example.com", seen)
    seen = len(service.log)
    visitor.click("Send another code")
    visitor.see("Another code is on its way.")
    visitor.fill("Code", code_for(service, "eve@example.com", seen))
    visitor.click("Sign in")
    visitor.arrive(f"{service.url}/console")


@pytest.mark.slow
def test_who_mistyped_the_address_enters_another(visitor: Person, service: RunningServer) -> None:
    visitor.open(f"{service.url}/sign-in")
    visitor.see("E-mail address")
    visitor.fill("E-mail address", "typo@example.com")
    visitor.press("Enter")
    visitor.see("Enter the code")
    visitor.click("Use another address")
    assert visitor.see("E-mail address")["heading"] == "Sign in"
    sign_in(visitor, service, "right@example.com")
    visitor.arrive(f"{service.url}/console")


@pytest.mark.slow
def test_where_the_service_does_not_answer_the_page_tries_again(visitor: Person, service: RunningServer) -> None:
    visitor.do("lose", "GetSession")
    visitor.open(f"{service.url}/sign-in")
    assert visitor.see("The service didn't answer.")["buttons"] == ["Try again"]
    visitor.click("Try again")
    visitor.see("E-mail address")


@pytest.mark.slow
def test_who_asks_too_often_is_told_when_to_try_again(visitor: Person, service: RunningServer) -> None:
    for _ in range(MAIL_LIMIT):
        asked = {"email": "often@example.com"}
        sent = httpx.post(f"{service.url}{SESSIONS}/SendSignInCode", json=asked, headers={"x-session": "cookie"})
        assert sent.status_code == 200, sent.text
    visitor.open(f"{service.url}/sign-in")
    visitor.see("E-mail address")
    visitor.fill("E-mail address", "often@example.com")
    visitor.press("Enter")
    seen = visitor.see("often@example.com was sent too many mails in a short time.")
    assert "You can try again in " in seen["text"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("reason", "sentence"),
    [
        ("SIGN_IN_REFUSED", "The sign-in provider didn't say who you are"),
        ("SIGN_IN_EXPIRED", "Begin again."),
        ("ISSUER_UNAVAILABLE", "The sign-in provider can't be reached"),
        ("<b>made up</b>", "That didn't work."),
        ("constructor", "That didn't work."),
    ],
)
def test_who_comes_back_from_the_provider_as_nobody_is_told_why(
    reason: str, sentence: str, visitor: Person, service: RunningServer
) -> None:
    visitor.open(str(httpx.URL(f"{service.url}/sign-in", params={"error": reason})))
    seen = visitor.see(sentence)
    assert seen["buttons"] == ["Send me a code"]
    assert "made up" not in seen["text"]


@pytest.mark.slow
def test_signing_in_leads_nowhere_else(visitor: Person, service: RunningServer) -> None:
    visitor.open(f"{service.url}/sign-in")
    visitor.see("E-mail address")
    sign_in(visitor, service, "ada@example.com")
    visitor.arrive(f"{service.url}/console")
    for elsewhere in (
        "https://example.com/",
        "//example.com/",
        "/\\example.com/",
        "/\t/example.com/",
        "javascript:alert(1)",
        "/../..//example.com/",
        "example.com",
    ):
        visitor.open(str(httpx.URL(f"{service.url}/sign-in", params={"return": elsewhere})))
        [link] = visitor.see("You are signed in as")["links"]
        assert httpx.URL(link).netloc.decode() == service.address, elsewhere


@pytest.mark.slow
def test_over_an_insecure_connection_the_page_says_that_nobody_can_sign_in(
    person: Person, service: RunningServer
) -> None:
    person.open(service.url.replace("127.0.0.1", "pages.test") + "/sign-in")
    seen = person.see("Open it over https, or on this machine at http://localhost.")
    assert seen["buttons"] == []


@pytest.mark.slow
def test_where_no_cookie_is_kept_the_page_says_so(visitor: Person, service: RunningServer) -> None:
    visitor.do("refuse cookies")
    visitor.open(f"{service.url}/sign-in")
    visitor.see("E-mail address")
    sign_in(visitor, service, "cookieless@example.com")
    visitor.see("Your browser didn't keep the sign-in.")


@pytest.mark.slow
def test_where_no_way_to_sign_in_is_set_up_the_page_says_so(visitor: Person, server: RunningServer) -> None:
    visitor.open(f"{server.url}/sign-in")
    assert visitor.see("No way to sign in is set up here.")["buttons"] == []
