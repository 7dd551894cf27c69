"""Looks up known vulnerabilities of all that is locked: Python by pip-audit, npm by `npm audit`.

Exits 1 for a vulnerability. What can't be looked up, as without a network, is counted and named, and is no failure:
then nothing is known, which is neither good nor bad.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
PIP_AUDIT = Path(sys.executable).with_name("pip-audit")


@dataclass
class Findings:
    """What was found: vulnerabilities, what couldn't be looked up, and how many packages could."""

    vulnerable: set[str] = field(default_factory=set)
    unknown: set[str] = field(default_factory=set)
    looked_up: set[str] = field(default_factory=set)

    def look_up_python(self, locked: Path) -> None:
        """Look up each package of a locked requirements file."""
        options = ["--require-hashes", "--disable-pip", "--format=json", "--progress-spinner=off"]
        answer = _json([PIP_AUDIT, "-r", locked, *options], locked.parent)
        if answer is None:
            self.unknown.add(f"all of {locked.name}")
            return
        for package in answer["dependencies"]:
            if "skip_reason" in package:
                self.unknown.add(package["name"])
                continue
            name = f"{package['name']} {package['version']}"
            self.looked_up.add(name)
            for found in package["vulns"]:
                self.vulnerable.add(
                    f"{name}: {found['id']}, mended in {', '.join(found['fix_versions']) or 'none yet'}"
                )

    def look_up_npm(self, locked: Path) -> None:
        """Look up each package of an npm lock file."""
        npm = shutil.which("npm")
        answer = _json([npm, "audit", "--package-lock-only", "--json"], locked.parent) if npm else None
        if answer is None or "vulnerabilities" not in answer:
            self.unknown.add(f"all of {locked.relative_to(ROOT)}")
            return
        self.looked_up |= {f"npm {name}" for name in json.loads(locked.read_text())["packages"] if name}
        for name, found in answer["vulnerabilities"].items():
            self.vulnerable.add(f"npm {name} {found['range']}: {found['severity']}")


def _json(command: list[Any], folder: Path) -> Any:
    """Give what a program prints as JSON, None where it prints something else."""
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    try:
        return json.loads(done.stdout)
    except ValueError:
        return None


def main() -> int:
    """Print what was found; give the exit code."""
    findings = Findings()
    for locked in sorted((ROOT / "requirements").glob("*.txt")):
        findings.look_up_python(locked)
    tracked = subprocess.run(
        ["git", "ls-files", "*package-lock.json"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    for locked in tracked.stdout.split():
        findings.look_up_npm(ROOT / locked)
    for line in sorted(findings.vulnerable):
        print("VULNERABLE:", line)
    print(f"{len(findings.looked_up)} packages were looked up, {len(findings.vulnerable)} vulnerabilities are known.")
    if findings.unknown:
        print(f"{len(findings.unknown)} couldn't be looked up: {', '.join(sorted(findings.unknown))}")
    return 1 if findings.vulnerable else 0


if __name__ == "__main__":
    sys.exit(main())
