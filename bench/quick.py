"""The regression guard: processor time of our calls beside what the runtime and SQLite alone need for the same.

    python -m bench.quick

Takes less than a minute. All are measured in turns in one run, so that ratios hold on a noisy machine. Fails where a
call costs more than `LIMITS` times the echo handler and SQLite's statements together: about twice what was measured
when the limit was written down, to find what went badly wrong and nothing else.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from functools import partial
from pathlib import Path

from bench import bare
from bench.calls import CREATE, JOIN, SUMMARY, Call, of_echo
from bench.data import Data, data
from bench.machine import cores, description
from bench.rounds import Sample, figure, measure, rounds, table
from bench.servers import Server, echo, service

ORGANIZATIONS = 20_000
CALLERS = 32
LIMITS = {
    (SUMMARY.name, "JSON"): 6.0,
    (CREATE.name, "JSON"): 6.0,
    (JOIN.name, "JSON"): 5.0,
    (SUMMARY.name, "gRPC"): 5.0,
}


def _measure(known: Data, call: Call, wire: str, server: Server, seconds: float, core: int | None) -> Sample:
    return measure(call.load(known, server.url, CALLERS, seconds, grpc=wire == "gRPC"), server.pid, core)


def _echo(known: Data, call: Call, wire: str, server: Server, seconds: float, core: int | None) -> Sample:
    load = call.load(known, server.url, CALLERS, seconds, grpc=wire == "gRPC")
    return measure(of_echo(load, server.url), server.pid, core)


def compare(seconds: float, count: int) -> bool:
    """Measure, print the table, and tell whether every ratio is within its limit."""
    known = data(ORGANIZATIONS)
    first, second = cores()
    print(f"{description()}; {CALLERS} callers, {count} rounds of {seconds:g} s each")
    print("processor µs a request: median (least–most)\n")
    with (
        tempfile.TemporaryDirectory(prefix="bench-") as directory,
        service(known.copy(Path(directory) / "service.db"), first) as ours,
        echo(first) as theirs,
    ):
        alone = known.copy(Path(directory) / "alone.db")
        contestants = {}
        for name, wire in LIMITS:
            call = next(call for call in (SUMMARY, CREATE, JOIN) if call.name == name)
            contestants[f"{name} {wire} service"] = partial(_measure, known, call, wire, ours, seconds, second)
            contestants[f"{name} {wire} echo"] = partial(_echo, known, call, wire, theirs, seconds, second)
            if wire == "JSON":
                contestants[f"{name} bare"] = partial(bare.sample, known, call, alone, seconds, first)
        found = rounds(contestants, count)
    rows, within = [], True
    for (name, wire), limit in LIMITS.items():
        measured = [found[f"{name} {wire} service"], found[f"{name} {wire} echo"], found[f"{name} bare"]]
        figures = [figure([sample.micros for sample in samples]) for samples in measured]
        ratio = figures[0].median / (figures[1].median + figures[2].median)
        within &= ratio <= limit
        rates = [figure([sample.rate for sample in samples]) for samples in measured[:1]]
        rows.append([f"{name}, {wire}", *figures, f"{ratio:.2f}", f"{limit:g}", *rates])
    print(table(["call", "service", "echo", "SQLite alone", "ratio", "limit", "answers a second"], rows))
    return within


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--seconds", type=float, default=0.5)
    parser.add_argument("--rounds", type=int, default=2)
    given = parser.parse_args()
    if not compare(given.seconds, given.rounds):
        sys.exit("a call costs more than its limit allows: see docs/performance.md on how to find out why")


if __name__ == "__main__":
    main()
