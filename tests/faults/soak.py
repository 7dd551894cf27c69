"""The long run, `make soak HOURS=…`: histories, kills and power cuts in turns, each with a fresh seed.

What goes wrong is printed with the command that does it again, and the run goes on.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.faults.kills import Run, kill_bare, kill_whole
from tests.faults.nemesis import FIELDS, campaign
from tests.faults.power_cuts import EVERY_SEVENTH_SYNC, Cuts, cut_the_power
from tests.faults.recording import Verdict

HISTORY_SECONDS = 20.0
"""How long each history goes wrong."""

BARE, WHOLE, CUTS = 45, 5, 10
"""Kills of the service without Envoy and of the whole server, and power cuts, in each turn."""


@dataclass
class Soak:
    """What was found so far."""

    histories: Verdict = field(default_factory=Verdict)
    faults: Counter[str] = field(default_factory=Counter)
    bare: Run = field(default_factory=lambda: Run("the service without Envoy"))
    whole: Run = field(default_factory=lambda: Run("the whole server"))
    cuts: Cuts = field(default_factory=lambda: Cuts("synchronous=FULL"))
    failing: Cuts = field(default_factory=lambda: Cuts("synchronous=FULL while syncs fail"))
    wrong: int = 0

    def look_at_histories(self, store: str, seed: int) -> None:
        """Have clients call while things go wrong, and look for an order of what they were answered."""
        run = campaign(store, seed, seconds=HISTORY_SECONDS)
        self._report(run, run.verdict.wrong, run.command)
        self.histories += run.verdict
        self.faults += run.faults

    def kill(self, seed: int) -> None:
        """Kill servers while they write."""
        for total, option, kill, kills in (
            (self.bare, "bare", kill_bare, BARE),
            (self.whole, "whole", kill_whole, WHOLE),
        ):
            run = _in_a_directory(kill, kills, seed=seed)
            nothing = "--whole 0" if option == "bare" else "--bare 0"
            again = f"python -m tests.faults.kills --{option} {kills} {nothing} --seed {seed}"
            self._report(run, run.found, again)
            total += run

    def cut_the_power(self, seed: int) -> None:
        """Cut the power while people write, on a disk that is well and on one whose syncs fail now and then."""
        for total, fails in ((self.cuts, ""), (self.failing, EVERY_SEVENTH_SYNC)):
            run = _in_a_directory(cut_the_power, CUTS, seed=seed, fails=fails)
            again = f"python -m tests.faults.power_cuts --cuts {CUTS} --seed {seed}{' --failing' if fails else ''}"
            self._report(run, run.found, again)
            total += run

    def _report(self, run: object, wrong: list[str], again: str) -> None:
        print(run, flush=True)
        if wrong:
            self.wrong += 1
            print(*wrong, f"again: {again}", sep="\n", flush=True)

    def __str__(self) -> str:
        faults = f"{self.faults.total()} faults: {dict(sorted(self.faults.items()))}"
        return "\n".join(
            f"in all: {one}" for one in (self.histories, faults, self.bare, self.whole, self.cuts, self.failing)
        )


def _in_a_directory(harm: Callable[..., Any], times: int, **options: Any) -> Any:
    with tempfile.TemporaryDirectory() as directory:
        return harm(Path(directory), times, **options)


def main() -> int:
    """Go on for some hours, one turn at least; 1 when anything was wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hours", type=float, default=1.0)
    parser.add_argument("--seed", type=int, help="of the first turn; a fresh one when not given")
    given = parser.parse_args()
    seed = random.SystemRandom().randrange(10**6) if given.seed is None else given.seed
    until = time.monotonic() + given.hours * 3600
    soak = Soak()
    while True:
        for store in FIELDS:
            soak.look_at_histories(store, seed)
        soak.kill(seed)
        soak.cut_the_power(seed)
        seed += 1
        if time.monotonic() >= until:
            break
    print(soak)
    return 1 if soak.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
