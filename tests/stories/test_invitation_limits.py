"""How many invitations a person and an organization may make in a time."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from server.domain.errors import RATE_LIMITED, ServiceError
from server.domain.invitation import IfPending
from server.domain.rates import Rate
from server.domain.secrets import SecretKeys
from server.main import build_service, invitation_policy
from server.ports import Store
from server.service.call import Call
from server.service.invitations import InvitationPolicy, Invited, NewInvitation
from server.settings import Settings
from tests.conftest import KEY, GivenClock, World
from tests.stories.people import party

FIVE = Rate(5, 3600)
Make = Callable[..., World]


@pytest.fixture
def make(store: Store, clock: GivenClock) -> Make:
    def make(inviter: Rate | None = None, organization: Rate | None = None) -> World:
        policy = InvitationPolicy(inviter_rate=inviter, organization_rate=organization)
        return World(build_service(store, SecretKeys([KEY]), clock=clock, policy=policy), clock)

    return make


def invite(world: World, call: Call, organization_id: str, email: str) -> Invited:
    return world.service.invitations.create(call, organization_id, NewInvitation(email=email))


def refused(act: Callable[[], object]) -> ServiceError:
    with pytest.raises(ServiceError) as raised:
        act()
    return raised.value


def limited(refusal: ServiceError, limit: str) -> float:
    """Give the seconds to wait that a refusal of a limit tells."""
    assert (refusal.reason, refusal.metadata["limit"]) == (RATE_LIMITED, limit)
    assert refusal.retry_after_seconds is not None
    return refusal.retry_after_seconds


def one_too_many(world: World, call: Call, organization_id: str, email: str, limit: str) -> float:
    return limited(refused(lambda: invite(world, call, organization_id, email)), limit)


def test_a_person_is_limited_in_all_organizations_together_and_alone(make: Make) -> None:
    world = make(inviter=FIVE)
    one, other = party(world, "Ada", "Bob"), party(world, "Ada")
    ada = world.call("Ada")
    for n in range(5):
        invite(world, ada, (one if n % 2 else other).id, f"{n}@example.org")
    wait = one_too_many(world, ada, one.id, "late@example.org", "inviter")
    assert wait == pytest.approx(720, abs=1e-3)
    cem = party(world, "Cem")
    invite(world, world.call("Cem"), cem.id, "else@example.org")
    world.clock.forward(timedelta(seconds=wait - 1))
    one_too_many(world, ada, other.id, "late@example.org", "inviter")
    world.clock.forward(timedelta(seconds=1.001))
    invite(world, ada, one.id, "late@example.org")
    one_too_many(world, ada, one.id, "later@example.org", "inviter")
    world.clock.forward(timedelta(hours=1))
    for n in range(5):
        invite(world, ada, one.id, f"again{n}@example.org")


def test_an_organization_is_limited_whoever_invites_also_a_backend(make: Make) -> None:
    world = make(inviter=FIVE, organization=FIVE)
    it, other = party(world, "Ada"), party(world, "Cem")
    key, _ = world.service.backend_keys.issue("a service")
    backend = Call(world.service.authentication.who(key))
    for n in range(3):
        invite(world, backend, it.id, f"{n}@example.org")
    for n in range(2):
        invite(world, world.call("Ada"), it.id, f"ada{n}@example.org")
    one_too_many(world, backend, it.id, "late@example.org", "invitations")
    one_too_many(world, world.call("Ada"), it.id, "late@example.org", "invitations")
    invite(world, backend, other.id, "else@example.org")


def test_sending_again_counts_and_removing_gives_nothing_back(make: Make) -> None:
    world = make(inviter=FIVE)
    it, ada = party(world, "Ada"), world.call("Ada")
    first = invite(world, ada, it.id, "0@example.org").invitation
    world.service.invitations.resend(ada, first.id)
    renewed = NewInvitation(email="0@example.org", if_pending=IfPending.RENEW)
    world.service.invitations.create(ada, it.id, renewed)
    for n in (1, 2):
        world.service.invitations.delete(ada, invite(world, ada, it.id, f"{n}@example.org").invitation.id)
    one_too_many(world, ada, it.id, "late@example.org", "inviter")
    refusal = refused(lambda: world.service.invitations.resend(ada, first.id))
    limited(refusal, "inviter")


def test_of_a_batch_what_is_too_much_is_refused_item_by_item_or_the_whole(make: Make) -> None:
    world = make(inviter=FIVE, organization=Rate(100, 3600))
    it, ada = party(world, "Ada"), world.call("Ada")
    news = [NewInvitation(email=f"{n}@example.org") for n in range(8)]
    refusal = refused(lambda: world.service.invitations.create_batch(ada, it.id, news, all_or_nothing=True))
    limited(refusal, "inviter")
    outcomes = world.service.invitations.create_batch(ada, it.id, news)
    assert [isinstance(outcome, Invited) for outcome in outcomes] == [True] * 5 + [False] * 3
    for outcome in outcomes[5:]:
        assert isinstance(outcome, ServiceError)
        limited(outcome, "inviter")


def test_what_is_refused_for_another_reason_costs_nothing(make: Make) -> None:
    world = make(inviter=FIVE)
    it, ada = party(world, "Ada"), world.call("Ada")
    for _ in range(10):
        refused(lambda: invite(world, ada, it.id, "no address"))
        refused(lambda: invite(world, world.call("Eve"), it.id, "0@example.org"))
    for n in range(5):
        invite(world, ada, it.id, f"{n}@example.org")
    one_too_many(world, ada, it.id, "late@example.org", "inviter")


def test_by_default_a_batch_of_a_thousand_fits(store: Store, clock: GivenClock) -> None:
    service = build_service(store, SecretKeys([KEY]), clock=clock, policy=invitation_policy(Settings()))
    world = World(service, clock)
    it = party(world, "Ada")
    news = [NewInvitation(email=f"{n}@example.org", send_email=False) for n in range(1000)]
    outcomes = world.service.invitations.create_batch(world.call("Ada"), it.id, news)
    assert all(isinstance(outcome, Invited) for outcome in outcomes)


def test_what_has_come_back_is_forgotten(make: Make, store: Store) -> None:
    world = make(inviter=FIVE, organization=FIVE)
    it, ada = party(world, "Ada"), world.call("Ada")
    for n in range(5):
        invite(world, ada, it.id, f"{n}@example.org")
    world.service.invitations.forget_limit_uses()
    one_too_many(world, ada, it.id, "late@example.org", "invitations")
    world.clock.forward(timedelta(hours=1, seconds=1))
    with store.transaction() as tx:
        assert tx.forget_limit_uses(world.clock(), 100) == 2
        assert tx.forget_limit_uses(world.clock(), 100) == 0
