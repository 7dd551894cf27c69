"""One HTTP exchange: what the edge of the service and a face tell each other about it."""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass

from server.domain.errors import FieldViolation, Kind, ServiceError
from server.faces.errors import SPOKEN


@dataclass(slots=True)
class Exchange:
    """A request on its way; faces write down how it ended, the edge answers headers by it and logs it.

    `problem` says which of its headers break the rules of the RPC protocols, `violations` what was wrong with the body
    that the message made of it doesn't show any more.
    """

    request_id: str
    query: str = ""
    problem: str = ""
    violations: tuple[FieldViolation, ...] = ()
    code: str = "ok"
    reason: str = ""
    repeats: bool = True
    retry_after_seconds: float | None = None

    def refused(self, refusal: ServiceError) -> None:
        """Write down that the request was refused."""
        spoken = SPOKEN[refusal.reason.kind]
        self.code = spoken.code.value
        self.reason = refusal.reason.name
        # What was too much stays so, unless waiting helps.
        exhausted = refusal.reason.kind is Kind.RESOURCE_EXHAUSTED
        self.repeats = spoken.repeats and not (exhausted and refusal.retry_after_seconds is None)
        self.retry_after_seconds = refusal.retry_after_seconds


current_exchange: ContextVar[Exchange] = ContextVar("current_exchange")
