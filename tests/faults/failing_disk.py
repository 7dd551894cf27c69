"""The service in a process whose disk fails at the n-th call, for every n: run by `test_failing_disk.py`.

Prints one line of JSON: how many points there were, and what went wrong.
"""

from __future__ import annotations

import ctypes
import errno
import itertools
import json
import sys
import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from werkzeug.test import Client

from server.domain.errors import STORE_UNAVAILABLE, ServiceError
from server.domain.invitation import DeliveryState
from server.domain.secrets import SecretKeys
from server.edge import Edge
from server.main import build_service
from server.ports import Mail
from server.sealing import KeySealing
from server.service.access_tokens import token_hash
from server.service.invitations import NewInvitation
from server.service.outbox import Links, Outbox
from server.store.sql_store import StoreSetupError
from server.store.sqlite import SqliteStore
from server.wires import build_edge
from tests.conftest import GivenClock, World
from tests.faults import bare
from tests.faults.disk import Calls
from tests.faults.ledger import SECRET, Book, Step, tell
from tests.store.making import an_organization

FOREVER = 2**40
ITS_DIRECTORY = "its directory"
FORMAT, HAS_WAL = slice(18, 20), b"\2\2"
"""Where a database says how it is to be read and written, and what it says when there is a write-ahead log."""

_disk = ctypes.CDLL(None)


@dataclass(frozen=True)
class Fault:
    """What fails, with which error, how often in a row; a write may write half first."""

    calls: Calls
    error: int
    times: int = 1
    half: bool = False

    def arm(self, nth: int) -> None:
        long = ctypes.c_long
        _disk.disk_arm(int(self.calls), long(nth), long(self.times), long(FOREVER), self.error, int(self.half))


FAULTS = {
    "a read": Fault(Calls.READ, errno.EIO),
    "a write": Fault(Calls.WRITE, errno.EIO),
    "a write, for lack of room": Fault(Calls.WRITE, errno.ENOSPC),
    "half a write, for lack of room": Fault(Calls.WRITE, errno.ENOSPC, times=2, half=True),
    "a sync": Fault(Calls.SYNC, errno.EIO),
    "a truncation": Fault(Calls.TRUNCATE, errno.EIO),
    "an open": Fault(Calls.OPEN, errno.EMFILE, times=2),
    "all writes from then on": Fault(Calls.WRITE | Calls.SYNC | Calls.TRUNCATE, errno.ENOSPC, times=FOREVER),
    "everything from then on": Fault(~Calls.NAMES & Calls(63), errno.EIO, times=FOREVER),
}


def disarm() -> None:
    Fault(Calls(0), 0).arm(FOREVER)


@dataclass
class Report:
    """What happened. Of points only every `stride`th is tried, from `first` on."""

    first: int = 1
    stride: int = 1
    points: int = 0
    refused: int = 0
    silent: Counter[str] = field(default_factory=Counter)
    """At how many points nobody was told, for each file of which a call failed then."""
    wrong: list[str] = field(default_factory=list)


def at_every_point(report: Report, fault: Fault, attempt: Callable[[int], None]) -> None:
    """Attempt something with the n-th call failing, until there is no n-th call any more."""
    for nth in itertools.count(report.first, report.stride):
        if report.wrong:
            return
        told = report.refused
        fault.arm(nth)
        attempt(nth)
        failed = _disk.disk_failed()
        disarm()
        if not failed:
            return
        report.points += 1
        if report.refused == told:
            report.silent[failed_file()] += 1


def failed_file() -> str:
    """Name the file of which a call failed first, as SQLite names files beside the database's: "", "-wal"."""
    _disk.disk_failed_at.restype = ctypes.c_char_p
    name = Path(_disk.disk_failed_at().decode()).name
    return name[name.index(".db") + 3 :] if ".db" in name else ITS_DIRECTORY


class Scene:
    """A service on a file, and how it is asked."""

    def __init__(self, directory: Path, report: Report) -> None:
        # So that what is read comes from the disk, and the file itself is written often.
        bare.set_pragmas("mmap_size = 0; cache_size = 5; wal_autocheckpoint = 30")
        self.book = Book(directory / "organizations.db")
        self.clock = GivenClock()
        self.store = SqliteStore(self.book.path, self.clock)
        self.service = build_service(self.store, SecretKeys([SECRET.encode()]), clock=self.clock)
        self.edge: Edge = build_edge(self.service)
        self.report = report

    def ask(self, step: Step, key: str) -> tuple[int, Any, str | None]:
        headers = {"authorization": f"Bearer {self.book.tokens[step.person]}", "idempotency-key": key}
        answer = Client(self.edge, use_cookies=False).post(step.path, json=step.message, headers=headers)
        return answer.status_code, json.loads(answer.data), answer.headers.get("retry-after")

    def wrong(self, text: str) -> None:
        self.report.wrong.append(text)

    def tell_story(self, fault: Fault, nth: int) -> None:
        """Tell a story; what is refused must be refused rightly, leave nothing, and be done when it comes again."""
        story = tell(f"{fault.calls.name}-{fault.error}-{fault.times}-{nth}", self.book.accounts)
        ledger = self.book.ledger
        step = next(story)
        while True:
            key = f"{nth}-{step.path}-{step.message}"[:200]
            for attempt in range(4):
                ledger.ask(step.keys)
                status, content, retry_after = self.ask(step, key)
                if status == 200:
                    ledger.settle(step.values(content))
                    break
                self.report.refused += 1
                ledger.open -= step.keys
                refusal = f"{nth}: {step.path} {status} {content} {retry_after}"
                if status != 503 or "STORE_UNAVAILABLE" not in str(content) or not retry_after or attempt == 3:
                    return self.wrong(refusal)
                if fault.times == FOREVER and attempt == 0:
                    continue  # as long as it lasts, so does the refusal
                disarm_keeping_count()
                found = self.book.check()
                if not found.is_nothing:
                    return self.wrong(f"after {refusal}: {found}")
            try:
                step = story.send(content)
            except StopIteration:
                return None

    def stories(self, fault: Fault) -> None:
        def attempt(nth: int) -> None:
            # On a thread of its own, which opens the file anew.
            with ThreadPoolExecutor(1) as pool:
                pool.submit(self.tell_story, fault, nth).result()
            disarm_keeping_count()
            found = self.book.check()
            if not found.is_nothing:
                self.wrong(f"{nth}: {found}")

        at_every_point(self.report, fault, attempt)

    def shared_commit(self, fault: Fault) -> None:
        """Let three turns share a commit that fails: all of them are refused, or none."""
        writer = self.store._writer

        def attempt(nth: int) -> None:
            names = [f"{fault.calls.name} {nth} {number}" for number in range(3)]
            entered = threading.Event()

            def turn(number: int) -> str:
                if number:
                    entered.wait(10)
                try:
                    with self.store.transaction() as tx:
                        entered.set()
                        while number == 0 and writer._waiting < 2:
                            pass
                        tx.add_organization(an_organization(names[number]))
                except ServiceError as refusal:
                    return refusal.reason.name
                finally:
                    entered.set()
                return "ok"

            with ThreadPoolExecutor(3) as pool:
                outcomes = list(pool.map(turn, range(3)))
            disarm_keeping_count()
            with self.store.snapshot() as tx:
                kept = {each.name for each in tx.organizations("", 0, 100_000)[0]}
            self.report.refused += sum(outcome != "ok" for outcome in outcomes)
            for name, outcome in zip(names, outcomes, strict=True):
                if outcome not in ("ok", STORE_UNAVAILABLE.name) or (outcome == "ok") is not (name in kept):
                    self.wrong(f"{nth}: {name} was answered {outcome} and kept: {name in kept}")

        at_every_point(self.report, fault, attempt)

    def starting(self, fault: Fault) -> None:
        """Let the file be opened, and made, in vain: a clear error, and the next time it works."""

        def attempt(nth: int) -> None:
            path = self.book.path.with_name(f"{fault.calls.name}-{fault.error}-{nth}.db")
            told = self.report.refused
            try:
                SqliteStore(path, self.clock).close()
            except StoreSetupError:
                self.report.refused += 1
            disarm_keeping_count()
            if self.report.refused == told and path.read_bytes()[FORMAT] != HAS_WAL:
                self.wrong(f"{nth}: it was opened as if all were well, and has no write-ahead log")
            store = SqliteStore(path, self.clock)
            with store.transaction() as tx:
                tx.add_organization(an_organization("works"))
            store.close()

        at_every_point(self.report, fault, attempt)

    def last_used(self, fault: Fault) -> None:
        """Let the times of last use be written in vain: they are written the next time."""
        authentication, token = self.service.authentication, self.book.tokens["ada"]

        def attempt(nth: int) -> None:
            self.clock.forward(timedelta(minutes=1))
            # Read in a second of its own, before anything fails.
            disarm_keeping_count()
            authentication.who(token)
            fault.arm(nth)
            try:
                authentication.write_last_used()
            except ServiceError:
                self.report.refused += 1
            disarm_keeping_count()
            authentication.write_last_used()
            with self.store.snapshot() as tx:
                found = tx.access_token(token_hash(token))
            if found is None or found[0].last_used_at != self.clock.now:
                self.wrong(f"{nth}: the time of last use was lost")

        at_every_point(self.report, fault, attempt)

    def outbox(self, fault: Fault) -> None:
        """Let mails be sent while the disk fails: each goes out at least once, and not over and over."""
        world = World(self.service, self.clock)
        call = world.call("Grace")
        organization, _ = self.service.organizations.create(call, "Mails")
        mailer = Mailer()
        keys = SecretKeys([SECRET.encode()])
        outbox = Outbox(self.store, self.clock, keys, mailer, Links("https://example.com"), KeySealing(keys))

        def attempt(nth: int) -> None:
            disarm_keeping_count()
            email = f"{fault.calls.name}-{fault.error}-{nth}@example.com"
            made = self.service.invitations.create(call, organization.id, NewInvitation(email))
            fault.arm(nth)
            for _ in range(4):
                try:
                    outbox.send_due()
                except ServiceError as refusal:
                    self.report.refused += 1
                    if refusal.reason is not STORE_UNAVAILABLE:
                        self.wrong(f"{nth}: {refusal.reason.name}")
                if fault.times == FOREVER:
                    disarm_keeping_count()
                self.clock.forward(timedelta(minutes=30))
            disarm_keeping_count()
            with self.store.snapshot() as tx:
                kept = tx.invitation(made.invitation.id)
            if kept is None or kept.delivery_state is not DeliveryState.SENT or not 1 <= mailer.sent.count(email) <= 2:
                self.wrong(f"{nth}: sent {mailer.sent.count(email)} times, {kept and kept.delivery_state}")

        at_every_point(self.report, fault, attempt)


def disarm_keeping_count() -> None:
    """Let nothing fail any more; how often something did is still known."""
    _disk.disk_calm()


class Mailer:
    """Writes down to whom mails went."""

    def __init__(self) -> None:
        self.sent: list[str] = []

    def session(self) -> Mailer:
        return self

    def __enter__(self) -> Callable[[Mail], None]:
        return lambda mail: self.sent.append(mail.email)

    def __exit__(self, *_: object) -> None:
        pass


def main() -> None:
    directory, what, fault = Path(sys.argv[1]), sys.argv[2], FAULTS[sys.argv[3]]
    scene = Scene(directory, Report(*map(int, sys.argv[4:])))
    getattr(scene, what)(fault)
    print(json.dumps(vars(scene.report)))


if __name__ == "__main__":
    main()
