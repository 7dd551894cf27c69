"""The disk fails at every point of what the service does: a clear refusal, nothing half done, and it goes on."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.faults.disk import preloaded
from tests.faults.failing_disk import FAULTS
from tests.running import ROOT, clean_environ

pytestmark = pytest.mark.faults

EVERY_POINT = "EVERY_POINT" in os.environ
"""Whether every call fails once; where there are hundreds of them, one in 17 does otherwise."""


def stride_of(fault: str) -> int:
    return 1 if EVERY_POINT or fault in ("a sync", "a truncation", "an open") else 17


def failing(directory: Path, what: str, fault: str, *, stride: int = 1) -> dict[str, Any]:
    """Have something done while the disk fails, in a process of its own; give its report."""
    environ = clean_environ() | preloaded(directory) | {"SQLITE_TMPDIR": str(directory)}
    command = [sys.executable, "-m", "tests.faults.failing_disk", str(directory), what, fault, str(stride)]
    done = subprocess.run(command, env=environ, cwd=ROOT, capture_output=True, text=True, timeout=900, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    report: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    assert report["wrong"] == []
    assert report["points"] > 0
    return report


@pytest.mark.parametrize("fault", FAULTS)
def test_whatever_fails_in_a_story_is_refused_whole_and_can_be_asked_again(
    tmp_path: Path, fault: str, figure: Callable[[str], None]
) -> None:
    report = failing(tmp_path, "stories", fault, stride=stride_of(fault))
    figure(f"{fault} failed at {report['points']} points of a story: {report['refused']} refusals, 0 wrong")


@pytest.mark.parametrize("fault", [name for name in FAULTS if name not in ("a read", "a truncation", "an open")])
def test_turns_that_share_a_commit_that_fails_are_all_refused(tmp_path: Path, fault: str) -> None:
    assert failing(tmp_path, "shared_commit", fault)["refused"]


@pytest.mark.parametrize("fault", [name for name, fault in FAULTS.items() if fault.times == 1])
def test_a_file_that_cannot_be_opened_is_opened_when_the_disk_is_well_again(tmp_path: Path, fault: str) -> None:
    failing(tmp_path, "starting", fault, stride=stride_of(fault))


@pytest.mark.parametrize("fault", ["a write", "a sync", "everything from then on"])
def test_times_of_last_use_that_cannot_be_written_are_written_the_next_time(tmp_path: Path, fault: str) -> None:
    assert failing(tmp_path, "last_used", fault)["refused"]


@pytest.mark.parametrize("fault", ["a read", "a write", "a sync", "everything from then on"])
def test_mails_go_out_though_the_disk_fails_in_between(tmp_path: Path, fault: str) -> None:
    assert failing(tmp_path, "outbox", fault)["refused"]
