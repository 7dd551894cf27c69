import datetime

from buf.validate import validate_pb2 as _validate_pb2
from gitpod.v1 import organization_pb2 as _organization_pb2
from gitpod.v1 import pagination_pb2 as _pagination_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class GetAccountRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GetAccountResponse(_message.Message):
    __slots__ = ("account",)
    ACCOUNT_FIELD_NUMBER: _ClassVar[int]
    account: Account
    def __init__(self, account: _Optional[_Union[Account, _Mapping]] = ...) -> None: ...

class ListJoinableOrganizationsRequest(_message.Message):
    __slots__ = ("pagination",)
    PAGINATION_FIELD_NUMBER: _ClassVar[int]
    pagination: _pagination_pb2.PaginationRequest
    def __init__(self, pagination: _Optional[_Union[_pagination_pb2.PaginationRequest, _Mapping]] = ...) -> None: ...

class ListJoinableOrganizationsResponse(_message.Message):
    __slots__ = ("joinable_organizations", "pagination")
    JOINABLE_ORGANIZATIONS_FIELD_NUMBER: _ClassVar[int]
    PAGINATION_FIELD_NUMBER: _ClassVar[int]
    joinable_organizations: _containers.RepeatedCompositeFieldContainer[JoinableOrganization]
    pagination: _pagination_pb2.PaginationResponse
    def __init__(self, joinable_organizations: _Optional[_Iterable[_Union[JoinableOrganization, _Mapping]]] = ..., pagination: _Optional[_Union[_pagination_pb2.PaginationResponse, _Mapping]] = ...) -> None: ...

class Account(_message.Message):
    __slots__ = ("id", "name", "avatar_url", "email", "created_at", "updated_at", "memberships", "joinables", "public_email_provider", "organization_id")
    ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    AVATAR_URL_FIELD_NUMBER: _ClassVar[int]
    EMAIL_FIELD_NUMBER: _ClassVar[int]
    CREATED_AT_FIELD_NUMBER: _ClassVar[int]
    UPDATED_AT_FIELD_NUMBER: _ClassVar[int]
    MEMBERSHIPS_FIELD_NUMBER: _ClassVar[int]
    JOINABLES_FIELD_NUMBER: _ClassVar[int]
    PUBLIC_EMAIL_PROVIDER_FIELD_NUMBER: _ClassVar[int]
    ORGANIZATION_ID_FIELD_NUMBER: _ClassVar[int]
    id: str
    name: str
    avatar_url: str
    email: str
    created_at: _timestamp_pb2.Timestamp
    updated_at: _timestamp_pb2.Timestamp
    memberships: _containers.RepeatedCompositeFieldContainer[AccountMembership]
    joinables: _containers.RepeatedCompositeFieldContainer[JoinableOrganization]
    public_email_provider: bool
    organization_id: str
    def __init__(self, id: _Optional[str] = ..., name: _Optional[str] = ..., avatar_url: _Optional[str] = ..., email: _Optional[str] = ..., created_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., updated_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., memberships: _Optional[_Iterable[_Union[AccountMembership, _Mapping]]] = ..., joinables: _Optional[_Iterable[_Union[JoinableOrganization, _Mapping]]] = ..., public_email_provider: _Optional[bool] = ..., organization_id: _Optional[str] = ...) -> None: ...

class AccountMembership(_message.Message):
    __slots__ = ("user_id", "user_role", "organization_id", "organization_name", "organization_member_count", "organization_tier")
    USER_ID_FIELD_NUMBER: _ClassVar[int]
    USER_ROLE_FIELD_NUMBER: _ClassVar[int]
    ORGANIZATION_ID_FIELD_NUMBER: _ClassVar[int]
    ORGANIZATION_NAME_FIELD_NUMBER: _ClassVar[int]
    ORGANIZATION_MEMBER_COUNT_FIELD_NUMBER: _ClassVar[int]
    ORGANIZATION_TIER_FIELD_NUMBER: _ClassVar[int]
    user_id: str
    user_role: _organization_pb2.OrganizationRole
    organization_id: str
    organization_name: str
    organization_member_count: int
    organization_tier: _organization_pb2.OrganizationTier
    def __init__(self, user_id: _Optional[str] = ..., user_role: _Optional[_Union[_organization_pb2.OrganizationRole, str]] = ..., organization_id: _Optional[str] = ..., organization_name: _Optional[str] = ..., organization_member_count: _Optional[int] = ..., organization_tier: _Optional[_Union[_organization_pb2.OrganizationTier, str]] = ...) -> None: ...

class JoinableOrganization(_message.Message):
    __slots__ = ("organization_id", "organization_name", "organization_member_count")
    ORGANIZATION_ID_FIELD_NUMBER: _ClassVar[int]
    ORGANIZATION_NAME_FIELD_NUMBER: _ClassVar[int]
    ORGANIZATION_MEMBER_COUNT_FIELD_NUMBER: _ClassVar[int]
    organization_id: str
    organization_name: str
    organization_member_count: int
    def __init__(self, organization_id: _Optional[str] = ..., organization_name: _Optional[str] = ..., organization_member_count: _Optional[int] = ...) -> None: ...
