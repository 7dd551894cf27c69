"""What the engines share: `ports.Store` over a way to run statements in a transaction."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

from server.ports import Snapshot, Transaction
from server.store.sql import SqlSnapshot, SqlTransaction
from server.store.sql_base import Execute


class StoreSetupError(Exception):
    """The store can't be used as configured; the text says why and what to do."""


class SqlStore(ABC):
    """`ports.Store` for an engine that says how to read and write."""

    row_lock = ""
    """What is appended to a SELECT to keep its row from others until the transaction ends."""

    def __init__(self) -> None:
        self._local = threading.local()

    @abstractmethod
    def _reading(self, deadline: float | None) -> AbstractContextManager[Execute]:
        """Give what runs statements that all see one moment."""

    @abstractmethod
    def _writing(self, deadline: float | None) -> AbstractContextManager[Execute]:
        """Give what runs statements that are kept together when the block ends, and undone when it raises."""

    @contextmanager
    def snapshot(self, deadline: float | None = None) -> Iterator[Snapshot]:
        """See `ports.Store`; inside a transaction of the same thread, its reads."""
        ambient: SqlSnapshot | None = getattr(self._local, "current", None)
        if ambient is not None:
            yield ambient
            return
        with self._reading(deadline) as execute, self._as_current(SqlSnapshot(execute)) as snapshot:
            yield snapshot

    @contextmanager
    def transaction(self, deadline: float | None = None) -> Iterator[Transaction]:
        """See `ports.Store`."""
        ambient: SqlSnapshot | None = getattr(self._local, "current", None)
        if isinstance(ambient, SqlTransaction):
            yield ambient
            return
        if ambient is not None:
            raise RuntimeError("a transaction can't begin inside a snapshot: what it writes wouldn't be seen there")
        with self._writing(deadline) as execute:
            transaction = SqlTransaction(execute, self.row_lock)
            with self._as_current(transaction):
                yield transaction

    @contextmanager
    def _as_current(self, snapshot: SqlSnapshot) -> Iterator[SqlSnapshot]:
        self._local.current = snapshot
        try:
            yield snapshot
        finally:
            self._local.current = None
