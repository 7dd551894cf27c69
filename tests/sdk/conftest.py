"""What the tests with foreign clients share: people who hold tokens, and programs that run as users of the service."""

from __future__ import annotations

import itertools
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from server.domain.account import Caller
from server.domain.secrets import SecretKeys
from server.main import Service, build_service, open_store
from server.service.call import Call
from server.settings import Settings
from tests.running import RunningServer, clean_environ

HERE = Path(__file__).resolve().parent


@dataclass(frozen=True)
class Someone:
    """An account with a token, and the call that it would make in process."""

    email: str
    token: str
    call: Call


@pytest.fixture(scope="session")
def service(server: RunningServer) -> Iterator[Service]:
    """The use cases in this process, on the file that the server has open too."""
    settings = Settings(database_url=server.database_url)
    service = build_service(open_store(settings), SecretKeys(settings.secret_keys()))
    yield service
    service.store.close()


_numbers = itertools.count(1)


@pytest.fixture
def someone(service: Service) -> Callable[[str], Someone]:
    """Make an account of this name that no other test has, and a token of it."""

    def make(name: str) -> Someone:
        email = f"{name.lower()}-{next(_numbers)}@example.com"
        account = service.authentication.local_account(email, name)
        token, _ = service.tokens.issue(account, description="of a test", expires_at=None)
        return Someone(email, token, Call(Caller(account)))

    return make


Run = Callable[..., str]


@pytest.fixture
def run(server: RunningServer, someone: Callable[[str], Someone]) -> Run:
    """Run a program of this directory to its end, as Ada and Bob unless told otherwise; give what it printed."""

    def run(python: Path | str, program: str, *arguments: str, **environ: str) -> str:
        names = {"ADA_TOKEN": "Ada", "BOB_TOKEN": "Bob"}
        people = {key: someone(name).token for key, name in names.items() if key not in environ}
        done = subprocess.run(
            [python, HERE / program, *arguments],
            env=clean_environ() | {"SERVER_URL": server.url, "PYTHONDONTWRITEBYTECODE": "1"} | people | environ,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == 0, f"{program} {arguments}:\n{done.stdout}{done.stderr}"
        return done.stdout

    return run
