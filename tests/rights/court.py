"""Callers of every kind, and the requests that they send: what the tests of this folder share."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import cached_property
from typing import Any
from urllib.parse import urlencode

from server.domain.account import Account, Claims, Scope
from server.domain.errors import SAME_ORIGIN_REQUIRED, SIGN_IN_UNAVAILABLE, Reason
from server.domain.organization import Role
from server.faces.own_pages import SESSION_COOKIE
from server.main import Service
from server.service.sessions import SESSION_PREFIX
from tests.conftest import GivenClock, World
from tests.faces.wire import CONNECT_JSON, PROTOCOLS, Answer, Wire, read_answer
from tests.oidc_issuer import Issuer, forge, new_key
from tests.rights.acts import GUEST, ROUTES, RPCS, Scene
from tests.rights.table import Row
from tests.stories.people import party, secret_of_user

CONNECT_GET = "connect-get"
"""Connect's way to read by GET, which is no protocol of its own."""

LONG_AGO = timedelta(days=1)

PEOPLE: Mapping[str, str] = {"stranger": "Eve", "member": "Bob", "admin": "Ada"}
"""Callers who may also show a JWT or be in a session, and who they are."""

OUR_PAGE: Mapping[str, str] = {"x-session": "cookie", "sec-fetch-site": "same-origin"}
"""What a browser sends beside the cookie from a page of ours."""

OTHER_PAGES: Mapping[str, Mapping[str, str]] = {
    "a page that doesn't say it is ours": {"sec-fetch-site": "same-origin"},
    "a page of another origin": {**OUR_PAGE, "origin": "https://evil.example.com"},
    "a page of another site": {**OUR_PAGE, "sec-fetch-site": "cross-site"},
}
"""What it sends from others; each lacks one alone of the signs by which pages of ours are known."""


class IssuersWorld(World):
    """A world whose people are known by the word of an issuer, so that JWTs and our tokens may be one person's."""

    def __init__(self, service: Service, clock: GivenClock, issuer: Issuer) -> None:
        super().__init__(service, clock)
        self.issuer = issuer

    def account(self, name: str) -> Account:
        said = self.said(name)
        claims = Claims(self.issuer.url, said["sub"], name, said["email"], email_verified=True)
        return self.service.authentication.account_of(claims)

    def said(self, name: str) -> dict[str, Any]:
        """Give what the issuer says of a person."""
        return {"sub": name.lower(), "name": name, "email": f"{name.lower()}@example.com", "email_verified": True}

    def jwt(self, name: str, **claims: Any) -> str:
        return self.issuer.mint(**self.said(name) | claims)


@dataclass
class Court:
    """The whole service, and callers of every kind."""

    world: IssuersWorld
    wire: Wire
    reason_of: Callable[[Answer], str]
    """Gives the reason that the service itself noted for the request that was sent last."""

    homes: list[Scene] = field(default_factory=list)
    """Organizations in which everybody is, and which none of the table's requests are about."""

    def settle(self) -> None:
        """Make Eve and Bob admins, with a link and an invitation, of organizations that Ada is a mere member of.

        These are two, so that nobody is in exactly one, which would then be theirs without being named.
        """
        for name in ("One", "Two"):
            home = Scene(self.world, party(self.world, "Eve", "Ada", "Bob", "Cora", name=f"{name} of all"), "Eve")
            self.world.service.organizations.set_role(
                self.world.call("Eve"), home.it.id, home.it.users["Bob"], Role.ADMIN
            )
            home.invited(GUEST)
            self.homes.append(home)

    def scene(self) -> Scene:
        with self.world.service.store.transaction():
            return Scene(self.world, party(self.world, "Ada", "Bob", "Cora"))

    def key(self, *scopes: Scope, only: tuple[str, ...] = ()) -> str:
        return self.world.service.backend_keys.issue("service", organization_ids=only, scopes=scopes)[0]

    def account_token(self, name: str, **options: Any) -> str:
        given = {"description": "", "expires_at": None} | options
        return self.world.service.tokens.issue(self.world.account(name), **given)[0]

    def token(self, caller: str, scene: Scene) -> str | None:
        """Give what a kind of caller shows; None is nothing."""
        it, world = scene.it, self.world
        makers: dict[str, Callable[[], str | None]] = {
            "nobody": lambda: None,
            "wrong": lambda: "orgsvc_nothing",
            "newcomer": lambda: world.jwt(f"New{secrets.token_hex(8)}"),
            "stranger": lambda: self.account_token("Eve"),
            "member": lambda: self.account_token("Bob"),
            "admin": lambda: self.account_token("Ada"),
            "reader": lambda: self.account_token("Ada", read_only=True),
            "member token": lambda: secret_of_user(world, "Bob", it.users["Bob"]),
            "admin token": lambda: secret_of_user(world, "Ada", it.users["Ada"]),
            "elsewhere": lambda: secret_of_user(world, "Ada", party(world, "Ada", name="Elsewhere").users["Ada"]),
            "key": self.key,
            "key elsewhere": lambda: self.key(only=(party(world, "Ada", name="Elsewhere").id,)),
        }
        with world.service.store.transaction():
            return makers[caller]()

    @cached_property
    def opening_nothing(self) -> Mapping[str, str]:
        """A token of each kind that `WRONG` has."""
        world, service, past = self.world, self.world.service, self.world.clock() - LONG_AGO
        it, gone = party(world, "Ada", "Bob", "Cora"), party(world, "Ada")
        of_leaver = secret_of_user(world, "Cora", it.users["Cora"])
        of_dead = secret_of_user(world, "Ada", gone.users["Ada"])
        it.leave("Cora")
        service.organizations.delete(world.call("Ada"), gone.id)

        def of_user(**options: Any) -> str:
            return self.account_token("Ada", organization_id=it.id, **options)

        def revoked(revoke: Callable[[str], bool], secret: str) -> str:
            assert revoke(secret)
            return secret

        seconds = int(world.clock().timestamp())
        unsigned = forge({"alg": "none", "typ": "JWT"}, world.issuer.claims(**world.said("Ada")), lambda _text: b"")
        return {
            "what is no token at all": "a.b.c",
            "a token that nobody has": f"orgsvc_{secrets.token_urlsafe(32)}",
            "a backend key that nobody has": f"orgkey_{secrets.token_urlsafe(32)}",
            "an account's token that has expired": self.account_token("Ada", expires_at=past),
            "an account's token that was revoked": revoked(service.tokens.revoke, self.account_token("Ada")),
            "a user's token that has expired": of_user(expires_at=past),
            "a user's token that was revoked": revoked(service.tokens.revoke, of_user()),
            "a token of a user who left the organization": of_leaver,
            "a token of a user of an organization that was deleted": of_dead,
            "a backend key that has expired": service.backend_keys.issue("old", expires_at=past)[0],
            "a backend key that was revoked": revoked(service.backend_keys.revoke, self.key()),
            "the secret of a session, which counts in its cookie alone": service.sessions.start(
                world.account("Ada")
            ).secret,
            "a JWT that has expired": world.jwt("Ada", iat=seconds - 7200, exp=seconds - 3600),
            "a JWT that isn't valid yet": world.jwt("Ada", nbf=seconds + 3600, exp=seconds + 7200),
            "a JWT for another audience": world.jwt("Ada", aud="another service"),
            "a JWT of another issuer": world.jwt("Ada", iss="https://login.example.com"),
            "a JWT signed by another": world.jwt("Ada", key=new_key(kid=world.issuer.keys[0].kid)),
            "a JWT without a signature": unsigned,
            "a JWT of nobody": world.jwt("Ada", sub=None),
        }

    def session(self, name: str) -> dict[str, str]:
        """Give what the browser of a person who has signed in sends from any page."""
        return cookie(self.world.service.sessions.start(self.world.account(name)).secret)

    def ended_sessions(self, name: str) -> Mapping[str, dict[str, str]]:
        """Give what browsers send whose session is none, or none any more."""
        sessions, account = self.world.service.sessions, self.world.account(name)
        out = sessions.start(account).secret
        sessions.end(out)
        expired = replace(sessions, life=-LONG_AGO).start(account).secret
        unknown = SESSION_PREFIX + secrets.token_urlsafe(32)
        return {"signed out": cookie(out), "expired": cookie(expired), "unknown": cookie(unknown)}

    def request(self, row: Row, scene: Scene, protocol: str = CONNECT_JSON) -> Callable[..., Answer]:
        """Make the request of an operation, which may then be sent with a token or other headers.

        The protocol is that of an RPC; the plain HTTP faces have only their own.
        """
        if row.operation in RPCS:
            message = RPCS[row.operation](scene)
            return lambda token=None, **headers: self.call(row, message, token, protocol, headers)
        line, body = (make(scene) for make in ROUTES[row.operation])
        method, _, target = line.partition(" ")
        path, _, query = target.partition("?")
        content = b"" if body is None else json.dumps(body).encode()

        def send(token: str | None = None, **headers: str) -> Answer:
            credentials = {} if token is None else {"authorization": f"Bearer {token}"}
            # Clerk's errors have the request's id in their body.
            sent = {"x-request-id": "one"} | credentials | headers
            return self.wire.http(path, content, sent, http_method=method, query=query)

        return send

    def call(
        self, row: Row, message: dict[str, Any], token: str | None, protocol: str, headers: Mapping[str, str]
    ) -> Answer:
        name = row.operation.partition(" ")[0]
        if protocol != CONNECT_GET:
            return self.wire.call(protocol, name, message, token=token, headers=headers)
        query = urlencode({"connect": "v1", "encoding": "json", "message": json.dumps(message)})
        credentials = {} if token is None else {"authorization": f"Bearer {token}"}
        path = f"/{self.wire.method(name).service_name}/{name}"
        answer = self.wire.http(path, headers={**credentials, **headers}, http_method="GET", query=query)
        return read_answer(CONNECT_JSON, answer)

    def in_session(self, row: Row, caller: str, protocol: str) -> dict[str, str]:
        """Send a request with the cookie of one live session, and give the reasons by what else it comes with.

        Our page is the last, for it may end the session.
        """
        cookie, send = self.session(PEOPLE[caller]), self.request(row, self.scene(), protocol)
        reasons = {page: self.reason(send(**cookie, **signs)) for page, signs in OTHER_PAGES.items()}
        reasons["a token that opens nothing"] = self.reason(send("orgsvc_nothing", **cookie, **OUR_PAGE))
        return reasons | {"our page": self.reason(send(**cookie, **OUR_PAGE))}

    def protocols(self, row: Row) -> tuple[str, ...]:
        """Give the protocols in which an operation can be asked for; plain HTTP counts as Connect's JSON."""
        if row.operation not in RPCS:
            return (CONNECT_JSON,)
        reads = self.wire.reads(row.operation.partition(" ")[0])
        return (*PROTOCOLS, CONNECT_GET) if reads else PROTOCOLS

    def send(self, row: Row, scene: Scene, token: str | None) -> Answer:
        return self.request(row, scene)(token)

    def reason(self, answer: Answer) -> str:
        """Give the reason that the service itself noted for the request just sent."""
        refused = self.reason_of(answer)
        assert bool(refused) is (answer.status >= 300 or answer.code != "ok"), answer
        return refused


def expected_in_session(row: Row, caller: str) -> dict[str, str]:
    """Give the reasons that `Court.in_session` must give, where no way to sign in is set up."""
    nobody = row.answers["nobody"]
    if nobody is SAME_ORIGIN_REQUIRED:
        # For pages alone.
        ours = None if row.operation == "SignOut" else SIGN_IN_UNAVAILABLE
    else:
        # The plain HTTP faces are for backends: they never look at a cookie.
        ours = row.answers[caller] if row.operation in RPCS else nobody
    reasons = dict.fromkeys(OTHER_PAGES, nobody)
    reasons |= {"a token that opens nothing": row.answers["wrong"], "our page": ours}
    return {what: name_of(reason) for what, reason in reasons.items()}


def cookie(secret: str) -> dict[str, str]:
    return {"cookie": f"{SESSION_COOKIE}={secret}"}


def name_of(reason: Reason | None) -> str:
    return "" if reason is None else reason.name
