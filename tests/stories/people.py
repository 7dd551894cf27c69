"""Organizations with people in them, for stories to begin with."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field, replace
from datetime import timedelta
from uuid import uuid4

from server.domain.account import Account, Caller, Claims
from server.domain.errors import CREDENTIALS_INVALID, ServiceError
from server.domain.organization import Member
from server.ports import MemberFilter
from server.service.authentication import Authentication
from server.service.call import Call
from tests.conftest import World

NOBODY = Call(None)


def some_id() -> str:
    """Give a UUID that nothing has."""
    return str(uuid4())


@dataclass
class Party:
    """An organization, its admin and members by name, and its live link."""

    world: World
    id: str
    invite: str
    users: dict[str, str] = field(default_factory=dict)

    def member(self, name: str) -> Member:
        """Give a person's user as the store has it."""
        with self.world.service.store.snapshot() as tx:
            found = tx.member_by_user_id(self.users[name])
        assert found is not None
        return found

    def join(self, *names: str) -> None:
        for name in names:
            self.users[name] = self.world.service.organizations.join_by_invite(
                self.world.call(name), self.invite
            ).user_id

    def leave(self, name: str) -> None:
        self.world.service.organizations.leave(self.world.call(name), self.users[name])


def party(world: World, admin: str = "Ada", *members: str, name: str = "Acme") -> Party:
    """Make an organization with an admin, a link, and members who came by it."""
    organization, first = world.service.organizations.create(world.call(admin), name)
    made = Party(world, organization.id, world.service.links.create(world.call(admin), organization.id))
    made.users[admin] = first.user_id
    made.join(*members)
    return made


def read_only(call: Call) -> Call:
    """Give the same caller with a token that may only read."""
    return Call(replace(call.caller, read_only=True))


def secret_of_user(world: World, name: str, user_id: str, *, read_only: bool = False, days: int = 0) -> str:
    """Make a personal access token and give its secret."""
    return world.service.tokens.create_personal(
        world.call(name), user_id, description="", valid_for=timedelta(days=days), read_only=read_only
    )


def call_with(world: World, secret: str) -> Call:
    """A call with a token, as the faces make one."""
    return Call(world.service.authentication.who(secret))


def names(world: World, organization_id: str, call: Call) -> list[str]:
    """Give the full names of the active members."""
    page = world.service.organizations.list_members(call, organization_id, MemberFilter(), page_size=100)
    return [member.full_name for member in page.members]


@dataclass
class Issuer:
    """A sign-in provider whose tokens are the claims' names."""

    world: World
    said: dict[str, Claims] = field(default_factory=dict)
    monotonic: float = 0.0

    def __post_init__(self) -> None:
        self.authentication = Authentication(
            self.world.service.store,
            self.world.clock,
            lambda: str(uuid.uuid4()),
            verifier=self,
            monotonic=lambda: self.monotonic,
        )

    def verify(self, token: str) -> Claims:
        try:
            return self.said[token]
        except KeyError:
            raise ServiceError(CREDENTIALS_INVALID) from None

    def call(self, subject: str, email: str, *, verified: bool = True, name: str = "") -> Call:
        """A call by a person whom the issuer says this of; it forgets what was remembered of them."""
        self.monotonic += 60
        self.said[subject] = Claims("https://issuer.example", subject, name or subject, email, email_verified=verified)
        return Call(self.authentication.who(subject))

    def account(self, subject: str) -> Account:
        who = self.authentication.who(subject)
        assert isinstance(who, Caller)
        return who.account
