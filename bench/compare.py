"""Measures the service beside its ceilings and its peers: `make bench`, or a part of it.

    python -m bench.compare --help

What was measured is kept in `.cache/bench/results`, so that a long measurement can be made in pieces, and printed as
tables at the end. A wrong answer, whoever gives it, ends the run: what is printed has no errors in it.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import click

from bench import bare, report, servers
from bench.calls import CREATE, JOIN, SUMMARY, Call
from bench.contestants import CALLS, ECHO, JSON, SERVICE, WIRES, Contestant, copy_for, on_postgres
from bench.data import Data, data
from bench.load import Load, run, run_here
from bench.machine import cores, environment, memory_bytes, pinned, processes, processor_seconds
from bench.peers import environments
from bench.report import ALONE
from bench.rounds import Sample, measure, rounds, shuffled
from bench.servers import Server
from bench.targets import targets
from server.main import utc_now
from server.store.copying import PostgresEnd, SqliteEnd, copy
from tests.postgres.cluster import Cluster

BARE = (SUMMARY, CREATE, JOIN)
"""Calls that SQLite alone is measured for."""

LATER_WARM_UP = 0.25
"""How much of the warm-up a server gets for another call: most of what it runs is warm by then."""

SERVER_CORE, LOAD_CORE = cores()


@dataclass(frozen=True, slots=True)
class Plan:
    """What to measure and for how long."""

    organizations: int
    wires: tuple[str, ...]
    calls: tuple[str, ...]
    callers: tuple[int, ...]
    rounds: int
    seconds: float
    warm_up: float
    """By what the contestants' own times to warm up are multiplied."""
    requests: int
    """After how many requests memory is looked at."""
    contestants: tuple[str, ...]
    """Only these beside the service; all where it is empty."""

    def those(self, contestants: Sequence[Contestant]) -> list[Contestant]:
        """Give those that take part."""
        return [one for one in contestants if not self.contestants or one.name in (SERVICE, *self.contestants)]


@dataclass(frozen=True, slots=True)
class Field:
    """Contestants that run on the server's core, and what is asked of them."""

    plan: Plan
    known: Data
    wire: str
    contestants: Sequence[Contestant]
    running: Mapping[str, Server]
    directory: Path

    def load(self, call: Call, callers: int, seconds: float | None = None) -> Load:
        """Give a load of ours, from which each contestant makes its own."""
        return call.load(self.known, "", callers, seconds or self.plan.seconds, grpc=self.wire == "gRPC")

    def warm_up(self, call: Call, share: float = 1.0) -> None:
        """Make a call of each contestant for a share of as long as it wants."""
        for contestant in self.contestants:
            load = self.load(call, 32, contestant.warm_up_seconds * self.plan.warm_up * share)
            run(contestant.load(call, self.known, load, self.running[contestant.name].url), LOAD_CORE)

    def measure(
        self, part: str, call: Call, callers: int, others: Mapping[str, Callable[[], Sample]] | None = None
    ) -> None:
        """Measure a call in turns with others, and keep what came out under the part's name."""
        measuring = {one.name: partial(self._once, one, call, callers) for one in self.contestants}
        found = rounds({**measuring, **(others or {})}, self.plan.rounds)
        report.keep(part, (str(self.plan.organizations), self.wire, call.name, str(callers)), found)
        click.echo(report.line(f"{part}: {call.name}, {self.wire}, {callers}", found))

    def _once(self, contestant: Contestant, call: Call, callers: int) -> Sample:
        server = self.running[contestant.name]
        load = contestant.load(call, self.known, self.load(call, callers), server.url)
        return measure(load, server.pid, LOAD_CORE)


@contextmanager
def field(
    plan: Plan, wire: str, contestants: Sequence[Contestant], environ: Mapping[str, str] | None = None
) -> Iterator[Field]:
    """Prepare contestants and run them, with more in their environment where it is given."""
    known = data(plan.organizations)
    with tempfile.TemporaryDirectory(prefix="bench-") as directory, ExitStack() as stack:
        prepared = {contestant.name: contestant.prepare(known, Path(directory)) for contestant in contestants}
        with environment(environ or {}):
            running = {name: stack.enter_context(start(SERVER_CORE)) for name, start in prepared.items()}
        stack.enter_context(pinned(LOAD_CORE))
        yield Field(plan, known, wire, contestants, running, Path(directory))


def calls(plan: Plan) -> None:
    """Measure every call on every wire for every number of callers."""
    for wire in plan.wires:
        with field(plan, wire, plan.those(WIRES[wire])) as here:
            alone = copy_for(here.known, here.directory, "alone")
            wanted = [call for call in CALLS[wire] if not plan.calls or call.name in plan.calls]
            for number, call in enumerate(wanted):
                here.warm_up(call, LATER_WARM_UP if number else 1.0)
                for callers in plan.callers:
                    bare_call = partial(bare.sample, here.known, call, alone, plan.seconds, SERVER_CORE)
                    batch = 1 if callers == 1 else None
                    others = {ALONE: partial(bare_call, batch=batch)} if call in BARE and wire == "JSON" else {}
                    here.measure("calls", call, callers, others)


def durable(plan: Plan) -> None:
    """Measure writes on a disk whose fsync takes 5 ms, beside SQLite alone with commits of different sizes."""
    contestants = [contestant for contestant in plan.those(JSON) if contestant.name != ECHO]
    disk = Path(__file__).with_name("slow_disk")
    with tempfile.TemporaryDirectory(prefix="bench-") as built:
        library = Path(built) / "fsync.so"
        subprocess.run(["cc", "-shared", "-fPIC", "-O2", "-o", library, disk / "fsync.c", "-ldl"], check=True)
        slow = {"LD_PRELOAD": str(library), "PYTHONPATH": str(disk)}
        with field(plan, "JSON", contestants, slow) as here:
            alone = copy_for(here.known, here.directory, "alone")
            bare_call = partial(bare.sample, here.known, CREATE, alone, plan.seconds, SERVER_CORE)
            here.warm_up(CREATE, 0.1)
            environ = {**os.environ, "LD_PRELOAD": str(library)}
            for callers, batches in ((1, (1,)), (256, (16, 64, 256))):
                others = {
                    f"{ALONE}, {batch} in a commit": partial(bare_call, batch=batch, environ=environ)
                    for batch in batches
                }
                here.measure("durable", CREATE, callers, others)


def postgres(plan: Plan) -> None:
    """Measure on PostgreSQL, which runs with fsync beside the load; its own processor time isn't counted."""
    known = data(plan.organizations)
    with Cluster(fsync=True, max_wal_size="4GB") as cluster:
        ours, theirs = cluster.create_database("ours"), cluster.create_database("theirs")
        with closing(SqliteEnd(known.path)) as source, closing(PostgresEnd(ours)) as target:
            copy(source, target, utc_now, lambda *_: None)
        with field(plan, "JSON", on_postgres(ours, theirs)) as here:
            for name in ("ours", "theirs"):
                cluster.execute("VACUUM ANALYZE", name)
            for number, call in enumerate(BARE):
                here.warm_up(call, LATER_WARM_UP if number else 1.0)
                for callers in plan.callers:
                    here.measure("postgres", call, callers)


def start(plan: Plan) -> None:
    """Measure how long each contestant takes from its start to its first answer."""
    known = data(plan.organizations)
    found: dict[str, list[float]] = {contestant.name: [] for contestant in plan.those(JSON)}
    with tempfile.TemporaryDirectory(prefix="bench-") as directory:
        prepared = [(contestant, contestant.prepare(known, Path(directory))) for contestant in plan.those(JSON)]
        for _ in range(plan.rounds):
            for contestant, begin in shuffled(prepared):
                ours = SUMMARY.load(known, "", 1, plan.seconds, grpc=False)
                load = replace(contestant.load(SUMMARY, known, ours, ""), most=1)
                began = time.monotonic()
                with begin(SERVER_CORE) as server:
                    run_here(replace(load, url=server.url))
                    found[contestant.name].append(time.monotonic() - began)
    report.keep("start", (str(plan.organizations),), found)


def memory(plan: Plan) -> None:
    """Measure the memory of the service's processes while it answers many requests, nine reads to a write."""
    steps, found = 10, []
    with field(plan, "JSON", [contestant for contestant in JSON if contestant.name == SERVICE]) as here:
        server = here.running[SERVICE]
        found.append(_memory(server.pid))
        for step in range(steps):
            for call, share in ((SUMMARY, 0.9), (CREATE, 0.05), (JOIN, 0.05)):
                load = replace(here.load(call, 32), url=server.url, seconds=3600.0)
                run(replace(load, most=round(plan.requests / steps * share)), LOAD_CORE)
            found.append(_memory(server.pid))
            whole, own = found[-1]
            click.echo(f"memory after {plan.requests * (step + 1) // steps:,}: {whole:.0f} MB, {own:.0f} its own")
    kept = {"in all, with pages of the database": [f[0] for f in found], "its own": [f[1] for f in found]}
    report.keep("memory", (str(plan.requests),), kept)


def _memory(first: int) -> tuple[float, float]:
    """Give the megabytes of the largest process of a tree: in all, and its own."""
    whole, own = max(memory_bytes(pid) for pid in processes(first))
    return whole / 1e6, own / 1e6


def workers(plan: Plan) -> None:
    """Measure two server processes on two cores beside one on one.

    Where the load has no core of its own, what it takes is taken off: the last figure is answers a second for each core
    that was left to the server, times its cores.
    """
    known, callers = data(plan.organizations), 64
    found: dict[str, list[Sample]] = {"1": [], "2": []}
    capacity: dict[str, list[float]] = {"1": [], "2": []}
    with tempfile.TemporaryDirectory(prefix="bench-") as directory, ExitStack() as stack:
        running = {}
        for count in (1, 2):
            database = known.copy(Path(directory) / f"{count}.db")
            options = ("--workers", str(count))
            running[count] = stack.enter_context(
                servers.service(database, SERVER_CORE if count == 1 else None, options)
            )
        for number in range(plan.rounds + 1):
            for count, server in shuffled(list(running.items())):
                load = SUMMARY.load(known, server.url, callers, plan.seconds, grpc=False)
                before = processor_seconds(server.pid)
                outcome = run(load, LOAD_CORE if count == 1 else None)
                used = processor_seconds(server.pid) - before
                if number == 0:
                    continue  # to warm up
                left = count - (outcome.processor_seconds / outcome.seconds if count == 2 else 0.0)
                capacity[str(count)].append(outcome.rate / left * count)
                p50, p99 = (1000 * outcome.percentile(share) for share in (0.5, 0.99))
                found[str(count)].append(Sample(outcome.rate, p50, p99, 1e6 * used / outcome.count))
    report.keep("workers", (str(plan.organizations),), found)
    report.keep("capacity", (str(plan.organizations),), capacity)


PARTS: dict[str, Callable[[Plan], None]] = {
    "calls": calls,
    "durable": durable,
    "workers": workers,
    "memory": memory,
    "start": start,
    "postgres": postgres,
}


NAMES = sorted({one.name for wire in WIRES.values() for one in wire} - {SERVICE})


@click.command(help=(__doc__ or "").partition("\n")[0])
@click.option("--part", "parts", type=click.Choice(list(PARTS)), multiple=True, help="What to measure. [all]")
@click.option("--organizations", default=20_000, show_default=True, help="How large the database is.")
@click.option("--wire", "wires", type=click.Choice(list(WIRES)), multiple=True, help="[both]")
@click.option("--call", "names", type=click.Choice([call.name for call in CALLS["JSON"]]), multiple=True, help="[all]")
@click.option("--callers", type=int, multiple=True, help="How many at once. [1, 32 and 256]")
@click.option(
    "--contestant", "names_of_contestants", type=click.Choice(NAMES), multiple=True, help="Beside the service. [all]"
)
@click.option("--rounds", default=5, show_default=True)
@click.option("--seconds", default=1.0, show_default=True, help="How long each is called in a round.")
@click.option("--requests", default=1_000_000, show_default=True, help="After how many memory is looked at.")
@click.option("--short", is_flag=True, help="A few minutes: 3 rounds of half a second, 32 callers, less warm-up.")
@click.option("--report", "only_report", is_flag=True, help="Measure nothing; print what was measured before.")
def main(
    parts: tuple[str, ...],
    organizations: int,
    wires: tuple[str, ...],
    names: tuple[str, ...],
    callers: tuple[int, ...],
    names_of_contestants: tuple[str, ...],
    rounds: int,
    seconds: float,
    requests: int,
    *,
    short: bool,
    only_report: bool,
) -> None:
    plan = Plan(
        organizations,
        wires or tuple(WIRES),
        names,
        callers or (1, 32, 256),
        rounds,
        seconds,
        1.0,
        requests,
        names_of_contestants,
    )
    if short:
        plan = replace(plan, callers=callers or (32,), rounds=3, seconds=0.5, warm_up=0.25, requests=50_000)
    if not only_report:
        environments.set_up()
        for part in parts or PARTS:
            PARTS[part](plan)
    click.echo(f"{report.everything()}\n\n### Targets\n\n{targets()}")


if __name__ == "__main__":
    main()
