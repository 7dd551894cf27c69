"""The power is cut: what was acknowledged is on the disk, and would not all be without waiting for it."""

from __future__ import annotations

import errno
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from server.store.sqlite import sqlite3
from tests.faults.bare import Forge
from tests.faults.disk import Calls, Disk, library, preloaded
from tests.faults.ledger import Book, Writers, Wrong
from tests.running import ROOT, clean_environ, run_program

pytestmark = pytest.mark.faults

SHARES = (0.0, 0.5, 1.0)
"""How much of what wasn't synced is there afterwards: nothing, some of it, all of it."""


@dataclass
class Cuts:
    """What happened."""

    cuts: int = 0
    acknowledged: int = 0
    refused: int = 0
    unavailable: int = 0
    syncs: int = 0
    checkpoints: int = 0
    wrong: Wrong = field(default_factory=Wrong)

    def __str__(self) -> str:
        return (
            f"{self.cuts}, {self.acknowledged} acknowledged, {self.unavailable} told to come again, {self.syncs} syncs,"
            f" {self.checkpoints} checkpoints, {len(self.wrong.lost)} lost, {len(self.wrong.duplicated)} duplicated,"
            f" {len(self.wrong.damaged)} damaged"
        )


def cut_the_power(directory: Path, cuts: int, *, synchronous: str = "FULL", fails: str = "") -> Cuts:
    """Let people write, cut the power, and go on with what is on the disk, again and again until something is lost."""
    dice, run = random.Random(1), Cuts()
    running, after, looked_at, journal = (directory / name for name in ("running", "after", "looked at", "journal"))
    running.mkdir()
    book = Book(running / "organizations.db")
    # So small that the file itself is written often.
    environ = {"PRAGMAS": f"synchronous = {synchronous}; wal_autocheckpoint = 100", "DISK_FAILS": fails}
    with (
        closing(Forge({"LD_PRELOAD": str(library())})) as forge,
        closing(Writers(book, patient=bool(fails))) as writers,
    ):
        while run.cuts < cuts and run.wrong.is_nothing:
            disk = Disk(running)
            victim = forge.start(book.environ | preloaded(running, journal) | environ)
            writers.go(victim.wait())
            book.ledger.wait_for_more(dice.randint(5, 60))
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
    run.acknowledged, run.refused, run.unavailable = ledger.acknowledgements, len(ledger.refusals), ledger.unavailable
    return run


def test_a_power_cut_loses_nothing_that_was_acknowledged(tmp_path: Path, figure: Callable[[str], None]) -> None:
    run = cut_the_power(tmp_path, 12)
    assert run.wrong.is_nothing, run.wrong
    assert run.refused == 0
    assert run.checkpoints > 10
    figure(f"power cuts at synchronous=FULL: {run}")


def test_where_nobody_waits_for_the_disk_a_power_cut_loses_something(
    tmp_path: Path, figure: Callable[[str], None]
) -> None:
    run = cut_the_power(tmp_path, 12, synchronous="NORMAL")
    assert run.wrong.lost
    assert run.wrong.damaged == []
    figure(f"power cuts at synchronous=NORMAL: {run}")


def test_where_some_syncs_fail_a_power_cut_loses_nothing_either(tmp_path: Path, figure: Callable[[str], None]) -> None:
    """What a failed sync was to write is gone, and the next one doesn't bring it back."""
    every_seventh_fails = f"{Calls.SYNC:d} 20 1 7 {errno.EIO} 0"
    run = cut_the_power(tmp_path, 6, fails=every_seventh_fails)
    assert run.wrong.is_nothing, run.wrong
    assert run.refused == 0
    assert run.unavailable > 0
    figure(f"power cuts while syncs fail: {run}")


MAKES_A_DATABASE = """
import os, signal, sys
from server.main import build_service, open_store, SecretKeys, Settings
settings = Settings(database_url=sys.argv[1])
keys = SecretKeys(settings.secret_keys())
build_service(open_store(settings), keys).authentication.local_account("ada@example.com", "Ada")
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_database_that_was_just_made_is_there_after_a_power_cut_with_its_key(tmp_path: Path) -> None:
    root, journal = tmp_path / "root", tmp_path / "journal"
    root.mkdir()
    disk = Disk(root)
    made = root / "data" / "deep" / "organizations.db"
    environ = clean_environ() | preloaded(root, journal)
    done = subprocess.run(
        [sys.executable, "-c", MAKES_A_DATABASE, f"sqlite:///{made}"], env=environ, cwd=ROOT, check=False
    )
    assert done.returncode == -signal.SIGKILL
    disk.follow(journal)
    disk.cut(tmp_path / "after", random.Random(1), 0.0)
    there = tmp_path / "after" / "data" / "deep"
    assert sorted(path.name for path in there.iterdir()) == [
        "organizations.db",
        "organizations.db-wal",
        "organizations.key",
    ]
    with closing(sqlite3.connect(there / "organizations.db")) as db:
        assert db.execute("SELECT name FROM accounts").fetchall() == [("Ada",)]


COMMANDS = {
    "backup": lambda source, target: ("backup", str(target), "--database-url", f"sqlite:///{source}"),
    "restore": lambda source, target: ("restore", str(source), "--database-url", f"sqlite:///{target}"),
    "copy": lambda source, target: ("copy", "--from", f"sqlite:///{source}", "--to", f"sqlite:///{target}"),
}


@pytest.mark.parametrize("command", COMMANDS)
def test_what_a_command_said_is_done_is_there_after_a_power_cut(tmp_path: Path, command: str) -> None:
    root, journal = tmp_path / "root", tmp_path / "journal"
    root.mkdir()
    book = Book(root / "organizations.db")
    disk = Disk(root)
    target = root / "target.db"
    done = run_program(*COMMANDS[command](book.path, target), environ=preloaded(root, journal) | book.environ)
    assert done.returncode == 0, done.stderr
    disk.follow(journal)
    disk.cut(tmp_path / "after", random.Random(1), 0.0)
    with closing(sqlite3.connect(tmp_path / "after" / target.name)) as db:
        assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert db.execute("SELECT count(*) FROM accounts").fetchone() == (3,)
