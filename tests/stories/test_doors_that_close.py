"""Links that are turned off, organizations that are full, codes that are guessed: also when all come at once."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import pytest

from server.domain.account import Scope
from server.domain.errors import (
    ADMIN_REQUIRED,
    INVITE_NOT_FOUND,
    MAIL_LIMIT,
    NO_LIVE_INVITE,
    ORGANIZATION_FULL,
    ORGANIZATION_NOT_FOUND,
    SIGN_IN_CODE_WRONG,
    TOKEN_READ_ONLY,
    ServiceError,
)
from server.domain.rates import Rate
from server.domain.secrets import SecretKeys
from server.domain.session import MAX_WRONG_GUESSES, SignInMethods
from server.main import build_service
from server.ports import Store
from server.service.call import Call, retried
from server.service.invitations import InvitationPolicy, NewInvitation
from server.service.sign_in import SignInOptions
from tests.conftest import KEY, GivenClock, World
from tests.domain.refusals import refused_with
from tests.stories.people import party, read_only

Value = TypeVar("Value")
KEYS = SecretKeys([KEY])
MOST = 5


def at_once(works: Sequence[Callable[[], Value]]) -> list[Value | str]:
    """Do all at the same time; give what each gave, or the reason why it was refused."""
    together = threading.Barrier(len(works))

    def run(work: Callable[[], Value]) -> Value | str:
        together.wait(30)
        try:
            return retried(work, None)
        except ServiceError as refusal:
            return refusal.reason.name

    with ThreadPoolExecutor(len(works)) as threads:
        return list(threads.map(run, works))


# A link that is turned off.


def test_a_link_that_is_turned_off_opens_nothing_until_another_is_made(world: World) -> None:
    it = party(world, "Ada", "Bob")
    links, organizations = world.service.links, world.service.organizations
    links.disable(world.call("Ada"), it.id)
    links.disable(world.call("Ada"), it.id)
    with refused_with(NO_LIVE_INVITE):
        links.get(world.call("Ada"), it.id)
    for who in (Call(None), world.call("Eve")):
        with refused_with(INVITE_NOT_FOUND):
            links.summary(who, it.invite)
    with refused_with(INVITE_NOT_FOUND):
        organizations.join_by_invite(world.call("Eve"), it.invite)
    fresh = links.create(world.call("Ada"), it.id)
    assert fresh != it.invite
    assert organizations.join_by_invite(world.call("Eve"), fresh).is_active


def test_only_an_admin_turns_the_link_off(world: World) -> None:
    it = party(world, "Ada", "Bob")
    for call, reason in (
        (world.call("Bob"), ADMIN_REQUIRED),
        (world.call("Eve"), ORGANIZATION_NOT_FOUND),
        (read_only(world.call("Ada")), TOKEN_READ_ONLY),
    ):
        with refused_with(reason):
            world.service.links.disable(call, it.id)
    assert world.service.links.get(world.call("Ada"), it.id) == it.invite


@pytest.mark.parametrize("round_number", range(5))
def test_nobody_joins_by_a_link_after_it_was_turned_off(world: World, round_number: int) -> None:
    it, admin = party(world, "Ada"), world.call("Ada")
    calls = [world.call(f"Person{round_number}x{n}") for n in range(7)]

    def join(call: Call) -> int:
        world.service.organizations.join_by_invite(call, it.invite)
        return 0

    def disable() -> int:
        world.service.links.disable(admin, it.id)
        return world.service.organizations.get(admin, it.id).member_count

    let_in, *outcomes = at_once([disable, *(lambda call=call: join(call) for call in calls)])
    assert set(outcomes) <= {0, "INVITE_NOT_FOUND"}
    # Whoever was let in stood there when the link was off already.
    assert let_in == 1 + outcomes.count(0)


# A full organization.


@pytest.fixture
def small(store: Store, clock: GivenClock) -> World:
    """Give a world in which an organization has so many members at most."""
    policy = InvitationPolicy(most_members=MOST)
    return World(build_service(store, KEYS, clock=clock, policy=policy), clock)


def test_a_full_organization_lets_nobody_in_by_any_door_until_somebody_leaves(small: World) -> None:
    it = party(small, "Ada", "Bob", "Cem", "Dan", "Fay")
    service, eve = small.service, small.account("Eve")
    key = Call(service.backend_keys.issue("service", scopes=tuple(Scope))[1])
    service.organizations.update(small.call("Ada"), it.id, invite_domains=("example.com",))
    invited = service.invitations.create(small.call("Ada"), it.id, NewInvitation("eve@example.com", send_email=False))
    assert invited.token is not None
    token = invited.token
    doors: list[Callable[[], object]] = [
        lambda: service.organizations.join_by_invite(small.call("Eve"), it.invite),
        lambda: service.organizations.join_by_domain(small.call("Eve"), it.id),
        lambda: service.invitations.accept(small.call("Eve"), token=token),
        lambda: service.invitations.accept(small.call("Eve"), invitation_id=invited.invitation.id),
        lambda: service.invitations.accept_for(key, invited.invitation.id, eve.id),
        lambda: service.administration.add_member(key, it.id, eve.id),
        lambda: service.administration.add_members(key, it.id, [small.account("Bob").id, eve.id]),
    ]
    for door in doors:
        with pytest.raises(ServiceError) as refusal:
            door()
        assert (refusal.value.reason, refusal.value.metadata) == (ORGANIZATION_FULL, {"limit": str(MOST)})
    # Who is in stays in, by whatever door they come again.
    assert service.organizations.join_by_invite(small.call("Bob"), it.invite).user_id == it.users["Bob"]
    assert service.administration.add_member(key, it.id, small.account("Bob").id).is_active
    it.leave("Fay")
    assert service.invitations.accept(small.call("Eve"), token=token)[1].is_active
    with refused_with(ORGANIZATION_FULL):
        service.organizations.join_by_invite(small.call("Fay"), it.invite)


def test_members_added_together_are_all_let_in_or_none(small: World) -> None:
    it = party(small, "Ada", "Bob")
    key = Call(small.service.backend_keys.issue("service", scopes=tuple(Scope))[1])
    many = [small.account(f"Person{n}").id for n in range(MOST - 1)]
    with refused_with(ORGANIZATION_FULL):
        small.service.administration.add_members(key, it.id, many)
    assert small.service.organizations.get(small.call("Ada"), it.id).member_count == 2
    small.service.administration.add_members(key, it.id, many[: MOST - 2])
    assert small.service.organizations.get(small.call("Ada"), it.id).member_count == MOST


def test_so_many_free_seats_admit_exactly_so_many(small: World) -> None:
    it = party(small, "Ada", "Bob")
    service, seats, admin = small.service, MOST - 2, small.call("Ada")
    key = Call(service.backend_keys.issue("service", scopes=tuple(Scope))[1])
    works: list[Callable[[], object]] = []
    for n in range(4):
        call, account = small.call(f"Link{n}"), small.account(f"Key{n}")
        made = service.invitations.create(admin, it.id, NewInvitation(f"mail{n}@example.com", send_email=False))
        invited, token = small.call(f"Mail{n}"), made.token or ""
        works += [
            lambda call=call: service.organizations.join_by_invite(call, it.invite),
            lambda invited=invited, token=token: service.invitations.accept(invited, token=token),
            lambda account=account: service.administration.add_member(key, it.id, account.id),
        ]
    outcomes = at_once(works)
    assert outcomes.count("ORGANIZATION_FULL") == len(works) - seats
    assert service.organizations.get(admin, it.id).member_count == MOST


# Codes that are guessed.


@pytest.fixture
def desk(store: Store, clock: GivenClock) -> World:
    options = SignInOptions(SignInMethods(email_code=True))
    policy = InvitationPolicy(recipient_rate=Rate(3, 600))
    return World(build_service(store, KEYS, clock=clock, policy=policy, sign_in=options), clock)


def test_of_many_guesses_at_once_so_many_are_looked_at(desk: World) -> None:
    sign_in = desk.service.sign_in
    code = sign_in.send_code("ada@example.com")
    right = KEYS.sign_in_code(code.id, KEYS.current_id)
    guesses = [f"{(int(right) + n) % 10**8:08}" for n in range(1, 13)]
    outcomes = at_once([lambda guess=guess: sign_in.with_code(code.id, guess) for guess in guesses])
    assert outcomes == ["SIGN_IN_CODE_WRONG"] * 12
    with desk.service.store.snapshot() as tx:
        found = tx.sign_in_code(code.id)
    assert found is not None
    assert found.wrong_guesses == MAX_WRONG_GUESSES
    with refused_with(SIGN_IN_CODE_WRONG):
        sign_in.with_code(code.id, right)


def test_of_many_who_use_a_code_at_once_one_is_signed_in(desk: World) -> None:
    sign_in = desk.service.sign_in
    code = sign_in.send_code("ada@example.com")
    right = KEYS.sign_in_code(code.id, KEYS.current_id)
    outcomes = at_once([lambda: sign_in.with_code(code.id, right)] * 8)
    assert outcomes.count("SIGN_IN_CODE_WRONG") == 7


def test_of_many_codes_asked_for_at_once_so_many_are_sent_as_are_allowed(desk: World) -> None:
    outcomes = at_once([lambda: desk.service.sign_in.send_code("ada@example.com")] * 10)
    assert outcomes.count(MAIL_LIMIT.name) == 10 - 3
