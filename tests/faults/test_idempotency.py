"""A request that is sent again, at once or after a crash: one effect, and the same answer every time.

The checks pass on the service in process, on both engines, and must fail on every mutant. Storms and kills are the real
server's.
"""

from __future__ import annotations

import json
import threading
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from http.client import HTTPException
from pathlib import Path
from typing import Any

import grpc
import pytest
from protobuf import Oneof
from protobuf.wkt import Duration, Struct, Timestamp, Value
from werkzeug.test import Client

from gen.invitations.v1 import invitation_pb as pb
from server.domain.account import Scope
from server.domain.secrets import INVITATION_TOKEN_PREFIX, SecretKeys
from server.faces.spelling import clerk_id
from server.main import Service, build_service, open_store
from server.ports import Sealing
from server.sealing import KeySealing
from server.service.idempotency import Idempotency
from server.settings import Settings
from server.store.postgres import PostgresStore
from server.store.sqlite import SqliteStore, sqlite3
from server.wires import build_edge
from tests.conftest import KEY, GivenClock
from tests.faults.histories import at_once
from tests.faults.idempotency_mutants import (
    AnswersLookedUpBefore,
    AnyMethodAlike,
    AnyRequestAlike,
    ClaimedByItself,
    FailuresKept,
    KeptAlways,
    KeptTooShortly,
    KeysOfEverybody,
    NoSealing,
    OneSealForAll,
    ReadOnlyTokensToo,
)
from tests.faults.test_invitation_races import (
    GITPOD,
    INVITATIONS,
    Connections,
    Door,
    Post,
    in_process,
)
from tests.reasons import json_reason
from tests.running import RunningServer, running_server

AT_ONCE = 32
KEYS = SecretKeys([KEY])


def a_key() -> str:
    return str(uuid.uuid4())


def invitation(organization: str, email: str, **more: Any) -> dict[str, Any]:
    return {"organizationId": organization, "invitation": {"email": email, "sendEmail": False, **more}}


# Storms on the real server.


@dataclass
class Site:
    """A running server, and Ada's organization on it."""

    server: RunningServer
    door: Door
    post_json: Post
    channel: grpc.Channel
    backend_key: str

    def __post_init__(self) -> None:
        self.organization = self.door.make_organization("ada")
        self.ada = {"authorization": f"Bearer {self.door.token('ada')}"}

    def post(self, path: str, body: Any, key: str, bearer: str = "") -> tuple[int, Any]:
        headers = ({"authorization": f"Bearer {bearer}"} if bearer else self.ada) | {"idempotency-key": key}
        return self.post_json(path, body, headers)

    def grpc(self, method: str, request: Any, answer: Any, key: str) -> Any:
        call = self.channel.unary_unary(
            INVITATIONS + method,
            request_serializer=lambda message: message.to_binary(),
            response_deserializer=answer.from_binary,
        )
        metadata = (*self.ada.items(), ("idempotency-key", key))
        return call(request, timeout=30, metadata=metadata)

    def invitations(self) -> list[str]:
        with self.door.beside.store.snapshot() as tx:
            rows = tx._execute("SELECT email FROM invitations", {}).fetchall()  # type: ignore[attr-defined]
        return [row[0] for row in rows]

    def organizations(self) -> list[str]:
        with self.door.beside.store.snapshot() as tx:
            return [organization.name for organization in tx.organizations("", 0, 10_000)[0]]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    options = ("--workers", "2", "--log-level", "warning")
    with running_server(tmp_path_factory.mktemp("idempotency"), *options) as server:
        settings = Settings(database_url=server.database_url)
        beside = build_service(open_store(settings), SecretKeys(settings.secret_keys()))
        backend_key, _ = beside.backend_keys.issue("storms")
        with (
            closing(Connections(server)) as post,
            closing(beside.store),
            grpc.insecure_channel(server.address) as channel,
        ):
            yield Site(server, Door(post, beside), post, channel, backend_key)


def storm(send: Callable[[], Any], *others: Callable[[], Any]) -> list[Any]:
    """Send equal requests at once; give the answers."""
    sends = (send, *others)
    answers: list[Any] = []

    def add(send: Callable[[], Any]) -> None:
        answers.append(send())

    at_once([partial(add, sends[number % len(sends)]) for number in range(AT_ONCE)])
    return answers


def one_answer(answers: list[Any]) -> Any:
    assert len(answers) == AT_ONCE
    assert all(answer == answers[0] for answer in answers), answers
    return answers[0]


def test_32_equal_invitations_in_json_and_grpc_at_once_are_one(site: Site) -> None:
    key = a_key()
    new = pb.NewInvitation(email="storm@example.com", send_email=False)
    request = pb.CreateInvitationRequest(organization_id=site.organization, invitation=new)
    body = invitation(site.organization, "storm@example.com")

    def by_grpc() -> Any:
        answer = site.grpc("CreateInvitation", request, pb.CreateInvitationResponse, key)
        return answer.invitation.id, answer.token

    def by_json() -> Any:
        status, content = site.post(INVITATIONS + "CreateInvitation", body, key)
        assert status == 200, content
        return content["invitation"]["id"], content["token"]

    _, token = one_answer(storm(by_grpc, by_json))
    assert token.startswith(INVITATION_TOKEN_PREFIX)
    assert site.door.opens(token)
    assert site.invitations().count("storm@example.com") == 1


def test_32_equal_batches_at_once_are_one(site: Site) -> None:
    emails = [f"batch{n}@example.com" for n in range(20)] + ["no address"]
    news = [{"email": email, "sendEmail": False} for email in emails]
    body, key = {"organizationId": site.organization, "invitations": news}, a_key()
    answers = storm(lambda: site.post(INVITATIONS + "BatchCreateInvitations", body, key))
    status, content = one_answer(answers)
    assert (status, content["createdCount"]) == (200, 20)
    assert sorted(e for e in site.invitations() if e.startswith("batch")) == sorted(emails[:-1])


def test_32_equal_requests_of_koyebs_wire_at_once_are_one(site: Site) -> None:
    body, key = {"email": "koyeb@example.com"}, a_key()
    answers = storm(lambda: site.post("/koyeb/v1/organization_invitations", body, key))
    assert one_answer(answers)[0] == 200
    assert site.invitations().count("koyeb@example.com") == 1


def test_32_equal_requests_of_clerks_wire_at_once_are_one(site: Site) -> None:
    path = f"/clerk/v1/organizations/{clerk_id('org', site.organization)}/invitations"
    body, key = {"email_address": "clerk@example.com", "role": "org:member", "notify": False}, a_key()
    status, content = one_answer(storm(lambda: site.post(path, body, key, site.backend_key)))
    assert (status, content["email_address"]) == (200, "clerk@example.com")
    assert site.invitations().count("clerk@example.com") == 1


def test_32_equal_organizations_at_once_are_one(site: Site) -> None:
    key = a_key()
    answers = storm(lambda: site.post(GITPOD + "CreateOrganization", {"name": "Stormy"}, key, site.door.token("bob")))
    assert one_answer(answers)[0] == 200
    assert site.organizations().count("Stormy") == 1


def test_32_equal_requests_for_a_link_at_once_make_one_and_its_id_is_answered_again(site: Site) -> None:
    body, key = {"organizationId": site.organization}, a_key()
    status, content = one_answer(storm(lambda: site.post(GITPOD + "CreateOrganizationInvite", body, key)))
    assert status == 200
    # It is the live one: no other was made after it.
    assert site.door.must("ada", GITPOD + "GetOrganizationInvite", body) == content
    # And with another key another.
    assert site.post(GITPOD + "CreateOrganizationInvite", body, a_key())[1] != content
    assert site.post(GITPOD + "CreateOrganizationInvite", body, key)[1] == content


def test_another_request_with_the_key_is_refused_on_every_wire(site: Site) -> None:
    key = a_key()
    create = INVITATIONS + "CreateInvitation"
    assert site.post(create, invitation(site.organization, "first@example.com"), key)[0] == 200
    status, content = site.post(create, invitation(site.organization, "second@example.com"), key)
    assert (status, content["code"], json_reason(content)) == (409, "already_exists", "IDEMPOTENCY_KEY_REUSED")

    new = pb.NewInvitation(email="second@example.com")
    request = pb.CreateInvitationRequest(organization_id=site.organization, invitation=new)
    with pytest.raises(grpc.RpcError) as refused:
        site.grpc("CreateInvitation", request, pb.CreateInvitationResponse, key)
    assert refused.value.code() is grpc.StatusCode.ALREADY_EXISTS

    assert site.post("/koyeb/v1/organization_invitations", {"email": "second@example.com"}, key)[0] == 409
    clerk = f"/clerk/v1/organizations/{clerk_id('org', site.organization)}/invitations"
    first, second = ({"email_address": f"{name}@example.com", "role": "org:member"} for name in ("third", "second"))
    assert site.post(clerk, first, key, site.backend_key)[0] == 200
    assert site.post(clerk, second, key, site.backend_key)[0] == 409
    assert "second@example.com" not in site.invitations()


# Kills of the real server.


SINGLES, BATCHES = 120, 20
"""Requests for each kill; a batch has ten addresses."""


@dataclass
class Sent:
    """A request with its key, and what was answered before the kill, if anything was."""

    path: str
    body: dict[str, Any]
    key: str
    answer: Any = None


@pytest.mark.slow
def test_after_a_kill_in_the_middle_of_a_storm_every_request_that_comes_again_has_one_effect(tmp_path: Path) -> None:
    storms = 2
    with running_server(tmp_path, "--log-level", "error") as server:
        settings = Settings(database_url=server.database_url)
        with closing(open_store(settings)) as store:
            door = Door(lambda *_: (0, None), build_service(store, SecretKeys(settings.secret_keys())))
            token = door.token("ada")
            organization, _ = door.beside.organizations.create(door.call("ada"), "Storms")
        requests = [
            Sent(INVITATIONS + "CreateInvitation", invitation(organization.id, f"guest{n}@example.com"), a_key())
            for n in range(storms * SINGLES)
        ] + [
            Sent(
                INVITATIONS + "BatchCreateInvitations",
                {
                    "organizationId": organization.id,
                    "invitations": [{"email": f"many{n}-{m}@example.com", "sendEmail": False} for m in range(10)],
                },
                a_key(),
            )
            for n in range(storms * BATCHES)
        ]
        headers = {"authorization": f"Bearer {token}"}
        for turn in range(storms):
            running = server if turn == 0 else RunningServer(server.database_url, "--log-level", "error")
            _storm_and_kill(running, requests[turn::storms], headers)
    with running_server(tmp_path, "--log-level", "error") as again, closing(Connections(again)) as post:
        unanswered = sum(sent.answer is None for sent in requests)
        assert 0 < unanswered < len(requests)

        def repeat(sent: Sent) -> Any:
            return post(sent.path, sent.body, headers | {"idempotency-key": sent.key})

        with ThreadPoolExecutor(16) as pool:
            first, second = list(pool.map(repeat, requests)), list(pool.map(repeat, requests[:40]))
    assert {status for status, _ in first} == {200}
    assert second == first[:40]
    lost = [s.key for s, (_, content) in zip(requests, first, strict=True) if s.answer not in (None, content)]
    assert lost == []
    # One pending invitation of each address, and of a batch all.
    refused = [o for _, content in first for o in content.get("outcomes", []) if "refused" in o]
    assert refused == []
    rows = _rows(tmp_path, "SELECT count(*), count(DISTINCT email) FROM invitations WHERE status = 'pending'")
    addresses = storms * (SINGLES + 10 * BATCHES)
    assert rows == [(addresses, addresses)]
    assert _rows(tmp_path, "SELECT count(*) FROM idempotency_keys WHERE answer IS NULL") == [(0,)]


def _storm_and_kill(server: RunningServer, requests: list[Sent], headers: dict[str, str]) -> None:
    answered = threading.Semaphore(0)
    waiting = iter(requests)
    turn = threading.Lock()

    def send() -> None:
        while True:
            with turn:
                sent = next(waiting, None)
            if sent is None:
                return
            try:
                status, content = post(sent.path, sent.body, headers | {"idempotency-key": sent.key})
            except (OSError, HTTPException):
                return
            assert status == 200, content
            sent.answer = content
            answered.release()

    def end() -> None:
        for _ in range(len(requests) // 3):
            assert answered.acquire(timeout=30)
        server.kill()

    with closing(Connections(server)) as post:
        at_once([end, *[send] * 16])


def _rows(directory: Path, sql: str) -> list[Any]:
    with closing(sqlite3.connect(directory / "organizations.db")) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        return list(connection.execute(sql).fetchall())


# In process, and against mutants: what must hold of a service, each named by what goes wrong.


class Stage:
    """The service in process under a given clock, with Ada's organization."""

    def __init__(self, store: Any, mutant: type[Idempotency] = Idempotency, sealing: Sealing | None = None) -> None:
        self.clock: GivenClock = store.given_clock
        self.store = store
        self.crashing = Crashing(sealing or KeySealing(KEYS))
        self.service = self.with_keys(KEYS, mutant, self.crashing)
        self.door = Door(in_process(self.service), self.service)
        self.organization = self.door.make_organization("ada")

    def with_keys(self, keys: SecretKeys, mutant: type[Idempotency], sealing: Sealing) -> Service:
        service = build_service(self.store, keys, clock=self.clock)
        return replace(service, idempotency=mutant(self.store, self.clock, sealing))

    def invite(self, email: str, key: str, person: str = "ada", **more: Any) -> tuple[Any, str]:
        message = invitation(self.organization, email, **more)
        return self.door.ask(person, INVITATIONS + "CreateInvitation", message, key)

    def pending(self) -> list[str]:
        return sorted(self.door.pending("ada", self.organization))


class CrashError(BaseException):
    """The end of the process, as far as a thread can be told of it."""


class Crashing:
    """A sealing at which the process may end: after the work and before its answer is kept."""

    def __init__(self, inner: Sealing) -> None:
        self.inner = inner
        self.is_due = False

    def seal(self, purpose: str, content: bytes) -> bytes:
        if self.is_due:
            raise CrashError
        return self.inner.seal(purpose, content)

    def open(self, purpose: str, sealed: bytes) -> bytes:
        return self.inner.open(purpose, sealed)


def wrong_storm(stage: Stage) -> list[str]:
    key = a_key()
    body = {"name": "Stormy"}
    answers: list[Any] = []
    at_once([lambda: answers.append(stage.door.ask("ada", GITPOD + "CreateOrganization", body, key))] * AT_ONCE)
    made = {content["organization"]["id"] if content else reason for content, reason in answers}
    with stage.store.snapshot() as tx:
        count = sum(organization.name == "Stormy" for organization in tx.organizations("", 0, 100)[0])
    return [] if len(made) == count == 1 else [f"{len(made)} answers and {count} effects"]


def wrong_repetition(stage: Stage) -> list[str]:
    first = stage.invite("alice@example.com", "key")
    again = [stage.invite("alice@example.com", "key") for _ in range(3)]
    return [] if first[0] and all(answer == first for answer in again) else ["an answer is another when it comes again"]


def wrong_other_request(stage: Stage) -> list[str]:
    stage.invite("alice@example.com", "key")
    others = [
        stage.invite("bob@example.com", "key"),
        stage.invite("alice@example.com", "key", role="admin"),
        stage.door.ask("ada", GITPOD + "CreateOrganizationInvite", {"organizationId": stage.organization}, "key"),
    ]
    wrong = [reason or "an answer" for _, reason in others if reason != "IDEMPOTENCY_KEY_REUSED"]
    return wrong if stage.pending() == ["alice@example.com"] else [*wrong, "it had an effect"]


def wrong_other_method(stage: Stage) -> list[str]:
    """Two methods whose requests are the same bytes."""
    (made, _) = stage.invite("alice@example.com", "")
    request = {"invitationId": made["invitation"]["id"]}
    stage.door.must("ada", INVITATIONS + "GetInvitation", request)
    stage.door.ask("ada", INVITATIONS + "RevokeInvitation", request, "key")
    content, reason = stage.door.ask("ada", INVITATIONS + "DeleteInvitation", request, "key")
    return [] if content is None and reason == "IDEMPOTENCY_KEY_REUSED" else ["a delete got the answer of a revoke"]


def wrong_other_caller(stage: Stage) -> list[str]:
    body = {"name": "Of each"}
    made = [stage.door.ask(person, GITPOD + "CreateOrganization", body, "key") for person in ("ada", "bob")]
    ids = {content["organization"]["id"] if content else reason for content, reason in made}
    return [] if len(ids) == 2 and "IDEMPOTENCY_KEY_REUSED" not in ids else ["one got the answer of another"]


def wrong_time(stage: Stage) -> list[str]:
    wrong = []
    body = {"organizationId": stage.organization}

    def link() -> str:
        content = stage.door.ask("ada", GITPOD + "CreateOrganizationInvite", body, "key")[0]
        return str(content["invite"]["inviteId"])

    first = link()
    stage.clock.forward(timedelta(hours=24))
    stage.service.idempotency.forget_old()
    if link() != first:
        wrong.append("it was forgotten within 24 hours")
    stage.clock.forward(timedelta(microseconds=1))
    second = link()
    if second == first:
        wrong.append("it was kept beyond 24 hours")
    stage.clock.forward(timedelta(hours=23))
    # The 24 hours are those of the new answer now.
    return wrong if link() == second else [*wrong, "the new answer was not kept as long"]


def wrong_failure(stage: Stage) -> list[str]:
    key, guest = a_key(), "alice@example.com"
    made, _ = stage.invite(guest, "")
    _, refused = stage.invite(guest, key)
    stage.door.must("ada", INVITATIONS + "RevokeInvitation", {"invitationId": made["invitation"]["id"]})
    content, reason = stage.invite(guest, key)
    if refused != "INVITATION_PENDING" or content is None:
        return [f"a request that failed with {refused} was answered {reason} when it could have been done"]
    return [] if stage.invite(guest, key)[0] == content else ["it was done twice"]


def wrong_crash(stage: Stage) -> list[str]:
    """End the process after the work; nothing of it may be left, and a repeat does it."""
    key = a_key()
    body = {"name": "Halfway"}
    stage.crashing.is_due = True
    with pytest.raises(CrashError):
        stage.door.ask("ada", GITPOD + "CreateOrganization", body, key)
    stage.crashing.is_due = False
    answers = [stage.door.ask("ada", GITPOD + "CreateOrganization", body, key) for _ in range(2)]
    with stage.store.snapshot() as tx:
        count = sum(organization.name == "Halfway" for organization in tx.organizations("", 0, 100)[0])
    wrong = [] if answers[0][0] and answers[0] == answers[1] else [f"a repeat was answered {answers[0][1]}"]
    return wrong if count == 1 else [*wrong, f"{count} effects"]


def wrong_reading_token(stage: Stage) -> list[str]:
    """A token that may only read gets no answer of one that may change."""
    stage.invite("alice@example.com", "key")
    account = stage.door.call("ada").caller.account
    issue = stage.service.tokens.issue
    stage.door._tokens["reader"] = issue(account, description="", expires_at=None, read_only=True)[0]
    reasons = [stage.invite(f"{name}@example.com", "key", person="reader")[1] for name in ("alice", "bob")]
    return [] if reasons == ["TOKEN_READ_ONLY"] * 2 else [f"a token that may only read was answered {reasons}"]


def wrong_keeping(stage: Stage) -> list[str]:
    """What is kept shows neither the token nor the address, and is good for its own key and caller alone."""
    wrong = []
    made, _ = stage.invite("alice@example.com", "key")
    stage.invite("bob@example.com", "other")
    with stage.store.transaction() as tx:
        kept = [bytes(row[0]) for row in tx._execute("SELECT answer FROM idempotency_keys", {}).fetchall()]
        if any(text in answer for answer in kept for text in (made["token"].encode(), b"alice@example.com", b"orgsvc")):
            wrong.append("a secret can be read in the table")
        # Put one answer in the place of the other, as who can write the table could.
        tx._execute("UPDATE idempotency_keys SET answer = (SELECT answer FROM idempotency_keys WHERE key = 'key')", {})
    content, reason = stage.invite("bob@example.com", "other")
    if content is not None or reason != "IDEMPOTENCY_KEY_REUSED":
        wrong.append("an answer was given in the place of another")
    return wrong


CHECKS: dict[str, Callable[[Stage], list[str]]] = {
    "storm": wrong_storm,
    "repetition": wrong_repetition,
    "another request": wrong_other_request,
    "another method": wrong_other_method,
    "another caller": wrong_other_caller,
    "time": wrong_time,
    "failure": wrong_failure,
    "crash": wrong_crash,
    "a reading token": wrong_reading_token,
    "keeping": wrong_keeping,
}


class TimedSqliteStore(SqliteStore):
    def __init__(self, path: Path) -> None:
        self.given_clock = GivenClock()
        super().__init__(path, self.given_clock)


class TimedPostgresStore(PostgresStore):
    def __init__(self, url: str) -> None:
        self.given_clock = GivenClock()
        super().__init__(url, self.given_clock)


@pytest.fixture(params=["sqlite", "postgres"])
def stage(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Stage]:
    store: Any = (
        TimedSqliteStore(tmp_path / "organizations.db")
        if request.param == "sqlite"
        else TimedPostgresStore(request.getfixturevalue("emptied_database")())
    )
    with closing(store):
        yield Stage(store)


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Stage]:
    with closing(TimedSqliteStore(tmp_path / "organizations.db")) as store:
        yield Stage(store)


@pytest.mark.parametrize("check", CHECKS)
def test_the_checks_find_nothing_wrong_with_the_service_as_it_is(stage: Stage, check: str) -> None:
    assert CHECKS[check](stage) == []


@pytest.mark.parametrize(
    ("mutant", "sealing", "check"),
    [
        (AnswersLookedUpBefore, None, "storm"),
        (AnswersLookedUpBefore, None, "crash"),
        (ClaimedByItself, None, "crash"),
        (ClaimedByItself, None, "failure"),
        (KeysOfEverybody, None, "another caller"),
        (AnyRequestAlike, None, "another request"),
        (AnyMethodAlike, None, "another method"),
        (KeptAlways, None, "time"),
        (KeptTooShortly, None, "time"),
        (FailuresKept, None, "failure"),
        (ReadOnlyTokensToo, None, "a reading token"),
        (Idempotency, NoSealing(), "keeping"),
        (Idempotency, OneSealForAll(KEYS), "keeping"),
    ],
)
def test_the_checks_catch_a_service_that_lacks_a_safeguard(
    tmp_path: Path, mutant: type[Idempotency], sealing: Sealing | None, check: str
) -> None:
    with closing(TimedSqliteStore(tmp_path / "organizations.db")) as store:
        assert CHECKS[check](Stage(store, mutant, sealing)) != []


# What is kept, and for whom.


def test_with_the_keys_that_sealed_it_an_answer_is_given_again_and_without_them_the_work_is_not_redone(
    desk: Stage,
) -> None:
    made, _ = desk.invite("alice@example.com", "key")
    newer = b"a newer key of thirty-two bytes ."
    outcomes = []
    for keys in (SecretKeys([newer, KEY]), SecretKeys([newer])):
        service = desk.with_keys(keys, Idempotency, KeySealing(keys))
        outcomes.append(_other_door(desk, service).ask(
            "ada", INVITATIONS + "CreateInvitation", invitation(desk.organization, "alice@example.com"), "key"
        ))  # fmt: skip
    assert outcomes == [(made, ""), (None, "IDEMPOTENCY_KEY_REUSED")]
    assert desk.pending() == ["alice@example.com"]


def _other_door(desk: Stage, service: Service) -> Door:
    door = Door(in_process(service), service)
    door._tokens = dict(desk.door._tokens)
    return door


@pytest.mark.parametrize("key", ["", "x" * 256, "ключ", "a\x7fb", "a\tb"])
def test_a_key_that_is_none_is_refused_and_nothing_is_done(desk: Stage, key: str) -> None:
    post, sent = in_process(desk.service), {"authorization": f"Bearer {desk.door.token('ada')}"}
    body = invitation(desk.organization, "alice@example.com")
    status, content = post(INVITATIONS + "CreateInvitation", body, sent | {"idempotency-key": key})
    assert (status, json_reason(content)) == (400, "IDEMPOTENCY_KEY_INVALID")
    assert desk.pending() == []


@pytest.mark.parametrize("key", ["k", "x" * 255, 'a key with blanks, "quotes" and ~', "\\0%00"])
def test_any_other_key_of_printable_ascii_is_good(desk: Stage, key: str) -> None:
    first = desk.invite("alice@example.com", key)
    assert first[0] is not None
    assert desk.invite("alice@example.com", key) == first


def test_reading_takes_no_notice_of_keys(desk: Stage) -> None:
    request = {"organizationId": desk.organization}
    door = desk.door
    assert door.ask("ada", INVITATIONS + "ListInvitations", request, "key")[0]["invitations"] == []
    made, _ = desk.invite("alice@example.com", "")
    assert len(door.ask("ada", INVITATIONS + "ListInvitations", request, "key")[0]["invitations"]) == 1
    # A method that can't be called by GET, and reads all the same.
    preview = {"token": made["token"]}
    assert door.ask("ada", INVITATIONS + "PreviewInvitation", preview, "key")[1] == ""
    door.must("ada", INVITATIONS + "RevokeInvitation", {"invitationId": made["invitation"]["id"]})
    shown, _ = door.ask("ada", INVITATIONS + "PreviewInvitation", preview, "key")
    assert shown["invitation"]["status"] == "INVITATION_STATUS_REVOKED"
    # The key is as good as new.
    assert desk.invite("bob@example.com", "key")[0] is not None


def test_a_token_that_may_only_read_reads_with_a_key_and_changes_nothing(desk: Stage) -> None:
    account = desk.door.call("ada").caller.account
    issue = desk.service.tokens.issue
    desk.door._tokens["reader"] = issue(account, description="", expires_at=None, read_only=True)[0]
    request = {"organizationId": desk.organization}
    assert desk.door.ask("reader", INVITATIONS + "ListInvitations", request, "key")[1] == ""
    assert desk.invite("alice@example.com", "key", person="reader")[1] == "TOKEN_READ_ONLY"
    # Nothing was remembered of the refusal.
    assert desk.invite("alice@example.com", "key")[1] == ""


def test_a_backend_key_and_a_person_have_keys_of_their_own(desk: Stage) -> None:
    issue = desk.service.backend_keys.issue
    for name in ("one", "two"):
        desk.door._tokens[name] = issue(name, scopes=(Scope.INVITATIONS_WRITE,))[0]
    outcomes = [desk.invite("alice@example.com", "key", person=person)[1] for person in ("ada", "one", "two", "ada")]
    assert outcomes == ["", "INVITATION_PENDING", "INVITATION_PENDING", ""]


def test_every_token_of_an_account_shares_its_keys(desk: Stage) -> None:
    first = desk.invite("alice@example.com", "key")
    account = desk.door.call("ada").caller.account
    desk.door._tokens["ada elsewhere"] = desk.service.tokens.issue(account, description="", expires_at=None)[0]
    assert desk.invite("alice@example.com", "key", person="ada elsewhere") == first


def test_a_person_who_is_not_signed_in_has_no_keys(desk: Stage) -> None:
    post = in_process(desk.service)
    body = invitation(desk.organization, "alice@example.com")
    status, content = post(INVITATIONS + "CreateInvitation", body, {"idempotency-key": "key"})
    assert (status, json_reason(content)) == (401, "CREDENTIALS_MISSING")


def test_an_answer_is_given_again_after_what_it_told_of_has_changed(desk: Stage) -> None:
    made, _ = desk.invite("alice@example.com", "key")
    desk.door.must("ada", INVITATIONS + "DeleteInvitation", {"invitationId": made["invitation"]["id"]})
    assert desk.invite("alice@example.com", "key") == (made, "")
    assert desk.pending() == []


def test_a_token_that_is_shown_once_is_shown_again_to_the_same_request_alone(desk: Stage) -> None:
    organizations = desk.door.must("ada", "/gitpod.v1.AccountService/GetAccount", {})["account"]["memberships"]
    request = {"userId": organizations[0]["userId"], "description": "of a test"}
    create = "/gitpod.v1.UserService/CreatePersonalAccessToken"
    first, again = (desk.door.ask("ada", create, request, "key") for _ in range(2))
    assert first == again
    assert desk.door.ask("ada", create, request, "another")[0] != first[0]
    listed = desk.door.must("ada", "/gitpod.v1.UserService/ListPersonalAccessTokens", {})
    assert len(listed["personalAccessTokens"]) == 2


def test_old_answers_are_removed_and_young_ones_are_not(desk: Stage) -> None:
    desk.invite("alice@example.com", "old")
    desk.clock.forward(timedelta(hours=23))
    young = desk.invite("bob@example.com", "young")
    desk.clock.forward(timedelta(hours=1, microseconds=1))
    desk.service.idempotency.forget_old()
    with desk.store.snapshot() as tx:
        assert [row[0] for row in tx._execute("SELECT key FROM idempotency_keys", {}).fetchall()] == ["young"]
    assert desk.invite("bob@example.com", "young") == young


def test_a_request_is_the_same_however_its_json_is_written(desk: Stage) -> None:
    post, sent = in_process(desk.service), {"authorization": f"Bearer {desk.door.token('ada')}"}
    metadata = {"a": 1, "b": {"c": [1, 2], "d": None}}
    turned = {"b": {"d": None, "c": [1, 2]}, "a": 1.0}
    bodies = [invitation(desk.organization, "alice@example.com", publicMetadata=each) for each in (metadata, turned)]
    bodies.append({"invitation": bodies[0]["invitation"], "organization_id": desk.organization})
    first, *others = (post(INVITATIONS + "CreateInvitation", body, sent | {"idempotency-key": "k"}) for body in bodies)
    assert first[0] == 200
    assert others == [first, first]
    path, koyeb = "/koyeb/v1/organization_invitations", sent | {"idempotency-key": "rest"}
    bodies = [{"email": "bob@example.com", "x": 1}, {"x": 1, "email": "bob@example.com"}]
    assert len({json.dumps(post(path, body, koyeb)) for body in bodies}) == 1


ODD = [
    pb.NewInvitation(email="a@example.com", public_metadata=Struct(fields={"x": value}))
    for value in (Value(), *(Value(kind=Oneof("number_value", float(text))) for text in ("nan", "inf")))
] + [pb.NewInvitation(email="a@example.com", ttl=Duration(seconds=7200, nanos=nanos)) for nanos in (-5, 2**31 - 1)]


@pytest.mark.parametrize("new", ODD)
@pytest.mark.parametrize("key", [{}, {"idempotency-key": "key"}])
def test_bytes_that_json_has_no_words_for_are_refused_with_a_key_and_without(
    desk: Stage, new: pb.NewInvitation, key: dict[str, str]
) -> None:
    headers = {"authorization": f"Bearer {desk.door.token('ada')}"} | key
    for method, request in (
        ("CreateInvitation", pb.CreateInvitationRequest(organization_id=desk.organization, invitation=new)),
        (
            "BatchCreateInvitations",
            pb.BatchCreateInvitationsRequest(organization_id=desk.organization, invitations=[new]),
        ),
    ):
        client = Client(build_edge(desk.service))
        content = request.to_binary()
        answer = client.post(INVITATIONS + method, data=content, content_type="application/proto", headers=headers)
        assert (answer.status_code, json_reason(json.loads(answer.data))) == (400, "MALFORMED_REQUEST")


@pytest.mark.parametrize(
    ("moment", "status"),
    [
        (Timestamp(seconds=253402300799, nanos=999999999), 200),
        (Timestamp(seconds=10**18), 400),
        (Timestamp(seconds=-(10**18)), 400),
    ],
)
def test_a_time_at_the_end_of_all_years_is_read_and_one_beyond_is_refused(
    desk: Stage, moment: Timestamp, status: int
) -> None:
    wanted = pb.ListInvitationsRequest.Filter(created_from=moment)
    content = pb.ListInvitationsRequest(organization_id=desk.organization, filter=wanted).to_binary()
    headers = {"authorization": f"Bearer {desk.door.token('ada')}"}
    client = Client(build_edge(desk.service))
    path = INVITATIONS + "ListInvitations"
    answer = client.post(path, data=content, content_type="application/proto", headers=headers)
    assert answer.status_code == status


def test_rest_answers_again_with_status_and_body(desk: Stage) -> None:
    post, sent = in_process(desk.service), {"authorization": desk.door.token("ada"), "idempotency-key": "key"}
    path = "/koyeb/v1/organization_invitations"
    first, again = (post(path, {"email": "alice@example.com"}, sent) for _ in range(2))
    assert first == again
    assert first[0] == 200
    # The query is a part of what is asked.
    assert post(path + "?x=y", {"email": "alice@example.com"}, sent)[0] == 409
    assert json.dumps(first[1]).count("alice@example.com") == 1


def test_keys_that_come_at_once_are_told_apart(desk: Stage) -> None:
    with ThreadPoolExecutor(8) as pool:
        outcomes = list(pool.map(lambda n: desk.invite(f"guest{n % 4}@example.com", f"key{n % 4}"), range(16)))
    made = [content["invitation"]["id"] for content, _ in outcomes]
    assert [made[n] for n in range(16)] == [made[n % 4] for n in range(16)]
    assert len(set(made)) == 4
