"""The console in a browser: everything that members and admins do there, against the real server."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from server.service.authentication import REMEMBERED_SECONDS
from tests.running import RunningServer, running_server, wait_until
from tests.web.browser import Browser, Person
from tests.web.crowd import ADDRESS, MEMBERS, NAME, Crowd, crowd
from tests.web.household import ACCOUNTS, INVITATIONS, ORGANIZATIONS, bearer
from tests.web.signing_in import held, session, sign_in

Come = Callable[..., Person]


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[RunningServer, Crowd]]:
    """A server with an organization of 200 members."""
    directory = tmp_path_factory.mktemp("console")
    written = crowd(f"sqlite:///{directory / 'organizations.db'}")
    with running_server(directory, "--development") as server:
        yield server, written


@pytest.fixture(scope="module")
def server(town: tuple[RunningServer, Crowd]) -> RunningServer:
    return town[0]


@pytest.fixture(scope="module")
def large(town: tuple[RunningServer, Crowd]) -> Crowd:
    return town[1]


@pytest.fixture(scope="module")
def http(server: RunningServer) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.url) as client:
        yield client


@pytest.fixture(scope="module")
def sessions() -> dict[str, str]:
    """The sessions of those who have signed in, by address: an address is sent a few codes only."""
    return {}


@pytest.fixture
def come(chromium: Browser, server: RunningServer, sessions: dict[str, str]) -> Iterator[Come]:
    """Let people come who are signed in already, in a session of their own if they want."""
    present: list[Person] = []

    def someone(email: str, path: str = "/console", *, anew: bool = False, **context: Any) -> Person:
        if anew or email not in sessions:
            sessions[email] = session(server, email)
        allowed = ["clipboard-read", "clipboard-write"]
        person = chromium.come(storageState=held(sessions[email]), permissions=allowed, **context)
        present.append(person)
        person.open(server.url + path)
        return person

    yield someone
    for person in present:
        person.do("leave")


def ask(http: httpx.Client, token: str, path: str, message: dict[str, Any]) -> dict[str, Any]:
    answer = http.post(path, json=message, headers=bearer(token))
    assert answer.status_code == 200, answer.text
    content: dict[str, Any] = answer.json()
    return content


def found(http: httpx.Client, server: RunningServer, email: str, name: str) -> tuple[str, str]:
    """Make an organization of somebody's; give its id, and a token of theirs."""
    token = server.token(email)
    made = ask(http, token, f"{ORGANIZATIONS}/CreateOrganization", {"name": name})
    return made["organization"]["id"], token


def of(organization_id: str, view: str = "members") -> str:
    return f"/console/organizations/{organization_id}/{view}"


# Getting around.


def test_who_isnt_signed_in_is_sent_to_sign_in_and_back(person: Person, server: RunningServer, large: Crowd) -> None:
    person.open(server.url + of(large.organization_id, "settings"))
    person.do("arrive", f"{server.url}/sign-in?return=%2Fconsole%2Forganizations%2F{large.organization_id}%2Fsettings")


@pytest.mark.slow
def test_a_session_that_ended_leads_to_sign_in_and_back_to_the_same_place(
    come: Come, server: RunningServer, large: Crowd
) -> None:
    ada = come(ADDRESS, f"{of(large.organization_id)}?search=hopper")
    ada.do("rows")
    ada.do("forget")
    ada.follow("Settings")
    ada.do("arrive", f"{server.url}/sign-in?return=%2Fconsole%2Forganizations%2F{large.organization_id}%2Fsettings")
    sign_in(ada, server, ADDRESS)
    seen = ada.see("Joining by address")
    assert seen["url"] == server.url + of(large.organization_id, "settings")


@pytest.mark.slow
def test_signing_out_ends_this_session_and_everywhere_all(come: Come, server: RunningServer) -> None:
    here, there = (come("olga@example.com", anew=True) for _ in range(2))
    for signed_in in (here, there):
        assert "olga@example.com" in signed_in.see("Organizations")["text"]
    here.click("Your account: olga@example.com")
    here.click("Sign out")
    here.do("arrive", f"{server.url}/sign-in?return=%2Fconsole")
    there.do("reload")
    there.see("You aren't in an organization yet")
    elsewhere = come("olga@example.com", anew=True)
    elsewhere.see("You aren't in an organization yet")
    there.click("Your account: olga@example.com")
    there.click("Sign out everywhere")
    there.do("arrive", f"{server.url}/sign-in?return=%2Fconsole")
    # For so long an ended session may still be taken for one.
    time.sleep(REMEMBERED_SECONDS)
    elsewhere.click("New organization")
    elsewhere.fill("Name", "Too late")
    elsewhere.do("confirm", "Create")
    elsewhere.do("arrive", f"{server.url}/sign-in?return=%2Fconsole")


@pytest.mark.slow
def test_views_have_addresses_titles_and_a_heading_that_takes_the_focus(
    come: Come, server: RunningServer, large: Crowd
) -> None:
    ada = come(ADDRESS)
    ada.see(NAME)
    ada.do("enter", NAME)
    seen = ada.see("Members")
    assert seen["url"] == server.url + of(large.organization_id)
    assert seen["title"] == f"Members · {NAME} · Organization Service"
    assert ada.do("focus") == "Members"
    ada.follow("Invite link")
    assert ada.see("Whoever has this link")["title"] == f"Invite link · {NAME} · Organization Service"
    assert ada.do("focus") == "Invite link"
    ada.do("back")
    assert ada.see("200 members")["heading"] == "Members"
    assert ada.do("focus") == "Members"
    ada.do("back")
    assert ada.see("New organization")["title"] == "Organizations · Organization Service"
    ada.do("forward")
    assert ada.see("200 members")["heading"] == "Members"
    # One page all along: it was loaded once.
    assert len([request for request in ada.sent() if request["url"].endswith("/console")]) == 1
    ada.open(f"{server.url}/console/nothing/at/all")
    assert ada.see("There is nothing at this address")["heading"] == "Nothing here"
    ada.open(server.url + of("00000000-0000-4000-8000-000000000000"))
    ada.see("There is no such organization, or you aren't a member of it.")
    assert ada.said() == []


# Organizations.


@pytest.mark.slow
def test_an_organization_is_made_once_though_the_answer_was_lost(come: Come, server: RunningServer) -> None:
    mia = come("mia@example.com")
    mia.see("You aren't in an organization yet")
    mia.click("New organization")
    mia.fill("Name", "ab")
    mia.do("confirm", "Create")
    mia.see("A name has 3 to 256 characters on one line.")
    assert mia.do("focus") is not None
    mia.fill("Name", "Müller & Söhne")
    mia.do("lose", "CreateOrganization")
    mia.do("confirm", "Create")
    mia.see("The service didn't answer.")
    mia.do("confirm", "Create")
    mia.see("Müller & Söhne was created.")
    mia.do("until", ["mia@example.com", "Admin"])
    assert mia.do("focus") == "Members"
    keys = [request["headers"]["idempotency-key"] for request in mia.sent("CreateOrganization")]
    assert len(keys) == 3
    assert keys[0] != keys[1] == keys[2]
    mia.follow("Organizations")
    mia.do("gone", "was created.")
    assert mia.see("1 member")["text"].count("Müller & Söhne") == 1


def test_invitations_are_accepted_and_declined_and_open_doors_are_used(
    come: Come, server: RunningServer, http: httpx.Client
) -> None:
    address = "nils@open.example"
    wanted, token = found(http, server, "owner@example.com", "Wanted")
    unwanted, _ = found(http, server, "owner@example.com", "Unwanted")
    for organization_id in (wanted, unwanted):
        invitation = {"email": address, "sendEmail": False}
        asked = {"organizationId": organization_id, "invitation": invitation}
        ask(http, token, f"{INVITATIONS}/CreateInvitation", asked)
    open_id, _ = found(http, server, "owner@example.com", "Open house")
    domains = {"organizationId": open_id, "inviteDomains": {"domains": ["open.example"]}}
    ask(http, token, f"{ORGANIZATIONS}/UpdateOrganization", domains)

    nils = come(address)
    seen = nils.see("Invitations for you")
    assert "Open to you" in seen["text"]
    nils.click("Decline: Unwanted")
    nils.do("confirm", "Decline")
    nils.see("You declined the invitation to Unwanted.")
    nils.click("Accept: Wanted")
    nils.see("You are a member of Wanted now.")
    nils.click("Join: Open house")
    nils.see("You are a member of Open house now.")
    nils.do("gone", "Invitations for you")
    seen = nils.see("Open house")
    assert "Unwanted" not in seen["text"].replace("You declined the invitation to Unwanted.", "")
    nils.do("enter", "Wanted")
    nils.see("2 members")
    nils.click("Leave")
    nils.see("Leave Wanted?")
    nils.do("confirm", "Leave")
    seen = nils.see("You left Wanted.")
    assert seen["heading"] == "Organizations"
    assert "Wanted" not in seen["text"].replace("You left Wanted.", "")


# Members.


@pytest.mark.slow
def test_members_are_searched_filtered_sorted_and_paged(come: Come, server: RunningServer, large: Crowd) -> None:
    ada = come(ADDRESS, of(large.organization_id))
    seen = ada.see(f"{MEMBERS} members · Page 1")
    assert "You" in ada.do("rows")[0]
    first = ada.do("rows")
    assert len(first) == 25
    ada.click("Next")
    ada.see("Page 2")
    second = ada.do("rows")
    assert not set(first) & set(second)
    assert ada.do("focus") == f"{MEMBERS} members · Page 2"
    ada.do("reload")
    ada.see("Page 2")
    assert ada.do("rows") == second
    # To skip what stands above isn't to go anywhere.
    ada.do("press", "Tab")
    ada.do("press", "Enter")
    assert ada.do("rows") == second
    ada.see("Page 2")
    ada.click("Previous")
    ada.see("Page 1")
    assert ada.do("rows") == first
    ada.do("back")
    ada.see("Page 2")
    ada.do("choose", ["Sort", "Joined first"])
    ada.see("Page 1")
    assert "Ada Lovelace" in ada.do("rows")[0]
    ada.do("choose", ["Role", "Admin"])
    ada.do("gone", f"{MEMBERS} members")
    ada.do("every", "Admin")
    ada.fill("Search by name or address", "person3@EXAMPLE")
    ada.see("1 member")
    assert ["person3@example.com" in row for row in ada.do("rows")] == [True]
    seen = ada.see("1 member")
    assert seen["url"].endswith("?sort=oldest&role=admin&search=person3%40EXAMPLE")
    ada.do("reload")
    ada.see("1 member")
    assert ada.do("valueOf", "Search by name or address") == "person3@EXAMPLE"
    ada.fill("Search by name or address", "nobody at all")
    ada.see("Nothing matches.")
    ada.follow("Show all")
    ada.see(f"{MEMBERS} members")
    assert ada.do("valueOf", "Search by name or address") == ""


def test_roles_change_members_go_and_the_last_admin_is_told_why_not(
    come: Come, server: RunningServer, http: httpx.Client
) -> None:
    organization_id, token = found(http, server, "pia@example.com", "Roles")
    invite = ask(http, token, f"{ORGANIZATIONS}/CreateOrganizationInvite", {"organizationId": organization_id})[
        "invite"
    ]
    ask(http, server.token("quentin@example.com"), f"{ORGANIZATIONS}/JoinOrganization", invite)
    pia = come("pia@example.com", of(organization_id))
    pia.see("2 members")
    pia.click("Change role: Pia")
    pia.do("tick", ["Member", True])
    pia.do("confirm", "Save role")
    pia.see("An organization keeps at least one admin.")
    pia.do("press", "Escape")
    assert pia.do("focus") == "Change role: Pia"
    pia.click("Change role: Quentin")
    pia.do("tick", ["Admin", True])
    pia.do("confirm", "Save role")
    pia.see("Quentin is an admin now.")
    assert pia.do("focus") == "Change role: Quentin"
    pia.do("until", ["Quentin", "Admin"])
    pia.click("Remove: Quentin")
    seen = pia.see("Remove Quentin?")
    assert "They lose access to Roles at once" in seen["text"]
    pia.do("confirm", "Cancel")
    assert pia.do("focus") == "Remove: Quentin"
    pia.click("Remove: Quentin")
    pia.do("confirm", "Remove")
    pia.see("Quentin was removed.")
    pia.see("1 member")
    # The focus didn't get lost with the row.
    assert pia.do("focus").startswith("1 member")
    pia.do("choose", ["Status", "Former members"])
    pia.do("until", ["Quentin", "Left"])
    pia.do("choose", ["Status", "Members"])
    pia.see("You")
    pia.click("Leave")
    pia.do("confirm", "Leave")
    pia.see("An organization keeps at least one admin.")


@pytest.mark.slow
def test_who_isnt_an_admin_sees_what_the_service_lets_them_see(come: Come, server: RunningServer, large: Crowd) -> None:
    grace = come("person0@example.com", of(large.organization_id))
    seen = grace.see(f"{MEMBERS} members")
    assert not {"Invitations", "Invite link"} & set(seen["text"].splitlines())
    assert not [button for button in seen["buttons"] if button in ("Change role", "Remove")]
    assert "Leave" in seen["buttons"]
    grace.follow("Settings")
    seen = grace.see("analytical.example, engines.example")
    assert "Delete organization" not in seen["buttons"]
    for view in ("invitations", "link"):
        grace.open(server.url + of(large.organization_id, view))
        grace.see("Only an admin of the organization may do this.")


# The link.


def test_the_link_is_made_shown_replaced_and_turned_off(come: Come, server: RunningServer, http: httpx.Client) -> None:
    organization_id, _ = found(http, server, "rosa@example.com", "Linked")

    def opens(link: str) -> bool:
        asked = {"inviteId": link.rsplit("/", 1)[1]}
        return http.post(f"{ORGANIZATIONS}/GetOrganizationInviteSummary", json=asked).status_code == 200

    rosa = come("rosa@example.com", of(organization_id, "link"))
    rosa.see("There is no invite link.")
    rosa.click("Create link")
    rosa.see("The link is ready.")
    first = rosa.do("valueOf", "Link")
    assert re.fullmatch(rf"{server.url}/invite/[0-9a-f-]{{36}}", first)
    assert opens(first)
    assert rosa.do("code") == first
    rosa.click("Copy")
    rosa.see("Copied")
    assert rosa.do("clipboard") == first

    rosa.click("Replace link")
    rosa.see("The old link stops working at once")
    rosa.do("confirm", "Cancel")
    assert opens(first)
    assert rosa.do("focus") == "Replace link"
    rosa.click("Replace link")
    rosa.do("confirm", "Replace")
    rosa.see("There is a new link.")
    second = rosa.do("valueOf", "Link")
    assert second != first
    assert rosa.do("code") == second
    assert (opens(first), opens(second)) == (False, True)

    rosa.click("Turn off")
    rosa.see("The link stops working at once")
    rosa.do("confirm", "Turn off")
    rosa.see("The link is off.")
    assert not opens(second)
    rosa.do("reload")
    rosa.see("There is no invite link.")


# Invitations.


@pytest.mark.slow
def test_many_are_invited_at_once_and_each_outcome_is_told_in_order(
    come: Come, server: RunningServer, http: httpx.Client
) -> None:
    organization_id, token = found(http, server, "sam@example.com", "Inviting")
    sam = come("sam@example.com", of(organization_id, "invitations"))
    sam.see("Nobody has been invited by mail yet.")
    sam.follow("Invite people")
    sam.fill("E-mail addresses", "one@example.com, Two Person <two@example.com>;sam@example.com\nno-address\n\n")
    sam.see("4 addresses")
    sam.do("choose", ["Role", "Admin"])
    sam.do("choose", ["Language of the mail", "Deutsch"])
    sam.do("choose", ["Valid for", "7 days"])
    sam.click("Invite")
    seen = sam.see("2 invited · 2 not invited")
    assert sam.do("focus") == "2 invited · 2 not invited"
    rows = sam.do("rows")
    expected = ["one@example.com", "two@example.com", "sam@example.com", "no-address"]
    assert [row.split()[0] for row in rows] == expected
    assert ["Not invited" in row for row in rows] == [False, False, True, True]
    assert "sam@example.com is the address of a member already." in seen["text"]
    assert "“no-address” is no e-mail address." in seen["text"]
    asked = {"organizationId": organization_id, "orderBy": "ORDER_BY_EMAIL", "ascending": True}
    listed = ask(http, token, f"{INVITATIONS}/ListInvitations", asked)["invitations"]
    kept = [(i["email"], i["role"], i["locale"], i["deliveryState"]) for i in listed]
    queued = "DELIVERY_STATE_QUEUED"
    assert kept == [("one@example.com", "admin", "de", queued), ("two@example.com", "admin", "de", queued)]
    # Only who wasn't invited is tried again; what was done stays as it is.
    sam.click("Try 2 again")
    sam.see("2 invited · 2 not invited")
    assert len(sam.sent("BatchCreateInvitations")) == 2

    sam.click("Invite more people")
    sam.fill("E-mail addresses", "\n".join(f"p{number}@example.com" for number in range(1001)))
    sam.click("Invite")
    sam.see("At most 1,000 at once; these are 1,001.")
    assert len(sam.sent("BatchCreateInvitations")) == 2


@pytest.mark.slow
def test_without_a_mail_the_link_is_shown_once(come: Come, server: RunningServer, http: httpx.Client) -> None:
    organization_id, _ = found(http, server, "tess@example.com", "By hand")
    tess = come("tess@example.com", of(organization_id, "invitations/new"))
    tess.fill("E-mail addresses", "udo@example.com")
    tess.do("tick", ["Send each of them a mail", False])
    tess.click("Invite")
    tess.see("1 invited")
    link = tess.do("valueOf", "Invitation link")
    assert link.startswith(f"{server.url}/invitations#")
    token = link.partition("#")[2]
    preview = http.post(f"{INVITATIONS}/PreviewInvitation", json={"token": token}).json()
    assert preview["invitation"]["organizationName"] == "By hand"
    tess.follow("To the invitations")
    assert "No mail" in tess.do("rows")[0]
    # Sending again makes a new link, and ends the one before.
    tess.click("Resend: udo@example.com")
    tess.do("tick", ["I pass on a link myself", True])
    tess.do("confirm", "Resend")
    tess.see("Link for udo@example.com")
    again = tess.do("valueOf", "Invitation link").partition("#")[2]
    assert again != token
    tess.do("confirm", "Done")
    tess.do("gone", "Invitation link")
    for secret, status in ((token, 404), (again, 200)):
        assert http.post(f"{INVITATIONS}/PreviewInvitation", json={"token": secret}).status_code == status

    tess.click("Revoke: udo@example.com")
    tess.see("The link in the mail to udo@example.com stops working at once.")
    tess.do("confirm", "Revoke")
    tess.see("The invitation of udo@example.com was revoked.")
    tess.do("until", ["udo@example.com", "Revoked"])
    assert http.post(f"{INVITATIONS}/PreviewInvitation", json={"token": again}).json()["invitation"]["status"] == (
        "INVITATION_STATUS_REVOKED"
    )


@pytest.mark.slow
def test_invitations_are_searched_filtered_sorted_and_paged(come: Come, server: RunningServer, large: Crowd) -> None:
    ada = come(ADDRESS, of(large.organization_id, "invitations"))
    ada.see("40 invitations · Page 1")
    assert "linnea0@partner.example" in ada.do("rows")[0]
    ada.click("Next")
    ada.see("Page 2")
    assert len(ada.do("rows")) == 15
    ada.do("choose", ["Sort", "Address, A to Z"])
    ada.see("Page 1")
    assert ada.do("rows")[0].startswith("a-very-long-local-part")
    for label, option in (("Status", "Revoked"), ("Mail", "No mail")):
        ada.do("choose", [label, option])
        ada.do("every", option)
    ada.fill("Search by address or inviter", "LINNEA")
    ada.do("every", "linnea")


# Tokens.


def test_an_access_token_is_made_shown_once_used_and_revoked(
    come: Come, server: RunningServer, http: httpx.Client
) -> None:
    organization_id, _ = found(http, server, "uma@example.com", "Programs")
    uma = come("uma@example.com", "/console/tokens")
    uma.see("You have no access tokens.")
    uma.click("New token")
    uma.fill("Description", "Nightly build")
    uma.do("choose", ["Valid for", "7 days"])
    uma.do("tick", ["Read only", True])
    uma.do("confirm", "Create")
    uma.see("Your new token")
    secret = uma.do("valueOf", "Token")
    uma.do("confirm", "Copy")
    assert uma.do("clipboard") == secret
    uma.do("confirm", "Done")
    uma.do("gone", "Your new token")
    assert uma.do("focus") == "New token"
    [row] = uma.do("rows")
    assert row.startswith("Nightly build")
    assert "Programs" in row
    assert "Never" in row
    read = http.post(
        f"{ORGANIZATIONS}/GetOrganization", json={"organizationId": organization_id}, headers=bearer(secret)
    )
    assert read.status_code == 200
    uma.do("reload")
    assert secret not in uma.see("Nightly build")["text"]
    uma.click("Revoke: Nightly build")
    uma.see("Programs that use this token are refused at once.")
    uma.do("confirm", "Revoke")
    uma.see("You have no access tokens.")
    wait_until(lambda: http.post(f"{ACCOUNTS}/GetAccount", json={}, headers=bearer(secret)).status_code == 401)


# Settings.


@pytest.mark.slow
def test_the_name_and_the_domains_change_and_the_organization_ends(
    come: Come, server: RunningServer, http: httpx.Client
) -> None:
    organization_id, token = found(http, server, "vera@example.com", "Before")
    vera = come("vera@example.com", of(organization_id, "settings"))
    vera.fill("Name", "מכון ויצמן")
    vera.click("Save")
    vera.see("The name was saved.")
    assert vera.see("Settings")["title"] == "Settings · מכון ויצמן · Organization Service"
    vera.fill("Domain", "no domain")
    vera.click("Add")
    vera.see("This is no domain name.")
    vera.fill("Domain", "@Example.org")
    vera.click("Add")
    vera.see("example.org was added.")
    assert vera.do("valueOf", "Domain") == ""

    def domains() -> list[str]:
        asked = {"organizationId": organization_id}
        organization = ask(http, token, f"{ORGANIZATIONS}/GetOrganization", asked)["organization"]
        kept: list[str] = organization.get("inviteDomains", {}).get("domains", [])
        return kept

    assert domains() == ["example.org"]
    vera.click("Remove: example.org")
    vera.see("example.org was removed.")
    assert domains() == []

    vera.click("Delete organization")
    vera.do("fillIn", ["Name", "Before"])
    vera.do("confirm", "Delete for good")
    vera.see("That isn't the name of the organization.")
    vera.do("fillIn", ["Name", " מכון  ויצמן "])
    vera.do("confirm", "Delete for good")
    assert vera.see("was deleted.")["heading"] == "Organizations"
    vera.see("You aren't in an organization yet")
    assert ask(http, token, f"{ACCOUNTS}/GetAccount", {})["account"].get("memberships", []) == []


# For everybody.


@pytest.mark.slow
def test_a_list_that_cant_be_read_says_so_and_can_be_read_again(
    come: Come, server: RunningServer, large: Crowd
) -> None:
    ada = come(ADDRESS)
    ada.see(NAME)
    ada.do("fail", "ListMembers")
    ada.do("enter", NAME)
    ada.see("The service didn't answer.")
    ada.click("Try again")
    assert len(ada.do("rows")) == 25


VIEWS = {
    "organizations": "/console",
    "members": "members",
    "invitations": "invitations",
    "inviting": "invitations/new",
    "link": "link",
    "settings": "settings",
    "tokens": "/console/tokens",
    "nothing": "/console/nothing",
}


def path_of(view: str, large: Crowd) -> str:
    return VIEWS[view] if VIEWS[view].startswith("/") else of(large.organization_id, VIEWS[view])


@pytest.mark.slow
def test_axe_finds_nothing_serious_in_any_view(come: Come, server: RunningServer, large: Crowd) -> None:
    # Without motion: while a color changes into the other scheme's it is neither.
    ada = come(ADDRESS, reducedMotion="reduce")
    for view in VIEWS:
        ada.open(server.url + path_of(view, large))
        ada.do("still")
        for scheme in ("light", "dark"):
            ada.do("dress", scheme)
            assert ada.do("axe") == [], (view, scheme)
    for view, button in (("organizations", "New organization"), ("tokens", "New token"), ("members", "Leave")):
        ada.open(server.url + path_of(view, large))
        ada.click(button)
        for scheme in ("light", "dark"):
            ada.do("dress", scheme)
            assert ada.do("axe") == [], (button, scheme)


@pytest.mark.slow
def test_axe_finds_nothing_serious_in_what_opens_over_a_view_or_goes_wrong_in_it(
    come: Come, server: RunningServer, http: httpx.Client
) -> None:
    organization_id, token = found(http, server, "wilma@example.com", "Accessible")
    link = ask(http, token, f"{ORGANIZATIONS}/CreateOrganizationInvite", {"organizationId": organization_id})["invite"]
    ask(http, server.token("xaver@example.com"), f"{ORGANIZATIONS}/JoinOrganization", link)
    wilma = come("wilma@example.com", of(organization_id), reducedMotion="reduce")

    def nothing_serious(sentence: str) -> None:
        wilma.see(sentence)
        for scheme in ("dark", "light"):
            wilma.do("dress", scheme)
            assert wilma.do("axe") == [], (sentence, scheme)

    wilma.see("2 members")
    wilma.click("Your account: Wilma")
    nothing_serious("Sign out")
    wilma.press("Escape")
    wilma.click("Change role: Wilma")
    wilma.do("tick", ["Member", True])
    wilma.do("confirm", "Save role")
    nothing_serious("An organization keeps at least one admin.")
    wilma.press("Escape")
    wilma.click("Remove: Xaver")
    nothing_serious("Remove Xaver?")
    wilma.press("Escape")
    wilma.fill("Search by name or address", "nobody at all")
    nothing_serious("Nothing matches.")

    wilma.follow("Invite link")
    wilma.click("Turn off")
    nothing_serious("The link stops working at once")
    wilma.do("confirm", "Turn off")
    nothing_serious("There is no invite link.")

    wilma.follow("Invitations")
    nothing_serious("Nobody has been invited by mail yet.")
    wilma.follow("Invite people")
    wilma.fill("E-mail addresses", "yara@example.com, no-address")
    wilma.do("tick", ["Send each of them a mail", False])
    wilma.click("Invite")
    nothing_serious("1 invited · 1 not invited")
    wilma.follow("To the invitations")
    wilma.click("Resend: yara@example.com")
    wilma.do("tick", ["I pass on a link myself", True])
    wilma.do("confirm", "Resend")
    nothing_serious("Link for yara@example.com")
    wilma.do("confirm", "Done")
    wilma.click("Revoke: yara@example.com")
    nothing_serious("stops working at once.")
    wilma.press("Escape")

    wilma.follow("Settings")
    wilma.fill("Domain", "no domain")
    wilma.click("Add")
    nothing_serious("This is no domain name.")
    wilma.click("Delete organization")
    wilma.do("fillIn", ["Name", "Another"])
    wilma.do("confirm", "Delete for good")
    nothing_serious("That isn't the name of the organization.")

    wilma.open(f"{server.url}/console/tokens")
    wilma.click("New token")
    wilma.fill("Description", "Nightly build")
    wilma.do("confirm", "Create")
    nothing_serious("Your new token")
    wilma.do("confirm", "Done")
    wilma.click("Revoke: Nightly build")
    nothing_serious("Programs that use this token are refused at once.")

    wilma.do("fail", "ListMembers")
    wilma.open(server.url + of(organization_id))
    nothing_serious("The service didn't answer.")


@pytest.mark.slow
@pytest.mark.parametrize("locale", ["en-GB", "de-DE", "es-ES", "zh-CN"])
def test_every_view_fits_a_narrow_screen_in_each_language(
    come: Come, server: RunningServer, large: Crowd, locale: str
) -> None:
    ada = come(ADDRESS, locale=locale, viewport={"width": 360, "height": 740})
    headings = set()
    for view in VIEWS:
        ada.open(server.url + path_of(view, large))
        ada.do("still")
        seen = ada.do("look")
        assert not seen["tooWide"], view
        assert seen["language"] == locale.split("-")[0]
        headings.add(seen["heading"])
    assert len(headings) == len(VIEWS)


@pytest.mark.slow
def test_every_view_has_its_room_on_a_large_screen(come: Come, server: RunningServer, large: Crowd) -> None:
    ada = come(ADDRESS, viewport={"width": 3840, "height": 2160})
    for view in VIEWS:
        ada.open(server.url + path_of(view, large))
        ada.do("still")
        left, width = ada.do("place of", "main")
        assert left + width / 2 == pytest.approx(3840 / 2, abs=20), view
        assert 1000 < width < 2400, view


@pytest.mark.slow
def test_nothing_jumps_while_a_view_loads(come: Come, server: RunningServer, large: Crowd) -> None:
    ada = come(ADDRESS)
    for view in VIEWS:
        ada.open(server.url + path_of(view, large))
        ada.do("still")
        assert ada.do("shifts") < 0.1, view
