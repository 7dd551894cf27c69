"""Any moves in any order, by several people, against a model that fits on a page."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from server.domain.account import Account, Caller
from server.domain.errors import (
    ADMIN_REQUIRED,
    INVITE_NOT_FOUND,
    LAST_ADMIN,
    NO_LIVE_INVITE,
    ORGANIZATION_NOT_FOUND,
    USER_NOT_FOUND,
    Reason,
)
from server.domain.organization import Role
from server.domain.secrets import SecretKeys
from server.main import build_service
from server.ports import MemberFilter, Store
from server.service.call import Call
from tests.conftest import KEY, GivenClock
from tests.domain.refusals import attempt

PEOPLE = ("Ada", "Bob", "Cem", "Dea")
people = st.sampled_from(PEOPLE)
roles = st.sampled_from(Role)
places = st.integers(0, 30)


@dataclass
class Model:
    """What should be true of one organization."""

    id: str
    roles: dict[str, Role]
    users: dict[str, str]
    links: list[str] = field(default_factory=list)
    deleted: bool = False

    def admins(self) -> set[str]:
        return {name for name, role in self.roles.items() if role is Role.ADMIN}

    def as_admin(self, who: str, *, unknown: Reason = ORGANIZATION_NOT_FOUND) -> Reason | None:
        """Give why this person may not administer it."""
        if self.deleted or who not in self.roles:
            return unknown
        return None if self.roles[who] is Role.ADMIN else ADMIN_REQUIRED

    def is_last_admin(self, who: str) -> bool:
        return self.admins() == {who}


class Moves(RuleBasedStateMachine):
    def __init__(self, store: Store, clock: GivenClock) -> None:
        super().__init__()
        self.store = store
        self.service = build_service(store, SecretKeys([KEY]), clock=clock, ids=lambda: str(uuid4()))
        self.accounts: dict[str, Account] = {
            name: self.service.authentication.local_account(f"{name}@example.com", name) for name in PEOPLE
        }
        self.models: list[Model] = []

    def call(self, who: str) -> Call:
        return Call(Caller(self.accounts[who]))

    def one(self, place: int) -> Model:
        return self.models[place % len(self.models)]

    def tries(self, wanted: Reason | None, act: Callable[[], Any]) -> Any:
        """Do it, and hold the outcome against what the model says."""
        done, refusal = attempt(act)
        assert (refusal and refusal.reason) is wanted
        return done

    @rule(who=people)
    def create(self, who: str) -> None:
        organization, member = self.service.organizations.create(self.call(who), f"Nr. {len(self.models)}")
        self.models.append(Model(organization.id, {who: Role.ADMIN}, {who: member.user_id}))

    @precondition(lambda self: self.models)
    @rule(who=people, place=places)
    def regenerate(self, who: str, place: int) -> None:
        it = self.one(place)
        made = self.tries(it.as_admin(who), lambda: self.service.links.create(self.call(who), it.id))
        if isinstance(made, str):
            assert made not in it.links
            it.links.append(made)

    @precondition(lambda self: any(it.links for it in self.models))
    @rule(who=people, place=places, which=places, live=st.booleans())
    def join(self, who: str, place: int, which: int, live: bool) -> None:
        linked = [it for it in self.models if it.links]
        it = linked[place % len(linked)]
        link = it.links[-1] if live else it.links[which % len(it.links)]
        wanted = INVITE_NOT_FOUND if it.deleted or link != it.links[-1] else None
        member = self.tries(wanted, lambda: self.service.organizations.join_by_invite(self.call(who), link))
        if wanted is None:
            user_id = str(member.user_id)
            assert it.users.setdefault(who, user_id) == user_id
            it.roles.setdefault(who, Role.MEMBER)

    @precondition(lambda self: self.models)
    @rule(who=people, whom=people, place=places)
    def leave(self, who: str, whom: str, place: int) -> None:
        it = self.one(place)
        user_id = it.users.get(whom, str(uuid4()))
        wanted = None
        if it.deleted or whom not in it.users:
            wanted = USER_NOT_FOUND
        elif who != whom:
            wanted = it.as_admin(who, unknown=USER_NOT_FOUND)
        if wanted is None and it.is_last_admin(whom):
            wanted = LAST_ADMIN
        self.tries(wanted, lambda: self.service.organizations.leave(self.call(who), user_id))
        if wanted is None:
            it.roles.pop(whom, None)

    @precondition(lambda self: self.models)
    @rule(who=people, whom=people, role=roles, place=places)
    def set_role(self, who: str, whom: str, role: Role, place: int) -> None:
        it = self.one(place)
        user_id = it.users.get(whom, str(uuid4()))
        wanted = it.as_admin(who)
        if wanted is None and whom not in it.roles:
            wanted = USER_NOT_FOUND
        if wanted is None and role is not Role.ADMIN and it.is_last_admin(whom):
            wanted = LAST_ADMIN
        self.tries(wanted, lambda: self.service.organizations.set_role(self.call(who), it.id, user_id, role))
        if wanted is None:
            it.roles[whom] = role

    @precondition(lambda self: self.models)
    @rule(who=people, place=places)
    def delete(self, who: str, place: int) -> None:
        it = self.one(place)
        wanted = it.as_admin(who)
        self.tries(wanted, lambda: self.service.organizations.delete(self.call(who), it.id))
        it.deleted = it.deleted or wanted is None

    @invariant()
    def every_organization_is_as_the_model_says(self) -> None:
        for it in self.models:
            who = next(iter(it.roles), PEOPLE[0])
            call = self.call(who)
            if it.deleted:
                self.tries(ORGANIZATION_NOT_FOUND, lambda call=call, it=it: self.service.organizations.get(call, it.id))
                continue
            assert it.admins()
            page = self.service.organizations.list_members(call, it.id, MemberFilter(), page_size=100, count=True)
            assert {m.full_name: m.role for m in page.members} == it.roles
            assert {m.full_name: m.user_id for m in page.members}.items() <= it.users.items()
            assert self.service.organizations.get(call, it.id).member_count == page.count == len(it.roles)

    @invariant()
    def one_link_is_live_and_the_admins_are_shown_it(self) -> None:
        for it in self.models:
            shown = it.links[-1:] if not it.deleted else []
            with self.store.snapshot():  # one moment for all of them
                for link in it.links[-3:]:
                    wanted = None if [link] == shown else INVITE_NOT_FOUND
                    self.tries(wanted, lambda link=link: self.service.links.summary(self.call("Ada"), link))
                if not it.deleted:
                    admin = next(iter(it.admins()))
                    live = self.tries(
                        None if shown else NO_LIVE_INVITE,
                        lambda admin=admin, it=it: self.service.links.get(self.call(admin), it.id),
                    )
                    assert [live] == (shown or [None])


@pytest.mark.slow
def test_moves_in_any_order_come_out_as_the_model_says(store: Store, clock: GivenClock) -> None:
    few = settings(max_examples=20, stateful_step_count=20, deadline=None)
    run_state_machine_as_test(lambda: Moves(store, clock), settings=few)
