"""The page that invitation mails link to: three static files, and the headers that keep everything else out of it."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

_HERE = Path(__file__).parent

_FILES = {
    "/invitations": ("invitations.html", "text/html"),
    "/invitations/page.js": ("invitations.js", "text/javascript"),
    "/invitations/page.css": ("pages.css", "text/css"),
}

_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none';"
    " frame-ancestors 'none'"
)

_HEADERS = [
    ("content-security-policy", _POLICY),
    ("referrer-policy", "no-referrer"),
    ("x-content-type-options", "nosniff"),
    ("cache-control", "no-store"),
]


def invitation_page() -> WSGIApplication:
    """Give the application that answers `/invitations` and what stands below it. It only reads, whatever is asked."""
    files = {path: ((_HERE / name).read_bytes(), kind) for path, (name, kind) in _FILES.items()}

    def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        status, more = "200 OK", []
        body, kind = files.get(environ["PATH_INFO"], (None, "text/plain"))
        if body is None:
            status, body = "404 Not Found", b"There is nothing at this path.\n"
        elif environ["REQUEST_METHOD"] not in ("GET", "HEAD"):
            status, body, kind = "405 Method Not Allowed", b"This page is only read.\n", "text/plain"
            more = [("allow", "GET, HEAD")]
        length = ("content-length", str(len(body)))
        start_response(status, [("content-type", f"{kind}; charset=utf-8"), length, *_HEADERS, *more])
        return [b"" if environ["REQUEST_METHOD"] == "HEAD" else body]

    return application
