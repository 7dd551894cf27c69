"""What the engines share: `ports.Store` over a way to run statements in a transaction."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from types import TracebackType
from typing import Generic, TypeVar

from server.ports import Snapshot, Transaction
from server.store.sql import SqlSnapshot, SqlTransaction
from server.store.sql_base import Execute


class StoreSetupError(Exception):
    """The store can't be used as configured; the text says why and what to do."""


class _Ambient(threading.local):
    """What the thread has open, if anything."""

    current: SqlSnapshot | None = None


class SqlStore(ABC):
    """`ports.Store` for an engine that says how to read and write."""

    row_lock = ""
    """What is appended to a SELECT to keep its row from others until the transaction ends."""

    def __init__(self) -> None:
        self._local = _Ambient()

    @abstractmethod
    def _reading(self, deadline: float | None) -> AbstractContextManager[Execute]:
        """Give what runs statements that all see one moment."""

    @abstractmethod
    def _writing(self, deadline: float | None) -> AbstractContextManager[Execute]:
        """Give what runs statements that are kept together when the block ends, and undone when it raises."""

    def snapshot(self, deadline: float | None = None) -> AbstractContextManager[Snapshot]:
        """See `ports.Store`; inside a transaction of the same thread, its reads."""
        ambient: SqlSnapshot | None = self._local.current
        if ambient is not None:
            return nullcontext(ambient)
        return Current(self._local, self._reading(deadline), SqlSnapshot)

    def look(self, deadline: float | None = None) -> AbstractContextManager[Snapshot]:
        """See `ports.Store`; an engine may spare what a snapshot costs more."""
        return self.snapshot(deadline)

    def transaction(self, deadline: float | None = None) -> AbstractContextManager[Transaction]:
        """See `ports.Store`."""
        ambient: SqlSnapshot | None = self._local.current
        if isinstance(ambient, SqlTransaction):
            return nullcontext(ambient)
        if ambient is not None:
            raise RuntimeError("a transaction can't begin inside a snapshot: what it writes wouldn't be seen there")
        return Current(self._local, self._writing(deadline), self._transaction)

    def version(self) -> int | None:
        """See `ports.Store`."""
        return None

    def _transaction(self, execute: Execute) -> SqlTransaction:
        return SqlTransaction(execute, self.row_lock)


Reading = TypeVar("Reading", bound=SqlSnapshot)


class Current(Generic[Reading]):
    """Opens a snapshot or transaction, and makes it this thread's current one until it ends."""

    __slots__ = ("_local", "_make", "_opened")

    def __init__(
        self, local: _Ambient, opened: AbstractContextManager[Execute], make: Callable[[Execute], Reading]
    ) -> None:
        self._local = local
        self._opened = opened
        self._make = make

    def __enter__(self) -> Reading:
        current = self._local.current = self._make(self._opened.__enter__())
        return current

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool | None:
        self._local.current = None
        return self._opened.__exit__(kind, error, trace)
