"""What the service and its pages are made of is written whole, and alike each time."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from server.web.pages import BUILT
from tests.running import ROOT
from tests.web.browser import built, program


def listed(sbom: Path) -> dict[str, str]:
    """Give the version of each package that a file lists, by its name."""
    return {one["name"]: one["version"] for one in json.loads(sbom.read_text())["components"]}


def write_pages(target: Path, **environ: str) -> str:
    """Write what the pages are made of, and give what was printed."""
    command = [sys.executable, "tools/sbom_pages.py", str(target)]
    done = subprocess.run(command, cwd=ROOT, env=os.environ | environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_what_the_pages_are_made_of_is_all_that_is_bundled_and_no_tool(tmp_path: Path) -> None:
    built()
    write_pages(tmp_path / "sbom.json")
    bundled = (BUILT / ".made-of").read_text().split()
    assert "preact" in bundled
    locked = json.loads((ROOT / "package-lock.json").read_text())["packages"]
    assert listed(tmp_path / "sbom.json") == {name: locked[f"node_modules/{name}"]["version"] for name in bundled}


def test_it_is_the_same_each_time_and_tells_of_no_machine(tmp_path: Path) -> None:
    program("npm")
    first, second = tmp_path / "first.json", tmp_path / "second.json"
    write_pages(first)
    write_pages(second)
    assert first.read_bytes() == second.read_bytes()
    assert json.loads(first.read_text())["metadata"]["component"]["name"] == "organization-service-web"
    assert not re.search(r"registry|/tmp|\d\d:\d\d:\d\d", first.read_text())


def test_without_npm_nothing_of_before_is_left_and_it_says_so(tmp_path: Path) -> None:
    target = tmp_path / "sbom.json"
    target.write_text("of another lock")
    assert "npm isn't installed" in write_pages(target, PATH=str(tmp_path))
    assert not target.exists()


def test_pages_and_service_are_of_one_version() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert json.loads((ROOT / "package.json").read_text())["version"] == project["version"]


@pytest.mark.slow
def test_what_the_service_is_made_of_is_all_that_is_locked_to_run_it() -> None:
    done = subprocess.run(["make", "sbom"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    lines = re.findall(r"^[\w.-]+==[^\\\n]+", (ROOT / "requirements/runtime.txt").read_text(), re.MULTILINE)
    pins = [pin for pin in map(Requirement, lines) if pin.marker is None or pin.marker.evaluate()]
    assert len(pins) > 20
    made_of = {canonicalize_name(name): version for name, version in listed(ROOT / "dist/sbom-service.json").items()}
    assert made_of == {canonicalize_name(pin.name): str(pin.specifier).removeprefix("==") for pin in pins}
