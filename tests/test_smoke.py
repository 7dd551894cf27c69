"""The shortest way through the whole: in process, and over HTTP."""

import httpx

from tests.conftest import World
from tests.running import RunningServer


def test_a_second_person_joins_by_the_link(world: World) -> None:
    organization, _ = world.service.organizations.create(world.call("Ada"), "Acme")
    invite = world.service.links.create(world.call("Ada"), organization.id)
    member = world.service.organizations.join_by_invite(world.call("Bob"), invite)
    assert world.service.links.summary(world.call("Bob"), invite).member_count == 2
    assert world.service.organizations.join_by_invite(world.call("Bob"), invite) == member


def test_the_server_answers_over_http(server: RunningServer) -> None:
    assert httpx.get(f"{server.url}/readyz").json() == {"status": "ready"}
