"""A killed server loses nothing that it acknowledged and does nothing twice. The long run is `kills.py`'s."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from server.store.sqlite import sqlite3
from tests.faults.bare import Forge
from tests.faults.kills import kill_bare, kill_whole
from tests.faults.ledger import Book, Writers
from tests.running import wait_until

pytestmark = pytest.mark.faults


def test_killed_at_random_moments_the_service_loses_nothing(tmp_path: Path, figure: Callable[[str], None]) -> None:
    run = kill_bare(tmp_path, 25, seed=1)
    assert run.is_right, (run.wrong, run.refusals)
    assert run.early > 0
    assert run.acknowledged > run.unanswered > 0
    figure(str(run))


def test_killed_at_random_moments_the_whole_server_loses_nothing(tmp_path: Path, figure: Callable[[str], None]) -> None:
    run = kill_whole(tmp_path, 3, seed=1)
    assert run.is_right, (run.wrong, run.refusals)
    assert run.acknowledged > run.unanswered > 0
    figure(str(run))


def test_kills_catch_a_service_that_answers_before_the_commit(tmp_path: Path) -> None:
    assert kill_bare(tmp_path, 50, seed=1, mutant="answers before the commit").wrong.lost


def test_kills_catch_a_service_that_does_again_what_comes_again(tmp_path: Path) -> None:
    run = kill_bare(tmp_path, 50, seed=1, mutant="nothing repeats")
    # There are two of it, or the second was refused because of the first.
    assert run.wrong.duplicated or run.refusals


def test_of_two_servers_on_one_file_one_is_killed_again_and_again_and_the_other_goes_on(tmp_path: Path) -> None:
    book = Book(tmp_path / "organizations.db")
    with (
        closing(Forge()) as forge,
        closing(Writers(book, 2, name="steady")) as steady_ones,
        closing(Writers(book, 2, name="mortal")) as others,
    ):
        steady = forge.start(book.environ).wait()
        steady_ones.go(steady)
        for _ in range(8):
            mortal = forge.start(book.environ)
            others.go(mortal.wait())
            book.ledger.wait_for_more(20)
            mortal.kill()
            book.ledger.wait_for_more(5)
            others.pause()
            steady_ones.pause()
            wrong = book.check()
            assert wrong.is_nothing, wrong
            steady_ones.go(steady)
        others.go(steady)
        others.finish()
        steady_ones.finish()
    assert book.ledger.refusals == []
    assert book.ledger.open == set()
    assert book.check().is_nothing


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Book:
    """A file in which some stories were told to their end."""
    book = Book(tmp_path_factory.mktemp("written") / "organizations.db")
    with closing(Forge()) as forge, closing(Writers(book)) as writers:
        writers.go(forge.start(book.environ).wait())
        wait_until(lambda: len(book.ledger.acknowledged) > 60, 60)
        writers.finish()
    return book


HARM = {
    "a member": ("DELETE FROM members WHERE rowid = (SELECT max(rowid) FROM members)", "lost"),
    "an organization": ("DELETE FROM organizations WHERE rowid = (SELECT min(rowid) FROM organizations)", "lost"),
    "an older link": ("UPDATE invite_links SET lookup_hash = x'00' WHERE rowid = 1", "lost"),
    "an older state": ("UPDATE invitations SET status = 'pending' WHERE status = 'accepted'", "lost"),
    "a second organization": (
        "INSERT INTO organizations SELECT 'another', name, '', 0, 0, 0, '{}', name_key FROM organizations LIMIT 1",
        "duplicated",
    ),
    "a count": ("UPDATE organizations SET member_count = member_count + 1", "damaged"),
    "an index": (
        "UPDATE sqlite_schema SET sql = replace(sql, 'joined_at', 'role') WHERE name = 'members_by_time'",
        "damaged",
    ),
    "half a request": (
        "INSERT INTO idempotency_keys (caller, key, fingerprint, created_at) VALUES ('x', 'y', x'00', 0)",
        "damaged",
    ),
}


def test_the_check_finds_nothing_where_nothing_is_wrong(written: Book) -> None:
    assert written.check().is_nothing


@pytest.mark.parametrize(("harm", "found"), HARM.values(), ids=HARM.keys())
def test_the_check_finds_what_is_wrong(written: Book, tmp_path: Path, harm: str, found: str) -> None:
    copy = tmp_path / "copy.db"
    with closing(sqlite3.connect(written.path)) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    shutil.copy(written.path, copy)
    with closing(sqlite3.connect(copy, isolation_level=None)) as db:
        db.execute("PRAGMA writable_schema = ON")
        db.execute(harm)
    assert getattr(written.check(copy), found)
