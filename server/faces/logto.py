"""Logto's paths, `/logto/api`: organization invitations, and the organizations, roles and memberships around them.

What Logto's wire can't say, and what this face does instead:

- It has no word for a declined invitation: it is shown as Revoked.
- Roles there come on top of being a member. Here everybody has the rights of `admin` or `member`: both are listed as
  roles, `member` is what an invitation without other roles shows, and a role made here gives a member's rights.
- It allows an inviter who is no member; here the inviter is an admin of the organization, or nobody.
- It sends again whatever the invitation's state; here only one that is pending, as the others open nothing.
- It never answers with an invitation's token. Where no mail is sent, the backend accepts for the person, or the person
  accepts on another wire with a verified address.
- A mail holds the caller's `link`, a web address, or ours where there is none; `locale` chooses its language, other
  keys of `messagePayload` have nothing to fill in here.
- Its ids have at most 21 characters, and those of users in a list of users 12, which no id of ours fits: users can be
  added, removed and asked for their roles, not listed.
- Names of organizations have 3 to 256 characters here; of longer ones it is shown the first 128.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from server.domain.address import address_key, fold, is_address
from server.domain.errors import (
    ACCOUNT_NOT_FOUND,
    ALREADY_MEMBER,
    CREDENTIALS_MISSING,
    IDEMPOTENCY_KEY_REUSED,
    INVITATION_ALREADY_ACCEPTED,
    INVITATION_DECLINED,
    INVITATION_EXPIRED,
    INVITATION_REVOKED,
    INVITATION_WRONG_ACCOUNT,
    INVITER_NOT_MEMBER,
    MAIL_LIMIT,
    ORGANIZATION_NOT_FOUND,
    REQUEST_TOO_LARGE,
    ROLE_IN_USE,
    ROLE_NOT_FOUND,
    USER_NOT_FOUND,
    FieldViolation,
    Kind,
    Reason,
    ServiceError,
    invalid_request,
)
from server.domain.invitation import Invitation, InvitationStatus, NamedRole
from server.domain.metadata import MAX_METADATA_BYTES, require_metadata
from server.domain.organization import Organization, Role
from server.domain.text import is_plain_line
from server.faces.rest import Answer, Parts, Request, RestFace, Route, epoch_millis, from_epoch_millis
from server.faces.spelling import from_logto_id, logto_id
from server.ports import InvitationFilter
from server.service.invitations import NewInvitation

PREFIX = "/logto/api"
TENANT = "default"
DEFAULT_PAGE_SIZE = 20
MAX_PAGE_SIZE = 100
LONGEST_NAME = 128
"""Logto's, in characters; its SDK refuses a longer one even in an answer."""

_ALL = 2**31 - 1
"""A limit for a list without pages."""

_NO_ID = "-"
"""An id that nothing has, and no role as its key."""

_STATUSES = {
    InvitationStatus.PENDING: "Pending",
    InvitationStatus.ACCEPTED: "Accepted",
    InvitationStatus.EXPIRED: "Expired",
    InvitationStatus.REVOKED: "Revoked",
    InvitationStatus.DECLINED: "Revoked",
}

_BUILT_IN = {
    Role.ADMIN: "May do everything in the organization.",
    Role.MEMBER: "Is in the organization, which everybody in it is.",
}

# What Logto tells apart and nobody else does.
_TOKEN_TYPE = Reason("TOKEN_TYPE_UNSUPPORTED", Kind.UNAUTHENTICATED, "Send the token as 'Authorization: Bearer …'.")
_EXPIRY_PAST = Reason("EXPIRY_PAST", Kind.INVALID_ARGUMENT, "The value of `expiresAt` must be in the future.")
_ACCEPTED_BY_NOBODY = Reason(
    "ACCEPTED_BY_NOBODY",
    Kind.INVALID_ARGUMENT,
    "The `acceptedUserId` is required when accepting an invitation.",
)
_PAGE_INVALID = Reason("PAGE_INVALID", Kind.INVALID_ARGUMENT, "Pages are numbered from 1 and hold 1 to 100 items.")
_NO_MAIL = Reason("MAIL_NOT_CONFIGURED", Kind.UNIMPLEMENTED, "This service sends no mail; the operator sets SMTP_URL.")


@dataclass(frozen=True, slots=True)
class _Said:
    """How a refusal is said: status, code, and details where Logto has words of its own for them."""

    status: int
    code: str
    details: str = ""


_NO_SUCH_KEY = _Said(422, "entity.relation_foreign_key_not_found")
_NO_MEMBERSHIP = _Said(422, "organization.require_membership")
_ENDED = _Said(422, "request.invalid_input", "The status of the invitation cannot be changed anymore.")
_PASSING = "request.general"

_SAID: Mapping[Kind | Reason | tuple[str, Reason], _Said] = {
    Kind.INVALID_ARGUMENT: _Said(400, "guard.invalid_input"),
    _EXPIRY_PAST: _Said(400, "request.invalid_input"),
    _PAGE_INVALID: _Said(400, "guard.invalid_pagination"),
    Kind.UNAUTHENTICATED: _Said(401, "auth.unauthorized"),
    CREDENTIALS_MISSING: _Said(401, "auth.authorization_header_missing"),
    _TOKEN_TYPE: _Said(401, "auth.authorization_token_type_not_supported"),
    Kind.PERMISSION_DENIED: _Said(403, "auth.forbidden"),
    # A key confined to some organizations can't make another.
    ("create_organization", ORGANIZATION_NOT_FOUND): _Said(403, "auth.forbidden"),
    Kind.NOT_FOUND: _Said(404, "entity.not_found"),
    Kind.UNIMPLEMENTED: _Said(404, "entity.not_found"),
    REQUEST_TOO_LARGE: _Said(413, _PASSING),
    Kind.ALREADY_EXISTS: _Said(422, "entity.unique_integrity_violation"),
    ROLE_NOT_FOUND: _NO_SUCH_KEY,
    INVITER_NOT_MEMBER: _NO_SUCH_KEY,
    ("create_organization_invitation", ORGANIZATION_NOT_FOUND): _NO_SUCH_KEY,
    ("add_organization_users", ORGANIZATION_NOT_FOUND): _NO_SUCH_KEY,
    ("add_organization_users", ACCOUNT_NOT_FOUND): _NO_SUCH_KEY,
    ("assign_organization_roles_to_user", ORGANIZATION_NOT_FOUND): _NO_MEMBERSHIP,
    ("assign_organization_roles_to_user", USER_NOT_FOUND): _NO_MEMBERSHIP,
    ("list_organization_user_roles", ORGANIZATION_NOT_FOUND): _NO_MEMBERSHIP,
    ("list_organization_user_roles", USER_NOT_FOUND): _NO_MEMBERSHIP,
    Kind.FAILED_PRECONDITION: _Said(422, "request.invalid_input"),
    IDEMPOTENCY_KEY_REUSED: _Said(409, "request.idempotency_key_reused"),
    ALREADY_MEMBER: _Said(422, "request.invalid_input", "The invitee is already a member of the organization."),
    _ACCEPTED_BY_NOBODY: _Said(422, "request.invalid_input"),
    INVITATION_WRONG_ACCOUNT: _Said(
        422, "request.invalid_input", "The accepted user must have the same email as the invitee."
    ),
    ("replace_organization_invitation_status", INVITATION_ALREADY_ACCEPTED): _ENDED,
    ("replace_organization_invitation_status", INVITATION_DECLINED): _ENDED,
    ("replace_organization_invitation_status", INVITATION_EXPIRED): _ENDED,
    ("replace_organization_invitation_status", INVITATION_REVOKED): _ENDED,
    Kind.RESOURCE_EXHAUSTED: _Said(429, _PASSING),
    MAIL_LIMIT: _Said(429, "request.message_rate_limited"),
    _NO_MAIL: _Said(501, "connector.not_found"),
    Kind.ABORTED: _Said(409, _PASSING),
    Kind.UNAVAILABLE: _Said(503, _PASSING),
    Kind.DEADLINE_EXCEEDED: _Said(504, _PASSING),
}
"""How each kind of refusal is said, each reason that differs from its kind, and each that differs in one operation."""

_MESSAGES = {
    "auth.authorization_header_missing": "Authorization header is missing.",
    "auth.authorization_token_type_not_supported": "Authorization type is not supported.",
    "auth.forbidden": "Forbidden. Please check your user roles and permissions.",
    "auth.unauthorized": "Unauthorized. Please check credentials and its scope.",
    "connector.not_found": "Cannot find any available connector for type: Email.",
    "entity.not_found": "The resource does not exist.",
    "entity.relation_foreign_key_not_found": "Cannot find one or more foreign keys. Please check the input and ensure"
    " that all referenced entities exist.",
    "entity.unique_integrity_violation": "The entity already exists. Please check the input and try again.",
    "guard.invalid_input": "The request body is invalid.",
    "guard.invalid_pagination": "The request pagination value is invalid.",
    "organization.require_membership": "The user must be a member of the organization to proceed.",
    "request.message_rate_limited": "Too many messages sent to this recipient. Please try again later.",
}
"""Logto's own words: programs compare them."""


class _Speaker:
    def token(self, authorization: str | None) -> str:
        if not authorization:
            raise ServiceError(CREDENTIALS_MISSING)
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() != "bearer":
            raise ServiceError(_TOKEN_TYPE)
        return token.strip()

    def refuse(self, refusal: ServiceError, operation: str) -> Answer:
        reason = refusal.reason
        if reason.kind is Kind.INTERNAL:
            return Answer({"message": "Internal server error."}, 500)
        said = _SAID.get((operation, reason)) or _SAID.get(reason) or _SAID[reason.kind]
        message = _MESSAGES.get(said.code, str(refusal))
        if said.code == "request.invalid_input":
            message = f"Input is invalid. {said.details or refusal}"
        body: dict[str, Any] = {"code": said.code, "message": message}
        if said.code == "guard.invalid_input":
            body |= _zod_error(refusal)
        if reason is _TOKEN_TYPE:
            body["data"] = {"supportedTypes": ["Bearer"]}
        return Answer(body, said.status)


def _zod_error(refusal: ServiceError) -> dict[str, Any]:
    violations = refusal.violations or (FieldViolation("", str(refusal)),)
    issues = [{"code": "custom", "path": [v.field] if v.field else [], "message": v.description} for v in violations]
    details = [f'Error in key path "{v.field}": (custom) {v.description}' for v in violations]
    return {"data": {"issues": issues, "name": "ZodError"}, "details": "\n".join(details)}


class _Logto:
    """What answers each path; the methods are named as the SDK names them."""

    def __init__(self, parts: Parts) -> None:
        self._administration = parts.administration
        self._invitations = parts.invitations
        self._roles = parts.roles
        self._now = parts.clock
        self._sends_mail = parts.sends_mail
        self._base = parts.public_url + PREFIX

    # OrganizationInvitationsApi.

    def create_organization_invitation(self, request: Request) -> Answer:
        body = _read(request.body, _INVITATION)
        if body["expiresAt"] <= epoch_millis(self._now()):
            raise ServiceError(_EXPIRY_PAST)
        payload, inviter = body.get("messagePayload", False), body.get("inviterId")
        if payload is not False:
            self._require_mail()
        new = NewInvitation(
            body["invitee"],
            roles=_role_ids(body.get("organizationRoleIds", ())),
            expires_at=from_epoch_millis(body["expiresAt"]),
            send_email=payload is not False,
            link=payload.get("link", "") if payload else "",
            locale=payload.get("locale", "") if payload else "",
            on_behalf_of=None if inviter is None else _id(inviter),
        )
        made = self._invitations.create(request.call, _id(body["organizationId"]), new)
        return Answer(self._entities(made.invitation)[0], 201)

    def create_organization_invitation_message(self, request: Request) -> Answer:
        payload = _read(request.body, _PAYLOAD)
        found = self._invitations.get(request.call, _id(request.path["id"]))
        found.require_pending(self._now())
        self._require_mail()
        self._invitations.resend(request.call, found.id, keep_expiry=True, link=payload.get("link", ""))
        return _NOTHING

    def get_organization_invitation(self, request: Request) -> Answer:
        return Answer(self._entities(self._invitations.get(request.call, _id(request.path["id"])))[0])

    def list_organization_invitations(self, request: Request) -> Answer:
        organization_id, inviter_id, invitee = map(request.query.get, ("organizationId", "inviterId", "invitee"))
        wanted = InvitationFilter(
            self._now(),
            (_id(organization_id),) if organization_id else (),
            email_key=_address_key(invitee) if invitee else "",
            inviter_account_id=_id(inviter_id) if inviter_id else "",
        )
        try:
            views, _ = self._invitations.list_by_offset(request.call, wanted, limit=_ALL)
        except ServiceError as refusal:
            if refusal.reason is not ORGANIZATION_NOT_FOUND:
                raise
            return Answer([])
        return Answer(self._entities(*(view.invitation for view in views)))

    def replace_organization_invitation_status(self, request: Request) -> Answer:
        body, invitation_id = _read(request.body, _STATUS), _id(request.path["id"])
        if body["status"] == "Revoked":
            return Answer(self._entities(self._invitations.revoke(request.call, invitation_id, once=True))[0])
        account_id = body.get("acceptedUserId")
        if not account_id:
            raise ServiceError(_ACCEPTED_BY_NOBODY)
        view, _ = self._invitations.accept_for(request.call, invitation_id, _id(account_id))
        return Answer(self._entities(view.invitation)[0])

    def delete_organization_invitation(self, request: Request) -> Answer:
        self._invitations.delete(request.call, _id(request.path["id"]))
        return _NOTHING

    # OrganizationsApi.

    def create_organization(self, request: Request) -> Answer:
        body = _read(request.body, _NEW_ORGANIZATION)
        made = self._administration.create_organization(request.call, body["name"], details=_details(body))
        return Answer(_organization(made), 201)

    def get_organization(self, request: Request) -> Answer:
        return Answer(_organization(self._administration.get_organization(request.call, _id(request.path["id"]))))

    def list_organizations(self, request: Request) -> Answer:
        offset, limit = _page(request)
        found, total = self._administration.list_organizations(
            request.call, search=_search(request), offset=offset, limit=limit
        )
        shown = [_organization(organization) for organization in found]
        if request.query.get("showFeatured", "").lower() in ("1", "true", "y", "yes"):
            for entry, organization in zip(shown, found, strict=True):
                entry |= {"usersCount": organization.member_count, "featuredUsers": []}
        return self._paged(request, "/organizations", shown, total)

    def update_organization(self, request: Request) -> Answer:
        body = _read(request.body, _ORGANIZATION_CHANGES)
        changed = self._administration.update_organization(
            request.call, _id(request.path["id"]), name=body.get("name"), details=_details(body)
        )
        return Answer(_organization(changed))

    def delete_organization(self, request: Request) -> Answer:
        self._administration.delete_organization(request.call, _id(request.path["id"]))
        return _NOTHING

    def add_organization_users(self, request: Request) -> Answer:
        user_ids = _read(request.body, _USERS)["userIds"]
        accounts = [_id(user_id) for user_id in dict.fromkeys(user_ids)]
        self._administration.add_members(request.call, _id(request.path["id"]), accounts)
        return Answer({"userIds": user_ids}, 201)

    def delete_organization_user(self, request: Request) -> Answer:
        self._administration.remove_member(request.call, *_member(request))
        return _NOTHING

    def assign_organization_roles_to_user(self, request: Request) -> Answer:
        role_ids = _read(request.body, _ROLES)["organizationRoleIds"]
        self._administration.assign_roles(request.call, *_member(request), _role_ids(role_ids))
        return Answer({"organizationRoleIds": role_ids}, 201)

    def list_organization_user_roles(self, request: Request) -> Answer:
        member = self._administration.get_member(request.call, *_member(request))
        known = {role.id: role for role in self._roles.list()}
        roles = [known[id_] for id_ in member.named_roles if id_ in known]
        shown = [_role(role) for role in _with_built_in(member.role, roles)]
        if not {"page", "page_size"} & set(request.query):
            return Answer(shown)
        offset, limit = _page(request)
        path = "/organizations/{id}/users/{user_id}/roles".format_map(request.path)
        return self._paged(request, path, shown[offset : offset + limit], len(shown))

    # OrganizationRolesApi.

    def create_organization_role(self, request: Request) -> Answer:
        body = _read(request.body, _NEW_ROLE)
        name, description = body["name"].strip(), body.get("description") or ""
        key = _role_key(name)
        try:
            role = self._roles.create(key, name, description=description, call=request.call)
        except ServiceError as refusal:
            if refusal.reason is not ROLE_IN_USE or key not in tuple(Role):
                raise
            return Answer(_role(Role(key)), 201)
        return Answer(_role(role), 201)

    def list_organization_roles(self, request: Request) -> Answer:
        (offset, limit), search = _page(request), _search(request)
        roles: list[AnyRole] = [*Role, *self._roles.list(request.call)]
        found = [role for role in roles if search in fold(_role_name(role))]
        shown = [_role(role) | {"scopes": [], "resourceScopes": []} for role in found[offset : offset + limit]]
        return self._paged(request, "/organization-roles", shown, len(found))

    # What they share.

    def _require_mail(self) -> None:
        if not self._sends_mail:
            raise ServiceError(_NO_MAIL)

    def _entities(self, *invitations: Invitation) -> list[dict[str, Any]]:
        named = any(invitation.named_roles for invitation in invitations)
        known = {role.id: role for role in self._roles.list()} if named else {}
        now = self._now()
        return [_invitation(invitation, known, now) for invitation in invitations]

    def _paged(self, request: Request, path: str, entries: Sequence[Any], total: int) -> Answer:
        """Answer with a page of the list at a path, and say where the others are."""
        offset, limit = _page(request)
        page, last = offset // limit + 1, max(1, -(-total // limit))
        pages = {"first": 1, "last": last}
        if page > 1:
            pages["prev"] = page - 1
        if page < last:
            pages["next"] = page + 1
        others = {name: value for name, value in request.query.items() if name != "page"}
        links = [
            f'<{self._base}{path}?{urlencode(others | {"page": str(number)})}>; rel="{rel}"'
            for rel, number in pages.items()
        ]
        return Answer(entries, headers={"total-number": str(total), "link": ", ".join(links)})


def logto_face(parts: Parts) -> RestFace:
    """Give the face."""
    logto = _Logto(parts)
    invitations, invitation = "/organization-invitations", "/organization-invitations/<id>"
    organizations, organization = "/organizations", "/organizations/<id>"
    user = organization + "/users/<user_id>"
    routes = (
        Route("POST", invitations, logto.create_organization_invitation),
        Route("GET", invitations, logto.list_organization_invitations),
        Route("GET", invitation, logto.get_organization_invitation),
        Route("DELETE", invitation, logto.delete_organization_invitation),
        Route("POST", invitation + "/message", logto.create_organization_invitation_message),
        Route("PUT", invitation + "/status", logto.replace_organization_invitation_status),
        Route("POST", organizations, logto.create_organization),
        Route("GET", organizations, logto.list_organizations),
        Route("GET", organization, logto.get_organization),
        Route("PATCH", organization, logto.update_organization),
        Route("DELETE", organization, logto.delete_organization),
        Route("POST", organization + "/users", logto.add_organization_users),
        Route("DELETE", user, logto.delete_organization_user),
        Route("POST", user + "/roles", logto.assign_organization_roles_to_user),
        Route("GET", user + "/roles", logto.list_organization_user_roles),
        Route("POST", "/organization-roles", logto.create_organization_role),
        Route("GET", "/organization-roles", logto.list_organization_roles),
    )
    return RestFace(PREFIX, routes, _Speaker(), parts)


# Reading requests.


@dataclass(frozen=True, slots=True)
class _Field:
    """What a field of a body must be. One that is left out is right unless `required`, null only when `nullable`."""

    right: Callable[[Any], bool]
    says: str
    required: bool = False
    nullable: bool = False

    def wrong(self, body: Mapping[str, Any], name: str) -> bool:
        if name not in body:
            return self.required
        value = body[name]
        return not self.nullable if value is None else not self.right(value)


def _read(body: Any, fields: Mapping[str, _Field]) -> dict[str, Any]:
    """Give a body's fields that are known; the refusal names all that are wrong. No body is an empty one."""
    given = {} if body is None else body
    if not isinstance(given, dict):
        raise invalid_request([FieldViolation("", "must be an object")])
    wrong = [FieldViolation(name, field.says) for name, field in fields.items() if field.wrong(given, name)]
    if wrong:
        raise invalid_request(wrong)
    return {name: given[name] for name in fields if name in given}


def _text(least: int, most: int, *, required: bool = False, nullable: bool = False) -> _Field:
    def right(value: Any) -> bool:
        return isinstance(value, str) and least <= len(value) <= most and "\0" not in value

    return _Field(right, f"must be a text of {least} to {most} characters", required, nullable)


def _texts(least: int, most: int, *, required: bool = False) -> _Field:
    def right(value: Any) -> bool:
        listed = isinstance(value, list) and least <= len(value) <= most
        return listed and all(isinstance(item, str) and item for item in value)

    return _Field(right, f"must be a list of {least} to {most} texts", required)


def _is_moment(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value <= _LAST_MILLIS


def _is_link(value: Any) -> bool:
    return isinstance(value, str) and (not value or _LINK.fullmatch(value) is not None) and is_plain_line(value)


def _is_locale(value: Any) -> bool:
    return isinstance(value, str) and len(value) <= 64 and is_plain_line(value)


def _is_payload(value: Any) -> bool:
    return value is False or (
        isinstance(value, dict) and not any(field.wrong(value, name) for name, field in _PAYLOAD.items())
    )


def _is_small_object(value: Any) -> bool:
    """Tell whether it is an object that may be kept."""
    if not isinstance(value, dict):
        return False
    try:
        require_metadata("customData", value)
    except ServiceError:
        return False
    return True


def _is_branding(value: Any) -> bool:
    return isinstance(value, dict) and all(
        name in _LOGOS and isinstance(url, str) and len(url) <= 2048 for name, url in value.items()
    )


_LAST_MILLIS = 253402300799999
"""The last millisecond of the year 9999."""

_LINK = re.compile(r"https?://[^\s/?#]\S{0,2000}")
_LOGOS = ("logoUrl", "darkLogoUrl", "favicon", "darkFavicon")

_PAYLOAD = {
    "code": _Field(lambda value: isinstance(value, str), "must be a text"),
    "link": _Field(_is_link, "must be an http or https URL"),
    "locale": _Field(_is_locale, "must be a language tag like 'de' or 'pt-BR'"),
    "uiLocales": _Field(lambda value: isinstance(value, str), "must be a text"),
}
_INVITATION = {
    "inviterId": _text(0, 21, nullable=True),
    "invitee": _Field(
        lambda value: isinstance(value, str) and is_address(value), "must be an e-mail address", required=True
    ),
    "organizationId": _text(1, 21, required=True),
    "expiresAt": _Field(_is_moment, "must be a number of milliseconds since 1970, until the year 9999", required=True),
    "organizationRoleIds": _texts(0, 100),
    "messagePayload": _Field(_is_payload, "must be false, or an object whose link is a URL and whose locale is a tag"),
}
_STATUS = {
    "status": _Field(lambda value: value in ("Accepted", "Revoked"), "must be 'Accepted' or 'Revoked'", required=True),
    "acceptedUserId": _text(0, 21, nullable=True),
}
_ORGANIZATION_CHANGES = {
    "name": _text(1, LONGEST_NAME),
    "description": _text(0, 256, nullable=True),
    "customData": _Field(_is_small_object, f"must be an object of at most {MAX_METADATA_BYTES} bytes of JSON"),
    "isMfaRequired": _Field(lambda value: value is False, "must be false: this service can't require it"),
    "branding": _Field(_is_branding, f"must be an object with URLs of {', '.join(_LOGOS)}"),
}
_NEW_ORGANIZATION = _ORGANIZATION_CHANGES | {"name": _text(1, LONGEST_NAME, required=True)}
_USERS = {"userIds": _texts(1, 1000, required=True)}
_ROLES = {"organizationRoleIds": _texts(0, 100, required=True)}
_NEW_ROLE = {
    "name": _text(1, LONGEST_NAME, required=True),
    "description": _text(0, 256, nullable=True),
    "type": _Field(lambda value: value == "User", "must be 'User': machines are no members here"),
    "organizationScopeIds": _Field(lambda value: value == [], "must be empty: roles have no scopes here"),
    "resourceScopeIds": _Field(lambda value: value == [], "must be empty: roles have no scopes here"),
}


def _id(text: str) -> str:
    """Give an id as it is kept; what can be none becomes one that nothing has, so that it isn't found."""
    return from_logto_id(text) or _NO_ID


def _member(request: Request) -> tuple[str, str]:
    return _id(request.path["id"]), _id(request.path["user_id"])


def _role_ids(texts: Sequence[str]) -> tuple[str, ...]:
    return tuple(text if text in tuple(Role) else _id(text) for text in texts)


def _role_key(name: str) -> str:
    """Give the key of a role of this name: `Content Editor` is `content-editor`.

    Where letters are lost a hash tells names apart.
    """
    spelled = re.sub(r"\s+", "-", name.casefold())
    plain = re.sub(r"[^a-z0-9:_-]+", "", spelled).lstrip(":_-")
    if plain == spelled and len(plain) <= 64:
        return plain
    return f"{plain[:50] or 'role'}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"


def _address_key(text: str) -> str:
    return address_key(text) if is_address(text) else _NO_ID


def _search(request: Request) -> str:
    """Give what a list is searched for; Logto's callers may write `%` around it."""
    return fold(request.query.get("q", "").replace("\0", "")).strip("%")


def _page(request: Request) -> tuple[int, int]:
    """Give offset and limit."""
    page, size = (request.query.get(name) or default for name, default in _PAGES.items())
    if not (re.fullmatch(r"[0-9]{1,9}", page, re.ASCII) and re.fullmatch(r"[0-9]{1,3}", size, re.ASCII)):
        raise ServiceError(_PAGE_INVALID)
    if int(page) < 1 or not 1 <= int(size) <= MAX_PAGE_SIZE:
        raise ServiceError(_PAGE_INVALID)
    return (int(page) - 1) * int(size), int(size)


_PAGES = {"page": "1", "page_size": str(DEFAULT_PAGE_SIZE)}


def _details(body: Mapping[str, Any]) -> dict[str, Any]:
    names = {"description": "description", "customData": "custom_data", "branding": "branding"}
    return {kept: body[name] for name, kept in names.items() if name in body}


# Writing answers.

AnyRole = NamedRole | Role

_NOTHING = Answer(None, 204)


def _spelled(id_: str | None) -> str | None:
    return None if id_ is None else logto_id(id_)


def _role_name(role: AnyRole) -> str:
    return role.name if isinstance(role, NamedRole) else role.value


def _role_id(role: AnyRole) -> str:
    return logto_id(role.id) if isinstance(role, NamedRole) else role.value


def _role(role: AnyRole) -> dict[str, Any]:
    description = role.description if isinstance(role, NamedRole) else _BUILT_IN[role]
    return {
        "tenantId": TENANT,
        "id": _role_id(role),
        "name": _role_name(role),
        "description": description[:256] or None,
        "type": "User",
    }


def _with_built_in(rights: Role, named: Sequence[NamedRole]) -> list[AnyRole]:
    """Give roles by name, with `admin` where none of them gives these rights, and `member` where there are none."""
    roles: list[AnyRole] = list(named)
    if not named or (rights is Role.ADMIN and Role.ADMIN not in (role.rights for role in named)):
        roles.append(rights)
    return sorted(roles, key=_role_name)


def _invitation(invitation: Invitation, known: Mapping[str, NamedRole], now: datetime) -> dict[str, Any]:
    roles = _with_built_in(invitation.role, [known[id_] for id_ in invitation.named_roles if id_ in known])
    return {
        "tenantId": TENANT,
        "id": logto_id(invitation.id),
        "inviterId": _spelled(invitation.inviter_account_id),
        "invitee": invitation.email,
        "acceptedUserId": _spelled(invitation.accepted_account_id),
        "organizationId": logto_id(invitation.organization_id),
        "status": _STATUSES[invitation.status_at(now)],
        "createdAt": epoch_millis(invitation.created_at),
        "updatedAt": epoch_millis(invitation.updated_at),
        "expiresAt": epoch_millis(invitation.expires_at),
        "organizationRoles": [{"id": _role_id(role), "name": _role_name(role)} for role in roles],
    }


def _organization(organization: Organization) -> dict[str, Any]:
    return {
        "tenantId": TENANT,
        "id": logto_id(organization.id),
        "name": organization.name[:LONGEST_NAME],
        "description": organization.details.get("description"),
        "customData": organization.details.get("custom_data", {}),
        "isMfaRequired": False,
        "branding": organization.details.get("branding", {}),
        "createdAt": epoch_millis(organization.created_at),
    }
