"""gRPC's health protocol."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from connectrpc.code import Code
from connectrpc.errors import ConnectError
from connectrpc.request import RequestContext

from gen.grpc.health.v1.health_connect import HealthSync
from gen.grpc.health.v1.health_pb import HealthCheckRequest, HealthCheckResponse, HealthListRequest, HealthListResponse
from server.domain.errors import ServiceError

Context = RequestContext[Any, Any]
_Status = HealthCheckResponse.ServingStatus


class Health(HealthSync):
    """`grpc.health.v1.Health`: all services stand or fall with the store. Watch is left to polling Check.

    A watch would hold a thread for as long as its caller likes; the protocol lets a server say `unimplemented`.
    """

    def __init__(self, ping: Callable[[], None], services: frozenset[str]) -> None:
        self._ping = ping
        self._services = services

    def check(self, request: HealthCheckRequest, _ctx: Context, /) -> HealthCheckResponse:
        """See the contract."""
        if request.service and request.service not in self._services:
            raise ConnectError(Code.NOT_FOUND, "unknown service")
        return HealthCheckResponse(status=self._status())

    def list(self, _request: HealthListRequest, _ctx: Context, /) -> HealthListResponse:
        """See the contract."""
        status = HealthCheckResponse(status=self._status())
        return HealthListResponse(statuses=dict.fromkeys(("", *sorted(self._services)), status))

    def _status(self) -> _Status:
        try:
            self._ping()
        except ServiceError:
            return _Status.NOT_SERVING
        return _Status.SERVING
