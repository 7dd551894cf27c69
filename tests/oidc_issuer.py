"""A real OpenID Connect issuer on this machine, for tests.

    with issuer() as accounts:
        token = accounts.mint(sub="ada", aud="our-service")

It serves discovery and keys over HTTP, counts what it is asked, and can be rotated, taken down or slowed while it
runs. Its tokens can say anything, also what no honest issuer would say.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
import threading
import time
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, unquote_plus, urlencode

from joserfc.jwk import ECKey, Key, OKPKey, RSAKey
from joserfc.jws import JWSRegistry

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Iterator

DISCOVERY_PATH = "/.well-known/openid-configuration"
JWKS_PATH = "/keys"
AUTHORIZATION_PATH, TOKEN_PATH, USERINFO_PATH = "/authorize", "/token", "/userinfo"
AUDIENCE = "organization-service"
"""The audience of a minted token unless another is said."""

_CURVES = {"ES256": "P-256", "ES384": "P-384", "ES512": "P-521"}


@dataclass(frozen=True)
class SigningKey:
    """A private key and what the issuer publishes of it. `published` may be given to say something untrue."""

    alg: str
    kid: str
    private: Key
    published: dict[str, Any] = field(default_factory=dict)

    def jwk(self) -> dict[str, Any]:
        """Give the public key as a JWK; a member that `published` sets to None is left out."""
        jwk = {**self.private.as_dict(private=False), "kid": self.kid, "use": "sig", "alg": self.alg}
        jwk.update(self.published)
        return {name: value for name, value in jwk.items() if value is not None}

    def sign(self, signing_input: bytes, alg: str | None = None) -> bytes:
        """Sign with any algorithm that suits the key."""
        algorithm = JWSRegistry.algorithms[alg or self.alg]
        return algorithm.sign(signing_input, self.private)


def new_key(alg: str = "ES256", kid: str = "", published: dict[str, Any] | None = None) -> SigningKey:
    """Make a key that nobody else has; an RSA one takes about a tenth of a second."""
    private: Key
    if alg in _CURVES:
        private = ECKey.generate_key(_CURVES[alg])
    elif alg == "EdDSA":
        private = OKPKey.generate_key("Ed25519")
    else:
        private = RSAKey.generate_key(2048)
    return SigningKey(alg, kid or f"key-{next(_numbers)}", private, published or {})


_numbers = count(1)


def segment(value: object) -> str:
    """Encode one part of a token: bytes as they are, other things as JSON."""
    data = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def forge(header: object, claims: object, sign: Callable[[bytes], bytes]) -> str:
    """Put any header, claims and signature together."""
    signing_input = f"{segment(header)}.{segment(claims)}"
    return f"{signing_input}.{segment(sign(signing_input.encode()))}"


def hs256(secret: bytes) -> Callable[[bytes], bytes]:
    """Sign with a shared secret, whatever it is (joserfc refuses public keys here, an attacker's tool doesn't)."""
    return lambda signing_input: hmac.new(secret, signing_input, hashlib.sha256).digest()


@dataclass
class Issuer:
    """A running issuer. Its attributes may be set at any time.

    `down`: connections are closed without an answer. `delay_seconds`: how long it thinks before each answer;
    `byte_seconds`: how long before each byte of a body.
    People sign in at it too (code flow with PKCE): whoever comes is `person`. `client_secrets` are those of clients by
    their ids, the others are public. `in_userinfo` are claims that only userinfo tells; `id_token` overrides claims.
    `discovery` overrides members of the discovery document; `answers` overrides whole answers by path:
    (status, headers, body). `asked` counts the requests by path.
    """

    url: str
    keys: list[SigningKey]
    clock: Callable[[], float] = time.time
    down: bool = False
    delay_seconds: float = 0.0
    byte_seconds: float = 0.0
    discovery: dict[str, Any] = field(default_factory=dict)
    answers: dict[str, tuple[int, dict[str, str], bytes]] = field(default_factory=dict)
    asked: Counter[str] = field(default_factory=Counter)
    closing: threading.Event = field(default_factory=threading.Event)
    client_secrets: dict[str, str] = field(default_factory=dict)
    person: dict[str, Any] = field(default_factory=lambda: {"sub": "ada", "name": "Ada", "email": "ada@example.com"})
    in_userinfo: tuple[str, ...] = ()
    id_token: dict[str, Any] = field(default_factory=dict)
    begun: dict[str, dict[str, str]] = field(default_factory=dict)

    @property
    def fetches(self) -> int:
        """How often somebody began to fetch the keys."""
        return self.asked[DISCOVERY_PATH]

    def rotate(self, alg: str | None = None, *, keep_old: bool = False) -> SigningKey:
        """Sign with a new key from now on, and publish it with or without the older ones."""
        key = new_key(alg or self.keys[0].alg)
        self.keys = [key, *(self.keys if keep_old else [])]
        return key

    def claims(self, **claims: Any) -> dict[str, Any]:
        """Give the claims of a good token, changed; a claim that is None is left out."""
        now = int(self.clock())
        good = {"iss": self.url, "aud": AUDIENCE, "sub": "ada", "iat": now, "exp": now + 300}
        return {name: value for name, value in {**good, **claims}.items() if value is not None}

    def mint(self, *, header: dict[str, Any] | None = None, key: SigningKey | None = None, **claims: Any) -> str:
        """Give a token signed by `key`, or by the issuer's newest. Claims and members that are None are left out.

        With an `alg` in `header` it is signed so; it must suit the key (`forge` puts anything together).
        """
        key = key or self.keys[0]
        whole = {"alg": key.alg, "kid": key.kid, "typ": "JWT", **(header or {})}
        whole = {name: value for name, value in whole.items() if value is not None}
        return forge(whole, self.claims(**claims), lambda text: key.sign(text, whole.get("alg")))

    def answer(self, path: str) -> tuple[int, dict[str, str], bytes]:
        """Give status, headers and body for a path."""
        if path in self.answers:
            return self.answers[path]
        as_json = {"Content-Type": "application/json"}
        if path == DISCOVERY_PATH:
            document = {
                "issuer": self.url,
                "jwks_uri": self.url + JWKS_PATH,
                "authorization_endpoint": self.url + AUTHORIZATION_PATH,
                "token_endpoint": self.url + TOKEN_PATH,
                "userinfo_endpoint": self.url + USERINFO_PATH,
                **self.discovery,
            }
            return 200, as_json, json.dumps(document).encode()
        if path == JWKS_PATH:
            return 200, as_json, json.dumps({"keys": [key.jwk() for key in self.keys]}).encode()
        return 404, {}, b""

    # Signing in.

    def authorize(self, query: str) -> tuple[int, dict[str, str], bytes]:
        """Send a browser back with a code for whoever `person` is."""
        asked = dict(parse_qsl(query))
        assert asked["response_type"] == "code"
        assert asked["code_challenge_method"] == "S256"
        assert {"openid", "email", "profile"} == set(asked["scope"].split())
        code = secrets.token_urlsafe(16)
        self.begun[code] = asked
        back = urlencode({"code": code, "state": asked["state"], "iss": self.url})
        return 302, {"Location": f"{asked['redirect_uri']}?{back}"}, b""

    def tokens(self, form: dict[str, str], authorization: str) -> tuple[int, dict[str, str], bytes]:
        """Exchange a code, once, for who can prove to have begun."""
        as_json = {"Content-Type": "application/json"}
        begun = self.begun.pop(form.get("code", ""), None)
        client, secret = form.get("client_id", ""), ""
        if authorization.startswith("Basic "):
            client, _, secret = base64.b64decode(authorization.removeprefix("Basic ")).decode().partition(":")
            client, secret = unquote_plus(client), unquote_plus(secret)
        if self.client_secrets.get(client, "") != secret:
            return 401, as_json, b'{"error": "invalid_client"}'
        challenge = segment(hashlib.sha256(form.get("code_verifier", "").encode()).digest())
        asked = {"client_id": client, "redirect_uri": form.get("redirect_uri"), "code_challenge": challenge}
        if begun is None or form.get("grant_type") != "authorization_code" or not begun.items() >= asked.items():
            return 400, as_json, b'{"error": "invalid_grant"}'
        told = {name: value for name, value in self.person.items() if name not in self.in_userinfo}
        id_token = self.mint(**{"aud": client, "nonce": begun["nonce"], **told, **self.id_token})
        answer = {"access_token": "opens userinfo", "token_type": "Bearer", "id_token": id_token}
        return 200, as_json, json.dumps(answer).encode()

    def userinfo(self, authorization: str) -> tuple[int, dict[str, str], bytes]:
        """Tell of the person."""
        if authorization != "Bearer opens userinfo":
            return 401, {}, b""
        return 200, {"Content-Type": "application/json"}, json.dumps(self.person).encode()


@contextmanager
def issuer(
    alg: str = "ES256", clock: Callable[[], float] = time.time, tls: ssl.SSLContext | None = None
) -> Iterator[Issuer]:
    """Run an issuer on a free port of the loopback, by https if `tls` is given.

    `clock` gives the seconds since 1970 that its tokens go by.
    """
    server = _Server(("127.0.0.1", 0), _Handler)
    if tls:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    scheme = "https" if tls else "http"
    server.issuer = Issuer(f"{scheme}://127.0.0.1:{server.server_port}", [new_key(alg)], clock)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield server.issuer
    finally:
        server.issuer.closing.set()
        server.shutdown()
        server.server_close()
        thread.join()


class _Server(ThreadingHTTPServer):
    issuer: Issuer
    counting = threading.Lock()

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing about a client that hung up."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def do_GET(self) -> None:
        issuer = self.server.issuer
        path, _, query = self.path.partition("?")
        authorization = self.headers.get("authorization", "")
        own = {
            AUTHORIZATION_PATH: lambda: issuer.authorize(query),
            USERINFO_PATH: lambda: issuer.userinfo(authorization),
        }
        self._answer(path, own.get(path, lambda: issuer.answer(path)))

    def do_POST(self) -> None:
        form = dict(parse_qsl(self.rfile.read(int(self.headers.get("content-length", "0"))).decode()))
        authorization = self.headers.get("authorization", "")
        self._answer(self.path, lambda: self.server.issuer.tokens(form, authorization))

    def _answer(self, path: str, own: Callable[[], tuple[int, dict[str, str], bytes]]) -> None:
        issuer = self.server.issuer
        with self.server.counting:
            issuer.asked[path] += 1
        if issuer.delay_seconds:
            issuer.closing.wait(issuer.delay_seconds)
        if issuer.down or issuer.closing.is_set():
            self.close_connection = True
            return
        status, headers, body = issuer.answers[path] if path in issuer.answers else own()
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        for part in (body[i : i + 1] for i in range(len(body))) if issuer.byte_seconds else (body,):
            issuer.closing.wait(issuer.byte_seconds)
            self.wfile.write(part)

    def log_message(self, *_: object) -> None:
        """Keep quiet: pytest shows what matters."""
