"""The edge: one WSGI application that every request passes, before and after its face.

It finds the face by path, gives the request its id, tells clients whether to repeat, and writes the log's line.
"""

from __future__ import annotations

import ipaddress
import json
import re
import time
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from server.domain.errors import OVERLOADED, PROTOCOL_ERROR, ServiceError
from server.faces.exchange import Exchange, current_exchange
from server.ids import new_id
from server.logs import RequestRecord, Tell, tell
from server.service.limits import UNLIMITED, Limits

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

_REQUEST_ID = re.compile(r"[A-Za-z0-9._:/+=-]{1,128}")
_RPC_PATH = re.compile(r"/[A-Za-z_][\w.]*\.[\w.]+/\w+", re.ASCII)


_PROTOCOL_HEADERS = {
    "HTTP_CONNECT_PROTOCOL_VERSION": (re.compile("1"), "connect-protocol-version must be 1"),
    "HTTP_CONNECT_TIMEOUT_MS": (
        re.compile(r"\d{1,10}", re.ASCII),
        "connect-timeout-ms must be a number of at most 10 digits",
    ),
    "HTTP_GRPC_TIMEOUT": (
        re.compile(r"\d{1,8}[HMSmun]", re.ASCII),
        "grpc-timeout must be a number of at most 8 digits and a unit",
    ),
}
"""Headers of the RPC protocols, what they must look like, and what is said where they don't.

The runtime would refuse them too, quoting them and without the details that every refusal of ours has.
"""


def _protocol_problem(environ: WSGIEnvironment) -> str:
    """Take headers that break the rules out of a request, and name what is wrong with them."""
    problems = []
    for name, (pattern, problem) in _PROTOCOL_HEADERS.items():
        if name in environ and not pattern.fullmatch(environ[name]):
            del environ[name]
            problems.append(problem)
    return "; ".join(problems)


ARRIVAL = "x-arrival"
"""The header in which the server (`serve.py`) tells how a request came: the client's address, the time at which its
first byte came in seconds since 1970, and the microseconds until its last. A client's own is thrown away."""

_ARRIVAL_KEY = "HTTP_" + ARRIVAL.upper().replace("-", "_")

LONGEST_WAIT_SECONDS = 5.0
"""A request that has waited longer than this for a thread is refused: there is more to do than can be done."""

HUNG_UP = "canceled"
"""How the log tells of a request whose client hung up before it was read: nobody heard an answer."""

RETRY_SECONDS = 1.0
"""When to come again after an overload."""


def _arrived(text: str) -> tuple[str, float, float]:
    """Give the client's address, the seconds since the first byte came, and those since the last."""
    try:
        address, began, receiving = text.split(" ")
        since = max(time.time() - float(began), 0.0)
        return address, since, max(since - int(receiving) / 1e6, 0.0)
    except ValueError:
        return text, 0.0, 0.0


def client_subject(address: str) -> str:
    """Give what a client's address counts as: of IPv6 the network of 64 bits, which one client has to itself."""
    return _network(address) if ":" in address else address


@lru_cache(maxsize=4096)
def _network(address: str) -> str:
    try:
        six = ipaddress.IPv6Address(address.partition("%")[0])
    except ValueError:
        return address
    return str(six.ipv4_mapped or ipaddress.IPv6Network((int(six) >> 64 << 64, 64)))


class _Body:
    """A request's body, which its client may not wait to have read."""

    __slots__ = ("_stream", "hung_up")

    def __init__(self, stream: Any) -> None:
        self._stream = stream
        self.hung_up = False

    def read(self, size: int = -1) -> bytes:
        """Read up to so many bytes. Once the client has hung up that is refused, and after that there is no more."""
        if self.hung_up:
            return b""
        try:
            content: bytes = self._stream.read(size)
        except RuntimeError as error:
            # The server's, of a request that is over. What there was of it mustn't pass for the whole.
            self.hung_up = True
            raise ServiceError(PROTOCOL_ERROR, {"problem": "the client hung up"}) from error
        return content

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


class Edge:
    """The WSGI application of the whole service.

    `methods` are the applications by the path of each RPC that they answer, `faces` those by their path
    (`/sign-in/callback`) or by its first segment (`clerk`), `unimplemented` answers every other RPC, and `ping` raises
    a `ServiceError` while the service can't take requests; `limits` is what requests are counted by,
    and `tell` puts each into the log.
    """

    def __init__(
        self,
        methods: Mapping[str, WSGIApplication],
        faces: Mapping[str, WSGIApplication],
        unimplemented: WSGIApplication,
        ping: Callable[[], None],
        limits: Limits = UNLIMITED,
        tell: Tell = tell,
    ) -> None:
        self._methods = methods
        self._faces = faces
        self._unimplemented = unimplemented
        self._ping = ping
        self._limits = limits
        self._tell = tell

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request."""
        began = time.monotonic()
        address, since, waited = _arrived(environ.pop(_ARRIVAL_KEY, ""))
        # The server mounts us at "/", and takes that away from the path.
        path = environ["PATH_INFO"] = "/" + environ.get("PATH_INFO", "").lstrip("/")
        environ["SCRIPT_NAME"] = ""
        body = environ["wsgi.input"] = _Body(environ["wsgi.input"])
        given = environ.get("HTTP_X_REQUEST_ID", "")
        exchange = Exchange(
            given if given and _REQUEST_ID.fullmatch(given) else new_id(),
            client_subject(address),
            environ.get("QUERY_STRING", ""),
            _protocol_problem(environ),
            since,
        )
        status_sent = ""

        def start(status: str, headers: list[tuple[str, str]], *rest: Any) -> Callable[[bytes], object]:
            nonlocal status_sent
            status_sent = status[:3]
            return start_response(status, [*headers, ("x-request-id", exchange.request_id), *exchange.hints()], *rest)

        token = current_exchange.set(exchange)
        try:
            if waited > LONGEST_WAIT_SECONDS:
                raise ServiceError(OVERLOADED, retry_after_seconds=RETRY_SECONDS)
            self._limits.request(exchange.address)
        except ServiceError as refusal:
            # The face says so, as its callers understand it; health and pages are for everybody.
            exchange.refusal = refusal
        try:
            return self._application(path)(environ, start)
        except ServiceError:
            if not body.hung_up:
                raise
            # Read beside any face, only to be thrown away.
            return [] if status_sent else _NOT_HEARD(environ, start)
        finally:
            current_exchange.reset(token)
            if exchange.wrong is not None:
                self._limits.wrong_secret(exchange.address, exchange.who, exchange.wrong)
            self._tell(
                RequestRecord(
                    time.time(),
                    _told(path),
                    environ.get("REQUEST_METHOD", ""),
                    status_sent,
                    HUNG_UP if body.hung_up else _code(exchange, status_sent),
                    exchange.reason,
                    int((time.monotonic() - began + waited) * 1e6) / 1000,
                    exchange.request_id,
                )
            )

    def _application(self, path: str) -> WSGIApplication:
        application = self._methods.get(path) or self._faces.get(path) or self._faces.get(path.split("/", 2)[1])
        if application is not None:
            return application
        if path == "/healthz":
            return _answer("200 OK", {"status": "ok"})
        if path == "/readyz":
            return self._ready
        return self._unimplemented if _RPC_PATH.fullmatch(path) else _NOT_FOUND

    def _ready(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        try:
            self._ping()
        except ServiceError as refusal:
            current_exchange.get().refused(refusal)
            unready = {"status": "unavailable", "reason": refusal.reason.name}
            return _answer("503 Service Unavailable", unready)(environ, start_response)
        return _answer("200 OK", {"status": "ready"})(environ, start_response)


def _told(path: str) -> str:
    """Give a path as logs may tell it: an invite page's holds the link's id, which opens the door."""
    return "/invite/…" if path.startswith("/invite/") else path


def _code(exchange: Exchange, status: str) -> str:
    """Give how a request ended; what the runtime refuses by itself has only a status."""
    return f"http_{status}" if exchange.code == "ok" and status >= "400" else exchange.code


def _answer(status: str, content: dict[str, str]) -> WSGIApplication:
    body = json.dumps(content).encode()

    def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        start_response(status, [("content-type", "application/json"), ("cache-control", "no-store")])
        return [b"" if environ.get("REQUEST_METHOD") == "HEAD" else body]

    return application


_NOT_HEARD = _answer("400 Bad Request", {"code": HUNG_UP, "message": "The client hung up."})
_NOT_FOUND = _answer("404 Not Found", {"code": "not_found", "message": "There is nothing at this path."})
