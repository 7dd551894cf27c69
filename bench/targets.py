"""What was to be reached, and how far it is, from what was measured and kept."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from bench.contestants import BETTER_AUTH, ECHO, SERVICE
from bench.report import ALONE, Figures, figures_of, kept, sums_of
from bench.rounds import table

Case = tuple[float, str]
"""A figure, and where it was measured."""

RATE, P50, P99, MICROS = range(4)


@dataclass(frozen=True, slots=True)
class Target:
    """Something to reach: every case's figure must be `limit` at least, or at most."""

    what: str
    limit: float
    cases: tuple[Case, ...]
    at_most: bool = False

    @property
    def row(self) -> list[object]:
        """A line of the table."""
        if not self.cases:
            return [self.what, f"{self.limit:g}", "not measured", ""]
        worst = (max if self.at_most else min)(self.cases)
        held = [case for case in self.cases if (case[0] <= self.limit if self.at_most else case[0] >= self.limit)]
        wanted = f"{'≤' if self.at_most else '≥'} {self.limit:g}"
        return [self.what, wanted, f"{len(held)} of {len(self.cases)}", f"{worst[0]:.2f}: {worst[1]}"]


Cells = Mapping[tuple[str, ...], dict[str, Figures]]


def _cells() -> Cells:
    """Give what was measured of the calls on the smallest database."""
    found = kept("calls")
    smallest = str(min((int(key[0]) for key in found), default=0))
    return {key[1:]: figures_of(one) for key, one in found.items() if key[0] == smallest}


def _where(key: tuple[str, ...], peer: str = "") -> str:
    wire, call, callers = key
    return f"{call}, {wire}, {callers} at once{', ' if peer else ''}{peer}"


def _over_ceiling(cells: Cells) -> Iterator[Case]:
    for key, figures in cells.items():
        wire, call, callers = key
        alone = cells.get(("JSON", call, callers), {}).get(ALONE)
        if alone is not None:
            ceiling = figures[ECHO][MICROS].median + alone[MICROS].median
            yield figures[SERVICE][MICROS].median / ceiling, _where((wire, call, callers))


def _ahead(cells: Cells, index: int, peers: tuple[str, ...] = ()) -> Iterator[Case]:
    """Give how many times better the service is than each peer, in answers a second or in a figure that is a cost."""
    for key, figures in cells.items():
        for name, theirs in figures.items():
            if name in (SERVICE, ECHO, ALONE) or (peers and name not in peers):
                continue
            ratio = figures[SERVICE][index].median / theirs[index].median
            yield ratio if index == RATE else 1 / ratio, _where(key, name)


def _tails(cells: Cells) -> Iterator[Case]:
    for key, figures in cells.items():
        if key[2] == "32":
            yield figures[SERVICE][P99].median / figures[SERVICE][P50].median, _where(key)


def _durable(callers: str) -> tuple[Case, ...]:
    cases = []
    for key, one in kept("durable").items():
        figures = figures_of(one)
        alone = [theirs for name, theirs in figures.items() if name.startswith(ALONE)]
        if key[3] != callers or not alone:
            continue
        if callers == "1":
            cases.append((figures[SERVICE][P50].median / alone[0][P50].median, _where(key[1:])))
        else:
            best = max(theirs[RATE].median for theirs in alone)
            cases.append((figures[SERVICE][RATE].median / best, _where(key[1:])))
    return tuple(cases)


def _two_processes() -> tuple[Case, ...]:
    cases = []
    for key, one in kept("workers").items():
        figures, capacity = figures_of(one), sums_of(kept("capacity")[key])
        cases.append((figures["2"][RATE].median / figures["1"][RATE].median, "with the load on the same two cores"))
        cases.append((capacity["2"].median / capacity["1"].median, "without what the load took"))
    return tuple(cases)


def _memory() -> tuple[Case, ...]:
    cases: list[Case] = []
    for key, one in kept("memory").items():
        for name, values in one["found"].items():
            cases.append((values[-1], f"{name}, after {int(key[0]):,} requests"))
    return tuple(cases)


def _start() -> tuple[Case, ...]:
    return tuple((sums_of(one)[SERVICE].median, f"{key[0]} organizations") for key, one in kept("start").items())


def targets() -> str:
    """Give the table of the targets."""
    cells = _cells()
    found = (
        Target("1. Processor time over echo and SQLite alone", 1.25, tuple(_over_ceiling(cells)), at_most=True),
        Target("2. Throughput over each peer's", 1, tuple(_ahead(cells, RATE))),
        Target("2. p99, how many times below each peer's", 1, tuple(_ahead(cells, P99))),
        Target("2. Throughput over better-auth's", 3, tuple(_ahead(cells, RATE, (BETTER_AUTH,)))),
        Target("3. gRPC throughput over grpc.aio's", 1, tuple(_ahead(cells, RATE, ("grpc.aio",)))),
        Target("4. Writes by 256 over SQLite alone, fsync 5 ms", 0.8, _durable("256")),
        Target("4. A single writer's p50 over one commit's", 1.1, _durable("1"), at_most=True),
        Target("5. Reads by two processes over one's", 1.8, _two_processes()),
        Target("6. MB of the largest process", 150, _memory(), at_most=True),
        Target("6. Seconds to the first answer", 1.5, _start(), at_most=True),
        Target("6. p99 over p50 at 32 callers", 5, tuple(_tails(cells)), at_most=True),
    )
    return table(["target", "wanted", "holds in", "worst"], [target.row for target in found])
