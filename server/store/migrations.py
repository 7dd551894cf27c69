"""The schema: one numbered history for every engine.

The statements are written in what SQLite and PostgreSQL share; `{integer}`, `{bytes}` and `{strict}` are filled in
by the engine. A migration that has been released is never edited: the next one changes what must change.
Times are microseconds since 1970 in UTC. A key column holds text as it is compared (`domain/address.py`).
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Migration:
    """One step of the history; its version is its place, from 1."""

    name: str
    statements: tuple[str, ...]


ORGANIZATIONS = Migration(
    "organizations",
    (
        """
        CREATE TABLE accounts (
            id TEXT PRIMARY KEY,
            issuer TEXT NOT NULL,
            subject TEXT NOT NULL,
            name TEXT NOT NULL,
            email TEXT NOT NULL,
            email_key TEXT NOT NULL,
            email_verified {integer} NOT NULL,
            avatar_url TEXT NOT NULL,
            created_at {integer} NOT NULL,
            updated_at {integer} NOT NULL,
            UNIQUE (issuer, subject)
        ) {strict}
        """,
        "CREATE INDEX accounts_email ON accounts (email_key)",
        """
        CREATE TABLE organizations (
            id TEXT PRIMARY KEY,
            name TEXT NOT NULL,
            invite_domains TEXT NOT NULL,
            member_count {integer} NOT NULL CHECK (member_count >= 0),
            created_at {integer} NOT NULL,
            updated_at {integer} NOT NULL
        ) {strict}
        """,
        # The same domains as in organizations.invite_domains, to find the organizations that admit one.
        """
        CREATE TABLE invite_domains (
            domain TEXT NOT NULL,
            organization_id TEXT NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
            PRIMARY KEY (domain, organization_id)
        ) {strict}
        """,
        "CREATE INDEX invite_domains_organization ON invite_domains (organization_id)",
        # UNIQUE (organization_id, account_id): however often a person joins, there is one user.
        """
        CREATE TABLE members (
            user_id TEXT PRIMARY KEY,
            organization_id TEXT NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
            account_id TEXT NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
            role TEXT NOT NULL CHECK (role IN ('admin', 'member')),
            status TEXT NOT NULL CHECK (status IN ('active', 'left')),
            joined_at {integer} NOT NULL,
            full_name TEXT NOT NULL,
            name_key TEXT NOT NULL,
            email TEXT NOT NULL,
            email_key TEXT NOT NULL,
            avatar_url TEXT NOT NULL,
            login_provider TEXT NOT NULL,
            UNIQUE (organization_id, account_id)
        ) {strict}
        """,
        "CREATE INDEX members_account ON members (account_id, status)",
        "CREATE INDEX members_by_name ON members (organization_id, name_key, user_id)",
        "CREATE INDEX members_by_time ON members (organization_id, joined_at, user_id)",
        """
        CREATE INDEX members_admins ON members (organization_id, user_id)
        WHERE role = 'admin' AND status = 'active'
        """,
        # organization_id is the primary key: two live links of one organization can't be written down.
        """
        CREATE TABLE invite_links (
            organization_id TEXT PRIMARY KEY REFERENCES organizations (id) ON DELETE CASCADE,
            id TEXT NOT NULL UNIQUE,
            key_id TEXT NOT NULL,
            lookup_hash {bytes} NOT NULL UNIQUE,
            created_by TEXT NOT NULL,
            created_at {integer} NOT NULL
        ) {strict}
        """,
        """
        CREATE TABLE access_tokens (
            id TEXT PRIMARY KEY,
            account_id TEXT NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
            user_id TEXT REFERENCES members (user_id) ON DELETE CASCADE,
            organization_id TEXT REFERENCES organizations (id) ON DELETE CASCADE,
            description TEXT NOT NULL,
            token_hash {bytes} NOT NULL UNIQUE,
            read_only {integer} NOT NULL,
            created_at {integer} NOT NULL,
            expires_at {integer},
            last_used_at {integer},
            revoked_at {integer}
        ) {strict}
        """,
        "CREATE INDEX access_tokens_account ON access_tokens (account_id, id)",
        "CREATE INDEX access_tokens_user ON access_tokens (user_id)",
        "CREATE INDEX access_tokens_organization ON access_tokens (organization_id)",
    ),
)

MIGRATIONS: tuple[Migration, ...] = (ORGANIZATIONS,)
