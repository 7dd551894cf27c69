from buf.validate import validate_pb2 as _validate_pb2
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class CountResponseRelation(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    COUNT_RESPONSE_RELATION_UNSPECIFIED: _ClassVar[CountResponseRelation]
    COUNT_RESPONSE_RELATION_EQ: _ClassVar[CountResponseRelation]
    COUNT_RESPONSE_RELATION_GTE: _ClassVar[CountResponseRelation]

class SortOrder(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    SORT_ORDER_UNSPECIFIED: _ClassVar[SortOrder]
    SORT_ORDER_ASC: _ClassVar[SortOrder]
    SORT_ORDER_DESC: _ClassVar[SortOrder]
COUNT_RESPONSE_RELATION_UNSPECIFIED: CountResponseRelation
COUNT_RESPONSE_RELATION_EQ: CountResponseRelation
COUNT_RESPONSE_RELATION_GTE: CountResponseRelation
SORT_ORDER_UNSPECIFIED: SortOrder
SORT_ORDER_ASC: SortOrder
SORT_ORDER_DESC: SortOrder

class PaginationRequest(_message.Message):
    __slots__ = ("page_size", "token")
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    page_size: int
    token: str
    def __init__(self, page_size: _Optional[int] = ..., token: _Optional[str] = ...) -> None: ...

class PaginationResponse(_message.Message):
    __slots__ = ("next_token",)
    NEXT_TOKEN_FIELD_NUMBER: _ClassVar[int]
    next_token: str
    def __init__(self, next_token: _Optional[str] = ...) -> None: ...

class CountRequest(_message.Message):
    __slots__ = ("include",)
    INCLUDE_FIELD_NUMBER: _ClassVar[int]
    include: bool
    def __init__(self, include: _Optional[bool] = ...) -> None: ...

class CountResponse(_message.Message):
    __slots__ = ("value", "relation")
    VALUE_FIELD_NUMBER: _ClassVar[int]
    RELATION_FIELD_NUMBER: _ClassVar[int]
    value: int
    relation: CountResponseRelation
    def __init__(self, value: _Optional[int] = ..., relation: _Optional[_Union[CountResponseRelation, str]] = ...) -> None: ...
