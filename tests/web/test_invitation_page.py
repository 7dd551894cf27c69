"""The page that invitation mails link to: what it sends along, and what people do with it in Chromium."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from server.domain.errors import INVITATION_DECLINED, INVITATION_EXPIRED, INVITATION_NOT_FOUND, INVITATION_REVOKED
from tests.oidc_issuer import AUDIENCE, Issuer, issuer
from tests.running import ROOT, RunningServer, running_server
from tests.web.browser import HERE, built, program, run
from tests.web.household import INVITATIONS, ORGANIZATIONS, People, people

PATHS = {"/invitations": "text/html", "/invitations/page.js": "text/javascript", "/invitations/page.css": "text/css"}
REDIRECT = "https://app.example.com/welcome?from=mail"
PENDING = "Nothing happens until you accept or decline."


@pytest.fixture(scope="module")
def accounts() -> Iterator[Issuer]:
    with issuer() as running:
        yield running


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory, accounts: Issuer) -> Iterator[RunningServer]:
    trusted = ("--oidc-issuer", accounts.url, "--oidc-audience", AUDIENCE)
    redirects = {"REDIRECT_ORIGINS": "https://app.example.com"}
    with running_server(tmp_path_factory.mktemp("server"), *trusted, environ=redirects) as server:
        yield server


@pytest.fixture(scope="module")
def persons(service: RunningServer) -> Iterator[People]:
    with httpx.Client(base_url=service.url) as http:
        yield people(service, http)


@pytest.fixture(scope="module")
def chromium() -> str:
    built()
    return program("chromium")


@dataclass(frozen=True)
class Invited:
    """Eve's invitation to an organization of Ada's."""

    people: People
    organization_id: str
    invitation_id: str
    token: str

    @property
    def link(self) -> str:
        return f"{self.people.http.base_url}/invitations#{self.token}"

    def status(self) -> str:
        asked = {"invitationId": self.invitation_id}
        found = self.people.ask(f"{INVITATIONS}/GetInvitation", asked, self.people.ada)["invitation"]
        return str(found["status"]).removeprefix("INVITATION_STATUS_")

    def members(self) -> list[str]:
        asked = {"organizationId": self.organization_id}
        members = self.people.ask(f"{ORGANIZATIONS}/ListMembers", asked, self.people.ada)["members"]
        return sorted(member["fullName"] for member in members)

    def revoke(self) -> None:
        self.people.ask(f"{INVITATIONS}/RevokeInvitation", {"invitationId": self.invitation_id}, self.people.ada)


def invited(people: People, name: str = "Acme", **more: Any) -> Invited:
    made = people.ask(f"{ORGANIZATIONS}/CreateOrganization", {"name": name, "joinOrganization": True}, people.ada)
    organization_id = made["organization"]["id"]
    asked = {"organizationId": organization_id, "invitation": {"email": "eve@example.com", "sendEmail": False} | more}
    invitation = people.ask(f"{INVITATIONS}/CreateInvitation", asked, people.ada)
    return Invited(people, organization_id, invitation["invitation"]["id"], invitation["token"])


@dataclass(frozen=True)
class Visited:
    """What the page showed whenever it was looked at, what it sent, and the console."""

    seen: list[dict[str, Any]]
    requests: list[dict[str, Any]]
    console: list[str]

    def sent(self, method: str) -> list[dict[str, Any]]:
        return [request for request in self.requests if request["url"].endswith(f"/{method}")]


def visit(chromium: str, *steps: dict[str, Any], quiet: bool = True, **context: Any) -> Visited:
    """Do these steps. A refusal makes the browser itself write a line into the console; nothing else may."""
    job = {"chromium": chromium, "context": {"locale": "en-GB", "timezoneId": "UTC"} | context, "steps": list(steps)}
    visited = Visited(**json.loads(run(program("node"), str(HERE / "answer.js"), given=json.dumps(job))))
    assert not [line for line in visited.console if quiet or not line.startswith("Failed to load resource: ")]
    return visited


def enter(token: str) -> dict[str, Any]:
    return {"fill": ["Access token", token]}


@pytest.mark.parametrize("path", PATHS)
def test_the_page_and_its_files_come_with_headers_that_keep_everything_else_out(path: str, persons: People) -> None:
    got, head = persons.http.get(path), persons.http.head(path)
    assert (got.status_code, head.status_code) == (200, 200)
    assert got.content
    assert head.content == b""
    for answer in (got, head):
        assert answer.headers["content-type"] == f"{PATHS[path]}; charset=utf-8"
        assert answer.headers["content-security-policy"] == (
            "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; base-uri 'none';"
            " form-action 'none'; frame-ancestors 'none'"
        )
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cache-control"] == "no-store"
        assert "set-cookie" not in answer.headers


def test_the_page_has_nothing_that_the_policy_would_stop() -> None:
    script = (ROOT / "server/web/invitations.js").read_text()
    page = (ROOT / "server/web/invitations.html").read_text()
    assert not [word for word in ("innerHTML", "outerHTML", "insertAdjacent", "document.write") if word in script]
    assert not [word for word in (" style=", "<style", "onclick", "http://", "https://") if word in page]


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_the_page_is_only_read(method: str, path: str, persons: People) -> None:
    answer = persons.http.request(method, path, content=b"{}")
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET, HEAD")


@pytest.mark.parametrize(
    "path", ["/invitations/", "/invitations/x", "/invitations/pages.py", "/invitations/..%2fedge.py"]
)
def test_there_is_nothing_else_below_the_page(path: str, persons: People) -> None:
    answer = persons.http.get(path)
    assert answer.status_code == 404
    assert "def " not in answer.text


def test_looking_at_the_page_changes_nothing(persons: People) -> None:
    home = invited(persons)
    for query in ({}, {"token": home.token}, {"id": home.invitation_id}):
        for _ in range(10):
            assert persons.http.get("/invitations", params=query).status_code == 200
            assert persons.http.head("/invitations", params=query).status_code == 200
    assert home.status() == "PENDING"
    assert home.members() == ["Ada"]


def test_the_link_of_a_mail_shows_what_it_leads_to(chromium: str, persons: People, service: RunningServer) -> None:
    home = invited(persons, role="admin")
    visited = visit(chromium, {"open": home.link}, {"see": PENDING}, {"reload": True}, {"see": PENDING})
    for seen in visited.seen:
        assert seen["heading"] == "Invitation to Acme"
        for line in ("Acme", "1", "Admin", "Ada", "e***@example.com"):
            assert line in seen["text"].splitlines(), line
        assert "Valid until" in seen["text"]
        assert seen["buttons"] == ["Accept", "Decline"]
        assert seen["links"] == []
        assert seen["url"] == f"{service.url}/invitations"
    assert not [sent for sent in visited.requests if home.token in sent["url"] or sent["headers"].get("referer")]
    assert home.token not in service.log
    assert home.status() == "PENDING"


def test_a_person_accepts_and_a_second_visit_says_so(chromium: str, persons: People) -> None:
    home = invited(persons, redirectUrl=REDIRECT)
    visited = visit(
        chromium,
        {"open": home.link},
        {"see": PENDING},
        enter(persons.eve),
        {"press": "Enter"},
        {"see": "You are a member of Acme now."},
        {"reload": True},
        {"see": "The invitation of e***@example.com was accepted already."},
    )
    assert home.members() == ["Ada", "Eve"]
    assert home.status() == "ACCEPTED"
    before, outcome, again = visited.seen
    assert before["links"] == []
    assert outcome["links"] == again["links"] == [REDIRECT]
    assert "Continue to app.example.com" in outcome["text"]
    assert outcome["buttons"] == again["buttons"] == []
    [sent] = visited.sent("AcceptInvitation")
    assert sent["headers"]["authorization"] == f"Bearer {persons.eve}"
    assert len(sent["headers"]["idempotency-key"]) == 32
    assert all("authorization" not in preview["headers"] for preview in visited.sent("PreviewInvitation"))


def test_a_member_is_told_that_it_was_one_already(chromium: str, persons: People) -> None:
    home = invited(persons)
    asked = {"organizationId": home.organization_id}
    invite = persons.ask(f"{ORGANIZATIONS}/CreateOrganizationInvite", asked, persons.ada)["invite"]
    joined = persons.ask(f"{ORGANIZATIONS}/JoinOrganization", invite, persons.bob)["member"]
    assert joined["userId"]
    # The page is told the service's time in whole seconds.
    time.sleep(1)
    steps = ({"open": home.link}, {"see": PENDING}, enter(persons.bob), {"click": "Accept"})
    visit(chromium, *steps, {"see": "You were a member of Acme already."})
    assert home.members() == ["Ada", "Bob"]


def test_a_person_declines(chromium: str, persons: People) -> None:
    home = invited(persons, redirectUrl=REDIRECT)
    declined = INVITATION_DECLINED.sentence.format(email="e***@example.com")
    visited = visit(
        chromium,
        {"open": home.link},
        {"see": PENDING},
        enter(persons.eve),
        {"click": "Decline"},
        {"see": "You declined."},
        {"reload": True},
        {"see": declined},
    )
    assert (home.status(), home.members()) == ("DECLINED", ["Ada"])
    assert [(seen["buttons"], seen["links"]) for seen in visited.seen[1:]] == [([], []), ([], [])]
    assert len(visited.sent("DeclineInvitation")) == 1


def test_an_answer_that_gets_lost_is_asked_for_again_under_the_same_key(chromium: str, persons: People) -> None:
    home = invited(persons)
    visited = visit(
        chromium,
        {"open": home.link},
        {"see": PENDING},
        enter(persons.eve),
        {"lose": "AcceptInvitation"},
        {"click": "Accept"},
        {"see": "The service didn't answer; try again."},
        {"click": "Accept"},
        {"see": "You are a member of Acme now."},
        quiet=False,
    )
    first, second = visited.sent("AcceptInvitation")
    assert first["headers"]["idempotency-key"] == second["headers"]["idempotency-key"]
    assert home.members() == ["Ada", "Eve"]


def test_a_preview_that_gets_lost_is_tried_again(chromium: str, persons: People) -> None:
    home = invited(persons)
    lost = {"see": "The service didn't answer; try again."}
    steps = ({"lose": "PreviewInvitation"}, {"open": home.link}, lost, {"click": "Try again"}, {"see": PENDING})
    assert visit(chromium, *steps, quiet=False).seen[0]["buttons"] == ["Try again"]


def test_what_can_not_be_opened_is_said_in_the_services_own_sentence(chromium: str, persons: People) -> None:
    revoked, base = invited(persons), str(persons.http.base_url)
    revoked.revoke()
    sentence = INVITATION_REVOKED.sentence.format(email="e***@example.com")
    steps: list[dict[str, Any]] = [{"open": revoked.link}, {"see": sentence}]
    # Opened in the same tab, where a browser loads nothing anew.
    steps += [{"open": f"{base}/invitations#org_inv_unknown"}, {"see": INVITATION_NOT_FOUND.sentence}]
    steps += [{"open": f"{base}/invitations#id=half-of-it"}, {"see": "This link is incomplete"}]
    visited = visit(chromium, *steps, quiet=False)
    assert [seen["buttons"] for seen in visited.seen] == [[], [], []]
    assert "Acme" not in visited.seen[1]["text"]


def test_an_answer_without_a_token_that_is_good_is_refused_and_may_be_given_again(
    chromium: str, persons: People
) -> None:
    home = invited(persons)
    steps = [{"open": home.link}, {"see": PENDING}, enter("not-a-token"), {"click": "Accept"}]
    steps += [{"see": "The access token is unknown, expired or revoked"}, enter(""), {"click": "Accept"}]
    steps += [{"see": "Enter your access token first."}]
    visited = visit(chromium, *steps, quiet=False)
    assert visited.seen[-1]["buttons"] == ["Accept", "Decline"]
    assert home.status() == "PENDING"


def test_the_sentences_of_states_are_those_of_the_catalog() -> None:
    script = (ROOT / "server/web/invitations.js").read_text()
    for reason in (INVITATION_DECLINED, INVITATION_REVOKED, INVITATION_EXPIRED):
        assert f'"{reason.sentence}"' in script, reason.name


def test_by_its_id_an_invitation_shows_itself_to_its_addressee_alone(
    chromium: str, persons: People, accounts: Issuer
) -> None:
    home = invited(persons)
    link = f"{persons.http.base_url}/invitations#id={home.invitation_id}"
    eve = accounts.mint(sub="eve", email="eve@example.com", email_verified=True, name="Eve")
    visited = visit(
        chromium,
        {"open": link},
        {"see": "Enter your access token to see this invitation."},
        enter(persons.bob),
        {"click": "Show the invitation"},
        {"see": "which isn't your account's address"},
        enter(eve),
        {"click": "Show the invitation"},
        {"see": PENDING},
        {"click": "Accept"},
        {"see": "You are a member of Acme now."},
        quiet=False,
    )
    asking, refused, shown, _ = visited.seen
    assert asking["buttons"] == refused["buttons"] == ["Show the invitation"]
    assert "Acme" not in asking["text"] + refused["text"]
    assert shown["heading"] == "Invitation to Acme"
    assert home.members() == ["Ada", "Eve"]


def test_names_are_shown_as_they_are_and_nothing_in_them_runs(chromium: str, persons: People) -> None:
    name = '<img src=x onerror="alert(1)"><b>Acme</b>'
    home = invited(persons, name)
    seen = visit(chromium, {"open": home.link}, {"see": PENDING}).seen[0]
    assert seen["heading"] == f"Invitation to {name}"
    assert not {"img", "b", "script"} & set(seen["elements"])


@pytest.mark.parametrize(
    ("locale", "language", "heading", "status"),
    [
        ("de-AT", "de", "Einladung zu Acme", "Nichts geschieht"),
        ("es-MX", "es", "Invitación a Acme", "No ocurre nada"),
        ("zh-CN", "zh", "加入 Acme 的邀请", "不会发生任何事"),
        ("fr-FR", "en", "Invitation to Acme", PENDING),
    ],
)
def test_the_page_speaks_the_browsers_language_where_it_can(
    locale: str, language: str, heading: str, status: str, chromium: str, persons: People
) -> None:
    seen = visit(chromium, {"open": invited(persons).link}, {"see": status}, locale=locale).seen[0]
    assert (seen["language"], seen["heading"]) == (language, heading)


def test_the_page_fits_a_small_screen_and_a_dark_one(chromium: str, persons: People) -> None:
    home = invited(persons, "A" * 60)
    steps, small = ({"open": home.link}, {"see": PENDING}), {"width": 360, "height": 640}
    light, dark = (visit(chromium, *steps, viewport=small, colorScheme=scheme).seen[0] for scheme in ("light", "dark"))
    assert not light["tooWide"]
    assert not dark["tooWide"]
    assert (light["ground"], dark["ground"]) == ("rgb(255, 255, 255)", "rgb(20, 23, 26)")
