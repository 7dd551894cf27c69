"""Envoy's admin interface, for this program alone: on a socket in a directory that only its owner can enter.

On a port, as pyvoy has it, every program of the machine could stop the server, or have it write what it is sent, with
the tokens in it, into the log. What isn't needed here is refused besides.
"""

from __future__ import annotations

import http.client
import json
import re
import shutil
import socket
import tempfile
from typing import Any

_ACTIVE_REQUESTS = "/stats?format=json&filter=ingress_http.downstream_rq_active$"
_LISTENERS = "/listeners?format=json"
_FAIL_READINESS = "/healthcheck/fail"
_STOP_LISTENING = "/drain_listeners"
_ALLOWED = (_ACTIVE_REQUESTS, _LISTENERS, _FAIL_READINESS, _STOP_LISTENING)

_SECONDS = 2.0


class Admin:
    """What a server asks of its Envoy. Each method raises OSError where Envoy doesn't answer as it should."""

    def __init__(self) -> None:
        self._directory: str | None = None

    def config(self) -> dict[str, Any]:
        """Give the part of Envoy's configuration that opens the interface, in a directory that is made for it."""
        self._directory = self._directory or tempfile.mkdtemp(prefix="organization-service-")
        allowed = [{"safe_regex": {"regex": re.escape(path)}} for path in _ALLOWED]
        return {"address": {"pipe": {"path": self._path, "mode": 0o600}}, "allow_paths": allowed}

    def listening_port(self) -> int:
        """Give the port that Envoy listens on; KeyError while it doesn't yet."""
        listeners = self._looked_up(_LISTENERS, "listener_statuses")
        ports = {one["name"]: one["local_address"]["socket_address"]["port_value"] for one in listeners}
        return int(ports["listener"])

    def stop_listening(self) -> None:
        """Have readiness fail, and no more connections taken."""
        self._ask("POST", _FAIL_READINESS)
        self._ask("POST", _STOP_LISTENING)

    def active_requests(self) -> int:
        """Give how many requests have begun and haven't ended."""
        stats = self._looked_up(_ACTIVE_REQUESTS, "stats")
        return sum(int(stat.get("value", 0)) for stat in stats)

    def close(self) -> None:
        """Remove the socket and its directory."""
        if self._directory is not None:
            shutil.rmtree(self._directory, ignore_errors=True)

    @property
    def _path(self) -> str:
        return f"{self._directory}/admin"

    def _looked_up(self, path: str, name: str) -> list[dict[str, Any]]:
        answer = self._ask("GET", path)
        try:
            rows: list[dict[str, Any]] = json.loads(answer)[name]
        except (LookupError, TypeError, ValueError) as error:
            raise OSError(f"Envoy answers something else: {answer[:200]!r}") from error
        return rows

    def _ask(self, method: str, path: str) -> bytes:
        connection = _Connection(self._path)
        try:
            connection.request(method, path)
            answer = connection.getresponse()
            content = answer.read()
        except http.client.HTTPException as error:
            raise OSError(f"Envoy doesn't answer: {error}") from error
        finally:
            connection.close()
        if answer.status != http.client.OK:
            raise OSError(f"Envoy answers {answer.status}")
        return content


class _Connection(http.client.HTTPConnection):
    """HTTP over a socket of the file system."""

    def __init__(self, path: str) -> None:
        super().__init__("admin", timeout=_SECONDS)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)
