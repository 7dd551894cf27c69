"""What is PostgreSQL's own in how the store keeps its contract."""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from psycopg import errors as pg

from server.domain.errors import (
    CONFLICT,
    DEADLINE_PASSED,
    INVALID_REQUEST,
    STORE_BUSY,
    STORE_UNAVAILABLE,
    Reason,
    ServiceError,
)
from server.ports import MemberFilter, MemberOrder, Transaction
from server.store import postgres as engine
from server.store.postgres import MARKS_KEPT_SECONDS, PostgresStore, as_service_error
from tests.conftest import GivenClock
from tests.domain.refusals import refused_with
from tests.postgres.cluster import Cluster
from tests.postgres.people import SOONER_SECONDS
from tests.running import wait_until
from tests.store.making import a_link, an_organization, keep_organization

Session = psycopg.Connection[tuple[object, ...]]


@pytest.fixture
def url(emptied_database: Callable[[], str]) -> str:
    return emptied_database()


@pytest.fixture
def store(url: str, clock: GivenClock) -> Iterator[PostgresStore]:
    store = PostgresStore(url, clock)
    yield store
    store.close()


@pytest.fixture
def other(url: str) -> Iterator[Session]:
    """A session of somebody else's."""
    with psycopg.connect(url, autocommit=True) as connection:
        yield connection


def said(tx: object, statement: str) -> list[str]:
    """Run a statement past the methods of the port, and give its first column."""
    return [str(row[0]) for row in tx._execute(statement, {}).fetchall()]  # type: ignore[attr-defined]


# Isolation, and what is left in a session.


def test_neither_the_database_nor_the_role_decides_how_transactions_are_isolated(
    postgres: Cluster, clock: GivenClock
) -> None:
    url = postgres.create_database("opinionated")
    postgres.execute("ALTER DATABASE opinionated SET default_transaction_isolation = 'serializable'")
    store = PostgresStore(url, clock)
    with store.transaction() as tx:
        assert said(tx, "SHOW transaction_isolation") == ["read committed"]
    with store.snapshot() as snapshot:
        assert said(snapshot, "SHOW transaction_isolation") == ["repeatable read"]
        assert said(snapshot, "SHOW transaction_read_only") == ["on"]
    store.close()


def test_a_transaction_leaves_nothing_in_its_session(store: PostgresStore) -> None:
    organization = keep_organization(store)
    for _ in range(12):  # as often as it takes psycopg to prepare a statement, where that is on
        with store.transaction() as tx:
            tx.hold_organization(organization.id)
            tx.update_organization(organization)
    with store._pool.connection() as connection:
        assert connection.execute("SELECT * FROM pg_prepared_statements").fetchall() == []
        assert connection.execute("SELECT * FROM pg_locks WHERE locktype = 'advisory'").fetchall() == []
        changed = "SELECT name, setting FROM pg_settings WHERE source = 'session' AND name NOT IN ('client_encoding')"
        assert connection.execute(changed).fetchall() == []
        assert connection.execute("SELECT * FROM pg_cursors").fetchall() == []
        assert connection.info.transaction_status == psycopg.pq.TransactionStatus.IDLE


def test_the_schema_has_no_sequences(store: PostgresStore, other: Session) -> None:
    assert other.execute("SELECT * FROM pg_sequences").fetchall() == []


def test_no_text_is_compared_by_the_language_of_the_database(store: PostgresStore, other: Session) -> None:
    collations = other.execute(
        "SELECT DISTINCT table_name, column_name, collation_name FROM information_schema.columns"
        " WHERE table_schema = 'public' AND data_type = 'text' AND collation_name IS DISTINCT FROM 'C'"
    )
    assert collations.fetchall() == []


# Text.


def test_text_that_postgresql_cannot_hold_is_refused_as_such(store: PostgresStore) -> None:
    organization = keep_organization(store)
    with refused_with(INVALID_REQUEST) as refused, store.transaction() as tx:
        tx.update_organization(an_organization("A\0B", id=organization.id))
    assert "U+0000" in str(refused.error)
    with refused_with(INVALID_REQUEST), store.snapshot() as snapshot:
        snapshot.members(organization.id, MemberFilter(search="\0"), MemberOrder(), None, 10)
    with store.snapshot() as snapshot:
        assert snapshot.organization(organization.id) == organization


def test_letters_beyond_the_first_plane_and_percent_signs_come_back(store: PostgresStore) -> None:
    with store.transaction() as tx:
        tx.add_organization(organization := an_organization("100 % 𝔘nicode :name %s %(x)s \\ '' \U0010fffd"))
    with store.snapshot() as snapshot:
        assert snapshot.organization(organization.id) == organization


# Deadlines.


def test_the_deadline_bounds_a_transaction_and_not_each_of_its_statements(store: PostgresStore) -> None:
    began, done = time.monotonic(), 0
    with refused_with(DEADLINE_PASSED), store.transaction(began + 0.8) as tx:
        for _ in range(10):
            said(tx, "SELECT pg_sleep(0.3)")
            done += 1
    assert time.monotonic() - began > 0.7, "refused too early"
    assert done <= 2, "three take longer than there was time"


def test_a_transaction_that_is_late_at_its_end_is_not_committed(store: PostgresStore) -> None:
    organization = an_organization()
    with refused_with(DEADLINE_PASSED), store.transaction(time.monotonic() + 1) as tx:
        tx.add_organization(organization)
        time.sleep(1.1)
    with store.snapshot() as snapshot:
        assert snapshot.organization(organization.id) is None


def test_a_late_statement_is_not_taken_for_a_refusal_of_its_item(store: PostgresStore) -> None:
    organization = an_organization()
    with refused_with(DEADLINE_PASSED), store.transaction(time.monotonic() + 1) as tx:
        tx.add_organization(organization)
        time.sleep(1.1)
        try:
            tx.organization(organization.id)
        except ServiceError:
            pytest.fail("a batch would go on with its next item")


def test_a_transaction_whose_client_has_gone_silent_is_ended_by_the_server(
    store: PostgresStore, other: Session
) -> None:
    organization = keep_organization(store)
    other.execute("SET lock_timeout = '30s'")
    began = time.monotonic()
    with refused_with(DEADLINE_PASSED), store.transaction(began + 0.3) as tx:
        tx.hold_organization(organization.id)
        other.execute("SELECT 1 FROM organizations FOR UPDATE")  # waits until that one is gone, or fails
        assert time.monotonic() - began > 1, "ended before the server of its own had time to give up"
        tx.update_organization(organization)


# The pool.


@pytest.mark.parametrize(("longest", "deadline"), [(0.2, 20.0), (20.0, 3.0)], ids=["after a while", "at its deadline"])
def test_when_all_connections_are_in_use_the_store_is_busy(
    url: str, clock: GivenClock, monkeypatch: pytest.MonkeyPatch, longest: float, deadline: float
) -> None:
    monkeypatch.setattr(engine, "CONNECT_TIMEOUT_SECONDS", longest)
    store = PostgresStore(url, clock, connections=1)
    taken, done = threading.Event(), threading.Event()

    def keep_it() -> None:
        with store.snapshot():
            taken.set()
            done.wait(60)

    keeping = threading.Thread(target=keep_it)
    keeping.start()
    taken.wait()
    began = time.monotonic()
    with refused_with(STORE_BUSY), store.transaction(began + deadline):
        pass
    assert time.monotonic() - began < 15
    done.set()
    keeping.join()
    keep_organization(store)
    store.close()


def test_connections_that_were_thrown_out_are_replaced_at_once(store: PostgresStore, other: Session) -> None:
    barrier = threading.Barrier(6)

    def use_one() -> None:
        with store.snapshot():
            barrier.wait(10)

    threads = [threading.Thread(target=use_one) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    thrown_out = other.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE datname = current_database() AND application_name = 'organization-service'"
    ).fetchall()
    assert len(thrown_out) >= 6
    began = time.monotonic()
    for _ in range(7):
        keep_organization(store)
    assert time.monotonic() - began < SOONER_SECONDS


def test_a_connection_to_what_became_a_standby_is_thrown_away(postgres: Cluster, clock: GivenClock) -> None:
    url = postgres.create_database("demoted")
    store = PostgresStore(f"{url}?target_session_attrs=read-write", clock, connections=1)
    keep_organization(store)
    postgres.execute("ALTER DATABASE demoted SET default_transaction_read_only = on")
    with store._pool.connection() as connection:
        connection.execute("SET default_transaction_read_only = on")
    with refused_with(STORE_UNAVAILABLE), store.transaction() as tx:
        tx.add_organization(an_organization())
    postgres.execute("ALTER DATABASE demoted SET default_transaction_read_only = off")
    keep_organization(store)
    store.close()


# Marks.


def marks(other: Session) -> int:
    row = other.execute("SELECT count(*) FROM transaction_marks WHERE is_work").fetchone()
    assert row is not None
    return int(str(row[0]))


def grow_older(other: Session, seconds: int) -> None:
    other.execute(f"UPDATE transaction_marks SET created_at = created_at - {seconds * 1_000_000}")


def test_each_transaction_that_is_committed_leaves_a_mark_and_no_other(store: PostgresStore, other: Session) -> None:
    keep_organization(store)
    keep_organization(store)
    with refused_with(INVALID_REQUEST), store.transaction() as tx:
        tx.add_organization(an_organization())
        tx.add_organization(an_organization("\0"))
    with store.snapshot():
        pass
    assert marks(other) == 2


def test_marks_are_forgotten_when_nobody_can_ask_for_them_any_more(store: PostgresStore, other: Session) -> None:
    for _ in range(3):
        keep_organization(store)
    grow_older(other, MARKS_KEPT_SECONDS - 60)
    keep_organization(store)
    assert store.forget_marks() == 0
    grow_older(other, 61)
    with other.transaction():
        other.execute("SELECT 1 FROM transaction_marks ORDER BY created_at LIMIT 1 FOR UPDATE")
        assert store.forget_marks() == 2  # another server is at the third
    assert store.forget_marks() == 1
    assert marks(other) == 1


def test_a_server_whose_clock_is_wrong_forgets_no_marks_of_others(
    store: PostgresStore, other: Session, clock: GivenClock
) -> None:
    keep_organization(store)
    clock.forward(timedelta(days=2))
    assert store.forget_marks() == 0
    assert marks(other) == 1


def test_marks_are_forgotten_by_and_by_without_being_asked(
    url: str, other: Session, clock: GivenClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "FORGET_EVERY_SECONDS", 0.05)
    store = PostgresStore(url, clock)
    keep_organization(store)
    grow_older(other, MARKS_KEPT_SECONDS + 1)
    wait_until(lambda: marks(other) == 0)
    store.close()


# Errors.


@pytest.mark.parametrize(
    ("state", "reason"),
    [
        ("40001", CONFLICT),
        ("40P01", CONFLICT),
        ("40003", CONFLICT),
        ("23503", CONFLICT),
        ("23505", CONFLICT),
        ("57014", DEADLINE_PASSED),
        ("25P03", DEADLINE_PASSED),
        ("25P04", DEADLINE_PASSED),
        ("55P03", STORE_BUSY),
        ("25006", STORE_UNAVAILABLE),
        ("08006", STORE_UNAVAILABLE),
        ("08P01", STORE_UNAVAILABLE),  # PgBouncer, when it has lost the server
        ("53100", STORE_UNAVAILABLE),
        ("53300", STORE_UNAVAILABLE),
        ("57P01", STORE_UNAVAILABLE),
        ("57P02", STORE_UNAVAILABLE),
        ("57P03", STORE_UNAVAILABLE),
        ("57P05", STORE_UNAVAILABLE),
        ("58030", STORE_UNAVAILABLE),
        ("23514", None),
        ("25P02", None),
        ("42P01", None),
        ("XX000", None),
    ],
)
def test_an_error_of_the_database_is_told_by_its_code(state: str, reason: Reason | None) -> None:
    refusal = as_service_error(pg.lookup(state)())
    assert (refusal and refusal.reason) is reason


# Indexes. docs/storage.md names them.


# Enough of what the look-ups read, without regard to foreign keys, for the planner to have something to weigh.
ROWS = (
    "SET LOCAL session_replication_role = replica",
    """
    INSERT INTO organizations (id, name, invite_domains, member_count, created_at, updated_at)
    SELECT 'o' || n, '', '', 0, n, n FROM generate_series(1, 3000) n
    """,
    """
    INSERT INTO members (user_id, organization_id, account_id, role, status, joined_at, full_name, name_key, email,
        email_key, avatar_url, login_provider)
    SELECT 'u' || n, 'o' || n, 'a' || n, 'member', 'active', n, '', '', '', '', '', '' FROM generate_series(1, 3000) n
    """,
    """
    INSERT INTO outbox (id, organization_id, invitation_id, generation, email_key, state, attempts, error, link,
        created_at, next_attempt_at)
    SELECT 'm' || n, 'o' || n, 'i' || n, 1, 'e' || n, 'sent', 1, '', '', 2000000000000000 + n, n
    FROM generate_series(1, 3000) n
    """,
    """
    INSERT INTO accounts (id, issuer, subject, name, email, email_key, email_verified, avatar_url, created_at,
        updated_at)
    SELECT 'a' || n, 'i', 's' || n, '', '', 'e' || n, 1, '', n, n FROM generate_series(1, 3000) n
    """,
    """
    INSERT INTO invite_links (organization_id, id, key_id, lookup_hash, created_by, created_at)
    SELECT 'o' || n, 'l' || n, '', decode(md5(n::text), 'hex'), '', n FROM generate_series(1, 3000) n
    """,
    """
    INSERT INTO access_tokens (id, account_id, description, token_hash, read_only, created_at)
    SELECT 't' || n, 'a' || n, '', decode(md5(n::text), 'hex'), 0, n FROM generate_series(1, 3000) n
    """,
    "ANALYZE organizations, members, outbox, accounts, invite_links, access_tokens",
)

LOOK_UPS: dict[str, tuple[str, Callable[[Transaction], object]]] = {
    "an organization by an invite's id": ("invite_links_lookup_hash_key", lambda tx: tx.organization_by_invite(b"x")),
    "the memberships of an account": ("members_account", lambda tx: tx.memberships("x")),
    "a member by its user": ("members_pkey", lambda tx: tx.member_by_user_id("x")),
    "an account by its identity": ("accounts_issuer_subject_key", lambda tx: tx.account_by_identity("x", "y")),
    "accounts by address": ("accounts_email", lambda tx: tx.accounts_by_email("x")),
    "an access token": ("access_tokens_token_hash_key", lambda tx: tx.access_token(b"x")),
    "a backend key": ("backend_keys_key_hash_key", lambda tx: tx.backend_key(b"x")),
    "an invitation by its token": ("invitations_token_hash_key", lambda tx: tx.invitation_by_token(b"x")),
    "mails to an address": ("outbox_recipient", lambda tx: tx.count_mails_since("x", datetime(2030, 1, 1, tzinfo=UTC))),
    "mails that are due": ("outbox_due", lambda tx: tx.due_mails(datetime(2030, 1, 1, tzinfo=UTC), 10)),
}


@pytest.mark.parametrize("look_up", LOOK_UPS)
def test_a_look_up_goes_by_the_index_that_is_meant_for_it(store: PostgresStore, look_up: str) -> None:
    index, ask = LOOK_UPS[look_up]
    plans: list[str] = []
    with store.transaction() as tx:
        said_by = tx._execute  # type: ignore[attr-defined]
        said_by("SET LOCAL enable_seqscan = off", {})
        said_by("SET LOCAL enable_bitmapscan = off", {})
        for statement in ROWS:
            said_by(statement, {})

        def explain(sql: str, parameters: dict[str, object]) -> object:
            plans.extend(str(row[0]) for row in said_by(f"EXPLAIN {sql}", parameters).fetchall())
            return said_by(sql, parameters)

        tx._execute = explain  # type: ignore[attr-defined]
        ask(tx)
    assert re.search(rf"using {index}\b", "\n".join(plans)), plans


@pytest.mark.parametrize(("level", "sees_it"), [("READ COMMITTED", True), ("REPEATABLE READ", False)])
def test_what_others_did_before_they_let_go_of_the_lock_is_seen_at_read_committed(
    store: PostgresStore, other: Session, monkeypatch: pytest.MonkeyPatch, level: str, sees_it: bool
) -> None:
    organization = keep_organization(store)
    link = a_link(organization, "first")
    with store.transaction() as tx:
        tx.put_invite_link(link)
    found: list[object] = []
    monkeypatch.setattr(engine, "WRITING", f"BEGIN ISOLATION LEVEL {level}")

    def look_up() -> None:
        with store.transaction() as tx:
            found.append(tx.lock_organization_by_invite(link.lookup_hash))

    looking = threading.Thread(target=look_up)
    with other.transaction():
        other.execute("SELECT 1 FROM organizations FOR UPDATE")
        other.execute("UPDATE invite_links SET lookup_hash = '\\x00'")
        looking.start()
        waiting = "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
        wait_until(lambda: other.execute(waiting).fetchone())
    looking.join()
    assert found == [None if sees_it else organization]
