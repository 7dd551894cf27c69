"""What the statements of every part share: rows, times, and how a statement is run."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol, TypeVar

from server.domain.account import Account

Row = Sequence[Any]
Value = TypeVar("Value")

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class Cursor(Protocol):
    """The part of a DB-API cursor that is used here."""

    @property
    def rowcount(self) -> int: ...
    def fetchone(self) -> Row | None: ...
    def fetchall(self) -> Sequence[Row]: ...


Execute = Callable[[str, dict[str, Any]], Cursor]
"""Runs one statement with `:name` parameters."""


def to_micros(moment: datetime) -> int:
    """Give microseconds since 1970."""
    return (moment - _EPOCH) // _MICROSECOND


def from_micros(micros: int) -> datetime:
    """Give the moment, in UTC."""
    return _EPOCH + micros * _MICROSECOND


def micros_or_none(moment: datetime | None) -> int | None:
    """Give microseconds since 1970, where there is a moment."""
    return None if moment is None else to_micros(moment)


def moment_or_none(micros: int | None) -> datetime | None:
    """Give the moment in UTC, where there is one."""
    return None if micros is None else from_micros(micros)


def in_list(column: str, name: str, values: Sequence[str], parameters: dict[str, Any]) -> str:
    """Give a condition that a column has one of the values, and add these to the parameters."""
    names = [f"{name}_{index}" for index in range(len(values))]
    parameters.update(zip(names, values, strict=True))
    return f"{column} IN ({', '.join(f':{n}' for n in names)})"


def like(text: str) -> str:
    """Give the LIKE pattern of what contains the text."""
    escaped = text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return f"%{escaped}%"


def from_json(text: str) -> dict[str, Any]:
    """Read a JSON object of a column."""
    if text == "{}":
        return {}
    value: dict[str, Any] = json.loads(text)
    return value


_write_json = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


def to_json(value: dict[str, Any]) -> str:
    """Write a JSON object for a column."""
    return _write_json(value) if value else "{}"


def made(make: Callable[[Row], Value], row: Row | None) -> Value | None:
    """Make a value of a row, where there is one."""
    return None if row is None else make(row)


ACCOUNT = "a.id, a.issuer, a.subject, a.name, a.email, a.email_verified, a.avatar_url, a.created_at, a.updated_at"
"""The columns that `account_of` reads."""


def account_of(row: Row) -> Account:
    """Make an account of its columns."""
    return Account(
        row[0], row[1], row[2], row[3], row[4], bool(row[5]), row[6], from_micros(row[7]), from_micros(row[8])
    )


class Reads:
    """Runs statements that read."""

    def __init__(self, execute: Execute) -> None:
        self._execute = execute

    def _one(self, sql: str, **parameters: Any) -> Row | None:
        return self._execute(sql, parameters).fetchone()

    def _all(self, sql: str, parameters: dict[str, Any]) -> Sequence[Row]:
        return self._execute(sql, parameters).fetchall()


class Writes(Reads):
    """Runs statements that write; each answers with the number of rows it touched.

    `row_lock` is what the engine appends to a SELECT to keep the row from others until the end: nothing in SQLite,
    where a write transaction is alone.
    """

    def __init__(self, execute: Execute, row_lock: str = "") -> None:
        super().__init__(execute)
        self._row_lock = row_lock

    def _write(self, sql: str, **parameters: Any) -> int:
        return self._execute(sql, parameters).rowcount
