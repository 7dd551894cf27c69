"""Databases to copy: one with something unusual in every table, and large ones."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any
from uuid import UUID

from server.main import utc_now
from server.store.copying import SqliteEnd, tables

ODD = "\t\\N \\. \\ \" ' % ; NULL\r\nÄß 東京 👩‍👩‍👧 \u202e{}"
"""What a way to write rows down could stumble over."""

_CHOICES: dict[tuple[str, str], list[Any]] = {
    ("members", "role"): ["admin", "member", "member"],
    ("members", "status"): ["active", "left", "active"],
    ("named_roles", "rights"): ["admin", "member", "member"],
    ("invitations", "role"): ["admin", "member", "member"],
    ("invitations", "status"): ["pending", "accepted", "revoked"],
    ("outbox", "state"): ["queued", "sent", "superseded"],
    ("organizations", "member_count"): [0, 1, 2**62],
    ("sign_in_codes", "mail_state"): ["queued", "sent", "failed"],
}
_BY_TYPE: dict[str, list[Any]] = {"INTEGER": [0, -1, 2**63 - 1], "BLOB": [b"\0\\x", bytes(range(256)), b"\n\\."]}

_LARGE = """
    CREATE TEMP TABLE n AS WITH RECURSIVE n (n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM n WHERE n + 1 < :organizations)
        SELECT n FROM n;
    CREATE TEMP TABLE o AS SELECT n, new_id() AS id FROM n;
    CREATE TEMP TABLE a AS SELECT n, new_id() AS id FROM n;
    CREATE INDEX temp.a_by_n ON a (n);
    DELETE FROM n WHERE n >= :each;
    INSERT INTO accounts (id, issuer, subject, name, email, email_key, email_verified, avatar_url, created_at,
            updated_at)
        SELECT id, 'https://accounts.example.com', 'subject-' || n, 'Person ' || n, 'Person.' || n || '@example.com',
            'person.' || n || '@example.com', n % 2, '', 1900000000000000 + n, 1900000000000000 + n FROM a;
    INSERT INTO organizations (id, name, name_key, invite_domains, member_count, created_at, updated_at)
        SELECT id, 'Organization ' || n, 'organization ' || n, CASE WHEN n % 4 THEN '' ELSE 'd' || n || '.example' END,
            :each, 1900000000000000 + n, 1900000000000000 + n FROM o;
    INSERT INTO invite_domains (domain, organization_id) SELECT 'd' || n || '.example', id FROM o WHERE n % 4 = 0;
    INSERT INTO invite_links (organization_id, id, key_id, lookup_hash, created_by, created_at)
        SELECT id, new_id(), '0123456789abcdef', randomblob(32), id, 1900000000000000 + n FROM o;
    INSERT INTO members (user_id, organization_id, account_id, role, status, joined_at, full_name, name_key, email,
            email_key, avatar_url, login_provider)
        SELECT new_id(), o.id, a.id, CASE WHEN n.n THEN 'member' ELSE 'admin' END, 'active',
            1900000000000000 + n.n, 'Person ' || a.n, 'person ' || a.n, 'Person.' || a.n || '@example.com',
            'person.' || a.n || '@example.com', '', 'https://accounts.example.com'
        FROM o CROSS JOIN n CROSS JOIN a ON a.n = (o.n + n.n) % :organizations;
    INSERT INTO access_tokens (id, account_id, description, token_hash, read_only, created_at)
        SELECT new_id(), id, 'for a program', randomblob(32), 0, 1900000000000000 + n FROM a WHERE n % 5 = 0;
    INSERT INTO invitations (id, organization_id, email, email_key, role, named_roles, status, inviter_account_id,
            inviter_name, inviter_key, public_metadata, private_metadata, redirect_url, locale, delivery_state,
            delivery_error, generation, key_id, token_hash, created_at, updated_at, expires_at)
        SELECT new_id(), id, 'New.' || n || '@example.com', 'new.' || n || '@example.com', 'member', '', 'pending',
            NULL, 'Person', 'person', '{}', '{}', '', 'en', 'sent', '', 1, '0123456789abcdef', randomblob(32),
            1900000000000000 + n, 1900000000000000 + n, 1900000000000000 + n FROM o WHERE n % 2 = 0
"""


def fill_odd(path: Path) -> None:
    """Make a database with three rows in each table, of values that are hard to write down."""
    end = SqliteEnd(path, make=True)
    end.migrate(utc_now)
    for table in tables():
        kinds = {
            row[1]: (row[2], row[3] or row[5]) for row in end.execute(f"PRAGMA table_info({table.name})").fetchall()
        }
        references = {
            row[3]: [found[0] for found in end.execute(f"SELECT {row[4]} FROM {row[2]} ORDER BY 1").fetchall()]
            for row in end.execute(f"PRAGMA foreign_key_list({table.name})").fetchall()
        }
        for index in range(3):
            end.insert(table, [[_value(table.name, name, *kinds[name], references, index) for name in table.columns]])
    end.close()


def _value(table: str, column: str, kind: str, required: int, references: dict[str, list[Any]], index: int) -> Any:
    if not required and index == 0:
        return None
    if column in references:
        return references[column][index]
    return (_CHOICES.get((table, column)) or _BY_TYPE.get(kind) or [f"{column} {n} {ODD}" for n in range(3)])[index]


def fill_large(path: Path, organizations: int, each: int, ids: Callable[[], str] | None = None) -> None:
    """Make a database with as many accounts as organizations, `each` of these in every organization, and more.

    Ids ascend unless others are given: a tree that grows at its end is filled many times faster.
    """
    numbers = count(1)
    end = SqliteEnd(path, make=True)
    end.migrate(utc_now)
    end._db.conn.create_function("new_id", 0, ids or (lambda: str(UUID(int=next(numbers) << 80 | 7 << 76 | 8 << 60))))
    end.execute("PRAGMA journal_mode = OFF").fetchall()
    # Random keys touch pages everywhere: what is large is filled in memory.
    end.execute("PRAGMA cache_size = -4000000")
    with end.transaction():
        for statement in _LARGE.split(";"):
            end.execute(statement.replace(":organizations", str(organizations)).replace(":each", str(each)))
    end.close()
