"""A disk without room: who writes is told to come again, who reads is answered, and with room it goes on."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import httpx
import pytest

from tests.faults.ledger import GITPOD, Book, Writers
from tests.running import RunningServer, wait_until

pytestmark = pytest.mark.faults


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 8 MiB; only root can make one."""
    place = tmp_path / "disk"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=8m", "none", place], capture_output=True, text=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"a small file system can't be mounted: {mounted.stderr.strip()}")
    yield place
    subprocess.run(["umount", place], check=True)


def fill(path: Path) -> None:
    """Take all the room that there is."""
    with path.open("wb", buffering=0) as file:
        for size in (1 << 16, 1 << 12, 1):
            try:
                while file.write(b"\0" * size) == size:
                    pass
            except OSError:
                continue


def test_a_full_disk_is_told_to_who_writes_and_it_goes_on_when_there_is_room(small_disk: Path) -> None:
    book = Book(small_disk / "organizations.db")
    ledger, ballast = book.ledger, small_disk / "ballast"
    server = RunningServer(book.environ["DATABASE_URL"], "--log-level", "error", environ=book.environ)
    try:
        with closing(Writers(book, patient=True)) as writers:
            writers.go(server.address)
            for _ in range(2):
                ledger.wait_for_more(20)
                told = ledger.unavailable
                fill(ballast)
                wait_until(lambda told=told: ledger.unavailable > told + 20, 60)
                headers = {"authorization": f"Bearer {book.tokens['ada']}"}
                account = httpx.post(f"{server.url}/gitpod.v1.AccountService/GetAccount", json={}, headers=headers)
                assert account.status_code == 200
                refused = httpx.post(
                    f"{server.url}{GITPOD}CreateOrganization", json={"name": "Without room"}, headers=headers
                )
                assert (refused.status_code, refused.json()["code"]) == (503, "unavailable")
                assert int(refused.headers["retry-after"]) > 0
                ballast.unlink()
            ledger.wait_for_more(20)
            writers.finish()
        assert ledger.refusals == []
        wrong = book.check()
        assert wrong.is_nothing, wrong
    finally:
        server.stop()
