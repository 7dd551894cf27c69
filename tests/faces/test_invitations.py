"""Our own contract of invitations on the wire: what the use cases alone can't show."""

from __future__ import annotations

import json
from typing import Any

import pytest

from server.faces.spelling import clerk_id, logto_id
from server.wires import build_edge
from tests.faces.conftest import Stage
from tests.faces.wire import CONNECT_JSON, PROTOCOLS, Wire

GOOD = {"email": "eve@example.com", "sendEmail": False}
MALFORMED = [
    {"email": ""},
    {"email": "x"},
    {"email": "e" * 330 + "@example.com"},
    {"email": "eve@example.com", "ttl": "1s"},
    {"email": "eve@example.com", "locale": "no locale"},
    {"email": "eve@example.com", "inviterAccountId": "no UUID"},
]


def _invite(stage: Stage, **new: Any) -> Any:
    request = {"organizationId": stage.it.id, "invitation": GOOD | new}
    return stage.wire.ask("CreateInvitation", request, token=stage.token("Ada"))


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_malformed_item_of_a_batch_has_an_outcome_and_hinders_no_other(stage: Stage, protocol: str) -> None:
    items = [*MALFORMED, GOOD, {"email": "nope at example.com"}]
    answer = stage.wire.call(
        protocol,
        "BatchCreateInvitations",
        {"organizationId": stage.it.id, "invitations": items},
        token=stage.token("Ada"),
    )
    made = stage.wire.message("BatchCreateInvitations", answer)
    reasons = [o.outcome.value.reason if o.outcome.field == "refused" else None for o in made.outcomes]
    assert reasons == ["INVALID_REQUEST"] * len(MALFORMED) + [None, "ADDRESS_INVALID"]
    assert made.created_count == 1


def test_a_malformed_item_refuses_all_where_all_or_nothing_is_asked_for(stage: Stage) -> None:
    request = {"organizationId": stage.it.id, "invitations": [GOOD, {"email": ""}], "allOrNothing": True}
    answer = stage.wire.call(CONNECT_JSON, "BatchCreateInvitations", request, token=stage.token("Ada"))
    assert answer.reason == "INVALID_REQUEST"
    listed = stage.wire.ask("ListInvitations", {"organizationId": stage.it.id}, token=stage.token("Ada"))
    assert listed["invitations"] == []


def test_a_batch_of_a_thousand_with_metadata_is_taken(stage: Stage) -> None:
    items = [GOOD | {"email": f"p{n}@example.com", "publicMetadata": {"note": "n" * 2000}} for n in range(1000)]
    request = {"organizationId": stage.it.id, "invitations": items}
    made = stage.wire.ask("BatchCreateInvitations", request, token=stage.token("Ada"))
    assert made["createdCount"] == 1000
    assert made["outcomes"][999]["created"]["invitation"]["email"] == "p999@example.com"


def test_pages_of_ones_own_invitations_stay_right_while_they_are_answered(stage: Stage) -> None:
    token = stage.token("Eve")
    for name in ("One", "Two", "Three", "Four"):
        organization = stage.wire.ask("CreateOrganization", {"name": name}, token=stage.token("Ada"))["organization"]
        request = {"organizationId": organization["id"], "invitation": GOOD}
        stage.wire.ask("CreateInvitation", request, token=stage.token("Ada"))
    seen: list[str] = []
    page: dict[str, Any] = {}
    while not page or page["nextPageToken"]:
        page = stage.wire.ask(
            "ListMyInvitations", {"pageSize": 2, "pageToken": page.get("nextPageToken", "")}, token=token
        )
        for invitation in page["invitations"]:
            seen.append(invitation["organizationName"])
            stage.wire.ask("AcceptInvitation", {"invitationId": invitation["id"]}, token=token)
    assert sorted(seen) == ["Four", "One", "Three", "Two"]


@pytest.mark.parametrize(
    "metadata",
    [{"n": 10**400}, {"n": 2**53 + 1}, {"n": -(2**53) - 1}, {"a": "x" * 16_400}, [{}]],
    ids=["huge", "inexact", "inexact below zero", "large", "list"],
)
def test_metadata_that_not_every_wire_can_say_is_refused_on_the_one_that_can(stage: Stage, metadata: Any) -> None:
    key, _ = stage.world.service.backend_keys.issue("test")
    body = {"email_address": "eve@example.com", "role": "org:member", "public_metadata": metadata}
    path = f"/clerk/v1/organizations/{clerk_id('org', stage.it.id)}/invitations"
    answer = stage.wire.http(path, json.dumps(body).encode(), {"authorization": f"Bearer {key}"})
    assert answer.status in (400, 422)


def test_only_a_backend_may_have_a_mail_carry_any_link(stage: Stage) -> None:
    key, _ = stage.world.service.backend_keys.issue("test")

    def invite(token: str, email: str) -> int:
        soon = round((stage.world.clock.now.timestamp() + 86_400) * 1000)
        body = {"invitee": email, "organizationId": logto_id(stage.it.id), "expiresAt": soon}
        body["messagePayload"] = {"link": "https://elsewhere.example/x"}
        headers = {"authorization": f"Bearer {token}"}
        return edge.http("/logto/api/organization-invitations", json.dumps(body).encode(), headers).status

    edge = Wire(build_edge(stage.world.service, sends_mail=True))
    assert invite(key, "eve@example.com") == 201
    assert invite(stage.token("Ada"), "dan@example.com") in (400, 422)


def test_metadata_nested_deeper_than_every_wire_can_say_is_refused(stage: Stage) -> None:
    nested: dict[str, Any] = {}
    for _ in range(40):
        nested = {"in": nested}
    request = {"organizationId": stage.it.id, "invitation": GOOD | {"publicMetadata": nested}}
    answer = stage.wire.call(CONNECT_JSON, "CreateInvitation", request, token=stage.token("Ada"))
    assert (answer.reason, answer.fields) == ("INVALID_REQUEST", ["public_metadata"])


def test_the_order_of_metadata_does_not_make_it_another_request(stage: Stage) -> None:
    token = stage.token("Ada")

    def invite(metadata: dict[str, int]) -> Any:
        request = {"organizationId": stage.it.id, "invitation": GOOD | {"publicMetadata": metadata}}
        answer = stage.wire.call(
            CONNECT_JSON, "CreateInvitation", request, token=token, headers={"idempotency-key": "one"}
        )
        assert answer.status == 200, answer.body
        return answer.json()

    assert invite({"a": 1, "b": 2}) == invite({"b": 2, "a": 1})
