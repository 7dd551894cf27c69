"""Gitpod's contract, `gitpod.v1`, over Connect, gRPC and gRPC-Web.

What it can't express: an organization has no plan here, so the tier is always FREE; a link has no role, expiry
or count of uses; filters by group leave nobody out, since there are no groups. The rest of Gitpod's API is
`unimplemented`.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any, TypeVar
from urllib.parse import parse_qs

from connectrpc.request import RequestContext
from protobuf import Oneof

from gen.gitpod.v1 import account_pb, identity_pb, organization_pb, pagination_pb, user_pb
from gen.gitpod.v1.account_connect import AccountServiceSync
from gen.gitpod.v1.identity_connect import IdentityServiceSync
from gen.gitpod.v1.organization_connect import OrganizationServiceSync
from gen.gitpod.v1.user_connect import UserServiceSync
from server.domain.account import LOCAL_ISSUER, AccessToken
from server.domain.address import address_domain, address_key, fold, is_public_email_domain
from server.domain.errors import invalid_field
from server.domain.organization import Member, Membership, MemberStatus, Organization, Role
from server.faces.connect import current_call, timestamp, timestamp_or_none
from server.faces.exchange import current_exchange
from server.ports import MemberFilter, MemberOrder
from server.service.access_tokens import AccessTokens
from server.service.invite_links import InviteLinks
from server.service.organizations import Organizations

Context = RequestContext[Any, Any]
REQUEST = TypeVar("REQUEST")
RESPONSE = TypeVar("RESPONSE")

_ROLES = {Role.ADMIN: organization_pb.OrganizationRole.ADMIN, Role.MEMBER: organization_pb.OrganizationRole.MEMBER}
_ROLES_READ = {wire: role for role, wire in _ROLES.items()}
_STATUSES = {MemberStatus.ACTIVE: user_pb.UserStatus.ACTIVE, MemberStatus.LEFT: user_pb.UserStatus.LEFT}
_STATUSES_READ = {wire: status for status, wire in _STATUSES.items()}
_TIER = organization_pb.OrganizationTier.FREE

_LOGIN_PROVIDERS = {
    organization_pb.LoginProviderKind.GITHUB: ("github.com", "token.actions.githubusercontent.com"),
    organization_pb.LoginProviderKind.GOOGLE: ("accounts.google.com",),
    organization_pb.LoginProviderKind.MAGICLINK: (LOCAL_ISSUER,),
}
_NOBODY = ("",)
"""A filter value that no row has, for what can't match here."""


def _organization(organization: Organization) -> organization_pb.Organization:
    domains = organization.invite_domains
    return organization_pb.Organization(
        id=organization.id,
        name=organization.name,
        created_at=timestamp(organization.created_at),
        updated_at=timestamp(organization.updated_at),
        invite_domains=organization_pb.InviteDomains(domains=list(domains)) if domains else None,
        tier=_TIER,
    )


def _member(member: Member) -> organization_pb.OrganizationMember:
    written = organization_pb.OrganizationMember()
    written.user_id = member.user_id
    written.role = _ROLES[member.role]
    written.member_since = timestamp(member.joined_at)
    written.avatar_url = member.avatar_url
    written.full_name = member.full_name
    written.email = member.email
    written.status = _STATUSES[member.status]
    written.login_provider = member.login_provider
    return written


def _user(member: Member) -> user_pb.User:
    return user_pb.User(
        id=member.user_id,
        organization_id=member.organization_id,
        name=member.full_name,
        avatar_url=member.avatar_url,
        created_at=timestamp(member.joined_at),
        status=_STATUSES[member.status],
        email=member.email,
    )


def _membership(membership: Membership) -> account_pb.AccountMembership:
    return account_pb.AccountMembership(
        user_id=membership.member.user_id,
        user_role=_ROLES[membership.member.role],
        organization_id=membership.organization.id,
        organization_name=membership.organization.name,
        organization_member_count=membership.organization.member_count,
        organization_tier=_TIER,
    )


def _access_token(token: AccessToken) -> user_pb.PersonalAccessToken:
    user_id = token.user_id or ""
    return user_pb.PersonalAccessToken(
        id=token.id,
        user_id=user_id,
        description=token.description,
        creator=identity_pb.Subject(id=user_id, principal=identity_pb.Principal.USER),
        created_at=timestamp(token.created_at),
        expires_at=timestamp_or_none(token.expires_at),
        last_used=timestamp_or_none(token.last_used_at),
        read_only=token.read_only,
    )


def _page(pagination: pagination_pb.PaginationRequest | None) -> dict[str, Any]:
    """Give the page that a request asks for, as the use cases take it."""
    return {} if pagination is None else {"page_size": pagination.page_size, "token": pagination.token}


def _next(token: str) -> pagination_pb.PaginationResponse:
    return pagination_pb.PaginationResponse(next_token=token)


class QueryPaging:
    """Reads `?token=` and `?pageSize=` of a POST, where Gitpod's JSON SDK puts them, into the message."""

    def intercept_unary_sync(
        self, call_next: Callable[[REQUEST, Context], RESPONSE], request: REQUEST, ctx: Context, /
    ) -> RESPONSE:
        """Let what stands in the query override what stands in the body."""
        query = current_exchange.get().query
        if query and ctx.http_method == "POST" and hasattr(request, "pagination"):
            self._fold(request, parse_qs(query))
        return call_next(request, ctx)

    def _fold(self, request: Any, given: dict[str, list[str]]) -> None:
        pagination = request.pagination or pagination_pb.PaginationRequest()
        if "token" in given:
            pagination.token = given["token"][-1]
        if "pageSize" in given:
            digits = given["pageSize"][-1]
            if not (digits.isascii() and digits.isdigit() and len(digits) < 10):
                raise invalid_field("pagination.page_size", "must be a whole number from 0 to 100")
            pagination.page_size = int(digits)
        request.pagination = pagination


class OrganizationServicer(OrganizationServiceSync):
    """`gitpod.v1.OrganizationService`."""

    def __init__(self, organizations: Organizations, links: InviteLinks) -> None:
        self._organizations = organizations
        self._links = links

    def create_organization(
        self, request: organization_pb.CreateOrganizationRequest, _ctx: Context, /
    ) -> organization_pb.CreateOrganizationResponse:
        """See the contract."""
        organization, member = self._organizations.create(
            current_call(), request.name, invite_matching_domain=request.invite_accounts_with_matching_domain
        )
        return organization_pb.CreateOrganizationResponse(
            organization=_organization(organization), member=_member(member) if request.join_organization else None
        )

    def get_organization(
        self, request: organization_pb.GetOrganizationRequest, _ctx: Context, /
    ) -> organization_pb.GetOrganizationResponse:
        """See the contract."""
        organization = self._organizations.get(current_call(), request.organization_id)
        return organization_pb.GetOrganizationResponse(organization=_organization(organization))

    def update_organization(
        self, request: organization_pb.UpdateOrganizationRequest, _ctx: Context, /
    ) -> organization_pb.UpdateOrganizationResponse:
        """See the contract."""
        domains = request.invite_domains
        organization = self._organizations.update(
            current_call(),
            request.organization_id,
            name=request.name if request.has_field("name") else None,
            invite_domains=None if domains is None else tuple(domains.domains),
        )
        return organization_pb.UpdateOrganizationResponse(organization=_organization(organization))

    def delete_organization(
        self, request: organization_pb.DeleteOrganizationRequest, _ctx: Context, /
    ) -> organization_pb.DeleteOrganizationResponse:
        """See the contract."""
        self._organizations.delete(current_call(), request.organization_id)
        return organization_pb.DeleteOrganizationResponse()

    def join_organization(
        self, request: organization_pb.JoinOrganizationRequest, _ctx: Context, /
    ) -> organization_pb.JoinOrganizationResponse:
        """See the contract."""
        match request.join_id:
            case Oneof(field="invite_id", value=invite_id):
                member = self._organizations.join_by_invite(current_call(), invite_id)
            case Oneof(field="organization_id", value=organization_id):
                member = self._organizations.join_by_domain(current_call(), organization_id)
            case _:
                raise invalid_field("join_id", "must be given: an invite_id or an organization_id")
        return organization_pb.JoinOrganizationResponse(member=_member(member))

    def leave_organization(
        self, request: organization_pb.LeaveOrganizationRequest, _ctx: Context, /
    ) -> organization_pb.LeaveOrganizationResponse:
        """See the contract."""
        self._organizations.leave(current_call(), request.user_id)
        return organization_pb.LeaveOrganizationResponse()

    def list_members(
        self, request: organization_pb.ListMembersRequest, _ctx: Context, /
    ) -> organization_pb.ListMembersResponse:
        """See the contract."""
        page = self._organizations.list_members(
            current_call(),
            request.organization_id,
            _member_filter(request.filter),
            _member_order(request.sort),
            count=request.count is not None and request.count.include,
            **_page(request.pagination),
        )
        count = None
        if page.count is not None:
            count = pagination_pb.CountResponse(value=page.count, relation=pagination_pb.CountResponseRelation.EQ)
        return organization_pb.ListMembersResponse(
            pagination=_next(page.next_token), members=[_member(m) for m in page.members], count=count
        )

    def set_role(self, request: organization_pb.SetRoleRequest, _ctx: Context, /) -> organization_pb.SetRoleResponse:
        """See the contract."""
        self._organizations.set_role(
            current_call(), request.organization_id, request.user_id, _ROLES_READ[request.role]
        )
        return organization_pb.SetRoleResponse()

    def create_organization_invite(
        self, request: organization_pb.CreateOrganizationInviteRequest, _ctx: Context, /
    ) -> organization_pb.CreateOrganizationInviteResponse:
        """See the contract."""
        invite_id = self._links.create(current_call(), request.organization_id)
        return organization_pb.CreateOrganizationInviteResponse(
            invite=organization_pb.OrganizationInvite(invite_id=invite_id)
        )

    def get_organization_invite(
        self, request: organization_pb.GetOrganizationInviteRequest, _ctx: Context, /
    ) -> organization_pb.GetOrganizationInviteResponse:
        """See the contract."""
        invite_id = self._links.get(current_call(), request.organization_id)
        return organization_pb.GetOrganizationInviteResponse(
            invite=organization_pb.OrganizationInvite(invite_id=invite_id)
        )

    def get_organization_invite_summary(
        self, request: organization_pb.GetOrganizationInviteSummaryRequest, _ctx: Context, /
    ) -> organization_pb.GetOrganizationInviteSummaryResponse:
        """See the contract."""
        organization = self._links.summary(current_call(), request.invite_id)
        summary = organization_pb.GetOrganizationInviteSummaryResponse()
        summary.organization_id = organization.id
        summary.organization_name = organization.name
        summary.organization_member_count = organization.member_count
        return summary


def _member_filter(given: organization_pb.ListMembersRequest.Filter | None) -> MemberFilter:
    if given is None:
        return MemberFilter()
    asked = [status for status in given.statuses if status != user_pb.UserStatus.UNSPECIFIED]
    statuses = tuple(_STATUSES_READ[status] for status in asked if status in _STATUSES_READ)
    provider = given.login_provider
    others = provider == organization_pb.LoginProviderKind.SSO
    return MemberFilter(
        search=fold(given.search),
        email=address_key(given.email) if given.email else "",
        statuses=statuses or MemberFilter().statuses,
        roles=tuple(_ROLES_READ[role] for role in given.roles if role in _ROLES_READ),
        user_ids=_NOBODY if asked and not statuses else tuple(given.user_ids),
        login_providers=_LOGIN_PROVIDERS.get(provider, ()),
        other_than_login_providers=sum(_LOGIN_PROVIDERS.values(), ()) if others else (),
    )


def _member_order(given: organization_pb.ListMembersRequest.Sort | None) -> MemberOrder | None:
    fields = {
        organization_pb.ListMembersRequest.SortField.NAME: "name",
        organization_pb.ListMembersRequest.SortField.DATE_JOINED: "joined_at",
    }
    if given is None or given.field not in fields:
        return None
    return MemberOrder(fields[given.field], descending=given.order == pagination_pb.SortOrder.DESC)


class IdentityServicer(IdentityServiceSync):
    """`gitpod.v1.IdentityService`."""

    def get_authenticated_identity(
        self, _request: identity_pb.GetAuthenticatedIdentityRequest, _ctx: Context, /
    ) -> identity_pb.GetAuthenticatedIdentityResponse:
        """See the contract."""
        caller = current_call().caller
        if caller.user_id is None:
            subject = identity_pb.Subject(id=caller.account_id, principal=identity_pb.Principal.ACCOUNT)
            return identity_pb.GetAuthenticatedIdentityResponse(subject=subject)
        return identity_pb.GetAuthenticatedIdentityResponse(
            subject=identity_pb.Subject(id=caller.user_id, principal=identity_pb.Principal.USER),
            organization_id=caller.organization_id or "",
            organization_tier=f"ORGANIZATION_TIER_{_TIER.name}",
        )


class AccountServicer(AccountServiceSync):
    """`gitpod.v1.AccountService`."""

    def __init__(self, organizations: Organizations) -> None:
        self._organizations = organizations

    def get_account(self, _request: account_pb.GetAccountRequest, _ctx: Context, /) -> account_pb.GetAccountResponse:
        """See the contract."""
        call = current_call()
        account = call.caller.account
        return account_pb.GetAccountResponse(
            account=account_pb.Account(
                id=account.id,
                name=account.name,
                avatar_url=account.avatar_url,
                email=account.email,
                created_at=timestamp(account.created_at),
                updated_at=timestamp(account.updated_at),
                memberships=[_membership(m) for m in self._organizations.list_own(call)],
                public_email_provider=is_public_email_domain(address_domain(account.email)),
            )
        )

    def list_joinable_organizations(
        self, request: account_pb.ListJoinableOrganizationsRequest, _ctx: Context, /
    ) -> account_pb.ListJoinableOrganizationsResponse:
        """See the contract."""
        organizations, next_token = self._organizations.list_joinable(current_call(), **_page(request.pagination))
        return account_pb.ListJoinableOrganizationsResponse(
            pagination=_next(next_token),
            joinable_organizations=[
                account_pb.JoinableOrganization(
                    organization_id=o.id, organization_name=o.name, organization_member_count=o.member_count
                )
                for o in organizations
            ],
        )


class UserServicer(UserServiceSync):
    """`gitpod.v1.UserService`."""

    def __init__(self, organizations: Organizations, tokens: AccessTokens) -> None:
        self._organizations = organizations
        self._tokens = tokens

    def get_authenticated_user(
        self, _request: user_pb.GetAuthenticatedUserRequest, _ctx: Context, /
    ) -> user_pb.GetAuthenticatedUserResponse:
        """See the contract."""
        return user_pb.GetAuthenticatedUserResponse(user=_user(self._organizations.own_member(current_call())))

    def get_user(self, request: user_pb.GetUserRequest, _ctx: Context, /) -> user_pb.GetUserResponse:
        """See the contract."""
        return user_pb.GetUserResponse(user=_user(self._organizations.get_member(current_call(), request.user_id)))

    def create_personal_access_token(
        self, request: user_pb.CreatePersonalAccessTokenRequest, _ctx: Context, /
    ) -> user_pb.CreatePersonalAccessTokenResponse:
        """See the contract."""
        valid_for = timedelta(0) if request.valid_for is None else request.valid_for.to_timedelta()
        secret = self._tokens.create_personal(
            current_call(),
            request.user_id,
            description=request.description,
            valid_for=valid_for,
            read_only=request.read_only,
        )
        return user_pb.CreatePersonalAccessTokenResponse(token=secret)

    def get_personal_access_token(
        self, request: user_pb.GetPersonalAccessTokenRequest, _ctx: Context, /
    ) -> user_pb.GetPersonalAccessTokenResponse:
        """See the contract."""
        token = self._tokens.get_personal(current_call(), request.personal_access_token_id)
        return user_pb.GetPersonalAccessTokenResponse(pat=_access_token(token))

    def list_personal_access_tokens(
        self, request: user_pb.ListPersonalAccessTokensRequest, _ctx: Context, /
    ) -> user_pb.ListPersonalAccessTokensResponse:
        """See the contract."""
        user_ids = () if request.filter is None else tuple(request.filter.user_ids)
        tokens, next_token = self._tokens.list_personal(current_call(), user_ids, **_page(request.pagination))
        return user_pb.ListPersonalAccessTokensResponse(
            pagination=_next(next_token), personal_access_tokens=[_access_token(t) for t in tokens]
        )

    def delete_personal_access_token(
        self, request: user_pb.DeletePersonalAccessTokenRequest, _ctx: Context, /
    ) -> user_pb.DeletePersonalAccessTokenResponse:
        """See the contract."""
        self._tokens.delete_personal(current_call(), request.personal_access_token_id)
        return user_pb.DeletePersonalAccessTokenResponse()
