"""Histories of the real server under faults have an order; those of a server that lacks a safeguard have none.

`make soak HOURS=…` makes such histories with fresh seeds for as long as one likes.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import pytest

from server.main import Service
from tests.faults.bursts import ALONE, TOGETHER, play_all
from tests.faults.histories import at_once
from tests.faults.model import RULES
from tests.faults.moved_clock import MovedClock
from tests.faults.mutant_server import MUTANTS, NOTHING, OF_POSTGRES, program
from tests.faults.nemesis import CLIENTS, ENVIRON, SEATS, UnavailableError, campaign, moved_clock, open_service
from tests.faults.recording import Place, Verdict, gather, judged
from tests.faults.slices import EVERYTHING, SLICE
from tests.postgres.cluster import Cluster
from tests.running import RunningServer

pytestmark = pytest.mark.faults

SECONDS = float(os.environ.get("HISTORIES_SECONDS", "25"))
ROUNDS = 5
"""How many rounds a mutant may go uncaught, and a sound server must pass."""


OF_SERVERS = {
    "cut clients' connections",
    "have clients in a hurry",
    "kill a server",
    "kill a worker process",
    "move the clock",
    "stop a server for a while",
}
OF_A_DATABASE = {
    "cut connections to the database",
    "cut transactions half done",
    "fail over",
    "kill the database",
    "stop the database for a while",
}
FAULTS = {"sqlite": OF_SERVERS | {"fill the disk"}, "postgres": OF_SERVERS | OF_A_DATABASE}


@pytest.mark.parametrize("store", FAULTS)
def test_an_order_explains_every_history_whatever_goes_wrong(store: str, figure: Callable[[str], None]) -> None:
    run = campaign(store, seed=1, seconds=SECONDS)
    assert run.verdict.wrong == [], f"again: {run.command}"
    assert run.verdict.undecided <= max(1, run.verdict.histories // 20)
    assert run.verdict.in_doubt <= run.verdict.calls // 10
    assert run.verdict.calls > 500
    assert run.verdict.done.keys() == RULES
    figure(str(run))
    came = {fault for fault, count in run.faults.items() if count}
    if run.left_out:
        assert came == FAULTS[store] - {"fill the disk"}
        pytest.skip(f"all went well but for what wasn't tried: {run.left_out}")
    assert came == FAULTS[store]


@pytest.mark.parametrize(
    ("store", "fault", "mutant"),
    [
        ("sqlite", "disk", "failed_commits_answered"),
        ("sqlite", "disk", "refused_for_what_was_never_kept"),
        ("postgres", "cut transactions", "lost_commits_taken_for_undone"),
    ],
)
def test_the_checker_catches_a_server_that_takes_a_fault_wrongly(
    store: str, fault: str, mutant: str, figure: Callable[[str], None]
) -> None:
    # What only happens in one history of a hundred needs more rounds than a race that is played.
    for seed in range(1, 2 * ROUNDS + 1):
        try:
            run = campaign(store, seed, seconds=SECONDS / 2, only=(fault,), mutant=mutant)
        except UnavailableError as unavailable:
            pytest.skip(str(unavailable))
        if found := [one for one in run.verdict.wrong if one.startswith("no order explains")]:
            break
    assert found, f"{mutant} survived {run}"
    figure(f"mutant caught on {store}: {mutant}, round {seed}, after {run.verdict.calls} calls")


@dataclass
class Watched:
    """What is wrong with a server, and in which part of which round that was seen."""

    verdict: Verdict = field(default_factory=Verdict)
    unprepared: list[str] = field(default_factory=list)
    seen_in: str = ""

    @property
    def anomalies(self) -> list[str]:
        """Give what is wrong, other than that the server fell over: a mutant that breaks shows nothing."""
        return [one for one in self.verdict.wrong if "INTERNAL" not in one]


def watched(url: str, mutant: str, *, until_wrong: bool) -> Watched:
    """Play directed races against a server on a fresh database, then let clients call at random; again and again."""
    seen = Watched()
    with moved_clock(0.0) as clock:
        options = ("--workers", "2", "--log-level", "error")
        server = RunningServer(url, *options, environ=ENVIRON | clock.environs[0], program=program(mutant))
        try:
            service = open_service(url)
            with closing(service.store):
                for number, part in itertools.product(range(1, ROUNDS + 1), (_directed, _at_random)):
                    places = part(service, server.address, number, clock, seen)
                    seen.verdict += judged(places, SEATS, timeline=clock.timeline, thorough=not until_wrong)
                    if until_wrong and seen.anomalies:
                        seen.seen_in = f"{part.__name__.strip('_').replace('_', ' ')}, round {number}"
                        break
        finally:
            server.stop()
    return seen


def _directed(service: Service, address: str, seed: int, clock: MovedClock, seen: Watched) -> list[Place]:
    crowd = gather(service, [address], places=len(TOGETHER) + len(ALONE), seed=seed, clock=clock)
    seen.unprepared += play_all(crowd, clock)
    return crowd.places


def _at_random(service: Service, address: str, seed: int, clock: MovedClock, _: Watched) -> list[Place]:
    crowd = gather(service, [address], places=6, seed=seed, clock=clock)
    at_once([partial(crowd.run_client, number) for number in range(CLIENTS)])
    crowd.settle()
    return crowd.places


@pytest.fixture
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Give the URL of a fresh database on the store that the test names."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'organizations.db'}"
    else:
        with Cluster() as cluster:
            yield cluster.create_database("service")


@pytest.mark.parametrize("database", ["sqlite", "postgres"], indirect=True)
def test_a_server_that_lacks_nothing_passes_as_many_rounds_as_any_mutant_may(
    database: str, figure: Callable[[str], None]
) -> None:
    seen = watched(database, NOTHING, until_wrong=False)
    assert seen.verdict.wrong == []
    assert seen.verdict.undecided <= seen.verdict.histories // 20
    assert seen.verdict.done.keys() == RULES
    assert seen.unprepared == []
    figure(f"no mutant on {database.split(':')[0]}, {ROUNDS} rounds: {seen.verdict}")


def mutants_on_stores() -> list[tuple[str, str]]:
    """Give each mutant on one store, which is the other in the next slice."""
    stores = ("sqlite", "postgres")
    return [
        (stores[at], name)
        for number, name in enumerate(MUTANTS)
        for at in (range(2) if EVERYTHING else [(number + SLICE) % 2])
    ] + [("postgres", name) for name in OF_POSTGRES]


@pytest.mark.parametrize(("database", "name"), mutants_on_stores(), indirect=["database"])
def test_the_checker_catches_a_server_that_lacks_a_safeguard(
    database: str, name: str, figure: Callable[[str], None]
) -> None:
    seen = watched(database, name, until_wrong=True)
    assert seen.anomalies != [], f"{name} survived {seen.verdict} {seen.verdict.wrong} {seen.unprepared}"
    figure(f"mutant caught on {database.split(':')[0]}: {name}, {seen.seen_in}, after {seen.verdict.calls} calls")
