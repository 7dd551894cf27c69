"""Gitpod's older SDK: JSON, validated strictly on its side, with paging and retries of its own."""

import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from server.main import Service
from tests.running import RunningServer, wait_until
from tests.sdk.conftest import Run, Someone
from tests.sdk.environments import environment

MEMBERS = 250


@pytest.fixture(scope="module")
def python() -> Path:
    return environment("gitpod-0.11.0")


@pytest.fixture
def crowd(service: Service, someone: Callable[[str], Someone]) -> dict[str, str]:
    """The environment that names an organization of 250 members."""
    founder = someone("Founder")
    organization, _ = service.organizations.create(founder.call, "Crowd")
    invite_id = service.links.create(founder.call, organization.id)
    for number in range(1, MEMBERS):
        service.organizations.join_by_invite(someone(f"Member {number}").call, invite_id)
    return {"ADA_TOKEN": founder.token, "ORGANIZATION_ID": organization.id, "MEMBERS": str(MEMBERS)}


def test_an_organization_lives_its_whole_life(run: Run, python: Path) -> None:
    assert "nothing of it is left" in run(python, "gitpod_0_11_0.py", "life")


def test_its_paging_ends_and_gives_each_member_once(run: Run, python: Path, crowd: dict[str, str]) -> None:
    printed = run(python, "gitpod_0_11_0.py", "paging", **crowd)

    assert printed.count("250 members in 7 requests") == 5
    run(python, "gitpod_0_11_0.py", "paging_asynchronously", **crowd)


def test_every_refusal_has_its_own_exception_and_is_not_repeated(run: Run, python: Path, server: RunningServer) -> None:
    printed = [line.split() for line in run(python, "gitpod_0_11_0.py", "errors").splitlines()]

    assert [code for code, _, _ in printed].count("unimplemented") == 3
    for code, request_id, path in printed:
        wait_until(lambda sought=request_id: sought in server.log)
        (line,) = [json.loads(line) for line in server.log.splitlines() if request_id in line]
        assert (line["method"], line["code"]) == (path, code)


def test_what_an_update_leaves_out_is_kept(run: Run, python: Path) -> None:
    run(python, "gitpod_0_11_0.py", "updating")


def test_people_join_by_their_domain(run: Run, python: Path) -> None:
    run(python, "gitpod_0_11_0.py", "matching_domain")


def test_it_manages_tokens_that_another_client_made(
    run: Run, python: Path, service: Service, someone: Callable[[str], Someone]
) -> None:
    ada = someone("Ada")
    _, member = service.organizations.create(ada.call, "Tokens")
    token = service.tokens.create_personal(
        ada.call, member.user_id, description="by another client", valid_for=timedelta(hours=1), read_only=False
    )
    people = {"ADA_TOKEN": ada.token, "USER_TOKEN": token, "USER_ID": member.user_id}

    run(python, "gitpod_0_11_0.py", "tokens", **people)
