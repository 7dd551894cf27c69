"""The store on an embedded SQLite file, by sqlite-utils.

WAL, `synchronous=FULL`, foreign keys on. Readers have a connection for each thread. All writers of a process share
one connection and take turns on it: each turn is a savepoint, and turns that wait for each other are committed
together, so that many callers share one fsync. A turn returns to its caller only after the commit that holds it.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from sqlite_utils import Database
from sqlite_utils import utils as sqlite_utils

from server.domain.errors import DEADLINE_PASSED, STORE_BUSY, STORE_UNAVAILABLE, ServiceError
from server.files import make_directory
from server.ports import Clock
from server.store.migrations import MIGRATIONS, Migration
from server.store.sql_base import Execute, to_micros
from server.store.sql_store import SqlStore, StoreSetupError

sqlite3: Any = vars(sqlite_utils)["sqlite3"]
"""The driver that sqlite-utils chose: `pysqlite3` where it is installed."""

FIRST_SAFE_VERSION = (3, 51, 3)
"""Before it, two connections that write and checkpoint at once can corrupt a database in WAL mode."""

PRAGMAS = ("synchronous = FULL", "foreign_keys = ON", "temp_store = MEMORY", "mmap_size = 268435456")
"""What each connection is told first."""

BUSY_TIMEOUT_SECONDS = 5.0
"""How long a statement waits for another process's lock."""

TURNS_IN_A_COMMIT = 64
"""How many turns one commit holds at most, so that other processes get the lock too."""

_DEADLINE_CHECK_OPCODES = 20_000
"""How many steps of SQLite's machine lie between two looks at the deadline: about a millisecond."""

_UNAVAILABLE_CODES = frozenset({"FULL", "IOERR", "READONLY", "CANTOPEN", "CORRUPT", "NOTADB", "NOMEM", "PERM"})
_DIALECT = {"integer": "INTEGER", "bytes": "BLOB", "strict": "STRICT"}


def as_service_error(error: Exception) -> ServiceError | None:
    """Give what a driver's error means for a caller, by its code; None when it is a fault of ours."""
    primary = str(getattr(error, "sqlite_errorname", "")).removeprefix("SQLITE_").split("_")[0]
    if primary in ("BUSY", "LOCKED"):
        return ServiceError(STORE_BUSY, retry_after_seconds=1.0)
    if primary == "INTERRUPT":
        return ServiceError(DEADLINE_PASSED)
    if primary in _UNAVAILABLE_CODES:
        return ServiceError(STORE_UNAVAILABLE, retry_after_seconds=5.0)
    return None


def _is_busy(error: Exception) -> bool:
    refusal = as_service_error(error)
    return refusal is not None and refusal.reason is STORE_BUSY


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        known = as_service_error(error)
        if known is None:
            raise
        raise known from error


class _Commit:
    """One commit that several turns wait for."""

    def __init__(self) -> None:
        self.turns = 0
        self.done = threading.Event()
        self.error: Exception | None = None


class _Writer:
    """The one connection that writes, used by one thread at a time."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._turn = threading.Lock()
        self._count = threading.Lock()
        self._waiting = 0
        self._commit: _Commit | None = None

    @contextmanager
    def turn(self, deadline: float | None) -> Iterator[Database]:
        """Give the connection inside a savepoint; on return what was written is on disk, on an exception undone."""
        self._take_turn(deadline)
        try:
            self._begin(deadline)
        except BaseException:
            self._turn.release()
            raise
        try:
            with _bounded(self._db, deadline):
                yield self._db
        except BaseException:
            self._undo()
            raise
        commit = self._keep()
        while not commit.done.wait(0.005):
            # Whoever was to commit for us gave up waiting; then it's on us.
            if self._turn.acquire(blocking=False):
                self._end(commit)
        if commit.error is not None:
            raise commit.error

    def _take_turn(self, deadline: float | None) -> None:
        timeout = -1.0 if deadline is None else deadline - time.monotonic()
        with self._count:
            self._waiting += 1
        taken = self._turn.acquire(timeout=timeout) if deadline is None or timeout > 0 else False
        with self._count:
            self._waiting -= 1
        if not taken:
            raise ServiceError(DEADLINE_PASSED)

    def _begin(self, deadline: float | None) -> None:
        if self._commit is None:
            self._lock_file(deadline)
            self._commit = _Commit()
        self._db.execute("SAVEPOINT turn")

    def _lock_file(self, deadline: float | None) -> None:
        """Begin to write, and wait for another process's lock until the deadline at most."""
        left = BUSY_TIMEOUT_SECONDS if deadline is None else deadline - time.monotonic()
        if left >= BUSY_TIMEOUT_SECONDS:
            self._db.execute("BEGIN IMMEDIATE")
            return
        self._db.execute(f"PRAGMA busy_timeout = {max(0, round(left * 1000))}")
        try:
            self._db.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError as error:
            if _is_busy(error):
                raise ServiceError(DEADLINE_PASSED) from error
            raise
        finally:
            self._db.execute(f"PRAGMA busy_timeout = {round(BUSY_TIMEOUT_SECONDS * 1000)}")

    def _undo(self) -> None:
        commit = self._commit
        try:
            if self._db.conn.in_transaction:
                self._db.execute("ROLLBACK TO turn")
                self._db.execute("RELEASE turn")
        finally:
            if commit is not None:
                self._end(commit)

    def _keep(self) -> _Commit:
        commit = self._commit
        assert commit is not None  # noqa: S101 # _begin made it
        if not self._db.conn.in_transaction:
            # SQLite rolled everything back by itself, and what ran in this turn didn't mind.
            self._end(commit)
            return commit
        self._db.execute("RELEASE turn")
        commit.turns += 1
        if self._waiting and commit.turns < TURNS_IN_A_COMMIT:
            self._turn.release()
        else:
            self._end(commit)
        return commit

    def _end(self, commit: _Commit) -> None:
        """Commit, if it is still this one that is open, and let go of the turn."""
        try:
            if self._commit is commit:
                self._commit = None
                self._write_out(commit)
        finally:
            self._turn.release()

    def _write_out(self, commit: _Commit) -> None:
        try:
            if not self._db.conn.in_transaction:
                # SQLite rolled everything back by itself, as it does when the disk is full.
                raise ServiceError(STORE_UNAVAILABLE, retry_after_seconds=5.0)
            self._db.execute("COMMIT" if commit.turns else "ROLLBACK")
        except Exception as error:  # noqa: BLE001 # whoever waits for this commit raises it
            commit.error = error
            if self._db.conn.in_transaction:
                self._db.execute("ROLLBACK")
        finally:
            commit.done.set()


def require_safe_version(version: tuple[int, ...]) -> None:
    """Raise `StoreSetupError` for a version of SQLite that can corrupt a database."""
    if version < FIRST_SAFE_VERSION:
        raise StoreSetupError(
            f"SQLite {'.'.join(map(str, version))} can corrupt a database in WAL mode; install the package"
            " 'pysqlite3', which brings a version that doesn't"
        )


@contextmanager
def _bounded(db: Database, deadline: float | None) -> Iterator[None]:
    """Interrupt statements on this connection that run past the deadline."""
    if deadline is None:
        yield
        return
    db.conn.set_progress_handler(lambda: time.monotonic() > deadline, _DEADLINE_CHECK_OPCODES)
    try:
        yield
    finally:
        db.conn.set_progress_handler(None, 0)


class SqliteStore(SqlStore):
    """`ports.Store` on one file, which is made when it doesn't exist.

    Raises `StoreSetupError` when the file, the library or the schema can't be used.
    """

    def __init__(self, path: Path, clock: Clock) -> None:
        require_safe_version(sqlite3.sqlite_version_info)
        super().__init__()
        self._path = path
        self._readers: list[Database] = []
        self._readers_lock = threading.Lock()
        try:
            make_directory(path.parent)
            _make_private(path)
            db = self._connect()
            _use_wal(db)
            migrate(db, clock)
            # A file that can only be read opens without a word.
            db.execute("UPDATE schema_migrations SET name = name WHERE version = 1")
        except (sqlite3.Error, OSError) as error:
            raise StoreSetupError(f"the database file {path} can't be opened and written: {error}") from error
        self._writer = _Writer(db)
        self._writer_db = db

    def _connect(self, *more: str) -> Database:
        connection = sqlite3.connect(
            self._path, timeout=BUSY_TIMEOUT_SECONDS, isolation_level=None, check_same_thread=False
        )
        db = Database(connection, execute_plugins=False)
        try:
            for pragma in (*PRAGMAS, *more):
                db.execute(f"PRAGMA {pragma}")
        except BaseException:
            db.close()
            raise
        return db

    def _reader(self) -> Database:
        db: Database | None = getattr(self._local, "reader", None)
        if db is None:
            db = self._connect("query_only = ON")
            with self._readers_lock:
                self._readers.append(db)
            self._local.reader = db
        return db

    @contextmanager
    def _reading(self, deadline: float | None) -> Iterator[Execute]:
        with _translated():
            db = self._reader()
            with _bounded(db, deadline):
                db.conn.execute("BEGIN")
                try:
                    yield db.execute
                finally:
                    # Where the disk can't be read SQLite has ended it by itself.
                    if db.conn.in_transaction:
                        db.conn.execute("ROLLBACK")

    @contextmanager
    def _writing(self, deadline: float | None) -> Iterator[Execute]:
        with _translated(), self._writer.turn(deadline) as db:
            yield db.execute

    def ping(self) -> None:
        """See `ports.Store`."""
        with _translated():
            self._reader().execute("SELECT 1 FROM schema_migrations").fetchone()

    def close(self) -> None:
        """Close all connections; nobody may use the store any more."""
        with self._readers_lock:
            for db in self._readers:
                db.close()
            self._readers.clear()
        self._writer_db.close()


def _make_private(path: Path) -> None:
    """Make the file, if there is none, for its owner alone; SQLite gives the files beside it the same mode."""
    with contextlib.suppress(FileExistsError):
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))


def _use_wal(db: Database) -> None:
    """Switch to WAL. Processes that do so at once on a fresh file collide, beyond the reach of SQLite's timeout."""
    until = time.monotonic() + BUSY_TIMEOUT_SECONDS
    while True:
        try:
            db.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            if not _is_busy(error) or time.monotonic() > until:
                raise
        time.sleep(0.01)


def migrate(db: Database, clock: Clock, history: tuple[Migration, ...] = MIGRATIONS) -> list[str]:
    """Bring the schema to the end of the history, each step in a transaction; give the names of the steps taken.

    Raises `StoreSetupError` for a database that a newer program has migrated.
    """
    db.execute(
        "CREATE TABLE IF NOT EXISTS schema_migrations"
        " (version INTEGER PRIMARY KEY, name TEXT NOT NULL, applied_at INTEGER NOT NULL) STRICT"
    )
    taken = []
    for version, migration in enumerate(history, start=1):
        db.execute("BEGIN IMMEDIATE")
        try:
            newest: int = db.execute("SELECT coalesce(max(version), 0) FROM schema_migrations").fetchone()[0]
            if newest > len(history):
                raise StoreSetupError(
                    f"the database has schema version {newest} and this program knows {len(history)};"
                    " run the program that wrote it, or a newer one"
                )
            if newest < version:
                _apply(db, version, migration, clock())
                taken.append(migration.name)
            db.execute("COMMIT")
        except BaseException:
            db.execute("ROLLBACK")
            raise
    return taken


def _apply(db: Database, version: int, migration: Migration, now: datetime) -> None:
    for statement in migration.statements:
        db.execute(statement.format_map(_DIALECT))
    row: dict[str, Any] = {"version": version, "name": migration.name, "now": to_micros(now)}
    db.execute("INSERT INTO schema_migrations VALUES (:version, :name, :now)", row)
