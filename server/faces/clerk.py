"""Clerk's paths, `/clerk/v1`, so that the published clerk-backend-api works here unmodified.

What Clerk's wire can't say, or what this face does instead:

- Nothing is `declined` there: such an invitation is spelled `revoked`, and found by that status.
- A member has one role there. The first named role that gives all the rights is spelled `org:<key>`; otherwise it is
  `org:admin` or `org:member`. Setting a role replaces all roles.
- `url` never holds a token that was mailed: it leads to the page where the invited person signs in. Only an invitation
  that isn't mailed (`notify` false) has its token in the `url`, and only in the answer that creates it.
- A person has one name here: what stands before the first space is the `first_name`. A membership was updated when it
  began, and has no `permissions`.
- An organization's slug, metadata, `admin_delete_enabled` and `max_allowed_memberships` are kept and given back; the
  slug finds nothing, the others limit nothing. Filters and orders that aren't here are refused, not ignored.
- The SDK has an exception of its own for the statuses that Clerk documents for an operation. A refusal that would have
  another gets the nearest of them; its `code` stays what it is.
- What isn't here is a 404 and never a 5xx, which the SDK would repeat for an hour.
"""

from __future__ import annotations

import re
import secrets
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from typing import Any, TypeVar

from werkzeug.datastructures import MultiDict

from server.domain.account import Account, BackendKey, Scope
from server.domain.address import address_key, fold, is_address
from server.domain.errors import (
    ACCOUNT_NOT_FOUND,
    CREDENTIALS_MISSING,
    INVALID_REQUEST,
    INVITATION_NOT_FOUND,
    INVITER_NOT_MEMBER,
    MALFORMED_REQUEST,
    ORGANIZATION_NOT_FOUND,
    PROTOCOL_ERROR,
    USER_NOT_FOUND,
    FieldViolation,
    Kind,
    Reason,
    ServiceError,
)
from server.domain.invitation import Invitation, InvitationStatus, NamedRole, invitation_link
from server.domain.organization import Member, Organization, Role
from server.domain.text import is_plain_line
from server.faces.connect import bearer_token
from server.faces.exchange import current_exchange
from server.faces.rest import Answer, Handler, Parts, Request, RestFace, Route, epoch_millis
from server.faces.spelling import clerk_id, from_clerk_id
from server.ports import InvitationFilter, InvitationOrder
from server.service.call import Call
from server.service.invitations import InvitationView, Invited, NewInvitation

PREFIX = "/clerk/v1"

MAX_BULK = 10
MAX_LIMIT = 500
_MAX_NUMBER = (1 << 31) - 1
_MAX_SEARCH = 256

_SLUG = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_BUILT_IN = {f"org:{role.value}": role.value for role in Role}
_STATUSES = {
    "pending": (InvitationStatus.PENDING,),
    "accepted": (InvitationStatus.ACCEPTED,),
    "revoked": (InvitationStatus.REVOKED, InvitationStatus.DECLINED),
    "expired": (InvitationStatus.EXPIRED,),
}
_SPELLED = {status: spelled for spelled, statuses in _STATUSES.items() for status in statuses}
_ORDERS = {"created_at": "created_at", "email_address": "email"}

Value = TypeVar("Value")


# Refusals.


@dataclass(frozen=True, slots=True)
class _Error:
    """How Clerk says something: without a `long_message` our own sentence is given. `param` is what `meta` names."""

    status: int
    code: str
    message: str
    long_message: str = ""
    param: str = ""


_NOT_FOUND = _Error(404, "resource_not_found", "not found")
_NOT_PENDING = _Error(
    404,
    "organization_invitation_not_pending",
    "not pending",
    "The organization invitation is not in the 'pending' status.",
)
_ERRORS: Mapping[str, _Error] = {
    # By our reason, or by operation and reason.
    "MALFORMED_REQUEST": _Error(400, "request_body_invalid", "Request body invalid"),
    "INVALID_REQUEST": _Error(422, "form_param_value_invalid", "is invalid"),
    "ADDRESS_INVALID": _Error(422, "form_param_format_invalid", "is invalid", param="email_address"),
    "REDIRECT_NOT_ALLOWED": _Error(422, "form_param_value_invalid", "is invalid", param="redirect_url"),
    "CREDENTIALS_MISSING": _Error(401, "could_not_authenticate_request", "Could not authenticate request."),
    "CREDENTIALS_INVALID": _Error(401, "clerk_key_invalid", "The provided Clerk Secret Key is invalid."),
    "PROTOCOL_ERROR": _Error(401, "authorization_header_format_invalid", "Invalid Authorization header format"),
    "ADMIN_REQUIRED": _Error(403, "missing_organization_permission", "missing permission"),
    "INVITER_NOT_MEMBER": _Error(403, "not_a_member_in_organization", "not a member"),
    "ORGANIZATION_NOT_FOUND": _Error(404, "resource_not_found", "not found", "Given organization not found."),
    "INVITATION_NOT_FOUND": _NOT_FOUND,
    "USER_NOT_FOUND": _Error(404, "resource_not_found", "not found", "No membership found for this user."),
    "ACCOUNT_NOT_FOUND": _Error(404, "resource_not_found", "not found", "No user was found with this id.", "user_id"),
    "create_organization ACCOUNT_NOT_FOUND": _Error(
        400, "organization_creator_not_found", "creator not found", "No user was found with this id.", "created_by"
    ),
    "ROLE_NOT_FOUND": _Error(404, "resource_not_found", "not found", "Organization role not found", "role"),
    **{f"INVITATION_{state}": _NOT_PENDING for state in ("ALREADY_ACCEPTED", "DECLINED", "REVOKED", "EXPIRED")},
    "INVITATION_PENDING": _Error(
        400,
        "organization_invitation_not_unique",
        "organization invitation not unique",
        "Organizations cannot have duplicate pending invitations for an email address.",
    ),
    "ALREADY_MEMBER": _Error(400, "already_a_member_in_organization", "already a member"),
    "LAST_ADMIN": _Error(400, "organization_minimum_permissions_needed", "minimum organization permissions needed"),
    "IDEMPOTENCY_KEY_REUSED": _Error(409, "idempotency_key_reused", "idempotency key reused"),
    "REQUEST_TOO_LARGE": _Error(413, "request_body_too_large", "Request body too large"),
    "METHOD_NOT_IMPLEMENTED": _NOT_FOUND,
    # What is wrong with one parameter, by Clerk's code.
    **{
        f"form_param_{code}": _Error(422, f"form_param_{code}", message)
        for code, message in {
            "missing": "is missing",
            "unknown": "is unknown",
            "type_invalid": "is invalid",
            "format_invalid": "is invalid",
            "value_invalid": "is invalid",
            "value_too_large": "is too large",
            "max_length_exceeded": "is too long",
        }.items()
    },
    "bulk_size_exceeded": _Error(400, "bulk_size_exceeded", "bulk size exceeded"),
}
_BY_KIND = {
    Kind.INVALID_ARGUMENT: _Error(400, "malformed_request_parameters", "Malformed request"),
    Kind.UNAUTHENTICATED: _Error(401, "authentication_invalid", "Invalid authentication"),
    Kind.PERMISSION_DENIED: _Error(403, "authorization_invalid", "Unauthorized request"),
    Kind.NOT_FOUND: _NOT_FOUND,
    Kind.ALREADY_EXISTS: _Error(400, "duplicate_record", "already exists"),
    Kind.FAILED_PRECONDITION: _Error(400, "bad_request", "Bad request"),
    Kind.ABORTED: _Error(409, "conflict", "Conflict"),
    Kind.RESOURCE_EXHAUSTED: _Error(429, "too_many_requests", "Too many requests"),
    Kind.DEADLINE_EXCEEDED: _Error(504, "timeout", "Timeout"),
    Kind.UNAVAILABLE: _Error(503, "service_unavailable", "Service unavailable"),
    Kind.UNIMPLEMENTED: _NOT_FOUND,
    Kind.INTERNAL: _Error(500, "internal_clerk_error", "Oops, an unexpected error occurred"),
}
_NEAREST = {400: (422, 404), 403: (404, 400, 422), 404: (422, 400), 422: (400, 404)}
"""What is answered instead of a status that isn't documented for an operation, the best first."""


def _wrong(param: str, code: str, description: str) -> ServiceError:
    """Give the refusal of one parameter, with Clerk's code for what is wrong with it."""
    facts = {"fields": f"{param} {description}", "code": code}
    return ServiceError(INVALID_REQUEST, facts, (FieldViolation(param, description),))


class _Speaker:
    """`documented` has the statuses that Clerk documents for each operation's errors."""

    def __init__(self, documented: Mapping[str, tuple[int, ...]]) -> None:
        self._documented = documented

    def token(self, authorization: str | None) -> str:
        if authorization is None:
            raise ServiceError(CREDENTIALS_MISSING)
        if not authorization.strip().lower().startswith("bearer "):
            raise ServiceError(PROTOCOL_ERROR, {"problem": "the header isn't 'Authorization: Bearer <key>'"})
        return bearer_token(authorization)

    def refuse(self, refusal: ServiceError, operation: str) -> Answer:
        name = refusal.metadata.get("code", refusal.reason.name)
        error = _ERRORS.get(f"{operation} {name}") or _ERRORS.get(name) or _BY_KIND[refusal.reason.kind]
        known = self._documented.get(operation, ())
        nearest = (other for other in _NEAREST.get(error.status, ()) if other in known)
        status = error.status if error.status in known else next(nearest, error.status)
        if refusal.violations:
            errors = [_error(error, f"{v.field} {v.description}", v.field) for v in refusal.violations]
        else:
            errors = [_error(error, error.long_message or str(refusal), error.param)]
        return Answer({"errors": errors, "clerk_trace_id": current_exchange.get().request_id}, status)


def _error(error: _Error, long_message: str, param: str) -> dict[str, Any]:
    said = {"message": error.message, "long_message": long_message, "code": error.code}
    return said | ({"meta": {"name": param, "param_name": param}} if param else {})


# Reading.


class _Fields:
    """Reads the fields of a body; null is as if it weren't there. What is wrong is refused by its name."""

    def __init__(self, body: Any, *known: str) -> None:
        given = {} if body is None else body
        if not isinstance(given, dict):
            raise ServiceError(MALFORMED_REQUEST)
        _refuse_unknown(given, known)
        self._given: dict[str, Any] = given

    def _read(self, name: str, kind: type[Value], called: str) -> Value | None:
        value = self._given.get(name)
        if value is not None and type(value) is not kind:
            raise _wrong(name, "form_param_type_invalid", f"must be {called}")
        return value

    def text(self, name: str) -> str | None:
        return self._read(name, str, "a string")

    def required(self, name: str) -> str:
        value = self.text(name)
        if not value:
            raise _wrong(name, "form_param_missing", "must be included in the request")
        return value

    def flag(self, name: str) -> bool | None:
        return self._read(name, bool, "a boolean")

    def metadata(self, name: str) -> dict[str, Any] | None:
        return self._read(name, dict, "an object")

    def number(self, name: str, lowest: int, highest: int) -> int | None:
        value = self._read(name, int, "an integer")
        if value is not None:
            _require_between(name, value, lowest, highest)
        return value

    def slug(self) -> str | None:
        value = self.text("slug")
        if value is not None and (len(value) > _MAX_SEARCH or not _SLUG.fullmatch(value)):
            raise _wrong("slug", "form_param_format_invalid", "must be lowercase letters and digits, joined by '-'")
        return value

    def acting(self, name: str) -> str | None:
        """Give the account that the backend acts for."""
        value = self.text(name)
        return None if value is None else _id("user", value, INVITER_NOT_MEMBER)

    def unsupported(self, *names: str) -> None:
        for name in names:
            if self._given.get(name) is not None:
                raise _wrong(name, "form_param_unknown", "isn't supported here")


def _refuse_unknown(given: Mapping[str, Any], known: Sequence[str]) -> None:
    for name in given:
        if name not in known:
            raise _wrong(name[:64], "form_param_unknown", "isn't a parameter that this request knows")


def _require_between(name: str, value: int, lowest: int, highest: int) -> None:
    if value > highest:
        raise _wrong(name, "form_param_value_too_large", f"must be at most {highest}")
    if value < lowest:
        raise _wrong(name, "form_param_value_invalid", f"must be at least {lowest}")


def _number(query: MultiDict[str, str], name: str, default: int, lowest: int, highest: int) -> int:
    text = query.get(name)
    if text is None:
        return default
    if not re.fullmatch(r"-?[0-9]{1,20}", text):
        raise _wrong(name, "form_param_type_invalid", "must be an integer")
    _require_between(name, int(text), lowest, highest)
    return int(text)


def _page(query: MultiDict[str, str]) -> dict[str, int]:
    return {
        "limit": _number(query, "limit", 10, 1, MAX_LIMIT),
        "offset": _number(query, "offset", 0, 0, _MAX_NUMBER),
    }


def _statuses(query: MultiDict[str, str]) -> tuple[InvitationStatus, ...]:
    statuses: list[InvitationStatus] = []
    for text in query.getlist("status"):
        if text not in _STATUSES:
            raise _wrong("status", "form_param_value_invalid", f"must be one of {', '.join(_STATUSES)}")
        statuses += _STATUSES[text]
    return tuple(statuses)


def _order(query: MultiDict[str, str]) -> InvitationOrder:
    text = query.get("order_by", "-created_at")
    # A plus that isn't escaped in a URL is a space.
    name = text[1:] if text[:1] in ("+", "-", " ") else text
    if name not in _ORDERS:
        raise _wrong("order_by", "form_param_value_invalid", f"must be one of {', '.join(_ORDERS)}, after + or -")
    return InvitationOrder(_ORDERS[name], descending=text.startswith("-"))


def _newest_first(query: MultiDict[str, str]) -> None:
    if query.get("order_by", "-created_at") != "-created_at":
        raise _wrong("order_by", "form_param_value_invalid", "must be -created_at, the only order there is here")


def _search(query: MultiDict[str, str]) -> str:
    text = query.get("query", "")
    if len(text) > _MAX_SEARCH:
        raise _wrong("query", "form_param_max_length_exceeded", f"must have at most {_MAX_SEARCH} characters")
    if not is_plain_line(text):
        raise _wrong("query", "form_param_format_invalid", "must be one line of text")
    return fold(text)


def _id(prefix: str, text: str, otherwise: Reason) -> str:
    """Read one of our ids in Clerk's spelling; what is none can't be found."""
    id_ = from_clerk_id(prefix, text)
    if id_ is None:
        raise ServiceError(otherwise, {"account": text[:64]} if otherwise is ACCOUNT_NOT_FOUND else {})
    return id_


def _organization_id(request: Request) -> str:
    return _id("org", request.path["organization_id"], ORGANIZATION_NOT_FOUND)


def _member_of(request: Request) -> tuple[str, str]:
    return _organization_id(request), _id("user", request.path["user_id"], USER_NOT_FOUND)


# Spelling.


def _names(name: str) -> dict[str, str | None]:
    first, _, last = name.partition(" ")
    return {"first_name": first or None, "last_name": last or None}


def _slug(name: str, suffix: str) -> str:
    letters = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    return f"{re.sub(r'[^a-z0-9]+', '-', letters[:64]).strip('-') or 'organization'}-{suffix}"


def _slug_of(organization: Organization) -> str:
    """Give the slug that is kept, or one for an organization that was made elsewhere."""
    slug: str = organization.details.get("slug") or _slug(organization.name, organization.id[:8])
    return slug


def _organization(organization: Organization) -> dict[str, Any]:
    details = organization.details
    creator = details.get("created_by")
    return {
        "object": "organization",
        "id": clerk_id("org", organization.id),
        "name": organization.name,
        "slug": _slug_of(organization),
        "image_url": "",
        "has_image": False,
        "max_allowed_memberships": details.get("max_allowed_memberships", 0),
        "admin_delete_enabled": details.get("admin_delete_enabled", True),
        "public_metadata": details.get("public_metadata", {}),
        "private_metadata": details.get("private_metadata", {}),
        "created_by": clerk_id("user", creator) if creator else None,
        "created_at": epoch_millis(organization.created_at),
        "updated_at": epoch_millis(organization.updated_at),
    }


def _counted(organization: Organization) -> Answer:
    return Answer(_organization(organization) | {"members_count": organization.member_count})


def _public_organization(organization: Organization) -> dict[str, Any]:
    return {
        "id": clerk_id("org", organization.id),
        "name": organization.name,
        "slug": _slug_of(organization),
        "has_image": False,
        "image_url": "",
    }


class _Spelling:
    """Spells what one answer holds; roles and inviters are looked up once, where there are any."""

    def __init__(self, parts: Parts, call: Call) -> None:
        self._parts = parts
        self._call = call
        self._now = parts.clock()
        self._inviters: dict[str, dict[str, Any] | None] = {}

    @cached_property
    def _named_roles(self) -> Mapping[str, NamedRole]:
        return {role.id: role for role in self._parts.roles.list()}

    def _role(self, role: Role, named: Sequence[str]) -> dict[str, str]:
        for role_id in named:
            found = self._named_roles.get(role_id)
            if found is not None and found.rights is role:
                return {"role": f"org:{found.key.removeprefix('org:')}", "role_name": found.name}
        return {"role": f"org:{role.value}", "role_name": role.value.title()}

    def _inviter(self, account_id: str) -> dict[str, Any] | None:
        """Give what is public of an inviter, where the caller may read accounts."""
        who = self._call.who
        if not isinstance(who, BackendKey) or Scope.MEMBERS_READ not in who.scopes:
            return None
        if account_id not in self._inviters:
            self._inviters[account_id] = _public_user(self._parts.administration.get_account(self._call, account_id))
        return self._inviters[account_id]

    def _url(self, found: Invitation) -> str | None:
        if found.status_at(self._now) is not InvitationStatus.PENDING:
            return None
        return f"{self._parts.public_url}/invitations#id={found.id}"

    def invitation(self, found: Invitation) -> dict[str, Any]:
        inviter = found.inviter_account_id
        return {
            "object": "organization_invitation",
            "id": clerk_id("orginv", found.id),
            "email_address": found.email,
            **self._role(found.role, found.named_roles),
            "organization_id": clerk_id("org", found.organization_id),
            "inviter_id": clerk_id("user", inviter) if inviter else None,
            "public_inviter_data": self._inviter(inviter) if inviter else None,
            "status": _SPELLED[found.status_at(self._now)],
            "public_metadata": found.public_metadata,
            "private_metadata": found.private_metadata,
            "url": self._url(found),
            "expires_at": epoch_millis(found.expires_at),
            "created_at": epoch_millis(found.created_at),
            "updated_at": epoch_millis(found.updated_at),
        }

    def invited(self, invited: Invited) -> dict[str, Any]:
        """Spell an invitation that was just made: the link with the token of one that isn't mailed is shown here."""
        found, token = invited.invitation, invited.token
        link = {"url": invitation_link(self._parts.public_url, found.redirect_url, token)} if token else {}
        return self.invitation(found) | link

    def view(self, view: InvitationView) -> dict[str, Any]:
        return self.invitation(view.invitation) | {"public_organization_data": _public_organization(view.organization)}

    def membership(self, member: Member, organization: Organization) -> dict[str, Any]:
        return {
            "object": "organization_membership",
            "id": clerk_id("orgmem", member.user_id),
            **self._role(member.role, member.named_roles),
            "permissions": [],
            "public_metadata": member.public_metadata,
            "private_metadata": member.private_metadata,
            "organization": _organization(organization),
            "public_user_data": {
                "user_id": clerk_id("user", member.account_id),
                "identifier": member.email,
                **_names(member.full_name),
                "profile_image_url": member.avatar_url or None,
                "image_url": member.avatar_url,
                "has_image": bool(member.avatar_url),
            },
            "created_at": epoch_millis(member.joined_at),
            "updated_at": epoch_millis(member.joined_at),
        }


def _public_user(account: Account) -> dict[str, Any]:
    return {
        "user_id": clerk_id("user", account.id),
        "identifier": account.email,
        **_names(account.name),
        "image_url": account.avatar_url,
        "has_image": bool(account.avatar_url),
    }


def _list(data: Sequence[dict[str, Any]], total: int) -> Answer:
    return Answer({"data": list(data), "total_count": total})


# Operations.


class _Clerk:
    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._invitations = parts.invitations
        self._administration = parts.administration

    # Invitations.

    def create_invitation(self, request: Request) -> Answer:
        new = self._new(request.body)
        invited = self._invitations.create(request.call, _organization_id(request), new)
        return Answer(self._spelling(request).invited(invited))

    def bulk_create_invitations(self, request: Request) -> Answer:
        if not isinstance(request.body, list):
            raise ServiceError(MALFORMED_REQUEST)
        if len(request.body) > MAX_BULK:
            raise _wrong("request_body", "bulk_size_exceeded", f"must have at most {MAX_BULK} items")
        if not request.body:
            raise _wrong("request_body", "form_param_missing", "must have an item")
        news = [self._new(item) for item in request.body]
        outcomes = self._invitations.create_batch(request.call, _organization_id(request), news, all_or_nothing=True)
        spelling = self._spelling(request)
        made = [spelling.invited(outcome) for outcome in outcomes if isinstance(outcome, Invited)]
        return _list(made, len(made))

    def list_invitations(self, request: Request) -> Answer:
        _refuse_unknown(request.query, ("status", "email_address", "order_by", "limit", "offset"))
        email = request.query.get("email_address")
        if email is not None and not is_address(email):
            raise _wrong("email_address", "form_param_format_invalid", "must be a valid email address")
        return self._listed(request, email_key=address_key(email) if email else "", statuses=_statuses(request.query))

    def list_pending_invitations(self, request: Request) -> Answer:
        _refuse_unknown(request.query, ("limit", "offset"))
        return self._listed(request, statuses=(InvitationStatus.PENDING,))

    def _listed(self, request: Request, **filters: Any) -> Answer:
        wanted = InvitationFilter(self._parts.clock(), (_organization_id(request),), **filters)
        views, total = self._invitations.list_by_offset(
            request.call, wanted, _order(request.query), **_page(request.query)
        )
        spelling = self._spelling(request)
        return _list([spelling.invitation(view.invitation) for view in views], total)

    def get_invitation(self, request: Request) -> Answer:
        organization_id, invitation_id = self._invitation_of(request)
        found = self._invitations.get(request.call, invitation_id, organization_id=organization_id)
        return Answer(self._spelling(request).invitation(found))

    def revoke_invitation(self, request: Request) -> Answer:
        fields = _Fields(request.body, "requesting_user_id")
        organization_id, invitation_id = self._invitation_of(request)
        revoked = self._invitations.revoke(
            request.call,
            invitation_id,
            on_behalf_of=fields.acting("requesting_user_id"),
            organization_id=organization_id,
            once=True,
        )
        return Answer(self._spelling(request).invitation(revoked))

    def list_all_invitations(self, request: Request) -> Answer:
        _refuse_unknown(request.query, ("status", "query", "order_by", "limit", "offset"))
        wanted = InvitationFilter(
            self._parts.clock(), statuses=_statuses(request.query), email_search=_search(request.query)
        )
        return self._viewed(request, wanted, _order(request.query))

    def list_invitations_of_user(self, request: Request) -> Answer:
        _refuse_unknown(request.query, ("status", "limit", "offset"))
        user_id = _id("user", request.path["user_id"], ACCOUNT_NOT_FOUND)
        account = self._administration.get_account(request.call, user_id)
        if not account.email_verified:
            # Whose address it is isn't known, so neither whose invitations they are.
            return _list([], 0)
        email_key = address_key(account.email)
        wanted = InvitationFilter(self._parts.clock(), statuses=_statuses(request.query), email_key=email_key)
        return self._viewed(request, wanted)

    def _viewed(self, request: Request, wanted: InvitationFilter, order: InvitationOrder | None = None) -> Answer:
        views, total = self._invitations.list_by_offset(request.call, wanted, order, **_page(request.query))
        spelling = self._spelling(request)
        return _list([spelling.view(view) for view in views], total)

    # Organizations.

    def create_organization(self, request: Request) -> Answer:
        metadata = ("public_metadata", "private_metadata")
        settings = ("slug", "max_allowed_memberships")
        fields = _Fields(request.body, "name", "created_by", *settings, *metadata, "created_at", "role_set_key")
        name, creator = fields.required("name"), fields.text("created_by")
        creator_id = None if creator is None else _id("user", creator, ACCOUNT_NOT_FOUND)
        details = self._details(fields)
        details.setdefault("slug", _slug(name, secrets.token_hex(4)))
        made = self._administration.create_organization(
            request.call,
            name,
            created_by=creator_id,
            details=details | ({"created_by": creator_id} if creator_id else {}),
        )
        return _counted(made)

    def get_organization(self, request: Request) -> Answer:
        _refuse_unknown(request.query, ("include_members_count", "include_missing_member_with_elevated_permissions"))
        return _counted(self._administration.get_organization(request.call, _organization_id(request)))

    def list_organizations(self, request: Request) -> Answer:
        flags = ("include_members_count", "include_missing_member_with_elevated_permissions")
        _refuse_unknown(request.query, ("query", "order_by", "limit", "offset", *flags))
        _newest_first(request.query)
        found, total = self._administration.list_organizations(
            request.call, search=_search(request.query), **_page(request.query)
        )
        return _list([_organization(o) | {"members_count": o.member_count} for o in found], total)

    def update_organization(self, request: Request) -> Answer:
        settings = ("slug", "max_allowed_memberships", "admin_delete_enabled")
        # Metadata is what SDKs before 7 send here.
        metadata = ("public_metadata", "private_metadata")
        fields = _Fields(request.body, "name", *settings, *metadata, "created_at", "role_set_key")
        return self._updated(request, self._details(fields), name=fields.text("name"))

    def delete_organization(self, request: Request) -> Answer:
        organization_id = _organization_id(request)
        self._administration.delete_organization(request.call, organization_id)
        return Answer({"object": "organization", "id": clerk_id("org", organization_id), "deleted": True})

    def merge_organization_metadata(self, request: Request) -> Answer:
        fields = _Fields(request.body, "public_metadata", "private_metadata")
        return self._updated(request, self._details(fields), merge=True)

    def replace_organization_metadata(self, request: Request) -> Answer:
        fields = _Fields(request.body, "public_metadata", "private_metadata")
        return self._updated(request, self._details(fields))

    def _updated(self, request: Request, details: dict[str, Any], **changes: Any) -> Answer:
        organization_id = _organization_id(request)
        return _counted(
            self._administration.update_organization(request.call, organization_id, details=details, **changes)
        )

    @staticmethod
    def _details(fields: _Fields) -> dict[str, Any]:
        """Read what is kept of an organization beside its name."""
        fields.unsupported("created_at", "role_set_key")
        given = {
            "slug": fields.slug(),
            "max_allowed_memberships": fields.number("max_allowed_memberships", 0, _MAX_NUMBER),
            "admin_delete_enabled": fields.flag("admin_delete_enabled"),
            "public_metadata": fields.metadata("public_metadata"),
            "private_metadata": fields.metadata("private_metadata"),
        }
        return {name: value for name, value in given.items() if value is not None}

    # Memberships.

    def create_membership(self, request: Request) -> Answer:
        fields = _Fields(request.body, "user_id", "role", "public_metadata", "private_metadata")
        account_id = _id("user", fields.required("user_id"), ACCOUNT_NOT_FOUND)
        organization = self._administration.get_organization(request.call, _organization_id(request))
        member = self._administration.add_member(
            request.call,
            organization.id,
            account_id,
            self._roles(fields.required("role")),
            public_metadata=fields.metadata("public_metadata"),
            private_metadata=fields.metadata("private_metadata"),
            once=True,
        )
        return Answer(self._spelling(request).membership(member, organization))

    def list_memberships(self, request: Request) -> Answer:
        _refuse_unknown(request.query, ("order_by", "limit", "offset"))
        _newest_first(request.query)
        organization = self._administration.get_organization(request.call, _organization_id(request))
        members, total = self._administration.list_members(request.call, organization.id, **_page(request.query))
        spelling = self._spelling(request)
        return _list([spelling.membership(member, organization) for member in members], total)

    def update_membership(self, request: Request) -> Answer:
        roles = self._roles(_Fields(request.body, "role").required("role"))
        return self._member_updated(request, roles=roles)

    def merge_membership_metadata(self, request: Request) -> Answer:
        fields = _Fields(request.body, "public_metadata", "private_metadata")
        return self._member_updated(
            request,
            public_metadata=fields.metadata("public_metadata"),
            private_metadata=fields.metadata("private_metadata"),
            merge=True,
        )

    def _member_updated(self, request: Request, **changes: Any) -> Answer:
        organization_id, account_id = _member_of(request)
        organization = self._administration.get_organization(request.call, organization_id)
        member = self._administration.update_member(request.call, organization_id, account_id, **changes)
        return Answer(self._spelling(request).membership(member, organization))

    def delete_membership(self, request: Request) -> Answer:
        organization_id, account_id = _member_of(request)
        organization = self._administration.get_organization(request.call, organization_id)
        member = self._administration.remove_member(request.call, organization_id, account_id)
        return Answer(self._spelling(request).membership(member, organization))

    # What they share.

    def _spelling(self, request: Request) -> _Spelling:
        return _Spelling(self._parts, request.call)

    def _roles(self, key: str) -> tuple[str, ...]:
        """Give the role as use cases know it; one that there isn't is for them to refuse."""
        if key in _BUILT_IN:
            return (_BUILT_IN[key],)
        known = {role.key for role in self._parts.roles.list()}
        return (key if key in known else key.removeprefix("org:"),)

    def _new(self, item: Any) -> NewInvitation:
        metadata = ("public_metadata", "private_metadata")
        options = ("inviter_user_id", "redirect_url", "expires_in_days", "notify")
        fields = _Fields(item, "email_address", "role", *options, *metadata)
        email, role = fields.required("email_address"), fields.required("role")
        days, notify = fields.number("expires_in_days", 1, 365), fields.flag("notify")
        return NewInvitation(
            email=email,
            roles=self._roles(role),
            ttl=None if days is None else timedelta(days=days),
            public_metadata=fields.metadata("public_metadata") or {},
            private_metadata=fields.metadata("private_metadata") or {},
            redirect_url=fields.text("redirect_url") or "",
            send_email=notify is not False,
            on_behalf_of=fields.acting("inviter_user_id"),
        )

    @staticmethod
    def _invitation_of(request: Request) -> tuple[str, str]:
        return _organization_id(request), _id("orginv", request.path["invitation_id"], INVITATION_NOT_FOUND)


def clerk_face(parts: Parts) -> RestFace:
    """Give the face."""
    clerk = _Clerk(parts)
    organization = "/organizations/<organization_id>"
    invitations, memberships = f"{organization}/invitations", f"{organization}/memberships"
    operations: tuple[tuple[str, str, Handler, tuple[int, ...]], ...] = (
        ("POST", invitations, clerk.create_invitation, (400, 402, 403, 404, 422)),
        ("POST", f"{invitations}/bulk", clerk.bulk_create_invitations, (400, 403, 404, 422)),
        ("GET", invitations, clerk.list_invitations, (400, 404, 422)),
        ("GET", f"{invitations}/pending", clerk.list_pending_invitations, (400, 404)),
        ("GET", f"{invitations}/<invitation_id>", clerk.get_invitation, (400, 403, 404)),
        ("POST", f"{invitations}/<invitation_id>/revoke", clerk.revoke_invitation, (400, 403, 404)),
        ("GET", "/organization_invitations", clerk.list_all_invitations, (400, 404, 422)),
        ("GET", "/users/<user_id>/organization_invitations", clerk.list_invitations_of_user, (400, 403, 404)),
        ("POST", "/organizations", clerk.create_organization, (400, 402, 403, 422)),
        ("GET", "/organizations", clerk.list_organizations, (400, 403, 422)),
        ("GET", organization, clerk.get_organization, (403, 404)),
        ("PATCH", organization, clerk.update_organization, (400, 402, 403, 404, 422)),
        ("DELETE", organization, clerk.delete_organization, (404,)),
        ("PATCH", f"{organization}/metadata", clerk.merge_organization_metadata, (400, 401, 404, 422)),
        ("PUT", f"{organization}/metadata", clerk.replace_organization_metadata, (400, 401, 404, 422)),
        ("POST", memberships, clerk.create_membership, (400, 403, 404, 422)),
        ("GET", memberships, clerk.list_memberships, (401, 422)),
        ("PATCH", f"{memberships}/<user_id>", clerk.update_membership, (404, 422)),
        ("DELETE", f"{memberships}/<user_id>", clerk.delete_membership, (401, 404, 422)),
        ("PATCH", f"{memberships}/<user_id>/metadata", clerk.merge_membership_metadata, (400, 404, 422)),
    )
    routes = [Route(method, path, handler) for method, path, handler, _ in operations]
    documented = {route.operation: statuses for route, (*_, statuses) in zip(routes, operations, strict=True)}
    return RestFace(PREFIX, routes, _Speaker(documented), parts)
