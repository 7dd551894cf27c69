"""What a measurement knows of the machine: processor time of process trees, cores, and where it ran."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")


def _tree(first: int) -> dict[int, float]:
    """Give a process and its descendants, each with the processor seconds that it and what it waited for have used."""
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
    return {pid: parents[pid][1] for pid in known & parents.keys()}


def processor_seconds(first: int) -> float:
    """Give the processor time that a process and its descendants have used."""
    return sum(_tree(first).values())


def processes(first: int) -> list[int]:
    """Give a process and its descendants."""
    return list(_tree(first))


def memory_bytes(pid: int) -> tuple[int, int]:
    """Give what a process holds in memory, its share of what it shares with others included, and how much is its own.

    The rest are pages of files, such as the database's, which the kernel takes back when it wants to.
    """
    lines = (line.split() for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:])
    sizes = {name: int(value) * 1024 for name, value, *_ in lines}
    return sizes["Pss:"], sizes["Pss_Anon:"]


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
        # Threads that were started in the block read the server's log; they have no place on its core.
        for thread in os.listdir("/proc/self/task"):
            with suppress(ProcessLookupError):
                os.sched_setaffinity(int(thread), before)


@contextmanager
def environment(more: Mapping[str, str]) -> Iterator[None]:
    """Let the processes that are started in the block have more in their environment."""
    before = dict(os.environ)
    os.environ.update(more)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def description() -> str:
    """Say what this machine is and how busy."""
    models = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    model = models[0].partition(":")[2].strip() if models else platform.machine()
    return f"{os.cpu_count()} × {model}, Python {platform.python_version()}, load {os.getloadavg()[0]:.1f}"
