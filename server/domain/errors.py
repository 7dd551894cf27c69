"""Every way in which the service says no.

The catalog below is the one place where a reason, its kind and its sentence stand together. A face turns the
kind into a code or status of its wire (`server/faces/errors.py`); `docs/errors.md` is printed from this catalog.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum

from server.domain.record import record


class Kind(StrEnum):
    """The closed set of ways to fail; the names are those of Connect's codes."""

    INVALID_ARGUMENT = "invalid_argument"
    UNAUTHENTICATED = "unauthenticated"
    PERMISSION_DENIED = "permission_denied"
    NOT_FOUND = "not_found"
    ALREADY_EXISTS = "already_exists"
    FAILED_PRECONDITION = "failed_precondition"
    ABORTED = "aborted"
    RESOURCE_EXHAUSTED = "resource_exhausted"
    DEADLINE_EXCEEDED = "deadline_exceeded"
    UNAVAILABLE = "unavailable"
    UNIMPLEMENTED = "unimplemented"
    INTERNAL = "internal"


@record
class Reason:
    """One entry of the catalog.

    `name` is stable and goes to callers in `google.rpc.ErrorInfo.reason`; `sentence` says what to do and may
    change; `{placeholders}` in it are filled from the metadata of the error.
    """

    name: str
    kind: Kind
    sentence: str


@record
class FieldViolation:
    """What is wrong with one field: its path as the contract spells it, and a sentence about it."""

    field: str
    description: str


@dataclass(eq=False)
class ServiceError(Exception):
    """A refusal that the caller may read: a reason of the catalog and the facts of this case.

    `metadata` must hold nothing that the caller may not know. `retry_after_seconds` is given where waiting helps.
    """

    reason: Reason
    metadata: dict[str, str] = field(default_factory=dict)
    violations: tuple[FieldViolation, ...] = ()
    retry_after_seconds: float | None = None

    def __str__(self) -> str:
        return self.reason.sentence.format_map(self.metadata)


@dataclass(eq=False)
class WrongSecretError(ServiceError):
    """The refusal of a secret that opens nothing, which may be a guess; guesses are slowed (`service/limits.py`).

    `guess` tells secrets apart: the `hash` of the one that was tried.
    """

    guess: int = 0


def invalid_request(violations: Iterable[FieldViolation]) -> ServiceError:
    """Give the refusal of a request some of whose fields break the rules."""
    wrong = tuple(violations)
    return ServiceError(INVALID_REQUEST, {"fields": "; ".join(f"{v.field} {v.description}" for v in wrong)}, wrong)


def invalid_field(field_path: str, description: str) -> ServiceError:
    """Give the refusal of a request one of whose fields breaks a rule."""
    return invalid_request([FieldViolation(field_path, description)])


CATALOG: dict[str, Reason] = {}


def _reason(name: str, kind: Kind, sentence: str) -> Reason:
    reason = CATALOG[name] = Reason(name, kind, sentence)
    return reason


# The request itself.
INVALID_REQUEST = _reason(
    "INVALID_REQUEST", Kind.INVALID_ARGUMENT, "The request breaks the rules of the contract: {fields}."
)
MALFORMED_REQUEST = _reason(
    "MALFORMED_REQUEST",
    Kind.INVALID_ARGUMENT,
    "The body can't be read as the message that this method takes; check its encoding, field names and types.",
)
PAGE_TOKEN_INVALID = _reason(
    "PAGE_TOKEN_INVALID",
    Kind.INVALID_ARGUMENT,
    "The page token is not one of this list; begin again without a token, and keep filter and sort while paging.",
)
METHOD_NOT_IMPLEMENTED = _reason(
    "METHOD_NOT_IMPLEMENTED", Kind.UNIMPLEMENTED, "This service doesn't implement {method}."
)
SERVICE_UNKNOWN = _reason(
    "SERVICE_UNKNOWN",
    Kind.NOT_FOUND,
    "This server has no service of that name; leave the name out to ask about the server as a whole.",
)
REQUEST_TOO_LARGE = _reason(
    "REQUEST_TOO_LARGE", Kind.RESOURCE_EXHAUSTED, "The request is larger than the {limit_bytes} bytes allowed."
)
PROTOCOL_ERROR = _reason(
    "PROTOCOL_ERROR", Kind.INVALID_ARGUMENT, "The request breaks the rules of its protocol: {problem}."
)
ONE_MESSAGE_REQUIRED = _reason(
    "ONE_MESSAGE_REQUIRED", Kind.UNIMPLEMENTED, "This method takes exactly one message; send one, not none or several."
)
ENCODING_UNSUPPORTED = _reason(
    "ENCODING_UNSUPPORTED",
    Kind.UNIMPLEMENTED,
    "The request is compressed in a way this service doesn't read; send gzip or none.",
)

# Who is calling.
CREDENTIALS_MISSING = _reason(
    "CREDENTIALS_MISSING", Kind.UNAUTHENTICATED, "Send an access token in the header 'Authorization: Bearer …'."
)
CREDENTIALS_INVALID = _reason(
    "CREDENTIALS_INVALID",
    Kind.UNAUTHENTICATED,
    "The access token is unknown, expired or revoked; get a new one and try again.",
)
ISSUER_UNAVAILABLE = _reason(
    "ISSUER_UNAVAILABLE",
    Kind.UNAVAILABLE,
    "The token's issuer can't be reached, so the token can't be checked; try again shortly.",
)
TOKEN_READ_ONLY = _reason(
    "TOKEN_READ_ONLY", Kind.PERMISSION_DENIED, "This access token may only read; use one that may write."
)
ACCOUNT_TOKEN_REQUIRED = _reason(
    "ACCOUNT_TOKEN_REQUIRED",
    Kind.PERMISSION_DENIED,
    "A token of one organization's user can't do this; use a token of the account.",
)
ADMIN_REQUIRED = _reason(
    "ADMIN_REQUIRED", Kind.PERMISSION_DENIED, "Only an admin of the organization may do this; ask one of them."
)
NOT_YOURS = _reason("NOT_YOURS", Kind.PERMISSION_DENIED, "You may do this only for yourself.")

# What isn't there, or isn't the caller's to know of.
ORGANIZATION_NOT_FOUND = _reason(
    "ORGANIZATION_NOT_FOUND",
    Kind.NOT_FOUND,
    "There is no such organization, or you aren't a member of it.",
)
USER_NOT_FOUND = _reason(
    "USER_NOT_FOUND", Kind.NOT_FOUND, "There is no such user in an organization that you are a member of."
)
INVITE_NOT_FOUND = _reason(
    "INVITE_NOT_FOUND",
    Kind.NOT_FOUND,
    "This invite doesn't exist or was replaced; ask an admin of the organization for the current link.",
)
NO_LIVE_INVITE = _reason(
    "NO_LIVE_INVITE",
    Kind.NOT_FOUND,
    "The organization has no invite link; create one with CreateOrganizationInvite.",
)
ACCESS_TOKEN_NOT_FOUND = _reason("ACCESS_TOKEN_NOT_FOUND", Kind.NOT_FOUND, "You have no access token with this id.")

# What the state of things doesn't allow.
LAST_ADMIN = _reason(
    "LAST_ADMIN",
    Kind.FAILED_PRECONDITION,
    "An organization keeps at least one admin; make another member an admin first, or delete the organization.",
)
ORGANIZATION_AMBIGUOUS = _reason(
    "ORGANIZATION_AMBIGUOUS",
    Kind.FAILED_PRECONDITION,
    "Your account has {count} users, one in each of its organizations; call with a token of one of them.",
)
EMAIL_NOT_VERIFIED = _reason(
    "EMAIL_NOT_VERIFIED",
    Kind.FAILED_PRECONDITION,
    "This needs an e-mail address that your sign-in provider has verified.",
)
INVITE_KEY_UNAVAILABLE = _reason(
    "INVITE_KEY_UNAVAILABLE",
    Kind.FAILED_PRECONDITION,
    "The key that this link was made with is no longer configured, so it can't be shown; create a new link.",
)

ORGANIZATION_FULL = _reason(
    "ORGANIZATION_FULL",
    Kind.FAILED_PRECONDITION,
    "The organization has {limit} members, which is as many as it may have; an admin must remove somebody first, or the"
    " operator allow more.",
)

# Signing in to the pages.
SAME_ORIGIN_REQUIRED = _reason(
    "SAME_ORIGIN_REQUIRED",
    Kind.PERMISSION_DENIED,
    "Only the service's own pages may do this: send the header 'x-session: cookie' from the service's own origin.",
)
SIGN_IN_UNAVAILABLE = _reason(
    "SIGN_IN_UNAVAILABLE",
    Kind.FAILED_PRECONDITION,
    "This way to sign in isn't set up here; use another, or ask the operator of this service.",
)
SIGN_IN_CODE_WRONG = _reason(
    "SIGN_IN_CODE_WRONG",
    Kind.FAILED_PRECONDITION,
    "This isn't the code, or it was used, has expired, or was guessed wrong too often; look for the newest mail, or ask"
    " for another code.",
)
SIGN_IN_EXPIRED = _reason(
    "SIGN_IN_EXPIRED",
    Kind.FAILED_PRECONDITION,
    "This sign-in was begun in another browser or more than ten minutes ago, or is done already; begin again.",
)
SIGN_IN_REFUSED = _reason(
    "SIGN_IN_REFUSED",
    Kind.PERMISSION_DENIED,
    "The sign-in provider didn't say who you are: you cancelled, it doesn't let you in, or its answer wasn't right;"
    " try again.",
)

# Invitations.
ADDRESS_INVALID = _reason(
    "ADDRESS_INVALID", Kind.INVALID_ARGUMENT, "'{email}' is no e-mail address; write one like alice@example.com."
)
INVITATION_NOT_FOUND = _reason(
    "INVITATION_NOT_FOUND",
    Kind.NOT_FOUND,
    "This invitation doesn't exist or was replaced by a newer one; look for the newest mail, or ask to be invited.",
)
INVITATION_PENDING = _reason(
    "INVITATION_PENDING",
    Kind.ALREADY_EXISTS,
    "{email} has a pending invitation to this organization already; resend or revoke it, or ask to renew or replace"
    " it.",
)
ALREADY_MEMBER = _reason(
    "ALREADY_MEMBER", Kind.ALREADY_EXISTS, "{email} is the address of a member of this organization already."
)
INVITATION_ALREADY_ACCEPTED = _reason(
    "INVITATION_ALREADY_ACCEPTED", Kind.FAILED_PRECONDITION, "The invitation of {email} was accepted already."
)
INVITATION_DECLINED = _reason(
    "INVITATION_DECLINED", Kind.FAILED_PRECONDITION, "The invitation of {email} was declined; a new one is needed."
)
INVITATION_REVOKED = _reason(
    "INVITATION_REVOKED", Kind.FAILED_PRECONDITION, "The invitation of {email} was revoked; a new one is needed."
)
INVITATION_EXPIRED = _reason(
    "INVITATION_EXPIRED",
    Kind.FAILED_PRECONDITION,
    "The invitation of {email} has expired; ask for it to be sent again.",
)
INVITATION_WRONG_ACCOUNT = _reason(
    "INVITATION_WRONG_ACCOUNT",
    Kind.PERMISSION_DENIED,
    "The invitation is for {email}, which isn't your account's address; sign in with that address, or open the link"
    " in the mail.",
)
EMAIL_NOT_VERIFIED_FOR_INVITATION = _reason(
    "EMAIL_NOT_VERIFIED_FOR_INVITATION",
    Kind.FAILED_PRECONDITION,
    "Your sign-in provider hasn't verified {email}; verify it there, or open the link in the mail.",
)
REDIRECT_NOT_ALLOWED = _reason(
    "REDIRECT_NOT_ALLOWED",
    Kind.INVALID_ARGUMENT,
    "The redirect URL isn't at an origin that the operator allows (REDIRECT_ORIGINS).",
)
MAIL_LIMIT = _reason(
    "MAIL_LIMIT",
    Kind.RESOURCE_EXHAUSTED,
    "{email} was sent {limit} mails in {window_seconds} seconds, which is the limit; try again later.",
)
ROLE_NOT_FOUND = _reason("ROLE_NOT_FOUND", Kind.NOT_FOUND, "There is no role '{role}'.")
ROLE_IN_USE = _reason(
    "ROLE_IN_USE", Kind.ALREADY_EXISTS, "There is a role '{role}' already; choose another key or name."
)
ACCOUNT_NOT_FOUND = _reason("ACCOUNT_NOT_FOUND", Kind.NOT_FOUND, "There is no account '{account}'.")

# Backend keys.
PERSON_REQUIRED = _reason(
    "PERSON_REQUIRED",
    Kind.PERMISSION_DENIED,
    "A backend key is no person; use an access token of the person who does this.",
)
BACKEND_KEY_REQUIRED = _reason(
    "BACKEND_KEY_REQUIRED", Kind.PERMISSION_DENIED, "Only a backend key may do this; make one with the command line."
)
SCOPE_MISSING = _reason(
    "SCOPE_MISSING", Kind.PERMISSION_DENIED, "The backend key lacks the scope '{scope}'; use one that has it."
)
INVITER_NOT_MEMBER = _reason(
    "INVITER_NOT_MEMBER", Kind.PERMISSION_DENIED, "The account that is acted for isn't a member of the organization."
)

# Idempotency keys.
IDEMPOTENCY_KEY_INVALID = _reason(
    "IDEMPOTENCY_KEY_INVALID",
    Kind.INVALID_ARGUMENT,
    "An Idempotency-Key has 1 to 255 printable ASCII characters; a UUID is a good one.",
)
IDEMPOTENCY_KEY_REUSED = _reason(
    "IDEMPOTENCY_KEY_REUSED",
    Kind.ALREADY_EXISTS,
    "This Idempotency-Key was used with another request in the last 24 hours; use a fresh one for a new request.",
)

# What passes.
RATE_LIMITED = _reason(
    "RATE_LIMITED",
    Kind.RESOURCE_EXHAUSTED,
    "There were more than {count} in {window_seconds} seconds, which is the limit of '{limit}'; try again later.",
)
OVERLOADED = _reason(
    "OVERLOADED",
    Kind.UNAVAILABLE,
    "The service has more to do than it can at the moment, or is being stopped; try again shortly.",
)
REQUEST_TOO_SLOW = _reason(
    "REQUEST_TOO_SLOW",
    Kind.DEADLINE_EXCEEDED,
    "The request didn't arrive whole within {seconds} seconds; nothing was done.",
)
DEADLINE_PASSED = _reason(
    "DEADLINE_PASSED", Kind.DEADLINE_EXCEEDED, "The deadline passed before the work was done; nothing was changed."
)
STORE_BUSY = _reason("STORE_BUSY", Kind.UNAVAILABLE, "The database is busy; try again shortly.")
STORE_UNAVAILABLE = _reason(
    "STORE_UNAVAILABLE", Kind.UNAVAILABLE, "The database can't be reached or written; try again shortly."
)
OUTCOME_UNKNOWN = _reason(
    "OUTCOME_UNKNOWN",
    Kind.UNAVAILABLE,
    "The database was lost while it committed, and whether it did can't be found out; send the request again with the"
    " same Idempotency-Key, or look first.",
)
CONFLICT = _reason("CONFLICT", Kind.ABORTED, "Others changed the same thing at the same time; read it again and retry.")
INTERNAL = _reason(
    "INTERNAL", Kind.INTERNAL, "Something went wrong on our side; the log has the details under the request id."
)
