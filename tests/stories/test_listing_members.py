"""Lists of members: who comes first, what a page token is good for."""

from __future__ import annotations

import pytest

from server.domain.errors import PAGE_TOKEN_INVALID
from server.domain.organization import MemberStatus, Role
from server.ports import MemberFilter, MemberOrder
from tests.conftest import World
from tests.domain.refusals import refused_with
from tests.stories.people import Party, party, secret_of_user

BY_NAME, BACKWARDS = MemberOrder("name"), MemberOrder("name", descending=True)
BY_TIME, LATEST = MemberOrder("joined_at"), MemberOrder("joined_at", descending=True)


def pages(
    world: World, it: Party, who: str, size: int, order: MemberOrder | None = None, wanted: MemberFilter | None = None
) -> list[list[str]]:
    """Give the names on each page, read to the end."""
    seen: list[list[str]] = []
    token = ""
    while True:
        page = world.service.organizations.list_members(
            world.call(who), it.id, wanted or MemberFilter(), order, page_size=size, token=token
        )
        assert len(page.members) <= size
        seen.append([member.full_name for member in page.members])
        token = page.next_token
        if not token:
            return seen


def listed(each: list[list[str]]) -> list[str]:
    return [name for page in each for name in page]


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 100])
def test_without_an_order_the_caller_comes_first_and_the_others_by_name(world: World, size: int) -> None:
    it = party(world, "Mia", "Zoe", "Abe", "Ned")
    each = pages(world, it, "Ned", size)
    assert listed(each) == ["Ned", "Abe", "Mia", "Zoe"]
    assert all(len(page) == size for page in each[:-1])
    assert pages(world, it, "Abe", size)[0][0] == "Abe"


def test_an_organization_of_one_is_one_page(world: World) -> None:
    assert pages(world, party(world, "Ada"), "Ada", 1) == [["Ada"]]


@pytest.mark.parametrize("size", [1, 3])
def test_with_an_order_the_caller_has_no_special_place(world: World, size: int) -> None:
    it = party(world, "Mia", "Zoe")
    it.world.clock.forward(it.world.clock().resolution)
    it.join("Abe")
    it.world.clock.forward(it.world.clock().resolution)
    it.join("Ned")
    assert listed(pages(world, it, "Ned", size, BY_NAME)) == ["Abe", "Mia", "Ned", "Zoe"]
    assert listed(pages(world, it, "Ned", size, BACKWARDS)) == ["Zoe", "Ned", "Mia", "Abe"]
    assert listed(pages(world, it, "Mia", size, BY_TIME))[2:] == ["Abe", "Ned"]
    assert listed(pages(world, it, "Mia", size, LATEST))[:2] == ["Ned", "Abe"]


def test_a_caller_whom_the_filter_leaves_out_is_not_put_first(world: World) -> None:
    it = party(world, "Mia", "Zoe", "Abe")
    assert pages(world, it, "Mia", 2, wanted=MemberFilter(search="zoe")) == [["Zoe"]]
    for wanted in (
        MemberFilter(roles=(Role.MEMBER,)),
        MemberFilter(user_ids=(it.users["Zoe"], it.users["Abe"])),
    ):
        assert listed(pages(world, it, "Mia", 2, wanted=wanted)) == ["Abe", "Zoe"]
    it.leave("Zoe")
    assert pages(world, it, "Mia", 2, wanted=MemberFilter(statuses=(MemberStatus.LEFT,))) == [["Zoe"]]


def test_the_count_is_of_all_who_match_and_not_of_the_page(world: World) -> None:
    it = party(world, "Mia", "Zoe", "Abe")
    organizations = world.service.organizations
    for wanted, count in ((MemberFilter(), 3), (MemberFilter(search="zoe"), 1), (MemberFilter(search="none"), 0)):
        assert organizations.list_members(world.call("Mia"), it.id, wanted, page_size=1, count=True).count == count
        assert organizations.list_members(world.call("Mia"), it.id, wanted, page_size=1).count is None


def test_a_page_token_is_good_for_its_own_list_alone(world: World) -> None:
    it, other = party(world, "Mia", "Zoe", "Abe"), party(world, "Mia", "Zoe", "Abe")
    organizations, mia = world.service.organizations, world.call("Mia")
    tokens = {
        order: organizations.list_members(mia, it.id, MemberFilter(), order, page_size=1).next_token
        for order in (None, BY_NAME, BACKWARDS, BY_TIME, LATEST)
    }
    assert all(tokens.values())
    for order, token in tokens.items():
        assert organizations.list_members(mia, it.id, MemberFilter(), order, page_size=2, token=token).members
        for another in tokens:
            if another != order:
                with refused_with(PAGE_TOKEN_INVALID):
                    organizations.list_members(mia, it.id, MemberFilter(), another, token=token)
        for organization_id, wanted in ((other.id, MemberFilter()), (it.id, MemberFilter(search="a"))):
            with refused_with(PAGE_TOKEN_INVALID):
                organizations.list_members(mia, organization_id, wanted, order, token=token)
        with refused_with(PAGE_TOKEN_INVALID):
            world.service.tokens.list_personal(mia, token=token)
        with refused_with(PAGE_TOKEN_INVALID):
            organizations.list_joinable(mia, token=token)


def test_a_page_token_of_another_list_is_refused_for_access_tokens_too(world: World) -> None:
    it = party(world, "Mia", "Zoe")
    for _ in range(3):
        secret_of_user(world, "Mia", it.users["Mia"])
        secret_of_user(world, "Zoe", it.users["Zoe"])
    token = world.service.tokens.list_personal(world.call("Mia"), page_size=1)[1]
    with refused_with(PAGE_TOKEN_INVALID):
        world.service.tokens.list_personal(world.call("Zoe"), page_size=1, token=token)
    with refused_with(PAGE_TOKEN_INVALID):
        world.service.tokens.list_personal(world.call("Mia"), (it.users["Mia"],), page_size=1, token=token)


def test_who_comes_and_goes_between_two_pages_moves_nobody_else(world: World) -> None:
    it = party(world, "Mia", "Abe", "Ned", "Zoe")
    organizations, mia = world.service.organizations, world.call("Mia")
    first = organizations.list_members(mia, it.id, MemberFilter(), page_size=2)
    it.leave("Abe")
    it.join("Aaa", "Yan")
    rest = organizations.list_members(mia, it.id, MemberFilter(), page_size=9, token=first.next_token)
    assert [member.full_name for member in (*first.members, *rest.members)] == ["Mia", "Abe", "Ned", "Yan", "Zoe"]
