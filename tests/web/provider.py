"""An OpenID Connect provider that isn't ours, where people sign in by what they are called (`provider.js`)."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.running import ROOT, RunningServer
from tests.web.browser import HERE, Person, program

CLIENT_ID, CLIENT_SECRET = "organization-service", "known to both, and not the shortest"
NAME = "Acme Login"


class Provider:
    """The process of a provider. It has an address at once, and answers when it has been set up."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [program("node"), str(HERE / "provider.js")],
            cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        self.issuer = self._line()

    @property
    def settings(self) -> dict[str, str]:
        """The settings of a service that people sign in to there."""
        return {
            "OIDC_ISSUER": self.issuer,
            "OIDC_AUDIENCE": "an-api",
            "OIDC_CLIENT_ID": CLIENT_ID,
            "OIDC_CLIENT_SECRET": CLIENT_SECRET,
            "OIDC_PROVIDER_NAME": NAME,
        }

    def set_up(self, service_url: str, people: dict[str, dict[str, Any]]) -> None:
        """Let people sign in to a service: their claims by what they enter."""
        client = {"id": CLIENT_ID, "secret": CLIENT_SECRET, "back": f"{service_url}/sign-in/callback"}
        self._say({"client": client, "people": people})

    @contextmanager
    def down(self) -> Iterator[None]:
        """Let it answer nobody for a while."""
        for away in (True, False):
            self._say({"down": away})
            # The provider's own notices stand between.
            while self._line() != "done":
                pass
            if away:
                yield

    def close(self) -> None:
        """End it; the process ends with its input."""
        self._process.communicate(timeout=30)

    def _say(self, line: dict[str, Any]) -> None:
        assert self._process.stdin is not None
        print(json.dumps(line), file=self._process.stdin, flush=True)

    def _line(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline().strip()
        assert line, f"the provider is gone: {self._process.communicate()[1]}"
        return line


@contextmanager
def provider() -> Iterator[Provider]:
    """Run a provider."""
    running = Provider()
    try:
        yield running
    finally:
        running.close()


def sign_in_there(person: Person, service: RunningServer, login: str) -> None:
    """Sign in on the page that asks for it, which must be open, as who wasn't at the provider yet."""
    person.click(f"Continue with {NAME}")
    person.see("Who are you?")
    person.fill("Who are you?", login)
    person.click("Let me in")
    person.do("arrive", f"{service.url}/**")
