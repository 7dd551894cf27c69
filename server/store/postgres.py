"""The store on PostgreSQL, or what speaks its protocol, by psycopg and its pool.

Writes run at READ COMMITTED and lock the organization's row first, so that all that is decided about an organization is
decided by one transaction at a time; reads run at REPEATABLE READ, read only. Nothing is kept in a session: no prepared
statements, no SET but SET LOCAL, no advisory locks, so that a pooler in transaction mode may stand between.
`docs/storage.md` argues for all this.
"""

from __future__ import annotations

import logging
import math
import random
import re
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any, TypeVar

import psycopg
from psycopg import errors as pg
from psycopg.abc import PQGen
from psycopg.conninfo import conninfo_to_dict
from psycopg.pq import TransactionStatus
from psycopg.rows import tuple_row
from psycopg_pool import ConnectionPool, PoolTimeout

from server.domain.errors import (
    CONFLICT,
    DEADLINE_PASSED,
    INVALID_REQUEST,
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

Value = TypeVar("Value")

READING = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
WRITING = "BEGIN ISOLATION LEVEL READ COMMITTED"

CONNECT_TIMEOUT_SECONDS = 3
"""How long one host is tried, and how long a connection is waited for before the database counts as unreachable."""

LONGEST_SECONDS = 30.0
"""The deadline of work that brings none, or a later one."""

GRACE_SECONDS = 0.5
"""How long an answer is still waited for after the deadline, at which the server gives up by itself and says so."""

SETTLE_SECONDS = 2.0
"""How long the outcome of a commit whose answer was lost is looked for when the deadline is nearer."""

MARKS_KEPT_SECONDS = 3600
"""How long it can be looked up whether a transaction was committed."""

FORGET_EVERY_SECONDS = 600.0
MARKS_FORGOTTEN_AT_ONCE = 10_000
_NOW = "CAST(extract(epoch FROM clock_timestamp()) * 1000000 AS BIGINT)"
"""The database's clock, by which marks are old: a server whose own goes wrong mustn't remove those of others."""

FRESH_TRIES = 2
"""How many fresh connections may die before a transaction has begun."""

_RETRY_SECONDS = 0.25
"""How often a connection is tried for while the database can't be reached."""

DEFAULTS: dict[str, Any] = {
    "connect_timeout": CONNECT_TIMEOUT_SECONDS,
    "client_encoding": "utf8",
    "application_name": "organization-service",
    # A host that vanishes without a word is noticed within seconds.
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
}
"""Parameters of connections, where the URL doesn't give others."""

_SESSION: dict[str, Any] = {"autocommit": True, "prepare_threshold": None, "row_factory": tuple_row}

_DIALECT = {"integer": "BIGINT", "bytes": "BYTEA", "strict": ""}
_PARAMETER = re.compile(r"(?<!:):([a-z_][a-z_0-9]*)")
_TEXT = re.compile(r"\bTEXT\b")


class LateError(psycopg.OperationalError):
    """The deadline passed before a statement, or while its answer was waited for; then the connection is closed."""


class Connection(psycopg.Connection[tuple[Any, ...]]):
    """A connection on which no answer is waited for longer than `until`, in seconds of `time.monotonic`.

    Deadlines are the server's to keep. This is for when it doesn't: when it is gone without a word, when a pooler has
    no server for us, when a commit waits for a standby.
    """

    until = math.inf
    is_used = False
    warned = False
    """Whether the server has warned since this was last set to False."""

    def wait(self, gen: PQGen[Value], interval: float = 0.1, timeout: float | None = None) -> Value:
        """Wait for what psycopg has asked of the server."""
        if self.until < math.inf:
            timeout = max(0.0, self.until - time.monotonic())
        try:
            return super().wait(gen, interval, timeout)
        except psycopg.OperationalError as error:
            if self.pgconn.transaction_status != TransactionStatus.ACTIVE:
                raise
            self.close()
            raise LateError("no answer in time") from error


@lru_cache(1024)
def _statement(sql: str) -> bytes:
    """Give a statement with `:name` parameters as psycopg writes them."""
    return _PARAMETER.sub(r"%(\1)s", sql.replace("%", "%%")).encode()


def as_service_error(error: Exception) -> ServiceError | None:
    """Give what a driver's error means for a caller, by its SQLSTATE; None when it is a fault of ours."""
    state: str = getattr(error, "sqlstate", None) or ""
    if isinstance(error, LateError) or state in ("57014", "25P03", "25P04"):
        return ServiceError(DEADLINE_PASSED)
    # Class 40: others changed the same thing. What guarded statements can't foresee shows at a constraint: something
    # that is referred to was removed meanwhile, or something unique was added.
    if state[:2] == "40" or state in ("23503", "23505"):
        return ServiceError(CONFLICT)
    # Its lock_timeout is the operator's.
    if state == "55P03":
        return ServiceError(STORE_BUSY, retry_after_seconds=1.0)
    # No SQLSTATE: the connection was lost, or there is none. Class 08: a pooler says so; 57: the server is going down;
    # 53 and 58: it has run out of something or can't write; 25006: it is a standby now.
    lost = not state and isinstance(error, psycopg.OperationalError | psycopg.InterfaceError)
    if lost or state[:2] in ("08", "53", "57", "58") or state == "25006":
        return ServiceError(STORE_UNAVAILABLE, retry_after_seconds=2.0)
    # psycopg itself refuses the one character that PostgreSQL's text can't hold.
    if isinstance(error, psycopg.DataError) and state in ("", "22021"):
        return ServiceError(INVALID_REQUEST, {"fields": "text can't hold the character U+0000"})
    return None


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except psycopg.Error as error:
        known = as_service_error(error)
        if known is None:
            raise
        if error.diag.constraint_name:
            log.warning("the constraint %s stood in the way", error.diag.constraint_name)
        raise known from error


def _listen(connection: Connection) -> None:
    """Have a connection note the server's warnings."""

    def note(notice: psycopg.errors.Diagnostic) -> None:
        connection.warned |= notice.severity_nonlocalized == "WARNING"

    connection.add_notice_handler(note)


class PostgresStore(SqlStore):
    """`ports.Store` on the database that a `postgresql://` URL names; several hosts and target_session_attrs too.

    Raises `StoreSetupError` when it can't be reached or its schema can't be used.
    """

    row_lock = " FOR UPDATE"

    def __init__(self, url: str, clock: Clock, *, connections: int = 16) -> None:
        super().__init__()
        settings = DEFAULTS | parameters(url) | _SESSION
        try:
            with Connection.connect(**settings) as connection:
                migrate(connection, clock)
        except (psycopg.Error, UnicodeError) as error:
            reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
            raise StoreSetupError(f"the PostgreSQL database can't be used: {reason}") from error
        self._room = threading.Semaphore(connections)
        self._pool = ConnectionPool(
            connection_class=Connection,
            configure=_listen,
            kwargs=settings,
            min_size=1,
            max_size=connections,
            max_idle=300,
            # Whoever waits for a connection has the pool try again: left alone it would wait longer and longer, and
            # still wait when the database is back.
            reconnect_timeout=0,
            open=True,
        )
        self._closed = threading.Event()
        threading.Thread(target=self._keep_forgetting, name="forget marks", daemon=True).start()

    @contextmanager
    def _reading(self, deadline: float | None) -> Iterator[Execute]:
        until = _until(deadline)
        with _translated(), self._begun(READING, until) as statements:
            yield statements

    @contextmanager
    def _writing(self, deadline: float | None) -> Iterator[Execute]:
        until = _until(deadline)
        mark = uuid.uuid4()
        with _translated():
            with self._begun(WRITING, until) as statements:
                yield statements
                answered = self._commit(statements, mark)
            if not answered:
                self._settle(mark, until)

    @contextmanager
    def _begun(self, begin: str, until: float) -> Iterator[_Statements]:
        """Give what runs statements in a transaction, which is rolled back unless they end it."""
        left = until - time.monotonic()
        if left <= 0:
            raise ServiceError(DEADLINE_PASSED)
        if not self._room.acquire(timeout=min(left, CONNECT_TIMEOUT_SECONDS)):
            raise ServiceError(STORE_BUSY, retry_after_seconds=1.0)
        try:
            connection = self._begin(begin, until)
            try:
                yield _Statements(connection, until)
            except pg.ReadOnlySqlTransaction:
                # It is a standby by now, and would stay in the pool as one.
                connection.close()
                raise
            finally:
                _end(connection)
                self._pool.putconn(connection)
        finally:
            self._room.release()

    def _begin(self, begin: str, until: float) -> Connection:
        """Take a connection and begin on it.

        After a failover the pool is full of connections that died. Beginning shows it and does nothing yet, so
        another is taken; when fresh ones die too, that is the database's answer.
        """
        fresh = 0
        while True:
            connection = self._take(until)
            fresh += not connection.is_used
            try:
                connection.until = until + GRACE_SECONDS
                connection.execute(_beginning(begin, until))
            except BaseException as error:
                dead = isinstance(error, psycopg.Error) and connection.closed
                self._pool.putconn(connection)
                if not dead or fresh == FRESH_TRIES or isinstance(error, LateError):
                    raise
            else:
                connection.is_used = True
                return connection

    def _take(self, until: float) -> Connection:
        last = min(until, time.monotonic() + CONNECT_TIMEOUT_SECONDS)
        while True:
            try:
                return self._pool.getconn(timeout=min(_RETRY_SECONDS, max(last - time.monotonic(), 0.001)))
            except PoolTimeout:
                if time.monotonic() > last:
                    raise

    def _commit(self, statements: _Statements, mark: uuid.UUID) -> bool:
        """Commit, leaving a mark; False when it can't be told whether it was done."""
        statements.left()
        connection = statements.connection
        insert = f"INSERT INTO transaction_marks (id, is_work, created_at) VALUES ('{mark}', TRUE, {_NOW})"
        connection.warned = False
        try:
            connection.execute(f"{insert}; COMMIT".encode())
        except psycopg.Error as error:
            state = error.sqlstate or ""
            in_transaction = connection.pgconn.transaction_status == TransactionStatus.INERROR
            if in_transaction or (state[:2] in ("23", "25", "40") and state != "40003"):
                raise
            log.warning("the answer to a commit was lost (%s); looking for its outcome", state or type(error).__name__)
            connection.close()
            return False
        if connection.warned:
            # Somebody cancelled the wait for a synchronous standby: it is committed here, and may be nowhere else.
            raise ServiceError(OUTCOME_UNKNOWN, retry_after_seconds=5.0)
        return True

    def _settle(self, mark: uuid.UUID, until: float) -> None:
        """Find out whether a transaction was committed; `STORE_UNAVAILABLE` when it wasn't, `OUTCOME_UNKNOWN` in doubt.

        Its mark is looked for, and one that says the contrary is put where it is missing. That is one write: it waits
        for a commit that is under way, it can be repeated when its own answer is lost, and a synchronous standby has
        what it found when it is answered.
        """
        until = max(until, time.monotonic() + SETTLE_SECONDS)
        while True:
            try:
                with self._begun(WRITING, until) as statements:
                    found = statements(
                        f"INSERT INTO transaction_marks (id, is_work, created_at) VALUES (:id, FALSE, {_NOW})"
                        " ON CONFLICT (id) DO UPDATE SET created_at = excluded.created_at"
                        " RETURNING transaction_marks.is_work",
                        {"id": mark},
                    ).fetchone()
                    statements("COMMIT", {})
                break
            except (psycopg.Error, ServiceError) as error:
                log.warning("the outcome of a commit can't be looked up yet: %s", type(error).__name__)
                pause = random.uniform(0.05, 0.2)  # noqa: S311 # jitter
                if time.monotonic() + pause > until:
                    raise ServiceError(OUTCOME_UNKNOWN, retry_after_seconds=5.0) from error
                time.sleep(pause)
        if found is None or not found[0]:
            raise ServiceError(STORE_UNAVAILABLE, retry_after_seconds=1.0)

    def _keep_forgetting(self) -> None:
        while not self._closed.wait(FORGET_EVERY_SECONDS):
            try:
                while self.forget_marks() == MARKS_FORGOTTEN_AT_ONCE:
                    pass
            except Exception:
                log.exception("old marks of transactions were not removed")

    def forget_marks(self) -> int:
        """Remove marks of transactions long done, ten thousand at most; tell how many."""
        with _translated(), self._begun(WRITING, _until(None)) as statements:
            forgotten = statements(
                "DELETE FROM transaction_marks WHERE id IN (SELECT id FROM transaction_marks"
                f" WHERE created_at < {_NOW} - :kept ORDER BY created_at LIMIT :limit FOR UPDATE SKIP LOCKED)",
                {"kept": MARKS_KEPT_SECONDS * 1_000_000, "limit": MARKS_FORGOTTEN_AT_ONCE},
            ).rowcount
            statements("COMMIT", {})
        return forgotten

    def ping(self) -> None:
        """See `ports.Store`."""
        with _translated(), self._begun(READING, time.monotonic() + 2) as statements:
            statements("SELECT 1 FROM schema_migrations LIMIT 1", {}).fetchone()

    def close(self) -> None:
        """Close all connections; nobody may use the store any more."""
        self._closed.set()
        self._pool.close()


class _Statements:
    """Runs the statements of one transaction, none beyond the deadline."""

    def __init__(self, connection: Connection, until: float) -> None:
        self.connection = connection
        self._until = until
        self._told = until - time.monotonic()

    def __call__(self, sql: str, parameters: dict[str, Any]) -> Cursor:
        """Run a statement with `:name` parameters."""
        left = self.left()
        # The server measures each statement by itself: it is told anew when those before took long.
        if self._told - left > max(0.05, left / 10):
            self._told = left
            self.connection.execute(f"SET LOCAL statement_timeout = {_milliseconds(left)}".encode())
        return self.connection.execute(_statement(sql), parameters)

    def left(self) -> float:
        """Give the seconds that are left."""
        left = self._until - time.monotonic()
        if left <= 0:
            raise LateError("the deadline has passed")
        return left


def parameters(url: str) -> dict[str, Any]:
    """Give the parameters of a connection that a URL names; `StoreSetupError` when it can't be read."""
    try:
        return dict(conninfo_to_dict(url))
    except (psycopg.ProgrammingError, UnicodeError):
        # What libpq says quotes the URL, and with it the password.
        raise StoreSetupError(
            "the PostgreSQL URL can't be read; write postgresql://user:password@host:port/database?parameter=value with"
            " parameters of libpq, and percent-encode what isn't a letter or digit in user and password"
        ) from None


def _until(deadline: float | None) -> float:
    latest = time.monotonic() + LONGEST_SECONDS
    return latest if deadline is None else min(deadline, latest)


def _milliseconds(seconds: float) -> int:
    return max(1, round(seconds * 1000))


def _beginning(begin: str, until: float) -> bytes:
    """Give what begins a transaction and bounds it: each statement, and how long it stays when we are gone."""
    left = _milliseconds(until - time.monotonic())
    return (
        f"{begin}; SET LOCAL statement_timeout = {left}; SET LOCAL idle_in_transaction_session_timeout = {left + 1000}"
    ).encode()


def _end(connection: Connection) -> None:
    """Roll back what is still open."""
    if connection.closed or connection.pgconn.transaction_status == TransactionStatus.IDLE:
        return
    connection.until = time.monotonic() + GRACE_SECONDS
    try:
        connection.execute("ROLLBACK")
    except psycopg.Error:
        # It was lost; the server rolls back by itself, and the pool throws the connection away.
        connection.close()


def migrate(
    connection: psycopg.Connection[tuple[Any, ...]], clock: Clock, history: tuple[Migration, ...] = MIGRATIONS
) -> list[str]:
    """Bring the schema to the end of the history, each step in a transaction; give the names of the steps taken.

    Several servers may do so at once: each step begins by writing its row, so that the others wait for it and find it
    done. Raises `StoreSetupError` for a database that a newer program has migrated, or that can't hold all text.
    """
    encoding = connection.info.parameter_status("server_encoding")
    if encoding not in (None, "UTF8"):
        raise StoreSetupError(
            f"the database's encoding is {encoding}; make one with: CREATE DATABASE … ENCODING 'UTF8'"
        )
    connection.isolation_level = psycopg.IsolationLevel.READ_COMMITTED
    _create_history(connection)
    newest = _one(connection, "SELECT coalesce(max(version), 0) FROM schema_migrations")[0]
    if newest > len(history):
        raise StoreSetupError(
            f"the database has schema version {newest} and this program knows {len(history)}; run the program that"
            " wrote it, or a newer one"
        )
    steps = list(enumerate(history, start=1))[newest:]
    return [step.name for version, step in steps if _take_step(connection, version, step, to_micros(clock()))]


def _take_step(connection: psycopg.Connection[tuple[Any, ...]], version: int, step: Migration, now: int) -> bool:
    """Take a step of the history; False when another server has taken it."""
    with connection.transaction():
        # A role's own time-out is for requests.
        connection.execute("SET LOCAL statement_timeout = 0")
        first = connection.execute(
            "INSERT INTO schema_migrations (version, name, applied_at) VALUES (%s, %s, %s) ON CONFLICT DO NOTHING",
            (version, step.name, now),
        ).rowcount
        if first:
            for statement in step.statements:
                connection.execute(_TEXT.sub('TEXT COLLATE "C"', statement.format_map(_DIALECT)).encode())
    return first == 1


_HISTORY = (
    """
    CREATE TABLE IF NOT EXISTS schema_migrations
    (version BIGINT PRIMARY KEY, name TEXT COLLATE "C" NOT NULL, applied_at BIGINT NOT NULL)
    """,
    # By which the outcome of a commit is found whose answer was lost: `is_work` is true where the transaction itself
    # left the mark, false where one that looked for it found none.
    """
    CREATE TABLE IF NOT EXISTS transaction_marks
    (id UUID PRIMARY KEY, is_work BOOLEAN NOT NULL, created_at BIGINT NOT NULL)
    """,
    "CREATE INDEX IF NOT EXISTS transaction_marks_time ON transaction_marks (created_at)",
)


def _create_history(connection: psycopg.Connection[tuple[Any, ...]]) -> None:
    for _ in range(20):
        # Looked for first: to make an index a lock is taken, before which all writers wait, even if there is one.
        made = _one(connection, "SELECT to_regclass('schema_migrations'), to_regclass('transaction_marks')")
        if None not in made:
            return
        try:
            with connection.transaction():
                for statement in _HISTORY:
                    connection.execute(statement.encode())
        except (pg.UniqueViolation, pg.DuplicateTable, pg.DuplicateObject, pg.InternalError_) as error:
            # Another server makes it at the same moment, which IF NOT EXISTS doesn't cover.
            log.info("another server is making the schema: %s", type(error).__name__)
            time.sleep(0.1)
    raise StoreSetupError("the schema's history can't be made; try again")


def _one(connection: psycopg.Connection[tuple[Any, ...]], sql: str) -> tuple[Any, ...]:
    row = connection.execute(sql.encode()).fetchone()
    assert row is not None  # noqa: S101 # such a statement gives one
    return row
