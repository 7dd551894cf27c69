"""`invitations.v1.SessionService`, and the page that the sign-in provider sends browsers back to.

What sets or clears a cookie is only done for the service's own pages: a foreign page could otherwise sign a visitor in
as somebody else. These methods take no Idempotency-Key: an answer that is kept would hold a session.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlencode

from connectrpc.request import RequestContext

from gen.invitations.v1 import session_pb as pb
from gen.invitations.v1.session_connect import SessionServiceSync
from server.domain.errors import SIGN_IN_EXPIRED, ServiceError
from server.domain.session import SignInMethods
from server.faces.connect import current_call, refuse, require_admitted, timestamp
from server.faces.exchange import current_exchange
from server.faces.own_pages import SESSION_COOKIE, SIGN_IN_COOKIE, OwnPages, cookie, set_cookie
from server.service.authentication import Authentication
from server.service.sessions import Sessions, SignedIn
from server.service.sign_in import PROVIDER_SIGN_IN_LIFE, SignIn

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

Context = RequestContext[Any, Any]

CALLBACK_PATH = "/sign-in/callback"


def _signed_in(signed_in: SignedIn) -> pb.SignedIn:
    account = signed_in.account
    return pb.SignedIn(
        account_id=account.id,
        name=account.name,
        email=account.email,
        email_verified=account.email_verified,
        avatar_url=account.avatar_url,
        expires_at=timestamp(signed_in.session.expires_at),
    )


def _methods(methods: SignInMethods) -> pb.SignInMethods:
    return pb.SignInMethods(provider=methods.provider, email_code=methods.email_code, code_in_log=methods.code_in_log)


def _session_cookie(signed_in: SignedIn) -> str:
    life = signed_in.session.expires_at - signed_in.session.created_at
    return set_cookie(SESSION_COOKIE, signed_in.secret, int(life.total_seconds()))


class SessionServicer(SessionServiceSync):
    """`invitations.v1.SessionService`."""

    def __init__(self, sign_in: SignIn, sessions: Sessions, authentication: Authentication, pages: OwnPages) -> None:
        self._sign_in = sign_in
        self._sessions = sessions
        self._authentication = authentication
        self._pages = pages

    def get_session(self, _request: pb.GetSessionRequest, ctx: Context, /) -> pb.GetSessionResponse:
        """See the contract."""
        ctx.response_headers["cache-control"] = "no-store"
        secret = self._pages.session(ctx.request_headers)
        signed_in = self._sessions.find(secret) if secret else None
        return pb.GetSessionResponse(
            signed_in=_signed_in(signed_in) if signed_in else None, methods=_methods(self._sign_in.options.methods)
        )

    def begin_provider_sign_in(
        self, request: pb.BeginProviderSignInRequest, ctx: Context, /
    ) -> pb.BeginProviderSignInResponse:
        """See the contract."""
        self._pages.require(ctx.request_headers)
        url, sealed = self._sign_in.begin(request.return_path, choose_account=request.choose_account)
        seconds = int(PROVIDER_SIGN_IN_LIFE.total_seconds())
        ctx.response_headers.add("set-cookie", set_cookie(SIGN_IN_COOKIE, sealed, seconds))
        return pb.BeginProviderSignInResponse(authorization_url=url)

    def send_sign_in_code(self, request: pb.SendSignInCodeRequest, ctx: Context, /) -> pb.SendSignInCodeResponse:
        """See the contract."""
        self._pages.require(ctx.request_headers)
        current_call().limits.code(current_exchange.get().address)
        code = self._sign_in.send_code(request.email, request.locale)
        return pb.SendSignInCodeResponse(code_id=code.id, expires_at=timestamp(code.expires_at))

    def sign_in_with_code(self, request: pb.SignInWithCodeRequest, ctx: Context, /) -> pb.SignInWithCodeResponse:
        """See the contract."""
        self._pages.require(ctx.request_headers)
        earlier = cookie(ctx.request_headers, SESSION_COOKIE)
        signed_in = self._sign_in.with_code(request.code_id.lower(), request.code, earlier=earlier)
        ctx.response_headers.add("set-cookie", _session_cookie(signed_in))
        return pb.SignInWithCodeResponse(signed_in=_signed_in(signed_in))

    def sign_out(self, request: pb.SignOutRequest, ctx: Context, /) -> pb.SignOutResponse:
        """See the contract."""
        self._pages.require(ctx.request_headers)
        secret = self._pages.session(ctx.request_headers)
        if secret:
            self._sessions.end(secret, everywhere=request.everywhere)
            self._authentication.forget_session(secret)
        ctx.response_headers.add("set-cookie", set_cookie(SESSION_COOKIE, "", 0))
        return pb.SignOutResponse()


def callback(sign_in: SignIn) -> WSGIApplication:
    """Give the application at `CALLBACK_PATH`: it signs the browser in, and sends it on to where it began.

    A GET that changes something, as the protocol has it; but only for the browser that holds the cookie of this very
    sign-in. Whoever else opens the address, such as a mail scanner, changes nothing.
    """
    base = sign_in.options.base_path

    def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        if environ["REQUEST_METHOD"] != "GET":
            return _answer(start_response, "405 Method Not Allowed", [("allow", "GET")])
        held = {"cookie": environ.get("HTTP_COOKIE", "")}
        sealed = cookie(held, SIGN_IN_COOKIE)
        cookies = [set_cookie(SIGN_IN_COOKIE, "", 0)]
        try:
            # Too many, or too late: the provider isn't asked either.
            require_admitted()
            if not sealed:
                raise ServiceError(SIGN_IN_EXPIRED)
            answer = _parameters(environ.get("QUERY_STRING", ""))
            signed_in, location = sign_in.finish(sealed, answer, earlier=cookie(held, SESSION_COOKIE))
            cookies.append(_session_cookie(signed_in))
        except Exception as error:  # noqa: BLE001 # a page of ours tells the person
            refusal = refuse(error)
            asked = {"error": refusal.reason.name, "return": sign_in.way_back(sealed).removeprefix(base)}
            location = f"{base}/sign-in?{urlencode({name: value for name, value in asked.items() if value})}"
            if refusal.reason is SIGN_IN_EXPIRED:
                # Not the answer to what this browser has begun, which may still come.
                cookies = []
        return _answer(start_response, "303 See Other", [("location", location), *(("set-cookie", c) for c in cookies)])

    return application


def _parameters(query: str) -> dict[str, str]:
    """Give the parameters of a query; one that is given twice is none (RFC 6749, 3.1)."""
    try:
        given = parse_qs(query, max_num_fields=32)
    except ValueError:
        return {}
    return {name: values[0] for name, values in given.items() if len(values) == 1}


def _answer(start_response: StartResponse, status: str, headers: list[tuple[str, str]]) -> Iterable[bytes]:
    safe = [
        ("content-length", "0"),
        ("cache-control", "no-store"),
        ("referrer-policy", "no-referrer"),
        ("content-security-policy", "default-src 'none'"),
        ("x-content-type-options", "nosniff"),
    ]
    start_response(status, [*safe, *headers])
    return [b""]
