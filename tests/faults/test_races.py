"""Many callers at once, against the real server and against mutants: the checks that pass there must fail here."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from server.main import utc_now
from server.service.organizations import Organizations
from server.store.sqlite import SqliteStore
from tests.faults.doors import HttpDoor, ServiceDoor
from tests.faults.histories import race_delete_and_join, race_join_and_regenerate, race_last_admins
from tests.faults.mutants import (
    AdminsCountedBefore,
    AnsweredBeforeCommitStore,
    LookedUpBefore,
    NoPrimaryKeyStore,
    service_with,
)
from tests.running import running_server

ADMINS, JOINERS, ROUNDS = 8, 56, 4


UNCOUNTED = ("--limits", "guesses=off")
"""Looking at links that were replaced counts as guessing, and a race looks at more than anybody may."""


@pytest.fixture(
    scope="module", params=[1, pytest.param(2, marks=pytest.mark.slow)], ids=["one process", "two processes"]
)
def door(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[HttpDoor]:
    directory = tmp_path_factory.mktemp("races")
    with running_server(directory, "--workers", str(request.param), "--log-level", "warning", *UNCOUNTED) as server:
        door = HttpDoor(server)
        yield door
        door.close()


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_64_callers_who_join_and_regenerate_at_once_find_one_live_link(door: HttpDoor, seed: int) -> None:
    assert race_join_and_regenerate(door, admins=ADMINS, joiners=JOINERS, rounds=ROUNDS, seed=seed) == []


def test_the_last_two_admins_never_both_go(door: HttpDoor) -> None:
    assert race_last_admins(door, rounds=12, seed=1) == []


def test_nobody_is_left_a_member_of_a_deleted_organization(door: HttpDoor) -> None:
    assert race_delete_and_join(door, joiners=15, rounds=6, seed=1) == []


@pytest.fixture
def sound(tmp_path: Path) -> Iterator[ServiceDoor]:
    store = SqliteStore(tmp_path / "organizations.db", utc_now)
    yield ServiceDoor(service_with(store))
    store.close()


def _joins(door: ServiceDoor, seed: int = 7) -> list[str]:
    return race_join_and_regenerate(door, admins=2, joiners=10, rounds=15, seed=seed)


def _caught(door: ServiceDoor) -> bool:
    """Whether the checks find something wrong in one of some races; a single one may go well by luck."""
    return any(_joins(door, seed) for seed in range(10))


def test_the_checks_find_nothing_wrong_with_the_use_cases_as_they_are(sound: ServiceDoor) -> None:
    assert _joins(sound) == []
    assert race_last_admins(sound, rounds=30, seed=7) == []


@pytest.mark.parametrize(
    ("store_class", "organizations"),
    [
        pytest.param(SqliteStore, LookedUpBefore, id="the link looked up before the transaction"),
        pytest.param(NoPrimaryKeyStore, Organizations, id="no primary key for the live link"),
        pytest.param(AnsweredBeforeCommitStore, Organizations, id="a transaction for each write"),
    ],
)
def test_the_checks_catch_a_service_whose_links_lack_a_safeguard(
    tmp_path: Path, store_class: type[SqliteStore], organizations: type[Organizations]
) -> None:
    path = tmp_path / "organizations.db"
    store = store_class(path) if store_class is NoPrimaryKeyStore else store_class(path, utc_now)  # type: ignore[call-arg]
    try:
        assert _caught(ServiceDoor(service_with(store, organizations)))
    finally:
        store.close()


def test_the_checks_catch_a_service_that_counts_admins_before_the_transaction(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "organizations.db", utc_now)
    try:
        door = ServiceDoor(service_with(store, AdminsCountedBefore))
        assert any(race_last_admins(door, rounds=30, seed=seed) for seed in range(5))
    finally:
        store.close()
