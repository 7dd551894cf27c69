"""Histories of the real server under faults have an order; those of a server that lacks a safeguard have none.

`make soak HOURS=…` does the same with fresh seeds for as long as one likes.
"""

from __future__ import annotations

import itertools
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import pytest

from server.main import Service
from tests.faults.bursts import BURSTS, play_all
from tests.faults.histories import at_once
from tests.faults.mutant_server import MUTANTS
from tests.faults.nemesis import CLIENTS, ENVIRON, SEATS, campaign, open_service
from tests.faults.recording import Place, Verdict, gather, judged
from tests.postgres.cluster import Cluster
from tests.running import PROGRAM, RunningServer

pytestmark = pytest.mark.faults

SECONDS = float(os.environ.get("HISTORIES_SECONDS", "25"))
ROUNDS = 5
"""How many rounds a mutant may go uncaught, and a sound server must pass."""


@pytest.mark.parametrize("store", ["sqlite", "postgres"])
def test_an_order_explains_every_history_whatever_goes_wrong(store: str, figure: Callable[[str], None]) -> None:
    run = campaign(store, seed=1, seconds=SECONDS)
    assert run.verdict.wrong == [], f"again: {run.command}"
    assert run.verdict.undecided <= run.verdict.histories // 20
    assert run.verdict.calls > 500
    figure(str(run))


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


def watched(url: str, program: Sequence[str | Path], *, until_wrong: bool) -> Watched:
    """Play directed races against a server on a fresh database, then let clients call at random; again and again."""
    seen = Watched()
    server = RunningServer(url, "--workers", "2", "--log-level", "error", environ=ENVIRON, program=program)
    try:
        service = open_service(url)
        with closing(service.store):
            for number, part in itertools.product(range(1, ROUNDS + 1), (_directed, _at_random)):
                places = part(service, server.address, number, seen)
                seen.verdict.add(judged(places, SEATS, thorough=not until_wrong))
                if until_wrong and seen.anomalies:
                    seen.seen_in = f"{part.__name__.strip('_').replace('_', ' ')}, round {number}"
                    break
    finally:
        server.stop()
    return seen


def _directed(service: Service, address: str, seed: int, seen: Watched) -> list[Place]:
    crowd = gather(service, [address], places=len(BURSTS), seed=seed)
    seen.unprepared += play_all(crowd)
    return crowd.places


def _at_random(service: Service, address: str, seed: int, _: Watched) -> list[Place]:
    crowd = gather(service, [address], places=6, seed=seed)
    at_once([partial(crowd.run_client, number) for number in range(CLIENTS)])
    crowd.settle()
    return crowd.places


@pytest.fixture
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Give the URL of a fresh database, on the store that the test names or on SQLite."""
    if getattr(request, "param", "sqlite") == "sqlite":
        yield f"sqlite:///{tmp_path / 'organizations.db'}"
    else:
        with Cluster() as cluster:
            yield cluster.create_database("service")


@pytest.mark.parametrize("database", ["sqlite", "postgres"], indirect=True)
def test_a_server_that_lacks_nothing_passes_as_many_rounds_as_any_mutant_may(
    database: str, figure: Callable[[str], None]
) -> None:
    seen = watched(database, (PROGRAM,), until_wrong=False)
    assert seen.verdict.wrong == []
    assert seen.verdict.undecided == 0
    assert seen.unprepared == []
    figure(f"no mutant on {database.split(':')[0]}, {ROUNDS} rounds: {seen.verdict}")


@pytest.mark.parametrize("name", MUTANTS)
def test_the_checker_catches_a_server_that_lacks_a_safeguard(
    database: str, name: str, figure: Callable[[str], None]
) -> None:
    seen = watched(database, (sys.executable, "-m", "tests.faults.mutant_server", name), until_wrong=True)
    assert seen.anomalies != [], f"{name} survived {seen.verdict} {seen.verdict.wrong} {seen.unprepared}"
    figure(f"mutant caught: {name}, {seen.seen_in}, after {seen.verdict.calls} calls")
