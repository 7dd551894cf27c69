"""A TCP proxy before PostgreSQL that cuts a connection at a chosen point of a transaction.

It reads no more of the protocol than that takes: where messages begin, the text of statements, and which message ends
an answer. https://www.postgresql.org/docs/current/protocol-message-formats.html
"""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

WRITING = "BEGIN ISOLATION LEVEL READ COMMITTED"

_STARTUP_ONLY = (80877103, 80877104)  # asks for TLS or GSSAPI; what follows is another startup message


def is_commit(statement: str) -> bool:
    """Tell whether a statement, or the last of several sent together, commits."""
    return statement.endswith("COMMIT")


class When(StrEnum):
    """Where in the life of a statement the connection is cut."""

    BEFORE = "before it is sent on"
    WITHIN = "with half of it sent on"
    AFTER = "when it was done and before its answer"


@dataclass(frozen=True)
class Cut:
    """Cut a writing transaction before, in or after its statement of this number; -1 is the one that commits.

    With `refuses`, whoever sees this cut finds that no more connections are taken, until `Proxy.accept`.
    """

    place: int
    when: When
    refuses: bool = False


class Proxy:
    """Listens on `port` and sends on to another port of this machine."""

    def __init__(self, target_port: int) -> None:
        self._target = target_port
        self._lock = threading.Lock()
        self._cuts: list[Cut] = []
        self._links: set[_Link] = set()
        self._open = True
        self._flowing = threading.Event()
        self._flowing.set()
        self.transactions: list[list[str]] = []
        """The statements of each writing transaction that went through."""
        self.done = 0
        """How many cuts were made; each is counted before its client can see it."""
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self) -> Proxy:
        return self

    def __exit__(self, *_: object) -> None:
        # Wakes whoever accepts; a mere close wouldn't.
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._flowing.set()
        self.cut_all()

    def cut(self, *cuts: Cut) -> None:
        """Cut the next writing transactions, one each in this order."""
        with self._lock:
            self._cuts = list(cuts)
            self.done = 0

    def cut_all(self) -> None:
        """Cut every connection that there is."""
        with self._lock:
            links = list(self._links)
        for link in links:
            link.close()

    def refuse(self) -> None:
        """Take no more connections, and cut those that are."""
        with self._lock:
            self._open = False
        self.cut_all()

    def accept(self) -> None:
        with self._lock:
            self._open = True

    def swallow(self) -> None:
        """Hold back everything that is sent from now on, in silence."""
        self._flowing.clear()

    def flow(self) -> None:
        """Send on what was held back, and all that follows."""
        self._flowing.set()

    def wait_until_flowing(self) -> None:
        self._flowing.wait()

    def begun(self) -> tuple[list[str], Cut | None]:
        """Give where the statements of a writing transaction that begins now are noted, and where to cut it."""
        with self._lock:
            self.transactions.append([])
            return self.transactions[-1], (self._cuts.pop(0) if self._cuts else None)

    def cut_is_made(self, cut: Cut) -> None:
        with self._lock:
            self.done += 1
        if cut.refuses:
            self.refuse()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            try:
                server = socket.create_connection(("127.0.0.1", self._target))
            except OSError:
                client.close()
                continue
            link = _Link(self, client, server)
            with self._lock:
                taken = self._open
                if taken:
                    self._links.add(link)
            if taken:
                link.start(self._forget)
            else:
                link.close()

    def _forget(self, link: _Link) -> None:
        with self._lock:
            self._links.discard(link)


class _Link:
    """One connection: two threads, one for each direction."""

    def __init__(self, proxy: Proxy, client: socket.socket, server: socket.socket) -> None:
        self._proxy = proxy
        self._client = client
        self._server = server
        for end in (client, server):
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._statements: list[str] = []
        self._cut: Cut | None = None
        self._cut_at_the_answer: Cut | None = None

    def start(self, forget: Callable[[_Link], None]) -> None:
        def run(pump: Callable[[], None]) -> None:
            with contextlib.suppress(OSError, ConnectionError):
                pump()
            self.close()
            forget(self)

        for pump in (self._from_client, self._from_server):
            threading.Thread(target=run, args=(pump,), daemon=True).start()

    def close(self) -> None:
        for end in (self._client, self._server):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()

    def _from_client(self) -> None:
        while True:  # the startup, which has no type
            head = _exactly(self._client, 8)
            length, code = struct.unpack("!ii", head)
            self._send(self._server, head + _exactly(self._client, length - 8))
            if code not in _STARTUP_ONLY:
                break
        while True:
            head = _exactly(self._client, 5)
            (length,) = struct.unpack("!i", head[1:])
            message = head + _exactly(self._client, length - 4)
            statement = _statement(message)
            if statement is not None and self._cuts_here(statement, message):
                return
            self._send(self._server, message)

    def _cuts_here(self, statement: str, message: bytes) -> bool:
        if statement.startswith(WRITING):
            self._statements, self._cut = self._proxy.begun()
        place = len(self._statements)
        self._statements.append(statement)
        if self._cut is None or self._cut.place != (-1 if is_commit(statement) else place):
            return False
        cut, self._cut = self._cut, None
        if cut.when is When.AFTER:
            self._cut_at_the_answer = cut
            return False
        if cut.when is When.WITHIN:
            self._server.sendall(message[: len(message) // 2])
        self._proxy.cut_is_made(cut)
        return True

    def _from_server(self) -> None:
        """Pass answers on as they come, until the one that is to be cut: that is read to its end and not passed on."""
        pending = b""
        while True:
            content = self._server.recv(65536)
            if not content:
                return
            if self._cut_at_the_answer is not None:
                pending += content
                # ReadyForQuery is the last message of an answer, of five bytes and a state.
                if pending[-6:-1] == b"Z\x00\x00\x00\x05":
                    self._proxy.cut_is_made(self._cut_at_the_answer)
                    return
            else:
                self._send(self._client, content)

    def _send(self, end: socket.socket, content: bytes) -> None:
        self._proxy.wait_until_flowing()
        end.sendall(content)


def _exactly(end: socket.socket, size: int) -> bytes:
    content = b""
    while len(content) < size:
        more = end.recv(size - len(content))
        if not more:
            raise ConnectionError
        content += more
    return content


def _statement(message: bytes) -> str | None:
    """Give the text of a statement: a simple query's, or a parse message's."""
    if message[:1] == b"Q":
        return message[5:-1].decode()
    if message[:1] == b"P":
        return message[5:].split(b"\0")[1].decode()
    return None
