"""Calls a server for a while from a process of its own, checks every answer, and says how it went.

One thread that waits for all connections at once, with requests made beforehand, so that it costs a fraction of what
servers do: about 50 µs a request. It speaks as much of HTTP/1.1 and of gRPC as that takes. Each caller waits for its
answer before it asks again: HTTP/1.1 callers have a connection each, and `STREAMS` gRPC callers share one.

The parent calls `run`; `python -m bench.load` is the process, which gets its `Load` on standard input.
"""

from __future__ import annotations

import pickle
import select
import socket
import struct
import subprocess
import sys
import time
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import cycle
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

from hpack import Decoder, Encoder, NeverIndexedHeaderTuple

ROOT = Path(__file__).resolve().parent.parent
STREAMS = 8
"""How many gRPC callers share a connection."""

ANSWER_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Request:
    """What one call sends besides its load's common headers, and what its answer must contain."""

    body: bytes
    expected: bytes
    headers: tuple[tuple[str, str], ...] = ()
    path: str = ""
    """Instead of the load's path."""


@dataclass(frozen=True, slots=True)
class Load:
    """Who is called, how, and for how long. `requests` are sent in their order, and again from the first."""

    url: str
    path: str
    requests: Sequence[Request]
    callers: int
    seconds: float
    grpc: bool = False
    headers: tuple[tuple[str, str], ...] = (("content-type", "application/json"),)
    most: int | None = None
    """Stop after so many answers."""
    method: str = "POST"


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a load went: each answer's seconds in ascending order, how long all took, and what the load itself used."""

    times: array[float]
    seconds: float
    processor_seconds: float

    @property
    def count(self) -> int:
        return len(self.times)

    @property
    def rate(self) -> float:
        """Answers a second."""
        return self.count / self.seconds

    def percentile(self, share: float) -> float:
        """Give the seconds within which this share of the answers came."""
        return self.times[min(int(self.count * share), self.count - 1)]


class WrongAnswerError(Exception):
    """A server answered something else than it should."""


def run(load: Load, core: int | None = None) -> Outcome:
    """Run a load in a process of its own, on this core when one is given; WrongAnswerError when an answer was wrong."""
    pinning = [] if core is None else ["taskset", "-c", str(core)]
    done = subprocess.run(
        [*pinning, sys.executable, "-m", "bench.load"],
        input=pickle.dumps(load),
        capture_output=True,
        check=False,
        cwd=ROOT,
    )
    if done.returncode != 0:
        raise WrongAnswerError(done.stderr.decode(errors="replace")[-2000:])
    outcome: Outcome = pickle.loads(done.stdout)
    return outcome


class _Connection(Protocol):
    """One connection; `streams` calls run on it at once, told apart by a number."""

    streams: int

    def send(self, request: Request) -> int:
        """Send a request and give its number."""
        ...

    def answers(self, data: bytes) -> Iterator[tuple[int, bytes]]:
        """Give the numbers and bodies of the answers that are complete with these bytes."""
        ...


class _Http1:
    streams = 1

    def __init__(self, peer: socket.socket, load: Load) -> None:
        self._peer = peer
        self._load = load
        self._host = urlsplit(load.url).netloc
        self._buffer = b""

    def send(self, request: Request) -> int:
        content = _RENDERED.get(id(request))
        if content is None:
            headers = [("host", self._host), ("content-length", str(len(request.body)))]
            headers += [*self._load.headers, *request.headers]
            lines = "".join(f"{name}: {value}\r\n" for name, value in headers)
            head = f"{self._load.method} {request.path or self._load.path} HTTP/1.1\r\n{lines}\r\n"
            content = _RENDERED[id(request)] = head.encode() + request.body
        self._peer.sendall(content)
        return 0

    def answers(self, data: bytes) -> Iterator[tuple[int, bytes]]:
        self._buffer += data
        head, end, body = self._buffer.partition(b"\r\n\r\n")
        if not end:
            return
        if not head.startswith(b"HTTP/1.1 200"):
            raise WrongAnswerError(self._buffer.decode(errors="replace"))
        place = head.lower().find(b"content-length:")
        whole = body.endswith(b"0\r\n\r\n") if place < 0 else len(body) >= int(head[place + 15 :].split(b"\r\n", 1)[0])
        if whole:
            self._buffer = b""
            yield 0, body


_RENDERED: dict[int, bytes] = {}
"""Requests as they go out, made once for all connections."""

_DATA, _HEADERS, _RST_STREAM, _SETTINGS, _PING, _GOAWAY = 0, 1, 3, 4, 6, 7
_END_STREAM, _ACK, _PADDED = 1, 1, 8
_SETTINGS_HEADER_TABLE_SIZE, _SETTINGS_INITIAL_WINDOW_SIZE = 1, 4


def _frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


class _Grpc:
    """HTTP/2 without compression of headers by reference: so equal trailers are equal bytes, and are read once."""

    streams = STREAMS

    def __init__(self, peer: socket.socket, load: Load) -> None:
        self._peer = peer
        self._load = load
        self._authority = urlsplit(load.url).netloc
        self._buffer = b""
        self._next = 1
        self._bodies: dict[int, bytes] = {}
        self._good: set[bytes] = set()
        self._decoder = Decoder()
        settings = struct.pack(">HIHI", _SETTINGS_HEADER_TABLE_SIZE, 0, _SETTINGS_INITIAL_WINDOW_SIZE, 2**31 - 1)
        window = struct.pack(">I", 2**31 - 1 - 65535)
        peer.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + _frame(_SETTINGS, 0, 0, settings) + _frame(8, 0, 0, window))

    def send(self, request: Request) -> int:
        content = _RENDERED.get(id(request))
        if content is None:
            headers = [(":method", "POST"), (":scheme", "http"), (":path", request.path or self._load.path)]
            headers += [(":authority", self._authority), ("content-type", "application/grpc"), ("te", "trailers")]
            headers += request.headers
            content = Encoder().encode([NeverIndexedHeaderTuple(*pair) for pair in headers], huffman=False)
            _RENDERED[id(request)] = content
        number, self._next = self._next, self._next + 2
        message = struct.pack(">BI", 0, len(request.body)) + request.body
        self._peer.sendall(_frame(_HEADERS, 4, number, content) + _frame(_DATA, _END_STREAM, number, message))
        return number

    def answers(self, data: bytes) -> Iterator[tuple[int, bytes]]:
        buffer = self._buffer + data if self._buffer else data
        place = 0
        while len(buffer) - place >= 9:
            length = int.from_bytes(buffer[place : place + 3], "big")
            kind, flags, number = struct.unpack_from(">BBI", buffer, place + 3)
            if len(buffer) - place - 9 < length:
                break
            payload = buffer[place + 9 : place + 9 + length]
            place += 9 + length
            if kind == _DATA:
                self._bodies[number] = self._bodies.get(number, b"") + payload
            elif kind == _HEADERS and flags & _END_STREAM:
                self._check(payload)
                yield number, self._bodies.pop(number, b"")
            else:
                self._other(kind, flags, payload)
        self._buffer = buffer[place:]

    def _check(self, trailers: bytes) -> None:
        if trailers not in self._good:
            headers = {str(name): str(value) for name, value in self._decoder.decode(trailers)}
            if headers.get("grpc-status") != "0":
                raise WrongAnswerError(str(headers))
            self._good.add(trailers)

    def _other(self, kind: int, flags: int, payload: bytes) -> None:
        if kind in (_SETTINGS, _PING) and not flags & _ACK:
            self._peer.sendall(_frame(kind, _ACK, 0, payload if kind == _PING else b""))
        elif kind in (_RST_STREAM, _GOAWAY):
            raise WrongAnswerError(f"frame {kind}: {payload!r}")


@dataclass(slots=True)
class _Under:
    """A connection and what is under way on it: by number, what was asked and when."""

    peer: socket.socket
    connection: _Connection
    calls: dict[int, tuple[Request, float]] = field(default_factory=dict)


def _connect(load: Load) -> list[_Under]:
    address = urlsplit(load.url)
    found, left = [], load.callers
    while left > 0:
        peer = socket.create_connection((address.hostname, address.port), ANSWER_SECONDS)
        peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        under = _Under(peer, _Grpc(peer, load) if load.grpc else _Http1(peer, load))
        found.append(under)
        left -= under.connection.streams
    return found


class _Calling:
    """A load under way."""

    def __init__(self, load: Load) -> None:
        self._load = load
        self._requests = cycle(load.requests)
        self._times: array[float] = array("d")
        self._left = load.most or sys.maxsize
        self._under_way = 0
        self._until = 0.0

    def run(self) -> Outcome:
        """Call until the time is over, and wait for what is under way then."""
        connections = {under.peer.fileno(): under for under in _connect(self._load)}
        poll = select.epoll()
        began, used = time.perf_counter(), time.process_time()
        self._until = began + self._load.seconds
        for number, under in connections.items():
            poll.register(number, select.EPOLLIN)
            for _ in range(min(under.connection.streams, self._load.callers - self._under_way)):
                self._ask(under)
        while self._under_way:
            ready = poll.poll(ANSWER_SECONDS)
            if not ready:
                raise WrongAnswerError(f"no answer within {ANSWER_SECONDS:g} s")
            for number, _ in ready:
                self._read(connections[number])
        took = time.perf_counter() - began
        return Outcome(array("d", sorted(self._times)), took, time.process_time() - used)

    def _ask(self, under: _Under) -> None:
        self._left -= 1
        self._under_way += 1
        request = next(self._requests)
        sent = time.perf_counter()
        under.calls[under.connection.send(request)] = (request, sent)

    def _read(self, under: _Under) -> None:
        data = under.peer.recv(262144)
        if not data:
            raise WrongAnswerError("the server closed the connection")
        for call, body in under.connection.answers(data):
            request, sent = under.calls.pop(call)
            came = time.perf_counter()
            self._times.append(came - sent)
            if request.expected not in body:
                raise WrongAnswerError(f"{body!r} hasn't {request.expected!r}")
            self._under_way -= 1
            if came < self._until and self._left > 0:
                self._ask(under)


def run_here(load: Load) -> Outcome:
    """Run a load in this process."""
    _RENDERED.clear()
    return _Calling(load).run()


def main() -> None:
    load = pickle.load(sys.stdin.buffer)
    try:
        outcome = run_here(load)
    except (WrongAnswerError, OSError) as error:
        sys.exit(f"{type(error).__name__}: {error}")
    sys.stdout.buffer.write(pickle.dumps(outcome))


if __name__ == "__main__":
    # Under this name, so that what is pickled here is what the parent knows.
    from bench import load as itself

    itself.main()
