"""What SQLite alone brings: a file, its connections and its group commit."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from server.domain.errors import (
    DEADLINE_PASSED,
    INVITATION_PENDING,
    STORE_BUSY,
    STORE_UNAVAILABLE,
    ServiceError,
)
from server.store import sqlite
from server.store.migrations import MIGRATIONS, Migration
from server.store.sqlite import (
    FOREIGN_CHANGES_SECONDS,
    SqliteStore,
    StoreSetupError,
    migrate,
    require_safe_version,
    sqlite3,
)
from tests.conftest import GivenClock
from tests.domain.refusals import refused_with
from tests.running import ROOT
from tests.store.contract import AN_EVENING, UndoError
from tests.store.making import an_organization, keep_organization

CLOCK = GivenClock()
ONE = "11111111-1111-4111-8111-111111111111"
GOOD = Migration("good", ("CREATE TABLE good (id INTEGER) {strict}", "INSERT INTO good VALUES (1)"))
BAD = Migration(
    "bad", ("CREATE TABLE bad (id INTEGER)", "INSERT INTO good VALUES (2)", "INSERT INTO nowhere VALUES (1)")
)


@contextmanager
def connection(path: Path) -> Iterator[Any]:
    """A connection of somebody else's."""
    with sqlite3.connect(path, timeout=0, isolation_level=None) as other:
        yield other
    other.close()


def names(store: SqliteStore) -> list[str]:
    with store.snapshot() as tx:
        return [row[0] for row in tx._execute("SELECT name FROM organizations ORDER BY name", {}).fetchall()]


def turns_in_one_commit(store: SqliteStore, *turns: Any) -> list[Any]:
    """Let each turn begin before the first ends, so that they share a commit; give their results or errors."""
    entered = threading.Event()

    def first(turn: Any) -> Any:
        with store.transaction() as tx:
            entered.set()
            while store._writer._waiting < len(turns) - 1:
                time.sleep(0.001)
            return turn(tx)

    def later(turn: Any) -> Any:
        entered.wait(10)
        with store.transaction() as tx:
            return turn(tx)

    with ThreadPoolExecutor(len(turns)) as pool:
        futures = [pool.submit(first, turns[0]), *(pool.submit(later, turn) for turn in turns[1:])]
        return [future.exception(10) or future.result() for future in futures]


class BreakingConnection:
    """The writer's connection, on which a kind of statement fails as on a broken disk."""

    def __init__(self, connection: Any, breaks: str) -> None:
        self._connection, self._breaks = connection, breaks

    def execute(self, sql: str, *parameters: Any) -> Any:
        if sql.startswith(self._breaks):
            error = sqlite3.OperationalError("disk I/O error")
            error.sqlite_errorname = "SQLITE_IOERR"
            raise error
        return self._connection.execute(sql, *parameters)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)


# The library.


@pytest.mark.parametrize("version", [(3, 7, 0), (3, 40, 1), (3, 51, 2)])
def test_a_library_that_can_corrupt_the_file_is_refused(version: tuple[int, int, int]) -> None:
    with pytest.raises(StoreSetupError, match=rf"SQLite {'.'.join(map(str, version))} .*pysqlite3"):
        require_safe_version(version)


def test_the_library_in_use_is_a_safe_one() -> None:
    require_safe_version((3, 51, 3))
    require_safe_version(sqlite3.sqlite_version_info)


def test_every_connection_syncs_fully_and_holds_foreign_keys(store: SqliteStore) -> None:
    def pragmas(execute: Any) -> tuple[Any, ...]:
        return tuple(
            execute(f"PRAGMA {name}", {}).fetchone()[0] for name in ("synchronous", "foreign_keys", "journal_mode")
        )

    def read() -> tuple[Any, ...]:
        with store.snapshot() as tx:
            return pragmas(tx._execute)

    with ThreadPoolExecutor(2) as pool:
        readers = [future.result(10) for future in [pool.submit(read) for _ in range(2)]]
    with store.transaction() as tx:
        assert [pragmas(tx._execute), *readers] == [(2, 1, "wal")] * 3


# The schema.


def test_a_database_of_a_newer_program_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "organizations.db"
    SqliteStore(path, CLOCK).close()
    newest = len(MIGRATIONS) + 1
    with connection(path) as other:
        other.execute("INSERT INTO schema_migrations VALUES (?, 'from the future', 0)", (newest,))
    with pytest.raises(StoreSetupError, match=rf"schema version {newest} and this program knows {len(MIGRATIONS)}"):
        SqliteStore(path, CLOCK)
    with connection(path) as other:
        assert other.execute("SELECT max(version) FROM schema_migrations").fetchone() == (newest,)


def test_a_migration_that_fails_leaves_nothing_of_itself_and_all_before_it(store: SqliteStore) -> None:
    db = store._writer_db
    history = (*MIGRATIONS, GOOD, BAD)
    with pytest.raises(sqlite3.OperationalError, match="nowhere"):
        migrate(db, CLOCK, history)
    assert not db.conn.in_transaction
    assert db.execute("SELECT id FROM good").fetchall() == [(1,)]
    assert db.execute("SELECT count(*) FROM sqlite_master WHERE name = 'bad'").fetchone() == (0,)
    assert db.execute("SELECT max(version) FROM schema_migrations").fetchone() == (len(history) - 1,)
    mended = Migration("mended", BAD.statements[:2])
    assert migrate(db, CLOCK, (*MIGRATIONS, GOOD, mended)) == ["mended"]
    assert migrate(db, CLOCK, (*MIGRATIONS, GOOD, mended)) == []
    assert db.execute("SELECT id FROM good").fetchall() == [(1,), (2,)]


def test_a_database_is_kept_over_a_restart_and_not_migrated_again(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "down" / "organizations.db"
    for _ in range(3):
        store = SqliteStore(path, CLOCK)
        organization = keep_organization(store, "Kept")
        store.close()
    store = SqliteStore(path, CLOCK)
    assert names(store) == ["Kept"] * 3
    with store.snapshot() as tx:
        assert tx.organization(organization.id) == organization
    assert [row[0] for row in store._writer_db.execute("SELECT version FROM schema_migrations")] == list(
        range(1, len(MIGRATIONS) + 1)
    )
    store.close()


@pytest.mark.parametrize("content", [b"not a database" * 100, b"SQLite format 3\0" + b"\xff" * 4096])
def test_a_file_that_is_no_database_is_refused_and_left_as_it_is(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "organizations.db"
    path.write_bytes(content)
    with pytest.raises(StoreSetupError, match=r"organizations\.db can't be opened and written"):
        SqliteStore(path, CLOCK)
    assert path.read_bytes() == content


OPENS_WHAT_IT_READS = """
import sys
from datetime import UTC, datetime
from pathlib import Path
from server.store.sqlite import SqliteStore
print("ready", flush=True)
for line in sys.stdin:
    store = SqliteStore(Path(line.strip()), lambda: datetime.now(UTC))
    store.ping()
    store.close()
    print("opened", flush=True)
"""


def test_processes_that_open_the_same_fresh_file_at_once_all_get_it(tmp_path: Path) -> None:
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", OPENS_WHAT_IT_READS],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
        )
        for _ in range(3)
    ]
    try:
        assert [process.stdout.readline() for process in processes if process.stdout] == ["ready\n"] * 3
        for i in range(8):
            for process in processes:
                assert process.stdin is not None
                process.stdin.write(f"{tmp_path / f'{i}.db'}\n")
                process.stdin.flush()
            answers = [process.stdout.readline() for process in processes if process.stdout]
            assert answers == ["opened\n"] * 3, [p.stderr.readlines() for p in processes if p.stderr and p.poll()]
    finally:
        for process in processes:
            process.communicate(timeout=10)


def test_a_fresh_file_that_another_process_is_just_setting_up_is_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "organizations.db"
    with connection(path) as other, ThreadPoolExecutor(1) as pool:
        # What SQLite answers with "locked" at once, whatever the timeout.
        other.execute("BEGIN IMMEDIATE")
        opening = pool.submit(SqliteStore, path, CLOCK)
        time.sleep(0.1)
        assert not opening.done()
        other.execute("ROLLBACK")
        opening.result(10).close()


# Turns that share a commit.


def test_turns_that_wait_for_each_other_share_a_commit(store: SqliteStore) -> None:
    statements: list[str] = []
    store._writer_db.conn.set_trace_callback(statements.append)
    turns_in_one_commit(store, *(lambda tx, i=i: tx.add_organization(an_organization(str(i))) for i in range(8)))
    store._writer_db.conn.set_trace_callback(None)
    assert names(store) == list("01234567")
    ends = [statement for statement in statements if statement.startswith(("BEGIN", "COMMIT", "ROLLBACK"))]
    # One commit, or a few on a busy machine, where somebody who waits may look just between two turns.
    assert len(ends) <= 8
    assert ends == ["BEGIN IMMEDIATE", "COMMIT"] * (len(ends) // 2)


def test_a_turn_that_fails_takes_nobody_along(store: SqliteStore) -> None:
    def fail(tx: Any) -> None:
        tx.add_organization(an_organization("failed"))
        raise UndoError

    def keep(name: str) -> Any:
        return lambda tx: tx.add_organization(an_organization(name))

    outcomes = turns_in_one_commit(store, keep("a"), fail, keep("b"), fail, keep("c"))
    assert [type(outcome) for outcome in outcomes].count(UndoError) == 2
    assert names(store) == ["a", "b", "c"]
    turns_in_one_commit(store, fail, keep("d"))
    turns_in_one_commit(store, keep("e"), fail)
    assert names(store) == ["a", "b", "c", "d", "e"]


def test_when_the_commit_fails_nobody_who_shares_it_is_told_otherwise(store: SqliteStore) -> None:
    def break_the_commit(tx: Any) -> None:
        tx._execute("PRAGMA defer_foreign_keys = ON", {})
        tx._execute("INSERT INTO invite_domains VALUES ('orphan.example', 'nobody')", {})

    def keep(tx: Any) -> None:
        tx.add_organization(an_organization())

    outcomes = turns_in_one_commit(store, keep, break_the_commit, keep)
    assert [type(outcome) for outcome in outcomes] == [sqlite3.IntegrityError] * 3
    assert names(store) == []
    keep_organization(store, "afterwards")
    assert names(store) == ["afterwards"]


def test_a_full_disk_is_told_to_all_who_share_the_commit_and_is_over_when_there_is_room(store: SqliteStore) -> None:
    keep_organization(store, "before")

    def fill(tx: Any) -> None:
        for _ in range(1000):
            tx.add_organization(an_organization("x" * 1000))

    def keep(tx: Any) -> None:
        tx.add_organization(an_organization("small"))

    pages = store._writer_db.execute("PRAGMA page_count").fetchone()[0]
    store._writer_db.execute(f"PRAGMA max_page_count = {pages + 20}")
    outcomes = turns_in_one_commit(store, keep, fill)
    assert [outcome.reason for outcome in outcomes] == [STORE_UNAVAILABLE, STORE_UNAVAILABLE]
    assert names(store) == ["before"]
    store._writer_db.execute("PRAGMA max_page_count = 1000000")
    keep_organization(store, "room again")
    assert names(store) == ["before", "room again"]


def test_a_full_disk_that_a_transaction_overlooks_leaves_nothing_and_blocks_nobody(store: SqliteStore) -> None:
    pages = store._writer_db.execute("PRAGMA page_count").fetchone()[0]
    store._writer_db.execute(f"PRAGMA max_page_count = {pages}")
    with refused_with(STORE_UNAVAILABLE), store.transaction() as tx, suppress(sqlite3.OperationalError):
        for _ in range(100):
            tx.add_organization(an_organization("x" * 1000))
    store._writer_db.execute("PRAGMA max_page_count = 1000000")
    with store.transaction(time.monotonic() + 5) as tx:
        tx.add_organization(an_organization("afterwards"))
    assert names(store) == ["afterwards"]


def test_one_who_gives_up_waiting_leaves_the_commit_to_those_who_wait_for_it(store: SqliteStore) -> None:
    entered, seen = threading.Event(), threading.Event()

    def first() -> None:
        with store.transaction() as tx:
            tx.add_organization(an_organization("first"))
            entered.set()
            while not store._writer._waiting:
                time.sleep(0.001)
            seen.set()
        # Ends while somebody waits for a turn, so it leaves the commit to them.

    def impatient() -> None:
        entered.wait(10)
        # On a busy machine their time may be over before it is seen that they wait.
        while not seen.is_set():
            with refused_with(DEADLINE_PASSED), store.transaction(time.monotonic() + 0.05) as tx:
                tx._execute(AN_EVENING, {})

    with ThreadPoolExecutor(2) as pool:
        for each in [pool.submit(first), pool.submit(impatient)]:
            each.result(30)
    assert names(store) == ["first"]


# Other processes on the same file.


def test_who_waits_for_another_process_gives_up_at_the_deadline(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "BUSY_TIMEOUT_SECONDS", 60.0)  # after which they would give up without one
    store = SqliteStore(tmp_path / "organizations.db", CLOCK)
    with connection(tmp_path / "organizations.db") as other:
        other.execute("BEGIN IMMEDIATE")
        began = time.monotonic()
        with refused_with(DEADLINE_PASSED), store.transaction(began + 0.1):
            pytest.fail("it isn't our turn")
        assert 0.1 <= time.monotonic() - began < 20
        other.execute("ROLLBACK")
    keep_organization(store, "afterwards")
    assert names(store) == ["afterwards"]
    store.close()


def test_what_is_read_and_then_written_holds_against_other_processes_too(tmp_path: Path) -> None:
    """A transaction that began deferred would fail at once where another wrote after it had read."""
    stores = [SqliteStore(tmp_path / "organizations.db", CLOCK) for _ in range(3)]
    organization = keep_organization(stores[0], "0")

    def count(number: int) -> None:
        for _ in range(4):
            with stores[number % 3].transaction() as tx:
                current = tx.lock_organization(organization.id)
                assert current is not None
                time.sleep(0.0005)
                tx.update_organization(replace(current, name=str(int(current.name) + 1)))

    with ThreadPoolExecutor(9) as pool:
        for counting in [pool.submit(count, number) for number in range(9)]:
            counting.result(30)
    assert names(stores[1]) == ["36"]
    for store in stores:
        store.close()


def test_a_file_that_another_process_keeps_locked_is_busy(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "organizations.db", CLOCK)
    store._writer_db.execute("PRAGMA busy_timeout = 50")
    with connection(tmp_path / "organizations.db") as other:
        other.execute("BEGIN IMMEDIATE")
        with refused_with(STORE_BUSY) as refusal, store.transaction():
            pytest.fail("it isn't our turn")
        assert refusal.error.retry_after_seconds
        assert names(store) == []  # reading goes on
    keep_organization(store, "afterwards")
    store.close()


@pytest.mark.parametrize("breaks", ["ROLLBACK TO", "RELEASE"])
def test_a_turn_that_can_neither_be_kept_nor_undone_takes_its_whole_commit_along(
    store: SqliteStore, breaks: str
) -> None:
    connection = store._writer._connection = BreakingConnection(store._writer._connection, "nothing")

    def shares_the_commit(tx: Any) -> None:
        tx.add_organization(an_organization(name="Shares the commit"))

    def breaks_in_the_middle(tx: Any) -> None:
        tx.add_organization(an_organization(name="Half done"))
        connection._breaks = breaks
        if breaks == "ROLLBACK TO":
            raise UndoError

    outcomes = turns_in_one_commit(store, shares_the_commit, breaks_in_the_middle)
    assert [getattr(outcome, "reason", outcome) for outcome in outcomes] == [STORE_UNAVAILABLE, STORE_UNAVAILABLE]
    assert names(store) == []
    connection._breaks = "nothing"
    keep_organization(store)
    assert len(names(store)) == 1


def test_a_turn_that_is_refused_for_what_was_never_committed_is_not_refused_for_that(store: SqliteStore) -> None:
    connection = store._writer._connection = BreakingConnection(store._writer._connection, "COMMIT")

    def adds(tx: Any) -> None:
        tx.add_organization(an_organization(id=ONE, name="Never kept"))

    def finds_it_there(tx: Any) -> None:
        if tx.organization(ONE) is not None:
            raise ServiceError(INVITATION_PENDING, {"email": "ada@example.com"})

    outcomes = turns_in_one_commit(store, adds, finds_it_there)
    assert [outcome.reason for outcome in outcomes] == [STORE_UNAVAILABLE, STORE_UNAVAILABLE]
    connection._breaks = "nothing"
    assert names(store) == []
    assert turns_in_one_commit(store, finds_it_there) == [None]


def test_a_commit_changes_the_version_at_once_and_what_is_undone_or_read_does_not(store: SqliteStore) -> None:
    before = store.version()
    with store.snapshot() as tx:
        tx.organization("none")
    with suppress(UndoError), store.transaction() as tx:
        tx.add_organization(an_organization("undone"))
        raise UndoError
    assert store.version() == before
    turns_in_one_commit(store, *(lambda tx, i=i: tx.add_organization(an_organization(str(i))) for i in range(3)))
    assert store.version() > before


def test_what_another_process_commits_changes_the_version_within_half_a_second(
    tmp_path: Path, store: SqliteStore
) -> None:
    before = store.version()
    other = SqliteStore(store._path, GivenClock(AN_EVENING))
    try:
        with other.transaction() as tx:
            tx.add_organization(an_organization("another's"))
    finally:
        other.close()
    time.sleep(FOREIGN_CHANGES_SECONDS)
    assert store.version() > before
