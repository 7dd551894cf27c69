import datetime

from buf.validate import validate_pb2 as _validate_pb2
from gitpod.v1 import pagination_pb2 as _pagination_pb2
from gitpod.v1 import user_pb2 as _user_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class OrganizationRole(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ORGANIZATION_ROLE_UNSPECIFIED: _ClassVar[OrganizationRole]
    ORGANIZATION_ROLE_ADMIN: _ClassVar[OrganizationRole]
    ORGANIZATION_ROLE_MEMBER: _ClassVar[OrganizationRole]

class OrganizationTier(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ORGANIZATION_TIER_UNSPECIFIED: _ClassVar[OrganizationTier]
    ORGANIZATION_TIER_FREE: _ClassVar[OrganizationTier]
    ORGANIZATION_TIER_ENTERPRISE: _ClassVar[OrganizationTier]
    ORGANIZATION_TIER_CORE: _ClassVar[OrganizationTier]
    ORGANIZATION_TIER_FREE_ONA: _ClassVar[OrganizationTier]

class LoginProviderKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    LOGIN_PROVIDER_KIND_UNSPECIFIED: _ClassVar[LoginProviderKind]
    LOGIN_PROVIDER_KIND_SSO: _ClassVar[LoginProviderKind]
    LOGIN_PROVIDER_KIND_GITHUB: _ClassVar[LoginProviderKind]
    LOGIN_PROVIDER_KIND_GOOGLE: _ClassVar[LoginProviderKind]
    LOGIN_PROVIDER_KIND_MAGICLINK: _ClassVar[LoginProviderKind]
ORGANIZATION_ROLE_UNSPECIFIED: OrganizationRole
ORGANIZATION_ROLE_ADMIN: OrganizationRole
ORGANIZATION_ROLE_MEMBER: OrganizationRole
ORGANIZATION_TIER_UNSPECIFIED: OrganizationTier
ORGANIZATION_TIER_FREE: OrganizationTier
ORGANIZATION_TIER_ENTERPRISE: OrganizationTier
ORGANIZATION_TIER_CORE: OrganizationTier
ORGANIZATION_TIER_FREE_ONA: OrganizationTier
LOGIN_PROVIDER_KIND_UNSPECIFIED: LoginProviderKind
LOGIN_PROVIDER_KIND_SSO: LoginProviderKind
LOGIN_PROVIDER_KIND_GITHUB: LoginProviderKind
LOGIN_PROVIDER_KIND_GOOGLE: LoginProviderKind
LOGIN_PROVIDER_KIND_MAGICLINK: LoginProviderKind

class CreateOrganizationRequest(_message.Message):
    __slots__ = ("name", "join_organization", "invite_accounts_with_matching_domain")
    NAME_FIELD_NUMBER: _ClassVar[int]
    JOIN_ORGANIZATION_FIELD_NUMBER: _ClassVar[int]
    INVITE_ACCOUNTS_WITH_MATCHING_DOMAIN_FIELD_NUMBER: _ClassVar[int]
    name: str
    join_organization: bool
    invite_accounts_with_matching_domain: bool
    def __init__(self, name: _Optional[str] = ..., join_organization: _Optional[bool] = ..., invite_accounts_with_matching_domain: _Optional[bool] = ...) -> None: ...

class CreateOrganizationResponse(_message.Message):
    __slots__ = ("organization", "member")
    ORGANIZATION_FIELD_NUMBER: _ClassVar[int]
    MEMBER_FIELD_NUMBER: _ClassVar[int]
    organization: Organization
    member: OrganizationMember
    def __init__(self, organization: _Optional[_Union[Organization, _Mapping]] = ..., member: _Optional[_Union[OrganizationMember, _Mapping]] = ...) -> None: ...

class GetOrganizationRequest(_message.Message):
    __slots__ = ("organization_id",)
    ORGANIZATION_ID_FIELD_NUMBER: _ClassVar[int]
    organization_id: str
    def __init__(self, organization_id: _Optional[str] = ...) -> None: ...

class GetOrganizationResponse(_message.Message):
    __slots__ = ("organization",)
    ORGANIZATION_FIELD_NUMBER: _ClassVar[int]
    organization: Organization
    def __init__(self, organization: _Optional[_Union[Organization, _Mapping]] = ...) -> None: ...

class UpdateOrganizationRequest(_message.Message):
    __slots__ = ("organization_id", "name", "invite_domains")
    ORGANIZATION_ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    INVITE_DOMAINS_FIELD_NUMBER: _ClassVar[int]
    organization_id: str
    name: str
    invite_domains: InviteDomains
    def __init__(self, organization_id: _Optional[str] = ..., name: _Optional[str] = ..., invite_domains: _Optional[_Union[InviteDomains, _Mapping]] = ...) -> None: ...

class UpdateOrganizationResponse(_message.Message):
    __slots__ = ("organization",)
    ORGANIZATION_FIELD_NUMBER: _ClassVar[int]
    organization: Organization
    def __init__(self, organization: _Optional[_Union[Organization, _Mapping]] = ...) -> None: ...

class DeleteOrganizationRequest(_message.Message):
    __slots__ = ("organization_id",)
    ORGANIZATION_ID_FIELD_NUMBER: _ClassVar[int]
    organization_id: str
    def __init__(self, organization_id: _Optional[str] = ...) -> None: ...

class DeleteOrganizationResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class JoinOrganizationRequest(_message.Message):
    __slots__ = ("organization_id", "invite_id")
    ORGANIZATION_ID_FIELD_NUMBER: _ClassVar[int]
    INVITE_ID_FIELD_NUMBER: _ClassVar[int]
    organization_id: str
    invite_id: str
    def __init__(self, organization_id: _Optional[str] = ..., invite_id: _Optional[str] = ...) -> None: ...

class JoinOrganizationResponse(_message.Message):
    __slots__ = ("member",)
    MEMBER_FIELD_NUMBER: _ClassVar[int]
    member: OrganizationMember
    def __init__(self, member: _Optional[_Union[OrganizationMember, _Mapping]] = ...) -> None: ...

class LeaveOrganizationRequest(_message.Message):
    __slots__ = ("user_id",)
    USER_ID_FIELD_NUMBER: _ClassVar[int]
    user_id: str
    def __init__(self, user_id: _Optional[str] = ...) -> None: ...

class LeaveOrganizationResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListMembersRequest(_message.Message):
    __slots__ = ("pagination", "organization_id", "filter", "sort", "count")
    class SortField(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        SORT_FIELD_UNSPECIFIED: _ClassVar[ListMembersRequest.SortField]
        SORT_FIELD_NAME: _ClassVar[ListMembersRequest.SortField]
        SORT_FIELD_DATE_JOINED: _ClassVar[ListMembersRequest.SortField]
    SORT_FIELD_UNSPECIFIED: ListMembersRequest.SortField
    SORT_FIELD_NAME: ListMembersRequest.SortField
    SORT_FIELD_DATE_JOINED: ListMembersRequest.SortField
    class Filter(_message.Message):
        __slots__ = ("search", "statuses", "roles", "user_ids", "exclude_group_ids", "exclude_members_in_any_team", "email", "login_provider")
        SEARCH_FIELD_NUMBER: _ClassVar[int]
        STATUSES_FIELD_NUMBER: _ClassVar[int]
        ROLES_FIELD_NUMBER: _ClassVar[int]
        USER_IDS_FIELD_NUMBER: _ClassVar[int]
        EXCLUDE_GROUP_IDS_FIELD_NUMBER: _ClassVar[int]
        EXCLUDE_MEMBERS_IN_ANY_TEAM_FIELD_NUMBER: _ClassVar[int]
        EMAIL_FIELD_NUMBER: _ClassVar[int]
        LOGIN_PROVIDER_FIELD_NUMBER: _ClassVar[int]
        search: str
        statuses: _containers.RepeatedScalarFieldContainer[_user_pb2.UserStatus]
        roles: _containers.RepeatedScalarFieldContainer[OrganizationRole]
        user_ids: _containers.RepeatedScalarFieldContainer[str]
        exclude_group_ids: _containers.RepeatedScalarFieldContainer[str]
        exclude_members_in_any_team: bool
        email: str
        login_provider: LoginProviderKind
        def __init__(self, search: _Optional[str] = ..., statuses: _Optional[_Iterable[_Union[_user_pb2.UserStatus, str]]] = ..., roles: _Optional[_Iterable[_Union[OrganizationRole, str]]] = ..., user_ids: _Optional[_Iterable[str]] = ..., exclude_group_ids: _Optional[_Iterable[str]] = ..., exclude_members_in_any_team: _Optional[bool] = ..., email: _Optional[str] = ..., login_provider: _Optional[_Union[LoginProviderKind, str]] = ...) -> None: ...
    class Sort(_message.Message):
        __slots__ = ("field", "order")
        FIELD_FIELD_NUMBER: _ClassVar[int]
        ORDER_FIELD_NUMBER: _ClassVar[int]
        field: ListMembersRequest.SortField
        order: _pagination_pb2.SortOrder
        def __init__(self, field: _Optional[_Union[ListMembersRequest.SortField, str]] = ..., order: _Optional[_Union[_pagination_pb2.SortOrder, str]] = ...) -> None: ...
    PAGINATION_FIELD_NUMBER: _ClassVar[int]
    ORGANIZATION_ID_FIELD_NUMBER: _ClassVar[int]
    FILTER_FIELD_NUMBER: _ClassVar[int]
    SORT_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    pagination: _pagination_pb2.PaginationRequest
    organization_id: str
    filter: ListMembersRequest.Filter
    sort: ListMembersRequest.Sort
    count: _pagination_pb2.CountRequest
    def __init__(self, pagination: _Optional[_Union[_pagination_pb2.PaginationRequest, _Mapping]] = ..., organization_id: _Optional[str] = ..., filter: _Optional[_Union[ListMembersRequest.Filter, _Mapping]] = ..., sort: _Optional[_Union[ListMembersRequest.Sort, _Mapping]] = ..., count: _Optional[_Union[_pagination_pb2.CountRequest, _Mapping]] = ...) -> None: ...

class ListMembersResponse(_message.Message):
    __slots__ = ("pagination", "members", "count")
    PAGINATION_FIELD_NUMBER: _ClassVar[int]
    MEMBERS_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    pagination: _pagination_pb2.PaginationResponse
    members: _containers.RepeatedCompositeFieldContainer[OrganizationMember]
    count: _pagination_pb2.CountResponse
    def __init__(self, pagination: _Optional[_Union[_pagination_pb2.PaginationResponse, _Mapping]] = ..., members: _Optional[_Iterable[_Union[OrganizationMember, _Mapping]]] = ..., count: _Optional[_Union[_pagination_pb2.CountResponse, _Mapping]] = ...) -> None: ...

class SetRoleRequest(_message.Message):
    __slots__ = ("organization_id", "user_id", "role")
    ORGANIZATION_ID_FIELD_NUMBER: _ClassVar[int]
    USER_ID_FIELD_NUMBER: _ClassVar[int]
    ROLE_FIELD_NUMBER: _ClassVar[int]
    organization_id: str
    user_id: str
    role: OrganizationRole
    def __init__(self, organization_id: _Optional[str] = ..., user_id: _Optional[str] = ..., role: _Optional[_Union[OrganizationRole, str]] = ...) -> None: ...

class SetRoleResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class CreateOrganizationInviteRequest(_message.Message):
    __slots__ = ("organization_id",)
    ORGANIZATION_ID_FIELD_NUMBER: _ClassVar[int]
    organization_id: str
    def __init__(self, organization_id: _Optional[str] = ...) -> None: ...

class CreateOrganizationInviteResponse(_message.Message):
    __slots__ = ("invite",)
    INVITE_FIELD_NUMBER: _ClassVar[int]
    invite: OrganizationInvite
    def __init__(self, invite: _Optional[_Union[OrganizationInvite, _Mapping]] = ...) -> None: ...

class GetOrganizationInviteRequest(_message.Message):
    __slots__ = ("organization_id",)
    ORGANIZATION_ID_FIELD_NUMBER: _ClassVar[int]
    organization_id: str
    def __init__(self, organization_id: _Optional[str] = ...) -> None: ...

class GetOrganizationInviteResponse(_message.Message):
    __slots__ = ("invite",)
    INVITE_FIELD_NUMBER: _ClassVar[int]
    invite: OrganizationInvite
    def __init__(self, invite: _Optional[_Union[OrganizationInvite, _Mapping]] = ...) -> None: ...

class GetOrganizationInviteSummaryRequest(_message.Message):
    __slots__ = ("invite_id",)
    INVITE_ID_FIELD_NUMBER: _ClassVar[int]
    invite_id: str
    def __init__(self, invite_id: _Optional[str] = ...) -> None: ...

class GetOrganizationInviteSummaryResponse(_message.Message):
    __slots__ = ("organization_id", "organization_name", "organization_member_count")
    ORGANIZATION_ID_FIELD_NUMBER: _ClassVar[int]
    ORGANIZATION_NAME_FIELD_NUMBER: _ClassVar[int]
    ORGANIZATION_MEMBER_COUNT_FIELD_NUMBER: _ClassVar[int]
    organization_id: str
    organization_name: str
    organization_member_count: int
    def __init__(self, organization_id: _Optional[str] = ..., organization_name: _Optional[str] = ..., organization_member_count: _Optional[int] = ...) -> None: ...

class Organization(_message.Message):
    __slots__ = ("id", "name", "created_at", "updated_at", "invite_domains", "tier")
    ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    CREATED_AT_FIELD_NUMBER: _ClassVar[int]
    UPDATED_AT_FIELD_NUMBER: _ClassVar[int]
    INVITE_DOMAINS_FIELD_NUMBER: _ClassVar[int]
    TIER_FIELD_NUMBER: _ClassVar[int]
    id: str
    name: str
    created_at: _timestamp_pb2.Timestamp
    updated_at: _timestamp_pb2.Timestamp
    invite_domains: InviteDomains
    tier: OrganizationTier
    def __init__(self, id: _Optional[str] = ..., name: _Optional[str] = ..., created_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., updated_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., invite_domains: _Optional[_Union[InviteDomains, _Mapping]] = ..., tier: _Optional[_Union[OrganizationTier, str]] = ...) -> None: ...

class InviteDomains(_message.Message):
    __slots__ = ("domains",)
    DOMAINS_FIELD_NUMBER: _ClassVar[int]
    domains: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, domains: _Optional[_Iterable[str]] = ...) -> None: ...

class OrganizationInvite(_message.Message):
    __slots__ = ("invite_id",)
    INVITE_ID_FIELD_NUMBER: _ClassVar[int]
    invite_id: str
    def __init__(self, invite_id: _Optional[str] = ...) -> None: ...

class OrganizationMember(_message.Message):
    __slots__ = ("user_id", "role", "member_since", "avatar_url", "full_name", "email", "status", "login_provider")
    USER_ID_FIELD_NUMBER: _ClassVar[int]
    ROLE_FIELD_NUMBER: _ClassVar[int]
    MEMBER_SINCE_FIELD_NUMBER: _ClassVar[int]
    AVATAR_URL_FIELD_NUMBER: _ClassVar[int]
    FULL_NAME_FIELD_NUMBER: _ClassVar[int]
    EMAIL_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    LOGIN_PROVIDER_FIELD_NUMBER: _ClassVar[int]
    user_id: str
    role: OrganizationRole
    member_since: _timestamp_pb2.Timestamp
    avatar_url: str
    full_name: str
    email: str
    status: _user_pb2.UserStatus
    login_provider: str
    def __init__(self, user_id: _Optional[str] = ..., role: _Optional[_Union[OrganizationRole, str]] = ..., member_since: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., avatar_url: _Optional[str] = ..., full_name: _Optional[str] = ..., email: _Optional[str] = ..., status: _Optional[_Union[_user_pb2.UserStatus, str]] = ..., login_provider: _Optional[str] = ...) -> None: ...
