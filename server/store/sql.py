"""The store in SQL that every engine understands: organizations, members, links, accounts and access tokens.

An engine (`sqlite.py`) brings connections, transactions and its errors; what is read and written stands here once, and
in the files named alike. Parameters are written `:name`. A write that can meet another's is guarded in its own
statement and answers by the number of rows it touched, never by catching a driver's error.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from server.domain.account import AccessToken, Account
from server.domain.address import address_key, fold
from server.domain.invite_link import InviteLink
from server.domain.organization import Member, Membership, MemberStatus, Organization, Role
from server.ports import MemberFilter, MemberOrder, MemberPage
from server.store.sql_base import (
    ACCOUNT,
    Row,
    account_of,
    from_json,
    from_micros,
    in_list,
    like,
    made,
    micros_or_none,
    moment_or_none,
    to_json,
    to_micros,
)
from server.store.sql_invitations import InvitationReads, InvitationWrites
from server.store.sql_keys import KeyReads, KeyWrites
from server.store.sql_outbox import OutboxReads, OutboxWrites
from server.store.sql_sessions import SessionReads, SessionWrites

_ORGANIZATION = "o.id, o.name, o.invite_domains, o.member_count, o.created_at, o.updated_at, o.details"
_MEMBER = (
    "m.user_id, m.organization_id, m.account_id, m.role, m.status, m.joined_at,"
    " m.full_name, m.email, m.avatar_url, m.login_provider, m.named_roles, m.public_metadata, m.private_metadata"
)
_TOKEN_COLUMNS = (  # columns
    "t.id, t.account_id, t.user_id, t.organization_id, t.description, t.read_only,"
    " t.created_at, t.expires_at, t.last_used_at, t.revoked_at"
)
_ROLES = {role.value: role for role in Role}
_STATUSES = {status.value: status for status in MemberStatus}
_TOKEN_WIDTH = 10
_MEMBER_WIDTH = 13
_LINK = "l.id, l.organization_id, l.key_id, l.lookup_hash, l.created_by, l.created_at"

# What is run most often, written once: a text that is made anew for each call is hashed anew to find its statement.
_ORGANIZATION_BY_ID = f"SELECT {_ORGANIZATION} FROM organizations o WHERE o.id = :id"
_ORGANIZATION_BY_INVITE = (
    f"SELECT {_ORGANIZATION} FROM invite_links l JOIN organizations o ON o.id = l.organization_id"
    " WHERE l.lookup_hash = :hash"
)
_MEMBER_BY_ACCOUNT = (
    f"SELECT {_MEMBER} FROM members m WHERE m.organization_id = :organization AND m.account_id = :account"
)
_MEMBER_BY_ID = f"SELECT {_MEMBER} FROM members m WHERE m.user_id = :user"
_TOKEN_BY_HASH = (
    f"SELECT {_TOKEN_COLUMNS}, {ACCOUNT} FROM access_tokens t JOIN accounts a ON a.id = t.account_id"
    " WHERE t.token_hash = :hash"
)
_ADD_MEMBER = (
    "INSERT INTO members (user_id, organization_id, account_id, role, status, joined_at, full_name, name_key,"
    " email, email_key, avatar_url, login_provider, named_roles, public_metadata, private_metadata)"
    " VALUES (:user_id, :organization_id, :account_id, :role, :status, :joined_at, :full_name, :name_key,"
    " :email, :email_key, :avatar_url, :login_provider, :named_roles, :public_metadata, :private_metadata)"
)
_PUT_MEMBER = (
    f"{_ADD_MEMBER} ON CONFLICT (user_id) DO UPDATE SET role = excluded.role, status = excluded.status,"
    " joined_at = excluded.joined_at, full_name = excluded.full_name, name_key = excluded.name_key,"
    " email = excluded.email, email_key = excluded.email_key, avatar_url = excluded.avatar_url,"
    " login_provider = excluded.login_provider, named_roles = excluded.named_roles,"
    " public_metadata = excluded.public_metadata, private_metadata = excluded.private_metadata"
)
_COUNT_MEMBER = "UPDATE organizations SET member_count = member_count + :change WHERE id = :id"


def _organization(row: Row) -> Organization:
    return Organization(
        row[0], row[1], tuple(row[2].split()), row[3], from_micros(row[4]), from_micros(row[5]), from_json(row[6])
    )


def _member(row: Row) -> Member:
    return Member(
        row[0],
        row[1],
        row[2],
        _ROLES[row[3]],
        _STATUSES[row[4]],
        from_micros(row[5]),
        row[6],
        row[7],
        row[8],
        row[9],
        tuple(row[10].split()),
        from_json(row[11]),
        from_json(row[12]),
    )


def _token(row: Row) -> AccessToken:
    created, expires, last_used, revoked = row[6:_TOKEN_WIDTH]
    return AccessToken(
        row[0],
        row[1],
        row[2],
        row[3],
        row[4],
        bool(row[5]),
        from_micros(created),
        moment_or_none(expires),
        moment_or_none(last_used),
        moment_or_none(revoked),
    )


def _token_and_account(row: Row) -> tuple[AccessToken, Account]:
    return _token(row), account_of(row[_TOKEN_WIDTH:])


def _link(row: Row) -> InviteLink:
    return InviteLink(row[0], row[1], row[2], bytes(row[3]), row[4], from_micros(row[5]))


class SqlSnapshot(InvitationReads, OutboxReads, KeyReads, SessionReads):
    """Reads; see `ports.Snapshot`."""

    # Organizations and members.

    def organization(self, organization_id: str) -> Organization | None:
        row = self._one(_ORGANIZATION_BY_ID, id=organization_id)
        return made(_organization, row)

    def organizations_admitting(self, domain: str, after: str, limit: int) -> Sequence[Organization]:
        rows = self._all(
            f"SELECT {_ORGANIZATION} FROM invite_domains d JOIN organizations o ON o.id = d.organization_id"
            " WHERE d.domain = :domain AND d.organization_id > :after ORDER BY d.organization_id LIMIT :limit",
            {"domain": domain, "after": after, "limit": limit},
        )
        return [_organization(row) for row in rows]

    def member(self, organization_id: str, account_id: str) -> Member | None:
        row = self._one(_MEMBER_BY_ACCOUNT, organization=organization_id, account=account_id)
        return made(_member, row)

    def member_by_user_id(self, user_id: str) -> Member | None:
        row = self._one(_MEMBER_BY_ID, user=user_id)
        return made(_member, row)

    def members(
        self,
        organization_id: str,
        member_filter: MemberFilter,
        order: MemberOrder,
        after: tuple[str | int, str] | None,
        limit: int,
    ) -> MemberPage:
        where, parameters = _member_conditions(organization_id, member_filter)
        column = "m.joined_at" if order.by == "joined_at" else "m.name_key"
        direction, beyond = ("DESC", "<") if order.descending else ("ASC", ">")
        if after is not None:
            where += f" AND ({column}, m.user_id) {beyond} (:after_key, :after_id)"
            parameters |= {"after_key": after[0], "after_id": after[1]}
        rows = self._all(
            f"SELECT {_MEMBER}, {column} FROM members m WHERE {where}"
            f" ORDER BY {column} {direction}, m.user_id {direction} LIMIT :limit",
            {**parameters, "limit": limit + 1},
        )
        page = rows[:limit]
        more = len(rows) > limit and page
        return MemberPage(tuple(_member(row) for row in page), (page[-1][_MEMBER_WIDTH], page[-1][0]) if more else None)

    def count_members(self, organization_id: str, member_filter: MemberFilter) -> int:
        where, parameters = _member_conditions(organization_id, member_filter)
        return int(self._all(f"SELECT count(*) FROM members m WHERE {where}", parameters)[0][0])

    def memberships(self, account_id: str) -> Sequence[Membership]:
        rows = self._all(
            f"SELECT {_MEMBER}, {_ORGANIZATION} FROM members m JOIN organizations o ON o.id = m.organization_id"
            " WHERE m.account_id = :account AND m.status = 'active' ORDER BY o.name, o.id",
            {"account": account_id},
        )
        return [Membership(_member(row), _organization(row[_MEMBER_WIDTH:])) for row in rows]

    def organizations(self, search: str, offset: int, limit: int) -> tuple[Sequence[Organization], int]:
        where, parameters = "1 = 1", {"search": like(search)} if search else {}
        if search:
            where = "o.name_key LIKE :search ESCAPE '\\'"
        total = self._all(f"SELECT count(*) FROM organizations o WHERE {where}", parameters)[0][0]
        rows = self._all(
            f"SELECT {_ORGANIZATION} FROM organizations o WHERE {where} ORDER BY o.created_at DESC, o.id DESC"
            " LIMIT :limit OFFSET :offset",
            {**parameters, "limit": limit, "offset": offset},
        )
        return [_organization(row) for row in rows], total

    def members_by_offset(self, organization_id: str, offset: int, limit: int) -> Sequence[Member]:
        rows = self._all(
            f"SELECT {_MEMBER} FROM members m WHERE m.organization_id = :organization AND m.status = 'active'"
            " ORDER BY m.joined_at DESC, m.user_id DESC LIMIT :limit OFFSET :offset",
            {"organization": organization_id, "offset": offset, "limit": limit},
        )
        return [_member(row) for row in rows]

    def member_by_email(self, organization_id: str, email_key: str) -> Member | None:
        row = self._one(
            f"SELECT {_MEMBER} FROM members m WHERE m.organization_id = :organization AND m.email_key = :email"
            " AND m.status = 'active' LIMIT 1",
            organization=organization_id,
            email=email_key,
        )
        return made(_member, row)

    def has_other_admin(self, organization_id: str, user_id: str) -> bool:
        row = self._one(
            "SELECT 1 FROM members WHERE organization_id = :organization AND user_id <> :user"
            " AND role = 'admin' AND status = 'active' LIMIT 1",
            organization=organization_id,
            user=user_id,
        )
        return row is not None

    # Invite links.

    def invite_link(self, organization_id: str) -> InviteLink | None:
        row = self._one(
            f"SELECT {_LINK} FROM invite_links l WHERE l.organization_id = :organization",
            organization=organization_id,
        )
        return made(_link, row)

    def organization_by_invite(self, lookup_hash: bytes) -> Organization | None:
        row = self._one(_ORGANIZATION_BY_INVITE, hash=lookup_hash)
        return made(_organization, row)

    # Accounts and their tokens.

    def account(self, account_id: str) -> Account | None:
        row = self._one(f"SELECT {ACCOUNT} FROM accounts a WHERE a.id = :id", id=account_id)
        return made(account_of, row)

    def account_by_identity(self, issuer: str, subject: str) -> Account | None:
        row = self._one(
            f"SELECT {ACCOUNT} FROM accounts a WHERE a.issuer = :issuer AND a.subject = :subject",
            issuer=issuer,
            subject=subject,
        )
        return made(account_of, row)

    def accounts_by_email(self, email_key: str) -> Sequence[Account]:
        rows = self._all(
            f"SELECT {ACCOUNT} FROM accounts a WHERE a.email_key = :email ORDER BY a.created_at, a.id",
            {"email": email_key},
        )
        return [account_of(row) for row in rows]

    def access_token(self, token_hash: bytes) -> tuple[AccessToken, Account] | None:
        row = self._one(_TOKEN_BY_HASH, hash=token_hash)
        return made(_token_and_account, row)

    def access_token_by_id(self, token_id: str) -> AccessToken | None:
        row = self._one(f"SELECT {_TOKEN_COLUMNS} FROM access_tokens t WHERE t.id = :id", id=token_id)
        return made(_token, row)

    def access_tokens(
        self, account_id: str, user_ids: tuple[str, ...], *, of_users_only: bool, after: str, limit: int
    ) -> Sequence[AccessToken]:
        parameters: dict[str, Any] = {"account": account_id, "after": after, "limit": limit}
        where = "t.account_id = :account AND t.revoked_at IS NULL AND t.id > :after"
        if of_users_only:
            where += " AND t.user_id IS NOT NULL"
        if user_ids:
            where += " AND " + in_list("t.user_id", "user", user_ids, parameters)
        rows = self._all(
            f"SELECT {_TOKEN_COLUMNS} FROM access_tokens t WHERE {where} ORDER BY t.id LIMIT :limit", parameters
        )
        return [_token(row) for row in rows]


def _member_conditions(organization_id: str, wanted: MemberFilter) -> tuple[str, dict[str, Any]]:
    parameters: dict[str, Any] = {"organization": organization_id}
    where = ["m.organization_id = :organization"]
    lists: tuple[tuple[str, str, Sequence[str]], ...] = (
        ("m.status", "status", wanted.statuses),
        ("m.role", "role", wanted.roles),
        ("m.user_id", "user", wanted.user_ids),
        ("m.login_provider", "provider", wanted.login_providers),
    )
    where += [in_list(column, name, values, parameters) for column, name, values in lists if values]
    if wanted.other_than_login_providers:
        where.append("NOT " + in_list("m.login_provider", "other", wanted.other_than_login_providers, parameters))
    if wanted.search:
        where.append("(m.name_key LIKE :search ESCAPE '\\' OR m.email_key LIKE :search ESCAPE '\\')")
        parameters["search"] = like(wanted.search)
    if wanted.email:
        where.append("m.email_key = :email")
        parameters["email"] = wanted.email
    if wanted.exclude_user_id:
        where.append("m.user_id <> :excluded")
        parameters["excluded"] = wanted.exclude_user_id
    return " AND ".join(where), parameters


def _member_columns(member: Member) -> dict[str, Any]:
    return {
        "user_id": member.user_id,
        "organization_id": member.organization_id,
        "account_id": member.account_id,
        "role": member.role,
        "status": member.status,
        "joined_at": to_micros(member.joined_at),
        "full_name": member.full_name,
        "name_key": fold(member.full_name),
        "email": member.email,
        "email_key": address_key(member.email),
        "avatar_url": member.avatar_url,
        "login_provider": member.login_provider,
        "named_roles": " ".join(member.named_roles),
        "public_metadata": to_json(member.public_metadata),
        "private_metadata": to_json(member.private_metadata),
    }


class SqlTransaction(SqlSnapshot, InvitationWrites, OutboxWrites, KeyWrites, SessionWrites):
    """Reads and writes; see `ports.Transaction`."""

    def hold_organization(self, organization_id: str) -> None:
        if self._row_lock:
            self._one(f"SELECT 1 FROM organizations o WHERE o.id = :id{self._row_lock}", id=organization_id)

    def lock_organization(self, organization_id: str) -> Organization | None:
        return made(_organization, self._one(_ORGANIZATION_BY_ID + self._row_lock, id=organization_id))

    def lock_organization_by_invite(self, lookup_hash: bytes) -> Organization | None:
        found = self.organization_by_invite(lookup_hash)
        if found is None or not self._row_lock:
            return found
        self.hold_organization(found.id)
        # Looked at again under the lock: the link may have been replaced while we waited for it.
        return self.organization_by_invite(lookup_hash)

    def add_organization(self, organization: Organization) -> None:
        self._write(
            "INSERT INTO organizations"
            " (id, name, name_key, invite_domains, member_count, created_at, updated_at, details)"
            " VALUES (:id, :name, :name_key, :domains, 0, :created_at, :updated_at, :details)",
            id=organization.id,
            name=organization.name,
            name_key=fold(organization.name),
            domains=" ".join(organization.invite_domains),
            created_at=to_micros(organization.created_at),
            updated_at=to_micros(organization.updated_at),
            details=to_json(organization.details),
        )
        self._put_invite_domains(organization)

    def update_organization(self, organization: Organization) -> None:
        self._write(
            "UPDATE organizations SET name = :name, name_key = :name_key, invite_domains = :domains,"
            " updated_at = :updated_at, details = :details WHERE id = :id",
            id=organization.id,
            name=organization.name,
            name_key=fold(organization.name),
            domains=" ".join(organization.invite_domains),
            updated_at=to_micros(organization.updated_at),
            details=to_json(organization.details),
        )
        self._write("DELETE FROM invite_domains WHERE organization_id = :id", id=organization.id)
        self._put_invite_domains(organization)

    def _put_invite_domains(self, organization: Organization) -> None:
        for domain in organization.invite_domains:
            self._write(
                "INSERT INTO invite_domains (domain, organization_id) VALUES (:domain, :id)",
                domain=domain,
                id=organization.id,
            )

    def delete_organization(self, organization_id: str) -> None:
        self._write("DELETE FROM organizations WHERE id = :id", id=organization_id)

    def add_member(self, member: Member) -> None:
        self._write(_ADD_MEMBER, **_member_columns(member))
        self._count(member, int(member.is_active))

    def put_member(self, member: Member) -> None:
        known = self.member_by_user_id(member.user_id)
        self._write(_PUT_MEMBER, **_member_columns(member))
        self._count(member, int(member.is_active) - int(known is not None and known.is_active))

    def _count(self, member: Member, change: int) -> None:
        if change:
            self._write(_COUNT_MEMBER, change=change, id=member.organization_id)

    def put_invite_link(self, link: InviteLink) -> None:
        self._write(
            "INSERT INTO invite_links (organization_id, id, key_id, lookup_hash, created_by, created_at)"
            " VALUES (:organization_id, :id, :key_id, :lookup_hash, :created_by, :created_at)"
            " ON CONFLICT (organization_id) DO UPDATE SET id = excluded.id, key_id = excluded.key_id,"
            " lookup_hash = excluded.lookup_hash, created_by = excluded.created_by, created_at = excluded.created_at",
            organization_id=link.organization_id,
            id=link.id,
            key_id=link.key_id,
            lookup_hash=link.lookup_hash,
            created_by=link.created_by,
            created_at=to_micros(link.created_at),
        )

    def delete_invite_link(self, organization_id: str) -> None:
        self._write("DELETE FROM invite_links WHERE organization_id = :organization", organization=organization_id)

    def add_account(self, account: Account) -> bool:
        added = self._write(
            "INSERT INTO accounts (id, issuer, subject, name, email, email_key, email_verified, avatar_url,"
            " created_at, updated_at) VALUES (:id, :issuer, :subject, :name, :email, :email_key, :email_verified,"
            " :avatar_url, :created_at, :updated_at) ON CONFLICT (issuer, subject) DO NOTHING",
            id=account.id,
            issuer=account.issuer,
            subject=account.subject,
            name=account.name,
            email=account.email,
            email_key=address_key(account.email),
            email_verified=int(account.email_verified),
            avatar_url=account.avatar_url,
            created_at=to_micros(account.created_at),
            updated_at=to_micros(account.updated_at),
        )
        return added == 1

    def update_account(self, account: Account) -> None:
        self._write(
            "UPDATE accounts SET name = :name, email = :email, email_key = :email_key,"
            " email_verified = :email_verified, avatar_url = :avatar_url, updated_at = :updated_at WHERE id = :id",
            id=account.id,
            name=account.name,
            email=account.email,
            email_key=address_key(account.email),
            email_verified=int(account.email_verified),
            avatar_url=account.avatar_url,
            updated_at=to_micros(account.updated_at),
        )
        self._write(
            "UPDATE members SET full_name = :name, name_key = :name_key, email = :email, email_key = :email_key,"
            " avatar_url = :avatar_url WHERE account_id = :id",
            id=account.id,
            name=account.name,
            name_key=fold(account.name),
            email=account.email,
            email_key=address_key(account.email),
            avatar_url=account.avatar_url,
        )

    def add_access_token(self, token: AccessToken, token_hash: bytes) -> None:
        self._write(
            "INSERT INTO access_tokens (id, account_id, user_id, organization_id, description, token_hash, read_only,"
            " created_at, expires_at, last_used_at, revoked_at) VALUES (:id, :account_id, :user_id, :organization_id,"
            " :description, :token_hash, :read_only, :created_at, :expires_at, :last_used_at, :revoked_at)",
            id=token.id,
            account_id=token.account_id,
            user_id=token.user_id,
            organization_id=token.organization_id,
            description=token.description,
            token_hash=token_hash,
            read_only=int(token.read_only),
            created_at=to_micros(token.created_at),
            expires_at=micros_or_none(token.expires_at),
            last_used_at=micros_or_none(token.last_used_at),
            revoked_at=micros_or_none(token.revoked_at),
        )

    def revoke_access_token(self, token_id: str, now: datetime) -> bool:
        revoked = self._write(
            "UPDATE access_tokens SET revoked_at = :now WHERE id = :id AND revoked_at IS NULL",
            id=token_id,
            now=to_micros(now),
        )
        return revoked == 1

    def revoke_user_access_tokens(self, user_id: str, now: datetime) -> None:
        self._write(
            "UPDATE access_tokens SET revoked_at = :now WHERE user_id = :user AND revoked_at IS NULL",
            user=user_id,
            now=to_micros(now),
        )

    def touch_access_tokens(self, last_used: dict[str, datetime]) -> None:
        for token_id, moment in sorted(last_used.items()):
            self._write(
                "UPDATE access_tokens SET last_used_at = :moment WHERE id = :id"
                " AND (last_used_at IS NULL OR last_used_at < :moment)",
                id=token_id,
                moment=to_micros(moment),
            )
