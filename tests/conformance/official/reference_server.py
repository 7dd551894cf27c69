"""The program that the suite's runner starts: it is told on its input what to serve, and says where on its output."""

from __future__ import annotations

import os
import signal
import struct
import sys
import tempfile
import threading
from pathlib import Path
from types import FrameType
from typing import Any

from tests.conformance.official import GENERATED, LIMIT
from tests.mounted import run_with
from tests.running import RunningServer

sys.path.insert(0, os.environ[GENERATED])
from suite.connectrpc.conformance.v1 import server_compat_pb as pb  # generated from the checkout

PROGRAM = (sys.executable, "-m", "tests.conformance.official.reference_server")


def main() -> None:
    """Serve until the runner has enough; with arguments, be the command line of the server that is started for it."""
    if len(sys.argv) > 1:
        run_with("tests.conformance.official.service")
        return
    with tempfile.TemporaryDirectory() as directory:
        request = pb.ServerCompatRequest.from_binary(_read())
        server = _serve(Path(directory), request)
        ended = threading.Event()

        def end(_number: int, _frame: FrameType | None) -> None:
            ended.set()

        signal.signal(signal.SIGTERM, end)
        certificate = request.server_creds.cert if request.use_tls else b""
        host, port = server.address.rsplit(":", 1)
        _write(pb.ServerCompatResponse(host=host, port=int(port), pem_cert=certificate).to_binary())
        ended.wait()
        server.stop()


def _serve(directory: Path, request: Any) -> RunningServer:
    options = ["--limits", "off"]
    if request.use_tls:
        for name, content in (("cert", request.server_creds.cert), ("key", request.server_creds.key)):
            (directory / name).write_bytes(content)
            options += [f"--tls-{name}", str(directory / name)]
    environ = {LIMIT: str(request.message_receive_limit)}
    return RunningServer(f"sqlite:///{directory / 'o.db'}", *options, environ=environ, program=PROGRAM)


def _read() -> bytes:
    (length,) = struct.unpack(">I", sys.stdin.buffer.read(4))
    return sys.stdin.buffer.read(length)


def _write(message: bytes) -> None:
    sys.stdout.buffer.write(struct.pack(">I", len(message)) + message)
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    main()
