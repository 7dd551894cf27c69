"""Runs the suite of a checkout in which `go build ./cmd/connectconformance` has made its runner."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.conformance.official import BARE, GENERATED
from tests.running import ROOT

HERE = Path(__file__).parent
BIN = Path(sys.executable).parent

OTHERWISE = (
    "Connect Unexpected Requests/**/unexpected-uri",
    "gRPC Unexpected Requests/**/unexpected-uri",
    "gRPC-Web Unexpected Requests/**/unexpected-uri",
    "gRPC Unexpected Requests/**/unexpected-compressed-message",
    "gRPC-Web Unexpected Requests/**/unexpected-compressed-message",
)
"""Cases that fail since we answer otherwise on purpose; docs/conformance.md says why."""

WITH_A_DETAIL = (
    "Connect Unexpected Requests/**/unexpected-compression",
    "gRPC Unexpected Requests/**/unexpected-compression",
    "gRPC-Web Unexpected Requests/**/unexpected-compression",
    "gRPC Unexpected Requests/**/unary/multiple-requests",
    "gRPC-Web Unexpected Requests/**/unary/multiple-requests",
    "gRPC Unexpected Requests/**/unary/no-request",
    "gRPC-Web Unexpected Requests/**/unary/no-request",
    "Server Message Size/**/unary/request-exceeds-server-limit",
)
"""Refusals of ours, which have an ErrorInfo where the suite expects no detail."""


def main() -> int:
    """Give the runner's exit code: 0 where only those cases fail that are known to, and all of them."""
    parser = argparse.ArgumentParser(description=__doc__, prog="python -m tests.conformance.official")
    parser.add_argument("checkout", type=Path, help="of the suite, with the runner that was built there")
    parser.add_argument("--bare", action="store_true", help="say refusals without details: fewer cases fail")
    given = parser.parse_args()
    runner = given.checkout.resolve() / "connectconformance"
    if not runner.exists():
        parser.error(f"{runner} is missing: go build ./cmd/connectconformance makes it there")
    with tempfile.TemporaryDirectory() as generated:
        generate(given.checkout.resolve() / "proto", Path(generated))
        command = [runner, "--mode", "server", "--conf", HERE / "conf.yaml"]
        for pattern in OTHERWISE if given.bare else OTHERWISE + WITH_A_DETAIL:
            command += ["--known-failing", pattern]
        if not given.bare:
            # Whose time is up first: the client's, or ours, who say so with a detail.
            command += ["--known-flaky", "Timeouts/**/unary"]
        command += ["--", sys.executable, "-m", "tests.conformance.official.reference_server"]
        environ = os.environ | {GENERATED: generated, BARE: "yes" if given.bare else ""}
        return subprocess.run(command, env=environ, cwd=ROOT, check=False).returncode


def generate(contract: Path, into: Path) -> None:
    """Make Python from the suite's contract, as the service's own is made, in a package of its own: `suite`."""
    template = {
        "version": "v2",
        "inputs": [{"directory": str(contract)}],
        "plugins": [
            {"local": "protoc-gen-py", "out": str(into / "suite")},
            {"local": "protoc-gen-connectrpc", "out": str(into / "suite"), "opt": ["io=sync"]},
        ],
    }
    path = os.pathsep.join([str(BIN), os.environ["PATH"]])
    command = ["buf", "generate", "--template", json.dumps(template)]
    subprocess.run(command, env=os.environ | {"PATH": path}, cwd=into, check=True)


if __name__ == "__main__":
    sys.exit(main())
