"""What browsers are told before they send, and that nothing they send without asking changes anything.

Some requests a browser sends to any origin without a preflight: GET, HEAD, and POST with one of three content types or
none. These must change nothing, whoever sends them, with whatever credentials.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from google.protobuf.descriptor_pb2 import MethodOptions

from server.wires import REFLECTED
from tests.running import RunningServer, running_server, wait_until
from tests.web.household import (
    ACCOUNTS,
    INVITATIONS,
    LINKS,
    ORGANIZATIONS,
    SESSIONS,
    USERS,
    Household,
    People,
    bearer,
    household,
    people,
)
from tests.web.signing_in import code_for, session

ALLOWED = ["https://app.example.com", "http://localhost:3000"]
STRANGE = [
    "https://example.com",
    "https://app.example.com.evil.example",
    "https://evil-app.example.com",
    "https://app.example.com:8443",
    "http://app.example.com",
    "http://localhost:30001",
    "http://localhost",
    "null",
    "*",
]

# What @connectrpc/connect-web sends beside what needs no leave, by protocol.
SENT = {
    "Connect": "authorization, connect-protocol-version, connect-timeout-ms, content-type",
    "gRPC-Web": "authorization, content-type, grpc-timeout, x-grpc-web, x-user-agent",
}
# What it reads of an answer, and what we promise to be readable.
READ = {"grpc-status", "grpc-message", "grpc-status-details-bin", "x-request-id", "x-should-retry", "retry-after"}

SIMPLE_CONTENT_TYPES = [
    "text/plain",
    "text/plain;charset=UTF-8",
    "text/plain; application/json",
    "text/plain; a=application/proto",
    "TEXT/PLAIN",
    "application/x-www-form-urlencoded",
    "multipart/form-data; boundary=b",
    "",
    None,
]

# For every method that may change something, who asks for what, so that it would.
CHANGES: dict[str, Callable[[Household], tuple[str, dict[str, Any]]]] = {
    f"{ORGANIZATIONS}/CreateOrganization": lambda home: (
        home.people.ada,
        {"name": "Another", "joinOrganization": True},
    ),
    f"{ORGANIZATIONS}/UpdateOrganization": lambda home: (
        home.people.ada,
        {"organizationId": home.organization_id, "name": "Renamed"},
    ),
    f"{ORGANIZATIONS}/DeleteOrganization": lambda home: (
        home.people.ada,
        {"organizationId": home.organization_id},
    ),
    f"{ORGANIZATIONS}/JoinOrganization": lambda home: (home.people.eve, {"inviteId": home.invite_id}),
    f"{ORGANIZATIONS}/LeaveOrganization": lambda home: (home.people.bob, {"userId": home.bobs_user_id}),
    f"{ORGANIZATIONS}/SetRole": lambda home: (
        home.people.ada,
        {"organizationId": home.organization_id, "userId": home.bobs_user_id, "role": "ORGANIZATION_ROLE_ADMIN"},
    ),
    f"{ORGANIZATIONS}/CreateOrganizationInvite": lambda home: (
        home.people.ada,
        {"organizationId": home.organization_id},
    ),
    f"{USERS}/CreatePersonalAccessToken": lambda home: (home.people.ada, {"userId": home.adas_user_id}),
    f"{USERS}/DeletePersonalAccessToken": lambda home: (
        home.people.ada,
        {"personalAccessTokenId": home.adas_token_id},
    ),
    f"{INVITATIONS}/CreateInvitation": lambda home: (
        home.people.ada,
        {"organizationId": home.organization_id, "invitation": {"email": "dan@example.com", "sendEmail": False}},
    ),
    f"{INVITATIONS}/BatchCreateInvitations": lambda home: (
        home.people.ada,
        {"organizationId": home.organization_id, "invitations": [{"email": "dan@example.com", "sendEmail": False}]},
    ),
    f"{INVITATIONS}/ResendInvitation": lambda home: (
        home.people.ada,
        {"invitationId": home.invitation_id, "sendEmail": False},
    ),
    f"{INVITATIONS}/RevokeInvitation": lambda home: (home.people.ada, {"invitationId": home.invitation_id}),
    f"{INVITATIONS}/DeleteInvitation": lambda home: (home.people.ada, {"invitationId": home.invitation_id}),
    f"{INVITATIONS}/AcceptInvitation": lambda home: (home.people.eve, {"token": home.invitation_token}),
    f"{INVITATIONS}/DeclineInvitation": lambda home: (home.people.eve, {"token": home.invitation_token}),
    f"{LINKS}/DisableInviteLink": lambda home: (home.people.ada, {"organizationId": home.organization_id}),
}
# What changes something for whoever sends it, as long as it is a page of ours: which needs no token, so that it is
# tried with the cookie of a session, and looked for in cookies, mails and the session.
BY_PAGES = {
    f"{SESSIONS}/BeginProviderSignIn",
    f"{SESSIONS}/SendSignInCode",
    f"{SESSIONS}/SignInWithCode",
    f"{SESSIONS}/SignOut",
}
# Gitpod's contract doesn't say of these that they change nothing, so they aren't asked for by GET; but they only read.
READS: dict[str, Callable[[Household], tuple[str, dict[str, Any]]]] = {
    f"{ORGANIZATIONS}/GetOrganizationInvite": lambda home: (
        home.people.ada,
        {"organizationId": home.organization_id},
    ),
}
# And these only read, for whoever holds the secret that they are asked with, signed in or not.
OPEN_READS: dict[str, Callable[[Household], tuple[str, dict[str, Any]]]] = {
    f"{INVITATIONS}/PreviewInvitation": lambda home: (home.people.eve, {"token": home.invitation_token}),
}


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """A server that lets pages of two origins call."""
    with running_server(tmp_path_factory.mktemp("server"), "--cors-origins", ",".join(ALLOWED)) as server:
        yield server


@pytest.fixture(scope="module")
def http(service: RunningServer) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=service.url) as client:
        yield client


@pytest.fixture(scope="module")
def persons(service: RunningServer, http: httpx.Client) -> People:
    return people(service, http)


@pytest.fixture
def home(persons: People) -> Household:
    return household(persons)


def _preflight(http: httpx.Client, origin: str, method: str = "POST", headers: str = SENT["Connect"]) -> httpx.Response:
    asked = {"access-control-request-method": method, "access-control-request-headers": headers}
    return http.options(f"{ORGANIZATIONS}/CreateOrganization", headers={"origin": origin} | asked)


def _told(answer: httpx.Response) -> dict[str, str]:
    """What an answer tells a browser about other origins."""
    return {name: value for name, value in answer.headers.items() if name.startswith("access-control-")}


def _listed(value: str) -> set[str]:
    return {part.strip().lower() for part in value.split(",")}


@pytest.mark.parametrize("protocol", SENT)
@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("origin", ALLOWED)
def test_a_preflight_from_an_allowed_origin_is_granted_what_clients_send(
    http: httpx.Client, origin: str, method: str, protocol: str
) -> None:
    answer = _preflight(http, origin, method, SENT[protocol])
    told = _told(answer)
    assert answer.status_code in (200, 204)
    assert told["access-control-allow-origin"] == origin
    assert method.lower() in _listed(told["access-control-allow-methods"])
    assert _listed(SENT[protocol]) <= _listed(told["access-control-allow-headers"])
    assert told["access-control-max-age"] == "7200"
    # Callers are known by a token that the page sends, so no page needs cookies sent along.
    assert "access-control-allow-credentials" not in told


@pytest.mark.parametrize("origin", STRANGE)
def test_a_preflight_from_another_origin_is_granted_nothing(http: httpx.Client, origin: str) -> None:
    assert _told(_preflight(http, origin)) == {}


def test_without_configured_origins_no_page_may_call(server: RunningServer) -> None:
    with httpx.Client(base_url=server.url) as http:
        for origin in [*ALLOWED, *STRANGE]:
            assert _told(_preflight(http, origin)) == {}, origin


@pytest.mark.parametrize("token", ["valid", "none"])
def test_answers_and_errors_are_readable_from_allowed_origins_alone(
    http: httpx.Client, persons: People, token: str
) -> None:
    credentials = bearer(persons.ada) if token == "valid" else {}
    for origin in [*ALLOWED, *STRANGE]:
        answer = http.post(f"{ACCOUNTS}/GetAccount", json={}, headers=credentials | {"origin": origin})
        assert answer.status_code == (200 if credentials else 401)
        told = _told(answer)
        if origin in ALLOWED:
            assert told.pop("access-control-allow-origin") == origin
            assert _listed(told.pop("access-control-expose-headers")) >= READ
        assert told == {}, origin


def test_every_method_that_may_change_something_is_tried_below() -> None:
    """A new method needs an entry in one of the tables here."""
    changing = {
        f"/{service.type_name}/{method.name}"
        for service in REFLECTED
        for method in service.methods
        if not service.type_name.startswith("grpc.") and method.idempotency != MethodOptions.NO_SIDE_EFFECTS
    }
    assert changing == set(CHANGES | READS | OPEN_READS) | BY_PAGES


@pytest.mark.parametrize("path", CHANGES)
def test_a_request_that_needs_no_preflight_changes_nothing(path: str, http: httpx.Client, home: Household) -> None:
    token, message = CHANGES[path](home)
    # More than a strange page could send: it knows no token, and can't set this header without a preflight.
    credentials = bearer(token) | {"cookie": f"token={token}; access_token={token}; authorization=Bearer {token}"}
    before = home.kept()

    for answer in _simple_requests(http, path, message, credentials):
        expected = 405 if answer.request.method in ("GET", "HEAD") else 415
        assert answer.status_code == expected, answer.request.headers.get("content-type")
    assert home.kept() == before

    # With a content type that does need one, the very same would have changed something.
    changed = http.post(path, json=message, headers=credentials)
    assert changed.status_code == 200, changed.text
    assert home.kept() != before


def _simple_requests(
    http: httpx.Client, path: str, message: dict[str, Any], headers: dict[str, str]
) -> Iterator[httpx.Response]:
    """Send what a browser sends from any page without asking."""
    body = json.dumps(message).encode()
    query = {"connect": "v1", "encoding": "json", "message": body.decode()}
    for method in ("GET", "HEAD"):
        for params in (query, message):
            yield http.request(method, path, params=params, headers=headers)
    for content_type in SIMPLE_CONTENT_TYPES:
        sent = headers | ({} if content_type is None else {"content-type": content_type})
        for params in ({}, query):
            yield http.post(path, content=body, params=params, headers=sent)
    yield http.post(path, data=message, headers=headers)
    yield http.post(path, files={name: str(value) for name, value in message.items()}, headers=headers)


@pytest.fixture(scope="module")
def office(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """A server whose pages people sign in to by codes, and which lets pages of other origins call."""
    options = ("--development", "--limits", "recipient=100/600s", "--cors-origins", ",".join(ALLOWED))
    with running_server(tmp_path_factory.mktemp("office"), *options) as server:
        yield server


# Beginning at a provider needs one: tests/faces/test_sessions.py tries that.
@pytest.mark.parametrize("origin", [ALLOWED[0], STRANGE[0], "null"])
@pytest.mark.parametrize("path", sorted(BY_PAGES - {f"{SESSIONS}/BeginProviderSignIn"}))
def test_no_page_but_ours_signs_anybody_in_or_out(path: str, origin: str, office: RunningServer) -> None:
    ours = {"x-session": "cookie", "origin": office.url, "sec-fetch-site": "same-origin"}
    foreign = {"origin": origin, "sec-fetch-site": "cross-site"}
    secret = session(office, "ada@example.com")
    cookie = {"cookie": f"__Host-session={secret}"}
    # No cookies are kept: each request says itself which it brings.
    with httpx.Client(base_url=office.url) as http:

        def ask(method: str, message: dict[str, Any], headers: dict[str, str]) -> httpx.Response:
            answer = http.post(f"{SESSIONS}/{method}", json=message, headers=headers)
            http.cookies.clear()
            return answer

        seen = len(office.log)
        code_id = ask("SendSignInCode", {"email": "eve@example.com"}, ours).json()["codeId"]
        code = code_for(office, "eve@example.com", seen)
        message = {
            "SendSignInCode": {"email": "eve@example.com"},
            "SignInWithCode": {"codeId": code_id, "code": code},
            "SignOut": {"everywhere": True},
        }[path.rpartition("/")[2]]
        mails = office.log.count("the code to sign in as eve@example.com")

        # More than a strange page could send: it can't have this header without a preflight, which isn't granted.
        for headers in (foreign | cookie, foreign | cookie | {"x-session": "cookie"}):
            for answer in _simple_requests(http, path, message, headers):
                assert answer.status_code in (405, 415), answer.request
                assert "set-cookie" not in answer.headers
            answer = http.post(path, json=message, headers=headers)
            assert (answer.status_code, answer.headers.get("set-cookie")) == (403, None)
        assert "signedIn" in ask("GetSession", {}, ours | cookie).json()
        assert office.log.count("the code to sign in as eve@example.com") == mails

        # And the very same from a page of ours does something.
        answer = http.post(path, json=message, headers=ours | cookie)
        assert answer.status_code == 200, answer.text
        if path.endswith("/SendSignInCode"):
            wait_until(lambda: office.log.count("the code to sign in as eve@example.com") > mails)
        else:
            assert answer.headers["set-cookie"].startswith("__Host-session=")
        if path.endswith("/SignOut"):
            assert "signedIn" not in ask("GetSession", {}, ours | cookie).json()


def test_no_page_but_ours_may_ask_for_the_header_of_ours(office: RunningServer) -> None:
    for origin in [*ALLOWED, *STRANGE]:
        asked = {"access-control-request-method": "POST", "access-control-request-headers": "x-session, content-type"}
        answer = httpx.options(f"{office.url}{SESSIONS}/SignOut", headers={"origin": origin} | asked)
        assert "x-session" not in _listed(_told(answer).get("access-control-allow-headers", "")), origin
        assert "*" not in _told(answer).get("access-control-allow-headers", ""), origin


@pytest.mark.parametrize("path", CHANGES | READS)
def test_neither_cookies_nor_the_query_say_who_calls(path: str, http: httpx.Client, home: Household) -> None:
    token, message = (CHANGES | READS)[path](home)
    before = home.kept()
    answer = http.post(
        path,
        json=message,
        params={"access_token": token, "token": token, "authorization": f"Bearer {token}"},
        headers={"cookie": f"token={token}; access_token={token}; authorization=Bearer {token}"},
    )
    assert (answer.status_code, answer.json()["code"]) == (401, "unauthenticated")
    assert "set-cookie" not in answer.headers
    assert home.kept() == before


@pytest.mark.parametrize("path", READS | OPEN_READS)
def test_what_is_not_declared_to_change_nothing_is_not_answered_by_get(
    path: str, http: httpx.Client, home: Household
) -> None:
    token, message = (READS | OPEN_READS)[path](home)
    query = {"connect": "v1", "encoding": "json", "message": json.dumps(message)}
    for method in ("GET", "HEAD"):
        assert http.request(method, path, params=query, headers=bearer(token)).status_code == 405, method
