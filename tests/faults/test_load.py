"""Slow, greedy and broken clients: good ones go on being answered, and what the server holds is bounded."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import pytest

from tests.faults.load import GET_SUMMARY, GoodClients, attacked, connect
from tests.running import RunningServer, running_server

Figure = Callable[[str], None]

BODY = b'{"inviteId": "00000000-0000-4000-8000-000000000000"}'


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with running_server(tmp_path_factory.mktemp("load"), "--log-level", "warning", "--limits", "off") as running:
        yield running


@pytest.fixture(scope="module")
def clients(server: RunningServer) -> GoodClients:
    return GoodClients(server, server.token("good@example.com"))


def post(body: bytes = BODY, length: int | None = None, *headers: str) -> bytes:
    """Give a request of HTTP/1.1."""
    lines = (f"POST {GET_SUMMARY} HTTP/1.1", "host: x", "content-type: application/json", *headers)
    return "\r\n".join([*lines, f"content-length: {len(body) if length is None else length}", "", ""]).encode() + body


def test_slow_bodies_keep_nobody_waiting(server: RunningServer, clients: GoodClients, figure: Figure) -> None:
    with attacked(server, clients, "500 slow bodies", figure):
        slow = [connect(server) for _ in range(500)]
        for connection in slow:
            connection.sendall(post(b"{", len(BODY)))
        for _ in range(10):
            time.sleep(0.3)
            for connection in slow:
                connection.sendall(b" ")
    for connection in slow:
        connection.close()


def test_slow_headers_keep_nobody_waiting(server: RunningServer, clients: GoodClients, figure: Figure) -> None:
    with attacked(server, clients, "500 slow headers", figure):
        slow = [connect(server) for _ in range(500)]
        for sent in post():
            for connection in slow:
                connection.sendall(bytes([sent]))
            time.sleep(0.02)
    for connection in slow:
        connection.close()
