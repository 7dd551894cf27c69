"""The shortest way through the whole: in process, and over HTTP."""

import os
import sys
from pathlib import Path

import httpx
import pytest

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


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has this policy")
def test_threads_of_the_server_run_on_until_they_wait(server: RunningServer) -> None:
    started = server.process.pid
    (envoy,) = Path(f"/proc/{started}/task/{started}/children").read_text().split()
    assert os.sched_getscheduler(int(envoy)) == os.SCHED_BATCH
    assert os.sched_getscheduler(started) == os.SCHED_OTHER
