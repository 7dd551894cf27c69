"""Rows to put into a store: every part has a value of its own, so that a column mixed up with another shows."""

from __future__ import annotations

import hashlib
import itertools
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from server.domain.account import AccessToken, Account, BackendKey, Scope
from server.domain.address import address_key
from server.domain.invitation import DeliveryState, Invitation, InvitationStatus, NamedRole
from server.domain.invite_link import InviteLink
from server.domain.organization import Member, MemberStatus, Organization, Role
from server.domain.session import CodeMailState, Session, SignInCode
from server.ports import MailState, OutboxMail, Store

START = datetime(2030, 1, 1, 12, tzinfo=UTC)

_numbers = itertools.count(1)


def fresh_id() -> str:
    """Give a UUID that grows, so that rows are in the order in which they were made."""
    return str(UUID(int=next(_numbers) << 64, version=4))


def moment(seconds: float = 0) -> datetime:
    return START + timedelta(seconds=seconds)


def digest(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()


def an_account(name: str = "Ada", **parts: Any) -> Account:
    account_id = fresh_id()
    return Account(
        **{
            "id": account_id,
            "issuer": "https://issuer.example",
            "subject": f"subject of {account_id}",
            "name": name,
            "email": f"{name}@Example.com",
            "email_verified": True,
            "avatar_url": f"https://pictures.example/{account_id}",
            "created_at": moment(0.000001),
            "updated_at": moment(2),
            **parts,
        }
    )


def an_organization(name: str = "Acme", **parts: Any) -> Organization:
    """Give an organization as `add_organization` takes it: without members."""
    return Organization(
        **{
            "id": fresh_id(),
            "name": name,
            "invite_domains": (),
            "member_count": 0,
            "created_at": moment(3.000003),
            "updated_at": moment(4),
            **parts,
        }
    )


def a_member(organization: Organization, account: Account, **parts: Any) -> Member:
    return Member(
        **{
            "user_id": fresh_id(),
            "organization_id": organization.id,
            "account_id": account.id,
            "role": Role.MEMBER,
            "status": MemberStatus.ACTIVE,
            "joined_at": moment(5.000005),
            "full_name": account.name,
            "email": account.email,
            "avatar_url": account.avatar_url,
            "login_provider": account.login_provider,
            **parts,
        }
    )


def a_link(organization: Organization, secret: str, **parts: Any) -> InviteLink:
    return InviteLink(
        **{
            "id": fresh_id(),
            "organization_id": organization.id,
            "key_id": "the key's id",
            "lookup_hash": digest(secret),
            "created_by": fresh_id(),
            "created_at": moment(6.000006),
            **parts,
        }
    )


def a_token(account: Account, member: Member | None = None, **parts: Any) -> AccessToken:
    return AccessToken(
        **{
            "id": fresh_id(),
            "account_id": account.id,
            "user_id": member.user_id if member else None,
            "organization_id": member.organization_id if member else None,
            "description": "a token",
            "read_only": False,
            "created_at": moment(7.000007),
            "expires_at": moment(8.000008),
            "last_used_at": None,
            "revoked_at": None,
            **parts,
        }
    )


def an_invitation(organization: Organization, email: str = "Invited@Example.com", **parts: Any) -> Invitation:
    invitation_id = fresh_id()
    return Invitation(
        **{
            "id": invitation_id,
            "organization_id": organization.id,
            "email": email,
            "role": Role.MEMBER,
            "named_roles": (),
            "stored_status": InvitationStatus.PENDING,
            "inviter_account_id": None,
            "inviter_name": "The Inviter",
            "public_metadata": {},
            "private_metadata": {},
            "redirect_url": "https://app.example/welcome",
            "locale": "de",
            "delivery_state": DeliveryState.QUEUED,
            "delivery_error": "no error yet",
            "generation": 3,
            "key_id": "the key's id",
            "token_hash": digest(invitation_id),
            "created_at": moment(9.000009),
            "updated_at": moment(10),
            "expires_at": moment(3600),
            "responded_at": None,
            "accepted_account_id": None,
            **parts,
        }
    )


def a_mail(invitation: Invitation, **parts: Any) -> OutboxMail:
    return OutboxMail(
        **{
            "id": fresh_id(),
            "organization_id": invitation.organization_id,
            "invitation_id": invitation.id,
            "generation": invitation.generation,
            "email_key": invitation.email_key,
            "state": MailState.QUEUED,
            "attempts": 0,
            "error": "",
            "link": "https://app.example/link",
            "created_at": moment(11.000011),
            "next_attempt_at": moment(12),
            "sent_at": None,
            **parts,
        }
    )


def a_role(name: str, **parts: Any) -> NamedRole:
    return NamedRole(
        **{
            "id": fresh_id(),
            "key": name.lower(),
            "name": name,
            "description": f"who is {name}",
            "rights": Role.MEMBER,
            **parts,
        }
    )


def a_backend_key(**parts: Any) -> BackendKey:
    return BackendKey(
        **{
            "id": fresh_id(),
            "name": "a service",
            "organization_ids": (),
            "scopes": (Scope.MEMBERS_READ,),
            "created_at": moment(13.000013),
            "expires_at": moment(14),
            "last_used_at": None,
            "revoked_at": None,
            **parts,
        }
    )


def keep_organization(store: Store, name: str = "Acme", **parts: Any) -> Organization:
    organization = an_organization(name, **parts)
    with store.transaction() as tx:
        tx.add_organization(organization)
    return organization


def keep_account(store: Store, name: str = "Ada", **parts: Any) -> Account:
    account = an_account(name, **parts)
    with store.transaction() as tx:
        assert tx.add_account(account)
    return account


def keep_member(store: Store, organization: Organization, name: str = "Ada", **parts: Any) -> Member:
    """Keep a new account and its user in the organization."""
    account = an_account(name)
    member = a_member(organization, account, **parts)
    with store.transaction() as tx:
        tx.add_account(account)
        tx.put_member(member)
    return member


def a_session(account: Account, **parts: Any) -> Session:
    return Session(
        **{
            "id": fresh_id(),
            "account_id": account.id,
            "created_at": moment(15.000015),
            "expires_at": moment(16.000016),
            "revoked_at": None,
            **parts,
        }
    )


def a_code(email: str = "Ada@Example.com", **parts: Any) -> SignInCode:
    return SignInCode(
        **{
            "id": fresh_id(),
            "email": email,
            "email_key": address_key(email),
            "locale": "de",
            "key_id": "the key's id",
            "mail_state": CodeMailState.QUEUED,
            "mail_attempts": 1,
            "next_attempt_at": moment(17.000017),
            "wrong_guesses": 2,
            "created_at": moment(18.000018),
            "expires_at": moment(19.000019),
            "used_at": None,
            **parts,
        }
    )
