"""Who is this, by the word of an OpenID Connect issuer that the operator trusts.

joserfc reads tokens and keys and does all the cryptography. Here stands what is ours to decide: which issuers,
algorithms and keys count, what a token must say, and when an issuer's keys are fetched again.
"""

from __future__ import annotations

import hmac
import json
import logging
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from threading import Lock, Thread
from typing import TYPE_CHECKING, Any
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import HTTPRedirectHandler, ProxyHandler, Request, build_opener, getproxies

from joserfc import jws
from joserfc.errors import BadSignatureError, JoseError, UnsupportedAlgorithmError
from joserfc.jwk import JWKRegistry, Key, RSAKey
from joserfc.jwt import JWTClaimsRegistry

from server.domain.account import Claims
from server.domain.errors import CREDENTIALS_INVALID, ISSUER_UNAVAILABLE, ServiceError, WrongSecretError
from server.domain.hosts import is_this_machine
from server.domain.text import is_plain_line

if TYPE_CHECKING:
    from datetime import datetime

    from joserfc.jwa import JWSAlgModel

    from server.ports import Clock

Fetch = Callable[[str], bytes]
"""Gives the body at a URL, or raises anything."""

# Signed with a private key, all of them: whoever can check an HS256 token can also make one.
ALGORITHMS = frozenset(("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"))
# In lower case. Issuers sign other things with the same key, such as a `logout+jwt`.
TOKEN_TYPES = frozenset(("jwt", "at+jwt"))
MIN_RSA_BITS = 2048
MAX_TOKEN_LENGTH, MAX_BODY_BYTES = 16 * 1024, 512 * 1024
MAX_SUBJECT_LENGTH, MAX_NAME_LENGTH, MAX_EMAIL_LENGTH, MAX_URL_LENGTH = 255, 256, 320, 2048

FETCH_SECONDS = 5.0
KEYS_FRESH_SECONDS = 600
# How long a request waits for a fetch; the fetch goes on after that, for the requests that come later.
WAIT_SECONDS = 3.0
# Why keys are fetched, and the least time between two fetches for that reason.
PAUSE_SECONDS = {"no keys yet": 5, "keys are old": 30, "no key fits": 30}

_log = logging.getLogger(__name__)
# What reading a stranger's text raises: KeyError and TypeError where its JSON has another shape than expected,
# RecursionError where it is nested too deeply.
UNREADABLE = (JoseError, ValueError, TypeError, KeyError, RecursionError)


@dataclass(frozen=True, slots=True)
class IssuerConfig:
    """An issuer to trust.

    `issuer` is its URL, exactly as it stands in tokens: https, or http on this machine, without query or
    fragment. `audiences` are who we are to it: with none, a token meant for any other service would open ours.
    `leeway_seconds` is how far its clock may be off. Raises ValueError where these don't hold.
    """

    issuer: str
    audiences: tuple[str, ...]
    leeway_seconds: int = 30

    def __post_init__(self) -> None:
        require_safe_url(self.issuer)
        if "?" in self.issuer or "#" in self.issuer:
            raise ValueError(f"the issuer {self.issuer!r} has a query or a fragment")
        if not isinstance(self.audiences, tuple) or not self.audiences or "" in self.audiences:
            raise ValueError(f"the issuer {self.issuer!r} needs audiences, none of them empty")


class JwtVerifier:
    """Verifies JWT access and ID tokens of the given issuers (a `TokenVerifier`); threads may share it.

    An issuer's keys are fetched when its first token comes. Raises ValueError when an issuer is given twice.
    """

    def __init__(self, issuers: tuple[IssuerConfig, ...], clock: Clock, fetch: Fetch | None = None) -> None:
        fetch = fetch or fetch_document
        self._clock = clock
        self._trusted = {one.issuer: (one, _IssuerKeys(one.issuer, clock, fetch)) for one in issuers}
        if len(self._trusted) != len(issuers):
            raise ValueError("an issuer is given twice")

    def verify(self, token: str) -> Claims:
        """Give what the token says of its bearer, if a trusted issuer says it, to us, and now.

        Raises `CREDENTIALS_INVALID` for any other text; the error's `__cause__` says why, for our log alone.
        Raises `ISSUER_UNAVAILABLE` if the token names a trusted issuer whose keys could never be fetched.
        """
        try:
            _, claims = self._signed(token)
        except UNREADABLE as error:
            raise WrongSecretError(CREDENTIALS_INVALID, guess=hash(token)) from error
        try:
            config = self._trusted[claims["iss"]][0]
            _check_claims(claims, config, config.audiences, now=int(self._clock().timestamp()))
            return person(claims)
        except UNREADABLE as error:
            raise ServiceError(CREDENTIALS_INVALID) from error

    def verify_id_token(self, token: str, *, issuer: str, client_id: str, nonce: str) -> dict[str, Any]:
        """Give what an ID token says that the issuer made for this client and this sign-in.

        Raises ValueError or alike (`UNREADABLE`) for any other, `ISSUER_UNAVAILABLE` as `verify` does.
        """
        header, claims = self._signed(token)
        if header.get("typ", "JWT").lower().removeprefix("application/") != "jwt":
            raise ValueError("the token is of another type")
        if claims["iss"] != issuer:
            raise ValueError("another issuer's token")
        _check_claims(claims, self._trusted[issuer][0], (client_id,), now=int(self._clock().timestamp()))
        if not hmac.compare_digest(str(claims.get("nonce")).encode(), nonce.encode()):
            raise ValueError("the nonce is of another sign-in")
        # OpenID Connect Core, 3.1.3.7: several audiences need an authorized party, and where there is one it is us.
        several = isinstance(claims["aud"], list) and len(claims["aud"]) > 1
        if claims.get("azp", None if several else client_id) != client_id:
            raise ValueError("another party's token")
        return claims

    def renew_keys(self) -> None:
        """Fetch keys anew that are old; called now and then beside the requests.

        So a key that its issuer has withdrawn doesn't wait for somebody to come, who would be let in by it.
        """
        for _, keys in self._trusted.values():
            keys.renew()

    def discovery(self, issuer: str) -> Mapping[str, Any]:
        """Give what a trusted issuer says of itself; `ISSUER_UNAVAILABLE` if it could never be asked."""
        return self._trusted[issuer][1].discovery()

    def _signed(self, token: str) -> tuple[dict[str, Any], dict[str, Any]]:
        """Give a token's header and claims, if a trusted issuer has signed it."""
        if len(token) > MAX_TOKEN_LENGTH:
            raise ValueError(f"longer than {MAX_TOKEN_LENGTH} characters")
        signed = jws.extract_compact(token.encode(), registry=_REGISTRY)
        header, claims = signed.headers(), json.loads(signed.payload)
        _check_header(header)
        # Nothing is proven until the signature is: so far `iss` only tells whose keys to try.
        _, keys = self._trusted[claims["iss"]]
        key = keys.find(header.get("kid"), _REGISTRY.get_alg(header["alg"]))
        if not jws.validate_compact(signed, key, registry=_REGISTRY):
            raise BadSignatureError
        return header, claims


class _Registry(jws.JWSRegistry):
    # joserfc allows 512 and 1,024, too little for certificates in `x5c`. The whole token is bounded anyway.
    max_header_length = max_signature_length = MAX_TOKEN_LENGTH

    def get_alg(self, name: str) -> JWSAlgModel:
        """Give one of ours. joserfc's own method would also print a warning for every EdDSA token."""
        if name not in ALGORITHMS:
            raise UnsupportedAlgorithmError(f"the algorithm {name!r} is not allowed")
        return self.algorithms[name]


# Not strict: a header that isn't known is to be ignored (RFC 7515, 4.2), not to be refused.
_REGISTRY = _Registry(strict_check_header=False)


def _check_header(header: object) -> None:
    """Refuse what isn't the header of an access or ID token.

    `jku`, `jwk`, `x5u` and `x5c` are never used: keys come from the issuer, not from who brings the token.
    """
    if not isinstance(header, dict):
        raise TypeError("the header is not an object")
    if "crit" in header:
        raise ValueError("the token needs an extension, and none is known here")
    _REGISTRY.check_header(header)
    if header.get("typ", "JWT").lower().removeprefix("application/") not in TOKEN_TYPES:
        raise ValueError("the token is of another type")


def _check_claims(claims: dict[str, Any], config: IssuerConfig, audiences: Sequence[str], now: int) -> None:
    """Refuse what isn't said by this issuer, to us, of somebody, at `now` (seconds since 1970)."""
    JWTClaimsRegistry(
        now=now,
        leeway=config.leeway_seconds,
        iss={"essential": True, "value": config.issuer},
        aud={"essential": True, "values": list(audiences)},
        exp={"essential": True},
    ).validate(claims)
    # Refused and not cleaned: two subjects must never become one.
    if not _plain(claims.get("sub"), MAX_SUBJECT_LENGTH).strip():
        raise ValueError("the subject is missing, blank, too long or not printable")
    if "events" in claims:
        raise ValueError("a security event (RFC 8417), as in a logout that is not typed so")


def person(claims: Mapping[str, Any]) -> Claims:
    """Give what claims that were checked say of a person."""
    email = _plain(claims.get("email"), MAX_EMAIL_LENGTH)
    email = email if "@" in email else ""
    names = claims.get("name"), claims.get("preferred_username"), email.rpartition("@")[0], claims["sub"]
    verified = claims.get("email_verified")
    picture = _plain(claims.get("picture"), MAX_URL_LENGTH)
    return Claims(
        issuer=claims["iss"],
        subject=claims["sub"],
        name=next(filter(None, map(_one_line, names))),
        email=email,
        # Some issuers send the word, such as Amazon Cognito.
        email_verified=bool(email) and (verified is True or verified == "true"),
        avatar_url=picture if re.fullmatch(r"https://[^\s/?#]\S*", picture) else "",
    )


def _plain(value: object, max_length: int) -> str:
    """Give printable text that is short enough as it is, else nothing: part of an address is another address."""
    return value if isinstance(value, str) and value.isprintable() and len(value) <= max_length else ""


def _one_line(value: object) -> str:
    """Give the text as a plain line, without the characters that can't be in one, shortened."""
    text = value if isinstance(value, str) else ""
    kept = (char for char in text if char.isspace() or is_plain_line(char))
    return " ".join("".join(kept).split())[:MAX_NAME_LENGTH].rstrip()


@dataclass(frozen=True, slots=True)
class _Published:
    """What an issuer says of itself, its keys, and when it was asked."""

    discovery: dict[str, Any]
    keys: tuple[Key, ...]
    at: datetime


class _IssuerKeys:
    """What one issuer publishes, its public keys above all; what was fetched last serves while it can't be reached.

    One thread of its own fetches them: a slow issuer delays nobody whose key is known, and others by
    `WAIT_SECONDS`. An empty set of keys is believed, for so an issuer takes its keys back.
    """

    def __init__(self, issuer: str, clock: Clock, fetch: Fetch) -> None:
        self._issuer, self._clock, self._fetch = issuer, clock, fetch
        self._published: _Published | None = None
        self._lock = Lock()
        self._fetcher: Thread | None = None
        self._begun: dict[str, datetime] = {}

    def find(self, kid: str | None, algorithm: JWSAlgModel) -> Key:
        """Give the one key that fits. Raises `ISSUER_UNAVAILABLE`, or ValueError if none or several fit."""
        published = self._known()
        fitting = _fitting(published.keys, kid, algorithm)
        if not fitting:
            self._refresh("no key fits", WAIT_SECONDS)
            fitting = _fitting((self._published or published).keys, kid, algorithm)
        if len(fitting) != 1:
            raise ValueError(f"{len(fitting)} keys fit")
        return fitting[0]

    def discovery(self) -> Mapping[str, Any]:
        """Give the issuer's metadata. Raises `ISSUER_UNAVAILABLE`."""
        return self._known().discovery

    def _known(self) -> _Published:
        if self._published is None:
            self._refresh("no keys yet", WAIT_SECONDS)
        if self._published is None:
            raise ServiceError(ISSUER_UNAVAILABLE, retry_after_seconds=PAUSE_SECONDS["no keys yet"])
        self.renew(wait_seconds=0)
        return self._published

    def renew(self, wait_seconds: float = WAIT_SECONDS) -> None:
        """Have keys that are old fetched again, and wait so long for them."""
        if self._published is not None and self._has_passed(KEYS_FRESH_SECONDS, self._published.at):
            self._refresh("keys are old", wait_seconds)

    def _refresh(self, reason: str, wait_seconds: float) -> None:
        """Have the keys fetched, unless it was done lately for this reason; wait for a fetch under way."""
        with self._lock:
            fetching = self._fetcher is not None and self._fetcher.is_alive()
            if not fetching and self._has_passed(PAUSE_SECONDS[reason], self._begun.get(reason)):
                self._begun[reason] = self._clock()
                fetcher = Thread(target=self._fetch_keys, name=f"keys of {self._issuer}", daemon=True)
                fetcher.start()
                self._fetcher = fetcher
            awaited = self._fetcher
        if awaited is not None:
            awaited.join(wait_seconds)

    def _has_passed(self, seconds: float, since: datetime | None) -> bool:
        # A clock that was set back counts too: else nothing would be fetched until it has caught up. So the clock
        # is read here, after `since` was: a reading from before another thread's would look like that.
        return since is None or not 0 <= (self._clock() - since).total_seconds() < seconds

    def _fetch_keys(self) -> None:
        try:
            base_url = self._issuer.removesuffix("/")
            discovery = json.loads(self._fetch(f"{base_url}/.well-known/openid-configuration"))
            if discovery["issuer"] != self._issuer:
                raise ValueError(f"it calls itself {discovery['issuer']!r}")
            require_safe_url(discovery["jwks_uri"])
            keys = _usable_keys(json.loads(self._fetch(discovery["jwks_uri"]))["keys"])
        except Exception as error:  # noqa: BLE001 - whatever goes wrong out there, the last keys stay
            _log.warning("The keys of the issuer %s can't be fetched: %r", self._issuer, error)
        else:
            self._published = _Published(discovery, keys, self._clock())


def _usable_keys(jwks: list[Any]) -> tuple[Key, ...]:
    """Give the keys fit for our use, each once. One that can't be read doesn't hide the others."""
    usable: list[Key] = []
    for jwk in jwks:
        try:
            key = JWKRegistry.import_key(jwk)
        except Exception as error:  # noqa: BLE001 - joserfc raises many kinds, its own warnings among them
            _log.info("A key is left out: %r", error)
            continue
        too_short = isinstance(key, RSAKey) and key.raw_value.key_size < MIN_RSA_BITS
        # A published key that is private or shared proves nothing any more.
        if not key.is_private and not too_short and key not in usable:
            usable.append(key)
    return tuple(usable)


def _fitting(keys: tuple[Key, ...], kid: str | None, algorithm: JWSAlgModel) -> list[Key]:
    return [key for key in keys if (kid is None or kid == key.kid) and _can_verify(key, algorithm)]


def _can_verify(key: Key, algorithm: JWSAlgModel) -> bool:
    """Tell whether the key's type, curve, `use`, `alg` and `key_ops` are made for the algorithm."""
    try:
        algorithm.check_key(key)
        key.check_key_op("verify")
    except JoseError:
        return False
    return True


def require_safe_url(url: str) -> None:
    """Raise ValueError unless nobody on the way can change what the URL gives: https, or this machine."""
    parts = urlsplit(url)
    before, bracket, rest = parts.netloc.rpartition("@")[2].partition("[")
    if bracket and (before or rest.partition("]")[2][:1] not in ("", ":")):
        # Some versions of Python read a host out of `other[::1]`.
        raise ValueError(f"{url!r} has no host that can be read")
    is_local = parts.scheme == "http" and is_this_machine(parts.hostname or "")
    if not parts.hostname or not (parts.scheme == "https" or is_local):
        raise ValueError(f"{url!r} is not an https URL")


class _NoRedirects(HTTPRedirectHandler):
    def redirect_request(self, *_args: Any, **_kwargs: Any) -> None:
        """Follow none: a document comes from the address that was asked, or not at all."""


def fetch_document(url: str, body: bytes | None = None, headers: Mapping[str, str] | None = None) -> bytes:
    """Give the answer's body at an https URL (POST where a body is given), by way of the environment's proxy if any.

    Raises OSError, http.client.HTTPException or ValueError for an error, a redirect, a body of more than
    `MAX_BODY_BYTES` and one that takes longer than about `FETCH_SECONDS`.
    """
    require_safe_url(url)
    deadline = time.monotonic() + FETCH_SECONDS
    proxies = {scheme: proxy for scheme, proxy in getproxies().items() if scheme == "https"}
    opener = build_opener(ProxyHandler(proxies), _NoRedirects)
    # By its usual name, some networks turn Python away.
    request = Request(url, body, {"User-Agent": "organization-service", **(headers or {})})  # noqa: S310
    try:
        response = opener.open(request, timeout=FETCH_SECONDS)
    except HTTPError as error:
        error.close()
        raise
    content = bytearray()
    with response:
        while chunk := response.read1(64 * 1024):
            content += chunk
            # The timeout above holds for each single read.
            if len(content) > MAX_BODY_BYTES or time.monotonic() > deadline:
                raise ValueError(f"{url!r} gives too much or too slowly")
    return bytes(content)
