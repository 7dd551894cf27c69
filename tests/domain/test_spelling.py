"""Ids as each wire spells them: every spelling leads back to the one id, and nothing else does."""

from __future__ import annotations

import string
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.faces.spelling import clerk_id, from_clerk_id, from_logto_id, logto_id, spellings

DIGITS = set(string.ascii_letters + string.digits)


def version_7(number: int) -> str:
    """Give a UUID of version 7 with these bits (Python 3.11 makes none)."""
    cleared = number & ~(0xF << 76) & ~(0b11 << 62)
    return str(uuid.UUID(int=cleared | 7 << 76 | 0b10 << 62))


numbers = st.integers(0, 2**128 - 1)
ids = numbers.map(lambda number: str(uuid.UUID(int=number, version=4))) | numbers.map(version_7)
EDGES = [str(uuid.UUID(int=number, version=4)) for number in (0, 2**128 - 1)] + [version_7(0), version_7(2**128 - 1)]


@given(ids)
def test_every_spelling_leads_back(id_: str) -> None:
    assert from_clerk_id("org", clerk_id("org", id_)) == id_
    assert from_logto_id(logto_id(id_)) == id_


@pytest.mark.parametrize("id_", EDGES)
def test_the_smallest_and_the_largest_lead_back_too(id_: str) -> None:
    assert from_clerk_id("user", clerk_id("user", id_)) == id_
    assert from_logto_id(logto_id(id_)) == id_


@given(ids, ids)
def test_two_ids_never_have_the_same_spelling(one: str, other: str) -> None:
    assert (one == other) == (logto_id(one) == logto_id(other)) == (clerk_id("org", one) == clerk_id("org", other))


@given(ids)
def test_spellings_are_as_long_as_the_wires_allow_and_of_plain_characters(id_: str) -> None:
    assert len(logto_id(id_)) == 21
    assert set(logto_id(id_)) <= DIGITS
    prefix, _, digits = clerk_id("orginv", id_).rpartition("_")
    assert (prefix, len(digits)) == ("orginv", 27)
    assert set(digits) <= DIGITS


@given(st.text(max_size=40) | st.text(st.sampled_from(sorted(DIGITS)), min_size=20, max_size=28))
def test_any_text_is_a_spelling_of_one_id_or_of_none(text: str) -> None:
    logto = from_logto_id(text)
    assert logto is None or logto_id(logto) == text
    clerk = from_clerk_id("org", f"org_{text}")
    assert clerk is None or clerk_id("org", clerk) == f"org_{text}"


@pytest.mark.parametrize("text", ["", "org_", "z" * 21, "z" * 27, "org_" + "z" * 27, "0" * 20, "0" * 22, "é" * 21])
def test_what_is_out_of_range_is_none(text: str) -> None:
    assert from_logto_id(text) is None
    assert from_clerk_id("org", text) is None


def test_a_clerk_id_of_another_kind_is_none() -> None:
    id_ = EDGES[0]
    for other in ("user", "or", "orginv", ""):
        assert from_clerk_id("org", clerk_id(other, id_)) is None
    assert from_clerk_id("org", id_) is None


@pytest.mark.parametrize(
    "id_", [str(uuid.UUID(int=0)), "ee601164-e607-11f1-b5a2-02fc00000001", str(uuid.uuid5(uuid.NAMESPACE_DNS, "x"))]
)
def test_an_id_of_another_version_has_no_short_spelling(id_: str) -> None:
    with pytest.raises(ValueError, match="version 4 or 7"):
        logto_id(id_)


def test_an_id_is_told_in_the_spelling_of_every_wire_that_knows_its_kind() -> None:
    id_ = EDGES[0]
    assert spellings("organization", id_) == {
        "gitpod": id_,
        "koyeb": id_,
        "logto": logto_id(id_),
        "clerk": clerk_id("org", id_),
    }
    assert spellings("account", id_)["clerk"].startswith("user_")
    assert spellings("invitation", id_)["clerk"].startswith("orginv_")
    assert "clerk" not in spellings("role", id_)
