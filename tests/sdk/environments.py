"""An environment of its own for each published client, made when it is first asked for and kept under .cache/sdk."""

from __future__ import annotations

import fcntl
import hashlib
import shutil
import subprocess
import sys
import venv
from pathlib import Path

from tests.running import ROOT

CACHE = ROOT / ".cache" / "sdk"


def environment(name: str) -> Path:
    """Give the Python that has what requirements/sdk-<name>.txt locks, and nothing else.

    The directory's name holds the hash of that file and of this Python, so that a changed lock is a new environment.
    Processes that ask at the same time wait for the one that makes it.
    """
    requirements = ROOT / "requirements" / f"sdk-{name}.txt"
    key = hashlib.sha256(requirements.read_bytes() + sys.version.encode()).hexdigest()[:12]
    place = CACHE / f"{name}-{key}"
    python = place / "bin" / "python"
    complete = place / "complete"
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / f"{place.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not complete.exists():
            # What an interrupted run left behind.
            shutil.rmtree(place, ignore_errors=True)
            # Our own pip fills it: bringing each a pip of its own would take longer than all that it needs.
            venv.create(place, symlinks=True)
            pip = [sys.executable, "-m", "pip", "--python", str(python)]
            install = [*pip, "install", "-q", "--disable-pip-version-check", "--require-hashes", "-r", requirements]
            done = subprocess.run(install, capture_output=True, text=True, check=False)
            assert done.returncode == 0, f"{name} can't be installed:\n{done.stdout}{done.stderr}"
            complete.touch()
    return python
