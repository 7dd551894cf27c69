"""One HTTP exchange: what the edge of the service and a face tell each other about it."""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass

from server.domain.errors import ServiceError
from server.faces.errors import SPOKEN


@dataclass(slots=True)
class Exchange:
    """A request on its way; faces write down how it ended, the edge answers headers by it and logs it."""

    request_id: str
    query: str = ""
    code: str = "ok"
    reason: str = ""
    repeats: bool = True
    retry_after_seconds: float | None = None

    def refused(self, refusal: ServiceError) -> None:
        """Write down that the request was refused."""
        spoken = SPOKEN[refusal.reason.kind]
        self.code = spoken.code.value
        self.reason = refusal.reason.name
        self.repeats = spoken.repeats
        self.retry_after_seconds = refusal.retry_after_seconds


current_exchange: ContextVar[Exchange] = ContextVar("current_exchange")
