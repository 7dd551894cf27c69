"""Signing in to the pages at a real OpenID Connect provider."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from email.message import Message
from typing import IO, Any
from urllib.error import HTTPError
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit

import pytest

from server.domain.rates import Rate
from server.domain.secrets import SecretKeys
from server.domain.session import SignInMethods
from server.edge import ARRIVAL
from server.faces.own_pages import SESSION_COOKIE
from server.main import build_service
from server.oidc import IssuerConfig, JwtVerifier
from server.oidc_sign_in import OidcProvider
from server.ports import Store
from server.service.limits import UNLIMITED, Limits
from server.service.sign_in import SignInOptions
from server.wires import build_edge
from tests.conftest import KEY, GivenClock
from tests.faces.browser_like import ORIGIN, Page
from tests.faces.wire import Answer, Wire
from tests.oidc_issuer import AUTHORIZATION_PATH, TOKEN_PATH, USERINFO_PATH, Issuer, issuer

CALLBACK = "/sign-in/callback"
CLIENT = "the pages & co"


class _Stay(urllib.request.HTTPRedirectHandler):
    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: Message, newurl: str
    ) -> None:
        """Go nowhere: the test does, as the browser."""


@dataclass
class Lobby:
    """The service where people sign in at a provider."""

    store: Store
    clock: GivenClock
    provider: Issuer
    secret: str = ""
    base_path: str = ""
    limits: Limits = UNLIMITED
    wire: Wire = field(init=False)

    def __post_init__(self) -> None:
        self.open()

    def open(self) -> None:
        """Begin anew, as after a restart."""
        verifier = JwtVerifier((IssuerConfig(self.provider.url, ("organization-service",)),), self.clock)
        provider = OidcProvider(verifier, self.provider.url, CLIENT, ORIGIN + CALLBACK, self.secret)
        options = SignInOptions(SignInMethods("Accounts"), provider, base_path=self.base_path)
        keys = SecretKeys([KEY])
        service = build_service(self.store, keys, clock=self.clock, verifier=verifier, sign_in=options)
        self.wire = Wire(build_edge(service, public_url=ORIGIN, limits=self.limits))

    def page(self) -> Page:
        return Page(self.wire)

    def at_provider(self, page: Page, return_path: str = "/invite/abc?x=1") -> str:
        """Begin, and give the query that the provider sends the browser back with."""
        begun = page.call("BeginProviderSignIn", {"returnPath": return_path})
        assert begun.status == 200, begun.body
        opener = urllib.request.build_opener(_Stay)
        with pytest.raises(HTTPError) as redirect:
            opener.open(begun.json()["authorizationUrl"], timeout=5)
        redirect.value.close()
        back = urlsplit(redirect.value.headers["location"])
        assert f"{back.scheme}://{back.netloc}{back.path}" == ORIGIN + CALLBACK
        return back.query

    def sign_in(self, page: Page, return_path: str = "/invite/abc?x=1") -> Answer:
        return page.visit(CALLBACK, self.at_provider(page, return_path))

    def refused(self, page: Page, query: str) -> str:
        """Come back, be refused, and give the reason."""
        answer = page.visit(CALLBACK, query)
        assert answer.status == 303
        assert "__Host-session" not in page.cookies
        location = urlsplit(answer.headers["location"])
        assert location.path == self.base_path + "/sign-in"
        return dict(parse_qsl(location.query))["error"]


@pytest.fixture
def lobby(store: Store, clock: GivenClock) -> Iterator[Lobby]:
    with issuer(clock=lambda: clock().timestamp()) as provider:
        yield Lobby(store, clock, provider)


def changed(query: str, **parts: str | None) -> str:
    given = {**dict(parse_qsl(query)), **parts}
    return urlencode({name: value for name, value in given.items() if value is not None})


def test_a_person_signs_in_at_the_provider_and_goes_on_where_they_were(lobby: Lobby) -> None:
    page = lobby.page()
    assert page.call("GetSession").json()["methods"] == {"provider": "Accounts", "emailCode": False, "codeInLog": False}
    answer = lobby.sign_in(page)
    assert (answer.status, answer.headers["location"]) == (303, "/invite/abc?x=1")
    assert (answer.headers["cache-control"], answer.headers["referrer-policy"]) == ("no-store", "no-referrer")
    assert list(page.cookies) == ["__Host-session"]
    told = page.signed_in()
    assert told is not None
    assert (told["name"], told["email"], told["emailVerified"]) == ("Ada", "ada@example.com", False)


def test_signing_in_anew_ends_the_earlier_session_of_this_browser_alone(lobby: Lobby) -> None:
    page, other = lobby.page(), lobby.page()
    for one in (page, other):
        lobby.sign_in(one)
    stolen = Page(lobby.wire, dict(page.cookies))
    assert stolen.call("GetAccount").status == 200
    query = lobby.at_provider(page)
    assert "error" in page.visit(CALLBACK, changed(query, state="another")).headers["location"]
    assert stolen.signed_in() is not None, "who isn't signed in anew stays signed in"
    assert page.visit(CALLBACK, query).headers["location"] == "/invite/abc?x=1"
    assert (stolen.signed_in(), stolen.call("GetAccount").reason) == (None, "CREDENTIALS_MISSING")
    assert page.call("GetAccount").status == 200
    assert other.call("GetAccount").status == 200


def test_it_is_the_account_that_a_token_of_the_issuer_opens(lobby: Lobby) -> None:
    by_token = lobby.page().call("GetAccount", token=lobby.provider.mint(**lobby.provider.person)).json()["account"]
    page = lobby.page()
    lobby.provider.person |= {"name": "Ada Lovelace", "email_verified": True}
    lobby.sign_in(page)
    told = page.signed_in()
    assert told is not None
    assert (told["accountId"], told["name"], told["emailVerified"]) == (by_token["id"], "Ada Lovelace", True)


@pytest.mark.parametrize("secret", ["", "s3cret:/+ä"])
def test_the_client_is_public_or_shows_its_secret(lobby: Lobby, secret: str) -> None:
    lobby.provider.client_secrets[CLIENT] = "s3cret:/+ä"
    lobby.secret = secret
    lobby.open()
    page = lobby.page()
    if secret:
        assert lobby.sign_in(page).headers["location"] == "/invite/abc?x=1"
    else:
        assert lobby.refused(page, lobby.at_provider(page)) == "SIGN_IN_REFUSED"


def test_what_the_id_token_lacks_comes_from_userinfo(lobby: Lobby) -> None:
    lobby.provider.person["email_verified"] = True
    lobby.provider.in_userinfo = ("email", "email_verified", "name")
    page = lobby.page()
    lobby.sign_in(page)
    told = page.signed_in()
    assert told is not None
    assert (told["name"], told["email"], told["emailVerified"]) == ("Ada", "ada@example.com", True)
    assert lobby.provider.asked[USERINFO_PATH] == 1


def test_userinfo_of_another_person_is_refused(lobby: Lobby) -> None:
    lobby.provider.in_userinfo = ("email",)
    lobby.provider.answers[USERINFO_PATH] = 200, {}, b'{"sub": "eve", "email": "ada@example.com"}'
    page = lobby.page()
    assert lobby.refused(page, lobby.at_provider(page)) == "SIGN_IN_REFUSED"


@pytest.mark.parametrize(
    "claims",
    [
        {"nonce": "another"},
        {"nonce": None},
        {"aud": "organization-service"},
        {"aud": [CLIENT, "another"]},
        {"aud": [CLIENT, "another"], "azp": "another"},
        {"azp": "another"},
        {"iss": "https://evil.example"},
        {"exp": 1},
        {"exp": None},
        {"sub": None},
        {"sub": ""},
        {"events": {}},
    ],
    ids=str,
)
def test_an_id_token_for_anything_else_is_refused(lobby: Lobby, claims: dict[str, Any]) -> None:
    lobby.provider.id_token = claims
    page = lobby.page()
    assert lobby.refused(page, lobby.at_provider(page)) == "SIGN_IN_REFUSED"


def test_an_id_token_for_several_may_name_us(lobby: Lobby) -> None:
    lobby.provider.id_token = {"aud": ["another", CLIENT], "azp": CLIENT}
    assert lobby.sign_in(lobby.page()).headers["location"] == "/invite/abc?x=1"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{}",
        b'{"id_token": 5, "access_token": "x"}',
        b'{"id_token": ["x"], "access_token": "x"}',
        b'{"id_token": "a.b.c", "access_token": "x"}',
        b'{"id_token": "eyJhbGciOiJub25lIn0.e30.", "access_token": "x"}',
        b'{"id_token": "a.b.c", "access_token": "x\\r\\nx: y"}',
    ],
)
def test_an_answer_that_is_none_is_refused(lobby: Lobby, body: bytes) -> None:
    lobby.provider.answers[TOKEN_PATH] = 200, {}, body
    page = lobby.page()
    assert lobby.refused(page, lobby.at_provider(page)) == "SIGN_IN_REFUSED"


def test_an_access_token_is_no_id_token(lobby: Lobby) -> None:
    page = lobby.page()
    query = lobby.at_provider(page)
    nonce = next(iter(lobby.provider.begun.values()))["nonce"]
    token = lobby.provider.mint(header={"typ": "at+jwt"}, aud=CLIENT, nonce=nonce)
    lobby.provider.answers[TOKEN_PATH] = 200, {}, json.dumps({"id_token": token, "access_token": "x"}).encode()
    assert lobby.refused(page, query) == "SIGN_IN_REFUSED"


# The way back.


def test_only_the_browser_that_began_can_come_back(lobby: Lobby) -> None:
    mallory, victim = lobby.page(), lobby.page()
    query = lobby.at_provider(mallory)
    # With nothing begun, and with a sign-in of their own under way: an attacker's link signs nobody in as the attacker.
    assert lobby.refused(victim, query) == "SIGN_IN_EXPIRED"
    own = lobby.at_provider(victim)
    assert lobby.refused(victim, query) == "SIGN_IN_EXPIRED"
    assert lobby.provider.asked[TOKEN_PATH] == 0
    assert victim.visit(CALLBACK, own).headers["location"] == "/invite/abc?x=1"


def test_opening_the_way_back_again_changes_nothing(lobby: Lobby) -> None:
    page = lobby.page()
    query = lobby.at_provider(page)
    assert page.visit(CALLBACK, query).status == 303
    for _ in range(20):
        scanner = lobby.page()
        answer = scanner.visit(CALLBACK, query)
        assert (answer.headers["location"], scanner.cookies) == ("/sign-in?error=SIGN_IN_EXPIRED", {})
    assert lobby.provider.asked[TOKEN_PATH] == 1
    assert page.signed_in() is not None


def test_a_code_that_was_used_signs_nobody_in(lobby: Lobby) -> None:
    page = lobby.page()
    query = lobby.at_provider(page)
    kept = Page(lobby.wire, dict(page.cookies))
    page.visit(CALLBACK, query)
    assert lobby.refused(kept, query) == "SIGN_IN_REFUSED"


@pytest.mark.parametrize("method", ["HEAD", "POST", "PUT", "OPTIONS"])
def test_the_way_back_is_a_get(lobby: Lobby, method: str) -> None:
    page = lobby.page()
    query = lobby.at_provider(page)
    answer = lobby.wire.http(CALLBACK, b"", {"cookie": page.cookie}, http_method=method, query=query)
    assert (answer.status, answer.set_cookies) == (405, [])
    assert page.visit(CALLBACK, query).headers["location"] == "/invite/abc?x=1"


@pytest.mark.parametrize(
    ("parts", "reason"),
    [
        ({"state": "another"}, "SIGN_IN_EXPIRED"),
        ({"state": "ä"}, "SIGN_IN_EXPIRED"),
        ({"state": None}, "SIGN_IN_EXPIRED"),
        ({"code": None}, "SIGN_IN_REFUSED"),
        ({"code": "another"}, "SIGN_IN_REFUSED"),
        ({"iss": "https://evil.example"}, "SIGN_IN_REFUSED"),
        ({"error": "access_denied"}, "SIGN_IN_REFUSED"),
        ({"error": "<script>"}, "SIGN_IN_REFUSED"),
        ({"error": "temporarily_unavailable", "code": None}, "ISSUER_UNAVAILABLE"),
    ],
)
def test_what_the_browser_brings_back_must_be_right(lobby: Lobby, parts: dict[str, str | None], reason: str) -> None:
    page = lobby.page()
    assert lobby.refused(page, changed(lobby.at_provider(page), **parts)) == reason


@pytest.mark.parametrize("more", ["&state=x", "&code=x", "&" + "&".join(f"a{n}=1" for n in range(50))])
def test_a_parameter_that_is_given_twice_is_none(lobby: Lobby, more: str) -> None:
    page = lobby.page()
    assert lobby.refused(page, lobby.at_provider(page) + more) in ("SIGN_IN_EXPIRED", "SIGN_IN_REFUSED")


def test_a_sign_in_must_be_done_within_ten_minutes(lobby: Lobby) -> None:
    page = lobby.page()
    query = lobby.at_provider(page)
    lobby.clock.forward(timedelta(minutes=10))
    assert lobby.refused(page, query) == "SIGN_IN_EXPIRED"


@pytest.mark.parametrize("sealed", ["", "x", "ä", "AAAA", "\x00"])
def test_a_cookie_that_is_not_ours_is_none(lobby: Lobby, sealed: str) -> None:
    query = lobby.at_provider(lobby.page())
    assert lobby.refused(Page(lobby.wire, {"__Host-sign-in": sealed}), query) == "SIGN_IN_EXPIRED"


def test_the_cookie_survives_a_restart_and_shows_nothing(lobby: Lobby) -> None:
    page = lobby.page()
    query = lobby.at_provider(page)
    (asked,) = lobby.provider.begun.values()
    assert asked["state"] not in page.cookie
    lobby.open()
    assert Page(lobby.wire, page.cookies).visit(CALLBACK, query).headers["location"] == "/invite/abc?x=1"


def test_where_the_pages_are_in_a_folder_people_come_back_there(lobby: Lobby) -> None:
    lobby.base_path = "/orgs"
    lobby.open()
    assert lobby.sign_in(lobby.page(), "").headers["location"] == "/orgs/console"
    assert lobby.refused(lobby.page(), "") == "SIGN_IN_EXPIRED"


@pytest.mark.parametrize("folder", ["", "/orgs"])
def test_who_is_refused_still_goes_on_where_they_were_when_they_try_again(lobby: Lobby, folder: str) -> None:
    lobby.base_path = folder
    lobby.open()
    page = lobby.page()
    query = lobby.at_provider(page, f"{folder}/invite/abc?x=1")
    refused = page.visit(CALLBACK, changed(query, code=None, error="access_denied"))
    assert refused.headers["location"] == f"{folder}/sign-in?error=SIGN_IN_REFUSED&return=%2Finvite%2Fabc%3Fx%3D1"


def test_who_comes_too_often_is_sent_back_and_the_provider_is_not_asked(lobby: Lobby) -> None:
    page = lobby.page()
    query = lobby.at_provider(page)
    lobby.limits = Limits({"address": Rate(3, 60)})
    lobby.open()
    kept = dict(page.cookies)
    headers = {"cookie": page.cookie, ARRIVAL: "192.0.2.1"}
    for _ in range(5):
        answer = lobby.wire.http(CALLBACK, b"", headers, http_method="GET", query=changed(query, code="a guess"))
    assert answer.headers["location"].startswith("/sign-in?error=RATE_LIMITED&")
    assert lobby.provider.asked[TOKEN_PATH] == 3
    assert not [cookie for cookie in answer.set_cookies if SESSION_COOKIE in cookie]
    assert lobby.wire.http("/healthz", b"", headers, http_method="GET").status == 200
    # Others come back as they did.
    assert Page(lobby.wire, kept).visit(CALLBACK, query).headers["location"] == "/invite/abc?x=1"


# A provider that is down, slow or strange.


def test_a_provider_that_is_down_is_said_so(lobby: Lobby) -> None:
    page = lobby.page()
    query = lobby.at_provider(page)
    lobby.provider.down = True
    assert lobby.refused(page, query) == "ISSUER_UNAVAILABLE"
    lobby.open()
    assert lobby.page().call("BeginProviderSignIn").reason == "ISSUER_UNAVAILABLE"


def test_a_provider_that_fails_is_said_so(lobby: Lobby) -> None:
    for status, reason in ((500, "ISSUER_UNAVAILABLE"), (429, "ISSUER_UNAVAILABLE"), (302, "SIGN_IN_REFUSED")):
        page = lobby.page()
        query = lobby.at_provider(page)
        lobby.provider.answers[TOKEN_PATH] = status, {"Location": "https://evil.example/"}, b""
        assert lobby.refused(page, query) == reason


def test_a_body_without_end_is_given_up(lobby: Lobby) -> None:
    page = lobby.page()
    query = lobby.at_provider(page)
    lobby.provider.answers[TOKEN_PATH] = 200, {}, b" " * (600 * 1024)
    assert lobby.refused(page, query) == "ISSUER_UNAVAILABLE"


@pytest.mark.parametrize("name", ["authorization_endpoint", "token_endpoint"])
@pytest.mark.parametrize(
    "url", [None, 5, "http://evil.example/", "javascript:alert(1)", "https://x.example/#y", "https://x\r\ny"]
)
def test_an_endpoint_that_is_not_safe_is_not_used(lobby: Lobby, name: str, url: object) -> None:
    lobby.provider.discovery[name] = url
    page = lobby.page()
    if name == "authorization_endpoint":
        assert page.call("BeginProviderSignIn").reason == "ISSUER_UNAVAILABLE"
        assert page.cookies == {}
    else:
        assert lobby.refused(page, lobby.at_provider(page)) == "ISSUER_UNAVAILABLE"


def test_what_is_asked_of_the_provider_stands_beside_what_its_address_has(lobby: Lobby) -> None:
    lobby.provider.discovery["authorization_endpoint"] = f"{lobby.provider.url}{AUTHORIZATION_PATH}?tenant=a%26b"
    url = lobby.page().call("BeginProviderSignIn").json()["authorizationUrl"]
    asked = parse_qs(urlsplit(url).query)
    assert (asked["tenant"], asked["client_id"], asked["scope"]) == (["a&b"], [CLIENT], ["openid email profile"])


@pytest.mark.parametrize(
    ("supported", "prompt"),
    [
        (None, "login"),
        ("nonsense", "login"),
        (["none", "login"], "login"),
        (["login", "select_account"], "select_account"),
    ],
)
def test_the_provider_asks_who_comes_where_it_is_told_to(lobby: Lobby, supported: object, prompt: str) -> None:
    lobby.provider.discovery["prompt_values_supported"] = supported
    for choose_account, prompts in ((False, None), (True, [prompt])):
        url = lobby.page().call("BeginProviderSignIn", {"chooseAccount": choose_account}).json()["authorizationUrl"]
        assert parse_qs(urlsplit(url).query).get("prompt") == prompts


# Where people go on.


@pytest.mark.parametrize(
    "path",
    [
        "https://evil.example/",
        "//evil.example/",
        "/\\evil.example/",
        "\\\\evil.example/",
        "/\t/evil.example/",
        "/\n/evil.example/",
        "/console\r\nset-cookie: x=y",
        "/console#token",
        "/ä",
        "/a b",
        "console",
        "javascript:alert(1)",
        "/" + "x" * 1024,
    ],
)
def test_nobody_is_sent_elsewhere(lobby: Lobby, path: str) -> None:
    page = lobby.page()
    answer = page.call("BeginProviderSignIn", {"returnPath": path})
    assert (answer.reason, answer.fields) == ("INVALID_REQUEST", ["return_path"])
    assert page.cookies == {}


@pytest.mark.parametrize("path", ["/", "/console", "/console/x?y=%2F%2Fevil.example&z=1", "/.//evil.example"])
def test_a_path_of_ours_is_come_back_to_as_it_was(lobby: Lobby, path: str) -> None:
    assert lobby.sign_in(lobby.page(), path).headers["location"] == path
