"""Runs with grpcio and the stubs of gen/grpcio, as another service would: the name of a function that takes nothing.

The server and the people are given in the environment: SERVER_URL, ADA_TOKEN and BOB_TOKEN.
"""

from __future__ import annotations

import os
import sys
import time
from collections import deque
from contextlib import contextmanager
from typing import Any

import grpc
from gitpod.v1 import (
    account_pb2,
    account_pb2_grpc,
    identity_pb2_grpc,
    organization_pb2,
    organization_pb2_grpc,
    user_pb2_grpc,
)
from google.protobuf.descriptor_pb2 import FileDescriptorSet
from google.rpc import error_details_pb2, status_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from life import RefusedError, live, raised, refused, say
from message_person import MessagePerson

ADDRESS = os.environ["SERVER_URL"].split("://", 1)[1]
STUBS = {
    "OrganizationService": organization_pb2_grpc.OrganizationServiceStub,
    "AccountService": account_pb2_grpc.AccountServiceStub,
    "IdentityService": identity_pb2_grpc.IdentityServiceStub,
    "UserService": user_pb2_grpc.UserServiceStub,
}
SECONDS = 10.0
MANY = 10_000
AT_ONCE = 100
"""Calls that wait for their answers at any time; the server takes 256 on one connection."""


def bearer(token: str) -> tuple[tuple[str, str], ...]:
    return (("authorization", f"Bearer {token}"),)


def ada() -> tuple[tuple[str, str], ...]:
    return bearer(os.environ["ADA_TOKEN"])


class Carrier:
    """Carries calls over one channel, each with a deadline and, where asked for, compressed."""

    def __init__(self, channel: grpc.Channel, compression: grpc.Compression) -> None:
        self._stubs = {name: stub(channel) for name, stub in STUBS.items()}
        self._compression = compression

    def __call__(self, token: str, service: str, method: str, request: Any) -> Any:
        call = getattr(self._stubs[service], method)
        with refusals():
            return call(request, timeout=SECONDS, metadata=bearer(token), compression=self._compression)


@contextmanager
def refusals() -> Any:
    try:
        yield
    except grpc.RpcError as error:
        raise RefusedError(error.code().name.lower(), error_info(error).reason) from error


def status(error: Any) -> status_pb2.Status:
    """The `google.rpc.Status` in the trailers, which must agree with the status that grpcio reads."""
    trailers = dict(error.trailing_metadata())
    found = status_pb2.Status.FromString(trailers["grpc-status-details-bin"])
    assert (found.code, found.message) == (error.code().value[0], error.details())
    return found


def error_info(error: Any) -> error_details_pb2.ErrorInfo:
    info = error_details_pb2.ErrorInfo()
    (detail,) = [detail for detail in status(error).details if detail.Is(info.DESCRIPTOR)]
    detail.Unpack(info)
    assert info.domain == "organization-service"
    return info


def life() -> None:
    with grpc.insecure_channel(ADDRESS) as channel:
        carrier = Carrier(channel, grpc.Compression.NoCompression)
        live(MessagePerson(carrier, os.environ["ADA_TOKEN"]), MessagePerson(carrier, os.environ["BOB_TOKEN"]))


def life_compressed() -> None:
    with grpc.insecure_channel(ADDRESS) as channel:
        carrier = Carrier(channel, grpc.Compression.Gzip)
        live(MessagePerson(carrier, os.environ["ADA_TOKEN"]), MessagePerson(carrier, os.environ["BOB_TOKEN"]))


def deadlines() -> None:
    """A call ends at its deadline, and the channel goes on working."""
    with grpc.insecure_channel(ADDRESS) as channel:
        grpc.channel_ready_future(channel).result(SECONDS)
        accounts = account_pb2_grpc.AccountServiceStub(channel)
        request = account_pb2.GetAccountRequest()
        late = raised(grpc.RpcError, lambda: accounts.GetAccount(request, timeout=-1, metadata=ada()))
        assert late.code() is grpc.StatusCode.DEADLINE_EXCEEDED, late
        # Within a millisecond an answer may be there, or may not.
        calls = [accounts.GetAccount.future(request, timeout=0.001, metadata=ada()) for _ in range(100)]
        codes = {call.code() for call in calls}
        assert grpc.StatusCode.DEADLINE_EXCEEDED in codes, codes
        assert codes <= {grpc.StatusCode.OK, grpc.StatusCode.DEADLINE_EXCEEDED}, codes
        assert accounts.GetAccount(request, timeout=SECONDS, metadata=ada()).account.id


def deadline_while_busy() -> None:
    """Expect that creating an organization takes longer than any deadline."""
    with grpc.insecure_channel(ADDRESS) as channel:
        organizations = organization_pb2_grpc.OrganizationServiceStub(channel)
        request = organization_pb2.CreateOrganizationRequest(name="Too late", join_organization=True)
        metadata = (*ada(), ("x-request-id", "too-late"))
        began = time.monotonic()
        late = raised(grpc.RpcError, lambda: organizations.CreateOrganization(request, timeout=3, metadata=metadata))
        assert late.code() is grpc.StatusCode.DEADLINE_EXCEEDED, late
        assert 2.9 < time.monotonic() - began < 20


def details() -> None:
    """An error tells its reason, and every field that is wrong."""
    with grpc.insecure_channel(ADDRESS) as channel:
        organizations = organization_pb2_grpc.OrganizationServiceStub(channel)
        request = organization_pb2.SetRoleRequest(organization_id="no-uuid", user_id="", role=7)
        error = raised(grpc.RpcError, lambda: organizations.SetRole(request, timeout=SECONDS, metadata=ada()))
        assert error.code() is grpc.StatusCode.INVALID_ARGUMENT, error
        assert error_info(error).reason == "INVALID_REQUEST"
        bad = error_details_pb2.BadRequest()
        (detail,) = [d for d in status(error).details if d.Is(bad.DESCRIPTOR)]
        detail.Unpack(bad)
        assert {v.field for v in bad.field_violations} == {"organization_id", "user_id", "role"}, bad
        assert all(v.description for v in bad.field_violations)
        say(error.details())


def undeclared() -> None:
    """A method or service that isn't ours is unimplemented; one without credentials isn't authenticated."""
    with grpc.insecure_channel(ADDRESS) as channel:
        for path in (
            "/gitpod.v1.OrganizationService/GetOrganizationPolicies",
            "/gitpod.v1.OrganizationService/createOrganization",
            "/gitpod.v1.EnvironmentService/CreateEnvironment",
            "/acme.v9.NoService/NoMethod",
        ):
            call = channel.unary_unary(
                path, request_serializer=bytes, response_deserializer=FileDescriptorSet.FromString
            )
            with refused("unimplemented", "METHOD_NOT_IMPLEMENTED"), refusals():
                call(b"\x0a\x03abc", timeout=SECONDS)
        accounts = account_pb2_grpc.AccountServiceStub(channel)
        for metadata, reason in (((), "CREDENTIALS_MISSING"), (bearer("of nobody"), "CREDENTIALS_INVALID")):
            with refused("unauthenticated", reason), refusals():
                accounts.GetAccount(account_pb2.GetAccountRequest(), timeout=SECONDS, metadata=metadata)


def many_calls() -> None:
    """One channel lives through thousands of calls, many at once."""
    with grpc.insecure_channel(ADDRESS) as channel:
        organizations = organization_pb2_grpc.OrganizationServiceStub(channel)
        create = organization_pb2.CreateOrganizationRequest(name="Many calls", join_organization=True)
        organization = organizations.CreateOrganization(create, timeout=SECONDS, metadata=ada()).organization
        request = organization_pb2.GetOrganizationRequest(organization_id=organization.id)
        metadata = ada()
        waiting: deque[Any] = deque()
        began = time.monotonic()
        for _ in range(MANY):
            waiting.append(organizations.GetOrganization.future(request, timeout=SECONDS, metadata=metadata))
            if len(waiting) == AT_ONCE:
                assert waiting.popleft().result().organization == organization
        for call in waiting:
            assert call.result().organization == organization
        say(f"{MANY} calls in {time.monotonic() - began:.1f} s")


def health() -> None:
    """The health protocol knows the whole server and each of its services, without a token, and nothing else."""
    with grpc.insecure_channel(ADDRESS) as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        serving = health_pb2.HealthCheckResponse.SERVING
        services = ["", *(f"gitpod.v1.{name}" for name in STUBS)]
        for service in services:
            answer = stub.Check(health_pb2.HealthCheckRequest(service=service), timeout=SECONDS)
            assert answer.status == serving, service
        listed = stub.List(health_pb2.HealthListRequest(), timeout=SECONDS).statuses
        assert listed.keys() >= set(services)
        assert {answer.status for answer in listed.values()} == {serving}
        unknown = health_pb2.HealthCheckRequest(service="acme.v9.NoService")
        error = raised(grpc.RpcError, lambda: stub.Check(unknown, timeout=SECONDS))
        assert error.code() is grpc.StatusCode.NOT_FOUND, error
        # The protocol's way to tell a client that it has to poll.
        with refused("unimplemented", "METHOD_NOT_IMPLEMENTED"), refusals():
            list(stub.Watch(health_pb2.HealthCheckRequest(), timeout=SECONDS))


if __name__ == "__main__":
    globals()[sys.argv[1]]()
