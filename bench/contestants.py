"""Who is measured: the service and its peers, each of which does the same work on the same data.

The twins (connect-node, grpc.aio, FastAPI) speak our contract on a copy of our database. better-auth has an API and a
schema of its own; which of its calls stands for which of ours is said in `_BETTER_AUTH`.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from itertools import count, islice
from pathlib import Path

from bench import servers
from bench.calls import CREATE, INVITATION, JOIN, MEMBERS, SUMMARY, Call, of_echo
from bench.data import Data
from bench.load import Load, Request
from bench.peers import better_auth
from bench.peers.environments import DESCRIPTORS, HERE, NODE, PYTHON
from bench.servers import Server

LONG_AGO, FAR_OFF = "2026-01-01T00:00:00.000Z", "2040-01-01T00:00:00.000Z"
Start = Callable[[int | None], AbstractContextManager[Server]]
"""Runs a server, on this core where one is given."""


@dataclass(frozen=True, slots=True)
class Contestant:
    """One of those that are measured.

    `prepare` makes its database in a directory and gives what starts it. `load` gives its own load for a load of ours
    and the address of its server.
    """

    name: str
    prepare: Callable[[Data, Path], Start]
    load: Callable[[Call, Data, Load, str], Load]
    warm_up_seconds: float = 3.0
    """How long each call is made before it is measured."""


NODE_WARM_UP_SECONDS = 20.0
SHARED_FROM = 200_000
"""Organizations from which on contestants share a copy of the database."""


def _same(_call: Call, _data: Data, load: Load, url: str) -> Load:
    return replace(load, url=url)


def copy_for(data: Data, directory: Path, name: str) -> Path:
    """Give a contestant's copy of the database, or where copies are too large one for all: they are called in turns."""
    path = directory / f"{name if data.organizations < SHARED_FROM else 'shared'}.db"
    return path if path.exists() else data.copy(path)


def _service(data: Data, directory: Path) -> Start:
    database = copy_for(data, directory, "service")
    return lambda core: servers.service(database, core)


def _echo(_data: Data, _directory: Path) -> Start:
    return servers.echo


def _twin(name: str, *command: str | Path) -> Callable[[Data, Path], Start]:
    def prepare(data: Data, directory: Path) -> Start:
        environ = {"DATABASE": str(copy_for(data, directory, name)), "DESCRIPTORS": str(DESCRIPTORS)}
        arguments = [str(part) for part in command]
        return lambda core: servers.program(arguments, core, {**environ, "NODE_ENV": "production"})

    return prepare


def _better_auth(url: str | None = None) -> Callable[[Data, Path], Start]:
    def prepare(data: Data, directory: Path) -> Start:
        path = directory / "better_auth.db"
        better_auth.fill(data, path, NODE, LONG_AGO, FAR_OFF)
        if url is not None:
            better_auth.copy_to_postgres(path, url, NODE)
        environ = {"DATABASE": url or str(path), "SECRET": better_auth.SECRET, "NODE_ENV": "production"}
        return lambda core: servers.program([str(NODE), str(HERE / "better_auth.mjs")], core, environ)

    return prepare


@dataclass(slots=True)
class _BetterAuth:
    """Loads of better-auth's API. Each invitation can be accepted once, so those that were are remembered.

    - GetOrganizationInviteSummary: `get-invitation`, by the signed-in addressee.
    - CreateOrganizationInvite and CreateInvitation: `invite-member`; it has no other way in than invitations.
    - JoinOrganization: `accept-invitation`, of one that was made before.
    - ListMembers: `list-members`, 100 of an organization's 10,000.
    """

    accepted: Iterator[int] = field(default_factory=count)

    def load(self, call: Call, data: Data, ours: Load, url: str) -> Load:
        """Give as much of its own API's load as ours has."""
        method, path, requests = {
            SUMMARY.name: ("GET", "get-invitation", self._summaries),
            CREATE.name: ("POST", "invite-member", self._invitations),
            JOIN.name: ("POST", "accept-invitation", self._joins),
            MEMBERS.name: ("GET", "list-members", self._members),
            INVITATION.name: ("POST", "invite-member", self._invitations),
        }[call.name]
        # At most 1,000 a second were ever seen.
        at_once = 1 if call is MEMBERS else round(1000 * ours.seconds) + ours.callers
        made = tuple(islice(requests(data), at_once))
        load = Load(url, f"/api/auth/organization/{path}", made, ours.callers, ours.seconds, method=method)
        if method == "GET":
            return replace(load, headers=(), requests=[replace(r, path=f"{load.path}{r.path}") for r in made])
        return load

    def _summaries(self, data: Data) -> Iterator[Request]:
        while True:
            person = random.randrange(len(data.written))
            place = data.read[person % len(data.read)]
            yield Request(
                b"",
                place.organization_id.encode(),
                better_auth.headers(data.written[person]),
                path=f"?id={better_auth.invitation_id(person, 0)}",
            )

    def _invitations(self, data: Data) -> Iterator[Request]:
        while True:
            place = random.choice(data.written)
            email = f"new.{random.getrandbits(60):x}@example.com"
            new = {"email": email, "role": "member", "organizationId": place.organization_id}
            yield Request(json.dumps(new).encode(), email.encode(), better_auth.headers(place))

    def _joins(self, data: Data) -> Iterator[Request]:
        for number in self.accepted:
            turn, person = divmod(number, len(data.written))
            who = data.written[person]
            body = json.dumps({"invitationId": better_auth.invitation_id(person, 1 + turn)}).encode()
            yield Request(body, f'"userId":"{who.account_id}"'.encode(), better_auth.headers(who))

    def _members(self, data: Data) -> Iterator[Request]:
        path = f"?organizationId={data.large.organization_id}&limit=100"
        while True:
            yield Request(b"", b'"name":"Person ', better_auth.headers(data.large), path=path)


SERVICE = "this service"
BETTER_AUTH = "better-auth"
ECHO = "echo"

JSON = (
    Contestant(SERVICE, _service, _same),
    Contestant(ECHO, _echo, lambda _call, _data, load, url: of_echo(load, url)),
    Contestant("FastAPI", _twin("fastapi", PYTHON, HERE / "fastapi_twin.py"), _same),
    Contestant(
        "connect-node",
        _twin("connect_node", NODE, HERE / "connect_node_twin.mjs", "http1"),
        _same,
        NODE_WARM_UP_SECONDS,
    ),
    Contestant(BETTER_AUTH, _better_auth(), _BetterAuth().load, NODE_WARM_UP_SECONDS),
)
GRPC = (
    Contestant(SERVICE, _service, _same),
    Contestant(ECHO, _echo, lambda _call, _data, load, url: of_echo(load, url)),
    Contestant("grpc.aio", _twin("grpc_aio", PYTHON, HERE / "grpc_aio_twin.py"), _same),
    Contestant(
        "connect-node",
        _twin("connect_node", NODE, HERE / "connect_node_twin.mjs", "http2"),
        _same,
        NODE_WARM_UP_SECONDS,
    ),
)
WIRES = {"JSON": JSON, "gRPC": GRPC}
CALLS = {"JSON": (SUMMARY, CREATE, JOIN, MEMBERS, INVITATION), "gRPC": (SUMMARY, CREATE, JOIN)}
"""What is measured on each wire."""


def on_postgres(ours: str, better_auths: str) -> tuple[Contestant, ...]:
    """Give those that are measured on PostgreSQL: the service on a filled database, better-auth on an empty one."""
    return (
        Contestant(SERVICE, lambda _data, _directory: lambda core: servers.service(ours, core), _same),
        Contestant(BETTER_AUTH, _better_auth(better_auths), _BetterAuth().load, NODE_WARM_UP_SECONDS),
    )
