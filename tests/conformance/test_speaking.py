"""The form of an answer is told from its frames, and what has none of the forms has none."""

from __future__ import annotations

import struct

import pytest

from tests.conformance.speaking import (
    DATA,
    DATA_END,
    FRAMED_SPEECHES,
    HEADERS,
    HEADERS_END,
    Form,
    Received,
    Speech,
)

GRPC = next(speech for speech in FRAMED_SPEECHES if speech.protocol == "grpc")
GRPC_WEB = next(speech for speech in FRAMED_SPEECHES if speech.protocol == "grpc-web" and speech.http == "2")
STATUS = {"grpc-status": "3"}
ENDING = struct.pack(">BI", 0x80, 16) + b"grpc-status: 3\r\n"
MESSAGE = struct.pack(">BI", 0, 2) + b"{}"


@pytest.mark.parametrize(
    ("speech", "received", "form"),
    [
        (GRPC, Received(200, {}, b"", STATUS, frames=(HEADERS, HEADERS_END)), Form.TRAILERS),
        (GRPC, Received(200, STATUS, b"", frames=(HEADERS_END,)), Form.TRAILERS_ONLY),
        (GRPC, Received(415, {}, b"", frames=(HEADERS_END,)), Form.HTTP),
        # The status among the headers, and something behind them.
        (GRPC, Received(200, STATUS, b"", STATUS, frames=(HEADERS, HEADERS_END)), None),
        (GRPC, Received(200, STATUS, b"", frames=(HEADERS, DATA_END)), None),
        (GRPC, Received(200, {}, MESSAGE, STATUS, frames=(HEADERS, DATA, HEADERS_END)), None),
        (GRPC, Received(503, STATUS, b"", frames=(HEADERS_END,)), None),
        (GRPC, Received(503, {}, b"busy", frames=(HEADERS, DATA_END)), None),
        (GRPC, Received(200, {}, ENDING, frames=(HEADERS, DATA_END)), None),
        (GRPC_WEB, Received(200, {}, ENDING, frames=(HEADERS, DATA, DATA_END)), Form.TRAILERS),
        (GRPC_WEB, Received(200, {}, ENDING), Form.TRAILERS),
        (GRPC_WEB, Received(200, STATUS, b"", frames=(HEADERS_END,)), Form.TRAILERS_ONLY),
        (GRPC_WEB, Received(200, STATUS, ENDING, frames=(HEADERS, DATA_END)), None),
        (GRPC_WEB, Received(200, {}, MESSAGE + ENDING, frames=(HEADERS, DATA_END)), None),
        # Trailers of HTTP, which a browser doesn't show.
        (GRPC_WEB, Received(200, {}, b"", STATUS, frames=(HEADERS, HEADERS_END)), None),
        (GRPC_WEB, Received(200, {}, ENDING, frames=(HEADERS, DATA, HEADERS_END)), None),
    ],
)
def test_a_form_is_told_from_what_came(speech: Speech, received: Received, form: Form | None) -> None:
    assert speech.form(speech.read(received)) is form
