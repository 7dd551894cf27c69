"""Copies everything from one database into another, of either engine.

Tables go in the order of their foreign keys, rows in the order of their keys, a chunk in each transaction. How far the
copy is stands in the target, written in the same transaction as the rows, so that one that was interrupted goes on
where it stopped. Indexes and checks that cost more row by row than at once are made at the end. Then both databases
are read anew and compared, so that what was written into the source in the meantime doesn't stay behind unnoticed.
"""

from __future__ import annotations

import hashlib
import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any

import psycopg
from psycopg.rows import tuple_row
from sqlite_utils import Database

from server.files import make_directory
from server.ports import Clock
from server.store import postgres, sqlite
from server.store.migrations import MIGRATIONS
from server.store.sql_base import Cursor, Row, from_micros
from server.store.sql_store import StoreSetupError

CHUNK_ROWS = 10_000
"""How many rows go in a transaction."""

_PROGRESS = "copy_progress"
_LATER = "copy_later"
_UNDER_WAY = 2**31 - 1
"""A version in the target's history that no program knows, so that no server uses a part of a copy."""

_CHECKSUM_BYTES = 16

Report = Callable[[str, int, int], None]
"""Is told a table's name, how many of its rows are done, and how many it has."""


class CopyError(Exception):
    """The copy can't be made, or isn't right; the text says why and what to do."""


@dataclass(frozen=True, slots=True)
class Table:
    """A table of the schema, the same in every engine; `key` are the columns of its primary key."""

    name: str
    columns: tuple[str, ...]
    key: tuple[str, ...]

    def key_of(self, row: Row) -> list[Any]:
        """Give a row's values of the key."""
        return [row[self.columns.index(column)] for column in self.key]


@dataclass(frozen=True, slots=True)
class Contents:
    """What a table holds: how many rows, and a checksum in which their order plays no part."""

    rows: int
    checksum: str


@dataclass(frozen=True, slots=True)
class Step:
    """A migration that a database has seen."""

    version: int
    name: str
    applied_at: datetime


class End(ABC):
    """One of the two databases, on one connection. Statements have `mark` where a value goes."""

    mark: str
    name: str
    """Where it is, to tell it from others; no secret."""

    _begin_reading: str
    _begin_writing: str

    @abstractmethod
    def execute(self, sql: str, values: Sequence[Any] = ()) -> Cursor:
        """Run a statement."""

    @abstractmethod
    def has(self, table_name: str) -> bool:
        """Tell whether there is such a table."""

    @abstractmethod
    def migrate(self, clock: Clock) -> list[str]:
        """Bring the schema up to date; give the names of the steps taken."""

    @abstractmethod
    def insert(self, table: Table, rows: Sequence[Row]) -> None:
        """Add rows."""

    @abstractmethod
    def scan(self, table: Table) -> Iterator[Sequence[Row]]:
        """Give all rows, in whatever order, some at a time; inside `snapshot`."""

    @abstractmethod
    def set_aside(self) -> Sequence[tuple[str, str]]:
        """Give pairs of statements: what removes a thing that makes filling slow, and what makes it again."""

    @abstractmethod
    def settle(self) -> None:
        """Do what is good after much was written."""

    @abstractmethod
    def close(self) -> None:
        """Let go of the database."""

    def applied(self) -> list[Step]:
        """Give the migrations that this database has seen."""
        if not self.has("schema_migrations"):
            return []
        rows = self.execute(
            f"SELECT version, name, applied_at FROM schema_migrations WHERE version < {_UNDER_WAY} ORDER BY version"
        ).fetchall()
        return [Step(version, name, from_micros(at)) for version, name, at in rows]

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """Read everything from one moment."""
        self.execute(self._begin_reading)
        yield
        self.execute("ROLLBACK")

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Keep what is written together; whoever gets an exception closes the connection, which undoes it."""
        self.execute(self._begin_writing)
        yield
        self.execute("COMMIT")

    def rows_after(self, table: Table, key: Sequence[Any], limit: int) -> Sequence[Row]:
        """Give the rows that follow a key (the first, when it is empty), in the order of keys."""
        names = ", ".join(table.key)
        where = f"WHERE ({names}) > ({', '.join(self.mark for _ in key)})" if key else ""
        return self.execute(
            f"SELECT {', '.join(table.columns)} FROM {table.name} {where} ORDER BY {names} LIMIT {limit}", key
        ).fetchall()

    def count(self, table: Table) -> int:
        """Give how many rows a table has."""
        row = self.execute(f"SELECT count(*) FROM {table.name}").fetchone()
        return int(row[0]) if row else 0


class SqliteEnd(End):
    """A SQLite file; it must exist unless it is to be made."""

    mark = "?"
    _begin_reading = "BEGIN"
    _begin_writing = "BEGIN IMMEDIATE"

    def __init__(self, path: Path, *, make: bool = False) -> None:
        sqlite.require_safe_version(sqlite.sqlite3.sqlite_version_info)
        if make:
            make_directory(path.parent)
        elif not path.is_file():
            raise CopyError(f"there is no database file {path}")
        path = path.resolve()
        self.name = str(path)
        connection = sqlite.sqlite3.connect(
            f"{path.as_uri()}?mode={'rwc' if make else 'rw'}",
            uri=True,
            timeout=sqlite.BUSY_TIMEOUT_SECONDS,
            isolation_level=None,
        )
        self._db = Database(connection, execute_plugins=False)
        if make:
            sqlite.use_wal(self._db)
        # NORMAL: a crash of the machine may take the last chunks with it, but then also what is written of progress.
        # Foreign keys are not checked row by row: in the end the rows are those of a database that does.
        pragmas = ["foreign_keys = OFF", "synchronous = NORMAL", "cache_size = -131072", "temp_store = MEMORY"]
        for pragma in pragmas:
            self._db.execute(f"PRAGMA {pragma}")

    def execute(self, sql: str, values: Sequence[Any] = ()) -> Cursor:
        cursor: Cursor = self._db.execute(sql, values)
        return cursor

    def has(self, table_name: str) -> bool:
        found = self.execute("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?", (table_name,))
        return found.fetchone() is not None

    def migrate(self, clock: Clock) -> list[str]:
        return sqlite.migrate(self._db, clock)

    def insert(self, table: Table, rows: Sequence[Row]) -> None:
        marks = ", ".join("?" for _ in table.columns)
        self._db.conn.executemany(f"INSERT INTO {table.name} ({', '.join(table.columns)}) VALUES ({marks})", rows)

    def scan(self, table: Table) -> Iterator[Sequence[Row]]:
        cursor = self._db.execute(f"SELECT {', '.join(table.columns)} FROM {table.name}")
        while rows := cursor.fetchmany(CHUNK_ROWS):
            yield rows

    def set_aside(self) -> Sequence[tuple[str, str]]:
        indexes = self.execute("SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL")
        return [(f"DROP INDEX {name}", sql) for name, sql in indexes.fetchall()]

    def settle(self) -> None:
        self.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()

    def close(self) -> None:
        self._db.close()


class PostgresEnd(End):
    """A PostgreSQL database."""

    mark = "%s"
    # Reading or writing much takes its time, whatever the role is allowed otherwise.
    _begin_reading = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET LOCAL statement_timeout = 0"
    _begin_writing = "BEGIN ISOLATION LEVEL READ COMMITTED; SET LOCAL statement_timeout = 0"

    def __init__(self, url: str) -> None:
        defaults = postgres.DEFAULTS | {"application_name": "organization-service copy"}
        self._connection = psycopg.connect(
            **(defaults | postgres.parameters(url)), autocommit=True, prepare_threshold=None, row_factory=tuple_row
        )
        info = self._connection.info
        self.name = f"postgresql://{info.host}:{info.port}/{info.dbname}"

    def execute(self, sql: str, values: Sequence[Any] = ()) -> Cursor:
        return self._connection.execute(sql.encode(), values or None)

    def has(self, table_name: str) -> bool:
        row = self.execute("SELECT to_regclass(%s) IS NOT NULL", (table_name,)).fetchone()
        return row is not None and bool(row[0])

    def migrate(self, clock: Clock) -> list[str]:
        return postgres.migrate(self._connection, clock)

    def insert(self, table: Table, rows: Sequence[Row]) -> None:
        statement = f"COPY {table.name} ({', '.join(table.columns)}) FROM STDIN"
        with self._connection.cursor() as cursor, cursor.copy(statement.encode()) as copy:
            for row in rows:
                try:
                    copy.write_row(row)
                except psycopg.DataError as error:
                    raise CopyError(
                        f"the row {table.key_of(row)} of {table.name} can't be kept in PostgreSQL: {_line(error)}"
                    ) from error

    def scan(self, table: Table) -> Iterator[Sequence[Row]]:
        cursor = f"all_{table.name}"
        self.execute(f"DECLARE {cursor} NO SCROLL CURSOR FOR SELECT {', '.join(table.columns)} FROM {table.name}")
        while rows := self.execute(f"FETCH {CHUNK_ROWS} FROM {cursor}").fetchall():
            yield rows
        self.execute(f"CLOSE {cursor}")

    def set_aside(self) -> Sequence[tuple[str, str]]:
        names = [table.name for table in tables()]
        constraints = self.execute(
            "SELECT 'ALTER TABLE ' || conrelid::regclass || ' DROP CONSTRAINT ' || quote_ident(conname),"
            " 'ALTER TABLE ' || conrelid::regclass || ' ADD CONSTRAINT ' || quote_ident(conname) || ' '"
            " || pg_get_constraintdef(oid) FROM pg_constraint"
            " WHERE contype IN ('f', 'u') AND conrelid = ANY(%s::text[]::regclass[]) ORDER BY contype = 'f', conname",
            (names,),
        ).fetchall()
        indexes = self.execute(
            "SELECT 'DROP INDEX ' || indexrelid::regclass, pg_get_indexdef(indexrelid) FROM pg_index"
            " WHERE indrelid = ANY(%s::text[]::regclass[]) AND NOT EXISTS"
            " (SELECT FROM pg_constraint WHERE conindid = indexrelid AND contype IN ('p', 'u'))",
            (names,),
        ).fetchall()
        # Foreign keys come last: by then there are the indexes to check them with.
        return [(remove, make) for remove, make in (*indexes, *constraints)]

    def settle(self) -> None:
        # Otherwise the planner knows nothing of the tables until autovacuum comes by.
        for table in tables():
            self.execute(f"ANALYZE {table.name}")

    def close(self) -> None:
        self._connection.close()


def tables() -> tuple[Table, ...]:
    """Give the tables of the schema, each after those that it refers to.

    The history itself is asked, so that a migration that adds a table has nothing else to do.
    """
    found, references = {}, {}
    db = Database(sqlite.sqlite3.connect(":memory:", isolation_level=None), execute_plugins=False)
    try:
        sqlite.migrate(db, lambda: from_micros(0))
        for name in sorted(set(db.table_names()) - {"schema_migrations"}):
            columns = db.execute(f"PRAGMA table_info({name})").fetchall()
            key = sorted((place, column) for _, column, _, _, _, place in columns if place)
            found[name] = Table(name, tuple(column[1] for column in columns), tuple(column for _, column in key))
            references[name] = sorted({row[2] for row in db.execute(f"PRAGMA foreign_key_list({name})")})
    finally:
        db.close()
    return tuple(found[name] for name in TopologicalSorter(references).static_order())


def contents(end: End, table: Table) -> Contents:
    """Count and sum up the rows of a table, in the same way for every engine."""
    rows = total = 0
    for chunk in end.scan(table):
        rows += len(chunk)
        for row in chunk:
            digest = hashlib.blake2b(repr(tuple(row)).encode(), digest_size=_CHECKSUM_BYTES).digest()
            total += int.from_bytes(digest, "big")
    return Contents(rows, f"{total % 2 ** (8 * _CHECKSUM_BYTES):0{2 * _CHECKSUM_BYTES}x}")


def copy(source: End, target: End, clock: Clock, report: Report) -> dict[str, Contents]:
    """Copy everything, or what is missing of a copy that was interrupted; give what both databases hold now.

    Nothing may write into either of them meanwhile: `CopyError` when something did, for other mistakes, and when
    the target holds anything but a copy of this source under way.
    """
    with plain_errors():
        _require_source(source, target)
        _prepare(source, target, clock)
        with source.snapshot():
            for table in tables():
                _copy_table(source, target, table, report)
        _make_again(target, report)
        return _finish(source, target, report)


@contextmanager
def plain_errors() -> Iterator[None]:
    """Turn what the drivers raise into a `CopyError` of one line."""
    try:
        yield
    except (psycopg.errors.IntegrityError, sqlite.sqlite3.IntegrityError) as error:
        raise CopyError(
            f"a row doesn't fit into the target ({_line(error)}): something was written into one of the databases"
            " since the copy began; stop the servers and copy into a fresh database"
        ) from error
    except (psycopg.Error, sqlite.sqlite3.Error, OSError, UnicodeError) as error:
        raise CopyError(_line(error)) from error


def _line(error: Exception) -> str:
    text = str(error).strip()
    return text.splitlines()[0] if text else type(error).__name__


def _require_source(source: End, target: End) -> None:
    if source.name == target.name:
        raise CopyError(f"source and target are the same database, {source.name}")
    applied = source.applied()
    if not applied:
        raise CopyError(f"{source.name} is no database of this service")
    if len(applied) > len(MIGRATIONS):
        raise StoreSetupError(f"{source.name} was written by a newer program; copy with that one")
    if len(applied) < len(MIGRATIONS):
        raise CopyError(f"{source.name} isn't up to date; run first: organization-service migrate")
    if source.has(_PROGRESS):
        raise CopyError(f"{source.name} is itself a copy that isn't complete; finish that one first")


def _prepare(source: End, target: End, clock: Clock) -> None:
    """Make the target ready: fresh with an empty schema, or as an earlier copy left it."""
    if target.has(_PROGRESS):
        begun = target.execute(f"SELECT DISTINCT source FROM {_PROGRESS}").fetchall()
        if [row[0] for row in begun] != [source.name] or len(target.applied()) != len(MIGRATIONS):
            raise CopyError(
                f"{target.name} holds a part of another copy, from {begun[0][0] if begun else 'nowhere'}; go on with"
                " that, by the program that began it, or copy into a fresh database"
            )
        return
    target.migrate(clock)
    with target.transaction():
        for table in tables():
            if target.rows_after(table, (), 1):
                raise CopyError(f"{target.name} holds data already; a copy is made into an empty database only")
        target.execute(
            f"CREATE TABLE {_PROGRESS} (table_name TEXT PRIMARY KEY, source TEXT NOT NULL, last_key TEXT NOT NULL,"
            " row_count BIGINT NOT NULL)"
        )
        for table in tables():
            values = (table.name, source.name, "[]")
            marks = ", ".join(target.mark for _ in values)
            target.execute(f"INSERT INTO {_PROGRESS} VALUES ({marks}, 0)", values)
        target.execute(
            "INSERT INTO schema_migrations (version, name, applied_at)"
            f" VALUES ({_UNDER_WAY}, 'a copy that is not complete', 0)"
        )
        target.execute(f"CREATE TABLE {_LATER} (place BIGINT PRIMARY KEY, statement TEXT NOT NULL)")
        for place, (remove, make) in enumerate(target.set_aside()):
            target.execute(remove)
            target.execute(f"INSERT INTO {_LATER} VALUES ({place}, {target.mark})", (make,))


def _copy_table(source: End, target: End, table: Table, report: Report) -> None:
    row = target.execute(
        f"SELECT last_key, row_count FROM {_PROGRESS} WHERE table_name = {target.mark}", (table.name,)
    ).fetchone()
    if row is None:
        raise CopyError(f"{target.name} has lost how far the copy is; copy into a fresh database")
    last_key, done = row
    total = source.count(table)
    report(table.name, done, total)
    while rows := source.rows_after(table, json.loads(last_key), CHUNK_ROWS):
        key = json.dumps(table.key_of(rows[-1]))
        with target.transaction():
            moved = target.execute(
                f"UPDATE {_PROGRESS} SET last_key = {target.mark}, row_count = row_count + {target.mark}"
                f" WHERE table_name = {target.mark} AND last_key = {target.mark}",
                (key, len(rows), table.name, last_key),
            ).rowcount
            if moved != 1:
                raise CopyError(f"another copy into {target.name} is under way; let it end, then run this again")
            target.insert(table, rows)
        last_key, done = key, done + len(rows)
        report(table.name, done, total)


def _make_again(target: End, report: Report) -> None:
    """Make what was set aside, each in a transaction."""
    later = target.execute(f"SELECT place, statement FROM {_LATER} ORDER BY place").fetchall()
    for done, (place, statement) in enumerate(later):
        report("indexes", done, len(later))
        with target.transaction():
            target.execute(statement)
            target.execute(f"DELETE FROM {_LATER} WHERE place = {place}")
    report("indexes", len(later), len(later))


def _finish(source: End, target: End, report: Report) -> dict[str, Contents]:
    """Compare the two databases as they are now, and declare the copy complete."""
    compared, different = {}, []
    with source.snapshot(), target.snapshot():
        for table in tables():
            report(f"checking {table.name}", 0, 0)
            compared[table.name] = contents(source, table)
            if contents(target, table) != compared[table.name]:
                different.append(table.name)
    if different:
        raise CopyError(
            f"source and target differ in {', '.join(different)}: something was written into one of them since the copy"
            " began; stop the servers and copy into a fresh database"
        )
    target.settle()
    with target.transaction():
        target.execute(f"DELETE FROM schema_migrations WHERE version = {_UNDER_WAY}")
        target.execute(f"DROP TABLE {_LATER}")
        target.execute(f"DROP TABLE {_PROGRESS}")
    return compared
