"""Backups of a SQLite file: consistent while it is written, checked, and never over anything."""

from __future__ import annotations

import itertools
import os
import re
import shutil
import stat
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from click.testing import CliRunner, Result

from server.cli import main
from server.store import backup as backups
from server.store.backup import BackupError, back_up, restore
from server.store.copying import SqliteEnd, tables
from server.store.sqlite import sqlite3
from tests.data.filling import fill_large, fill_odd
from tests.running import PROGRAM, RunningServer, clean_environ, run_program, running_server, wait_until

SERVICE = "gitpod.v1.OrganizationService"


def url_of(path: Path) -> str:
    return f"sqlite:///{path}"


def quiet(*_: object) -> None:
    pass


def call(client: httpx.Client, method: str, **request: Any) -> dict[str, Any]:
    answer = client.post(f"/{SERVICE}/{method}", json=request)
    assert answer.status_code == 200, answer.text
    content: dict[str, Any] = answer.json()
    return content


def client_of(server: RunningServer, token: str) -> httpx.Client:
    return httpx.Client(base_url=server.url, headers={"authorization": f"Bearer {token}"}, timeout=30)


def rows(path: Path, statement: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(path)) as db:
        found: list[tuple[Any, ...]] = db.execute(statement).fetchall()
        return found


@pytest.fixture
def database(tmp_path: Path) -> Path:
    path = tmp_path / "organizations.db"
    fill_odd(path)
    return path


def backup_command(source: Path, destination: Path) -> Result:
    return CliRunner().invoke(main, ["backup", str(destination), "--database-url", url_of(source)])


def restore_command(source: Path, destination: Path) -> Result:
    return CliRunner().invoke(main, ["restore", str(source), "--database-url", url_of(destination)])


def refusal(done: Result) -> str:
    """Give the one sentence that a mistake is answered with."""
    assert done.exit_code == 2, done.output
    assert done.stdout == ""
    sentence = done.stderr.splitlines()[-1]
    assert sentence.startswith("organization-service: ")
    return sentence


@contextmanager
def writing(work: Callable[[int], object], threads: int = 2) -> Iterator[list[int]]:
    """Do work in threads, again and again; give the numbers of what is done."""
    done: list[int] = []
    stopped = threading.Event()
    numbers = itertools.count()

    def run() -> None:
        while not stopped.is_set():
            number = next(numbers)
            work(number)
            done.append(number)

    workers = [threading.Thread(target=run) for _ in range(threads)]
    for worker in workers:
        worker.start()
    try:
        yield done
    finally:
        stopped.set()
        for worker in workers:
            worker.join()


@pytest.mark.slow
def test_a_backup_of_a_server_at_work_holds_one_moment_and_can_be_served(tmp_path: Path) -> None:
    copy = tmp_path / "backup.db"
    with running_server(tmp_path) as server:
        token = server.token("ada@example.com")
        with client_of(server, token) as client:
            acme = call(client, "CreateOrganization", name="Acme")["organization"]["id"]
            invite = call(client, "CreateOrganizationInvite", organizationId=acme)["invite"]["inviteId"]
            with writing(lambda n: call(client, "CreateOrganization", name=f"Organization {n}")) as done:
                wait_until(lambda: len(done) > 20)
                answered = set(done)
                backup = run_program("backup", str(copy), "--database-url", server.database_url)
                assert len(done) > len(answered), "the server went on writing"
    assert backup.returncode == 0, backup.stderr
    names = {name for (name,) in rows(copy, "SELECT name FROM organizations")}
    assert {"Acme"} | {f"Organization {n}" for n in answered} <= names
    assert rows(copy, "SELECT count(*) FROM organizations") == rows(copy, "SELECT count(*) FROM members")

    (tmp_path / "restored").mkdir()
    target = tmp_path / "restored" / "organizations.db"
    assert run_program("restore", str(copy), "--database-url", url_of(target)).returncode == 0
    shutil.copy(tmp_path / "organizations.key", target.with_suffix(".key"))
    with running_server(target.parent) as server, client_of(server, token) as client:
        assert call(client, "GetOrganizationInvite", organizationId=acme)["invite"]["inviteId"] == invite


def test_many_writes_in_one_transaction_are_in_a_backup_together_or_not_at_all(
    database: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backups, "PAGES_AT_ONCE", 1)
    with closing(SqliteEnd(database)) as end:
        end.execute("PRAGMA journal_mode = WAL").fetchall()
        end.execute("CREATE TABLE pair (a INTEGER, b INTEGER)")
        end.execute("CREATE TABLE filling AS SELECT zeroblob(3000000)")
        end.execute("INSERT INTO pair VALUES (0, 0)")

    def write(number: int) -> None:
        with closing(SqliteEnd(database)) as end, end.transaction():
            end.execute("UPDATE pair SET a = a + 1")
            end.execute("INSERT INTO filling VALUES (randomblob(5000))")
            end.execute("UPDATE pair SET b = b + 1")

    moments = []
    with writing(write, threads=1) as done:
        for number in range(3):
            wait_until(lambda: done)
            begun = len(done)

            def let_others_write(*_: object, begun: int = begun) -> None:
                time.sleep(0.0002)
                wait_until(lambda: len(done) > begun)

            back_up(database, tmp_path / f"{number}.db", let_others_write)
            assert len(done) > begun
            [(a, b)] = rows(tmp_path / f"{number}.db", "SELECT a, b FROM pair")
            assert a == b
            assert begun - 1 <= a <= len(done)
            moments.append(a)
    assert moments == sorted(moments)


def test_a_backup_is_one_file_for_its_owner_alone(database: Path, tmp_path: Path) -> None:
    (tmp_path / "kept").mkdir()
    copy = tmp_path / "kept" / "backup.db"
    with closing(SqliteEnd(database)) as end:
        end.execute("PRAGMA journal_mode = WAL").fetchall()
        assert backup_command(database, copy).exit_code == 0
    assert os.listdir(copy.parent) == ["backup.db"]
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    assert rows(copy, "PRAGMA journal_mode") == [("delete",)]


def test_a_backup_says_that_the_key_is_not_in_it_and_where_it_is(database: Path, tmp_path: Path) -> None:
    key = database.with_suffix(".key")
    key.write_text("5" * 64)
    done = backup_command(database, tmp_path / "backup.db")
    assert done.stdout == ""
    assert (
        f"the key is not in the backup, so that a stolen one admits nobody: keep {key} in another place" in done.stderr
    )
    assert "3 organizations, 3 members, 3 accounts" in done.stderr
    assert key.read_bytes() not in (tmp_path / "backup.db").read_bytes()


def test_a_restored_database_holds_what_the_backup_held(database: Path, tmp_path: Path) -> None:
    assert backup_command(database, tmp_path / "backup.db").exit_code == 0
    done = restore_command(tmp_path / "backup.db", tmp_path / "restored.db")
    assert done.exit_code == 0, done.stderr
    with closing(SqliteEnd(database)) as source, closing(SqliteEnd(tmp_path / "restored.db")) as restored:
        assert restored.applied() == source.applied()
        for table in tables():
            assert restored.rows_after(table, (), 10) == source.rows_after(table, (), 10)


def test_nothing_is_overwritten(database: Path, tmp_path: Path) -> None:
    copy, other = tmp_path / "backup.db", tmp_path / "other.db"
    assert backup_command(database, copy).exit_code == 0
    other.write_text("something of somebody's")
    dangling = tmp_path / "dangling.db"
    dangling.symlink_to(tmp_path / "nowhere.db")
    for done in (
        backup_command(database, other),
        backup_command(database, database),
        backup_command(database, tmp_path),
        backup_command(database, dangling),
        restore_command(copy, other),
        restore_command(copy, database),
    ):
        assert "exists already, and nothing is ever overwritten" in refusal(done)
    assert other.read_text() == "something of somebody's"
    assert sorted(os.listdir(tmp_path)) == ["backup.db", "dangling.db", "organizations.db", "other.db"]


@pytest.mark.parametrize("suffix", ["-wal", "-shm", "-journal"])
def test_what_is_left_of_another_database_is_not_mixed_in(suffix: str, database: Path, tmp_path: Path) -> None:
    assert backup_command(database, tmp_path / "backup.db").exit_code == 0
    (tmp_path / f"restored.db{suffix}").write_bytes(b"pages of another database")
    assert "is left of another database" in refusal(restore_command(tmp_path / "backup.db", tmp_path / "restored.db"))
    assert not (tmp_path / "restored.db").exists()


def test_of_two_that_make_one_file_one_is_refused(database: Path, tmp_path: Path) -> None:
    copy = tmp_path / "backup.db"

    def report(part: str, done: int, total: int) -> None:
        if part == "pages" and done == total and not copy.exists():
            back_up(database, copy, quiet)

    with pytest.raises(BackupError, match="exists already"):
        back_up(database, copy, report)
    assert sorted(os.listdir(tmp_path)) == ["backup.db", "organizations.db"]


def test_a_file_system_without_links_is_no_hindrance(
    database: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_link(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", no_link)
    back_up(database, tmp_path / "backup.db", quiet)
    restore(tmp_path / "backup.db", tmp_path / "restored.db", quiet)
    assert sorted(os.listdir(tmp_path)) == ["backup.db", "organizations.db", "restored.db"]


def damage(path: Path) -> None:
    """Overwrite pages in the middle, where tables are."""
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.seek(size // 2)
        file.write(b"\xa5" * (size // 4))


def test_a_damaged_backup_is_not_restored(database: Path, tmp_path: Path) -> None:
    copy = tmp_path / "backup.db"
    assert backup_command(database, copy).exit_code == 0
    damage(copy)
    assert refusal(restore_command(copy, tmp_path / "restored.db")).endswith("use an older backup")
    assert sorted(os.listdir(tmp_path)) == ["backup.db", "organizations.db"]


def test_a_backup_of_a_damaged_database_is_not_kept(database: Path, tmp_path: Path) -> None:
    damage(database)
    sentence = refusal(backup_command(database, tmp_path / "backup.db"))
    assert "damaged" in sentence or "malformed" in sentence
    assert os.listdir(tmp_path) == ["organizations.db"]


def test_rows_that_refer_to_nothing_are_damage(database: Path, tmp_path: Path) -> None:
    with closing(SqliteEnd(database)) as end:
        end.execute("DELETE FROM accounts")
    assert "refers to none of accounts" in refusal(backup_command(database, tmp_path / "backup.db"))
    assert os.listdir(tmp_path) == ["organizations.db"]


def test_a_mistake_is_one_clear_sentence(database: Path, tmp_path: Path) -> None:
    foreign, text = tmp_path / "foreign.db", tmp_path / "text.db"
    with closing(sqlite3.connect(foreign)) as db:
        db.execute("CREATE TABLE something (x)")
    text.write_text("this is no database, but a text that somebody wrote " * 100)
    target = tmp_path / "target.db"
    assert "there is no database file" in refusal(backup_command(tmp_path / "none.db", target))
    assert "there is no database file" in refusal(restore_command(tmp_path / "none.db", target))
    assert "is no database of this service" in refusal(backup_command(foreign, target))
    assert "is no database of this service" in refusal(restore_command(foreign, target))
    assert "file is not a database" in refusal(backup_command(text, target))
    assert "file is not a database" in refusal(restore_command(text, target))
    assert "there is no directory" in refusal(backup_command(database, tmp_path / "none" / "backup.db"))
    with closing(SqliteEnd(database)) as end:
        end.execute("INSERT INTO schema_migrations VALUES (1000, 'of tomorrow', 0)")
    assert "use the program that wrote it, or a newer one" in refusal(restore_command(database, target))


@pytest.mark.parametrize("command", ["backup", "restore"])
def test_postgresql_has_tools_of_its_own(command: str, tmp_path: Path) -> None:
    url = "postgresql://nobody@127.0.0.1:1/nothing"
    done = CliRunner().invoke(main, [command, str(tmp_path / "file"), "--database-url", url])
    assert "pg_dump" in refusal(done)


def test_a_full_disk_leaves_nothing_behind(database: Path, tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    kept.mkdir()
    # The shell's limit of a file's size stands for a disk that is full.
    script = 'trap "" XFSZ; ulimit -f 100; exec "$0" "$@"'
    done = subprocess.run(
        ["bash", "-c", script, PROGRAM, "backup", kept / "backup.db", "--database-url", url_of(database)],
        env=clean_environ(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2, done.stderr
    assert "can't be copied to" in done.stderr.splitlines()[-1]
    assert os.listdir(kept) == []


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_large_backup_shows_how_far_it_is(tmp_path: Path) -> None:
    fill_large(tmp_path / "organizations.db", organizations=20_000, each=5)
    done = backup_command(tmp_path / "organizations.db", tmp_path / "backup.db")
    assert done.exit_code == 0, done.stderr
    assert re.search(r"^pages: ([\d,]+) of \1 \(100%\)$", done.stderr, re.MULTILINE)
    assert "20,000 organizations, 100,000 members, 20,000 accounts" in done.stderr
