"""The service on one file without Envoy, in processes that are forked ready-made: what is killed a thousand times.

`python -m tests.faults.bare` imports what takes long, and forks a server for each line of JSON on standard input, which
has the environment that it is to run with. `MUTANT` takes a safeguard out, `PRAGMAS` are set on each connection.
"""

from __future__ import annotations

import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any

from tests.running import ROOT, clean_environ


class Forked:
    """One server: it may be killed before it listens."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.address = ""
        self.said = threading.Event()

    def wait(self, seconds: float = 30.0) -> str:
        """Wait until it answers; give its host:port."""
        if not self.said.wait(seconds) or not self.address:
            raise RuntimeError("the server didn't start")
        until_ready(self.address)
        return self.address

    def kill(self) -> None:
        """End it without a word, and wait until it has gone."""
        with suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)
        while Path(f"/proc/{self.pid}").exists():
            time.sleep(0.001)


class Forge:
    """Makes servers on one file, as often as they are killed."""

    def __init__(self, environ: dict[str, str] | None = None) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.bare"],
            env=clean_environ() | (environ or {}),
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._forked: dict[int, Forked] = {}
        self._pids: queue.SimpleQueue[int] = queue.SimpleQueue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            said = json.loads(line)
            if "address" in said:
                self._forked[said["pid"]].address = said["address"]
                self._forked[said["pid"]].said.set()
            else:
                self._forked[said["pid"]] = Forked(said["pid"])
                self._pids.put(said["pid"])

    def start(self, environ: dict[str, str]) -> Forked:
        """Fork a server; give it at once, before it listens."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(environ) + "\n")
        self._process.stdin.flush()
        return self._forked[self._pids.get(timeout=60)]

    def close(self) -> None:
        for forked in self._forked.values():
            forked.kill()
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(10)
        self._process.stdout.close()


def until_ready(address: str, seconds: float = 30.0) -> None:
    """Wait until a server answers that it is ready."""
    until = time.monotonic() + seconds
    while True:
        connection = HTTPConnection(address, timeout=seconds)
        try:
            connection.request("GET", "/readyz")
            if connection.getresponse().status == 200:
                return
        except (OSError, HTTPException):
            pass
        finally:
            connection.close()
        if time.monotonic() > until:
            raise RuntimeError("the server isn't ready")
        time.sleep(0.002)


def set_pragmas(pragmas: str) -> None:
    """Set more on each connection than the store does."""
    from server.store.sqlite import SqliteStore

    connect = SqliteStore._connect

    def connect_and_set(store: SqliteStore, *more: str) -> Any:
        db = connect(store, *more)
        for pragma in pragmas.split(";"):
            db.execute(f"PRAGMA {pragma}")
        return db

    SqliteStore._connect = connect_and_set  # type: ignore[method-assign]


def _answers_before_the_commit() -> None:
    """Answer a turn when it ends, and commit when some have gathered."""
    from server.store.sqlite import _Commit, _Writer

    def keep(writer: _Writer) -> _Commit:
        commit = writer._commit
        assert commit is not None
        if commit.turns:
            writer._connection.execute("RELEASE turn")
        commit.turns += 1
        if commit.turns < 8:
            writer._turn.release()
        else:
            writer._end(commit)
        answered = _Commit()
        answered.done()
        return answered

    _Writer._keep = keep  # type: ignore[method-assign]


def _nothing_repeats() -> None:
    """Do what comes again again, whatever its key."""
    from server.service.idempotency import Idempotency

    def once(_idempotency: Idempotency, _call: Any, _key: str, _method: str, _request: bytes, work: Any) -> Any:
        return work()

    Idempotency.once = once  # type: ignore[method-assign]


MUTANTS: dict[str, Callable[[], None]] = {
    "answers before the commit": _answers_before_the_commit,
    "nothing repeats": _nothing_repeats,
}


def _serve(environ: dict[str, str]) -> None:
    # Before anything else: the disk of `disk.c` looks at it when it is first used.
    os.environ.update(environ)
    from werkzeug.serving import WSGIRequestHandler, make_server

    class Quiet(WSGIRequestHandler):
        def log(self, *_: Any) -> None:
            pass

    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    if environ.get("MUTANT"):
        MUTANTS[environ["MUTANT"]]()
    if environ.get("PRAGMAS"):
        set_pragmas(environ["PRAGMAS"])
    from server import mounts

    listening = make_server("127.0.0.1", 0, mounts.wsgi, threaded=True, request_handler=Quiet)
    _say({"pid": os.getpid(), "address": f"127.0.0.1:{listening.port}"})
    listening.serve_forever()


def _say(what: dict[str, Any]) -> None:
    os.write(1, json.dumps(what).encode() + b"\n")


def main() -> None:
    import server.wires  # noqa: F401 # what takes long

    # Whoever is killed leaves no zombie.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    for line in sys.stdin:
        pid = os.fork()
        if pid == 0:
            try:
                _serve(json.loads(line))
            finally:
                os._exit(1)
        _say({"pid": pid})


if __name__ == "__main__":
    main()
