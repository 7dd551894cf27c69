"""Where people may be sent: only to origins that the operator names, however a URL is dressed up."""

from __future__ import annotations

from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.domain.redirect import is_allowed_redirect

ORIGINS = ("https://app.example.com", "http://127.0.0.1:3000", "https://app.example.com:8443", "https://[::1]:9000")


@pytest.mark.parametrize(
    "url",
    [
        "https://app.example.com",
        "https://app.example.com/",
        "https://app.example.com/welcome?next=/x&y=%20#part",
        "https://app.example.com?x",
        "https://app.example.com#x",
        "https://app.example.com:8443/x",
        "http://127.0.0.1:3000/x",
        "https://[::1]:9000/x",
        "https://app.example.com/@evil.example",
        "https://app.example.com/https://evil.example",
        "https://app.example.com//evil.example",
    ],
)
def test_a_url_at_an_allowed_origin_is_allowed(url: str) -> None:
    assert is_allowed_redirect(url, ORIGINS)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "/welcome",
        "//app.example.com/x",
        "app.example.com",
        "https:app.example.com",
        "https:/app.example.com",
        "https:///app.example.com",
        "http://app.example.com/",
        "https://app.example.com:443/",
        "https://app.example.com:/",
        "https://app.example.com:8444/",
        "https://app.example.com:99999/",
        "https://app.example.com:x/",
        "https://app.example.com.evil.example/",
        "https://evil.example/https://app.example.com",
        "https://evilapp.example.com/",
        "https://example.com/",
        "https://app.example.com@evil.example/",
        "https://evil.example@app.example.com/",
        "https://:@app.example.com/",
        "https://@app.example.com/",
        "https://evil.example\\@app.example.com/",
        "https://app.example.com\\.evil.example/",
        "https:\\\\app.example.com/",
        "https://app.example.com\t.evil.example/",
        "https://app.example.com/a b",
        "https://app.example.com/\r\nset-cookie: x",
        "https://app.example.com/\u2028",
        "https://app.example.com/\u202e",
        "https://app.example.com/\x00",
        " https://app.example.com/",
        "https://app.example.com/ ",
        "HTTPS://APP.EXAMPLE.COM/../",
        "https://app.example.com./",
        "https://app。example。com/",
        "https://ａpp.example.com/",
        "https://[::1/",
        "https://[::1]/",
        "javascript:alert(1)//https://app.example.com",
        "data:text/html,https://app.example.com",
        "ftp://app.example.com/",
        "https://app.example.com/" + "x" * 2048,
    ],
)
def test_everything_else_is_refused(url: str) -> None:
    assert not is_allowed_redirect(url, ORIGINS)


def test_where_no_origin_is_named_no_url_is_allowed() -> None:
    assert not is_allowed_redirect("https://app.example.com/", ())
    assert not is_allowed_redirect("", ("",))


parts = st.lists(
    st.sampled_from(
        ["https:", "http:", "//", "/", "\\", "@", ":", "#", "?", "app.example.com", "evil.example", ".", "\t"]
    ),
    max_size=9,
).map("".join)


@given(parts | st.text(max_size=60))
def test_whatever_is_allowed_leads_to_an_allowed_origin_for_every_reader(url: str) -> None:
    if is_allowed_redirect(url, ORIGINS):
        assert any(url == origin or url.startswith((origin + "/", origin + "?", origin + "#")) for origin in ORIGINS)
        assert urlsplit(url).hostname in ("app.example.com", "127.0.0.1", "::1")
