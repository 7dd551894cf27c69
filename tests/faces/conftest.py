"""The whole service behind its edge, without sockets."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from server.domain.secrets import SecretKeys
from server.main import build_service
from server.store.sqlite import SqliteStore
from server.wires import build_edge
from tests.conftest import KEY, GivenClock, World
from tests.faces.wire import Wire
from tests.stories.people import Party, party, secret_of_user


@dataclass
class Stage:
    """An organization of Ada's with Bob in it, and tokens to call with."""

    world: World
    wire: Wire
    it: Party

    def token(self, name: str, *, read_only: bool = False) -> str:
        """Give a token of a person's account."""
        return self.world.service.tokens.issue(
            self.world.account(name), description="", expires_at=None, read_only=read_only
        )[0]

    def user_token(self, name: str, it: Party | None = None, *, read_only: bool = False) -> str:
        """Give a token of a person's user in the organization."""
        return secret_of_user(self.world, name, (it or self.it).users[name], read_only=read_only)


@pytest.fixture(scope="module")
def standing_stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """One stage for all tests of a module: for calls that change nothing."""
    clock = GivenClock()
    kept = SqliteStore(tmp_path_factory.mktemp("stage") / "organizations.db", clock)
    kept._writer_db.execute("PRAGMA synchronous = OFF")
    world = World(build_service(kept, SecretKeys([KEY]), clock=clock), clock)
    yield Stage(world, Wire(build_edge(world.service)), party(world, "Ada", "Bob"))
    kept.close()


@pytest.fixture
def wire(world: World) -> Wire:
    return Wire(build_edge(world.service))


@pytest.fixture
def stage(world: World, wire: Wire) -> Stage:
    return Stage(world, wire, party(world, "Ada", "Bob"))
