"""The same organizations, members and people in better-auth's own tables, and requests for its own API."""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import shutil
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

import psycopg

from bench.data import Data, Place

SECRET = "a secret of better-auth's of thirty-two bytes or more"  # for measuring
INVITATIONS_EACH = 20
"""How many pending invitations a person has to accept, beside the one that is looked at."""

# Everybody is in the same organizations with the same rights; an admin of ours is an owner there. Dates are text.
_FILL = """
    INSERT INTO user (id, name, email, emailVerified, createdAt, updatedAt)
        SELECT id, name, lower(email), 1, :now, :now FROM ours.accounts;
    INSERT INTO organization (id, name, slug, createdAt) SELECT id, name, id, :now FROM ours.organizations;
    INSERT INTO member (id, organizationId, userId, role, createdAt)
        SELECT user_id, organization_id, account_id, CASE role WHEN 'admin' THEN 'owner' ELSE 'member' END, :now
        FROM ours.members;
    INSERT INTO session (id, expiresAt, token, createdAt, updatedAt, userId)
        SELECT 's-' || account, :later, 't-' || account, :now, :now, account FROM people;
    INSERT INTO invitation (id, organizationId, email, role, status, expiresAt, createdAt, inviterId)
        SELECT invitation_id(p.number, n.number), o.organization, u.email, 'member', 'pending', :later, :now, o.admin
        FROM people p JOIN numbers n JOIN user u ON u.id = p.account
        JOIN places o ON o.number = (p.number + n.number) % (SELECT count(*) FROM places)
        WHERE p.number < (SELECT count(*) FROM places)
"""


def invitation_id(person: int, number: int) -> str:
    """Give the id of a person's invitation; number 0 is the one that is looked at and stays pending."""
    return f"invitation-{person}-{number}"


def fill(data: Data, path: Path, node: Path, now: str, later: str) -> None:
    """Fill a database of better-auth's with what a database of ours holds; times are ISO 8601 in UTC."""
    draft = path.with_suffix(".draft")
    draft.unlink(missing_ok=True)
    _make_tables(str(draft), node)
    with closing(sqlite3.connect(draft, isolation_level=None)) as db:
        db.execute("PRAGMA journal_mode = OFF")
        db.execute("ATTACH ? AS ours", [str(data.path)])
        db.create_function("invitation_id", 2, invitation_id)
        db.execute("BEGIN")
        db.execute("CREATE TEMP TABLE people (number INTEGER PRIMARY KEY, account TEXT)")
        db.execute("CREATE TEMP TABLE places (number INTEGER PRIMARY KEY, organization TEXT, admin TEXT)")
        db.execute("CREATE TEMP TABLE numbers (number INTEGER PRIMARY KEY)")
        people = [place.account_id for place in dict.fromkeys((*data.written, *data.read, data.large))]
        db.executemany("INSERT INTO people VALUES (?, ?)", enumerate(dict.fromkeys(people)))
        places = [(number, place.organization_id, place.account_id) for number, place in enumerate(data.read)]
        db.executemany("INSERT INTO places VALUES (?, ?, ?)", places)
        db.executemany("INSERT INTO numbers VALUES (?)", [(number,) for number in range(INVITATIONS_EACH + 1)])
        for statement in _FILL.split(";"):
            wanted = {name: value for name, value in (("now", now), ("later", later)) if f":{name}" in statement}
            db.execute(statement, wanted)
        db.execute("COMMIT")
        db.execute("DETACH ours")
        db.execute("PRAGMA journal_mode = WAL")
    shutil.move(draft, path)


def _make_tables(database: str, node: Path) -> None:
    environ = {**os.environ, "DATABASE": database, "SECRET": SECRET, "NODE_ENV": "production"}
    subprocess.run([node, Path(__file__).with_suffix(".mjs"), "migrate"], env=environ, check=True)


def copy_to_postgres(path: Path, url: str, node: Path) -> None:
    """Fill an empty database of PostgreSQL's with what a filled one of SQLite's holds."""
    _make_tables(url, node)
    with closing(sqlite3.connect(path)) as source, psycopg.connect(url) as target:
        for table in ("user", "organization", "member", "session", "invitation"):
            rows = source.execute(f'SELECT * FROM "{table}"')
            columns = ", ".join(f'"{column[0]}"' for column in rows.description)
            with target.cursor() as cursor, cursor.copy(f'COPY "{table}" ({columns}) FROM STDIN'.encode()) as copy:
                for row in rows:
                    copy.write_row(row)


def headers(place: Place) -> tuple[tuple[str, str], ...]:
    """Give the headers of the admin of a place: the session's signed cookie, and the origin that better-auth wants."""
    token = f"t-{place.account_id}"
    signature = base64.b64encode(hmac.digest(SECRET.encode(), token.encode(), hashlib.sha256)).decode()
    cookie = f"better-auth.session_token={quote(f'{token}.{signature}', safe='')}"
    return (("cookie", cookie), ("origin", "http://127.0.0.1"))
