"""How the methods of our own contract, `invitations.v1`, are brought to refuse."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

from server.domain import errors
from server.domain.account import Scope
from server.domain.errors import Reason
from server.domain.invitation import SHORTEST_TTL, IfPending
from server.domain.rates import Rate
from server.domain.secrets import SecretKeys
from server.domain.session import SignInMethods
from server.edge import ARRIVAL
from server.main import Service, build_service
from server.service.invitations import InvitationPolicy, Invited, NewInvitation
from server.service.limits import Limits
from server.service.sign_in import SignInOptions
from server.wires import build_edge
from tests.conftest import KEY
from tests.faces.browser_like import Page
from tests.faces.conftest import Stage
from tests.faces.refusals import (
    FAULTS,
    Case,
    Secretive,
    backend_key,
    broken,
    broken_body,
    full,
    nowhere,
    reading,
    token_of,
    unverified,
    used_up,
    user_token,
    with_fault,
)
from tests.faces.wire import CONNECT_JSON, Wire
from tests.stories.people import some_id

Request = Callable[[Stage], dict[str, Any]]


def new_email() -> str:
    return f"{some_id()}@example.com"


def invited(stage: Stage, email: str = "", **wanted: Any) -> Invited:
    """Let Ada invite somebody."""
    new = NewInvitation(email or new_email(), **{"send_email": False} | wanted)
    return stage.world.service.invitations.create(stage.world.call("Ada"), stage.it.id, new)


def by_id(stage: Stage, **wanted: Any) -> dict[str, Any]:
    return {"invitationId": invited(stage, **wanted).invitation.id}


def by_token(stage: Stage) -> dict[str, Any]:
    return {"token": invited(stage).token}


def creating(**wanted: Any) -> Request:
    return lambda stage: {"organizationId": stage.it.id, "invitation": {"email": new_email(), **wanted}}


def batch(**wanted: Any) -> Request:
    """Give a batch of which nothing is done where one is refused."""
    return lambda stage: {
        "organizationId": stage.it.id,
        "invitations": [{"email": new_email()}, {"email": new_email(), **wanted}],
        "allOrNothing": True,
    }


def of_organization(stage: Stage) -> dict[str, Any]:
    return {"organizationId": stage.it.id}


GOOD: dict[str, Request] = {
    "CreateInvitation": creating(),
    "BatchCreateInvitations": batch(),
    "GetInvitation": by_id,
    "ListInvitations": of_organization,
    "ResendInvitation": by_id,
    "RevokeInvitation": by_id,
    "DeleteInvitation": by_id,
    "PreviewInvitation": by_token,
    "AcceptInvitation": by_token,
    "DeclineInvitation": by_token,
    "ListMyInvitations": lambda _: {},
    "DisableInviteLink": of_organization,
}
"""Requests that Ada may make (and an invited person)."""

MAKING = {"CreateInvitation": creating, "BatchCreateInvitations": batch}
OF_ORGANIZATIONS = (*MAKING, "ListInvitations", "DisableInviteLink")
ADMINISTERING = ("GetInvitation", "ResendInvitation", "RevokeInvitation", "DeleteInvitation")
PRESENTING = ("PreviewInvitation", "AcceptInvitation", "DeclineInvitation")
READING = ("GetInvitation", "ListInvitations", "PreviewInvitation", "ListMyInvitations")
WRITING = tuple(method for method in GOOD if method not in READING)


def ours(
    reason: Reason,
    method: str,
    token: Callable[[Stage], str | None] | None = None,
    request: Request | None = None,
    **rest: Any,
) -> Case:
    """Give a case in which Ada asks for what she may, unless told otherwise."""
    return Case(reason, method, token or token_of("Ada"), request or GOOD[method], **rest)


def nobody(_stage: Stage) -> None:
    return None


def accepted(stage: Stage) -> Invited:
    made = invited(stage)
    stage.world.service.invitations.accept(stage.world.call("Guest"), token=made.token or "")
    return made


def declined(stage: Stage) -> Invited:
    made = invited(stage)
    stage.world.service.invitations.decline(stage.world.call("Guest"), token=made.token or "")
    return made


def revoked(stage: Stage) -> Invited:
    made = invited(stage)
    stage.world.service.invitations.revoke(stage.world.call("Ada"), made.invitation.id)
    return made


def expired(stage: Stage) -> Invited:
    made = invited(stage, ttl=SHORTEST_TTL)
    stage.world.clock.forward(SHORTEST_TTL)
    return made


def after(end: Callable[[Stage], Invited], method: str) -> Request:
    """Give a request about an invitation that has come to an end."""

    def request(stage: Stage) -> dict[str, Any]:
        made = end(stage)
        return {"token": made.token} if method in PRESENTING else {"invitationId": made.invitation.id}

    return request


ENDS: tuple[tuple[Reason, Callable[[Stage], Invited], tuple[str, ...]], ...] = (
    (
        errors.INVITATION_ALREADY_ACCEPTED,
        accepted,
        ("ResendInvitation", "RevokeInvitation", "AcceptInvitation", "DeclineInvitation"),
    ),
    (errors.INVITATION_DECLINED, declined, ("ResendInvitation", "RevokeInvitation", "AcceptInvitation")),
    (errors.INVITATION_REVOKED, revoked, ("ResendInvitation", "AcceptInvitation", "DeclineInvitation")),
    (errors.INVITATION_EXPIRED, expired, ("RevokeInvitation", "AcceptInvitation", "DeclineInvitation")),
)
"""How invitations end, and which methods that stops. (Revoking and declining again changes nothing.)"""


def of_service(stage: Stage, **options: Any) -> Service:
    """Give another service on the same store."""
    return build_service(stage.world.service.store, SecretKeys([KEY]), clock=stage.world.clock, **options)


def with_policy(**policy: Any) -> Callable[[Stage], Wire]:
    return lambda stage: Wire(build_edge(of_service(stage, policy=InvitationPolicy(**policy))))


def with_quota(kind: str) -> Callable[[Stage], Wire]:
    """Give the service where Ada and her organization have invited as many as they may."""

    def made(stage: Stage) -> Wire:
        stage.world.clock.forward(timedelta(hours=1))
        service = of_service(stage, policy=InvitationPolicy(**{f"{kind}_rate": Rate(1, 3600)}))
        new = NewInvitation(new_email(), send_email=False)
        service.invitations.create(stage.world.call("Ada"), stage.it.id, new)
        return Wire(build_edge(service))

    return made


def mailed_just_now(stage: Stage) -> str:
    """Give an address that an invitation was mailed to."""
    return invited(stage, send_email=True).invitation.email


def of_key_without_scope(stage: Stage) -> str:
    return stage.world.service.backend_keys.issue("a service", scopes=(Scope.ROLES_READ,))[0]


def making(method: str, **wanted: Callable[[Stage], Any]) -> Request:
    """Give the request of a method that makes invitations, with what is found out first."""
    return lambda stage: MAKING[method](**{name: find(stage) for name, find in wanted.items()})(stage)


INVALID: dict[str, Request] = {
    "CreateInvitation": lambda _: {"organizationId": "no UUID", "invitation": {"email": new_email()}},
    "BatchCreateInvitations": of_organization,
    "ListInvitations": lambda stage: {"organizationId": stage.it.id, "pageSize": 101},
    "ListMyInvitations": lambda _: {"pageSize": 101},
    "DisableInviteLink": lambda _: {"organizationId": "no UUID"},
    **dict.fromkeys(ADMINISTERING, lambda _: {"invitationId": "no UUID"}),
    **dict.fromkeys(PRESENTING, lambda _: {}),
}
RECIPIENT = {"recipient_rate": Rate(1, 600)}
MAIL_LIMIT = {"limit": "1", "window_seconds": "600"}

INVITATION_CASES = [
    # Who is calling. A token is enough to look at what it opens.
    *(ours(errors.CREDENTIALS_MISSING, m, nobody) for m in GOOD if m != "PreviewInvitation"),
    *(ours(errors.CREDENTIALS_MISSING, m, nobody, by_id) for m in PRESENTING),
    *(ours(errors.CREDENTIALS_INVALID, m, lambda _: "orgsvc_unknown") for m in GOOD),
    *(
        ours(reason, m, token)
        for m in ("AcceptInvitation", "DeclineInvitation", "ListMyInvitations")
        for reason, token in (
            (errors.PERSON_REQUIRED, backend_key),
            (errors.ACCOUNT_TOKEN_REQUIRED, user_token("Ada")),
        )
    ),
    ours(errors.PERSON_REQUIRED, "PreviewInvitation", backend_key, by_id),
    ours(errors.PERSON_REQUIRED, "DisableInviteLink", backend_key),
    ours(errors.ACCOUNT_TOKEN_REQUIRED, "PreviewInvitation", user_token("Ada"), by_id),
    *(ours(errors.TOKEN_READ_ONLY, m, reading("Ada")) for m in WRITING),
    *(ours(errors.SCOPE_MISSING, m, of_key_without_scope) for m in (*MAKING, "ListInvitations", *ADMINISTERING)),
    # What isn't there, or isn't the caller's to know of.
    *(ours(errors.ORGANIZATION_NOT_FOUND, m, token_of("Eve")) for m in OF_ORGANIZATIONS),
    *(
        ours(errors.ORGANIZATION_NOT_FOUND, m, request=lambda s, m=m: GOOD[m](s) | {"organizationId": some_id()})
        for m in OF_ORGANIZATIONS
    ),
    *(ours(errors.INVITATION_NOT_FOUND, m, token_of("Eve")) for m in ADMINISTERING),
    *(ours(errors.INVITATION_NOT_FOUND, m, request=nowhere("invitationId")) for m in (*ADMINISTERING, *PRESENTING)),
    *(ours(errors.INVITATION_NOT_FOUND, m, request=nowhere("token")) for m in PRESENTING),
    ours(errors.INVITATION_NOT_FOUND, "PreviewInvitation", nobody, nowhere("token")),
    # What the caller may not.
    *(ours(errors.ADMIN_REQUIRED, m, token_of("Bob")) for m in (*OF_ORGANIZATIONS, *ADMINISTERING)),
    *(ours(errors.INVITATION_WRONG_ACCOUNT, m, token_of("Eve"), by_id) for m in PRESENTING),
    *(
        ours(
            errors.EMAIL_NOT_VERIFIED_FOR_INVITATION,
            m,
            lambda _: "eve",
            lambda s: by_id(s, email="eve@example.com", if_pending=IfPending.REPLACE),
            wire=unverified,
            metadata={"email": "e***@example.com"},
        )
        for m in PRESENTING
    ),
    ours(errors.EMAIL_NOT_VERIFIED, "ListMyInvitations", lambda _: "eve", wire=unverified),
    *(
        case
        for m in MAKING
        for case in (
            ours(errors.NOT_YOURS, m, request=making(m, inviterAccountId=lambda s: s.world.account("Bob").id)),
            ours(
                errors.INVITER_NOT_MEMBER,
                m,
                backend_key,
                making(m, inviterAccountId=lambda s: s.world.account("Eve").id),
            ),
            # What is asked for.
            ours(errors.ADDRESS_INVALID, m, request=making(m, email=lambda _: "no address")),
            ours(errors.REDIRECT_NOT_ALLOWED, m, request=making(m, redirectUrl=lambda _: "https://evil.example/")),
            ours(errors.ROLE_NOT_FOUND, m, request=making(m, role=lambda _: "sorcerer"), metadata={"role": "sorcerer"}),
            # What the state of things doesn't allow.
            ours(errors.ALREADY_MEMBER, m, request=making(m, email=lambda _: "bob@example.com")),
            ours(errors.INVITATION_PENDING, m, request=making(m, email=lambda s: invited(s).invitation.email)),
            ours(
                errors.MAIL_LIMIT,
                m,
                request=making(m, email=mailed_just_now, ifPending=lambda _: "IF_PENDING_REPLACE"),
                wire=with_policy(**RECIPIENT),
                metadata=MAIL_LIMIT,
            ),
        )
    ),
    ours(
        errors.MAIL_LIMIT,
        "ResendInvitation",
        request=lambda s: by_id(s, send_email=True),
        wire=with_policy(**RECIPIENT),
        metadata=MAIL_LIMIT,
    ),
    *(ours(reason, m, request=after(end, m)) for reason, end, methods in ENDS for m in methods),
    ours(errors.ORGANIZATION_FULL, "AcceptInvitation", token_of("Eve"), wire=full, metadata={"limit": "2"}),
    # The request itself.
    *(ours(errors.INVALID_REQUEST, m, request=INVALID[m]) for m in GOOD),
    *(ours(errors.MALFORMED_REQUEST, m, raw=broken_body) for m in GOOD),
    *(
        ours(errors.PAGE_TOKEN_INVALID, m, request=lambda s, m=m: GOOD[m](s) | {"pageToken": "x"})
        for m in ("ListInvitations", "ListMyInvitations")
    ),
    *(ours(errors.IDEMPOTENCY_KEY_INVALID, m, headers={"idempotency-key": "x" * 256}) for m in WRITING),
    *(
        ours(
            errors.IDEMPOTENCY_KEY_REUSED,
            m,
            headers={"idempotency-key": f"of {m}"},
            before=lambda s, m=m: s.wire.call(
                CONNECT_JSON, m, making(m)(s), token=s.token("Ada"), headers={"idempotency-key": f"of {m}"}
            ),
        )
        for m in MAKING
    ),
    # What passes.
    *(ours(reason, m, wire=with_fault(reason, seconds)) for reason, seconds in FAULTS for m in GOOD),
    *(
        ours(
            errors.RATE_LIMITED,
            m,
            wire=used_up,
            metadata={"limit": "caller", "count": "1", "window_seconds": "3600"},
        )
        for m in GOOD
    ),
    *(
        ours(
            errors.RATE_LIMITED,
            m,
            wire=with_quota(kind),
            metadata={"limit": limit, "count": "1", "window_seconds": "3600"},
        )
        for m in (*MAKING, "ResendInvitation")
        for kind, limit in (("inviter", "inviter"), ("organization", "invitations"))
    ),
    *(ours(errors.OVERLOADED, m, headers={ARRIVAL: "192.0.2.1 1000.0 999999"}) for m in GOOD),
    *(ours(errors.INTERNAL, m, wire=broken) for m in GOOD),
]

# Sessions.

CODES = SignInOptions(methods=SignInMethods(email_code=True))
SESSION_GOOD: dict[str, Request] = {
    "GetSession": lambda _: {},
    "BeginProviderSignIn": lambda _: {},
    "SendSignInCode": lambda _: {"email": new_email()},
    "SignInWithCode": lambda _: {"codeId": some_id(), "code": "12345678"},
    "SignOut": lambda _: {},
}
SESSION_INVALID: dict[str, Request] = {
    "BeginProviderSignIn": lambda _: {"returnPath": "//evil.example"},
    "SendSignInCode": lambda _: {},
    "SignInWithCode": lambda _: {"codeId": "no UUID", "code": "12345678"},
}
WITH_CODES = ("SendSignInCode", "SignInWithCode")


def codes(**options: Any) -> Callable[[Stage], Wire]:
    """Give the service where people sign in with codes."""
    return lambda stage: Wire(build_edge(of_service(stage, sign_in=CODES, **options)))


def codes_used_up(stage: Stage) -> Wire:
    """Give the service of which an address has had as many codes mailed as it may."""
    limits = Limits({"codes": Rate(1, 3600)}, monotonic=lambda: 0.0)
    wire = Wire(build_edge(of_service(stage, sign_in=CODES), limits=limits))
    headers = {**Page(wire).headers, ARRIVAL: "192.0.2.1"}
    assert wire.call(CONNECT_JSON, "SendSignInCode", {"email": new_email()}, headers=headers).code == "ok"
    return wire


def codes_broken(stage: Stage) -> Wire:
    service = of_service(stage, sign_in=CODES)
    return Wire(build_edge(replace(service, sign_in=replace(service.sign_in, store=Secretive()))))


def asked_just_now(stage: Stage) -> dict[str, Any]:
    """Give a request for a code of an address that one was sent to."""
    email = new_email()
    of_service(stage, sign_in=CODES).sign_in.send_code(email)
    return {"email": email}


def of_page(reason: Reason, method: str, request: Request | None = None, **rest: Any) -> Case:
    """Give a case that a page of ours comes to."""
    own = {"x-session": "cookie", "sec-fetch-site": "same-origin"}
    headers = own | rest.pop("headers", {})
    return Case(reason, method, nobody, request or SESSION_GOOD[method], headers=headers, **rest)


SESSION_CASES = [
    *(
        of_page(errors.SAME_ORIGIN_REQUIRED, m, headers=foreign)
        for m in SESSION_GOOD
        if m != "GetSession"
        for foreign in ({"x-session": ""}, {"sec-fetch-site": "cross-site"}, {"origin": "https://evil.example"})
    ),
    *(of_page(errors.SIGN_IN_UNAVAILABLE, m) for m in ("BeginProviderSignIn", *WITH_CODES)),
    of_page(errors.SIGN_IN_CODE_WRONG, "SignInWithCode", wire=codes()),
    of_page(errors.ADDRESS_INVALID, "SendSignInCode", lambda _: {"email": "no address"}, wire=codes()),
    of_page(
        errors.MAIL_LIMIT,
        "SendSignInCode",
        asked_just_now,
        wire=codes(policy=InvitationPolicy(**RECIPIENT)),
        metadata=MAIL_LIMIT,
    ),
    of_page(
        errors.RATE_LIMITED,
        "SendSignInCode",
        headers={ARRIVAL: "192.0.2.1"},
        wire=codes_used_up,
        metadata={"limit": "codes", "count": "1", "window_seconds": "3600"},
    ),
    *(of_page(errors.INVALID_REQUEST, m, request) for m, request in SESSION_INVALID.items()),
    *(of_page(errors.MALFORMED_REQUEST, m, raw=broken_body) for m in SESSION_GOOD if m != "GetSession"),
    *(of_page(errors.OVERLOADED, m, headers={ARRIVAL: "192.0.2.1 1000.0 999999"}) for m in SESSION_GOOD),
    *(
        of_page(reason, m, wire=with_fault(reason, seconds, sign_in=CODES))
        for reason, seconds in FAULTS
        for m in WITH_CODES
    ),
    *(of_page(errors.INTERNAL, m, wire=codes_broken) for m in WITH_CODES),
]
