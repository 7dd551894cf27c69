"""grpcio with the stubs that other services import: cleartext HTTP/2, one channel for many calls."""

import json
import sys
from collections.abc import Callable

import httpx
import pytest

from server.main import Service
from tests.running import ROOT, RunningServer, wait_until
from tests.sdk.conftest import Run, Someone


@pytest.fixture
def calls(run: Run) -> Run:
    """Run a function of grpcio_calls.py in a process in which the stubs are found and warnings are errors."""

    def calls(name: str, **environ: str) -> str:
        stubs = {"PYTHONPATH": str(ROOT / "gen/grpcio"), "PYTHONWARNINGS": "error"}
        return run(sys.executable, "grpcio_calls.py", name, **stubs, **environ)

    return calls


def test_an_organization_lives_its_whole_life(calls: Run) -> None:
    assert "nothing of it is left" in calls("life")


def test_an_organization_lives_its_whole_life_in_compressed_calls(calls: Run) -> None:
    assert "nothing of it is left" in calls("life_compressed")


def test_a_call_ends_at_its_deadline(calls: Run) -> None:
    calls("deadlines")


def test_what_a_deadline_ends_changes_nothing(
    calls: Run, service: Service, someone: Callable[[str], Someone], server: RunningServer
) -> None:
    ada = someone("Ada")
    with service.store.transaction():  # which makes the server wait
        calls("deadline_while_busy", ADA_TOKEN=ada.token, BOB_TOKEN="")
        wait_until(lambda: "too-late" in server.log)

    (line,) = [json.loads(line) for line in server.log.splitlines() if "too-late" in line]
    assert line["code"] == "deadline_exceeded"
    assert service.organizations.list_own(ada.call) == []


def test_an_error_tells_its_reason_and_every_wrong_field(calls: Run) -> None:
    calls("details")


def test_what_is_not_declared_is_unimplemented(calls: Run) -> None:
    calls("undeclared")


@pytest.mark.slow
def test_one_channel_carries_ten_thousand_calls(calls: Run) -> None:
    assert "10000 calls" in calls("many_calls")


def test_health_is_known_of_the_server_and_of_each_service(calls: Run, server: RunningServer) -> None:
    calls("health")

    assert httpx.get(f"{server.url}/healthz").json() == {"status": "ok"}
    assert httpx.get(f"{server.url}/readyz").json() == {"status": "ready"}
