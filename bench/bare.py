"""The ceiling of the store: SQLite alone, doing in a loop the statements that a call can't do without.

The same file, driver and settings as the service's, prepared statements, one thread. `python -m bench.bare` is the
process: it gets a pickled `Bare` and answers a pickled `Outcome`.
"""

from __future__ import annotations

import hashlib
import pickle
import random
import subprocess
import sys
import time
import uuid
from array import array
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.calls import CREATE, JOIN, SUMMARY, Call
from bench.data import Data, data
from bench.load import ROOT, Outcome, WrongAnswerError
from bench.rounds import Sample
from server.domain.invite_link import lookup_hash
from server.service.access_tokens import token_hash
from server.store.sql import _MEMBER, _ORGANIZATION, _TOKEN_COLUMNS
from server.store.sql_base import ACCOUNT
from server.store.sqlite import PRAGMAS, sqlite3

TOKEN = (
    f"SELECT {_TOKEN_COLUMNS}, {ACCOUNT} FROM access_tokens t JOIN accounts a ON a.id = t.account_id"
    " WHERE t.token_hash = ?"
)
BY_INVITE = (
    f"SELECT {_ORGANIZATION} FROM invite_links l JOIN organizations o ON o.id = l.organization_id"
    " WHERE l.lookup_hash = ?"
)
OWN_MEMBER = f"SELECT {_MEMBER} FROM members m WHERE m.organization_id = ? AND m.account_id = ?"
PUT_LINK = (
    "INSERT INTO invite_links (organization_id, id, key_id, lookup_hash, created_by, created_at)"
    " VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (organization_id) DO UPDATE SET id = excluded.id, key_id = excluded.key_id,"
    " lookup_hash = excluded.lookup_hash, created_by = excluded.created_by, created_at = excluded.created_at"
)
PUT_MEMBER = (
    "INSERT INTO members (user_id, organization_id, account_id, role, status, joined_at, full_name, name_key, email,"
    " email_key, avatar_url, login_provider) VALUES (?, ?, ?, 'member', 'active', ?, ?, ?, ?, ?, '', ?)"
    " ON CONFLICT (organization_id, account_id) DO NOTHING"
)
COUNT = "UPDATE organizations SET member_count = member_count + 1 WHERE id = ?"

BATCH = 16
"""Calls in a transaction of SQLite alone: half of 32 callers, since the others come while it commits."""


@dataclass(frozen=True, slots=True)
class Bare:
    """What to do on which database, for how long, and how many times in a transaction."""

    path: Path
    organizations: int
    call: str
    seconds: float
    batch: int = 1


def run(bare: Bare, core: int | None = None, environ: dict[str, str] | None = None) -> Outcome:
    """Run the statements in a process of its own; `times` are those of transactions, each of `batch` calls."""
    pinning = [] if core is None else ["taskset", "-c", str(core)]
    done = subprocess.run(
        [*pinning, sys.executable, "-m", "bench.bare"],
        input=pickle.dumps(bare),
        capture_output=True,
        check=False,
        cwd=ROOT,
        env=environ,
    )
    if done.returncode != 0:
        raise WrongAnswerError(done.stderr.decode(errors="replace")[-2000:])
    outcome: Outcome = pickle.loads(done.stdout)
    return outcome


def sample(
    known: Data,
    call: Call,
    path: Path,
    seconds: float,
    core: int | None = None,
    *,
    batch: int | None = None,
    environ: dict[str, str] | None = None,
) -> Sample:
    """Measure a call's statements; a write's in transactions of BATCH unless another number is given."""
    batch = batch or (1 if call is SUMMARY else BATCH)
    outcome = run(Bare(path, known.organizations, call.name, seconds, batch), core, environ)
    return Sample(
        rate=outcome.rate * batch,
        p50=1000 * outcome.percentile(0.5),
        p99=1000 * outcome.percentile(0.99),
        micros=1e6 * outcome.processor_seconds / (outcome.count * batch),
    )


def work(bare: Bare) -> Outcome:
    """Run the statements."""
    db = sqlite3.connect(bare.path, isolation_level=None)
    for pragma in PRAGMAS:
        db.execute(f"PRAGMA {pragma}")
    known, chance = data(bare.organizations), random.Random()
    one = _statements(db, bare.call)
    if bare.call == JOIN.name:
        asked = (next(pairs) for pairs in [known.joins(chance)] for _ in iter(int, 1))
    else:
        places = known.read if bare.call == SUMMARY.name else known.written
        asked = ((chance.choice(places), chance.choice(places)) for _ in iter(int, 1))
    pairs = [next(asked) for _ in range(20_000)]
    keys = [(token_hash(who.token), who, place, lookup_hash(place.invite_id)) for who, place in pairs]
    writes = bare.call != SUMMARY.name
    times: array[float] = array("d")
    began, used, place = time.perf_counter(), time.process_time(), 0
    while (now := time.perf_counter()) < began + bare.seconds:
        if writes:
            db.execute("BEGIN IMMEDIATE")
        for _ in range(bare.batch):
            one(*keys[place % len(keys)])
            place += 1
        if writes:
            db.execute("COMMIT")
        times.append(time.perf_counter() - now)
    return Outcome(array("d", sorted(times)), time.perf_counter() - began, time.process_time() - used)


def _statements(db: Any, call: str) -> Callable[..., None]:
    def summary(token: bytes, _who: Any, place: Any, link: bytes) -> None:
        db.execute(TOKEN, (token,)).fetchone()
        assert db.execute(BY_INVITE, (link,)).fetchone()[0] == place.organization_id

    def create(_token: bytes, _who: Any, place: Any, _link: bytes) -> None:
        db.execute(TOKEN, (token_hash(place.token),)).fetchone()
        member = db.execute(OWN_MEMBER, (place.organization_id, place.account_id)).fetchone()
        fresh = str(uuid.uuid4())
        digest = hashlib.sha256(fresh.encode()).digest()
        db.execute(PUT_LINK, (place.organization_id, fresh, "0123456789abcdef", digest, member[0], 1))

    def join(token: bytes, who: Any, _place: Any, link: bytes) -> None:
        db.execute(TOKEN, (token,)).fetchone()
        organization = db.execute(BY_INVITE, (link,)).fetchone()[0]
        db.execute(OWN_MEMBER, (organization, who.account_id)).fetchone()
        row = (
            str(uuid.uuid4()),
            organization,
            who.account_id,
            1,
            who.person,
            "person",
            "p@example.com",
            "p@example.com",
        )
        db.execute(PUT_MEMBER, (*row, "https://accounts.example.com"))
        db.execute(COUNT, (organization,))

    return {SUMMARY.name: summary, CREATE.name: create, JOIN.name: join}[call]


if __name__ == "__main__":
    # By this name, so that what is pickled here is what the parent knows.
    from bench import bare as itself

    sys.stdout.buffer.write(pickle.dumps(itself.work(pickle.load(sys.stdin.buffer))))
