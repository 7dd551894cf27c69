"""The wheel carries the pages as they were built; without them the service starts all the same."""

from __future__ import annotations

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import httpx
import pytest

from server.web.pages import BUILT
from tests.running import ROOT, running_server
from tests.web.browser import built


@pytest.mark.slow
def test_the_wheel_carries_the_pages_and_not_their_source(tmp_path: Path) -> None:
    built()
    options = ["--quiet", "--no-deps", "--no-build-isolation", "--no-index", "--wheel-dir", str(tmp_path)]
    subprocess.run([sys.executable, "-m", "pip", "wheel", *options, str(ROOT)], check=True, timeout=120)
    [wheel] = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as carried:
        names = {name for name in carried.namelist() if name.startswith("server/web/")}
    pages = {file.relative_to(ROOT).as_posix() for file in BUILT.rglob("*") if file.is_file()}
    assert {"server/web/static/invite.html", "server/web/static/console.html"} <= pages
    assert names == pages | {"server/web/__init__.py", "server/web/pages.py"}


@pytest.mark.slow
def test_a_service_without_pages_starts_and_says_so(tmp_path: Path) -> None:
    unbuilt = tmp_path / "unbuilt"
    for package in ("server", "gen"):
        shutil.copytree(ROOT / package, unbuilt / package, ignore=shutil.ignore_patterns("static", "app"))
    with running_server(tmp_path, environ={"PYTHONPATH": str(unbuilt)}) as server:
        # What a page then answers is test_pages.py's.
        assert "the web pages are missing" in server.log
        assert httpx.get(f"{server.url}/readyz").status_code == 200
