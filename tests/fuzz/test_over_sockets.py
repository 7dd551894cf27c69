"""Bytes of strangers at every method of the real server, Envoy included, in every protocol.

Each run prints its seed; `FUZZ_SEED=… pytest tests/fuzz/test_over_sockets.py` sends the same again.
"""

from __future__ import annotations

import contextlib
import os
import random
import secrets
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import httpx
import pytest

from server.wires import REFLECTED
from tests.conformance.speaking import CONNECT_SPEECHES, SPEECHES, Line
from tests.fuzz.over_sockets import Attempt, attempts, tried
from tests.fuzz.service import stage
from tests.running import RunningServer, running_server

# A hang in compiled code doesn't hear signals: the thread ends the process then, which fails the test.
pytestmark = pytest.mark.timeout(600, method="thread")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """A server of its own, since the point is whether it survives; it lets everything through to the methods."""
    with running_server(tmp_path_factory.mktemp("strangers"), "--limits", "off", "--log-level", "warning") as running:
        yield running


@pytest.fixture(scope="module")
def lines(server: RunningServer) -> Iterator[tuple[Line, ...]]:
    """What to send by as an admin, as a member, with a token that opens nothing, and with none."""
    tokens = (server.token("ada@example.com"), server.token("bob@example.com"), "orgsvc_unknown", "")
    lines = tuple(Line(server, stage().wire, token) for token in tokens)
    yield lines
    for line in lines:
        line.close()


@pytest.fixture(scope="module")
def ids(lines: tuple[Line, ...]) -> tuple[str, ...]:
    """Ids that there are, so that some requests get far."""
    ada, bob = lines[:2]
    speech = CONNECT_SPEECHES[0]
    made = ada.call(speech, "CreateOrganization", {"name": "Acme", "joinOrganization": True}).json()
    organization = {"organizationId": made["organization"]["id"]}
    invite = ada.call(speech, "CreateOrganizationInvite", organization).json()["invite"]["inviteId"]
    joined = bob.call(speech, "JoinOrganization", {"inviteId": invite}).json()
    return organization["organizationId"], made["member"]["userId"], joined["member"]["userId"], invite


def test_every_service_that_is_announced_is_tried() -> None:
    announced = {f"{desc.type_name}/{method.name}" for desc in REFLECTED for method in desc.methods}
    assert stage().wire.methods.keys() == announced


@pytest.mark.parametrize(
    "thorough", [False, pytest.param(True, marks=pytest.mark.slow)], ids=["one of each kind", "all of each kind"]
)
def test_no_bytes_make_a_method_fail(
    server: RunningServer,
    lines: tuple[Line, ...],
    ids: tuple[str, ...],
    figure: Callable[[str], None],
    *,
    thorough: bool,
) -> None:
    # Where others wait for the tests of their change, they aren't to fail by what was found just now.
    seed = int(os.environ.get("FUZZ_SEED") or (secrets.randbelow(2**32) if thorough else 1))
    dice = random.Random(seed)
    sent = attempts(lines[0], ids, dice, thorough=thorough)
    came = tried(sent, lambda: dice.choices(lines, (6, 2, 1, 1))[0])
    total = came.answered.total()
    shown = ", ".join(f"{count} {code}" for code, count in came.answered.most_common())
    figure(f"{total} requests of strangers at {len(stage().wire.methods)} methods, seed {seed}: {shown}")
    wrong = came.wrong
    assert not wrong, f"FUZZ_SEED={seed}: {len(wrong)}, and {total} answers; among them\n" + "\n".join(wrong[:10])
    # Nothing is shown by requests that no method looks at: some got to each, and in each way.
    assert came.reached >= {str(speech) for speech in SPEECHES} | {f"/{name}" for name in stage().wire.methods}
    assert server.process.poll() is None
    assert httpx.get(f"{server.url}/readyz", timeout=30).status_code == 200
    assert '"level": "error"' not in server.log
    for speech in SPEECHES:
        assert lines[0].call(speech, "GetAccount").code == "ok", speech


# That what is wrong is found: answers of a server that isn't ours.


@dataclass
class Stub:
    """A server that gives one answer, bytes as they stand; None to give none."""

    url: str

    @property
    def address(self) -> str:
        return self.url.removeprefix("http://")


@contextlib.contextmanager
def stub(answer: bytes | None) -> Iterator[Stub]:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=_answer, args=(listening, answer), daemon=True)
        if answer is not None:
            thread.start()
        # Who isn't accepted is connected all the same, and waits.
        yield Stub(f"http://127.0.0.1:{listening.getsockname()[1]}")
        if answer is not None:
            thread.join(10)


def _answer(listening: socket.socket, answer: bytes) -> None:
    with listening.accept()[0] as connection, contextlib.suppress(ConnectionError):
        connection.recv(65_536)
        connection.sendall(answer)
        connection.shutdown(socket.SHUT_WR)
        while connection.recv(65_536):
            pass


def http(status: int, content_type: str, body: bytes = b"", *headers: str) -> bytes:
    """Give an answer of HTTP/1.1."""
    lines = (f"HTTP/1.1 {status} Status", f"content-type: {content_type}", f"content-length: {len(body)}", *headers)
    return "\r\n".join([*lines, "", ""]).encode() + body


def in_json(status: int, body: str) -> bytes:
    return http(status, "application/json", body.encode())


def in_grpc_web(body: bytes, *headers: str) -> bytes:
    return http(200, "application/grpc-web+json", body, *headers)


def ending(status: int) -> bytes:
    """Give the envelope that ends a body of gRPC-Web."""
    lines = f"grpc-status: {status}\r\n".encode()
    return bytes([0x80]) + len(lines).to_bytes(4, "big") + lines


EMPTY_MESSAGE = b"\0\0\0\0\2{}"

RIGHT = {
    "a message": ("connect", in_json(200, "{}")),
    "an error of the caller": ("connect", in_json(400, '{"code": "invalid_argument"}')),
    "a message of gRPC-Web": ("grpc-web", in_grpc_web(EMPTY_MESSAGE + ending(0))),
    "an error of the caller in gRPC-Web": ("grpc-web", in_grpc_web(ending(3))),
    "the same among the headers": ("grpc-web", in_grpc_web(b"", "grpc-status: 3")),
}

WRONG = {
    # What is answered, and what is said of it.
    "500": ("connect", in_json(500, '{"code": "internal", "message": "oh"}'), "internal: oh"),
    "500 without a code": ("connect", http(500, "text/plain", b"oh"), "status 500 without a code"),
    "500 with the code of another status": ("connect", in_json(500, '{"code": "not_found"}'), "status 500"),
    "503": ("connect", in_json(503, '{"code": "unavailable", "message": "busy"}'), "unavailable: busy"),
    "503 without a code": ("connect", http(503, "text/plain"), "status 503 without a code"),
    "unimplemented for no reason": ("connect", in_json(501, '{"code": "unimplemented"}'), "unimplemented"),
    "an error that is no JSON": ("connect", in_json(400, '{"code": '), "JSONDecodeError"),
    "an error that says no code": ("connect", in_json(400, '{"message": "oh"}'), "KeyError"),
    "an error whose code there isn't": ("connect", in_json(400, '{"code": "oh"}'), "no code of Connect's: oh"),
    "a message that is no JSON": ("connect", in_json(200, '{"account": '), "isn't a message"),
    "status 13": ("grpc-web", in_grpc_web(ending(13)), "internal"),
    "status 2": ("grpc-web", in_grpc_web(ending(2)), "unknown"),
    "status 13 among the headers": ("grpc-web", in_grpc_web(b"", "grpc-status: 13"), "internal"),
    "no status": ("grpc-web", in_grpc_web(EMPTY_MESSAGE), "KeyError"),
    "a status that there isn't": ("grpc-web", in_grpc_web(ending(17)), "KeyError"),
    "status 0 without a message": ("grpc-web", in_grpc_web(ending(0)), "ok without a message"),
    "half an envelope": ("grpc-web", in_grpc_web(ending(0)[:3]), "unpack requires"),
    "503 of gRPC-Web": ("grpc-web", http(503, "application/grpc-web+json"), "status 503"),
    "no answer": ("connect", None, "ReadTimeout"),
    "no answer in gRPC": ("grpc", None, "TimeoutError"),
    "no answer, and the connection closed": ("connect", b"", "RemoteProtocolError"),
    "the same in gRPC": ("grpc", b"", "KeyError"),
}


def found_in(protocol: str, answer: bytes | None) -> list[str]:
    """Give what is found wrong with an answer."""
    speech = next(one for one in SPEECHES if (one.protocol, one.codec) == (protocol, "json"))
    name = "gitpod.v1.AccountService/GetAccount"
    with stub(answer) as there:
        # Long enough for an answer that comes, even to a machine that does much else.
        line = Line(there, stage().wire, "", seconds=10 if answer is not None else 0.2)
        try:
            return tried([Attempt("a control", speech, "POST", f"/{name}", b"{}", {})], lambda: line).wrong
        finally:
            line.close()


@pytest.mark.parametrize("case", RIGHT)
def test_nothing_is_found_where_nothing_is_wrong(case: str) -> None:
    assert found_in(*RIGHT[case]) == []


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_is_found(case: str) -> None:
    protocol, answer, said = WRONG[case]
    found = found_in(protocol, answer)
    assert len(found) == 1
    assert said in found[0].partition(" to POST")[0]
