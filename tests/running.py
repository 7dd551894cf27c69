"""The real server in processes of its own, for tests that come from outside."""

from __future__ import annotations

import os
import re
import secrets
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
STARTS_WITHIN_SECONDS = 90
"""A second is enough, but for a machine that does much else."""

PROGRAM = Path(sys.executable).with_name("organization-service")


def free_port() -> int:
    """Give a port that nobody listens on, and that nobody else of the tests is given while this process lives.

    It is none of those that the system gives to whoever asks for any (from 32768 on).
    """
    while True:
        port = secrets.choice(range(20_000, 32_000))
        # A name that one socket of the machine can have, and that ends with its process.
        claim = socket.socket(socket.AF_UNIX)
        try:
            claim.bind(f"\0organization-service-port-{port}")
            with socket.socket() as probe:
                probe.bind(("127.0.0.1", port))
        except OSError:
            claim.close()
        else:
            claim.detach()
            return port


def run_program(*arguments: str, environ: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Run the command line once, with nothing of this process's own settings."""
    return subprocess.run(
        [PROGRAM, *arguments],
        env=clean_environ() | (environ or {}),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def clean_environ() -> dict[str, str]:
    """Give the environment without what would configure the service."""
    own = {"DATABASE_URL", "SECRET_KEY", "SECRET_KEY_FILE", "HOST", "PORT", "WORKERS"}
    return {name: value for name, value in os.environ.items() if name not in own}


class RunningServer:
    """A server that listens, its database, and its log so far."""

    def __init__(
        self,
        database_url: str,
        *options: str,
        environ: dict[str, str] | None = None,
        prefix: tuple[str, ...] = (),
        program: Sequence[str | Path] = (PROGRAM,),
    ) -> None:
        self.database_url = database_url
        self._environ = environ or {}
        self._lines: list[str] = []
        self._listening = threading.Event()
        self.url = ""
        self.process = subprocess.Popen(
            [
                *prefix,
                *program,
                "serve",
                "--port",
                "0",
                "--log-format",
                "json",
                "--database-url",
                database_url,
                *options,
            ],
            env=clean_environ() | self._environ,
            stderr=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            text=True,
            cwd=ROOT,
        )
        self._reader = threading.Thread(target=self._read_log, daemon=True)
        self._reader.start()
        if not self._listening.wait(STARTS_WITHIN_SECONDS) or not self.url:
            self.stop()
            raise RuntimeError(f"the server didn't start:\n{self.log}")

    def _read_log(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self._lines.append(line)
            found = re.search(r"listens on (\S+)", line)
            if found:
                self.url = found[1]
                self._listening.set()
        self._listening.set()

    @property
    def log(self) -> str:
        """What the server has written to standard error."""
        return "".join(self._lines)

    @property
    def address(self) -> str:
        """Give host:port."""
        return self.url.split("://", 1)[1]

    def token(self, email: str, *options: str) -> str:
        """Make an access token with the command line, while the server runs."""
        done = run_program(
            "token", "create", "--email", email, "--name", email.split("@")[0].title(),
            "--database-url", self.database_url, *options, environ=self._environ,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def stop(self, signal_number: int = signal.SIGTERM) -> int:
        """Stop the server and give its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal_number)
        try:
            code = self.process.wait(30)
        except subprocess.TimeoutExpired:
            for pid in family(self.process.pid):
                os.kill(pid, signal.SIGKILL)
            raise
        self._reader.join(5)
        if self.process.stderr is not None:
            self.process.stderr.close()
        return code

    def kill(self) -> None:
        """End the server as the machine's end would: without a word, all of its processes."""
        processes = family(self.process.pid)
        assert len(processes) > 1
        for pid in processes:
            os.kill(pid, signal.SIGSTOP)
        for pid in processes:
            os.kill(pid, signal.SIGKILL)
        self.stop(signal.SIGKILL)


def family(pid: int) -> list[int]:
    """Give a process and all that it has started."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [pid, *(one for child in children for one in family(int(child)))]


@contextmanager
def running_server(
    directory: Path,
    *options: str,
    environ: dict[str, str] | None = None,
    prefix: tuple[str, ...] = (),
    program: Sequence[str | Path] = (PROGRAM,),
) -> Iterator[RunningServer]:
    """Run a server on a fresh SQLite file in the directory; `prefix` is a program that runs `program`."""
    url = f"sqlite:///{directory / 'organizations.db'}"
    server = RunningServer(url, *options, environ=environ, prefix=prefix, program=program)
    try:
        yield server
    finally:
        server.stop()


def wait_until(done: object, seconds: float = 30.0) -> None:
    """Wait until a callable gives something true."""
    assert callable(done)
    until = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < until, "waited in vain"
        time.sleep(0.02)
