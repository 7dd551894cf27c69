"""A page in a browser: what it needs is installed and bundled, served from an origin, and visited with Chromium."""

from __future__ import annotations

import fcntl
import functools
import hashlib
import json
import os
import shutil
import subprocess
import sys
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
NODE_MODULES = HERE / "node_modules"
BUF = Path(sys.executable).with_name("buf")

PAGE = '<!doctype html><title>a page</title><link rel="icon" href="data:,"><script src="page.js"></script>'


def program(name: str) -> str:
    """Give the path of a program of the system's. Without it the test is skipped; in CI it fails."""
    found = shutil.which(name)
    if found is None:
        sentence = f"{name} isn't installed, which the tests in a browser need"
        (pytest.fail if os.environ.get("CI") else pytest.skip)(sentence)
    return found


def install() -> None:
    """Install what package-lock.json locks, once; processes that ask at the same time wait for the one that does."""
    locked = HERE / "package-lock.json"
    with locked.open("rb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        wanted = hashlib.sha256(lock.read()).hexdigest()
        # Inside, so that it goes with what it stands for: npm begins by taking the whole folder away.
        installed = NODE_MODULES / ".installed"
        if not installed.exists() or installed.read_text() != wanted:
            _run(program("npm"), "ci", "--ignore-scripts", cwd=HERE)
            installed.write_text(wanted)


def bundle(directory: Path) -> None:
    """Make the page in a directory: the client generated from proto/, and page.js with all that it imports."""
    client, site = directory / "client", directory / "site"
    _run(str(BUF), "generate", "--template", str(HERE / "buf.gen.yaml"), "--output", str(client), cwd=ROOT)
    site.mkdir()
    (site / "index.html").write_text(PAGE)
    esbuild = str(NODE_MODULES / ".bin" / "esbuild")
    where = os.pathsep.join([str(client), str(NODE_MODULES)])
    options = ["--bundle", "--log-level=warning", f"--outfile={site / 'page.js'}"]
    _run(esbuild, str(HERE / "page.js"), *options, cwd=HERE, environ={"NODE_PATH": where})


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
    return Visit(**json.loads(_run(program("node"), str(HERE / "visit.js"), cwd=HERE, given=json.dumps(job))))


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: Any) -> None:
        """Tests have nothing to tell here."""


def _run(*command: str, cwd: Path, given: str = "", environ: dict[str, str] | None = None) -> str:
    done = subprocess.run(
        command,
        cwd=cwd,
        env=os.environ | (environ or {}),
        input=given,
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert done.returncode == 0, f"{Path(command[0]).name} failed:\n{done.stdout}{done.stderr}"
    return done.stdout
