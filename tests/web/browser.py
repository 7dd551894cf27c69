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


class Person:
    """Somebody with a browser of their own: its cookies, and one tab. `people.js` says what each step does."""

    def __init__(self, browser: Browser, name: str) -> None:
        self._browser = browser
        self.name = name

    def do(self, step: str, value: Any = None) -> Any:
        """Take one step, and give what it gives; it fails where the page doesn't let the person do that."""
        return self._browser.step(self.name, step, value)

    def open(self, url: str) -> None:
        self.do("open", url)

    def click(self, name: str) -> None:
        self.do("click", name)

    def follow(self, name: str) -> None:
        self.do("follow", name)

    def fill(self, label: str, text: str) -> None:
        self.do("fill", [label, text])

    def press(self, key: str) -> None:
        self.do("press", key)

    def arrive(self, url: str) -> None:
        """Wait until the tab is at an address."""
        self.do("arrive", url)

    def see(self, sentence: str) -> dict[str, Any]:
        """Wait until a sentence, or a part of it, is shown; give what is shown then."""
        seen: dict[str, Any] = self.do("see", sentence)
        return seen

    def sent(self, method: str = "") -> list[dict[str, Any]]:
        """The requests that the tab sent so far (preflights aren't told), or those that called a method."""
        requests: list[dict[str, Any]] = self.do("sent")
        return [request for request in requests if not method or request["url"].endswith(f"/{method}")]

    def said(self) -> list[str]:
        """What stands in the console. That a request was refused, the browser itself writes there."""
        lines: list[str] = self.do("said")
        return [line for line in lines if not line.startswith("Failed to load resource: ")]


class Browser:
    """A Chromium with people in it."""

    def __init__(self) -> None:
        command = [program("node"), str(HERE / "people.js"), program("chromium")]
        self._process = subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        self._count = 0

    def come(self, **context: Any) -> Person:
        """Let somebody come who was never here, with Playwright's options of a browser context."""
        self._count += 1
        person = Person(self, str(self._count))
        person.do("come", {"locale": "en-GB", "timezoneId": "UTC"} | context)
        return person

    def step(self, person: str, step: str, value: Any) -> Any:
        """Have a step taken."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(json.dumps({"person": person, "step": step, "value": value}), file=self._process.stdin, flush=True)
        line = self._process.stdout.readline()
        assert line, f"the browser is gone: {self._process.communicate()[1]}"
        given = json.loads(line)
        assert "problem" not in given, given["problem"]
        return given["answer"]

    def close(self) -> None:
        """Close it; the process ends with its input."""
        self._process.communicate(timeout=30)


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: Any) -> None:
        """Tests have nothing to tell here."""


def run(*command: str, given: str = "") -> str:
    """Run a program in the root of the project, and give what it printed; it must not fail."""
    done = subprocess.run(command, cwd=ROOT, input=given, capture_output=True, text=True, timeout=180, check=False)
    assert done.returncode == 0, f"{Path(command[0]).name} failed:\n{done.stdout}{done.stderr}"
    return done.stdout
