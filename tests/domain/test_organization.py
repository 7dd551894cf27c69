"""Names, roles and who is admitted."""

from __future__ import annotations

import sys
import unicodedata
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.domain.account import Caller
from server.domain.errors import ADMIN_REQUIRED, INVALID_REQUEST, ServiceError
from server.domain.organization import MemberStatus, Role, normalized_invite_domains, organization_name
from server.domain.text import is_plain_line
from tests.domain.refusals import refused_with
from tests.store.making import a_member, a_token, an_account, an_organization, moment


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Acme", "Acme"),
        ("  Acme \t\n", "Acme"),
        ("abc", "abc"),
        ("x" * 256, "x" * 256),
        (" " + "x" * 256 + " ", "x" * 256),
        ("Søren & Söhne, 東京", "Søren & Söhne, 東京"),
        ("\U0001f469\u200d\U0001f680 Club", "\U0001f469\u200d\U0001f680 Club"),
    ],
)
def test_a_name_is_kept_trimmed(text: str, name: str) -> None:
    assert organization_name(text) == name


@pytest.mark.parametrize(
    "text",
    [
        *("", "ab", " ab ", "x" * 257, "   ", "a\nb", "two\r\nlines", "tab\tinside", "a\x00b", "bell\x07", "a\u2028b"),
        *("a\u2029b", "abc\u202eevil", "abc\u2066x", "abc\u200f", "\u061cabc", "abc\x7f", "abc\x85d", "abc\ud800"),
    ],
)
def test_a_name_that_is_too_short_or_long_or_no_plain_line_is_refused(text: str) -> None:
    with refused_with(INVALID_REQUEST) as refusal:
        organization_name(text)
    assert [violation.field for violation in refusal.error.violations] == ["name"]


@given(st.text(max_size=300))
def test_what_is_accepted_as_a_name_is_accepted_again_as_it_is(text: str) -> None:
    try:
        name = organization_name(text)
    except ServiceError:
        return
    assert organization_name(name) == name
    assert 3 <= len(name) <= 256
    assert name == name.strip()
    assert len(name.splitlines()) == 1


def test_a_plain_line_has_nothing_that_moves_the_text_around_it() -> None:
    turning = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}
    moving = [
        char
        for char in map(chr, range(sys.maxunicode + 1))
        if unicodedata.bidirectional(char) in turning
        or unicodedata.category(char) in {"Cc", "Cs", "Zl", "Zp"}
        or char in "\u061c\u200e\u200f"
    ]
    assert len(moving) > 2000
    assert [hex(ord(char)) for char in moving if is_plain_line(char)] == []


def test_domains_are_kept_as_keys_and_each_once() -> None:
    given_domains = ("Example.COM", "bücher.example", "example.com.", "xn--bcher-kva.example", "a.example")
    assert normalized_invite_domains(given_domains) == ("example.com", "xn--bcher-kva.example", "a.example")


@pytest.mark.parametrize(
    ("email", "verified", "admitted"),
    [
        ("ada@example.com", True, True),
        ("ADA@EXAMPLE.COM", True, True),
        ("ada@example.com", False, False),
        ("ada@mail.example.com", True, False),
        ("ada@example.com.evil.example", True, False),
        ("ada@evilexample.com", True, False),
        ("example.com", True, False),
        ("", True, False),
        ("ada@xn--bcher-kva.example", True, True),
    ],
)
def test_only_a_verified_address_at_a_domain_itself_is_admitted(email: str, verified: bool, admitted: bool) -> None:
    organization = an_organization(invite_domains=("example.com", "xn--bcher-kva.example"))
    assert organization.admits(an_account(email=email, email_verified=verified)) is admitted
    assert an_organization().admits(an_account(email=email, email_verified=verified)) is False


def test_only_an_active_admin_is_an_admin() -> None:
    member = a_member(an_organization(), an_account(), role=Role.ADMIN)
    member.require_admin()
    for other in (replace(member, role=Role.MEMBER), replace(member, status=MemberStatus.LEFT)):
        with refused_with(ADMIN_REQUIRED):
            other.require_admin()


def test_a_token_opens_until_it_expires_or_is_revoked() -> None:
    token = a_token(an_account(), expires_at=moment(10))
    assert token.usable_at(moment(10) - timedelta(microseconds=1))
    assert not token.usable_at(moment(10))
    assert not replace(token, revoked_at=moment(1)).usable_at(moment(2))
    assert replace(token, expires_at=None).usable_at(moment(10**9))


def test_a_users_token_reaches_its_organization_alone() -> None:
    account = an_account()
    assert Caller(account).reaches("any")
    confined = Caller(account, user_id="u", organization_id="one")
    assert confined.reaches("one")
    assert not confined.reaches("other")


@pytest.mark.parametrize(
    ("issuer", "provider"),
    [
        ("local", "local"),
        ("https://accounts.google.com", "accounts.google.com"),
        ("https://login.example:8443/realms/main", "login.example:8443"),
        ("http://127.0.0.1:9000/x", "127.0.0.1:9000"),
    ],
)
def test_how_a_person_signs_in_is_told_by_the_issuers_host(issuer: str, provider: str) -> None:
    assert an_account(issuer=issuer).login_provider == provider
