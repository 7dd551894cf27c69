"""How the pages are served: what they send along, in which encoding, and what is said where they aren't built."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from server.edge import Edge
from server.faces.refusing import RefusingApplication
from server.web.pages import SEGMENTS, pages
from tests.faces.wire import Wire
from tests.running import RunningServer
from tests.web.browser import built

SHELLS = ["/invite/3f0e7e1c-9d3c-4b52-8a11-2f64c7f2a111", "/invitations", "/sign-in", "/console", "/console/a/b"]
HEADERS = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self';"
    " img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none';"
    " require-trusted-types-for 'script'; trusted-types 'none'",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}


@pytest.fixture(scope="module", autouse=True)
def _built() -> None:
    built()


@pytest.fixture
def http(server: RunningServer) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=server.url, follow_redirects=False) as client:
        yield client


def _files(http: httpx.Client, path: str) -> list[str]:
    """The paths of the files that a page names, as a browser resolves them."""
    names = re.findall(r'(?:href|src)="([^"]+)"', http.get(path).text)
    return [httpx.URL(f"{http.base_url}{path}").join(name).path for name in names]


@pytest.mark.parametrize("path", SHELLS)
def test_a_page_and_its_files_come_with_headers_that_keep_everything_else_out(path: str, http: httpx.Client) -> None:
    files = _files(http, path)
    assert {Path(name).suffix for name in files} == {".js", ".css", ".svg"}
    for asked in [path, *files]:
        got, head = http.get(asked), http.head(asked)
        assert (got.status_code, head.status_code) == (200, 200), asked
        assert got.content
        assert head.content == b""
        for answer in (got, head):
            assert {name: answer.headers.get(name) for name in HEADERS} == HEADERS
            assert "set-cookie" not in answer.headers


@pytest.mark.parametrize("path", SHELLS)
def test_a_page_is_asked_for_each_time_and_its_files_once(path: str, http: httpx.Client) -> None:
    assert http.get(path).headers["cache-control"] == "no-store"
    for name in _files(http, path):
        assert re.search(r"-[A-Z0-9]{8}\.\w+$", name), name
        assert http.get(name).headers["cache-control"] == "public, max-age=31536000, immutable"


@pytest.mark.parametrize("path", SHELLS)
def test_a_page_has_nothing_that_the_policy_would_stop(path: str, http: httpx.Client) -> None:
    page = http.get(path).text
    assert not [word for word in (" style=", "<style", " on", "http://", "https://") if word in page.lower()]
    assert re.findall(r"<script[^>]*></script>", page) == re.findall(r"<script.*?</script>", page)


@pytest.mark.parametrize(
    ("accepted", "sent"),
    [("gzip, deflate, br, zstd", "br"), ("gzip", "gzip"), ("br;q=0, gzip", "gzip"), ("identity", None), ("", None)],
)
def test_files_are_sent_in_the_smallest_encoding_that_is_taken(
    accepted: str, sent: str | None, http: httpx.Client
) -> None:
    script = next(name for name in _files(http, "/console") if name.endswith(".js"))
    answer = http.send(http.build_request("GET", script, headers={"accept-encoding": accepted}), stream=True)
    answer.close()
    assert answer.headers.get("content-encoding") == sent
    assert answer.headers["vary"] == "accept-encoding"
    assert answer.headers["content-type"] == "text/javascript; charset=utf-8"


@pytest.mark.parametrize("path", ["/", *SHELLS, "/assets/x.js"])
@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_pages_are_only_read(method: str, path: str, http: httpx.Client) -> None:
    answer = http.request(method, path, content=b"{}")
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET, HEAD")


@pytest.mark.parametrize(
    "path",
    [
        "/invitations/x",
        "/invite/a/b",
        "/sign-in/x",
        "/assets/",
        "/assets/invite.html",
        "/assets/..%2f..%2fpages.py",
        "/assets/../../pages.py",
        "/assets/.made-from",
    ],
)
def test_there_is_nothing_else_beside_the_pages(path: str, http: httpx.Client) -> None:
    answer = http.get(path)
    assert answer.status_code == 404
    assert "def " not in answer.text


def test_the_root_leads_to_the_console(http: httpx.Client) -> None:
    answer = http.get("/")
    assert (answer.status_code, answer.headers["location"]) == (302, "console")


def test_where_the_pages_are_not_built_each_says_so_and_nothing_else_stops(tmp_path: Path) -> None:
    application = pages(tmp_path)
    edge = Edge({}, dict.fromkeys(SEGMENTS, application), RefusingApplication(), lambda: None)
    wire = Wire(edge)
    for path in SHELLS:
        answer = wire.http(path, http_method="GET")
        assert answer.status == 503
        assert answer.headers["content-type"] == "text/html; charset=utf-8"
        assert b"web pages of this service are missing" in answer.body
        assert b"make install" in answer.body
    assert wire.http("/healthz", http_method="GET").status == 200
