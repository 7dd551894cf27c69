"""Servers to measure: ours, and the echo handler on the same runtime. Each is a tree of processes on its core."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.data import SECRET_KEY
from bench.machine import pinned
from tests.running import RunningServer

LIMITS = " ".join(f"{name}=999999999/1s" for name in ("address", "caller", "backend", "organization", "guesses"))
"""Limits that are kept, at what it costs to keep them, and reached by nobody."""

COMPILED = {"PYTHONDONTWRITEBYTECODE": ""}
"""Lets Python keep what it compiled, as every installation does: else each start compiles all of our modules anew."""

ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True, slots=True)
class Server:
    """A server that listens; `pid` is the first of its processes."""

    url: str
    pid: int


@contextmanager
def service(
    database: Path | str,
    core: int | None = None,
    options: Sequence[str] = (),
    environ: Mapping[str, str] | None = None,
) -> Iterator[Server]:
    """Run the service on a file of SQLite's, or on what a URL names, with its log, which goes nowhere."""
    url = f"sqlite:///{database}" if isinstance(database, Path) else database
    with pinned(core):
        running = RunningServer(
            url, *options, environ=COMPILED | {"SECRET_KEY": SECRET_KEY, "LIMITS": LIMITS, **(environ or {})}
        )
    try:
        yield Server(running.url, running.process.pid)
    finally:
        running.stop()


@contextmanager
def program(
    arguments: Sequence[str], core: int | None = None, environ: Mapping[str, str] | None = None
) -> Iterator[Server]:
    """Run a program that prints its address on a line of standard output when it listens, and ends by SIGTERM."""
    with pinned(core):
        process = subprocess.Popen(
            arguments,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env={**os.environ, **COMPILED, "PYTHONPATH": str(ROOT), **(environ or {})},
        )
    assert process.stdout is not None
    try:
        url = process.stdout.readline().strip()
        if not url.startswith("http"):
            raise RuntimeError(f"{arguments} didn't start: {url!r}")
        yield Server(url, process.pid)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)
        process.stdout.close()


def echo(core: int | None = None) -> AbstractContextManager[Server]:
    """Run the echo handler."""
    return program([sys.executable, "-m", "bench.echo"], core)
