"""Every cell of the table of who may what, tried on every face."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from server.domain.account import Scope
from server.domain.errors import SAME_ORIGIN_REQUIRED, SCOPE_MISSING, SIGN_IN_UNAVAILABLE, Reason
from server.domain.secrets import SecretKeys
from server.faces.own_pages import SESSION_COOKIE
from server.faces.rest import RestFace
from server.faces.spelling import clerk_id, logto_id
from server.main import build_service
from server.ports import InvitationFilter
from server.store.sqlite import SqliteStore
from server.wires import build_edge
from tests.conftest import KEY, GivenClock, World
from tests.faces.wire import CONNECT_JSON, PROTOCOLS, Answer, Wire
from tests.rights.acts import ROUTES, RPCS, Scene
from tests.rights.table import ADDRESSED, CALLERS, ROWS, SECRET_HELD, Row
from tests.running import ROOT
from tests.stories.people import Party, party, secret_of_user, some_id


@dataclass
class Court:
    """The whole service, and callers of every kind."""

    world: World
    wire: Wire
    reasons: list[str]

    def scene(self) -> Scene:
        return Scene(self.world, party(self.world, "Ada", "Bob", "Cora"))

    def key(self, *scopes: Scope, only: tuple[str, ...] = ()) -> str:
        return self.world.service.backend_keys.issue("service", organization_ids=only, scopes=scopes)[0]

    def token(self, caller: str, scene: Scene) -> str | None:
        """Give what a kind of caller shows; None is nothing."""
        it, world = scene.it, self.world

        def account(name: str, *, read_only: bool = False) -> str:
            issue = world.service.tokens.issue
            return issue(world.account(name), description="", expires_at=None, read_only=read_only)[0]

        makers: dict[str, Callable[[], str | None]] = {
            "nobody": lambda: None,
            "wrong": lambda: "orgsvc_nothing",
            "stranger": lambda: account("Eve"),
            "member": lambda: account("Bob"),
            "admin": lambda: account("Ada"),
            "reader": lambda: account("Ada", read_only=True),
            "member token": lambda: secret_of_user(world, "Bob", it.users["Bob"]),
            "admin token": lambda: secret_of_user(world, "Ada", it.users["Ada"]),
            "elsewhere": lambda: secret_of_user(world, "Ada", party(world, "Ada", name="Elsewhere").users["Ada"]),
            "key": lambda: self.key(),
            "key elsewhere": lambda: self.key(only=(party(world, "Ada", name="Elsewhere").id,)),
        }
        return makers[caller]()

    def session(self, name: str) -> dict[str, str]:
        """Give what the browser of a person who has signed in sends from any page."""
        secret = self.world.service.sessions.start(self.world.account(name)).secret
        return {"cookie": f"{SESSION_COOKIE}={secret}"}

    def request(self, row: Row, scene: Scene, protocol: str = CONNECT_JSON) -> Callable[..., Answer]:
        """Make the request of an operation, which may then be sent with a token or other headers.

        The protocol is that of an RPC; the plain HTTP faces have only their own.
        """
        if row.operation in RPCS:
            message = RPCS[row.operation](scene)
            return lambda token=None, **headers: self.call(row, message, token, protocol, headers=headers)
        line, body = (make(scene) for make in ROUTES[row.operation])
        method, _, target = line.partition(" ")
        path, _, query = target.partition("?")
        content = b"" if body is None else json.dumps(body).encode()

        def send(token: str | None = None, **headers: str) -> Answer:
            credentials = {} if token is None else {"authorization": f"Bearer {token}"}
            # Clerk's errors have the request's id in their body.
            sent = {"x-request-id": "one"} | credentials | headers
            return self.wire.http(path, content, sent, http_method=method, query=query)

        return send

    def call(
        self, row: Row, message: dict[str, Any], token: str | None, protocol: str = CONNECT_JSON, **options: Any
    ) -> Answer:
        return self.wire.call(protocol, row.operation.partition(" ")[0], message, token=token, **options)

    def send(self, row: Row, scene: Scene, token: str | None) -> Answer:
        return self.request(row, scene)(token)

    def reason(self, answer: Answer) -> str:
        """Give the reason that the service itself noted for the request just sent."""
        refused = self.reasons[-1]
        assert bool(refused) is (answer.status >= 300 or answer.code != "ok"), answer
        return refused


@pytest.fixture(scope="module")
def court(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Court]:
    clock = GivenClock()
    store = SqliteStore(tmp_path_factory.mktemp("court") / "organizations.db", clock)
    store._writer_db.execute("PRAGMA synchronous = OFF")
    world = World(build_service(store, SecretKeys([KEY]), clock=clock), clock)
    for name in ("One", "Two"):
        # Nobody is in exactly one organization, which would then be theirs without being named.
        party(world, "Ada", "Bob", "Cora", "Eve", name=f"{name} of all")
    reasons: list[str] = []

    class Listener(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            reasons.append(record.reason)  # type: ignore[attr-defined]

    access, listener = logging.getLogger("organization_service.access"), Listener()
    level = access.level
    access.setLevel(logging.INFO)
    access.addHandler(listener)
    yield Court(world, Wire(build_edge(world.service, sends_mail=True)), reasons)
    access.removeHandler(listener)
    access.setLevel(level)
    store.close()


def _name(reason: Reason | None) -> str:
    return "" if reason is None else reason.name


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
    assert {row.operation for row in ROWS if row.operation in ROUTES} == routes
    assert len({row.operation for row in ROWS}) == len(ROWS)
    assert {row.operation for row in ROWS} == RPCS.keys() | ROUTES.keys()


@pytest.mark.parametrize("caller", CALLERS)
@_BY_OPERATION
def test_a_caller_is_answered_as_the_table_says(court: Court, row: Row, caller: str) -> None:
    scene = court.scene()
    answer = court.send(row, scene, court.token(caller, scene))
    assert court.reason(answer) == _name(row.answers[caller])


@pytest.mark.parametrize("protocol", [protocol for protocol in PROTOCOLS if protocol != CONNECT_JSON])
@pytest.mark.parametrize("row", [row for row in ROWS if row.operation in RPCS], ids=lambda row: row.operation)
def test_the_other_protocols_answer_alike(court: Court, row: Row, protocol: str) -> None:
    for caller in ("nobody", "stranger", "member", "admin"):
        scene = court.scene()
        answer = court.call(row, RPCS[row.operation](scene), court.token(caller, scene), protocol)
        assert court.reason(answer) == answer.reason == _name(row.answers[caller]), caller


@_BY_OPERATION
def test_a_backend_key_needs_each_of_its_scopes(court: Court, row: Row) -> None:
    for scope in Scope:
        scene = court.scene()
        answer = court.send(row, scene, court.key(*(other for other in Scope if other is not scope)))
        expected = SCOPE_MISSING if scope in row.scopes else row.answers["key"]
        assert court.reason(answer) == _name(expected), scope


@_BY_OPERATION
@pytest.mark.parametrize(("name", "caller"), [("Ada", "admin"), ("Bob", "member"), ("Eve", "stranger")])
def test_a_session_may_what_the_account_may_in_pages_of_ours_and_nothing_else(
    court: Court, row: Row, name: str, caller: str
) -> None:
    """The plain HTTP faces are for backends: they never look at a cookie."""
    cookie = court.session(name)
    ours = court.reason(court.request(row, court.scene())(**cookie, **{"x-session": "cookie"}))
    if row.answers["nobody"] is SAME_ORIGIN_REQUIRED:
        # For pages alone; no way to sign in is set up here.
        assert ours in ("", SIGN_IN_UNAVAILABLE.name)
    else:
        assert ours == _name(row.answers[caller if row.operation in RPCS else "nobody"])
    foreign = court.request(row, court.scene())(**cookie)
    assert court.reason(foreign) == _name(row.answers["nobody"])


@_BY_OPERATION
def test_who_may_not_know_of_an_organization_is_told_nothing_of_it(court: Court, row: Row) -> None:
    for caller in ("nobody", "wrong", "stranger", "elsewhere", "key elsewhere"):
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
    for caller in ("nobody", "stranger", "elsewhere", "key elsewhere"):
        refused = row.answers[caller] is not None
        if (caller == "stranger" and row.operation in ADDRESSED) or not (refused or _holds_secret(row)):
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
