"""The service as a page in a browser uses it: `@connectrpc/connect-web`, bundled, in Chromium."""

from __future__ import annotations

import json
from collections.abc import Iterator

import httpx
import pytest

from tests.running import RunningServer, running_server, wait_until
from tests.web.browser import Person, bundle, origin_of
from tests.web.household import ORGANIZATIONS, People, household, people

OF_NO_PAGE = "of-no-page"
"""The id of requests that are made beside pages, by which the log tells them apart: it may say so only later."""

PROTOCOLS = ["Connect with JSON", "Connect with binary messages", "gRPC-Web"]


@pytest.fixture(scope="module")
def origins(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """Two origins that the same page comes from."""
    directory = tmp_path_factory.mktemp("page")
    bundle(directory)
    with origin_of(directory / "site") as allowed, origin_of(directory / "site") as other:
        yield allowed, other


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory, origins: tuple[str, str]) -> Iterator[RunningServer]:
    """A server that lets pages of the first origin call."""
    with running_server(tmp_path_factory.mktemp("server"), "--cors-origins", origins[0]) as server:
        yield server


@pytest.fixture(scope="module")
def persons(service: RunningServer) -> Iterator[People]:
    with httpx.Client(base_url=service.url, headers={"x-request-id": OF_NO_PAGE}) as http:
        yield people(service, http)


def _requests(log: str) -> list[dict[str, str]]:
    """The requests that reached the applications, by the server's log."""
    lines = (json.loads(line) for line in log.splitlines() if line.startswith("{"))
    return [line for line in lines if line["message"] == "request"]


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_page_of_an_allowed_origin_lives_an_organizations_life(
    protocol: str, origins: tuple[str, str], service: RunningServer, persons: People, person: Person
) -> None:
    options = {"url": service.url, "protocol": protocol, "ada": persons.ada, "bob": persons.bob}
    person.open(f"{origins[0]}/index.html")
    life = person.do("call", ["liveTogether", options])

    organization = life["organization"]
    assert organization["name"] == "Acme"
    assert life["read"] == organization
    assert life["summary"] == organization | {"members": 1}
    assert life["members"] == [
        {"userId": life["firstUserId"], "fullName": "Ada", "role": "ADMIN"},
        {"userId": life["secondUserId"], "fullName": "Bob", "role": "MEMBER"},
    ]
    # Not only the page says so.
    live = persons.ask(f"{ORGANIZATIONS}/GetOrganizationInvite", {"organizationId": organization["id"]}, persons.ada)
    old_invite, new_invite = life["invites"]
    assert live["invite"]["inviteId"] == new_invite != old_invite

    # A page reads the headers of answers, and of errors the code, the reason and the headers.
    assert life["requestId"] == "made-by-the-page"
    refusals = life["refusals"]
    assert {name: (refusal["code"], refusal["reason"]) for name, refusal in refusals.items()} == {
        "oldLink": ("NotFound", "INVITE_NOT_FOUND"),
        "oldSummary": ("NotFound", "INVITE_NOT_FOUND"),
        "notAdmin": ("PermissionDenied", "ADMIN_REQUIRED"),
        "withoutToken": ("Unauthenticated", "CREDENTIALS_MISSING"),
    }
    for refusal in refusals.values():
        assert refusal["domain"] == "organization-service"
        assert refusal["shouldRetry"] == "false"
        assert len(refusal["requestId"]) == 36
    assert "was replaced" in refusals["oldLink"]["message"]

    # Connect asks by GET where nothing is changed; gRPC-Web knows only POST.
    methods = {sent["url"].partition("?")[0]: sent["method"] for sent in person.sent()}
    reading = "POST" if protocol == "gRPC-Web" else "GET"
    for name in ("GetOrganization", "GetOrganizationInviteSummary", "ListMembers"):
        assert methods[f"{service.url}{ORGANIZATIONS}/{name}"] == reading, name
    for name in ("CreateOrganization", "JoinOrganization", "CreateOrganizationInvite"):
        assert methods[f"{service.url}{ORGANIZATIONS}/{name}"] == "POST", name
    assert not [line for line in person.said() if "CORS" in line]


def test_a_page_of_another_origin_is_refused_by_the_browser_and_changes_nothing(
    origins: tuple[str, str], service: RunningServer, persons: People, person: Person
) -> None:
    home = household(persons)
    before = home.kept()
    seen = len(service.log)

    person.open(f"{origins[1]}/index.html")
    options = {
        "url": service.url,
        "ada": persons.ada,
        "organizationId": home.organization_id,
        "userId": home.bobs_user_id,
        "inviteId": home.invite_id,
    }
    answer = person.do("call", ["intrude", options])

    for protocol in PROTOCOLS:
        for refusal in answer["refusals"][protocol]:
            # No code of the service's, no detail, no header: the browser keeps all of that to itself.
            assert refusal["message"] == "Failed to fetch", (protocol, refusal)
            assert not refusal["reason"]
            assert not refusal["requestId"]
    refused = [line for line in person.said() if f"from origin '{origins[1]}' has been blocked by CORS" in line]
    assert len(refused) == sum(len(answer["refusals"][protocol]) for protocol in PROTOCOLS)

    # Sent without asking, and answered where the page can't look.
    assert answer["blind"] == {"type": "opaque", "status": 0}
    assert answer["beacon"] is True

    # Of what changes something, nothing came further than the preflight but what no browser asks about.
    def blind() -> list[str]:
        by_pages = [line for line in _requests(service.log[seen:]) if line["request_id"] != OF_NO_PAGE]
        return [line["status"] for line in by_pages if line["http_method"] == "POST"]

    wait_until(lambda: len(blind()) == 2)
    assert blind() == ["415", "415"]
    assert home.kept() == before
