"""Koyeb's paths, `/koyeb/v1`: invitations and what its SDK needs around them.

What Koyeb's wire can't say, and what this face does instead:

- It has one role, OWNER: everybody is shown as one, and who is invited here becomes an admin. Yet only admins may
  invite, list and remove.
- It has no word for a revoked invitation: one that was revoked on another wire is gone.
- A request names no organization: it is the one that the token is for, or the only one of the token's account.
- The invited person answers with a token of the account, never with one that is for an organization.
- An answer that was given stays: a second accept or decline is refused, where our own contract repeats the first.
- Plans, billing, projects and GitHub don't exist here: fields of theirs are empty, paths of theirs aren't found.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from server.domain.account import Account
from server.domain.address import address_key, fold
from server.domain.errors import (
    ADDRESS_INVALID,
    ALREADY_MEMBER,
    CREDENTIALS_MISSING,
    EMAIL_NOT_VERIFIED,
    EMAIL_NOT_VERIFIED_FOR_INVITATION,
    IDEMPOTENCY_KEY_REUSED,
    INVITATION_NOT_FOUND,
    INVITATION_PENDING,
    INVITATION_REVOKED,
    INVITATION_WRONG_ACCOUNT,
    NOT_YOURS,
    ORGANIZATION_NOT_FOUND,
    REQUEST_TOO_LARGE,
    USER_NOT_FOUND,
    FieldViolation,
    Kind,
    Reason,
    ServiceError,
    invalid_field,
)
from server.domain.invitation import Invitation, InvitationStatus
from server.domain.organization import Member, Membership, Organization, Role
from server.faces.rest import Answer, Parts, Request, RestFace, Route
from server.ports import InvitationFilter
from server.service.call import Call
from server.service.invitations import InvitationView, NewInvitation

INVITATION_LIFE = timedelta(days=7)
DEFAULT_LIMIT = 10
MAX_LIMIT = 100
DEFAULT_TOKEN_LIFE = timedelta(hours=1)
LONGEST_TOKEN_LIFE = timedelta(hours=24)
"""The longest life of a token made on this wire, and that of one made by switching."""

_STATUSES = {
    InvitationStatus.PENDING: "PENDING",
    InvitationStatus.ACCEPTED: "ACCEPTED",
    InvitationStatus.DECLINED: "REFUSED",
    InvitationStatus.EXPIRED: "EXPIRED",
}
"""All that the wire has words for; what isn't here is not to be seen on it."""

_UNAVAILABLE = (503, "unavailable")
_SAID: Mapping[Kind | Reason, tuple[int, str]] = {
    Kind.INVALID_ARGUMENT: (400, "invalid_argument"),
    Kind.ALREADY_EXISTS: (400, "invalid_argument"),
    IDEMPOTENCY_KEY_REUSED: (409, "already_exists"),
    Kind.FAILED_PRECONDITION: (400, "failed_precondition"),
    REQUEST_TOO_LARGE: (400, "invalid_argument"),
    Kind.UNAUTHENTICATED: (401, "unauthorized"),
    Kind.PERMISSION_DENIED: (403, "forbidden"),
    EMAIL_NOT_VERIFIED: (403, "forbidden"),
    EMAIL_NOT_VERIFIED_FOR_INVITATION: (403, "forbidden"),
    Kind.NOT_FOUND: (404, "not_found"),
    Kind.UNIMPLEMENTED: (404, "not_found"),
    Kind.RESOURCE_EXHAUSTED: (429, "resource_exhausted"),
    Kind.INTERNAL: (500, "internal"),
    Kind.ABORTED: _UNAVAILABLE,
    Kind.DEADLINE_EXCEEDED: _UNAVAILABLE,
    Kind.UNAVAILABLE: _UNAVAILABLE,
}
"""Status and code of each kind of refusal, and of reasons that differ from their kind."""

_SAID_AS = {INVITATION_WRONG_ACCOUNT: INVITATION_NOT_FOUND, INVITATION_REVOKED: INVITATION_NOT_FOUND}
"""Reasons that would tell of an invitation which is not to be seen."""

_FIELDS = {ADDRESS_INVALID: "email", INVITATION_PENDING: "email", ALREADY_MEMBER: "email"}
"""The field that a reason is about, where the refusal itself doesn't name it."""

_RPC_CODES = {409: 6, 429: 8}
"""Codes of google.rpc for statuses that Koyeb doesn't declare."""

_NO_ID = str(UUID(int=0))
"""An id that nothing has."""


class _Speaker:
    def token(self, authorization: str | None) -> str:
        """Give the token, before which the SDK writes the word Bearer only when it is told to."""
        given = (authorization or "").strip()
        if not given:
            raise ServiceError(CREDENTIALS_MISSING)
        scheme, _, token = given.partition(" ")
        return token.strip() if scheme.lower() == "bearer" else given

    def refuse(self, refusal: ServiceError, operation: str) -> Answer:  # noqa: ARG002 # all speak alike
        reason = _SAID_AS.get(refusal.reason)
        said = refusal if reason is None else ServiceError(reason)
        status, code = _SAID.get(said.reason) or _SAID[said.reason.kind]
        if status in _RPC_CODES:
            # Not among the statuses that Koyeb declares: the SDK reads those as google.rpc.Status.
            return Answer({"code": _RPC_CODES[status], "message": str(said), "details": []}, status)
        body: dict[str, Any] = {"status": status, "code": code, "message": str(said)}
        if status == 400:
            about = _FIELDS.get(said.reason)
            violations = (FieldViolation(about, str(said)),) if about else said.violations
            body["fields"] = [{"field": v.field, "description": v.description} for v in violations]
        return Answer(body, status)


class _Koyeb:
    """What answers each path; the methods are named as the SDK names them."""

    def __init__(self, parts: Parts) -> None:
        self._organizations = parts.organizations
        self._invitations = parts.invitations
        self._tokens = parts.tokens
        self._now = parts.clock

    # OrganizationInvitationsApi.

    def create_organization_invitation(self, request: Request) -> Answer:
        organization = self._own_organization(request.call)
        new = NewInvitation(_text(request, "email"), roles=(Role.ADMIN,), ttl=INVITATION_LIFE)
        made = self._invitations.create(request.call, organization.id, new)
        return self._invitation(made.invitation, organization)

    def get_organization_invitation(self, request: Request) -> Answer:
        return self._invitation(*self._administered(request))

    def list_organization_invitations(self, request: Request) -> Answer:
        limit, offset = _page(request)
        organization_id = self._organizations.own_member(request.call).organization_id
        address = self._own_address(request) if request.query.get("user_id") else ""
        wanted = InvitationFilter(self._now(), (organization_id,), _statuses(request), email_key=address)
        found, count = self._invitations.list_by_offset(request.call, wanted, offset=offset, limit=limit)
        shown = [_shown(view.invitation, view.organization, wanted.now) for view in found]
        return Answer({"invitations": shown, "limit": limit, "offset": offset, "count": count})

    def resend_organization_invitation(self, request: Request) -> Answer:
        known, organization = self._administered(request)
        sent = self._invitations.resend(request.call, known.id, ttl=INVITATION_LIFE)
        return self._invitation(sent.invitation, organization)

    def delete_organization_invitation(self, request: Request) -> Answer:
        known, _ = self._administered(request)
        self._invitations.delete(request.call, known.id)
        return Answer({})

    def get_organization_summary(self, request: Request) -> Answer:
        organization = self._organizations.get(request.call, _id(request))
        counts = {}
        for status, name in _STATUSES.items():
            wanted = InvitationFilter(self._now(), (organization.id,), (status,))
            counts[name] = str(self._invitations.list_by_offset(request.call, wanted, limit=1)[1])
        members = {"total": str(organization.member_count), "invitations_by_status": counts}
        return Answer({"summary": {"organization_id": organization.id, "members": members}})

    # ProfileApi: the invited person, and who is calling.

    def list_user_organization_invitations(self, request: Request) -> Answer:
        limit, offset = _page(request)
        found, count = self._invitations.list_mine(request.call, _statuses(request), offset=offset, page_size=limit)
        now, me = self._now(), request.call.caller.account
        shown = [_shown(view.invitation, view.organization, now, me) for view in found]
        return Answer({"invitations": shown, "limit": limit, "offset": offset, "count": count})

    def get_user_organization_invitation(self, request: Request) -> Answer:
        return self._mine(request, self._received(request))

    def accept_organization_invitation(self, request: Request) -> Answer:
        self._received(request).invitation.require_pending(self._now())
        view, _ = self._invitations.accept(request.call, invitation_id=_id(request))
        return self._mine(request, view)

    def decline_organization_invitation(self, request: Request) -> Answer:
        self._received(request).invitation.require_pending(self._now())
        return self._mine(request, self._invitations.decline(request.call, invitation_id=_id(request)))

    def get_current_user(self, request: Request) -> Answer:
        account = request.call.caller.account
        user = _user(account.id, account.name, account.email, account.avatar_url) | {
            "email_validated": account.email_verified,
            "created_at": _moment(account.created_at),
            "updated_at": _moment(account.updated_at),
            "flags": [],
        }
        return Answer({"user": user})

    def get_current_organization(self, request: Request) -> Answer:
        return _organization_answer(self._own_organization(request.call))

    def list_user_organizations(self, request: Request) -> Answer:
        limit, offset = _page(request)
        search = fold(request.query.get("search", ""))
        found = [m.organization for m in self._organizations.list_own(request.call)]
        found = [o for o in found if search in fold(o.name) or search in o.id]
        if request.query.get("order", "").lower() == "desc":
            found.reverse()
        found = found if _wants_active(request, "statuses") else []
        page = found[offset : offset + limit]
        more = len(found) > offset + limit
        shown = [_organization(o) for o in page]
        return Answer({"organizations": shown, "limit": limit, "offset": offset, "has_next": more})

    # OrganizationApi.

    def create_organization(self, request: Request) -> Answer:
        return _organization_answer(self._organizations.create(request.call, _text(request, "name"))[0])

    def get_organization(self, request: Request) -> Answer:
        return _organization_answer(self._organizations.get(request.call, _id(request)))

    def update_organization(self, request: Request) -> Answer:
        """Change the name, the one field that is kept. The SDK sends others that nobody set, so only a mask counts."""
        mask = set(filter(None, request.query.get("update_mask", "").split(",")))
        if not mask <= {"name", "*"}:
            raise invalid_field("update_mask", "can hold only 'name'; nothing else of an organization is kept")
        given = isinstance(request.body, dict) and request.body.get("name") is not None
        name = _text(request, "name") if given or "name" in mask else None
        return _organization_answer(self._organizations.update(request.call, _id(request), name=name))

    def update_organization_name(self, request: Request) -> Answer:
        changed = self._organizations.update(request.call, _id(request), name=_text(request, "name"))
        return _organization_answer(changed)

    def delete_organization(self, request: Request) -> Answer:
        organization = self._organizations.get(request.call, _id(request))
        self._organizations.delete(request.call, organization.id)
        return Answer({"organization": _organization(organization) | {"status": "DELETED"}})

    def switch_organization(self, request: Request) -> Answer:
        return Answer({"token": self._new_token(request, LONGEST_TOKEN_LIFE, "made by switching to an organization")})

    def create_access_token(self, request: Request) -> Answer:
        return Answer({"token": self._new_token(request, _validity(request), "made by create_access_token")["id"]})

    # OrganizationMembersApi.

    def list_organization_members(self, request: Request) -> Answer:
        limit, offset = _page(request)
        members, count = self._listed_members(request, limit, offset)
        if not _wants_active(request, "organization_statuses"):
            members, count = [], 0
        return Answer({"members": members, "limit": limit, "offset": offset, "count": count})

    def remove_organization_member(self, request: Request) -> Answer:
        member = self._organizations.get_member(request.call, _id(request))
        if not member.is_active:
            raise ServiceError(USER_NOT_FOUND)
        organization = self._organizations.get(request.call, member.organization_id)
        self._organizations.leave(request.call, member.user_id)
        return Answer({"member": _member(member, organization) | {"status": "DELETED"}})

    # What they share.

    def _own_organization(self, call: Call) -> Organization:
        return self._organizations.get(call, self._organizations.own_member(call).organization_id)

    def _own_address(self, request: Request) -> str:
        """Give the key of the address of the user that is asked for, who must be the caller."""
        account = request.call.caller.account
        if request.query.get("user_id") != account.id:
            raise ServiceError(NOT_YOURS)
        return address_key(account.email) or _NO_ID

    def _administered(self, request: Request) -> tuple[Invitation, Organization]:
        found = self._invitations.get(request.call, _id(request))
        if found.status_at(self._now()) not in _STATUSES:
            raise ServiceError(INVITATION_NOT_FOUND)
        return found, self._organizations.get(request.call, found.organization_id)

    def _received(self, request: Request) -> InvitationView:
        view = self._invitations.preview(request.call, invitation_id=_id(request))
        if view.invitation.status_at(self._now()) not in _STATUSES:
            raise ServiceError(INVITATION_NOT_FOUND)
        return view

    def _invitation(self, invitation: Invitation, organization: Organization) -> Answer:
        return Answer({"invitation": _shown(invitation, organization, self._now())})

    def _mine(self, request: Request, view: InvitationView) -> Answer:
        me = request.call.caller.account
        return Answer({"invitation": _shown(view.invitation, view.organization, self._now(), me)})

    def _membership(self, call: Call, organization_id: str) -> Membership:
        for membership in self._organizations.list_own(call):
            if membership.organization.id == organization_id:
                return membership
        raise ServiceError(ORGANIZATION_NOT_FOUND)

    def _new_token(self, request: Request, life: timedelta, description: str) -> dict[str, str]:
        own = self._membership(request.call, _id(request)).member
        expires_at = self._now() + life
        secret = self._tokens.create_personal(
            request.call, own.user_id, description=description, valid_for=life, read_only=False
        )
        return {
            "id": secret,
            "user_id": own.account_id,
            "organization_id": own.organization_id,
            "expires_at": _moment(expires_at),
        }

    def _listed_members(self, request: Request, limit: int, offset: int) -> tuple[list[dict[str, Any]], int]:
        """List an organization's members; without one, the caller who asks for themselves gets all memberships."""
        of_user, organization_id = request.query.get("user_id"), request.query.get("organization_id")
        if of_user == request.call.caller.account_id and not organization_id:
            own = self._organizations.list_own(request.call)
            return [_member(m.member, m.organization) for m in own[offset : offset + limit]], len(own)
        if organization_id:
            organization = self._organizations.get(request.call, _known_spelling(organization_id))
        else:
            organization = self._own_organization(request.call)
        members, count = self._organizations.list_members_by_offset(
            request.call,
            organization.id,
            account_id=_known_spelling(of_user) if of_user else None,
            offset=offset,
            limit=limit,
        )
        return [_member(m, organization) for m in members], count


def koyeb_face(parts: Parts) -> RestFace:
    """Give the face."""
    koyeb = _Koyeb(parts)
    invitation, received = "/organization_invitations/<id>", "/account/organization_invitations/<id>"
    organization = "/organizations/<id>"
    routes = (
        Route("POST", "/organization_invitations", koyeb.create_organization_invitation),
        Route("GET", "/organization_invitations", koyeb.list_organization_invitations),
        Route("GET", invitation, koyeb.get_organization_invitation),
        Route("POST", invitation + "/resend", koyeb.resend_organization_invitation),
        Route("DELETE", invitation, koyeb.delete_organization_invitation),
        Route("GET", "/account/organization_invitations", koyeb.list_user_organization_invitations),
        Route("GET", received, koyeb.get_user_organization_invitation),
        Route("POST", received + "/accept", koyeb.accept_organization_invitation),
        Route("POST", received + "/decline", koyeb.decline_organization_invitation),
        Route("GET", "/account/profile", koyeb.get_current_user),
        Route("GET", "/account/organization", koyeb.get_current_organization),
        Route("GET", "/account/organizations", koyeb.list_user_organizations),
        Route("POST", "/organizations", koyeb.create_organization),
        Route("GET", organization, koyeb.get_organization),
        Route("PUT", organization, koyeb.update_organization),
        Route("PATCH", organization, koyeb.update_organization),
        Route("PUT", organization + "/name", koyeb.update_organization_name),
        Route("DELETE", organization, koyeb.delete_organization),
        Route("POST", organization + "/switch", koyeb.switch_organization),
        Route("POST", organization + "/access_token", koyeb.create_access_token),
        Route("GET", organization + "/summary", koyeb.get_organization_summary),
        Route("GET", "/organization_members", koyeb.list_organization_members),
        Route("DELETE", "/organization_members/<id>", koyeb.remove_organization_member),
    )
    return RestFace("/koyeb/v1", routes, _Speaker(), parts)


# Reading requests.


def _id(request: Request) -> str:
    return _known_spelling(request.path["id"])


def _known_spelling(text: str) -> str:
    """Give an id as it is kept; what can be none becomes one that nothing has, so that it isn't found."""
    try:
        return str(UUID(text))
    except ValueError:
        return _NO_ID


def _text(request: Request, name: str) -> str:
    value = request.body.get(name) if isinstance(request.body, dict) else None
    if not isinstance(value, str):
        raise invalid_field(name, "must be given, as a string")
    return value


def _page(request: Request) -> tuple[int, int]:
    """Give limit and offset; no limit and 0 mean the default, more than the largest means that."""
    limit, offset = _number(request, "limit"), _number(request, "offset")
    return min(limit or DEFAULT_LIMIT, MAX_LIMIT), offset


def _number(request: Request, name: str) -> int:
    text = request.query.get(name, "")
    if not re.fullmatch(r"[0-9]{0,9}", text):
        raise invalid_field(name, "must be a whole number of at most 9 digits")
    return int(text or 0)


def _statuses(request: Request) -> tuple[InvitationStatus, ...]:
    """Give the statuses that are asked for; none means all that the wire knows."""
    names = {name: status for status, name in _STATUSES.items()}
    asked = [text for text in request.query.getlist("statuses") if text]
    if not names.keys() >= set(asked):
        raise invalid_field("statuses", f"must each be one of {', '.join(names)}")
    return tuple(names[text] for text in asked or names)


def _wants_active(request: Request, name: str) -> bool:
    """Tell whether a filter lets organizations pass, which are all ACTIVE."""
    asked = [text for text in request.query.getlist(name) if text]
    return not asked or "ACTIVE" in asked


def _validity(request: Request) -> timedelta:
    if not isinstance(request.body, dict) or request.body.get("validity") is None:
        return DEFAULT_TOKEN_LIFE
    text = _text(request, "validity")
    life = timedelta(seconds=float(text[:-1])) if re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,9})?s", text) else timedelta(0)
    if not timedelta(0) < life <= LONGEST_TOKEN_LIFE:
        raise invalid_field("validity", "must be seconds, like '3600s', above 0 and at most 86400")
    return life


# Writing answers.


def _moment(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")


def _user(account_id: str, name: str = "", email: str = "", avatar_url: str = "") -> dict[str, Any]:
    known = {"id": account_id, "name": name, "email": email, "avatar_url": avatar_url}
    return known | {"github_id": "", "github_user": ""}


def _public_organization(organization: Organization) -> dict[str, Any]:
    return {
        "id": organization.id,
        "name": organization.name,
        "plan": "no_plan",
        "status": "ACTIVE",
        "external_id": "",
    }


def _organization(organization: Organization) -> dict[str, Any]:
    return _public_organization(organization) | {
        "status_message": "VALID",
        "deactivation_reason": "INVALID",
        "verified": True,
        "email_domain_allowlist": [],
    }


def _organization_answer(organization: Organization) -> Answer:
    return Answer({"organization": _organization(organization)})


def _member(member: Member, organization: Organization) -> dict[str, Any]:
    return {
        "id": member.user_id,
        "organization_id": member.organization_id,
        "user_id": member.account_id,
        "external_id": "",
        "joined_at": _moment(member.joined_at),
        "role": "OWNER",
        "status": "ACTIVE",
        "user": _user(member.account_id, member.full_name, member.email, member.avatar_url),
        "organization": _public_organization(organization),
    }


def _shown(
    invitation: Invitation, organization: Organization, now: datetime, invitee: Account | None = None
) -> dict[str, Any]:
    """Write an invitation; `invitee` is the addressee, where it is they who ask.

    Of the inviter only id and name are said: the address of one person is not told to another by an invitation.
    """
    accepted_by, inviter_id = invitation.accepted_account_id, invitation.inviter_account_id
    if invitee is not None and accepted_by in (None, invitee.id):
        who: dict[str, Any] | None = _user(invitee.id, invitee.name, invitee.email, invitee.avatar_url)
    else:
        who = _user(accepted_by) if accepted_by else None
    return {
        "id": invitation.id,
        "email": invitation.email,
        "role": "OWNER",
        "status": _STATUSES[invitation.status_at(now)],
        "expires_at": _moment(invitation.expires_at),
        "organization_id": organization.id,
        "organization": _public_organization(organization),
        "invitee_id": who["id"] if who else "",
        "invitee": who,
        "inviter_id": inviter_id or "",
        "inviter": _user(inviter_id, invitation.inviter_name) if inviter_id else None,
    }
