"""Power that is cut at random moments while people write, and a service that goes on with what was on the disk.

`python -m tests.faults.power_cuts --cuts 60` is a long run, `make soak` a longer;
`tests/faults/test_power_cuts.py` a short one.
"""

from __future__ import annotations

import argparse
import errno
import random
import shutil
import sys
import tempfile
import time
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from tests.faults.bare import Forge
from tests.faults.disk import Calls, Disk, library, preloaded
from tests.faults.ledger import Book, Harm, Writers

SHARES = (0.0, 0.5, 1.0)
"""How much of what wasn't synced is there afterwards: nothing, some of it, all of it."""

EVERY_SEVENTH_SYNC = f"{Calls.SYNC:d} 20 1 7 {errno.EIO} 0"
"""What fails, as `disk.c` reads it: from the twentieth sync on, each seventh."""


@dataclass
class Cuts(Harm):
    """What happened."""

    cuts: int = 0
    unavailable: int = 0
    syncs: int = 0
    checkpoints: int = 0

    def __str__(self) -> str:
        return (
            f"power cuts at {self.what}: {self.cuts}, {self.acknowledged} acknowledged,"
            f" {self.unavailable} told to come again, {self.syncs} syncs, {self.checkpoints} checkpoints,"
            f" {len(self.wrong.lost)} lost, {len(self.wrong.duplicated)} duplicated, {len(self.wrong.damaged)} damaged"
        )


def cut_the_power(directory: Path, cuts: int, *, seed: int = 1, synchronous: str = "", fails: str = "") -> Cuts:
    """Let people write, cut the power, and go on with what is on the disk, again and again until something is lost.

    `synchronous` takes the place of what the server sets itself.
    """
    dice, run = random.Random(seed), Cuts(f"synchronous={synchronous or 'FULL'}{' while syncs fail' if fails else ''}")
    running, after, looked_at, journal = (directory / name for name in ("running", "after", "looked at", "journal"))
    running.mkdir()
    book = Book(running / "organizations.db")
    # So small that the file itself is written often.
    pragmas = "wal_autocheckpoint = 100" + (synchronous and f"; synchronous = {synchronous}")
    environ = {"PRAGMAS": pragmas, "DISK_FAILS": fails}
    with (
        closing(Forge({"LD_PRELOAD": str(library())})) as forge,
        closing(Writers(book, patient=bool(fails))) as writers,
    ):
        while run.cuts < cuts and run.wrong.is_nothing:
            disk = Disk(running)
            victim = forge.start(book.environ | preloaded(running, journal) | environ)
            writers.go(victim.wait())
            # By what was done, not by time: few syncs may be enough for many writers.
            book.ledger.wait_for_more(dice.randint(5, 60), unavailable=1 if fails else 0)
            time.sleep(dice.uniform(0, 0.02))
            victim.kill()
            writers.pause()
            disk.follow(journal)
            journal.unlink()
            disk.cut(after, dice, SHARES[run.cuts % len(SHARES)])
            shutil.rmtree(running)
            after.rename(running)
            # The server is to recover by itself, so that the check looks at a copy.
            shutil.copytree(running, looked_at)
            run.wrong += book.check(looked_at / "organizations.db")
            shutil.rmtree(looked_at)
            run.cuts += 1
            run.syncs += disk.syncs
            run.checkpoints += disk.checkpoints
    ledger = book.ledger
    run.acknowledged, run.refusals, run.unavailable = ledger.acknowledgements, ledger.refusals, ledger.unavailable
    return run


def main() -> int:
    """Cut it some times; 1 when anything was wrong."""
    parser = argparse.ArgumentParser(description="Cut the power while people write.")
    parser.add_argument("--cuts", type=int, default=60)
    parser.add_argument("--failing", action="store_true", help="let every seventh sync fail besides")
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        fails = EVERY_SEVENTH_SYNC if asked.failing else ""
        run = cut_the_power(Path(directory), asked.cuts, seed=asked.seed, fails=fails)
    print(run, *run.found, sep="\n")
    return 0 if run.is_right else 1


if __name__ == "__main__":
    sys.exit(main())
