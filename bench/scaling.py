"""Measures what one more process and the other engine bring, and what a row takes: the numbers of docs/scaling.md.

    python bench/scaling.py --organizations 100000 --seconds 10

Each measurement runs the real server, on a SQLite file or a PostgreSQL of our own with fsync, and a process that calls
it over HTTP by JSON. Requests a second say what this machine did at that moment; processor time for each request holds
on others too, and on a busy one.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import socket
import subprocess
import sys
import tempfile
import threading
import time
import uuid
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from server.domain.account import Account  # noqa: E402
from server.domain.secrets import SecretKeys  # noqa: E402
from server.main import build_service, open_store, utc_now  # noqa: E402
from server.settings import Settings  # noqa: E402
from server.store.backup import back_up  # noqa: E402
from server.store.copying import PostgresEnd, SqliteEnd, copy, tables  # noqa: E402
from tests.data.filling import fill_large  # noqa: E402
from tests.postgres.cluster import Cluster  # noqa: E402
from tests.running import RunningServer  # noqa: E402

KEY = "a key for measuring of thirty-two bytes or more"
CALLERS = 50
EACH = 5
"""Members of an organization."""

READ, WRITE = "GetOrganization", "CreateOrganizationInvite"
TICKS = os.sysconf("SC_CLK_TCK")


def callers(url: str) -> list[tuple[str, str]]:
    """Make tokens of some accounts, each with the organization that it administers."""
    store = open_store(Settings(database_url=url))
    service = build_service(store, SecretKeys([KEY.encode()]))
    found = []
    end = PostgresEnd(url) if url.startswith("postgresql") else SqliteEnd(Settings(database_url=url).sqlite_path)
    with closing(end):
        rows = end.execute(
            f"SELECT account_id, organization_id FROM members WHERE role = 'admin' ORDER BY user_id LIMIT {CALLERS}"
        ).fetchall()
    for account_id, organization_id in rows:
        with store.snapshot() as tx:
            account = tx.account(account_id)
        assert isinstance(account, Account)
        secret, _ = service.tokens.issue(account, description="bench", expires_at=None)
        found.append((secret, organization_id))
    store.close()
    return found


def load(url: str, method: str, seconds: float, connections: int, known: list[tuple[str, str]]) -> None:
    """Call a method on some connections for a while, and print how it went; a process of its own."""
    host, port = urlsplit(url).hostname, urlsplit(url).port
    assert host is not None
    assert port is not None
    requests = []
    for token, organization_id in known:
        body = json.dumps({"organizationId": organization_id}).encode()
        head = (
            f"POST /gitpod.v1.OrganizationService/{method} HTTP/1.1\r\nhost: {host}\r\ncontent-length: {len(body)}\r\n"
            f"authorization: Bearer {token}\r\ncontent-type: application/json\r\n\r\n"
        )
        requests.append(head.encode() + body)
    times: list[list[float]] = [[] for _ in range(connections)]
    used = time.process_time()
    until = time.monotonic() + seconds

    def run(mine: list[float]) -> None:
        with socket.create_connection((host, port), 30) as connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            while time.monotonic() < until:
                began = time.monotonic()
                connection.sendall(random.choice(requests))
                answer = connection.recv(65536)
                while b"\r\n\r\n" not in answer:
                    answer += connection.recv(65536)
                assert answer.startswith(b"HTTP/1.1 200"), answer
                while not answer.endswith(b"\r\n0\r\n\r\n"):  # Envoy answers in chunks
                    answer += connection.recv(65536)
                mine.append(time.monotonic() - began)

    threads = [threading.Thread(target=run, args=(mine,)) for mine in times]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print(json.dumps({"times": sorted(t for mine in times for t in mine), "cpu": time.process_time() - used}))


def processor_seconds(first: int) -> float:
    """Give the processor time that a process and its descendants have used."""
    total, known = 0.0, {first}
    parents = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                fields = Path(f"/proc/{name}/stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            parents[int(name)] = (int(fields[1]), sum(int(field) for field in fields[11:15]) / TICKS)
    grown = True
    while grown:
        more = {pid for pid, (parent, _) in parents.items() if parent in known} - known
        known |= more
        grown = bool(more)
    for pid in known & parents.keys():
        total += parents[pid][1]
    return total


def measure(name: str, url: str, workers: int, seconds: float, cluster: Cluster | None) -> None:
    """Run servers on a database, and print what reads and writes did."""
    known = callers(url)
    server = RunningServer(url, "--workers", str(workers), "--log-level", "error", environ={"SECRET_KEY": KEY})
    try:
        for method, connections, organizations in (
            (READ, 16, CALLERS),
            (WRITE, 16, CALLERS),
            (WRITE, 16, 1),
            (WRITE, 1, CALLERS),
        ):
            arguments = [sys.executable, __file__, "--load", server.url, "--method", method]
            arguments += ["--connections", str(connections)]
            for length in (1.0, seconds):  # the first to warm up
                database = sum(map(processor_seconds, cluster.processes()[:1])) if cluster else 0.0
                service = processor_seconds(server.process.pid)
                done = subprocess.run(
                    [*arguments, "--seconds", str(length)],
                    input=json.dumps(known[:organizations]),
                    text=True,
                    stdout=subprocess.PIPE,
                    check=True,
                )
                service = processor_seconds(server.process.pid) - service
                database = (sum(map(processor_seconds, cluster.processes()[:1])) if cluster else 0.0) - database
            found = json.loads(done.stdout)
            times, count = found["times"], len(found["times"])
            micros = [f"{1e6 * used / count:,.0f}" for used in (service, database, found["cpu"])]
            millis = [f"{1000 * times[count * share // 100]:.1f}" for share in (50, 99)]
            columns = [name, workers, method, organizations, connections, f"{count / seconds:,.0f}", *millis, *micros]
            print(f"| {' | '.join(map(str, columns))} |", flush=True)
    finally:
        server.stop()


def sizes(path: Path, url: str) -> None:
    """Print what rows and their indexes take, how many pages a look-up touches, and what listing all costs."""
    with closing(PostgresEnd(url)) as end:
        print("\n| table | rows | bytes a row | of these in indexes | pages a look-up |\n|" + " --- |" * 5)
        for table in tables():
            rows = end.count(table)
            row = end.rows_after(table, (), 1)
            if rows <= CALLERS or not row:
                continue
            statement = f"SELECT pg_total_relation_size('{table.name}'), pg_indexes_size('{table.name}')"
            [(total, indexes)] = end.execute(statement).fetchall()
            where = " AND ".join(f"{column} = %s" for column in table.key)
            statement = f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) SELECT * FROM {table.name} WHERE {where}"
            [(plan,)] = end.execute(statement, table.key_of(row[0])).fetchall()
            pages = plan[0]["Plan"]["Shared Hit Blocks"] + plan[0]["Plan"]["Shared Read Blocks"]
            print(f"| {table.name} | {rows:,} | {total / rows:.0f} | {indexes / rows:.0f} | {pages} |")
        [(size,)] = end.execute("SELECT pg_database_size(current_database())").fetchall()
        print(f"\nPostgreSQL: {size / 1e6:,.0f} MB; SQLite: {path.stat().st_size / 1e6:,.0f} MB")
    for name, database in (("SQLite", f"sqlite:///{path}"), ("PostgreSQL", url)):
        store = open_store(Settings(database_url=database))
        for search in ("", "n 4711"):
            began = time.monotonic()
            with store.snapshot() as tx:
                tx.organizations(search, 0, 20)
            print(f"{name}: all organizations, search {search!r}: {1000 * (time.monotonic() - began):.0f} ms")
        store.close()


def run(organizations: int, seconds: float) -> None:
    print(
        f"{os.cpu_count()} processors, load {os.getloadavg()[0]:.1f}; {organizations:,} organizations of {EACH} members"
    )
    with tempfile.TemporaryDirectory(prefix="bench-") as directory, Cluster(fsync=True, max_wal_size="4GB") as cluster:
        path = Path(directory) / "organizations.db"
        began = time.monotonic()
        fill_large(path, organizations, EACH, lambda: str(uuid.uuid4()))
        print(f"filled in {time.monotonic() - began:.0f} s")
        url, copied = f"sqlite:///{path}", cluster.create_database("bench")
        began = time.monotonic()
        with closing(SqliteEnd(path)) as source, closing(PostgresEnd(copied)) as target:
            copy(source, target, utc_now, lambda *_: None)
        print(f"copied in {time.monotonic() - began:.0f} s")
        began = time.monotonic()
        back_up(path, Path(directory) / "backup.db", lambda *_: None)
        print(f"backed up and checked in {time.monotonic() - began:.0f} s")
        sizes(path, copied)
        titles = ["engine", "processes", "method", "organizations", "connections", "a second", "p50 ms", "p99 ms"]
        titles += [f"µs {who}" for who in ("server", "database", "caller")]
        print(f"\n| {' | '.join(titles)} |\n|{' --- |' * len(titles)}")
        for workers in (1, 2):
            measure("SQLite", url, workers, seconds, None)
            measure("PostgreSQL", copied, workers, seconds, cluster)
        print(f"\nload at the end {os.getloadavg()[0]:.1f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--organizations", type=int, default=100_000)
    parser.add_argument("--seconds", type=float, default=10.0)
    for internal in ("--load", "--method"):
        parser.add_argument(internal, help=argparse.SUPPRESS)
    parser.add_argument("--connections", type=int, default=16, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.load:
        load(given.load, given.method, given.seconds, given.connections, json.load(sys.stdin))
    else:
        run(given.organizations, given.seconds)


if __name__ == "__main__":
    main()
