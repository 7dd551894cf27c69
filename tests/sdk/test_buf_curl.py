"""buf curl without a schema: it asks the server what can be called, and calls it in each protocol."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.running import RunningServer
from tests.sdk.conftest import Someone
from tests.sdk.life import (
    Account,
    Identity,
    Member,
    Membership,
    Organization,
    RefusedError,
    Summary,
    Token,
    User,
    live,
    refused,
    refused_by_json,
)

BUF = Path(sys.executable).with_name("buf")
ORGANIZATIONS, ACCOUNTS, IDENTITY, USERS = (
    f"gitpod.v1.{name}Service" for name in ("Organization", "Account", "Identity", "User")
)


def buf_curl(*arguments: str) -> str:
    """Run it in a directory that has no schema; `RefusedError` when the server says no."""
    command = [BUF, "curl", "--http2-prior-knowledge", *arguments]
    done = subprocess.run(command, cwd="/", capture_output=True, text=True, timeout=60, check=False)
    if done.returncode:
        assert done.stderr.startswith("{"), done.stderr
        raise refused_by_json(json.loads(done.stderr))
    return done.stdout


class Person:
    """A person of `life` at a terminal."""

    makes_tokens = True

    def __init__(self, url: str, protocol: str, token: str) -> None:
        self._url = url
        self._protocol = protocol
        self._token = token

    def _call(self, service: str, method: str, **request: Any) -> Any:
        printed = buf_curl(
            *("--protocol", self._protocol),
            *("--header", f"authorization: Bearer {self._token}"),
            *("--data", json.dumps(request)),
            "--emit-defaults",
            f"{self._url}/{service}/{method}",
        )
        return json.loads(printed)

    def with_token(self, token: str) -> Person:
        return Person(self._url, self._protocol, token)

    def account(self) -> Account:
        account = self._call(ACCOUNTS, "GetAccount")["account"]
        memberships = tuple(
            Membership(
                m["userId"],
                m["userRole"],
                m["organizationId"],
                m["organizationName"],
                m["organizationMemberCount"],
            )
            for m in account["memberships"]
        )
        return Account(account["id"], account["name"], account["email"], memberships)

    def identity(self) -> Identity:
        found = self._call(IDENTITY, "GetAuthenticatedIdentity")
        return Identity(found["subject"]["principal"], found["subject"]["id"], found["organizationId"])

    def own_user(self) -> User:
        return _user(self._call(USERS, "GetAuthenticatedUser"))

    def user(self, user_id: str) -> User:
        return _user(self._call(USERS, "GetUser", userId=user_id))

    def create_organization(self, name: str) -> tuple[Organization, Member]:
        created = self._call(ORGANIZATIONS, "CreateOrganization", name=name, joinOrganization=True)
        return _organization(created), _member(created["member"])

    def organization(self, organization_id: str) -> Organization:
        return _organization(self._call(ORGANIZATIONS, "GetOrganization", organizationId=organization_id))

    def rename(self, organization_id: str, name: str) -> Organization:
        return _organization(self._call(ORGANIZATIONS, "UpdateOrganization", organizationId=organization_id, name=name))

    def delete_organization(self, organization_id: str) -> None:
        assert self._call(ORGANIZATIONS, "DeleteOrganization", organizationId=organization_id) == {}

    def create_invite(self, organization_id: str) -> str:
        created = self._call(ORGANIZATIONS, "CreateOrganizationInvite", organizationId=organization_id)
        invite_id: str = created["invite"]["inviteId"]
        return invite_id

    def invite(self, organization_id: str) -> str:
        found = self._call(ORGANIZATIONS, "GetOrganizationInvite", organizationId=organization_id)
        invite_id: str = found["invite"]["inviteId"]
        return invite_id

    def summary(self, invite_id: str) -> Summary:
        found = self._call(ORGANIZATIONS, "GetOrganizationInviteSummary", inviteId=invite_id)
        return Summary(found["organizationId"], found["organizationName"], found["organizationMemberCount"])

    def join(self, invite_id: str) -> Member:
        return _member(self._call(ORGANIZATIONS, "JoinOrganization", inviteId=invite_id)["member"])

    def members(self, organization_id: str) -> list[Member]:
        found = self._call(ORGANIZATIONS, "ListMembers", organizationId=organization_id, count={"include": True})
        members = [_member(m) for m in found["members"]]
        assert found["pagination"]["nextToken"] == ""
        assert found["count"] == {"value": len(members), "relation": "COUNT_RESPONSE_RELATION_EQ"}
        return members

    def set_role(self, organization_id: str, user_id: str, role: str) -> None:
        assert self._call(ORGANIZATIONS, "SetRole", organizationId=organization_id, userId=user_id, role=role) == {}

    def leave(self, user_id: str) -> None:
        assert self._call(ORGANIZATIONS, "LeaveOrganization", userId=user_id) == {}

    def create_token(self, user_id: str, description: str, *, read_only: bool) -> str:
        request = {"userId": user_id, "description": description, "readOnly": read_only, "validFor": "86400s"}
        token: str = self._call(USERS, "CreatePersonalAccessToken", **request)["token"]
        return token

    def tokens(self) -> list[Token]:
        return [_token(t) for t in self._call(USERS, "ListPersonalAccessTokens")["personalAccessTokens"]]

    def token(self, token_id: str) -> Token:
        return _token(self._call(USERS, "GetPersonalAccessToken", personalAccessTokenId=token_id)["pat"])

    def delete_token(self, token_id: str) -> None:
        assert self._call(USERS, "DeletePersonalAccessToken", personalAccessTokenId=token_id) == {}


def _organization(found: Any) -> Organization:
    organization = found["organization"]
    return Organization(organization["id"], organization["name"], organization["tier"])


def _member(found: Any) -> Member:
    fields = ("userId", "role", "status", "fullName", "email", "loginProvider")
    return Member(*(found[field] for field in fields))


def _user(found: Any) -> User:
    user = found["user"]
    return User(user["id"], user["organizationId"], user["name"], user["email"])


def _token(found: Any) -> Token:
    return Token(found["id"], found["userId"], found["description"], found["readOnly"])


@pytest.mark.slow
@pytest.mark.parametrize("protocol", ["connect", "grpc", "grpcweb"])
def test_an_organization_lives_its_whole_life(
    server: RunningServer, someone: Callable[[str], Someone], protocol: str
) -> None:
    live(Person(server.url, protocol, someone("Ada").token), Person(server.url, protocol, someone("Bob").token))


@pytest.mark.parametrize("version", ["v1", "v1alpha"])
def test_reflection_lists_the_services(server: RunningServer, version: str) -> None:
    listed = buf_curl("--reflect-protocol", f"grpc-{version}", "--list-services", server.url).split()

    assert {ORGANIZATIONS, ACCOUNTS, IDENTITY, USERS, "grpc.health.v1.Health"} <= set(listed)


def test_reflection_lists_the_methods(server: RunningServer) -> None:
    listed = buf_curl("--list-methods", server.url).split()

    organization_methods = {method.split("/")[1] for method in listed if method.startswith(f"{ORGANIZATIONS}/")}
    assert organization_methods == {
        "CreateOrganization",
        "GetOrganization",
        "UpdateOrganization",
        "DeleteOrganization",
        "JoinOrganization",
        "LeaveOrganization",
        "ListMembers",
        "SetRole",
        "CreateOrganizationInvite",
        "GetOrganizationInvite",
        "GetOrganizationInviteSummary",
    }
    assert {f"{ACCOUNTS}/GetAccount", f"{IDENTITY}/GetAuthenticatedIdentity", f"{USERS}/GetUser"} <= set(listed)


def test_a_link_leads_somewhere_before_one_has_signed_in(
    server: RunningServer, someone: Callable[[str], Someone]
) -> None:
    ada = Person(server.url, "connect", someone("Ada").token)
    acme, _ = ada.create_organization("Acme")
    request = json.dumps({"inviteId": ada.create_invite(acme.id)})

    printed = buf_curl("--data", request, f"{server.url}/{ORGANIZATIONS}/GetOrganizationInviteSummary")

    assert json.loads(printed)["organizationName"] == "Acme"
    with refused("unauthenticated", "CREDENTIALS_MISSING"):
        buf_curl("--data", request, f"{server.url}/{ORGANIZATIONS}/JoinOrganization")


def test_one_asks_how_the_server_is(server: RunningServer) -> None:
    check = f"{server.url}/grpc.health.v1.Health/Check"

    for service in ("", ORGANIZATIONS):
        for protocol in ("connect", "grpc", "grpcweb"):
            printed = buf_curl("--protocol", protocol, "--data", json.dumps({"service": service}), check)
            assert json.loads(printed) == {"status": "SERVING"}
    with pytest.raises(RefusedError) as refusal:
        buf_curl("--data", '{"service": "acme.v9.NoService"}', check)
    assert refusal.value.code == "not_found"
