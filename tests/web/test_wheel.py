"""The wheel carries the pages as they were built."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

from server.web.pages import BUILT
from tests.running import ROOT
from tests.web.browser import built


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
