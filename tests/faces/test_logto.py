"""Logto's face in process: what its answers look like, how it refuses and in which order, and that it never breaks."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from werkzeug.datastructures import Headers
from werkzeug.test import Client

from server.domain.account import Account, Scope
from server.domain.organization import Role
from server.domain.secrets import SecretKeys
from server.faces.spelling import from_logto_id, logto_id
from server.ports import OutboxMail
from server.sealing import KeySealing
from server.service.call import Call
from server.service.invitations import NewInvitation
from server.service.outbox import open_link
from server.wires import build_edge
from tests.conftest import KEY, World

MILLISECOND = timedelta(milliseconds=1)
NO_ONE = "0" * 20 + "1"
"""An id that nothing has, in Logto's spelling."""


def given_link(mail: OutboxMail) -> str:
    """Give the link that was given for a mail, which waits sealed."""
    return open_link(KeySealing(SecretKeys([KEY])), mail)


@dataclass(frozen=True)
class Spoken:
    """An answer: its status, JSON body and headers."""

    status: int
    body: Any
    headers: Headers = field(repr=False)

    @property
    def code(self) -> Any:
        return self.body["code"]


@dataclass
class Wire:
    """A backend's key, and the face as it is reached over HTTP."""

    world: World
    client: Client
    token: str

    def __call__(
        self, method: str, path: str, body: Any = None, *, authorization: str | None = "", **query: str
    ) -> Spoken:
        headers = {"authorization": authorization or f"Bearer {self.token}"} if authorization is not None else {}
        content = body if isinstance(body, bytes | None) else json.dumps(body).encode()
        answer = self.client.open(
            f"/logto/api{path}", method=method, data=content, headers=headers, query_string=query or None
        )
        return Spoken(answer.status_code, json.loads(answer.data) if answer.data else None, answer.headers)

    def as_key(self, *scopes: Scope, organization_ids: tuple[str, ...] = ()) -> Wire:
        token, _ = self.world.service.backend_keys.issue("other", scopes=scopes, organization_ids=organization_ids)
        return replace(self, token=token)

    def as_person(self, name: str) -> Wire:
        account = self.world.account(name)
        token, _ = self.world.service.tokens.issue(account, description="of a test", expires_at=None)
        return replace(self, token=token)

    def millis(self, after: timedelta = timedelta()) -> int:
        return (self.world.clock.now + after - datetime(1970, 1, 1, tzinfo=UTC)) // MILLISECOND

    def organization(self, name: str = "Acme") -> str:
        made = self("POST", "/organizations", {"name": name})
        assert made.status == 201, made
        return str(made.body["id"])

    def asked(self, organization_id: str, invitee: str = "ann@example.com", **other: Any) -> dict[str, Any]:
        expires_at = self.millis(timedelta(days=1))
        return {"invitee": invitee, "organizationId": organization_id, "expiresAt": expires_at} | other

    def create(self, organization_id: str, invitee: str = "ann@example.com", **other: Any) -> Spoken:
        return self("POST", "/organization-invitations", self.asked(organization_id, invitee, **other))

    def invited(self, organization_id: str, invitee: str = "ann@example.com", **other: Any) -> Any:
        made = self.create(organization_id, invitee, **other)
        assert made.status == 201, made
        return made.body

    def listed(self, **query: str) -> list[str]:
        return [found["invitee"] for found in self("GET", "/organization-invitations", **query).body]

    def role(self, name: str) -> str:
        made = self("POST", "/organization-roles", {"name": name, "organizationScopeIds": [], "resourceScopeIds": []})
        assert made.status == 201, made
        return str(made.body["id"])

    def admin(self, organization_id: str, name: str = "Boss", roles: tuple[str, ...] = (Role.ADMIN,)) -> str:
        """Make an account a member, and give its id."""
        account = self.world.account(name)
        assert self("POST", f"/organizations/{organization_id}/users", {"userIds": [spelled(account)]}).status == 201
        path = f"/organizations/{organization_id}/users/{spelled(account)}/roles"
        assert self("POST", path, {"organizationRoleIds": list(roles)}).status == 201
        return spelled(account)

    def mails(self) -> list[OutboxMail]:
        with self.world.service.store.snapshot() as tx:
            return list(tx.mails((), 100))


def spelled(account: Account) -> str:
    return logto_id(account.id)


def wire_of(world: World, *, sends_mail: bool) -> Wire:
    token, _ = world.service.backend_keys.issue("tests")
    edge = build_edge(world.service, public_url="https://orgs.example.com", sends_mail=sends_mail)
    return Wire(world, Client(edge), token)


@pytest.fixture
def wire(world: World) -> Wire:
    return wire_of(world, sends_mail=True)


@pytest.fixture
def silent(world: World) -> Wire:
    """The face of an instance that sends no mail."""
    return wire_of(world, sends_mail=False)


# What answers look like.


def test_an_invitation_has_the_fields_that_logto_gives_it(wire: Wire) -> None:
    acme = wire.organization()
    boss = wire.admin(acme)
    expires_at = wire.millis(timedelta(days=3))

    made = wire.create(acme, "Ann@Example.com", inviterId=boss, expiresAt=expires_at, messagePayload=False)

    assert made.status == 201
    assert made.body == {
        "tenantId": "default",
        "id": made.body["id"],
        "inviterId": boss,
        "invitee": "Ann@Example.com",
        "acceptedUserId": None,
        "organizationId": acme,
        "status": "Pending",
        "createdAt": wire.millis(),
        "updatedAt": wire.millis(),
        "expiresAt": expires_at,
        "organizationRoles": [{"id": "member", "name": "member"}],
    }
    assert wire("GET", f"/organization-invitations/{made.body['id']}").body == made.body


def test_ids_have_21_characters_and_lead_back_to_what_is_kept(wire: Wire) -> None:
    acme = wire.organization()
    invitation = wire.invited(acme)

    assert {len(invitation["id"]), len(acme)} == {21}
    with wire.world.service.store.snapshot() as tx:
        kept = tx.invitation(from_logto_id(invitation["id"]) or "")
    assert kept is not None
    assert kept.organization_id == from_logto_id(acme)


def test_a_fraction_of_a_millisecond_is_taken_and_whole_ones_are_given(wire: Wire) -> None:
    expires_at = wire.millis(timedelta(days=1)) + 0.5

    assert wire.invited(wire.organization(), expiresAt=expires_at)["expiresAt"] == int(expires_at)


def test_an_invitation_may_last_until_the_end_of_the_year_9999(wire: Wire) -> None:
    assert wire.invited(wire.organization(), expiresAt=253402300799999)["expiresAt"] == 253402300799999


def test_an_organization_has_the_fields_that_logto_gives_it(wire: Wire) -> None:
    custom, branding = {"plan": {"seats": 5}, "tags": ["a", None]}, {"logoUrl": "https://example.com/logo.svg"}
    asked = {"name": "Acme", "description": "Rockets", "customData": custom, "branding": branding}

    made = wire("POST", "/organizations", asked)

    assert made.status == 201
    whole = asked | {
        "tenantId": "default",
        "id": made.body["id"],
        "isMfaRequired": False,
        "createdAt": wire.millis(),
    }
    assert made.body == whole
    assert wire("GET", f"/organizations/{made.body['id']}").body == whole


def test_an_update_changes_what_it_names_and_keeps_the_rest(wire: Wire) -> None:
    made = wire("POST", "/organizations", {"name": "Acme", "description": "Rockets", "customData": {"a": 1}}).body
    path = f"/organizations/{made['id']}"

    assert wire("PATCH", path, {"name": "Umbrella"}).body == made | {"name": "Umbrella"}
    assert wire("PATCH", path, {"customData": {"b": 2}}).body["customData"] == {"b": 2}
    changed = wire("PATCH", path, {"description": None})
    assert (changed.status, changed.body["description"]) == (200, None)
    assert wire("PATCH", path).body == changed.body


def test_of_a_name_that_logto_would_not_hold_the_first_128_characters_are_shown(wire: Wire) -> None:
    organization, _ = wire.world.service.organizations.create(wire.world.call("Ada"), "x" * 200)

    shown = wire("GET", f"/organizations/{logto_id(organization.id)}").body

    assert shown["name"] == "x" * 128


def test_a_deleted_organization_is_gone_with_its_invitations(wire: Wire) -> None:
    acme = wire.organization()
    invitation = wire.invited(acme)

    gone = wire("DELETE", f"/organizations/{acme}")

    assert (gone.status, gone.body) == (204, None)
    assert wire("GET", f"/organizations/{acme}").code == "entity.not_found"
    assert wire("GET", f"/organization-invitations/{invitation['id']}").code == "entity.not_found"


# Mail.


def test_a_payload_sends_a_mail_with_the_callers_link_and_language(wire: Wire) -> None:
    payload = {"link": "https://app.example.com/join?token=abc", "locale": "de", "anything": {"else": 1}}

    invitation = wire.invited(wire.organization(), messagePayload=payload)

    (mail,) = wire.mails()
    assert given_link(mail) == "https://app.example.com/join?token=abc"
    with wire.world.service.store.snapshot() as tx:
        kept = tx.invitation(from_logto_id(invitation["id"]) or "")
    assert kept is not None
    assert kept.locale == "de"


def test_an_empty_payload_sends_a_mail_with_our_link(wire: Wire) -> None:
    wire.invited(wire.organization(), messagePayload={})

    (mail,) = wire.mails()
    assert mail.link == ""


@pytest.mark.parametrize("other", [{}, {"messagePayload": False}])
def test_no_payload_sends_no_mail(wire: Wire, other: dict[str, Any]) -> None:
    wire.invited(wire.organization(), **other)

    assert wire.mails() == []


def test_sending_again_changes_nothing_that_is_shown_and_mails_the_new_link(wire: Wire) -> None:
    invitation = wire.invited(wire.organization())
    path = f"/organization-invitations/{invitation['id']}"

    sent = wire("POST", f"{path}/message", {"link": "https://app.example.com/again"})

    assert (sent.status, sent.body) == (204, None)
    assert wire("GET", path).body == invitation
    assert [given_link(mail) for mail in wire.mails()] == ["https://app.example.com/again"]


@pytest.mark.parametrize("payload", [[], {"link": "no link"}, {"link": None}, {"locale": 1}])
def test_a_payload_that_cannot_be_mailed_is_refused(wire: Wire, payload: Any) -> None:
    path = f"/organization-invitations/{wire.invited(wire.organization())['id']}/message"

    assert wire("POST", path, payload).code == "guard.invalid_input"
    assert wire.mails() == []


def test_without_mail_a_payload_is_refused_and_nothing_is_created(silent: Wire) -> None:
    acme = silent.organization()

    refused = silent.create(acme, messagePayload={"link": "https://app.example.com"})

    assert (refused.status, refused.code) == (501, "connector.not_found")
    assert refused.body["message"] == "Cannot find any available connector for type: Email."
    assert silent.listed() == []
    assert silent.create(acme, messagePayload=False).status == 201


def test_without_mail_sending_again_is_refused_after_the_invitation_was_found(silent: Wire) -> None:
    invitation = silent.invited(silent.organization())

    assert silent("POST", f"/organization-invitations/{invitation['id']}/message", {}).code == "connector.not_found"
    assert silent("POST", f"/organization-invitations/{NO_ONE}/message", {}).code == "entity.not_found"
    assert silent.mails() == []


def test_an_address_is_sent_ten_mails_in_ten_minutes_in_whatever_letters(wire: Wire) -> None:
    invitation = wire.invited(wire.organization(), "Ann@Example.com", messagePayload={})
    path = f"/organization-invitations/{invitation['id']}/message"
    for _ in range(9):
        assert wire("POST", path, {}).status == 204

    refusals = [
        wire("POST", path, {}),
        wire.create(wire.organization("Umbrella"), "ann@EXAMPLE.com", messagePayload={}),
    ]

    for refused in refusals:
        assert (refused.status, refused.code) == (429, "request.message_rate_limited")
        assert refused.body["message"] == "Too many messages sent to this recipient. Please try again later."
        assert refused.headers["retry-after"] == "600"
    assert wire.listed() == ["Ann@Example.com"]
    wire.world.clock.forward(timedelta(seconds=601))
    assert wire("POST", path, {}).status == 204


# Lists.


def test_a_list_has_all_invitations_at_once_the_newest_first(wire: Wire) -> None:
    acme = wire.organization()
    crowd = [NewInvitation(f"guest-{number}@example.com", send_email=False) for number in range(130)]
    key = Call(wire.world.service.authentication.who(wire.token))
    wire.world.service.invitations.create_batch(key, from_logto_id(acme) or "", crowd)
    for name in ("ann", "ben"):
        wire.world.clock.forward(MILLISECOND)
        wire.invited(acme, f"{name}@example.com")

    listed = wire.listed(organizationId=acme)

    assert len(listed) == 132
    assert listed[:2] == ["ben@example.com", "ann@example.com"]


def test_filters_must_all_fit_and_compare_addresses_without_case(wire: Wire) -> None:
    acme, umbrella = wire.organization("Acme"), wire.organization("Umbrella")
    boss = wire.admin(acme)
    wire.invited(acme, "ann@example.com", inviterId=boss)
    wire.invited(acme, "ben@example.com")
    wire.invited(umbrella, "ann@example.com")

    assert len(wire.listed()) == 3
    assert len(wire.listed(invitee="ANN@Example.COM")) == 2
    assert wire.listed(invitee="ann@example.com", organizationId=umbrella) == ["ann@example.com"]
    assert wire.listed(inviterId=boss) == ["ann@example.com"]
    assert wire.listed(inviterId=boss, organizationId=umbrella) == []
    assert len(wire.listed(organizationId="", inviterId="", invitee="")) == 3


@pytest.mark.parametrize("name", ["organizationId", "inviterId", "invitee"])
@pytest.mark.parametrize("value", ["nobody@example.com", "x", NO_ONE, "-", "%", "a\0b", "z" * 300])
def test_a_filter_for_what_nothing_has_gives_an_empty_list(wire: Wire, name: str, value: str) -> None:
    wire.invited(wire.organization())

    answer = wire("GET", "/organization-invitations", **{name: value})

    assert (answer.status, answer.body) == (200, [])


def test_a_key_lists_only_invitations_of_organizations_that_it_reaches(wire: Wire) -> None:
    acme, umbrella = wire.organization("Acme"), wire.organization("Umbrella")
    wire.invited(acme, "ann@example.com")
    wire.invited(umbrella, "ben@example.com")

    confined = wire.as_key(organization_ids=(from_logto_id(acme) or "",))

    assert confined.listed() == ["ann@example.com"]
    assert confined.listed(organizationId=umbrella) == []


# States.


def accept(wire: Wire, invitation: Any, account_id: str | None) -> Spoken:
    path = f"/organization-invitations/{invitation['id']}/status"
    return wire("PUT", path, {"status": "Accepted", "acceptedUserId": account_id})


def revoke(wire: Wire, invitation: Any) -> Spoken:
    return wire("PUT", f"/organization-invitations/{invitation['id']}/status", {"status": "Revoked"})


def test_accepting_makes_the_account_a_member_with_the_roles_of_the_invitation(wire: Wire) -> None:
    acme, editor = wire.organization(), wire.role("Editor")
    ann = wire.world.account("Ann")
    invitation = wire.invited(acme, "ANN@example.com", organizationRoleIds=[editor, "admin"])
    wire.world.clock.forward(timedelta(minutes=1))

    accepted = accept(wire, invitation, spelled(ann))

    assert accepted.status == 200
    changes = {"status": "Accepted", "acceptedUserId": spelled(ann), "updatedAt": wire.millis()}
    assert accepted.body == invitation | changes
    assert wire("GET", f"/organization-invitations/{invitation['id']}").body == accepted.body
    roles = wire("GET", f"/organizations/{acme}/users/{spelled(ann)}/roles").body
    assert [role["name"] for role in roles] == ["Editor", "admin"]


def test_a_member_who_accepts_keeps_the_roles_that_they_had(wire: Wire) -> None:
    acme, editor, writer = wire.organization(), wire.role("Editor"), wire.role("Writer")
    invitation = wire.invited(acme, "ann@example.com", organizationRoleIds=[writer])
    ann = wire.admin(acme, "Ann", (editor,))

    assert accept(wire, invitation, ann).status == 200
    roles = wire("GET", f"/organizations/{acme}/users/{ann}/roles").body
    assert [role["name"] for role in roles] == ["Editor", "Writer"]


def test_revoking_is_shown_and_the_address_can_be_invited_again(wire: Wire) -> None:
    acme = wire.organization()
    invitation = wire.invited(acme)

    revoked = revoke(wire, invitation)

    assert (revoked.status, revoked.body) == (200, invitation | {"status": "Revoked"})
    assert wire.create(acme).status == 201


def test_who_declined_is_shown_as_revoked(wire: Wire) -> None:
    invitation = wire.invited(wire.organization())
    invitation_id = from_logto_id(invitation["id"]) or ""
    wire.world.service.invitations.decline(wire.world.call("Ann"), invitation_id=invitation_id)

    assert wire("GET", f"/organization-invitations/{invitation['id']}").body["status"] == "Revoked"


def test_expiry_is_seen_by_every_read_and_makes_room_for_another(wire: Wire) -> None:
    acme = wire.organization()
    invitation = wire.invited(acme)
    wire.world.clock.forward(timedelta(days=1))

    assert wire("GET", f"/organization-invitations/{invitation['id']}").body["status"] == "Expired"
    assert [found["status"] for found in wire("GET", "/organization-invitations").body] == ["Expired"]
    wire.invited(acme)
    assert [found["status"] for found in wire("GET", "/organization-invitations").body] == ["Pending", "Expired"]


@pytest.mark.parametrize("state", ["pending", "accepted", "revoked", "expired"])
def test_an_invitation_in_any_state_is_deleted_once(wire: Wire, state: str) -> None:
    invitation = ended(wire, wire.organization(), state)
    path = f"/organization-invitations/{invitation['id']}"

    assert [wire("DELETE", path).status for _ in range(2)] == [204, 404]
    assert wire("GET", path).code == "entity.not_found"


def ended(wire: Wire, organization_id: str, state: str) -> Any:
    """Give an invitation of Ann in a state."""
    invitation = wire.invited(organization_id)
    if state == "accepted":
        assert accept(wire, invitation, spelled(wire.world.account("Ann"))).status == 200
    elif state == "revoked":
        assert revoke(wire, invitation).status == 200
    elif state == "declined":
        invitation_id = from_logto_id(invitation["id"]) or ""
        wire.world.service.invitations.decline(wire.world.call("Ann"), invitation_id=invitation_id)
    elif state == "expired":
        wire.world.clock.forward(timedelta(days=2))
    return invitation


@pytest.mark.parametrize("state", ["accepted", "revoked", "declined", "expired"])
def test_what_has_ended_can_be_neither_answered_nor_revoked_nor_sent_again(wire: Wire, state: str) -> None:
    invitation = ended(wire, wire.organization(), state)
    ann = spelled(wire.world.account("Ann"))

    for answer in (accept(wire, invitation, ann), accept(wire, invitation, NO_ONE), revoke(wire, invitation)):
        assert (answer.status, answer.code) == (422, "request.invalid_input")
        assert answer.body["message"] == "Input is invalid. The status of the invitation cannot be changed anymore."
    again = wire("POST", f"/organization-invitations/{invitation['id']}/message", {})
    assert (again.status, again.code) == (422, "request.invalid_input")
    assert wire.mails() == []


def test_accepting_is_checked_in_logtos_order(wire: Wire) -> None:
    invitation = wire.invited(wire.organization())
    unknown = {"id": NO_ONE}
    ben = spelled(wire.world.account("Ben"))

    # Each is wrong in the next way too.
    answers = [
        wire("PUT", f"/organization-invitations/{NO_ONE}/status", {"status": "Expired"}),
        accept(wire, unknown, None),
        accept(wire, unknown, ""),
        accept(wire, unknown, NO_ONE),
        accept(wire, invitation, NO_ONE),
        accept(wire, invitation, ben),
    ]

    assert [(answer.status, answer.code) for answer in answers] == [
        (400, "guard.invalid_input"),
        (422, "request.invalid_input"),
        (422, "request.invalid_input"),
        (404, "entity.not_found"),
        (404, "entity.not_found"),
        (422, "request.invalid_input"),
    ]
    assert answers[-1].body["message"] == (
        "Input is invalid. The accepted user must have the same email as the invitee."
    )


# What creating refuses.


@pytest.mark.parametrize(
    ("change", "field_path"),
    [
        ({"invitee": "no address"}, "invitee"),
        ({"invitee": None}, "invitee"),
        ({"invitee": "a@b"}, "invitee"),
        ({"organizationId": ""}, "organizationId"),
        ({"organizationId": "12345678-1234-4234-8234-123456789abc"}, "organizationId"),
        ({"expiresAt": "2031-01-01T00:00:00Z"}, "expiresAt"),
        ({"expiresAt": True}, "expiresAt"),
        ({"expiresAt": 10**30}, "expiresAt"),
        ({"inviterId": "x" * 22}, "inviterId"),
        ({"organizationRoleIds": "admin"}, "organizationRoleIds"),
        ({"organizationRoleIds": [1]}, "organizationRoleIds"),
        ({"messagePayload": True}, "messagePayload"),
        ({"messagePayload": None}, "messagePayload"),
        ({"messagePayload": {"link": 1}}, "messagePayload"),
        ({"messagePayload": {"locale": "de\n"}}, "messagePayload"),
        ({"messagePayload": {"link": "https://a.example/two\nlines"}}, "messagePayload"),
        ({"messagePayload": {"link": "myapp://join"}}, "messagePayload"),
        ({"messagePayload": {"link": "https://a.example/" + "x" * 2048}}, "messagePayload"),
    ],
)
def test_a_body_that_breaks_the_rules_is_told_as_zod_tells_it(
    wire: Wire, change: dict[str, Any], field_path: str
) -> None:
    refused = wire.create(wire.organization(), **change)

    assert (refused.status, refused.code) == (400, "guard.invalid_input")
    assert refused.body["message"] == "The request body is invalid."
    assert refused.body["data"]["name"] == "ZodError"
    assert [issue["path"] for issue in refused.body["data"]["issues"]] == [[field_path]]
    assert refused.body["details"].startswith(f'Error in key path "{field_path}": (custom) must be ')


def test_all_fields_that_are_wrong_are_named_at_once(wire: Wire) -> None:
    refused = wire("POST", "/organization-invitations", {"organizationRoleIds": None})

    paths = [issue["path"] for issue in refused.body["data"]["issues"]]
    assert paths == [["invitee"], ["organizationId"], ["expiresAt"], ["organizationRoleIds"]]
    assert refused.body["details"].count("\n") == 3


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"null", b'"text"', b'{"invitee": "\\ud800"}', b"\xff", b"NaN"])
def test_a_body_that_is_no_object_is_refused_as_a_wrong_one(wire: Wire, content: bytes) -> None:
    refused = wire("POST", "/organization-invitations", content)

    assert (refused.status, refused.code) == (400, "guard.invalid_input")
    assert refused.body["data"]["issues"]


def test_creating_is_checked_in_order(wire: Wire) -> None:
    acme = wire.organization()
    wire.admin(acme, "Ann")
    wire.invited(acme, "ben@example.com")
    past = {"expiresAt": wire.millis()}
    ann, ben = "ANN@example.com", "BEN@example.com"

    # Each is wrong in the next way too.
    answers = [
        wire.create(NO_ONE, "no address", **past),
        wire.create(NO_ONE, ann, **past),
        wire.create(NO_ONE, ann, organizationRoleIds=[NO_ONE]),
        wire.create(acme, ann, organizationRoleIds=[NO_ONE], inviterId=NO_ONE),
        wire.create(acme, ann, organizationRoleIds=[NO_ONE]),
        wire.create(acme, ann),
        wire.create(acme, ben),
    ]

    assert [(answer.status, answer.code) for answer in answers] == [
        (400, "guard.invalid_input"),
        (400, "request.invalid_input"),
        (422, "entity.relation_foreign_key_not_found"),
        (422, "entity.relation_foreign_key_not_found"),
        (422, "entity.relation_foreign_key_not_found"),
        (422, "request.invalid_input"),
        (422, "entity.unique_integrity_violation"),
    ]
    assert [answers[at].body["message"] for at in (1, 5)] == [
        "Input is invalid. The value of `expiresAt` must be in the future.",
        "Input is invalid. The invitee is already a member of the organization.",
    ]
    assert wire.listed() == ["ben@example.com"]


def test_one_address_may_be_pending_in_several_organizations(wire: Wire) -> None:
    assert [wire.create(wire.organization(name)).status for name in ("Acme", "Umbrella")] == [201, 201]


@pytest.mark.parametrize("past", [0, -1, -(10**30), 1.5])
def test_any_time_in_the_past_is_refused_alike(wire: Wire, past: float) -> None:
    assert wire.create(wire.organization(), expiresAt=past).code == "request.invalid_input"


def test_an_inviter_is_an_admin_of_the_organization(wire: Wire) -> None:
    acme = wire.organization()
    member, stranger = wire.admin(acme, "Mia", ("member",)), spelled(wire.world.account("Sam"))

    by_member = wire.create(acme, inviterId=member)
    by_others = [wire.create(acme, inviterId=other) for other in (stranger, NO_ONE, "", "x")]

    assert (by_member.status, by_member.code) == (403, "auth.forbidden")
    assert {(answer.status, answer.code) for answer in by_others} == {(422, "entity.relation_foreign_key_not_found")}
    assert wire.invited(acme, inviterId=None)["inviterId"] is None


# Who calls.


@pytest.mark.parametrize(
    ("authorization", "code"),
    [
        (None, "auth.authorization_header_missing"),
        ("Basic YTpi", "auth.authorization_token_type_not_supported"),
        ("Bearer", "auth.unauthorized"),
        ("Bearer nonsense", "auth.unauthorized"),
        ("Bearer orgkey_unknown", "auth.unauthorized"),
    ],
)
def test_who_shows_no_good_token_is_told_why(wire: Wire, authorization: str | None, code: str) -> None:
    refused = wire("POST", "/organization-invitations", b"{", authorization=authorization)

    assert (refused.status, refused.code) == (401, code)
    supported = {"data": {"supportedTypes": ["Bearer"]}} if "type" in code else {}
    assert refused.body == {"code": code, "message": refused.body["message"]} | supported


def test_a_key_without_the_scope_is_forbidden(wire: Wire) -> None:
    acme = wire.organization()
    reader = wire.as_key(Scope.INVITATIONS_READ)

    assert reader.listed() == []
    refused = reader.create(acme)
    assert (refused.status, refused.code) == (403, "auth.forbidden")
    assert refused.body["message"] == "Forbidden. Please check your user roles and permissions."
    assert wire.as_key(Scope.INVITATIONS_WRITE)("GET", "/organization-invitations").code == "auth.forbidden"
    assert wire.as_key(Scope.INVITATIONS_WRITE)("GET", "/organization-invitations", invitee="x").status == 403


def test_what_a_key_does_not_reach_it_does_not_find(wire: Wire) -> None:
    acme, umbrella = wire.organization("Acme"), wire.organization("Umbrella")
    invitation = wire.invited(umbrella)
    confined = wire.as_key(organization_ids=(from_logto_id(acme) or "",))

    assert confined("GET", f"/organization-invitations/{invitation['id']}").code == "entity.not_found"
    assert revoke(confined, invitation).code == "entity.not_found"
    assert confined("GET", f"/organizations/{umbrella}").code == "entity.not_found"
    assert confined.create(umbrella, "ben@example.com").code == "entity.relation_foreign_key_not_found"
    assert confined("POST", "/organizations", {"name": "Third"}).code == "auth.forbidden"


def test_an_admin_may_invite_with_a_token_of_their_own_and_others_may_not(wire: Wire) -> None:
    acme = wire.organization()
    boss = wire.admin(acme, "Boss")
    wire.admin(acme, "Mia", ("member",))

    assert wire.as_person("Boss").invited(acme)["inviterId"] == boss
    assert wire.as_person("Mia").create(acme, "ben@example.com").code == "auth.forbidden"
    assert wire.as_person("Sam").create(acme, "ben@example.com").code == "entity.relation_foreign_key_not_found"
    assert wire.as_person("Boss")("GET", "/organizations").code == "auth.forbidden"


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", ""),
        ("GET", "/users"),
        ("PATCH", f"/organization-invitations/{NO_ONE}"),
        ("GET", f"/organizations/{NO_ONE}/users"),
        ("GET", f"/organizations/{NO_ONE}/jit/email-domains"),
        ("GET", "/organization-invitations/%00%ff"),
    ],
)
def test_what_is_not_served_is_not_found(wire: Wire, method: str, path: str) -> None:
    refused = wire(method, path)

    assert refused.status == 404
    assert refused.body == {"code": "entity.not_found", "message": "The resource does not exist."}


# Roles.


def test_a_role_is_made_listed_and_carried_by_invitations(wire: Wire) -> None:
    made = wire("POST", "/organization-roles", {"name": "Content Editor", "description": "Writes"})

    assert made.status == 201
    shown = {"tenantId": "default", "name": "Content Editor", "description": "Writes", "type": "User"}
    assert made.body == shown | {"id": made.body["id"]}
    listed = wire("GET", "/organization-roles")
    assert listed.headers["total-number"] == "3"
    assert [role["id"] for role in listed.body] == ["admin", "member", made.body["id"]]
    assert listed.body[2] == made.body | {"scopes": [], "resourceScopes": []}
    (role,) = wire.world.service.roles.list()
    assert (role.key, role.rights) == ("content-editor", Role.MEMBER)
    invitation = wire.invited(wire.organization(), organizationRoleIds=[made.body["id"], "member"])
    assert invitation["organizationRoles"] == [{"id": made.body["id"], "name": "Content Editor"}]


def test_the_roles_of_an_invitation_stand_by_name(wire: Wire) -> None:
    ids = [wire.role(name) for name in ("writer", "Editor", "bee")]

    invitation = wire.invited(wire.organization(), organizationRoleIds=[*ids, "admin"])

    assert [role["name"] for role in invitation["organizationRoles"]] == ["Editor", "admin", "bee", "writer"]


@pytest.mark.parametrize("name", ["admin", "Admin", " ADMIN ", "member"])
def test_a_role_named_as_a_built_in_one_is_that_one(wire: Wire, name: str) -> None:
    assert [wire.role(name) for _ in range(2)] == [name.strip().lower()] * 2
    assert wire.world.service.roles.list() == []


def test_admin_is_not_repeated_where_a_named_role_gives_its_rights(wire: Wire) -> None:
    chief = wire.world.service.roles.create("chief", "Chief", rights=Role.ADMIN)

    invitation = wire.invited(wire.organization(), organizationRoleIds=[logto_id(chief.id)])

    assert [role["name"] for role in invitation["organizationRoles"]] == ["Chief"]


@pytest.mark.parametrize(
    ("names", "keys"),
    [
        (("Content Editor",), {"content-editor"}),
        (("Editor!", "Editor?", "Editor"), {"editor", "editor-[0-9a-f]{8}"}),
        (("管理者", "編集者"), {"role-[0-9a-f]{8}"}),
        (("-_-",), {"role-[0-9a-f]{8}"}),
        (("x" * 128,), {"x{50}-[0-9a-f]{8}"}),
    ],
)
def test_a_role_of_any_name_gets_a_key_of_its_own(wire: Wire, names: tuple[str, ...], keys: set[str]) -> None:
    for name in names:
        wire.role(name)

    made = {role.key for role in wire.world.service.roles.list()}
    assert len(made) == len(names)
    assert all(any(re.fullmatch(key, one) for key in keys) for one in made)


def test_a_role_of_a_name_that_is_taken_is_refused(wire: Wire) -> None:
    wire.role("Editor")

    refused = wire("POST", "/organization-roles", {"name": "Editor"})

    assert (refused.status, refused.code) == (422, "entity.unique_integrity_violation")


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"name": ""},
        {"name": "two\nlines"},
        {"name": "Editor", "type": "MachineToMachine"},
        {"name": "Editor", "organizationScopeIds": ["x"]},
        {"name": "Editor", "description": "x" * 257},
    ],
)
def test_a_role_that_cannot_be_kept_is_refused(wire: Wire, body: dict[str, Any]) -> None:
    assert wire("POST", "/organization-roles", body).code == "guard.invalid_input"


# Users of an organization.


def test_users_are_added_all_or_none_and_removed(wire: Wire) -> None:
    acme = wire.organization()
    ann, ben = (spelled(wire.world.account(name)) for name in ("Ann", "Ben"))
    users = f"/organizations/{acme}/users"

    refused = wire("POST", users, {"userIds": [ann, NO_ONE, ben]})
    assert (refused.status, refused.code) == (422, "entity.relation_foreign_key_not_found")
    assert wire("GET", f"{users}/{ann}/roles").code == "organization.require_membership"

    added = wire("POST", users, {"userIds": [ann, ben, ann]})
    assert (added.status, added.body) == (201, {"userIds": [ann, ben, ann]})
    assert [role["id"] for role in wire("GET", f"{users}/{ann}/roles").body] == ["member"]
    assert wire("POST", users, {"userIds": [ann]}).status == 201

    assert [wire("DELETE", f"{users}/{ann}").status for _ in range(2)] == [204, 404]
    assert wire("POST", f"/organizations/{NO_ONE}/users", {"userIds": [ann]}).status == 422
    assert wire("POST", users, {"userIds": []}).code == "guard.invalid_input"


def test_roles_are_assigned_to_members_on_top_of_those_they_have(wire: Wire) -> None:
    acme, editor, writer = wire.organization(), wire.role("Editor"), wire.role("Writer")
    ann = wire.admin(acme, "Ann", (editor,))
    path = f"/organizations/{acme}/users/{ann}/roles"

    given = wire("POST", path, {"organizationRoleIds": [writer, "admin"]})

    assert (given.status, given.body) == (201, {"organizationRoleIds": [writer, "admin"]})
    assert [role["name"] for role in wire("GET", path).body] == ["Editor", "Writer", "admin"]
    page = wire("GET", path, page="2", page_size="2")
    assert [role["name"] for role in page.body] == ["admin"]
    assert page.headers["total-number"] == "3"
    assert wire("POST", path, {"organizationRoleIds": [NO_ONE]}).code == "entity.relation_foreign_key_not_found"
    ben = spelled(wire.world.account("Ben"))
    refused = wire("POST", f"/organizations/{acme}/users/{ben}/roles", {"organizationRoleIds": ["admin"]})
    assert (refused.status, refused.code) == (422, "organization.require_membership")


def test_the_last_admin_is_not_removed(wire: Wire) -> None:
    acme = wire.organization()
    boss = wire.admin(acme)

    refused = wire("DELETE", f"/organizations/{acme}/users/{boss}")

    assert (refused.status, refused.code) == (422, "request.invalid_input")


# Organizations and pages.


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"name": ""},
        {"name": "ab"},
        {"name": "x" * 129},
        {"name": "Acme", "isMfaRequired": True},
        {"name": "Acme", "customData": []},
        {"name": "Acme", "customData": {"much": "x" * 20_000}},
        {"name": "Acme", "branding": {"logoUrl": 1}},
        {"name": "Acme", "branding": {"theme": "dark"}},
    ],
)
def test_an_organization_that_cannot_be_kept_is_refused(wire: Wire, body: dict[str, Any]) -> None:
    assert wire("POST", "/organizations", body).code == "guard.invalid_input"


@pytest.mark.parametrize("nested", [b"[" * 40 + b"]" * 40, b"[" * 900 + b"]" * 900, b"1e999", b"-1e999"])
def test_data_that_could_not_be_said_again_is_not_kept(wire: Wire, nested: bytes) -> None:
    assert wire("POST", "/organizations", b'{"name": "Acme", "customData": {"a": %b}}' % nested).status == 400


def test_a_page_says_how_many_there_are_and_where_the_others_stand(wire: Wire) -> None:
    for number in range(5):
        wire.organization(f"Team {number}")
        wire.world.clock.forward(MILLISECOND)

    page = wire("GET", "/organizations", page="2", page_size="2", q="%TEAM%")

    assert [organization["name"] for organization in page.body] == ["Team 2", "Team 1"]
    assert page.headers["total-number"] == "5"
    base = "https://orgs.example.com/logto/api/organizations?page_size=2&q=%25TEAM%25&page="
    links = {rel: url for url, rel in re.findall(r'<([^>]*)>; rel="([a-z]+)"', page.headers["link"])}
    assert links == {"first": base + "1", "last": base + "3", "prev": base + "1", "next": base + "3"}


def test_a_page_beyond_the_end_is_empty(wire: Wire) -> None:
    wire.organization()

    page = wire("GET", "/organizations", page="999999999", page_size="100")

    assert (page.status, page.body, page.headers["total-number"]) == (200, [], "1")


def test_a_list_of_organizations_counts_members_where_it_is_asked_to(wire: Wire) -> None:
    wire.admin(wire.organization())

    assert "usersCount" not in wire("GET", "/organizations").body[0]
    assert wire("GET", "/organizations", showFeatured="true").body[0]["usersCount"] == 1


@pytest.mark.parametrize(
    "query", [{"page": "0"}, {"page": "-1"}, {"page": "x"}, {"page": "1e20"}, {"page_size": "0"}, {"page_size": "101"}]
)
@pytest.mark.parametrize("path", ["/organizations", "/organization-roles"])
def test_a_page_that_cannot_be_is_refused(wire: Wire, path: str, query: dict[str, str]) -> None:
    refused = wire("GET", path, **query)

    assert (refused.status, refused.code) == (400, "guard.invalid_pagination")


# Whatever comes.

ROUTES = [
    ("POST", "/organization-invitations"),
    ("GET", "/organization-invitations"),
    ("GET", "/organization-invitations/{invitation}"),
    ("POST", "/organization-invitations/{invitation}/message"),
    ("PUT", "/organization-invitations/{invitation}/status"),
    ("POST", "/organizations"),
    ("GET", "/organizations"),
    ("PATCH", "/organizations/{organization}"),
    ("POST", "/organizations/{organization}/users"),
    ("DELETE", "/organizations/{organization}/users/{account}"),
    ("POST", "/organizations/{organization}/users/{account}/roles"),
    ("GET", "/organizations/{organization}/users/{account}/roles"),
    ("POST", "/organization-roles"),
    ("GET", "/organization-roles"),
]
FIELDS = [
    *("acceptedUserId", "branding", "customData", "description", "expiresAt", "invitee", "inviterId", "isMfaRequired"),
    *("link", "locale", "messagePayload", "name", "organizationId", "organizationRoleIds", "organizationScopeIds"),
    *("resourceScopeIds", "status", "type", "userIds"),
]
QUERIES = ["organizationId", "inviterId", "invitee", "page", "page_size", "q", "showFeatured"]


def values(ids: st.SearchStrategy[str]) -> st.SearchStrategy[Any]:
    plain = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.emails() | ids
    likely = st.sampled_from(
        ["Accepted", "Revoked", "User", "admin", 2**43, {"link": "https://x.example"}, {}, [], False]
    )
    nested = st.recursive(
        plain, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3), max_leaves=5
    )
    return likely | nested | st.lists(ids, max_size=3)


@pytest.mark.slow
@pytest.mark.parametrize("sends_mail", [True, False])
@given(data=st.data())
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_nothing_that_is_sent_breaks_it(world: World, sends_mail: bool, data: st.DataObject) -> None:
    wire = wire_of(world, sends_mail=sends_mail)
    acme = next((found["id"] for found in wire("GET", "/organizations", q="Acme").body), None) or wire.organization()
    pending = wire("GET", "/organization-invitations", invitee="ann@example.com").body
    places = {
        "organization": acme,
        "invitation": pending[0]["id"] if pending else wire.invited(acme)["id"],
        "account": spelled(world.account("Ann")),
    }
    ids = st.sampled_from([*places.values(), NO_ONE, "z" * 21, "admin"])
    method, path = data.draw(st.sampled_from(ROUTES))
    right = wire.asked(acme, f"guest-{len(wire.listed())}@example.com", name="Another", userIds=[places["account"]])
    body = data.draw(
        st.dictionaries(st.sampled_from(FIELDS), values(ids), max_size=4).map(lambda some: right | some) | values(ids)
    )
    query = data.draw(st.dictionaries(st.sampled_from(QUERIES), st.text(max_size=30) | ids, max_size=3))

    answer = wire(method, path.format_map(places), body, **query)

    assert answer.status < 500 or (answer.status, answer.code) == (501, "connector.not_found")
    if answer.status >= 400:
        assert {"code", "message"} <= answer.body.keys() <= {"code", "message", "data", "details"}


@given(content=st.binary(max_size=200))
@example(b'{"name": "\\ud800\\ud800"}')
@example(b"[" * 100_000)
@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_bytes_that_are_no_json_are_refused(wire: Wire, content: bytes) -> None:
    assert wire("POST", "/organizations", content).status == 400


def test_a_body_that_is_too_large_is_refused(wire: Wire) -> None:
    assert wire("POST", "/organizations", b'{"name": "%b"}' % (b"x" * 5_000_000)).status == 413


def test_a_repeated_request_with_a_key_is_answered_as_it_was(wire: Wire) -> None:
    acme = wire.organization()
    content = json.dumps(wire.asked(acme)).encode()
    headers = {"authorization": f"Bearer {wire.token}", "idempotency-key": "one"}

    answers = [wire.client.post("/logto/api/organization-invitations", data=content, headers=headers) for _ in range(2)]

    assert [answer.status_code for answer in answers] == [201, 201]
    assert answers[0].data == answers[1].data
    other = json.dumps(wire.asked(acme, "ben@example.com")).encode()
    refused = wire.client.post("/logto/api/organization-invitations", data=other, headers=headers)
    assert (refused.status_code, json.loads(refused.data)["code"]) == (409, "request.idempotency_key_reused")


def test_an_invitation_of_another_wire_is_shown_here(wire: Wire) -> None:
    service, ada = wire.world.service, wire.world.call("Ada")
    organization, _ = service.organizations.create(ada, "Elsewhere")
    made = service.invitations.create(ada, organization.id, NewInvitation("ann@example.com", roles=("admin",)))

    shown = wire("GET", f"/organization-invitations/{logto_id(made.invitation.id)}").body

    assert shown["inviterId"] == spelled(ada.caller.account)
    assert shown["organizationRoles"] == [{"id": "admin", "name": "admin"}]
