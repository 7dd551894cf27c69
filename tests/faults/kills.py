"""Servers that are killed at random moments while they write, and started again on the same file.

`python -m tests.faults.kills --bare 900 --whole 100` is a long run, `make soak` a longer;
`tests/faults/test_kills.py` a short one.
"""

from __future__ import annotations

import argparse
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from tests.faults.bare import Forge, until_ready
from tests.faults.ledger import Book, Harm, Writers
from tests.running import RunningServer

KILLS_OF_A_FILE = 50
"""After so many the next file is begun, so that checking doesn't come to take longer and longer."""


class Victim(Protocol):
    """A server that is to be killed."""

    def wait(self) -> str:
        """Wait until it answers; give its host:port."""
        ...

    def kill(self) -> None: ...


@dataclass
class Run(Harm):
    """What happened."""

    kills: int = 0
    early: int = 0
    """Kills of servers that were just starting."""
    unanswered: int = 0
    restarts: list[float] = field(default_factory=list)

    def __str__(self) -> str:
        p50, p99 = (1000 * statistics.quantiles(self.restarts, n=100, method="inclusive")[at] for at in (49, 98))
        return (
            f"kills of {self.what}: {self.kills} ({self.early} while starting), {self.acknowledged} acknowledged,"
            f" {self.unanswered} unanswered and repeated, {len(self.wrong.lost)} lost,"
            f" {len(self.wrong.duplicated)} duplicated, {len(self.wrong.damaged)} damaged,"
            f" {len(self.refusals)} refused; restart to first answer p50 {p50:.0f} ms, p99 {p99:.0f} ms"
        )


class Whole:
    """The real server, Envoy and all, known when it listens."""

    def __init__(self, book: Book) -> None:
        self._server = RunningServer(book.environ["DATABASE_URL"], environ=book.environ)

    def wait(self) -> str:
        until_ready(self._server.address)
        return self._server.address

    def kill(self) -> None:
        self._server.kill()


def kill_often(
    run: Run, directory: Path, start: Callable[[Book], Victim], kills: int, *, dice: random.Random, early: float = 0.0
) -> Run:
    """Start a server, let it write, kill it, and hold the file against what was answered, again and again.

    `early` is the share of servers that are killed before they answer.
    """
    while run.kills < kills and run.is_right:
        file = directory / f"{run.kills}.db"
        book = Book(file)
        with closing(Writers(book)) as writers:
            for _ in range(min(kills - run.kills, KILLS_OF_A_FILE)):
                began = time.monotonic()
                victim = start(book)
                if dice.random() < early:
                    time.sleep(dice.uniform(0, 0.08))
                    run.early += 1
                else:
                    address = victim.wait()
                    run.restarts.append(time.monotonic() - began)
                    run.wrong += book.check()
                    writers.go(address)
                    # By what was done and not by time alone, so that a busy machine has as much to lose.
                    book.ledger.wait_for_more(dice.randint(0, 40))
                    time.sleep(dice.uniform(0, 0.02))
                victim.kill()
                writers.pause()
                run.kills += 1
                if not run.wrong.is_nothing or book.ledger.refusals:
                    break
            # What was left unanswered is answered, and then is there once.
            last = start(book)
            writers.go(last.wait())
            writers.finish()
            run.wrong += book.check()
            last.kill()
        run.acknowledged += book.ledger.acknowledgements
        run.unanswered += book.ledger.unanswered
        run.refusals += book.ledger.refusals
        for each in directory.glob(f"{file.name}*"):
            each.unlink()
    return run


def kill_bare(directory: Path, kills: int, *, seed: int, mutant: str = "") -> Run:
    """Kill the service without Envoy, now and then while it starts."""
    with closing(Forge()) as forge:

        def start(book: Book) -> Victim:
            return forge.start(book.environ | {"MUTANT": mutant})

        return kill_often(
            Run("the service without Envoy"), directory, start, kills, dice=random.Random(seed), early=0.15
        )


def kill_whole(directory: Path, kills: int, *, seed: int) -> Run:
    """Kill the real server, all of its processes."""
    return kill_often(Run("the whole server"), directory, Whole, kills, dice=random.Random(seed))


def main() -> None:
    parser = argparse.ArgumentParser(description="Kill servers at random moments while they write.")
    parser.add_argument("--bare", type=int, default=900, help="kills of the service without Envoy (default: 900)")
    parser.add_argument("--whole", type=int, default=100, help="kills of the whole server (default: 100)")
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        for kill, kills in ((kill_bare, asked.bare), (kill_whole, asked.whole)):
            if kills:
                run = kill(Path(directory), kills, seed=asked.seed)
                print(run, flush=True)
                if run.found:
                    sys.exit(run.found[0])


if __name__ == "__main__":
    main()
