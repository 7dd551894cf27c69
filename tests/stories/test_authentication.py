"""From a token to the caller: what is remembered, for how long, and at what cost."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from datetime import timedelta

import pytest

from server.domain.account import Claims
from server.domain.errors import CREDENTIALS_INVALID
from server.ports import Snapshot, Store, Transaction
from server.service.authentication import Authentication
from server.service.call import Call
from tests.conftest import World
from tests.domain.refusals import attempt, refused_with
from tests.stories.people import Issuer, party, secret_of_user, some_id


@dataclass
class CountingStore:
    """A store that counts how often it is asked, and does something after each read."""

    store: Store
    after_read: Callable[[], object] = lambda: None
    reads: int = 0
    writes: int = 0
    counting: threading.Lock = field(default_factory=threading.Lock)

    @contextmanager
    def snapshot(self, deadline: float | None = None) -> Iterator[Snapshot]:
        with self.counting:
            self.reads += 1
        with self.store.snapshot(deadline) as snapshot:
            yield snapshot
        self.after_read()

    def look(self, deadline: float | None = None) -> AbstractContextManager[Snapshot]:
        return self.snapshot(deadline)

    @contextmanager
    def transaction(self, deadline: float | None = None) -> Iterator[Transaction]:
        with self.counting:
            self.writes += 1
        with self.store.transaction(deadline) as transaction:
            yield transaction

    def version(self) -> int | None:
        return self.store.version()

    def ping(self) -> None:
        self.store.ping()

    def close(self) -> None:
        self.store.close()


class Door:
    """A fresh authentication with a given monotonic clock."""

    def __init__(self, world: World, issuer: Issuer | None = None) -> None:
        self.seconds = 100.0
        self.store = CountingStore(world.service.store)
        self.authentication = Authentication(
            self.store, world.clock, some_id, verifier=issuer, monotonic=lambda: self.seconds
        )

    def opens(self, secret: str) -> bool:
        _, refusal = attempt(lambda: self.authentication.who(secret))
        assert refusal is None or refusal.reason is CREDENTIALS_INVALID
        return refusal is None


@pytest.fixture
def door(world: World) -> Door:
    return Door(world)


def test_a_revoked_token_stops_working_within_a_second(world: World, door: Door) -> None:
    secret, token = world.service.tokens.issue(world.account("Ada"), description="", expires_at=None)
    assert door.opens(secret)
    world.service.tokens.revoke(token.id)
    door.seconds += 0.999
    door.opens(secret)
    door.seconds += 0.001
    assert not door.opens(secret)
    assert not door.opens(secret)


def test_the_second_begins_before_the_token_is_read(world: World, door: Door) -> None:
    secret, token = world.service.tokens.issue(world.account("Ada"), description="", expires_at=None)

    def a_slow_read() -> None:
        world.service.tokens.revoke(token.id)
        door.seconds += 0.9

    door.store.after_read = a_slow_read
    assert door.opens(secret)
    door.seconds += 0.1
    assert not door.opens(secret)


def test_a_token_is_read_again_after_a_second_unless_it_is_known_that_nothing_changed(world: World, door: Door) -> None:
    secret, token = world.service.tokens.issue(world.account("Ada"), description="", expires_at=None)
    assert door.opens(secret)
    for _ in range(3):
        door.seconds += 1
        assert door.opens(secret)
    # Every second, or once where the store tells that nothing has changed.
    assert door.store.reads == (4 if world.service.store.version() is None else 1)
    world.service.tokens.revoke(token.id)
    door.seconds += 1
    assert not door.opens(secret)


def test_a_change_between_reading_a_token_and_remembering_it_is_seen_after_a_second(world: World, door: Door) -> None:
    secret, token = world.service.tokens.issue(world.account("Ada"), description="", expires_at=None)
    door.store.after_read = lambda: world.service.tokens.revoke(token.id)
    door.opens(secret)
    door.store.after_read = lambda: None
    door.seconds += 1
    assert not door.opens(secret)


def test_a_token_that_expires_while_it_is_remembered_opens_nothing(world: World, door: Door) -> None:
    ends = world.clock() + timedelta(milliseconds=500)
    secret, _ = world.service.tokens.issue(world.account("Ada"), description="", expires_at=ends)
    assert door.opens(secret)
    world.clock.forward(timedelta(milliseconds=500))
    assert not door.opens(secret)


def test_an_unknown_token_is_refused_and_not_remembered_as_such(world: World, door: Door) -> None:
    secret, _ = world.service.tokens.issue(world.account("Ada"), description="", expires_at=None)
    for wrong in (secret + "x", secret[:-1], secret.upper(), "orgsvc_", "", "not one of ours", "a.b.c"):
        assert not door.opens(wrong)
    assert door.opens(secret)


@pytest.mark.parametrize("secret_of", ["token", "issuer"])
def test_a_token_costs_one_read_a_second_at_most_however_many_send_it(world: World, secret_of: str) -> None:
    issuer = Issuer(world)
    issuer.call("ada", "ada@example.com")
    door = Door(world, issuer)
    secret = "ada"
    if secret_of == "token":
        secret, _ = world.service.tokens.issue(world.account("Ada"), description="", expires_at=None)
    door.store.after_read = lambda: time.sleep(0.01)
    at_once = threading.Barrier(16)

    def send(_number: int) -> None:
        at_once.wait(10)
        for _ in range(50):
            assert door.opens(secret)

    for second in range(1, 4):
        with ThreadPoolExecutor(16) as pool:
            list(pool.map(send, range(16)))
        # Those who come from an issuer don't wait for each other before the first answer.
        assert door.store.reads <= (second if secret_of == "token" else 16 * second)
        assert door.store.writes == 0
        door.seconds += 1


def test_tokens_are_remembered_each_by_itself(world: World, door: Door) -> None:
    ada, _ = world.service.tokens.issue(world.account("Ada"), description="", expires_at=None)
    bob, _ = world.service.tokens.issue(world.account("Bob"), description="", expires_at=None, read_only=True)
    for _ in range(3):
        assert Call(door.authentication.who(ada)).caller.account == world.account("Ada")
        assert Call(door.authentication.who(bob)).caller.account == world.account("Bob")
        assert Call(door.authentication.who(bob)).caller.read_only


def test_a_users_token_is_read_with_its_user_and_organization(world: World, door: Door) -> None:
    it = party(world, "Ada")
    caller = Call(door.authentication.who(secret_of_user(world, "Ada", it.users["Ada"], read_only=True))).caller
    assert (caller.user_id, caller.organization_id, caller.read_only) == (it.users["Ada"], it.id, True)


def test_the_time_of_last_use_is_written_later_and_once_for_many_uses(world: World, door: Door) -> None:
    secret, token = world.service.tokens.issue(world.account("Ada"), description="", expires_at=None)

    def last_used() -> object:
        with world.service.store.snapshot() as tx:
            found = tx.access_token_by_id(token.id)
        return found and found.last_used_at

    for _ in range(5):
        world.clock.forward(timedelta(seconds=1))
        assert door.opens(secret)
    assert last_used() is None
    assert door.store.writes == 0
    door.authentication.write_last_used()
    assert last_used() == world.clock()
    assert door.store.writes == 1
    door.authentication.write_last_used()
    assert door.store.writes == 1


def test_a_person_of_an_issuer_gets_an_account_when_first_seen_and_keeps_it(world: World) -> None:
    issuer = Issuer(world)
    first = issuer.call("ada", "ada@example.com", name="Ada").caller.account
    assert (first.issuer, first.subject, first.login_provider) == ("https://issuer.example", "ada", "issuer.example")
    world.clock.forward(timedelta(days=1))
    second = issuer.call("ada", "ada@new.example", verified=False, name="Ada Lovelace").caller.account
    assert (second.id, second.created_at) == (first.id, first.created_at)
    assert (second.name, second.email, second.email_verified) == ("Ada Lovelace", "ada@new.example", False)
    assert second.updated_at - first.updated_at == timedelta(days=1)


def test_the_same_subject_of_another_issuer_and_the_same_address_are_other_people(world: World) -> None:
    issuer = Issuer(world)
    first = issuer.call("ada", "ada@example.com").caller.account
    issuer.said["other"] = Claims("https://other.example", "ada", "ada", "ada@example.com", email_verified=True)
    assert len({first.id, issuer.account("other").id, world.account("Ada").id}) == 3


def test_what_a_token_does_not_say_of_a_person_stays_as_it_was(world: World) -> None:
    people = Issuer(world)
    people.call("s-1", "ada@example.com", name="Ada")
    told = people.account("s-1")
    people.call("s-1", "", verified=False, name="s-1")
    assert people.account("s-1") == told
    people.call("s-1", "ada@example.org", verified=False, name="Ada L.")
    changed = people.account("s-1")
    assert (changed.name, changed.email, changed.email_verified) == ("Ada L.", "ada@example.org", False)


def test_a_person_whose_claims_stay_the_same_is_written_once(world: World) -> None:
    issuer = Issuer(world)
    door = Door(world, issuer)
    issuer.said["ada"] = Claims("https://issuer.example", "ada", "Ada", "ada@example.com", email_verified=True)
    for _ in range(10):
        door.authentication.who("ada")
        door.seconds += 1
    assert door.store.writes == 1


def test_a_person_who_comes_in_at_several_doors_at_once_is_one_account(world: World) -> None:
    issuer = Issuer(world)
    doors = [Door(world, issuer) for _ in range(8)]
    for door in doors:
        door.store.after_read = lambda: time.sleep(0.005)
    issuer.said["ada"] = Claims("https://issuer.example", "ada", "Ada", "ada@example.com", email_verified=True)
    at_once = threading.Barrier(8)

    def come(door: Door) -> str:
        at_once.wait(10)
        return Call(door.authentication.who("ada")).caller.account_id

    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(come, doors))) == 1


def test_without_an_issuer_only_our_own_tokens_are_known(world: World) -> None:
    with refused_with(CREDENTIALS_INVALID):
        world.service.authentication.who("eyJhbGciOiJub25lIn0.e30.")


def test_the_operators_account_for_an_address_is_one_however_it_is_written(world: World) -> None:
    first = world.service.authentication.local_account("Ada@Example.com", "Ada")
    renamed = world.service.authentication.local_account("ada@EXAMPLE.com", "")
    assert (renamed.id, renamed.name) == (first.id, "Ada")
    assert world.service.authentication.local_account("ada@example.com", "Lovelace").name == "Lovelace"
    assert world.service.authentication.local_account("nobody@example.com", "").name == "nobody@example.com"
