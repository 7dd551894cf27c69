"""Measures contestants in turns, so that a noisy machine is noisy for all, and says what came out."""

from __future__ import annotations

import random
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from bench.load import Load, run
from bench.machine import processor_seconds

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class Sample:
    """One measurement: answers a second, milliseconds of half and of 99 %, processor microseconds an answer."""

    rate: float
    p50: float
    p99: float
    micros: float


@dataclass(frozen=True, slots=True)
class Figure:
    """What rounds say of one figure: the median, the least and the most."""

    median: float
    least: float
    most: float

    def __str__(self) -> str:
        digits = 0 if self.median >= 100 else 1 if self.median >= 10 else 2
        return f"{self.median:,.{digits}f} ({self.least:,.{digits}f}–{self.most:,.{digits}f})"


def figure(values: list[float]) -> Figure:
    """Sum up what rounds measured."""
    return Figure(statistics.median(values), min(values), max(values))


def measure(load: Load, pid: int, core: int | None = None) -> Sample:
    """Call the server with this first process, from a process on `core`."""
    before = processor_seconds(pid)
    outcome = run(load, core)
    used = processor_seconds(pid) - before
    return Sample(
        rate=outcome.rate,
        p50=1000 * outcome.percentile(0.5),
        p99=1000 * outcome.percentile(0.99),
        micros=1e6 * used / outcome.count,
    )


def rounds(contestants: Mapping[str, Callable[[], Sample]], count: int) -> dict[str, list[Sample]]:
    """Measure each contestant once a round, each round in another order."""
    found: dict[str, list[Sample]] = {name: [] for name in contestants}
    for _ in range(count):
        for name in shuffled(list(contestants)):
            found[name].append(contestants[name]())
    return found


def shuffled(items: Sequence[Item]) -> list[Item]:
    """Give the items in another order."""
    return random.sample(items, len(items))


def table(titles: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Give a table in Markdown."""
    lines: list[Sequence[object]] = [titles, ["---"] * len(titles), *rows]
    return "\n".join(f"| {' | '.join(str(cell) for cell in line)} |" for line in lines)
