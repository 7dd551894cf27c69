"""Servers on PostgreSQL and people who call them, by Connect JSON."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from server.domain.secrets import SecretKeys
from server.main import Service, build_service, utc_now
from server.store.postgres import LONGEST_SECONDS, PostgresStore
from tests.reasons import json_reason
from tests.running import PROGRAM, RunningServer

KEY = "a key for tests of thirty-two bytes"
ORGANIZATIONS = "gitpod.v1.OrganizationService"
INVITATIONS = "invitations.v1.InvitationService"
CALL_SECONDS = 90.0
"""How long a caller waits: longer than the server may take for anything."""

SOONER_SECONDS = LONGEST_SECONDS - 5
"""Whoever waits for what never comes is answered after `LONGEST_SECONDS`. Who doesn't wait, or not so long, is answered
sooner than this on the busiest machine."""

PROMISED_SECONDS = 1.0
"""After so long what was revoked opens nothing, at any server (docs/security.md)."""

_numbers = itertools.count(1)


@contextmanager
def serving(
    url: str, *options: str, program: Sequence[str | Path] = (PROGRAM,), **environ: str
) -> Iterator[RunningServer]:
    """Run a real server on a database."""
    server = RunningServer(
        url, "--log-level", "warning", *options, environ={"SECRET_KEY": KEY} | environ, program=program
    )
    try:
        yield server
    finally:
        server.stop()


@contextmanager
def service_beside(url: str) -> Iterator[Service]:
    """Open the use cases in this process, on the database of servers."""
    store = PostgresStore(url, utc_now)
    try:
        yield build_service(store, SecretKeys([KEY.encode()]))
    finally:
        store.close()


@dataclass(frozen=True)
class Answer:
    """What a call was answered (`code` is "ok" or Connect's), and between which moments."""

    code: str
    reason: str
    content: dict[str, Any]
    began: float
    ended: float

    @property
    def ok(self) -> bool:
        return self.code == "ok"

    @property
    def seconds(self) -> float:
        return self.ended - self.began


@dataclass
class Clients:
    """Connections to some servers, which take turns."""

    servers: Sequence[RunningServer]
    turns: Iterator[httpx.Client] = field(init=False)
    _all: list[httpx.Client] = field(init=False)

    def __enter__(self) -> Clients:
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=100)
        self._all = [httpx.Client(base_url=s.url, timeout=CALL_SECONDS, limits=limits) for s in self.servers]
        self.turns = itertools.cycle(self._all)
        return self

    def __exit__(self, *_: object) -> None:
        for client in self._all:
            client.close()

    def ask(
        self, token: str, method: str, message: dict[str, Any], *, server: int | None = None, **headers: str
    ) -> Answer:
        """Call a method like `Service/Method`, at one of the servers or at each in turn."""
        client = next(self.turns) if server is None else self._all[server]
        given = {name.replace("_", "-"): text for name, text in headers.items() if text}
        given["authorization"] = f"Bearer {token}"
        began = time.monotonic()
        response = client.post(f"/{method}", json=message, headers=given)
        content = response.json()
        code = "ok" if response.status_code == 200 else content["code"]
        return Answer(code, json_reason(content), content, began, time.monotonic())


@dataclass(frozen=True)
class Person:
    """Somebody with a token."""

    name: str
    account_id: str
    token: str
    clients: Clients

    def ask(self, method: str, message: dict[str, Any], *, server: int | None = None, **headers: str) -> Answer:
        return self.clients.ask(self.token, method, message, server=server, **headers)

    def create_organization(self) -> str:
        made = self.ask(f"{ORGANIZATIONS}/CreateOrganization", {"name": "Acme"})
        assert made.ok, made
        return str(made.content["organization"]["id"])

    def regenerate(self, organization: str, *, server: int | None = None, **headers: str) -> Answer:
        """Ask for a new link; its invite id is `invite_of` the answer."""
        method = f"{ORGANIZATIONS}/CreateOrganizationInvite"
        return self.ask(method, {"organizationId": organization}, server=server, **headers)

    def join(self, invite: str, *, server: int | None = None, **headers: str) -> Answer:
        return self.ask(f"{ORGANIZATIONS}/JoinOrganization", {"inviteId": invite}, server=server, **headers)

    def invite(self, organization: str, email: str, *, server: int | None = None, **headers: str) -> Answer:
        """Ask for an invitation to an address, without a mail."""
        message = {"organizationId": organization, "invitation": {"email": email, "sendEmail": False}}
        return self.ask(f"{INVITATIONS}/CreateInvitation", message, server=server, **headers)


def invite_of(answer: Answer) -> str:
    assert answer.ok, answer
    return str(answer.content["invite"]["inviteId"])


def people(service: Service, clients: Clients, count: int) -> list[Person]:
    """Make people with tokens, past the servers; all in one transaction, which is quicker."""
    made = []
    with service.store.transaction():
        for _ in range(count):
            name = f"person{next(_numbers)}"
            account = service.authentication.local_account(f"{name}@example.com", name)
            token, _ = service.tokens.issue(account, description="of a test", expires_at=None)
            made.append(Person(name, account.id, token, clients))
    return made
