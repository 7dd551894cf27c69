"""Servers that start at once on an empty database, and the history that they bring it to."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest

from server.main import utc_now
from server.store.migrations import MIGRATIONS, Migration
from server.store.postgres import PostgresStore, migrate
from server.store.sql_store import StoreSetupError
from tests.postgres.cluster import Cluster
from tests.postgres.people import Clients, invite_of, people, service_beside, serving
from tests.running import RunningServer, run_program


def all_at_once(work: Callable[[int], object], count: int) -> list[object]:
    start = threading.Barrier(count)

    def run(number: int) -> object:
        start.wait()
        return work(number)

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(run, range(count)))


def history(cluster: Cluster, database: str) -> list[tuple[object, ...]]:
    return cluster.execute("SELECT version, name FROM schema_migrations ORDER BY version", database)


WHOLE = [(version, step.name) for version, step in enumerate(MIGRATIONS, start=1)]


@pytest.mark.slow
def test_three_servers_that_start_at_once_on_an_empty_database_all_serve(postgres: Cluster) -> None:
    url = postgres.create_database("fresh")
    running: list[RunningServer] = []
    release = threading.Event()

    def serve() -> None:
        with serving(url) as server:
            running.append(server)
            release.wait(60)

    with ThreadPoolExecutor(3) as pool:
        served = [pool.submit(serve) for _ in range(3)]
        try:
            while len(running) < 3 and not any(one.done() for one in served):
                release.wait(0.05)
            assert len(running) == 3, [one.exception() for one in served if one.done()]
            with service_beside(url) as service, Clients(running) as clients:
                ada, bob = people(service, clients, 2)
                organization = ada.create_organization()
                assert all(bob.join(invite_of(ada.regenerate(organization))).ok for _ in range(3))
        finally:
            release.set()
    assert history(postgres, "fresh") == WHOLE


def test_16_stores_opened_at_once_on_an_empty_database_take_each_step_once(postgres: Cluster) -> None:
    for turn in range(3):
        url = postgres.create_database(f"empty{turn}")
        for store in all_at_once(lambda _, url=url: PostgresStore(url, utc_now), 16):  # type: ignore[misc]
            assert isinstance(store, PostgresStore)
            store.ping()
            store.close()
        assert history(postgres, f"empty{turn}") == WHOLE


def test_a_step_that_fails_leaves_nothing_and_can_be_taken_again(postgres: Cluster) -> None:
    postgres.create_database("stumbling")
    broken = (Migration("one", ("CREATE TABLE one (id TEXT)", "CREATE TABLE two (id TEXT", "SELECT 1")),)
    mended = (Migration("one", ("CREATE TABLE one (id TEXT)", "CREATE TABLE two (id TEXT)")),)
    with postgres.connect("stumbling") as connection:
        with pytest.raises(psycopg.errors.SyntaxError):
            migrate(connection, utc_now, broken)
        assert history(postgres, "stumbling") == []
        assert migrate(connection, utc_now, mended) == ["one"]
        assert migrate(connection, utc_now, mended) == []
        assert migrate(connection, utc_now, (*mended, Migration("two", ("DROP TABLE two",)))) == ["two"]


def test_to_open_an_up_to_date_database_takes_no_lock_that_writers_wait_for(postgres: Cluster) -> None:
    url = postgres.create_database("busy")
    PostgresStore(url, utc_now).close()
    with postgres.connect("busy") as writer, writer.transaction():
        for table in ("organizations", "transaction_marks", "schema_migrations"):
            writer.execute(f"LOCK TABLE {table} IN ROW EXCLUSIVE MODE".encode())  # as one who writes holds
        PostgresStore(f"{url}?options=-c%20lock_timeout%3D200ms", utc_now).close()


def test_a_database_that_a_newer_program_has_migrated_is_refused(postgres: Cluster) -> None:
    url = postgres.create_database("newer")
    PostgresStore(url, utc_now).close()
    postgres.execute("INSERT INTO schema_migrations VALUES (999, 'of tomorrow', 0)", "newer")
    with pytest.raises(StoreSetupError, match="version 999"):
        PostgresStore(url, utc_now)


@pytest.mark.parametrize("encoding", ["LATIN1", "SQL_ASCII"])
def test_a_database_that_cannot_hold_all_text_is_refused(postgres: Cluster, encoding: str) -> None:
    name = f"in_{encoding.lower()}"
    postgres.execute(f"CREATE DATABASE {name} TEMPLATE template0 ENCODING '{encoding}' STRATEGY FILE_COPY")
    with pytest.raises(StoreSetupError, match=encoding):
        PostgresStore(postgres.url(name), utc_now)


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("postgresql://u:secret@127.0.0.1:1/none", "can't be used: connection failed"),
        ("postgresql://u:secret@127.0.0.1:1,127.0.0.1:2/none", "can't be used: connection failed"),
        ("postgresql://u:secret@127.0.0.1:1/none?sslmode=secretly", "sslmode"),
        ("postgresql://u:secret@127.0.0.1:1/none?no_such_parameter=1", "can't be read"),
        ("postgresql://u:secret@[::1/none", "can't be read"),
        ("postgresql://u:secret%zz@127.0.0.1/none", "can't be read"),
    ],
)
def test_a_database_that_cannot_be_used_is_told_of_in_a_sentence_without_the_password(url: str, said: str) -> None:
    with pytest.raises(StoreSetupError, match=said) as caught:
        PostgresStore(url, utc_now)
    assert "secret@" not in str(caught.value)
    assert "secret%" not in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.slow
def test_the_command_line_says_it_and_ends_with_2() -> None:
    url = "postgresql://u:secret@127.0.0.1:1/none"
    done = run_program("token", "list", "--backend", "--database-url", url, environ={"SECRET_KEY": "x" * 32})
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("organization-service: the PostgreSQL database can't be used: ")
    assert len(done.stderr.strip().splitlines()) == 1
