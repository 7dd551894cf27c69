"""The table of who may what at a real server, by the network, on each engine.

A part of the cells is tried at every change; with the tests that take longer all are, each on one of the engines.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.faces.wire import PROTOCOLS
from tests.postgres.cluster import Cluster
from tests.rights.acts import RPCS
from tests.rights.court import Court, name_of
from tests.rights.outside import court_outside
from tests.rights.table import CALLERS, ROWS, WRONG, Row

ENGINES = ("sqlite", "postgres")


@pytest.fixture(scope="module", params=ENGINES)
def court(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Court]:
    if request.param == "postgres":
        cluster: Cluster = request.getfixturevalue("postgres")
        url = cluster.create_database("rights")
    else:
        url = f"sqlite:///{tmp_path_factory.mktemp('rights') / 'organizations.db'}"
    with court_outside(url) as court:
        yield court


def _cells() -> Iterator[object]:
    """Each cell in one of the protocols, so that each caller and each operation comes in all; of each row one now.

    Those of now are tried on both engines, the others on one, so that each row comes on both.
    """
    for number, row in enumerate(ROWS):
        for place, caller in enumerate(CALLERS):
            protocol = PROTOCOLS[(number // 3 + place) % len(PROTOCOLS)]
            now = place == number % len(CALLERS)
            marks = [] if now else [pytest.mark.slow]
            name = f"{row.operation}-{caller}-{protocol if row.operation in RPCS else 'http'}"
            for engine in ENGINES if now else (ENGINES[(number + place) % 2],):
                yield pytest.param(engine, row, caller, protocol, marks=marks, id=f"{engine}-{name}")


@pytest.mark.parametrize(("court", "row", "caller", "protocol"), list(_cells()), indirect=["court"])
def test_a_caller_is_answered_as_the_table_says(court: Court, row: Row, caller: str, protocol: str) -> None:
    scene = court.scene()
    answer = court.request(row, scene, protocol)(court.token(caller, scene))
    assert court.reason(answer) == name_of(row.answers[caller])


@pytest.mark.parametrize("kind", WRONG)
def test_a_token_that_opens_nothing_opens_nothing_here(court: Court, kind: str) -> None:
    scene = court.scene()
    for row in ROWS[WRONG.index(kind) :: len(WRONG)]:
        answer = court.request(row, scene)(court.opening_nothing[kind])
        assert court.reason(answer) == name_of(row.answers["wrong"]), row.operation


@pytest.mark.parametrize(("name", "caller"), [("Eve", "stranger"), ("Bob", "member"), ("Ada", "admin")])
def test_a_jwt_of_the_issuer_may_what_a_token_of_the_account_may(court: Court, name: str, caller: str) -> None:
    for row in ROWS[list(CALLERS).index(caller) :: 7]:
        answer = court.request(row, court.scene())(court.world.jwt(name))
        assert court.reason(answer) == name_of(row.answers[caller]), row.operation
