"""A client of a WSGI application that speaks Connect, gRPC and gRPC-Web, and shows all that came back.

It reads errors with Google's own classes, not with what the server writes them with.
"""

from __future__ import annotations

import base64
import gzip
import io
import json
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

from connectrpc.method import IdempotencyLevel, MethodInfo
from google.protobuf import any_pb2
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2

from server.edge import Edge

# The numbers of gRPC's codes, by Connect's names for them.
GRPC_CODES = {
    "ok": 0,
    "canceled": 1,
    "unknown": 2,
    "invalid_argument": 3,
    "deadline_exceeded": 4,
    "not_found": 5,
    "already_exists": 6,
    "permission_denied": 7,
    "resource_exhausted": 8,
    "failed_precondition": 9,
    "aborted": 10,
    "out_of_range": 11,
    "unimplemented": 12,
    "internal": 13,
    "unavailable": 14,
    "data_loss": 15,
    "unauthenticated": 16,
}
_NAMES = {number: name for name, number in GRPC_CODES.items()}
_DETAILS = {
    f"google.rpc.{kind.DESCRIPTOR.name}": kind
    for kind in (error_details_pb2.ErrorInfo, error_details_pb2.BadRequest, error_details_pb2.RetryInfo)
}
_IN_BODY = struct.Struct(">BI")

CONNECT_JSON, CONNECT_PROTO, GRPC, GRPC_WEB = "connect-json", "connect-proto", "grpc", "grpc-web"
PROTOCOLS = (CONNECT_JSON, CONNECT_PROTO, GRPC, GRPC_WEB)
CONTENT_TYPES = {
    CONNECT_JSON: "application/json",
    CONNECT_PROTO: "application/proto",
    GRPC: "application/grpc+proto",
    GRPC_WEB: "application/grpc-web+proto",
}


@dataclass(frozen=True)
class Answer:
    """What came back, and what it means."""

    status: int
    headers: dict[str, str]
    body: bytes
    trailers: dict[str, str] = field(default_factory=dict)
    code: str = "ok"
    message: str = ""
    details: tuple[Message, ...] = ()
    content: bytes | None = None

    def json(self) -> Any:
        return json.loads(self.body)

    def detail(self, kind: type[Any]) -> Any:
        """Give the one detail of this type, None when there is none."""
        found = [detail for detail in self.details if isinstance(detail, kind)]
        assert len(found) <= 1
        return found[0] if found else None

    @property
    def set_cookies(self) -> list[str]:
        return self.headers.get("set-cookie", "").splitlines()

    @property
    def reason(self) -> str:
        info = self.detail(error_details_pb2.ErrorInfo)
        return "" if info is None else str(info.reason)

    @property
    def metadata(self) -> dict[str, str]:
        info = self.detail(error_details_pb2.ErrorInfo)
        return {} if info is None else dict(info.metadata)

    @property
    def fields(self) -> list[str]:
        """Give the paths of the fields at fault."""
        request = self.detail(error_details_pb2.BadRequest)
        return [] if request is None else [violation.field for violation in request.field_violations]

    def same(self) -> tuple[object, ...]:
        """Give all that tells one answer from another: everything but the request's own id."""
        headers = {name: value for name, value in self.headers.items() if name not in ("x-request-id", "date")}
        return (self.status, headers, self.body, self.trailers)


def any_of(type_name: str, value: bytes) -> Message:
    kind = _DETAILS[type_name]
    return kind.FromString(value)


def _unpadded(text: str) -> bytes:
    return base64.b64decode(text + "=" * (-len(text) % 4))


class Wire:
    """Calls an application without a socket."""

    def __init__(self, edge: Edge) -> None:
        self.edge = edge

    @property
    def methods(self) -> dict[str, MethodInfo[Any, Any]]:
        """Give all methods that are answered, by `Service/Method` of the full name."""
        return {
            path.lstrip("/"): application._endpoints[path].method  # type: ignore[attr-defined]
            for path, application in self.edge._methods.items()
        }

    def method(self, name: str) -> MethodInfo[Any, Any]:
        """Give a method by its own name, or by `Service/Method`."""
        found = [info for path, info in self.methods.items() if path == name or path.endswith(f"/{name}")]
        assert len(found) == 1, f"{len(found)} methods are called {name}"
        return found[0]

    def reads(self, name: str) -> bool:
        return self.method(name).idempotency_level is IdempotencyLevel.NO_SIDE_EFFECTS

    def http(
        self,
        path: str,
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
        *,
        http_method: str = "POST",
        query: str = "",
    ) -> Answer:
        """Send an HTTP request as it stands."""
        trailers: list[tuple[str, str]] = []
        environ: dict[str, Any] = {
            "REQUEST_METHOD": http_method,
            "PATH_INFO": path,
            "SCRIPT_NAME": "",
            "QUERY_STRING": query,
            "CONTENT_LENGTH": str(len(body)),
            "SERVER_PROTOCOL": "HTTP/2",
            "wsgi.url_scheme": "http",
            "wsgi.input": io.BytesIO(body),
            "wsgi.errors": io.StringIO(),
            "wsgi.ext.http.send_trailers": trailers.extend,
        }
        for name, value in (headers or {}).items():
            key = name.upper().replace("-", "_")
            environ[key if key in ("CONTENT_TYPE", "CONTENT_LENGTH") else f"HTTP_{key}"] = value
        begun: list[tuple[str, list[tuple[str, str]]]] = []

        def start_response(status: str, given: list[tuple[str, str]], *_rest: object) -> Any:
            begun.append((status, given))
            return lambda data: None

        content = b"".join(self.edge(environ, start_response))
        (status, given_headers) = begun[-1]
        assert len(begun) == 1, "an answer begins once"
        assert all(isinstance(v, str) and "\n" not in v and "\r" not in v for _, v in given_headers)
        answered = {name.lower(): value for name, value in given_headers}
        cookies = [value for name, value in given_headers if name.lower() == "set-cookie"]
        answered |= {"set-cookie": "\n".join(cookies)} if cookies else {}
        return Answer(int(status[:3]), answered, content, dict(trailers))

    def send(
        self,
        protocol: str,
        name: str,
        body: bytes,
        *,
        token: str | None = None,
        headers: Mapping[str, str] | None = None,
        query: str = "",
        compressed: bool = False,
        framed: bool = True,
    ) -> Answer:
        """Send a message's bytes in a protocol, and read the answer or the error."""
        path = f"/{name}" if "/" in name else f"/{self.method(name).service_name}/{name}"
        sent = {"content-type": CONTENT_TYPES[protocol]}
        if token is not None:
            sent["authorization"] = f"Bearer {token}"
        if compressed:
            sent["grpc-encoding" if protocol in (GRPC, GRPC_WEB) else "content-encoding"] = "gzip"
            body = gzip.compress(body)
        if framed and protocol in (GRPC, GRPC_WEB):
            body = _IN_BODY.pack(int(compressed), len(body)) + body
        answer = self.http(path, body, {**sent, **(headers or {})}, query=query)
        return read_answer(protocol, answer)

    def call(self, protocol: str, name: str, request: Mapping[str, Any] | None = None, **options: Any) -> Answer:
        """Send a message, given as JSON, in a protocol."""
        written = json.dumps(request or {})
        if protocol == CONNECT_JSON:
            return self.send(protocol, name, written.encode(), **options)
        return self.send(protocol, name, self.method(name).input.from_json(written).to_binary(), **options)

    def message(self, name: str, answer: Answer) -> Any:
        """Give the message of an answer that is one."""
        assert answer.code == "ok", (answer.code, answer.message)
        kind = self.method(name).output
        assert answer.content is not None
        if answer.headers["content-type"] == CONTENT_TYPES[CONNECT_JSON]:
            return kind.from_json(answer.content)
        return kind.from_binary(answer.content)

    def ask(self, name: str, request: Mapping[str, Any] | None = None, *, token: str | None = None) -> Any:
        """Call in JSON and give the answer's JSON."""
        answer = self.call(CONNECT_JSON, name, request, token=token)
        assert answer.status == 200, answer.body
        return answer.json()


def read_answer(protocol: str, answer: Answer) -> Answer:
    if protocol in (CONNECT_JSON, CONNECT_PROTO):
        return _read_connect(answer)
    if answer.status != 200:
        return answer
    messages, trailers = _read_envelopes(answer.body, answer.trailers)
    if "grpc-status" not in trailers:
        trailers = answer.headers
    code = _NAMES[int(trailers["grpc-status"])]
    message, details = unquote(trailers.get("grpc-message", "")), ()
    if "grpc-status-details-bin" in trailers:
        status = status_pb2.Status.FromString(_unpadded(trailers["grpc-status-details-bin"]))
        assert (status.code, status.message) == (GRPC_CODES[code], message)
        details = tuple(_unpacked(detail) for detail in status.details)
    content = messages[0] if messages else None
    return Answer(answer.status, answer.headers, answer.body, dict(trailers), code, message, details, content)


def _unpacked(packed: any_pb2.Any) -> Message:
    return any_of(packed.TypeName(), packed.value)


def _read_envelopes(body: bytes, trailers: dict[str, str]) -> tuple[list[bytes], dict[str, str]]:
    messages: list[bytes] = []
    while body:
        flags, length = _IN_BODY.unpack(body[: _IN_BODY.size])
        content, body = body[_IN_BODY.size : _IN_BODY.size + length], body[_IN_BODY.size + length :]
        if flags & 1:
            content = gzip.decompress(content)
        if flags & 0x80:
            trailers = dict(line.split(": ", 1) for line in content.decode().splitlines())
        else:
            messages.append(content)
    return messages, trailers


def _read_connect(answer: Answer) -> Answer:
    if answer.status == 200:
        content = answer.body
        if answer.headers.get("content-encoding") == "gzip":
            content = gzip.decompress(content)
        return Answer(answer.status, answer.headers, answer.body, content=content)
    if not answer.body or not answer.headers.get("content-type", "").startswith("application/json"):
        return answer
    error = json.loads(answer.body)
    details = tuple(any_of(detail["type"], _unpadded(detail["value"])) for detail in error.get("details", ()))
    return Answer(answer.status, answer.headers, answer.body, {}, error["code"], error.get("message", ""), details)
