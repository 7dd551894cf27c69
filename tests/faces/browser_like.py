"""What a page of ours sends, and what a browser keeps of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from tests.faces.wire import CONNECT_JSON, Answer, Wire

ORIGIN = "http://localhost:8080"
SESSIONS = "invitations.v1.SessionService"


@dataclass
class Page:
    """A page of the service in somebody's browser, with its cookies."""

    wire: Wire
    cookies: dict[str, str] = field(default_factory=dict)

    @property
    def headers(self) -> dict[str, str]:
        """Give the headers that the browser sends along with a request of the page."""
        sent = {"x-session": "cookie", "origin": ORIGIN, "sec-fetch-site": "same-origin"}
        return sent | ({"cookie": self.cookie} if self.cookies else {})

    @property
    def cookie(self) -> str:
        return "; ".join(f"{name}={value}" for name, value in self.cookies.items())

    def call(self, method: str, request: dict[str, Any] | None = None, **options: Any) -> Answer:
        """Call a method, and keep the cookies that come with the answer."""
        answer = self.wire.call(options.pop("protocol", CONNECT_JSON), method, request, headers=self.headers, **options)
        return self.keep(answer)

    def visit(self, path: str, query: str = "") -> Answer:
        """Open a page by a link from elsewhere: Lax cookies come along, headers of ours don't."""
        headers = {"cookie": self.cookie, "sec-fetch-site": "cross-site"}
        return self.keep(self.wire.http(path, b"", headers, http_method="GET", query=query))

    def keep(self, answer: Answer) -> Answer:
        for header in answer.set_cookies:
            pair, *attributes = header.split("; ")
            name, _, value = pair.partition("=")
            assert name.startswith("__Host-")
            assert {"Path=/", "HttpOnly", "Secure", "SameSite=Lax"} <= set(attributes)
            assert not any(attribute.startswith("Domain") for attribute in attributes)
            if "Max-Age=0" in attributes:
                self.cookies.pop(name, None)
            else:
                self.cookies[name] = value
        return answer

    def signed_in(self) -> dict[str, Any] | None:
        """Give who the service says is signed in."""
        said: dict[str, Any] = self.call("GetSession", {}).json()
        return said.get("signedIn")
