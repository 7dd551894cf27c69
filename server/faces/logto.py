"""Logto's paths, `/logto/api`."""

from __future__ import annotations

from server.domain.errors import ServiceError
from server.faces.connect import bearer_token
from server.faces.errors import SPOKEN
from server.faces.rest import Answer, Parts, RestFace


class _Speaker:
    def token(self, authorization: str | None) -> str:
        return bearer_token(authorization or "")

    def refuse(self, refusal: ServiceError, operation: str) -> Answer:
        return Answer({"message": str(refusal)}, SPOKEN[refusal.reason.kind].status)


def logto_face(parts: Parts) -> RestFace:
    """Give the face."""
    return RestFace("/logto/api", (), _Speaker(), parts)
