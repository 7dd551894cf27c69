"""How a method is brought to refuse, and the services that make it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

from server.domain import errors
from server.domain.errors import Kind, Reason, ServiceError
from server.domain.rates import Rate
from server.domain.secrets import SecretKeys
from server.main import Service, build_service
from server.ports import Snapshot, Store, Transaction
from server.service.invitations import InvitationPolicy
from server.service.limits import Limits
from server.wires import build_edge
from tests.conftest import KEY
from tests.faces.conftest import Stage
from tests.faces.wire import CONNECT_JSON, PROTOCOLS, Answer, Wire
from tests.stories.people import Issuer, some_id

STATUSES = {
    Kind.INVALID_ARGUMENT: 400,
    Kind.UNAUTHENTICATED: 401,
    Kind.PERMISSION_DENIED: 403,
    Kind.NOT_FOUND: 404,
    Kind.ALREADY_EXISTS: 409,
    Kind.FAILED_PRECONDITION: 400,
    Kind.ABORTED: 409,
    Kind.RESOURCE_EXHAUSTED: 429,
    Kind.DEADLINE_EXCEEDED: 504,
    Kind.UNAVAILABLE: 503,
    Kind.UNIMPLEMENTED: 501,
    Kind.INTERNAL: 500,
}
WAITING = {
    errors.RATE_LIMITED,
    errors.MAIL_LIMIT,
    errors.OVERLOADED,
    errors.STORE_BUSY,
    errors.STORE_UNAVAILABLE,
    errors.OUTCOME_UNKNOWN,
    errors.ISSUER_UNAVAILABLE,
}
"""What says how long to wait."""
REPEATED = {Kind.ABORTED, Kind.RESOURCE_EXHAUSTED, Kind.DEADLINE_EXCEEDED, Kind.UNAVAILABLE}


def good(stage: Stage, method: str) -> dict[str, Any]:
    """Give a request that Ada may make."""
    it, users = stage.it.id, stage.it.users
    requests: dict[str, dict[str, Any]] = {
        "CreateOrganization": {"name": "Another"},
        "GetOrganization": {"organizationId": it},
        "UpdateOrganization": {"organizationId": it, "name": "Renamed"},
        "DeleteOrganization": {"organizationId": it},
        "JoinOrganization": {"inviteId": stage.it.invite},
        "LeaveOrganization": {"userId": users["Bob"]},
        "ListMembers": {"organizationId": it},
        "SetRole": {"organizationId": it, "userId": users["Bob"], "role": "ORGANIZATION_ROLE_ADMIN"},
        "CreateOrganizationInvite": {"organizationId": it},
        "GetOrganizationInvite": {"organizationId": it},
        "GetOrganizationInviteSummary": {"inviteId": stage.it.invite},
        "GetUser": {"userId": users["Bob"]},
        "CreatePersonalAccessToken": {"userId": users["Ada"]},
        "GetPersonalAccessToken": {"personalAccessTokenId": some_id()},
        "DeletePersonalAccessToken": {"personalAccessTokenId": some_id()},
    }
    return requests.get(method, {})


class FaultyStore:
    """A store that can't be used; `deadlines` are the moments until which it was asked to be."""

    def __init__(self, fault: Exception) -> None:
        self._fault = fault
        self.deadlines: list[float | None] = []

    @contextmanager
    def snapshot(self, deadline: float | None = None) -> Iterator[Snapshot]:
        self.deadlines.append(deadline)
        raise self._fault
        yield

    @contextmanager
    def transaction(self, deadline: float | None = None) -> Iterator[Transaction]:
        self.deadlines.append(deadline)
        raise self._fault
        yield

    def ping(self) -> None:
        raise self._fault

    def close(self) -> None:
        """Nothing is open."""


def with_store(stage: Stage, store: Store, **options: Any) -> Wire:
    """Give the service on another store, where tokens are found as before."""
    faulty = build_service(store, SecretKeys([KEY]), clock=stage.world.clock, **options)
    return Wire(build_edge(replace(faulty, authentication=stage.world.service.authentication)))


def full(stage: Stage) -> Wire:
    """Give the service where an organization has no more members than Ada's has already."""
    policy = InvitationPolicy(most_members=2)
    filled = build_service(stage.world.service.store, SecretKeys([KEY]), clock=stage.world.clock, policy=policy)
    return Wire(build_edge(filled))


def with_fault(reason: Reason, retry_after_seconds: float | None = None, **options: Any) -> Callable[[Stage], Wire]:
    fault = ServiceError(reason, retry_after_seconds=retry_after_seconds)
    return lambda stage: with_store(stage, FaultyStore(fault), **options)


FAULTS = (
    (errors.STORE_BUSY, 1.0),
    (errors.STORE_UNAVAILABLE, 5.0),
    (errors.OUTCOME_UNKNOWN, 5.0),
    (errors.DEADLINE_PASSED, None),
    (errors.CONFLICT, None),
)
"""What passes, and a store says, with the seconds to wait."""


class Secretive:
    """Use cases that fail with what nobody may read."""

    def __getattr__(self, _name: str) -> Any:
        def fail(*_args: object, **_named: object) -> None:
            raise RuntimeError("secret of /etc/passwd, SELECT * FROM accounts")

        return fail


def broken(stage: Stage) -> Wire:
    service: Service = replace(
        stage.world.service,
        organizations=Secretive(),  # type: ignore[arg-type]
        links=Secretive(),  # type: ignore[arg-type]
        tokens=Secretive(),  # type: ignore[arg-type]
        invitations=Secretive(),  # type: ignore[arg-type]
    )
    return Wire(build_edge(service))


class IssuerDown:
    def verify(self, _token: str) -> Any:
        raise ServiceError(errors.ISSUER_UNAVAILABLE, retry_after_seconds=5.0)


def issuer_down(stage: Stage) -> Wire:
    world = stage.world
    return Wire(
        build_edge(build_service(world.service.store, SecretKeys([KEY]), clock=world.clock, verifier=IssuerDown()))
    )


def used_up(stage: Stage) -> Wire:
    """Give the service with a limit that Ada has reached."""
    limits = Limits({"caller": Rate(1, 3600)}, monotonic=lambda: 0.0)
    wire = Wire(build_edge(stage.world.service, limits=limits))
    assert wire.call(CONNECT_JSON, "GetAuthenticatedIdentity", token=stage.token("Ada")).code == "ok"
    return wire


def key_lost(stage: Stage) -> Wire:
    newer = SecretKeys([b"another key of thirty-two bytes!"])
    return Wire(build_edge(build_service(stage.world.service.store, newer, clock=stage.world.clock)))


def unverified(stage: Stage) -> Wire:
    issuer = Issuer(stage.world)
    issuer.call("eve", "eve@example.com", verified=False)
    return Wire(build_edge(replace(stage.world.service, authentication=issuer.authentication)))


def expired(stage: Stage) -> str:
    token = stage.world.service.tokens.issue(
        stage.world.account("Ada"), description="", expires_at=stage.world.clock() + timedelta(seconds=1)
    )[0]
    stage.world.clock.forward(timedelta(seconds=1))
    return token


def backend_key(stage: Stage) -> str:
    return stage.world.service.backend_keys.issue("a service")[0]


@dataclass(frozen=True)
class Case:
    """How a method is brought to refuse."""

    reason: Reason
    method: str
    token: Callable[[Stage], str | None] = lambda stage: stage.token("Ada")
    request: Callable[[Stage], dict[str, Any]] | None = None
    raw: Callable[[str], bytes] | None = None
    headers: dict[str, str] = field(default_factory=dict)
    wire: Callable[[Stage], Wire] = lambda stage: stage.wire
    metadata: dict[str, str] = field(default_factory=dict)
    protocols: tuple[str, ...] = PROTOCOLS
    compressed: bool = False
    framed: bool = True
    before: Callable[[Stage], object] = lambda stage: None

    def __str__(self) -> str:
        return f"{self.method}-{self.reason.name}"

    def call(self, stage: Stage, protocol: str, wire: Wire, token: str | None) -> Answer:
        options: dict[str, Any] = {"token": token, "headers": self.headers, "compressed": self.compressed}
        if self.raw is not None:
            return wire.send(protocol, self.method, self.raw(protocol), framed=self.framed, **options)
        request = self.request(stage) if self.request else good(stage, self.method)
        return wire.call(protocol, self.method, request, **options)


def reading(name: str) -> Callable[[Stage], str]:
    return lambda stage: stage.token(name, read_only=True)


def token_of(name: str) -> Callable[[Stage], str]:
    return lambda stage: stage.token(name)


def user_token(name: str) -> Callable[[Stage], str]:
    return lambda stage: stage.user_token(name)


def nowhere(*names: str, **rest: Any) -> Callable[[Stage], dict[str, Any]]:
    """Give a request whose ids nothing has."""
    return lambda stage: {**rest, **{name: some_id() for name in names}}


BROKEN_JSON, BROKEN_PROTO = b'{"organizationId": ', b"\x0a\xff\xff\xff\xff\x0f"


def broken_body(protocol: str) -> bytes:
    return BROKEN_JSON if protocol == CONNECT_JSON else BROKEN_PROTO
