"""Gitpod's contract in plain JSON, as its JSON SDK and curl speak it."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote, urlencode

import pytest

from tests.faces.conftest import Stage
from tests.faces.wire import CONNECT_JSON, CONNECT_PROTO, GRPC, GRPC_WEB, PROTOCOLS, Wire
from tests.stories.people import party


def nulls(value: Any) -> bool:
    """Tell whether a null stands anywhere in it."""
    if isinstance(value, dict):
        return any(nulls(each) for each in value.values())
    if isinstance(value, list):
        return any(nulls(each) for each in value)
    return value is None


def test_an_organization_is_made_joined_and_listed_in_json(stage: Stage) -> None:
    wire, ada, bob = stage.wire, stage.token("Ada"), stage.token("Bob")
    made = wire.ask("CreateOrganization", {"name": "New", "joinOrganization": True}, token=ada)
    organization = made["organization"]
    assert organization == {
        "id": organization["id"],
        "name": "New",
        "createdAt": "2030-01-01T12:00:00Z",
        "updatedAt": "2030-01-01T12:00:00Z",
        "tier": "ORGANIZATION_TIER_FREE",
    }
    assert made["member"] == {
        "userId": made["member"]["userId"],
        "role": "ORGANIZATION_ROLE_ADMIN",
        "memberSince": "2030-01-01T12:00:00Z",
        "avatarUrl": "",
        "fullName": "Ada",
        "email": "ada@example.com",
        "status": "USER_STATUS_ACTIVE",
        "loginProvider": "local",
    }
    it = {"organizationId": organization["id"]}
    invite = wire.ask("CreateOrganizationInvite", it, token=ada)["invite"]
    assert wire.ask("GetOrganizationInvite", it, token=ada) == {"invite": invite}
    assert wire.ask("GetOrganizationInviteSummary", invite) == {
        **it,
        "organizationName": "New",
        "organizationMemberCount": 1,
    }
    joined = wire.ask("JoinOrganization", invite, token=bob)["member"]
    assert (joined["fullName"], joined["role"]) == ("Bob", "ORGANIZATION_ROLE_MEMBER")
    listed = wire.ask("ListMembers", {**it, "count": {"include": True}}, token=ada)
    assert [member["fullName"] for member in listed["members"]] == ["Ada", "Bob"]
    assert listed["pagination"] == {"nextToken": ""}
    assert listed["count"] == {"value": 2, "relation": "COUNT_RESPONSE_RELATION_EQ"}


def test_default_values_are_printed_and_nothing_is_null(stage: Stage) -> None:
    wire, ada = stage.wire, stage.token("Ada")
    user_token = stage.user_token("Ada")
    answers = [
        wire.ask("CreateOrganization", {"name": "Without the member"}, token=ada),
        wire.ask("GetOrganization", {"organizationId": stage.it.id}, token=ada),
        wire.ask("ListMembers", {"organizationId": stage.it.id}, token=ada),
        wire.ask("GetAccount", token=ada),
        wire.ask("GetAuthenticatedIdentity", token=ada),
        wire.ask("GetAuthenticatedUser", token=user_token),
        wire.ask("ListPersonalAccessTokens", token=ada),
        wire.ask("ListJoinableOrganizations", token=ada),
    ]
    assert not any(nulls(answer) for answer in answers)
    assert "member" not in answers[0]
    assert "inviteDomains" not in answers[1]["organization"]
    assert "count" not in answers[2]
    account = answers[3]["account"]
    assert (account["avatarUrl"], account["publicEmailProvider"], account["joinables"]) == ("", False, [])
    assert "organizationId" not in account
    assert answers[4]["organizationId"] == answers[4]["organizationTier"] == ""
    (token,) = answers[6]["personalAccessTokens"]
    assert (token["description"], token["readOnly"]) == ("", False)
    assert "lastUsed" not in token
    assert answers[7] == {"joinableOrganizations": [], "pagination": {"nextToken": ""}}


@pytest.mark.parametrize("method", ["SetRole", "LeaveOrganization", "DeleteOrganization", "DeletePersonalAccessToken"])
def test_an_empty_answer_is_an_empty_object_with_status_200(stage: Stage, method: str) -> None:
    stage.user_token("Ada")
    (token,) = stage.world.service.tokens.list_personal(stage.world.call("Ada"))[0]
    requests = {
        "SetRole": {"organizationId": stage.it.id, "userId": stage.it.users["Bob"], "role": "ORGANIZATION_ROLE_ADMIN"},
        "LeaveOrganization": {"userId": stage.it.users["Bob"]},
        "DeleteOrganization": {"organizationId": stage.it.id},
        "DeletePersonalAccessToken": {"personalAccessTokenId": token.id},
    }
    answer = stage.wire.call(CONNECT_JSON, method, requests[method], token=stage.token("Ada"))
    assert (answer.status, answer.body, answer.headers["content-type"]) == (200, b"{}", "application/json")


@pytest.mark.parametrize(
    "body",
    [
        b'{"name": "Acme 2", "unknown": {"deep": [1, null, "x"]}, "joinOrganization": true}',
        b'{"name": "Acme 2", "joinOrganization": true, "inviteAccountsWithMatchingDomain": null}',
        b'{"name": "Acme 2", "join_organization": true}',
        b' {"name": "Acme 2" , "joinOrganization" : true}\n',
        b'{"name": "\\u0041cme 2", "joinOrganization": true}',
    ],
)
def test_unknown_fields_nulls_and_other_spellings_of_names_are_taken_as_protobufs_json_has_it(
    stage: Stage, body: bytes
) -> None:
    answer = stage.wire.send(CONNECT_JSON, "CreateOrganization", body, token=stage.token("Ada"))
    assert answer.json()["organization"]["name"] == "Acme 2"
    assert answer.json()["member"]["fullName"] == "Ada"


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_an_empty_body_is_the_empty_message(stage: Stage, protocol: str) -> None:
    answer = stage.wire.send(protocol, "GetAccount", b"", token=stage.token("Ada"))
    assert stage.wire.message("GetAccount", answer).account.email == "ada@example.com"


def test_what_only_writing_can_tell_apart_is_told_apart(stage: Stage) -> None:
    """A name that isn't given stays; domains that are given as empty are taken away."""
    wire, ada, it = stage.wire, stage.token("Ada"), {"organizationId": stage.it.id}
    domains = {"inviteDomains": {"domains": ["Example.com"]}}
    changed = wire.ask("UpdateOrganization", it | domains, token=ada)["organization"]
    assert (changed["name"], changed["inviteDomains"]) == ("Acme", {"domains": ["example.com"]})
    assert wire.ask("UpdateOrganization", it | {"name": "New"}, token=ada)["organization"]["inviteDomains"] == {
        "domains": ["example.com"]
    }
    emptied = wire.ask("UpdateOrganization", it | {"inviteDomains": {}}, token=ada)["organization"]
    assert "inviteDomains" not in emptied
    assert emptied["name"] == "New"


@pytest.mark.parametrize("method", ["ListMembers", "ListPersonalAccessTokens", "ListJoinableOrganizations"])
def test_a_page_asked_for_in_the_query_of_a_post_goes_before_the_bodys(stage: Stage, method: str) -> None:
    wire, ada = stage.wire, stage.token("Ada")
    stage.it.join("Cem")
    for _ in range(3):
        stage.user_token("Ada")
        eves = party(stage.world, "Eve")
        stage.world.service.organizations.update(stage.world.call("Eve"), eves.id, invite_domains=("example.com",))
    request: dict[str, Any] = {"organizationId": stage.it.id} if method == "ListMembers" else {}

    def page(body: dict[str, Any], **query: object) -> tuple[int, str]:
        answer = wire.call(CONNECT_JSON, method, request | body, token=ada, query=urlencode(query)).json()
        (entries,) = (value for value in answer.values() if isinstance(value, list))
        return len(entries), answer["pagination"]["nextToken"]

    count, token = page({"pagination": {"pageSize": 100}}, pageSize=2)
    assert (count, bool(token)) == (2, True)
    assert page({"pagination": {"token": "never looked at"}}, pageSize=2, token=token) == (1, "")
    assert page({}, pageSize="0", other="ignored") == (3, "")
    assert page({}, pageSize=1, token=token) == (1, "")


@pytest.mark.parametrize("size", ["101", "x", "-1", "1.0", "", " 1", "٣", "9" * 30])
def test_a_page_size_in_the_query_is_held_to_the_same_rules(stage: Stage, size: str) -> None:
    answer = stage.wire.call(
        CONNECT_JSON,
        "ListMembers",
        {"organizationId": stage.it.id},
        token=stage.token("Ada"),
        query=f"pageSize={quote(size)}",
    )
    # An empty value doesn't count as one, as everywhere in query strings.
    assert answer.fields == (["pagination.page_size"] if size else [])


def test_a_query_means_nothing_to_a_method_without_pages(stage: Stage) -> None:
    answer = stage.wire.call(
        CONNECT_JSON,
        "GetOrganization",
        {"organizationId": stage.it.id},
        token=stage.token("Ada"),
        query="token=x&pageSize=y",
    )
    assert answer.status == 200


def get(wire: Wire, name: str, request: dict[str, Any], token: str | None = None, **query: str) -> Any:
    headers = {} if token is None else {"authorization": f"Bearer {token}"}
    asked = urlencode({"connect": "v1", "encoding": "json", "message": json.dumps(request), **query})
    return wire.http(f"/{wire.method(name).service_name}/{name}", b"", headers, http_method="GET", query=asked)


def test_get_is_open_to_the_methods_that_the_contract_declares_and_closed_to_all_others(stage: Stage) -> None:
    wire, ada = stage.wire, stage.token("Ada")
    declared = []
    for path, method in wire.methods.items():
        if not path.startswith("gitpod."):
            continue
        answer = get(wire, method.name, {}, ada)
        if answer.status == 405:
            assert answer.headers["allow"] == "POST"
            assert not wire.reads(method.name)
        else:
            declared.append(method.name)
            assert wire.reads(method.name)
            assert answer.status in (200, 400)
    assert sorted(declared) == [
        "GetAccount",
        "GetAuthenticatedIdentity",
        "GetAuthenticatedUser",
        "GetOrganization",
        "GetOrganizationInviteSummary",
        "GetPersonalAccessToken",
        "GetUser",
        "ListJoinableOrganizations",
        "ListMembers",
        "ListPersonalAccessTokens",
    ]
    assert len(stage.world.service.organizations.list_own(stage.world.call("Ada"))) == 1


def test_get_answers_as_post_does(stage: Stage) -> None:
    wire, ada, it = stage.wire, stage.token("Ada"), {"organizationId": stage.it.id}
    assert json.loads(get(wire, "GetOrganization", it, ada).body) == wire.ask("GetOrganization", it, token=ada)
    summary = {"inviteId": stage.it.invite}
    assert json.loads(get(wire, "GetOrganizationInviteSummary", summary).body) == wire.ask(
        "GetOrganizationInviteSummary", summary
    )
    foreign = get(wire, "GetOrganization", it, stage.token("Eve"))
    assert (foreign.status, json.loads(foreign.body)["code"]) == (404, "not_found")


@pytest.mark.parametrize("scheme", ["Basic", "Token", "", "Bearer,", "Bearer:", "BearerBearer"])
def test_a_token_is_taken_as_a_bearers_alone(standing_stage: Stage, scheme: str) -> None:
    token = standing_stage.token("Ada")
    for spelled, status in ((scheme, 401), ("bearer", 200), ("BEARER", 200), ("Bearer ", 200)):
        headers = {"authorization": f"{spelled} {token}"}
        assert standing_stage.wire.call(CONNECT_JSON, "GetAccount", headers=headers).status == status


@pytest.mark.parametrize("http_method", ["PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "TRACE"])
def test_other_http_methods_are_refused(stage: Stage, http_method: str) -> None:
    for method in ("GetAccount", "DeleteOrganization"):
        path = f"/{stage.wire.method(method).service_name}/{method}"
        answer = stage.wire.http(path, b"{}", {"content-type": "application/json"}, http_method=http_method)
        assert answer.status == 405


@pytest.mark.parametrize(
    "content_type",
    ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "text/json", ""],
)
def test_what_a_browser_sends_without_asking_first_is_refused(stage: Stage, content_type: str) -> None:
    """So that a page of somebody else's can't make a person's browser change anything."""
    for method in ("CreateOrganization", "DeleteOrganization", "GetAccount"):
        path = f"/{stage.wire.method(method).service_name}/{method}"
        body = json.dumps({"organizationId": stage.it.id, "name": "By a form"}).encode()
        headers = {"authorization": f"Bearer {stage.token('Ada')}", "content-type": content_type}
        answer = stage.wire.http(path, body, headers)
        assert answer.status == 415
    assert len(stage.world.service.organizations.list_own(stage.world.call("Ada"))) == 1


def test_the_same_call_means_the_same_in_every_protocol(stage: Stage) -> None:
    wire, ada = stage.wire, stage.token("Ada")
    calls: dict[str, dict[str, Any]] = {
        "GetOrganization": {"organizationId": stage.it.id},
        "ListMembers": {"organizationId": stage.it.id, "count": {"include": True}, "filter": {"search": "ADA"}},
        "GetAccount": {},
        "GetAuthenticatedUser": {},
        "GetOrganizationInvite": {"organizationId": stage.it.id},
        "GetOrganizationInviteSummary": {"inviteId": stage.it.invite},
    }
    for name, request in calls.items():
        answers = [wire.message(name, wire.call(protocol, name, request, token=ada)) for protocol in PROTOCOLS]
        assert all(answer == answers[0] for answer in answers)
        compressed = [
            wire.message(name, wire.call(protocol, name, request, token=ada, compressed=True)) for protocol in PROTOCOLS
        ]
        assert compressed == answers


@pytest.mark.parametrize("protocol", [CONNECT_JSON, CONNECT_PROTO, GRPC, GRPC_WEB])
def test_an_answer_is_compressed_where_the_caller_reads_that(stage: Stage, protocol: str) -> None:
    answer = stage.wire.call(
        protocol,
        "GetAccount",
        token=stage.token("Ada"),
        headers={"accept-encoding": "br, gzip", "grpc-accept-encoding": "gzip"},
    )
    assert answer.headers["grpc-encoding" if "grpc" in protocol else "content-encoding"] == "gzip"
    assert stage.wire.message("GetAccount", answer).account.name == "Ada"
