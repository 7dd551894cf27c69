"""Requests made of the contract's own descriptors: every field, with values of its type that are likely to do harm."""

from __future__ import annotations

import random
import struct
from dataclasses import dataclass
from typing import Any

TEXTS = (
    "",
    "a",
    "Ada",
    "ada@example.com",
    "new@example.com",
    "\0",
    "a\0b",
    "\u202e",
    "ﷺ" * 300,
    "\u0345" * 200,
    "x" * 5000,
    "%s%n{0}",
    "'; DROP TABLE members; --",
    "00000000-0000-4000-8000-000000000000",
    "../../etc/passwd",
    "https://evil.example",
    "member",
    "admin",
    "orgsvcinv_x",
)
NUMBERS = (0, 1, 2, 3, 25, 100, 101, 2**31 - 1, 2**31, 2**32, 2**53 + 1, 2**63 - 1, 2**63, 2**64 - 1)
DOUBLES = (0.0, -0.0, 1.5, 1e308, -1e308, 5e-324, float("inf"), float("-inf"), float("nan"))
_VARINTS = frozenset({3, 4, 5, 8, 13, 14, 17, 18})
_MESSAGE, _STRING, _BYTES, _DOUBLE, _FIXED64, _SFIXED64 = 11, 9, 12, 1, 6, 16


def varint(number: int) -> bytes:
    written = bytearray()
    while number > 0x7F:
        written.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*written, number])


def _delimited(number: int, content: bytes) -> bytes:
    return varint(number << 3 | 2) + varint(len(content)) + content


@dataclass(frozen=True)
class Values:
    """What fields are given. `tame` ones are given once at most, and nothing that the message doesn't have."""

    texts: tuple[str, ...]
    numbers: tuple[int, ...] = NUMBERS
    tame: bool = False


def message(desc: Any, dice: random.Random, values: Values, depth: int = 6) -> bytes:
    """Write a message: some of its fields, now and then twice, in any order, and some that it doesn't have."""
    times = (0, 1, 1, 1, 1 if values.tame else 2)
    fields = [field for field in desc.fields for _ in range(dice.choice(times))]
    dice.shuffle(fields)
    written = b"".join(_field(field, dice, values, depth) for field in fields)
    if not values.tame and dice.random() < 0.1:
        written += _delimited(dice.choice((999, 2**29 - 1)), b"unknown")
    return written


def _field(field: Any, dice: random.Random, values: Values, depth: int) -> bytes:
    kind, number = int(field.proto.type), field.number
    if kind == _MESSAGE:
        return _delimited(number, _inner(field.value, dice, values, depth - 1)) if depth else b""
    if kind in (_STRING, _BYTES):
        return _delimited(number, dice.choice(values.texts).encode())
    if kind in _VARINTS:
        return varint(number << 3) + varint(dice.choice(values.numbers))
    if kind in (_DOUBLE, _FIXED64, _SFIXED64):
        return varint(number << 3 | 1) + struct.pack("<d", dice.choice(DOUBLES))
    return varint(number << 3 | 5) + struct.pack("<f", 1.5)


def _inner(value: Any, dice: random.Random, values: Values, depth: int) -> bytes:
    """Write what stands in a field of messages: one, one of a list, or an entry of a map."""
    if hasattr(value, "key"):
        inner = message(value.value, dice, values, depth) if hasattr(value.value, "fields") else b"x"
        return _delimited(1, dice.choice(values.texts).encode()) + _delimited(2, inner)
    return message(getattr(value, "message", None) or value.element, dice, values, depth)


def damaged(written: bytes, dice: random.Random) -> bytes:
    """Change, cut, double or swap a few bytes."""
    data = bytearray(written)
    for _ in range(dice.choice((1, 1, 2, 5))):
        at = dice.randrange(len(data) + 1)
        match dice.randrange(5):
            case 0 if data:
                data[at % len(data)] ^= 1 << dice.randrange(8)
            case 1:
                del data[at:]
            case 2:
                data[at:at] = data[: dice.randrange(20)]
            case 3:
                data[at:at] = bytes(dice.randrange(256) for _ in range(dice.randrange(6)))
            case _:
                del data[at : at + dice.randrange(4)]
    return bytes(data)


DEEP = 20_000
DEEP_BODIES = {
    "arrays": b"[" * DEEP,
    "objects": b'{"a":' * DEEP,
    "both": b'{"a":[' * DEEP,
    "closed objects": b'{"a":' * DEEP + b"1" + b"}" * DEEP,
    "metadata": b'{"invitation":{"publicMetadata":' + b'{"a":' * DEEP + b"1" + b"}" * DEEP + b"}}",
    "metadata, just too deep": b'{"invitation":{"publicMetadata":' + b'{"a":' * 120 + b"1" + b"}" * 120 + b"}}",
    "unknown metadata": b'{"x":' + b'{"a":' * 900 + b"1" + b"}" * 900 + b"}",
    "a number": b'{"pagination":{"pageSize":' + b"9" * 100_000 + b"}}",
    "an exponent": b'{"pagination":{"pageSize":1e' + b"9" * 1000 + b"}}",
    "a small number": b'{"pagination":{"pageSize":1e-' + b"9" * 1000 + b"}}",
    "a text": b'{"organizationId":"' + b"\\u0000" * 100_000 + b'"}',
    "a key": b'{"' + b"a" * 1_000_000 + b'":1}',
    "the same key": b"{" + b",".join([b'"organizationId":"IT"'] * 50_000) + b"}",
    "halves of pairs": b'{"organizationId":"\\ud800","\\udfff":"\\ud800"}',
    "zeros": b"\0" * 100_000,
    "a mark of order": b"\xef\xbb\xbf{}",
    "another encoding": '{"organizationId":"x"}'.encode("utf-16"),
}
DEEP_BINARY = {
    "groups": b"\xc3\x3e" * DEEP,
    "closed groups": b"\xc3\x3e" * DEEP + b"\xc4\x3e" * DEEP,
    "a huge length": b"\x0a\xff\xff\xff\xff\x0f",
    "an endless number": b"\x08" + b"\xff" * 100,
    "field zero": b"\x00\x00",
    "a wrong end": b"\x0c",
}


def nested_metadata(depth: int) -> bytes:
    """A Struct in a Struct, as deep as is said, in CreateInvitation's public metadata."""
    # What opens each level, from the innermost outwards, and how long all is that stands in it.
    opened, length = [], 0
    for _ in range(depth):
        entry = b"\x0a\x01a\x12" + varint(length)
        fields = b"\x0a" + varint(len(entry) + length)
        struct_ = b"\x2a" + varint(len(fields) + len(entry) + length)
        opened.append(struct_ + fields + entry)
        length += len(opened[-1])
    metadata = b"".join(reversed(opened))[1:] if opened else b"\x12" + varint(9) + b"\x11" + bytes(8)
    invitation = b"\x2a" + metadata
    return b"\x12" + varint(len(invitation)) + invitation
