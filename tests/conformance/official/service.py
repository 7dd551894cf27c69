"""What the reference server mounts: the suite's service beside ours, behind the same edge, codecs and interceptors."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterable
from typing import Any
from urllib.parse import parse_qsl

from connectrpc.code import Code
from connectrpc.errors import ConnectError
from protobuf import Registry
from protobuf.wkt import Any as AnyMessage

from server import mounts
from server.domain.errors import DEADLINE_PASSED, ServiceError
from server.faces.connect import READ_MAX_BYTES, Admission, Boundary, PrintingJsonCodec, proto_binary_codec, refuse
from server.faces.errors import connect_error
from server.faces.exchange import current_exchange
from tests.conformance.official import BARE, GENERATED, LIMIT

sys.path.insert(0, os.environ[GENERATED])
from suite.connectrpc.conformance.v1 import service_connect  # generated from the checkout
from suite.connectrpc.conformance.v1 import service_pb as pb

_REGISTRY = Registry(pb.desc())


class AskedError(ConnectError):
    """An error that the suite asked for: no refusal of ours."""


class LettingBoundary(Boundary):
    """Says refusals as ours are said, or without their details, and lets those pass that the suite asked for."""

    def on_end_sync(self, token: Any, ctx: Any, error: Exception | None, /) -> None:
        if isinstance(error, AskedError):
            return
        if error is not None and os.environ[BARE]:
            said = connect_error(refuse(error))
            raise ConnectError(said.code, said.message) from error
        super().on_end_sync(token, ctx, error)


class SuiteJsonCodec(PrintingJsonCodec):
    """Knows the suite's messages inside `google.protobuf.Any`."""

    def encode(self, message: Any) -> bytes:
        return message.to_json(always_emit_implicit=True, registry=_REGISTRY).encode()

    def decode(self, data: Any, message_class: Any) -> Any:
        return message_class.from_json(data or b"{}", ignore_unknown_fields=True, registry=_REGISTRY)


class Service(service_connect.ConformanceServiceSync):
    """Answers as each request says that it wants to be answered."""

    def unary(self, request: Any, ctx: Any, /) -> Any:
        return pb.UnaryResponse(payload=_answer(request, ctx))

    def idempotent_unary(self, request: Any, ctx: Any, /) -> Any:
        return pb.IdempotentUnaryResponse(payload=_answer(request, ctx))

    def unimplemented(self, _request: Any, _ctx: Any, /) -> Any:
        raise AskedError(Code.UNIMPLEMENTED, "not here")


def _answer(request: Any, ctx: Any) -> Any:
    info = pb.ConformancePayload.RequestInfo(
        request_headers=_headers(ctx.request_headers.allitems()),
        timeout_ms=None if ctx.timeout_ms is None else round(ctx.timeout_ms),
        requests=[AnyMessage.pack(request)],
    )
    if ctx.http_method == "GET":
        query = _headers(parse_qsl(current_exchange.get().query))
        info.connect_get_info = pb.ConformancePayload.ConnectGetInfo(query_params=query)
    wanted = request.response_definition
    if wanted is None:
        return pb.ConformancePayload(request_info=info)
    for there, given in (
        (ctx.response_headers, wanted.response_headers),
        (ctx.response_trailers, wanted.response_trailers),
    ):
        for header in given:
            for value in header.value:
                there.add(header.name, value)
    _wait(wanted.response_delay_ms, ctx.timeout_ms)
    response = wanted.response
    if response is not None and response.field == "error":
        error = response.value
        details = [detail.unpack(_REGISTRY) for detail in error.details]
        raise AskedError(Code[error.code.name], error.message or "", [*details, info])
    return pb.ConformancePayload(data=b"" if response is None else response.value, request_info=info)


def _headers(pairs: Iterable[tuple[str, str]]) -> list[Any]:
    values: dict[str, list[str]] = {}
    for name, value in pairs:
        values.setdefault(name, []).append(value)
    return [pb.Header(name=name, value=value) for name, value in values.items()]


def _wait(milliseconds: int, timeout_ms: float | None) -> None:
    """Wait as long as is asked for, until the call's time has passed at most: as a statement of ours does."""
    if timeout_ms is not None and timeout_ms <= milliseconds:
        time.sleep(timeout_ms / 1000)
        raise ServiceError(DEADLINE_PASSED)
    time.sleep(milliseconds / 1000)


_application = service_connect.ConformanceServiceWSGIApplication(
    Service(),
    interceptors=(LettingBoundary(), Admission()),
    read_max_bytes=int(os.environ[LIMIT]) or READ_MAX_BYTES,
    codecs=(proto_binary_codec(), SuiteJsonCodec()),
)
_paths = (
    f"/connectrpc.conformance.v1.ConformanceService/{name}" for name in ("Unary", "IdempotentUnary", "Unimplemented")
)
mounts._edge._methods = {**mounts._edge._methods, **dict.fromkeys(_paths, _application)}
wsgi, reflection, reflection_alpha = mounts.wsgi, mounts.reflection, mounts.reflection_alpha
