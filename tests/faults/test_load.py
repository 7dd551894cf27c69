"""Slow, greedy and broken clients: good ones go on being answered, and what the server holds is bounded."""

from __future__ import annotations

import base64
import contextlib
import json
import signal
import socket
import sqlite3
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from http import HTTPStatus
from http.client import HTTPResponse
from pathlib import Path
from typing import Any, BinaryIO

import grpc
import httpx
import pytest
from hpack import Decoder
from hyperframe.frame import DataFrame, Frame, HeadersFrame, PingFrame, RstStreamFrame

from server.envoy import JUDGED_STREAMS, MOST_BODY_BYTES, MOST_REQUESTS, MOST_STREAMS
from server.faces.connect import READ_MAX_BYTES
from server.serve import DRAIN_SECONDS, READING_THREADS, WRITING_THREADS
from tests.faults.attacks import (
    ATTACKS,
    BODY,
    BOMB_MIB,
    GET_ACCOUNT,
    GET_SUMMARY,
    bomb,
    connect,
    enveloped,
    header_block,
    opening,
    post,
    serialized,
)
from tests.faults.load import CREATE_ORGANIZATION, GoodClients, Load, attacked, attacking, resident_mib, well
from tests.running import RunningServer, running_server, wait_until

Figure = Callable[[str], None]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with running_server(tmp_path_factory.mktemp("load"), "--log-level", "warning", "--limits", "off") as running:
        yield running


@pytest.fixture(scope="module")
def clients(server: RunningServer) -> GoodClients:
    return GoodClients(server, server.token("good@example.com"))


def member_token(server: RunningServer) -> str:
    """Give the token of a person with 100 organizations, of whom a read is large."""
    token = server.token("member@example.com")
    with httpx.Client(base_url=server.url, headers={"authorization": f"Bearer {token}"}) as client:
        for number in range(100):
            client.post(CREATE_ORGANIZATION, json={"name": f"Organization {number}"}).raise_for_status()
    return token


@pytest.fixture(scope="module")
def member(server: RunningServer) -> str:
    return member_token(server)


FILLING = "unread_pages"
"""The attack that fills the memory; it has a test of its own, on a server that has less."""

SLACK = {"opened_streams": 4.0, "abandoned_requests": 4.0, "headers_bomb": 4.0}
"""Attacks that cost so much of the server's own time that others may be slower, by how many times."""

MORE_MIB = {"idle_connections": 256, "bombs": 256}
"""Attacks that may cost more memory than others."""


@pytest.mark.faults
@pytest.mark.parametrize("attack", [attack for attack in ATTACKS if attack != FILLING])
def test_an_attack_costs_good_clients_no_call(clients: GoodClients, member: str, figure: Figure, attack: str) -> None:
    more_mib, slack = MORE_MIB.get(attack, 128), SLACK.get(attack, 1.0)
    attacked(clients, attack, member, figure, more_mib=more_mib, slack=slack)


def saw(kept: float, new: float = 0.02) -> Load:
    """Give what good clients saw who waited so many seconds each."""
    return Load([kept] * 100, [new] * 3)


@pytest.mark.parametrize("slack", [1.0, 4.0])
def test_half_of_the_new_clients_who_wait_longer_than_five_seconds_are_not_well(slack: float) -> None:
    before = after = saw(0.02, 3.0)
    assert well([saw(0.02, 4.9)], slack, before, after)
    assert not well([saw(0.02, 5.1)] * 3, slack, before, after)
    assert well([saw(0.02, 5.1), saw(0.02, 4.9)], slack, before, after), "one stretch is enough"


def test_who_waits_five_times_as_long_as_without_an_attack_is_not_well() -> None:
    assert well([saw(0.49)], 1.0, saw(0.02))
    assert not well([saw(0.51)] * 3, 1.0, saw(0.02))
    assert well([saw(1.9)], 4.0, saw(0.02))
    assert not well([saw(2.1)] * 3, 4.0, saw(0.02))
    assert well([saw(1.4)], 1.0, saw(0.3))
    assert well([saw(1.4)], 1.0, saw(0.02), saw(0.3)), "the machine became busy"
    assert not well([saw(1.4)] * 3, 1.0, saw(0.02), saw(0.6)), "what an attack leaves behind is no excuse for it"


@pytest.mark.faults
def test_an_attacked_server_stops_when_it_is_told_to(tmp_path: Path, figure: Figure) -> None:
    with running_server(tmp_path, "--limits", "off", "--log-level", "error") as server, ExitStack() as attackers:
        token = member_token(server)
        for attack in ("never_reading", "opened_streams", "reset_streams"):
            attackers.enter_context(attacking(server, attack, token))
        time.sleep(2)
        began = time.monotonic()
        server.process.send_signal(signal.SIGTERM)
        assert server.process.wait(DRAIN_SECONDS + 10) == 0
        figure(f"a server that is attacked was stopped in {time.monotonic() - began:.1f} s")


# Sizes.


def sized(protocol: str, size: int) -> tuple[bytes, dict[str, str]]:
    """Give a request whose message has so many bytes, and its headers."""
    if protocol == "json":
        padded = BODY + b" " * (size - len(BODY))
        return padded, {"content-type": "application/json"}
    # An unknown field that fills the message.
    known = b"\n\x24" + b"00000000-0000-4000-8000-000000000000"
    rest = size - len(known) - 5
    message = (
        known
        + b"\x7a"
        + bytes([rest & 127 | 128, rest >> 7 & 127 | 128, rest >> 14 & 127 | 128, rest >> 21])
        + b"x" * rest
    )
    assert len(message) == size
    if protocol == "proto":
        return message, {"content-type": "application/proto"}
    return enveloped(message), {"content-type": "application/grpc-web+proto"}


@pytest.mark.parametrize("protocol", ["json", "proto", "grpc-web"])
@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize(
    ("size", "reason"),
    [
        (READ_MAX_BYTES - 1, "INVITE_NOT_FOUND"),
        (READ_MAX_BYTES, "INVITE_NOT_FOUND"),
        (READ_MAX_BYTES + 1, "REQUEST_TOO_LARGE"),
        (MOST_BODY_BYTES + 1, "REQUEST_TOO_LARGE"),
        (3 * READ_MAX_BYTES, "REQUEST_TOO_LARGE"),
    ],
)
def test_the_largest_body_is_read_and_one_byte_more_refused(
    server: RunningServer, protocol: str, chunked: bool, size: int, reason: str
) -> None:
    body, headers = sized(protocol, size)
    try:
        answer = httpx.post(server.url + GET_SUMMARY, content=sent(body, chunked), headers=headers, timeout=30)
    except httpx.WriteError:
        assert size > MOST_BODY_BYTES, "the server may close while it is sent what it refuses"
        return
    said = answer.text + str(answer.headers)
    codes = {"INVITE_NOT_FOUND": (404, "5"), "REQUEST_TOO_LARGE": (429, "8")}[reason]
    if protocol == "grpc-web":
        assert answer.status_code == 200
        assert f"grpc-status: {codes[1]}" in said or f"'grpc-status': '{codes[1]}'" in said
    else:
        assert answer.status_code == codes[0]
        assert reason in "".join(base64_of(answer))


def sent(body: bytes, chunked: bool) -> bytes | Iterator[bytes]:
    """Give a body as it is sent: whole and with its length, or in pieces without."""
    return iter([body[i : i + 65_536] for i in range(0, len(body), 65_536)]) if chunked else body


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize(("size", "status"), [(READ_MAX_BYTES, 200), (READ_MAX_BYTES + 1, 400)])
def test_so_is_that_of_another_face(
    server: RunningServer, clients: GoodClients, chunked: bool, size: int, status: int
) -> None:
    body = b'{"name": "Large"}'.ljust(size)
    headers = {"authorization": f"Bearer {clients.token}"}
    url = server.url + "/koyeb/v1/organizations"
    assert httpx.post(url, content=sent(body, chunked), headers=headers, timeout=30).status_code == status


def base64_of(answer: httpx.Response) -> list[str]:
    """Give what the details of an error hold."""
    return [base64.b64decode(d["value"] + "==").decode(errors="replace") for d in answer.json()["details"]]


@pytest.mark.parametrize(("size", "status"), [(20_000, 404), (40_000, 431)])
def test_headers_are_bounded(server: RunningServer, size: int, status: int) -> None:
    with connect(server.address) as connection:
        connection.sendall(post(BODY, None, "x-large: " + "x" * size))
        assert connection.makefile("rb").readline().split()[1] == str(status).encode()


def test_too_many_headers_are_refused(server: RunningServer) -> None:
    with connect(server.address) as connection:
        connection.sendall(post(BODY, None, *(f"x-{n}: 1" for n in range(200))))
        assert connection.makefile("rb").readline().split()[1] == b"431"


@pytest.mark.parametrize("encoding", ["gzip", "br", "zstd"])
@pytest.mark.parametrize("protocol", ["json", "grpc-web"])
def test_a_compressed_bomb_is_not_unpacked(server: RunningServer, figure: Figure, encoding: str, protocol: str) -> None:
    # Neither br nor zstd is read here, so what it holds doesn't matter.
    packed = bomb() if encoding == "gzip" else b"\x28\xb5\x2f\xfd" + bytes(200_000)
    headers = {"content-type": "application/json", "content-encoding": encoding}
    if protocol == "grpc-web":
        packed = enveloped(packed, compressed=True)
        headers = {"content-type": "application/grpc-web+proto", "grpc-encoding": encoding}
    before = resident_mib(server)
    for _ in range(8):
        answer = httpx.post(server.url + GET_SUMMARY, content=packed, headers=headers, timeout=30)
        if protocol == "json":
            assert answer.status_code == (429 if encoding == "gzip" else 501)
        else:
            assert f"grpc-status: {8 if encoding == 'gzip' else 12}".encode() in answer.content
    grown = resident_mib(server) - before
    figure(f"8 bombs of {BOMB_MIB} MiB in {encoding} ({protocol}): memory grew by {grown:.0f} MiB")
    assert grown < BOMB_MIB / 2


# Time.

LATE = ["json", "grpc-web", "grpc"]


def deadlined(protocol: str, milliseconds: int, token: str, name: str = "Made") -> tuple[bytes, bytes]:
    """Give the head of a request that would make an organization within so long, and its body."""
    message = b"\n" + bytes([len(name)]) + name.encode()
    if protocol == "grpc":
        timeout = {"grpc_timeout": f"{milliseconds}m"}
        block = header_block(CREATE_ORGANIZATION, "application/grpc", token, **timeout)
        body = DataFrame(1, enveloped(message), flags=["END_STREAM"])
        return opening() + serialized(HeadersFrame(1, block, flags=["END_HEADERS"])), serialized(body)
    as_json = protocol == "json"
    body_sent = json.dumps({"name": name}).encode() if as_json else enveloped(message)
    lines = (
        f"POST {CREATE_ORGANIZATION} HTTP/1.1",
        "host: x",
        f"authorization: Bearer {token}",
        f"connect-timeout-ms: {milliseconds}" if as_json else f"grpc-timeout: {milliseconds}m",
        f"content-type: application/{'json' if as_json else 'grpc-web+proto'}",
        f"content-length: {len(body_sent)}",
    )
    return "\r\n".join([*lines, "", ""]).encode(), body_sent


def ended_late(protocol: str, connection: socket.socket) -> bool:
    """Read an answer, and tell whether it is that the deadline has passed."""
    if protocol == "grpc":
        return grpc_status(connection) == "4"
    answer = HTTPResponse(connection)
    answer.begin()
    body = answer.read()
    if protocol == "json":
        return answer.status == HTTPStatus.GATEWAY_TIMEOUT and json.loads(body)["code"] == "deadline_exceeded"
    return answer.status == HTTPStatus.OK and (answer.headers["grpc-status"] == "4" or b"grpc-status: 4" in body)


def grpc_status(connection: socket.socket) -> str:
    """Read frames of HTTP/2 until an answer's trailers."""
    stream, decoder = connection.makefile("rb"), Decoder()
    while True:
        frame, length = Frame.parse_frame_header(memoryview(stream.read(9)))
        frame.parse_body(memoryview(stream.read(length)))
        if isinstance(frame, HeadersFrame):
            fields = {str(name): str(value) for name, value in decoder.decode(frame.data)}
            if "grpc-status" in fields:
                return fields["grpc-status"]


def organizations(server: RunningServer, token: str) -> list[str]:
    """Give the names of a person's organizations."""
    account = httpx.post(server.url + GET_ACCOUNT, json={}, headers={"authorization": f"Bearer {token}"}).json()
    return [membership["organizationName"] for membership in account["account"]["memberships"]]


@pytest.mark.parametrize("protocol", LATE)
@pytest.mark.parametrize("milliseconds", [1, 50, 500])
def test_a_deadline_that_passed_while_a_body_came_begins_nothing(
    server: RunningServer, clients: GoodClients, protocol: str, milliseconds: int
) -> None:
    # A busy machine may take so long to read the head that the body comes in time: then it is waited for longer.
    for longer in (0.05, 1.0, 5.0):
        name = f"In {milliseconds} ms by {protocol}, {longer} s too late"
        head, body = deadlined(protocol, milliseconds, clients.token, name)
        with connect(server.address) as connection:
            # Of HTTP/2 a part of a frame, which is no part of a body before the rest of it is there.
            connection.sendall(head + body[:1])
            time.sleep(milliseconds / 1000 + longer)
            connection.sendall(body[1:])
            late = ended_late(protocol, connection)
        assert (name in organizations(server, clients.token)) is not late
        if late:
            return
    raise AssertionError("no deadline was too early")


@pytest.mark.parametrize("protocol", LATE)
def test_a_deadline_far_away_is_met(server: RunningServer, protocol: str) -> None:
    """What the other tests send would make an organization if there were time."""
    token = server.token(f"early-{protocol}@example.com")
    head, body = deadlined(protocol, 60_000, token)
    with connect(server.address) as connection:
        connection.sendall(head + body)
        assert not ended_late(protocol, connection)
    assert organizations(server, token) == ["Made"]


def test_a_deadline_that_passed_while_waiting_for_a_thread_begins_nothing(tmp_path: Path) -> None:
    with running_server(tmp_path, "--limits", "off", "--log-level", "error") as server, ExitStack() as stack:
        token, busy = server.token("late@example.com"), server.token("busy@example.com")
        channel = stack.enter_context(grpc.insecure_channel(server.address))
        create = channel.unary_unary(CREATE_ORGANIZATION)
        lock = stack.enter_context(closing(sqlite3.connect(tmp_path / "organizations.db", isolation_level=None)))
        lock.execute("BEGIN IMMEDIATE")
        metadata = (("authorization", f"Bearer {busy}"),)
        keeping = [create.future(b"\n\x04Made", timeout=60, metadata=metadata) for _ in range(WRITING_THREADS)]
        time.sleep(0.5)
        late = []
        for protocol in LATE:
            for milliseconds in (1, 50, 500):
                connection = stack.enter_context(connect(server.address))
                connection.sendall(b"".join(deadlined(protocol, milliseconds, token)))
                late.append((protocol, connection))
        # Time enough for a busy machine to read them before the last deadline.
        time.sleep(2.5)
        lock.execute("COMMIT")
        assert [ended_late(protocol, connection) for protocol, connection in late] == [True] * len(late)
        for call in keeping:
            call.exception()  # done, or refused where it took so long that the file is said to be busy
        assert organizations(server, token) == []


def test_calls_that_all_miss_their_deadline_cost_a_client_no_other_call(
    server: RunningServer, clients: GoodClients
) -> None:
    metadata = (("authorization", f"Bearer {clients.token}"),)
    for _ in range(5):
        with grpc.insecure_channel(server.address, options=[("grpc.use_local_subchannel_pool", 1)]) as channel:
            call = channel.unary_unary(GET_ACCOUNT)
            call(b"", metadata=metadata, timeout=20)
            others = [call.future(b"", metadata=metadata, timeout=20) for _ in range(10)]
            late = [call.future(b"", metadata=metadata, timeout=0.001) for _ in range(MOST_STREAMS)]
            others += [call.future(b"", metadata=metadata, timeout=20) for _ in range(10)]
            assert grpc.StatusCode.DEADLINE_EXCEEDED in {each.code() for each in late}
            assert {each.code() for each in others} == {grpc.StatusCode.OK}


# Connections.


@pytest.mark.faults
def test_more_connections_than_there_are_files_for_hurt_nobody_who_is_connected(tmp_path: Path) -> None:
    with running_server(tmp_path, "--limits", "off", prefix=("prlimit", "--nofile=1200:1200")) as server:
        token = server.token("good@example.com")
        # Kept however long the others take: one that comes anew has no more right to a place than they.
        limits = httpx.Limits(keepalive_expiry=None)
        with httpx.Client(base_url=server.url, headers={"authorization": f"Bearer {token}"}, limits=limits) as kept:
            kept.post(GET_ACCOUNT, json={}).raise_for_status()
            many = [connect(server.address) for _ in range(1500)]
            for _ in range(20):
                kept.post(GET_ACCOUNT, json={}).raise_for_status()
            for connection in many:
                connection.close()

        def answered() -> bool:
            with contextlib.suppress(httpx.TransportError):
                return httpx.get(server.url + "/readyz").status_code == 200
            return False

        wait_until(answered, 20)


REFLECTION = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo"


@pytest.mark.faults
def test_streams_that_are_kept_open_are_no_requests_under_way(server: RunningServer, clients: GoodClients) -> None:
    block = header_block(REFLECTION, "application/grpc")
    streams = serialized(*[HeadersFrame(n, block, flags=["END_HEADERS"]) for n in range(1, 2 * MOST_STREAMS, 2)])
    with ExitStack() as stack:
        for _ in range(MOST_REQUESTS // MOST_STREAMS + 1):
            stack.enter_context(connect(server.address)).sendall(opening() + streams)
        clients.run(1).assert_good()


# More than can be done.

FACES = ("/clerk/v1/organizations", "/koyeb/v1/organizations", "/logto/api/organizations")


def assert_told_to_come_again(server: RunningServer, token: str, path: str) -> None:
    """Ask for an organization by JSON while too much is under way."""
    answer = httpx.post(server.url + path, json={"name": "Made"}, headers={"authorization": f"Bearer {token}"})
    assert answer.status_code == HTTPStatus.SERVICE_UNAVAILABLE, answer.text
    assert int(answer.headers["retry-after"]) >= 1
    assert answer.json()["code"] == "unavailable"
    assert "google.rpc.RetryInfo" in [detail["type"] for detail in answer.json()["details"]]


@pytest.mark.faults
def test_more_requests_than_can_be_under_way_are_refused_at_once_with_a_time_to_come_again(
    tmp_path: Path, figure: Figure
) -> None:
    with running_server(tmp_path, "--limits", "off", "--log-level", "error") as server:
        token = server.token("good@example.com")
        metadata = (("authorization", f"Bearer {token}"),)
        outcomes: list[tuple[float, str, bool]] = []
        channels = [
            grpc.insecure_channel(server.address, options=[("grpc.use_local_subchannel_pool", 1)]) for _ in range(28)
        ]
        for channel in channels:
            grpc.channel_ready_future(channel).result(20)
        lock = sqlite3.connect(tmp_path / "organizations.db", isolation_level=None)
        lock.execute("BEGIN IMMEDIATE")
        began = time.monotonic()

        def ended(call: Any) -> None:
            error = call.exception()
            retry = error is not None and b"google.rpc.RetryInfo" in str(error.trailing_metadata()).encode()
            code = "ok" if error is None else error.code().name
            outcomes.append((time.monotonic() - began, code, retry))

        sent = 0
        for _ in range(98):
            for channel in channels:
                call = channel.unary_unary(CREATE_ORGANIZATION).future(b"\n\x04Made", timeout=60, metadata=metadata)
                call.add_done_callback(ended)
                sent += 1
        assert sent > MOST_REQUESTS + WRITING_THREADS
        wait_until(lambda: len(outcomes) >= sent - MOST_REQUESTS, 30)
        early = list(outcomes)
        for path in (CREATE_ORGANIZATION, *FACES):
            assert_told_to_come_again(server, token, path)
        # Nothing of what waits can be done, yet who asks whether the server lives hears so as soon as a thread is free.
        lock.execute("COMMIT")
        lock.close()
        wait_until(lambda: len(outcomes) == sent, 60)
        for channel in channels:
            channel.close()
        assert {(code, retry) for _, code, retry in early} == {("UNAVAILABLE", True)}
        figure(
            f"overload: {sent} writes at once while none can be done: {len(early)} refused within"
            f" {max(seconds for seconds, *_ in early):.1f} s of the first being sent, the others done or refused"
            f" within {max(seconds for seconds, *_ in outcomes):.1f} s"
        )
        assert {code for _, code, _ in outcomes} <= {"ok", "UNAVAILABLE"}
        assert httpx.get(server.url + "/healthz").status_code == 200
        GoodClients(server, token).run(1).assert_good()


# The same, with a safeguard taken out.


class NotHeldError(Exception):
    """What a safeguard is for doesn't hold. Whatever else goes wrong says nothing about the safeguard."""


@contextlib.contextmanager
def unguarded(directory: Path, without: str, *, heap_mib: int = 1024) -> Iterator[RunningServer]:
    """Run a server without one of its safeguards."""
    server = RunningServer(
        f"sqlite:///{directory / 'organizations.db'}",
        *("--limits", "off", "--log-level", "error"),
        program=(sys.executable, "-m", "tests.faults.unguarded_server", without),
        environ={"HEAP_MIB": str(heap_mib)},
    )
    try:
        yield server
    finally:
        server.stop()


def half_bodies_keep_no_thread(server: RunningServer) -> None:
    with ExitStack() as stack:
        for _ in range(2 * READING_THREADS):
            stack.enter_context(connect(server.address)).sendall(post(b"{", len(BODY)))
        # On a busy machine they come late.
        for seconds in (0.5, 1.0, 2.0):
            time.sleep(seconds)
            require_answer(server, GET_SUMMARY)


def unread_answers_keep_no_thread(server: RunningServer) -> None:
    block = header_block(GET_ACCOUNT, "application/grpc", member_token(server))
    body = enveloped(b"")
    asked: list[Frame] = []
    for stream in range(1, 8 * MOST_STREAMS, 2):
        asked.append(HeadersFrame(stream, block, flags=["END_HEADERS"]))
        asked.append(DataFrame(stream, body, flags=["END_STREAM"]))
    with ExitStack() as stack:
        connection = stack.enter_context(connect(server.address))
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        connection.sendall(opening())
        # More than the system keeps for a connection, and never more at once than a connection may have under way.
        for number in range(0, len(asked), MOST_STREAMS):
            connection.sendall(serialized(*asked[number : number + MOST_STREAMS]))
            time.sleep(0.5)
        require_answer(server, GET_ACCOUNT)


def require_answer(server: RunningServer, path: str) -> None:
    """Ask for a path whose threads may be kept; whatever it says it must answer."""
    try:
        status = httpx.post(server.url + path, json={}, timeout=20).status_code
    except httpx.ReadTimeout as late:
        raise NotHeldError("no answer: all threads are kept") from late
    assert status < HTTPStatus.INTERNAL_SERVER_ERROR


def one_stream_too_many_is_refused(server: RunningServer) -> None:
    block = header_block()
    frames = [HeadersFrame(n, block, flags=["END_HEADERS"]) for n in range(1, 2 * MOST_STREAMS + 2, 2)]
    with connect(server.address) as connection:
        connection.sendall(opening() + serialized(*frames))
        stream = connection.makefile("rb")
        # What is said to a PING is said before all else that is to be said: that came before a second one is answered.
        came = [frame for _ in range(2) for frame in frames_until_a_ping_is_answered(connection, stream)]
    refused = [frame.stream_id for frame in came if isinstance(frame, RstStreamFrame)]
    if not refused:
        raise NotHeldError("one stream too many is open")
    assert refused == [2 * MOST_STREAMS + 1]


CLOSED_WITHIN_SECONDS = 5
"""How long a connection that is to be closed may stay open: a busy server is late, another never closes it."""


def streams_that_are_reset_close_their_connection(server: RunningServer) -> None:
    block = header_block()
    with connect(server.address) as connection:
        connection.sendall(opening())
        try:
            for number in range(1, 2 * JUDGED_STREAMS, 2):
                opened = HeadersFrame(number, block, flags=["END_HEADERS"])
                connection.sendall(serialized(opened, RstStreamFrame(number, error_code=8)))
                time.sleep(0.01)
            stream, until = connection.makefile("rb"), time.monotonic() + CLOSED_WITHIN_SECONDS
            while time.monotonic() < until:
                frames_until_a_ping_is_answered(connection, stream)
                time.sleep(0.05)
        except (OSError, EOFError):
            return
        raise NotHeldError("the connection is open")


def frames_until_a_ping_is_answered(connection: socket.socket, stream: BinaryIO) -> list[Frame]:
    """Send a PING, and read frames of HTTP/2 up to its answer; `EOFError` where there are no more."""
    connection.sendall(serialized(PingFrame(0, b"12345678")))
    frames = list[Frame]()
    while not (frames and isinstance(frames[-1], PingFrame) and "ACK" in frames[-1].flags):
        head = stream.read(9)
        if not head:
            raise EOFError
        frame, length = Frame.parse_frame_header(memoryview(head))
        frame.parse_body(memoryview(stream.read(length)))
        frames.append(frame)
    return frames


SAFEGUARDS: dict[str, Callable[[RunningServer], None]] = {
    "whole_body": half_bodies_keep_no_thread,
    "unread_bytes": unread_answers_keep_no_thread,
    "most_streams": one_stream_too_many_is_refused,
    "judged_streams": streams_that_are_reset_close_their_connection,
}
"""What is to hold, by the safeguard that has it hold."""


@pytest.mark.faults
@pytest.mark.parametrize("safeguard", SAFEGUARDS)
def test_what_a_safeguard_is_for_holds_with_it_alone(server: RunningServer, tmp_path: Path, safeguard: str) -> None:
    SAFEGUARDS[safeguard](server)
    with unguarded(tmp_path, safeguard) as without, pytest.raises(NotHeldError):
        SAFEGUARDS[safeguard](without)


HEAP_MIB = 192
MOST_GROWTH_MIB = HEAP_MIB + 128

FILLED = "memory grew"
SHUT_OUT = "good clients weren't served again"


def survives_being_filled(server: RunningServer, figure: Figure) -> None:
    """Leave more unread than there is memory for: what is held is bounded, and good clients are refused for a while."""
    clients = GoodClients(server, server.token("good@example.com"))
    clients.run(1).assert_good()
    before = peak = resident_mib(server)
    with clients.calling() as load, attacking(server, FILLING, ""):
        # Until it has stopped growing, which takes a busy machine longer.
        until = time.monotonic() + 3
        while time.monotonic() < until and peak < before + MOST_GROWTH_MIB:
            held = resident_mib(server)
            if held > peak + 1:
                peak, until = held, time.monotonic() + 3
            time.sleep(0.05)
        if peak >= before + MOST_GROWTH_MIB:
            raise NotHeldError(f"{FILLED}: {before:.0f} → {peak:.0f} MiB")
        # The attack goes on, and with a memory that is full still nobody would be let in.
        until = time.monotonic() + 30
        while (again := clients.run(1)).errors:
            if time.monotonic() > until:
                raise NotHeldError(f"{SHUT_OUT}: {again.errors[:5]}")
        again.assert_good()
    told = [error for error in load.errors if "503" not in error and "UNAVAILABLE" not in error]
    assert not told, told[:5]
    figure(
        f"4,000 answers that nobody reads, of more bytes than there is memory for: {len(load.kept) + len(load.new)}"
        f" good calls answered, {len(load.errors)} told to come again, memory {before:.0f} → {peak:.0f} MiB"
    )


@pytest.mark.slow
def test_answers_that_nobody_reads_fill_no_memory(tmp_path: Path, figure: Figure) -> None:
    with unguarded(tmp_path, "nothing", heap_mib=HEAP_MIB) as server:
        survives_being_filled(server, figure)


@pytest.mark.slow
@pytest.mark.parametrize(("safeguard", "missed"), [("overload_actions", FILLED), ("shorter_timeouts", SHUT_OUT)])
def test_answers_that_nobody_reads_fill_the_memory_without(
    tmp_path: Path, figure: Figure, safeguard: str, missed: str
) -> None:
    with unguarded(tmp_path, safeguard, heap_mib=HEAP_MIB) as server, pytest.raises(NotHeldError, match=missed):
        survives_being_filled(server, figure)
