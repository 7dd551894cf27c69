"""PgBouncer in transaction mode stands between: two servers share fewer connections than they have callers."""

from __future__ import annotations

import itertools
import os
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import psycopg
import pytest

from tests.faults.histories import at_once, race_join_and_regenerate, race_last_admins
from tests.postgres.cluster import USER, Cluster, unprivileged, unprivileged_directory
from tests.postgres.people import SOONER_SECONDS, Answer, invite_of, people
from tests.postgres.test_two_servers import Pair, two_servers
from tests.running import free_port, wait_until

PROGRAM = shutil.which("pgbouncer", path=os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin"]))
SERVER_CONNECTIONS = 3

pytestmark = pytest.mark.skipif(
    PROGRAM is None and not os.environ.get("CI"), reason="PgBouncer is missing: apt-get install pgbouncer"
)


class Bouncer:
    """A PgBouncer before a cluster; as a context manager, from its start to its end."""

    def __init__(self, cluster: Cluster) -> None:
        self._home = unprivileged_directory()
        self._process: subprocess.Popen[bytes] | None = None
        self.port = free_port()
        self._write(
            "pgbouncer.ini",
            f"""
            [databases]
            * = host=127.0.0.1 port={cluster.port} user={USER}
            [pgbouncer]
            listen_addr = 127.0.0.1
            listen_port = {self.port}
            unix_socket_dir =
            auth_type = any
            admin_users = {USER}
            pool_mode = transaction
            default_pool_size = {SERVER_CONNECTIONS}
            max_client_conn = 200
            server_login_retry = 1
            """,
        )

    def _write(self, name: str, content: str) -> Path:
        path = self._home / name
        path.write_text("\n".join(line.strip() for line in content.splitlines()))
        path.chmod(0o644)
        return path

    def __enter__(self) -> Bouncer:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        # Clients that are still there would keep it from ending in order.
        self.stop(signal.SIGKILL)
        shutil.rmtree(self._home)

    def start(self) -> None:
        assert PROGRAM is not None, "CI needs PgBouncer: apt-get install pgbouncer"
        command = unprivileged(PROGRAM, "-q", self._home / "pgbouncer.ini")
        with (self._home / "log").open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, cwd="/")
        wait_until(self._is_there)

    def _is_there(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, (self._home / "log").read_text()
        try:
            self.command("SHOW VERSION")
        except psycopg.OperationalError:
            return False
        return True

    def stop(self, number: int = signal.SIGQUIT) -> None:
        """Stop at once, throwing clients out."""
        if self._process is not None:
            self._process.send_signal(number)
            try:
                self._process.wait(15)
            except subprocess.TimeoutExpired:
                # It waits for clients that we threw out; what is asked of it here is to be gone.
                self._process.kill()
                self._process.wait(15)
            self._process = None

    def url(self, database: str) -> str:
        return f"postgresql://{USER}@127.0.0.1:{self.port}/{database}"

    def command(self, text: str) -> list[tuple[object, ...]]:
        """Give the console a command."""
        console = psycopg.connect(self.url("pgbouncer"), autocommit=True, cursor_factory=psycopg.ClientCursor)
        with console:
            cursor = console.execute(text.encode())
            return cursor.fetchall() if cursor.description else []


@dataclass
class Scene:
    bouncer: Bouncer
    cluster: Cluster
    pair: Pair


@pytest.fixture(scope="module")
def scene(postgres: Cluster) -> Iterator[Scene]:
    postgres.create_database("bounced")
    with Bouncer(postgres) as bouncer, two_servers(bouncer.url("bounced")) as pair:
        yield Scene(bouncer, postgres, pair)


@pytest.mark.slow
def test_64_callers_by_few_connections_find_one_live_link_and_an_admin(scene: Scene) -> None:
    assert race_join_and_regenerate(scene.pair.door, admins=8, joiners=56, rounds=2, seed=5) == []
    assert race_last_admins(scene.pair.door, rounds=4, seed=5) == []
    by_us = "SELECT count(*) FROM pg_stat_activity WHERE datname = 'bounced'"
    assert int(str(scene.cluster.execute(by_us)[0][0])) <= SERVER_CONNECTIONS


def test_what_one_transaction_set_is_not_there_for_the_next(scene: Scene) -> None:
    (ada,) = people(scene.pair.service, scene.pair.clients, 1)
    organization = ada.create_organization()
    assert ada.invite(organization, "bob@example.com", connect_timeout_ms="25000").ok
    with psycopg.connect(scene.bouncer.url("bounced"), autocommit=True, prepare_threshold=None) as connection:
        for _ in range(2 * SERVER_CONNECTIONS):
            changed = "SELECT name FROM pg_settings WHERE source = 'session' AND name LIKE '%timeout'"
            assert connection.execute(changed.encode()).fetchall() == []
            assert connection.execute("SELECT * FROM pg_prepared_statements").fetchall() == []


def test_a_pooler_that_has_no_server_for_us_is_waited_for_until_the_deadline(scene: Scene) -> None:
    ada, bob = people(scene.pair.service, scene.pair.clients, 2)
    organization = ada.create_organization()
    link = invite_of(ada.regenerate(organization))
    with paused(scene.bouncer):
        answer = bob.join(link, connect_timeout_ms="700")
    assert answer.code == "deadline_exceeded", answer
    assert answer.seconds < SOONER_SECONDS
    assert bob.join(link).ok


@contextmanager
def paused(bouncer: Bouncer) -> Iterator[None]:
    bouncer.command("PAUSE bounced")
    try:
        yield
    finally:
        bouncer.command("RESUME bounced")


def kill_the_pooler(scene: Scene) -> None:
    scene.bouncer.stop(signal.SIGKILL)
    time.sleep(0.3)
    scene.bouncer.start()


def cut_its_servers(scene: Scene) -> None:
    scene.cluster.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'bounced'")


@pytest.mark.slow
@pytest.mark.parametrize(("harm", "times"), [(kill_the_pooler, 2), (cut_its_servers, 8)])
def test_connections_lost_on_either_side_of_the_pooler_cost_no_acknowledged_write(
    scene: Scene, harm: Callable[[Scene], None], times: int
) -> None:
    (ada,) = people(scene.pair.service, scene.pair.clients, 1)
    organization = ada.create_organization()
    answers: list[Answer] = []
    ended = threading.Event()

    def invite_again_and_again(number: int) -> None:
        for turn in itertools.count():
            if ended.is_set():
                return
            answers.append(ada.invite(organization, f"invited{number}-{turn}@example.com"))

    def count_acknowledged() -> int:
        return sum(answer.ok for answer in answers)

    def do_harm() -> None:
        try:
            for _ in range(times):
                time.sleep(1.5 / times)
                harm(scene)
            before = count_acknowledged()
            wait_until(lambda: count_acknowledged() > before + 16, 60)
        finally:
            ended.set()

    at_once([*(partial(invite_again_and_again, number) for number in range(16)), do_harm])
    assert {answer.reason for answer in answers} <= {"", "STORE_UNAVAILABLE", "OUTCOME_UNKNOWN"}
    acknowledged = {answer.content["invitation"]["id"] for answer in answers if answer.ok}
    in_doubt = sum(answer.reason == "OUTCOME_UNKNOWN" for answer in answers)
    rows = scene.cluster.execute(f"SELECT id FROM invitations WHERE organization_id = '{organization}'", "bounced")
    kept = {row[0] for row in rows}
    assert acknowledged <= kept
    assert len(kept - acknowledged) <= in_doubt
    assert len(acknowledged) > 16
