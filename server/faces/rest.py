"""What the faces that speak plain HTTP have in common: routes, bodies, who calls, repetition, and errors.

A face gives its routes and a `Speaker`, which says how its original writes errors and reads credentials.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Protocol

from werkzeug.datastructures import MultiDict
from werkzeug.exceptions import HTTPException
from werkzeug.routing import Map, Rule
from werkzeug.wrappers import Request as HttpRequest
from werkzeug.wrappers import Response as HttpResponse

from server.domain.errors import MALFORMED_REQUEST, METHOD_NOT_IMPLEMENTED, REQUEST_TOO_LARGE, ServiceError
from server.faces.connect import READ_MAX_BYTES, Callers, deadline_of, identified, refuse, require_admitted
from server.ports import Clock
from server.service.access_tokens import AccessTokens
from server.service.administration import Administration
from server.service.call import Call, retried
from server.service.idempotency import Idempotency, canonical
from server.service.invitations import Invitations
from server.service.limits import Limits
from server.service.organizations import Organizations
from server.service.roles import Roles

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIEnvironment

MAX_DEPTH = 100
"""How deep a body may be nested."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
_READING = frozenset({"GET", "HEAD"})


@dataclass(frozen=True, slots=True)
class Request:
    """A request as handlers see it: the call, the query, the JSON body (None when there is none), path parameters."""

    call: Call
    query: MultiDict[str, str]
    body: Any
    path: Mapping[str, str]
    operation: str


@dataclass(frozen=True, slots=True)
class Answer:
    """What a handler answers: `body` is written as JSON, None as no body at all."""

    body: Any
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


Handler = Callable[[Request], Answer]


@dataclass(frozen=True, slots=True)
class Route:
    """A method and a path like `/organizations/<organization_id>`, and what answers there."""

    method: str
    path: str
    handler: Handler

    @property
    def operation(self) -> str:
        """Name of the operation, by which a speaker may tell errors apart."""
        return getattr(self.handler, "__name__", self.path)


@dataclass(frozen=True, slots=True)
class Parts:
    """What a face is built of: the use cases, who calls, and what it must know of the instance.

    `public_url` is where people reach the service, without a slash at the end; `sends_mail` tells whether mail goes
    out at all.
    """

    organizations: Organizations
    invitations: Invitations
    administration: Administration
    roles: Roles
    tokens: AccessTokens
    callers: Callers
    idempotency: Idempotency
    limits: Limits
    clock: Clock
    public_url: str
    sends_mail: bool


class Speaker(Protocol):
    """How a face's original speaks."""

    def token(self, authorization: str | None) -> str:
        """Give the token in an Authorization header's value, or refuse."""
        ...

    def refuse(self, refusal: ServiceError, operation: str) -> Answer:
        """Give the answer that tells of a refusal; `operation` is empty where there is none."""
        ...


class RestFace:
    """A WSGI application for one face, mounted below `prefix`."""

    def __init__(self, prefix: str, routes: Sequence[Route], speaker: Speaker, parts: Parts) -> None:
        self._speaker = speaker
        self._callers = parts.callers
        self._idempotency = parts.idempotency
        self._limits = parts.limits
        self._map = Map(
            [Rule(prefix + route.path, methods=[route.method], endpoint=route) for route in routes],
            strict_slashes=False,
            merge_slashes=False,
            redirect_defaults=False,
        )

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request."""
        http = HttpRequest(environ)
        operation = ""
        try:
            require_admitted()
            route, path = self._route(http)
            operation = route.operation
            answer = self._answer(http, route, path)
        except Exception as error:  # noqa: BLE001 # whatever goes wrong, callers get what they may know
            answer = self._speaker.refuse(refuse(error), operation)
        body = b"" if answer.body is None else json.dumps(answer.body, ensure_ascii=False).encode()
        response = HttpResponse(body, answer.status, {"cache-control": "no-store", **answer.headers})
        if answer.body is not None:
            response.headers["content-type"] = "application/json"
        else:
            response.headers.pop("content-type", None)
        return response(environ, start_response)

    def _route(self, http: HttpRequest) -> tuple[Route, Mapping[str, str]]:
        try:
            route, path = self._map.bind_to_environ(http.environ).match()
        except HTTPException as error:
            facts = {"method": f"{http.method} {http.path}"[:256]}
            raise ServiceError(METHOD_NOT_IMPLEMENTED, facts) from error
        return route, path

    def _answer(self, http: HttpRequest, route: Route, path: Mapping[str, str]) -> Answer:
        deadline = deadline_of(None)
        token = self._speaker.token(http.headers.get("Authorization"))
        who = identified(self._callers.who, self._limits, token, deadline)
        content = _content(http)
        request = Request(Call(who, deadline, self._limits), _query(http), _json(content), path, route.operation)
        key = http.headers.get("Idempotency-Key")
        if key is None or http.method in _READING:
            return retried(lambda: route.handler(request), deadline)
        operation = f"{http.method} {http.full_path}"
        once = self._idempotency.once
        packed = retried(
            lambda: once(request.call, key, operation, canonical(content), lambda: _pack(route.handler(request))),
            deadline,
        )
        return _unpack(packed)


def epoch_millis(moment: datetime) -> int:
    """Give a moment as milliseconds since 1970, as JSON holds it for Clerk and Logto."""
    return (moment - _EPOCH) // _MILLISECOND


def from_epoch_millis(millis: int) -> datetime:
    """Read milliseconds since 1970."""
    return _EPOCH + millis * _MILLISECOND


def _query(http: HttpRequest) -> MultiDict[str, str]:
    try:
        return http.args
    except UnicodeError as error:
        raise ServiceError(MALFORMED_REQUEST) from error


def _content(http: HttpRequest) -> bytes:
    """Read the body, whatever its Content-Type says: Koyeb's SDK sends none."""
    content = http.environ["wsgi.input"].read(READ_MAX_BYTES + 1) if http.method not in _READING else b""
    if len(content) > READ_MAX_BYTES:
        raise ServiceError(REQUEST_TOO_LARGE, {"limit_bytes": str(READ_MAX_BYTES)})
    return bytes(content)


def _json(content: bytes) -> Any:
    if not content.strip():
        return None
    try:
        value = json.loads(content.decode(), parse_constant=_no_constant, parse_float=_finite)
        if b"\\u" in content:
            # Half of a surrogate pair can be escaped, yet is no text: nothing could keep or say it.
            json.dumps(value, ensure_ascii=False).encode()
        if content.count(b"{") + content.count(b"[") > MAX_DEPTH:
            _require_shallow(value, MAX_DEPTH)
        return value
    except (ValueError, RecursionError) as error:
        raise ServiceError(MALFORMED_REQUEST) from error


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON")


def _require_shallow(value: Any, left: int) -> None:
    """Refuse what is nested so deep that it could be read once, yet not where more of the stack is in use."""
    if left < 0:
        raise ValueError("nested too deep")
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        _require_shallow(inner, left - 1)


def _finite(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise ValueError("JSON has no word for what is larger than the largest number")
    return number


def _pack(answer: Answer) -> bytes:
    return json.dumps([answer.status, answer.body, dict(answer.headers)], ensure_ascii=False).encode()


def _unpack(packed: bytes) -> Answer:
    status, body, headers = json.loads(packed)
    return Answer(body, status, headers)
