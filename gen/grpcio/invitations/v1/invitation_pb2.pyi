import datetime

from buf.validate import validate_pb2 as _validate_pb2
from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf import struct_pb2 as _struct_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class InvitationStatus(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    INVITATION_STATUS_UNSPECIFIED: _ClassVar[InvitationStatus]
    INVITATION_STATUS_PENDING: _ClassVar[InvitationStatus]
    INVITATION_STATUS_ACCEPTED: _ClassVar[InvitationStatus]
    INVITATION_STATUS_DECLINED: _ClassVar[InvitationStatus]
    INVITATION_STATUS_REVOKED: _ClassVar[InvitationStatus]
    INVITATION_STATUS_EXPIRED: _ClassVar[InvitationStatus]

class DeliveryState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    DELIVERY_STATE_UNSPECIFIED: _ClassVar[DeliveryState]
    DELIVERY_STATE_NOT_REQUESTED: _ClassVar[DeliveryState]
    DELIVERY_STATE_QUEUED: _ClassVar[DeliveryState]
    DELIVERY_STATE_SENT: _ClassVar[DeliveryState]
    DELIVERY_STATE_FAILED: _ClassVar[DeliveryState]

class IfPending(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    IF_PENDING_UNSPECIFIED: _ClassVar[IfPending]
    IF_PENDING_REFUSE: _ClassVar[IfPending]
    IF_PENDING_RENEW: _ClassVar[IfPending]
    IF_PENDING_REPLACE: _ClassVar[IfPending]
INVITATION_STATUS_UNSPECIFIED: InvitationStatus
INVITATION_STATUS_PENDING: InvitationStatus
INVITATION_STATUS_ACCEPTED: InvitationStatus
INVITATION_STATUS_DECLINED: InvitationStatus
INVITATION_STATUS_REVOKED: InvitationStatus
INVITATION_STATUS_EXPIRED: InvitationStatus
DELIVERY_STATE_UNSPECIFIED: DeliveryState
DELIVERY_STATE_NOT_REQUESTED: DeliveryState
DELIVERY_STATE_QUEUED: DeliveryState
DELIVERY_STATE_SENT: DeliveryState
DELIVERY_STATE_FAILED: DeliveryState
IF_PENDING_UNSPECIFIED: IfPending
IF_PENDING_REFUSE: IfPending
IF_PENDING_RENEW: IfPending
IF_PENDING_REPLACE: IfPending

class Invitation(_message.Message):
    __slots__ = ("id", "organization_id", "email", "role", "named_roles", "status", "inviter_account_id", "inviter_name", "created_at", "updated_at", "expires_at", "responded_at", "public_metadata", "private_metadata", "redirect_url", "locale", "delivery_state", "delivery_error", "accepted_account_id")
    ID_FIELD_NUMBER: _ClassVar[int]
    ORGANIZATION_ID_FIELD_NUMBER: _ClassVar[int]
    EMAIL_FIELD_NUMBER: _ClassVar[int]
    ROLE_FIELD_NUMBER: _ClassVar[int]
    NAMED_ROLES_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    INVITER_ACCOUNT_ID_FIELD_NUMBER: _ClassVar[int]
    INVITER_NAME_FIELD_NUMBER: _ClassVar[int]
    CREATED_AT_FIELD_NUMBER: _ClassVar[int]
    UPDATED_AT_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_AT_FIELD_NUMBER: _ClassVar[int]
    RESPONDED_AT_FIELD_NUMBER: _ClassVar[int]
    PUBLIC_METADATA_FIELD_NUMBER: _ClassVar[int]
    PRIVATE_METADATA_FIELD_NUMBER: _ClassVar[int]
    REDIRECT_URL_FIELD_NUMBER: _ClassVar[int]
    LOCALE_FIELD_NUMBER: _ClassVar[int]
    DELIVERY_STATE_FIELD_NUMBER: _ClassVar[int]
    DELIVERY_ERROR_FIELD_NUMBER: _ClassVar[int]
    ACCEPTED_ACCOUNT_ID_FIELD_NUMBER: _ClassVar[int]
    id: str
    organization_id: str
    email: str
    role: str
    named_roles: _containers.RepeatedScalarFieldContainer[str]
    status: InvitationStatus
    inviter_account_id: str
    inviter_name: str
    created_at: _timestamp_pb2.Timestamp
    updated_at: _timestamp_pb2.Timestamp
    expires_at: _timestamp_pb2.Timestamp
    responded_at: _timestamp_pb2.Timestamp
    public_metadata: _struct_pb2.Struct
    private_metadata: _struct_pb2.Struct
    redirect_url: str
    locale: str
    delivery_state: DeliveryState
    delivery_error: str
    accepted_account_id: str
    def __init__(self, id: _Optional[str] = ..., organization_id: _Optional[str] = ..., email: _Optional[str] = ..., role: _Optional[str] = ..., named_roles: _Optional[_Iterable[str]] = ..., status: _Optional[_Union[InvitationStatus, str]] = ..., inviter_account_id: _Optional[str] = ..., inviter_name: _Optional[str] = ..., created_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., updated_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., expires_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., responded_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., public_metadata: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ..., private_metadata: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ..., redirect_url: _Optional[str] = ..., locale: _Optional[str] = ..., delivery_state: _Optional[_Union[DeliveryState, str]] = ..., delivery_error: _Optional[str] = ..., accepted_account_id: _Optional[str] = ...) -> None: ...

class InvitationPreview(_message.Message):
    __slots__ = ("id", "organization_id", "organization_name", "organization_member_count", "masked_email", "role", "named_roles", "status", "inviter_name", "expires_at", "public_metadata", "redirect_url")
    ID_FIELD_NUMBER: _ClassVar[int]
    ORGANIZATION_ID_FIELD_NUMBER: _ClassVar[int]
    ORGANIZATION_NAME_FIELD_NUMBER: _ClassVar[int]
    ORGANIZATION_MEMBER_COUNT_FIELD_NUMBER: _ClassVar[int]
    MASKED_EMAIL_FIELD_NUMBER: _ClassVar[int]
    ROLE_FIELD_NUMBER: _ClassVar[int]
    NAMED_ROLES_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    INVITER_NAME_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_AT_FIELD_NUMBER: _ClassVar[int]
    PUBLIC_METADATA_FIELD_NUMBER: _ClassVar[int]
    REDIRECT_URL_FIELD_NUMBER: _ClassVar[int]
    id: str
    organization_id: str
    organization_name: str
    organization_member_count: int
    masked_email: str
    role: str
    named_roles: _containers.RepeatedScalarFieldContainer[str]
    status: InvitationStatus
    inviter_name: str
    expires_at: _timestamp_pb2.Timestamp
    public_metadata: _struct_pb2.Struct
    redirect_url: str
    def __init__(self, id: _Optional[str] = ..., organization_id: _Optional[str] = ..., organization_name: _Optional[str] = ..., organization_member_count: _Optional[int] = ..., masked_email: _Optional[str] = ..., role: _Optional[str] = ..., named_roles: _Optional[_Iterable[str]] = ..., status: _Optional[_Union[InvitationStatus, str]] = ..., inviter_name: _Optional[str] = ..., expires_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., public_metadata: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ..., redirect_url: _Optional[str] = ...) -> None: ...

class InvitedMember(_message.Message):
    __slots__ = ("user_id", "organization_id", "account_id", "role", "named_roles", "joined_at")
    USER_ID_FIELD_NUMBER: _ClassVar[int]
    ORGANIZATION_ID_FIELD_NUMBER: _ClassVar[int]
    ACCOUNT_ID_FIELD_NUMBER: _ClassVar[int]
    ROLE_FIELD_NUMBER: _ClassVar[int]
    NAMED_ROLES_FIELD_NUMBER: _ClassVar[int]
    JOINED_AT_FIELD_NUMBER: _ClassVar[int]
    user_id: str
    organization_id: str
    account_id: str
    role: str
    named_roles: _containers.RepeatedScalarFieldContainer[str]
    joined_at: _timestamp_pb2.Timestamp
    def __init__(self, user_id: _Optional[str] = ..., organization_id: _Optional[str] = ..., account_id: _Optional[str] = ..., role: _Optional[str] = ..., named_roles: _Optional[_Iterable[str]] = ..., joined_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class NewInvitation(_message.Message):
    __slots__ = ("email", "role", "named_roles", "ttl", "public_metadata", "private_metadata", "redirect_url", "locale", "send_email", "if_pending", "inviter_account_id")
    EMAIL_FIELD_NUMBER: _ClassVar[int]
    ROLE_FIELD_NUMBER: _ClassVar[int]
    NAMED_ROLES_FIELD_NUMBER: _ClassVar[int]
    TTL_FIELD_NUMBER: _ClassVar[int]
    PUBLIC_METADATA_FIELD_NUMBER: _ClassVar[int]
    PRIVATE_METADATA_FIELD_NUMBER: _ClassVar[int]
    REDIRECT_URL_FIELD_NUMBER: _ClassVar[int]
    LOCALE_FIELD_NUMBER: _ClassVar[int]
    SEND_EMAIL_FIELD_NUMBER: _ClassVar[int]
    IF_PENDING_FIELD_NUMBER: _ClassVar[int]
    INVITER_ACCOUNT_ID_FIELD_NUMBER: _ClassVar[int]
    email: str
    role: str
    named_roles: _containers.RepeatedScalarFieldContainer[str]
    ttl: _duration_pb2.Duration
    public_metadata: _struct_pb2.Struct
    private_metadata: _struct_pb2.Struct
    redirect_url: str
    locale: str
    send_email: bool
    if_pending: IfPending
    inviter_account_id: str
    def __init__(self, email: _Optional[str] = ..., role: _Optional[str] = ..., named_roles: _Optional[_Iterable[str]] = ..., ttl: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., public_metadata: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ..., private_metadata: _Optional[_Union[_struct_pb2.Struct, _Mapping]] = ..., redirect_url: _Optional[str] = ..., locale: _Optional[str] = ..., send_email: _Optional[bool] = ..., if_pending: _Optional[_Union[IfPending, str]] = ..., inviter_account_id: _Optional[str] = ...) -> None: ...

class CreateInvitationRequest(_message.Message):
    __slots__ = ("organization_id", "invitation")
    ORGANIZATION_ID_FIELD_NUMBER: _ClassVar[int]
    INVITATION_FIELD_NUMBER: _ClassVar[int]
    organization_id: str
    invitation: NewInvitation
    def __init__(self, organization_id: _Optional[str] = ..., invitation: _Optional[_Union[NewInvitation, _Mapping]] = ...) -> None: ...

class CreateInvitationResponse(_message.Message):
    __slots__ = ("invitation", "token")
    INVITATION_FIELD_NUMBER: _ClassVar[int]
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    invitation: Invitation
    token: str
    def __init__(self, invitation: _Optional[_Union[Invitation, _Mapping]] = ..., token: _Optional[str] = ...) -> None: ...

class BatchCreateInvitationsRequest(_message.Message):
    __slots__ = ("organization_id", "invitations", "all_or_nothing")
    ORGANIZATION_ID_FIELD_NUMBER: _ClassVar[int]
    INVITATIONS_FIELD_NUMBER: _ClassVar[int]
    ALL_OR_NOTHING_FIELD_NUMBER: _ClassVar[int]
    organization_id: str
    invitations: _containers.RepeatedCompositeFieldContainer[NewInvitation]
    all_or_nothing: bool
    def __init__(self, organization_id: _Optional[str] = ..., invitations: _Optional[_Iterable[_Union[NewInvitation, _Mapping]]] = ..., all_or_nothing: _Optional[bool] = ...) -> None: ...

class BatchCreateInvitationsResponse(_message.Message):
    __slots__ = ("outcomes", "created_count")
    class Outcome(_message.Message):
        __slots__ = ("created", "refused")
        CREATED_FIELD_NUMBER: _ClassVar[int]
        REFUSED_FIELD_NUMBER: _ClassVar[int]
        created: CreateInvitationResponse
        refused: BatchCreateInvitationsResponse.Refusal
        def __init__(self, created: _Optional[_Union[CreateInvitationResponse, _Mapping]] = ..., refused: _Optional[_Union[BatchCreateInvitationsResponse.Refusal, _Mapping]] = ...) -> None: ...
    class Refusal(_message.Message):
        __slots__ = ("reason", "message", "retry_after")
        REASON_FIELD_NUMBER: _ClassVar[int]
        MESSAGE_FIELD_NUMBER: _ClassVar[int]
        RETRY_AFTER_FIELD_NUMBER: _ClassVar[int]
        reason: str
        message: str
        retry_after: _duration_pb2.Duration
        def __init__(self, reason: _Optional[str] = ..., message: _Optional[str] = ..., retry_after: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ...) -> None: ...
    OUTCOMES_FIELD_NUMBER: _ClassVar[int]
    CREATED_COUNT_FIELD_NUMBER: _ClassVar[int]
    outcomes: _containers.RepeatedCompositeFieldContainer[BatchCreateInvitationsResponse.Outcome]
    created_count: int
    def __init__(self, outcomes: _Optional[_Iterable[_Union[BatchCreateInvitationsResponse.Outcome, _Mapping]]] = ..., created_count: _Optional[int] = ...) -> None: ...

class GetInvitationRequest(_message.Message):
    __slots__ = ("invitation_id",)
    INVITATION_ID_FIELD_NUMBER: _ClassVar[int]
    invitation_id: str
    def __init__(self, invitation_id: _Optional[str] = ...) -> None: ...

class GetInvitationResponse(_message.Message):
    __slots__ = ("invitation",)
    INVITATION_FIELD_NUMBER: _ClassVar[int]
    invitation: Invitation
    def __init__(self, invitation: _Optional[_Union[Invitation, _Mapping]] = ...) -> None: ...

class ListInvitationsRequest(_message.Message):
    __slots__ = ("organization_id", "filter", "order_by", "ascending", "page_size", "page_token", "include_total")
    class OrderBy(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        ORDER_BY_UNSPECIFIED: _ClassVar[ListInvitationsRequest.OrderBy]
        ORDER_BY_CREATED_AT: _ClassVar[ListInvitationsRequest.OrderBy]
        ORDER_BY_EXPIRES_AT: _ClassVar[ListInvitationsRequest.OrderBy]
        ORDER_BY_EMAIL: _ClassVar[ListInvitationsRequest.OrderBy]
    ORDER_BY_UNSPECIFIED: ListInvitationsRequest.OrderBy
    ORDER_BY_CREATED_AT: ListInvitationsRequest.OrderBy
    ORDER_BY_EXPIRES_AT: ListInvitationsRequest.OrderBy
    ORDER_BY_EMAIL: ListInvitationsRequest.OrderBy
    class Filter(_message.Message):
        __slots__ = ("statuses", "email", "inviter_account_id", "created_from", "created_before", "search", "delivery_states")
        STATUSES_FIELD_NUMBER: _ClassVar[int]
        EMAIL_FIELD_NUMBER: _ClassVar[int]
        INVITER_ACCOUNT_ID_FIELD_NUMBER: _ClassVar[int]
        CREATED_FROM_FIELD_NUMBER: _ClassVar[int]
        CREATED_BEFORE_FIELD_NUMBER: _ClassVar[int]
        SEARCH_FIELD_NUMBER: _ClassVar[int]
        DELIVERY_STATES_FIELD_NUMBER: _ClassVar[int]
        statuses: _containers.RepeatedScalarFieldContainer[InvitationStatus]
        email: str
        inviter_account_id: str
        created_from: _timestamp_pb2.Timestamp
        created_before: _timestamp_pb2.Timestamp
        search: str
        delivery_states: _containers.RepeatedScalarFieldContainer[DeliveryState]
        def __init__(self, statuses: _Optional[_Iterable[_Union[InvitationStatus, str]]] = ..., email: _Optional[str] = ..., inviter_account_id: _Optional[str] = ..., created_from: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., created_before: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., search: _Optional[str] = ..., delivery_states: _Optional[_Iterable[_Union[DeliveryState, str]]] = ...) -> None: ...
    ORGANIZATION_ID_FIELD_NUMBER: _ClassVar[int]
    FILTER_FIELD_NUMBER: _ClassVar[int]
    ORDER_BY_FIELD_NUMBER: _ClassVar[int]
    ASCENDING_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    INCLUDE_TOTAL_FIELD_NUMBER: _ClassVar[int]
    organization_id: str
    filter: ListInvitationsRequest.Filter
    order_by: ListInvitationsRequest.OrderBy
    ascending: bool
    page_size: int
    page_token: str
    include_total: bool
    def __init__(self, organization_id: _Optional[str] = ..., filter: _Optional[_Union[ListInvitationsRequest.Filter, _Mapping]] = ..., order_by: _Optional[_Union[ListInvitationsRequest.OrderBy, str]] = ..., ascending: _Optional[bool] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ..., include_total: _Optional[bool] = ...) -> None: ...

class ListInvitationsResponse(_message.Message):
    __slots__ = ("invitations", "next_page_token", "total_size")
    INVITATIONS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    TOTAL_SIZE_FIELD_NUMBER: _ClassVar[int]
    invitations: _containers.RepeatedCompositeFieldContainer[Invitation]
    next_page_token: str
    total_size: int
    def __init__(self, invitations: _Optional[_Iterable[_Union[Invitation, _Mapping]]] = ..., next_page_token: _Optional[str] = ..., total_size: _Optional[int] = ...) -> None: ...

class ResendInvitationRequest(_message.Message):
    __slots__ = ("invitation_id", "ttl", "send_email")
    INVITATION_ID_FIELD_NUMBER: _ClassVar[int]
    TTL_FIELD_NUMBER: _ClassVar[int]
    SEND_EMAIL_FIELD_NUMBER: _ClassVar[int]
    invitation_id: str
    ttl: _duration_pb2.Duration
    send_email: bool
    def __init__(self, invitation_id: _Optional[str] = ..., ttl: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., send_email: _Optional[bool] = ...) -> None: ...

class ResendInvitationResponse(_message.Message):
    __slots__ = ("invitation", "token")
    INVITATION_FIELD_NUMBER: _ClassVar[int]
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    invitation: Invitation
    token: str
    def __init__(self, invitation: _Optional[_Union[Invitation, _Mapping]] = ..., token: _Optional[str] = ...) -> None: ...

class RevokeInvitationRequest(_message.Message):
    __slots__ = ("invitation_id",)
    INVITATION_ID_FIELD_NUMBER: _ClassVar[int]
    invitation_id: str
    def __init__(self, invitation_id: _Optional[str] = ...) -> None: ...

class RevokeInvitationResponse(_message.Message):
    __slots__ = ("invitation",)
    INVITATION_FIELD_NUMBER: _ClassVar[int]
    invitation: Invitation
    def __init__(self, invitation: _Optional[_Union[Invitation, _Mapping]] = ...) -> None: ...

class DeleteInvitationRequest(_message.Message):
    __slots__ = ("invitation_id",)
    INVITATION_ID_FIELD_NUMBER: _ClassVar[int]
    invitation_id: str
    def __init__(self, invitation_id: _Optional[str] = ...) -> None: ...

class DeleteInvitationResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class PreviewInvitationRequest(_message.Message):
    __slots__ = ("token", "invitation_id")
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    INVITATION_ID_FIELD_NUMBER: _ClassVar[int]
    token: str
    invitation_id: str
    def __init__(self, token: _Optional[str] = ..., invitation_id: _Optional[str] = ...) -> None: ...

class PreviewInvitationResponse(_message.Message):
    __slots__ = ("invitation",)
    INVITATION_FIELD_NUMBER: _ClassVar[int]
    invitation: InvitationPreview
    def __init__(self, invitation: _Optional[_Union[InvitationPreview, _Mapping]] = ...) -> None: ...

class AcceptInvitationRequest(_message.Message):
    __slots__ = ("token", "invitation_id")
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    INVITATION_ID_FIELD_NUMBER: _ClassVar[int]
    token: str
    invitation_id: str
    def __init__(self, token: _Optional[str] = ..., invitation_id: _Optional[str] = ...) -> None: ...

class AcceptInvitationResponse(_message.Message):
    __slots__ = ("invitation", "member")
    INVITATION_FIELD_NUMBER: _ClassVar[int]
    MEMBER_FIELD_NUMBER: _ClassVar[int]
    invitation: InvitationPreview
    member: InvitedMember
    def __init__(self, invitation: _Optional[_Union[InvitationPreview, _Mapping]] = ..., member: _Optional[_Union[InvitedMember, _Mapping]] = ...) -> None: ...

class DeclineInvitationRequest(_message.Message):
    __slots__ = ("token", "invitation_id")
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    INVITATION_ID_FIELD_NUMBER: _ClassVar[int]
    token: str
    invitation_id: str
    def __init__(self, token: _Optional[str] = ..., invitation_id: _Optional[str] = ...) -> None: ...

class DeclineInvitationResponse(_message.Message):
    __slots__ = ("invitation",)
    INVITATION_FIELD_NUMBER: _ClassVar[int]
    invitation: InvitationPreview
    def __init__(self, invitation: _Optional[_Union[InvitationPreview, _Mapping]] = ...) -> None: ...

class ListMyInvitationsRequest(_message.Message):
    __slots__ = ("statuses", "page_size", "page_token")
    STATUSES_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    statuses: _containers.RepeatedScalarFieldContainer[InvitationStatus]
    page_size: int
    page_token: str
    def __init__(self, statuses: _Optional[_Iterable[_Union[InvitationStatus, str]]] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListMyInvitationsResponse(_message.Message):
    __slots__ = ("invitations", "next_page_token")
    INVITATIONS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    invitations: _containers.RepeatedCompositeFieldContainer[InvitationPreview]
    next_page_token: str
    def __init__(self, invitations: _Optional[_Iterable[_Union[InvitationPreview, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...
