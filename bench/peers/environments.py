"""Environments of the peers, beside this file and apart from the project's: set up when their locks have changed."""

from __future__ import annotations

import hashlib
import os
import platform
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
REQUIREMENTS = ROOT / "requirements" / "bench-peers.txt"
LOCK = HERE / "package-lock.json"
NODE = HERE / "node_modules" / f"node-linux-{'arm64' if platform.machine() == 'aarch64' else 'x64'}" / "bin" / "node"
PYTHON = HERE / ".venv" / "bin" / "python"
DESCRIPTORS = HERE / "node_modules" / "contract.binpb"


def set_up() -> None:
    """Set up what the peers run on, and write the contract down for those who read it at their start."""
    _once(HERE / ".venv" / "installed", REQUIREMENTS, _set_up_python)
    _once(HERE / "node_modules" / "installed", LOCK, _set_up_node)
    subprocess.run([Path(sys.executable).with_name("buf"), "build", "-o", DESCRIPTORS], cwd=ROOT, check=True)


def _once(stamp: Path, lock: Path, work: Callable[[], None]) -> None:
    wanted = hashlib.sha256(lock.read_bytes()).hexdigest()
    if not stamp.exists() or stamp.read_text() != wanted:
        work()
        stamp.write_text(wanted)


def _set_up_python() -> None:
    subprocess.run([sys.executable, "-m", "venv", "--clear", HERE / ".venv"], check=True)
    options = ["-q", "--disable-pip-version-check", "--require-hashes", "-r", str(REQUIREMENTS)]
    subprocess.run([PYTHON, "-m", "pip", "install", *options], check=True)


def _set_up_node() -> None:
    # Its own Node runs nothing at the installation: better-sqlite3 brings its binaries, and the node that installs may
    # be older than what the peers want.
    subprocess.run(["npm", "ci", "--loglevel=error"], cwd=HERE, env={**os.environ, "CI": "1"}, check=True)


def versions() -> str:
    """Say which versions the contestants have."""
    import json

    packages = json.loads(LOCK.read_text())["packages"]
    node = {name: packages[f"node_modules/{name}"]["version"] for name in ("better-auth", "better-sqlite3")}
    node["connect-node"] = packages["node_modules/@connectrpc/connect-node"]["version"]
    runtime = subprocess.run([NODE, "--version"], capture_output=True, text=True, check=True).stdout.strip()
    wanted = ("fastapi", "pydantic", "uvicorn", "uvloop", "grpcio", "protobuf", "pysqlite3")
    lines = [line.split(" ")[0] for line in REQUIREMENTS.read_text().splitlines() if "==" in line]
    python = dict(line.split("==") for line in lines)
    found = {"Node": runtime.lstrip("v"), **node, **{name: python[name] for name in wanted}}
    return ", ".join(f"{name} {version}" for name, version in found.items())
