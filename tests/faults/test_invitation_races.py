"""Many answer, withdraw and send one invitation at once: one wins, and state and membership agree.

The checks are said over what callers were answered and what is there afterwards, and must fail on servers that lack a
safeguard.
"""

from __future__ import annotations

import json
import random
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from http.client import HTTPConnection
from pathlib import Path
from threading import Thread
from typing import Any, Protocol

import pytest
from werkzeug.test import Client

from server.domain.account import Caller
from server.domain.secrets import SecretKeys
from server.main import Service, build_service, open_store, utc_now
from server.service.call import Call
from server.settings import Settings
from server.store.postgres import PostgresStore
from server.store.sqlite import SqliteStore
from server.wires import build_edge
from tests.conftest import KEY
from tests.faults.histories import at_once
from tests.faults.mutant_server import program
from tests.reasons import json_reason
from tests.running import RunningServer, running_server

GITPOD, INVITATIONS = "/gitpod.v1.OrganizationService/", "/invitations.v1.InvitationService/"

# How callers reach the service.


class Post(Protocol):
    """Sends a message as JSON; gives the status and what was answered."""

    def __call__(self, path: str, message: Any, headers: dict[str, str]) -> tuple[int, Any]: ...


class Connections:
    """Connections to a server that stay open for whoever comes next; much lighter than a client that can do more."""

    def __init__(self, server: RunningServer) -> None:
        self._address = server.address
        self._idle: list[HTTPConnection] = []

    def __call__(self, path: str, message: Any, headers: dict[str, str]) -> tuple[int, Any]:
        """Send a message, as `Post`; an OSError or HTTPException tells that the server is gone."""
        try:
            connection = self._idle.pop()
        except IndexError:
            connection = HTTPConnection(self._address, timeout=30)
        try:
            connection.request("POST", path, json.dumps(message), {"content-type": "application/json", **headers})
            answer = connection.getresponse()
            status, content = answer.status, answer.read()
        except BaseException:
            connection.close()
            raise
        self._idle.append(connection)
        return status, json.loads(content)

    def close(self) -> None:
        for connection in self._idle:
            connection.close()


def in_process(service: Service) -> Post:
    edge = build_edge(service)

    def post(path: str, message: Any, headers: dict[str, str]) -> tuple[int, Any]:
        client = Client(edge, use_cookies=False)
        answer = client.post(path, data=json.dumps(message), content_type="application/json", headers=headers)
        return answer.status_code, json.loads(answer.data)

    return post


@dataclass(frozen=True)
class Made:
    """An invitation under test, and who administers it."""

    organization: str
    admin: str
    id: str
    token: str
    email: str


class Door:
    """Calls by people who are known by a word. `beside` makes their accounts and tokens, on the same database."""

    def __init__(self, post: Post, beside: Service) -> None:
        self._post = post
        self.beside = beside
        self._tokens: dict[str, str] = {}

    def prepare(self, people: Sequence[str]) -> None:
        """Make accounts ahead, so that making them is no part of a race."""
        for person in people:
            self.token(person)

    def call(self, person: str) -> Call:
        return Call(Caller(self.beside.authentication.local_account(f"{person}@example.com", person)))

    def token(self, person: str) -> str:
        if person not in self._tokens:
            account = self.call(person).caller.account
            self._tokens[person] = self.beside.tokens.issue(account, description="race", expires_at=None)[0]
        return self._tokens[person]

    def ask(self, person: str, method: str, message: dict[str, Any], key: str = "") -> tuple[Any, str]:
        """Give the answer, or None and the reason why not."""
        headers = {"authorization": f"Bearer {self.token(person)}"} | ({"idempotency-key": key} if key else {})
        status, content = self._post(method, message, headers)
        return (content, "") if status == 200 else (None, json_reason(content) or content["code"])

    def must(self, person: str, method: str, message: dict[str, Any]) -> Any:
        content, reason = self.ask(person, method, message)
        assert content is not None, reason
        return content

    def make_organization(self, admin: str) -> str:
        return str(self.must(admin, GITPOD + "CreateOrganization", {"name": "Race"})["organization"]["id"])

    def ask_to_invite(self, admin: str, organization: str, email: str) -> tuple[Any, str]:
        """Invite, without mail, or be told why not."""
        message = {"organizationId": organization, "invitation": {"email": email, "sendEmail": False}}
        return self.ask(admin, INVITATIONS + "CreateInvitation", message)

    def invite(self, admin: str, organization: str, email: str) -> Made:
        """Invite, without mail."""
        content, reason = self.ask_to_invite(admin, organization, email)
        assert content is not None, reason
        return Made(organization, admin, content["invitation"]["id"], content["token"], email)

    def end_soon(self, mades: Sequence[Made], seconds: float) -> datetime:
        """Have invitations end sooner than any wire would let them."""
        expires_at = datetime.now(UTC) + timedelta(seconds=seconds)
        with self.beside.store.transaction() as tx:
            for made in mades:
                found = tx.invitation(made.id)
                assert found is not None
                tx.update_invitation(replace(found, expires_at=expires_at), found.stored_status)
        return expires_at

    def state(self, made: Made) -> str | None:
        """Give where the invitation stands, None where there is none."""
        content, reason = self.ask(made.admin, INVITATIONS + "GetInvitation", {"invitationId": made.id})
        if content is None:
            assert reason == "INVITATION_NOT_FOUND"
            return None
        return str(content["invitation"]["status"]).removeprefix("INVITATION_STATUS_")

    def pending(self, admin: str, organization: str) -> dict[str, list[str]]:
        """Give ids of pending invitations by address."""
        found: dict[str, list[str]] = {}
        token = ""
        while True:
            message = {"organizationId": organization, "filter": {"statuses": ["INVITATION_STATUS_PENDING"]}}
            page = self.must(admin, INVITATIONS + "ListInvitations", message | {"pageSize": 100, "pageToken": token})
            for invitation in page["invitations"]:
                found.setdefault(invitation["email"], []).append(invitation["id"])
            token = page["nextPageToken"]
            if not token:
                return found

    def members(self, person: str, organization: str) -> set[str] | None:
        """Give the names of members, None for who isn't one."""
        message = {"organizationId": organization, "pagination": {"pageSize": 100}}
        page, reason = self.ask(person, GITPOD + "ListMembers", message)
        if page is None:
            assert reason == "ORGANIZATION_NOT_FOUND"
            return None
        assert not page["pagination"]["nextToken"]
        return {member["fullName"] for member in page["members"]}

    def opens(self, token: str) -> bool:
        return self._post(INVITATIONS + "PreviewInvitation", {"token": token}, {})[0] == 200

    def batch(self, admin: str, organization: str, emails: Sequence[str], *, whole: bool = False) -> list[str]:
        """Invite many; give for each the id of its invitation or the reason why there is none."""
        news = [{"email": email, "sendEmail": False} for email in emails]
        message = {"organizationId": organization, "invitations": news, "allOrNothing": whole}
        content, reason = self.ask(admin, INVITATIONS + "BatchCreateInvitations", message)
        if content is None:
            return [reason] * len(emails)
        outcomes = content["outcomes"]
        assert content["createdCount"] == sum("created" in outcome for outcome in outcomes)
        return [o["created"]["invitation"]["id"] if "created" in o else o["refused"]["reason"] for o in outcomes]


# What callers do, and what must hold of it.


@dataclass(frozen=True)
class Said:
    """What a caller was answered: a value, or the reason why not."""

    what: str
    person: str
    value: str
    reason: str
    began: float
    ended: float


Move = Callable[[Door, str, Made], tuple[Any, str]]


def _rpc(method: str, message: Callable[[Made], dict[str, Any]]) -> Move:
    return lambda door, person, made: door.ask(person, method, message(made))


MOVES: dict[str, Move] = {
    "accept": _rpc(INVITATIONS + "AcceptInvitation", lambda made: {"token": made.token}),
    "accept as addressee": _rpc(INVITATIONS + "AcceptInvitation", lambda made: {"invitationId": made.id}),
    "decline": _rpc(INVITATIONS + "DeclineInvitation", lambda made: {"token": made.token}),
    "revoke": _rpc(INVITATIONS + "RevokeInvitation", lambda made: {"invitationId": made.id}),
    "resend": _rpc(INVITATIONS + "ResendInvitation", lambda made: {"invitationId": made.id, "sendEmail": False}),
    "remove": _rpc(INVITATIONS + "DeleteInvitation", lambda made: {"invitationId": made.id}),
    "invite again": lambda door, person, made: door.ask_to_invite(person, made.organization, made.email),
    "delete the organization": _rpc(GITPOD + "DeleteOrganization", lambda made: {"organizationId": made.organization}),
}
ADMINS_MOVES = ("revoke", "resend", "remove", "invite again", "delete the organization")
ACCEPTS = ("accept", "accept as addressee")


def make_move(door: Door, what: str, person: str, made: Made, said: list[Said]) -> None:
    began = time.time()
    content, reason = MOVES[what](door, person, made)
    ended = time.time()
    value = ""
    if content is not None:
        value = content["member"]["userId"] if what in ACCEPTS else content["token"] if what == "resend" else "done"
    said.append(Said(what, person, value, reason, began, ended))


class Account:
    """What callers were answered about one invitation, and what must hold of it."""

    def __init__(self, said: Sequence[Said]) -> None:
        self.said = said
        self.accepted = {s.person for s in said if s.value and s.what in ACCEPTS}
        self.users = {s.value for s in said if s.value and s.what in ACCEPTS}
        self.resent = [s.value for s in said if s.value and s.what == "resend"]
        self.removed = self.count("remove")
        self.ended = self.count("delete the organization")

    def count(self, what: str) -> int:
        return sum(1 for s in self.said if s.value and s.what == what)

    def outcomes(self) -> list[str]:
        """Give the states that callers were told to have brought about."""
        told = {"ACCEPTED": len(self.accepted), "DECLINED": self.count("decline"), "REVOKED": self.count("revoke")}
        return [state for state, count in told.items() if count]

    def wrong_answers(self) -> list[str]:
        wrong = []
        if len(self.accepted) > 1 or len(self.users) > 1:
            wrong.append(f"{len(self.accepted)} people accepted, as {len(self.users)} users")
        if len(self.outcomes()) > 1:
            wrong.append(f"it was {' and '.join(self.outcomes())}")
        by_token = [s for s in self.said if s.value and s.what in ("accept", "decline")]
        if by_token and self.resent:
            wrong.append("a token was good for an answer, and it was replaced while nobody had answered")
        if self.removed > 1 or self.ended > 1:
            wrong.append("it was deleted twice")
        return wrong + [f"{s.what}: {s.reason}" for s in self.said if s.reason and not self._is_explained(s)]

    def _is_explained(self, said: Said) -> bool:
        """Whether some other answer gives cause for a refusal."""
        gone = bool(self.removed or self.ended)
        replaced = bool(self.resent) and said.what in ("accept", "decline")
        return {
            "INVITATION_ALREADY_ACCEPTED": "ACCEPTED" in self.outcomes(),
            "INVITATION_DECLINED": "DECLINED" in self.outcomes(),
            "INVITATION_REVOKED": "REVOKED" in self.outcomes(),
            "INVITATION_EXPIRED": not self.outcomes() or said.what == "resend",
            "INVITATION_NOT_FOUND": gone or replaced,
            "ORGANIZATION_NOT_FOUND": bool(self.ended) and said.what == "delete the organization",
            "INVITATION_PENDING": said.what == "invite again",
        }.get(said.reason, False)


def race(door: Door, moves: dict[str, int], *, rounds: int, seed: int, same_person: bool = False) -> list[str]:
    """Let many make moves on one invitation at once, so many of each kind; give what went wrong."""
    people = [f"racer{number}" for number in range(sum(moves.values()))]
    admin, addressee = f"admin{seed}", "addressee"
    door.prepare([*people, admin, addressee])
    dice = random.Random(seed)
    wrong: list[str] = []
    for turn in range(rounds):
        made = door.invite(admin, door.make_organization(admin), f"{addressee}@example.com")
        callers = [what for what, count in moves.items() for _ in range(count)]
        dice.shuffle(callers)
        said: list[Said] = []
        tasks = []
        for number, what in enumerate(callers):
            person = people[0] if same_person else people[number]
            person = admin if what in ADMINS_MOVES else addressee if what == "accept as addressee" else person
            tasks.append(partial(make_move, door, what, person, made, said))
        at_once(tasks)
        wrong += [f"round {turn}: {problem}" for problem in wrong_round(door, made, said)]
    return wrong


def wrong_round(door: Door, made: Made, said: Sequence[Said]) -> list[str]:
    account = Account(said)
    wrong = account.wrong_answers()
    moves = {s.what for s in said}
    if account.ended != ("delete the organization" in moves) or account.removed > ("remove" in moves):
        wrong.append("it was not deleted once")
    if not account.outcomes() and not account.resent and not account.removed and not account.ended:
        wrong.append("nobody won")
    if account.ended:
        people = [*account.accepted, *[s.person for s in said][:8]]
        if any(door.members(person, made.organization) is not None for person in people):
            wrong.append("somebody is a member of a deleted organization")
        return wrong + _dead(door, made)
    state = (account.outcomes() or ["PENDING"])[0]
    expected = None if account.removed else state
    found = door.state(made)
    if found != expected:
        wrong.append(f"it is {found} after {expected} was answered")
    members = (door.members(made.admin, made.organization) or set()) - {made.admin}
    if members != account.accepted:
        wrong.append(f"{len(members)} came in, and {len(account.accepted)} were told so")
    open_tokens = [token for token in (made.token, *account.resent) if door.opens(token)]
    if len(open_tokens) != (not account.removed):
        wrong.append(f"{len(open_tokens)} tokens open it")
    elif open_tokens and account.resent and open_tokens == [made.token]:
        wrong.append("the token before is the one that opens it")
    return wrong + _late(door, made, open_tokens, expected)


def _late(door: Door, made: Made, tokens: Sequence[str], state: str | None) -> list[str]:
    """Let somebody come late, by each token that opens: only what is pending lets them in."""
    wrong = []
    for token in tokens or [made.token]:
        content, _ = door.ask("latecomer", INVITATIONS + "AcceptInvitation", {"token": token})
        if (content is not None) != (state == "PENDING"):
            wrong.append(f"a latecomer was {'let in' if content else 'refused'} while it was {state}")
    return wrong


def _dead(door: Door, made: Made) -> list[str]:
    wrong = _late(door, made, [], None)
    return [*wrong, "an invitation outlived its organization"] if door.state(made) is not None else wrong


def race_with_expiry(door: Door, *, invitations: int, seed: int, spread: float) -> list[str]:
    """Let people accept, decline and invite again around the moment when invitations end."""
    dice = random.Random(seed)
    admin = f"admin{seed}"
    people = [f"racer{number}" for number in range(3 * invitations)]
    door.prepare([admin, *people])
    organization = door.make_organization(admin)
    mades = [door.invite(admin, organization, f"late{n}@example.com") for n in range(invitations)]
    said: dict[str, list[Said]] = {made.id: [] for made in mades}

    def at_the_last_moment(what: str, person: str, made: Made, delay: float) -> None:
        time.sleep(max(0.0, expires_at.timestamp() + delay - time.time()))
        make_move(door, what, person, made, said[made.id])

    tasks = []
    for made in mades:
        for what in ("accept", "accept", "decline"):
            delay = dice.uniform(-spread, spread / 2)
            tasks.append(partial(at_the_last_moment, what, people.pop(), made, delay))
        tasks.append(partial(at_the_last_moment, "invite again", admin, made, dice.uniform(0, spread)))
    expires_at = door.end_soon(mades, spread + 0.15)
    at_once(tasks)
    members = (door.members(admin, organization) or set()) - {admin}
    pending = door.pending(admin, organization)
    wrong = [problem for made in mades for problem in _wrong_expiry(door, made, said[made.id], expires_at, pending)]
    accepted = set().union(*(Account(each).accepted for each in said.values()))
    return wrong if members == accepted else [*wrong, f"{len(members)} came in, and {len(accepted)} were told so"]


def _wrong_expiry(
    door: Door, made: Made, said: Sequence[Said], expires_at: datetime, pending: dict[str, list[str]]
) -> list[str]:
    account = Account(said)
    wrong = account.wrong_answers()
    end = expires_at.timestamp()
    wrong += [f"{s.what} after the end" for s in said if s.value and s.what != "invite again" and s.began >= end]
    wrong += [f"{s.what} too early for the end" for s in said if s.reason == "INVITATION_EXPIRED" and s.ended < end]
    found = door.state(made)
    if found != (account.outcomes() or ["EXPIRED"])[0]:
        wrong.append(f"it is {found} after {account.outcomes()} was answered")
    if len(pending.get(made.email, [])) != account.count("invite again"):
        wrong.append(f"{len(pending.get(made.email, []))} are pending for one address")
    return wrong


def race_batches(door: Door, *, size: int, singles: int, seed: int) -> list[str]:
    """Let two batches with some addresses in common and single invitations of these, two of each, come at once."""
    admin = f"admin{seed}"
    door.prepare([admin])
    organization = door.make_organization(admin)
    bad = ["", "no address", "alice@", "a b@example.com", "eve@example.com\r\nBcc: x@example.com"]
    first = [f"guest{n}@example.com" for n in range(size)]
    # The same addresses, written otherwise, in another order.
    second = [f"Guest{n}@EXAMPLE.com" for n in reversed(range(size // 2, size + size // 2))]
    third = [f"guest{n}@example.com" for n in range(size, size + size // 2)]
    dice = random.Random(seed)
    for text in bad:
        first.insert(dice.randrange(len(first)), text)
    answers: list[tuple[Sequence[str], list[str]]] = []

    def ask(emails: Sequence[str]) -> None:
        answers.append((emails, door.batch(admin, organization, emails, whole=emails is third)))

    def ask_for_one(email: str) -> None:
        content, reason = door.ask_to_invite(admin, organization, email)
        answers.append(([email], [reason if content is None else content["invitation"]["id"]]))

    alone = dice.sample([email for email in first if email not in bad], singles)
    at_once([*(partial(ask_for_one, email) for email in alone * 2), *(partial(ask, e) for e in (first, second, third))])
    return wrong_batches(answers, door.pending(admin, organization), bad, third)


def wrong_batches(
    answers: Sequence[tuple[Sequence[str], list[str]]],
    pending: dict[str, list[str]],
    bad: Sequence[str],
    whole: Sequence[str],
) -> list[str]:
    """Name what is wrong: an address without an outcome of its own, or with other than one pending invitation."""
    wrong = []
    by_id = {id_: email for email, ids in pending.items() for id_ in ids}
    made: Counter[str] = Counter()
    for emails, outcomes in answers:
        if len(emails) != len(outcomes):
            wrong.append("an address has no outcome")
        for email, outcome in zip(emails, outcomes, strict=False):
            if email in bad:
                refused = outcome in ("ADDRESS_INVALID", "INVALID_REQUEST")
                wrong += [] if refused else [f"{email!r} was answered {outcome}"]
            elif outcome in by_id:
                made[email.lower()] += 1
                wrong += ["an outcome is at another place"] if by_id[outcome] != email else []
            elif outcome != "INVITATION_PENDING":
                wrong.append(f"{email} was answered {outcome}")
        if emails is whole and len({outcome in by_id for outcome in outcomes}) > 1:
            wrong.append("some were invited where it was all or nothing")
    twice = [email for email, count in Counter(email.lower() for e, ids in pending.items() for email in [e] * len(ids))
             .items() if count != 1]  # fmt: skip
    if twice:
        wrong.append(f"{len(twice)} addresses have more than one pending invitation")
    asked = {email.lower() for emails, _ in answers for email in emails if email not in bad}
    if not set(made) == {email.lower() for email in pending} == asked or set(made.values()) != {1}:
        wrong.append(f"{len(asked)} addresses were asked for, {len(made)} answered once, {len(pending)} are pending")
    return wrong


# On the real server.

RACES: dict[str, dict[str, int]] = {
    "other people": {"accept": 64},
    "an admin who revokes": {"accept": 40, "revoke": 24},
    "somebody who declines": {"accept": 32, "decline": 32},
    "an admin who sends it again": {"accept": 40, "resend": 24},
    "an admin who removes it": {"accept": 40, "remove": 24},
    "admins who send it again, revoke and remove it": {"resend": 32, "revoke": 16, "remove": 16},
    "an admin who deletes the organization": {"accept": 48, "delete the organization": 16},
    "everybody": {"accept": 16, "accept as addressee": 12, "decline": 12, "revoke": 12, "resend": 12},
}


@contextmanager
def door_to(directory: Path, *options: str, **how: Any) -> Iterator[Door]:
    """Run a server on a fresh file; for `how` see `running_server`."""
    with running_server(directory, "--log-level", "warning", *options, **how) as server:
        settings = Settings(database_url=server.database_url)
        beside = build_service(open_store(settings), SecretKeys(settings.secret_keys()))
        with closing(Connections(server)) as post, closing(beside.store):
            yield Door(post, beside)


@pytest.fixture(
    scope="module", params=[1, pytest.param(2, marks=pytest.mark.slow)], ids=["one process", "two processes"]
)
def door(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    with door_to(tmp_path_factory.mktemp("races"), "--workers", str(request.param)) as door:
        yield door


@pytest.mark.parametrize("moves", RACES.values(), ids=RACES.keys())
def test_of_64_callers_of_whom_some_accept_one_wins(door: Door, moves: dict[str, int]) -> None:
    assert race(door, moves, rounds=2, seed=1) == []


def test_one_person_who_accepts_64_times_at_once_is_one_member(door: Door) -> None:
    assert race(door, {"accept": 64}, rounds=2, seed=2, same_person=True) == []


def test_at_the_moment_when_it_ends_an_invitation_is_accepted_or_expired_and_never_both(door: Door) -> None:
    assert race_with_expiry(door, invitations=16, seed=3, spread=0.05) == []


def test_batches_and_single_invitations_that_share_addresses_make_one_of_each(door: Door) -> None:
    assert race_batches(door, size=300, singles=12, seed=4) == []


# Who waits, in process.


@pytest.fixture(params=["sqlite", "postgres"])
def sound(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Door]:
    if request.param == "postgres":
        store: Any = PostgresStore(request.getfixturevalue("emptied_database")(), utc_now)
    else:
        store = SqliteStore(tmp_path / "organizations.db", utc_now)
    service = build_service(store, SecretKeys([KEY]))
    yield Door(in_process(service), service)
    store.close()


LOST = {
    "accept": "INVITATION_ALREADY_ACCEPTED",
    "decline": "INVITATION_DECLINED",
    "revoke": "INVITATION_REVOKED",
    "remove": "INVITATION_NOT_FOUND",
    "delete the organization": "INVITATION_NOT_FOUND",
}


@pytest.mark.parametrize("first", [*LOST, "resend"])
def test_whoever_waited_while_another_made_a_move_acts_on_what_is_there_then(sound: Door, first: str) -> None:
    """Those who wait have found the invitation already, by the token that was good then."""
    made = sound.invite("admin", sound.make_organization("admin"), "addressee@example.com")
    if first == "resend":
        wanted = {"accept": "INVITATION_NOT_FOUND", "decline": "INVITATION_NOT_FOUND", "resend": ""}
    else:
        wanted = dict.fromkeys(["accept", "accept as addressee", "decline", "revoke", "resend"], LOST[first])
    people = {what: "admin" if what in ADMINS_MOVES else "addressee" for what in wanted} | {"accept": "somebody"}
    sound.prepare([*people.values(), "first"])
    said: list[Said] = []
    waiting = [Thread(target=make_move, args=(sound, what, people[what], made, said)) for what in wanted]
    with sound.beside.store.transaction() as tx:
        tx.hold_organization(made.organization)
        for thread in waiting:
            thread.start()
        time.sleep(0.2)
        content, _ = MOVES[first](sound, "admin" if first in ADMINS_MOVES else "first", made)
        assert content is not None
    for thread in waiting:
        thread.join()
    # Who repeats what was done already is told so, and changes nothing.
    repeated = {first} & {"decline", "revoke"}
    assert {s.what: s.reason for s in said} == wanted | dict.fromkeys(repeated, "")


def waited_past_the_end(door: Door) -> list[str]:
    """Let somebody accept in time and wait for others until it is too late; give what went wrong."""
    door.prepare(["guest"])
    # On a busy machine they may not begin in time: then there is more of it.
    for seconds in (0.5, 3.0):
        made = door.invite("admin", door.make_organization("admin"), "guest@example.com")
        end = door.end_soon([made], seconds).timestamp()
        said: list[Said] = []
        waiting = Thread(target=make_move, args=(door, "accept", "guest", made, said))
        with door.beside.store.transaction() as tx:
            tx.hold_organization(made.organization)
            waiting.start()
            time.sleep(max(0.0, end - time.time()) + 0.01)
        waiting.join()
        if said[0].began < end:
            break
    assert said[0].began < end <= said[0].ended
    found = said[0].reason, door.state(made), door.members("guest", made.organization)
    return [] if found == ("INVITATION_EXPIRED", "EXPIRED", None) else [f"who waited past the end found {found}"]


def test_whoever_waited_past_the_end_came_too_late(sound: Door) -> None:
    assert waited_past_the_end(sound) == []


Check = Callable[[Door, int], list[str]]


def _race(**moves: int) -> Check:
    return lambda door, seed: race(door, moves, rounds=2, seed=seed)


def _batches(door: Door, seed: int) -> list[str]:
    return race_batches(door, size=12, singles=6, seed=seed)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("mutant", "check"),
    [
        ("state_guarded_by_nothing", _race(accept=8)),
        ("guard_of_the_update_ignored", _race(accept=3, revoke=3, decline=2)),
        ("membership_before_the_state", _race(accept=8)),
        ("token_is_good_for_any_generation", _race(accept=4, resend=4)),
        ("expiry_checked_before", lambda door, _: waited_past_the_end(door)),
        ("pending_looked_for_before_and_no_unique_index", _batches),
        ("batches_made_one_by_one", _batches),
    ],
)
def test_the_checks_catch_a_server_that_lacks_a_safeguard(tmp_path: Path, mutant: str, check: Check) -> None:
    # A single race may go well by luck.
    with door_to(tmp_path, "--workers", "2", program=program(mutant)) as door:
        assert any(check(door, seed) for seed in range(10))
