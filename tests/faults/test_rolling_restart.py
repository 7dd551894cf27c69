"""Two servers on one port and one database are replaced one by one under load, and no request fails."""

from __future__ import annotations

import http.client
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import grpc
import httpx
import pytest

from server.serve import DRAIN_SECONDS
from tests.faults.attacks import GET_ACCOUNT, connect
from tests.faults.load import CREATE_ORGANIZATION
from tests.postgres.cluster import Cluster
from tests.running import RunningServer, wait_until

MIGRATE = Path("/proc/sys/net/ipv4/tcp_migrate_req")
ROUNDS = int(os.environ.get("RESTART_ROUNDS", "2"))
BODY = b'{"name": "Made while restarting"}'
MESSAGE = b"\n\x15Made while restarting"


@dataclass
class Callers:
    """Clients of one port, of every kind that there is; each error is kept, and each organization made is counted."""

    address: str
    token: str
    answered: dict[str, int] = field(default_factory=dict)
    made: int = 0
    errors: list[str] = field(default_factory=list)
    _stop: threading.Event = field(default_factory=threading.Event)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __enter__(self) -> Callers:
        self._stack = ExitStack()
        channel = self._stack.enter_context(grpc.insecure_channel(self.address))
        kinds = {
            "kept connections": [self._kept(), self._kept()],
            "new connections": [self._new, self._new],
            "gRPC": [self._grpc(channel, GET_ACCOUNT, b""), self._grpc(channel, GET_ACCOUNT, b"")],
            "gRPC that writes": [self._grpc(channel, CREATE_ORGANIZATION, MESSAGE)],
            "writes on kept connections": [self._kept(CREATE_ORGANIZATION, BODY)],
        }
        self._threads = [
            threading.Thread(target=self._work, args=(kind, call), daemon=True)
            for kind, calls in kinds.items()
            for call in calls
        ]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(30)
        self._stack.close()

    def _work(self, kind: str, call: Callable[[], object]) -> None:
        while not self._stop.is_set():
            try:
                call()
            except Exception as error:  # noqa: BLE001 # whatever a client meets is a finding
                with self._lock:
                    self.errors.append(f"{kind}: {error!r}"[:400])
            else:
                with self._lock:
                    self.answered[kind] = self.answered.get(kind, 0) + 1
                    self.made += "writes" in kind
            time.sleep(0.002)

    def _kept(self, path: str = GET_ACCOUNT, body: bytes = b"{}") -> Callable[[], object]:
        headers = {"authorization": f"Bearer {self.token}", "content-type": "application/json"}
        client = self._stack.enter_context(httpx.Client(base_url=f"http://{self.address}", headers=headers, timeout=20))
        return lambda: client.post(path, content=body).raise_for_status()

    def _new(self) -> None:
        connection = http.client.HTTPConnection(self.address, timeout=20)
        headers = {"authorization": f"Bearer {self.token}", "content-type": "application/json"}
        connection.request("POST", GET_ACCOUNT, b"{}", headers)
        answer = connection.getresponse()
        assert answer.status == 200, answer.read()
        answer.read()
        connection.close()

    def _grpc(self, channel: grpc.Channel, path: str, message: bytes) -> Callable[[], object]:
        method = channel.unary_unary(path)
        metadata = (("authorization", f"Bearer {self.token}"),)
        return lambda: method(message, timeout=20, metadata=metadata)


@pytest.fixture(params=["sqlite", "postgres"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'organizations.db'}"
    else:
        cluster: Cluster = request.getfixturevalue("postgres")
        with cluster.emptied_database() as emptied:
            yield emptied()


@pytest.fixture(scope="module", autouse=True)
def connections_move_on() -> Iterator[None]:
    """Have the kernel give a server's untaken connections to another on the port, as docs/operating.md says."""
    before = MIGRATE.read_text()
    try:
        MIGRATE.write_text("1")
    except PermissionError:
        pytest.skip(f"{MIGRATE} can't be set: connections that a stopping server leaves untaken are reset")
    yield
    MIGRATE.write_text(before)


@pytest.mark.slow
def test_no_request_fails_while_servers_are_replaced(
    database_url: str, tmp_path: Path, figure: Callable[[str], None]
) -> None:
    environ = {"SECRET_KEY": "a key for tests of thirty-two bytes"}
    options = ("--share-port", "--log-level", "warning", "--limits", "off")
    first = RunningServer(database_url, *options, environ=environ)
    port = first.address.rsplit(":", 1)[1]

    def another() -> RunningServer:
        return RunningServer(database_url, "--port", port, *options, environ=environ)

    servers = [first]
    try:
        servers.append(another())
        token = first.token("ada@example.com")
        with Callers(first.address, token) as callers:
            time.sleep(0.5)
            for _ in range(ROUNDS):
                for _ in range(2):
                    assert servers.pop(0).stop() == 0
                    servers.append(another())
                    time.sleep(0.5)
        assert callers.errors == []
        account = httpx.post(
            f"http://{first.address}{GET_ACCOUNT}", json={}, headers={"authorization": f"Bearer {token}"}
        ).json()["account"]
        assert len(account["memberships"]) == callers.made, "each that was acknowledged is there, once"
        total = sum(callers.answered.values())
        figure(f"rolling restart: {2 * ROUNDS} servers replaced under {total} requests, {len(callers.errors)} failed")
        assert len(callers.answered) == 5
    finally:
        for server in servers:
            server.stop()


def ready(client: httpx.Client) -> bool:
    """Ask as a load balancer does, to which a refused connection says the same as 503."""
    try:
        return client.get("/readyz").status_code == 200
    except httpx.ConnectError:
        return False


def test_a_stopping_server_is_not_ready_finishes_what_it_began_and_ends(tmp_path: Path) -> None:
    server = RunningServer(f"sqlite:///{tmp_path / 'organizations.db'}")
    try:
        token = server.token("ada@example.com")
        head = (
            f"POST {CREATE_ORGANIZATION} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\n"
            f"content-type: application/json\r\ncontent-length: {len(BODY)}\r\nexpect: 100-continue\r\n\r\n"
        ).encode()
        with httpx.Client(base_url=server.url) as kept, connect(server.address) as begun:
            assert kept.get("/readyz").status_code == 200
            begun.sendall(head + BODY[:5])
            answer = begun.makefile("rb")
            # So the request has begun for the server too.
            assert [answer.readline(), answer.readline()] == [b"HTTP/1.1 100 Continue\r\n", b"\r\n"]
            server.process.send_signal(signal.SIGTERM)
            wait_until(lambda: not ready(kept))
            begun.sendall(BODY[5:])
            assert answer.readline() == b"HTTP/1.1 200 OK\r\n"
            assert b"connection: close\r\n" in answer.read()
        assert server.process.wait(DRAIN_SECONDS + 20) == 0
    finally:
        server.stop()
