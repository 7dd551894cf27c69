"""Clerk's paths, in process: shapes, errors, and that nothing one sends is answered with a 5xx."""

from __future__ import annotations

import json
import re
import string
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from werkzeug.test import Client

from server.domain.account import Claims, Scope
from server.domain.errors import CATALOG, FieldViolation, ServiceError
from server.domain.organization import Role
from server.domain.secrets import SecretKeys
from server.faces.connect import READ_MAX_BYTES
from server.faces.exchange import Exchange, current_exchange
from server.faces.spelling import clerk_id, from_clerk_id
from server.main import build_service, invitation_policy
from server.ports import Store
from server.service.call import Call
from server.settings import Settings
from server.store.sqlite import SqliteStore
from server.wires import build_edge
from tests.conftest import KEY, GivenClock, World

PUBLIC_URL = "https://organizations.example.com"
APP = "https://app.example.com"
NOWHERE = "00000000-0000-4000-8000-000000000000"
BOB = {"email_address": "bob@example.com", "role": "org:member"}


@dataclass
class Clerk:
    """A client with a backend key, and the organization that Ada founded."""

    world: World
    http: Any
    key: str

    def __post_init__(self) -> None:
        self.ada = self.world.account("Ada")
        made, _ = self.world.service.organizations.create(self.world.call("Ada"), "Acme Labs")
        self.organization_id = made.id
        self.organization = f"/organizations/{clerk_id('org', made.id)}"
        self.invitations = f"{self.organization}/invitations"
        self.memberships = f"{self.organization}/memberships"
        # Who joins is listed before Ada.
        self.world.clock.forward(timedelta(seconds=1))

    def send(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        """Send a request; `body` goes out as JSON unless it is bytes."""
        data = body if isinstance(body, bytes | None) else json.dumps(body).encode()
        sent = {"Authorization": f"Bearer {self.key}"} | {name.replace("_", "-"): v for name, v in headers.items()}
        return self.http.open(f"/clerk/v1{path}", method=method, data=data, headers=sent)

    def ok(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        answer = self.send(method, path, body, **headers)
        assert (answer.status_code, answer.mimetype) == (200, "application/json"), answer.text
        return answer.json

    def refused(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, str, str | None]:
        """Give the status, Clerk's code and the parameter of a refusal, whose shape is checked."""
        answer = self.send(method, path, body, **headers)
        assert answer.mimetype == "application/json"
        assert set(answer.json) == {"errors", "clerk_trace_id"}
        assert answer.json["clerk_trace_id"] == answer.headers["x-request-id"]
        (error,) = answer.json["errors"]
        assert set(error) | {"meta"} == {"message", "long_message", "code", "meta"}
        assert error["message"]
        assert error["long_message"]
        meta = error.get("meta", {"name": None, "param_name": None})
        assert set(meta) == {"name", "param_name"}
        assert meta["name"] == meta["param_name"]
        return answer.status_code, error["code"], meta["name"]

    def token(self, name: str) -> str:
        """A person's access token."""
        return self.world.service.tokens.issue(self.world.account(name), description="", expires_at=None)[0]

    def user_id(self, name: str) -> str:
        return clerk_id("user", self.world.account(name).id)

    def join(self, name: str, role: str = "org:member") -> Any:
        return self.ok("POST", self.memberships, {"user_id": self.user_id(name), "role": role})


@pytest.fixture
def clerk(store: Store, clock: GivenClock) -> Clerk:
    return _clerk(store, clock)


def _clerk(store: Store, clock: GivenClock) -> Clerk:
    policy = invitation_policy(Settings(redirect_origins=APP))
    service = build_service(store, SecretKeys([KEY]), clock=clock, policy=policy)
    key, _ = service.backend_keys.issue("clerk")
    return Clerk(World(service, clock), Client(build_edge(service, public_url=PUBLIC_URL)), key)


def _millis(clock: GivenClock) -> int:
    return round(clock().timestamp() * 1000)


# Shapes.


def test_an_invitation_has_every_field_that_clerk_gives(clerk: Clerk, clock: GivenClock) -> None:
    metadata = {"public_metadata": {"team": "ä"}, "private_metadata": {"seat": 7}}
    made = clerk.ok("POST", clerk.invitations, BOB | metadata | {"inviter_user_id": clerk.user_id("Ada")})

    assert re.fullmatch(r"orginv_[0-9A-Za-z]{27}", made["id"])
    id_ = from_clerk_id("orginv", made["id"])
    assert id_ is not None
    assert clerk.world.service.invitations.get(clerk.world.call("Ada"), id_).email == "bob@example.com"
    assert made == metadata | {
        "object": "organization_invitation",
        "id": clerk_id("orginv", id_),
        "email_address": "bob@example.com",
        "role": "org:member",
        "role_name": "Member",
        "organization_id": clerk_id("org", clerk.organization_id),
        "inviter_id": clerk.user_id("Ada"),
        "public_inviter_data": {
            "user_id": clerk.user_id("Ada"),
            "identifier": "ada@example.com",
            "first_name": "Ada",
            "last_name": None,
            "image_url": "",
            "has_image": False,
        },
        "status": "pending",
        "url": f"{PUBLIC_URL}/invitations#id={id_}",
        "expires_at": _millis(clock) + 30 * 86_400_000,
        "created_at": _millis(clock),
        "updated_at": _millis(clock),
    }
    assert clerk.ok("GET", f"{clerk.invitations}/{made['id']}") == made
    assert clerk.ok("GET", clerk.invitations) == {"data": [made], "total_count": 1}
    assert clerk.ok("GET", f"{clerk.invitations}/pending") == {"data": [made], "total_count": 1}
    organization = {
        "id": clerk_id("org", clerk.organization_id),
        "name": "Acme Labs",
        "slug": f"acme-labs-{clerk.organization_id[:8]}",
        "has_image": False,
        "image_url": "",
    }
    with_organization = {"data": [made | {"public_organization_data": organization}], "total_count": 1}
    assert clerk.ok("GET", "/organization_invitations") == with_organization
    assert clerk.ok("GET", f"/users/{clerk.user_id('Bob')}/organization_invitations") == with_organization


def test_an_invitation_for_nobody_has_no_inviter(clerk: Clerk) -> None:
    made = clerk.ok("POST", clerk.invitations, BOB | {"inviter_user_id": None, "notify": None, "redirect_url": None})

    assert (made["inviter_id"], made["public_inviter_data"]) == (None, None)


def test_many_are_invited_at_once_or_none(clerk: Clerk) -> None:
    bulk = f"{clerk.invitations}/bulk"
    ten = [{"email_address": f"p{n}@example.com", "role": "org:member", "notify": True} for n in range(10)]

    assert clerk.refused("POST", bulk, [ten[0], BOB, BOB])[:2] == (400, "organization_invitation_not_unique")
    assert clerk.ok("GET", clerk.invitations)["total_count"] == 0
    made = clerk.ok("POST", bulk, ten)
    assert [i["email_address"] for i in made["data"]] == [i["email_address"] for i in ten]
    assert made["total_count"] == 10
    assert clerk.refused("POST", bulk, [*ten, BOB]) == (400, "bulk_size_exceeded", "request_body")
    assert clerk.refused("POST", bulk, []) == (422, "form_param_missing", "request_body")
    no_lists: tuple[Any, ...] = (None, {}, "x")
    for no_list in no_lists:
        assert clerk.refused("POST", bulk, no_list)[:2] == (400, "request_body_invalid")
    assert clerk.refused("POST", bulk, [BOB | {"role": 1}]) == (422, "form_param_type_invalid", "role")


@pytest.mark.parametrize("days", [1, 30, 365])
def test_an_invitation_lasts_as_many_days_as_are_asked_for(clerk: Clerk, clock: GivenClock, days: int) -> None:
    made = clerk.ok("POST", clerk.invitations, BOB | {"expires_in_days": days})

    assert made["expires_at"] - made["created_at"] == days * 86_400_000
    clock.forward(timedelta(days=days))
    expired = clerk.ok("GET", f"{clerk.invitations}/{made['id']}")
    assert (expired["status"], expired["url"]) == ("expired", None)
    assert clerk.ok("GET", f"{clerk.invitations}?status=expired")["total_count"] == 1
    assert clerk.ok("GET", f"{clerk.invitations}/pending")["total_count"] == 0
    revoke = f"{clerk.invitations}/{made['id']}/revoke"
    assert clerk.refused("POST", revoke, {})[:2] == (404, "organization_invitation_not_pending")
    assert clerk.ok("POST", clerk.invitations, BOB)["status"] == "pending"


def test_the_link_of_an_invitation_that_is_mailed_holds_no_token(clerk: Clerk) -> None:
    made = clerk.ok("POST", clerk.invitations, BOB | {"notify": True, "redirect_url": f"{APP}/join"})

    assert made["url"].startswith(f"{PUBLIC_URL}/invitations#id=")
    assert "orgsvcinv_" not in json.dumps(made)


@pytest.mark.parametrize(
    ("redirect_url", "begins"),
    [
        (None, f"{PUBLIC_URL}/invitations#orgsvcinv_"),
        (f"{APP}/join?from=us", f"{APP}/join?from=us#invitation_token=orgsvcinv_"),
        (f"{APP}/#/join", f"{APP}/#/join&invitation_token=orgsvcinv_"),
    ],
)
def test_the_link_of_one_that_is_not_mailed_is_shown_once(clerk: Clerk, redirect_url: str | None, begins: str) -> None:
    made = clerk.ok("POST", clerk.invitations, BOB | {"notify": False, "redirect_url": redirect_url})

    assert made["url"].startswith(begins)
    token = made["url"][made["url"].index("orgsvcinv_") :]
    assert clerk.world.service.invitations.preview(Call(None), token=token).invitation.email == "bob@example.com"
    for path in (f"{clerk.invitations}/{made['id']}", clerk.invitations, "/organization_invitations"):
        assert "orgsvcinv_" not in clerk.send("GET", path).text
    revoked = clerk.ok("POST", f"{clerk.invitations}/{made['id']}/revoke")
    assert revoked["url"] is None
    (bulk,) = clerk.ok("POST", f"{clerk.invitations}/bulk", [BOB | {"notify": False}])["data"]
    assert "orgsvcinv_" in bulk["url"]


def test_a_redirect_leads_only_where_the_operator_allows(clerk: Clerk) -> None:
    body = BOB | {"redirect_url": "https://evil.example.com/"}

    assert clerk.refused("POST", clerk.invitations, body) == (422, "form_param_value_invalid", "redirect_url")


def test_who_accepts_is_a_member_with_the_metadata_of_the_invitation(clerk: Clerk) -> None:
    metadata = {"public_metadata": {"a": {"b": [1, 2.5, None, "☃\0"]}}, "private_metadata": {"c": True}}
    made = clerk.ok("POST", clerk.invitations, {**BOB, "role": "org:admin", "notify": False} | metadata)
    token = made["url"].partition("#")[2]

    clerk.world.service.invitations.accept(clerk.world.call("Bob"), token=token)

    accepted = clerk.ok("GET", f"{clerk.invitations}/{made['id']}")
    assert (accepted["status"], accepted["url"]) == ("accepted", None)
    bob, ada = clerk.ok("GET", clerk.memberships)["data"]
    assert {name: bob[name] for name in metadata} == metadata
    assert [m["role"] for m in (bob, ada)] == ["org:admin", "org:admin"]
    refused = clerk.refused("POST", f"{clerk.invitations}/{made['id']}/revoke", {})
    assert refused == (404, "organization_invitation_not_pending", None)
    assert clerk.refused("POST", clerk.invitations, BOB)[:2] == (400, "already_a_member_in_organization")


def test_a_declined_invitation_is_spelled_revoked(clerk: Clerk) -> None:
    made = clerk.ok("POST", clerk.invitations, BOB | {"notify": False})
    clerk.world.service.invitations.decline(clerk.world.call("Bob"), token=made["url"].partition("#")[2])

    (found,) = clerk.ok("GET", f"{clerk.invitations}?status=revoked")["data"]
    assert (found["id"], found["status"]) == (made["id"], "revoked")


def test_an_invitation_is_revoked_once(clerk: Clerk) -> None:
    made = clerk.ok("POST", clerk.invitations, BOB)
    revoke = f"{clerk.invitations}/{made['id']}/revoke"

    revoked = clerk.ok("POST", revoke, {"requesting_user_id": clerk.user_id("Ada")})
    assert revoked == made | {"status": "revoked", "url": None, "updated_at": revoked["updated_at"]}
    assert clerk.refused("POST", revoke, {}) == (404, "organization_invitation_not_pending", None)
    assert clerk.ok("POST", clerk.invitations, BOB)["id"] != made["id"]


def test_only_an_admin_is_acted_for(clerk: Clerk) -> None:
    clerk.join("Bob")
    carol = {"email_address": "carol@example.com", "role": "org:member"}
    made = clerk.ok("POST", clerk.invitations, carol)
    revoke = f"{clerk.invitations}/{made['id']}/revoke"
    for name, refusal in (("Bob", "missing_organization_permission"), ("Dan", "not_a_member_in_organization")):
        user = clerk.user_id(name)
        assert clerk.refused("POST", clerk.invitations, carol | {"inviter_user_id": user})[:2] == (403, refusal)
        assert clerk.refused("POST", f"{clerk.invitations}/bulk", [carol | {"inviter_user_id": user}])[0] == 403
        assert clerk.refused("POST", revoke, {"requesting_user_id": user})[:2] == (403, refusal)
    nobody = {"inviter_user_id": "user_nobody"}
    assert clerk.refused("POST", clerk.invitations, carol | nobody)[:2] == (403, "not_a_member_in_organization")
    assert clerk.ok("GET", f"{clerk.invitations}/{made['id']}")["status"] == "pending"


def test_named_roles_are_spelled_by_their_keys(clerk: Clerk) -> None:
    clerk.world.service.roles.create("billing", "Billing team")
    clerk.world.service.roles.create("org:owner", "Owner", rights=Role.ADMIN)

    for given_role, role, role_name in (
        ("org:admin", "org:admin", "Admin"),
        ("org:member", "org:member", "Member"),
        ("billing", "org:billing", "Billing team"),
        ("org:billing", "org:billing", "Billing team"),
        ("org:owner", "org:owner", "Owner"),
    ):
        body = {"email_address": f"{given_role.replace(':', '-')}@example.com", "role": given_role}
        made = clerk.ok("POST", clerk.invitations, body)
        assert (made["role"], made["role_name"]) == (role, role_name)
    for unknown in ("org:nobody", "nobody", "org:", "org:org:billing", "\x00"):
        refusal = clerk.refused("POST", clerk.invitations, {**BOB, "role": unknown})
        assert refusal == (404, "resource_not_found", "role")


def test_a_role_never_hides_an_admins_rights(clerk: Clerk) -> None:
    clerk.world.service.roles.create("billing", "Billing team")
    clerk.join("Bob", "org:admin")
    key = clerk.world.service.authentication.who(clerk.key)
    bob = clerk.world.account("Bob")
    clerk.world.service.administration.add_member(Call(key), clerk.organization_id, bob.id, ["billing"])

    (member, _) = clerk.ok("GET", clerk.memberships)["data"]
    assert member["role"] == "org:admin"


# Lists.


def test_invitations_are_listed_in_order_and_by_page(clerk: Clerk, clock: GivenClock) -> None:
    for name in ("b", "c", "a"):
        clerk.ok("POST", clerk.invitations, {"email_address": f"{name}@example.com", "role": "org:member"})
        clock.forward(timedelta(seconds=1))

    def listed(query: str) -> str:
        found = clerk.ok("GET", f"{clerk.invitations}?{query}")
        assert found["total_count"] == 3
        return "".join(i["email_address"][0] for i in found["data"])

    for query, order in {
        "": "acb",
        "order_by=-created_at": "acb",
        "order_by=created_at": "bca",
        "order_by=+created_at": "bca",
        "order_by=%2Bemail_address": "abc",
        "order_by=email_address": "abc",
        "order_by=-email_address": "cba",
        "limit=1": "a",
        "limit=2&offset=1": "cb",
        "offset=3": "",
        "offset=2147483647": "",
        "limit=500": "acb",
        "status=pending&status=revoked": "acb",
    }.items():
        assert listed(query) == order, query


def test_invitations_are_found_by_address_status_and_a_part_of_the_address(clerk: Clerk) -> None:
    ids = {}
    for email in ("bob@example.com", "B_b@other.example", "carol@example.com"):
        ids[email] = clerk.ok("POST", clerk.invitations, {"email_address": email, "role": "org:member"})["id"]
    clerk.ok("POST", f"{clerk.invitations}/{ids['carol@example.com']}/revoke")

    def found(path: str) -> set[str]:
        answer = clerk.ok("GET", path)
        assert answer["total_count"] == len(answer["data"])
        return {i["email_address"] for i in answer["data"]}

    assert found(f"{clerk.invitations}?email_address=BOB%40Example.com") == {"bob@example.com"}
    assert found(f"{clerk.invitations}?email_address=ob%40example.com") == set()
    assert found(f"{clerk.invitations}?status=revoked") == {"carol@example.com"}
    assert found(f"{clerk.invitations}/pending") == {"bob@example.com", "B_b@other.example"}
    assert found("/organization_invitations?query=EXAMPLE.com") == {"bob@example.com", "carol@example.com"}
    assert found("/organization_invitations?query=_") == {"B_b@other.example"}
    assert found("/organization_invitations?query=ada") == set()


def test_a_users_invitations_are_those_of_an_address_that_is_theirs(clerk: Clerk) -> None:
    clerk.ok("POST", clerk.invitations, BOB)
    claims = Claims("https://issuer.example.com", "7", "Mallory", "bob@example.com", email_verified=False)
    with clerk.world.service.store.transaction() as tx:
        mallory = clerk.world.service.authentication._put_account(tx, claims)

    def invitations(user_id: str) -> int:
        total: int = clerk.ok("GET", f"/users/{user_id}/organization_invitations")["total_count"]
        return total

    assert invitations(clerk.user_id("Bob")) == 1
    assert invitations(clerk_id("user", mallory.id)) == 0
    unknown = f"/users/{clerk_id('user', NOWHERE)}/organization_invitations"
    assert clerk.refused("GET", unknown) == (404, "resource_not_found", "user_id")
    assert clerk.refused("GET", "/users/me/organization_invitations") == (404, "resource_not_found", "user_id")


# Organizations and memberships.


def test_an_organization_is_made_changed_and_removed(clerk: Clerk, clock: GivenClock) -> None:
    body = {"name": "Bücher & Söhne", "created_by": clerk.user_id("Ada"), "max_allowed_memberships": 5}
    made = clerk.ok("POST", "/organizations", body | {"public_metadata": {"a": 1}, "private_metadata": None})

    path = f"/organizations/{made['id']}"
    assert re.fullmatch("bucher-sohne-[0-9a-f]{8}", made.pop("slug"))
    assert made == {
        "object": "organization",
        "id": made["id"],
        "name": "Bücher & Söhne",
        "image_url": "",
        "has_image": False,
        "members_count": 1,
        "max_allowed_memberships": 5,
        "admin_delete_enabled": True,
        "public_metadata": {"a": 1},
        "private_metadata": {},
        "created_by": clerk.user_id("Ada"),
        "created_at": _millis(clock),
        "updated_at": _millis(clock),
    }
    changes = {"name": "Books", "slug": "books-7", "admin_delete_enabled": False, "max_allowed_memberships": None}
    changed = clerk.ok("PATCH", path, changes)
    assert [changed[name] for name in changes] == ["Books", "books-7", False, 5]
    assert clerk.ok("GET", f"{path}?include_members_count=true") == changed
    assert clerk.ok("GET", "/organizations?query=OOK&include_members_count=true") == {
        "data": [changed],
        "total_count": 1,
    }
    assert clerk.ok("GET", "/organizations")["total_count"] == 2
    assert clerk.ok("DELETE", path) == {"object": "organization", "id": made["id"], "deleted": True}
    assert clerk.refused("GET", path) == (404, "resource_not_found", None)


def test_metadata_is_merged_deeply_or_replaced(clerk: Clerk) -> None:
    path = f"{clerk.organization}/metadata"

    clerk.ok("PATCH", path, {"public_metadata": {"a": {"b": 1, "c": 2}, "d": 3}, "private_metadata": {"x": 1}})
    merged = clerk.ok("PATCH", path, {"public_metadata": {"a": {"b": None, "e": {"f": None}}, "d": {"g": [None]}}})
    assert merged["public_metadata"] == {"a": {"c": 2, "e": {}}, "d": {"g": [None]}}
    assert merged["private_metadata"] == {"x": 1}
    replaced = clerk.ok("PUT", path, {"public_metadata": {"z": None}})
    assert (replaced["public_metadata"], replaced["private_metadata"]) == ({"z": None}, {"x": 1})


def test_a_membership_is_made_changed_and_ended(clerk: Clerk, clock: GivenClock) -> None:
    bob = clerk.user_id("Bob")
    made = clerk.ok("POST", clerk.memberships, {"user_id": bob, "role": "org:member", "public_metadata": {"a": 1}})

    path = f"{clerk.memberships}/{bob}"
    organization = clerk.ok("GET", clerk.organization)
    assert organization.pop("members_count") == 2
    assert re.fullmatch(r"orgmem_[0-9A-Za-z]{27}", made["id"])
    assert made == {
        "object": "organization_membership",
        "id": made["id"],
        "role": "org:member",
        "role_name": "Member",
        "permissions": [],
        "public_metadata": {"a": 1},
        "private_metadata": {},
        "organization": organization,
        "public_user_data": {
            "user_id": bob,
            "identifier": "bob@example.com",
            "first_name": "Bob",
            "last_name": None,
            "profile_image_url": None,
            "image_url": "",
            "has_image": False,
        },
        "created_at": _millis(clock),
        "updated_at": _millis(clock),
    }
    again = clerk.refused("POST", clerk.memberships, {"user_id": bob, "role": "org:admin"})
    assert again[:2] == (400, "already_a_member_in_organization")
    assert clerk.ok("PATCH", path, {"role": "org:admin"})["role"] == "org:admin"
    merged = clerk.ok("PATCH", f"{path}/metadata", {"public_metadata": {"b": 2}, "private_metadata": {"c": 3}})
    assert (merged["public_metadata"], merged["private_metadata"]) == ({"a": 1, "b": 2}, {"c": 3})
    assert clerk.ok("GET", f"{clerk.memberships}?limit=1")["total_count"] == 2
    assert clerk.ok("DELETE", path) == merged
    assert clerk.refused("DELETE", path) == (404, "resource_not_found", None)
    assert clerk.refused("PATCH", path, {"role": "org:admin"}) == (404, "resource_not_found", None)
    assert clerk.refused("PATCH", f"{path}/metadata", {}) == (404, "resource_not_found", None)


def test_the_last_admin_stays(clerk: Clerk) -> None:
    path = f"{clerk.memberships}/{clerk.user_id('Ada')}"

    # Clerk documents no 400 for these two.
    assert clerk.refused("DELETE", path)[:2] == (422, "organization_minimum_permissions_needed")
    assert clerk.refused("PATCH", path, {"role": "org:member"})[:2] == (422, "organization_minimum_permissions_needed")


# What is refused.

FORMS: list[tuple[dict[str, Any], str, str]] = [
    ({"email_address": None}, "missing", "email_address"),
    ({"email_address": ""}, "missing", "email_address"),
    ({"email_address": 7}, "type_invalid", "email_address"),
    ({"email_address": "bob"}, "format_invalid", "email_address"),
    ({"role": None}, "missing", "role"),
    ({"role": ["org:admin"]}, "type_invalid", "role"),
    ({"inviter_user_id": 1}, "type_invalid", "inviter_user_id"),
    ({"public_metadata": []}, "type_invalid", "public_metadata"),
    ({"private_metadata": "x"}, "type_invalid", "private_metadata"),
    ({"private_metadata": {"x": "y" * 17_000}}, "value_invalid", "private_metadata"),
    ({"redirect_url": {}}, "type_invalid", "redirect_url"),
    ({"redirect_url": "javascript:alert(1)"}, "value_invalid", "redirect_url"),
    ({"expires_in_days": 0}, "value_invalid", "expires_in_days"),
    ({"expires_in_days": 366}, "value_too_large", "expires_in_days"),
    ({"expires_in_days": 1.0}, "type_invalid", "expires_in_days"),
    ({"expires_in_days": True}, "type_invalid", "expires_in_days"),
    ({"notify": "yes"}, "type_invalid", "notify"),
    ({"notify": 0}, "type_invalid", "notify"),
    ({"colour": "red"}, "unknown", "colour"),
]


@pytest.mark.parametrize(("changes", "code", "param"), FORMS)
def test_a_field_that_is_wrong_is_named(clerk: Clerk, changes: dict[str, Any], code: str, param: str) -> None:
    assert clerk.refused("POST", clerk.invitations, BOB | changes) == (422, f"form_param_{code}", param)
    assert clerk.ok("GET", clerk.invitations)["total_count"] == 0


NO_OBJECTS = [b"{", b"[1", b"\xff", b'{"role": NaN}', b'{"role": 1e999}', b'"text"', b"[]", b'{"role": "\\ud800"}']


@pytest.mark.parametrize("body", [*NO_OBJECTS, b'{"public_metadata":' * 102 + b"1" + b"}" * 102])
def test_a_body_that_is_no_json_object_is_refused_whole(clerk: Clerk, body: bytes) -> None:
    assert clerk.refused("POST", clerk.invitations, body) == (400, "request_body_invalid", None)


@pytest.mark.parametrize(
    ("query", "code", "param"),
    [
        ("limit=0", "value_invalid", "limit"),
        ("limit=501", "value_too_large", "limit"),
        ("limit=ten", "type_invalid", "limit"),
        ("limit=%D9%A1", "type_invalid", "limit"),
        ("limit=", "type_invalid", "limit"),
        ("offset=-1", "value_invalid", "offset"),
        ("offset=99999999999999999999", "value_too_large", "offset"),
        ("offset=1e3", "type_invalid", "offset"),
        ("status=declined", "value_invalid", "status"),
        ("status=pending&status=x", "value_invalid", "status"),
        ("order_by=role", "value_invalid", "order_by"),
        ("order_by=--created_at", "value_invalid", "order_by"),
        ("email_address=", "format_invalid", "email_address"),
        ("email_address=%00", "format_invalid", "email_address"),
        ("colour=red", "unknown", "colour"),
    ],
)
def test_a_query_that_is_wrong_is_named(clerk: Clerk, query: str, code: str, param: str) -> None:
    assert clerk.refused("GET", f"{clerk.invitations}?{query}") == (422, f"form_param_{code}", param)


def test_what_one_cannot_filter_by_is_refused_and_not_ignored(clerk: Clerk) -> None:
    user = clerk.user_id("Ada")
    for path, param in (
        (f"/organizations?user_id={user}", "user_id"),
        (f"/organizations?organization_id={clerk_id('org', NOWHERE)}", "organization_id"),
        ("/organizations?order_by=name", "order_by"),
        (f"{clerk.memberships}?user_id={user}", "user_id"),
        (f"{clerk.memberships}?role=org:admin", "role"),
        (f"{clerk.memberships}?order_by=email_address", "order_by"),
        (f"/organization_invitations?query={'x' * 257}", "query"),
        ("/organization_invitations?query=%00", "query"),
    ):
        status, code, named = clerk.refused("GET", path)
        assert (status, named) == (422, param)
        assert code.startswith("form_param_")
    for body, param in (
        ({"created_at": "2012-10-20T07:15:20.902Z"}, "created_at"),
        ({"role_set_key": "x"}, "role_set_key"),
        ({"slug": "No Slug"}, "slug"),
        ({"name": "No"}, "name"),
        ({"name": ""}, "name"),
        ({"max_allowed_memberships": -1}, "max_allowed_memberships"),
        ({"max_allowed_memberships": 1 << 31}, "max_allowed_memberships"),
    ):
        assert clerk.refused("POST", "/organizations", {"name": "Acme"} | body)[::2] == (422, param)
    assert clerk.refused("POST", "/organizations", {"name": "Acme", "created_by": "user_x"}) == (
        400,
        "organization_creator_not_found",
        "created_by",
    )
    assert clerk.refused("POST", clerk.memberships, {"user_id": "user_x", "role": "org:admin"}) == (
        404,
        "resource_not_found",
        "user_id",
    )


def test_what_is_unknown_foreign_or_gone_answers_alike(clerk: Clerk) -> None:
    made = clerk.ok("POST", clerk.invitations, BOB)
    # Ada, who is acted for, is no member of the other organization.
    other, _ = clerk.world.service.organizations.create(clerk.world.call("Eve"), "Another")
    foreign = f"/organizations/{clerk_id('org', other.id)}/invitations/{made['id']}"
    unknown = f"{clerk.invitations}/{clerk_id('orginv', NOWHERE)}"
    paths = (foreign, unknown, f"{clerk.invitations}/no-id", f"{clerk.invitations}/{made['id'][:-1]}!")

    for path in paths:
        for method, suffix in (("GET", ""), ("POST", "/revoke")):
            actor = {"requesting_user_id": clerk.user_id("Ada")} if suffix else None
            answer = clerk.send(method, path + suffix, actor, X_Request_Id="same")
            assert answer.status_code == 404
            assert answer.data == clerk.send("GET", unknown, None, X_Request_Id="same").data
    assert clerk.ok("GET", f"{clerk.invitations}/{made['id']}")["status"] == "pending"
    nowhere = f"/organizations/{clerk_id('org', NOWHERE)}"
    for organization in (nowhere, "/organizations/org_x", "/organizations/acme"):
        for method, path, body, status in (
            ("GET", "", None, 404),
            ("DELETE", "", None, 404),
            ("PATCH", "", {}, 404),
            ("PUT", "/metadata", {}, 404),
            ("PATCH", "/metadata", {}, 404),
            ("POST", "/invitations", BOB, 404),
            ("POST", "/invitations/bulk", [BOB], 404),
            ("GET", "/invitations", None, 404),
            ("GET", "/invitations/pending", None, 404),
            # Clerk documents no 404 for this one.
            ("GET", "/memberships", None, 422),
            ("POST", "/memberships", {"user_id": clerk.user_id("Ada"), "role": "org:admin"}, 404),
        ):
            assert clerk.refused(method, organization + path, body) == (status, "resource_not_found", None), path


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/"),
        ("GET", ""),
        ("GET", "/organization_roles"),
        ("POST", "/organization_invitations"),
        ("DELETE", "/users/user_x"),
        ("GET", "/users/user_x"),
        ("PUT", "/organizations/org_x/logo"),
        ("PATCH", "/organizations/org_x/invitations/orginv_x"),
        ("GET", "//organizations"),
    ],
)
def test_what_is_not_here_is_a_404(clerk: Clerk, method: str, path: str) -> None:
    assert clerk.refused(method, path) == (404, "resource_not_found", None)


@pytest.mark.parametrize(
    ("authorization", "code"),
    [
        (None, "could_not_authenticate_request"),
        ("", "authorization_header_format_invalid"),
        ("Basic eDp5", "authorization_header_format_invalid"),
        ("Bearer", "authorization_header_format_invalid"),
        ("Bearer sk_test_unknown", "clerk_key_invalid"),
        ("Bearer orgsvckey_unknown", "clerk_key_invalid"),
    ],
)
def test_without_a_key_that_is_known_nothing_is_told(clerk: Clerk, authorization: str | None, code: str) -> None:
    answer = clerk.http.get(
        f"/clerk/v1{clerk.organization}", headers={} if authorization is None else {"Authorization": authorization}
    )

    assert (answer.status_code, answer.json["errors"][0]["code"]) == (401, code)


def test_a_key_reaches_no_further_than_it_was_made_for(clerk: Clerk) -> None:
    other, _ = clerk.world.service.organizations.create(clerk.world.call("Ada"), "Another")
    made = clerk.ok("POST", clerk.invitations, BOB | {"inviter_user_id": clerk.user_id("Ada")})
    clerk.key, _ = clerk.world.service.backend_keys.issue(
        "narrow", organization_ids=(clerk.organization_id,), scopes=(Scope.INVITATIONS_READ,)
    )

    found = clerk.ok("GET", f"{clerk.invitations}/{made['id']}")
    assert found == made | {"public_inviter_data": None}
    assert clerk.ok("GET", "/organization_invitations")["total_count"] == 1
    assert clerk.refused("POST", clerk.invitations, BOB)[:2] == (403, "authorization_invalid")
    assert clerk.refused("GET", clerk.organization)[:2] == (403, "authorization_invalid")
    assert clerk.refused("GET", f"/organizations/{clerk_id('org', other.id)}/invitations")[0] == 404


def test_a_persons_token_does_what_the_person_may(clerk: Clerk) -> None:
    clerk.join("Bob")
    carol = {"email_address": "carol@example.com", "role": "org:member"}
    clerk.key = clerk.token("Ada")

    made = clerk.ok("POST", clerk.invitations, carol)
    assert made["inviter_id"] == clerk.user_id("Ada")
    assert clerk.ok("GET", clerk.invitations)["total_count"] == 1
    assert clerk.ok("POST", f"{clerk.invitations}/{made['id']}/revoke")["status"] == "revoked"
    as_bob = clerk.refused("POST", clerk.invitations, carol | {"inviter_user_id": clerk.user_id("Bob")})
    assert as_bob[:2] == (403, "authorization_invalid")
    assert clerk.refused("GET", clerk.organization)[:2] == (403, "authorization_invalid")
    # Clerk documents no 403 for these two.
    assert clerk.refused("GET", "/organization_invitations")[:2] == (404, "authorization_invalid")
    clerk.key = clerk.token("Bob")
    assert clerk.refused("GET", clerk.invitations)[:2] == (404, "missing_organization_permission")
    assert clerk.refused("POST", clerk.invitations, carol)[:2] == (403, "missing_organization_permission")
    clerk.key = clerk.token("Dan")
    assert clerk.refused("POST", clerk.invitations, carol) == (404, "resource_not_found", None)


def test_too_many_mails_to_one_address_must_wait(clerk: Clerk) -> None:
    for _ in range(10):
        made = clerk.ok("POST", clerk.invitations, BOB)
        clerk.ok("POST", f"{clerk.invitations}/{made['id']}/revoke")

    answer = clerk.send("POST", clerk.invitations, BOB)
    assert (answer.status_code, answer.json["errors"][0]["code"]) == (429, "too_many_requests")
    assert answer.headers["retry-after"] == "600"


def test_a_body_beyond_the_limit_is_refused(clerk: Clerk) -> None:
    assert clerk.refused("POST", clerk.invitations, b" " * READ_MAX_BYTES + b"{}")[:2] == (
        413,
        "request_body_too_large",
    )


def test_a_request_that_comes_again_with_its_key_is_answered_again(clerk: Clerk) -> None:
    once = clerk.ok("POST", clerk.invitations, BOB | {"notify": False}, Idempotency_Key="k")

    assert clerk.ok("POST", clerk.invitations, BOB | {"notify": False}, Idempotency_Key="k") == once
    assert clerk.refused("POST", clerk.invitations, BOB, Idempotency_Key="k")[:2] == (409, "idempotency_key_reused")


OUTSIDE = {401, 409, 413, 429, 500, 503, 504}
"""Statuses that no operation documents, and that are never exchanged for one that it does."""


def test_every_refusal_of_the_catalog_has_a_shape_and_status_that_the_sdk_knows(clerk: Clerk) -> None:
    speaker = clerk.http.application._faces["clerk"]._speaker
    facts = dict.fromkeys(re.findall(r"{(\w+)}", " ".join(r.sentence for r in CATALOG.values())), "x")
    assert len(speaker._documented) == 20
    token = current_exchange.set(Exchange("trace"))
    try:
        for operation, documented in speaker._documented.items():
            for reason in CATALOG.values():
                violations = (FieldViolation("a", "is b"), FieldViolation("c", "is d"))
                refusal = ServiceError(reason, facts, violations if reason.name == "INVALID_REQUEST" else ())
                answer = speaker.refuse(refusal, operation)
                assert answer.status in {*documented, *OUTSIDE}, (operation, reason.name)
                assert len(answer.body["errors"]) == (2 if refusal.violations else 1)
                assert all({"message", "long_message", "code"} <= set(e) for e in answer.body["errors"])
    finally:
        current_exchange.reset(token)


# Anything.

_names = st.sampled_from(
    [
        *("email_address", "role", "inviter_user_id", "public_metadata", "private_metadata", "redirect_url", "notify"),
        *("expires_in_days", "requesting_user_id", "name", "created_by", "slug", "max_allowed_memberships", "user_id"),
        *("admin_delete_enabled", "created_at", "role_set_key"),
    ]
)
_scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(),
    st.sampled_from(["org:admin", "a@b.cd", "Acme Labs", "acme", f"{APP}/x", "user_" + "0" * 27, "7" * 5000]),
)
_values = st.recursive(
    _scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3), max_leaves=8
)
_objects = st.dictionaries(_names, _values, max_size=8) | st.dictionaries(st.text(), _values, max_size=3)
_bodies = st.one_of(_objects, st.lists(_objects, max_size=11), _values).map(json.dumps).map(str.encode) | st.one_of(
    st.binary(),
    st.integers(1, 3000).map(lambda depth: b'{"public_metadata":' + b'{"a":' * depth + b"1" + b"}" * depth + b"}"),
    st.just(b'{"name": "Acme", "public_metadata": {"a": 1e999}}'),
)
_queries = st.lists(
    st.tuples(
        st.sampled_from(["limit", "offset", "order_by", "status", "query", "email_address", "x"]) | st.text(),
        st.one_of(
            st.text(), st.integers().map(str), st.sampled_from(["pending", "-created_at", "a@b.cd", "%", "\\", "\x00"])
        ),
    ),
    max_size=4,
).map(urlencode)


@pytest.fixture(scope="module")
def standing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clerk]:
    """One organization that takes all that is thrown at it."""
    clock = GivenClock()
    place: Path = tmp_path_factory.mktemp("standing")
    store = SqliteStore(place / "organizations.db", clock)
    yield _clerk(store, clock)
    store.close()


@pytest.mark.parametrize("rule", range(20))
@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_whatever_is_sent_is_answered_with_no_5xx(standing: Clerk, rule: int, data: st.DataObject) -> None:
    route = sorted(standing.http.application._faces["clerk"]._map.iter_rules(), key=str)[rule].endpoint
    path = route.path
    for name, known in (
        ("organization_id", clerk_id("org", standing.organization_id)),
        ("invitation_id", clerk_id("orginv", NOWHERE)),
        ("user_id", standing.user_id("Ada")),
    ):
        odd = st.text(string.printable + "ä\x00", min_size=1, max_size=30).map(lambda text: quote(text, safe=""))
        path = path.replace(f"<{name}>", data.draw(st.just(known) | odd, label=name))
    if route.operation == "delete_organization":
        path = "/organizations/" + data.draw(st.text(string.ascii_letters), label="organization")
    body = data.draw(_bodies, label="body") if route.method != "GET" else None
    query = data.draw(_queries, label="query")

    answer = standing.send(route.method, f"{path}?{query}", body)

    assert answer.status_code < 500, answer.text
    assert answer.mimetype == "application/json"
    # JSON that every client can read.
    json.loads(answer.data.decode(), parse_constant=lambda name: pytest.fail(name))
    if answer.status_code != 200:
        assert all({"message", "long_message", "code"} <= set(e) for e in answer.json["errors"])
