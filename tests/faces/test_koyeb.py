"""Koyeb's wire in process: the shapes of its answers, and what it says no to."""

from __future__ import annotations

import json
import string
from collections import defaultdict
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from werkzeug.test import Client

from server.domain.account import Account, Caller
from server.domain.errors import CATALOG, FieldViolation, Reason, ServiceError
from server.domain.invitation import IfPending
from server.domain.organization import Member, Role
from server.faces.connect import READ_MAX_BYTES
from server.faces.koyeb import _Speaker
from server.ports import InvitationFilter, InvitationOrder
from server.service.call import Call
from server.service.invitations import NewInvitation
from server.wires import build_edge
from tests.conftest import GivenClock, World

UNKNOWN = "7a4b6b3e-0000-4000-8000-000000000000"
INVITATIONS, RECEIVED = "/organization_invitations", "/account/organization_invitations"


@dataclass
class Said:
    status: int
    body: Any
    headers: Any


class Koyeb:
    """Calls by a person with a token, sent as Koyeb's SDK sends them: JSON without a Content-Type."""

    def __init__(self, client: Client, token: str, call: Call) -> None:
        self._client = client
        self.token = token
        self.call = call

    def __call__(self, method: str, path: str, body: Any = None, **query: Any) -> Said:
        data = body if isinstance(body, bytes) else None if body is None else json.dumps(body).encode()
        answer = self._client.open(
            "/koyeb/v1" + path, method=method, query_string=query, data=data, headers={"Authorization": self.token}
        )
        assert answer.content_type == "application/json"
        return Said(answer.status_code, json.loads(answer.data), answer.headers)

    def get(self, path: str, **query: Any) -> Said:
        return self("GET", path, **query)

    def post(self, path: str, body: Any = None) -> Said:
        return self("POST", path, {} if body is None else body)

    def delete(self, path: str) -> Said:
        return self("DELETE", path)

    def invite(self, email: str) -> dict[str, Any]:
        said = self.post(INVITATIONS, {"email": email})
        assert said.status == 200, said
        found: dict[str, Any] = said.body["invitation"]
        return found


@pytest.fixture
def client(world: World) -> Client:
    return Client(build_edge(world.service))


As = Callable[..., Koyeb]


@pytest.fixture
def as_(world: World, client: Client) -> As:
    """Call as a person; with an organization's id, by a token that is for it."""

    def as_(name: str, organization_id: str | None = None, *, read_only: bool = False) -> Koyeb:
        account = world.account(name)
        issue = world.service.tokens.issue
        token, _ = issue(account, description="", expires_at=None, read_only=read_only, organization_id=organization_id)
        return Koyeb(client, token, Call(Caller(account)))

    return as_


@pytest.fixture
def ada(world: World, as_: As) -> Koyeb:
    """The admin of Acme, her only organization."""
    world.service.organizations.create(world.call("Ada"), "Acme")
    return as_("Ada")


@pytest.fixture
def bob(as_: As) -> Koyeb:
    return as_("Bob")


@pytest.fixture
def acme(world: World, ada: Koyeb) -> str:
    return world.service.organizations.own_member(ada.call).organization_id


def add_member(world: World, organization_id: str, name: str) -> Member:
    link = world.service.links.create(world.call("Ada"), organization_id)
    return world.service.organizations.join_by_invite(world.call(name), link)


def not_found(said: Said) -> bool:
    return (said.status, said.body["status"], said.body["code"]) == (404, 404, "not_found")


# What an invitation is on this wire.


def test_an_invitation_is_written_as_koyeb_writes_it(ada: Koyeb, acme: str) -> None:
    said = ada.post(INVITATIONS, {"email": "bob@example.com", "role": "ignored"})
    assert said.status == 200
    invitation = said.body["invitation"]
    account_id = ada.call.caller.account_id
    inviter = {"id": account_id, "name": "Ada", "email": "", "avatar_url": "", "github_id": "", "github_user": ""}
    assert said.body == {
        "invitation": {
            "id": invitation["id"],
            "email": "bob@example.com",
            "role": "OWNER",
            "status": "PENDING",
            "expires_at": "2030-01-08T12:00:00Z",
            "organization_id": acme,
            "organization": {
                "id": acme,
                "name": "Acme",
                "plan": "no_plan",
                "status": "ACTIVE",
                "external_id": "",
            },
            "invitee_id": "",
            "invitee": None,
            "inviter_id": account_id,
            "inviter": inviter,
        }
    }
    assert ada.get(f"{INVITATIONS}/{invitation['id']}").body == said.body


def test_who_accepts_here_becomes_an_admin(world: World, ada: Koyeb, bob: Koyeb, acme: str) -> None:
    invitation = ada.invite("bob@example.com")
    assert bob.post(f"{RECEIVED}/{invitation['id']}/accept").body["invitation"]["status"] == "ACCEPTED"
    assert world.service.organizations.own_member(bob.call).role is Role.ADMIN
    seen = ada.get(f"{INVITATIONS}/{invitation['id']}").body["invitation"]
    assert (seen["invitee_id"], seen["invitee"]["id"]) == (bob.call.caller.account_id,) * 2


def test_the_addressee_sees_themselves_as_the_invitee(ada: Koyeb, bob: Koyeb) -> None:
    invitation = ada.invite("bob@example.com")
    (mine,) = bob.get(RECEIVED).body["invitations"]
    account = bob.call.caller.account
    assert (mine["invitee_id"], mine["invitee"]["email"]) == (account.id, "bob@example.com")
    assert bob.get(f"{RECEIVED}/{invitation['id']}").body == {"invitation": mine}
    assert mine["inviter"]["email"] == ""


def test_a_declined_invitation_reads_refused(ada: Koyeb, bob: Koyeb) -> None:
    invitation = ada.invite("bob@example.com")
    assert bob.post(f"{RECEIVED}/{invitation['id']}/decline").body["invitation"]["status"] == "REFUSED"
    assert ada.get(f"{INVITATIONS}/{invitation['id']}").body["invitation"]["status"] == "REFUSED"


def test_an_invitation_expires_after_seven_days_and_sending_it_again_gives_seven_more(
    ada: Koyeb, bob: Koyeb, clock: GivenClock
) -> None:
    path = f"{INVITATIONS}/{ada.invite('bob@example.com')['id']}"
    clock.forward(timedelta(days=1))
    assert ada.post(path + "/resend").body["invitation"]["expires_at"] == "2030-01-09T12:00:00Z"
    clock.forward(timedelta(days=7))
    assert ada.get(path).body["invitation"]["status"] == "EXPIRED"
    assert ada.get(INVITATIONS, statuses="EXPIRED").body["count"] == 1
    refused = bob.post(f"/account{path}/accept")
    assert (refused.status, refused.body["fields"]) == (400, [])
    renewed = ada.post(path + "/resend").body["invitation"]
    assert (renewed["status"], renewed["expires_at"]) == ("PENDING", "2030-01-16T12:00:00Z")
    assert bob.post(f"/account{path}/accept").status == 200


def test_an_invitation_revoked_elsewhere_is_gone(world: World, ada: Koyeb, bob: Koyeb) -> None:
    invitation = ada.invite("bob@example.com")
    world.service.invitations.revoke(ada.call, invitation["id"])
    path, received = f"{INVITATIONS}/{invitation['id']}", f"{RECEIVED}/{invitation['id']}"
    gone = [
        ada.get(path),
        ada.post(path + "/resend"),
        ada.delete(path),
        bob.get(received),
        bob.post(received + "/accept"),
        bob.post(received + "/decline"),
    ]
    unknown = ada.get(f"{INVITATIONS}/{UNKNOWN}")
    assert not_found(unknown)
    assert all((said.status, said.body) == (404, unknown.body) for said in gone)
    assert ada.get(INVITATIONS).body["count"] == 0
    assert bob.get(RECEIVED).body["invitations"] == []
    assert ada.invite("bob@example.com")["id"] != invitation["id"]


def test_deleting_removes_an_invitation_and_answers_an_empty_object(ada: Koyeb) -> None:
    path = f"{INVITATIONS}/{ada.invite('bob@example.com')['id']}"
    deleted = ada.delete(path)
    assert (deleted.status, deleted.body) == (200, {})
    assert not_found(ada.delete(path))


@pytest.mark.parametrize("answer", ["accept", "decline"])
def test_an_answer_that_was_given_stays(ada: Koyeb, bob: Koyeb, answer: str) -> None:
    invitation = ada.invite("bob@example.com")
    path = f"{RECEIVED}/{invitation['id']}"
    assert bob.post(f"{path}/{answer}").status == 200
    again = [bob.post(path + "/accept"), bob.post(path + "/decline")]
    again.append(ada.post(f"{INVITATIONS}/{invitation['id']}/resend"))
    assert [(said.status, said.body["code"]) for said in again] == [(400, "failed_precondition")] * 3


def test_only_the_addressee_can_tell_that_an_invitation_exists(ada: Koyeb, as_: As) -> None:
    invitation = ada.invite("bob@example.com")
    eve = as_("Eve")
    for method, rest in (("GET", ""), ("POST", "/accept"), ("POST", "/decline")):
        said = eve(method, f"{RECEIVED}/{invitation['id']}{rest}")
        unknown = eve(method, f"{RECEIVED}/{UNKNOWN}{rest}")
        assert (said.status, said.body) == (404, unknown.body)
    assert not_found(eve.get(f"{INVITATIONS}/{invitation['id']}"))


def test_an_address_that_nobody_verified_is_not_enough(world: World, ada: Koyeb, client: Client) -> None:
    invitation = ada.invite("bob@example.com")
    now = world.clock()
    bob = Account(UNKNOWN, "https://issuer.example", "bob", "Bob", "bob@example.com", False, "", now, now)
    with world.service.store.transaction() as tx:
        tx.add_account(bob)
    token, _ = world.service.tokens.issue(bob, description="", expires_at=None)
    stranger = Koyeb(client, token, Call(Caller(bob)))
    said = [stranger.get(RECEIVED), stranger.post(f"{RECEIVED}/{invitation['id']}/accept")]
    assert [(s.status, s.body["code"]) for s in said] == [(403, "forbidden")] * 2
    assert stranger.get("/account/profile").body["user"]["email_validated"] is False


# Lists.


def test_a_list_is_newest_first_by_pages_of_ten(ada: Koyeb, clock: GivenClock) -> None:
    ids = []
    for number in range(12):
        ids.append(ada.invite(f"guest-{number}@example.com")["id"])
        clock.forward(timedelta(seconds=1))
    page = ada.get(INVITATIONS).body
    assert ([i["id"] for i in page.pop("invitations")], page) == (ids[:1:-1], {"limit": 10, "offset": 0, "count": 12})
    rest = ada.get(INVITATIONS, offset="10", limit="0").body
    assert ([i["id"] for i in rest.pop("invitations")], rest) == (ids[1::-1], {"limit": 10, "offset": 10, "count": 12})
    assert ada.get(INVITATIONS, limit="101").body["limit"] == 100
    beyond = ada.get(INVITATIONS, offset="999999999").body
    assert (beyond["invitations"], beyond["count"]) == ([], 12)


def test_statuses_may_be_repeated(ada: Koyeb, bob: Koyeb) -> None:
    pending, declined = ada.invite("carol@example.com"), ada.invite("bob@example.com")
    bob.post(f"{RECEIVED}/{declined['id']}/decline")
    for statuses, ids in (
        (["PENDING"], {pending["id"]}),
        (["REFUSED"], {declined["id"]}),
        (["PENDING", "REFUSED"], {pending["id"], declined["id"]}),
        ([], {pending["id"], declined["id"]}),
        (["EXPIRED", "ACCEPTED"], set()),
    ):
        assert {i["id"] for i in ada.get(INVITATIONS, statuses=statuses).body["invitations"]} == ids
    assert [i["id"] for i in bob.get(RECEIVED, statuses=["REFUSED"]).body["invitations"]] == [declined["id"]]


@pytest.mark.parametrize(
    ("name", "value"),
    [("limit", "ten"), ("limit", "-1"), ("offset", "1.5"), ("offset", "9" * 20), ("statuses", "REVOKED")],
)
@pytest.mark.parametrize("path", [INVITATIONS, RECEIVED])
def test_what_a_list_does_not_understand_is_named(ada: Koyeb, path: str, name: str, value: str) -> None:
    said = ada.get(path, **{name: value})
    assert (said.status, said.body["status"], said.body["code"]) == (400, 400, "invalid_argument")
    assert [f["field"] for f in said.body["fields"]] == [name]


def test_one_may_ask_for_invitations_of_oneself_alone(world: World, ada: Koyeb, bob: Koyeb, acme: str) -> None:
    ada.invite("bob@example.com")
    own = ada.get(INVITATIONS, user_id=ada.call.caller.account_id).body
    assert (own["invitations"], own["count"]) == ([], 0)
    said = ada.get(INVITATIONS, user_id=bob.call.caller.account_id)
    assert (said.status, said.body["code"]) == (403, "forbidden")
    # Before the address was the account's, it was invited.
    earlier = ada.invite("new@example.com")
    account = world.account("Ada")
    with world.service.store.transaction() as tx:
        tx.update_account(
            Account(
                account.id,
                account.issuer,
                account.subject,
                "Ada",
                "new@example.com",
                True,
                "",
                account.created_at,
                account.updated_at,
            )
        )
    token, _ = world.service.tokens.issue(account, description="", expires_at=None)
    ada.token = token
    assert [i["id"] for i in ada.get(INVITATIONS, user_id=account.id).body["invitations"]] == [earlier["id"]]


# Which organization, and who may.


def test_an_account_without_organization_or_with_two_must_say_which(world: World, ada: Koyeb, bob: Koyeb) -> None:
    second, _ = world.service.organizations.create(ada.call, "Beta")
    for person in (ada, bob):
        for said in (
            person.post(INVITATIONS, {"email": "carol@example.com"}),
            person.get(INVITATIONS),
            person.get("/account/organization"),
        ):
            assert (said.status, said.body["code"], said.body["fields"]) == (400, "failed_precondition", [])
    token = ada.post(f"/organizations/{second.id}/switch").body["token"]
    assert (token["organization_id"], token["expires_at"]) == (second.id, "2030-01-02T12:00:00Z")
    ada.token = token["id"]
    assert ada.invite("carol@example.com")["organization_id"] == second.id


def test_a_token_of_one_organization_reaches_no_other(world: World, ada: Koyeb, acme: str, as_: As) -> None:
    second, _ = world.service.organizations.create(ada.call, "Beta")
    scoped = as_("Ada", acme)
    invitation = scoped.invite("bob@example.com")
    other = as_("Ada", second.id)
    for said in (
        other.get(f"{INVITATIONS}/{invitation['id']}"),
        other.post(f"{INVITATIONS}/{invitation['id']}/resend"),
        other.delete(f"{INVITATIONS}/{invitation['id']}"),
        other.get(f"/organizations/{acme}"),
        other.post(f"/organizations/{acme}/switch"),
        other.post(f"/organizations/{acme}/access_token"),
        other.get("/organization_members", organization_id=acme),
    ):
        assert not_found(said)
    assert [o["name"] for o in other.get("/account/organizations").body["organizations"]] == ["Beta"]
    own = other.get("/organization_members", user_id=ada.call.caller.account_id).body
    assert [m["organization"]["name"] for m in own["members"]] == ["Beta"]


def test_an_invitation_is_answered_with_a_token_of_the_account(ada: Koyeb, bob: Koyeb, world: World, as_: As) -> None:
    invitation = ada.invite("bob@example.com")
    own, _ = world.service.organizations.create(bob.call, "Bob's")
    scoped = as_("Bob", own.id)
    for said in (scoped.get(RECEIVED), scoped.post(f"{RECEIVED}/{invitation['id']}/accept")):
        assert (said.status, said.body["code"]) == (403, "forbidden")


def test_members_who_are_no_admins_read_and_leave(world: World, ada: Koyeb, bob: Koyeb, acme: str) -> None:
    invitation = ada.invite("carol@example.com")
    bobs = add_member(world, acme, "Bob")
    (adas,) = [m for m in bob.get("/organization_members").body["members"] if m["id"] != bobs.user_id]
    for said in (
        bob.post(INVITATIONS, {"email": "dora@example.com"}),
        bob.get(INVITATIONS),
        bob.get(f"{INVITATIONS}/{invitation['id']}"),
        bob.post(f"{INVITATIONS}/{invitation['id']}/resend"),
        bob.delete(f"{INVITATIONS}/{invitation['id']}"),
        bob("PUT", f"/organizations/{acme}/name", {"name": "Bob's"}),
        bob.get(f"/organizations/{acme}/summary"),
        bob.delete(f"/organization_members/{adas['id']}"),
        bob.delete(f"/organizations/{acme}"),
    ):
        assert (said.status, said.body["status"], said.body["code"]) == (403, 403, "forbidden")
    assert bob.get(f"/organizations/{acme}").status == 200
    left = bob.delete(f"/organization_members/{bobs.user_id}").body["member"]
    assert (left["user_id"], left["status"]) == (bobs.account_id, "DELETED")
    assert not_found(bob.get(f"/organizations/{acme}"))


def test_a_token_that_may_only_read_makes_no_token_that_writes(acme: str, as_: As) -> None:
    reader = as_("Ada", read_only=True)
    for said in (
        reader.post(f"/organizations/{acme}/switch"),
        reader.post(f"/organizations/{acme}/access_token"),
        reader.post(INVITATIONS, {"email": "bob@example.com"}),
    ):
        assert (said.status, said.body["code"]) == (403, "forbidden")
    assert reader.get(INVITATIONS).status == 200


def test_a_backend_key_is_no_person(world: World, ada: Koyeb, acme: str, client: Client) -> None:
    invitation = ada.invite("bob@example.com")
    secret, _ = world.service.backend_keys.issue("a key", organization_ids=(acme,), scopes=(), expires_at=None)
    key = Koyeb(client, secret, Call(None))
    for said in (
        key.post(INVITATIONS, {"email": "carol@example.com"}),
        key.get(INVITATIONS),
        key.get(f"{INVITATIONS}/{invitation['id']}"),
        key.delete(f"{INVITATIONS}/{invitation['id']}"),
        key.get("/account/profile"),
        key.get("/organization_members"),
    ):
        assert (said.status, said.body["code"]) == (403, "forbidden")


@pytest.mark.parametrize("before", ["", "Bearer ", "bearer ", "BEARER  ", "  "])
def test_the_word_bearer_may_be_left_out(ada: Koyeb, before: str) -> None:
    ada.token = before + ada.token
    assert ada.get("/account/profile").status == 200


@pytest.mark.parametrize("token", ["", " ", "Bearer", "Bearer ", "orgsvc_unknown", "Bearer orgsvc_unknown", "Basic x"])
def test_without_a_good_token_nobody_is_let_in(ada: Koyeb, token: str) -> None:
    ada.token = token
    said = ada.get("/account/profile")
    assert (said.status, said.body["status"], said.body["code"]) == (401, 401, "unauthorized")


# Organizations and members.


def test_an_organization_is_written_as_koyeb_writes_it(bob: Koyeb) -> None:
    made = bob.post("/organizations", {"name": "Bob's"}).body["organization"]
    assert made == {
        "id": made["id"],
        "name": "Bob's",
        "plan": "no_plan",
        "status": "ACTIVE",
        "status_message": "VALID",
        "deactivation_reason": "INVALID",
        "verified": True,
        "external_id": "",
        "email_domain_allowlist": [],
    }
    assert bob.get("/account/organization").body == {"organization": made}
    assert bob.get("/account/organizations").body == {
        "organizations": [made],
        "limit": 10,
        "offset": 0,
        "has_next": False,
    }


@pytest.mark.parametrize("method", ["PUT", "PATCH"])
def test_only_the_name_of_an_organization_changes(ada: Koyeb, acme: str, method: str) -> None:
    path = f"/organizations/{acme}"
    changes: list[tuple[str, Any, str]] = [
        ("name", {"name": "By mask"}, "By mask"),
        ("", {"name": "By body", "plan": "hobby"}, "By body"),
        ("*", {"name": "By star"}, "By star"),
        ("", {"city": "Paris"}, "By star"),
        ("", {"name": None}, "By star"),
        ("", [], "By star"),
    ]
    for mask, body, name in changes:
        said = ada(method, path, body, update_mask=mask)
        assert (said.status, said.body["organization"]["name"]) == (200, name)
    mistakes: list[tuple[str, Any, str]] = [
        ("city", {"city": "Paris"}, "update_mask"),
        ("name,city", {"name": "Acme"}, "update_mask"),
        ("name", {"city": "Paris"}, "name"),
        ("name", {"name": 7}, "name"),
        ("", {"name": "ab"}, "name"),
    ]
    for mask, body, field in mistakes:
        said = ada(method, path, body, update_mask=mask)
        assert (said.status, [f["field"] for f in said.body["fields"]]) == (400, [field])


def test_own_organizations_are_searched_sorted_and_paged(world: World, ada: Koyeb, acme: str) -> None:
    for name in ("Beta", "Gamma"):
        world.service.organizations.create(ada.call, name)

    def names(**query: Any) -> tuple[list[str], bool]:
        page = ada.get("/account/organizations", **query).body
        return [o["name"] for o in page["organizations"]], page["has_next"]

    assert names() == (["Acme", "Beta", "Gamma"], False)
    assert names(order="desc", limit="2") == (["Gamma", "Beta"], True)
    assert names(limit="2", offset="2") == (["Gamma"], False)
    assert names(search="MM") == (["Gamma"], False)
    assert names(search=acme[:13]) == (["Acme"], False)
    assert names(statuses=["ACTIVE", "LOCKED"]) == (["Acme", "Beta", "Gamma"], False)
    assert names(statuses="LOCKED") == ([], False)


def test_members_are_listed_and_found(world: World, ada: Koyeb, bob: Koyeb, acme: str, clock: GivenClock) -> None:
    clock.forward(timedelta(seconds=1))
    bobs = add_member(world, acme, "Bob")
    page = ada.get("/organization_members").body
    newest, first = page["members"]
    assert (page["limit"], page["offset"], page["count"]) == (10, 0, 2)
    assert newest == {
        "id": bobs.user_id,
        "organization_id": acme,
        "user_id": bobs.account_id,
        "external_id": "",
        "joined_at": "2030-01-01T12:00:01Z",
        "role": "OWNER",
        "status": "ACTIVE",
        "user": {
            "id": bobs.account_id,
            "name": "Bob",
            "email": "bob@example.com",
            "avatar_url": "",
            "github_id": "",
            "github_user": "",
        },
        "organization": {"id": acme, "name": "Acme", "plan": "no_plan", "status": "ACTIVE", "external_id": ""},
    }

    def found(**query: str) -> list[Any]:
        said = ada.get("/organization_members", **query).body["members"]
        assert isinstance(said, list)
        return said

    assert found(limit="1", offset="1") == [first]
    assert found(user_id=bobs.account_id) == [newest]
    assert found(user_id=bobs.account_id, organization_id=acme) == [newest]
    assert found(user_id=UNKNOWN) == found(user_id="nobody") == found(organization_statuses="DELETED") == []
    assert not_found(ada.get("/organization_members", organization_id="none"))
    assert not_found(bob.delete(f"/organization_members/{UNKNOWN}"))


def test_the_only_admin_stays(ada: Koyeb, acme: str) -> None:
    (adas,) = ada.get("/organization_members").body["members"]
    said = ada.delete(f"/organization_members/{adas['id']}")
    assert (said.status, said.body["code"], said.body["fields"]) == (400, "failed_precondition", [])


def test_a_summary_counts_members_and_invitations(world: World, ada: Koyeb, bob: Koyeb, acme: str) -> None:
    ada.invite("carol@example.com")
    bob.post(f"{RECEIVED}/{ada.invite('bob@example.com')['id']}/accept")
    world.service.invitations.revoke(ada.call, ada.invite("dora@example.com")["id"])
    assert ada.get(f"/organizations/{acme}/summary").body["summary"] == {
        "organization_id": acme,
        "members": {
            "total": "2",
            "invitations_by_status": {"PENDING": "1", "ACCEPTED": "1", "REFUSED": "0", "EXPIRED": "0"},
        },
    }


def test_a_deleted_organization_is_shown_once_more(ada: Koyeb, acme: str) -> None:
    deleted = ada.delete(f"/organizations/{acme}").body["organization"]
    assert (deleted["id"], deleted["status"]) == (acme, "DELETED")
    assert not_found(ada.delete(f"/organizations/{acme}"))


def test_an_access_token_lives_an_hour_unless_told_otherwise(
    world: World, ada: Koyeb, acme: str, clock: GivenClock
) -> None:
    path = f"/organizations/{acme}/access_token"
    secret = ada.post(path).body["token"]
    (kept,) = world.service.tokens.list_personal(ada.call)[0]
    assert (kept.organization_id, kept.expires_at) == (acme, clock() + timedelta(hours=1))
    ada.post(path, {"validity": "0.5s"})
    assert ada.post(path, {"validity": "86400s"}).status == 200
    for validity in ("0s", "86400.5s", "-1s", "1h", "1e3s", "", 60):
        said = ada.post(path, {"validity": validity})
        assert (said.status, [f["field"] for f in said.body["fields"]]) == (400, ["validity"])
    ada.token = secret
    assert ada.get("/account/organization").body["organization"]["id"] == acme


# How refusals are said.


@pytest.mark.parametrize("body", [None, b"", [], "text", 7, {}, {"email": None}, {"email": 7}, {"email": ["a@b.de"]}])
def test_an_invitation_needs_an_address(ada: Koyeb, body: Any) -> None:
    said = ada("POST", INVITATIONS, body)
    assert (said.status, [f["field"] for f in said.body["fields"]]) == (400, ["email"])


@pytest.mark.parametrize("email", ["", "no address", "a@localhost", "ada@example.com", "bob@example.com"])
def test_whom_one_cannot_invite_is_told_at_the_field(ada: Koyeb, email: str) -> None:
    ada.invite("Bob@example.com")
    said = ada.post(INVITATIONS, {"email": email})
    assert (said.status, said.body["code"]) == (400, "invalid_argument")
    assert said.body["fields"] == [{"field": "email", "description": said.body["message"]}]


@pytest.mark.parametrize("body", [b"{", b"\xff", b'{"email": NaN}', b'"\\ud800"', b"[" * 100_000])
def test_a_body_that_is_no_json_is_refused(ada: Koyeb, body: bytes) -> None:
    said = ada("POST", INVITATIONS, body)
    assert (said.status, said.body["code"], said.body["fields"]) == (400, "invalid_argument", [])


def test_a_body_that_is_too_large_is_refused(ada: Koyeb) -> None:
    said = ada("POST", INVITATIONS, b" " * (READ_MAX_BYTES + 1))
    assert (said.status, said.body["code"]) == (400, "invalid_argument")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/apps"),
        ("POST", "/account/invite"),
        ("POST", "/credentials"),
        ("PUT", INVITATIONS),
        ("OPTIONS", INVITATIONS),
        ("GET", ""),
        ("GET", f"{INVITATIONS}/"),
        ("GET", f"{INVITATIONS}/a/b/c"),
    ],
)
def test_what_this_face_does_not_have_is_not_found(ada: Koyeb, method: str, path: str) -> None:
    said = ada(method, path)
    # A slash at the end is no other path.
    assert said.status == 200 if path.endswith("/") else not_found(said)


def test_too_many_mails_to_one_address_must_wait(ada: Koyeb) -> None:
    path = f"{INVITATIONS}/{ada.invite('bob@example.com')['id']}/resend"
    said = [ada.post(path) for _ in range(10)]
    assert [s.status for s in said] == [200] * 9 + [429]
    assert said[-1].headers["Retry-After"] == "600"
    assert said[-1].body == {"code": 8, "message": said[-1].body["message"], "details": []}
    assert "Retry-After" not in ada.post(INVITATIONS, {}).headers


class AnyFacts(defaultdict[str, str]):
    def __missing__(self, key: str) -> str:
        return "something"


@pytest.mark.parametrize("reason", CATALOG.values(), ids=CATALOG)
def test_every_refusal_is_said_in_a_way_that_koyeb_declares(reason: Reason) -> None:
    answer = _Speaker().refuse(ServiceError(reason, AnyFacts(), (FieldViolation("name", "is odd"),)), "")
    # 409 and 429 aren't declared: the SDK reads them as google.rpc.Status.
    assert answer.status in (400, 401, 403, 404, 409, 429, 500, 503)
    as_status = {"code", "message", "details"}
    expected = {400: {"status", "code", "message", "fields"}, 409: as_status, 429: as_status}
    assert set(answer.body) == expected.get(answer.status, {"status", "code", "message"})
    if answer.status not in (409, 429):
        assert answer.body["status"] == answer.status
        assert set(answer.body["code"]) <= set(string.ascii_lowercase + "_")
    assert answer.body["message"]


# Whatever comes.

NAMES = ("limit", "offset", "statuses", "user_id", "organization_id", "order", "search", "update_mask", "other")
TEXT = st.text(st.characters(codec="utf-8"), max_size=20)
WORDS = TEXT | st.sampled_from(["0", "1", "100", "PENDING", "INVALID", "ACTIVE", "asc", "desc", "name", "*", UNKNOWN])
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
VALUES = ANYTHING | st.emails() | st.sampled_from(["3600s", "0.1s", "Acme", "bob@example.com"])
BODIES = st.binary(max_size=40) | st.builds(
    lambda value: json.dumps(value).encode(),
    ANYTHING | st.fixed_dictionaries({}, optional={"email": VALUES, "name": VALUES, "validity": VALUES}),
)
ROUTES = (
    ("POST", "/organization_invitations"),
    ("GET", "/organization_invitations"),
    ("GET", "/organization_invitations/{id}"),
    ("POST", "/organization_invitations/{id}/resend"),
    ("DELETE", "/organization_invitations/{id}"),
    ("GET", "/account/organization_invitations"),
    ("GET", "/account/organization_invitations/{id}"),
    ("POST", "/account/organization_invitations/{id}/accept"),
    ("POST", "/account/organization_invitations/{id}/decline"),
    ("GET", "/account/organizations"),
    ("POST", "/organizations"),
    ("GET", "/organizations/{id}"),
    ("PUT", "/organizations/{id}"),
    ("PATCH", "/organizations/{id}"),
    ("PUT", "/organizations/{id}/name"),
    ("POST", "/organizations/{id}/switch"),
    ("POST", "/organizations/{id}/access_token"),
    ("GET", "/organizations/{id}/summary"),
    ("GET", "/organization_members"),
    ("DELETE", "/organization_members/{id}"),
)
"""All that take something from the request, but for the one that would end what comes after it."""


KINDS = st.sampled_from(["an organization", "a member", "an invitation", "nothing"])


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    who=st.sampled_from(["Ada", "Ada of Acme", "Bob"]),
    route=st.sampled_from(ROUTES),
    id_of=KINDS | KINDS | TEXT,
    query=st.dictionaries(st.sampled_from(NAMES), WORDS | st.lists(WORDS, max_size=3), max_size=3),
    body=BODIES,
)
def test_whatever_is_sent_the_answer_is_one_of_the_declared_ones(
    ada: Koyeb,
    bob: Koyeb,
    acme: str,
    as_: As,
    world: World,
    who: str,
    route: tuple[str, str],
    id_of: str,
    query: Any,
    body: bytes,
) -> None:
    new = NewInvitation("bob@example.com", roles=("admin",), send_email=False, if_pending=IfPending.REPLACE)
    with suppress(ServiceError):
        world.service.invitations.create(ada.call, acme, new)
    person = {"Ada": ada, "Ada of Acme": as_("Ada", acme), "Bob": bob}[who]
    method, path = route
    said = person(method, path.format(id=some_id(world, acme, id_of)), body, **query)
    assert said.status in (200, 400, 403, 404, 429)
    if said.status not in (200, 429):
        assert said.body["status"] == said.status
        assert ("fields" in said.body) == (said.status == 400)


def some_id(world: World, organization_id: str, kind: str) -> str:
    """Give the newest id of a kind; what is none stands for itself, as it can stand in a path."""
    with world.service.store.snapshot() as tx:
        ids = {
            "an organization": organization_id,
            "a member": tx.members_by_offset(organization_id, 0, 1)[0].user_id,
            "an invitation": tx.invitations(InvitationFilter(world.clock()), InvitationOrder(), limit=1)
            .invitations[0]
            .id,
            "nothing": UNKNOWN,
        }
    return ids.get(kind) or quote(kind, safe="")


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(authorization=st.text(st.characters(min_codepoint=32, max_codepoint=255), max_size=40))
def test_whatever_the_token_is_nobody_is_let_in(ada: Koyeb, authorization: str) -> None:
    ada.token = authorization
    assert ada.get("/account/profile").status == 401
