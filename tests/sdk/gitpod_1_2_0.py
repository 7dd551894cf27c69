"""Runs with gitpod-sdk 1.2.0: `life WAY`, WAY one of `WAYS`, or `errors`.

The server and the people are given in the environment: SERVER_URL, ADA_TOKEN and BOB_TOKEN.
"""

from __future__ import annotations

import inspect
import os
import re
import sys
from collections.abc import Callable, Mapping
from typing import Any

from connectrpc.code import Code
from connectrpc.compat import google_protobuf_json_codec
from connectrpc.errors import ConnectError
from connectrpc.protocol import ProtocolType
from gitpod.v1 import organization_pb2, user_pb2
from gitpod.v1.account_connect import AccountServiceClientSync
from gitpod.v1.identity_connect import IdentityServiceClientSync
from gitpod.v1.organization_connect import OrganizationServiceClientSync
from gitpod.v1.user_connect import UserServiceClientSync
from life import RefusedError, live, raised, reason_of, refused, say
from message_person import MessagePerson
from ona_sdk import create_client
from ona_sdk.errors import (
    AuthenticationRequiredError,
    CapabilityUnavailableError,
    EnvironmentPolicyError,
    NotFoundError,
    PermissionDeniedError,
    ValidationError,
    map_error,
)
from pyqwest import HTTPVersion, SyncClient, SyncHTTPTransport

URL = os.environ["SERVER_URL"]
SERVICES = {
    "OrganizationService": OrganizationServiceClientSync,
    "AccountService": AccountServiceClientSync,
    "IdentityService": IdentityServiceClientSync,
    "UserService": UserServiceClientSync,
}
HTTP_2 = SyncClient(SyncHTTPTransport(http_version=HTTPVersion.HTTP2))

Clients = Mapping[str, Any]


def of_the_sdk(token: str) -> Clients:
    """The clients as the SDK makes them: binary, not compressed, a connection for each call."""
    services = create_client(api_key=token, base_url=URL).services
    return {
        "OrganizationService": services.organization,
        "AccountService": services.account,
        "IdentityService": services.identity,
        "UserService": services.user,
    }


class Headers:
    """Sends the token, and remembers what else was sent."""

    def __init__(self, token: str) -> None:
        self._token = token
        self.seen: set[tuple[str, str]] = set()

    def on_start_sync(self, ctx: Any) -> None:
        ctx.request_headers["authorization"] = f"Bearer {self._token}"
        self.seen |= {(name.lower(), value) for name, value in ctx.request_headers.items()}

    def on_end_sync(self, token: None, ctx: Any, error: Exception | None) -> None:
        pass


def generated(*sends: tuple[str, str], **options: Any) -> Callable[[str], Clients]:
    """The generated clients, used directly; each call must send these headers."""

    def clients(token: str) -> Clients:
        headers = Headers(token)
        clients = {name: make(URL, interceptors=[headers], **options) for name, make in SERVICES.items()}
        return {name: Sending(client, headers, sends) for name, client in clients.items()}

    return clients


class Sending:
    """A client whose calls are checked for what they send."""

    def __init__(self, client: Any, headers: Headers, sends: tuple[tuple[str, str], ...]) -> None:
        self._client = client
        self._headers = headers
        self._sends = sends

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._client, name)

        def call(request: Any, **options: Any) -> Any:
            self._headers.seen.clear()
            try:
                return method(request, **options)
            finally:
                assert self._headers.seen.issuperset(self._sends), self._headers.seen

        call.__signature__ = inspect.signature(method)  # type: ignore[attr-defined]
        return call


JSON = google_protobuf_json_codec()
GZIP = ("content-encoding", "gzip")
WAYS: dict[str, tuple[Callable[[str], Clients], bool]] = {
    "binary": (of_the_sdk, False),
    "binary-get": (of_the_sdk, True),
    "binary-gzip": (generated(GZIP, ("content-type", "application/proto")), False),
    "json": (generated(("content-type", "application/json"), codec=JSON, send_compression=None), False),
    "json-get": (generated(codec=JSON, send_compression=None), True),
    "grpc": (
        generated(("content-type", "application/grpc+proto"), protocol=ProtocolType.GRPC, http_client=HTTP_2),
        False,
    ),
    "grpc-web": (generated(("content-type", "application/grpc-web+proto"), protocol=ProtocolType.GRPC_WEB), False),
}
"""How to make the clients of a token, and whether they read with GET where the contract lets them."""


class Carrier:
    """Carries calls in one of the ways."""

    def __init__(self, way: str) -> None:
        self._make, self._get = WAYS[way]
        self._clients: dict[str, Clients] = {}
        self.gets = 0

    def __call__(self, token: str, service: str, method: str, request: Any) -> Any:
        if token not in self._clients:
            self._clients[token] = self._make(token)
        call = getattr(self._clients[token][service], snake_case(method))
        options = {}
        if self._get and "use_get" in inspect.signature(call).parameters:
            options["use_get"] = True
            self.gets += 1
        try:
            return call(request, **options)
        except ConnectError as error:
            raise refusal(error) from error


def snake_case(name: str) -> str:
    return re.sub(r"(?<!^)([A-Z])", r"_\1", name).lower()


def refusal(error: ConnectError) -> RefusedError:
    return RefusedError(error.code.value, reason_of((d.type_name, d.message_bytes) for d in error.details))


def life(way: str) -> None:
    carrier = Carrier(way)
    live(MessagePerson(carrier, os.environ["ADA_TOKEN"]), MessagePerson(carrier, os.environ["BOB_TOKEN"]))
    assert (carrier.gets > 0) == way.endswith("-get")
    say(f"Went by {way}; {carrier.gets} calls were GETs.")


def errors() -> None:
    """The SDK gives each refusal its own exception."""
    ada = create_client(api_key=os.environ["ADA_TOKEN"], base_url=URL).services
    bob = create_client(api_key=os.environ["BOB_TOKEN"], base_url=URL).services
    nobody = create_client(api_key="orgsvc_nobody-has-this", base_url=URL).services
    request = organization_pb2.CreateOrganizationRequest(name="Errors", join_organization=True)
    created = ada.organization.create_organization(request)
    organization_id, founder = created.organization.id, created.member.user_id
    get = organization_pb2.GetOrganizationRequest(organization_id=organization_id)
    invite = organization_pb2.CreateOrganizationInviteRequest(organization_id=organization_id)
    invite_id = ada.organization.create_organization_invite(invite).invite.invite_id
    bob.organization.join_organization(organization_pb2.JoinOrganizationRequest(invite_id=invite_id))
    missing = organization_pb2.GetOrganizationRequest(organization_id=founder)
    bad = organization_pb2.GetOrganizationRequest(organization_id="no-uuid")
    leave = organization_pb2.LeaveOrganizationRequest(user_id=founder)
    policies = organization_pb2.GetOrganizationPoliciesRequest(organization_id=organization_id)
    token = user_pb2.CreatePersonalAccessTokenRequest(user_id=founder)
    cases: list[tuple[type[Exception], Code, Callable[[], Any]]] = [
        (AuthenticationRequiredError, Code.UNAUTHENTICATED, lambda: nobody.organization.get_organization(get)),
        (PermissionDeniedError, Code.PERMISSION_DENIED, lambda: bob.organization.create_organization_invite(invite)),
        (PermissionDeniedError, Code.PERMISSION_DENIED, lambda: bob.user.create_personal_access_token(token)),
        (NotFoundError, Code.NOT_FOUND, lambda: ada.organization.get_organization(missing)),
        (ValidationError, Code.INVALID_ARGUMENT, lambda: ada.organization.get_organization(bad)),
        (ValidationError, Code.INVALID_ARGUMENT, lambda: ada.organization.get_organization(bad, use_get=True)),
        (EnvironmentPolicyError, Code.FAILED_PRECONDITION, lambda: ada.organization.leave_organization(leave)),
        (
            CapabilityUnavailableError,
            Code.UNIMPLEMENTED,
            lambda: ada.organization.get_organization_policies(policies),
        ),
    ]
    for kind, code, call in cases:
        error = raised(ConnectError, call)
        assert error.code is code, error
        mapped = map_error("errors", error)
        assert type(mapped) is kind, repr(mapped)
        say(f"{code.value}: {mapped}")
    for way in WAYS:
        with refused("unimplemented", "METHOD_NOT_IMPLEMENTED"):
            Carrier(way)(os.environ["ADA_TOKEN"], "OrganizationService", "GetOrganizationPolicies", policies)


if __name__ == "__main__":
    {"life": life, "errors": errors}[sys.argv[1]](*sys.argv[2:])
