"""Requests over real sockets, written byte by byte: Connect, gRPC and gRPC-Web, in both codecs, on HTTP/1.1 and 2."""

from __future__ import annotations

import gzip
import json
import socket
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from http import HTTPStatus
from http.client import HTTPConnection
from typing import Any, Protocol

import h2.config
import h2.connection
import h2.events
import httpx

from tests.faces.wire import CONNECT_JSON, CONNECT_PROTO, GRPC, GRPC_WEB, Answer, Wire, read_answer


class Form(Enum):
    """How an answer without a message is laid out in gRPC and gRPC-Web."""

    TRAILERS = "headers, and the status behind them: in gRPC as trailers, in gRPC-Web as the one envelope of the body"
    TRAILERS_ONLY = "the status among the headers, and nothing behind them"
    HTTP = "a status of HTTP other than 200, and no other"


HEADERS, HEADERS_END, DATA, DATA_END = "HEADERS", "HEADERS with END_STREAM", "DATA", "DATA with END_STREAM"


@dataclass(frozen=True)
class Received(Answer):
    """An answer, and the frames of HTTP/2 that it came in where they were looked at: in gRPC and gRPC-Web."""

    frames: tuple[str, ...] = ()


@dataclass(frozen=True)
class Speech:
    """How a client speaks."""

    protocol: str
    codec: str
    http: str

    def __str__(self) -> str:
        return f"{self.protocol}+{self.codec} on HTTP/{self.http}"

    @property
    def is_connect(self) -> bool:
        return self.protocol == "connect"

    @property
    def content_type(self) -> str:
        return f"application/{'' if self.is_connect else self.protocol + '+'}{self.codec}"

    @property
    def encoding(self) -> str:
        """The header that says how a message is compressed."""
        return "content-encoding" if self.is_connect else "grpc-encoding"

    @property
    def accepting(self) -> str:
        return "accept-encoding" if self.is_connect else "grpc-accept-encoding"

    def framed(self, message: bytes, flags: int = 0) -> bytes:
        """Give a message as it stands in a body."""
        return message if self.is_connect else struct.pack(">BI", flags, len(message)) + message

    def compressed(self, message: bytes) -> bytes:
        """Give a message as it stands in a body when it is compressed."""
        return self.framed(gzip.compress(message), 1)

    def timeout(self, milliseconds: int) -> dict[str, str]:
        return {"connect-timeout-ms": str(milliseconds)} if self.is_connect else {"grpc-timeout": f"{milliseconds}m"}

    def read(self, received: Received) -> Received:
        """Give what an answer means."""
        kinds = {"grpc": GRPC, "grpc-web": GRPC_WEB}
        kind = kinds.get(self.protocol, CONNECT_JSON if self.codec == "json" else CONNECT_PROTO)
        return Received(**{**vars(read_answer(kind, received)), "frames": received.frames})

    def form(self, received: Received) -> Form | None:
        """Give the form of an answer without a message, as it was read; None when it has none of them."""
        assert not self.is_connect
        # Of HTTP/1.1 no frames are known.
        ends_at_once = not received.body and received.frames in ((HEADERS_END,), ())
        status_is_first = "grpc-status" in received.headers
        if received.status != HTTPStatus.OK:
            return Form.HTTP if ends_at_once and not status_is_first else None
        if status_is_first:
            return Form.TRAILERS_ONLY if ends_at_once else None
        if self.protocol == "grpc":
            is_behind = not received.body and received.frames == (HEADERS, HEADERS_END)
        else:
            one_envelope = received.body[:5] == struct.pack(">BI", 0x80, max(len(received.body) - 5, 0))
            is_behind = one_envelope and HEADERS_END not in received.frames
        return Form.TRAILERS if is_behind and "grpc-status" in received.trailers else None


SPEECHES = tuple(
    Speech(protocol, codec, http)
    for protocol in ("connect", "grpc", "grpc-web")
    for codec in ("json", "proto")
    for http in ("1.1", "2")
    # gRPC needs trailers, which clients of HTTP/1.1 don't read.
    if (protocol, http) != ("grpc", "1.1")
)
CONNECT_SPEECHES = tuple(speech for speech in SPEECHES if speech.is_connect)
FRAMED_SPEECHES = tuple(speech for speech in SPEECHES if not speech.is_connect)


class Listening(Protocol):
    """Where a server listens (`RunningServer`)."""

    url: str

    @property
    def address(self) -> str: ...


class Line:
    """A server, and all that can be sent to it; no answer may make the client wait longer than `seconds`."""

    def __init__(self, server: Listening, wire: Wire, token: str, *, seconds: float = 30) -> None:
        self.server = server
        self.wire = wire
        self.token = token
        self._seconds = seconds
        self._clients = {
            "1.1": httpx.Client(timeout=seconds),
            "2": httpx.Client(http1=False, http2=True, timeout=seconds),
        }

    def close(self) -> None:
        for client in self._clients.values():
            client.close()

    def written(self, speech: Speech, method: str, message: Mapping[str, Any]) -> bytes:
        """Give a message, given as JSON, in the codec."""
        text = json.dumps(message)
        return text.encode() if speech.codec == "json" else self.wire.method(method).input.from_json(text).to_binary()

    def send(
        self, speech: Speech, path: str, body: bytes, headers: Mapping[str, str] | None = None, *, verb: str = "POST"
    ) -> Received:
        """Send a body as it stands; give the answer, read."""
        sent = self._sent(speech, headers)
        if speech.http == "2" and not speech.is_connect:
            return speech.read(self._send_h2(path, body, sent, verb))
        sent.setdefault("accept-encoding", "identity")
        client = self._clients[speech.http]
        # Raw, since what is compressed is a part of what is looked at.
        with client.stream(verb, self.server.url + path, content=body, headers=sent) as answer:
            content = b"".join(answer.iter_raw())
        assert answer.http_version == f"HTTP/{speech.http}"
        return speech.read(Received(answer.status_code, dict(answer.headers), content))

    def begin(self, speech: Speech, path: str, body: bytes) -> Received:
        """Send a body that isn't followed by its end; give the answer, read."""
        sent = self._sent(speech)
        if speech.http == "2":
            return speech.read(self._send_h2(path, body, sent, "POST", ends=False))
        connection = HTTPConnection(self.server.address, timeout=self._seconds)
        try:
            connection.request("POST", path, body, {**sent, "content-length": str(len(body) + 1)})
            answer = connection.getresponse()
            headers = {name.lower(): value for name, value in answer.getheaders()}
            return speech.read(Received(answer.status, headers, answer.read()))
        finally:
            connection.close()

    def _sent(self, speech: Speech, headers: Mapping[str, str] | None = None) -> dict[str, str]:
        return {"content-type": speech.content_type, **self._credentials(), **(headers or {})}

    def _credentials(self) -> dict[str, str]:
        return {"authorization": f"Bearer {self.token}"} if self.token else {}

    def call(
        self,
        speech: Speech,
        method: str,
        message: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        *,
        compressed: bool = False,
    ) -> Received:
        """Send a message to a method."""
        written = self.written(speech, method, message or {})
        sent = {**({speech.encoding: "gzip"} if compressed else {}), **(headers or {})}
        body = speech.compressed(written) if compressed else speech.framed(written)
        return self.send(speech, self.path(method), body, sent)

    def path(self, method: str) -> str:
        return f"/{self.wire.method(method).service_name}/{method}"

    def get(self, path: str, query: str, *, http: str = "1.1") -> Answer:
        """Ask by GET, as Connect has it."""
        headers = {**self._credentials(), "accept-encoding": "identity"}
        answer = self._clients[http].get(f"{self.server.url}{path}?{query}", headers=headers)
        return read_answer(CONNECT_JSON, Answer(answer.status_code, dict(answer.headers), answer.content))

    def _send_h2(self, path: str, body: bytes, headers: Mapping[str, str], verb: str, *, ends: bool = True) -> Received:
        """Send on a fresh connection of HTTP/2, and read trailers too."""
        host, port = self.server.address.split(":")
        connection = h2.connection.H2Connection(h2.config.H2Configuration(header_encoding="utf-8"))
        with socket.create_connection((host, int(port)), self._seconds) as line:
            connection.initiate_connection()
            head = {":method": verb, ":path": path, ":scheme": "http", ":authority": self.server.address}
            connection.send_headers(1, [*head.items(), ("te", "trailers"), *headers.items()])
            got = _Got()
            left = memoryview(body)
            while not got.ended:
                while left is not None and not got.ended:
                    room = min(connection.local_flow_control_window(1), connection.max_outbound_frame_size)
                    if not room and len(left):
                        break
                    connection.send_data(1, bytes(left[:room]), end_stream=ends and len(left) <= room)
                    left = left[room:] if len(left) > room else None
                line.sendall(connection.data_to_send())
                data = line.recv(65536)
                if not data:
                    break
                for event in connection.receive_data(data):
                    got.take(event, connection)
                line.sendall(connection.data_to_send())
        return Received(int(got.headers.pop(":status")), got.headers, got.body, got.trailers, frames=tuple(got.frames))


class _Got:
    """What came on a stream so far."""

    def __init__(self) -> None:
        self.headers: dict[str, str] = {}
        self.trailers: dict[str, str] = {}
        self.body = b""
        self.frames: list[str] = []
        self.ended = False

    def take(self, event: h2.events.Event, connection: h2.connection.H2Connection) -> None:
        if isinstance(event, h2.events.ResponseReceived):
            self.headers = dict(event.headers or ())
            self.frames.append(HEADERS_END if event.stream_ended else HEADERS)
        elif isinstance(event, h2.events.TrailersReceived):
            self.trailers = dict(event.headers or ())
            self.frames.append(HEADERS_END)
        elif isinstance(event, h2.events.DataReceived):
            self.body += event.data or b""
            self.frames.append(DATA_END if event.stream_ended else DATA)
            connection.acknowledge_received_data(event.flow_controlled_length or 0, 1)
        elif isinstance(event, h2.events.StreamEnded | h2.events.StreamReset | h2.events.ConnectionTerminated):
            self.ended = True
