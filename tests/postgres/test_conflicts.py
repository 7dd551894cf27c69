"""Locks, deadlocks and serialization failures, provoked for real on one PostgreSQL beside the real server."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import psycopg
import pytest

from server.domain.account import Caller
from server.domain.errors import CONFLICT, ServiceError
from server.main import Service
from server.service.call import RETRIES, Call, retried
from server.store import postgres as engine
from server.store.postgres import LONGEST_SECONDS
from tests.domain.refusals import refused_with
from tests.faults.histories import at_once
from tests.postgres.cluster import Cluster
from tests.postgres.people import (
    SOONER_SECONDS,
    Answer,
    Clients,
    Person,
    invite_of,
    people,
    service_beside,
    serving,
)
from tests.running import wait_until

_numbers = itertools.count(1)

Session = psycopg.Connection[tuple[object, ...]]


@dataclass
class Scene:
    """A server, and a session of somebody else's who gets in its way."""

    other: Session
    service: Service
    cluster: Cluster
    ada: Person
    organization: str

    @contextmanager
    def holding(self, *statements: str) -> Iterator[Session]:
        """Keep what the statements lock until the end of the block."""
        with self.other.transaction():
            for statement in statements:
                self.other.execute(statement.encode())
            yield self.other

    def locked(self, table: str = "organizations", column: str = "id") -> str:
        return f"SELECT 1 FROM {table} WHERE {column} = '{self.organization}' FOR UPDATE"

    def somebody_waits(self) -> bool:
        waiting = "SELECT 1 FROM pg_stat_activity WHERE datname = 'conflicts' AND wait_event_type = 'Lock'"
        return bool(self.cluster.execute(waiting))

    def invited(self, email: str) -> bool:
        return bool(self.cluster.execute(f"SELECT 1 FROM invitations WHERE email_key = '{email}'", "conflicts"))


@pytest.fixture(scope="module")
def scene(postgres: Cluster) -> Iterator[Scene]:
    url = postgres.create_database("conflicts")
    # The service finds deadlocks first, so that it is the one that gives way. It looks once, so long after it began to
    # wait: by then the other must wait too.
    postgres.execute("ALTER DATABASE conflicts SET deadlock_timeout = '3s'")
    with (
        service_beside(url) as service,
        serving(url) as server,
        Clients([server]) as clients,
        postgres.connect("conflicts") as other,
    ):
        other.execute("SET deadlock_timeout = '1min'")
        (ada,) = people(service, clients, 1)
        organization = ada.create_organization()
        invite_of(ada.regenerate(organization))
        yield Scene(other, service, postgres, ada, organization)


def fresh_email() -> str:
    return f"invited{next(_numbers)}@example.com"


# Locks.


@pytest.mark.parametrize(
    ("milliseconds", "cap"),
    [("700", SOONER_SECONDS), pytest.param("", LONGEST_SECONDS + 25, marks=pytest.mark.slow)],
    ids=["its own deadline", "none of its own"],
)
def test_a_call_that_meets_a_locked_row_gives_up_at_its_deadline(scene: Scene, milliseconds: str, cap: float) -> None:
    email = fresh_email()
    with scene.holding(scene.locked()):
        answer = scene.ada.invite(scene.organization, email, connect_timeout_ms=milliseconds)
        assert (answer.code, answer.reason) == ("deadline_exceeded", "DEADLINE_PASSED")
        assert float(milliseconds or 30_000) / 1000 - 0.1 < answer.seconds < cap
        # Nothing of it is left waiting on the database, to happen later.
        wait_until(lambda: not scene.somebody_waits())
    assert not scene.invited(email)
    assert scene.ada.invite(scene.organization, email).ok


def test_a_call_waits_for_a_lock_that_is_let_go_before_its_deadline(scene: Scene) -> None:
    answers: list[Answer] = []
    asking = threading.Thread(target=lambda: answers.append(scene.ada.invite(scene.organization, fresh_email())))
    with scene.holding(scene.locked()):
        asking.start()
        wait_until(scene.somebody_waits)
    asking.join()
    assert answers[0].ok


# Deadlocks and serialization failures.


def test_the_victim_of_a_deadlock_is_tried_again_and_succeeds(scene: Scene) -> None:
    before = scene.cluster.log.count("deadlock detected")
    answers: list[Answer] = []
    asking = threading.Thread(target=lambda: answers.append(scene.ada.regenerate(scene.organization)))
    with scene.holding(scene.locked("invite_links", "organization_id")) as other:
        asking.start()
        wait_until(scene.somebody_waits)
        other.execute(scene.locked().encode())  # the service holds that, and waits for us
    asking.join()
    assert scene.cluster.log.count("deadlock detected") > before
    invite = invite_of(answers[0])
    with scene.service.store.snapshot() as tx:
        link = tx.invite_link(scene.organization)
    assert link is not None
    assert scene.service.links.keys.invite_id(link.id, link.key_id) == invite


@contextmanager
def failing(scene: Scene, state: str, times: int, *, at_commit: bool = False) -> Iterator[Callable[[], int]]:
    """Let so many writes of invitations fail; give what counts how many were tried, which no rollback undoes."""
    name = f"failing{next(_numbers)}"
    when = "AFTER INSERT ON invitations DEFERRABLE INITIALLY DEFERRED" if at_commit else "BEFORE INSERT ON invitations"
    scene.cluster.execute(
        f"""
        CREATE SEQUENCE {name};
        CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            IF nextval('{name}') <= {times} THEN RAISE EXCEPTION 'provoked' USING ERRCODE = '{state}'; END IF;
            RETURN NEW;
        END $$;
        CREATE {"CONSTRAINT" if at_commit else ""} TRIGGER {name} {when} FOR EACH ROW EXECUTE FUNCTION {name}()
        """,
        "conflicts",
    )
    try:
        yield lambda: int(str(scene.cluster.execute(f"SELECT last_value FROM {name}", "conflicts")[0][0]))
    finally:
        scene.cluster.execute(f"DROP TRIGGER {name} ON invitations", "conflicts")


@pytest.mark.parametrize("at_commit", [False, True], ids=["at once", "at its commit"])
@pytest.mark.parametrize("state", ["40001", "40P01"])
@pytest.mark.parametrize(("times", "outcome", "tries"), [(2, "ok", 3), (1000, "aborted", RETRIES)])
def test_a_call_that_fails_with_others_is_tried_again_and_not_forever(
    scene: Scene, state: str, times: int, outcome: str, tries: int, *, at_commit: bool
) -> None:
    email = fresh_email()
    with failing(scene, state, times, at_commit=at_commit) as count_tries:
        answer = scene.ada.invite(scene.organization, email)
        assert (answer.code, count_tries()) == (outcome, tries)
    assert answer.reason == ("" if answer.ok else "CONFLICT")
    assert scene.invited(email) == answer.ok


def test_a_commit_of_which_the_database_says_that_it_does_not_know_is_looked_for_and_not_done_again(
    scene: Scene,
) -> None:
    email = fresh_email()
    with failing(scene, "40003", 1, at_commit=True) as count_tries:
        answer = scene.ada.invite(scene.organization, email, idempotency_key=email)
        assert (answer.code, answer.reason, count_tries()) == ("unavailable", "STORE_UNAVAILABLE", 1)
        assert not scene.invited(email)
        assert scene.ada.invite(scene.organization, email, idempotency_key=email).ok
    assert scene.cluster.execute(f"SELECT count(*) FROM invitations WHERE email_key = '{email}'", "conflicts") == [(1,)]


def test_a_call_is_not_tried_again_after_its_deadline() -> None:
    tries: list[int] = []

    def meet_others() -> None:
        tries.append(1)
        raise ServiceError(CONFLICT)

    for deadline, expected in ((time.monotonic(), 1), (time.monotonic() + 60, RETRIES)):
        tries.clear()
        with refused_with(CONFLICT):
            retried(meet_others, deadline)
        assert len(tries) == expected


@pytest.mark.parametrize("level", ["REPEATABLE READ", "SERIALIZABLE"])
def test_where_an_engine_has_only_stricter_isolation_what_fails_is_tried_again(
    postgres: Cluster, monkeypatch: pytest.MonkeyPatch, level: str
) -> None:
    monkeypatch.setattr(engine, "WRITING", f"BEGIN ISOLATION LEVEL {level}")
    tries: list[int] = []
    outcomes: list[str] = []
    with service_beside(postgres.create_database(f"strict_{level.replace(' ', '_').lower()}")) as service:
        ada = Call(Caller(service.authentication.local_account("ada@example.com", "Ada")))
        organization, _ = service.organizations.create(ada, "Acme")

        def create() -> str:
            tries.append(1)
            return service.links.create(ada, organization.id)

        def create_again_and_again() -> None:
            for _ in range(8):
                try:
                    outcomes.append(retried(create, None))
                except ServiceError as refusal:
                    outcomes.append(refusal.reason.name)

        at_once([create_again_and_again] * 6)
        assert len(tries) > len(outcomes) == 48
        made = [invite for invite in outcomes if invite != CONFLICT.name]
        assert len(set(made)) == len(made) > 0
        assert service.links.get(ada, organization.id) in made


def test_what_is_removed_while_somebody_refers_to_it_is_not_found(scene: Scene) -> None:
    organization = scene.ada.create_organization()
    own = scene.ada.ask("gitpod.v1.AccountService/GetAccount", {}).content["account"]["memberships"]
    user = next(m["userId"] for m in own if m["organizationId"] == organization)
    answers: list[Answer] = []
    wanted = {"userId": user, "description": "x"}
    create = "gitpod.v1.UserService/CreatePersonalAccessToken"
    asking = threading.Thread(target=lambda: answers.append(scene.ada.ask(create, wanted)))
    with scene.holding(f"DELETE FROM organizations WHERE id = '{organization}'"):
        asking.start()
        wait_until(scene.somebody_waits)
    asking.join()
    assert answers[0].reason == "USER_NOT_FOUND", answers[0]


def test_a_lock_time_out_of_the_operators_own_is_spoken_of_as_a_busy_database(postgres: Cluster) -> None:
    url = postgres.create_database("impatient")
    postgres.execute("ALTER DATABASE impatient SET lock_timeout = '50ms'")
    with service_beside(url) as service, postgres.connect("impatient") as other:
        ada = Call(Caller(service.authentication.local_account("ada@example.com", "Ada")))
        organization, _ = service.organizations.create(ada, "Acme")
        with other.transaction():
            other.execute(b"SELECT 1 FROM organizations FOR UPDATE")
            with pytest.raises(ServiceError) as caught:
                service.links.create(ada, organization.id)
        assert caught.value.reason.name == "STORE_BUSY"
        assert service.links.create(ada, organization.id)
