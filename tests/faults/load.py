"""Good clients that keep calling while a server is attacked, and what the server holds meanwhile."""

from __future__ import annotations

import socket
import statistics
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

import grpc
import httpx
import psutil
from hpack import Encoder
from hyperframe.frame import DataFrame, Frame, HeadersFrame, SettingsFrame, WindowUpdateFrame

from tests.running import RunningServer

GET_ACCOUNT = "/gitpod.v1.AccountService/GetAccount"
CREATE_ORGANIZATION = "/gitpod.v1.OrganizationService/CreateOrganization"
GET_SUMMARY = "/gitpod.v1.OrganizationService/GetOrganizationInviteSummary"
MIB = 1024 * 1024


def host_and_port(server: RunningServer) -> tuple[str, int]:
    host, port = server.address.rsplit(":", 1)
    return host, int(port)


def connect(server: RunningServer) -> socket.socket:
    return socket.create_connection(host_and_port(server), timeout=20)


@dataclass
class Load:
    """What good clients saw: seconds of each call, and what went wrong."""

    seconds: list[float] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    @property
    def p99_ms(self) -> float:
        return statistics.quantiles(self.seconds, n=100)[98] * 1000

    def assert_good(self, at_least: int = 1) -> None:
        assert not self.errors, (len(self.errors), self.errors[:5])
        assert len(self.seconds) >= at_least


@dataclass
class GoodClients:
    """Clients of one server: some over HTTP/1.1 and JSON on a connection each, some over one channel of gRPC."""

    server: RunningServer
    token: str

    def run(self, seconds: float) -> Load:
        """Call for so long."""
        with self.calling() as load:
            time.sleep(seconds)
        return load

    @contextmanager
    def calling(self, threads: int = 2) -> Iterator[Load]:
        """Call while the block runs."""
        load, stop = Load(), threading.Event()
        with ExitStack() as stack:
            channel = stack.enter_context(grpc.insecure_channel(self.server.address))
            calls = [call for _ in range(threads) for call in (self._json(stack), self._grpc(channel))]
            workers = [threading.Thread(target=self._work, args=(load, stop, call), daemon=True) for call in calls]
            for worker in workers:
                worker.start()
            try:
                yield load
            finally:
                stop.set()
                for worker in workers:
                    worker.join(30)

    @staticmethod
    def _work(load: Load, stop: threading.Event, call: Callable[[], object]) -> None:
        while not stop.is_set():
            begin = time.perf_counter()
            try:
                call()
            except Exception as error:  # noqa: BLE001 # whatever a client meets is a finding
                load.errors.append(repr(error)[:300])
            else:
                load.seconds.append(time.perf_counter() - begin)
            time.sleep(0.005)

    def _json(self, stack: ExitStack) -> Callable[[], object]:
        headers = {"authorization": f"Bearer {self.token}"}
        client = stack.enter_context(httpx.Client(base_url=self.server.url, headers=headers, timeout=20))
        return lambda: client.post(GET_ACCOUNT, json={}).raise_for_status()

    def _grpc(self, channel: grpc.Channel) -> Callable[[], object]:
        method = channel.unary_unary(GET_ACCOUNT)
        metadata = (("authorization", f"Bearer {self.token}"),)
        return lambda: method(b"", timeout=20, metadata=metadata)


def processes(server: RunningServer) -> list[psutil.Process]:
    own = psutil.Process(server.process.pid)
    return [own, *own.children(recursive=True)]


def resident_mib(server: RunningServer) -> float:
    return sum(process.memory_info().rss for process in processes(server)) / MIB


def descriptors(server: RunningServer) -> int:
    return sum(process.num_fds() for process in processes(server))


@contextmanager
def attacked(
    server: RunningServer, clients: GoodClients, name: str, figure: Callable[[str], None], before_seconds: float = 2.0
) -> Iterator[Load]:
    """Have good clients call without and then with what the block does, print both p99, and expect no error of them."""
    calm = clients.run(before_seconds)
    calm.assert_good()
    memory = resident_mib(server)
    with clients.calling() as load:
        yield load
        peak = resident_mib(server)
    load.assert_good()
    figure(
        f"{name}: p99 {calm.p99_ms:.1f} → {load.p99_ms:.1f} ms (×{load.p99_ms / calm.p99_ms:.1f}) over"
        f" {len(load.seconds)} calls, memory {memory:.0f} → {peak:.0f} MiB"
    )


class Http2:
    """A client of HTTP/2 that sends whatever frames it is told to, and reads only when it is asked."""

    def __init__(self, server: RunningServer, token: str = "", window: int = 2**31 - 1) -> None:
        self.socket = connect(server)
        self._encoder = Encoder()
        self._next = 1
        self._authorization = [("authorization", f"Bearer {token}")] if token else []
        settings = SettingsFrame(0, settings={SettingsFrame.INITIAL_WINDOW_SIZE: window})
        self.socket.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + settings.serialize())
        if window > 65_535:
            self.send(WindowUpdateFrame(0, window - 65_535))

    def send(self, *frames: Frame) -> None:
        self.socket.sendall(b"".join(frame.serialize() for frame in frames))

    def headers(self, path: str, content_type: str, **more: str) -> tuple[int, bytes]:
        """Begin a stream; give its number, and its headers as they go into a frame."""
        stream, self._next = self._next, self._next + 2
        pseudo = [(":method", "POST"), (":scheme", "http"), (":path", path), (":authority", "x")]
        named = [(name.replace("_", "-"), value) for name, value in more.items()]
        fields = [*pseudo, ("content-type", content_type), ("te", "trailers"), *self._authorization, *named]
        return stream, self._encoder.encode(fields)

    def request(self, path: str, body: bytes, content_type: str = "application/grpc", **more: str) -> list[Frame]:
        """Give the frames of a whole request."""
        stream, block = self.headers(path, content_type, **more)
        return [
            HeadersFrame(stream, block, flags=["END_HEADERS"]),
            DataFrame(stream, body, flags=["END_STREAM"]),
        ]

    def closed_by_server(self, within_seconds: float = 10.0) -> bool:
        """Read until the server closes the connection."""
        self.socket.settimeout(within_seconds)
        try:
            while self.socket.recv(1 << 16):
                pass
        except TimeoutError:
            return False
        except OSError:
            pass
        return True

    def close(self) -> None:
        self.socket.close()
