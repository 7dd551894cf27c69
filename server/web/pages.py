"""The pages that people open in a browser: files that `build.mjs` made, and headers that keep everything else out.

Each page is one HTML shell, whatever the rest of its path; what it shows it asks from the service's own contract.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from werkzeug.http import parse_accept_header

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

BUILT = Path(__file__).parent / "static"
"""Where `build.mjs` puts what it makes."""

SEGMENTS = ("", "invite", "invitations", "sign-in", "console", "assets")
"""What the paths of pages and their files begin with."""

_SHELLS = (
    (re.compile(r"/invite(/[^/]*)?"), "invite.html"),
    (re.compile(r"/invitations/?"), "invitations.html"),
    (re.compile(r"/sign-in/?"), "sign-in.html"),
    (re.compile(r"/console(/.*)?"), "console.html"),
)

_KINDS = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}
_ENCODINGS = {"br": ".br", "gzip": ".gz"}

_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "connect-src 'self'",
        "img-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
        "require-trusted-types-for 'script'",
        "trusted-types 'none'",
    )
)

_HEADERS = [
    ("content-security-policy", _POLICY),
    ("cross-origin-opener-policy", "same-origin"),
    ("cross-origin-resource-policy", "same-origin"),
    ("permissions-policy", "camera=(), geolocation=(), microphone=(), payment=(), usb=()"),
    ("referrer-policy", "no-referrer"),
    ("x-content-type-options", "nosniff"),
]

_NOT_KEPT = ("cache-control", "no-store")
# The name holds a hash of the content, so another content has another name.
_KEPT = ("cache-control", "public, max-age=31536000, immutable")


@dataclass(frozen=True, slots=True)
class _Answer:
    status: str
    body: bytes
    headers: tuple[tuple[str, str], ...]


def are_built(built: Path = BUILT) -> bool:
    """Tell whether there are pages to answer with; `pages` works without."""
    return all((built / name).is_file() for _, name in _SHELLS)


def pages(built: Path = BUILT) -> WSGIApplication:
    """Give the application that answers below `SEGMENTS`. It only reads, whatever is asked.

    Where nothing is built, each page says with status 503 how to build it; everything else works without pages.
    """
    shells = {file.name: file.read_text(encoding="utf-8") for file in built.glob("*.html")}
    assets = _assets(built / "assets")

    def answer(path: str, environ: WSGIEnvironment) -> _Answer:
        if environ["REQUEST_METHOD"] not in ("GET", "HEAD"):
            return _sentence("405 Method Not Allowed", "This page is only read.", ("allow", "GET, HEAD"))
        if path == "/":
            return _sentence("302 Found", "The console is at /console.", ("location", "console"))
        if path.startswith("/assets/"):
            encodings = assets.get(path.removeprefix("/assets/"))
            return _negotiated(encodings, environ) if encodings else _NOTHING
        name = next((name for pattern, name in _SHELLS if pattern.fullmatch(path)), None)
        if name is None:
            return _NOTHING
        return _shell(shells[name], path) if name in shells else _MISSING

    def application(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        given = answer(environ["PATH_INFO"], environ)
        length = ("content-length", str(len(given.body)))
        start_response(given.status, [*given.headers, length, *_HEADERS])
        return [b"" if environ["REQUEST_METHOD"] == "HEAD" else given.body]

    return application


def _assets(directory: Path) -> dict[str, dict[str, _Answer]]:
    """Read the files: by name, and by the encoding that they are sent in."""
    found: dict[str, dict[str, _Answer]] = {}
    for file in directory.glob("*"):
        if file.suffix not in _KINDS:
            continue
        headers = (("content-type", f"{_KINDS[file.suffix]}; charset=utf-8"), _KEPT, ("vary", "accept-encoding"))
        found[file.name] = {"identity": _Answer("200 OK", file.read_bytes(), headers)}
        for encoding, suffix in _ENCODINGS.items():
            compressed = file.with_name(file.name + suffix).read_bytes()
            found[file.name][encoding] = _Answer("200 OK", compressed, (*headers, ("content-encoding", encoding)))
    return found


def _negotiated(encodings: dict[str, _Answer], environ: WSGIEnvironment) -> _Answer:
    """Give a file in the smallest encoding that the client takes."""
    accepted = parse_accept_header(environ.get("HTTP_ACCEPT_ENCODING", ""))
    best = next((name for name in _ENCODINGS if accepted.quality(name) > 0), "identity")
    return encodings[best]


def _shell(text: str, path: str) -> _Answer:
    """Give a page. Its links are relative, so that it works behind a proxy that serves us below a path."""
    body = text.replace("%root%", "../" * (path.count("/") - 1)).encode()
    return _Answer("200 OK", body, (("content-type", "text/html; charset=utf-8"), _NOT_KEPT))


def _sentence(status: str, sentence: str, *headers: tuple[str, str]) -> _Answer:
    title = status.partition(" ")[2]
    text = f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title><p>{sentence}</p></html>\n'
    return _Answer(status, text.encode(), (("content-type", "text/html; charset=utf-8"), _NOT_KEPT, *headers))


_NOTHING = _sentence("404 Not Found", "There is nothing at this path.")
_MISSING = _sentence(
    "503 Service Unavailable",
    "The web pages of this service are missing: they weren't built when it was installed. Its operator builds them with"
    " Node.js by <code>make install</code>, or installs the wheel, which carries them, and starts the service again."
    " Its API works without them.",
)
