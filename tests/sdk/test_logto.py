"""py-logto as it is published, with another host and another access token; with a mail server and without."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from server.domain.account import Scope
from tests.mail.mail_server import MailServer, mail_server
from tests.running import RunningServer, run_program, running_server, wait_until
from tests.sdk.conftest import Run
from tests.sdk.environments import environment


@pytest.fixture(scope="module")
def python() -> Path:
    return environment("logto-2.0.0")


@pytest.fixture(scope="module")
def smtp() -> Iterator[MailServer]:
    with mail_server() as running:
        yield running


@pytest.fixture(scope="module")
def mailing(smtp: MailServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """A server that sends its mails to `smtp`."""
    options = ("--smtp-url", smtp.url, "--public-url", "https://organizations.example.com")
    with running_server(tmp_path_factory.mktemp("mailing"), *options) as running:
        yield running


def backend_key(server: RunningServer, *scopes: Scope) -> str:
    """Make a backend key as an operator does."""
    options = [option for scope in scopes for option in ("--scope", scope.value)]
    name = ("--backend", "--name", "the application")
    made = run_program("token", "create", *name, *options, "--database-url", server.database_url)
    assert made.returncode == 0, made.stderr
    return made.stdout.strip()


@pytest.fixture(scope="module")
def told(mailing: RunningServer) -> dict[str, str]:
    """What programs are told: the server, keys, and people by the ids that the command line shows."""
    environ = {
        "SERVER_URL": mailing.url,
        "KEY": backend_key(mailing),
        "READER_KEY": backend_key(mailing, Scope.ORGANIZATIONS_READ),
        "OTHER_KEY": backend_key(mailing, Scope.ROLES_READ),
    }
    for name in ("ADA", "BOB"):
        email = f"{name.lower()}@example.com"
        environ[f"{name}_TOKEN"] = mailing.token(email)
        shown = run_program("show", "account", email, "--json", "--database-url", mailing.database_url)
        assert shown.returncode == 0, shown.stderr
        environ |= {f"{name}_ID": json.loads(shown.stdout)["ids"]["logto"], f"{name}_EMAIL": email}
    return environ


def test_an_invitation_lives_its_whole_life(run: Run, python: Path, told: dict[str, str]) -> None:
    assert "The organization is gone" in run(python, "logto_2_0_0.py", "life", **told)


@pytest.mark.slow
def test_mails_go_out_with_the_callers_link_or_else_ours(
    run: Run, python: Path, told: dict[str, str], smtp: MailServer
) -> None:
    run(python, "logto_2_0_0.py", "mails", **told)

    def sent() -> dict[str, str]:
        return {mail.recipients[0]: mail.link for mail in smtp.mails if "Acme & Sons" in mail.part("plain")}

    wait_until(lambda: len(sent()) == 3)
    links = sent()
    assert links.pop("ours@example.com").startswith("https://organizations.example.com/")
    assert links == {
        "first@example.com": "https://app.example.com/join?first=1&x=%C3%A4",
        "again@example.com": "https://app.example.com/join?again",
    }


def test_organizations_roles_and_users_are_managed(run: Run, python: Path, told: dict[str, str]) -> None:
    assert "The companions did what they should" in run(python, "logto_2_0_0.py", "companions", **told)


def test_every_documented_error_has_its_exception_and_code(run: Run, python: Path, told: dict[str, str]) -> None:
    printed = run(python, "logto_2_0_0.py", "errors", **told)

    assert "Each refusal came as its own exception" in printed
    assert {line[:3] for line in printed.splitlines()} > {"400", "401", "403", "404", "422"}


@pytest.mark.slow
def test_one_address_is_not_flooded(run: Run, python: Path, told: dict[str, str]) -> None:
    assert run(python, "logto_2_0_0.py", "limit", **told).count("429 request.message_rate_limited") == 2


@pytest.mark.slow
def test_without_a_mail_server_a_message_is_refused_and_nothing_is_done(
    run: Run, python: Path, server: RunningServer
) -> None:
    printed = run(python, "logto_2_0_0.py", "without_mail", SERVER_URL=server.url, KEY=backend_key(server))

    assert printed.splitlines() == ["501 connector.not_found"] * 2
