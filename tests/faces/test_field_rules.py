"""The rules of requests: a refusal names every field at fault, as the contract spells it."""

from __future__ import annotations

from itertools import count
from typing import Any
from uuid import UUID

import pytest

from tests.faces.conftest import Stage
from tests.faces.wire import PROTOCOLS, Wire

_numbers = count()


def some_id() -> str:
    """Give an id, the same in every process, so that the tests below have the same names there."""
    return str(UUID(int=next(_numbers), version=4))


X = "no UUID"
TOO_MANY = [some_id() for _ in range(26)]

RULES: list[tuple[str, dict[str, Any], list[str]]] = [
    ("CreateOrganization", {}, ["name"]),
    ("CreateOrganization", {"name": "ab"}, ["name"]),
    ("CreateOrganization", {"name": "x" * 257}, ["name"]),
    ("CreateOrganization", {"name": "x  "}, ["name"]),
    ("CreateOrganization", {"name": "bell\u0007"}, ["name"]),
    ("GetOrganization", {}, ["organization_id"]),
    ("GetOrganization", {"organizationId": X}, ["organization_id"]),
    ("UpdateOrganization", {"organizationId": X, "name": "ab"}, ["organization_id", "name"]),
    ("UpdateOrganization", {"organizationId": some_id(), "name": "x" * 257}, ["name"]),
    (
        "UpdateOrganization",
        {"inviteDomains": {"domains": ["example.com", "-.com", "a.b", "example.com"]}},
        ["organization_id", "invite_domains.domains", "invite_domains.domains[1]", "invite_domains.domains[2]"],
    ),
    ("DeleteOrganization", {"organizationId": X}, ["organization_id"]),
    ("JoinOrganization", {}, ["join_id"]),
    ("JoinOrganization", {"inviteId": X}, ["invite_id"]),
    ("JoinOrganization", {"organizationId": X}, ["organization_id"]),
    ("LeaveOrganization", {}, ["user_id"]),
    ("LeaveOrganization", {"userId": X}, ["user_id"]),
    (
        "ListMembers",
        {
            "pagination": {"pageSize": 101, "token": "x" * 2049},
            "organizationId": X,
            "filter": {
                "search": "x" * 257,
                "statuses": ["USER_STATUS_LEFT", 99],
                "roles": [99],
                "userIds": [some_id(), X],
                "excludeGroupIds": [X],
                "email": "x" * 321,
                "loginProvider": 99,
            },
            "sort": {"field": 99, "order": 99},
        },
        [
            "pagination.page_size",
            "pagination.token",
            "organization_id",
            "filter.search",
            "filter.statuses[1]",
            "filter.roles[0]",
            "filter.user_ids[1]",
            "filter.exclude_group_ids[0]",
            "filter.email",
            "filter.login_provider",
            "sort.field",
            "sort.order",
        ],
    ),
    (
        "ListMembers",
        {
            "organizationId": some_id(),
            "pagination": {"pageSize": -1},
            "filter": {"userIds": TOO_MANY, "excludeGroupIds": TOO_MANY},
        },
        ["pagination.page_size", "filter.user_ids", "filter.exclude_group_ids"],
    ),
    ("SetRole", {"organizationId": X, "userId": X}, ["organization_id", "user_id", "role"]),
    ("SetRole", {"organizationId": some_id(), "userId": some_id(), "role": 99}, ["role"]),
    ("CreateOrganizationInvite", {"organizationId": X}, ["organization_id"]),
    ("GetOrganizationInvite", {"organizationId": X}, ["organization_id"]),
    ("GetOrganizationInviteSummary", {"inviteId": X}, ["invite_id"]),
    ("GetOrganizationInviteSummary", {}, ["invite_id"]),
    ("ListJoinableOrganizations", {"pagination": {"pageSize": 101}}, ["pagination.page_size"]),
    ("GetUser", {"userId": X}, ["user_id"]),
    (
        "CreatePersonalAccessToken",
        {"userId": X, "description": "x" * 257, "validFor": "-1s"},
        ["user_id", "description", "valid_for"],
    ),
    ("CreatePersonalAccessToken", {"userId": some_id(), "validFor": "7776000.000000001s"}, ["valid_for"]),
    ("GetPersonalAccessToken", {"personalAccessTokenId": X}, ["personal_access_token_id"]),
    (
        "ListPersonalAccessTokens",
        {"pagination": {"pageSize": 101}, "filter": {"userIds": [X]}},
        ["pagination.page_size", "filter.user_ids[0]"],
    ),
    ("ListPersonalAccessTokens", {"filter": {"userIds": TOO_MANY}}, ["filter.user_ids"]),
    ("DeletePersonalAccessToken", {"personalAccessTokenId": X}, ["personal_access_token_id"]),
]


@pytest.mark.parametrize(("method", "request_", "fields"), RULES, ids=lambda value: str(value)[:60])
def test_every_field_at_fault_is_named(
    standing_stage: Stage, method: str, request_: dict[str, Any], fields: list[str]
) -> None:
    token = standing_stage.token("Ada")
    for protocol in PROTOCOLS:
        answer = standing_stage.wire.call(protocol, method, request_, token=token)
        assert (answer.code, answer.reason) == ("invalid_argument", "INVALID_REQUEST")
        assert set(answer.fields) == set(fields)
        assert all(field in answer.message for field in fields)
        assert answer.metadata.keys() == {"fields"}


def test_every_method_that_takes_something_has_rules_and_is_tried(wire: Wire) -> None:
    taking = {
        method.name
        for path, method in wire.methods.items()
        if path.startswith("gitpod.") and method.input.desc().fields
    }
    assert taking == {method for method, _, _ in RULES}


def test_the_rules_hold_before_anybody_is_asked_who_they_are(standing_stage: Stage) -> None:
    answer = standing_stage.wire.call(PROTOCOLS[0], "GetOrganization", {"organizationId": X})
    assert answer.reason == "INVALID_REQUEST"


@pytest.mark.parametrize("name", ["abc", "x" * 256, "  abc  ", "Ünïcode 東京", "\U0001f469\u200d\U0001f680 Club"])
def test_a_name_at_the_edge_of_the_rules_is_taken(stage: Stage, name: str) -> None:
    made = stage.wire.ask("CreateOrganization", {"name": name}, token=stage.token("Ada"))
    assert made["organization"]["name"] == name.strip()


@pytest.mark.parametrize("valid_for", ["0s", "1s", "7776000s"])
def test_a_life_at_the_edge_of_the_rules_is_taken(stage: Stage, valid_for: str) -> None:
    request = {"userId": stage.it.users["Ada"], "validFor": valid_for, "description": "x" * 256}
    assert stage.wire.ask("CreatePersonalAccessToken", request, token=stage.token("Ada"))["token"]


def test_ids_are_taken_in_upper_case_too_where_they_are_secrets(stage: Stage) -> None:
    summary = stage.wire.ask("GetOrganizationInviteSummary", {"inviteId": stage.it.invite.upper()})
    assert summary["organizationId"] == stage.it.id
