"""Coming in without a link, by the domain of a verified address."""

from __future__ import annotations

import pytest

from server.domain.errors import EMAIL_NOT_VERIFIED, ORGANIZATION_NOT_FOUND, PAGE_TOKEN_INVALID
from server.domain.organization import MemberStatus, Role
from server.service.call import Call
from tests.conftest import World
from tests.domain.refusals import refused_with
from tests.stories.people import Issuer, call_with, party, secret_of_user, some_id


@pytest.fixture
def issuer(world: World) -> Issuer:
    return Issuer(world)


def joinable(world: World, call: Call) -> list[str]:
    return [organization.id for organization in world.service.organizations.list_joinable(call)[0]]


def test_colleagues_find_and_join_what_one_of_them_made_for_them(world: World, issuer: Issuer) -> None:
    organizations = world.service.organizations
    organization, _ = organizations.create(issuer.call("ada", "ada@Acme.example"), "Acme", invite_matching_domain=True)
    assert organization.invite_domains == ("acme.example",)
    bob = issuer.call("bob", "bob@ACME.example")
    assert joinable(world, bob) == [organization.id]
    member = organizations.join_by_domain(bob, organization.id)
    assert (member.role, member.status) == (Role.MEMBER, MemberStatus.ACTIVE)
    assert joinable(world, bob) == []
    assert organizations.join_by_domain(bob, organization.id) == member
    assert organizations.get(bob, organization.id).member_count == 2


@pytest.mark.parametrize(
    "email",
    [
        "eve@other.example",
        "eve@mail.acme.example",
        "eve@acme.example.evil.example",
        "eve@evil＠acme.example",
        "eve",
        "",
    ],
)
def test_an_address_elsewhere_neither_finds_nor_joins(world: World, issuer: Issuer, email: str) -> None:
    organization, _ = world.service.organizations.create(
        issuer.call("ada", "ada@acme.example"), "Acme", invite_matching_domain=True
    )
    eve = issuer.call("eve", email)
    assert joinable(world, eve) == []
    with refused_with(ORGANIZATION_NOT_FOUND) as foreign:
        world.service.organizations.join_by_domain(eve, organization.id)
    with refused_with(ORGANIZATION_NOT_FOUND) as missing:
        world.service.organizations.join_by_domain(eve, some_id())
    assert str(foreign.error) == str(missing.error)


def test_an_unverified_address_neither_finds_nor_joins_and_learns_nothing(world: World, issuer: Issuer) -> None:
    organizations = world.service.organizations
    organization, _ = organizations.create(issuer.call("ada", "ada@acme.example"), "Acme", invite_matching_domain=True)
    eve = issuer.call("eve", "eve@acme.example", verified=False)
    assert joinable(world, eve) == []
    for organization_id in (organization.id, some_id()):
        with refused_with(EMAIL_NOT_VERIFIED):
            organizations.join_by_domain(eve, organization_id)
    assert joinable(world, issuer.call("eve", "eve@acme.example", verified=True)) == [organization.id]


def test_who_joined_stays_a_member_when_the_address_changes(world: World, issuer: Issuer) -> None:
    organizations = world.service.organizations
    organization, _ = organizations.create(issuer.call("ada", "ada@acme.example"), "Acme", invite_matching_domain=True)
    before = organizations.join_by_domain(issuer.call("bob", "bob@acme.example"), organization.id)
    moved = issuer.call("bob", "bob@new.example", verified=False, name="Robert")
    after = organizations.join_by_domain(moved, organization.id)
    assert (after.user_id, after.full_name, after.email) == (before.user_id, "Robert", "bob@new.example")


def test_closing_a_domain_lets_nobody_else_in_and_puts_nobody_out(world: World, issuer: Issuer) -> None:
    organizations = world.service.organizations
    ada = issuer.call("ada", "ada@acme.example")
    organization, _ = organizations.create(ada, "Acme", invite_matching_domain=True)
    bob = issuer.call("bob", "bob@acme.example")
    organizations.join_by_domain(bob, organization.id)
    organizations.update(ada, organization.id, invite_domains=())
    with refused_with(ORGANIZATION_NOT_FOUND):
        organizations.join_by_domain(issuer.call("cem", "cem@acme.example"), organization.id)
    assert organizations.get(bob, organization.id).member_count == 2


def test_who_left_may_come_back_by_the_domain_as_the_same_user(world: World, issuer: Issuer) -> None:
    organizations = world.service.organizations
    organization, _ = organizations.create(issuer.call("ada", "ada@acme.example"), "Acme", invite_matching_domain=True)
    bob = issuer.call("bob", "bob@acme.example")
    first = organizations.join_by_domain(bob, organization.id)
    organizations.leave(bob, first.user_id)
    assert joinable(world, bob) == [organization.id]
    assert organizations.join_by_domain(bob, organization.id).user_id == first.user_id


@pytest.mark.parametrize("email", ["ada@gmail.com", "ada@GMX.de", "", "ada"])
def test_a_domain_open_to_everybody_or_none_at_all_is_not_shared(world: World, issuer: Issuer, email: str) -> None:
    call = issuer.call("ada", email)
    organization, _ = world.service.organizations.create(call, "Acme", invite_matching_domain=True)
    assert organization.invite_domains == ()
    assert world.service.organizations.get(call, organization.id) == organization
    assert joinable(world, issuer.call("eve", "eve@gmail.com")) == []


def test_without_asking_for_it_no_domain_is_shared(world: World, issuer: Issuer) -> None:
    organization, _ = world.service.organizations.create(issuer.call("ada", "ada@acme.example"), "Acme")
    assert organization.invite_domains == ()
    assert joinable(world, issuer.call("bob", "bob@acme.example")) == []


def test_pages_of_joinable_organizations_show_each_once_and_leave_out_ones_own(world: World, issuer: Issuer) -> None:
    organizations = world.service.organizations
    ada = issuer.call("ada", "ada@acme.example")
    kept = {organizations.create(ada, f"Nr. {i}", invite_matching_domain=True)[0].id for i in range(7)}
    bob = issuer.call("bob", "bob@acme.example")
    joined = sorted(kept)[2]
    organizations.join_by_domain(bob, joined)
    seen: list[str] = []
    token, pages = "", 0
    while True:
        page, token = organizations.list_joinable(bob, page_size=2, token=token)
        assert len(page) <= 2
        seen += [organization.id for organization in page]
        pages += 1
        if not token:
            break
    assert seen == sorted(kept - {joined})
    assert pages == 4
    first_token = organizations.list_joinable(bob, page_size=2)[1]
    with refused_with(PAGE_TOKEN_INVALID):
        organizations.list_joinable(issuer.call("eve", "eve@other.example"), page_size=2, token=first_token)


def test_a_token_of_a_user_finds_nothing_to_join(world: World) -> None:
    open_one = party(world, "Eve", name="Open")
    world.service.organizations.update(world.call("Eve"), open_one.id, invite_domains=("example.com",))
    it = party(world, "Ada")
    assert joinable(world, world.call("Ada")) == [open_one.id]
    assert joinable(world, call_with(world, secret_of_user(world, "Ada", it.users["Ada"]))) == []
