"""Every refusal that a caller can get: each RPC by each reason in each protocol."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from google.rpc.error_details_pb2 import BadRequest, ErrorInfo, RetryInfo

from server.domain import errors
from server.domain.errors import CATALOG, Kind, ServiceError
from server.domain.organization import Role
from server.edge import ARRIVAL
from server.faces.connect import READ_MAX_BYTES
from tests.faces import refusals_of_ours
from tests.faces.conftest import Stage
from tests.faces.refusals import (
    FAULTS,
    REPEATED,
    STATUSES,
    WAITING,
    Case,
    backend_key,
    broken,
    broken_body,
    expired,
    full,
    good,
    issuer_down,
    key_lost,
    nowhere,
    reading,
    token_of,
    unverified,
    used_up,
    user_token,
    with_fault,
)
from tests.faces.refusals_of_ours import INVITATION_CASES, SESSION_CASES, SESSION_GOOD
from tests.faces.wire import CONNECT_JSON, CONNECT_PROTO, GRPC, GRPC_CODES, GRPC_WEB, PROTOCOLS, Wire
from tests.stories.people import party, some_id

ELSEWHERE = {
    "SIGN_IN_EXPIRED": "of the sign-in at a provider",
    "SIGN_IN_REFUSED": "of the sign-in at a provider",
    "BACKEND_KEY_REQUIRED": "of what only backend keys may do: the REST faces",
    "REQUEST_TOO_SLOW": "of the server, for what never becomes a call: tests/faults/test_load.py",
    "ROLE_IN_USE": "of named roles, which the command line and the REST faces make",
    "ACCOUNT_NOT_FOUND": "of what backend keys do for accounts: the REST faces",
}
"""Reasons that no RPC gives, and whose they are."""

GITPOD, OURS = "gitpod.v1.", "invitations.v1."
READING = (
    "GetOrganization",
    "ListMembers",
    "GetOrganizationInvite",
    "GetOrganizationInviteSummary",
    "GetAccount",
    "ListJoinableOrganizations",
    "GetAuthenticatedIdentity",
    "GetAuthenticatedUser",
    "GetUser",
    "GetPersonalAccessToken",
    "ListPersonalAccessTokens",
)
WRITING = (
    "CreateOrganization",
    "UpdateOrganization",
    "DeleteOrganization",
    "JoinOrganization",
    "LeaveOrganization",
    "SetRole",
    "CreateOrganizationInvite",
    "CreatePersonalAccessToken",
    "DeletePersonalAccessToken",
)


PERSONAL = tuple(method for method in READING + WRITING if method != "GetOrganizationInviteSummary")
ADMINS_ONLY = (
    "UpdateOrganization",
    "DeleteOrganization",
    "SetRole",
    "CreateOrganizationInvite",
    "GetOrganizationInvite",
)
OF_MEMBERS = ("GetOrganization", "ListMembers", *ADMINS_ONLY)
IDS = {
    "GetOrganization": ("organizationId",),
    "UpdateOrganization": ("organizationId",),
    "DeleteOrganization": ("organizationId",),
    "JoinOrganization": ("inviteId",),
    "LeaveOrganization": ("userId",),
    "ListMembers": ("organizationId",),
    "CreateOrganizationInvite": ("organizationId",),
    "GetOrganizationInvite": ("organizationId",),
    "GetUser": ("userId",),
    "CreatePersonalAccessToken": ("userId",),
    "GetPersonalAccessToken": ("personalAccessTokenId",),
    "DeletePersonalAccessToken": ("personalAccessTokenId",),
}
STRANGERS_USER = ("GetUser", "LeaveOrganization", "CreatePersonalAccessToken")
LATE = {"connect-timeout-ms": "20000", "grpc-timeout": "20S", ARRIVAL: "192.0.2.1 1000.0 9999999999999999"}
"""Headers of a request whose body has taken longer to come than it may take in all."""

CASES = [
    # Who is calling.
    *(
        Case(errors.CREDENTIALS_MISSING, m, lambda _: None)
        for m in READING + WRITING
        if not m.endswith("InviteSummary")
    ),
    *(Case(errors.CREDENTIALS_INVALID, m, lambda _: "orgsvc_unknown") for m in READING + WRITING),
    Case(errors.CREDENTIALS_INVALID, "GetAccount", expired),
    Case(errors.CREDENTIALS_INVALID, "GetAccount", lambda _: None, headers={"authorization": "Basic QWRhOnNlY3JldA=="}),
    Case(errors.CREDENTIALS_INVALID, "GetAccount", lambda _: None, headers={"authorization": "Bearer"}),
    *(Case(errors.PERSON_REQUIRED, m, backend_key) for m in PERSONAL),
    # Also where nothing has the id, so that strangers can't ask what exists.
    *(
        Case(reason, m, token, nowhere(*IDS[m]))
        for m in IDS
        for reason, token in ((errors.CREDENTIALS_MISSING, lambda _: None), (errors.PERSON_REQUIRED, backend_key))
    ),
    *(Case(errors.TOKEN_READ_ONLY, m, reading("Ada")) for m in WRITING),
    *(Case(errors.ACCOUNT_TOKEN_REQUIRED, m, user_token("Ada")) for m in ("CreateOrganization", "JoinOrganization")),
    Case(errors.ISSUER_UNAVAILABLE, "GetAccount", lambda _: "a.b.c", wire=issuer_down),
    # What isn't there, or isn't the caller's to know of.
    *(Case(errors.ORGANIZATION_NOT_FOUND, m, token_of("Eve")) for m in OF_MEMBERS),
    *(
        Case(errors.ORGANIZATION_NOT_FOUND, m, request=lambda s, m=m: good(s, m) | {"organizationId": some_id()})
        for m in OF_MEMBERS
    ),
    Case(errors.ORGANIZATION_NOT_FOUND, "JoinOrganization", request=nowhere("organizationId")),
    Case(
        errors.ORGANIZATION_NOT_FOUND,
        "JoinOrganization",
        token_of("Eve"),
        request=lambda s: {"organizationId": s.it.id},
    ),
    *(Case(errors.USER_NOT_FOUND, m, token_of("Eve"), lambda s: {"userId": s.it.users["Ada"]}) for m in STRANGERS_USER),
    *(Case(errors.USER_NOT_FOUND, m, request=nowhere("userId")) for m in STRANGERS_USER),
    Case(errors.USER_NOT_FOUND, "SetRole", request=lambda s: good(s, "SetRole") | {"userId": some_id()}),
    *(
        Case(errors.INVITE_NOT_FOUND, m, request=nowhere("inviteId"))
        for m in ("JoinOrganization", "GetOrganizationInviteSummary")
    ),
    Case(errors.INVITE_NOT_FOUND, "GetOrganizationInviteSummary", lambda _: None, nowhere("inviteId")),
    Case(
        errors.NO_LIVE_INVITE,
        "GetOrganizationInvite",
        request=lambda s: {"organizationId": s.world.service.organizations.create(s.world.call("Ada"), "New")[0].id},
    ),
    *(
        Case(errors.ACCESS_TOKEN_NOT_FOUND, m, request=nowhere("personalAccessTokenId"))
        for m in ("GetPersonalAccessToken", "DeletePersonalAccessToken")
    ),
    # What the caller may not.
    *(Case(errors.ADMIN_REQUIRED, m, token_of("Bob")) for m in ADMINS_ONLY),
    Case(errors.ADMIN_REQUIRED, "LeaveOrganization", token_of("Bob"), lambda s: {"userId": s.it.users["Ada"]}),
    Case(errors.NOT_YOURS, "CreatePersonalAccessToken", request=lambda s: {"userId": s.it.users["Bob"]}),
    # What the state of things doesn't allow.
    Case(errors.LAST_ADMIN, "LeaveOrganization", request=lambda s: {"userId": s.it.users["Ada"]}),
    Case(
        errors.LAST_ADMIN,
        "SetRole",
        request=lambda s: {
            "organizationId": s.it.id,
            "userId": s.it.users["Ada"],
            "role": "ORGANIZATION_ROLE_MEMBER",
        },
    ),
    Case(errors.ORGANIZATION_AMBIGUOUS, "GetAuthenticatedUser", token_of("Eve"), metadata={"count": "0"}),
    Case(
        errors.ORGANIZATION_AMBIGUOUS,
        "GetAuthenticatedUser",
        token_of("Cem"),
        before=lambda s: (party(s.world, "Cem"), party(s.world, "Cem")),
        metadata={"count": "2"},
    ),
    Case(
        errors.EMAIL_NOT_VERIFIED,
        "JoinOrganization",
        lambda _: "eve",
        lambda s: {"organizationId": s.it.id},
        wire=unverified,
    ),
    Case(errors.ORGANIZATION_FULL, "JoinOrganization", token_of("Eve"), wire=full, metadata={"limit": "2"}),
    Case(errors.INVITE_KEY_UNAVAILABLE, "GetOrganizationInvite", wire=key_lost),
    # The request itself.
    Case(errors.INVALID_REQUEST, "GetOrganization", request=lambda _: {"organizationId": "no UUID"}),
    Case(errors.INVALID_REQUEST, "CreateOrganization", request=lambda _: {"name": "two\nlines"}),
    *(
        Case(errors.PAGE_TOKEN_INVALID, m, request=lambda s, m=m: good(s, m) | {"pagination": {"token": "x"}})
        for m in ("ListMembers", "ListJoinableOrganizations", "ListPersonalAccessTokens")
    ),
    *(
        Case(errors.MALFORMED_REQUEST, m, raw=broken_body)
        for m in READING + WRITING
        if m not in ("GetAccount", "GetAuthenticatedIdentity", "GetAuthenticatedUser")
    ),
    Case(
        errors.REQUEST_TOO_LARGE,
        "GetOrganization",
        raw=lambda _: b" " * (READ_MAX_BYTES + 1),
        metadata={"limit_bytes": str(READ_MAX_BYTES)},
    ),
    Case(
        errors.REQUEST_TOO_LARGE,
        "GetOrganization",
        raw=lambda _: b" " * (READ_MAX_BYTES + 1),
        compressed=True,
        metadata={"limit_bytes": str(READ_MAX_BYTES)},
    ),
    Case(
        errors.ENCODING_UNSUPPORTED,
        "GetOrganization",
        headers={"content-encoding": "br", "grpc-encoding": "br"},
    ),
    Case(
        errors.PROTOCOL_ERROR,
        "GetAccount",
        raw=lambda _: b"{}",
        headers={"content-length": "many"},
        protocols=(CONNECT_JSON, CONNECT_PROTO),
        metadata={"problem": "it can't be read"},
    ),
    Case(errors.ONE_MESSAGE_REQUIRED, "GetAccount", raw=lambda _: b"", framed=False, protocols=(GRPC, GRPC_WEB)),
    *(
        Case(errors.METHOD_NOT_IMPLEMENTED, m, raw=lambda _: b"\xff", metadata={"method": m})
        for m in (
            "gitpod.v1.OrganizationService/ListOrganizations",
            "gitpod.v1.EnvironmentService/CreateEnvironment",
            "example.v9.Unknown/Do",
        )
    ),
    # Repeated requests.
    Case(errors.IDEMPOTENCY_KEY_INVALID, "CreateOrganization", headers={"idempotency-key": "x" * 256}),
    Case(
        errors.IDEMPOTENCY_KEY_REUSED,
        "CreateOrganization",
        headers={"idempotency-key": "the same"},
        before=lambda s: s.wire.call(
            CONNECT_JSON,
            "CreateOrganization",
            {"name": "First"},
            token=s.token("Ada"),
            headers={"idempotency-key": "the same"},
        ),
    ),
    # What passes, by a store that says so.
    *(
        Case(reason, m, wire=with_fault(reason, seconds))
        for reason, seconds in FAULTS
        for m in ("GetOrganization", "JoinOrganization")
    ),
    *(
        Case(
            errors.RATE_LIMITED,
            m,
            wire=used_up,
            metadata={"limit": "caller", "count": "1", "window_seconds": "3600"},
        )
        for m in READING + WRITING
    ),
    *(Case(errors.OVERLOADED, m, headers={ARRIVAL: "192.0.2.1 1000.0 999999"}) for m in READING + WRITING),
    Case(errors.DEADLINE_PASSED, "CreateOrganization", headers={"connect-timeout-ms": "0", "grpc-timeout": "0m"}),
    *(Case(errors.DEADLINE_PASSED, m, headers=LATE) for m in READING + WRITING),
    *(Case(errors.INTERNAL, m, wire=broken) for m in READING + WRITING if m != "GetAuthenticatedIdentity"),
    # Our own contract.
    *INVITATION_CASES,
    *SESSION_CASES,
]


COMBINATIONS = {(case.method, case.reason, protocol) for case in CASES for protocol in case.protocols}


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_refusal_says_the_same_in_every_protocol(
    standing_stage: Stage, case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage = standing_stage
    # A conflict is refused at once: the pauses between tries would be most of what this takes.
    monkeypatch.setattr("server.service.call.RETRIES", 1)
    token, wire = case.token(stage), case.wire(stage)
    case.before(stage)
    reason = case.reason
    for protocol in case.protocols:
        answer = case.call(stage, protocol, wire, token)
        assert (answer.code, answer.reason) == (reason.kind.value, reason.name), (protocol, answer.message)
        connect = protocol in (CONNECT_JSON, CONNECT_PROTO)
        assert answer.status == (STATUSES[reason.kind] if connect else 200)
        info = answer.detail(ErrorInfo)
        assert info.domain == "organization-service"
        assert answer.metadata.items() >= case.metadata.items()
        assert answer.message == str(ServiceError(reason, answer.metadata))
        assert "{" not in answer.message
        assert (answer.headers.get("x-should-retry") == "false") is (
            reason.kind not in REPEATED or reason.name == "REQUEST_TOO_LARGE"
        )
        assert re.fullmatch(r"[0-9a-f-]{36}", answer.headers["x-request-id"])
        assert bool(answer.fields) is (reason is errors.INVALID_REQUEST)
        assert bool(answer.detail(BadRequest)) is (reason is errors.INVALID_REQUEST)
        waits = answer.detail(RetryInfo)
        assert (waits is not None) == ("retry-after" in answer.headers) == (reason in WAITING)
        if waits is not None:
            assert waits.retry_delay.ToTimedelta() == timedelta(seconds=int(answer.headers["retry-after"]))
        for leaked in ("secret", "SELECT", "Traceback", "RuntimeError", ".py"):
            assert leaked.encode() not in answer.body
            assert leaked not in str(answer.headers) + str(answer.trailers)


def test_every_reason_of_the_catalog_is_provoked_or_belongs_elsewhere() -> None:
    provoked = {case.reason.name for case in CASES} | {"SERVICE_UNKNOWN"}  # in test_health.py
    assert provoked | set(ELSEWHERE) == set(CATALOG)
    assert provoked & set(ELSEWHERE) == set()
    print(f"{len(COMBINATIONS)} combinations of RPC, reason and protocol")


def test_every_method_of_gitpod_is_tried(wire: Wire) -> None:
    methods = {path.split("/")[1] for path in wire.methods if path.startswith(GITPOD)}
    assert methods == set(READING) | set(WRITING)
    assert {method for method in methods if wire.reads(method)} == set(READING) - {"GetOrganizationInvite"}


def test_every_method_of_ours_is_tried(wire: Wire) -> None:
    methods = {path.split("/")[1] for path in wire.methods if path.startswith(OURS)}
    assert methods == set(refusals_of_ours.GOOD) | set(SESSION_GOOD)
    for method in methods:
        assert {(method, errors.OVERLOADED, protocol) for protocol in PROTOCOLS} <= COMBINATIONS


def test_every_kind_has_its_number_in_grpc() -> None:
    assert {kind.value for kind in Kind} <= set(GRPC_CODES)


@pytest.mark.parametrize("method", ["JoinOrganization", "GetOrganizationInviteSummary"])
@pytest.mark.parametrize("who", [None, "Ada", "Bob", "Eve"])
def test_a_dead_invite_and_one_that_never_was_get_the_same_bytes(stage: Stage, method: str, who: str | None) -> None:
    token = who and stage.token(who)
    dead = stage.it.invite
    stage.world.service.links.create(stage.world.call("Ada"), stage.it.id)
    deleted = party(stage.world, "Ada")
    stage.world.service.organizations.delete(stage.world.call("Ada"), deleted.id)
    for protocol in PROTOCOLS:
        answers = [
            stage.wire.call(protocol, method, {"inviteId": invite}, token=token)
            for invite in (dead, some_id(), deleted.invite, some_id())
        ]
        assert len({repr(answer.same()) for answer in answers}) == 1
        assert answers[0].reason == ("INVITE_NOT_FOUND" if who or "Summary" in method else "CREDENTIALS_MISSING")


@pytest.mark.parametrize("method", [*OF_MEMBERS, "JoinOrganization"])
def test_a_foreign_organization_and_none_get_the_same_bytes(standing_stage: Stage, method: str) -> None:
    token = standing_stage.token("Eve")
    request = {key: value for key, value in good(standing_stage, method).items() if key != "inviteId"}
    for protocol in PROTOCOLS:
        answers = [
            standing_stage.wire.call(protocol, method, request | {"organizationId": id_}, token=token)
            for id_ in (standing_stage.it.id, some_id())
        ]
        assert answers[0].same() == answers[1].same()
        assert answers[0].reason == "ORGANIZATION_NOT_FOUND"


@pytest.mark.parametrize("method", STRANGERS_USER)
@pytest.mark.parametrize("who", [None, "Eve"])
def test_a_foreign_user_and_none_get_the_same_bytes(standing_stage: Stage, method: str, who: str | None) -> None:
    token = who and standing_stage.token(who)
    for protocol in PROTOCOLS:
        answers = [
            standing_stage.wire.call(protocol, method, {"userId": user_id}, token=token)
            for user_id in (standing_stage.it.users["Ada"], some_id())
        ]
        assert answers[0].same() == answers[1].same()
        assert answers[0].reason == ("USER_NOT_FOUND" if who else "CREDENTIALS_MISSING")


def test_a_refused_call_has_changed_nothing(stage: Stage) -> None:
    wire, bob = stage.wire, stage.token("Bob")
    for method in ADMINS_ONLY:
        assert wire.call(CONNECT_JSON, method, good(stage, method), token=bob).code != "ok"
    assert stage.world.service.organizations.get(stage.world.call("Ada"), stage.it.id).name == "Acme"
    assert stage.it.member("Bob").role is Role.MEMBER
    assert stage.world.service.links.get(stage.world.call("Ada"), stage.it.id) == stage.it.invite
