"""Two real servers on one PostgreSQL: the invariants hold across them, and what one revokes the other refuses."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import httpx
import pytest

from server.main import Service
from tests.faults import mutant_server
from tests.faults.doors import Door
from tests.faults.histories import at_once, race_delete_and_join, race_join_and_regenerate, race_last_admins
from tests.faults.mutant_server import NOTHING
from tests.postgres.cluster import Cluster
from tests.postgres.people import (
    INVITATIONS,
    ORGANIZATIONS,
    PROMISED_SECONDS,
    Answer,
    Clients,
    invite_of,
    people,
    service_beside,
    serving,
)

ADMINS, JOINERS, ROUNDS = 8, 56, 3


class DoorToAll(Door):
    """A door whose calls go to all servers in turn, whoever makes them."""

    def __init__(self, clients: Clients, service: Service) -> None:
        self._clients = clients
        self._beside = service
        self._tokens = {}

    @property
    def _http(self) -> httpx.Client:  # type: ignore[override]
        return next(self._clients.turns)

    def prepare(self, people: Sequence[str]) -> None:
        with self._beside.store.transaction():
            super().prepare(people)


@dataclass
class Pair:
    """Two servers, and the use cases beside them."""

    clients: Clients
    service: Service

    @property
    def door(self) -> Door:
        return DoorToAll(self.clients, self.service)


@contextmanager
def two_servers(url: str, beside: str | None = None, *, mutant: str = NOTHING) -> Iterator[Pair]:
    """Run two servers on a database; `beside` is another way to it for what the test does itself."""
    program = mutant_server.program(mutant)
    with (
        service_beside(beside or url) as service,
        serving(url, program=program) as first,
        serving(url, program=program) as second,
        Clients([first, second]) as clients,
    ):
        yield Pair(clients, service)


@pytest.fixture(scope="module")
def pair(postgres: Cluster) -> Iterator[Pair]:
    with two_servers(postgres.create_database("pair")) as pair:
        yield pair


@pytest.mark.slow
def test_64_callers_of_two_servers_who_join_and_regenerate_find_one_live_link(pair: Pair) -> None:
    assert race_join_and_regenerate(pair.door, admins=ADMINS, joiners=JOINERS, rounds=ROUNDS, seed=1) == []


def test_the_last_two_admins_never_both_go_each_by_another_server(pair: Pair) -> None:
    assert race_last_admins(pair.door, rounds=8, seed=1) == []


def test_nobody_is_left_a_member_of_an_organization_that_another_server_deleted(pair: Pair) -> None:
    assert race_delete_and_join(pair.door, joiners=11, rounds=4, seed=1) == []


def test_of_64_invitations_of_one_address_at_once_one_is_made(pair: Pair) -> None:
    (ada,) = people(pair.service, pair.clients, 1)
    organization = ada.create_organization()
    answers: list[Answer] = []
    at_once([lambda: answers.append(ada.invite(organization, "Bob@example.com"))] * 64)
    assert sorted(answer.reason for answer in answers) == ["", *["INVITATION_PENDING"] * 63]


def test_64_requests_with_one_idempotency_key_are_one(pair: Pair) -> None:
    (ada,) = people(pair.service, pair.clients, 1)
    organization = ada.create_organization()
    answers: list[Answer] = []
    at_once([lambda: answers.append(ada.invite(organization, "cem@example.com", idempotency_key="one"))] * 64)
    assert {answer.code for answer in answers} == {"ok"}
    assert len({answer.content["token"] for answer in answers}) == 1


def test_a_token_that_is_revoked_stops_at_both_servers_within_a_second_however_often_it_is_used(pair: Pair) -> None:
    (bob,) = people(pair.service, pair.clients, 1)

    def codes() -> list[str]:
        return [bob.ask("gitpod.v1.AccountService/GetAccount", {}, server=server).code for server in (1, 0)]

    assert codes() == ["ok", "ok"]
    assert pair.service.tokens.revoke(bob.token)
    promised = time.monotonic() + PROMISED_SECONDS
    while time.monotonic() < promised:
        # What was asked before the second was over may be answered either way, however long that took.
        assert set(codes()) <= {"ok", "unauthenticated"}
    assert codes() == ["unauthenticated", "unauthenticated"]


def test_what_one_server_answered_the_other_knows_at_the_next_request(pair: Pair) -> None:
    ada, bob, cem = people(pair.service, pair.clients, 3)
    organization = ada.create_organization()
    for turn in range(5):
        here, there = turn % 2, (turn + 1) % 2
        before = invite_of(ada.regenerate(organization, server=here))
        assert bob.join(before, server=there).ok
        after = invite_of(ada.regenerate(organization, server=here))
        assert cem.join(before, server=there).reason == "INVITE_NOT_FOUND"
        assert cem.join(after, server=there).ok
        for person in (bob, cem):
            wanted = {"organizationId": organization}
            members = person.ask(f"{ORGANIZATIONS}/ListMembers", wanted, server=here).content["members"]
            own = next(m["userId"] for m in members if m["fullName"] == person.name)
            assert ada.ask(f"{ORGANIZATIONS}/LeaveOrganization", {"userId": own}, server=here).ok
            refused = person.ask(f"{ORGANIZATIONS}/GetOrganization", wanted, server=there)
            assert refused.reason == "ORGANIZATION_NOT_FOUND"


def test_an_invitation_that_one_server_revoked_cannot_be_accepted_at_the_other(pair: Pair) -> None:
    ada, bob = people(pair.service, pair.clients, 2)
    organization = ada.create_organization()
    made = ada.invite(organization, f"{bob.name}@example.com", server=0).content
    assert ada.ask(f"{INVITATIONS}/RevokeInvitation", {"invitationId": made["invitation"]["id"]}, server=0).ok
    accepted = bob.ask(f"{INVITATIONS}/AcceptInvitation", {"token": made["token"]}, server=1)
    assert accepted.reason == "INVITATION_REVOKED"


@pytest.mark.slow
def test_the_races_catch_servers_that_do_not_lock_the_organization(postgres: Cluster) -> None:
    url = postgres.create_database("unlocked")
    with two_servers(url, mutant="organizations_not_locked") as pair:
        # A single race may go well by luck.
        assert any(race_last_admins(pair.door, rounds=4, seed=seed) for seed in range(10))
        assert any(race_join_and_regenerate(pair.door, admins=2, joiners=10, rounds=4, seed=seed) for seed in range(10))
