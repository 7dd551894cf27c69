"""Coming into an organization, by its link and by a mailed invitation, as people do it in a browser."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from tests.running import RunningServer, running_server, wait_until
from tests.web.browser import Browser, Person
from tests.web.household import INVITATIONS, LINKS, ORGANIZATIONS, People, people
from tests.web.signing_in import code_for, sign_in

REDIRECT = "https://app.example.com/welcome?from=mail"
UNTIL_ANSWER = "Nothing happens until you accept or decline."
UNTIL_JOIN = "Nothing happens until you join."
FIRST_VIEW_BYTES = 100_000


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    settings = {"DEVELOPMENT": "1", "MAX_MEMBERS": "3", "REDIRECT_ORIGINS": "https://app.example.com"}
    with running_server(tmp_path_factory.mktemp("server"), environ=settings) as server:
        yield server


@pytest.fixture(scope="module")
def persons(service: RunningServer) -> Iterator[People]:
    with httpx.Client(base_url=service.url) as http:
        yield people(service, http)


@dataclass(frozen=True)
class Home:
    """An organization of Ada's, its live link, and an invitation of Eve's."""

    people: People
    organization_id: str
    invite_id: str
    invitation_id: str
    token: str

    @property
    def base(self) -> str:
        return str(self.people.http.base_url).rstrip("/")

    @property
    def link(self) -> str:
        return f"{self.base}/invite/{self.invite_id}"

    @property
    def mailed(self) -> str:
        return f"{self.base}/invitations#{self.token}"

    @property
    def in_console(self) -> str:
        return f"{self.base}/console/organizations/{self.organization_id}"

    def status(self) -> str:
        asked = {"invitationId": self.invitation_id}
        found = self.people.ask(f"{INVITATIONS}/GetInvitation", asked, self.people.ada)["invitation"]
        return str(found["status"]).removeprefix("INVITATION_STATUS_")

    def members(self) -> list[str]:
        asked = {"organizationId": self.organization_id}
        members = self.people.ask(f"{ORGANIZATIONS}/ListMembers", asked, self.people.ada)["members"]
        return sorted(member["email"].partition("@")[0] for member in members)

    def join(self, token: str) -> None:
        self.people.ask(f"{ORGANIZATIONS}/JoinOrganization", {"inviteId": self.invite_id}, token)


def made(people: People, name: str = "Acme", **more: Any) -> Home:
    asked: dict[str, Any] = {"name": name, "joinOrganization": True}
    organization_id = people.ask(f"{ORGANIZATIONS}/CreateOrganization", asked, people.ada)["organization"]["id"]
    of_it = {"organizationId": organization_id}
    invite = people.ask(f"{ORGANIZATIONS}/CreateOrganizationInvite", of_it, people.ada)["invite"]
    asked = of_it | {"invitation": {"email": "eve@example.com", "sendEmail": False} | more}
    invited = people.ask(f"{INVITATIONS}/CreateInvitation", asked, people.ada)
    return Home(people, organization_id, invite["inviteId"], invited["invitation"]["id"], invited["token"])


# The link.


def test_a_link_shows_what_it_leads_to_and_a_person_signs_in_and_joins(
    visitor: Person, persons: People, service: RunningServer
) -> None:
    home = made(persons)
    visitor.open(home.link)
    seen = visitor.see("To join you need to be signed in.")
    assert seen["heading"] == seen["title"] == "You're invited to Acme"
    assert "Members\n1\nYou join as\nMember" in seen["text"].replace("\n\n", "\n")
    assert seen["buttons"] == []

    visitor.follow("Sign in to join")
    sign_in(visitor, service, "bob@example.com")
    seen = visitor.see(UNTIL_JOIN)
    assert seen["url"] == home.link
    assert "bob@example.com" in seen["text"]
    assert home.members() == ["ada"]

    visitor.click("Join")
    seen = visitor.see("You are a member of Acme now.")
    assert seen["focus"] == "You are a member of Acme now."
    assert seen["links"] == [home.in_console]
    assert home.members() == ["ada", "bob"]

    # Once more, which is one click too many.
    visitor.open(home.link)
    seen = visitor.see("You are a member of Acme already.")
    assert (seen["buttons"], seen["links"]) == ([], [home.in_console])
    assert len(visitor.sent("JoinOrganization")) == 1


def test_a_link_that_was_replaced_or_turned_off_says_so_and_how_to_get_another(
    visitor: Person, persons: People
) -> None:
    home = made(persons)
    of_it = {"organizationId": home.organization_id}
    persons.ask(f"{ORGANIZATIONS}/CreateOrganizationInvite", of_it, persons.ada)
    visitor.open(home.link)
    seen = visitor.see("Ask an admin of the organization for the current link.")
    assert seen["heading"] == "This link doesn't work"
    assert "Acme" not in seen["text"]

    home = made(persons)
    visitor.open(home.link)
    visitor.see("To join you need to be signed in.")
    persons.ask(f"{LINKS}/DisableInviteLink", {"organizationId": home.organization_id}, persons.ada)
    visitor.do("reload")
    visitor.see("Ask an admin of the organization for the current link.")


@pytest.mark.parametrize("rest", ["", "/", "/half-of-it"])
def test_a_link_that_was_cut_off_is_incomplete(rest: str, visitor: Person, persons: People) -> None:
    visitor.open(f"{persons.http.base_url}/invite{rest}")
    seen = visitor.see("Copy it again as a whole")
    assert seen["heading"] == "This link is incomplete"


@pytest.mark.slow
def test_a_full_organization_says_so_and_lets_people_try_again(
    visitor: Person, persons: People, service: RunningServer
) -> None:
    home = made(persons)
    home.join(persons.bob)
    home.join(persons.eve)
    visitor.open(home.link)
    visitor.follow("Sign in to join")
    sign_in(visitor, service, "kim@example.com")
    visitor.see(UNTIL_JOIN)
    visitor.click("Join")
    seen = visitor.see("The organization is full: it has as many members as it may have (3).")
    assert "Join" in seen["buttons"]

    asked = {"organizationId": home.organization_id}
    members = persons.ask(f"{ORGANIZATIONS}/ListMembers", asked, persons.ada)["members"]
    [bob] = [member["userId"] for member in members if member["email"] == "bob@example.com"]
    persons.ask(f"{ORGANIZATIONS}/LeaveOrganization", {"userId": bob}, persons.ada)
    visitor.click("Join")
    visitor.see("You are a member of Acme now.")


@pytest.mark.slow
def test_who_is_signed_out_meanwhile_is_told_and_can_sign_in_again(
    visitor: Person, persons: People, service: RunningServer
) -> None:
    home = made(persons)
    visitor.open(home.link)
    visitor.follow("Sign in to join")
    sign_in(visitor, service, "bob@example.com")
    visitor.see(UNTIL_JOIN)
    visitor.do("forget")
    visitor.click("Join")
    seen = visitor.see("You aren't signed in any more.")
    assert home.members() == ["ada"]
    assert "Join" not in seen["buttons"]
    visitor.follow("Sign in to join")
    sign_in(visitor, service, "bob@example.com")
    visitor.see(UNTIL_JOIN)


@pytest.mark.slow
def test_a_person_changes_the_account_and_comes_back(visitor: Person, persons: People, service: RunningServer) -> None:
    home = made(persons)
    visitor.open(home.link)
    visitor.follow("Sign in to join")
    sign_in(visitor, service, "bob@example.com")
    visitor.see("bob@example.com")
    visitor.click("Use another account")
    visitor.see("Send me a code")
    sign_in(visitor, service, "eve@example.com")
    visitor.see("eve@example.com")
    visitor.click("Join")
    visitor.see("You are a member of Acme now.")
    assert home.members() == ["ada", "eve"]


@pytest.mark.slow
def test_who_changed_the_account_in_another_tab_sees_which_one_joins(
    visitor: Person, persons: People, service: RunningServer
) -> None:
    home = made(persons)
    visitor.open(home.link)
    visitor.follow("Sign in to join")
    sign_in(visitor, service, "bob@example.com")
    visitor.see("bob@example.com")
    visitor.do("click elsewhere", [f"{home.base}/sign-in", "Use another account", "Send me a code"])
    seen = visitor.see("To join you need to be signed in.")
    assert "bob@example.com" not in seen["text"]


# The mailed invitation.


def test_the_link_of_a_mail_shows_what_it_leads_to_and_leaks_to_nobody(
    visitor: Person, persons: People, service: RunningServer
) -> None:
    home = made(persons, role="admin")
    visitor.open(home.mailed)
    for _ in range(2):
        seen = visitor.see("To answer you need to be signed in.")
        assert seen["heading"] == "Ada invites you to Acme"
        for line in ("1", "Admin", "e***@example.com"):
            assert line in seen["text"].splitlines(), line
        assert "Valid until" in seen["text"]
        assert seen["url"] == f"{home.base}/invitations"
        visitor.do("reload")
    assert not [sent for sent in visitor.sent() if home.token in sent["url"] or sent["headers"].get("referer")]
    assert home.token not in service.log
    assert home.status() == "PENDING"


def test_a_person_accepts_after_signing_in_and_a_second_visit_says_so(
    visitor: Person, persons: People, service: RunningServer
) -> None:
    home = made(persons, redirectUrl=REDIRECT)
    visitor.open(home.mailed)
    visitor.follow("Sign in to answer")
    assert home.token not in visitor.see("Send me a code")["url"]
    sign_in(visitor, service, "eve@example.com")
    seen = visitor.see(UNTIL_ANSWER)
    assert seen["links"] == []
    assert home.status() == "PENDING"
    visitor.click("Accept")
    seen = visitor.see("You are a member of Acme now.")
    assert seen["links"] == [REDIRECT, home.in_console]
    assert "Continue to app.example.com" in seen["text"]
    assert (home.status(), home.members()) == ("ACCEPTED", ["ada", "eve"])
    visitor.do("reload")
    seen = visitor.see("You are a member of Acme already.")
    assert seen["links"] == [REDIRECT, home.in_console]
    [sent] = visitor.sent("AcceptInvitation")
    assert len(sent["headers"]["idempotency-key"]) == 32


@pytest.mark.slow
def test_who_is_a_member_already_is_told_before_and_after_accepting(
    visitor: Person, persons: People, service: RunningServer
) -> None:
    home = made(persons)
    home.join(persons.bob)
    visitor.open(home.mailed)
    visitor.follow("Sign in to answer")
    sign_in(visitor, service, "bob@example.com")
    assert "Accept" in visitor.see("You are a member of Acme already.")["buttons"]
    visitor.click("Accept")
    # The sentence stood there before, below another heading.
    wait_until(lambda: visitor.do("look")["heading"] == "You are a member of Acme already.")
    assert home.members() == ["ada", "bob"]


def test_a_person_declines_after_a_second_look(visitor: Person, persons: People, service: RunningServer) -> None:
    home = made(persons, redirectUrl=REDIRECT)
    visitor.open(home.mailed)
    visitor.follow("Sign in to answer")
    sign_in(visitor, service, "eve@example.com")
    visitor.see(UNTIL_ANSWER)
    visitor.click("Decline")
    visitor.see("You won't become a member. Should you change your mind, you need a new invitation.")
    visitor.click("Cancel")
    assert home.status() == "PENDING"
    visitor.click("Decline")
    visitor.click("Yes, decline")
    seen = visitor.see("You declined.")
    assert (seen["buttons"], seen["links"]) == ([], [])
    assert (home.status(), home.members()) == ("DECLINED", ["ada"])
    visitor.do("reload")
    assert visitor.see("The invitation of e***@example.com was declined.")["buttons"] == []
    assert len(visitor.sent("DeclineInvitation")) == 1


@pytest.mark.slow
def test_an_answer_that_gets_lost_is_asked_for_again_under_the_same_key(
    visitor: Person, persons: People, service: RunningServer
) -> None:
    home = made(persons)
    visitor.open(home.mailed)
    visitor.follow("Sign in to answer")
    sign_in(visitor, service, "eve@example.com")
    visitor.see(UNTIL_ANSWER)
    visitor.do("lose", "AcceptInvitation")
    visitor.click("Accept")
    visitor.see("The service didn't answer.")
    visitor.click("Accept")
    visitor.see("You are a member of Acme now.")
    first, second = visitor.sent("AcceptInvitation")
    assert first["headers"]["idempotency-key"] == second["headers"]["idempotency-key"]
    assert home.members() == ["ada", "eve"]


@pytest.mark.slow
def test_a_look_that_gets_lost_is_tried_again(visitor: Person, persons: People) -> None:
    home = made(persons)
    visitor.do("lose", "PreviewInvitation")
    visitor.open(home.mailed)
    assert visitor.see("The service didn't answer.")["buttons"] == ["Try again"]
    visitor.click("Try again")
    visitor.see("To answer you need to be signed in.")


@pytest.mark.slow
def test_what_can_not_be_answered_says_why_and_how_to_get_another(visitor: Person, persons: People) -> None:
    revoked, replaced = made(persons), made(persons)
    persons.ask(f"{INVITATIONS}/RevokeInvitation", {"invitationId": revoked.invitation_id}, persons.ada)
    invitation = {"email": "eve@example.com", "sendEmail": False, "ifPending": "IF_PENDING_RENEW"}
    asked = {"organizationId": replaced.organization_id, "invitation": invitation}
    persons.ask(f"{INVITATIONS}/CreateInvitation", asked, persons.ada)

    visitor.open(revoked.mailed)
    assert visitor.see("The invitation of e***@example.com was withdrawn.")["links"] == []
    # Opened in the same tab, where a browser loads nothing anew.
    visitor.open(replaced.mailed)
    seen = visitor.see("Look for the newest mail, or ask to be invited again.")
    assert seen["heading"] == "This invitation can't be opened"
    assert "Acme" not in seen["text"]
    visitor.open(f"{revoked.base}/invitations#id=half-of-it")
    assert visitor.see("Copy it again as a whole")["heading"] == "This link is incomplete"


@pytest.mark.slow
def test_a_tab_without_a_link_says_where_it_is(visitor: Person, persons: People) -> None:
    visitor.open(f"{persons.http.base_url}/invitations")
    assert visitor.see("Open the link in the mail again.")["heading"] == "There is no invitation in this tab"


@pytest.mark.slow
def test_going_back_finds_the_link_that_was_open_then(visitor: Person, persons: People) -> None:
    first, second = made(persons, "First"), made(persons, "Second")
    visitor.open(first.mailed)
    visitor.see("Ada invites you to First")
    visitor.open(second.mailed)
    visitor.see("Ada invites you to Second")
    visitor.do("back")
    visitor.see("Ada invites you to First")
    visitor.do("reload")
    visitor.see("Ada invites you to First")


def test_names_are_shown_as_they_are_and_nothing_in_them_runs(visitor: Person, persons: People) -> None:
    name = '<img src=x onerror="alert(1)"><b>Acme</b> {inviter}'
    visitor.open(made(persons, name).mailed)
    seen = visitor.see("To answer you need to be signed in.")
    assert seen["heading"] == f"Ada invites you to {name}"
    assert not {"img", "b", "script"} & set(seen["elements"])


# An invitation by its id, for its addressee alone.


def test_by_its_id_an_invitation_shows_itself_to_its_addressee_alone(
    visitor: Person, persons: People, service: RunningServer
) -> None:
    home = made(persons)
    visitor.open(f"{home.base}/invitations#id={home.invitation_id}")
    assert "Acme" not in visitor.see("Sign in to see this invitation")["text"]
    visitor.follow("Sign in")
    sign_in(visitor, service, "bob@example.com")
    seen = visitor.see("The invitation is for e***@example.com, which isn't the address of this account.")
    assert "Acme" not in seen["text"]
    visitor.click("Use another account")
    visitor.see("Send me a code")
    sign_in(visitor, service, "eve@example.com")
    visitor.see(UNTIL_ANSWER)
    visitor.click("Accept")
    visitor.see("You are a member of Acme now.")
    assert home.members() == ["ada", "eve"]


# How it looks, and what it costs.


@pytest.mark.slow
@pytest.mark.parametrize(
    ("locale", "language", "heading", "signing_in"),
    [
        ("de-AT", "de", "Ada lädt Sie zu Acme ein", "Anmelden und antworten"),
        ("es-MX", "es", "Ada le invita a Acme", "Iniciar sesión para responder"),
        ("zh-CN", "zh", "Ada 邀请您加入 Acme", "登录以回复"),
        ("fr-FR", "en", "Ada invites you to Acme", "Sign in to answer"),
    ],
)
def test_the_page_speaks_the_browsers_language_where_it_can(
    locale: str, language: str, heading: str, signing_in: str, chromium: Browser, persons: People
) -> None:
    person = chromium.come(locale=locale)
    person.open(made(persons).mailed)
    seen = person.see(signing_in)
    assert (seen["language"], seen["heading"]) == (language, heading)
    person.do("leave")


@pytest.mark.slow
def test_a_language_that_was_chosen_is_kept(visitor: Person, persons: People) -> None:
    home = made(persons)
    visitor.open(home.mailed)
    visitor.see("Ada invites you to Acme")
    visitor.do("choose", ["Language", "Deutsch"])
    visitor.see("Ada lädt Sie zu Acme ein")
    visitor.open(home.link)
    visitor.see("Sie sind zu Acme eingeladen")
    visitor.open(f"{home.link}?lang=es")
    visitor.see("Le invitan a Acme")


@pytest.mark.slow
def test_the_page_fits_a_small_screen_and_a_dark_one(chromium: Browser, persons: People) -> None:
    home = made(persons, "A" * 60)
    grounds = []
    for scheme in ("light", "dark"):
        person = chromium.come(viewport={"width": 360, "height": 640}, colorScheme=scheme)
        person.open(home.mailed)
        seen = person.see("To answer you need to be signed in.")
        assert not seen["tooWide"]
        grounds.append(seen["ground"])
        person.do("leave")
    assert grounds == ["rgb(245, 246, 248)", "rgb(16, 19, 23)"]


@pytest.mark.slow
def test_axe_finds_nothing_serious_from_the_link_to_the_outcome(
    visitor: Person, persons: People, service: RunningServer
) -> None:
    home = made(persons)

    def nothing_serious(sentence: str) -> None:
        visitor.see(sentence)
        for scheme in ("dark", "light"):
            visitor.do("dress", scheme)
            assert visitor.do("axe") == [], (sentence, scheme)

    visitor.open(f"{home.base}/invitations")
    nothing_serious("There is no invitation in this tab")
    visitor.open(home.mailed)
    nothing_serious("To answer you need to be signed in.")
    visitor.follow("Sign in to answer")
    visitor.see("Send me a code")
    visitor.click("Send me a code")
    nothing_serious("Enter your e-mail address first.")
    visitor.fill("E-mail address", "axe@example.com")
    visitor.press("Enter")
    nothing_serious("Send another code (in")
    visitor.fill("Code", code_for(service, "axe@example.com"))
    visitor.press("Enter")
    nothing_serious(UNTIL_ANSWER)
    visitor.click("Decline")
    nothing_serious("You won't become a member.")
    visitor.click("Cancel")
    visitor.click("Accept")
    nothing_serious("You are a member of Acme now.")


@pytest.mark.slow
@pytest.mark.parametrize("page", ["link", "mailed"])
def test_the_first_view_is_light_and_nothing_in_it_moves(
    page: str, visitor: Person, persons: People, figure: Any
) -> None:
    sizes: dict[str, int] = visitor.do("weigh", getattr(made(persons), page))
    visitor.see("Ada" if page == "mailed" else "Acme")
    total = sum(sizes.values())
    figure(f"first view of the page of the {page}: {total / 1000:.1f} kB in {len(sizes)} answers")
    assert {url.rpartition(".")[2] for url in sizes} >= {"js", "css"}
    assert total < FIRST_VIEW_BYTES, sizes
    assert not [url for url in sizes if "console" in url]
    assert visitor.do("shifts") == 0


def test_looking_at_the_pages_changes_nothing(persons: People) -> None:
    home = made(persons)
    before = [home.status(), home.members()]
    for _ in range(20):
        for method in ("GET", "HEAD"):
            for path in (home.link, f"{home.base}/invitations", f"{home.base}/sign-in?return=/console"):
                assert persons.http.request(method, path).status_code == 200
    assert [home.status(), home.members()] == before
