"""Every cell of the table of who may what, tried on every face."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from server.domain.account import Scope
from server.domain.errors import SCOPE_MISSING, Reason
from server.domain.secrets import SecretKeys
from server.faces.rest import RestFace
from server.faces.spelling import clerk_id, logto_id
from server.main import build_edge, build_service
from server.store.sqlite import SqliteStore
from tests.conftest import KEY, GivenClock, World
from tests.faces.wire import CONNECT_JSON, PROTOCOLS, Answer, Wire
from tests.rights.acts import ROUTES, RPCS, Scene
from tests.rights.table import ADDRESSED, CALLERS, ROWS, SECRET_HELD, Row
from tests.running import ROOT
from tests.stories.people import party, secret_of_user


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

    def send(self, row: Row, scene: Scene, token: str | None, protocol: str = CONNECT_JSON) -> Answer:
        if row.operation in RPCS:
            name = row.operation.partition(" ")[0]
            return self.wire.call(protocol, name, RPCS[row.operation](scene), token=token)
        line, body = (make(scene) for make in ROUTES[row.operation])
        method, _, target = line.partition(" ")
        path, _, query = target.partition("?")
        headers = {} if token is None else {"authorization": f"Bearer {token}"}
        content = b"" if body is None else json.dumps(body).encode()
        return self.wire.http(path, content, headers, http_method=method, query=query)

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
        answer = court.send(row, scene, court.token(caller, scene), protocol)
        assert court.reason(answer) == answer.reason == _name(row.answers[caller]), caller


@_BY_OPERATION
def test_a_backend_key_needs_each_of_its_scopes(court: Court, row: Row) -> None:
    for scope in Scope:
        scene = court.scene()
        answer = court.send(row, scene, court.key(*(other for other in Scope if other is not scope)))
        expected = SCOPE_MISSING if scope in row.scopes else row.answers["key"]
        assert court.reason(answer) == _name(expected), scope


@_BY_OPERATION
def test_who_may_not_know_of_an_organization_is_told_nothing_of_it(court: Court, row: Row) -> None:
    for caller in ("nobody", "wrong", "stranger", "elsewhere", "key elsewhere"):
        scene = court.scene()
        told = court.send(row, scene, court.token(caller, scene)).body.decode()
        spellings = (scene.it.id, clerk_id("org", scene.it.id), logto_id(scene.it.id))
        knows = row.operation.partition(" ")[0] in SECRET_HELD or (caller == "stranger" and row.operation in ADDRESSED)
        if not knows:
            assert not [spelling for spelling in spellings if spelling in told], caller


def test_the_page_in_docs_is_fresh() -> None:
    done = subprocess.run([sys.executable, "tools/rights_page.py", "--check"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
