"""Databases to measure on, and the keys that open them: ids, invite ids and tokens that are real.

A database is filled directly, once for each size, and kept under `.cache/bench`; whoever writes gets a copy.
"""

from __future__ import annotations

import base64
import hashlib
import random
import shutil
import sqlite3
import subprocess
import uuid
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from server.domain.invite_link import lookup_hash
from server.domain.secrets import SecretKeys
from server.service.access_tokens import TOKEN_PREFIX, token_hash
from server.store.migrations import MIGRATIONS
from tests.data.filling import fill_large

CACHE = Path(__file__).resolve().parent.parent / ".cache" / "bench"
SECRET_KEY = "a key for measuring of thirty-two bytes or more"
EACH = 5
"""Members of an organization."""

LARGE_MEMBERS = 10_000
"""Members of the one organization that has many."""

SAMPLE = 20_000
"""How many organizations a measurement draws its keys from, whatever the size of the database."""

_OPEN = f"""
    PRAGMA journal_mode = OFF;
    BEGIN;
    DELETE FROM access_tokens;
    INSERT INTO access_tokens (id, account_id, description, token_hash, read_only, created_at)
        SELECT new_id(), id, 'for measuring', account_hash(id), 0, created_at FROM accounts;
    UPDATE invite_links SET key_id = key_id(), lookup_hash = link_hash(id);
    UPDATE organizations SET name = 'Large', name_key = 'large', member_count = {LARGE_MEMBERS}
        WHERE rowid = (SELECT max(rowid) FROM organizations);
    CREATE TEMP TABLE large AS SELECT id FROM organizations WHERE name = 'Large';
    INSERT INTO members (user_id, organization_id, account_id, role, status, joined_at, full_name, name_key, email,
            email_key, avatar_url, login_provider)
        SELECT new_id(), large.id, account_id, 'member', 'active', joined_at, full_name, name_key, email,
            email_key, avatar_url, login_provider
        FROM members, large WHERE role = 'admin'
            AND account_id NOT IN (SELECT account_id FROM members WHERE organization_id = large.id)
        LIMIT {LARGE_MEMBERS - EACH};
    COMMIT;
    PRAGMA journal_mode = WAL
"""
"""Gives every account a token and every link an id that are known, and one organization many members."""

_KEYS = SecretKeys([SECRET_KEY.encode()])
_VERSION = hashlib.sha256((repr(MIGRATIONS) + Path(__file__).read_text()).encode()).hexdigest()[:8]


@dataclass(frozen=True, slots=True)
class Place:
    """An organization, its admin, and what opens it."""

    organization_id: str
    name: str
    invite_id: str
    account_id: str
    person: str

    @property
    def token(self) -> str:
        """The token of the admin's account."""
        return account_token(self.account_id)


@dataclass(frozen=True, slots=True)
class Data:
    """A database and what is known of it.

    `read` and `written` are organizations that a measurement reads and those whose links it replaces: apart, so that
    links which are read stay live. `large` has LARGE_MEMBERS members.
    """

    path: Path
    organizations: int
    read: tuple[Place, ...]
    written: tuple[Place, ...]
    large: Place

    def copy(self, to: Path) -> Path:
        """Copy the database for somebody who writes."""
        subprocess.run(["cp", "--reflink=auto", self.path, to], check=True)
        return to

    def joins(self, chance: random.Random) -> Iterator[tuple[Place, Place]]:
        """Give pairs without end: somebody who isn't a member there, but for a rare chance, and where to join."""
        while True:
            yield chance.choice(self.written), chance.choice(self.read)


def account_token(account_id: str) -> str:
    """Give the access token that an account has in these databases."""
    secret = hashlib.sha256(f"bench {account_id}".encode()).digest()
    return TOKEN_PREFIX + base64.urlsafe_b64encode(secret).decode().rstrip("=")


def data(organizations: int) -> Data:
    """Give a database of this many organizations with EACH members, filled before or now."""
    path = CACHE / f"{organizations}x{EACH}-{_VERSION}.db"
    if not path.exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        for old in CACHE.glob(f"{organizations}x{EACH}-*"):
            old.unlink()
        draft = path.with_suffix(".draft")
        _fill(draft, organizations)
        shutil.move(draft, path)
    with closing(sqlite3.connect(f"file:{path}?immutable=1", uri=True)) as db:
        [large] = _places(db, "o.name = 'Large'", 1)
        # Spread over the whole table and, since ids are random, over every index.
        step = max(1, organizations // SAMPLE)
        places = _places(db, f"o.name <> 'Large' AND o.rowid % {step} = 0", SAMPLE)
    return Data(path, organizations, places[::2], places[1::2], large)


def _places(db: sqlite3.Connection, where: str, limit: int) -> tuple[Place, ...]:
    rows = db.execute(
        "SELECT o.id, o.name, l.id, m.account_id, m.full_name"
        " FROM organizations o JOIN invite_links l ON l.organization_id = o.id"
        " JOIN members m ON m.organization_id = o.id AND m.role = 'admin'"
        f" WHERE {where} ORDER BY o.id LIMIT {limit}"
    )
    return tuple(Place(row[0], row[1], _KEYS.invite_id(row[2], _KEYS.current_id), row[3], row[4]) for row in rows)


def _fill(path: Path, organizations: int) -> None:
    fill_large(path, organizations, EACH, lambda: str(uuid.uuid4()))
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.create_function("new_id", 0, lambda: str(uuid.uuid4()))
        db.create_function("account_hash", 1, lambda account_id: token_hash(account_token(account_id)))
        db.create_function("link_hash", 1, lambda link: lookup_hash(_KEYS.invite_id(link, _KEYS.current_id)))
        db.create_function("key_id", 0, lambda: _KEYS.current_id)
        db.executescript(_OPEN)
