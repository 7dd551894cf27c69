"""How addresses and domains are compared."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.domain.address import PUBLIC_EMAIL_DOMAINS, address_domain, address_key, domain_key, fold
from server.domain.address import is_public_email_domain as is_public

any_text = st.text(st.characters(codec="utf-8") | st.sampled_from("@.＠。\u2024\u00ad ß\u0131\u212a"), max_size=20)


@pytest.mark.parametrize(
    ("written", "key"),
    [
        ("alice@example.com", "alice@example.com"),
        ("  Alice@EXAMPLE.Com ", "alice@example.com"),
        ("alice+Tag@example.com", "alice+tag@example.com"),
        ("a.l.i.c.e@gmail.com", "a.l.i.c.e@gmail.com"),
        ("bob@Bücher.example", "bob@xn--bcher-kva.example"),
        ("bob@XN--BCHER-KVA.example", "bob@xn--bcher-kva.example"),
        ("bob@bu\u0308cher.example", "bob@xn--bcher-kva.example"),
        ("bob@example.com.", "bob@example.com"),
        ("bob@例え。テスト", "bob@xn--r8jz45g.xn--zckzah"),
        ("ＡＬＩＣＥ＠ｅｘａｍｐｌｅ．ｃｏｍ", "alice@example.com"),
        ("Größe@example.com", "größe@example.com"),
        ("no address", "no address"),
        ("", ""),
    ],
)
def test_an_address_is_compared_by_its_key(written: str, key: str) -> None:
    assert address_key(written) == key


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("alice@example.com", "alice+tag@example.com"),
        ("alice@gmail.com", "al.ice@gmail.com"),
        ("alice@example.com", "alice@mail.example.com"),
        ("alice@faß.example", "alice@fass.example"),
        ("alice@βόλος.example", "alice@βόλοσ.example"),
        ("alice@exam\u00adple.com", "alice@example.com"),
    ],
)
def test_addresses_that_may_be_of_different_people_have_different_keys(one: str, other: str) -> None:
    assert address_key(one) != address_key(other)


@given(any_text)
def test_a_key_is_its_own_key(text: str) -> None:
    for key in (fold, domain_key, address_key):
        assert key(key(text)) == key(text)


@given(st.emails(domains=st.sampled_from(["Example.com", "bücher.example", "xn--bcher-kva.EXAMPLE", "a.B.c.example"])))
def test_upper_case_and_blanks_around_it_make_no_other_key(address: str) -> None:
    local, _, domain = address.rpartition("@")
    assert address_key(f" {local}@{domain.upper()}\n") == address_key(address) == address_key(address.lower())
    assert address_key(address).isascii()
    assert address_key(address).endswith(f"@{address_domain(address)}")


@given(any_text)
def test_the_domain_of_a_key_is_the_domain_of_the_address(text: str) -> None:
    assert address_domain(address_key(text)) == address_domain(text)


@pytest.mark.parametrize(
    "address", ["nobody", "", "evil@evil.example＠example.com", "a＠b@example.com", "a@b@example.com"]
)
def test_what_has_not_exactly_one_at_sign_has_no_domain(address: str) -> None:
    assert address_domain(address) == ""


@pytest.mark.parametrize("domain", ["gmail.com", "GoogleMail.com", "web.de", "icloud.com."])
def test_a_provider_open_to_everybody_is_known(domain: str) -> None:
    assert is_public(domain_key(domain))


def test_a_domain_of_a_company_is_not_taken_for_a_provider() -> None:
    assert not is_public("example.com")
    assert not is_public("mail.gmail.com")
    assert all(domain == domain_key(domain) for domain in PUBLIC_EMAIL_DOMAINS)
