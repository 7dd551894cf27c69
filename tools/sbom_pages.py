"""Writes into a file that it is given: the npm packages that the web pages' bundles are made from, in CycloneDX.

npm writes it from the lock alone, without a network; the number and the time that it gives each of its answers are
left out, so that the same lock and npm make the same file. Without npm this says so, and removes a file of before,
which may be of another lock.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
COMMAND = ("sbom", "--package-lock-only", "--sbom-format", "cyclonedx", "--sbom-type", "application")


def bundled(npm: str) -> dict[str, Any]:
    """Give what npm says of the packages that aren't for development alone.

    Its own `--omit dev` leaves out too much: what a development dependency needs as well, such as @bufbuild/protobuf.
    So it is given the project without the others, in a folder of the project's name, which it takes for the name.
    """
    project = json.loads((ROOT / "package.json").read_text())
    lock = json.loads((ROOT / "package-lock.json").read_text())
    lock["packages"] = {path: package for path, package in lock["packages"].items() if not package.get("dev")}
    for manifest in (project, lock["packages"][""]):
        del manifest["devDependencies"]
    with tempfile.TemporaryDirectory() as directory:
        folder = Path(directory) / project["name"]
        folder.mkdir()
        (folder / "package.json").write_text(json.dumps(project))
        (folder / "package-lock.json").write_text(json.dumps(lock))
        done = subprocess.run([npm, *COMMAND], cwd=folder, stdout=subprocess.PIPE, text=True, check=True)
    content: dict[str, Any] = json.loads(done.stdout)
    del content["serialNumber"], content["metadata"]["timestamp"]
    return content


def main(target: Path) -> None:
    """Write the file."""
    npm = shutil.which("npm")
    if npm is None:
        target.unlink(missing_ok=True)
        print("npm isn't installed: what the web pages are made of isn't written")
        return
    target.write_text(json.dumps(bundled(npm), indent=2) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
