"""One HTTP exchange: what the edge of the service and a face tell each other about it."""

from __future__ import annotations

import math
from contextvars import ContextVar
from dataclasses import dataclass

from server.domain.account import BackendKey, Caller
from server.domain.errors import FieldViolation, Kind, ServiceError, WrongSecretError
from server.faces.errors import SPOKEN


@dataclass(slots=True)
class Exchange:
    """A request on its way; faces write down how it ended, the edge answers headers by it and logs it.

    `address` is what the client's address counts as, empty where there is none; `waited` the seconds since its first
    byte; `refusal` why the request may not even begin; `problem` which of its headers break the rules of the RPC
    protocols; `violations` what was wrong with the body that the message made of it doesn't show any more; `who` calls;
    `wrong` is of a secret that opens nothing.
    """

    request_id: str
    address: str = ""
    query: str = ""
    problem: str = ""
    waited: float = 0.0
    refusal: ServiceError | None = None
    violations: tuple[FieldViolation, ...] = ()
    who: Caller | BackendKey | None = None
    wrong: WrongSecretError | None = None
    code: str = "ok"
    reason: str = ""
    repeats: bool = True
    retry_after_seconds: float | None = None

    def hints(self) -> list[tuple[str, str]]:
        """Give the headers that tell a client whether and when to try again."""
        hints = []
        if self.code != "ok" and not self.repeats:
            # Gitpod's JSON SDK would send the same request twice more.
            hints.append(("x-should-retry", "false"))
        if self.retry_after_seconds is not None:
            hints.append(("retry-after", str(max(1, math.ceil(self.retry_after_seconds)))))
        return hints

    def refused(self, refusal: ServiceError) -> None:
        """Write down that the request was refused."""
        spoken = SPOKEN[refusal.reason.kind]
        self.code = spoken.code.value
        self.reason = refusal.reason.name
        if isinstance(refusal, WrongSecretError):
            self.wrong = refusal
        # What was too much stays so, unless waiting helps.
        exhausted = refusal.reason.kind is Kind.RESOURCE_EXHAUSTED
        self.repeats = spoken.repeats and not (exhausted and refusal.retry_after_seconds is None)
        self.retry_after_seconds = refusal.retry_after_seconds


current_exchange: ContextVar[Exchange] = ContextVar("current_exchange")
