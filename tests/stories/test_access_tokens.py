"""Personal access tokens: whose they are, how far they reach, and how they end."""

from __future__ import annotations

from datetime import timedelta

import pytest

from server.domain.errors import (
    ACCESS_TOKEN_NOT_FOUND,
    ACCOUNT_TOKEN_REQUIRED,
    CREDENTIALS_INVALID,
    INVALID_REQUEST,
    NOT_YOURS,
    ORGANIZATION_NOT_FOUND,
    TOKEN_READ_ONLY,
    USER_NOT_FOUND,
)
from server.domain.organization import Role
from server.service.access_tokens import TOKEN_PREFIX
from server.service.authentication import Authentication
from server.service.call import Call
from tests.conftest import World
from tests.domain.refusals import attempt, refused_with
from tests.stories.people import call_with, party, read_only, secret_of_user, some_id


def opens(world: World, secret: str) -> bool:
    """Tell whether a token opens anything, asked of the database and not of what is remembered."""
    fresh = Authentication(world.service.store, world.clock, some_id)
    _, refusal = attempt(lambda: fresh.who(secret))
    assert refusal is None or refusal.reason is CREDENTIALS_INVALID
    return refusal is None


def token_ids(world: World, call: Call, *user_ids: str) -> list[str]:
    return [token.id for token in world.service.tokens.list_personal(call, user_ids)[0]]


def test_a_token_acts_as_its_user_in_its_organization_alone(world: World) -> None:
    it, other = party(world, "Ada", "Bob"), party(world, "Ada", name="Other")
    call = call_with(world, secret_of_user(world, "Ada", it.users["Ada"]))
    organizations = world.service.organizations
    assert organizations.update(call, it.id, name="By token").name == "By token"
    assert [m.organization.id for m in organizations.list_own(call)] == [it.id]
    for act in (
        lambda: organizations.get(call, other.id),
        lambda: organizations.update(call, other.id, name="By token"),
        lambda: organizations.delete(call, other.id),
        lambda: world.service.links.create(call, other.id),
    ):
        with refused_with(ORGANIZATION_NOT_FOUND):
            act()
    with refused_with(USER_NOT_FOUND):
        organizations.leave(call, other.users["Ada"])
    with refused_with(USER_NOT_FOUND):
        secret = world.service.tokens.create_personal(
            call, other.users["Ada"], description="", valid_for=timedelta(0), read_only=False
        )
        pytest.fail(f"a token of one organization made one of another: {secret}")
    for act in (
        lambda: organizations.create(call, "Another"),
        lambda: organizations.join_by_invite(call, other.invite),
        lambda: organizations.join_by_domain(call, other.id),
    ):
        with refused_with(ACCOUNT_TOKEN_REQUIRED):
            act()


def test_a_token_that_may_only_read_changes_nothing(world: World) -> None:
    it = party(world, "Ada", "Bob")
    reading = call_with(world, secret_of_user(world, "Ada", it.users["Ada"], read_only=True))
    organizations, tokens = world.service.organizations, world.service.tokens
    (kept,) = token_ids(world, reading)
    for call in (reading, read_only(world.call("Ada"))):
        for act in (
            lambda call=call: organizations.update(call, it.id, name="Changed"),
            lambda call=call: organizations.delete(call, it.id),
            lambda call=call: organizations.leave(call, it.users["Bob"]),
            lambda call=call: organizations.set_role(call, it.id, it.users["Bob"], Role.ADMIN),
            lambda call=call: world.service.links.create(call, it.id),
            lambda call=call: tokens.delete_personal(call, kept),
            lambda call=call: tokens.create_personal(
                call, it.users["Ada"], description="", valid_for=timedelta(0), read_only=False
            ),
        ):
            with refused_with(TOKEN_READ_ONLY):
                act()
    assert organizations.get(reading, it.id).name == "Acme"
    assert token_ids(world, reading) == [kept]
    with refused_with(TOKEN_READ_ONLY):
        organizations.join_by_invite(read_only(world.call("Cem")), it.invite)
    with refused_with(TOKEN_READ_ONLY):
        organizations.create(read_only(world.call("Cem")), "Another")


@pytest.mark.parametrize("removed", [False, True])
def test_a_users_tokens_end_when_the_membership_does_and_no_others(world: World, *, removed: bool) -> None:
    it, other = party(world, "Ada", "Bob"), party(world, "Ada", "Bob", name="Other")
    ended = secret_of_user(world, "Bob", it.users["Bob"])
    kept = [
        secret_of_user(world, "Bob", other.users["Bob"]),
        secret_of_user(world, "Ada", it.users["Ada"]),
        world.service.tokens.issue(world.account("Bob"), description="", expires_at=None)[0],
    ]
    world.service.organizations.leave(world.call("Ada" if removed else "Bob"), it.users["Bob"])
    assert not opens(world, ended)
    assert all(opens(world, secret) for secret in kept)
    it.join("Bob")
    assert not opens(world, ended)


def test_a_token_of_a_deleted_organization_opens_nothing(world: World) -> None:
    it = party(world, "Ada")
    secret = secret_of_user(world, "Ada", it.users["Ada"])
    world.service.organizations.delete(world.call("Ada"), it.id)
    assert not opens(world, secret)


def test_a_token_is_made_only_for_a_user_of_ones_own(world: World) -> None:
    it, foreign = party(world, "Ada", "Bob"), party(world, "Eve")
    with refused_with(NOT_YOURS):
        secret_of_user(world, "Ada", it.users["Bob"])
    for user_id in (foreign.users["Eve"], some_id()):
        with refused_with(USER_NOT_FOUND):
            secret_of_user(world, "Ada", user_id)
    it.leave("Bob")
    with refused_with(USER_NOT_FOUND):
        secret_of_user(world, "Bob", it.users["Bob"])


@pytest.mark.parametrize(("days", "lives"), [(0, 30), (1, 1), (90, 90)])
def test_a_token_opens_until_its_last_day(world: World, days: int, lives: int) -> None:
    it = party(world, "Ada")
    secret = secret_of_user(world, "Ada", it.users["Ada"], days=days)
    world.clock.forward(timedelta(days=lives) - timedelta(microseconds=1))
    assert opens(world, secret)
    world.clock.forward(timedelta(microseconds=1))
    assert not opens(world, secret)


@pytest.mark.parametrize("valid_for", [timedelta(seconds=-1), timedelta(days=90, microseconds=1), timedelta.max])
def test_a_life_beyond_the_limits_is_refused(world: World, valid_for: timedelta) -> None:
    it = party(world, "Ada")
    with refused_with(INVALID_REQUEST) as refusal:
        world.service.tokens.create_personal(
            world.call("Ada"), it.users["Ada"], description="", valid_for=valid_for, read_only=False
        )
    assert [violation.field for violation in refusal.error.violations] == ["valid_for"]


def test_tokens_are_listed_read_and_ended_by_their_owner_alone(world: World) -> None:
    it, other = party(world, "Ada", "Bob"), party(world, "Ada", name="Other")
    secrets = {key: secret_of_user(world, "Ada", where.users["Ada"]) for key, where in (("it", it), ("other", other))}
    secret_of_user(world, "Bob", it.users["Bob"])
    world.service.tokens.issue(world.account("Ada"), description="of the account", expires_at=None)
    ada, bob = world.call("Ada"), world.call("Bob")
    ids = token_ids(world, ada)
    assert len(ids) == 2
    (mine,) = token_ids(world, ada, it.users["Ada"])
    confined = call_with(world, secrets["it"])
    assert token_ids(world, confined) == [mine]
    assert token_ids(world, confined, other.users["Ada"]) == []
    assert token_ids(world, ada, it.users["Bob"]) == []
    (elsewhere,) = set(ids) - {mine}
    tokens = world.service.tokens
    account_token = next(token.id for token in tokens.list_all(world.account("Ada")) if token.user_id is None)
    for call, token_id in ((bob, mine), (confined, elsewhere), (ada, account_token), (ada, some_id())):
        with refused_with(ACCESS_TOKEN_NOT_FOUND):
            tokens.get_personal(call, token_id)
        with refused_with(ACCESS_TOKEN_NOT_FOUND):
            tokens.delete_personal(call, token_id)
    assert tokens.get_personal(confined, mine).user_id == it.users["Ada"]
    tokens.delete_personal(ada, mine)
    assert not opens(world, secrets["it"])
    assert opens(world, secrets["other"])
    with refused_with(ACCESS_TOKEN_NOT_FOUND):
        tokens.delete_personal(ada, mine)
    assert token_ids(world, ada) == [elsewhere]


def test_tokens_are_paged_and_a_page_token_is_bound_to_its_list(world: World) -> None:
    it = party(world, "Ada", "Bob")
    for _ in range(5):
        secret_of_user(world, "Ada", it.users["Ada"])
    seen, token = [], ""
    while True:
        page, token = world.service.tokens.list_personal(world.call("Ada"), page_size=2, token=token)
        seen += [each.id for each in page]
        if not token:
            break
        assert len(page) == 2
    assert seen == sorted(token_ids(world, world.call("Ada")))
    assert len(seen) == 5


def test_a_secret_is_shown_once_and_kept_nowhere(world: World) -> None:
    it = party(world, "Ada")
    secret = secret_of_user(world, "Ada", it.users["Ada"])
    assert secret.startswith(TOKEN_PREFIX)
    assert len(secret.removeprefix(TOKEN_PREFIX)) == 43
    (token,) = world.service.tokens.list_personal(world.call("Ada"))[0]
    assert secret not in repr(token)
    assert secret != secret_of_user(world, "Ada", it.users["Ada"])


def test_the_operator_ends_a_token_by_its_id_or_by_the_secret(world: World) -> None:
    account = world.account("Ada")
    for by_secret in (False, True):
        secret, token = world.service.tokens.issue(account, description="", expires_at=None)
        assert world.service.tokens.revoke(secret if by_secret else token.id) is True
        assert not opens(world, secret)
        assert world.service.tokens.revoke(secret if by_secret else token.id) is False
    assert world.service.tokens.revoke(some_id()) is False
    assert world.service.tokens.revoke(TOKEN_PREFIX + "unknown") is False


def test_the_operator_makes_a_token_of_a_user_only_where_there_is_one(world: World) -> None:
    it = party(world, "Ada", "Bob")
    it.leave("Bob")
    tokens = world.service.tokens
    secret, token = tokens.issue(world.account("Ada"), description="", expires_at=None, organization_id=it.id)
    assert token.user_id == it.users["Ada"]
    assert call_with(world, secret).caller.organization_id == it.id
    for name, organization_id in (("Bob", it.id), ("Eve", it.id), ("Ada", some_id())):
        with refused_with(ORGANIZATION_NOT_FOUND):
            tokens.issue(world.account(name), description="", expires_at=None, organization_id=organization_id)
