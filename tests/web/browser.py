"""Pages in a browser: what they need is built, served from an origin, and visited with Chromium."""

from __future__ import annotations

import fcntl
import functools
import json
import os
import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.running import ROOT

HERE = Path(__file__).resolve().parent
NODE_MODULES = ROOT / "node_modules"

PAGE = '<!doctype html><title>a page</title><link rel="icon" href="data:,"><script src="page.js"></script>'


def program(name: str) -> str:
    """Give the path of a program of the system's. Without it the test is skipped; in CI it fails."""
    found = shutil.which(name)
    if found is None:
        sentence = f"{name} isn't installed, which the tests in a browser need"
        (pytest.fail if os.environ.get("CI") else pytest.skip)(sentence)
    return found


def built() -> None:
    """See that the pages are built from the sources as they are; processes that ask at the same time wait."""
    for name in ("node", "npm"):
        program(name)
    assert NODE_MODULES.is_dir(), "node_modules is missing: run `make install`"
    with (ROOT / "package-lock.json").open("rb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        run("npm", "run", "--silent", "build")


def bundle(directory: Path) -> None:
    """Make a page of another origin in a directory: index.html, and page.js with all that it imports."""
    built()
    site = directory / "site"
    site.mkdir()
    (site / "index.html").write_text(PAGE)
    esbuild = str(NODE_MODULES / ".bin" / "esbuild")
    run(esbuild, str(HERE / "page.js"), "--bundle", "--log-level=warning", f"--outfile={site / 'page.js'}")


@contextmanager
def origin_of(directory: Path) -> Iterator[str]:
    """Serve a directory from an origin of its own, and give that."""
    with ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(_Quiet, directory=str(directory))) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


@dataclass(frozen=True)
class Visit:
    """What a page's function gave, the requests that the page sent (preflights aren't told), and the console."""

    answer: Any
    requests: list[dict[str, str]]
    console: list[str]


def visit(origin: str, function: str, options: dict[str, Any]) -> Visit:
    """Open the page in a fresh Chromium and call one of its functions."""
    job = {"chromium": program("chromium"), "page": f"{origin}/index.html", "function": function, "options": options}
    return Visit(**json.loads(run(program("node"), str(HERE / "visit.js"), given=json.dumps(job))))


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: Any) -> None:
        """Tests have nothing to tell here."""


def run(*command: str, given: str = "") -> str:
    """Run a program in the root of the project, and give what it printed; it must not fail."""
    done = subprocess.run(command, cwd=ROOT, input=given, capture_output=True, text=True, timeout=180, check=False)
    assert done.returncode == 0, f"{Path(command[0]).name} failed:\n{done.stdout}{done.stderr}"
    return done.stdout
