"""What answers every RPC with a refusal, in the protocol that the caller speaks."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NoReturn

from connectrpc.method import IdempotencyLevel, MethodInfo, StreamType
from connectrpc.request import RequestContext
from connectrpc.server import ConnectWSGIApplication, EndpointSync
from protobuf.wkt import Empty

from server.domain.errors import METHOD_NOT_IMPLEMENTED, ServiceError
from server.faces.connect import CODECS, Admission, Boundary

Refusing = Callable[[MethodInfo[Any, Any]], ServiceError]
"""Gives the refusal for a method."""


class _Refusal:
    """Refuses before the body is read: what it holds doesn't matter."""

    def __init__(self, refusing: Refusing) -> None:
        self._refusing = refusing

    def on_start_sync(self, ctx: RequestContext[Any, Any], /) -> NoReturn:
        raise self._refusing(ctx.method)

    def on_end_sync(self, _token: None, _ctx: RequestContext[Any, Any], _error: Exception | None, /) -> None:
        """Nothing began."""


class _EveryMethod(Mapping[str, Any]):
    """An endpoint for whatever path is asked for."""

    def __getitem__(self, path: str) -> Any:
        service, _, name = path.strip("/").partition("/")
        method = MethodInfo(
            name=name,
            service_name=service,
            input=Empty,
            output=Empty,
            stream_type=StreamType.UNARY,
            # So that GET is let in as far as the refusal.
            idempotency_level=IdempotencyLevel.NO_SIDE_EFFECTS,
        )
        return EndpointSync.unary(method=method, function=lambda _request, _ctx: Empty())

    def __iter__(self) -> Iterator[str]:
        return iter(())

    def __len__(self) -> int:
        return 0


def _not_implemented(method: MethodInfo[Any, Any]) -> ServiceError:
    return ServiceError(METHOD_NOT_IMPLEMENTED, {"method": f"{method.service_name}/{method.name}"})


class RefusingApplication(ConnectWSGIApplication):
    """Refuses every RPC; with `METHOD_NOT_IMPLEMENTED` unless told otherwise."""

    def __init__(self, refusing: Refusing = _not_implemented) -> None:
        super().__init__(
            endpoints=_EveryMethod(), interceptors=(Boundary(), Admission(), _Refusal(refusing)), codecs=CODECS
        )

    @property
    def path(self) -> str:
        """Give the path to mount at: the root."""
        return ""
