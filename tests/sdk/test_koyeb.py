"""Koyeb's SDK as it is published, with another host and another key."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from server.domain.secrets import SecretKeys
from server.main import Service, build_service, utc_now
from server.service.invitations import NewInvitation
from server.settings import Settings
from tests.running import RunningServer, run_program
from tests.sdk.conftest import Run, Someone
from tests.sdk.environments import environment

SomeoneNew = Callable[[str], Someone]


@pytest.fixture(scope="module")
def python() -> Path:
    return environment("koyeb-1.5.5")


def as_environ(server: RunningServer, **people: Someone) -> dict[str, str]:
    """Give the people's tokens, addresses, and the ids that the command line shows."""
    environ: dict[str, str] = {}
    for name, person in people.items():
        shown = run_program("show", "account", person.email, "--json", "--database-url", server.database_url)
        assert shown.returncode == 0, shown.stderr
        facts = {"TOKEN": person.token, "EMAIL": person.email, "ID": json.loads(shown.stdout)["ids"]["koyeb"]}
        environ |= {f"{name.upper()}_{key}": value for key, value in facts.items()}
    return environ


def organization_of(service: Service, person: Someone) -> str:
    return service.organizations.create(person.call, f"{person.email}'s")[0].id


def test_an_organization_and_its_invitations_live_their_whole_life(
    run: Run, python: Path, server: RunningServer, someone: SomeoneNew
) -> None:
    environ = as_environ(server, ada=someone("Ada"), bob=someone("Bob"))
    assert "Ada removed Bob" in run(python, "koyeb_1_5_5.py", "life", **environ)


@pytest.mark.slow
def test_every_refusal_has_its_own_exception(
    run: Run, python: Path, server: RunningServer, service: Service, someone: SomeoneNew
) -> None:
    ada, bob, member = someone("Ada"), someone("Bob"), someone("Mia")
    organization_id = organization_of(service, ada)
    link = service.links.create(ada.call, organization_id)
    service.organizations.join_by_invite(member.call, link)
    keys = SecretKeys(Settings(database_url=server.database_url).secret_keys())
    eight_days_ago = build_service(service.store, keys, clock=lambda: utc_now() - timedelta(days=8))
    expired = eight_days_ago.invitations.create(
        ada.call, organization_id, NewInvitation("late@example.com", ttl=timedelta(days=7))
    )
    environ = as_environ(server, ada=ada, bob=bob, member=member) | {
        "READER_TOKEN": server.token(ada.email, "--read-only"),
        "EXPIRED_ID": expired.invitation.id,
    }
    assert "Each refusal came" in run(python, "koyeb_1_5_5.py", "errors", **environ)


@pytest.mark.slow
def test_the_asynchronous_client_invites_too(run: Run, python: Path, service: Service, someone: SomeoneNew) -> None:
    ada = someone("Ada")
    organization_of(service, ada)
    said = run(python, "koyeb_1_5_5.py", "asynchronous", ADA_TOKEN=ada.token)
    assert "asynchronous: not_found" in said


@pytest.mark.slow
def test_a_token_for_one_organization_names_it(
    run: Run, python: Path, server: RunningServer, service: Service, someone: SomeoneNew
) -> None:
    ada = someone("Ada")
    organization_of(service, ada)
    second = organization_of(service, ada)
    environ = as_environ(server, ada=ada) | {
        "ADA_TOKEN": server.token(ada.email, "--organization", second),
        "ORGANIZATION_ID": second,
    }
    assert f"invited into {second}" in run(python, "koyeb_1_5_5.py", "organization_token", **environ)
