"""Access tokens of ours: making, listing and revoking them.

A token is 256 random bits behind a prefix that scanners of leaked secrets can know it by. Only its SHA-256 is kept.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from server.domain.account import AccessToken, Account
from server.domain.errors import (
    ACCESS_TOKEN_NOT_FOUND,
    NOT_YOURS,
    ORGANIZATION_NOT_FOUND,
    USER_NOT_FOUND,
    ServiceError,
    invalid_field,
)
from server.ports import Clock, Ids, Store
from server.service.call import Call, writing
from server.service.paging import page_limit, page_place, page_token

TOKEN_PREFIX = "orgsvc_"  # noqa: S105 # what tokens begin with, not one
DEFAULT_LIFE = timedelta(days=30)
LONGEST_LIFE = timedelta(days=90)


def token_hash(token: str) -> bytes:
    """Give what a token is looked up by: SHA-256, enough for 256 random bits."""
    return hashlib.sha256(token.encode()).digest()


@dataclass(frozen=True, slots=True)
class AccessTokens:
    """The use cases of access tokens."""

    store: Store
    clock: Clock
    ids: Ids

    def issue(
        self,
        account: Account,
        *,
        description: str,
        expires_at: datetime | None,
        read_only: bool = False,
        organization_id: str | None = None,
    ) -> tuple[str, AccessToken]:
        """Make a token as the operator; the secret is given here and never again.

        It is the account's, or with `organization_id` its user's in that organization (`ORGANIZATION_NOT_FOUND` when
        it has none).
        """
        secret = TOKEN_PREFIX + secrets.token_urlsafe(32)
        with self.store.transaction() as tx:
            user_id = None
            if organization_id is not None:
                tx.hold_organization(organization_id)
                member = tx.member(organization_id, account.id)
                if member is None or not member.is_active:
                    raise ServiceError(ORGANIZATION_NOT_FOUND)
                user_id = member.user_id
            token = AccessToken(
                id=self.ids(),
                account_id=account.id,
                user_id=user_id,
                organization_id=organization_id,
                description=description,
                read_only=read_only,
                created_at=self.clock(),
                expires_at=expires_at,
                last_used_at=None,
                revoked_at=None,
            )
            tx.add_access_token(token, token_hash(secret))
        return secret, token

    def create_personal(
        self, call: Call, user_id: str, *, description: str, valid_for: timedelta, read_only: bool
    ) -> str:
        """Make a token of one of the caller's own users and give the secret, shown only here.

        `valid_for` zero means 30 days; the longest is 90 days.
        """
        if not timedelta(0) <= valid_for <= LONGEST_LIFE:
            raise invalid_field("valid_for", f"must be from 0 to {LONGEST_LIFE.days} days")
        secret = TOKEN_PREFIX + secrets.token_urlsafe(32)
        now = self.clock()
        call.require_person()
        with writing(self.store, call) as tx:
            member = tx.member_by_user_id(user_id)
            if member is not None:
                # Whoever leaves at this moment takes their tokens along: we come before, or see that they are gone.
                tx.hold_organization(member.organization_id)
                member = tx.member_by_user_id(user_id)
            if member is None or not member.is_active or not call.caller.reaches(member.organization_id):
                raise ServiceError(USER_NOT_FOUND)
            if member.account_id != call.caller.account_id:
                visible = tx.member(member.organization_id, call.caller.account_id)
                raise ServiceError(NOT_YOURS if visible and visible.is_active else USER_NOT_FOUND)
            token = AccessToken(
                self.ids(),
                member.account_id,
                user_id,
                member.organization_id,
                description,
                read_only,
                now,
                now + (valid_for or DEFAULT_LIFE),
                None,
                None,
            )
            tx.add_access_token(token, token_hash(secret))
        return secret

    def get_personal(self, call: Call, token_id: str) -> AccessToken:
        """Give one of the caller's own users' tokens."""
        call.require_person()
        with self.store.snapshot(call.deadline) as tx:
            return _own(call, tx.access_token_by_id(token_id))

    def list_personal(
        self, call: Call, user_ids: tuple[str, ...] = (), *, page_size: int = 0, token: str = ""
    ) -> tuple[Sequence[AccessToken], str]:
        """List the tokens of the caller's users (or some of them), and the token of the next page."""
        caller = call.caller
        if caller.user_id is not None:
            if user_ids and caller.user_id not in user_ids:
                return [], ""
            user_ids = (caller.user_id,)
        listing = ("personal-access-tokens", caller.account_id, user_ids)
        limit = page_limit(page_size)
        place = page_place(listing, token, str)
        with self.store.snapshot(call.deadline) as tx:
            found = tx.access_tokens(
                caller.account_id,
                user_ids,
                of_users_only=True,
                after=place[0] if place else "",
                limit=limit + 1,
            )
        page = found[:limit]
        return page, page_token(listing, (page[-1].id,) if len(found) > limit else None)

    def delete_personal(self, call: Call, token_id: str) -> None:
        """Revoke one of the caller's own users' tokens; it opens nothing from the next second on."""
        call.require_person()
        with writing(self.store, call) as tx:
            token = _own(call, tx.access_token_by_id(token_id))
            # Of two who revoke it at once, one finds it gone.
            if not tx.revoke_access_token(token.id, self.clock()):
                raise ServiceError(ACCESS_TOKEN_NOT_FOUND)

    def list_all(self, account: Account) -> Sequence[AccessToken]:
        """List all tokens of an account that aren't revoked, for the operator."""
        with self.store.snapshot() as tx:
            return tx.access_tokens(account.id, (), of_users_only=False, after="", limit=1000)

    def revoke(self, id_or_secret: str) -> bool:
        """Revoke any token by its id or the secret itself, as the operator; tell whether there was one to revoke."""
        with self.store.transaction() as tx:
            token_id = id_or_secret
            if id_or_secret.startswith(TOKEN_PREFIX):
                found = tx.access_token(token_hash(id_or_secret))
                token_id = found[0].id if found else ""
            return tx.revoke_access_token(token_id, self.clock())


def _own(call: Call, token: AccessToken | None) -> AccessToken:
    own_account = token is not None and token.account_id == call.caller.account_id
    if token is None or not own_account or token.user_id is None or token.revoked_at is not None:
        raise ServiceError(ACCESS_TOKEN_NOT_FOUND)
    if call.caller.user_id not in (None, token.user_id):
        raise ServiceError(ACCESS_TOKEN_NOT_FOUND)
    return token
