"""A disk without room: who writes is told to come again, who reads is answered, and with room it goes on."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import httpx
import pytest

from tests.faults.ledger import GITPOD, Book, Writers
from tests.faults.small_disk import fill, small_disk
from tests.running import RunningServer, wait_until

pytestmark = pytest.mark.faults


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 8 MiB; only root can make one."""
    place = tmp_path / "disk"
    place.mkdir()
    with small_disk(place, 8) as hindered:
        if hindered:
            pytest.skip(f"a small file system can't be mounted: {hindered}")
        yield place


def test_a_full_disk_is_told_to_who_writes_and_it_goes_on_when_there_is_room(disk: Path) -> None:
    book = Book(disk / "organizations.db")
    ledger, ballast = book.ledger, disk / "ballast"
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
