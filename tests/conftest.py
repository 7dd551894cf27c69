"""What many tests share: the use cases on a fresh store under a given clock, and the real server."""

from __future__ import annotations

import os
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from server.domain.account import Account, Caller
from server.domain.secrets import SecretKeys
from server.main import Service, build_service, invitation_policy
from server.ports import Store
from server.service.call import Call
from server.settings import Settings
from server.store.postgres import PostgresStore
from server.store.sqlite import SqliteStore
from tests.postgres.cluster import Cluster
from tests.running import RunningServer, running_server

_skipped: list[str] = []

_RUN_BY = {"faults": "make test-faults", "slow": "make test-slow"}
"""What runs the tests of each mark that others leave out; one that has both is of the first."""

_left_out: Counter[str] = Counter()


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """Have half as many more tests run as there are cores: a third of their time they wait for servers and browsers."""
    return len(os.sched_getaffinity(0)) * 3 // 2 if hasattr(os, "sched_getaffinity") else (os.cpu_count() or 2)


def pytest_deselected(items: Sequence[pytest.Item]) -> None:
    """Count what is left out by its mark, unless somebody chose tests by their names."""
    for item in items if not items[0].config.option.keyword else ():
        _left_out.update([mark for mark in _RUN_BY if item.get_closest_marker(mark)][:1])


def pytest_testnodedown(node: Any) -> None:
    """Take over what a worker left out: each sees all tests, and the process that started them sees none."""
    _left_out.update(Counter(getattr(node, "workeroutput", {}).get("left out", {})) - _left_out)


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if report.skipped and not hasattr(report, "wasxfail"):
        _skipped.append(report.nodeid)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Fail a run of CI in which a test was skipped: what CI doesn't show isn't shown."""
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["left out"] = dict(_left_out)
    if os.environ.get("CI") and _skipped and not hasattr(session.config, "workerinput"):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
        print(f"\nCI skips no test, and these were skipped: {', '.join(_skipped)}")


@pytest.fixture
def figure(request: pytest.FixtureRequest) -> Callable[[str], None]:
    """Have something that was measured printed at the end of the run."""
    return lambda text: request.node.user_properties.append(("figure", text))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    figures = [text for report in terminalreporter.getreports("passed") for _, text in report.user_properties]
    for text in dict.fromkeys(figures):
        terminalreporter.write_line(text)
    for mark, count in sorted(_left_out.items()):
        terminalreporter.write_line(f"{count} tests marked `{mark}` weren't run, since they take long: {_RUN_BY[mark]}")


KEY = b"a key for tests of thirty-two bytes"


@dataclass
class GivenClock:
    """A clock that stands still until it is moved."""

    now: datetime = field(default_factory=lambda: datetime(2030, 1, 1, 12, tzinfo=UTC))

    def __call__(self) -> datetime:
        return self.now

    def forward(self, span: timedelta) -> None:
        self.now += span


@dataclass
class World:
    """The service in process, with people to call it as."""

    service: Service
    clock: GivenClock

    def account(self, name: str) -> Account:
        return self.service.authentication.local_account(f"{name.lower()}@example.com", name)

    def call(self, name: str) -> Call:
        """A call by a person, whose account is made when there is none."""
        return Call(Caller(self.account(name)))


@pytest.fixture
def clock() -> GivenClock:
    return GivenClock()


@pytest.fixture(scope="session")
def postgres() -> Iterator[Cluster]:
    """One PostgreSQL for all tests of a worker that don't do it harm."""
    with Cluster() as cluster:
        yield cluster


@pytest.fixture(scope="session")
def emptied_database(postgres: Cluster) -> Iterator[Callable[[], str]]:
    with postgres.emptied_database() as emptied:
        yield emptied


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Have the stories, and the faces that tell them, on every engine; at every change the stories are enough."""
    rooms = {"stories", "faces"} & set(metafunc.definition.path.parts)
    if "engine" in metafunc.fixturenames and rooms:
        postgres = pytest.param("postgres", marks=[pytest.mark.slow] if "faces" in rooms else [])
        metafunc.parametrize("engine", ["sqlite", postgres], indirect=True)


@pytest.fixture
def engine(request: pytest.FixtureRequest) -> str:
    """Name of the engine that keeps the test's store."""
    name: str = getattr(request, "param", "sqlite")
    return name


@pytest.fixture
def store(engine: str, tmp_path: Path, clock: GivenClock, request: pytest.FixtureRequest) -> Iterator[Store]:
    store: Store
    if engine == "postgres":
        store = PostgresStore(request.getfixturevalue("emptied_database")(), clock)
    else:
        store = SqliteStore(tmp_path / "organizations.db", clock)
    yield store
    store.close()


@pytest.fixture
def world(store: Store, clock: GivenClock) -> World:
    """The service as it is set up by default."""
    policy = invitation_policy(Settings())
    ids = lambda: str(uuid.uuid4())  # noqa: E731
    return World(build_service(store, SecretKeys([KEY]), clock=clock, ids=ids, policy=policy), clock)


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """One real server for all tests of a worker that don't configure their own."""
    with running_server(tmp_path_factory.mktemp("server")) as running:
        yield running
