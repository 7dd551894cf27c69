"""A person who speaks in the messages that protoc generates for Python, whatever carries them.

Gitpod's SDK 1.2.0 has these modules under the names that ours for grpcio have, so one file serves both.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from gitpod.v1 import account_pb2, identity_pb2, organization_pb2, pagination_pb2, user_pb2
from life import Account, Identity, Member, Membership, Organization, Summary, Token, User

Carry = Callable[[str, str, str, Any], Any]
"""Makes one call: token, service, method and request to response; raises `RefusedError`."""


class MessagePerson:
    """A person of `life`, by a token and what carries the calls."""

    makes_tokens = True

    def __init__(self, carry: Carry, token: str) -> None:
        self._carry = carry
        self._token = token

    def with_token(self, token: str) -> MessagePerson:
        return MessagePerson(self._carry, token)

    def account(self) -> Account:
        account = self._of_accounts("GetAccount", account_pb2.GetAccountRequest()).account
        memberships = tuple(
            Membership(
                m.user_id, role_name(m.user_role), m.organization_id, m.organization_name, m.organization_member_count
            )
            for m in account.memberships
        )
        return Account(account.id, account.name, account.email, memberships)

    def identity(self) -> Identity:
        request = identity_pb2.GetAuthenticatedIdentityRequest()
        found = self._carry(self._token, "IdentityService", "GetAuthenticatedIdentity", request)
        return Identity(identity_pb2.Principal.Name(found.subject.principal), found.subject.id, found.organization_id)

    def own_user(self) -> User:
        return _user(self._of_users("GetAuthenticatedUser", user_pb2.GetAuthenticatedUserRequest()).user)

    def user(self, user_id: str) -> User:
        return _user(self._of_users("GetUser", user_pb2.GetUserRequest(user_id=user_id)).user)

    def create_organization(self, name: str) -> tuple[Organization, Member]:
        request = organization_pb2.CreateOrganizationRequest(name=name, join_organization=True)
        created = self._of_organizations("CreateOrganization", request)
        return _organization(created.organization), _member(created.member)

    def organization(self, organization_id: str) -> Organization:
        request = organization_pb2.GetOrganizationRequest(organization_id=organization_id)
        return _organization(self._of_organizations("GetOrganization", request).organization)

    def rename(self, organization_id: str, name: str) -> Organization:
        request = organization_pb2.UpdateOrganizationRequest(organization_id=organization_id, name=name)
        return _organization(self._of_organizations("UpdateOrganization", request).organization)

    def delete_organization(self, organization_id: str) -> None:
        request = organization_pb2.DeleteOrganizationRequest(organization_id=organization_id)
        self._of_organizations("DeleteOrganization", request)

    def create_invite(self, organization_id: str) -> str:
        request = organization_pb2.CreateOrganizationInviteRequest(organization_id=organization_id)
        return self._of_organizations("CreateOrganizationInvite", request).invite.invite_id

    def invite(self, organization_id: str) -> str:
        request = organization_pb2.GetOrganizationInviteRequest(organization_id=organization_id)
        return self._of_organizations("GetOrganizationInvite", request).invite.invite_id

    def summary(self, invite_id: str) -> Summary:
        request = organization_pb2.GetOrganizationInviteSummaryRequest(invite_id=invite_id)
        found = self._of_organizations("GetOrganizationInviteSummary", request)
        return Summary(found.organization_id, found.organization_name, found.organization_member_count)

    def join(self, invite_id: str) -> Member:
        request = organization_pb2.JoinOrganizationRequest(invite_id=invite_id)
        return _member(self._of_organizations("JoinOrganization", request).member)

    def members(self, organization_id: str) -> list[Member]:
        """List page by page, so that paging is part of every life."""
        members: list[Member] = []
        page = pagination_pb2.PaginationRequest(page_size=1)
        while True:
            request = organization_pb2.ListMembersRequest(organization_id=organization_id, pagination=page)
            found = self._of_organizations("ListMembers", request)
            members += map(_member, found.members)
            page.token = found.pagination.next_token
            if not page.token:
                return members

    def set_role(self, organization_id: str, user_id: str, role: str) -> None:
        number = organization_pb2.OrganizationRole.Value(role)
        request = organization_pb2.SetRoleRequest(organization_id=organization_id, user_id=user_id, role=number)
        self._of_organizations("SetRole", request)

    def leave(self, user_id: str) -> None:
        self._of_organizations("LeaveOrganization", organization_pb2.LeaveOrganizationRequest(user_id=user_id))

    def create_token(self, user_id: str, description: str, *, read_only: bool) -> str:
        request = user_pb2.CreatePersonalAccessTokenRequest(
            user_id=user_id, description=description, read_only=read_only
        )
        request.valid_for.FromSeconds(86_400)
        return self._of_users("CreatePersonalAccessToken", request).token

    def tokens(self) -> list[Token]:
        request = user_pb2.ListPersonalAccessTokensRequest()
        return [_token(t) for t in self._of_users("ListPersonalAccessTokens", request).personal_access_tokens]

    def token(self, token_id: str) -> Token:
        request = user_pb2.GetPersonalAccessTokenRequest(personal_access_token_id=token_id)
        return _token(self._of_users("GetPersonalAccessToken", request).pat)

    def delete_token(self, token_id: str) -> None:
        request = user_pb2.DeletePersonalAccessTokenRequest(personal_access_token_id=token_id)
        self._of_users("DeletePersonalAccessToken", request)

    def _of_organizations(self, method: str, request: Any) -> Any:
        return self._carry(self._token, "OrganizationService", method, request)

    def _of_accounts(self, method: str, request: Any) -> Any:
        return self._carry(self._token, "AccountService", method, request)

    def _of_users(self, method: str, request: Any) -> Any:
        return self._carry(self._token, "UserService", method, request)


def role_name(number: int) -> str:
    return organization_pb2.OrganizationRole.Name(number)


def _organization(found: Any) -> Organization:
    return Organization(found.id, found.name, organization_pb2.OrganizationTier.Name(found.tier))


def _member(found: Any) -> Member:
    status = user_pb2.UserStatus.Name(found.status)
    return Member(found.user_id, role_name(found.role), status, found.full_name, found.email, found.login_provider)


def _user(found: Any) -> User:
    return User(found.id, found.organization_id, found.name, found.email)


def _token(found: Any) -> Token:
    return Token(found.id, found.user_id, found.description, found.read_only)
