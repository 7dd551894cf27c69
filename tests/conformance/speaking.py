"""Requests over real sockets, written byte by byte: Connect, gRPC and gRPC-Web, in both codecs, on HTTP/1.1 and 2."""

from __future__ import annotations

import gzip
import json
import socket
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import h2.config
import h2.connection
import h2.events
import httpx

from tests.faces.wire import CONNECT_JSON, CONNECT_PROTO, GRPC, GRPC_WEB, Answer, Wire, read_answer
from tests.running import RunningServer


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

    def read(self, answer: Answer) -> Answer:
        """Give what an answer means."""
        kinds = {"grpc": GRPC, "grpc-web": GRPC_WEB}
        return read_answer(kinds.get(self.protocol, CONNECT_JSON if self.codec == "json" else CONNECT_PROTO), answer)


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


class Line:
    """A server, and all that can be sent to it."""

    def __init__(self, server: RunningServer, wire: Wire, token: str) -> None:
        self.server = server
        self.wire = wire
        self.token = token
        self._clients = {
            "1.1": httpx.Client(timeout=30),
            "2": httpx.Client(http1=False, http2=True, timeout=30),
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
    ) -> Answer:
        """Send a body as it stands; give the answer, read."""
        sent = {"content-type": speech.content_type, **self._credentials(), **(headers or {})}
        if speech.protocol == "grpc":
            return speech.read(self._send_h2(path, body, sent, verb))
        sent.setdefault("accept-encoding", "identity")
        client = self._clients[speech.http]
        # Raw, since what is compressed is a part of what is looked at.
        with client.stream(verb, self.server.url + path, content=body, headers=sent) as answer:
            content = b"".join(answer.iter_raw())
        assert answer.http_version == f"HTTP/{speech.http}"
        return speech.read(Answer(answer.status_code, dict(answer.headers), content))

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
    ) -> Answer:
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

    def _send_h2(self, path: str, body: bytes, headers: Mapping[str, str], verb: str) -> Answer:
        """Send on a fresh connection of HTTP/2, and read trailers too."""
        host, port = self.server.address.split(":")
        connection = h2.connection.H2Connection(h2.config.H2Configuration(header_encoding="utf-8"))
        with socket.create_connection((host, int(port)), 30) as line:
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
                    connection.send_data(1, bytes(left[:room]), end_stream=len(left) <= room)
                    left = left[room:] if len(left) > room else None
                line.sendall(connection.data_to_send())
                data = line.recv(65536)
                if not data:
                    break
                for event in connection.receive_data(data):
                    got.take(event, connection)
                line.sendall(connection.data_to_send())
        return Answer(int(got.headers.pop(":status")), got.headers, got.body, got.trailers)


class _Got:
    """What came on a stream so far."""

    def __init__(self) -> None:
        self.headers: dict[str, str] = {}
        self.trailers: dict[str, str] = {}
        self.body = b""
        self.ended = False

    def take(self, event: h2.events.Event, connection: h2.connection.H2Connection) -> None:
        if isinstance(event, h2.events.ResponseReceived):
            self.headers = dict(event.headers or ())
        elif isinstance(event, h2.events.TrailersReceived):
            self.trailers = dict(event.headers or ())
        elif isinstance(event, h2.events.DataReceived):
            self.body += event.data or b""
            connection.acknowledge_received_data(event.flow_controlled_length or 0, 1)
        elif isinstance(event, h2.events.StreamEnded | h2.events.StreamReset | h2.events.ConnectionTerminated):
            self.ended = True
