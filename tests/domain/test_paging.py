"""Page tokens: bound to their list, and harmless whatever they hold."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.domain.errors import PAGE_TOKEN_INVALID, ServiceError
from server.ports import MemberFilter, MemberOrder
from server.service.paging import page_limit, page_place, page_token

LISTING = ("an organization", MemberFilter(), None)

texts = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=40)
places = st.tuples(texts | st.integers(-(2**63), 2**63 - 1), texts)


def written(*content: Any) -> str:
    """Give a token that somebody made who knows how we make them."""
    return base64.urlsafe_b64encode(json.dumps(content).encode()).decode().rstrip("=")


def key_of(listing: object) -> str:
    token = page_token(listing, ("",))
    return json.loads(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))[0]


def refused(token: str, *types: type) -> bool:
    try:
        page_place(LISTING, token, *types)
    except ServiceError as refusal:
        return refusal.reason is PAGE_TOKEN_INVALID
    return False


@given(places)
def test_a_token_names_its_place(place: tuple[str | int, str]) -> None:
    token = page_token(LISTING, place)
    assert page_place(LISTING, token, type(place[0]), str) == place
    assert token.isascii()
    assert "=" not in token


def test_no_token_is_the_beginning_and_no_place_is_the_end() -> None:
    assert page_place(LISTING, "", str) is None
    assert page_token(LISTING, None) == ""


@given(st.text(max_size=60) | st.binary(max_size=60).map(lambda data: base64.urlsafe_b64encode(data).decode()))
def test_any_text_as_a_token_is_refused_or_a_place_and_nothing_else(token: str) -> None:
    assert token == "" or refused(token, str, str)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


@given(st.lists(json_values, max_size=3))
def test_a_token_made_by_a_stranger_gives_a_place_of_the_right_types_or_is_refused(after: list[Any]) -> None:
    token = written(key_of(LISTING), *after)
    for types in ((str,), (str, str), (int, str)):
        if not refused(token, *types):
            place = page_place(LISTING, token, *types)
            assert place is not None
            assert tuple(type(part) for part in place) == types


@pytest.mark.parametrize(
    ("content", "types"),
    [
        (["x", "y"], (str,)),
        ([], (str,)),
        ([True, "y"], (int, str)),
        ([1.0, "y"], (int, str)),
        (["1", "y"], (int, str)),
        ([2**63, "y"], (int, str)),
        ([-(10**400), "y"], (int, str)),
        (["\ud800"], (str,)),
        (["nul\x00nul"], (str,)),
        ([None], (str,)),
        ([["x"]], (str,)),
    ],
)
def test_a_place_that_no_database_could_be_asked_for_is_refused(content: list[Any], types: tuple[type, ...]) -> None:
    assert refused(written(key_of(LISTING), *content), *types)


@pytest.mark.parametrize(
    "content", [b"1", b'"text"', b"{}", b"[]", b"null", b"[" * 5000, b"\xff\xfe", b'["a"', b"9" * 5000]
)
def test_content_that_is_no_list_is_refused(content: bytes) -> None:
    assert refused(base64.urlsafe_b64encode(content).decode(), str)


@pytest.mark.parametrize(
    "other",
    [
        ("another organization", MemberFilter(), None),
        ("an organization", MemberFilter(search="x"), None),
        ("an organization", MemberFilter(), MemberOrder()),
        ("an organization", MemberFilter(), MemberOrder(descending=True)),
        "example.com",
    ],
)
def test_a_token_of_another_list_is_refused(other: object) -> None:
    assert refused(page_token(other, ("x", "y")), str, str)


@pytest.mark.parametrize(("asked", "given_size"), [(0, 25), (1, 1), (25, 25), (100, 100), (101, 100), (10**9, 100)])
def test_a_page_holds_what_was_asked_for_within_limits(asked: int, given_size: int) -> None:
    assert page_limit(asked) == given_size
