"""Mistakes of an operator's, some of them odd: each is told, with exit code 2 and without a traceback."""

from __future__ import annotations

import logging
import os
import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner

from server.cli import main
from server.store.migrations import MIGRATIONS
from server.store.sqlite import SqliteStore
from tests.running import clean_environ

EMAIL = ("--email", "ada@example.com")


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'organizations.db'}"


@pytest.fixture(autouse=True)
def logs_as_before() -> Iterator[None]:
    """Undo that a command sets up its logs."""
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


def told(*command: str, url: str) -> str:
    """Give what standard error says to a mistake; in this process, since there are many and a start takes a second."""
    own = dict.fromkeys(os.environ.keys() - clean_environ().keys())
    done = CliRunner().invoke(main, command, env=own | {"DATABASE_URL": url})
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    assert (done.exit_code, done.stdout) == (2, "")
    return done.stderr


@pytest.mark.parametrize(
    "command", [("serve", "--port", "0"), ("token", "list", *EMAIL), ("show", "account", "x@y.zz")]
)
def test_a_database_newer_than_the_program_is_refused_by_every_command(
    tmp_path: Path, url: str, command: tuple[str, ...]
) -> None:
    SqliteStore(tmp_path / "organizations.db", lambda: datetime.now(UTC)).close()
    (tmp_path / "organizations.key").write_text("k" * 32)
    with sqlite3.connect(tmp_path / "organizations.db") as newer:
        newer.execute("INSERT INTO schema_migrations VALUES (?, 'from the future', 0)", (len(MIGRATIONS) + 1,))
    newer.close()
    said = told(*command, url=url)
    assert f"schema version {len(MIGRATIONS) + 1} and this program knows {len(MIGRATIONS)}" in said
    assert said.startswith("organization-service: ")
    assert len(said.splitlines()) == 1


@pytest.mark.parametrize(
    "name", ["%00.db", "x" * 300 + ".db", "a?b.db", "a#b.db", "directory"], ids=["nul", "long", "query", "hash", "dir"]
)
@pytest.mark.parametrize("command", [("serve", "--port", "0"), ("token", "create", *EMAIL)], ids=lambda c: str(c[0]))
def test_an_odd_name_of_a_database_is_told_and_makes_no_file(
    tmp_path: Path, name: str, command: tuple[str, ...]
) -> None:
    (tmp_path / "directory").mkdir()
    said = told(*command, url=f"sqlite:///{tmp_path}/{name}")
    assert said.startswith("organization-service: ")
    assert len(said.splitlines()) == 1
    assert [path.name for path in tmp_path.iterdir() if path.suffix != ".key"] == ["directory"]


@pytest.mark.parametrize("port", ["-1", "65536", "http"])
def test_what_is_no_port_is_told(url: str, port: str) -> None:
    assert "--port" in told("serve", "--port", port, url=url)


def test_a_host_that_is_none_is_told(url: str) -> None:
    said = told("serve", "--host", "300.1.1.1", "--port", "8099", url=url)
    assert "can't listen on 300.1.1.1:8099" in said


@pytest.mark.parametrize("span", ["0d", "-1d", "1y", "d", "999999w", "36501d", ""])
def test_a_life_that_is_none_makes_no_token(url: str, span: str) -> None:
    """Above all not one that never ends."""
    assert "--expires" in told("token", "create", *EMAIL, "--expires", span, url=url)
    assert "there is no account" in told("token", "list", *EMAIL, url=url)


@pytest.mark.parametrize(
    ("command", "says"),
    [
        (("token", "revoke", "orgsvc_unknown"), "there is no such token"),
        (("token", "list", *EMAIL), "there is no account with the id or address 'ada@example.com'"),
        (("show", "account", "nobody@example.com"), "there is no account"),
        (("show", "organization", "0b2f3c4d-0000-4000-8000-000000000001"), "there is no organization with the id"),
        (("show", "organization", "not an id"), "there is no organization with the id"),
        (("token", "create"), "--email"),
        (("unknown",), "No such command"),
    ],
    ids=lambda value: " ".join(value)[:30] if isinstance(value, tuple) else "",
)
def test_what_is_not_there_or_was_left_out_is_told(url: str, command: tuple[str, ...], says: str) -> None:
    assert says in told(*command, url=url)
