"""How a refusal is spoken: one table from kinds to the codes of Connect and the statuses of HTTP."""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus

from connectrpc.code import Code
from connectrpc.errors import ConnectError
from protobuf import Message
from protobuf.wkt import Duration

from gen.google.rpc.error_details_pb import BadRequest, ErrorInfo, RetryInfo
from server.domain.errors import (
    CONFLICT,
    DEADLINE_PASSED,
    ENCODING_UNSUPPORTED,
    INTERNAL,
    MALFORMED_REQUEST,
    ONE_MESSAGE_REQUIRED,
    PROTOCOL_ERROR,
    REQUEST_TOO_LARGE,
    Kind,
    ServiceError,
)

ERROR_DOMAIN = "organization-service"
"""Value of `google.rpc.ErrorInfo.domain`: reasons are unique within it."""


@dataclass(frozen=True, slots=True)
class Spoken:
    """How a kind is spoken. `repeats` says whether sending the same request again may help by itself."""

    code: Code
    status: HTTPStatus
    repeats: bool


SPOKEN = {
    Kind.INVALID_ARGUMENT: Spoken(Code.INVALID_ARGUMENT, HTTPStatus.BAD_REQUEST, repeats=False),
    Kind.UNAUTHENTICATED: Spoken(Code.UNAUTHENTICATED, HTTPStatus.UNAUTHORIZED, repeats=False),
    Kind.PERMISSION_DENIED: Spoken(Code.PERMISSION_DENIED, HTTPStatus.FORBIDDEN, repeats=False),
    Kind.NOT_FOUND: Spoken(Code.NOT_FOUND, HTTPStatus.NOT_FOUND, repeats=False),
    Kind.ALREADY_EXISTS: Spoken(Code.ALREADY_EXISTS, HTTPStatus.CONFLICT, repeats=False),
    Kind.FAILED_PRECONDITION: Spoken(Code.FAILED_PRECONDITION, HTTPStatus.BAD_REQUEST, repeats=False),
    Kind.ABORTED: Spoken(Code.ABORTED, HTTPStatus.CONFLICT, repeats=True),
    Kind.RESOURCE_EXHAUSTED: Spoken(Code.RESOURCE_EXHAUSTED, HTTPStatus.TOO_MANY_REQUESTS, repeats=True),
    Kind.DEADLINE_EXCEEDED: Spoken(Code.DEADLINE_EXCEEDED, HTTPStatus.GATEWAY_TIMEOUT, repeats=True),
    Kind.UNAVAILABLE: Spoken(Code.UNAVAILABLE, HTTPStatus.SERVICE_UNAVAILABLE, repeats=True),
    Kind.UNIMPLEMENTED: Spoken(Code.UNIMPLEMENTED, HTTPStatus.NOT_IMPLEMENTED, repeats=False),
    Kind.INTERNAL: Spoken(Code.INTERNAL, HTTPStatus.INTERNAL_SERVER_ERROR, repeats=False),
}

_RUNTIME_REASONS = {
    Code.INVALID_ARGUMENT: MALFORMED_REQUEST,
    Code.RESOURCE_EXHAUSTED: REQUEST_TOO_LARGE,
    Code.UNIMPLEMENTED: ENCODING_UNSUPPORTED,
    Code.DEADLINE_EXCEEDED: DEADLINE_PASSED,
    Code.ABORTED: CONFLICT,
}


def connect_error(refusal: ServiceError) -> ConnectError:
    """Give the refusal as Connect and gRPC speak it, with `google.rpc` details."""
    details: list[Message] = [
        ErrorInfo(reason=refusal.reason.name, domain=ERROR_DOMAIN, metadata=refusal.metadata),
    ]
    if refusal.violations:
        violations = [BadRequest.FieldViolation(field=v.field, description=v.description) for v in refusal.violations]
        details.append(BadRequest(field_violations=violations))
    if refusal.retry_after_seconds is not None:
        nanos = round(refusal.retry_after_seconds * 1e9)
        details.append(RetryInfo(retry_delay=Duration.from_nanos(nanos)))
    return ConnectError(SPOKEN[refusal.reason.kind].code, str(refusal), details)


def refusal_of(error: Exception, *, read_max_bytes: int) -> ServiceError:
    """Give the refusal that an error means; what isn't known is `INTERNAL`, and its text stays here."""
    if isinstance(error, ServiceError):
        return error
    if isinstance(error, ConnectError):
        # Of the runtime: it couldn't read the request. Its own text may quote the request or an exception.
        reason = _RUNTIME_REASONS.get(error.code, PROTOCOL_ERROR)
        if reason is ENCODING_UNSUPPORTED and error.message.startswith("unary request"):
            # The same code as for an unknown compression; gRPC wants it so for both.
            reason = ONE_MESSAGE_REQUIRED
        facts = {
            REQUEST_TOO_LARGE: {"limit_bytes": str(read_max_bytes)},
            PROTOCOL_ERROR: {"problem": "it can't be read"},
        }
        return ServiceError(reason, facts.get(reason, {}))
    return ServiceError(INTERNAL)
