"""The table of who may what at a real server, by the network, on each engine.

A part of the cells is tried at every change; with the tests that take longer all are, each on one of the engines.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from functools import cache

import pytest

from tests.faces.wire import PROTOCOLS
from tests.postgres.cluster import Cluster
from tests.rights.acts import RPCS
from tests.rights.court import PEOPLE, Court, expected_in_session, name_of
from tests.rights.outside import court_outside
from tests.rights.table import CALLERS, ROWS, WRONG, Row

ENGINES = ("sqlite", "postgres")


Courts = Callable[[str], Court]


@pytest.fixture(scope="module")
def courts(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Courts]:
    """Give the court on an engine, made when it is first asked for."""

    @cache
    def court(engine: str) -> Court:
        if engine == "postgres":
            cluster: Cluster = request.getfixturevalue("postgres")
            return opened.enter_context(court_outside(cluster.create_database("rights")))
        url = f"sqlite:///{tmp_path_factory.mktemp('rights') / 'organizations.db'}"
        return opened.enter_context(court_outside(url))

    with ExitStack() as opened:
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


@pytest.mark.parametrize(("engine", "row", "caller", "protocol"), list(_cells()))
def test_a_caller_is_answered_as_the_table_says(
    courts: Courts, engine: str, row: Row, caller: str, protocol: str
) -> None:
    court = courts(engine)
    scene = court.scene()
    answer = court.request(row, scene, protocol)(court.token(caller, scene))
    assert court.reason(answer) == name_of(row.answers[caller])


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("kind", WRONG)
def test_a_token_that_opens_nothing_opens_nothing_here(courts: Courts, engine: str, kind: str) -> None:
    court = courts(engine)
    scene = court.scene()
    for row in ROWS[WRONG.index(kind) :: len(WRONG)]:
        for protocol in court.protocols(row):
            answer = court.request(row, scene, protocol)(court.opening_nothing[kind])
            assert court.reason(answer) == name_of(row.answers["wrong"]), (row.operation, protocol)


def _some_of(court: Court, rows: Sequence[Row], caller: str) -> Iterator[tuple[Row, str]]:
    """Give each seventh row, other ones for each caller, and the protocols in turn."""
    for number, row in enumerate(rows[list(PEOPLE).index(caller) :: 7]):
        protocols = court.protocols(row)
        yield row, protocols[number % len(protocols)]


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("caller", PEOPLE)
def test_a_jwt_of_the_issuer_may_what_a_token_of_the_account_may(courts: Courts, engine: str, caller: str) -> None:
    court = courts(engine)
    for row, protocol in _some_of(court, ROWS, caller):
        answer = court.request(row, court.scene(), protocol)(court.world.jwt(PEOPLE[caller]))
        assert court.reason(answer) == name_of(row.answers[caller]), (row.operation, protocol)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("caller", PEOPLE)
def test_a_session_may_what_the_account_may_in_pages_of_ours_alone(courts: Courts, engine: str, caller: str) -> None:
    court = courts(engine)
    for row, protocol in _some_of(court, [row for row in ROWS if row.operation in RPCS], caller):
        answers = court.in_session(row, caller, protocol)
        assert answers == expected_in_session(row, caller), (row.operation, protocol)
