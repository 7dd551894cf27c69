"""Where people may be sent: only to origins that the operator names, as a browser reads a URL."""

from __future__ import annotations

import ipaddress
import re
from urllib.parse import unquote_to_bytes, urlsplit

import idna
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from server.domain.errors import INVALID_REQUEST
from server.domain.redirect import is_allowed_redirect
from server.domain.session import local_path
from tests.domain.refusals import refused_with

ORIGINS = (
    "https://app.example.com",
    "https://app.example.com:8443",
    "http://localhost:3000",
    "http://127.0.0.1:3000",
    "https://[::1]:9443",
    "https://xn--bcher-kva.example",
)

# How a browser reads a URL (WHATWG), to compare with. Node's URL agrees on 51,000 URLs of the kinds below, except that
# some encoded names which it takes are none here.

Origin = tuple[str, str, int]

_DEFAULT_PORTS = {"http": 80, "https": 443}
_FORBIDDEN_IN_HOST = {*map(chr, range(0x21)), *'#/:<>?@[\\]^|%"`{}', "\x7f"}


def browser_origin(url: str) -> Origin | None:
    """Give the origin that a browser goes to, None where it goes nowhere or isn't on the web."""
    url = url.strip("".join(map(chr, range(0x21))))
    url = re.sub(r"[\t\n\r]", "", url)
    match = re.match(r"([A-Za-z][A-Za-z0-9+.-]*):", url)
    scheme = match[1].lower() if match else ""
    if match is None or scheme not in _DEFAULT_PORTS:
        return None
    # However many slashes there are, in whatever direction, what follows is the authority.
    authority = re.split(r"[/\\?#]", url[match.end() :].lstrip("/\\"), maxsplit=1)[0]
    host_and_port = authority.rpartition("@")[2]
    bracketed = re.fullmatch(r"(\[[^]]*\])(?::([^:]*))?", host_and_port)
    host, port = bracketed.groups() if bracketed else host_and_port.partition(":")[::2]
    if port and not re.fullmatch("[0-9]+", port):
        return None
    number = int(port) if port else _DEFAULT_PORTS[scheme]
    known = _browser_host(host)
    return (scheme, known, number) if known and number < 1 << 16 else None


def _browser_host(host: str) -> str | None:
    if host.startswith("["):
        try:
            return None if "%" in host else f"[{ipaddress.IPv6Address(host[1:-1])}]"
        except ValueError:
            return None
    try:
        text = idna.uts46_remap(unquote_to_bytes(host).decode(), std3_rules=False)
        labels = [_label(label) for label in text.split(".")]
    except (UnicodeError, idna.IDNAError):
        return None
    name = ".".join(labels)
    if not name or _FORBIDDEN_IN_HOST & set(name):
        return None
    last = labels[-1] or labels[-2 if len(labels) > 1 else 0]
    return _ipv4(name) if re.fullmatch("[0-9]+|0x[0-9a-f]*", last) else name


def _label(label: str) -> str:
    if label.isascii():
        # Whatever claims to be encoded must be.
        _ = label.startswith("xn--") and idna.ulabel(label)
        return label
    return idna.alabel(label).decode()


def _ipv4(name: str) -> str | None:
    parts = name.removesuffix(".").split(".")
    try:
        numbers = [int(p, 16 if p[:2] == "0x" else 8 if len(p) > 1 and p[0] == "0" else 10) for p in parts]
    except ValueError:
        return None
    *first, last = numbers
    if len(first) > 3 or any(number > 255 for number in first) or last >= 256 ** (4 - len(first)):
        return None
    return str(ipaddress.IPv4Address(sum(number << 8 * (3 - i) for i, number in enumerate(first)) + last))


@pytest.mark.parametrize(
    ("url", "origin"),
    [
        ("https://app.example.com/x", ("https", "app.example.com", 443)),
        ("HTTPS://APP.example.com:443", ("https", "app.example.com", 443)),
        ("https:app.example.com", ("https", "app.example.com", 443)),
        ("https:\\\\/\\app.example.com\\x", ("https", "app.example.com", 443)),
        ("https://app.example.com@evil.example", ("https", "evil.example", 443)),
        ("https://evil.example\\@app.example.com", ("https", "evil.example", 443)),
        ("https://evil\u3002example", ("https", "evil.example", 443)),
        ("https://ｅｖｉｌ.example", ("https", "evil.example", 443)),
        ("https://ev\u00adil.example", ("https", "evil.example", 443)),
        ("https://ev%69l.example", ("https", "evil.example", 443)),
        ("ht\ntps://evil.example\t", ("https", "evil.example", 443)),
        ("https://bücher.example", ("https", "xn--bcher-kva.example", 443)),
        ("http://2130706433/", ("http", "127.0.0.1", 80)),
        ("http://0x7f.1/", ("http", "127.0.0.1", 80)),
        ("https://[0:0::1]:9443/", ("https", "[::1]", 9443)),
        ("//app.example.com", None),
        ("javascript:alert(1)", None),
        ("https://app.example.com:99999", None),
        ("https://a b", None),
        ("https://xn--.example", None),
        ("https://[::1%25eth0]/", None),
    ],
)
def test_the_reading_that_we_compare_with_is_a_browsers(url: str, origin: Origin | None) -> None:
    assert browser_origin(url) == origin


@pytest.mark.parametrize(
    "url",
    [
        "https://app.example.com",
        "https://app.example.com/",
        "https://app.example.com/welcome?from=mail&to=%2F%2Fevil.example#part",
        "https://app.example.com?next=https://evil.example",
        "https://app.example.com#@evil.example",
        "https://app.example.com/@evil.example",
        "https://app.example.com/https://evil.example",
        "https://app.example.com//evil.example",
        "https://app.example.com/üñí",
        "HTTPS://app.example.com/",
        "https://app.example.com:8443/x",
        "http://localhost:3000/accepted",
        "http://127.0.0.1:3000/x",
        "https://[::1]:9443/",
        "https://xn--bcher-kva.example/",
    ],
)
def test_a_url_at_an_allowed_origin_is_allowed(url: str) -> None:
    assert is_allowed_redirect(url, ORIGINS)
    assert browser_origin(url) in {browser_origin(origin) for origin in ORIGINS}


ATTACKS = {
    "nothing": "",
    "no scheme": "//app.example.com/",
    "a path alone": "/welcome",
    "a host alone": "app.example.com",
    "another host": "https://evil.example/",
    "the host above": "https://example.com/",
    "another scheme": "http://app.example.com/",
    "a secure scheme where another is allowed": "https://localhost:3000/",
    "a script": "javascript:alert(1)//https://app.example.com",
    "a script at a host": "javascript://app.example.com/%0aalert(1)",
    "data": "data:text/html,https://app.example.com",
    "a file": "file://app.example.com/etc/passwd",
    "another web scheme": "ftp://app.example.com/",
    "a socket": "wss://app.example.com/",
    "a view of the source": "view-source:https://app.example.com/",
    "a blob": "blob:https://app.example.com/x",
    "another port": "https://app.example.com:8444/",
    "no port where one is named": "http://localhost/",
    "the default port": "https://app.example.com:443/",
    "an empty port": "https://app.example.com:/",
    "a port with a zero before it": "https://app.example.com:08443/",
    "a port in other digits": "https://app.example.com:８４４３/",
    "a port beyond ports": "https://app.example.com:73979/",
    "a port below ports": "https://app.example.com:-8443/",
    "a port that is none": "https://app.example.com:x/",
    "two ports": "https://app.example.com:8443:8443/",
    "a host for a user": "https://app.example.com@evil.example/",
    "a user at the host itself": "https://ada@app.example.com/",
    "a host and port for a user and password": "https://app.example.com:8443@evil.example/",
    "an empty user": "https://@app.example.com/",
    "an empty user and password": "https://:@app.example.com/",
    "two users": "https://evil.example@app.example.com@evil.example/",
    "an encoded at sign": "https://app.example.com%40evil.example/",
    "backslashes": "https:\\\\app.example.com\\",
    "a backslash after the host": "https://app.example.com\\@evil.example/",
    "a backslash in the host": "https://app.example.com\\.evil.example/",
    "a backslash before the host": "https://evil.example\\@app.example.com/",
    "a backslash in the path": "https://app.example.com/\\evil.example",
    "one slash": "https:/app.example.com/",
    "no slash": "https:app.example.com/",
    "three slashes": "https:///app.example.com/",
    "four slashes": "https:////app.example.com/",
    "a blank before": " https://app.example.com/",
    "a blank after": "https://app.example.com/ ",
    "a blank in the path": "https://app.example.com/a b",
    "a blank in the host": "https://app.example.com .evil.example/",
    "a line break": "https://app.example.com/\nLocation: https://evil.example",
    "a carriage return": "https://app.example.com/\r\nSet-Cookie: a=b",
    "a tab in the scheme": "ht\ttps://app.example.com/",
    "a tab in the host": "https://app.exa\tmple.com/",
    "a line break in the slashes": "https:/\n/app.example.com/",
    "a null": "https://app.example.com\0.evil.example/",
    "a control before": "\x01https://app.example.com/",
    "a delete": "https://app.example.com/\x7f",
    "a control of the second row": "https://app.example.com/\x85",
    "a line separator": "https://app.example.com/\u2028",
    "a wide blank": "https://app.example.com/\u3000",
    "a mark that turns the direction": "https://app.example.com/\u202egnp.exe",
    "half of a pair": "https://app.example.com/\ud800",
    "a subdomain": "https://evil.app.example.com/",
    "a longer host": "https://app.example.com.evil.example/",
    "a host that ends alike": "https://evilapp.example.com/",
    "a host without a dot": "https://app-example.com/",
    "an encoded dot": "https://app%2eexample.com/",
    "an encoded letter": "https://%61pp.example.com/",
    "a full stop of another script": "https://app。example.com/",
    "wide letters": "https://ａｐｐ.example.com/",
    "a letter that looks alike": "https://аpp.example.com/",
    "a letter that is mapped away": "https://app.example.com\u00ad/",
    "a long s": "http://localho\u017ft:3000/",
    "a Kelvin sign": "https://xn--bcher-\u212ava.example/",
    "the same name in its own letters": "https://bücher.example/",
    "upper case": "https://APP.example.com/",
    "a dot after the host": "https://app.example.com./",
    "a dot before the host": "https://.app.example.com/",
    "a semicolon": "https://app.example.com;evil.example/",
    "a comma": "https://app.example.com,evil.example/",
    "a letter that holds a slash": "https://app.example.com℀.evil.example/",
    "a wide slash": "https://app.example.com／.evil.example/",
    "a wide question mark": "https://evil.example？.app.example.com/",
    "an address as a number": "http://2130706433:3000/",
    "an address in base 16": "http://0x7f.1:3000/",
    "the same address, written longer": "https://[0:0:0:0:0:0:0:1]:9443/",
    "an address without its port": "https://[::1]/",
    "an address in another family": "https://[::ffff:127.0.0.1]:9443/",
    "an address with a zone": "https://[::1%25eth0]:9443/",
    "an address that goes on": "https://[::1].evil.example:9443/",
    "an address that isn't closed": "https://[::1:9443/",
    "an address without brackets": "https://::1:9443/",
    "brackets around a name": "https://[app.example.com]/",
    "an origin in the query": "https://evil.example/?https://app.example.com",
    "an origin in the fragment": "https://evil.example/#https://app.example.com",
    "a list of origins": "https://app.example.com,http://localhost:3000",
    "all origins": "*",
    "no origin": "null",
    "too long": "https://app.example.com/" + "a" * 2048,
}


@pytest.mark.parametrize("url", ATTACKS.values(), ids=ATTACKS.keys())
def test_what_leads_elsewhere_or_is_read_in_two_ways_is_refused(url: str) -> None:
    assert not is_allowed_redirect(url, ORIGINS)


def test_where_no_origin_is_named_no_url_is_allowed() -> None:
    for url in ("https://app.example.com", "https:///", "https://", "https:evil.example", ""):
        for origins in ((), ("",), ("https://",), ("null",)):
            assert not is_allowed_redirect(url, origins)


_PIECES = [*"/\\@:?#.[]%;,& \t\n\0", "//", "https:", "http:", "HTTPS:", "javascript:"]
_PIECES += ["app.example.com", "evil.example", "localhost", "443", "8443", "3000", "[::1]", "%2e", "%40", "%2f", "。"]
_PIECES += [
    "．",
    "／",
    "＠",
    "℀",
    "\u00ad",
    "\u200b",
    "\u202e",
    "ａ",
    "\u212a",
    "ſ",
    "ß",
    "xn--",
    "APP",
    "user:password@",
]
_PIECES += ["..", "\ud800", "0x7f.1"]
pieces = st.sampled_from(_PIECES) | st.characters()
anything = st.lists(pieces, max_size=8).map("".join)
changed = st.builds(
    lambda origin, at, cut, piece, end: origin[: at % 40] + piece + origin[at % 40 + cut :] + end,
    st.sampled_from(ORIGINS),
    st.integers(0, 39),
    st.integers(0, 2),
    anything,
    st.sampled_from(["", "/", "/x?y#z"]),
)


@settings(max_examples=600)
@given(anything | changed, st.sampled_from([ORIGINS, ORIGINS[:1], ("https://*", "https://", "https:///", "null")]))
@example("https://app.example.com\n/", ORIGINS)
def test_a_browser_goes_from_what_is_allowed_to_an_origin_that_is(url: str, origins: tuple[str, ...]) -> None:
    if is_allowed_redirect(url, origins):
        assert browser_origin(url) is not None
        assert browser_origin(url) in {browser_origin(origin) for origin in origins}
        # And so does who reads it as Python does.
        assert f"{urlsplit(url).scheme}://{urlsplit(url).netloc}" in origins


@given(
    st.sampled_from(ORIGINS),
    st.sampled_from("/?#"),
    st.text(st.characters(codec="ascii"), max_size=20),
)
def test_after_an_allowed_origin_any_path_query_or_fragment_in_plain_letters_is_allowed(
    origin: str, mark: str, rest: str
) -> None:
    plain = all("!" <= char <= "~" and char != "\\" for char in rest)
    assert is_allowed_redirect(origin + mark + rest, ORIGINS) == plain


# Back to our own pages.


@pytest.mark.parametrize("path", ["/", "/console", "/console/x?y=%2F%2Fevil.example&z=1", "/.//evil.example"])
def test_a_path_of_ours_is_one(path: str) -> None:
    assert local_path(path) == path


@pytest.mark.parametrize(
    "path",
    [
        *("", "console", "https://evil.example/", "//evil.example/", "/\\evil.example/", "\\\\evil.example/"),
        *("/\t/evil.example/", "/\n/evil.example/", "/console\r\nset-cookie: x=y", "/console#token", "/ä", "/a b"),
    ],
)
def test_what_leads_elsewhere_is_no_path_of_ours_whatever_the_contract_has_let_through(path: str) -> None:
    with refused_with(INVALID_REQUEST) as refusal:
        local_path(path)
    assert [violation.field for violation in refusal.error.violations] == ["return_path"]
