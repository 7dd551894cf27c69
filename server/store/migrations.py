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

INVITATIONS = Migration(
    "invitations",
    (
        "ALTER TABLE organizations ADD COLUMN details TEXT NOT NULL DEFAULT '{{}}'",
        "ALTER TABLE members ADD COLUMN named_roles TEXT NOT NULL DEFAULT ''",
        "ALTER TABLE members ADD COLUMN public_metadata TEXT NOT NULL DEFAULT '{{}}'",
        "ALTER TABLE members ADD COLUMN private_metadata TEXT NOT NULL DEFAULT '{{}}'",
        "CREATE INDEX members_by_email ON members (organization_id, email_key)",
        """
        CREATE TABLE named_roles (
            id TEXT PRIMARY KEY,
            key TEXT NOT NULL UNIQUE,
            name TEXT NOT NULL UNIQUE,
            description TEXT NOT NULL,
            rights TEXT NOT NULL CHECK (rights IN ('admin', 'member'))
        ) {strict}
        """,
        """
        CREATE TABLE invitations (
            id TEXT PRIMARY KEY,
            organization_id TEXT NOT NULL REFERENCES organizations (id) ON DELETE CASCADE,
            email TEXT NOT NULL,
            email_key TEXT NOT NULL,
            role TEXT NOT NULL CHECK (role IN ('admin', 'member')),
            named_roles TEXT NOT NULL,
            status TEXT NOT NULL CHECK (status IN ('pending', 'accepted', 'declined', 'revoked', 'expired')),
            inviter_account_id TEXT REFERENCES accounts (id) ON DELETE SET NULL,
            inviter_name TEXT NOT NULL,
            public_metadata TEXT NOT NULL,
            private_metadata TEXT NOT NULL,
            redirect_url TEXT NOT NULL,
            locale TEXT NOT NULL,
            delivery_state TEXT NOT NULL,
            delivery_error TEXT NOT NULL,
            generation {integer} NOT NULL,
            key_id TEXT NOT NULL,
            token_hash {bytes} NOT NULL UNIQUE,
            created_at {integer} NOT NULL,
            updated_at {integer} NOT NULL,
            expires_at {integer} NOT NULL,
            responded_at {integer},
            accepted_account_id TEXT REFERENCES accounts (id) ON DELETE SET NULL
        ) {strict}
        """,
        # Two pending invitations of one address into one organization can't be written down.
        """
        CREATE UNIQUE INDEX invitations_pending ON invitations (organization_id, email_key)
        WHERE status = 'pending'
        """,
        "CREATE INDEX invitations_by_time ON invitations (organization_id, created_at, id)",
        "CREATE INDEX invitations_by_expiry ON invitations (organization_id, expires_at, id)",
        "CREATE INDEX invitations_by_email ON invitations (organization_id, email_key, id)",
        "CREATE INDEX invitations_of_address ON invitations (email_key, created_at, id)",
        "CREATE INDEX invitations_inviter ON invitations (inviter_account_id)",
        "CREATE INDEX invitations_acceptor ON invitations (accepted_account_id)",
        # A mail holds no secret: its text is made when it is sent. It has no foreign key and outlives its invitation,
        # so that deleting invitations doesn't get around the limit of mails.
        """
        CREATE TABLE outbox (
            id TEXT PRIMARY KEY,
            organization_id TEXT NOT NULL,
            invitation_id TEXT NOT NULL,
            generation {integer} NOT NULL,
            email_key TEXT NOT NULL,
            state TEXT NOT NULL CHECK (state IN ('queued', 'sent', 'failed', 'superseded')),
            attempts {integer} NOT NULL,
            error TEXT NOT NULL,
            link TEXT NOT NULL,
            created_at {integer} NOT NULL,
            next_attempt_at {integer} NOT NULL,
            sent_at {integer}
        ) {strict}
        """,
        "CREATE INDEX outbox_due ON outbox (next_attempt_at, id) WHERE state = 'queued'",
        "CREATE INDEX outbox_recipient ON outbox (email_key, created_at)",
        "CREATE INDEX outbox_invitation ON outbox (invitation_id)",
        "CREATE INDEX outbox_by_time ON outbox (created_at, id)",
        """
        CREATE TABLE backend_keys (
            id TEXT PRIMARY KEY,
            name TEXT NOT NULL,
            key_hash {bytes} NOT NULL UNIQUE,
            organization_ids TEXT NOT NULL,
            scopes TEXT NOT NULL,
            created_at {integer} NOT NULL,
            expires_at {integer},
            last_used_at {integer},
            revoked_at {integer}
        ) {strict}
        """,
        # The answer is sealed with a key that is not in the database.
        """
        CREATE TABLE idempotency_keys (
            caller TEXT NOT NULL,
            key TEXT NOT NULL,
            fingerprint {bytes} NOT NULL,
            answer {bytes},
            created_at {integer} NOT NULL,
            PRIMARY KEY (caller, key)
        ) {strict}
        """,
        "CREATE INDEX idempotency_keys_by_time ON idempotency_keys (created_at)",
    ),
)

SEARCH_KEYS = Migration(
    "search keys",
    (
        "ALTER TABLE organizations ADD COLUMN name_key TEXT NOT NULL DEFAULT ''",
        "ALTER TABLE invitations ADD COLUMN inviter_key TEXT NOT NULL DEFAULT ''",
        # As near as both engines come to our key; a row gets its own when it is next written.
        "UPDATE organizations SET name_key = lower(name)",
        "UPDATE invitations SET inviter_key = lower(inviter_name)",
    ),
)

SESSIONS = Migration(
    "sessions",
    (
        """
        CREATE TABLE sessions (
            id TEXT PRIMARY KEY,
            account_id TEXT NOT NULL REFERENCES accounts (id) ON DELETE CASCADE,
            token_hash {bytes} NOT NULL UNIQUE,
            created_at {integer} NOT NULL,
            expires_at {integer} NOT NULL,
            revoked_at {integer}
        ) {strict}
        """,
        "CREATE INDEX sessions_account ON sessions (account_id)",
        "CREATE INDEX sessions_by_expiry ON sessions (expires_at)",
        # The code isn't here: it is derived from the id and a key that is not in the database.
        """
        CREATE TABLE sign_in_codes (
            id TEXT PRIMARY KEY,
            email TEXT NOT NULL,
            email_key TEXT NOT NULL,
            locale TEXT NOT NULL,
            key_id TEXT NOT NULL,
            mail_state TEXT NOT NULL CHECK (mail_state IN ('queued', 'sent', 'failed')),
            mail_attempts {integer} NOT NULL,
            next_attempt_at {integer} NOT NULL,
            wrong_guesses {integer} NOT NULL,
            created_at {integer} NOT NULL,
            expires_at {integer} NOT NULL,
            used_at {integer}
        ) {strict}
        """,
        "CREATE INDEX sign_in_codes_due ON sign_in_codes (next_attempt_at, id) WHERE mail_state = 'queued'",
        "CREATE INDEX sign_in_codes_recipient ON sign_in_codes (email_key, created_at)",
        "CREATE INDEX sign_in_codes_by_time ON sign_in_codes (created_at, id)",
    ),
)

LIMIT_USES = Migration(
    "limit uses",
    (
        # All that a rate keeps of a subject: when it has everything back (`domain/rates.py`). No foreign key: deleting
        # what was made doesn't give it back.
        """
        CREATE TABLE limit_uses (
            limit_name TEXT NOT NULL,
            subject TEXT NOT NULL,
            full_at {integer} NOT NULL,
            PRIMARY KEY (limit_name, subject)
        ) {strict}
        """,
        "CREATE INDEX limit_uses_by_time ON limit_uses (full_at)",
    ),
)

MIGRATIONS: tuple[Migration, ...] = (ORGANIZATIONS, INVITATIONS, SEARCH_KEYS, SESSIONS, LIMIT_USES)
