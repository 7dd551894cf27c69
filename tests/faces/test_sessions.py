"""Sessions of the service's own pages: when the cookie counts, and signing in with a code."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import pytest
from google.rpc.error_details_pb2 import RetryInfo

from server.domain.rates import Rate
from server.domain.secrets import SecretKeys
from server.domain.session import SignInMethods
from server.edge import ARRIVAL
from server.main import Service, build_service
from server.ports import Store
from server.serve import _CORS_REQUEST_HEADERS, Listen, Server
from server.service.invitations import InvitationPolicy
from server.service.limits import Limits
from server.service.sign_in import SignInOptions
from server.settings import Settings
from server.wires import build_edge
from tests.conftest import KEY, GivenClock
from tests.faces.browser_like import ORIGIN, SESSIONS, Page
from tests.faces.wire import CONNECT_JSON, PROTOCOLS, Answer, Wire
from tests.stories.people import some_id

CODES = SignInOptions(methods=SignInMethods(email_code=True))
KEYS = SecretKeys([KEY])


@dataclass
class Office:
    """The service with codes to sign in with."""

    service: Service
    clock: GivenClock
    wire: Wire
    waiting: list[int]

    def page(self) -> Page:
        return Page(self.wire)

    def code(self, code_id: str) -> str:
        """Give the code that is mailed."""
        return KEYS.sign_in_code(code_id, KEYS.current_id)

    def asked(self, email: str = "ada@example.com", page: Page | None = None) -> tuple[str, str]:
        """Have a code sent; give its id and the code."""
        answer = (page or self.page()).call("SendSignInCode", {"email": email})
        assert answer.status == 200, answer.body
        code_id = answer.json()["codeId"]
        return code_id, self.code(code_id)

    def signed_in(self, email: str = "ada@example.com") -> Page:
        page = self.page()
        code_id, code = self.asked(email, page)
        assert page.call("SignInWithCode", {"codeId": code_id, "code": code}).status == 200
        return page

    def again(self, **options: Any) -> Page:
        """Give a page of another service on the same store."""
        service = build_service(self.service.store, KEYS, clock=self.clock, **options)
        return Page(Wire(build_edge(service, public_url=ORIGIN)))


@pytest.fixture
def office(store: Store, clock: GivenClock) -> Office:
    waiting: list[int] = []
    options = replace(CODES, wake=lambda: waiting.append(1))
    service = build_service(store, KEYS, clock=clock, sign_in=options)
    return Office(service, clock, Wire(build_edge(service, public_url=ORIGIN)), waiting)


def who(answer: Answer) -> str:
    return str(answer.json()["account"]["email"]) if answer.status == 200 else answer.reason


# Signing in with a code.


def test_a_code_signs_in_and_makes_an_account_with_a_verified_address(office: Office) -> None:
    page = office.page()
    assert page.signed_in() is None
    code_id, code = office.asked("Ada@Example.com", page)
    assert office.waiting == [1], "the sender is woken"
    assert page.cookies == {}
    answer = page.call("SignInWithCode", {"codeId": code_id, "code": f" {code[:4]} {code[4:]} "})
    told = answer.json()["signedIn"]
    assert (told["email"], told["emailVerified"]) == ("Ada@Example.com", True)
    assert page.signed_in() == told
    assert told["expiresAt"] == "2030-01-15T12:00:00Z"
    assert list(page.cookies) == ["__Host-session"]
    assert page.cookies["__Host-session"].startswith("orgsvcses_")
    assert page.cookies["__Host-session"] not in answer.body.decode()


def test_the_account_is_the_one_that_the_operator_made_for_the_address(office: Office) -> None:
    made = office.service.authentication.local_account("ada@example.com", "Ada Lovelace")
    told = office.signed_in("ADA@example.com").signed_in()
    assert told is not None
    assert (told["accountId"], told["name"]) == (made.id, "Ada Lovelace")


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_page_calls_every_service_in_its_session(office: Office, protocol: str) -> None:
    page = office.signed_in()
    answer = page.call("GetAccount", protocol=protocol)
    assert office.wire.message("GetAccount", answer).account.email == "ada@example.com"


def test_a_code_signs_in_once(office: Office) -> None:
    code_id, code = office.asked()
    first, second = office.page(), office.page()
    assert first.call("SignInWithCode", {"codeId": code_id, "code": code}).status == 200
    assert second.call("SignInWithCode", {"codeId": code_id, "code": code}).reason == "SIGN_IN_CODE_WRONG"
    assert second.cookies == {}
    assert first.signed_in() is not None


def test_after_five_wrong_guesses_a_code_is_dead_and_another_signs_in(office: Office) -> None:
    code_id, code = office.asked()
    wrong = [f"{(int(code) + n) % 10**8:08}" for n in range(1, 6)]
    for guess in [*wrong, code]:
        answer = office.page().call("SignInWithCode", {"codeId": code_id, "code": guess})
        assert (answer.status, answer.reason, answer.set_cookies) == (400, "SIGN_IN_CODE_WRONG", [])
    assert office.signed_in().signed_in() is not None


def test_after_four_wrong_guesses_the_right_one_signs_in(office: Office) -> None:
    code_id, code = office.asked()
    for n in range(1, 5):
        guess = f"{(int(code) + n) % 10**8:08}"
        assert office.page().call("SignInWithCode", {"codeId": code_id, "code": guess}).status == 400
    assert office.page().call("SignInWithCode", {"codeId": code_id, "code": code}).status == 200


def test_a_code_ends_after_ten_minutes(office: Office) -> None:
    (early, right), (late, code) = office.asked(), office.asked()
    office.clock.forward(timedelta(minutes=10) - timedelta(microseconds=1))
    assert office.page().call("SignInWithCode", {"codeId": early, "code": right}).status == 200
    office.clock.forward(timedelta(microseconds=1))
    assert office.page().call("SignInWithCode", {"codeId": late, "code": code}).reason == "SIGN_IN_CODE_WRONG"


def test_the_code_of_another_and_of_none_are_wrong_alike(office: Office) -> None:
    (code_id, _), (_, others) = office.asked(), office.asked("eve@example.com")
    answers = [
        office.page().call("SignInWithCode", {"codeId": given, "code": others}) for given in (code_id, some_id())
    ]
    assert answers[0].same() == answers[1].same()
    assert answers[0].reason == "SIGN_IN_CODE_WRONG"


@pytest.mark.parametrize("code", [" ", "0", "　", "null", "１２３４５６７８"])
def test_where_the_key_of_a_code_is_gone_nothing_signs_in(office: Office, code: str) -> None:
    code_id, _ = office.asked()
    service = build_service(office.service.store, SecretKeys([b"n" * 32]), clock=office.clock, sign_in=CODES)
    page = Page(Wire(build_edge(service, public_url=ORIGIN)))
    assert page.call("SignInWithCode", {"codeId": code_id, "code": code}).reason == "SIGN_IN_CODE_WRONG"


def test_an_address_is_sent_so_many_codes_and_invitations_are_counted_apart(office: Office) -> None:
    page = office.again(sign_in=CODES, policy=InvitationPolicy(recipient_rate=Rate(2, 600)))
    for _ in range(2):
        assert page.call("SendSignInCode", {"email": "ada@example.com"}).status == 200
        office.clock.forward(timedelta(minutes=1))
    refused = page.call("SendSignInCode", {"email": "Ada@EXAMPLE.com"})
    assert (refused.reason, refused.metadata["limit"]) == ("MAIL_LIMIT", "2")
    assert refused.detail(RetryInfo).retry_delay.ToTimedelta() == timedelta(minutes=8)
    assert page.call("SendSignInCode", {"email": "eve@example.com"}).status == 200
    office.clock.forward(timedelta(minutes=8))
    assert page.call("SendSignInCode", {"email": "ada@example.com"}).status == 200


def test_an_address_that_only_looks_alike_gets_no_code_for_the_account(office: Office) -> None:
    code_id, _ = office.asked("ａda@example.com")
    with office.service.store.snapshot() as tx:
        code = tx.sign_in_code(code_id)
    assert code is not None
    assert (code.email, code.email_key) == ("ada@example.com", "ada@example.com")


@pytest.mark.parametrize(
    "email", ["nobody", "a@b", "a@b.example,c@d.example", "a b@c.example", "a@b.example\r\nBcc: c@d.example"]
)
def test_a_code_is_only_sent_to_an_address(office: Office, email: str) -> None:
    assert office.page().call("SendSignInCode", {"email": email}).reason == "ADDRESS_INVALID"


def test_what_is_not_set_up_says_so(office: Office) -> None:
    page = office.again()
    told = page.call("GetSession").json()
    assert told == {"methods": {"provider": "", "emailCode": False, "codeInLog": False}}
    assert page.call("SendSignInCode", {"email": "ada@example.com"}).reason == "SIGN_IN_UNAVAILABLE"
    with_code = {"codeId": some_id(), "code": "12345678"}
    assert page.call("SignInWithCode", with_code).reason == "SIGN_IN_UNAVAILABLE"
    assert page.call("BeginProviderSignIn", {"returnPath": "/console"}).reason == "SIGN_IN_UNAVAILABLE"
    assert page.visit("/sign-in/callback", "code=1&state=2").headers["location"] == "/sign-in?error=SIGN_IN_EXPIRED"


def test_an_idempotency_key_keeps_no_session(office: Office) -> None:
    page = office.page()
    code_id, code = office.asked(page=page)
    request = json.dumps({"codeId": code_id, "code": code}).encode()
    headers = {**page.headers, "content-type": "application/json", "idempotency-key": "one"}
    path = f"/{SESSIONS}/SignInWithCode"
    assert page.keep(office.wire.http(path, request, headers)).status == 200
    assert office.wire.http(path, request, headers).status == 400
    assert page.signed_in() is not None


@pytest.mark.parametrize("what", ["code", "session"])
def test_wrong_codes_and_sessions_are_guesses_of_the_address_that_they_come_from(office: Office, what: str) -> None:
    wire = Wire(build_edge(office.service, public_url=ORIGIN, limits=Limits({"guesses": Rate(3, 60)})))

    def guess(address: str) -> str:
        if what == "code":
            page, method, sent = Page(wire), "SignInWithCode", {"codeId": some_id(), "code": "12345678"}
        else:
            page, method, sent = Page(wire, {"__Host-session": f"orgsvcses_{some_id()}"}), "GetAccount", {}
        return wire.call(CONNECT_JSON, method, sent, headers={**page.headers, ARRIVAL: address}).reason

    wrong = "SIGN_IN_CODE_WRONG" if what == "code" else "CREDENTIALS_MISSING"
    assert [guess("192.0.2.1") for _ in range(4)] == [wrong] * 3 + ["RATE_LIMITED"]
    assert guess("192.0.2.2") == wrong


def test_an_address_has_so_many_codes_mailed_and_others_go_on(office: Office) -> None:
    wire = Wire(build_edge(office.service, public_url=ORIGIN, limits=Limits({"codes": Rate(2, 60)})))

    def ask(address: str, number: int) -> str:
        page = Page(wire)
        sent, headers = {"email": f"person{number}@example.com"}, {**page.headers, ARRIVAL: address}
        return wire.call(CONNECT_JSON, "SendSignInCode", sent, headers=headers).reason

    assert [ask("192.0.2.1", number) for number in range(3)] == ["", "", "RATE_LIMITED"]
    assert ask("192.0.2.2", 3) == ""


# When the cookie counts.

OURS: list[dict[str, str | None]] = [
    {},
    {"origin": None},
    {"sec-fetch-site": None},
    {"origin": None, "sec-fetch-site": None},
    {"origin": "https://orgs.example.com", "host": "orgs.example.com"},
    {"origin": "http://127.0.0.1:1234", "host": "127.0.0.1:1234"},
    {"origin": "HTTP://LOCALHOST:8080"},
    # The usual port, of which browsers say nothing.
    {"origin": "http://localhost", "host": "localhost"},
    {"origin": "http://[::1]:8080", "host": "[::1]:8080"},
    {"origin": "http://[::1]", "host": "[::1]"},
]
NOT_OURS: list[dict[str, str | None]] = [
    {"x-session": None},
    {"x-session": ""},
    {"x-session": "Cookie"},
    {"x-session": "cookie, cookie"},
    {"origin": "https://evil.example"},
    {"origin": "null"},
    {"origin": ""},
    {"origin": "http://localhost:8081"},
    {"origin": "https://localhost:8080.evil.example"},
    {"origin": "http://localhost"},
    # Without TLS anybody on the way can be the page.
    {"origin": "http://orgs.example.com", "host": "orgs.example.com"},
    {"origin": "http://localhost.example.com:8080", "host": "localhost.example.com:8080"},
    {"origin": "http://localhost:x", "host": "localhost:x"},
    {"origin": "https://evil.example", "host": "orgs.example.com"},
    {"sec-fetch-site": "cross-site"},
    {"sec-fetch-site": "same-site"},
    {"sec-fetch-site": "none"},
    {"sec-fetch-site": "cross-site", "origin": None},
]


def sent(page: Page, changed: dict[str, str | None]) -> dict[str, str]:
    headers = {"content-type": "application/json", **page.headers, **changed}
    return {name: value for name, value in headers.items() if value is not None}


@pytest.mark.parametrize("changed", OURS, ids=str)
def test_the_cookie_counts_for_what_a_page_of_ours_sends(office: Office, changed: dict[str, str | None]) -> None:
    page = office.signed_in()
    assert (
        who(office.wire.http("/gitpod.v1.AccountService/GetAccount", b"{}", sent(page, changed))) == "ada@example.com"
    )
    query = "encoding=json&message=%7B%7D&connect=v1"
    headers = sent(page, {**changed, "content-type": None})
    got = office.wire.http("/gitpod.v1.AccountService/GetAccount", b"", headers, http_method="GET", query=query)
    assert who(got) == "ada@example.com"
    assert office.wire.http(f"/{SESSIONS}/SignOut", b"{}", sent(page, changed)).status == 200
    assert page.signed_in() is None


@pytest.mark.parametrize("changed", NOT_OURS, ids=str)
def test_the_cookie_counts_for_nothing_that_a_foreign_page_sends(
    office: Office, changed: dict[str, str | None]
) -> None:
    page = office.signed_in()
    headers = sent(page, changed)

    def call(method: str, message: dict[str, Any]) -> Answer:
        answer = office.wire.send("connect-json", method, json.dumps(message).encode(), headers=headers)
        assert answer.set_cookies == []
        return answer

    assert call("GetAccount", {}).reason == "CREDENTIALS_MISSING"
    assert call("CreateOrganization", {"name": "Evil"}).reason == "CREDENTIALS_MISSING"
    assert "signedIn" not in call("GetSession", {}).json()
    query = "encoding=json&message=%7B%7D&connect=v1"
    without = {name: value for name, value in headers.items() if name != "content-type"}
    got = office.wire.http("/gitpod.v1.AccountService/GetAccount", b"", without, http_method="GET", query=query)
    assert got.status == 401
    # A foreign page must not sign a visitor in as somebody else either, or out.
    code_id, code = office.asked("eve@example.com")
    for method, message in (
        ("SignOut", {"everywhere": True}),
        ("SendSignInCode", {"email": "eve@example.com"}),
        ("SignInWithCode", {"codeId": code_id, "code": code}),
        ("BeginProviderSignIn", {"returnPath": "/console"}),
    ):
        assert call(method, message).reason == "SAME_ORIGIN_REQUIRED"
    assert page.signed_in() is not None
    assert office.page().call("SignInWithCode", {"codeId": code_id, "code": code}).status == 200


@pytest.mark.parametrize(
    "kind",
    [
        "application/x-www-form-urlencoded",
        "text/plain",
        "multipart/form-data; boundary=x",
        "text/plain;application/json",
    ],
)
def test_a_form_changes_nothing(office: Office, kind: str) -> None:
    page = office.signed_in()
    for headers in ({"cookie": page.cookie, "content-type": kind}, sent(page, {"content-type": kind})):
        for path in (f"/{SESSIONS}/SignOut", "/gitpod.v1.OrganizationService/CreateOrganization"):
            assert office.wire.http(path, b'{"name": "Evil", "x": "="}', headers).status == 415
    assert page.signed_in() is not None


@pytest.mark.parametrize(
    "path", ["/clerk/v1/organizations", "/koyeb/v1/organization_invitations", "/logto/api/organizations"]
)
def test_the_faces_for_services_look_at_no_cookie(office: Office, path: str) -> None:
    page = office.signed_in()
    for method in ("GET", "POST"):
        answer = office.wire.http(path, b"{}", sent(page, {}), http_method=method)
        assert answer.status == 401, answer


def test_what_an_authorization_header_says_goes_before_the_cookie(office: Office) -> None:
    page = office.signed_in()
    eve = office.service.authentication.local_account("eve@example.com", "Eve")
    token = office.service.tokens.issue(eve, description="", expires_at=None)[0]
    assert who(page.call("GetAccount", token=token)) == "eve@example.com"
    assert page.call("GetAccount", token="orgsvc_unknown").reason == "CREDENTIALS_INVALID"


def test_a_session_is_no_access_token_and_a_token_no_session(office: Office) -> None:
    page = office.signed_in()
    assert office.page().call("GetAccount", token=page.cookies["__Host-session"]).reason == "CREDENTIALS_INVALID"
    ada = office.service.authentication.local_account("ada@example.com", "")
    token = office.service.tokens.issue(ada, description="", expires_at=None)[0]
    assert Page(office.wire, {"__Host-session": token}).signed_in() is None
    assert Page(office.wire, {"__Host-session": token}).call("GetAccount").reason == "CREDENTIALS_MISSING"


def test_a_cookie_that_opens_nothing_is_nobody(office: Office) -> None:
    page = Page(office.wire, {"__Host-session": "orgsvcses_unknown", "session": "x"})
    assert page.signed_in() is None
    assert page.call("GetAccount").reason == "CREDENTIALS_MISSING"
    page.call("SignOut")
    assert page.cookies == {"session": "x"}


def test_the_origins_of_other_pages_are_never_allowed_the_header_of_ours() -> None:
    policy = Server(Listen("127.0.0.1", 0), Settings(cors_origins="https://app.example.com"))._cors_policy()
    assert "x-session" not in _CORS_REQUEST_HEADERS
    assert policy["allow_headers"] == _CORS_REQUEST_HEADERS
    assert "allow_credentials" not in policy


# How sessions end.


def test_signing_out_ends_this_session_alone(office: Office) -> None:
    first, second = office.signed_in(), office.signed_in()
    kept = dict(first.cookies)
    assert first.call("SignOut").status == 200
    assert first.cookies == {}
    assert Page(office.wire, kept).call("GetAccount").reason == "CREDENTIALS_MISSING"
    assert second.signed_in() is not None
    assert first.call("SignOut").status == 200


@pytest.mark.parametrize("email", ["ada@example.com", "eve@example.com"])
def test_signing_in_anew_ends_the_earlier_session_of_this_browser_alone(office: Office, email: str) -> None:
    page, other = office.signed_in(), office.signed_in()
    stolen = Page(office.wire, dict(page.cookies))
    assert who(stolen.call("GetAccount")) == "ada@example.com", "remembered, and to be forgotten at once"
    code_id, code = office.asked(email, page)
    wrong = page.call("SignInWithCode", {"codeId": code_id, "code": f"{(int(code) + 1) % 10**8:08}"})
    assert (wrong.status, stolen.signed_in() is None) == (400, False), "who isn't signed in anew stays signed in"
    assert page.call("SignInWithCode", {"codeId": code_id, "code": code}).status == 200
    assert (stolen.signed_in(), stolen.call("GetAccount").reason) == (None, "CREDENTIALS_MISSING")
    assert who(page.call("GetAccount")) == email
    assert who(other.call("GetAccount")) == "ada@example.com"


def test_signing_out_everywhere_ends_all_of_the_account_and_nobody_elses(office: Office) -> None:
    first, second, eve = office.signed_in(), office.signed_in(), office.signed_in("eve@example.com")
    first.call("SignOut", {"everywhere": True})
    assert (second.signed_in(), eve.signed_in() is None) == (None, False)


def test_a_session_ends_by_itself(office: Office) -> None:
    page = office.signed_in()
    office.clock.forward(timedelta(days=14) - timedelta(microseconds=1))
    assert who(page.call("GetAccount")) == "ada@example.com"
    office.clock.forward(timedelta(microseconds=1))
    assert page.call("GetAccount").reason == "CREDENTIALS_MISSING"
    assert page.signed_in() is None


def test_what_is_over_is_forgotten(office: Office) -> None:
    page = office.signed_in()
    for work in (office.service.sessions.forget_old, office.service.sign_in.forget_old):
        work()
    assert page.signed_in() is not None
    office.clock.forward(timedelta(days=14 + 7, microseconds=1))
    office.asked("eve@example.com")
    for work in (office.service.sessions.forget_old, office.service.sign_in.forget_old):
        work()
    with office.service.store.transaction() as tx:
        assert tx.forget_sessions(office.clock(), 10) == 0
        assert tx.count_sign_in_codes_since("eve@example.com", office.clock() - timedelta(days=60))[0] == 1
        assert tx.count_sign_in_codes_since("ada@example.com", office.clock() - timedelta(days=60))[0] == 0
