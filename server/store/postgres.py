"""The store on PostgreSQL, or what speaks its protocol, by psycopg and its pool.

Writes run at READ COMMITTED and lock the organization's row first, so that all that is decided about an organization is
decided by one transaction at a time; reads run at REPEATABLE READ, read only. Nothing is kept in a session:
no prepared statements, no SET but SET LOCAL, no advisory locks, so that a pooler in transaction mode may stand between. `docs/storage.md` argues for all this.
"""

from __future__ import annotations

import logging
import re
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import psycopg
from psycopg import errors as pg
from psycopg.rows import tuple_row
from psycopg_pool import ConnectionPool, PoolTimeout

from server.domain.errors import (
    CONFLICT,
    DEADLINE_PASSED,
    OUTCOME_UNKNOWN,
    STORE_BUSY,
    STORE_UNAVAILABLE,
    ServiceError,
)
from server.ports import Clock
from server.store.migrations import MIGRATIONS, Migration
from server.store.sql_base import Cursor, Execute, to_micros
from server.store.sql_store import SqlStore, StoreSetupError

log = logging.getLogger(__name__)

Connection = psycopg.Connection[tuple[Any, ...]]

CONNECT_TIMEOUT_SECONDS = 5
LONGEST_STATEMENT_SECONDS = 30.0
"""The deadline of work that brings none, or a later one."""

SETTLE_SECONDS = 20.0
"""How long the outcome of a commit whose answer was lost is looked for."""

MARKS_KEPT_SECONDS = 3600
"""How long it can be looked up whether a transaction was committed."""

_DIALECT = {"integer": "BIGINT", "bytes": "BYTEA", "strict": ""}
_PARAMETER = re.compile(r"(?<!:):([a-z_][a-z_0-9]*)")
_TEXT = re.compile(r"\bTEXT\b")


@cache
def _statement(sql: str) -> bytes:
    """Give a statement with `:name` parameters as psycopg writes them."""
    return _PARAMETER.sub(r"%(\1)s", sql.replace("%", "%%")).encode()


def as_service_error(error: Exception) -> ServiceError | None:
    """Give what a driver's error means for a caller, by its SQLSTATE; None when it is a fault of ours."""
    if isinstance(error, pg.SerializationFailure | pg.DeadlockDetected):
        return ServiceError(CONFLICT)
    if isinstance(error, pg.QueryCanceled | pg.LockNotAvailable):
        return ServiceError(DEADLINE_PASSED)
    if isinstance(error, PoolTimeout | pg.TooManyConnections):
        return ServiceError(STORE_BUSY, retry_after_seconds=1.0)
    # No SQLSTATE: the connection was lost. Class 57: the server is going down; 53: it has run out of something;
    # 25006: it is a standby now.
    state = getattr(error, "sqlstate", None)
    lost = isinstance(error, psycopg.OperationalError | psycopg.InterfaceError) and state is None
    if lost or (state is not None and (state[:2] in ("08", "53", "57", "58") or state == "25006")):
        return ServiceError(STORE_UNAVAILABLE, retry_after_seconds=2.0)
    return None


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except (psycopg.Error, PoolTimeout) as error:
        known = as_service_error(error)
        if known is None:
            raise
        raise known from error


class PostgresStore(SqlStore):
    """`ports.Store` on the database that a `postgresql://` URL names; several hosts and target_session_attrs too.

    Raises `StoreSetupError` when it can't be reached or its schema can't be used.
    """

    row_lock = " FOR UPDATE"

    def __init__(self, url: str, clock: Clock, *, connections: int = 16) -> None:
        super().__init__()
        self._clock = clock
        settings: dict[str, Any] = {
            "autocommit": True,
            "connect_timeout": CONNECT_TIMEOUT_SECONDS,
            "prepare_threshold": None,
            "row_factory": tuple_row,
            "application_name": "organization-service",
            # A host that vanishes without a word is noticed within seconds.
            "keepalives_idle": 5,
            "keepalives_interval": 2,
            "keepalives_count": 3,
            "tcp_user_timeout": 10_000,
        }
        self._pool: ConnectionPool[Connection] = ConnectionPool(
            url,
            kwargs=settings,
            min_size=1,
            max_size=connections,
            timeout=CONNECT_TIMEOUT_SECONDS,
            max_idle=300,
            reconnect_timeout=60,
            check=None,
            open=False,
        )
        try:
            with psycopg.connect(url, **settings) as connection:
                migrate(connection, clock)
        except (psycopg.Error, UnicodeError) as error:
            reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
            raise StoreSetupError(f"the PostgreSQL database can't be used: {reason}") from error
        self._pool.open()

    @contextmanager
    def _connection(self, deadline: float) -> Iterator[Connection]:
        left = deadline - time.monotonic()
        if left <= 0:
            raise ServiceError(DEADLINE_PASSED)
        with self._pool.connection(timeout=min(left, CONNECT_TIMEOUT_SECONDS)) as connection:
            yield connection

    @contextmanager
    def _reading(self, deadline: float | None) -> Iterator[Execute]:
        until = _until(deadline)
        with _translated(), self._connection(until) as connection:
            connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
            try:
                yield _bounded_execute(connection, until)
            finally:
                _roll_back(connection)

    @contextmanager
    def _writing(self, deadline: float | None) -> Iterator[Execute]:
        until = _until(deadline)
        mark = str(uuid.uuid4())
        with _translated():
            with self._connection(until) as connection:
                connection.execute("BEGIN")
                try:
                    yield _bounded_execute(connection, until)
                    connection.execute(
                        "INSERT INTO transaction_marks (id, created_at) VALUES (%s, %s)",
                        (mark, to_micros(self._clock())),
                    )
                except BaseException:
                    _roll_back(connection)
                    raise
                try:
                    connection.execute("COMMIT")
                    return
                except psycopg.Error as error:
                    if getattr(error, "sqlstate", None) not in (None, "40003", "08007", "57P01"):
                        raise
                    log.warning("the answer to a commit was lost; looking for its outcome")
            self._settle(mark)

    def _settle(self, mark: str) -> None:
        """Find out whether a transaction was committed; raise `STORE_UNAVAILABLE` when not.

        Its mark is looked for, and written where it is missing: then a commit that is still under way fails on it, so
        that the answer stays true.
        """
        until = time.monotonic() + SETTLE_SECONDS
        while time.monotonic() < until:
            try:
                with self._connection(until) as connection:
                    written = connection.execute(
                        "INSERT INTO transaction_marks (id, created_at) VALUES (%s, %s) ON CONFLICT DO NOTHING",
                        (mark, to_micros(self._clock())),
                    ).rowcount
            except (psycopg.Error, PoolTimeout, ServiceError) as error:
                log.warning("the outcome of a commit can't be looked up yet: %s", type(error).__name__)
                time.sleep(0.2)
                continue
            if written:
                raise ServiceError(STORE_UNAVAILABLE, retry_after_seconds=1.0)
            return
        raise ServiceError(OUTCOME_UNKNOWN, retry_after_seconds=5.0)

    def forget_marks(self) -> None:
        """Remove marks of transactions long done; called now and then beside the requests."""
        before = to_micros(self._clock()) - MARKS_KEPT_SECONDS * 1_000_000
        with _translated(), self._connection(_until(None)) as connection:
            connection.execute("DELETE FROM transaction_marks WHERE created_at < %s", (before,))

    def ping(self) -> None:
        """See `ports.Store`."""
        with _translated(), self._connection(time.monotonic() + 2) as connection:
            connection.execute("SELECT 1 FROM schema_migrations LIMIT 1").fetchone()

    def close(self) -> None:
        """Close all connections; nobody may use the store any more."""
        self._pool.close()


def _until(deadline: float | None) -> float:
    latest = time.monotonic() + LONGEST_STATEMENT_SECONDS
    return latest if deadline is None else min(deadline, latest)


def _bounded_execute(connection: Connection, until: float) -> Execute:
    """Give what runs statements of one transaction, none beyond the deadline."""
    left_ms = max(1, round((until - time.monotonic()) * 1000))
    connection.execute(f"SET LOCAL statement_timeout = {left_ms}".encode())

    def execute(sql: str, parameters: dict[str, Any]) -> Cursor:
        if time.monotonic() > until:
            raise ServiceError(DEADLINE_PASSED)
        return connection.execute(_statement(sql), parameters)

    return execute


def _roll_back(connection: Connection) -> None:
    try:
        connection.execute("ROLLBACK")
    except psycopg.Error:
        # It was lost; the server rolls back by itself, and the pool throws the connection away.
        connection.close()


def migrate(connection: Connection, clock: Clock, history: tuple[Migration, ...] = MIGRATIONS) -> list[str]:
    """Bring the schema to the end of the history, each step in a transaction; give the names of the steps taken.

    Several servers may do so at once: each step begins by writing its row, so that the others wait for it and find it
    done. Raises `StoreSetupError` for a database that a newer program has migrated.
    """
    _create_history(connection)
    taken = []
    for version, migration in enumerate(history, start=1):
        with connection.transaction():
            row = {"version": version, "name": migration.name, "now": to_micros(clock())}
            first = connection.execute(
                "INSERT INTO schema_migrations VALUES (%(version)s, %(name)s, %(now)s) ON CONFLICT DO NOTHING", row
            ).rowcount
            if first:
                for statement in migration.statements:
                    connection.execute(_TEXT.sub('TEXT COLLATE "C"', statement.format_map(_DIALECT)).encode())
                taken.append(migration.name)
    newest = connection.execute("SELECT max(version) FROM schema_migrations").fetchone()
    if newest is not None and newest[0] > len(history):
        raise StoreSetupError(
            f"the database has schema version {newest[0]} and this program knows {len(history)}; run the program that"
            " wrote it, or a newer one"
        )
    return taken


def _create_history(connection: Connection) -> None:
    for _ in range(10):
        try:
            connection.execute(
                "CREATE TABLE IF NOT EXISTS schema_migrations"
                ' (version BIGINT PRIMARY KEY, name TEXT COLLATE "C" NOT NULL, applied_at BIGINT NOT NULL)'
            )
            # Marks by which the outcome of a commit is looked up when its answer was lost.
            connection.execute(
                "CREATE TABLE IF NOT EXISTS transaction_marks"
                ' (id TEXT COLLATE "C" PRIMARY KEY, created_at BIGINT NOT NULL)'
            )
            connection.execute("CREATE INDEX IF NOT EXISTS transaction_marks_time ON transaction_marks (created_at)")
            return
        except (pg.UniqueViolation, pg.DuplicateTable, pg.InternalError_) as error:
            # Another server makes it at the same moment, which IF NOT EXISTS doesn't cover.
            log.info("another server is making the schema: %s", type(error).__name__)
            time.sleep(0.1)
    raise StoreSetupError("the schema's history can't be made; try again")
