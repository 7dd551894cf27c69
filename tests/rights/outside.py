"""The court at a real server: requests come over the network, and what the server noted stands in its log."""

from __future__ import annotations

import base64
import json
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import Any
from urllib.parse import quote

import grpc
import httpx

from server.domain.secrets import SecretKeys
from server.edge import Edge
from server.main import build_service, open_store, utc_now
from server.settings import Settings
from server.wires import build_edge
from tests.conftest import GivenClock
from tests.faces.wire import CONTENT_TYPES, GRPC, Answer, Wire
from tests.mail.mail_server import mail_server
from tests.oidc_issuer import AUDIENCE, issuer
from tests.rights.court import Court, IssuersWorld
from tests.running import RunningServer

KEY = "a key for tests of thirty-two bytes"
_NOTED_WITHIN_SECONDS = 30.0
_FRAME_BYTES = 5


class Now(GivenClock):
    """The machine's clock."""

    def __call__(self) -> datetime:
        return utc_now()


class OutsideWire(Wire):
    """Sends to a server's port what `Wire` hands to an application. `edge` is only asked which methods there are."""

    def __init__(self, edge: Edge, server: RunningServer) -> None:
        super().__init__(edge)
        self._server = server
        self._client = httpx.Client(base_url=server.url, timeout=30, headers={"accept-encoding": "identity"})
        self._channel = grpc.insecure_channel(server.address)
        self._request_id = ""
        self._read = 0

    def http(
        self,
        path: str,
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
        *,
        http_method: str = "POST",
        query: str = "",
    ) -> Answer:
        """Send an HTTP request; one of gRPC by Google's own client."""
        self._request_id = str(uuid.uuid4())
        sent = {**(headers or {}), "x-request-id": self._request_id}
        if sent.get("content-type") == CONTENT_TYPES[GRPC]:
            return self._grpc(path, body[_FRAME_BYTES:], sent)
        target = f"{path}?{query}" if query else path
        given = self._client.request(http_method, target, content=body, headers=sent)
        return Answer(given.status_code, dict(given.headers), given.content)

    def _grpc(self, path: str, message: bytes, headers: Mapping[str, str]) -> Answer:
        metadata = [(name, value) for name, value in headers.items() if name != "content-type"]
        try:
            content, call = self._channel.unary_unary(path).with_call(message, metadata=metadata, timeout=30)
        except grpc.RpcError as error:
            content, call = b"", error
        trailers = {name: _text(name, value) for name, value in call.trailing_metadata()}
        trailers |= {"grpc-status": str(call.code().value[0]), "grpc-message": quote(call.details() or "")}
        framed = b"\0" + len(content).to_bytes(4) + content
        return Answer(200, {}, framed if call.code() is grpc.StatusCode.OK else b"", trailers)

    def noted(self, _answer: Answer) -> str:
        """Give the reason that stands in the log's line of the last request."""
        until = time.monotonic() + _NOTED_WITHIN_SECONDS
        while time.monotonic() < until:
            lines = self._server._lines
            while self._read < len(lines):
                self._read += 1
                if self._request_id in lines[self._read - 1]:
                    return str(json.loads(lines[self._read - 1]).get("reason", ""))
            time.sleep(0.001)
        raise AssertionError("the request is not in the log")

    def close(self) -> None:
        self._client.close()
        self._channel.close()


def _text(name: str, value: Any) -> str:
    if not name.endswith("-bin"):
        return str(value)
    return base64.b64encode(value).decode().rstrip("=")


@contextmanager
def court_outside(database_url: str) -> Iterator[Court]:
    """Run a server on a database, and the use cases beside it to make what requests are about."""
    with issuer() as accounts, mail_server() as mails:
        environ = {
            "SECRET_KEY": KEY,
            "OIDC_ISSUER": accounts.url,
            "OIDC_AUDIENCE": AUDIENCE,
            "SMTP_URL": mails.url,
            "PUBLIC_URL": "https://organizations.example.com",
            "LIMITS": "off",
        }
        server = RunningServer(database_url, environ=environ)
        store = open_store(Settings(database_url=database_url))
        try:
            service = build_service(store, SecretKeys([KEY.encode()]))
            wire = OutsideWire(build_edge(service, sends_mail=True), server)
            court = Court(IssuersWorld(service, Now(), accounts), wire, wire.noted)
            court.settle()
            yield court
            wire.close()
        finally:
            store.close()
            server.stop()
