"""Measures what one more process and the other engine bring, and what a row takes: the numbers of docs/scaling.md.

    python -m bench.scaling --organizations 100000 --seconds 10

Each measurement runs the real server, on a SQLite file or a PostgreSQL of our own with fsync, and a process that calls
it over HTTP by JSON. Requests a second say what this machine did at that moment; processor time for each request holds
on others too, and on a busy one.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import tempfile
import time
import uuid
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from bench.load import Load, Request
from bench.load import run as run_load
from bench.machine import processor_seconds
from server.domain.account import Account
from server.domain.secrets import SecretKeys
from server.main import build_service, open_store, utc_now
from server.settings import Settings
from server.store.backup import back_up
from server.store.copying import PostgresEnd, SqliteEnd, copy, tables
from tests.data.filling import fill_large
from tests.postgres.cluster import Cluster
from tests.running import RunningServer

KEY = "a key for measuring of thirty-two bytes or more"
CALLERS = 50
EACH = 5
"""Members of an organization."""

READ, WRITE = "GetOrganization", "CreateOrganizationInvite"


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


def requests(method: str, known: list[tuple[str, str]]) -> Load:
    """Give what callers ask, each of the organization that it administers."""
    asked = [
        Request(
            json.dumps({"organizationId": organization_id}).encode(),
            b"organization" if method == READ else b"inviteId",
            (("authorization", f"Bearer {token}"),),
        )
        for token, organization_id in known
    ]
    random.shuffle(asked)
    return Load("", f"/gitpod.v1.OrganizationService/{method}", asked, callers=1, seconds=1.0)


def measure(name: str, url: str, workers: int, seconds: float, cluster: Cluster | None) -> None:
    """Run servers on a database, and print what reads and writes did."""
    known = callers(url)
    server = RunningServer(
        url, "--workers", str(workers), "--log-level", "error", "--limits", "off", environ={"SECRET_KEY": KEY}
    )
    try:
        for method, connections, organizations in (
            (READ, 16, CALLERS),
            (WRITE, 16, CALLERS),
            (WRITE, 16, 1),
            (WRITE, 1, CALLERS),
        ):
            load = replace(requests(method, known[:organizations]), url=server.url, callers=connections)
            for length in (1.0, seconds):  # the first to warm up
                database = sum(map(processor_seconds, cluster.processes()[:1])) if cluster else 0.0
                service = processor_seconds(server.process.pid)
                found = run_load(replace(load, seconds=length))
                service = processor_seconds(server.process.pid) - service
                database = (sum(map(processor_seconds, cluster.processes()[:1])) if cluster else 0.0) - database
            used = (service, database, found.processor_seconds)
            micros = [f"{1e6 * part / found.count:,.0f}" for part in used]
            millis = [f"{1000 * found.percentile(share):.1f}" for share in (0.5, 0.99)]
            columns = [name, workers, method, organizations, connections, f"{found.rate:,.0f}", *millis, *micros]
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
    given = parser.parse_args()
    run(given.organizations, given.seconds)


if __name__ == "__main__":
    main()
