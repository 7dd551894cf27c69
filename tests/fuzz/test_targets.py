"""What was found by looking for long, tried again; and requests made from the contract, whole and damaged.

`make fuzz SECONDS=600` looks for more (Atheris); what it keeps as interesting is in `corpus/`, by target.
"""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fuzz.requests import DEEP_BINARY, DEEP_BODIES, TEXTS, Values, damaged, message, nested_metadata
from tests.fuzz.service import CONTENT_TYPES, REST_PATHS, any_rest, any_rpc, methods, stage
from tests.fuzz.targets import SEEDS, TARGETS

# A hang in compiled code doesn't hear signals: a thread ends the process then, which fails the test.
pytestmark = pytest.mark.timeout(300, method="thread")

CORPUS = Path(__file__).with_name("corpus")
calm = settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))


@pytest.mark.parametrize("name", TARGETS)
def test_what_was_kept_breaks_nothing(name: str) -> None:
    kept = [path.read_bytes() for path in sorted((CORPUS / name).glob("*"))]
    for data in (*SEEDS[name], *kept):
        TARGETS[name](data)


@pytest.mark.parametrize("name", [name for name in TARGETS if name not in ("wire", "faces", "jwks")])
def test_nothing_else_breaks_it_either(name: str) -> None:
    @calm
    @given(st.binary(max_size=200) | st.text(max_size=60).map(lambda text: text.encode("utf-8", "surrogatepass")))
    def try_(data: bytes) -> None:
        TARGETS[name](data)

    try_()


# Requests made from the contract.


def _values() -> Values:
    here = stage().it
    return Values((*TEXTS, *([here.id, here.users["Ada"], here.users["Bob"], here.invite] * 4)))


@pytest.mark.parametrize("content_type", CONTENT_TYPES)
@pytest.mark.parametrize("damage", [False, True], ids=["whole", "damaged"])
def test_no_message_of_the_contract_makes_a_method_fail(content_type: str, *, damage: bool) -> None:
    dice = random.Random(f"{content_type} {damage}")
    how = CONTENT_TYPES.index(content_type)
    answered: Counter[int] = Counter()
    for which, name in enumerate(methods()):
        kind = stage().wire.methods[name].input
        for turn in range(12):
            written = message(kind.desc(), dice, _values())
            if "json" in content_type:
                try:
                    written = kind.from_binary(written).to_json().encode()
                except ValueError:
                    written = b'{"organizationId": "IT"}'
            if damage:
                written = damaged(written, dice)
            answer = any_rpc(bytes([which, how, turn % 4]) + written)
            answered[answer.status] += 1
    assert answered[200] > 0


@pytest.mark.parametrize("every", [7, pytest.param(1, marks=pytest.mark.slow)], ids=["some", "all"])
@pytest.mark.parametrize("body", DEEP_BODIES.values(), ids=DEEP_BODIES.keys())
def test_no_monstrous_json_makes_anything_fail(body: bytes, every: int) -> None:
    # Some are others for each body.
    first = len(body) % every
    for which in range(first, len(methods()), every):
        for content_type in ("application/json", "application/grpc-web+json"):
            any_rpc(bytes([which, CONTENT_TYPES.index(content_type), 1]) + body)
    for which in range(first, len(REST_PATHS), every):
        for how, who in ((0, 1), (2, 3), (0, 0x83)):
            any_rest(bytes([which, how, who]) + body)


@pytest.mark.parametrize("body", DEEP_BINARY.values(), ids=DEEP_BINARY.keys())
def test_no_monstrous_binary_makes_anything_fail(body: bytes) -> None:
    for which in range(len(methods())):
        for content_type in ("application/proto", "application/grpc+proto", "application/grpc-web+proto"):
            any_rpc(bytes([which, CONTENT_TYPES.index(content_type), 1]) + body)


@pytest.mark.parametrize("depth", [0, 1, 31, 32, 33, 49, 50, 51, 98, 99, 100, 101, 1_000, 20_000])
def test_metadata_nested_in_binary_is_taken_or_refused(depth: int) -> None:
    which = methods().index("invitations.v1.InvitationService/CreateInvitation")
    for content_type in ("application/proto", "application/grpc+proto", "application/grpc-web+proto"):
        any_rpc(bytes([which, CONTENT_TYPES.index(content_type), 1]) + nested_metadata(depth))


@pytest.mark.parametrize("name", ["wire", "faces"])
def test_no_bytes_make_a_request_fail(name: str) -> None:
    @calm
    @given(st.binary(max_size=150))
    def try_(data: bytes) -> None:
        TARGETS[name](data)

    try_()
