"""gRPC's health protocol."""

from __future__ import annotations

from dataclasses import replace

import pytest

from server.domain.errors import STORE_UNAVAILABLE, ServiceError
from server.wires import build_edge
from tests.faces.conftest import Stage
from tests.faces.refusals import FaultyStore
from tests.faces.wire import CONNECT_JSON, PROTOCOLS, Wire


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_every_service_serves_while_the_store_does(standing_stage: Stage, protocol: str) -> None:
    services = {path.split("/")[0] for path in standing_stage.wire.methods} - {"grpc.health.v1.Health"}
    for service in ("", *services):
        answer = standing_stage.wire.call(protocol, "grpc.health.v1.Health/Check", {"service": service})
        assert standing_stage.wire.message("Check", answer).status.name == "SERVING"
    listed = standing_stage.wire.ask("grpc.health.v1.Health/List")
    assert {name: each["status"] for name, each in listed["statuses"].items()} == dict.fromkeys(
        ("", *services), "SERVING"
    )


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_without_its_store_nothing_serves(standing_stage: Stage, protocol: str) -> None:
    down = FaultyStore(ServiceError(STORE_UNAVAILABLE))
    wire = Wire(build_edge(replace(standing_stage.world.service, store=down)))
    answer = wire.call(protocol, "grpc.health.v1.Health/Check", {})
    assert wire.message("Check", answer).status.name == "NOT_SERVING"


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_service_that_is_not_ours_is_not_found(standing_stage: Stage, protocol: str) -> None:
    answer = standing_stage.wire.call(protocol, "grpc.health.v1.Health/Check", {"service": "example.v9.Unknown"})
    assert (answer.code, answer.reason) == ("not_found", "SERVICE_UNKNOWN")


def test_watching_is_left_to_asking_again(standing_stage: Stage) -> None:
    answer = standing_stage.wire.http(
        "/grpc.health.v1.Health/Watch", b"\0\0\0\0\0", {"content-type": "application/grpc+proto"}
    )
    assert answer.trailers["grpc-status"] == "12"
    assert standing_stage.wire.call(CONNECT_JSON, "grpc.health.v1.Health/Check").status == 200
