"""Many callers at once, against the real server and such as lack a safeguard: the checks must fail on these."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.faults.doors import Door
from tests.faults.histories import race_delete_and_join, race_join_and_regenerate, race_last_admins
from tests.faults.mutant_server import program
from tests.running import running_server

ADMINS, JOINERS, ROUNDS = 8, 56, 4


UNCOUNTED = ("--limits", "guesses=off")
"""Looking at links that were replaced counts as guessing, and a race looks at more than anybody may."""


@pytest.fixture(
    scope="module", params=[1, pytest.param(2, marks=pytest.mark.slow)], ids=["one process", "two processes"]
)
def door(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    directory = tmp_path_factory.mktemp("races")
    with running_server(directory, "--workers", str(request.param), "--log-level", "warning", *UNCOUNTED) as server:
        door = Door(server)
        yield door
        door.close()


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_64_callers_who_join_and_regenerate_at_once_find_one_live_link(door: Door, seed: int) -> None:
    assert race_join_and_regenerate(door, admins=ADMINS, joiners=JOINERS, rounds=ROUNDS, seed=seed) == []


def test_the_last_two_admins_never_both_go(door: Door) -> None:
    assert race_last_admins(door, rounds=12, seed=1) == []


def test_nobody_is_left_a_member_of_a_deleted_organization(door: Door) -> None:
    assert race_delete_and_join(door, joiners=15, rounds=6, seed=1) == []


Check = Callable[[Door, int], list[str]]


def _joins(door: Door, seed: int) -> list[str]:
    return race_join_and_regenerate(door, admins=2, joiners=10, rounds=6, seed=seed)


def _last_admins(door: Door, seed: int) -> list[str]:
    return race_last_admins(door, rounds=6, seed=seed)


def _deleted(door: Door, seed: int) -> list[str]:
    return race_delete_and_join(door, joiners=10, rounds=2, seed=seed)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("mutant", "check"),
    {
        "link_looked_up_before_the_transaction": _joins,
        "links_without_a_primary_key": _joins,
        "admins_counted_before_the_transaction": _last_admins,
        "members_outlive_their_organization": _deleted,
    }.items(),
)
def test_the_checks_catch_a_server_that_lacks_a_safeguard(tmp_path: Path, mutant: str, check: Check) -> None:
    # A single race may go well by luck.
    options = ("--workers", "2", *UNCOUNTED)
    with running_server(tmp_path, *options, program=program(mutant)) as server, closing(Door(server)) as door:
        assert any(check(door, seed) for seed in range(10))
