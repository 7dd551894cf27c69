"""What goes wrong while clients call: servers are killed and stopped, connections cut, the disk full, the clock moved,
databases lost.

What comes when follows from a seed.

`python -m tests.faults.nemesis --store sqlite --seed 7` does one run; `make soak` does it again and again.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from server.domain.secrets import SecretKeys
from server.main import Service, build_service, open_store
from server.settings import Settings
from tests.faults.histories import at_once
from tests.faults.moved_clock import MovedClock
from tests.faults.mutant_server import NOTHING, program
from tests.faults.recording import Crowd, Verdict, gather, judged
from tests.faults.small_disk import fill, small_disk
from tests.faults.wishes import HOUR
from tests.postgres.cluster import Cluster
from tests.postgres.proxy import Cut, Proxy, When
from tests.running import RunningServer, family, free_port

CLIENTS = 12
KEY = "a key for tests of thirty-two bytes"
SEATS = 3
"""How many of the five people an organization has room for."""

ENVIRON = {"SECRET_KEY": KEY, "LIMITS": "off", "MAX_MEMBERS": str(SEATS)}
DISK_MEBIBYTES = 48
FIRST_REST_SECONDS = 0.8

MOVES = (-5 * HOUR, -2 * HOUR, -1.0, 0.0, 1.0, 2 * HOUR, 5 * HOUR)
"""Where the clock is moved to, in seconds beside real time. What lasts hours ends, and is good again when it is set
back; an Idempotency-Key (24 hours) doesn't end."""


AHEAD_SECONDS = 1.5
"""How far one of two machines is ahead of the other, where each has a clock of its own."""

Start = Callable[[int], RunningServer]
"""Starts a server on a port."""

Fault = Callable[[random.Random, Crowd], None]
"""Does one thing."""


class UnavailableError(Exception):
    """No fault that is wanted can be had on this machine."""


class Victim:
    """A server at one address, which is started again when it was killed."""

    def __init__(self, start: Start) -> None:
        self.port = free_port()
        self.address = f"127.0.0.1:{self.port}"
        self._start = start
        self._server = start(self.port)
        self.log = ""

    def _signal(self, number: int) -> None:
        with suppress(FileNotFoundError):
            for pid in family(self._server.process.pid):
                with suppress(ProcessLookupError):
                    os.kill(pid, number)

    def kill(self) -> None:
        """End it without a word, all of its processes, and start it again."""
        self.end()
        self._server = self._start(self.port)

    def kill_worker(self) -> None:
        """End one of its processes; the others end by themselves, and it is started again."""
        os.kill(family(self._server.process.pid)[-1], signal.SIGKILL)
        self._server.process.wait(30)
        self._server.stop()
        self.log += self._server.log
        self._server = self._start(self.port)

    def pause(self, seconds: float) -> None:
        """Let it stand still for a while."""
        self._signal(signal.SIGSTOP)
        time.sleep(seconds)
        self._signal(signal.SIGCONT)

    def end(self) -> None:
        self._signal(signal.SIGSTOP)
        self._signal(signal.SIGKILL)
        self._server.stop(signal.SIGKILL)
        self.log += self._server.log

    def stop(self) -> None:
        self._server.stop()
        self.log += self._server.log


@dataclass
class Field:
    """Servers on a store, and what can be done to them."""

    victims: list[Victim]
    service: Callable[[], Service]
    """Opens the use cases beside the servers, on the database as it is then."""
    clock: MovedClock
    faults: Mapping[str, Fault]
    left_out: str = ""
    """Which of the faults can't be here, and why."""
    at_the_end: Callable[[], None] = lambda: None
    """What is done once, when two thirds of the time are over."""


def _of_servers(victims: list[Victim], clock: MovedClock) -> dict[str, Fault]:
    return {
        "kill a server": lambda dice, _: dice.choice(victims).kill(),
        "kill a worker process": lambda dice, _: dice.choice(victims).kill_worker(),
        "stop a server for a while": lambda dice, _: dice.choice(victims).pause(dice.uniform(0.1, 1.0)),
        "cut clients' connections": lambda _, crowd: crowd.cut_all(),
        "have clients in a hurry": _hurry,
        "move the clock": partial(_move_clock, clock),
    }


def _move_clock(clock: MovedClock, dice: random.Random, _: Crowd) -> None:
    """Set the clock forward and back, and leave it where it is last."""
    for offset in dice.sample(MOVES, 3):
        clock.move(offset)
        time.sleep(dice.uniform(0.05, 0.5))


def _hurry(dice: random.Random, crowd: Crowd) -> None:
    """Let many clients hang up or set deadlines that are too short."""
    calm, crowd.doubtful = crowd.doubtful, 0.5
    time.sleep(dice.uniform(0.2, 0.8))
    crowd.doubtful = calm


def _start(url: str, environ: dict[str, str], mutant: str) -> Start:
    def start(port: int) -> RunningServer:
        options = ("--log-level", "error", "--port", str(port))
        return RunningServer(url, *options, environ=ENVIRON | environ, program=program(mutant))

    return start


def open_service(url: str) -> Service:
    settings = Settings(database_url=url, secret_key=KEY)
    return build_service(open_store(settings), SecretKeys(settings.secret_keys()))


@contextmanager
def moved_clock(*ahead: float) -> Iterator[MovedClock]:
    """Give a clock to move, by which servers go that are ahead of it by so many seconds each."""
    with tempfile.TemporaryDirectory(prefix="organization-service-") as directory:
        yield MovedClock(Path(directory) / "clock", ahead)


def _fill(directory: Path) -> Callable[[random.Random, Crowd], None]:
    def fill_for_a_while(dice: random.Random, _: Crowd) -> None:
        ballast = directory / "ballast"
        fill(ballast)
        time.sleep(dice.uniform(0.2, 0.8))
        ballast.unlink()

    return fill_for_a_while


@contextmanager
def on_sqlite(mutant: str = NOTHING) -> Iterator[Field]:
    """Two servers on one file, on a disk that can be filled."""
    with ExitStack() as stack:
        clock = stack.enter_context(moved_clock(0.0, 0.0))
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="organization-service-")))
        hindered = stack.enter_context(small_disk(directory, DISK_MEBIBYTES))
        url = f"sqlite:///{directory / 'organizations.db'}"
        victims = _victims(stack, url, clock, mutant)
        faults = _of_servers(victims, clock)
        if hindered:
            left_out = f"the disk isn't filled, since a small file system can't be mounted: {hindered}"
            yield Field(victims, lambda: open_service(url), clock, faults, left_out)
        else:
            yield Field(victims, lambda: open_service(url), clock, faults | {"fill the disk": _fill(directory)})


def _victims(stack: ExitStack, url: str, clock: MovedClock, mutant: str) -> list[Victim]:
    victims = []
    for environ in clock.environs:
        victims.append(Victim(_start(url, environ, mutant)))
        stack.callback(victims[-1].stop)
    return victims


@contextmanager
def on_postgres(mutant: str = NOTHING) -> Iterator[Field]:
    """Two servers, each with a clock, that reach a primary, and its synchronous standby, through proxies that cut."""
    with Cluster() as primary, ExitStack() as stack:
        primary.create_database("service")
        standby = stack.enter_context(primary.standby("second"))
        primary.require_standby("second")
        proxies = [stack.enter_context(Proxy(cluster.port)) for cluster in (primary, standby)]
        hosts = ",".join(f"127.0.0.1:{proxy.port}" for proxy in proxies)
        clock = stack.enter_context(moved_clock(0.0, AHEAD_SECONDS))
        url = f"postgresql://postgres@{hosts}/service?target_session_attrs=read-write"
        victims = _victims(stack, url, clock, mutant)
        lead = [primary]

        def crash(_: random.Random, _crowd: Crowd) -> None:
            lead[0].crash()

        def freeze(dice: random.Random, _: Crowd) -> None:
            lead[0].freeze()
            time.sleep(dice.uniform(0.2, 1.5))
            lead[0].thaw()

        def cut_connections(_: random.Random, _crowd: Crowd) -> None:
            for proxy in proxies:
                proxy.cut_all()

        def cut_transactions(dice: random.Random, _: Crowd) -> None:
            for proxy in proxies:
                proxy.cut(*(Cut(dice.choice((-1, -1, 1, 2, 3, 5)), dice.choice(list(When))) for _ in range(6)))

        def fail_over() -> None:
            # A primary that was killed and is back shows commits that nobody was told of and that its standby may not
            # have yet. Lost now, they would have been seen all the same: no service can mend that.
            primary.wait_for_standby()
            primary.kill()
            time.sleep(0.5)
            standby.promote()
            lead[0] = standby

        yield Field(
            victims,
            lambda: open_service(lead[0].url("service")),
            clock,
            _of_servers(victims, clock)
            | {
                "kill the database": crash,
                "stop the database for a while": freeze,
                "cut connections to the database": cut_connections,
                "cut transactions half done": cut_transactions,
            },
            at_the_end=fail_over,
        )


FIELDS: Mapping[str, Callable[[str], Any]] = {"sqlite": on_sqlite, "postgres": on_postgres}


@dataclass
class Campaign:
    """A run: what was done to the servers, what clients saw, and whether there is an order in it."""

    store: str
    seed: int
    seconds: float
    only: tuple[str, ...] = ()
    """Parts of the names of the faults that are wanted; none for all."""
    faults: Counter[str] = field(default_factory=Counter)
    left_out: str = ""
    clients: Counter[str] = field(default_factory=Counter)
    verdict: Verdict = field(default_factory=Verdict)

    @property
    def command(self) -> str:
        only = f" --faults '{','.join(self.only)}'" if self.only else ""
        run = f"python -m tests.faults.nemesis --store {self.store} --seed {self.seed}"
        return f"{run} --seconds {self.seconds:g}{only}"

    def wanted(self, faults: Iterable[str]) -> list[str]:
        """Give those of the faults that are wanted."""
        return sorted(fault for fault in faults if not self.only or any(part in fault for part in self.only))

    def __str__(self) -> str:
        faults = ", ".join(f"{what} {count}" for what, count in sorted(self.faults.items()))
        clients = ", ".join(f"{count} {what}" for what, count in sorted(self.clients.items()))
        said = f"histories on {self.store}, seed {self.seed}: {self.verdict}; requests: {clients}; faults: {faults}"
        return f"{said}; {self.left_out}" if self.left_out else said


def campaign(
    store: str, seed: int, *, seconds: float, only: tuple[str, ...] = (), places: int = 400, mutant: str = NOTHING
) -> Campaign:
    """Let clients call two servers while things go wrong for a time; judge what they were answered.

    Of servers that lack something the first wrong history is enough.
    """
    run = Campaign(store, seed, seconds, only)
    with FIELDS[store](mutant) as arena:
        run.left_out = arena.left_out
        if not run.wanted(arena.faults):
            raise UnavailableError(f"none of the faults can be had: {', '.join(only)}. {arena.left_out}")
        service, addresses = arena.service(), [victim.address for victim in arena.victims]
        with closing(service.store):
            crowd = gather(service, addresses, places=places, seed=seed, clock=arena.clock)

        def go_wrong() -> None:
            try:
                _go_wrong(arena, crowd, run)
            finally:
                crowd.ended.set()

        at_once([*(partial(crowd.run_client, number) for number in range(CLIENTS)), go_wrong])
        crowd.ended.clear()
        crowd.doubtful = 1e-9
        crowd.settle()
        run.clients = crowd.counts
        run.verdict = judged(crowd.places, SEATS, timeline=arena.clock.timeline, thorough=mutant == NOTHING)
    # What nobody foresaw is wrong even where nobody heard of it: the caller may have hung up.
    logged = [line for victim in arena.victims for line in victim.log.splitlines() if '"request failed"' in line]
    run.verdict.wrong += [f"in the log: {line}" for line in logged[:5]]
    return run


def _go_wrong(arena: Field, crowd: Crowd, run: Campaign) -> None:
    """Do one thing after the other, chosen by the seed, with rests in which things go well."""
    dice = random.Random(run.seed)
    until = time.monotonic() + run.seconds
    last_act = until - run.seconds / 3
    acted = False
    # Every kind comes once before any comes again, and once at least: on a slow machine that takes longer. So may
    # doing everything that the model knows; what can never be done is for the test to find.
    kinds = run.wanted(arena.faults)
    waiting: list[str] = []
    time.sleep(FIRST_REST_SECONDS)
    while (
        (now := time.monotonic()) < until
        or not acted
        or any(not run.faults[kind] for kind in kinds)
        or (now < until + 3 * run.seconds and not crowd.has_done_everything)
    ):
        if not acted and time.monotonic() > last_act:
            acted = True
            arena.at_the_end()
            if run.store == "postgres":
                run.faults["fail over"] += 1
        waiting = waiting or dice.sample(kinds, len(kinds))
        what = waiting.pop()
        arena.faults[what](dice, crowd)
        run.faults[what] += 1
        time.sleep(dice.uniform(0.1, 0.9))


def main() -> int:
    """Do a run of each store; print what each found. 1 when anything was wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--store", choices=[*FIELDS, "both"], default="both")
    parser.add_argument("--seed", type=int, help="a fresh one when not given")
    parser.add_argument("--seconds", type=float, default=20.0, help="how long a run goes wrong")
    parser.add_argument("--faults", default="", help="only faults with one of these words in their names: disk,kill")
    given = parser.parse_args()
    only = tuple(part for part in given.faults.split(",") if part)
    seed = random.SystemRandom().randrange(10**6) if given.seed is None else given.seed
    wrong = False
    for store in list(FIELDS) if given.store == "both" else [given.store]:
        run = campaign(store, seed, seconds=given.seconds, only=only)
        print(run, flush=True)
        if run.verdict.wrong:
            wrong = True
            print(*run.verdict.wrong, f"again: {run.command}", sep="\n", flush=True)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
