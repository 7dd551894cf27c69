"""What every RPC has in common: how messages are read and written, who calls, until when, and how errors go out."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any, Protocol, TypeVar, cast

import protovalidate
from connectrpc.codec import Codec, proto_binary_codec
from connectrpc.interceptor import InterceptorSync
from connectrpc.method import IdempotencyLevel
from connectrpc.request import RequestContext
from protobuf import Message
from protobuf.wkt import Timestamp

from server.domain.account import BackendKey, Caller
from server.domain.errors import (
    CREDENTIALS_INVALID,
    DEADLINE_PASSED,
    INTERNAL,
    MALFORMED_REQUEST,
    PROTOCOL_ERROR,
    FieldViolation,
    ServiceError,
    invalid_request,
)
from server.faces.enums import enum_fields, unknown_values
from server.faces.errors import connect_error, refusal_of
from server.faces.exchange import current_exchange
from server.faces.own_pages import OwnPages
from server.service.call import Call, retried
from server.service.idempotency import Idempotency, canonical
from server.service.limits import Find, Limits

log = logging.getLogger(__name__)

READ_MAX_BYTES = 4 * 1024 * 1024
"""The largest request message, after decompression."""

LONGEST_CALL_SECONDS = 30.0
"""The deadline of a call that brings none, or a later one."""

SHALLOW_ARRAYS = 64
"""With no more opening brackets than this, JSON can't be nested too deep."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

REQUEST = TypeVar("REQUEST")
RESPONSE = TypeVar("RESPONSE")

_current_call: ContextVar[Call] = ContextVar("current_call")


def current_call() -> Call:
    """Give the call that this thread is answering."""
    return _current_call.get()


def timestamp(moment: datetime) -> Timestamp:
    """Write a moment. Messages that many calls need are filled field by field: naming fields to make one is dearer."""
    since, written = moment - _EPOCH, Timestamp()
    written.seconds = since.days * 86_400 + since.seconds
    written.nanos = since.microseconds * 1000
    return written


def timestamp_or_none(moment: datetime | None) -> Timestamp | None:
    """Write a moment, where there is one."""
    return None if moment is None else timestamp(moment)


class PrintingJsonCodec(Codec[Message[Any], Any]):
    """Protobuf's JSON with default values printed, which Gitpod's JSON SDK needs, and unknown fields ignored."""

    def name(self) -> str:
        """Give the name as it stands in content types."""
        return "json"

    def encode(self, message: Message[Any]) -> bytes:
        """Write a message; what can't be written is `INTERNAL`, since the runtime would answer the exception's text."""
        try:
            return message.to_json(always_emit_implicit=True).encode()
        except ValueError as error:
            log.exception("an answer can't be written as JSON")
            refusal = ServiceError(INTERNAL)
            current_exchange.get().refused(refusal)
            raise connect_error(refusal) from error

    def decode(self, data: bytes | bytearray, message_class: type[Any]) -> Any:
        """Read a message; an empty body is the empty message, as an empty binary one is."""
        if data.count(b"[") > SHALLOW_ARRAYS:
            # protobuf-py 0.7.0 takes the whole process down on arrays some ten thousand deep; this raises instead.
            json.loads(data)
        content = data or b"{}"
        enums = enum_fields(message_class.desc())
        if enums:
            current_exchange.get().violations = tuple(unknown_values(json.loads(content), enums))
        return message_class.from_json(content, ignore_unknown_fields=True)


CODECS: tuple[Codec[Any, Any], ...] = (proto_binary_codec(), PrintingJsonCodec())


class Callers(Protocol):
    """Finds who holds a token or a session (`service.authentication.Authentication`)."""

    def by_session(self, secret: str, deadline: float | None = None) -> Caller | None:
        """Give who is signed in, if anybody."""
        ...

    def who(self, token: str, deadline: float | None = None) -> Caller | BackendKey:
        """Give who calls, or refuse."""
        ...


def bearer_token(authorization: str) -> str:
    """Give the token of an Authorization header's value; `CREDENTIALS_INVALID` when it holds none."""
    scheme, _, token = authorization.strip().partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise ServiceError(CREDENTIALS_INVALID)
    return token.strip()


def identified(find: Find, limits: Limits, secret: str | None, deadline: float) -> Caller | BackendKey | None:
    """Give who holds the secret, as far as the limits let them in; None where there is no secret."""
    exchange = current_exchange.get()
    exchange.who = limits.identify(exchange.address, secret, find, deadline)
    return exchange.who


def refuse(error: Exception) -> ServiceError:
    """Give the refusal that an error means, written down for the edge; what nobody foresaw is logged."""
    refusal = refusal_of(error, read_max_bytes=READ_MAX_BYTES)
    exchange = current_exchange.get()
    exchange.refused(refusal)
    if refusal is not error and exchange.code == "internal":
        log.error("request failed", exc_info=error, extra={"request_id": exchange.request_id})
    return refusal


class Boundary:
    """Outermost: turns whatever goes wrong, reading included, into a refusal of the catalog."""

    def on_start_sync(self, _ctx: RequestContext[Any, Any], /) -> None:
        """Nothing to begin."""

    def on_end_sync(self, _token: None, _ctx: RequestContext[Any, Any], error: Exception | None, /) -> None:
        """Replace the error of a call by what callers may know of it."""
        if error is not None:
            raise connect_error(refuse(error)) from error


_SENTENCES = {"enum.not_in": "must be given, as a value other than UNSPECIFIED"}
"""What is said of rules whose own sentence is for those who know the contract's source."""


def rule_violations(message: Message[Any]) -> list[FieldViolation]:
    """Name what breaks the rules that stand in the contract."""
    found = []
    for violation in protovalidate.collect_violations(message):
        rule = violation.proto.rule_id
        sentence = _SENTENCES.get(rule) or violation.proto.message or rule
        found.append(FieldViolation(_path(violation.proto.field), sentence))
    return found


def deadline_of(timeout_ms: float | None) -> float:
    """Give the moment (`time.monotonic`) until which this request may take, waiting for a thread included."""
    left = LONGEST_CALL_SECONDS if timeout_ms is None else min(timeout_ms / 1000, LONGEST_CALL_SECONDS)
    return time.monotonic() + left - current_exchange.get().waited


def require_admitted() -> None:
    """Refuse a request that the edge doesn't let begin."""
    refusal = current_exchange.get().refusal
    if refusal is not None:
        raise refusal


class Admission:
    """Refuses a request that may not begin, or whose protocol headers break the rules, before it is read."""

    def on_start_sync(self, ctx: RequestContext[Any, Any], /) -> None:
        """Refuse it: as the edge says, with `PROTOCOL_ERROR`, or with `DEADLINE_PASSED` where it waited too long."""
        require_admitted()
        exchange = current_exchange.get()
        if exchange.problem:
            raise ServiceError(PROTOCOL_ERROR, {"problem": exchange.problem})
        if ctx.timeout_ms is not None and ctx.timeout_ms / 1000 <= exchange.waited:
            raise ServiceError(DEADLINE_PASSED)

    def on_end_sync(self, _token: None, _ctx: RequestContext[Any, Any], _error: Exception | None, /) -> None:
        """Nothing began."""


class Validation:
    """Holds every request against the rules that stand in the contract, before anything else happens."""

    def intercept_unary_sync(
        self,
        call_next: Callable[[REQUEST, RequestContext[Any, Any]], RESPONSE],
        request: REQUEST,
        ctx: RequestContext[Any, Any],
        /,
    ) -> RESPONSE:
        """Refuse a request that breaks a rule, naming every field that does."""
        wrong = (*rule_violations(cast("Message[Any]", request)), *current_exchange.get().violations)
        if wrong:
            # Of a field that breaks a rule and holds what isn't known, the latter is said.
            raise invalid_request({v.field: v for v in wrong}.values())
        try:
            # Bytes can hold what JSON and the well-known types can't: NaN, a value of no kind, a time beyond all years.
            cast("Message[Any]", request).to_json()
        except ValueError as error:
            raise ServiceError(MALFORMED_REQUEST) from error
        return call_next(request, ctx)


class Identification:
    """Finds who is calling and until when: by a token, or in a session where a page of ours sent the request."""

    def __init__(self, callers: Callers, limits: Limits, pages: OwnPages) -> None:
        self._callers = callers
        self._limits = limits
        self._pages = pages

    def intercept_unary_sync(
        self,
        call_next: Callable[[REQUEST, RequestContext[Any, Any]], RESPONSE],
        request: REQUEST,
        ctx: RequestContext[Any, Any],
        /,
    ) -> RESPONSE:
        """Answer the call as its caller; without credentials as nobody, whom most use cases refuse."""
        deadline = deadline_of(ctx.timeout_ms)
        authorization = ctx.request_headers.get("authorization")
        if authorization is not None:
            who = identified(self._callers.who, self._limits, bearer_token(authorization), deadline)
        else:
            session = self._pages.session(ctx.request_headers)
            who = identified(self._callers.by_session, self._limits, session or None, deadline)
        previous = _current_call.set(Call(who, deadline, self._limits))
        try:
            return retried(lambda: call_next(request, ctx), deadline)
        finally:
            _current_call.reset(previous)


class Repetition:
    """Answers a request that comes again with the same Idempotency-Key as it was answered first."""

    def __init__(self, idempotency: Idempotency, reads: frozenset[str]) -> None:
        self._idempotency = idempotency
        self._reads = reads

    def intercept_unary_sync(
        self,
        call_next: Callable[[REQUEST, RequestContext[Any, Any]], RESPONSE],
        request: REQUEST,
        ctx: RequestContext[Any, Any],
        /,
    ) -> RESPONSE:
        """Let a call that changes something pass once for each key."""
        key = ctx.request_headers.get("idempotency-key")
        method = ctx.method
        if key is None or method.idempotency_level is IdempotencyLevel.NO_SIDE_EFFECTS or method.name in self._reads:
            return call_next(request, ctx)
        answer = self._idempotency.once(
            current_call(),
            key,
            f"{method.service_name}/{method.name}",
            canonical(cast("Message[Any]", request).to_json().encode()),
            lambda: cast("Message[Any]", call_next(request, ctx)).to_binary(),
        )
        return cast("RESPONSE", method.output.from_binary(answer))


def _path(field_path: protovalidate.FieldPathPb | None) -> str:
    """Give a field's path as the contract spells it: `filter.user_ids[2]`."""
    parts: list[str] = []
    for element in field_path.elements if field_path else ():
        index = element.subscript
        suffix = f"[{index.value}]" if index is not None and index.field == "index" else ""
        parts.append(f"{element.field_name}{suffix}")
    return ".".join(parts) or "message"


def interceptors(
    callers: Callers,
    idempotency: Idempotency,
    limits: Limits,
    pages: OwnPages,
    *before_validation: InterceptorSync,
    reads: frozenset[str] = frozenset(),
) -> tuple[InterceptorSync, ...]:
    """Give what stands around every method of ours, the outermost first; `Repetition` is the innermost.

    `reads` are methods that change nothing though the contract doesn't say so.
    """
    identification, repetition = Identification(callers, limits, pages), Repetition(idempotency, reads)
    return (Boundary(), Admission(), *before_validation, Validation(), identification, repetition)
