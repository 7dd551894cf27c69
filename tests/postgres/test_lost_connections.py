"""The connection to the database is lost at every point of a transaction: all or nothing, and the answer is true.

Between the real server and PostgreSQL stands a proxy that cuts. What is true is asked of PostgreSQL itself.
"""

from __future__ import annotations

import itertools
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import psycopg
import pytest

from server.domain.errors import STORE_UNAVAILABLE, ServiceError
from server.domain.organization import Organization
from server.main import Service, utc_now
from server.store.postgres import CONNECT_TIMEOUT_SECONDS, PostgresStore
from tests.domain.refusals import attempt
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
from tests.postgres.proxy import WRITING, Cut, Proxy, When, is_commit
from tests.running import wait_until
from tests.store.making import an_organization

LOST_COMMIT = Cut(-1, When.BEFORE)
LOST_ANSWER = Cut(-1, When.AFTER)
LOST_ANSWER_AND_DATABASE = Cut(-1, When.AFTER, refuses=True)

_numbers = itertools.count(1)


@dataclass
class Scene:
    """A server whose connections to the database can be cut, and one organization of Ada's."""

    proxy: Proxy
    service: Service
    truth: psycopg.Connection[tuple[object, ...]]
    clients: Clients
    ada: Person
    bobs: list[Person]
    organization: str

    def number(self, statement: str) -> object:
        row = self.truth.execute(statement.encode()).fetchone()
        assert row is not None
        return row[0]

    def count(self, table: str, **where: str) -> int:
        conditions = " AND ".join(f"{column} = '{value}'" for column, value in where.items())
        found = self.number(f"SELECT count(*) FROM {table} WHERE {conditions}")
        assert isinstance(found, int)
        return found


@pytest.fixture(scope="module")
def scene(postgres: Cluster) -> Iterator[Scene]:
    url = postgres.create_database("lost")
    with (
        Proxy(postgres.port) as proxy,
        service_beside(url) as service,
        serving(url.replace(str(postgres.port), str(proxy.port))) as server,
        Clients([server]) as clients,
        postgres.connect("lost") as truth,
    ):
        ada, *bobs = people(service, clients, 60)
        yield Scene(proxy, service, truth, clients, ada, bobs, ada.create_organization())


@dataclass
class Act:
    """Something that is asked, again and again if need be, and whether it was done and how often."""

    ask: Callable[[], Answer]
    times_done: Callable[[], int]


def joining(scene: Scene) -> Act:
    bob = scene.bobs.pop()
    link = invite_of(scene.ada.regenerate(scene.organization))

    def times_joined() -> int:
        joined = scene.count("members", organization_id=scene.organization, account_id=bob.account_id)
        kept = scene.number(f"SELECT member_count FROM organizations WHERE id = '{scene.organization}'")
        assert kept == scene.count("members", organization_id=scene.organization)
        return joined

    return Act(lambda: bob.join(link), times_joined)


def regenerating(scene: Scene) -> Act:
    before = invite_of(scene.ada.regenerate(scene.organization))

    def times_made() -> int:
        with scene.service.store.snapshot() as tx:
            link = tx.invite_link(scene.organization)
        assert link is not None
        return int(scene.service.links.keys.invite_id(link.id, link.key_id) != before)

    return Act(lambda: scene.ada.regenerate(scene.organization, idempotency_key=f"link of {before}"), times_made)


def inviting(scene: Scene) -> Act:
    email = f"invited{next(_numbers)}@example.com"

    def times_invited() -> int:
        invited = scene.count("invitations", email_key=email)
        kept = scene.count("idempotency_keys", key=f"for {email}")
        assert invited == kept
        return invited

    return Act(lambda: scene.ada.invite(scene.organization, email, idempotency_key=f"for {email}"), times_invited)


ACTS = {"join": joining, "regenerate": regenerating, "invite": inviting}


def statements_of(scene: Scene, make: Callable[[Scene], Act]) -> list[str]:
    """Give the statements of the transaction by which the server does it, when nothing takes long."""
    act = make(scene)
    scene.proxy.transactions.clear()
    assert act.ask().ok
    (statements,) = [found for found in scene.proxy.transactions if any("FOR UPDATE" in s for s in found)]
    return [statement for statement in statements if not statement.startswith("SET LOCAL statement_timeout")]


@pytest.mark.parametrize("name", ACTS)
def test_a_connection_lost_anywhere_leaves_all_or_nothing_and_a_true_answer(scene: Scene, name: str) -> None:
    statements = statements_of(scene, ACTS[name])
    assert is_commit(statements[-1])
    assert len(statements) > 5
    earlier = itertools.product(range(len(statements) - 1), [When.BEFORE, When.AFTER])
    for place, when in [*earlier, *((-1, when) for when in When)]:
        act = ACTS[name](scene)
        scene.proxy.cut(Cut(place, when))
        answer = act.ask()
        case = f"{when} of {statements[place]!r}: {answer.code} {answer.reason}"
        assert scene.proxy.done == 1, case
        # At its beginning nothing has been done: another connection is taken. At its end the outcome is looked for.
        done = place == 0 or (place == -1 and when is When.AFTER)
        assert (answer.code, answer.reason) == (("ok", "") if done else ("unavailable", "STORE_UNAVAILABLE")), case
        assert act.times_done() == int(done), case
        assert act.ask().ok, case
        assert act.times_done() == 1, case


@pytest.mark.parametrize("lost", [LOST_COMMIT, LOST_ANSWER], ids=["the commit was lost", "its answer was lost"])
@pytest.mark.parametrize("also_lost", [LOST_COMMIT, LOST_ANSWER, Cut(1, When.AFTER)])
def test_the_look_for_the_outcome_may_be_lost_too_and_comes_to_the_same(
    scene: Scene, lost: Cut, also_lost: Cut
) -> None:
    act = inviting(scene)
    scene.proxy.cut(lost, also_lost, also_lost)
    answer = act.ask()
    done = lost is LOST_ANSWER
    assert answer.code == ("ok" if done else "unavailable")
    assert act.times_done() == int(done)
    assert act.ask().ok
    assert act.times_done() == 1


def test_the_outcome_is_looked_for_until_the_database_is_back(scene: Scene) -> None:
    act = inviting(scene)
    answers: list[Answer] = []
    scene.proxy.cut(LOST_ANSWER_AND_DATABASE)
    asking = threading.Thread(target=lambda: answers.append(act.ask()))
    asking.start()
    wait_until(lambda: scene.proxy.done, 60)
    time.sleep(CONNECT_TIMEOUT_SECONDS + 1)  # longer than a single look waits
    assert not answers
    scene.proxy.accept()
    asking.join()
    assert answers[0].ok
    assert answers[0].seconds < SOONER_SECONDS
    assert act.times_done() == 1


def test_an_outcome_that_cannot_be_found_out_is_said_to_be_unknown(scene: Scene) -> None:
    # A busy machine may not come as far as the commit in time: then it is given more.
    for milliseconds in ("1000", "10000"):
        email = f"unknown{next(_numbers)}@example.com"
        scene.proxy.cut(LOST_ANSWER_AND_DATABASE)
        answer = scene.ada.invite(scene.organization, email, idempotency_key=email, connect_timeout_ms=milliseconds)
        scene.proxy.accept()
        if scene.proxy.done:
            break
        assert answer.code == "deadline_exceeded", answer
    assert (answer.code, answer.reason) == ("unavailable", "OUTCOME_UNKNOWN"), answer
    assert answer.seconds < SOONER_SECONDS
    assert scene.ada.invite(scene.organization, email, idempotency_key=email).ok
    assert scene.count("invitations", email_key=email) == 1


def test_a_database_that_falls_silent_is_waited_for_until_the_deadline(scene: Scene) -> None:
    act = inviting(scene)
    assert act.ask().ok
    scene.proxy.swallow()
    try:
        email = f"silent{next(_numbers)}@example.com"
        answer = scene.ada.invite(scene.organization, email, connect_timeout_ms="800")
    finally:
        scene.proxy.flow()
    assert answer.code == "deadline_exceeded", answer
    assert answer.seconds < SOONER_SECONDS
    assert scene.count("invitations", email_key=email) == 0
    assert joining(scene).ask().ok


def test_dead_connections_of_the_pool_cost_no_request(scene: Scene) -> None:
    at_once([joining(scene).ask for _ in range(8)])
    scene.proxy.cut_all()
    fresh = [scene.ada.invite(scene.organization, f"fresh{next(_numbers)}@example.com") for _ in range(8)]
    assert [answer.code for answer in fresh] == ["ok"] * 8


def test_while_the_database_is_gone_calls_are_told_so_soon_and_served_when_it_is_back(scene: Scene) -> None:
    answers: list[Answer] = []
    scene.proxy.refuse()
    try:
        at_once([lambda: answers.append(scene.ada.regenerate(scene.organization)) for _ in range(4)])
    finally:
        scene.proxy.accept()
    assert {(answer.code, answer.reason) for answer in answers} == {("unavailable", "STORE_UNAVAILABLE")}
    assert max(answer.seconds for answer in answers) < SOONER_SECONDS
    assert joining(scene).ask().ok


# The same cuts find what is wrong with a store that looks less carefully.


class NeverLooksStore(PostgresStore):
    """Takes a commit whose answer was lost for one that failed."""

    def _settle(self, mark: uuid.UUID, until: float) -> None:
        raise ServiceError(STORE_UNAVAILABLE)


class TakesItForDoneStore(PostgresStore):
    """Takes a commit whose answer was lost for one that was done."""

    def _settle(self, mark: uuid.UUID, until: float) -> None:
        return


class TakesItsOwnMarkStore(PostgresStore):
    """Doesn't tell the mark that it leaves itself, when looking, from the one that it looks for."""

    def _settle(self, mark: uuid.UUID, until: float) -> None:
        while True:
            try:
                with self._begun(WRITING, until) as statements:
                    missing = statements(
                        "INSERT INTO transaction_marks (id, is_work, created_at) VALUES (:id, TRUE, 0)"
                        " ON CONFLICT DO NOTHING",
                        {"id": mark},
                    ).rowcount
                    statements("COMMIT", {})
            except psycopg.Error:
                continue
            if missing:
                raise ServiceError(STORE_UNAVAILABLE)
            return


def _keep(store: PostgresStore, organization: Organization) -> None:
    with store.transaction() as tx:
        tx.add_organization(organization)


@pytest.mark.parametrize(
    ("store_class", "lies"),
    [(PostgresStore, 0), (NeverLooksStore, 2), (TakesItForDoneStore, 2), (TakesItsOwnMarkStore, 1)],
)
def test_the_cuts_catch_a_store_that_does_not_look_for_the_outcome(
    scene: Scene, store_class: type[PostgresStore], lies: int
) -> None:
    url = f"postgresql://postgres@127.0.0.1:{scene.proxy.port}/lost"
    store = store_class(url, utc_now)
    found = 0
    for cuts in ([LOST_COMMIT], [LOST_ANSWER], [LOST_COMMIT, LOST_ANSWER], [LOST_ANSWER, LOST_COMMIT]):
        organization = an_organization(id=str(uuid.uuid4()))
        scene.proxy.cut(*cuts)
        _, refusal = attempt(partial(_keep, store, organization))
        done = scene.count("organizations", id=organization.id) == 1
        found += (refusal is None) is not done
    scene.proxy.cut()
    store.close()
    assert found == lies
