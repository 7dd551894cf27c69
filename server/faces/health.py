"""gRPC's health protocol."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn

from connectrpc.request import RequestContext

from gen.grpc.health.v1.health_connect import HealthSync
from gen.grpc.health.v1.health_pb import HealthCheckRequest, HealthCheckResponse, HealthListRequest, HealthListResponse
from server.domain.errors import METHOD_NOT_IMPLEMENTED, SERVICE_UNKNOWN, ServiceError

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
            raise ServiceError(SERVICE_UNKNOWN)
        return HealthCheckResponse(status=self._status())

    def list(self, _request: HealthListRequest, _ctx: Context, /) -> HealthListResponse:
        """See the contract."""
        status = HealthCheckResponse(status=self._status())
        return HealthListResponse(statuses=dict.fromkeys(("", *sorted(self._services)), status))

    def watch(self, _request: HealthCheckRequest, _ctx: Context, /) -> NoReturn:
        """See the contract."""
        raise ServiceError(METHOD_NOT_IMPLEMENTED, {"method": "grpc.health.v1.Health/Watch"})

    def _status(self) -> _Status:
        try:
            self._ping()
        except ServiceError:
            return _Status.NOT_SERVING
        return _Status.SERVING
