"""Keeps what was measured, and makes the tables of it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from bench.contestants import CALLS, ECHO, SERVICE
from bench.data import CACHE
from bench.machine import description
from bench.peers.environments import versions
from bench.rounds import Figure, Sample, figure, table

RESULTS = CACHE / "results"
ALONE = "SQLite alone"
Figures = Sequence[Figure]
"""Answers a second, p50 and p99 in milliseconds, processor microseconds."""

AHEAD = (
    "How many times ahead of each peer the service is: in throughput · in p99 · in processor time a request."
    " Below 1 it is behind."
)


def keep(part: str, key: tuple[str, ...], found: Mapping[str, Sequence[Any]]) -> None:
    """Keep what was measured under a part's name and what tells it from others of the part."""
    RESULTS.mkdir(parents=True, exist_ok=True)
    values = {name: [asdict(s) if isinstance(s, Sample) else s for s in samples] for name, samples in found.items()}
    content = {"key": key, "at": f"{datetime.now(UTC):%Y-%m-%d %H:%M}", "machine": description(), "found": values}
    (RESULTS / f"{'-'.join((part, *key))}.json").write_text(json.dumps(content))


def kept(part: str) -> dict[tuple[str, ...], dict[str, Any]]:
    """Give what was kept of a part, by what tells it from others."""
    found = [json.loads(path.read_text()) for path in sorted(RESULTS.glob(f"{part}-*.json"))]
    return {tuple(one["key"]): one for one in found}


def figures_of(one: Mapping[str, Any]) -> dict[str, Figures]:
    """Give what was measured of each contestant, summed up."""
    return {name: _figures([Sample(**sample) for sample in samples]) for name, samples in one["found"].items()}


def sums_of(one: Mapping[str, Any]) -> dict[str, Figure]:
    """Give plain numbers that were measured of each contestant, summed up."""
    return {name: figure(values) for name, values in one["found"].items()}


def _figures(samples: Sequence[Sample]) -> Figures:
    return [figure([getattr(sample, name) for sample in samples]) for name in ("rate", "p50", "p99", "micros")]


def line(what: str, found: Mapping[str, Sequence[Sample]]) -> str:
    """Give a line that says what came out of a measurement."""
    parts = []
    for name, samples in found.items():
        rate, _, p99, micros = _figures(samples)
        parts.append(f"{name} {rate.median:,.0f}/s {p99.median:.1f} ms {micros.median:,.0f} µs")
    return f"{what}: {'; '.join(parts)}"


def _of_wire(part: str, organizations: str, wire: str) -> tuple[list[list[object]], list[list[object]], list[str]]:
    """Give the ratios of a part on a wire, its figures, and the peers."""
    found = kept(part)
    ratios: list[list[object]] = []
    rows: list[list[object]] = []
    peers: list[str] = []
    for call in CALLS[wire]:
        for callers in sorted(int(key[3]) for key in found if key[:3] == (organizations, wire, call.name)):
            one = found[organizations, wire, call.name, str(callers)]
            figures = figures_of(one)
            ours = figures[SERVICE]
            peers = [name for name in figures if name not in (SERVICE, ECHO) and not name.startswith(ALONE)]
            ratios.append([call.name, callers, *(_ahead(ours, figures[peer]) for peer in peers)])
            rows += [[call.name, callers, name, *theirs] for name, theirs in figures.items()]
    return ratios, rows, peers


def _ahead(ours: Sequence[Figure], theirs: Sequence[Figure]) -> str:
    rate, p99, micros = (
        ours[0].median / theirs[0].median,
        theirs[2].median / ours[2].median,
        theirs[3].median / ours[3].median,
    )
    return f"{rate:.2f} · {p99:.2f} · {micros:.2f}"


TITLES = {
    "calls": "{wire}, {organizations:,} organizations",
    "durable": "Writes on a disk whose fsync takes 5 ms more",
    "postgres": "On PostgreSQL, {organizations:,} organizations",
}


def _measured() -> list[str]:
    parts = []
    for part, title in TITLES.items():
        for organizations in sorted({key[0] for key in kept(part)}, key=int):
            for wire in CALLS:
                ratios, rows, peers = _of_wire(part, organizations, wire)
                if rows:
                    parts += [
                        f"### {title.format(wire=wire, organizations=int(organizations))}",
                        AHEAD,
                        table(["call", "callers", *peers], ratios),
                        "The figures: medians of the rounds, the least and the most in brackets.",
                        table(["call", "callers", "", "answers a second", "p50 ms", "p99 ms", "processor µs"], rows),
                    ]
    return parts


def _others() -> list[str]:
    parts = []
    rows: list[list[object]]
    for key, one in kept("workers").items():
        capacities = sums_of(kept("capacity")[key])
        rows = [[name, *figures, capacities[name]] for name, figures in figures_of(one).items()]
        titles = ["processes", "answers a second", "p50 ms", "p99 ms", "processor µs", "with its cores to itself"]
        parts += ["### Reads by one process on one core and by two on two, 64 callers", table(titles, rows)]
    for key, one in kept("memory").items():
        rows = [[name, *(f"{value:.0f}" for value in values)] for name, values in one["found"].items()]
        steps = [f"{int(key[0]) * step // 10:,}" for step in range(11)]
        parts += ["### Memory of the largest process after so many requests, MB", table(["", *steps], rows)]
    for key, one in kept("start").items():
        rows = [[name, seconds] for name, seconds in sums_of(one).items()]
        parts += [f"### From start to first answer, {int(key[0]):,} organizations", table(["", "seconds"], rows)]
    return parts


def everything() -> str:
    """Give all tables that there is something for, with the machine and the versions."""
    found = [json.loads(path.read_text()) for path in RESULTS.glob("*.json")]
    if not found:
        return "nothing was measured yet"
    machines = sorted({one["machine"].rpartition(", load")[0] for one in found})
    moments = sorted(one["at"] for one in found)
    head = f"Measured from {moments[0]} to {moments[-1]} UTC on {'; '.join(machines)}. {versions()}."
    return "\n\n".join([head, *_measured(), *_others()])
