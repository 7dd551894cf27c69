"""Every cell of the table of who may what, tried on every face."""

from __future__ import annotations

import logging
import subprocess
import sys
from collections.abc import Iterator

import pytest

from server.domain.account import Scope
from server.domain.errors import (
    ADMIN_REQUIRED,
    INVITATION_WRONG_ACCOUNT,
    ORGANIZATION_NOT_FOUND,
    SCOPE_MISSING,
)
from server.domain.secrets import SecretKeys
from server.faces.rest import RestFace
from server.faces.sessions import CALLBACK_PATH
from server.faces.spelling import clerk_id, logto_id
from server.main import build_service
from server.oidc import IssuerConfig, JwtVerifier
from server.ports import InvitationFilter
from server.serve import MOUNTS
from server.store.sqlite import SqliteStore
from server.web.pages import SEGMENTS
from server.wires import build_edge
from tests.conftest import KEY, GivenClock
from tests.faces.wire import CONNECT_JSON, PROTOCOLS, Wire
from tests.oidc_issuer import AUDIENCE, issuer
from tests.rights.acts import ROUTES, RPCS, Scene
from tests.rights.court import OUR_PAGE, PEOPLE, Court, IssuersWorld, expected_in_session, name_of
from tests.rights.table import ADDRESSED, CALLERS, ROWS, SECRET_HELD, WRONG, Row
from tests.running import ROOT
from tests.stories.people import Party, some_id


@pytest.fixture(scope="module")
def court(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Court]:
    clock = GivenClock()
    store = SqliteStore(tmp_path_factory.mktemp("court") / "organizations.db", clock)
    store._writer_db.execute("PRAGMA synchronous = OFF")
    reasons: list[str] = []

    class Listener(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            reasons.append(record.reason)  # type: ignore[attr-defined]

    access, listener = logging.getLogger("organization_service.access"), Listener()
    level = access.level
    access.setLevel(logging.INFO)
    access.addHandler(listener)
    with issuer(clock=lambda: clock().timestamp()) as accounts:
        verifier = JwtVerifier((IssuerConfig(accounts.url, (AUDIENCE,)),), clock)
        world = IssuersWorld(build_service(store, SecretKeys([KEY]), clock=clock, verifier=verifier), clock, accounts)
        court = Court(world, Wire(build_edge(world.service, sends_mail=True)), lambda _answer: reasons[-1])
        court.settle()
        yield court
    access.removeHandler(listener)
    access.setLevel(level)
    store.close()


_BY_OPERATION = pytest.mark.parametrize("row", ROWS, ids=[row.operation for row in ROWS])


def test_every_operation_of_every_face_is_in_the_table_once(court: Court) -> None:
    rpcs = {name.rpartition("/")[2] for name in court.wire.methods if not name.startswith("grpc.health.")}
    routes = {
        f"{face} {rule.endpoint.operation}"
        for face, application in court.wire.edge._faces.items()
        if isinstance(application, RestFace)
        for rule in application._map.iter_rules()
    }
    assert {row.operation.partition(" ")[0] for row in ROWS if row.operation in RPCS} == rpcs
    assert {" ".join(row.operation.split()[:2]) for row in ROWS if row.operation in ROUTES} == routes
    assert len({row.operation for row in ROWS}) == len(ROWS)
    assert {row.operation for row in ROWS} == RPCS.keys() | ROUTES.keys()


def test_what_answers_beside_the_table_is_for_everybody(court: Court) -> None:
    """Pages, the way back from a provider, health, and descriptions of the services; what comes new fails here."""
    faces = {path for path, application in court.wire.edge._faces.items() if not isinstance(application, RestFace)}
    assert faces == {*SEGMENTS, CALLBACK_PATH}
    mounted = {mount.path for mount in MOUNTS if mount.app != "server.mounts:wsgi"}
    assert mounted == {f"/grpc.reflection.{version}.ServerReflection" for version in ("v1", "v1alpha")}
    tokens = (None, "orgsvc_nothing", court.account_token("Ada"))
    for protocol in PROTOCOLS:
        answers = [court.wire.call(protocol, "grpc.health.v1.Health/Check", token=token) for token in tokens]
        assert [answer.code for answer in answers] == ["ok"] * len(tokens)
        assert len({str(answer.same()) for answer in answers}) == 1
    for path in ("/healthz", "/readyz"):
        asked = [court.wire.http(path, headers={"authorization": f"Bearer {token}"}) for token in tokens]
        assert len({str(answer.same()) for answer in asked}) == 1


@pytest.mark.parametrize("caller", CALLERS)
@_BY_OPERATION
def test_a_caller_is_answered_as_the_table_says(court: Court, row: Row, caller: str) -> None:
    scene = court.scene()
    answer = court.send(row, scene, court.token(caller, scene))
    assert court.reason(answer) == name_of(row.answers[caller])


@pytest.mark.parametrize("caller", PEOPLE)
@_BY_OPERATION
def test_a_jwt_of_the_issuer_may_what_a_token_of_the_account_may(court: Court, row: Row, caller: str) -> None:
    for protocol in court.protocols(row):
        answer = court.request(row, court.scene(), protocol)(court.world.jwt(PEOPLE[caller]))
        assert court.reason(answer) == name_of(row.answers[caller]), protocol


@pytest.mark.parametrize("row", [row for row in ROWS if row.operation in RPCS], ids=lambda row: row.operation)
def test_the_other_protocols_answer_alike(court: Court, row: Row) -> None:
    for protocol in court.protocols(row)[1:]:
        for caller in CALLERS:
            scene = court.scene()
            answer = court.request(row, scene, protocol)(court.token(caller, scene))
            assert court.reason(answer) == answer.reason == name_of(row.answers[caller]), (protocol, caller)


@pytest.mark.parametrize(("name", "expected"), [("Eve", ""), ("Bob", ""), ("Ada", ADMIN_REQUIRED.name)])
def test_stranger_and_member_are_admins_elsewhere(court: Court, name: str, expected: str) -> None:
    """What they are refused here they may there; so their columns say what an admin elsewhere may."""
    row = next(row for row in ROWS if row.operation == "ListInvitations")
    assert {row.answers["stranger"], row.answers["member"]} == {ORGANIZATION_NOT_FOUND, ADMIN_REQUIRED}
    assert len(court.homes) > 1
    for home in court.homes:
        send = court.request(row, home)
        for token in (court.account_token(name), court.world.jwt(name)):
            assert court.reason(send(token)) == expected
        assert court.reason(send(**court.session(name), **OUR_PAGE)) == expected


def test_every_kind_of_token_that_opens_nothing_is_tried(court: Court) -> None:
    assert tuple(court.opening_nothing) == WRONG


@_BY_OPERATION
def test_all_tokens_that_open_nothing_are_answered_with_the_same_bytes(court: Court, row: Row) -> None:
    scene = court.scene()
    for protocol in court.protocols(row):
        send = court.request(row, scene, protocol)
        expected = send("orgsvc_nothing")
        assert court.reason(expected) == name_of(row.answers["wrong"])
        for kind, token in court.opening_nothing.items():
            assert send(token).same() == expected.same(), (protocol, kind)


@_BY_OPERATION
def test_a_backend_key_needs_each_of_its_scopes(court: Court, row: Row) -> None:
    tried = [(CONNECT_JSON, scope) for scope in Scope]
    tried += [(protocol, scope) for protocol in court.protocols(row)[1:] for scope in row.scopes]
    for protocol, scope in tried:
        key = court.key(*(other for other in Scope if other is not scope))
        answer = court.request(row, court.scene(), protocol)(key)
        expected = SCOPE_MISSING if scope in row.scopes else row.answers["key"]
        assert court.reason(answer) == name_of(expected), (protocol, scope)


@_BY_OPERATION
@pytest.mark.parametrize("caller", PEOPLE)
def test_a_session_may_what_the_account_may_in_pages_of_ours_and_nothing_else(
    court: Court, row: Row, caller: str
) -> None:
    for protocol in court.protocols(row):
        assert court.in_session(row, caller, protocol) == expected_in_session(row, caller), protocol


@_BY_OPERATION
def test_a_session_that_has_ended_is_nobodys_also_in_pages_of_ours(court: Court, row: Row) -> None:
    ended = court.ended_sessions("Ada")
    for protocol in court.protocols(row):
        send = court.request(row, court.scene(), protocol)
        expected = court.reason(send(**OUR_PAGE))
        for kind, cookie in ended.items():
            assert court.reason(send(**cookie, **OUR_PAGE)) == expected, (protocol, kind)


@_BY_OPERATION
def test_who_may_not_know_of_an_organization_is_told_nothing_of_it(court: Court, row: Row) -> None:
    for caller in ("nobody", "wrong", "newcomer", "stranger", "elsewhere", "key elsewhere"):
        scene = court.scene()
        told = court.send(row, scene, court.token(caller, scene)).body.decode()
        spellings = (scene.it.id, clerk_id("org", scene.it.id), logto_id(scene.it.id))
        knows = _holds_secret(row) or (caller == "stranger" and row.operation in ADDRESSED)
        if not knows:
            assert not [spelling for spelling in spellings if spelling in told], caller


def _holds_secret(row: Row) -> bool:
    return row.operation in SECRET_HELD


class Nowhere(Scene):
    """An organization that never was, with ids of what was never in it."""

    def invited(self, email: str) -> tuple[str, str]:
        assert email
        return some_id(), SecretKeys([KEY]).invitation_token(some_id(), 1, SecretKeys([KEY]).current_id)

    def token_of(self, name: str) -> str:
        assert name
        return some_id()


_IN_EVERY_PROTOCOL = pytest.mark.parametrize(
    ("row", "protocol"),
    [
        pytest.param(row, protocol, id=f"{row.operation}-{protocol}")
        for row in ROWS
        for protocol in (PROTOCOLS if row.operation in RPCS else (CONNECT_JSON,))
    ],
)


@_IN_EVERY_PROTOCOL
def test_what_is_foreign_dead_or_never_was_answers_with_the_same_bytes(court: Court, row: Row, protocol: str) -> None:
    for caller in ("nobody", "newcomer", "stranger", "elsewhere", "key elsewhere"):
        refused = row.answers[caller] is not None
        if (caller == "stranger" and row.operation in ADDRESSED) or not (refused or _holds_secret(row)):
            continue
        if caller == "newcomer" and row.answers[caller] is INVITATION_WRONG_ACCOUNT and row.operation in RPCS:
            # Whoever holds an invitation's id is told that it is another's, by our own contract alone.
            continue
        foreign, dead = court.scene(), court.scene()
        never = Nowhere(court.world, Party(court.world, some_id(), some_id(), {n: some_id() for n in dead.it.users}))
        token = court.token(caller, foreign)
        to_dead = court.request(row, dead, protocol)
        court.world.service.organizations.delete(court.world.call("Ada"), dead.it.id)
        expected = court.request(row, never, protocol)(token)
        assert to_dead(token).same() == expected.same(), caller
        if refused:
            assert court.request(row, foreign, protocol)(token).same() == expected.same(), caller


def _kill(scene: Scene) -> None:
    """End what the requests below are about, in an organization that lives on."""
    service, admin = scene.world.service, scene.world.call("Ada")
    service.links.create(admin, scene.it.id)
    scene.it.leave("Cora")
    for invitation in service.invitations.list_for_organization(
        admin, scene.it.id, InvitationFilter(scene.world.clock())
    ).invitations:
        service.invitations.delete(admin, invitation.id)
    bob = scene.world.call("Bob")
    for token in service.tokens.list_personal(bob, (scene.it.users["Bob"],))[0]:
        service.tokens.delete_personal(bob, token.id)


_OF_WHAT_ENDS = {
    "JoinOrganization": "stranger",
    "GetOrganizationInviteSummary": "nobody",
    "SetRole": "admin",
    "GetPersonalAccessToken": "member",
    "DeletePersonalAccessToken": "member",
    "GetInvitation": "admin",
    "ResendInvitation": "admin",
    "RevokeInvitation": "admin",
    "DeleteInvitation": "admin",
    "PreviewInvitation": "stranger",
    "AcceptInvitation": "stranger",
    "DeclineInvitation": "stranger",
}
"""Operations about one thing within an organization, and who would be let do them.

LeaveOrganization and GetUser aren't among them: who has left stays known to the organization, and leaving can be
repeated.
"""


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("operation", _OF_WHAT_ENDS)
def test_what_has_ended_in_an_organization_answers_as_what_never_was(
    court: Court, operation: str, protocol: str
) -> None:
    [row] = [row for row in ROWS if row.operation == operation]
    scene = court.scene()
    token = court.token(_OF_WHAT_ENDS[operation], scene)
    to_dead = court.request(row, scene, protocol)
    _kill(scene)
    never = Party(court.world, scene.it.id, some_id(), {name: some_id() for name in scene.it.users})
    expected = court.request(row, Nowhere(court.world, never), protocol)(token)
    assert expected.reason.endswith("_NOT_FOUND"), expected
    assert to_dead(token).same() == expected.same()


def test_the_page_in_docs_is_fresh() -> None:
    done = subprocess.run([sys.executable, "tools/rights_page.py", "--check"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
