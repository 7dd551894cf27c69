"""Good clients that keep calling while a server is attacked, and what the server holds meanwhile."""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from http.client import HTTPConnection

import grpc
import httpx
import psutil

from tests.faults.attacks import ATTACKS, GET_ACCOUNT
from tests.running import ROOT, RunningServer, wait_until

CREATE_ORGANIZATION = "/gitpod.v1.OrganizationService/CreateOrganization"
MIB = 1024 * 1024

CALL_SECONDS = 20.0
"""How long good clients wait for an answer."""


@dataclass
class Load:
    """What good clients saw: seconds of each call on a connection that is kept, of each on a new one, and errors."""

    kept: list[float] = field(default_factory=list)
    new: list[float] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    @property
    def p99(self) -> float:
        """Seconds in which 99 of 100 calls on kept connections were answered."""
        return statistics.quantiles(self.kept, n=100)[98]

    @property
    def median_new(self) -> float:
        return statistics.median(self.new)

    def since(self, before: Load) -> Load:
        """Give what came after a copy was made."""
        return Load(self.kept[len(before.kept) :], self.new[len(before.new) :], self.errors)

    def copy(self) -> Load:
        return Load(list(self.kept), list(self.new), list(self.errors))

    def assert_good(self) -> None:
        assert not self.errors, (len(self.errors), self.errors[:5])
        assert self.kept
        assert self.new


@dataclass
class GoodClients:
    """Clients of one server: over HTTP/1.1 and JSON, on a kept connection each or a new one for each call, and gRPC."""

    server: RunningServer
    token: str

    def run(self, seconds: float) -> Load:
        """Call for so long, and until something was seen."""
        with self.calling() as load:
            time.sleep(seconds)
            wait_until(lambda: load.errors or (len(load.kept) > 1 and load.new), 60)
        return load

    @contextmanager
    def calling(self, threads: int = 2) -> Iterator[Load]:
        """Call while the block runs."""
        load, stop = Load(), threading.Event()
        with ExitStack() as stack:
            channel = stack.enter_context(grpc.insecure_channel(self.server.address))
            kept = [call for _ in range(threads) for call in (self._json(stack), self._grpc(channel))]
            calls = [*((load.kept, call) for call in kept), *((load.new, self._json_anew) for _ in range(threads))]
            workers = [threading.Thread(target=self._work, args=(load, stop, *call), daemon=True) for call in calls]
            for worker in workers:
                worker.start()
            try:
                yield load
            finally:
                stop.set()
                for worker in workers:
                    worker.join(30)

    @staticmethod
    def _work(load: Load, stop: threading.Event, seconds: list[float], call: Callable[[], object]) -> None:
        while not stop.is_set():
            begin = time.perf_counter()
            try:
                call()
            except Exception as error:  # noqa: BLE001 # whatever a client meets is a finding
                load.errors.append(repr(error)[:300])
            else:
                seconds.append(time.perf_counter() - begin)
            time.sleep(0.005)

    def _json(self, stack: ExitStack) -> Callable[[], object]:
        headers = {"authorization": f"Bearer {self.token}"}
        client = stack.enter_context(httpx.Client(base_url=self.server.url, headers=headers, timeout=CALL_SECONDS))
        return lambda: client.post(GET_ACCOUNT, json={}).raise_for_status()

    def _json_anew(self) -> None:
        headers = {"authorization": f"Bearer {self.token}", "content-type": "application/json"}
        with closing(HTTPConnection(self.server.address, timeout=CALL_SECONDS)) as connection:
            connection.request("POST", GET_ACCOUNT, b"{}", headers)
            answer = connection.getresponse()
            answer.read()
            assert answer.status == HTTPStatus.OK, f"{answer.status} {answer.reason}"

    def _grpc(self, channel: grpc.Channel) -> Callable[[], object]:
        method = channel.unary_unary(GET_ACCOUNT)
        metadata = (("authorization", f"Bearer {self.token}"),)
        return lambda: method(b"", timeout=CALL_SECONDS, metadata=metadata)


def processes(server: RunningServer) -> list[psutil.Process]:
    own = psutil.Process(server.process.pid)
    return [own, *own.children(recursive=True)]


def resident_mib(server: RunningServer) -> float:
    return sum(process.memory_info().rss for process in processes(server)) / MIB


def descriptors(server: RunningServer) -> int:
    return sum(process.num_fds() for process in processes(server))


@contextmanager
def attacking(server: RunningServer, attack: str, token: str) -> Iterator[None]:
    """Attack the server by a program of its own while the block runs; it is told that the attack stands by entering."""
    attacker = subprocess.Popen(
        [sys.executable, "-m", "tests.faults.attacks", attack, server.address, token],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
    try:
        assert attacker.stdout is not None
        assert attacker.stdout.readline() == "stands\n"
        yield
        done, _ = attacker.communicate(timeout=60)
        assert attacker.returncode == 0
        assert any(json.loads(done).values()), "nothing was done"
    finally:
        attacker.kill()
        attacker.communicate()


SLOWER = 5
"""How many times as long good clients may take under an attack as without one."""

NOISE_SECONDS = 0.1
"""A p99 below this counts as this: two cores that all of them and others share make it so at any moment."""

NEW_SECONDS = 5.0
"""Half of those who come anew must be answered within this, whatever floods in beside them. TCP knocks again after one
and three seconds where a knock wasn't heard; good clients give up after `CALL_SECONDS`."""

WINDOWS = 3
"""In how many stretches of an attack good clients are looked at, at most. One in which they are well is enough: what an
attack does it does in each, what else the machine is busy with comes and goes."""


def no_worse(after: Load, before: Load) -> bool:
    """Tell whether good clients are served after an attack as before, as far as that can be told from noise."""
    return after.p99 <= SLOWER * max(NOISE_SECONDS, before.p99)


def well(windows: Sequence[Load], slack: float, before: Load, after: Load | None = None) -> bool:
    """Tell whether good clients were well in one of the stretches of an attack, by what they saw before and after it.

    What they saw after it counts where that is no worse: the machine may have become busy meanwhile. Where it is worse
    it may be the attack's doing.
    """
    calm = max(slack * NOISE_SECONDS, before.p99)
    if after is not None and no_worse(after, before):
        calm = max(calm, after.p99)
    return any(window.p99 <= SLOWER * calm and window.median_new <= NEW_SECONDS for window in windows)


def _told(load: Load) -> str:
    """Give what good clients saw: of kept connections, and of new ones."""
    median, slowest = load.median_new * 1000, max(load.new) * 1000
    return f"{load.p99 * 1000:.0f} ms of {len(load.kept)} ({median:.0f} to {slowest:.0f} of {len(load.new)} new)"


def attacked(
    clients: GoodClients,
    attack: str,
    token: str,
    figure: Callable[[str], None],
    *,
    seconds: float = 2.0,
    more_mib: float = 128,
    slack: float = 1.0,
) -> None:
    """Attack while good clients call: none of their calls may fail, and what the server holds is bounded.

    On kept connections they may take `SLOWER` times as long as without it, or as `slack` times what noise explains
    where that is more; on new ones `NEW_SECONDS`. The server may take `more_mib` of memory during the attack; what it
    opened for it is closed afterwards.
    """
    server, before = clients.server, clients.run(seconds / 2)
    before.assert_good()
    memory, files = resident_mib(server), descriptors(server)
    peak, windows = memory, list[Load]()

    with clients.calling() as load, attacking(server, attack, token):
        while not windows or (not well(windows, slack, before) and len(windows) < WINDOWS):
            began, until = load.copy(), time.monotonic() + seconds

            def seen_enough(began: Load = began, until: float = until) -> bool:
                nonlocal peak
                peak = max(peak, resident_mib(server))
                seen = load.since(began)
                return time.monotonic() > until and len(seen.kept) >= 50 and len(seen.new) >= 3

            wait_until(seen_enough, 60)
            windows.append(load.since(began))
    load.assert_good()
    for _ in range(WINDOWS):
        after = clients.run(seconds / 2)
        after.assert_good()
        if no_worse(after, before):
            break
    what = (ATTACKS[attack].__doc__ or "").splitlines()[0].rstrip(".")
    seen = f"calm {_told(before)} and {_told(after)}, attacked {' and '.join(map(_told, windows))}"
    figure(f"{what}: p99 {seen}; memory {memory:.0f} → {peak:.0f} MiB")
    assert well(windows, slack, before, after), seen
    assert peak < memory + more_mib
    wait_until(lambda: descriptors(server) <= files + 20, 30)
