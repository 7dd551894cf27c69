"""A clock that tests move, by which servers tell the time; and what it showed when, for who judges them afterwards.

The service asks one place what time it is (`server.main.utc_now`). `put_in_place` has it add what stands in a file that
tests have mapped into memory too: a move is one write of eight bytes, and counts at once for every process.
"""

from __future__ import annotations

import math
import mmap
import os
import struct
import time
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta, tzinfo
from pathlib import Path
from typing import NamedTuple

ENVIRONMENT, AHEAD = "CLOCK_FOR_TESTS", "CLOCK_FOR_TESTS_AHEAD"
_OFFSET = struct.Struct("<d")


class Stretch(NamedTuple):
    """The clock was `offset` seconds before real time, between these moments at the most (seconds since 1970)."""

    start: float
    end: float
    offset: float


REAL_TIME = (Stretch(-math.inf, math.inf, 0.0),)
"""A clock that nobody moves."""


class MovedClock:
    """A clock that is moved, in a file that servers read; called, it gives the latest time that any of them shows.

    `ahead` is by how many seconds the clock of each server is ahead of it.
    """

    def __init__(self, path: Path, ahead: Sequence[float] = (0.0,)) -> None:
        path.write_bytes(_OFFSET.pack(0.0))
        with path.open("r+b") as file:
            self._shared = mmap.mmap(file.fileno(), _OFFSET.size)
        self.environs = [{ENVIRONMENT: str(path), AHEAD: str(seconds)} for seconds in ahead]
        """One for each server."""
        self._ahead = sorted(set(ahead))
        self._moves: Sequence[Stretch] = REAL_TIME

    def __call__(self) -> float:
        return time.time() + self.timeline[-1].offset

    @property
    def timeline(self) -> Sequence[Stretch]:
        """What the servers' clocks showed when, each its own."""
        return [stretch._replace(offset=stretch.offset + ahead) for stretch in self._moves for ahead in self._ahead]

    def move(self, offset: float) -> None:
        """Let it show real time and so many whole seconds more, or fewer."""
        before = time.time()
        _OFFSET.pack_into(self._shared, 0, offset)
        after = time.time()
        *earlier, last = self._moves
        self._moves = (*earlier, last._replace(end=after), Stretch(before, math.inf, offset))


def readings(
    timeline: Sequence[Stretch], first: float, last: float, ends: Iterable[float]
) -> list[tuple[float, float]]:
    """Give moments of a span and what the clock showed then, all that differ by which of the ends it has passed."""
    found = []
    for start, end, offset in timeline:
        begin, until = max(first, start), min(last, end)
        if begin <= until:
            found.append((begin, begin + offset))
            found += [(one - offset, one) for one in ends if begin + offset < one <= until + offset]
    return sorted(found)


def may_have_shown(timeline: Sequence[Stretch], shown: float, first: float, last: float) -> bool:
    """Tell whether the clock may have shown this in a span, to a millisecond."""
    return any(
        max(first, start) + offset - 0.001 <= shown <= min(last, end) + offset + 0.001
        for start, end, offset in timeline
        if max(first, start) <= min(last, end)
    )


def latest_reading(timeline: Sequence[Stretch], first: float, last: float) -> float:
    """Give the latest time that the clock may have shown in a span."""
    return max(min(last, end) + offset for start, end, offset in timeline if max(first, start) <= min(last, end))


def put_in_place() -> None:
    """Have the service tell the time by the clock that the environment names, if any."""
    path = os.environ.get(ENVIRONMENT)
    if not path:
        return
    ahead = float(os.environ[AHEAD])
    with Path(path).open("rb") as file:
        shared = mmap.mmap(file.fileno(), _OFFSET.size, access=mmap.ACCESS_READ)

    class Moved(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> datetime:  # type: ignore[override]
            return datetime.now(tz) + timedelta(seconds=_OFFSET.unpack_from(shared)[0] + ahead)

    from server import main

    main.datetime = Moved  # type: ignore[misc]
