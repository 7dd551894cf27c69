"""Bodies that can't be read, are too large, or were made to break something."""

from __future__ import annotations

import gzip
import json
import struct
import tracemalloc
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from server.faces.connect import READ_MAX_BYTES
from tests.faces.conftest import Stage
from tests.faces.wire import CONNECT_JSON, CONNECT_PROTO, CONTENT_TYPES, GRPC, GRPC_WEB, PROTOCOLS, Answer
from tests.stories.people import some_id

calm = settings(
    max_examples=50,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
NOT_OURS = ("Traceback", ".py", "Error(", "unmarshal", "decompress:", "Expecting value", "codec can't")


def refused(answer: Answer, reason: str) -> None:
    assert answer.reason == reason, (answer.code, answer.message)
    assert not [text for text in NOT_OURS if text in answer.message + answer.body.decode("latin-1")]


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_request_of_the_limit_is_read_and_one_byte_more_is_not(standing_stage: Stage, protocol: str) -> None:
    token = standing_stage.token("Ada")

    def of_size(size: int) -> bytes:
        if protocol == CONNECT_JSON:
            return b"{}".ljust(size)
        # An unknown field, number 1000, of as many bytes as are wanted.
        head = b"\xc2\x3e"
        for length_bytes in range(1, 5):
            length = size - len(head) - length_bytes
            written = _varint(length)
            if len(written) == length_bytes:
                return head + written + b"x" * length
        raise AssertionError

    for size, compressed in ((READ_MAX_BYTES - 1, False), (READ_MAX_BYTES, False), (READ_MAX_BYTES, True)):
        body = of_size(size)
        assert len(body) == size
        answer = standing_stage.wire.send(protocol, "GetAccount", body, token=token, compressed=compressed)
        assert answer.code == "ok", answer.message
    for compressed in (False, True):
        body = of_size(READ_MAX_BYTES + 1)
        refused(
            standing_stage.wire.send(protocol, "GetAccount", body, token=token, compressed=compressed),
            "REQUEST_TOO_LARGE",
        )


def _varint(number: int) -> bytes:
    written = bytearray()
    while number > 0x7F:
        written.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*written, number])


@pytest.fixture(scope="module")
def bomb() -> bytes:
    compressed = gzip.compress(b" " * (64 * READ_MAX_BYTES), compresslevel=1)
    assert len(compressed) < READ_MAX_BYTES
    return compressed


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_compressed_bomb_is_refused_before_it_unfolds(standing_stage: Stage, protocol: str, bomb: bytes) -> None:
    headers = {"content-type": CONTENT_TYPES[protocol]}
    grpc = protocol in (GRPC, GRPC_WEB)
    headers["grpc-encoding" if grpc else "content-encoding"] = "gzip"
    body = struct.pack(">BI", 1, len(bomb)) + bomb if grpc else bomb
    tracemalloc.start()
    answer = standing_stage.wire.http("/gitpod.v1.AccountService/GetAccount", body, headers)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 10 * READ_MAX_BYTES
    assert answer.status == (200 if grpc else 429)
    assert b"REQUEST_TOO_LARGE" in answer.body or "limit" in answer.trailers.get("grpc-message", "") or grpc


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"[]",
        b'"text"',
        b"null",
        b"7",
        b'{"organizationId": 7}',
        b'{"organizationId": ["x"]}',
        b"{'organizationId': 'x'}",
        b'{"organizationId": "\xff"}',
        b'{"organizationId": "\\ud800"}',
        b"\xff\xfe\x00",
        b"[" * 100_000,
        b'{"x":' * 100_000,
    ],
)
def test_json_that_is_not_the_message_is_refused(standing_stage: Stage, body: bytes) -> None:
    refused(standing_stage.wire.send(CONNECT_JSON, "GetOrganization", body), "MALFORMED_REQUEST")


@pytest.mark.parametrize("protocol", [CONNECT_PROTO, GRPC, GRPC_WEB])
@pytest.mark.parametrize("body", [b"\x0a", b"\x0a\x05ab", b"\x0a\x02\xff\xfe", b"\xff" * 20, b"\x0b", b"\x07"])
def test_binary_that_is_not_the_message_is_refused(standing_stage: Stage, protocol: str, body: bytes) -> None:
    refused(standing_stage.wire.send(protocol, "GetOrganization", body), "MALFORMED_REQUEST")


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_body_that_is_not_compressed_as_it_says_is_refused(standing_stage: Stage, protocol: str) -> None:
    headers = {"content-encoding": "gzip", "grpc-encoding": "gzip"}
    body = b"not gzip"
    if protocol in (GRPC, GRPC_WEB):
        framed = struct.pack(">BI", 1, len(body)) + body
        answer = standing_stage.wire.http(
            "/gitpod.v1.AccountService/GetAccount", framed, {**headers, "content-type": CONTENT_TYPES[protocol]}
        )
        said = answer.trailers.get("grpc-status", "") or answer.body.decode("latin-1")
        assert said == "3" or "grpc-status: 3" in said
        return
    refused(standing_stage.wire.send(protocol, "GetAccount", body, headers=headers), "MALFORMED_REQUEST")


@pytest.mark.parametrize("protocol", [GRPC, GRPC_WEB])
@pytest.mark.parametrize(
    "body", [b"", b"\x00", b"\x00\x00\x00\x00\x05ab", struct.pack(">BI", 0, 0) * 2, struct.pack(">BI", 0, 2**32 - 1)]
)
def test_an_envelope_that_breaks_the_rules_of_the_protocol_is_refused(
    standing_stage: Stage, protocol: str, body: bytes
) -> None:
    headers = {"content-type": CONTENT_TYPES[protocol], "authorization": f"Bearer {standing_stage.token('Ada')}"}
    answer = standing_stage.wire.http("/gitpod.v1.AccountService/GetAccount", body, headers)
    said = str(answer.trailers) + answer.body.decode("latin-1")
    assert "grpc-status" in said
    assert not [text for text in NOT_OURS if text in said]
    # It has nothing to do with compression, and isn't our fault.
    assert not any(wrong in said for wrong in ("compressed", "'grpc-status': '0'", "'13'", "status: 13", "status: 0"))


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
FIELDS = (
    "organizationId", "userId", "inviteId", "name", "inviteDomains", "domains", "pagination", "pageSize", "token",
    "filter", "search", "statuses", "roles", "userIds", "email", "loginProvider", "sort", "field", "order", "role",
    "count", "include", "validFor", "description", "personalAccessTokenId", "readOnly",
)  # fmt: skip


@st.composite
def likely_requests(draw: st.DrawFn) -> Any:
    """Give JSON that uses the contract's names with values of any kind."""
    values = json_values | st.just("IT") | st.just("BOB") | st.just(some_id())
    nested = st.dictionaries(st.sampled_from(FIELDS), values, max_size=4)
    return draw(st.dictionaries(st.sampled_from(FIELDS), values | nested, max_size=6))


METHODS = (
    "GetOrganization",
    "UpdateOrganization",
    "ListMembers",
    "SetRole",
    "GetOrganizationInviteSummary",
    "GetUser",
    "GetPersonalAccessToken",
    "ListPersonalAccessTokens",
    "ListJoinableOrganizations",
)


@calm
@given(method=st.sampled_from(METHODS), request_=likely_requests())
def test_no_json_makes_the_service_fail(standing_stage: Stage, method: str, request_: Any) -> None:
    body = json.dumps(request_).replace('"IT"', f'"{standing_stage.it.id}"')
    body = body.replace('"BOB"', f'"{standing_stage.it.users["Bob"]}"')
    answer = standing_stage.wire.send(CONNECT_JSON, method, body.encode(), token=_token(standing_stage))
    assert answer.status < 500, (method, body, answer.message)


@calm
@given(method=st.sampled_from(METHODS), body=st.binary(max_size=80), protocol=st.sampled_from(PROTOCOLS))
def test_no_bytes_make_the_service_fail(standing_stage: Stage, method: str, body: bytes, protocol: str) -> None:
    answer = standing_stage.wire.send(protocol, method, body, token=_token(standing_stage))
    assert answer.code not in ("internal", "unknown", "unavailable"), (method, body, answer.message)


@calm
@given(
    search=st.text(max_size=256) | st.sampled_from(["%", "_", "\\", "\0", "'", '"', "--", "ﷺ" * 256, "\u0345" * 200]),
    email=st.text(max_size=100),
)
def test_no_search_makes_the_service_fail(standing_stage: Stage, search: str, email: str) -> None:
    request = {"organizationId": standing_stage.it.id, "filter": {"search": search, "email": email}}
    answer = standing_stage.wire.call(CONNECT_JSON, "ListMembers", request, token=_token(standing_stage))
    assert answer.status == 200, answer.message


@calm
@given(token=st.text(max_size=60), authorization=st.text(st.characters(max_codepoint=255), max_size=60))
def test_no_token_makes_the_service_fail(standing_stage: Stage, token: str, authorization: str) -> None:
    for headers in ({"authorization": authorization}, {"authorization": f"Bearer orgsvc_{authorization}"}):
        answer = standing_stage.wire.call(CONNECT_JSON, "GetAccount", headers=headers)
        assert answer.status == 401
    request = {"organizationId": standing_stage.it.id, "pagination": {"token": token}}
    answer = standing_stage.wire.call(CONNECT_JSON, "ListMembers", request, token=_token(standing_stage))
    assert answer.status == (200 if token == "" else 400)


_tokens: dict[int, str] = {}


def _token(stage: Stage) -> str:
    """Give one token for all examples."""
    if id(stage) not in _tokens:
        _tokens[id(stage)] = stage.token("Ada")
    return _tokens[id(stage)]
