"""What a measurement knows of the machine: processor time of process trees, cores, and where it ran."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")


def processor_seconds(first: int) -> float:
    """Give the processor time that a process and its descendants have used."""
    parents = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                fields = Path(f"/proc/{name}/stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            parents[int(name)] = (int(fields[1]), sum(int(field) for field in fields[11:15]) / TICKS)
    known, grown = {first}, True
    while grown:
        more = {pid for pid, (parent, _) in parents.items() if parent in known} - known
        known |= more
        grown = bool(more)
    return sum(parents[pid][1] for pid in known & parents.keys())


def memory_bytes(pid: int) -> int:
    """Give how much memory a process holds that it shares with nobody, or a part of what it shares."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith("Pss:")) * 1024


def cores() -> tuple[int | None, int | None]:
    """Give a core for the server and another for its load, None where there is only one."""
    usable = sorted(os.sched_getaffinity(0))
    return (usable[0], usable[-1]) if len(usable) > 1 else (None, None)


@contextmanager
def pinned(to: int | Iterable[int] | None) -> Iterator[None]:
    """Let the processes that are started in the block run on these cores alone."""
    before = os.sched_getaffinity(0)
    if to is not None:
        os.sched_setaffinity(0, {to} if isinstance(to, int) else set(to))
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def description() -> str:
    """Say what this machine is and how busy."""
    models = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    model = models[0].partition(":")[2].strip() if models else platform.machine()
    return f"{os.cpu_count()} × {model}, Python {platform.python_version()}, load {os.getloadavg()[0]:.1f}"
