"""Histories of the real server under faults have an order; those of a server that lacks a safeguard have none.

`make soak HOURS=…` does the same with fresh seeds for as long as one likes.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest

from tests.faults.histories import at_once
from tests.faults.mutant_server import MUTANTS
from tests.faults.nemesis import CLIENTS, ENVIRON, SEATS, campaign, open_service
from tests.faults.recording import Verdict, gather, judged
from tests.running import PROGRAM, RunningServer

pytestmark = pytest.mark.faults

SECONDS = float(os.environ.get("HISTORIES_SECONDS", "25"))
LONGEST_SECONDS = 120.0
"""How long a mutant may go uncaught. Most are caught in the first three seconds."""


@pytest.mark.parametrize("store", ["sqlite", "postgres"])
def test_an_order_explains_every_history_whatever_goes_wrong(store: str, figure: Callable[[str], None]) -> None:
    run = campaign(store, seed=1, seconds=SECONDS)
    assert run.verdict.wrong == [], f"again: {run.command}"
    assert run.verdict.undecided <= run.verdict.histories // 20
    assert run.verdict.calls > 500
    figure(str(run))


def watched(directory: Path, program: Sequence[str | Path], *, until_wrong: bool, seconds: float) -> Verdict:
    """Let clients call a server on a fresh file, again and again, until something is wrong or the time is over."""
    url = f"sqlite:///{directory / 'organizations.db'}"
    total = Verdict()
    server = RunningServer(url, "--log-level", "error", environ=ENVIRON, program=program)
    try:
        service = open_service(url)
        with closing(service.store):
            until = time.monotonic() + seconds
            seed = 0
            while time.monotonic() < until and not (until_wrong and total.wrong):
                seed += 1
                crowd = gather(service, [server.address], places=10, seed=seed)
                at_once([partial(crowd.run_client, number) for number in range(CLIENTS)])
                crowd.settle()
                # What a mutant did is not made smaller, which takes long.
                total.add(judged(crowd.places, SEATS, shrink=not until_wrong))
    finally:
        server.stop()
    return total


def test_a_server_that_lacks_nothing_passes_as_long_as_any_mutant_may(tmp_path: Path) -> None:
    verdict = watched(tmp_path, (PROGRAM,), until_wrong=False, seconds=12)
    assert verdict.wrong == []
    assert verdict.undecided == 0


@pytest.mark.parametrize("name", MUTANTS)
def test_the_checker_catches_a_server_that_lacks_a_safeguard(
    tmp_path: Path, name: str, figure: Callable[[str], None]
) -> None:
    began = time.monotonic()
    program = (sys.executable, "-m", "tests.faults.mutant_server", name)
    verdict = watched(tmp_path, program, until_wrong=True, seconds=LONGEST_SECONDS)
    assert verdict.wrong != [], f"{name} survived {verdict}"
    figure(f"mutant caught: {name} after {verdict.calls} calls, {time.monotonic() - began:.1f} s")
