"""What the server asks its Envoy is answered, or it is told in one way that it isn't."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler
from socketserver import UnixStreamServer

import pytest

from server.admin import Admin


@pytest.fixture
def answered() -> Iterator[Callable[[bytes], Admin]]:
    """Give an `Admin` whose Envoy says what one likes, whatever it is asked."""
    admin, envoys = Admin(), []

    def answering(says: bytes) -> Admin:
        class Envoy(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.wfile.write(says)

            do_POST = do_GET  # noqa: N815 # the library's name

        envoys.append(UnixStreamServer(admin.config()["address"]["pipe"]["path"], Envoy))
        threading.Thread(target=envoys[-1].serve_forever, args=(0.01,)).start()
        return admin

    yield answering
    for envoy in envoys:
        envoy.shutdown()
        envoy.server_close()
    admin.close()


ASKS: tuple[Callable[[Admin], object], ...] = (Admin.listening_port, Admin.active_requests)
OK = b"HTTP/1.0 200 OK\r\n\r\n"


def test_what_envoy_says_is_read(answered: Callable[[bytes], Admin]) -> None:
    admin = answered(OK + b'{"stats": [{"name": "a", "value": 2}, {"name": "b", "value": 1}, {}]}')
    assert admin.active_requests() == 3


@pytest.mark.parametrize("ask", ASKS)
@pytest.mark.parametrize(
    "says",
    [
        b"",
        b"nothing of HTTP\r\n",
        b"HTTP/1.0 503 No\r\n\r\n{}",
        OK,
        OK + b"<html>",
        OK + b"{}",
        OK + b"[]",
    ],
)
def test_an_envoy_that_says_something_else_is_one_that_does_not_answer(
    answered: Callable[[bytes], Admin], ask: Callable[[Admin], object], says: bytes
) -> None:
    with pytest.raises(OSError, match="Envoy"):
        ask(answered(says))


@pytest.mark.parametrize("ask", [*ASKS, Admin.stop_listening])
def test_an_envoy_that_is_gone_does_not_answer(ask: Callable[[Admin], object]) -> None:
    admin = Admin()
    admin.config()
    with pytest.raises(OSError):  # noqa: PT011 # the system's own words
        ask(admin)
    admin.close()


def test_a_server_that_does_not_listen_yet_has_no_port(answered: Callable[[bytes], Admin]) -> None:
    with pytest.raises(LookupError):
        answered(OK + b'{"listener_statuses": []}').listening_port()
