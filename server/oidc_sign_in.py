"""Signing in at an OpenID Connect provider: the code flow with PKCE (`ports.SignInProvider`).

Discovery, keys and the checks of a token are those of `oidc.py`; here stands what is asked of the provider.
"""

from __future__ import annotations

import base64
import hashlib
import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any
from urllib.error import HTTPError
from urllib.parse import quote_plus, urlencode

from server.domain.account import Claims
from server.domain.errors import ISSUER_UNAVAILABLE, SIGN_IN_REFUSED, ServiceError
from server.oidc import PAUSE_SECONDS, UNREADABLE, JwtVerifier, fetch_document, person, require_safe_url

Exchange = Callable[[str, bytes | None, Mapping[str, str]], bytes]
"""Gives the body that a URL answers to a body (POST; GET for None) with headers, or raises anything."""

SCOPES = "openid email profile"
_CHOOSE_ACCOUNT = ("https://accounts.google.com",)
"""Issuers that let people choose an account though their discovery says nothing of prompts. All others know `login`."""
_OF_PERSON = ("email", "email_verified", "name", "preferred_username", "picture")

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class OidcProvider:
    """The provider `issuer` of the verifier's, to which we are `client_id`.

    It sends browsers back to `redirect_uri`. Without a `client_secret` we are a public client.
    """

    verifier: JwtVerifier
    issuer: str
    client_id: str
    redirect_uri: str
    client_secret: str = field(default="", repr=False)
    exchange: Exchange = fetch_document

    def authorization_url(self, *, state: str, nonce: str, verifier: str, choose_account: bool) -> str:
        """See `ports.SignInProvider`."""
        url = self._endpoint("authorization_endpoint")
        challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).decode().rstrip("=")
        asked = {
            "response_type": "code",
            "client_id": self.client_id,
            "redirect_uri": self.redirect_uri,
            "scope": SCOPES,
            "state": state,
            "nonce": nonce,
            "code_challenge": challenge,
            "code_challenge_method": "S256",
        }
        if choose_account:
            asked["prompt"] = self._prompt()
        return f"{url}{'&' if '?' in url else '?'}{urlencode(asked)}"

    def claims(self, code: str, *, nonce: str, verifier: str) -> Claims:
        """See `ports.SignInProvider`."""
        try:
            tokens = self._tokens(code, verifier)
            id_token, access_token = _text(tokens["id_token"]), _text(tokens["access_token"])
            claims = self.verifier.verify_id_token(id_token, issuer=self.issuer, client_id=self.client_id, nonce=nonce)
            return person(claims | self._more(claims, access_token))
        except UNREADABLE as error:
            # The text may quote a token.
            log.warning("the sign-in provider's answer isn't right", extra={"error": type(error).__name__})
            raise ServiceError(SIGN_IN_REFUSED) from error

    def _prompt(self) -> str:
        """Give the prompt that asks who the person is: by a choice of accounts where the provider has one."""
        supported = self.verifier.discovery(self.issuer).get("prompt_values_supported")
        chooses = "select_account" in supported if isinstance(supported, list) else self.issuer in _CHOOSE_ACCOUNT
        return "select_account" if chooses else "login"

    def _tokens(self, code: str, verifier: str) -> dict[str, Any]:
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self.redirect_uri,
            "code_verifier": verifier,
        }
        headers = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"}
        if self.client_secret:
            # Each part encoded first (RFC 6749, 2.3.1).
            credentials = f"{quote_plus(self.client_id)}:{quote_plus(self.client_secret)}".encode()
            headers["Authorization"] = f"Basic {base64.b64encode(credentials).decode()}"
        else:
            form["client_id"] = self.client_id
        return self._asked("token_endpoint", urlencode(form).encode(), headers)

    def _more(self, claims: Mapping[str, Any], access_token: str) -> dict[str, Any]:
        """Give what userinfo says of the same person, where the ID token lacks the address."""
        if "email" in claims or "userinfo_endpoint" not in self.verifier.discovery(self.issuer):
            return {}
        headers = {"Authorization": f"Bearer {access_token}", "Accept": "application/json"}
        said = self._asked("userinfo_endpoint", None, headers)
        # Else it could be another's answer, put in the place of ours (OpenID Connect Core, 5.3.2).
        if said["sub"] != claims["sub"]:
            raise ValueError("userinfo of another person")
        return {name: said[name] for name in _OF_PERSON if name in said and name not in claims}

    def _asked(self, endpoint: str, body: bytes | None, headers: Mapping[str, str]) -> dict[str, Any]:
        try:
            answer = self.exchange(self._endpoint(endpoint), body, headers)
        except HTTPError as error:
            log.warning("the sign-in provider refuses", extra={"endpoint": endpoint, "status": error.code})
            if error.code < HTTPStatus.INTERNAL_SERVER_ERROR and error.code != HTTPStatus.TOO_MANY_REQUESTS:
                raise ServiceError(SIGN_IN_REFUSED) from error
            raise _unavailable() from error
        except ServiceError:
            raise
        except Exception as error:  # whatever goes wrong out there
            log.warning("the sign-in provider can't be asked", extra={"endpoint": endpoint, "error": repr(error)})
            raise _unavailable() from error
        content = json.loads(answer)
        if not isinstance(content, dict):
            raise TypeError("the answer is no object")
        return content

    def _endpoint(self, name: str) -> str:
        url = self.verifier.discovery(self.issuer).get(name)
        try:
            if not isinstance(url, str) or not url.isprintable() or "#" in url:
                raise ValueError(f"{url!r} is no URL of an endpoint")
            require_safe_url(url)
        except ValueError as error:
            log.warning("the sign-in provider's %s can't be used: %s", name, error)
            raise _unavailable() from error
        return url


def _text(value: object) -> str:
    """Give text that may stand in a header."""
    if not isinstance(value, str) or not value.isascii() or not value.isprintable():
        raise TypeError("a token is no text")
    return value


def _unavailable() -> ServiceError:
    return ServiceError(ISSUER_UNAVAILABLE, retry_after_seconds=PAUSE_SECONDS["no keys yet"])
