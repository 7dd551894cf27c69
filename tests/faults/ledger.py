"""Writers that keep a ledger of what they were answered, and the check of a database file against it.

Each writer tells one story after another, step by step. A step whose answer is lost is sent again, with its key, until
it is answered: whatever was answered must be in the file from then on, and everything in it once.
"""

from __future__ import annotations

import itertools
import json
import threading
import time
import uuid
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterator
from contextlib import closing, suppress
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any

from server.domain.invite_link import lookup_hash
from server.domain.secrets import SecretKeys
from server.main import build_service, utc_now
from server.store.sqlite import SqliteStore, sqlite3
from tests.faults.sums import Summed

GITPOD, INVITATIONS = "/gitpod.v1.OrganizationService/", "/invitations.v1.InvitationService/"
SECRET = "a key for tests of thirty-two bytes"
PEOPLE = ("ada", "bob", "cem")

Key = tuple[str, ...]


class Ledger:
    """What was asked for, and what was answered: by key, the value that a row must have."""

    def __init__(self) -> None:
        self.acknowledged: dict[Key, Hashable] = {}
        self.open: set[Key] = set()
        """Keys with a request under way, or unanswered: they have the old value or a new one."""
        self.acknowledgements = 0
        self.refusals: list[str] = []
        self.unavailable = 0
        """Requests that were told to come again."""
        self.unanswered = 0
        """Requests that reached a server, and were never answered."""
        self._lock = threading.Lock()

    def ask(self, keys: set[Key]) -> None:
        with self._lock:
            self.open |= keys

    def settle(self, values: dict[Key, Hashable]) -> None:
        with self._lock:
            self.acknowledged |= values
            self.open -= values.keys()
            self.acknowledgements += 1

    def wait_for_more(self, acknowledgements: int, *, unavailable: int = 0) -> None:
        """Wait for so many more, and so many requests that are told to come again, unless some are refused instead."""
        wanted, told = self.acknowledgements + acknowledgements, self.unavailable + unavailable
        until = time.monotonic() + 60
        while (self.acknowledgements < wanted or self.unavailable < told) and not self.refusals:
            if time.monotonic() > until:
                return
            time.sleep(0.001)

    def compare(self, rows: dict[Key, list[Hashable]]) -> Wrong:
        """Hold what is kept against what was answered."""
        wrong = Wrong()
        for key, value in self.acknowledged.items():
            kept = rows.get(key, [])
            if not kept or (key not in self.open and value not in kept):
                wrong.lost.append(f"{key}: {kept} instead of {value!r}")
        for key, kept in rows.items():
            if len(kept) > 1:
                wrong.duplicated.append(f"{key}: {kept}")
            if key not in self.acknowledged and key not in self.open:
                wrong.duplicated.append(f"{key}: nobody asked for it")
        return wrong


@dataclass(repr=False)
class Wrong(Summed):
    """What a check found."""

    lost: list[str] = field(default_factory=list)
    duplicated: list[str] = field(default_factory=list)
    damaged: list[str] = field(default_factory=list)

    def __repr__(self) -> str:
        return f"lost {self.lost[:3]}, duplicated {self.duplicated[:3]}, damaged {self.damaged[:3]}"

    @property
    def is_nothing(self) -> bool:
        return not (self.lost or self.duplicated or self.damaged)


@dataclass
class Harm(Summed):
    """What was done to a service, and what came of what it had answered."""

    what: str
    acknowledged: int = 0
    refusals: list[str] = field(default_factory=list)
    wrong: Wrong = field(default_factory=Wrong)

    @property
    def is_right(self) -> bool:
        return self.wrong.is_nothing and not self.refusals

    @property
    def found(self) -> list[str]:
        """Give what isn't right, in a line; none where all is."""
        return [] if self.is_right else [f"{self.wrong} {self.refusals[:3]}"]


class Book:
    """A database file with people in it who write, and the ledger of what they were answered."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.ledger = Ledger()
        self.tokens: dict[str, str] = {}
        self.accounts: dict[str, str] = {}
        with closing(SqliteStore(path, utc_now)) as store:
            service = build_service(store, SecretKeys([SECRET.encode()]))
            for person in PEOPLE:
                account = service.authentication.local_account(f"{person}@example.com", person)
                self.accounts[person] = account.id
                self.tokens[person] = service.tokens.issue(account, description="", expires_at=None)[0]

    @property
    def environ(self) -> dict[str, str]:
        """The environment of a server on it."""
        # Long runs invite more people than one person may in an hour.
        url = f"sqlite:///{self.path}"
        return {"DATABASE_URL": url, "SECRET_KEY": SECRET, "LOG_LEVEL": "error", "LIMITS": "off"}

    def check(self, path: Path | None = None) -> Wrong:
        """Read the file, and hold it against the ledger."""
        with closing(sqlite3.connect(path or self.path)) as db:
            wrong = self.ledger.compare(read_rows(db))
            found = [row[0] for row in db.execute("PRAGMA integrity_check")]
            found += [str(row) for row in db.execute("PRAGMA foreign_key_check")]
            wrong.damaged += [said for said in found if said != "ok"]
            wrong.damaged += [
                f"{name} counts {kept} members of {real}"
                for name, kept, real in db.execute(
                    "SELECT name, member_count, (SELECT count(*) FROM members WHERE organization_id = o.id"
                    " AND status = 'active') AS real FROM organizations AS o WHERE member_count <> real"
                )
            ]
            (half,) = db.execute("SELECT count(*) FROM idempotency_keys WHERE answer IS NULL").fetchone()
            wrong.damaged += ["an idempotency key without an answer"] * half
        return wrong


def read_rows(db: Any) -> dict[Key, list[Hashable]]:
    """Give what is kept, by the ledger's keys."""
    rows: dict[Key, list[Hashable]] = defaultdict(list)
    for name, id_ in db.execute("SELECT name, id FROM organizations"):
        rows["organization", name].append(id_)
    named = "JOIN organizations AS o ON o.id = organization_id"
    for organization, account, status in db.execute(f"SELECT o.name, account_id, status FROM members {named}"):
        rows["member", organization, account].append(status)
    for organization, looked_up in db.execute(f"SELECT o.name, lookup_hash FROM invite_links {named}"):
        rows["link", organization].append(bytes(looked_up))
    for email, id_, status in db.execute("SELECT email, id, status FROM invitations"):
        rows["invitation", email].append((id_, status))
    return rows


class RefusedError(Exception):
    """A server that could have done it said no."""


@dataclass
class Step:
    """One request, sent with one key until it is answered."""

    person: str
    path: str
    message: dict[str, Any]
    keys: set[Key]
    values: Callable[[Any], dict[Key, Hashable]]


Story = Iterator[Step]


def tell(name: str, accounts: dict[str, str]) -> Any:
    """Tell of an organization: a generator of steps that is sent each answer."""
    link = ("link", name)

    def joins(person: str) -> dict[Key, Hashable]:
        return {("member", name, accounts[person]): "active"}

    def created(answer: Any) -> dict[Key, Hashable]:
        return joins("ada") | {("organization", name): answer["organization"]["id"]}

    def hashed(answer: Any) -> dict[Key, Hashable]:
        return {link: lookup_hash(answer["invite"]["inviteId"])}

    create = {"name": name, "joinOrganization": True}
    made = yield Step("ada", GITPOD + "CreateOrganization", create, {("organization", name), *joins("ada")}, created)
    it = {"organizationId": made["organization"]["id"]}
    first = yield Step("ada", GITPOD + "CreateOrganizationInvite", it, {link}, hashed)
    joining = joins("bob")
    yield Step("bob", GITPOD + "JoinOrganization", first["invite"], {*joining}, lambda _: joining)
    yield Step("ada", GITPOD + "CreateOrganizationInvite", it, {link}, hashed)

    guest = ("invitation", f"{name}@example.com")
    single = it | {"invitation": {"email": guest[1], "sendEmail": False}}
    answer = yield Step(
        "ada", INVITATIONS + "CreateInvitation", single, {guest}, lambda m: {guest: (m["invitation"]["id"], "pending")}
    )
    invitation = answer["invitation"]["id"]
    accepted = joins("cem") | {guest: (invitation, "accepted")}
    token = {"token": answer["token"]}
    yield Step("cem", INVITATIONS + "AcceptInvitation", token, {*accepted}, lambda _: accepted)

    many = [("invitation", f"{name}.{number}@example.com") for number in range(4)]
    batch = it | {"allOrNothing": True, "invitations": [{"email": email, "sendEmail": False} for _, email in many]}
    answer = yield Step(
        "ada",
        INVITATIONS + "BatchCreateInvitations",
        batch,
        {*many},
        lambda m: {
            key: (o["created"]["invitation"]["id"], "pending") for key, o in zip(many, m["outcomes"], strict=True)
        },
    )
    withdrawn = answer["outcomes"][0]["created"]["invitation"]["id"]
    revoked = {many[0]: (withdrawn, "revoked")}
    yield Step("ada", INVITATIONS + "RevokeInvitation", {"invitationId": withdrawn}, {*revoked}, lambda _: revoked)


class Writers:
    """Threads that tell stories to whatever server there is, until they are stopped.

    A story that is refused in the middle isn't told to its end; servers that lose nothing refuse nothing.
    """

    def __init__(self, book: Book, count: int = 4, *, name: str = "story", patient: bool = False) -> None:
        """`patient` writers come again when they are told to; those of one book need other names."""
        self._name = name
        self._book = book
        self._patient = patient
        self._address = ""
        self._may = threading.Condition()
        self._busy = 0
        self._finishing = self._stopped = False
        self._threads = [threading.Thread(target=self._write, args=(number,)) for number in range(count)]
        for thread in self._threads:
            thread.start()

    def go(self, address: str) -> None:
        """Write to a server."""
        with self._may:
            self._address = address
            self._may.notify_all()

    def pause(self) -> None:
        """Wait until nobody writes: each has its answer, or has lost it."""
        with self._may:
            self._address = ""
            assert self._may.wait_for(lambda: self._busy == 0, 60)

    def finish(self) -> None:
        """Let each writer have the answer that it waits for, and end."""
        self._finishing = True
        for thread in self._threads:
            thread.join(60)

    def close(self) -> None:
        """Let each writer end, answered or not."""
        with self._may:
            self._finishing = self._stopped = True
            self._may.notify_all()
        for thread in self._threads:
            thread.join(60)

    def _write(self, number: int) -> None:
        for chapter in itertools.count():
            story = tell(f"{self._name}-{number}-{chapter}", self._book.accounts)
            step = next(story)
            while True:
                try:
                    answer = self._settled(step)
                    if answer is None or self._finishing:
                        return
                    step = story.send(answer)
                except (StopIteration, RefusedError):
                    break

    def _settled(self, step: Step) -> Any:
        """Send a step until it is answered; None when nobody is to write any more."""
        key = str(uuid.uuid4())
        while True:
            with self._may:
                self._may.wait_for(lambda: self._address or self._stopped)
                if self._stopped:
                    return None
                self._busy += 1
                address = self._address
            try:
                self._book.ledger.ask(step.keys)
                answer = self._sent(address, step, key)
                if answer is not None:
                    self._book.ledger.settle(step.values(answer))
                    return answer
            finally:
                with self._may:
                    self._busy -= 1
                    self._may.notify_all()
            time.sleep(0.002)

    def _sent(self, address: str, step: Step, key: str) -> Any:
        headers = {
            "content-type": "application/json",
            "authorization": f"Bearer {self._book.tokens[step.person]}",
            "idempotency-key": key,
        }
        connection = HTTPConnection(address, timeout=30)
        with suppress(OSError):
            connection.connect()
        if connection.sock is None:
            return None
        try:
            connection.request("POST", step.path, json.dumps(step.message), headers)
            answer = connection.getresponse()
            status, content = answer.status, answer.read()
        except (OSError, HTTPException):
            self._book.ledger.unanswered += 1
            return None
        finally:
            connection.close()
        if self._patient and status == 503 and b"STORE_UNAVAILABLE" in content and answer.getheader("retry-after"):
            self._book.ledger.unavailable += 1
            return None
        if status != 200:
            self._book.ledger.refusals.append(f"{step.path}: {status} {content[:300]!r}")
            raise RefusedError
        return json.loads(content)
