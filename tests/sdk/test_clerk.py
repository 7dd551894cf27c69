"""Clerk's SDK as it is published, with another server and another key."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from server.domain.account import Scope
from server.domain.organization import Role
from server.domain.secrets import SecretKeys
from server.faces.spelling import clerk_id
from server.main import Service, build_service, utc_now
from server.service.invitations import Invited, NewInvitation
from server.settings import Settings
from tests.running import RunningServer, run_program
from tests.sdk.conftest import Run, Someone
from tests.sdk.environments import environment

SomeoneNew = Callable[[str], Someone]


@pytest.fixture(scope="module")
def python() -> Path:
    return environment("clerk-7.0.0")


@pytest.fixture(scope="module")
def key(server: RunningServer) -> str:
    made = run_program("token", "create", "--backend", "--name", "clerk", "--database-url", server.database_url)
    assert made.returncode == 0, made.stderr
    return made.stdout.strip()


@pytest.fixture
def people(server: RunningServer, someone: SomeoneNew) -> dict[str, Someone]:
    return {name: someone(name) for name in ("Ada", "Bob", "Carol")}


@pytest.fixture
def environ(key: str, people: dict[str, Someone]) -> dict[str, str]:
    """The key, and each person's token, address and id."""
    environ = {"CLERK_KEY": key}
    for name, person in people.items():
        facts = {"TOKEN": person.token, "EMAIL": person.email, "ID": clerk_id("user", person.call.caller.account_id)}
        environ |= {f"{name.upper()}_{fact}": value for fact, value in facts.items()}
    return environ


@pytest.fixture
def acme(server: RunningServer, service: Service, people: dict[str, Someone]) -> dict[str, str]:
    """Ada's organization, with Bob as a member: a pending invitation, an expired one, and the one that Bob accepted."""
    ada, bob = people["Ada"], people["Bob"]
    organization, _ = service.organizations.create(ada.call, "Acme")
    other, _ = service.organizations.create(ada.call, "Other")
    keys = SecretKeys(Settings(database_url=server.database_url).secret_keys())
    a_month_ago = build_service(service.store, keys, clock=lambda: utc_now() - timedelta(days=31))

    def invited(email: str, by: Service = service) -> Invited:
        new = NewInvitation(email, (Role.MEMBER,), send_email=False)
        return by.invitations.create(ada.call, organization.id, new)

    accepted = invited(bob.email)
    assert accepted.token is not None
    service.invitations.accept(bob.call, token=accepted.token)
    invitations = {
        "ACCEPTED_ID": accepted,
        "PENDING_ID": invited("pending@example.com"),
        "EXPIRED_ID": invited("late@example.com", a_month_ago),
    }
    return {
        "ORGANIZATION_ID": clerk_id("org", organization.id),
        "OTHER_ID": clerk_id("org", other.id),
    } | {name: clerk_id("orginv", made.invitation.id) for name, made in invitations.items()}


def test_every_operation_does_what_clerk_documents(
    run: Run, python: Path, server: RunningServer, environ: dict[str, str]
) -> None:
    # As an operator learns an id.
    shown = run_program("show", "account", environ["ADA_EMAIL"], "--json", "--database-url", server.database_url)
    assert json.loads(shown.stdout)["ids"]["clerk"] == environ["ADA_ID"]

    assert "renamed and deleted" in run(python, "clerk_7_0_0.py", "life", **environ)


def test_every_refusal_is_the_sdks_own_exception_and_comes_at_once(
    run: Run, python: Path, service: Service, environ: dict[str, str], acme: dict[str, str]
) -> None:
    narrow, _ = service.backend_keys.issue("narrow", scopes=(Scope.ROLES_READ,))

    assert "Each refusal came at once" in run(python, "clerk_7_0_0.py", "errors", **environ, **acme, NARROW_KEY=narrow)


def test_what_clerk_does_not_document_is_the_general_exception_and_never_hangs(
    run: Run, python: Path, environ: dict[str, str], acme: dict[str, str]
) -> None:
    assert "came at once" in run(python, "clerk_7_0_0.py", "outside", **environ, **acme)


def test_the_asynchronous_twins_do_the_same(
    run: Run, python: Path, environ: dict[str, str], acme: dict[str, str]
) -> None:
    said = run(python, "clerk_7_0_0.py", "asynchronous", **environ, **acme)

    assert "asynchronous: organization_invitation_not_unique" in said
