"""Moving everything between databases: whole, checked, and again after an interruption."""

from __future__ import annotations

import itertools
import re
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from server.cli import main
from server.domain.account import Caller
from server.domain.secrets import SecretKeys
from server.main import build_service, open_store, utc_now
from server.settings import Settings
from server.store import copying
from server.store.copying import CopyError, End, PostgresEnd, SqliteEnd, copy, tables
from server.store.migrations import MIGRATIONS
from server.store.sql_store import StoreSetupError
from tests.conftest import KEY
from tests.data.filling import fill_large, fill_odd
from tests.postgres.cluster import Cluster
from tests.running import PROGRAM, clean_environ, run_program, wait_until

FreshUrl = Callable[[str], str]

MEMBERS = next(table for table in tables() if table.name == "members")

BOTH_WAYS = [
    ("sqlite", "postgresql"),
    ("postgresql", "sqlite"),
    ("sqlite", "sqlite"),
    ("postgresql", "postgresql"),
]


def end_of(url: str) -> End:
    return PostgresEnd(url) if url.startswith("postgresql:") else SqliteEnd(path_of(url), make=True)


def path_of(url: str) -> Path:
    return Settings(database_url=url).sqlite_path


def quiet(*_: object) -> None:
    pass


def copy_between(source_url: str, target_url: str, report: copying.Report = quiet) -> None:
    with closing(end_of(source_url)) as source, closing(end_of(target_url)) as target:
        copy(source, target, utc_now, report)


def rows_of(end: End) -> Iterator[tuple[str, tuple[Any, ...]]]:
    """Give all rows of all tables, without what is tested here: in the order of their keys, a chunk at a time."""
    for table in tables():
        key: list[Any] = []
        while rows := end.rows_after(table, key, 50_000):
            yield from ((table.name, tuple(row)) for row in rows)
            key = table.key_of(rows[-1])


def schema_of(end: End) -> list[Any]:
    """Give what the engine says of tables, indexes and constraints."""
    if isinstance(end, SqliteEnd):
        statements = ["SELECT type, name, tbl_name, sql FROM sqlite_master WHERE sql IS NOT NULL"]
    else:
        statements = [
            "SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'public'",
            "SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint WHERE connamespace = 'public'::regnamespace",
            "SELECT table_name, column_name, data_type, collation_name FROM information_schema.columns",
        ]
    return [sorted(end.execute(statement).fetchall()) for statement in statements]


def assert_the_same(source_url: str, target_url: str) -> int:
    """Compare all rows one by one; give how many there are."""
    rows = 0
    with closing(end_of(source_url)) as source, closing(end_of(target_url)) as target:
        for here, there in itertools.zip_longest(rows_of(source), rows_of(target)):
            assert here == there
            rows += 1
        assert [step.name for step in target.applied()] == [migration.name for migration in MIGRATIONS]
    return rows


def filled(engine: str, fresh_url: FreshUrl) -> str:
    """Make a database of an engine with something unusual in every table."""
    url = fresh_url("sqlite")
    fill_odd(path_of(url))
    if engine == "sqlite":
        return url
    target = fresh_url(engine)
    copy_between(url, target)
    return target


def execute(url: str, statement: str) -> None:
    with closing(end_of(url)) as end:
        end.execute(statement)


def interrupt(source_url: str, target_url: str, part: str, done: int) -> None:
    """Begin a copy that ends in an exception when so much of a part is done."""

    def report(reported: str, so_far: int, _: int) -> None:
        if (reported, so_far) == (part, done):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        copy_between(source_url, target_url, report)


@pytest.fixture
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(copying, "CHUNK_ROWS", 1)


@pytest.mark.parametrize(("source_engine", "target_engine"), BOTH_WAYS)
def test_a_copy_holds_every_row_of_every_table(source_engine: str, target_engine: str, fresh_url: FreshUrl) -> None:
    source, target = filled(source_engine, fresh_url), fresh_url(target_engine)
    done = CliRunner().invoke(main, ["copy", "--from", source, "--to", target])
    assert done.exit_code == 0, done.stderr
    assert assert_the_same(source, target) == 3 * len(tables())
    for table in tables():
        assert re.search(rf"^{table.name}  3  [0-9a-f]{{32}}$", done.stdout, re.MULTILINE)
    assert "members: 3 of 3 (100%)" in done.stderr
    assert "the copy is complete: both databases hold the same" in done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["sqlite", "postgresql"])
def test_a_copied_database_has_the_schema_of_a_migrated_one(engine: str, fresh_url: FreshUrl) -> None:
    source, target, migrated = filled("sqlite", fresh_url), fresh_url(engine), fresh_url(engine)
    copy_between(source, target)
    with closing(end_of(target)) as there, closing(end_of(migrated)) as other:
        other.migrate(utc_now)
        assert schema_of(there) == schema_of(other)


def test_what_was_given_out_before_a_copy_opens_the_same_after_it(fresh_url: FreshUrl) -> None:
    source, target = fresh_url("sqlite"), fresh_url("postgresql")
    keys = SecretKeys([KEY])
    store = open_store(Settings(database_url=source))
    service = build_service(store, keys)
    ada = service.authentication.local_account("ada@example.com", "Ada")
    token, _ = service.tokens.issue(ada, description="", expires_at=None)
    store.close()
    copy_between(source, target)
    store = open_store(Settings(database_url=target))
    try:
        assert build_service(store, keys).authentication.who(token) == Caller(ada)
    finally:
        store.close()


@pytest.mark.slow
@pytest.mark.parametrize(("source_engine", "target_engine"), BOTH_WAYS)
@pytest.mark.usefixtures("small_chunks")
def test_a_copy_goes_on_where_it_was_interrupted(source_engine: str, target_engine: str, fresh_url: FreshUrl) -> None:
    source, target = filled(source_engine, fresh_url), fresh_url(target_engine)
    for part, done in [("accounts", 0), ("accounts", 1), ("accounts", 3), ("members", 2), ("access_tokens", 3)]:
        interrupt(source, target, part, done)
    for part, done in [("indexes", 0), ("indexes", 2), ("indexes", 4), ("checking members", 0)]:
        interrupt(source, target, part, done)
    copy_between(source, target)
    assert_the_same(source, target)


@pytest.mark.parametrize("engine", ["sqlite", "postgresql"])
@pytest.mark.usefixtures("small_chunks")
def test_no_server_starts_on_a_part_of_a_copy(engine: str, fresh_url: FreshUrl) -> None:
    source, target = filled("sqlite", fresh_url), fresh_url(engine)
    interrupt(source, target, "invitations", 1)
    with pytest.raises(StoreSetupError):
        open_store(Settings(database_url=target))


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["sqlite", "postgresql"])
@pytest.mark.usefixtures("small_chunks")
def test_what_changes_in_the_source_during_a_copy_is_noticed(engine: str, fresh_url: FreshUrl) -> None:
    source, target = filled("sqlite", fresh_url), fresh_url(engine)
    interrupt(source, target, "members", 1)
    execute(source, "UPDATE accounts SET name = 'Somebody else' WHERE id = (SELECT min(id) FROM accounts)")
    done = CliRunner().invoke(main, ["copy", "--from", source, "--to", target])
    assert done.exit_code == 2
    assert "source and target differ in accounts: something was written" in done.stderr.splitlines()[-1]
    assert done.stdout == ""


@pytest.mark.usefixtures("small_chunks")
def test_a_row_that_came_into_the_target_is_noticed(fresh_url: FreshUrl) -> None:
    source, target = filled("sqlite", fresh_url), fresh_url("postgresql")
    interrupt(source, target, "organizations", 1)
    execute(target, "INSERT INTO accounts SELECT 'new', '', '', '', '', '', 0, '', 0, 0")
    done = CliRunner().invoke(main, ["copy", "--from", source, "--to", target])
    assert done.exit_code == 2
    assert "differ in accounts" in done.stderr.splitlines()[-1]


@pytest.mark.slow
@pytest.mark.usefixtures("small_chunks")
def test_two_copies_into_one_target_don_t_mix(fresh_url: FreshUrl) -> None:
    source, target = filled("sqlite", fresh_url), fresh_url("postgresql")

    def report(table: str, done: int, _: int) -> None:
        if (table, done) == ("members", 1):
            interrupt(source, target, "members", 2)

    with pytest.raises(CopyError, match=r"another copy into .* is under way; let it end, then run this again"):
        copy_between(source, target, report)
    copy_between(source, target)
    assert_the_same(source, target)


def mistakes(fresh_url: FreshUrl, tmp_path: Path) -> dict[str, tuple[str, str, str]]:
    """Give what an operator may get wrong, by name: source, target, and what is said."""
    source, full = filled("sqlite", fresh_url), filled("postgresql", fresh_url)
    old, foreign, part = (fresh_url("sqlite") for _ in range(3))
    execute(foreign, "CREATE TABLE something (x)")
    fill_odd(path_of(old))
    execute(old, "DELETE FROM schema_migrations WHERE version = (SELECT max(version) FROM schema_migrations)")
    interrupt(source, part, "members", 0)
    nul = fresh_url("sqlite")
    fill_odd(path_of(nul))
    execute(nul, "UPDATE accounts SET name = 'a' || char(0) || 'b'")
    unreachable = "postgresql://nobody@127.0.0.1:1/nothing"
    return {
        "a target with data": (source, full, "holds data already; a copy is made into an empty database only"),
        "a part of another copy": (full, part, "holds a part of another copy, from "),
        "a source that is a part of a copy": (part, full, "is itself a copy that isn't complete"),
        "source and target are one": (source, source, "source and target are the same database"),
        "no file": (f"sqlite:///{tmp_path}/none.db", full, "there is no database file"),
        "another program's file": (foreign, full, "is no database of this service"),
        "an old schema": (old, full, "isn't up to date; run first: organization-service migrate"),
        "a URL of something else": ("mysql://host/db", full, "--from 'mysql://host/db' can't be used; give sqlite:///"),
        "an unreachable server": (source, unreachable, "connection"),
        "a character that PostgreSQL hasn't": (nul, fresh_url("postgresql"), "of accounts can't be kept in PostgreSQL"),
    }


def test_a_mistake_is_one_clear_sentence(fresh_url: FreshUrl, tmp_path: Path) -> None:
    for name, (source, target, sentence) in mistakes(fresh_url, tmp_path).items():
        done = CliRunner().invoke(main, ["copy", "--from", source, "--to", target])
        assert done.exit_code == 2, name
        assert sentence in done.stderr.splitlines()[-1], name
        assert done.stderr.splitlines()[-1].startswith("organization-service: "), name
        assert done.stdout == "", name


def test_a_password_is_not_shown(fresh_url: FreshUrl) -> None:
    source = filled("sqlite", fresh_url)
    target = fresh_url("postgresql").replace("postgres@", "postgres:hunter2@")
    for exit_code in (0, 2):
        done = CliRunner().invoke(main, ["copy", "--from", source, "--to", target])
        assert done.exit_code == exit_code
        assert "hunter2" not in done.output


def test_a_database_that_is_not_in_unicode_is_refused(fresh_url: FreshUrl, postgres: Cluster) -> None:
    postgres.execute("CREATE DATABASE latin ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0")
    done = CliRunner().invoke(main, ["copy", "--from", filled("sqlite", fresh_url), "--to", postgres.url("latin")])
    assert done.exit_code == 2
    assert "the database's encoding is LATIN1; make one with: CREATE DATABASE … ENCODING 'UTF8'" in done.stderr


def members_copied(target_url: str) -> int:
    if target_url.startswith("sqlite:") and not Path(f"{path_of(target_url)}-wal").exists():
        return 0  # not begun, and not to be disturbed in it
    with closing(end_of(target_url)) as end:
        return end.count(MEMBERS) if end.has(MEMBERS.name) else 0


def kill_within_members(source_url: str, target_url: str) -> None:
    """Begin a copy in a process, and kill it when some members are copied and some are not."""
    process = subprocess.Popen(
        [PROGRAM, "copy", "--from", source_url, "--to", target_url], env=clean_environ(), stderr=subprocess.DEVNULL
    )
    try:
        wait_until(lambda: process.poll() is not None or members_copied(target_url), seconds=120)
    finally:
        process.kill()
    assert process.wait() == -signal.SIGKILL


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_hundred_thousand_organizations_are_copied_though_the_copy_is_killed_once(
    fresh_url: FreshUrl,
) -> None:
    source, target = fresh_url("sqlite"), fresh_url("postgresql")
    fill_large(path_of(source), organizations=100_000, each=5)
    kill_within_members(source, target)
    copied = members_copied(target)
    assert 0 < copied < 500_000
    arguments = ["copy", "--from", source, "--to", target]
    done = subprocess.run([PROGRAM, *arguments], env=clean_environ(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert f"members: {copied:,} of 500,000" in done.stderr, "it went on where it had stopped"
    assert re.search(r"^organizations  100000  [0-9a-f]{32}$", done.stdout, re.MULTILINE)
    assert re.search(r"^members  500000  [0-9a-f]{32}$", done.stdout, re.MULTILINE)
    assert assert_the_same(source, target) > 800_000


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_copy_back_into_a_file_can_be_killed_too(fresh_url: FreshUrl) -> None:
    first, between, last = fresh_url("sqlite"), fresh_url("postgresql"), fresh_url("sqlite")
    fill_large(path_of(first), organizations=20_000, each=5)
    assert run_program("copy", "--from", first, "--to", between).returncode == 0
    kill_within_members(between, last)
    assert 0 < members_copied(last) < 100_000
    done = run_program("copy", "--from", between, "--to", last)
    assert done.returncode == 0, done.stderr
    assert_the_same(first, last)
