"""Tokens of OpenID Connect issuers: what opens the door, what doesn't, and what happens when an issuer is away."""

from __future__ import annotations

import json
import ssl
import subprocess
import sys
import threading
import time
import warnings
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from joserfc.jwk import ECKey, OctKey, OKPKey, RSAKey

from server.domain.account import Claims
from server.domain.errors import CREDENTIALS_INVALID, ISSUER_UNAVAILABLE, Reason, ServiceError
from server.oidc import ALGORITHMS, MAX_TOKEN_LENGTH, IssuerConfig, JwtVerifier, fetch_document
from tests.certificates import self_signed
from tests.oidc_issuer import (
    AUDIENCE,
    DISCOVERY_PATH,
    JWKS_PATH,
    Issuer,
    SigningKey,
    forge,
    hs256,
    issuer,
    new_key,
    segment,
)
from tests.running import clean_environ

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


class SetClock:
    """A clock that goes on by a microsecond when it is read: no two readings are the same, as with a real one."""

    def __init__(self) -> None:
        self.now = datetime(2030, 1, 1, 12, tzinfo=UTC)

    def __call__(self) -> datetime:
        self.now += timedelta(microseconds=1)
        return self.now

    def seconds(self) -> float:
        return self.now.timestamp()

    def advance(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


@pytest.fixture
def clock() -> SetClock:
    return SetClock()


@pytest.fixture
def accounts(clock: SetClock) -> Iterator[Issuer]:
    """The issuer that is trusted."""
    with issuer(clock=clock.seconds) as running:
        yield running


@pytest.fixture
def other(clock: SetClock) -> Iterator[Issuer]:
    """An issuer that isn't trusted, unless a test says so."""
    with issuer(clock=clock.seconds) as running:
        yield running


@pytest.fixture
def verifier(accounts: Issuer, clock: SetClock) -> JwtVerifier:
    return JwtVerifier((IssuerConfig(accounts.url, (AUDIENCE, "our-app")),), clock)


def refusal(verifier: JwtVerifier, token: str) -> Reason:
    with pytest.raises(ServiceError) as caught:
        verifier.verify(token)
    return caught.value.reason


def fetchers(accounts: Issuer) -> list[threading.Thread]:
    """Give the threads in which the issuer's keys are being fetched."""
    return [thread for thread in threading.enumerate() if thread.name == f"keys of {accounts.url}"]


def settle(accounts: Issuer) -> None:
    """Wait until the issuer's keys are no longer being fetched."""
    for thread in fetchers(accounts):
        thread.join(10)


# What opens the door.


@pytest.mark.parametrize("alg", sorted(ALGORITHMS))
def test_a_token_signed_with_an_allowed_algorithm_is_accepted(alg: str, clock: SetClock) -> None:
    with issuer(alg, clock=clock.seconds) as accounts:
        verifier = JwtVerifier((IssuerConfig(accounts.url, (AUDIENCE,)),), clock)
        claims = verifier.verify(accounts.mint(sub="u-1", name="Ada", email="ada@example.com", email_verified=True))
        assert claims == Claims(accounts.url, "u-1", "Ada", "ada@example.com", email_verified=True)


@pytest.mark.parametrize("typ", ["JWT", "jwt", "at+jwt", "application/at+jwt", "AT+JWT", None])
def test_an_access_or_id_token_is_accepted_by_its_type(
    typ: str | None, accounts: Issuer, verifier: JwtVerifier
) -> None:
    assert verifier.verify(accounts.mint(header={"typ": typ})).subject == "ada"


def test_one_of_several_audiences_is_enough(accounts: Issuer, verifier: JwtVerifier) -> None:
    assert verifier.verify(accounts.mint(aud=["another-app", "our-app"])).subject == "ada"


@pytest.mark.parametrize(
    "claims",
    [{"exp": -29}, {"nbf": 30}, {"iat": 30}, {"exp": 0.5}],
    ids=["expired just now", "valid in a moment", "issued in a moment", "fractional"],
)
def test_a_clock_may_be_half_a_minute_off(
    claims: dict[str, float], accounts: Issuer, verifier: JwtVerifier, clock: SetClock
) -> None:
    shifted = {name: int(clock.seconds()) + seconds for name, seconds in claims.items()}
    assert verifier.verify(accounts.mint(**shifted)).subject == "ada"


def test_the_leeway_of_an_issuer_can_be_set(accounts: Issuer, clock: SetClock) -> None:
    verifier = JwtVerifier((IssuerConfig(accounts.url, (AUDIENCE,), leeway_seconds=0),), clock)
    now = int(clock.seconds())
    assert verifier.verify(accounts.mint(exp=now + 1)).subject == "ada"
    assert refusal(verifier, accounts.mint(exp=now)) is CREDENTIALS_INVALID


def test_keys_that_come_with_a_good_token_are_ignored(accounts: Issuer, other: Issuer, verifier: JwtVerifier) -> None:
    header = {
        "jku": other.url + JWKS_PATH,
        "x5u": other.url + JWKS_PATH,
        "jwk": other.keys[0].jwk(),
        "x5c": ["A" * 3000],
        "unknown-to-us": {"nested": True},
    }
    assert verifier.verify(accounts.mint(header=header)).subject == "ada"
    assert not other.asked


def test_an_issuer_whose_url_ends_with_a_slash_is_found(accounts: Issuer, clock: SetClock) -> None:
    url = accounts.url + "/realm/"
    discovery = {"issuer": url, "jwks_uri": accounts.url + JWKS_PATH}
    accounts.answers["/realm" + DISCOVERY_PATH] = 200, {}, json.dumps(discovery).encode()
    verifier = JwtVerifier((IssuerConfig(url, (AUDIENCE,)),), clock)
    assert verifier.verify(accounts.mint(iss=url)).issuer == url
    assert refusal(verifier, accounts.mint(iss=url.removesuffix("/"))) is CREDENTIALS_INVALID


# What doesn't. Each is a good token but for one thing.


def _swapped_payload(accounts: Issuer, other: Issuer) -> str:
    header, _, signature = accounts.mint().split(".")
    return f"{header}.{segment(accounts.claims(sub='admin'))}.{signature}"


def _swapped_header(accounts: Issuer, other: Issuer) -> str:
    _, payload, signature = accounts.mint().split(".")
    return f"{segment({'alg': 'ES256', 'kid': accounts.keys[0].kid})}.{payload}.{signature}"


def _unsigned(alg: str) -> Callable[[Issuer, Issuer], str]:
    def token(accounts: Issuer, other: Issuer) -> str:
        header = {"alg": alg, "kid": accounts.keys[0].kid, "typ": "JWT"}
        return forge(header, accounts.claims(), lambda _: b"")

    return token


def _by_public_key(secret: Callable[[SigningKey], bytes]) -> Callable[[Issuer, Issuer], str]:
    """Sign with HS256; the secret is the public key in some spelling, which everybody knows."""

    def token(accounts: Issuer, other: Issuer) -> str:
        key = accounts.rotate("RS256")
        header = {"alg": "HS256", "kid": key.kid, "typ": "JWT"}
        return forge(header, accounts.claims(), hs256(secret(key)))

    return token


def _by_attacker(**header: Any) -> Callable[[Issuer, Issuer], str]:
    """Sign with an attacker's key, under the kid of the issuer, and say where to find that key."""

    def token(accounts: Issuer, other: Issuer) -> str:
        url = other.url + JWKS_PATH
        attacker = other.keys[0]
        filled = {name: url if value == "URL" else value for name, value in header.items()}
        if "jwk" in filled:
            filled["jwk"] = attacker.jwk()
        return accounts.mint(key=attacker, header={"kid": accounts.keys[0].kid, **filled})

    return token


def _minted(header: dict[str, Any] | None = None, **claims: Any) -> Callable[[Issuer, Issuer], str]:
    return lambda accounts, other: accounts.mint(header=header, **claims)


def _timed(**shifts: float) -> Callable[[Issuer, Issuer], str]:
    return lambda accounts, other: accounts.mint(
        **{name: int(accounts.clock()) + seconds for name, seconds in shifts.items()}
    )


def _payload(payload: object) -> Callable[[Issuer, Issuer], str]:
    """Sign honestly something that isn't the claims of a token."""

    def token(accounts: Issuer, other: Issuer) -> str:
        key = accounts.keys[0]
        return forge({"alg": key.alg, "kid": key.kid}, payload, key.sign)

    return token


FORGED: dict[str, Callable[[Issuer, Issuer], str]] = {
    "without a signature": _unsigned("none"),
    "without a signature in odd case": _unsigned("nOnE"),
    "without a signature under a real algorithm": _unsigned("ES256"),
    "HS256 by the public key as PEM": _by_public_key(lambda key: key.private.as_pem(private=False)),
    "HS256 by the public key as DER": _by_public_key(lambda key: key.private.as_der(private=False)),
    "HS256 by the public key as JWK": _by_public_key(lambda key: json.dumps(key.jwk()).encode()),
    "HS256 by nothing": _by_public_key(lambda key: b""),
    "an algorithm that is not on the list": lambda accounts, other: accounts.mint(
        key=SigningKey("ES256K", accounts.keys[0].kid, ECKey.generate_key("secp256k1"))
    ),
    "a key by jku": _by_attacker(jku="URL"),
    "a key by jku and its own kid": _by_attacker(jku="URL", kid="attacker"),
    "a key by x5u": _by_attacker(x5u="URL"),
    "a key by jwk": _by_attacker(jwk="KEY"),
    "a key by jwk and its own kid": _by_attacker(jwk="KEY", kid="attacker"),
    "a key by jwk and no kid": _by_attacker(jwk="KEY", kid=None),
    "a key of nobody": _by_attacker(),
    "signed by another issuer": lambda accounts, other: accounts.mint(key=other.keys[0]),
    "of an issuer that is not trusted": lambda accounts, other: other.mint(),
    "of an issuer spelled with a slash": lambda accounts, other: accounts.mint(iss=accounts.url + "/"),
    "of an issuer in capitals": lambda accounts, other: accounts.mint(iss=accounts.url.upper()),
    "of several issuers": lambda accounts, other: accounts.mint(iss=[accounts.url]),
    "of no issuer": _minted(iss=None),
    "for another audience": _minted(aud="another-app"),
    "for part of our audience": _minted(aud=AUDIENCE[:5]),
    "for no audience": _minted(aud=None),
    "for an empty list of audiences": _minted(aud=[]),
    "for an audience that is an object": _minted(aud={AUDIENCE: True}),
    "expired": _timed(exp=-31),
    "expired at the end of the leeway": _timed(exp=-30),
    "not valid yet": _timed(nbf=31),
    "issued in the future": _timed(iat=31),
    "without an end": _minted(exp=None),
    "with an end that is text": _minted(exp="9999999999"),
    "with an end that is true": _minted(exp=True),
    "with an end that is not a number": _minted(exp=float("nan")),
    "with an infinite end": _minted(exp=float("inf")),
    "of nobody": _minted(sub=None),
    "of an empty subject": _minted(sub=""),
    "of a blank subject": _minted(sub="  "),
    "of a subject that is a number": _minted(sub=7),
    "of a long subject": _minted(sub="a" * 256),
    "of a subject with a control character": _minted(sub="ada\x00"),
    "of a subject that is half a character": _minted(sub="ada\ud800"),
    "with a critical extension": _minted({"crit": ["exp-policy"], "exp-policy": 1}),
    "with a critical extension that joserfc knows": _minted({"crit": ["b64"], "b64": True}),
    "with an empty list of critical extensions": _minted({"crit": []}),
    "a logout notice": _minted({"typ": "logout+jwt"}),
    "a type that is not text": _minted({"typ": 1}),
    "a security event": _minted(events={"http://schemas.openid.net/event/backchannel-logout": {}}),
    "a kid that is not text": _minted({"kid": ["key-1"]}),
    "truncated in the signature": lambda accounts, other: accounts.mint()[:-8],
    "truncated in the payload": lambda accounts, other: accounts.mint()[:150],
    "with another payload": _swapped_payload,
    "with another header": _swapped_header,
    "twice": lambda accounts, other: f"{accounts.mint()}.{accounts.mint()}",
    "with a fourth part": lambda accounts, other: accounts.mint() + ".",
    "with padding": lambda accounts, other: accounts.mint() + "==",
    "with a space before": lambda accounts, other: " " + accounts.mint(),
    "with a line break after": lambda accounts, other: accounts.mint() + "\n",
    "in other letters": lambda accounts, other: accounts.mint() + "é",
    "with half a character": lambda accounts, other: accounts.mint() + "\ud800",
    "encrypted, by its five parts": lambda accounts, other: accounts.mint() + ".AAAA.AAAA",
    "about a list": _payload(["iss"]),
    "about text": _payload("iss"),
    "about nothing": _payload(b""),
    "about what is not JSON": _payload(b"\xff{"),
    "about a deep nest": _payload(b"[" * 6000),
    "about a number with many digits": _payload(b'{"iss":' + b"9" * 5000 + b"}"),
    "with a list for a header": lambda accounts, other: forge(["alg"], accounts.claims(), lambda _: b"x"),
    "with text for a header": lambda accounts, other: forge("alg", accounts.claims(), lambda _: b"x"),
    "empty": lambda accounts, other: "",
    "two dots": lambda accounts, other: "..",
}


@pytest.mark.parametrize("forged", FORGED.values(), ids=FORGED)
def test_a_token_that_is_not_good_is_refused(
    forged: Callable[[Issuer, Issuer], str], accounts: Issuer, other: Issuer, verifier: JwtVerifier
) -> None:
    token = forged(accounts, other)
    assert refusal(verifier, token) is CREDENTIALS_INVALID
    assert verifier.verify(accounts.mint()).subject == "ada"  # the good one beside it
    assert not other.asked


def of_length(length: int, accounts: Issuer) -> str:
    """Mint a token of so many characters. Base64 leaves gaps, so header and claims are both filled."""
    about = (length - len(accounts.mint(filling=""))) * 3 // 4
    tokens = (
        accounts.mint(header={"pad": "a" * pad}, filling="a" * (about - n)) for pad in range(3) for n in range(24)
    )
    return next(token for token in tokens if len(token) == length)


def test_the_longest_token_is_accepted_and_a_longer_one_is_not_even_read(
    accounts: Issuer, verifier: JwtVerifier
) -> None:
    assert verifier.verify(of_length(MAX_TOKEN_LENGTH, accounts)).subject == "ada"
    with pytest.raises(ServiceError) as caught:
        verifier.verify(of_length(MAX_TOKEN_LENGTH + 1, accounts))
    assert caught.value.reason is CREDENTIALS_INVALID
    assert "longer than" in str(caught.value.__cause__)


def test_a_refusal_tells_the_caller_nothing_of_its_cause(accounts: Issuer, verifier: JwtVerifier) -> None:
    with pytest.raises(ServiceError) as caught:
        verifier.verify(accounts.mint(aud="another-app"))
    assert caught.value.metadata == {}
    assert str(caught.value) == CREDENTIALS_INVALID.sentence


# Two trusted issuers.


def test_a_token_signed_by_another_trusted_issuer_is_refused(accounts: Issuer, other: Issuer, clock: SetClock) -> None:
    verifier = JwtVerifier((IssuerConfig(accounts.url, (AUDIENCE,)), IssuerConfig(other.url, ("others-app",))), clock)
    assert verifier.verify(other.mint(aud="others-app")).issuer == other.url
    assert refusal(verifier, accounts.mint(key=other.keys[0])) is CREDENTIALS_INVALID
    as_ours = {"kid": accounts.keys[0].kid}
    assert refusal(verifier, accounts.mint(key=other.keys[0], header=as_ours)) is CREDENTIALS_INVALID


def test_the_audience_of_one_issuer_does_not_count_for_another(
    accounts: Issuer, other: Issuer, clock: SetClock
) -> None:
    verifier = JwtVerifier((IssuerConfig(accounts.url, (AUDIENCE,)), IssuerConfig(other.url, ("others-app",))), clock)
    assert refusal(verifier, other.mint(aud=AUDIENCE)) is CREDENTIALS_INVALID


def test_an_issuer_that_is_down_is_nothing_to_the_others(accounts: Issuer, other: Issuer, clock: SetClock) -> None:
    trusted = tuple(IssuerConfig(one.url, (AUDIENCE,)) for one in (accounts, other))
    verifier = JwtVerifier(trusted, clock)
    other.down = True
    assert refusal(verifier, other.mint()) is ISSUER_UNAVAILABLE
    assert verifier.verify(accounts.mint()).issuer == accounts.url


# Which keys count.


def publish(accounts: Issuer, alg: str, members: dict[str, Any]) -> SigningKey:
    """Have the issuer sign with one new key, and publish it with these members of its JWK changed."""
    accounts.keys = [new_key(alg, published=members)]
    return accounts.keys[0]


@pytest.mark.parametrize(
    "members",
    [
        {"use": "enc"},
        {"use": None, "key_ops": ["encrypt"]},
        {"use": None, "key_ops": []},
        {"alg": "ES384"},
        {"alg": "RS256"},
        {"use": "unheard-of"},
        {"crv": "P-999"},
        {"x": "AAAA"},
        {"kty": "RSA"},
        {"kid": 7},
    ],
    ids=str,
)
def test_a_key_that_is_for_something_else_verifies_nothing(
    members: dict[str, Any], accounts: Issuer, verifier: JwtVerifier
) -> None:
    publish(accounts, "ES256", members)
    assert refusal(verifier, accounts.mint()) is CREDENTIALS_INVALID


@pytest.mark.parametrize(
    "members",
    [{}, {"use": None, "alg": None}, {"key_ops": ["verify"]}, {"x5c": ["AAAA"], "unknown": 1}],
    ids=str,
)
def test_a_key_that_may_verify_does(members: dict[str, Any], accounts: Issuer, verifier: JwtVerifier) -> None:
    publish(accounts, "ES256", members)
    assert verifier.verify(accounts.mint()).subject == "ada"


def test_an_rsa_key_must_be_used_as_it_says(accounts: Issuer, verifier: JwtVerifier) -> None:
    key = publish(accounts, "RS256", {})
    assert verifier.verify(accounts.mint(key=key)).subject == "ada"
    assert refusal(verifier, accounts.mint(key=key, header={"alg": "PS256"})) is CREDENTIALS_INVALID
    assert refusal(verifier, accounts.mint(key=key, header={"alg": "RS512"})) is CREDENTIALS_INVALID


def test_an_algorithm_that_does_not_fit_the_type_of_the_key_is_refused(accounts: Issuer, verifier: JwtVerifier) -> None:
    key = publish(accounts, "RS256", {"alg": None})
    header = {"alg": "ES256", "kid": key.kid}
    assert refusal(verifier, forge(header, accounts.claims(), key.sign)) is CREDENTIALS_INVALID


@pytest.mark.filterwarnings("ignore::joserfc.errors.SecurityWarning")
def test_an_rsa_key_below_2048_bits_verifies_nothing(accounts: Issuer, verifier: JwtVerifier) -> None:
    short = SigningKey("RS256", "short", RSAKey.generate_key(1024))
    accounts.keys = [short]
    assert refusal(verifier, accounts.mint()) is CREDENTIALS_INVALID


def test_a_shared_secret_among_the_keys_verifies_nothing(accounts: Issuer, verifier: JwtVerifier) -> None:
    secret = b"0123456789abcdef0123456789abcdef"
    shared = SigningKey("HS256", "shared", OctKey.import_key(secret))
    accounts.keys.append(shared)
    assert refusal(verifier, accounts.mint(key=shared)) is CREDENTIALS_INVALID
    assert verifier.verify(accounts.mint()).subject == "ada"


def test_a_private_key_that_was_published_verifies_nothing(accounts: Issuer, verifier: JwtVerifier) -> None:
    key = new_key()
    accounts.keys = [SigningKey(key.alg, key.kid, key.private, {"d": key.private.as_dict(private=True)["d"]})]
    assert refusal(verifier, accounts.mint()) is CREDENTIALS_INVALID


def test_a_key_that_cannot_be_read_does_not_hide_the_others(accounts: Issuer, verifier: JwtVerifier) -> None:
    good = accounts.keys[0].jwk()
    keys = [None, 5, "key", [], {}, {"kty": "EC", "crv": "P-256"}, {"kty": "post-quantum"}, good]
    accounts.answers[JWKS_PATH] = 200, {}, json.dumps({"keys": keys}).encode()
    assert verifier.verify(accounts.mint()).subject == "ada"


@pytest.mark.parametrize("alg", ["ES256K", "Ed25519", "HS256"])
def test_an_algorithm_that_is_not_on_the_list_is_refused_even_with_a_key_for_it(
    alg: str, accounts: Issuer, verifier: JwtVerifier
) -> None:
    private = {
        "ES256K": ECKey.generate_key("secp256k1"),
        "Ed25519": OKPKey.generate_key("Ed25519"),
        "HS256": OctKey.generate_key(256),
    }
    accounts.keys = [SigningKey(alg, "new", private[alg])]
    assert refusal(verifier, accounts.mint()) is CREDENTIALS_INVALID


def test_without_a_kid_a_token_is_good_only_while_one_key_fits(accounts: Issuer, verifier: JwtVerifier) -> None:
    only = accounts.keys[0]
    for_else = [new_key(published=members) for members in ({"use": "enc"}, {"use": None, "key_ops": ["sign"]})]
    accounts.keys = [*for_else, new_key("EdDSA"), only]
    assert verifier.verify(accounts.mint(key=only, header={"kid": None})).subject == "ada"

    newest = accounts.rotate("ES256", keep_old=True)
    assert verifier.verify(accounts.mint()).subject == "ada"
    for key in (newest, only):
        assert refusal(verifier, accounts.mint(key=key, header={"kid": None})) is CREDENTIALS_INVALID
        assert verifier.verify(accounts.mint(key=key)).subject == "ada"


def test_a_key_published_twice_is_one_key(accounts: Issuer, verifier: JwtVerifier) -> None:
    accounts.keys *= 2
    assert verifier.verify(accounts.mint()).subject == "ada"


def test_one_kid_may_stand_for_keys_of_different_types(accounts: Issuer, verifier: JwtVerifier) -> None:
    accounts.keys = [new_key("EdDSA", kid="main"), new_key("ES256", kid="main")]
    assert verifier.verify(accounts.mint(key=accounts.keys[0])).subject == "ada"
    assert verifier.verify(accounts.mint(key=accounts.keys[1])).subject == "ada"


# Where the keys come from.


def test_discovery_must_be_of_the_very_issuer(accounts: Issuer, other: Issuer, verifier: JwtVerifier) -> None:
    accounts.discovery = {"issuer": other.url}
    assert refusal(verifier, accounts.mint()) is ISSUER_UNAVAILABLE
    assert accounts.asked[JWKS_PATH] == 0


@pytest.mark.parametrize(
    "url",
    [
        "http://issuer.example/keys",
        "http://127.0.0.1.issuer.example/keys",
        "http://localhost@issuer.example/keys",
        "ftp://127.0.0.1/keys",
        "file:///etc/passwd",
        "/keys",
        "",
        None,
        7,
    ],
)
def test_keys_are_fetched_by_https_or_from_this_machine_alone(url: object, clock: SetClock) -> None:
    asked = []

    def fetch(url: str) -> bytes:
        asked.append(url)
        return discovery

    discovery = json.dumps({"issuer": "https://issuer.example", "jwks_uri": url}).encode()
    verifier = JwtVerifier((IssuerConfig("https://issuer.example", (AUDIENCE,)),), clock, fetch)
    token = forge({"alg": "ES256"}, {"iss": "https://issuer.example"}, lambda _: b"x")
    assert refusal(verifier, token) is ISSUER_UNAVAILABLE
    assert asked == ["https://issuer.example/.well-known/openid-configuration"]
    if isinstance(url, str):
        with pytest.raises(ValueError, match="not an https URL"):
            fetch_document(url)


@pytest.mark.parametrize("path", [DISCOVERY_PATH, JWKS_PATH])
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed(
    path: str, status: int, accounts: Issuer, other: Issuer, verifier: JwtVerifier
) -> None:
    accounts.answers[path] = status, {"Location": other.url + path}, b""
    assert refusal(verifier, accounts.mint()) is ISSUER_UNAVAILABLE
    assert accounts.asked[path] == 1
    assert not other.asked


def test_a_document_that_is_too_long_is_not_taken(accounts: Issuer) -> None:
    accounts.answers["/fits"] = 200, {}, b" " * 512 * 1024
    accounts.answers["/too-long"] = 200, {}, b" " * (512 * 1024 + 1)
    assert len(fetch_document(accounts.url + "/fits")) == 512 * 1024
    with pytest.raises(ValueError, match="too much"):
        fetch_document(accounts.url + "/too-long")


@pytest.mark.slow
def test_a_document_that_trickles_is_not_waited_for(accounts: Issuer) -> None:
    accounts.byte_seconds = 0.5
    began = time.monotonic()
    with pytest.raises(ValueError, match="too slowly"):
        fetch_document(accounts.url + DISCOVERY_PATH)
    assert 4 < time.monotonic() - began < 30, "the whole of it takes minutes"


@pytest.mark.parametrize("path", [DISCOVERY_PATH, JWKS_PATH])
@pytest.mark.parametrize("body", [b"", b"null", b"[]", b'"text"', b"{}", b'{"keys": 7}', b"\xff\xfe", b"[" * 100_000])
def test_a_document_that_is_something_else_is_an_outage(
    path: str, body: bytes, accounts: Issuer, verifier: JwtVerifier
) -> None:
    accounts.answers[path] = 200, {}, body
    assert refusal(verifier, accounts.mint()) is ISSUER_UNAVAILABLE


def test_an_issuer_on_this_machine_is_not_sought_through_a_proxy(
    accounts: Issuer, verifier: JwtVerifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.setenv("no_proxy", "")
    assert verifier.verify(accounts.mint()).subject == "ada"


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A certificate for 127.0.0.1 by nobody but itself, and its key, in one file."""
    return self_signed(tmp_path / "issuer.pem")


def test_an_https_issuer_is_believed_only_by_a_trusted_certificate(
    certificate: Path, clock: SetClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate)
    with issuer(clock=clock.seconds, tls=tls) as accounts:
        verifier = JwtVerifier((IssuerConfig(accounts.url, (AUDIENCE,)),), clock)
        assert refusal(verifier, accounts.mint()) is ISSUER_UNAVAILABLE
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        clock.advance(5)
        assert verifier.verify(accounts.mint()).issuer == accounts.url


# When the keys are fetched again.


def test_keys_are_fetched_once_for_many_tokens(accounts: Issuer, verifier: JwtVerifier) -> None:
    assert accounts.fetches == 0
    for sub in ("ada", "grace", "barbara"):
        assert verifier.verify(accounts.mint(sub=sub)).subject == sub
    assert (accounts.fetches, accounts.asked[JWKS_PATH]) == (1, 1)


def test_keys_are_fetched_again_after_ten_minutes(accounts: Issuer, verifier: JwtVerifier, clock: SetClock) -> None:
    verifier.verify(accounts.mint())
    clock.advance(599)
    verifier.verify(accounts.mint())
    settle(accounts)
    assert accounts.fetches == 1
    clock.advance(1)
    verifier.verify(accounts.mint())
    settle(accounts)
    assert accounts.fetches == 2


def test_a_key_that_was_taken_back_verifies_nothing_after_ten_minutes(
    accounts: Issuer, verifier: JwtVerifier, clock: SetClock
) -> None:
    stolen = accounts.keys[0]
    verifier.verify(accounts.mint())
    accounts.keys = []
    accounts.delay_seconds = 0.1
    clock.advance(600)
    verifier.verify(accounts.mint(key=stolen))  # has the keys fetched, and doesn't wait for them
    settle(accounts)
    assert refusal(verifier, accounts.mint(key=stolen)) is CREDENTIALS_INVALID


def test_a_new_key_is_accepted_at_once(accounts: Issuer, verifier: JwtVerifier) -> None:
    old = accounts.keys[0]
    verifier.verify(accounts.mint())
    accounts.rotate()
    assert verifier.verify(accounts.mint()).subject == "ada"
    assert refusal(verifier, accounts.mint(key=old)) is CREDENTIALS_INVALID


def test_unknown_keys_cause_one_fetch_in_half_a_minute(
    accounts: Issuer, verifier: JwtVerifier, clock: SetClock
) -> None:
    verifier.verify(accounts.mint())
    for n in range(50):
        refusal(verifier, accounts.mint(header={"kid": f"made-up-{n}"}))
    assert accounts.fetches == 2
    accounts.rotate()
    clock.advance(29)
    assert refusal(verifier, accounts.mint()) is CREDENTIALS_INVALID
    assert accounts.fetches == 2
    clock.advance(1)
    assert verifier.verify(accounts.mint()).subject == "ada"
    assert accounts.fetches == 3


def test_a_token_of_nobody_we_trust_causes_no_fetch(accounts: Issuer, other: Issuer, verifier: JwtVerifier) -> None:
    refusal(verifier, other.mint())
    refusal(verifier, other.mint(iss="https://unheard-of.example"))
    refusal(verifier, accounts.mint(header={"crit": ["x"], "x": 1}))
    assert not accounts.asked
    assert not other.asked


def test_a_clock_set_back_does_not_stop_the_fetching(accounts: Issuer, verifier: JwtVerifier, clock: SetClock) -> None:
    verifier.verify(accounts.mint())
    refusal(verifier, accounts.mint(header={"kid": "made-up"}))
    clock.advance(-86_400)
    accounts.rotate()
    assert verifier.verify(accounts.mint()).subject == "ada"


# When an issuer is away, or slow.


def test_the_last_good_keys_serve_while_the_issuer_is_down(
    accounts: Issuer, verifier: JwtVerifier, clock: SetClock, caplog: pytest.LogCaptureFixture
) -> None:
    verifier.verify(accounts.mint())
    accounts.down = True
    for _ in range(5):
        clock.advance(86_400)
        assert verifier.verify(accounts.mint()).subject == "ada"
        assert refusal(verifier, accounts.mint(header={"kid": "made-up"})) is CREDENTIALS_INVALID
    assert f"The keys of the issuer {accounts.url} can't be fetched" in caplog.text


def test_an_outage_is_not_hammered(accounts: Issuer, verifier: JwtVerifier, clock: SetClock) -> None:
    verifier.verify(accounts.mint())
    accounts.down = True
    clock.advance(600)
    for _ in range(20):
        verifier.verify(accounts.mint())
        settle(accounts)
    assert accounts.fetches == 2
    clock.advance(30)
    accounts.down = False
    verifier.verify(accounts.mint())
    settle(accounts)
    assert (accounts.fetches, accounts.asked[JWKS_PATH]) == (3, 2)


def test_an_issuer_that_was_never_reached_is_unavailable_and_then_tried_again(
    accounts: Issuer, verifier: JwtVerifier, clock: SetClock
) -> None:
    accounts.down = True
    for _ in range(10):
        with pytest.raises(ServiceError) as caught:
            verifier.verify(accounts.mint())
        assert caught.value.reason is ISSUER_UNAVAILABLE
        assert caught.value.retry_after_seconds == 5
    assert accounts.fetches == 1
    accounts.down = False
    clock.advance(caught.value.retry_after_seconds)
    assert verifier.verify(accounts.mint()).subject == "ada"


def test_while_an_issuer_was_never_reached_other_tokens_are_plainly_invalid(
    accounts: Issuer, other: Issuer, verifier: JwtVerifier
) -> None:
    accounts.down = True
    for token in ("", "opaque", other.mint(), accounts.mint(header={"typ": "logout+jwt"})):
        assert refusal(verifier, token) is CREDENTIALS_INVALID


class SlowFetch:
    """Gives an issuer's documents once it is released, or after a minute."""

    def __init__(self, accounts: Issuer) -> None:
        self.accounts, self.released, self.calls = accounts, threading.Event(), 0

    def __call__(self, url: str) -> bytes:
        self.calls += 1
        self.released.wait(60)
        return self.accounts.answer(url.removeprefix(self.accounts.url))[2]


def test_a_slow_issuer_delays_nobody_whose_key_is_known(accounts: Issuer, clock: SetClock) -> None:
    fetch = SlowFetch(accounts)
    fetch.released.set()
    verifier = JwtVerifier((IssuerConfig(accounts.url, (AUDIENCE,)),), clock, fetch)
    verifier.verify(accounts.mint())
    fetch.released.clear()
    clock.advance(600)
    began = time.monotonic()
    for _ in range(20):
        assert verifier.verify(accounts.mint()).subject == "ada"
    assert time.monotonic() - began < 20, "each would have waited three seconds"
    clock.advance(3600)
    assert verifier.verify(accounts.mint()).subject == "ada"
    assert len(fetchers(accounts)) == 1
    fetch.released.set()


def test_nobody_waits_long_for_a_first_fetch_and_it_is_not_lost(accounts: Issuer, clock: SetClock) -> None:
    fetch = SlowFetch(accounts)
    verifier = JwtVerifier((IssuerConfig(accounts.url, (AUDIENCE,)),), clock, fetch)
    began = time.monotonic()
    with ThreadPoolExecutor(32) as pool:
        reasons = list(pool.map(lambda _: refusal(verifier, accounts.mint()), range(32)))
    assert set(reasons) == {ISSUER_UNAVAILABLE}
    assert time.monotonic() - began < 30
    clock.advance(3600)
    fetch.released.set()
    assert verifier.verify(accounts.mint()).subject == "ada"
    assert fetch.calls == 2  # discovery and keys, once each


# Many at once.


def at_once(threads: int, act: Callable[[], Claims]) -> list[Claims]:
    barrier = threading.Barrier(threads)

    def run(_: int) -> Claims:
        barrier.wait(10)
        return act()

    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(run, range(threads)))


def test_32_threads_with_first_tokens_cause_one_fetch(accounts: Issuer, verifier: JwtVerifier) -> None:
    accounts.delay_seconds = 0.05
    token = accounts.mint()
    assert len(at_once(32, lambda: verifier.verify(token))) == 32
    assert (accounts.fetches, accounts.asked[JWKS_PATH]) == (1, 1)


@pytest.mark.parametrize("delay_seconds", [0, 0.05])
def test_32_threads_with_a_new_key_cause_one_fetch(
    delay_seconds: float, accounts: Issuer, verifier: JwtVerifier
) -> None:
    verifier.verify(accounts.mint())
    accounts.rotate()
    accounts.delay_seconds = delay_seconds
    token = accounts.mint()
    assert len(at_once(32, lambda: verifier.verify(token))) == 32
    assert accounts.fetches == 2


def test_32_threads_with_old_keys_cause_one_fetch(accounts: Issuer, verifier: JwtVerifier, clock: SetClock) -> None:
    verifier.verify(accounts.mint())
    clock.advance(600)
    token = accounts.mint()
    assert len(at_once(32, lambda: verifier.verify(token))) == 32
    settle(accounts)
    assert (accounts.fetches, accounts.asked[JWKS_PATH]) == (2, 2)


def test_a_key_that_was_withdrawn_counts_for_nobody_once_keys_are_renewed_though_nobody_came(
    accounts: Issuer, verifier: JwtVerifier, clock: SetClock
) -> None:
    verifier.renew_keys()
    assert accounts.fetches == 0
    verifier.verify(accounts.mint())
    clock.advance(599)
    token = accounts.mint()
    accounts.rotate()
    verifier.renew_keys()
    assert accounts.fetches == 1
    clock.advance(1)
    verifier.renew_keys()
    assert accounts.fetches == 2
    assert refusal(verifier, token) is CREDENTIALS_INVALID


_WHAT_IS_DONE_BESIDE = """
from server.background import Background
Background.every = lambda self, seconds, work, *rest: print(seconds, getattr(work, "__qualname__", ""))
import server.mounts
"""


def test_a_server_renews_keys_every_minute(accounts: Issuer, tmp_path: Path) -> None:
    trusted = {"OIDC_ISSUER": accounts.url, "OIDC_AUDIENCE": AUDIENCE}
    environ = clean_environ() | trusted | {"DATABASE_URL": f"sqlite:///{tmp_path / 'organizations.db'}"}
    done = subprocess.run([sys.executable, "-c", _WHAT_IS_DONE_BESIDE], env=environ, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "60.0 JwtVerifier.renew_keys" in done.stdout.splitlines()


# What is taken from a token.


@pytest.mark.parametrize(
    ("claims", "name"),
    [
        ({"name": "Ada Lovelace", "preferred_username": "ada"}, "Ada Lovelace"),
        ({"name": "", "preferred_username": "ada.l", "email": "a@example.com"}, "ada.l"),
        ({"name": 7, "preferred_username": ["ada"], "email": "a.l@example.com"}, "a.l"),
        ({"name": "\u202e\n", "email": "no address"}, "u-1"),
        ({}, "u-1"),
        ({"name": "Ada\r\nBcc: eve\x00\x1b[31m"}, "Ada Bcc: eve[31m"),
        ({"name": "Ada \u202eecalevoL\u202c\u200f"}, "Ada ecalevoL"),
        ({"name": "Ada\u2028\u2029\t\ud800Lovelace"}, "Ada Lovelace"),
        ({"name": "مَريَم می‌خواهم 👩‍💻"}, "مَريَم می‌خواهم 👩‍💻"),
        ({"name": "n" * 300}, "n" * 256),
        ({"name": "n" * 255 + " n"}, "n" * 255),
    ],
)
def test_a_name_is_found_and_made_plain(
    claims: dict[str, Any], name: str, accounts: Issuer, verifier: JwtVerifier
) -> None:
    assert verifier.verify(accounts.mint(sub="u-1", **claims)).name == name


@pytest.mark.parametrize(
    ("email", "kept"),
    [
        ("ada@example.com", "ada@example.com"),
        ("Ådä+x@Exämple.com", "Ådä+x@Exämple.com"),
        ("a" * 308 + "@example.com", "a" * 308 + "@example.com"),
        ("a" * 309 + "@example.com", ""),
        ("ada@example.com\r\nBcc: eve@example.com", ""),
        ("ada\u202e@example.com", ""),
        ("ada\ud800@example.com", ""),
        ("ada", ""),
        ("", ""),
        (["ada@example.com"], ""),
        (None, ""),
    ],
)
def test_an_email_is_taken_as_it_is_or_not_at_all(
    email: object, kept: str, accounts: Issuer, verifier: JwtVerifier
) -> None:
    claims = verifier.verify(accounts.mint(email=email, email_verified=True))
    assert (claims.email, claims.email_verified) == (kept, bool(kept))


@pytest.mark.parametrize(
    ("said", "verified"),
    [
        (True, True),
        ("true", True),
        (False, False),
        ("false", False),
        ("True", False),
        ("yes", False),
        ("1", False),
        (1, False),
        (["true"], False),
        (None, False),
    ],
)
def test_an_email_is_verified_only_by_a_plain_true(
    said: object, verified: bool, accounts: Issuer, verifier: JwtVerifier
) -> None:
    token = accounts.mint(email="ada@example.com", email_verified=said)
    assert verifier.verify(token).email_verified is verified


@pytest.mark.parametrize(
    ("picture", "kept"),
    [
        ("https://img.example.com/ada.png?s=80", True),
        ("http://img.example.com/ada.png", False),
        ("javascript:alert(1)//https://img.example.com", False),
        ("data:image/png;base64,AAAA", False),
        ("//img.example.com/ada.png", False),
        ("https:///ada.png", False),
        ("https://img.example.com/a b", False),
        ("https://img.example.com/a\nb", False),
        ("https://img.example.com/" + "a" * 2048, False),
        (["https://img.example.com/ada.png"], False),
        (None, False),
    ],
)
def test_a_picture_is_taken_only_by_https(picture: object, kept: bool, accounts: Issuer, verifier: JwtVerifier) -> None:
    assert verifier.verify(accounts.mint(picture=picture)).avatar_url == (picture if kept else "")


# What an operator may configure.


@pytest.mark.parametrize(
    "url",
    [
        "http://issuer.example",
        "http://10.0.0.1",
        "issuer.example",
        "https://",
        "",
        "local",
        "https://issuer.example?a=b",
        "https://issuer.example#a",
    ],
)
def test_an_issuer_without_https_is_not_configured(url: str) -> None:
    with pytest.raises(ValueError, match=r"issuer|https"):
        IssuerConfig(url, (AUDIENCE,))


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.8.9.10:8080", "[::1]:80"])
def test_an_issuer_on_this_machine_needs_no_https(host: str) -> None:
    assert IssuerConfig(f"http://{host}", (AUDIENCE,)).issuer == f"http://{host}"


@pytest.mark.parametrize("audiences", [(), ("",), (AUDIENCE, ""), AUDIENCE])
def test_an_issuer_without_audiences_is_not_configured(audiences: Any) -> None:
    with pytest.raises(ValueError, match="audiences"):
        IssuerConfig("https://issuer.example", audiences)


def test_an_issuer_is_configured_once(clock: SetClock) -> None:
    one = IssuerConfig("https://issuer.example", ("a",))
    with pytest.raises(ValueError, match="twice"):
        JwtVerifier((one, IssuerConfig("https://issuer.example", ("b",))), clock)


# Anything at all.

FUZZ_URL = "https://issuer.example"
FUZZ_KEY = new_key("EdDSA", kid="fuzz")
FUZZ_DOCUMENT = {"issuer": FUZZ_URL, "jwks_uri": FUZZ_URL + "/keys", "keys": [FUZZ_KEY.jwk()]}
FUZZED = JwtVerifier((IssuerConfig(FUZZ_URL, (AUDIENCE,)),), SetClock(), lambda url: json.dumps(FUZZ_DOCUMENT).encode())

any_text = st.text(st.characters(codec=None))
any_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | any_text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(any_text, inner, max_size=3),
    max_leaves=8,
)
HEADERS = ("alg", "kid", "typ", "crit", "b64", "jku", "jwk", "x5u", "x5c")
NAMED = ("sub", "name", "email", "email_verified", "preferred_username", "picture", "nbf", "iat", "jti")
header_names = st.sampled_from(HEADERS) | any_text
claim_names = st.sampled_from(NAMED) | any_text


def opens_or_is_refused(token: str) -> Claims | None:
    try:
        claims = FUZZED.verify(token)
    except ServiceError as error:
        if error.reason is not CREDENTIALS_INVALID:
            raise
        return None
    for text, longest in ((claims.subject, 255), (claims.name, 256), (claims.email, 320)):
        assert len(text) <= longest
        text.encode()
    assert claims.name
    assert claims.subject
    return claims


@settings(deadline=None)
@given(any_text)
def test_any_text_is_refused(token: str) -> None:
    assert opens_or_is_refused(token) is None


@settings(deadline=None)
@given(st.lists(st.binary(max_size=80).map(segment), min_size=2, max_size=4))
def test_any_parts_are_refused(parts: list[str]) -> None:
    assert opens_or_is_refused(".".join(parts)) is None


@settings(deadline=None)
@given(any_json | st.dictionaries(header_names, any_json), any_json, st.binary(max_size=100))
def test_any_unsigned_header_and_claims_are_refused(header: Any, claims: Any, signature: bytes) -> None:
    assert opens_or_is_refused(forge(header, claims, lambda _: signature)) is None


@settings(max_examples=300, deadline=None)
@given(st.dictionaries(header_names, any_json, max_size=3), st.dictionaries(claim_names, any_json, max_size=6))
def test_any_signed_token_opens_or_is_refused(header: dict[str, Any], claims: dict[str, Any]) -> None:
    good = {"iss": FUZZ_URL, "aud": AUDIENCE, "sub": "ada", "exp": SetClock().seconds() + 60}
    opens_or_is_refused(forge({"alg": "EdDSA", "kid": "fuzz"} | header, good | claims, FUZZ_KEY.sign))


@settings(deadline=None)
@given(st.integers(0, 400), st.integers(1, 255))
def test_a_token_with_one_changed_character_is_refused(place: int, change: int) -> None:
    good = {"iss": FUZZ_URL, "aud": AUDIENCE, "sub": "ada", "exp": SetClock().seconds() + 60}
    token = forge({"alg": "EdDSA", "kid": "fuzz"}, good, FUZZ_KEY.sign)
    place %= len(token)
    changed = token[:place] + chr(ord(token[place]) ^ change) + token[place + 1 :]
    assert opens_or_is_refused(token) is not None
    assert opens_or_is_refused(changed) is None


def test_no_token_makes_a_warning(clock: SetClock) -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        test_a_token_signed_with_an_allowed_algorithm_is_accepted("EdDSA", clock)
    assert not caught
