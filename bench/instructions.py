"""Instructions that a call takes in Python and SQLite: the one figure that a busy machine doesn't change.

    python -m bench.instructions [--call NAME]

Runs the WSGI application in a loop under valgrind, without Envoy and without threads, beside the echo handler. What a
call costs in the server hangs on the processor's caches too, which this knows nothing of (docs/performance.md).
"""

from __future__ import annotations

import argparse
import io
import os
import pickle
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench.calls import CREATE, INVITATION, JOIN, MEMBERS, MOST_A_SECOND, SUMMARY, Call, of_echo
from bench.data import SECRET_KEY, data
from bench.load import Load, Request
from bench.machine import description
from bench.quick import ORGANIZATIONS
from bench.rounds import table
from bench.servers import LIMITS, ROOT

CALLS = {call.name: call for call in (SUMMARY, MEMBERS, CREATE, JOIN, INVITATION)}
WARM_UP = 100
COUNTED = 400

Application = Callable[[dict[str, Any], Any], Any]


def _environ(load: Load, request: Request) -> dict[str, Any]:
    """Give a request as the server hands it over."""
    environ = {
        "REQUEST_METHOD": "POST",
        "SCRIPT_NAME": "",
        "PATH_INFO": load.path,
        "QUERY_STRING": "",
        "SERVER_NAME": "127.0.0.1",
        "SERVER_PORT": "8080",
        "SERVER_PROTOCOL": "HTTP/2" if load.grpc else "HTTP/1.1",
        "CONTENT_TYPE": "application/grpc" if load.grpc else "application/json",
        "HTTP_HOST": "127.0.0.1:8080",
        "HTTP_X_FORWARDED_FOR": "127.0.0.1",
        "HTTP_X_FORWARDED_PROTO": "http",
        "HTTP_X_ARRIVAL": f"127.0.0.1 {time.time():.6f} 40",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
        "wsgi.ext.http.send_trailers": list,
    }
    body = request.body
    if load.grpc:
        environ["HTTP_TE"] = "trailers"
        body = b"\0" + len(body).to_bytes(4, "big") + body
    else:
        environ["CONTENT_LENGTH"] = str(len(body))
    for name, value in request.headers:
        environ[f"HTTP_{name.upper().replace('-', '_')}"] = value
    return environ | {"wsgi.input": io.BytesIO(body)}


def _ask(application: Application, load: Load, request: Request) -> None:
    """Ask once, and check the answer as a load does."""
    answer = b"".join(application(_environ(load, request), lambda _status, _headers: None))
    if request.expected not in answer:
        raise AssertionError(f"{load.path} answered {answer[:500]!r}")


def _count(application: Application, load: Load) -> None:
    """Ask some times unseen, and then COUNTED times between two marks that valgrind sees."""
    requests = [load.requests[number % len(load.requests)] for number in range(WARM_UP + COUNTED)]
    for request in requests[:WARM_UP]:
        _ask(application, load, request)
    os.getppid()
    for request in requests[WARM_UP:]:
        _ask(application, load, request)
    os.getppid()


def inside(directory: Path) -> None:
    """Ask both applications: what runs under valgrind."""
    url = f"sqlite:///{directory / 'service.db'}"
    os.environ |= {"DATABASE_URL": url, "SECRET_KEY": SECRET_KEY, "LIMITS": LIMITS, "LOG_FORMAT": "json"}
    # They read the environment when they are imported.
    from bench import echo
    from server import mounts

    for load in pickle.loads((directory / "loads").read_bytes()):
        _count(mounts.wsgi, load)
        _count(echo.wsgi, of_echo(load, load.url))


def measure(calls: list[Call], wire: str, keep: Path | None = None) -> list[tuple[float, float]]:
    """Give what a request of each call takes, of the service and of the echo handler, in thousands of instructions."""
    known = data(ORGANIZATIONS)
    seconds = (WARM_UP + COUNTED) / MOST_A_SECOND
    loads = [call.load(known, "", 1, seconds, grpc=wire == "gRPC", seed=1) for call in calls]
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        directory = Path(name)
        known.copy(directory / "service.db")
        (directory / "loads").write_bytes(pickle.dumps(loads))
        tool = ["valgrind", "--tool=callgrind", "--dump-before=getppid", f"--callgrind-out-file={directory}/counted"]
        subprocess.run(
            [*tool, sys.executable, "-m", "bench.instructions", "--inside", name],
            check=True,
            cwd=ROOT,
            stderr=subprocess.DEVNULL,
        )
        # Each mark ends a part; every second one is what lies between two.
        parts = [_total(directory / f"counted.{part + 1}") for part in range(4 * len(calls))]
        if keep is not None:
            shutil.copytree(directory, keep, dirs_exist_ok=True, ignore=shutil.ignore_patterns("service*"))
    each = [total / COUNTED / 1000 for total in parts[1::2]]
    return list(zip(each[::2], each[1::2], strict=True))


def _total(part: Path) -> int:
    found = re.search(r"^(?:totals|summary): (\d+)", part.read_text(), re.MULTILINE)
    assert found is not None, f"{part} holds no total"
    return int(found[1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--call", action="append", choices=list(CALLS))
    parser.add_argument("--wire", choices=("JSON", "gRPC"), default="JSON")
    parser.add_argument("--keep", type=Path, help="a directory for callgrind's files, to see what the calls run")
    parser.add_argument("--inside", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    calls = [CALLS[name] for name in given.call or CALLS]
    if given.inside is not None:
        inside(given.inside)
        return
    if shutil.which("valgrind") is None:
        sys.exit("valgrind isn't installed")
    print(f"{description()}; thousands of instructions a request, {given.wire}\n")
    rows = [
        [call.name, f"{ours:,.0f}", f"{echo:,.0f}"]
        for call, (ours, echo) in zip(calls, measure(calls, given.wire, given.keep), strict=True)
    ]
    print(table(["call", "service", "echo"], rows))


if __name__ == "__main__":
    main()
