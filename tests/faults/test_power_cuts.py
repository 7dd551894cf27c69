"""The power is cut: what was acknowledged is on the disk, and would not all be without waiting for it."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from server.store.sqlite import sqlite3
from tests.faults.disk import Disk, preloaded
from tests.faults.ledger import Book
from tests.faults.power_cuts import EVERY_SEVENTH_SYNC, cut_the_power
from tests.running import ROOT, clean_environ, run_program

pytestmark = pytest.mark.faults


def test_a_power_cut_loses_nothing_that_was_acknowledged(tmp_path: Path, figure: Callable[[str], None]) -> None:
    run = cut_the_power(tmp_path, 12)
    assert run.is_right, (run.wrong, run.refusals)
    assert run.checkpoints > 10
    figure(str(run))


def test_where_nobody_waits_for_the_disk_a_power_cut_loses_something(
    tmp_path: Path, figure: Callable[[str], None]
) -> None:
    run = cut_the_power(tmp_path, 12, synchronous="NORMAL")
    assert run.wrong.lost
    assert run.wrong.damaged == []
    figure(str(run))


def test_where_some_syncs_fail_a_power_cut_loses_nothing_either(tmp_path: Path, figure: Callable[[str], None]) -> None:
    """What a failed sync was to write is gone, and the next one doesn't bring it back."""
    run = cut_the_power(tmp_path, 6, fails=EVERY_SEVENTH_SYNC)
    assert run.is_right, (run.wrong, run.refusals)
    assert run.unavailable >= run.cuts == 6
    figure(str(run))


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
