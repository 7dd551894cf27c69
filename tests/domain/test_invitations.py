"""Invitations: where they stand, whom they are for, and to what addresses they can go."""

from __future__ import annotations

import unicodedata
from dataclasses import replace
from datetime import timedelta
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.domain.address import address_domain, address_key, is_address, require_address
from server.domain.errors import (
    ADDRESS_INVALID,
    EMAIL_NOT_VERIFIED_FOR_INVITATION,
    INVALID_REQUEST,
    INVITATION_ALREADY_ACCEPTED,
    INVITATION_DECLINED,
    INVITATION_EXPIRED,
    INVITATION_REVOKED,
    INVITATION_WRONG_ACCOUNT,
    Reason,
)
from server.domain.invitation import (
    InvitationStatus,
    invitation_expiry,
    invitation_link,
    masked_address,
    token_hash,
)
from server.domain.redirect import is_allowed_redirect
from server.domain.secrets import INVITATION_TOKEN_PREFIX as PREFIX
from server.domain.secrets import SecretKeys
from server.service.access_tokens import token_hash as access_token_hash
from tests.domain.refusals import refused_with
from tests.store.making import an_account, an_invitation, an_organization, fresh_id, moment

DEAD = {
    InvitationStatus.ACCEPTED: INVITATION_ALREADY_ACCEPTED,
    InvitationStatus.DECLINED: INVITATION_DECLINED,
    InvitationStatus.REVOKED: INVITATION_REVOKED,
    InvitationStatus.EXPIRED: INVITATION_EXPIRED,
}


def test_a_pending_invitation_expires_by_the_time_and_not_by_anybody_writing_it() -> None:
    invitation = an_invitation(an_organization(), expires_at=moment(10))
    before = moment(10) - timedelta(microseconds=1)
    assert invitation.status_at(before) is InvitationStatus.PENDING
    invitation.require_pending(before)
    assert invitation.status_at(moment(10)) is InvitationStatus.EXPIRED
    with refused_with(INVITATION_EXPIRED):
        invitation.require_pending(moment(10))


@pytest.mark.parametrize(("status", "reason"), DEAD.items())
def test_an_invitation_that_was_answered_stays_so_however_late_it_is(status: InvitationStatus, reason: Reason) -> None:
    invitation = an_invitation(an_organization(), "alice@example.com", stored_status=status, expires_at=moment(10))
    for now in (moment(0), moment(10**6)):
        assert invitation.status_at(now) is status
        with refused_with(reason) as refusal:
            invitation.require_pending(now)
        assert refusal.error.metadata == {"email": "a***@example.com"}


def test_every_status_is_pending_or_has_a_reason() -> None:
    assert set(InvitationStatus) == {InvitationStatus.PENDING, *DEAD}


def test_an_invitation_is_for_who_has_its_address_verified() -> None:
    invitation = an_invitation(an_organization(), "Bob@Bücher.example")
    bob = an_account(email="bob@xn--bcher-kva.EXAMPLE")
    invitation.require_addressee(bob)
    with refused_with(EMAIL_NOT_VERIFIED_FOR_INVITATION):
        invitation.require_addressee(replace(bob, email_verified=False))


@pytest.mark.parametrize(
    "email",
    ["bob+tag@example.com", "bob@mail.example.com", "eve@example.com", "bob@example.com.evil.example", "bob", ""],
)
@pytest.mark.parametrize("verified", [True, False])
def test_an_invitation_is_for_nobody_with_another_address(email: str, verified: bool) -> None:
    invitation = an_invitation(an_organization(), "bob@example.com")
    with refused_with(INVITATION_WRONG_ACCOUNT) as refusal:
        invitation.require_addressee(an_account(email=email, email_verified=verified))
    assert "bob@" not in str(refusal.error) + repr(refusal.error.metadata)


@pytest.mark.parametrize(
    ("ttl", "ends"),
    [
        (None, timedelta(days=30)),
        (timedelta(hours=1), timedelta(hours=1)),
        (timedelta(days=365), timedelta(days=365)),
    ],
)
def test_an_invitation_lives_as_long_as_was_asked_within_limits(ttl: timedelta | None, ends: timedelta) -> None:
    assert invitation_expiry(moment(), ttl) == moment() + ends


@pytest.mark.parametrize(
    "ttl", [timedelta(0), timedelta(hours=-1), timedelta(minutes=59, seconds=59), timedelta(days=365, microseconds=1)]
)
def test_a_life_beyond_the_limits_is_refused_by_the_fields_own_name(ttl: timedelta) -> None:
    with refused_with(INVALID_REQUEST) as refusal:
        invitation_expiry(moment(), ttl, "invitation.ttl")
    assert [violation.field for violation in refusal.error.violations] == ["invitation.ttl"]


def test_a_mailed_token_is_another_for_each_invitation_generation_and_key() -> None:
    old, new = b"the old key of thirty-two bytes!", b"the new key of thirty-two bytes!"
    keys = SecretKeys([new, old])
    ids = [fresh_id(), fresh_id()]
    key_ids = [SecretKeys([old]).current_id, SecretKeys([new]).current_id]
    tokens = {keys.invitation_token(i, g, k) for i in ids for g in (1, 2, 12) for k in key_ids}
    assert len(tokens) == 12
    assert all(token.startswith(PREFIX) and len(token) == len(PREFIX) + 43 for token in tokens)
    assert keys.invitation_token(ids[0], 1, key_ids[0]) == SecretKeys([old]).invitation_token(ids[0], 1, key_ids[0])
    assert len({token_hash(token) for token in tokens}) == 12
    assert not any(token_hash(token) in token.encode() for token in tokens)
    # Nor can one be looked up as an access token, or the other way round.
    assert not any(token_hash(token) == access_token_hash(token) for token in tokens)


@pytest.mark.parametrize(
    ("redirect", "link"),
    [
        ("", "https://our.example/invitations#T"),
        ("https://app.example/welcome?x=1", "https://app.example/welcome?x=1#invitation_token=T"),
        ("https://app.example/#/welcome", "https://app.example/#/welcome&invitation_token=T"),
    ],
)
def test_a_link_has_its_token_behind_the_hash_where_no_server_sees_it(redirect: str, link: str) -> None:
    assert invitation_link("https://our.example", redirect, "T") == link
    assert "T" not in link.partition("#")[0]


@given(st.sampled_from(["", "/", "?", "#"]), st.text(st.characters(codec="ascii", min_codepoint=33), max_size=20))
def test_the_token_stands_behind_the_hash_wherever_a_redirect_leads(mark: str, rest: str) -> None:
    origin = "https://app.example"
    redirect = origin + mark + (rest if mark else "")
    if is_allowed_redirect(redirect, (origin,)):
        parts = urlsplit(invitation_link("https://our.example", redirect, "TOKEN"))
        assert parts.fragment.endswith("invitation_token=TOKEN")
        assert "TOKEN" not in parts._replace(fragment="").geturl().replace(rest, "")
        assert f"{parts.scheme}://{parts.netloc}" == origin


@pytest.mark.parametrize(
    ("address", "masked"), [("alice@example.com", "a***@example.com"), ("a@b.example", "a***@b.example"), ("", "***@")]
)
def test_a_masked_address_shows_its_first_letter_and_domain_alone(address: str, masked: str) -> None:
    assert masked_address(address) == masked


@pytest.mark.parametrize(
    "address",
    [
        "alice@example.com",
        "a.b+c-d_e@mail.example.co.uk",
        "o'brien@example.com",
        "jörg@bücher.example",
        "x@xn--bcher-kva.example",
        "用户@例え.テスト",
        "a" * 64 + "@example.com",
        "a@b.co",
        "!#$%&'*+/?=^_`{|}~-@example.com",
        "alice@1and1.example",
        "a@" + "b" * 63 + ".example",
    ],
)
def test_an_address_that_mail_can_carry_is_taken(address: str) -> None:
    assert require_address(f" {address}\n") == address


@pytest.mark.parametrize(
    "address",
    [
        "",
        "alice",
        "@example.com",
        "alice@",
        "alice@example",
        "alice@localhost",
        "alice@127.0.0.1",
        "alice@[127.0.0.1]",
        "alice@.example.com",
        "alice@example..com",
        "alice@-example.com",
        "alice@exa mple.com",
        "alice@@example.com",
        "a@b@example.com",
        "al ice@example.com",
        '"alice"@example.com',
        "alice<x@example.com",
        "alice@example.com>",
        "Alice <alice@example.com>",
        "alice@example.com,bob@example.com",
        "alice@example.com;bob@example.com",
        ".alice@example.com",
        "alice.@example.com",
        "al..ice@example.com",
        "alice@example.com\r\nBcc: eve@example.com",
        "alice\r\n@example.com",
        "alice\x00@example.com",
        "alice\u202e@example.com",
        "alice@exam\u2028ple.com",
        "a" * 65 + "@example.com",
        "ä" * 33 + "@example.com",
        "a@" + "b" * 64 + ".example",
        "a@" + "b." * 130 + "example",
        "alice @example.com",
        "alice@ example.com",
        "alice@\u00a0example.com",
        "alice@example.com\u3000.",
        "alice＠bob@example.com",
        "alice@bob＠example.com",
        "alice@example-.com",
        "alice@exam_ple.com",
        "alice@example.c",
        "alice@example.123",
        "alice@[IPv6:::1]",
        "alice(work)@example.com",
        "alice\\@example.com",
        "alice@exam\u200fple.com",
        "alice@℀.example",
        "alice@example.com/../",
        "mailto:alice@example.com",
        "=?utf-8?q?=0D=0ABcc=3A_eve?=@example.com",
        "\ud800@example.com",
        "alice@\ud800.example",
    ],
)
def test_what_mail_can_not_carry_safely_is_no_address(address: str) -> None:
    with refused_with(ADDRESS_INVALID) as refusal:
        require_address(address)
    assert len(refusal.error.metadata["email"]) <= 254


letters = st.text(
    st.characters(exclude_categories=("Cc", "Cs", "Zl", "Zp", "Zs"), exclude_characters='@"(),:;<>[]\\.'),
    min_size=1,
    max_size=20,
)
domains = st.sampled_from(["example.com", "Bücher.example", "a.b.c.example", "xn--bcher-kva.example"])
addresses = st.builds("{}@{}".format, letters, domains).filter(is_address)


@given(addresses, letters)
def test_a_masked_address_is_the_same_for_all_who_share_the_first_letter_and_the_domain(
    address: str, others: str
) -> None:
    domain = address.rpartition("@")[2]
    assert masked_address(address) == masked_address(f"{address[0]}{others}@{domain}") == f"{address[0]}***@{domain}"


@given(
    st.text(st.characters() | st.sampled_from('@＠.。<>,;\r\n\0 \u3000\u00ad\u2024\u200b"\\'), max_size=40) | addresses
)
def test_whatever_is_taken_for_an_address_is_one_line_to_one_mailbox(text: str) -> None:
    if is_address(text):
        assert unicodedata.normalize("NFKC", text).count("@") == 1
        assert not any(char.isspace() for char in text)
        assert require_address(text) == text
        assert address_key(address_key(text)) == address_key(text)
        assert len(text.splitlines()) == 1
        assert not set(text) & set('<>,;:"\\()[] \r\n\0')
        assert "." in address_domain(text)
