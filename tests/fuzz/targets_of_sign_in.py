"""What is fuzzed of signing in at a provider: what browsers bring back, and what the provider answers."""

from __future__ import annotations

import json
import re
from contextlib import suppress
from dataclasses import replace
from functools import cache
from urllib.parse import quote

from server.domain.errors import ServiceError
from server.faces.exchange import Exchange, current_exchange
from server.faces.own_pages import SIGN_IN_COOKIE
from server.faces.sessions import callback
from server.oidc import IssuerConfig, JwtVerifier
from server.oidc_sign_in import OidcProvider
from server.service.sign_in import SignIn
from tests.fuzz.issuer import ISSUER, jwks, now, signed
from tests.fuzz.service import stage

CLAIMS = {"iss": ISSUER, "aud": "us", "sub": "ada", "exp": 1900000000, "nonce": "n", "email": "ada@example.com"}


def _provider(discovery: bytes, tokens: bytes, userinfo: bytes) -> OidcProvider:
    """Give a provider that says these; `ID_TOKEN` in what it says stands for one that it has signed."""
    documents = {f"{ISSUER}/keys": jwks(), f"{ISSUER}/.well-known/openid-configuration": discovery}
    verifier = JwtVerifier((IssuerConfig(ISSUER, ("us",)),), now, lambda url: documents.get(url, b"{}"))

    def exchange(_url: str, body: bytes | None, _headers: object) -> bytes:
        return userinfo if body is None else tokens.replace(b"ID_TOKEN", _id_token())

    return OidcProvider(verifier, ISSUER, "us", "https://app.example.com/back", exchange=exchange)


@cache
def _id_token() -> bytes:
    claims = {name: value for name, value in CLAIMS.items() if name != "email"}
    return signed(b'{"alg":"ES256"}', json.dumps(claims).encode())


_DISCOVERY = {
    "issuer": ISSUER,
    "jwks_uri": f"{ISSUER}/keys",
    "authorization_endpoint": f"{ISSUER}/authorize",
    "token_endpoint": f"{ISSUER}/token",
    "userinfo_endpoint": f"{ISSUER}/userinfo",
    "prompt_values_supported": ["login", "select_account"],
}


def provider(data: bytes) -> None:
    """What a provider says of itself, what it gives for a code, and what its userinfo says; zeros between."""
    discovery, tokens, userinfo, *_ = (*data.split(b"\0"), b"", b"", b"")
    asked = _provider(discovery or json.dumps(_DISCOVERY).encode(), tokens, userinfo)
    with suppress(ServiceError):
        url = asked.authorization_url(state="s", nonce="n", verifier="v", choose_account=True)
        assert url.isprintable()
        assert re.match(r"https://[^/?#\s]|http://(localhost|127\.|\[::1)", url, re.IGNORECASE)
    with suppress(ServiceError):
        claims = asked.claims("code", nonce="n", verifier="v")
        assert (claims.issuer, claims.subject) == (ISSUER, "ada")
        assert "\n" not in claims.name


def way_back(data: bytes) -> None:
    """A browser that comes back: what its cookie holds, a zero, and the query. `SEALED` is what we gave it."""
    kept, _, query = data.decode("latin-1").partition("\0")
    service = stage().world.service
    sign_in, sealed = service.sign_in, _sealed()
    begun: list[tuple[str, list[tuple[str, str]]]] = []
    environ = {
        "REQUEST_METHOD": "GET",
        "HTTP_COOKIE": f"{SIGN_IN_COOKIE}={kept.replace('SEALED', sealed)}",
        "QUERY_STRING": query,
    }
    current_exchange.set(Exchange(request_id="fuzz"))
    answer = callback(_with_provider(sign_in))
    b"".join(answer(environ, lambda status, given, *_: begun.append((status, given))))  # type: ignore[arg-type,return-value,func-returns-value]
    status, given = begun[0]
    location = dict(given)["location"]
    assert status[:3] == "303"
    assert location.startswith("/")
    assert not location.startswith("//")
    assert location.isascii()
    assert location.isprintable()
    # Nobody is signed in who doesn't bring the state that only the sealed cookie knows.
    assert location.startswith("/sign-in?error="), location


def _with_provider(sign_in: SignIn) -> SignIn:
    provider = _provider(json.dumps(_DISCOVERY).encode(), b"{}", b"{}")
    return replace(sign_in, options=replace(sign_in.options, provider=provider))


@cache
def _sealed() -> str:
    return _with_provider(stage().world.service.sign_in).begin("/console?x=1")[1]


TARGETS = (provider, way_back)
SEEDS: dict[str, tuple[bytes, ...]] = {
    "provider": (
        b'\0{"id_token":"ID_TOKEN","access_token":"abc"}\0{"sub":"ada","email":"ada@example.com","email_verified":true}',
        json.dumps(_DISCOVERY).encode() + b'\0{"id_token":"a.b.c"}',
        json.dumps(_DISCOVERY | {"authorization_endpoint": "http://[::1]/x?y"}).encode(),
        # This once broke it: Python's parser read [::1] as the host.
        json.dumps(_DISCOVERY | {"authorization_endpoint": "http://n[::1]/x?y"}).encode(),
    ),
    "way_back": (
        b"SEALED\0code=a&state=b",
        b"SEALED\0error=access_denied&state=",
        b"abc\0state=a&state=b&iss=" + quote(ISSUER).encode(),
    ),
}
