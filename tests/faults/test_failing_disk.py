"""The disk fails at every point of what the service does: a clear refusal, nothing half done, and it goes on."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.faults.disk import Calls, preloaded
from tests.faults.failing_disk import FAULTS, ITS_DIRECTORY
from tests.faults.slices import EVERYTHING, SLICE
from tests.running import ROOT, clean_environ

pytestmark = pytest.mark.faults

STRIDE = 17
"""Where there are hundreds of calls, one in so many fails in a run: so many slices let each fail once."""

FEW = ("a sync", "a truncation", "an open")

MAY_PASS = {
    # A checkpoint copies what the write-ahead log keeps all the same: it is done again the next time.
    Calls.READ: {"-wal"},
    Calls.WRITE: {""},
    Calls.SYNC: {"", "-wal", ITS_DIRECTORY},
    Calls.TRUNCATE: {""},
    # SQLite doesn't tell when it can't open or sync the directory of a file that it has made.
    Calls.OPEN: {ITS_DIRECTORY},
}
"""Files (by what follows the database's name) of which a call may fail without anybody being told."""

MIGRATIONS_MAY_PASS = {""}
"""And while the file is made: when SQLite has added a column it checks the rows that are there (of ours none can be
wrong, since each new column has a default), and doesn't tell when it can't read them."""


def failing(directory: Path, what: str, fault: str, *, sliced: bool = False) -> dict[str, Any]:
    """Have something done while the disk fails, in a process of its own; give its report."""
    environ = clean_environ() | preloaded(directory) | {"SQLITE_TMPDIR": str(directory)}
    points = (1, 1) if EVERYTHING or not sliced or fault in FEW else (1 + SLICE % STRIDE, STRIDE)
    command = [sys.executable, "-m", "tests.faults.failing_disk", directory, what, fault, *map(str, points)]
    done = subprocess.run(command, env=environ, cwd=ROOT, capture_output=True, text=True, timeout=3600, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    report: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    assert report["wrong"] == []
    assert report["points"] > 0
    may_pass = set().union(*(files for calls, files in MAY_PASS.items() if calls in FAULTS[fault].calls))
    may_pass |= MIGRATIONS_MAY_PASS if what == "starting" else set()
    assert set(report["silent"]) <= may_pass, report
    return report


def said(report: dict[str, Any]) -> str:
    silent = sum(report["silent"].values())
    which = "every" if report["stride"] == 1 else f"the {report['first']}. and every {report['stride']}th after it"
    return f"{report['points']} points ({which}): {report['refused']} refusals, {silent} of no concern, 0 wrong"


@pytest.mark.parametrize("fault", FAULTS)
def test_whatever_fails_in_a_story_is_refused_whole_and_can_be_asked_again(
    tmp_path: Path, fault: str, figure: Callable[[str], None]
) -> None:
    report = failing(tmp_path, "stories", fault, sliced=True)
    # Only checkpoints truncate, and only the file itself.
    assert report["refused"] or fault == "a truncation"
    figure(f"{fault} failed in stories at {said(report)}")


@pytest.mark.parametrize("fault", [name for name in FAULTS if name not in ("a read", "a truncation", "an open")])
def test_turns_that_share_a_commit_that_fails_are_all_refused(tmp_path: Path, fault: str) -> None:
    assert failing(tmp_path, "shared_commit", fault)["refused"]


@pytest.mark.parametrize("fault", FAULTS)
def test_a_file_that_cannot_be_opened_is_opened_when_the_disk_is_well_again(
    tmp_path: Path, fault: str, figure: Callable[[str], None]
) -> None:
    report = failing(tmp_path, "starting", fault, sliced=True)
    assert report["refused"]
    figure(f"{fault} failed while a file was made and opened at {said(report)}")


@pytest.mark.parametrize("fault", ["a write", "a sync", "everything from then on"])
def test_times_of_last_use_that_cannot_be_written_are_written_the_next_time(tmp_path: Path, fault: str) -> None:
    assert failing(tmp_path, "last_used", fault)["refused"]


@pytest.mark.parametrize("fault", ["a read", "a write", "a sync", "everything from then on"])
def test_mails_go_out_though_the_disk_fails_in_between(tmp_path: Path, fault: str) -> None:
    assert failing(tmp_path, "outbox", fault)["refused"]
