"""The schema's history: shown without a change, and applied."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner

from server.cli import main
from server.main import utc_now
from server.settings import Settings
from server.store import postgres, sqlite
from server.store.copying import PostgresEnd, SqliteEnd
from server.store.migrations import MIGRATIONS
from tests.running import run_program

FreshUrl = Callable[[str], str]
NAMES = [migration.name for migration in MIGRATIONS]


def path_of(url: str) -> Path:
    return Settings(database_url=url).sqlite_path


def migrate_to(url: str, version: int) -> None:
    """Bring a database to an earlier version."""
    if url.startswith("sqlite:"):
        with closing(SqliteEnd(path_of(url), make=True)) as end:
            sqlite.migrate(end._db, utc_now, MIGRATIONS[:version])
    else:
        with closing(PostgresEnd(url)) as end:
            postgres.migrate(end._connection, utc_now, MIGRATIONS[:version])


def shown(url: str, option: str = "--show") -> list[tuple[int, str, bool]]:
    """Give version, name and whether it is applied."""
    done = CliRunner().invoke(main, ["migrate", option, "--json", "--database-url", url])
    assert done.exit_code == 0, done.stderr
    return [(step["version"], step["name"], step["applied_at"] is not None) for step in json.loads(done.stdout)]


@pytest.mark.parametrize("option", ["--show", "--dry-run"])
def test_showing_the_history_makes_no_database(option: str, fresh_url: FreshUrl) -> None:
    url = fresh_url("sqlite")
    assert shown(url, option) == [(version, name, False) for version, name in enumerate(NAMES, start=1)]
    assert not path_of(url).exists()


@pytest.mark.parametrize("engine", ["sqlite", "postgresql"])
def test_showing_the_history_changes_nothing(engine: str, fresh_url: FreshUrl) -> None:
    url = fresh_url(engine)
    if engine == "postgresql":
        assert shown(url) == [(version, name, False) for version, name in enumerate(NAMES, start=1)]
    migrate_to(url, 1)
    for _ in range(2):
        assert shown(url) == [(version, name, version == 1) for version, name in enumerate(NAMES, start=1)]


@pytest.mark.parametrize("engine", ["sqlite", "postgresql"])
def test_what_is_pending_is_applied_and_named(engine: str, fresh_url: FreshUrl) -> None:
    url = fresh_url(engine)
    migrate_to(url, 1)
    first = CliRunner().invoke(main, ["migrate", "--database-url", url])
    assert first.exit_code == 0
    assert first.stdout.splitlines() == [f"applied {name}" for name in NAMES[1:]]
    assert f"the schema has version {len(NAMES)}" in first.stderr
    again = CliRunner().invoke(main, ["migrate", "--database-url", url])
    assert (again.exit_code, again.stdout) == (0, "")
    assert [applied for _, _, applied in shown(url)] == [True] * len(NAMES)


def test_the_history_is_shown_as_text(fresh_url: FreshUrl) -> None:
    url = fresh_url("sqlite")
    migrate_to(url, 1)
    done = run_program("migrate", "--show", "--database-url", url)
    assert done.returncode == 0
    first, second, *_ = done.stdout.splitlines()
    assert first.startswith("1  organizations  applied 20")
    assert second == "2  invitations  pending"


@pytest.mark.parametrize("engine", ["sqlite", "postgresql"])
def test_a_database_of_a_newer_program_is_left_alone(engine: str, fresh_url: FreshUrl) -> None:
    url = fresh_url(engine)
    migrate_to(url, len(MIGRATIONS))
    with closing(SqliteEnd(path_of(url)) if engine == "sqlite" else PostgresEnd(url)) as end:
        end.execute(f"INSERT INTO schema_migrations VALUES ({len(MIGRATIONS) + 1}, 'of tomorrow', 0)")
    assert shown(url)[-1] == (len(MIGRATIONS) + 1, "of tomorrow", True)
    done = CliRunner().invoke(main, ["migrate", "--database-url", url])
    assert done.exit_code == 2
    assert "run the program that wrote it, or a newer one" in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("mysql://host/db", "--database-url 'mysql://host/db' can't be used; give sqlite:///"),
        ("postgresql://nobody@127.0.0.1:1/nothing", "onnection"),
        ("sqlite:////proc/organizations.db", "unable to open database file"),
    ],
)
def test_a_database_that_can_t_be_reached_is_one_clear_sentence(url: str, sentence: str) -> None:
    done = CliRunner().invoke(main, ["migrate", "--database-url", url])
    assert done.exit_code == 2
    assert done.stderr.startswith("organization-service: ")
    assert sentence in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_file_that_is_no_database_is_one_clear_sentence(fresh_url: FreshUrl) -> None:
    url = fresh_url("sqlite")
    path_of(url).write_text("this is no database, but a text that somebody wrote " * 100)
    for arguments in (["migrate"], ["migrate", "--show"]):
        done = CliRunner().invoke(main, [*arguments, "--database-url", url])
        assert done.exit_code == 2
        assert done.stderr == "organization-service: file is not a database\n"
