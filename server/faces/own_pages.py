"""Requests of the service's own pages: the only ones for which a cookie counts.

A browser sends a cookie along with whatever request any page makes it send. So a cookie counts only where three things
say that it was a page of ours: a header that no foreign page can set without being asked first (CORS never allows it),
the origin, and what the browser says of where the request comes from.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import urlsplit

from server.domain.errors import SAME_ORIGIN_REQUIRED, ServiceError
from server.domain.hosts import is_this_machine

SESSION_COOKIE = "__Host-session"
SIGN_IN_COOKIE = "__Host-sign-in"
_PORT = re.compile(r":[0-9]+$")


def cookie(headers: Mapping[str, str], name: str) -> str:
    """Give the value of a cookie; empty where there is none."""
    for pair in headers.get("cookie", "").split(";"):
        key, _, value = pair.strip().partition("=")
        if key == name:
            return value
    return ""


def set_cookie(name: str, value: str, seconds: int) -> str:
    """Give the header that sets a cookie for so many seconds, or removes it with 0.

    The prefix `__Host-` makes browsers insist on `Secure` and `Path=/` without a domain: no other host can set it.
    """
    return f"{name}={value}; Path=/; Max-Age={seconds}; HttpOnly; Secure; SameSite=Lax"


class OwnPages:
    """Knows requests of the pages at `public_url` (empty where that isn't known), or at the host that was asked."""

    def __init__(self, public_url: str = "") -> None:
        url = urlsplit(public_url)
        self._origin = f"{url.scheme}://{url.netloc}".lower() if url.netloc else ""

    def session(self, headers: Mapping[str, str]) -> str:
        """Give the secret of the session that a request is made in; empty where it has none that counts."""
        if "cookie" not in headers or "authorization" in headers or not self.sent(headers):
            return ""
        return cookie(headers, SESSION_COOKIE)

    def require(self, headers: Mapping[str, str]) -> None:
        """Refuse (`SAME_ORIGIN_REQUIRED`) what no page of ours has sent."""
        if not self.sent(headers):
            raise ServiceError(SAME_ORIGIN_REQUIRED)

    def sent(self, headers: Mapping[str, str]) -> bool:
        """Tell whether a page of ours sent a request."""
        return (
            headers.get("x-session") == "cookie"
            and headers.get("sec-fetch-site", "same-origin") == "same-origin"
            and self._is_ours(headers.get("origin"), headers.get("host", ""))
        )

    def _is_ours(self, origin: str | None, host: str) -> bool:
        if origin is None:
            return True
        origin, host = origin.lower(), host.lower()
        if origin == self._origin or origin == f"https://{host}":
            return True
        # Without TLS anybody on the way could be the page, except on this machine.
        return origin == f"http://{host}" and is_this_machine(_PORT.sub("", host).strip("[]"))
