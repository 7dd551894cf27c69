"""Requests for the real server made by dice: every method, as every client speaks, with what parsers stumble over.

The same dice throw the same requests, so that a seed is enough to send them again.
"""

from __future__ import annotations

import base64
import gzip
import random
import struct
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import product
from typing import Any
from urllib.parse import quote, urlencode

from connectrpc.method import IdempotencyLevel, StreamType

from tests.conformance.speaking import SPEECHES, Line, Speech
from tests.faces.wire import GRPC_CODES, Answer
from tests.fuzz.requests import TEXTS, Values, damaged, message

CONTENTS = ("noise", "tame", "wild", "damaged")
ENVELOPES = ("too long", "too short", "endless", "flags", "trailers", "several", "none", "half a prefix")
"""What may be wrong with what a message is sent in."""

COMPRESSIONS = ("said and done", "said", "done", "cut", "unknown")
WAYS = tuple(dict.fromkeys((speech.protocol, speech.codec) for speech in SPEECHES))
"""Protocols and codecs; each request takes one of the versions of HTTP that they go over."""

TEXT = "application/grpc-web-text+proto"
"""gRPC-Web for clients that can't read bytes, which isn't spoken here."""

_GRPC_WEB = next(speech for speech in SPEECHES if speech.protocol == "grpc-web")

GET = ("connect GET", "json"), ("connect GET", "proto")


@dataclass(frozen=True)
class Attempt:
    """A request; `may` are the reasons for `unimplemented` (501) that are right for what it is."""

    what: str
    speech: Speech
    verb: str
    path: str
    body: bytes
    headers: dict[str, str]
    may: frozenset[str] = frozenset()

    def __str__(self) -> str:
        sent = self.body if self.verb == "POST" else self.path.encode()
        return f"{self.verb} {self.path.partition('?')[0]} {self.speech}, {self.what}: {sent[:120]!r}"


def attempts(line: Line, ids: tuple[str, ...], dice: random.Random, *, thorough: bool) -> Iterator[Attempt]:
    """Give requests to each method in each way: in all ways to be wrong when `thorough`, else with one of each kind.

    `ids` are texts that mean something to the server.
    """
    for name, info in sorted(line.wire.methods.items()):
        for way in (*WAYS, *GET):
            kinds = [*CONTENTS, *(ENVELOPES if thorough else [dice.choice(ENVELOPES)])]
            for kind, is_compressed in product(kinds, (False, True) if thorough else (dice.random() < 0.5,)):
                compression = dice.choice(COMPRESSIONS) if is_compressed else ""
                yield _attempt(name, info, way, kind, compression, ids, dice)
        yield Attempt("text", _GRPC_WEB, "POST", f"/{name}", b"AAAAAAA=", {"content-type": TEXT})


def _attempt(
    name: str, info: Any, way: tuple[str, str], kind: str, compression: str, ids: tuple[str, ...], dice: random.Random
) -> Attempt:
    protocol, codec = way
    content = _content(info.input, codec, kind, ids, dice)
    what = f"{kind}, compression {compression or 'none'}"
    may = {"ENCODING_UNSUPPORTED"} if compression == "unknown" else set()
    if protocol == "connect GET":
        query = _query(codec, _compressed(content, compression), compression, dice)
        return Attempt(what, Speech("connect", codec, "1.1"), "GET", f"/{name}?{query}", b"", {}, frozenset(may))
    speech = dice.choice([one for one in SPEECHES if (one.protocol, one.codec) == way])
    headers = {speech.encoding: _NAMES[compression]} if _NAMES[compression] else {}
    content = _compressed(content, compression)
    if not speech.is_connect:
        content = _enveloped(content, int(bool(compression)), kind)
        if kind in ("several", "none", "too short", "noise"):
            may |= {"ONE_MESSAGE_REQUIRED"}
    return Attempt(what, speech, "POST", f"/{name}", content, headers, frozenset(may))


_NAMES = {"": "", "said and done": "gzip", "said": "gzip", "done": "", "cut": "gzip", "unknown": "br"}


def _content(kind: Any, codec: str, how: str, ids: tuple[str, ...], dice: random.Random) -> bytes:
    if how == "noise":
        return dice.randbytes(dice.choice((0, 1, 5, 20, 200)))
    # Tame messages get furthest.
    values = Values(ids, (0, 1, 2), tame=True) if how != "wild" else Values((*TEXTS, *ids * 4))
    content = message(kind.desc(), dice, values)
    if codec == "json":
        try:
            content = kind.from_binary(content).to_json().encode()
        except ValueError:
            # JSON can't say it, as a time beyond all years.
            content = b"{}"
    return damaged(content, dice) if how == "damaged" else content


def _compressed(content: bytes, how: str) -> bytes:
    if how in ("said and done", "done"):
        return gzip.compress(content, mtime=0)
    return gzip.compress(content, mtime=0)[:-6] if how == "cut" else content


def _enveloped(content: bytes, flags: int, how: str) -> bytes:
    right = struct.pack(">BI", flags, len(content)) + content
    match how:
        case "too long":
            return struct.pack(">BI", flags, len(content) + 7) + content
        case "too short":
            return struct.pack(">BI", flags, max(len(content) - 7, 0)) + content
        case "endless":
            return struct.pack(">BI", flags, 2**32 - 1) + content
        case "flags":
            return b"\x7e" + right[1:]
        case "trailers":
            return b"\x80" + right[1:]
        case "several":
            return right * 3
        case "none":
            return b""
        case "half a prefix":
            return right[:3]
        case "noise":
            return content
        case _:
            return right


def _query(codec: str, content: bytes, compression: str, dice: random.Random) -> str:
    packed = base64.urlsafe_b64encode(content).decode()
    given = {"connect": "v1", "encoding": codec, "base64": "1", "message": packed}
    if _NAMES[compression]:
        given["compression"] = _NAMES[compression]
    match dice.randrange(4):
        case 0:
            # As it stands, whatever the bytes are.
            given |= {"base64": "0", "message": content.decode("latin-1")}
        case 1:
            del given[dice.choice(sorted(given))]
    return urlencode(given, quote_via=quote, encoding="latin-1")


LOOKED_AT = ("ok", "not_found", "permission_denied", "failed_precondition", "already_exists")
"""Codes of answers that only a use case gives."""


@dataclass
class Tried:
    """What came of requests: how many answers of each kind, what got as far as a use case, and what is wrong."""

    answered: Counter[str] = field(default_factory=Counter)
    reached: set[str] = field(default_factory=set)
    wrong: list[str] = field(default_factory=list)


def tried(requests: Iterable[Attempt], choose: Callable[[], Line]) -> Tried:
    """Send requests, each by the line that is chosen for it, and judge the answers."""
    so_far = Tried()
    for attempt in requests:
        line = choose()
        try:
            answer = line.send(attempt.speech, attempt.path, attempt.body, attempt.headers, verb=attempt.verb)
        except Exception as error:  # noqa: BLE001 # no answer in time, or none that can be read
            so_far.wrong.append(f"{error!r} to {attempt}")
            continue
        so_far.answered[answer.code if answer.status not in (405, 415) else "not allowed"] += 1
        if answer.code in LOOKED_AT:
            so_far.reached |= {attempt.path.partition("?")[0], str(attempt.speech)}
        found = problem(line, attempt, answer)
        so_far.wrong += [f"{found} to {attempt}"] if found else []
    return so_far


def problem(line: Line, attempt: Attempt, answer: Answer) -> str:
    """Say what is wrong with an answer to bytes of a stranger; nothing when it is right."""
    method = line.wire.methods[attempt.path.strip("/").partition("?")[0]]
    if attempt.verb == "GET" and method.idempotency_level is not IdempotencyLevel.NO_SIDE_EFFECTS:
        return "" if answer.status == 405 else f"{answer.status} for a GET where something changes"
    if attempt.headers.get("content-type") == TEXT:
        return "" if answer.status == 415 else f"status {answer.status} for gRPC-Web as text"
    may = attempt.may
    if method.stream_type is not StreamType.UNARY:
        # A stream has types of its own in Connect; no method of ours answers one.
        may |= {"METHOD_NOT_IMPLEMENTED"}
        if attempt.speech.is_connect:
            return "" if answer.status == 415 else f"status {answer.status} for a stream"
    if answer.code != "ok":
        return _wrong_error(attempt, may, answer)
    if answer.status == 200:
        return _wrong_message(method, attempt.speech, answer)
    # Without a body of Connect's: a GET whose encoding is missing.
    return "" if answer.status == 415 and attempt.verb == "GET" else f"status {answer.status} without a code"


def _wrong_error(attempt: Attempt, may: frozenset[str], answer: Answer) -> str:
    if answer.code not in GRPC_CODES:
        return f"no code of Connect's: {answer.code}"
    if answer.code == "unimplemented":
        return "" if answer.reason in may else f"unimplemented, {answer.reason}"
    if answer.code in ("unknown", "internal", "unavailable", "data_loss", "deadline_exceeded", "canceled"):
        return f"{answer.code}: {answer.message}"
    is_right = 400 <= answer.status < 500 if attempt.speech.is_connect else answer.status == 200
    return "" if is_right else f"status {answer.status}"


def _wrong_message(method: Any, speech: Speech, answer: Answer) -> str:
    if answer.content is None:
        return "ok without a message"
    try:
        if speech.codec == "json":
            method.output.from_json(answer.content)
        else:
            method.output.from_binary(answer.content)
    except ValueError as error:
        return f"ok with what isn't a message: {error}"
    return ""
