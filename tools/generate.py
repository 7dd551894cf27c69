"""Makes gen/ from proto/, the same bytes every time, and third_party/proto from the locked wheels.

gen/ holds what the service imports (protobuf-py and connectrpc, by buf.gen.yaml). gen/grpcio holds stubs for
programs that call us with grpcio and google.protobuf; they put that folder on their PYTHONPATH.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from third_party import third_party

ROOT = Path(__file__).resolve().parent.parent
GEN = Path("gen")
THIRD_PARTY = Path("third_party/proto")


def main() -> int:
    """Write the files, or with --check name those that would change; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true", help="only name the files that differ, and exit 1")
    parser.add_argument("--third-party", action="store_true", help="make third_party/proto too, before gen/")
    args = parser.parse_args()

    if args.check:
        stale = changes(THIRD_PARTY, third_party()) + changes(GEN, generated())
        for path in stale:
            print(f"{path} is not what tools/generate.py makes")
        return 1 if stale else 0
    if args.third_party:
        write(THIRD_PARTY, third_party())
    write(GEN, generated())
    return 0


def generated() -> dict[Path, bytes]:
    """Every file of gen/ by its path below that folder, as made from proto/ now."""
    with tempfile.TemporaryDirectory() as out:
        run("buf", "generate", "--output", out)
        grpcio_stubs(Path(out, GEN, "grpcio"))
        return files(Path(out, GEN))


def grpcio_stubs(out: Path) -> None:
    """Stubs for google.protobuf and grpcio.

    A folder `grpc` would never be seen beside grpcio's own package, so the health protocol goes where
    grpcio-health-checking has it too: in `grpc_health.v1`.
    """
    out.mkdir(parents=True)
    proto = ROOT / "proto"
    ours = sorted(str(path.relative_to(proto)) for path in proto.glob("*/v1/*.proto"))
    services = [*ours, "grpc_health/v1/health.proto"]
    protoc = [sys.executable, "-m", "grpc_tools.protoc"]
    protoc += ["-Igrpc_health=proto/grpc/health", "-Iproto", f"-I{THIRD_PARTY}"]
    run(*protoc, f"--python_out={out}", f"--pyi_out={out}", *services, "buf/validate/validate.proto")
    run(*protoc, f"--grpc_python_out={out}", *services)


def run(*command: str) -> None:
    """Run a tool of this Python's environment in the root of the project; if it fails, so do we."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    code = subprocess.run(command, check=False, cwd=ROOT, env={**os.environ, "PATH": path}).returncode
    if code:
        sys.exit(code)


def files(folder: Path) -> dict[Path, bytes]:
    """Every file below a folder, without what Python compiled from it."""
    found = (path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    return {path.relative_to(folder): path.read_bytes() for path in found}


def changes(folder: Path, wanted: dict[Path, bytes]) -> list[Path]:
    """What differs in a folder of the project, is missing or is too much there."""
    present = files(ROOT / folder)
    paths = sorted(present.keys() | wanted.keys())
    return [folder / path for path in paths if present.get(path) != wanted.get(path)]


def write(folder: Path, wanted: dict[Path, bytes]) -> None:
    """Make a folder of the project hold exactly the wanted files; those that are right aren't touched."""
    for path in changes(folder, wanted):
        target, content = ROOT / path, wanted.get(path.relative_to(folder))
        if content is None:
            target.unlink()
        else:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)
        print(path)


if __name__ == "__main__":
    sys.exit(main())
