"""What is fuzzed: each parser of ours, called with any bytes. It may refuse them as it says it does, and nothing else.

`python -m tests.fuzz.run NAME` looks for bytes that break one; `test_targets.py` tries those that were kept.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path
from urllib.parse import urljoin, urlsplit

from server.domain import address
from server.domain.errors import ServiceError
from server.domain.metadata import require_metadata
from server.domain.redirect import is_allowed_redirect
from server.domain.session import local_path
from server.faces import spelling
from server.faces.connect import bearer_token
from server.faces.own_pages import SESSION_COOKIE, OwnPages, cookie
from server.faces.rest import _json
from server.mail.languages import LANGUAGES, best_language
from server.mail.names import MAX_NAME_LENGTH, harmless
from server.oidc import IssuerConfig, JwtVerifier
from server.service.idempotency import canonical
from server.service.paging import page_place, page_token
from server.settings import Settings, SettingsError
from server.store.postgres import parameters
from server.store.sql_store import StoreSetupError
from tests.fuzz import targets_of_faces, targets_of_mail, targets_of_sign_in
from tests.fuzz.issuer import ISSUER, now, signed
from tests.fuzz.issuer import jwks as jwks_of_issuer
from tests.fuzz.texts import any_text

Target = Callable[[bytes], None]

ORIGINS = ("https://app.example.com", "http://localhost:3000", "https://[::1]:8443")


def token(data: bytes) -> None:
    with suppress(ServiceError):
        found = bearer_token(any_text(data))
        assert found
        assert found == found.strip()


def page(data: bytes) -> None:
    text = any_text(data)
    with suppress(ServiceError):
        place = page_place("list", text, str, int)
        if place is not None:
            assert page_place("list", page_token("list", place), str, int) == place


def addresses(data: bytes) -> None:
    text = any_text(data)
    if address.is_address(text):
        assert text.encode()
        key = address.address_key(text)
        assert address.address_key(key) == key
        assert address.address_domain(text) == address.address_domain(key)
        assert "\n" not in text
    with suppress(ServiceError):
        address.require_address(text)
    with suppress(UnicodeError):
        address.address_key(text)
        address.domain_key(text)
    address.fold(text)


def redirects(data: bytes) -> None:
    url = any_text(data)
    if is_allowed_redirect(url, ORIGINS):
        parts = urlsplit(url)
        assert f"{parts.scheme}://{parts.netloc}" in ORIGINS
        scheme, _, rest = url.partition(":")
        spelt = f"{scheme.lower()}:{rest}"
        assert any(spelt == origin or spelt[len(origin)] in "/?#" for origin in ORIGINS if spelt.startswith(origin))
    with suppress(ServiceError):
        assert urlsplit(urljoin("https://here.example/", local_path(url))).netloc == "here.example"


def settings(data: bytes) -> None:
    """The first byte says which setting; what can't be used is a `SettingsError`, which says what to do."""
    text = any_text(data[1:]).replace("\0", "")
    readers: tuple[Callable[[], object], ...] = (
        lambda: Settings(database_url=text).sqlite_path,
        lambda: Settings(oidc_issuer=text, oidc_audience=text).issuers,
        lambda: Settings(session_days=text).session_life_days,
        lambda: Settings(public_url=text).public_base,
        lambda: Settings(redirect_origins=text).allowed_redirects,
        lambda: Settings(cors_origins=text).allowed_origins,
        lambda: Settings(secret_key=text).secret_keys(),
        lambda: Settings(limits=text).rates,
        lambda: Settings(trusted_proxies=text).proxies,
        lambda: parameters(f"postgresql://{text}"),
    )
    with suppress(SettingsError, StoreSetupError):
        readers[(data[0] if data else 0) % len(readers)]()


@cache
def _verifier() -> JwtVerifier:
    discovery = json.dumps({"issuer": ISSUER, "jwks_uri": f"{ISSUER}/keys"}).encode()
    config = IssuerConfig(ISSUER, ("us",))
    return JwtVerifier((config,), now, lambda url: jwks_of_issuer() if url.endswith("/keys") else discovery)


def jwt(data: bytes) -> None:
    """A token as it comes, or a header and claims with a zero between them, signed by the issuer whatever they say."""
    header, zero, claims = data.partition(b"\0")
    written = signed(header, claims) if zero else data
    try:
        found = _verifier().verify(written.decode("latin-1"))
    except ServiceError:
        return
    assert found.issuer == ISSUER
    assert json.loads(claims)["aud"] == "us" or "us" in json.loads(claims)["aud"]
    assert found.subject.strip()
    assert "\n" not in found.name


def jwks(data: bytes) -> None:
    """What an issuer publishes: its metadata, and after a zero its keys."""
    discovery, _, keys = data.partition(b"\0")
    verifier = JwtVerifier(
        (IssuerConfig(ISSUER, ("us",)),), now, lambda url: discovery if url.endswith("configuration") else keys
    )
    with suppress(ServiceError):
        verifier.verify(signed(b'{"alg":"ES256","kid":"1"}', b'{"iss":"%s"}' % ISSUER.encode()).decode())


def cookies(data: bytes) -> None:
    text = data.decode("latin-1")
    found = cookie({"cookie": text}, SESSION_COOKIE)
    assert ";" not in found
    headers = dict(zip(("cookie", "origin", "host", "x-session"), text.split("\0"), strict=False))
    pages = OwnPages("https://app.example.com")
    if pages.session(headers):
        assert headers["x-session"] == "cookie"


def canonical_json(data: bytes) -> None:
    once = canonical(data)
    assert canonical(once) == once


def rest_json(data: bytes) -> None:
    try:
        value = _json(data)
    except ServiceError:
        return
    # Whatever is read can be kept and said again.
    json.dumps(value, ensure_ascii=False).encode()
    if isinstance(value, dict):
        with suppress(ServiceError):
            require_metadata("metadata", value)


def ids(data: bytes) -> None:
    text = any_text(data)
    for kind in ("account", "organization", "invitation"):
        found = spelling.from_any_spelling(kind, text)
        if found is not None:
            assert len(found) == 36
            with suppress(ValueError):
                for spelt in spelling.spellings(kind, found).values():
                    assert spelling.from_any_spelling(kind, spelt) == found


def names(data: bytes) -> None:
    text = any_text(data)
    assert best_language(text) in LANGUAGES
    made = harmless(text)
    assert len(made) <= MAX_NAME_LENGTH
    assert "\n" not in made
    assert "://" not in made


def wire(data: bytes) -> None:
    """Any request to any method: the first bytes say which method, protocol and codec, and who asks."""
    from tests.fuzz.service import any_rpc

    any_rpc(data)


def faces(data: bytes) -> None:
    """Any request to any path of the other faces."""
    from tests.fuzz.service import any_rest

    any_rest(data)


TARGETS: dict[str, Target] = {
    target.__name__: target
    for target in (
        *(token, page, addresses, redirects, settings, jwt, jwks, cookies),
        *(canonical_json, rest_json, ids, names, wire, faces),
        *targets_of_faces.TARGETS,
        *targets_of_mail.TARGETS,
        *targets_of_sign_in.TARGETS,
    )
}

_CLAIMS = b'{"iss":"%s","aud":"us","sub":"ada","exp":1900000000,"email":"ada@example.com"}' % ISSUER.encode()
SEEDS: dict[str, tuple[bytes, ...]] = {
    "token": (b"Bearer orgsvc_x", b"bearer  a.b.c ", b"Basic x"),
    "page": (page_token("list", ("Ada", 1)).encode(), b"WyJ4IiwxXQ", b""),
    "addresses": (b"ada@example.com", "ädä@faß.de".encode(), b"a.b+c@sub.example.co", b"x@xn--fa-hia.de"),
    "redirects": (b"https://app.example.com/x", b"http://localhost:3000", b"https://[::1]:8443/#a", b"https://a@b"),
    "settings": (
        b"\0sqlite:///data/x.db",
        b"\1https://issuer",
        b"\x0210",
        b"\3https://x.example/y",
        b"\4https://a,http://b:1",
        b"\5http://[::1]:80",
        b"\6" + b"k" * 32,
        b"\7caller=600/1m guesses=30/10s",
        b"\x081",
        b"\x09ada:x@host:5432/db?a=b",
        # These once broke it.
        b"\5http://[]8",
        b"\0sqlite://[",
        b"\x09%ca%callers",
    ),
    "jwt": (
        b'{"alg":"ES256","kid":"1"}\0' + _CLAIMS,
        b'{"alg":"ES256","typ":"at+jwt"}\0' + _CLAIMS,
        b'{"alg":"none"}\0{}',
        b"a.b.c",
    ),
    "jwks": (json.dumps({"issuer": ISSUER, "jwks_uri": f"{ISSUER}/k"}).encode() + b"\0" + jwks_of_issuer(),),
    "cookies": (b"__Host-session=abc; x=y\0https://app.example.com\0app.example.com\0cookie",),
    "canonical_json": (b'{"b":1,"a":[1.5,null,"\\u00e4"]}', b"[1e400]", b'{"a":1,"a":2}', b'"\\ud800"'),
    "rest_json": (b'{"email":"a@example.com","public_metadata":{"a":[1,2.5,true]}}', b'"\\ud83d\\ude00"', b"1e999"),
    "ids": (b"org_000000000000000000000000000", b"00000000-0000-4000-8000-000000000000", b"0" * 21),
    "names": ("Ada’s Café · evil.com".encode(), b"de-AT", b"https://evil.com/x", "\u202eabc".encode()),
    "wire": (b"\0\0\0{}", b"\1\4\0" + b"\x0a\x24", b'\5\0\1{"organizationId":"IT"}'),
    "faces": (b'\0\0\1{"name":"x"}', b"\1\1\1/clerk/v1/organizations?limit=1\0{}", b"\1\1\1?li\xedit=1\0{}"),
    **targets_of_faces.SEEDS,
    **targets_of_mail.SEEDS,
    **targets_of_sign_in.SEEDS,
}


def seed(name: str, directory: Path) -> None:
    """Write what a search begins with."""
    directory.mkdir(parents=True, exist_ok=True)
    for data in SEEDS[name]:
        (directory / hashlib.sha1(data).hexdigest()).write_bytes(data)
