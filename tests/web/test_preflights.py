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

from server.main import REFLECTED
from tests.running import RunningServer, running_server
from tests.web.household import (
    ACCOUNTS,
    INVITATIONS,
    ORGANIZATIONS,
    USERS,
    Household,
    People,
    bearer,
    household,
    people,
)

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
    """A new method needs an entry in CHANGES here."""
    changing = {
        f"/{service.type_name}/{method.name}"
        for service in REFLECTED
        for method in service.methods
        if not service.type_name.startswith("grpc.") and method.idempotency != MethodOptions.NO_SIDE_EFFECTS
    }
    assert changing == set(CHANGES | READS | OPEN_READS)


@pytest.mark.parametrize("path", CHANGES)
def test_a_request_that_needs_no_preflight_changes_nothing(path: str, http: httpx.Client, home: Household) -> None:
    token, message = CHANGES[path](home)
    # More than a strange page could send: it knows no token, and can't set this header without a preflight.
    credentials = bearer(token) | {"cookie": f"token={token}; access_token={token}; authorization=Bearer {token}"}
    body = json.dumps(message).encode()
    query = {"connect": "v1", "encoding": "json", "message": body.decode()}
    before = home.kept()

    for method in ("GET", "HEAD"):
        assert http.request(method, path, params=query, headers=credentials).status_code == 405, method
        assert http.request(method, path, params=message, headers=credentials).status_code == 405, method
    for content_type in SIMPLE_CONTENT_TYPES:
        headers = credentials | ({} if content_type is None else {"content-type": content_type})
        for params in ({}, query):
            answer = http.post(path, content=body, params=params, headers=headers)
            assert answer.status_code == 415, content_type
    form = http.post(path, data=message, headers=credentials)
    upload = http.post(path, files={name: str(value) for name, value in message.items()}, headers=credentials)
    assert (form.status_code, upload.status_code) == (415, 415)
    assert home.kept() == before

    # With a content type that does need one, the very same would have changed something.
    answer = http.post(path, content=body, headers=credentials | {"content-type": "application/json"})
    assert answer.status_code == 200, answer.text
    assert home.kept() != before


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
