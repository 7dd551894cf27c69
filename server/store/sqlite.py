"""The store on an embedded SQLite file, by sqlite-utils.

WAL, `synchronous=FULL`, foreign keys on. Whoever reads takes a connection for that long. All writers of a process share
one connection and take turns on it: each turn is a savepoint, and turns that wait for each other are committed
together, so that many callers share one fsync. A turn returns to its caller only after the commit that holds it.
"""

from __future__ import annotations

import contextlib
import math
import os
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from datetime import datetime
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any

from sqlite_utils import Database
from sqlite_utils import utils as sqlite_utils

from server.domain.errors import DEADLINE_PASSED, STORE_BUSY, STORE_UNAVAILABLE, ServiceError
from server.files import make_directory
from server.ports import Clock, Snapshot
from server.store.migrations import MIGRATIONS, Migration
from server.store.sql import SqlSnapshot
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

FOREIGN_CHANGES_SECONDS = 0.5
"""How often is looked whether another process has changed the database."""

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


def _raise_known(error: BaseException | None) -> None:
    """Raise what a driver's error means for a caller, where that is known."""
    if isinstance(error, sqlite3.Error):
        known = as_service_error(error)
        if known is not None:
            raise known from error


class _Translated:
    """Raises the driver's errors as what they mean for a caller."""

    def __enter__(self) -> None:
        """Nothing to begin."""

    def __exit__(
        self, _kind: type[BaseException] | None, error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        _raise_known(error)


_translated = _Translated()


class _Deadline:
    """When the statements of a connection are interrupted, in seconds of `time.monotonic`."""

    __slots__ = ("at",)

    def __init__(self, connection: Any) -> None:
        self.at = math.inf
        # Once and for all: setting it for each statement costs as much as a small one.
        connection.set_progress_handler(self._passed, _DEADLINE_CHECK_OPCODES)

    def _passed(self) -> bool:
        return time.monotonic() > self.at


class _Commit:
    """One commit that several turns wait for; those that are kept so far are counted in `turns`."""

    __slots__ = ("_undone", "error", "turns")

    def __init__(self) -> None:
        self.turns = 0
        self.error: Exception | None = None
        self._undone = threading.Lock()
        self._undone.acquire()

    def done(self) -> None:
        """Let those go on who wait."""
        self._undone.release()

    def wait(self) -> None:
        """Wait until it is done."""
        with self._undone:
            pass


class _Writer:
    """The one connection that writes, used by one thread at a time."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self._deadline = _Deadline(connection)
        self.execute: Execute = connection.execute
        self._turn = threading.Lock()
        self._count = threading.Lock()
        self._waiting = 0
        self._commit: _Commit | None = None
        self.commits = 0
        """How often this process has committed."""

    def begin(self, deadline: float | None) -> None:
        """Take a turn: whoever asks has the connection until it calls `keep` or `undo`.

        The first turn of a commit has the transaction to itself, those after it a savepoint each.
        """
        self._take_turn(deadline)
        try:
            if self._commit is None:
                self._lock_file(deadline)
                self._commit = _Commit()
            else:
                self._connection.execute("SAVEPOINT turn")
            self._deadline.at = math.inf if deadline is None else deadline
        except BaseException:
            self._end(self._commit)
            raise

    def _take_turn(self, deadline: float | None) -> None:
        left = -1.0 if deadline is None else deadline - time.monotonic()
        if deadline is not None and left <= 0:
            raise ServiceError(DEADLINE_PASSED)
        if self._turn.acquire(blocking=False):
            return
        with self._count:
            self._waiting += 1
        taken = self._turn.acquire(timeout=left)
        with self._count:
            self._waiting -= 1
            # Whoever ended a turn while we waited left the commit to us. Where we give up and nobody took over, it is
            # still ours to do.
            orphaned = not taken and not self._waiting and self._turn.acquire(blocking=False)
        if orphaned:
            self._end(self._commit)
        if not taken:
            raise ServiceError(DEADLINE_PASSED)

    def _lock_file(self, deadline: float | None) -> None:
        """Begin to write, and wait for another process's lock until the deadline at most."""
        left = BUSY_TIMEOUT_SECONDS if deadline is None else deadline - time.monotonic()
        if left >= BUSY_TIMEOUT_SECONDS:
            self._connection.execute("BEGIN IMMEDIATE")
            return
        self._connection.execute(f"PRAGMA busy_timeout = {max(0, round(left * 1000))}")
        try:
            self._connection.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError as error:
            if _is_busy(error):
                raise ServiceError(DEADLINE_PASSED) from error
            raise
        finally:
            self._connection.execute(f"PRAGMA busy_timeout = {round(BUSY_TIMEOUT_SECONDS * 1000)}")

    def undo(self) -> None:
        """End a turn without what it wrote.

        Raises what went wrong with the commit that it shares: then what it saw of the turns before was never so, nor
        what it is given up for.
        """
        commit = self._commit
        assert commit is not None  # noqa: S101 # begin made it
        self._deadline.at = math.inf
        try:
            if commit.turns and self._connection.in_transaction:
                self._connection.execute("ROLLBACK TO turn")
                self._connection.execute("RELEASE turn")
        except BaseException:
            # What this turn wrote can't be undone by itself any more.
            self._undo_all()
            raise
        finally:
            self._end(commit)
        if commit.error is not None:
            raise commit.error

    def keep(self) -> None:
        """End a turn; what it wrote is on disk when this returns."""
        self._deadline.at = math.inf
        commit = self._keep()
        commit.wait()
        if commit.error is not None:
            raise commit.error

    def _keep(self) -> _Commit:
        commit = self._commit
        assert commit is not None  # noqa: S101 # begin made it
        try:
            if commit.turns and self._connection.in_transaction:
                self._connection.execute("RELEASE turn")
        except BaseException:
            self._undo_all()
            self._end(commit)
            raise
        commit.turns += 1
        with self._count:
            # Everybody whose turn is kept waits for the commit, so each thread has one turn in it at most: it ends, and
            # other processes get the lock too.
            left_to_others = self._waiting > 0 and self._connection.in_transaction
            if left_to_others:
                self._turn.release()
        if not left_to_others:
            self._end(commit)
        return commit

    def _undo_all(self) -> None:
        """Undo all that shares the commit."""
        if self._connection.in_transaction:
            self._connection.execute("ROLLBACK")

    def _end(self, commit: _Commit | None) -> None:
        """Commit, if there is something to commit, and let go of the turn."""
        try:
            if commit is not None:
                self._commit = None
                self._write_out(commit)
        finally:
            self._turn.release()

    def _write_out(self, commit: _Commit) -> None:
        try:
            if not commit.turns:
                self._undo_all()
            elif self._connection.in_transaction:
                self._connection.execute("COMMIT")
                # Before anybody hears of it.
                self.commits += 1
            else:
                # SQLite rolled everything back by itself, as it does when the disk is full.
                raise ServiceError(STORE_UNAVAILABLE, retry_after_seconds=5.0)
        except Exception as error:  # noqa: BLE001 # whoever waits for this commit raises it
            commit.error = error
            self._undo_all()
        finally:
            commit.done()


def require_safe_version(version: tuple[int, ...]) -> None:
    """Raise `StoreSetupError` for a version of SQLite that can corrupt a database."""
    if version < FIRST_SAFE_VERSION:
        raise StoreSetupError(
            f"SQLite {'.'.join(map(str, version))} can corrupt a database in WAL mode; install the package"
            " 'pysqlite3', which brings a version that doesn't"
        )


class _Reader:
    """A connection that reads, for one at a time: whoever takes it enters it, and gives it back by that.

    Without BEGIN each statement sees the moment at which it runs.
    """

    __slots__ = ("_idle", "connection", "deadline", "snapshot")

    def __init__(self, connection: Any, idle: list[_Reader]) -> None:
        self._idle = idle
        self.connection = connection
        self.deadline = _Deadline(connection)
        self.snapshot = SqlSnapshot(connection.execute)

    def __enter__(self) -> Snapshot:
        return self.snapshot

    def __exit__(
        self, _kind: type[BaseException] | None, error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self.deadline.at = math.inf
        self._idle.append(self)
        _raise_known(error)


class _Readers:
    """The connections that read: as many as have ever read at once, those first that were used last."""

    def __init__(self, connect: Callable[[], Database]) -> None:
        self._connect = connect
        self._all: list[Any] = []
        self._idle: list[_Reader] = []

    def take(self, deadline: float | None) -> _Reader:
        """Give one that nobody uses."""
        try:
            reader = self._idle.pop()
        except IndexError:
            with _translated:
                connection = self._connect().conn
            self._all.append(connection)
            reader = _Reader(connection, self._idle)
        if deadline is not None:
            reader.deadline.at = deadline
        return reader

    def close(self) -> None:
        """Close all."""
        self._idle.clear()
        while self._all:
            self._all.pop().close()


class _Reading:
    """Runs statements that read and all see one moment, on a connection of their own."""

    __slots__ = ("_deadline", "_reader", "_readers")

    def __init__(self, readers: _Readers, deadline: float | None) -> None:
        self._readers = readers
        self._deadline = deadline

    def __enter__(self) -> Execute:
        self._reader = self._readers.take(self._deadline)
        execute: Execute = self._reader.connection.execute
        with _translated:
            execute("BEGIN", {})
        return execute

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        connection = self._reader.connection
        self._reader.deadline.at = math.inf
        with _translated:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
        self._reader.__exit__(kind, error, trace)


class _Writing:
    """A turn of the writer."""

    __slots__ = ("_deadline", "_writer")

    def __init__(self, writer: _Writer, deadline: float | None) -> None:
        self._writer = writer
        self._deadline = deadline

    def __enter__(self) -> Execute:
        with _translated:
            self._writer.begin(self._deadline)
        return self._writer.execute

    def __exit__(
        self, _kind: type[BaseException] | None, error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        with _translated:
            if error is None:
                self._writer.keep()
                return
            self._writer.undo()
        _raise_known(error)


class _ForeignChanges:
    """Counts how often it was seen that others had changed the file; what this process commits counts too."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self._lock = threading.Lock()
        self._looked_until = -math.inf
        self._seen = -1
        self._count = 0

    def count(self) -> int:
        """Give the number, at most FOREIGN_CHANGES_SECONDS old."""
        if time.monotonic() >= self._looked_until:
            with self._lock:
                now = time.monotonic()
                if now >= self._looked_until:
                    with _translated:
                        seen = self._connection.execute("PRAGMA data_version").fetchone()[0]
                    self._count += seen != self._seen
                    self._seen = seen
                    self._looked_until = now + FOREIGN_CHANGES_SECONDS
        return self._count

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()


class SqliteStore(SqlStore):
    """`ports.Store` on one file, which is made when it doesn't exist.

    Raises `StoreSetupError` when the file, the library or the schema can't be used.
    """

    def __init__(self, path: Path, clock: Clock) -> None:
        require_safe_version(sqlite3.sqlite_version_info)
        super().__init__()
        self._path = path
        self._readers = _Readers(partial(self._connect, "query_only = ON"))
        try:
            make_directory(path.parent)
            _make_private(path)
            db = self._connect()
            use_wal(db)
            migrate(db, clock)
            # A file that can only be read opens without a word.
            db.execute("UPDATE schema_migrations SET name = name WHERE version = 1")
            self._foreign_changes = _ForeignChanges(self._connect("query_only = ON").conn)
        except (sqlite3.Error, OSError) as error:
            raise StoreSetupError(f"the database file {path} can't be opened and written: {error}") from error
        self._writer = _Writer(db.conn)
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

    def _reading(self, deadline: float | None) -> AbstractContextManager[Execute]:
        return _Reading(self._readers, deadline)

    def look(self, deadline: float | None = None) -> AbstractContextManager[Snapshot]:
        """See `ports.Store`."""
        ambient = self._local.current
        return self._readers.take(deadline) if ambient is None else nullcontext(ambient)

    def _writing(self, deadline: float | None) -> AbstractContextManager[Execute]:
        return _Writing(self._writer, deadline)

    def version(self) -> int:
        """See `ports.Store`: neither of the two ever becomes less."""
        return self._writer.commits + self._foreign_changes.count()

    def ping(self) -> None:
        """See `ports.Store`."""
        with self._reading(None) as execute:
            execute("SELECT 1 FROM schema_migrations", {}).fetchone()

    def close(self) -> None:
        """Close all connections; nobody may use the store any more."""
        self._readers.close()
        self._foreign_changes.close()
        self._writer_db.close()


def _make_private(path: Path) -> None:
    """Make the file, if there is none, for its owner alone; SQLite gives the files beside it the same mode."""
    with contextlib.suppress(FileExistsError):
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))


def use_wal(db: Database) -> None:
    """Switch to WAL. Processes that do so at once on a fresh file collide, beyond the reach of SQLite's timeout.

    It is done, or refused, when the statement has been followed to its end. Where memory can't be shared SQLite raises
    nothing, and answers with the mode that stays.
    """
    until = time.monotonic() + BUSY_TIMEOUT_SECONDS
    while True:
        try:
            ((mode,),) = db.execute("PRAGMA journal_mode = WAL").fetchall()
            if mode != "wal":
                raise OSError(f"SQLite can't keep a write-ahead log there; its journal stays {mode!r}")
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
