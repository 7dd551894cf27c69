import datetime

from buf.validate import validate_pb2 as _validate_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class SignedIn(_message.Message):
    __slots__ = ("account_id", "name", "email", "email_verified", "avatar_url", "expires_at")
    ACCOUNT_ID_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    EMAIL_FIELD_NUMBER: _ClassVar[int]
    EMAIL_VERIFIED_FIELD_NUMBER: _ClassVar[int]
    AVATAR_URL_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_AT_FIELD_NUMBER: _ClassVar[int]
    account_id: str
    name: str
    email: str
    email_verified: bool
    avatar_url: str
    expires_at: _timestamp_pb2.Timestamp
    def __init__(self, account_id: _Optional[str] = ..., name: _Optional[str] = ..., email: _Optional[str] = ..., email_verified: _Optional[bool] = ..., avatar_url: _Optional[str] = ..., expires_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class SignInMethods(_message.Message):
    __slots__ = ("provider", "email_code", "code_in_log")
    PROVIDER_FIELD_NUMBER: _ClassVar[int]
    EMAIL_CODE_FIELD_NUMBER: _ClassVar[int]
    CODE_IN_LOG_FIELD_NUMBER: _ClassVar[int]
    provider: str
    email_code: bool
    code_in_log: bool
    def __init__(self, provider: _Optional[str] = ..., email_code: _Optional[bool] = ..., code_in_log: _Optional[bool] = ...) -> None: ...

class GetSessionRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GetSessionResponse(_message.Message):
    __slots__ = ("signed_in", "methods")
    SIGNED_IN_FIELD_NUMBER: _ClassVar[int]
    METHODS_FIELD_NUMBER: _ClassVar[int]
    signed_in: SignedIn
    methods: SignInMethods
    def __init__(self, signed_in: _Optional[_Union[SignedIn, _Mapping]] = ..., methods: _Optional[_Union[SignInMethods, _Mapping]] = ...) -> None: ...

class BeginProviderSignInRequest(_message.Message):
    __slots__ = ("return_path", "choose_account")
    RETURN_PATH_FIELD_NUMBER: _ClassVar[int]
    CHOOSE_ACCOUNT_FIELD_NUMBER: _ClassVar[int]
    return_path: str
    choose_account: bool
    def __init__(self, return_path: _Optional[str] = ..., choose_account: _Optional[bool] = ...) -> None: ...

class BeginProviderSignInResponse(_message.Message):
    __slots__ = ("authorization_url",)
    AUTHORIZATION_URL_FIELD_NUMBER: _ClassVar[int]
    authorization_url: str
    def __init__(self, authorization_url: _Optional[str] = ...) -> None: ...

class SendSignInCodeRequest(_message.Message):
    __slots__ = ("email", "locale")
    EMAIL_FIELD_NUMBER: _ClassVar[int]
    LOCALE_FIELD_NUMBER: _ClassVar[int]
    email: str
    locale: str
    def __init__(self, email: _Optional[str] = ..., locale: _Optional[str] = ...) -> None: ...

class SendSignInCodeResponse(_message.Message):
    __slots__ = ("code_id", "expires_at")
    CODE_ID_FIELD_NUMBER: _ClassVar[int]
    EXPIRES_AT_FIELD_NUMBER: _ClassVar[int]
    code_id: str
    expires_at: _timestamp_pb2.Timestamp
    def __init__(self, code_id: _Optional[str] = ..., expires_at: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class SignInWithCodeRequest(_message.Message):
    __slots__ = ("code_id", "code")
    CODE_ID_FIELD_NUMBER: _ClassVar[int]
    CODE_FIELD_NUMBER: _ClassVar[int]
    code_id: str
    code: str
    def __init__(self, code_id: _Optional[str] = ..., code: _Optional[str] = ...) -> None: ...

class SignInWithCodeResponse(_message.Message):
    __slots__ = ("signed_in",)
    SIGNED_IN_FIELD_NUMBER: _ClassVar[int]
    signed_in: SignedIn
    def __init__(self, signed_in: _Optional[_Union[SignedIn, _Mapping]] = ...) -> None: ...

class SignOutRequest(_message.Message):
    __slots__ = ("everywhere",)
    EVERYWHERE_FIELD_NUMBER: _ClassVar[int]
    everywhere: bool
    def __init__(self, everywhere: _Optional[bool] = ...) -> None: ...

class SignOutResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...
