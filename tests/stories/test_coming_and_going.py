"""People come in, leave, come back; somebody always has the say."""

from __future__ import annotations

from datetime import timedelta

import pytest

from server.domain.errors import (
    ADMIN_REQUIRED,
    INVALID_REQUEST,
    INVITE_KEY_UNAVAILABLE,
    INVITE_NOT_FOUND,
    LAST_ADMIN,
    NO_LIVE_INVITE,
    ORGANIZATION_AMBIGUOUS,
    ORGANIZATION_NOT_FOUND,
    USER_NOT_FOUND,
)
from server.domain.organization import MemberStatus, Role
from server.domain.secrets import SecretKeys
from server.main import build_service
from server.ports import MemberFilter
from tests.conftest import KEY, World
from tests.domain.refusals import refused_with
from tests.stories.people import call_with, names, party, secret_of_user, some_id


def count(world: World, organization_id: str, who: str = "Ada") -> int:
    """Give the member count, which must be what a list counts."""
    kept = world.service.organizations.get(world.call(who), organization_id).member_count
    page = world.service.organizations.list_members(world.call(who), organization_id, MemberFilter(), count=True)
    assert kept == page.count
    return kept


def test_who_makes_an_organization_is_its_admin(world: World) -> None:
    organization, member = world.service.organizations.create(world.call("Ada"), "  Acme ")
    assert (organization.name, organization.member_count, organization.invite_domains) == ("Acme", 1, ())
    assert (member.role, member.status, member.full_name) == (Role.ADMIN, MemberStatus.ACTIVE, "Ada")
    assert world.service.organizations.get(world.call("Ada"), organization.id) == organization


def test_two_organizations_may_have_the_same_name_and_a_person_a_user_in_each(world: World) -> None:
    first, second = party(world, "Ada"), party(world, "Ada")
    assert first.id != second.id
    assert first.users["Ada"] != second.users["Ada"]
    assert len(world.service.organizations.list_own(world.call("Ada"))) == 2


def test_who_joins_twice_is_one_member_and_keeps_the_role(world: World) -> None:
    it = party(world, "Ada", "Bob")
    first = it.member("Bob")
    world.clock.forward(timedelta(days=1))
    it.join("Bob", "Bob")
    assert it.member("Bob") == first
    it.join("Ada")
    assert it.member("Ada").role is Role.ADMIN
    assert count(world, it.id) == 2


def test_who_leaves_and_returns_is_the_same_user_as_a_plain_member(world: World) -> None:
    it = party(world, "Ada", "Bob")
    world.service.organizations.set_role(world.call("Ada"), it.id, it.users["Bob"], Role.ADMIN)
    before = it.member("Bob")
    it.leave("Bob")
    assert (it.member("Bob").status, it.member("Bob").role) == (MemberStatus.LEFT, Role.MEMBER)
    assert names(world, it.id, world.call("Ada")) == ["Ada"]
    with refused_with(ORGANIZATION_NOT_FOUND):
        world.service.organizations.get(world.call("Bob"), it.id)
    world.clock.forward(timedelta(days=1))
    it.join("Bob")
    after = it.member("Bob")
    assert after.user_id == before.user_id
    assert (after.status, after.role) == (MemberStatus.ACTIVE, Role.MEMBER)
    assert after.joined_at - before.joined_at == timedelta(days=1)
    assert count(world, it.id) == 2


def test_who_left_is_listed_only_where_asked_for(world: World) -> None:
    it = party(world, "Ada", "Bob", "Cem")
    it.leave("Bob")
    left = MemberFilter(statuses=(MemberStatus.LEFT,))
    page = world.service.organizations.list_members(world.call("Ada"), it.id, left)
    assert [member.full_name for member in page.members] == ["Bob"]
    assert count(world, it.id) == 2


def test_leaving_twice_does_no_harm(world: World) -> None:
    it = party(world, "Ada", "Bob")
    for _ in range(2):
        it.leave("Bob")
    assert count(world, it.id) == 1


def test_an_admin_removes_a_member_and_a_member_nobody_else(world: World) -> None:
    it = party(world, "Ada", "Bob", "Cem")
    with refused_with(ADMIN_REQUIRED):
        world.service.organizations.leave(world.call("Bob"), it.users["Cem"])
    world.service.organizations.leave(world.call("Ada"), it.users["Cem"])
    assert names(world, it.id, world.call("Ada")) == ["Ada", "Bob"]


def test_the_last_admin_can_neither_leave_nor_step_down(world: World) -> None:
    it = party(world, "Ada", "Bob")
    organizations = world.service.organizations
    with refused_with(LAST_ADMIN):
        it.leave("Ada")
    with refused_with(LAST_ADMIN):
        organizations.set_role(world.call("Ada"), it.id, it.users["Ada"], Role.MEMBER)
    organizations.set_role(world.call("Ada"), it.id, it.users["Ada"], Role.ADMIN)
    organizations.set_role(world.call("Ada"), it.id, it.users["Bob"], Role.ADMIN)
    it.leave("Ada")
    with refused_with(LAST_ADMIN):
        it.leave("Bob")
    it.join("Ada")
    with refused_with(LAST_ADMIN):
        organizations.set_role(world.call("Bob"), it.id, it.users["Bob"], Role.MEMBER)
    assert count(world, it.id, "Bob") == 2


def test_an_admin_who_left_does_not_count_as_one(world: World) -> None:
    it = party(world, "Ada", "Bob")
    world.service.organizations.set_role(world.call("Ada"), it.id, it.users["Bob"], Role.ADMIN)
    it.leave("Bob")
    with refused_with(LAST_ADMIN):
        it.leave("Ada")


def test_a_role_is_given_only_to_members_of_that_organization(world: World) -> None:
    it, other = party(world, "Ada", "Bob"), party(world, "Ada", "Cem")
    it.leave("Bob")
    for user_id in (it.users["Bob"], other.users["Cem"], some_id()):
        with refused_with(USER_NOT_FOUND):
            world.service.organizations.set_role(world.call("Ada"), it.id, user_id, Role.ADMIN)


def test_a_new_link_ends_the_one_before(world: World) -> None:
    it = party(world, "Ada")
    links = world.service.links
    second = links.create(world.call("Ada"), it.id)
    assert links.get(world.call("Ada"), it.id) == second != it.invite
    with refused_with(INVITE_NOT_FOUND):
        it.join("Bob")
    with refused_with(INVITE_NOT_FOUND):
        links.summary(world.call("Bob"), it.invite)
    world.service.organizations.join_by_invite(world.call("Bob"), second.upper())
    assert names(world, it.id, world.call("Ada")) == ["Ada", "Bob"]


def test_looking_at_a_link_is_not_joining(world: World) -> None:
    it = party(world, "Ada")
    for _ in range(3):
        assert world.service.links.summary(world.call("Bob"), it.invite).member_count == 1
    assert count(world, it.id) == 1


def test_before_the_first_link_is_made_there_is_none(world: World) -> None:
    organization, _ = world.service.organizations.create(world.call("Ada"), "Acme")
    with refused_with(NO_LIVE_INVITE):
        world.service.links.get(world.call("Ada"), organization.id)


def test_after_a_rotation_of_keys_a_link_lives_on_and_without_its_key_it_is_only_not_shown(world: World) -> None:
    it = party(world, "Ada")
    newer = b"a newer key of thirty-two bytes!"
    rotated = build_service(world.service.store, SecretKeys([newer, KEY]), clock=world.clock)
    assert rotated.links.get(world.call("Ada"), it.id) == it.invite
    lost = build_service(world.service.store, SecretKeys([newer]), clock=world.clock)
    with refused_with(INVITE_KEY_UNAVAILABLE):
        lost.links.get(world.call("Ada"), it.id)
    lost.organizations.join_by_invite(world.call("Bob"), it.invite)
    again = lost.links.create(world.call("Ada"), it.id)
    assert lost.links.get(world.call("Ada"), it.id) == rotated.links.get(world.call("Ada"), it.id) == again
    with refused_with(INVITE_NOT_FOUND):
        rotated.organizations.join_by_invite(world.call("Cem"), it.invite)


def test_deleting_an_organization_ends_everything_in_it_and_nothing_else(world: World) -> None:
    it, other = party(world, "Ada", "Bob"), party(world, "Ada", "Bob", name="Other")
    world.service.organizations.delete(world.call("Ada"), it.id)
    for who in ("Ada", "Bob"):
        with refused_with(ORGANIZATION_NOT_FOUND):
            world.service.organizations.get(world.call(who), it.id)
        assert [m.organization.name for m in world.service.organizations.list_own(world.call(who))] == ["Other"]
    with refused_with(INVITE_NOT_FOUND):
        it.join("Cem")
    with refused_with(USER_NOT_FOUND):
        world.service.organizations.get_member(world.call("Ada"), it.users["Bob"])
    with refused_with(ORGANIZATION_NOT_FOUND):
        world.service.organizations.delete(world.call("Ada"), it.id)
    assert count(world, other.id) == 2


def test_a_change_keeps_what_is_not_given(world: World) -> None:
    it = party(world, "Ada")
    ada = world.call("Ada")
    world.service.organizations.update(ada, it.id, invite_domains=("Example.com", "EXAMPLE.com."))
    renamed = world.service.organizations.update(ada, it.id, name=" New name ")
    assert (renamed.name, renamed.invite_domains) == ("New name", ("example.com",))
    assert world.service.organizations.update(ada, it.id, invite_domains=()).invite_domains == ()
    with refused_with(INVALID_REQUEST):
        world.service.organizations.update(ada, it.id, name="x\ny")
    assert world.service.organizations.get(ada, it.id).name == "New name"


def test_the_time_of_change_moves_and_that_of_making_stays(world: World) -> None:
    it = party(world, "Ada")
    made = world.service.organizations.get(world.call("Ada"), it.id)
    world.clock.forward(timedelta(hours=1))
    changed = world.service.organizations.update(world.call("Ada"), it.id, name="Later")
    assert changed.created_at == made.created_at
    assert changed.updated_at - made.updated_at == timedelta(hours=1)


@pytest.mark.parametrize("organizations", [0, 1, 2])
def test_the_user_that_one_is_is_told_where_there_is_exactly_one(world: World, organizations: int) -> None:
    made = [party(world, "Ada") for _ in range(organizations)]
    if organizations == 1:
        assert world.service.organizations.own_member(world.call("Ada")).user_id == made[0].users["Ada"]
        return
    with refused_with(ORGANIZATION_AMBIGUOUS) as refusal:
        world.service.organizations.own_member(world.call("Ada"))
    assert refusal.error.metadata == {"count": str(organizations)}


def test_with_a_users_token_the_user_is_always_told(world: World) -> None:
    it = party(world, "Ada")
    party(world, "Ada")
    call = call_with(world, secret_of_user(world, "Ada", it.users["Ada"]))
    assert world.service.organizations.own_member(call).user_id == it.users["Ada"]
    it.join("Bob")
    world.service.organizations.set_role(world.call("Ada"), it.id, it.users["Bob"], Role.ADMIN)
    it.leave("Ada")
    with refused_with(ORGANIZATION_NOT_FOUND):
        world.service.organizations.own_member(call)
