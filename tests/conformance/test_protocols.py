"""What the protocols' specifications ask of a server of unary calls, case by case, over sockets.

The official runner is a Go program that isn't run here; these are its cases for unary servers and more, from the text
of the specifications. What is answered otherwise stands in `docs/conformance.md` and at the end of this file; the
table of cases there is made of this file by `table.py`.
"""

from __future__ import annotations

import base64
import gzip
import json
import struct
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import httpx
import pytest

from server.domain.secrets import SecretKeys
from server.envoy import MOST_BODY_BYTES
from server.faces.connect import READ_MAX_BYTES
from server.main import build_service
from server.store.sqlite import SqliteStore
from server.wires import build_edge
from tests.conformance import narrow_server
from tests.conformance.speaking import CONNECT_SPEECHES, FRAMED_SPEECHES, SPEECHES, Form, Line, Received, Speech
from tests.conftest import KEY, GivenClock
from tests.faces.wire import Answer, Wire
from tests.fuzz.requests import varint
from tests.running import RunningServer, wait_until
from tests.stories.people import some_id

READ, CHANGE = "GetAccount", "DeleteOrganization"


@pytest.fixture(scope="module")
def line(server: RunningServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Line]:
    clock = GivenClock()
    store = SqliteStore(tmp_path_factory.mktemp("methods") / "organizations.db", clock)
    wire = Wire(build_edge(build_service(store, SecretKeys([KEY]), clock=clock)))
    line = Line(server, wire, server.token("conformance@example.com"))
    yield line
    line.close()
    store.close()


every_speech = pytest.mark.parametrize("speech", SPEECHES, ids=str)
connect_speech = pytest.mark.parametrize("speech", CONNECT_SPEECHES, ids=str)
framed_speech = pytest.mark.parametrize("speech", FRAMED_SPEECHES, ids=str)


def is_ok(line: Line, speech: Speech, answer: Answer) -> bool:
    """Whether an answer is the message that `READ` gives."""
    assert answer.code == "ok", (answer.code, answer.message, answer.status)
    kind = line.wire.method(READ).output
    assert answer.content is not None
    message = kind.from_json(answer.content) if speech.codec == "json" else kind.from_binary(answer.content)
    return bool(message.account.email == "conformance@example.com")


# An answer.


@every_speech
def test_a_message_is_answered_in_the_codec_and_protocol_that_it_came_in(line: Line, speech: Speech) -> None:
    answer = line.call(speech, READ)
    assert answer.status == 200
    assert answer.headers["content-type"] == speech.content_type
    assert is_ok(line, speech, answer)
    if not speech.is_connect:
        assert answer.trailers["grpc-status"] == "0"
        assert "grpc-status" not in answer.headers


@every_speech
def test_an_empty_message_is_one(line: Line, speech: Speech) -> None:
    assert is_ok(line, speech, line.send(speech, line.path(READ), speech.framed(b"")))


@every_speech
def test_metadata_goes_before_the_answer_and_not_after_it(line: Line, speech: Speech) -> None:
    answer = line.call(speech, READ, headers={"x-request-id": "conformance-1"})
    assert answer.headers["x-request-id"] == "conformance-1"
    assert "x-request-id" not in answer.trailers


@every_speech
@pytest.mark.parametrize("value", [base64.b64encode(bytes(range(256))).decode(), "AAE", "not base64!", "", "AA==,AQ=="])
def test_metadata_that_we_do_not_know_binary_or_not_is_let_be(line: Line, speech: Speech, value: str) -> None:
    assert is_ok(line, speech, line.call(speech, READ, headers={"x-custom-bin": value, "x-custom": "ü".encode().hex()}))


@every_speech
def test_metadata_that_comes_twice_is_let_be(line: Line, speech: Speech) -> None:
    assert is_ok(line, speech, line.call(speech, READ, headers={"x-custom": "one", "X-Custom": "two"}))


@connect_speech
@pytest.mark.parametrize("parameters", ["; charset=utf-8", ";charset=UTF-8", " ; a=b"])
def test_parameters_of_a_content_type_are_let_be(line: Line, speech: Speech, parameters: str) -> None:
    answer = line.call(speech, READ, headers={"content-type": speech.content_type + parameters})
    assert is_ok(line, speech, answer)


@connect_speech
def test_the_protocol_version_may_be_said_and_must_be_right(line: Line, speech: Speech) -> None:
    assert is_ok(line, speech, line.call(speech, READ, headers={"connect-protocol-version": "1"}))
    assert line.call(speech, READ, headers={"connect-protocol-version": "2"}).code == "invalid_argument"


@framed_speech
def test_grpc_without_a_codec_means_protobuf(line: Line, speech: Speech) -> None:
    answer = line.call(speech, READ, headers={"content-type": f"application/{speech.protocol}"})
    if speech.codec == "proto":
        assert is_ok(line, speech, answer)
    else:
        assert answer.code == "invalid_argument"


# An error.

ERRORS: dict[str, tuple[str, dict[str, Any], dict[str, str], int]] = {
    # code: method, message, headers, status of HTTP
    "invalid_argument": ("GetOrganization", {"organizationId": "x"}, {}, 400),
    "not_found": ("GetOrganization", {"organizationId": some_id()}, {}, 404),
    "unauthenticated": ("GetOrganization", {"organizationId": some_id()}, {"authorization": "Bearer wrong"}, 401),
    "failed_precondition": ("LeaveOrganization", {"userId": "MINE"}, {}, 400),
    "deadline_exceeded": ("CreateOrganization", {"name": "Too late"}, {"TIMEOUT": "0"}, 504),
}


@pytest.fixture(scope="module")
def mine(line: Line) -> str:
    """Our user in an organization whose only admin we are."""
    speech = CONNECT_SPEECHES[0]
    made = line.call(speech, "CreateOrganization", {"name": "Conformance", "joinOrganization": True})
    return str(made.json()["member"]["userId"])


@every_speech
@pytest.mark.parametrize("code", ERRORS)
def test_an_error_is_said_as_the_protocol_has_it(line: Line, speech: Speech, code: str, mine: str) -> None:
    method, message, headers, status = ERRORS[code]
    message = {name: value.replace("MINE", mine) for name, value in message.items()}
    sent = speech.timeout(0) if "TIMEOUT" in headers else headers
    answer = line.call(speech, method, message, sent)
    assert answer.code == code, answer.message
    assert answer.message
    assert answer.reason
    assert answer.status == (status if speech.is_connect else 200)
    if speech.is_connect:
        assert answer.headers["content-type"] == "application/json"
        assert set(answer.json()) == {"code", "message", "details"}
        for detail in answer.json()["details"]:
            assert set(detail) <= {"type", "value", "debug"}
            assert "=" not in detail["value"]
    else:
        assert answer.headers["content-type"] == speech.content_type
        assert speech.form(answer) is Form.TRAILERS


# Compression.


@every_speech
def test_a_message_may_be_compressed_and_others_of_the_same_protocol_not(line: Line, speech: Speech) -> None:
    assert is_ok(line, speech, line.call(speech, READ, compressed=True))
    assert is_ok(line, speech, line.call(speech, READ, headers={speech.encoding: "identity"}))
    if not speech.is_connect:
        # What the header names may be used for a message, and needn't.
        assert is_ok(line, speech, line.call(speech, READ, headers={speech.encoding: "gzip"}))


@every_speech
@pytest.mark.parametrize("encoding", ["br", "zstd", "deflate", "unknown", "gzip, gzip", "GZIP"])
def test_a_compression_that_we_do_not_know_is_unimplemented_and_those_that_we_know_are_named(
    line: Line, speech: Speech, encoding: str
) -> None:
    answer = line.send(speech, line.path(READ), speech.framed(b"x", 1), {speech.encoding: encoding})
    assert answer.code == "unimplemented", answer.message
    assert "gzip" in answer.message
    assert speech.is_connect or speech.form(answer) is Form.TRAILERS


@every_speech
@pytest.mark.parametrize(
    ("accepted", "used"),
    [
        ("gzip", "gzip"),
        ("br, gzip", "gzip"),
        ("identity", None),
        ("br", None),
        ("zstd, br", None),
        ("", None),
        ("gzip;q=0", None),
        ("*;q=0", None),
    ],
)
def test_an_answer_is_compressed_only_as_the_caller_accepts(
    line: Line, speech: Speech, accepted: str, used: str | None
) -> None:
    answer = line.call(speech, READ, headers={speech.accepting: accepted})
    assert answer.headers.get(speech.encoding, "identity") == (used or "identity")
    assert is_ok(line, speech, answer)


@connect_speech
def test_a_body_that_is_compressed_without_saying_so_is_an_error_of_the_caller(line: Line, speech: Speech) -> None:
    answer = line.send(speech, line.path(READ), gzip.compress(line.written(speech, READ, {})))
    assert answer.code == "invalid_argument", answer.message


@every_speech
def test_what_is_not_compressed_as_it_says_is_an_error_of_the_caller(line: Line, speech: Speech) -> None:
    answer = line.send(speech, line.path(READ), speech.framed(b"not gzip", 1), {speech.encoding: "gzip"})
    assert answer.code == "invalid_argument", answer.message


# Time-outs.


@connect_speech
@pytest.mark.parametrize("value", ["", "-1", "1.5", "1e3", "abc", "10 0", "0x10", "12345678901", "1_000", "+5"])
def test_a_time_out_of_connect_is_one_to_ten_digits(line: Line, speech: Speech, value: str) -> None:
    assert line.call(speech, READ, headers={"connect-timeout-ms": value}).code == "invalid_argument"


@connect_speech
@pytest.mark.parametrize("value", ["1000000", "9999999999", "0000010000"])
def test_a_time_out_of_connect_may_be_long(line: Line, speech: Speech, value: str) -> None:
    assert is_ok(line, speech, line.call(speech, READ, headers={"connect-timeout-ms": value}))


@framed_speech
@pytest.mark.parametrize("value", ["S", "1", "1s", "1.5S", "-1S", "123456789S", "S1", "1 S", "abc", "1Sx"])
def test_a_time_out_of_grpc_is_at_most_eight_digits_and_a_unit(line: Line, speech: Speech, value: str) -> None:
    answer = line.call(speech, READ, headers={"grpc-timeout": value})
    assert (answer.code, speech.form(answer)) == ("invalid_argument", Form.TRAILERS)


@framed_speech
@pytest.mark.parametrize("value", ["99999999H", "600M", "10S", "10000m", "10000000u", "99999999n", "00000010S"])
def test_a_time_out_of_grpc_has_six_units(line: Line, speech: Speech, value: str) -> None:
    answer = line.call(speech, READ, headers={"grpc-timeout": value})
    # A tenth of a second may be too short on a busy machine.
    assert is_ok(line, speech, answer) if value[-1] != "n" else answer.code in ("ok", "deadline_exceeded")


# Paths, verbs and codecs.


@every_speech
@pytest.mark.parametrize("path", ["/gitpod.v1.AccountService/Nothing", "/unknown.v1.Service/Method", "/x.Y/getAccount"])
def test_a_method_that_there_is_not_is_unimplemented(line: Line, speech: Speech, path: str) -> None:
    answer = line.send(speech, path, speech.framed(line.written(speech, READ, {})))
    assert answer.code == "unimplemented"
    assert answer.status == (501 if speech.is_connect else 200)
    assert speech.is_connect or speech.form(answer) is Form.TRAILERS


@every_speech
@pytest.mark.parametrize("verb", ["PUT", "DELETE", "PATCH"])
def test_another_verb_is_not_allowed(line: Line, speech: Speech, verb: str) -> None:
    for method, allowed in ((CHANGE, {"POST"}), (READ, {"GET", "POST"} if speech.is_connect else {"POST"})):
        answer = line.send(speech, line.path(method), speech.framed(b""), verb=verb)
        assert answer.status == 405
        assert {each.strip() for each in answer.headers["allow"].split(",")} == allowed
        assert speech.is_connect or speech.form(answer) is Form.HTTP


@pytest.mark.parametrize("speech", [s for s in SPEECHES if s.codec == "json"], ids=str)
@pytest.mark.parametrize(
    "content_type",
    [
        "application/xml",
        "text/plain",
        "application/x-www-form-urlencoded",
        "application/grpc+xml",
        "application/grpc-web+xml",
        "application/connect+json",
        "application/connect+proto",
        "application/grpc-web-text",
        "application/grpc-web-text+proto",
        "application/jsonp",
        "",
    ],
)
def test_a_codec_that_we_do_not_know_is_an_unsupported_media_type(
    line: Line, speech: Speech, content_type: str
) -> None:
    answer = line.send(speech, line.path(READ), b"{}", {"content-type": content_type})
    assert (answer.status, answer.body) == (415, b"")
    assert speech.is_connect or speech.form(answer) is Form.HTTP
    assert answer.headers["accept-post"]


# Messages in envelopes.

MESSAGE_OF_NOTHING = struct.pack(">BI", 0, 0)


@framed_speech
@pytest.mark.parametrize(
    ("body", "codes"),
    [
        pytest.param(MESSAGE_OF_NOTHING * 2, {"unimplemented"}, id="two messages"),
        pytest.param(b"", {"unimplemented"}, id="no message"),
        pytest.param(b"\0\0", {"invalid_argument"}, id="half an envelope"),
        pytest.param(struct.pack(">BI", 0, 5) + b"ab", {"invalid_argument"}, id="half a message"),
        pytest.param(MESSAGE_OF_NOTHING + b"\0", {"invalid_argument", "unimplemented"}, id="something behind it"),
        pytest.param(struct.pack(">BI", 2, 0), {"invalid_argument", "internal"}, id="a flag of another protocol"),
        pytest.param(struct.pack(">BI", 0x80, 0), {"invalid_argument", "internal", "unimplemented"}, id="trailers"),
        pytest.param(struct.pack(">BI", 0, 2**32 - 1), {"resource_exhausted", "invalid_argument"}, id="a huge length"),
    ],
)
def test_a_body_that_is_not_one_message_is_refused(line: Line, speech: Speech, body: bytes, codes: set[str]) -> None:
    answer = line.send(speech, line.path(READ), body)
    assert answer.code in codes, (answer.code, answer.message)
    assert speech.form(answer) is Form.TRAILERS


NOT_ONE_MESSAGE = {
    "json": (b"{}{}", b"{", b"{} x", b'{"a":1', MESSAGE_OF_NOTHING, b"\0"),
    "proto": (b"\x0a", b"\x0a\x05ab", b"\x08\xff", b"\x0f", b"\0"),
}
"""Two messages, half a one, something behind it, an envelope, a byte of nothing."""


@connect_speech
def test_a_bare_body_that_is_not_one_message_is_refused(line: Line, speech: Speech) -> None:
    for body in NOT_ONE_MESSAGE[speech.codec]:
        assert line.send(speech, line.path(READ), body).code == "invalid_argument", body


def of_size(speech: Speech, size: int) -> bytes:
    """Give a message of nothing that is this long: blanks, or a field that nobody knows."""
    return b"{}".ljust(size) if speech.codec == "json" else UNKNOWN_FIELD + varint(size - 6) + bytes(size - 6)


UNKNOWN_FIELD = b"\xc2\x3e"


@every_speech
@pytest.mark.parametrize("compressed", [False, True], ids=["as it is", "compressed"])
def test_a_message_may_be_as_long_as_the_limit_and_no_longer(line: Line, speech: Speech, *, compressed: bool) -> None:
    for size, code in ((READ_MAX_BYTES, "ok"), (READ_MAX_BYTES + 1, "resource_exhausted")):
        message = of_size(speech, size)
        assert len(message) == size
        headers = {speech.encoding: "gzip"} if compressed else {}
        body = speech.compressed(message) if compressed else speech.framed(message)
        answer = line.send(speech, line.path(READ), body, headers)
        assert answer.code == code, answer.message
        assert answer.status == (429 if speech.is_connect and code != "ok" else 200)
        assert speech.is_connect or code == "ok" or speech.form(answer) is Form.TRAILERS


# What isn't let in: Envoy answers by itself, before anybody has read the request.


@contextmanager
def narrow(line: Line, directory: Path, limit: str) -> Iterator[Line]:
    """Run a server with a limit that is reached at once."""
    server = RunningServer(
        f"sqlite:///{directory / 'organizations.db'}", program=(sys.executable, "-m", narrow_server.__name__, limit)
    )
    there = Line(server, line.wire, "")
    try:
        yield there
    finally:
        there.close()
        server.stop()


@pytest.fixture(scope="module")
def hasty(line: Line, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Line]:
    """A server that gives clients a second to send a request."""
    with narrow(line, tmp_path_factory.mktemp("hasty"), "time") as there:
        yield there


@pytest.fixture(scope="module")
def full(line: Line, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Line]:
    """A server that has no memory left."""
    with narrow(line, tmp_path_factory.mktemp("full"), "memory") as there:
        # It looks at its memory ten times a second.
        wait_until(lambda: httpx.get(there.server.url + "/healthz").status_code == 503)
        yield there


def assert_not_let_in(speech: Speech, answer: Received, reason: str, code: str, status: int) -> None:
    assert (answer.reason, answer.code) == (reason, code)
    assert answer.message
    if speech.is_connect:
        assert (answer.status, answer.headers["content-type"]) == (status, "application/json")
    else:
        assert speech.form(answer) is (Form.TRAILERS_ONLY if speech.protocol == "grpc" else Form.TRAILERS)


@every_speech
def test_a_request_that_is_longer_than_what_is_received_is_refused(line: Line, speech: Speech) -> None:
    answer = line.send(speech, line.path(READ), bytes(MOST_BODY_BYTES + 1))
    assert_not_let_in(speech, answer, "REQUEST_TOO_LARGE", "resource_exhausted", 429)


@every_speech
def test_a_request_that_does_not_arrive_in_time_is_refused(hasty: Line, speech: Speech) -> None:
    answer = hasty.begin(speech, hasty.path(READ), b"{")
    assert_not_let_in(speech, answer, "REQUEST_TOO_SLOW", "deadline_exceeded", 504)


@every_speech
def test_a_request_that_there_is_no_room_for_is_refused(full: Line, speech: Speech) -> None:
    answer = full.call(speech, READ)
    assert_not_let_in(speech, answer, "OVERLOADED", "unavailable", 503)


# Connect's GET.

GET_PATH = "/gitpod.v1.OrganizationService/GetOrganization"


@dataclass(frozen=True)
class Get:
    """The query of a GET, and what is answered."""

    query: Callable[[str], dict[str, str]]
    code: str
    status: int


def _packed(organization: str, *, pad: bool = False) -> str:
    text = base64.urlsafe_b64encode(json.dumps({"organizationId": organization}).encode()).decode()
    return text if pad else text.rstrip("=")


def _json(organization: str) -> str:
    return json.dumps({"organizationId": organization})


GETS = {
    "plain": Get(lambda id_: {"connect": "v1", "encoding": "json", "message": _json(id_)}, "ok", 200),
    "without a version": Get(lambda id_: {"encoding": "json", "message": _json(id_)}, "ok", 200),
    "base64": Get(lambda id_: {"encoding": "json", "base64": "1", "message": _packed(id_)}, "ok", 200),
    "base64 with padding": Get(
        lambda id_: {"encoding": "json", "base64": "1", "message": _packed(id_, pad=True)}, "ok", 200
    ),
    "compressed": Get(
        lambda id_: {
            "encoding": "json",
            "base64": "1",
            "compression": "gzip",
            "message": base64.urlsafe_b64encode(gzip.compress(_json(id_).encode())).decode().rstrip("="),
        },
        "ok",
        200,
    ),
    "another parameter": Get(lambda id_: {"encoding": "json", "message": _json(id_), "x": "y"}, "ok", 200),
    "an unknown compression": Get(
        lambda id_: {"encoding": "json", "compression": "br", "message": _json(id_)}, "unimplemented", 501
    ),
    "no message": Get(lambda _: {"encoding": "json"}, "invalid_argument", 400),
    "no such base64": Get(lambda _: {"encoding": "json", "base64": "1", "message": "%%%"}, "invalid_argument", 400),
    "no JSON": Get(lambda _: {"encoding": "json", "message": "{"}, "invalid_argument", 400),
    "no encoding": Get(lambda id_: {"message": _json(id_)}, "", 415),
    "an unknown encoding": Get(lambda id_: {"encoding": "xml", "message": _json(id_)}, "", 415),
}


@pytest.fixture(scope="module")
def organization(line: Line) -> str:
    made = line.call(CONNECT_SPEECHES[0], "CreateOrganization", {"name": "Got", "joinOrganization": True})
    return str(made.json()["organization"]["id"])


@pytest.mark.parametrize("http", ["1.1", "2"], ids="HTTP/{}".format)
@pytest.mark.parametrize("case", GETS)
def test_get_asks_what_post_asks(line: Line, http: str, case: str, organization: str) -> None:
    asked = GETS[case]
    answer = line.get(GET_PATH, urlencode(asked.query(organization), quote_via=quote), http=http)
    assert answer.status == asked.status, answer.body
    if asked.code == "ok":
        assert answer.json()["organization"]["name"] == "Got"
    elif asked.code:
        assert answer.code == asked.code


def test_get_in_binary_asks_too(line: Line, organization: str) -> None:
    packed = line.written(Speech("connect", "proto", "1.1"), "GetOrganization", {"organizationId": organization})
    for text in (base64.urlsafe_b64encode(packed).decode(), base64.urlsafe_b64encode(packed).decode().rstrip("=")):
        answer = line.get(GET_PATH, urlencode({"encoding": "proto", "base64": "1", "message": text}))
        assert answer.status == 200
        assert answer.headers["content-type"] == "application/proto"
        read = line.wire.method("GetOrganization").output.from_binary(answer.body)
        assert read.organization.name == "Got"


def test_get_is_not_allowed_where_something_changes(line: Line, organization: str) -> None:
    query = urlencode({"encoding": "json", "message": _json(organization)})
    answer = line.get("/gitpod.v1.OrganizationService/DeleteOrganization", query)
    assert (answer.status, answer.headers["allow"]) == (405, "POST")
    assert line.call(CONNECT_SPEECHES[0], "GetOrganization", {"organizationId": organization}).code == "ok"


# What is done otherwise than the specifications, mostly by the runtime. When one of these fails it was mended: move it
# up, and take it out of docs/conformance.md.


def test_different_a_codecs_bare_name_is_taken_for_a_content_type(line: Line) -> None:
    answer = line.send(CONNECT_SPEECHES[0], line.path(READ), b"{}", {"content-type": "json"})
    assert answer.status == 200


def test_different_the_version_that_a_get_says_is_not_looked_at(line: Line, organization: str) -> None:
    query = urlencode({"connect": "v2", "encoding": "json", "message": _json(organization)})
    assert line.get(GET_PATH, query).status == 200


def test_different_an_answer_that_is_not_compressed_says_so_as_http_would_rather_not(line: Line) -> None:
    assert line.call(CONNECT_SPEECHES[0], READ).headers["content-encoding"] == "identity"


@connect_speech
def test_different_a_method_that_there_is_not_is_501(line: Line, speech: Speech) -> None:
    """The official suite asks for 404, as servers give it that don't know the path; both mean `unimplemented`."""
    assert line.send(speech, "/unknown.v1.Service/Method", b"").status == 501


@framed_speech
def test_different_a_content_type_of_grpc_may_have_no_parameters(line: Line, speech: Speech) -> None:
    headers = {"content-type": speech.content_type + "; charset=utf-8"}
    assert line.send(speech, line.path(READ), speech.framed(b""), headers).status == 415


@framed_speech
def test_different_the_headers_of_what_is_not_let_in(line: Line, speech: Speech) -> None:
    """Envoy sets the content type of its own answers to gRPC, without a codec."""
    answer = line.send(speech, line.path(READ), bytes(MOST_BODY_BYTES + 1))
    assert answer.reason == "REQUEST_TOO_LARGE"
    assert answer.headers["content-type"] == ("application/grpc" if speech.protocol == "grpc" else speech.content_type)
    assert answer.headers["grpc-encoding"] == "identity"


@framed_speech
def test_different_a_message_marked_compressed_without_a_compression_is_invalid(line: Line, speech: Speech) -> None:
    """gRPC asks for `internal`, which would count what a caller did wrong among failures of ours."""
    for headers in ({}, {speech.encoding: "identity"}):
        answer = line.send(speech, line.path(READ), speech.compressed(line.written(speech, READ, {})), headers)
        assert answer.code == "invalid_argument", answer.message


@framed_speech
def test_different_a_refusal_has_no_list_of_what_would_be_accepted(line: Line, speech: Speech) -> None:
    """gRPC asks for grpc-accept-encoding beside `unimplemented`; the sentence names what is accepted."""
    answer = line.send(speech, line.path(READ), speech.framed(b"x", 1), {speech.encoding: "br"})
    assert (answer.code, speech.accepting in answer.headers) == ("unimplemented", False)
    assert "gzip" in answer.message
