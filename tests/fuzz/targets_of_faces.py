"""What is fuzzed of the faces: what stands in headers, queries, paths and bodies, each reader by itself."""

from __future__ import annotations

import json
import math
from contextlib import suppress
from datetime import timedelta
from functools import cache
from typing import Any
from urllib.parse import parse_qs

from connectrpc.codec import Codec
from protobuf.wkt import Struct, Timestamp
from werkzeug.datastructures import MultiDict

from server.domain.errors import ServiceError
from server.domain.metadata import require_metadata
from server.domain.organization import merged
from server.edge import client_subject
from server.faces import clerk, invitations, koyeb, logto
from server.faces.connect import CODECS
from server.faces.exchange import Exchange, current_exchange
from server.faces.gitpod import QueryPaging
from server.faces.rest import Request, _json
from server.faces.sessions import _parameters
from server.web.pages import pages
from tests.fuzz.service import methods, require_no_failure, stage
from tests.fuzz.texts import any_text

HEADERS = (
    *("authorization", "cookie", "origin", "host", "x-session", "idempotency-key", "x-request-id", "x-forwarded-for"),
    *("connect-protocol-version", "connect-timeout-ms", "grpc-timeout", "content-type"),
    *("content-encoding", "accept-encoding", "grpc-encoding", "grpc-accept-encoding", "accept-language"),
)


def headers(data: bytes) -> None:
    """A request with any value in each header that is read: the first byte says which, a zero ends a value."""
    given: dict[str, str] = {"content-type": "application/json"}
    for part in data.split(b"\0"):
        if part:
            # As the server has them: no line ends, and bytes for characters.
            value = part[1:].decode("latin-1").replace("\r", "").replace("\n", "")
            given[HEADERS[part[0] % len(HEADERS)]] = value
    # Who it comes from is the server's to say, and ours to count by.
    address = given.pop("x-forwarded-for", "")
    subject = client_subject(address)
    assert subject == address or client_subject(subject.partition("/")[0]) == subject
    here = stage()
    given.setdefault("authorization", f"Bearer {_token()}")
    answer = here.wire.http("/gitpod.v1.AccountService/GetAccount", b"{}", given)
    if answer.status != 504 or "connect-timeout-ms" not in given:
        require_no_failure(answer)


@cache
def _token() -> str:
    return stage().token("Ada")


def codecs(data: bytes) -> None:
    """The bytes of a message: the first byte says of which method's, the second in which codec."""
    exchange = Exchange(request_id="fuzz")
    current_exchange.set(exchange)
    which, how, content = (*data[:2].ljust(2, b"\0"), data[2:])
    kind = stage().wire.methods[methods()[which % len(methods())]].input
    codec: Codec[Any, Any] = CODECS[how % len(CODECS)]
    try:
        message = codec.decode(content, kind)
    except (ValueError, TypeError, RecursionError):
        # TypeError is JSON that is no object; the runtime answers each as the caller's fault.
        return
    # What was read is read the same again, however it is written in between; or it is said what can't be.
    for other in CODECS:
        again = other.decode(other.encode(message), kind)
        assert _known(again) == _known(message) or exchange.violations


def _known(message: Any) -> bytes:
    """Give a message's binary form without what it doesn't know, which JSON can't carry."""
    content: bytes = type(message).from_json(message.to_json()).to_binary()
    return content


def structs(data: bytes) -> None:
    """Metadata as Protobuf has it, and times; what the rules let pass, a Struct says again just so."""
    try:
        struct = Struct.from_binary(data)
    except (ValueError, RecursionError):
        return
    with suppress(ValueError, RecursionError, ServiceError):
        value = invitations._metadata(struct)
        require_metadata("metadata", value)
        assert invitations._metadata(invitations._struct(value)) == value
    with suppress(ValueError):
        invitations._moment(Timestamp.from_binary(data))


def _patched(target: Any, patch: Any) -> Any:
    """RFC 7396's own words for a merge."""
    if not isinstance(patch, dict):
        return patch
    made = dict(target) if isinstance(target, dict) else {}
    for name, value in patch.items():
        if value is None:
            made.pop(name, None)
        else:
            made[name] = _patched(made.get(name), value)
    return made


def merges(data: bytes) -> None:
    """What is kept, a zero, and what is merged into it."""
    kept, _, changes = data.partition(b"\0")
    with suppress(ServiceError):
        one, other = _json(kept), _json(changes)
        if isinstance(one, dict) and isinstance(other, dict):
            before = json.dumps(one)
            assert merged(one, other) == _patched(one, other)
            assert json.dumps(one) == before


def queries(data: bytes) -> None:
    """A query as each face reads it, and the values in it that are numbers, lists and spans."""
    text = any_text(data)
    given = parse_qs(text, keep_blank_values=True)
    assert all(len(parse_qs(text)[name]) == 1 for name in _parameters(text))
    query = MultiDict[str, str]((name, value) for name, values in given.items() for value in values)
    request = Request(call=None, query=query, body={"validity": query.get("validity")}, path={}, operation="")  # type: ignore[arg-type]
    with suppress(ServiceError):
        page = clerk._page(query)
        assert 1 <= page["limit"] <= clerk.MAX_LIMIT
    with suppress(ServiceError):
        limit, offset = koyeb._page(request)
        assert 0 < limit <= koyeb.MAX_LIMIT
        assert offset >= 0
    with suppress(ServiceError):
        assert timedelta(0) < koyeb._validity(request) <= koyeb.LONGEST_TOKEN_LIFE
    with suppress(ServiceError):
        koyeb._statuses(request)
    with suppress(ServiceError):
        offset, limit = logto._page(request)
        assert offset >= 0
        assert 1 <= limit <= logto.MAX_PAGE_SIZE
    assert "\0" not in logto._search(request)
    asked = stage().wire.method("ListJoinableOrganizations").input()
    with suppress(ServiceError):
        QueryPaging()._fold(asked, parse_qs(text))
        asked.to_binary()


_BODIES = (logto._INVITATION, logto._STATUS, logto._NEW_ORGANIZATION, logto._USERS, logto._ROLES, logto._NEW_ROLE)


def bodies(data: bytes) -> None:
    """A JSON body as the tables of Logto's fields read it; the first byte says by which."""
    with suppress(ServiceError):
        value = _json(data[1:])
        read = logto._read(value, _BODIES[(data[0] if data else 0) % len(_BODIES)])
        expires = read.get("expiresAt")
        assert expires is None or math.isfinite(expires)
        for name in (read.get("name"), read.get("invitee")):
            assert not name or "\0" not in name


def web_paths(data: bytes) -> None:
    """A path and, after a zero, what encodings are taken: what isn't a page or a file of ours is none."""
    path, _, accepted = data.decode("latin-1").partition("\0")
    begun: list[tuple[str, list[tuple[str, str]]]] = []
    environ = {"PATH_INFO": f"/{path}", "REQUEST_METHOD": "GET", "HTTP_ACCEPT_ENCODING": accepted}
    body = b"".join(_pages()(environ, lambda status, given, *_: begun.append((status, given))))  # type: ignore[arg-type,return-value,func-returns-value]
    (status, given), answered = begun[0], dict(begun[0][1])
    assert status[:3] in ("200", "302", "404", "503")
    assert int(answered["content-length"]) == len(body)
    assert not any("\n" in value or "\r" in value for _, value in given)
    assert ".." not in path or status[:3] == "404" or not path.startswith("assets/")


@cache
def _pages() -> Any:
    return pages()


def _said(**values: str) -> bytes:
    """Write what `headers` reads."""
    places = {name: HEADERS.index(name.replace("_", "-")) + len(HEADERS) for name in values}
    return b"\0".join(bytes([places[name]]) + value.encode() for name, value in values.items())


TARGETS = (headers, codecs, structs, merges, queries, bodies, web_paths)
SEEDS: dict[str, tuple[bytes, ...]] = {
    "headers": (
        _said(
            authorization="Bearer x", cookie="__Host-session=abc", origin="https://app.example.com", x_session="cookie"
        ),
        _said(idempotency_key="once", x_request_id="id", x_forwarded_for="127.0.0.1"),
        _said(x_forwarded_for="2001:db8::1%eth0", connect_protocol_version="1", connect_timeout_ms="1000"),
        _said(content_encoding="gzip", accept_encoding="gzip, br;q=0.5"),
        _said(content_type="application/grpc-web+proto", grpc_timeout="10S", grpc_encoding="gzip"),
    ),
    "codecs": (
        b'\0\1{"organizationId":"x"}',
        b'\5\1{"pagination":{"pageSize":25}}',
        b"\5\0\x0a\x02ab",
        b'\7\1{"role":1}',
        b"\1\1",
    ),
    "structs": (b"\x0a\x07\x0a\x01a\x12\x02\x20\x01", b"\x0a\x08\x0a\x01a\x12\x03\x1a\x01b", b"\x08\x01\x10\x01"),
    "merges": (b'{"a":{"b":1,"c":2},"d":3}\0{"a":{"b":null},"d":null,"e":{"f":null}}', b'{"a":1}\0{"a":{"b":{}}}'),
    "queries": (
        b"limit=10&offset=5&order_by=-created_at",
        b"statuses=PENDING&statuses=EXPIRED&validity=3600s",
        b"page=2&page_size=20&q=%25ada%25",
        b"token=abc&pageSize=7",
        b"code=a&state=b&iss=c&error=d",
    ),
    "bodies": (
        b'\0{"invitee":"a@example.com","organizationId":"x","expiresAt":1893456000000,"organizationRoleIds":["x"]}',
        b'\0{"messagePayload":{"link":"https://a.example/x","locale":"de"}}',
        b'\1{"status":"Accepted","acceptedUserId":null}',
        b'\2{"name":"Acme","customData":{"a":[1]},"branding":{"logoUrl":"x"},"isMfaRequired":false}',
        b'\3{"userIds":["a","b"]}',
        b'\5{"name":"Editor","type":"User","organizationScopeIds":[]}',
    ),
    "web_paths": (b"console/x\0br", b"assets/../../settings.py\0gzip;q=1", b"invite/abc\0*;q=0", b"sign-in/"),
}
