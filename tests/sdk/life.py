"""The life of an organization, told once, for every client that calls the service as its users do.

This file needs nothing but the standard library: the programs beside it import it by its path from environments in
which nothing of ours is installed. Enums are spoken of by the names that the contract gives their values.
"""

from __future__ import annotations

import base64
import sys
import time
from collections.abc import Callable, Iterable
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, Protocol, TypeVar

ADMIN = "ORGANIZATION_ROLE_ADMIN"
MEMBER = "ORGANIZATION_ROLE_MEMBER"
ACTIVE = "USER_STATUS_ACTIVE"
FREE = "ORGANIZATION_TIER_FREE"

ERROR = TypeVar("ERROR", bound=Exception)

ERROR_INFO = "google.rpc.ErrorInfo"


class RefusedError(Exception):
    """The service said no: Connect's name of the code, and the reason of `google.rpc.ErrorInfo`."""

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(code, reason)
        self.code = code
        self.reason = reason


def reason_of(details: Iterable[tuple[str, bytes]]) -> str:
    """Read the reason from the details of an error, each a type's name and the message's bytes."""
    for type_name, value in details:
        if type_name == ERROR_INFO:
            # `reason` is field 1, and of fewer than 128 bytes: a tag, a length, and the text.
            assert value[0] == 0x0A, value
            return value[2 : 2 + value[1]].decode()
    return ""


def refused_by_json(error: Any) -> RefusedError:
    """Read the body of an error of the Connect protocol."""
    details = [(d["type"], base64.b64decode(d["value"] + "==")) for d in error.get("details", ())]
    return RefusedError(error["code"], reason_of(details))


@dataclass(frozen=True)
class Organization:
    id: str
    name: str
    tier: str


@dataclass(frozen=True)
class Member:
    user_id: str
    role: str
    status: str
    full_name: str
    email: str
    login_provider: str


@dataclass(frozen=True)
class Summary:
    organization_id: str
    organization_name: str
    member_count: int


@dataclass(frozen=True)
class Membership:
    user_id: str
    role: str
    organization_id: str
    organization_name: str
    member_count: int


@dataclass(frozen=True)
class Account:
    id: str
    name: str
    email: str
    memberships: tuple[Membership, ...]


@dataclass(frozen=True)
class Identity:
    """Who holds a token: an account, or the user that it is in one organization."""

    principal: str
    id: str
    organization_id: str


@dataclass(frozen=True)
class User:
    id: str
    organization_id: str
    name: str
    email: str


@dataclass(frozen=True)
class Token:
    id: str
    user_id: str
    description: str
    read_only: bool


class Person(Protocol):
    """A client with the token of one person. Each method is a call, and raises `RefusedError` when it is refused.

    `makes_tokens` tells whether the client can make personal access tokens.
    """

    makes_tokens: bool

    def with_token(self, token: str) -> Person: ...
    def account(self) -> Account: ...
    def identity(self) -> Identity: ...
    def own_user(self) -> User: ...
    def user(self, user_id: str) -> User: ...

    def create_organization(self, name: str) -> tuple[Organization, Member]: ...
    def organization(self, organization_id: str) -> Organization: ...
    def rename(self, organization_id: str, name: str) -> Organization: ...
    def delete_organization(self, organization_id: str) -> None: ...

    def create_invite(self, organization_id: str) -> str: ...
    def invite(self, organization_id: str) -> str: ...
    def summary(self, invite_id: str) -> Summary: ...
    def join(self, invite_id: str) -> Member: ...

    def members(self, organization_id: str) -> list[Member]: ...
    def set_role(self, organization_id: str, user_id: str, role: str) -> None: ...
    def leave(self, user_id: str) -> None: ...

    def create_token(self, user_id: str, description: str, *, read_only: bool) -> str: ...
    def tokens(self) -> list[Token]: ...
    def token(self, token_id: str) -> Token: ...
    def delete_token(self, token_id: str) -> None: ...


@contextmanager
def refused(code: str, reason: str) -> Any:
    """Expect that the block is refused, and why."""
    said = None
    try:
        yield
    except RefusedError as refusal:
        said = (refusal.code, refusal.reason)
    assert said == (code, reason), said


def raised(kind: type[ERROR], call: Callable[[], object]) -> ERROR:
    """Give the error that a call must raise."""
    try:
        answer = call()
    except kind as error:
        return error
    raise AssertionError(f"{kind} wasn't raised, but answered: {answer}")


def say(line: str) -> None:
    """Tell whoever runs this what was seen."""
    sys.stdout.write(f"{line}\n")


def live(ada: Person, bob: Person, say: Callable[[str], None] = say) -> None:
    """Let an organization live from its creation to its end, by two people who belong to none."""
    before(ada, bob)
    acme, founder = ada.create_organization("Acme")
    assert (acme.name, acme.tier) == ("Acme", FREE)
    assert (founder.role, founder.status, founder.email) == (ADMIN, ACTIVE, ada.account().email)
    assert ada.organization(acme.id) == acme
    say(f"Ada created {acme.id} and is its admin.")

    second = inviting(ada, bob, acme)
    say("Bob saw where the invite leads, joined by it, and joining again changed nothing.")
    governing(ada, bob, acme, founder, second)
    say("Only the admin governs; the last one neither leaves nor steps down; then Bob became one too.")
    current = regenerating(ada, bob, acme)
    say("A new invite ended the one before.")
    acme = ada.rename(acme.id, "Acme Labs")
    assert acme.name == "Acme Labs"
    asking_who(ada, bob, acme, replace(second, role=ADMIN))
    say("Everyone is who they are.")
    if bob.makes_tokens:
        holding_tokens(bob, acme, second.user_id)
        say("Bob's personal access token read, wrote nothing, and ended when he deleted it.")

    bob.leave(second.user_id)
    bob.leave(second.user_id)
    with refused("not_found", "ORGANIZATION_NOT_FOUND"):
        bob.organization(acme.id)
    assert ada.members(acme.id) == [founder]
    assert bob.join(current) == second
    say("Bob left, and came back as the member he first was.")

    ada.delete_organization(acme.id)
    ended(ada, bob, acme, current)
    say("Ada deleted it; nothing of it is left.")


def before(ada: Person, bob: Person) -> None:
    for person in (ada, bob):
        account = person.account()
        assert account.memberships == ()
        assert person.identity() == Identity("PRINCIPAL_ACCOUNT", account.id, "")
        with refused("failed_precondition", "ORGANIZATION_AMBIGUOUS"):
            person.own_user()
    with refused("unauthenticated", "CREDENTIALS_INVALID"):
        ada.with_token("orgsvc_nobody-has-this").account()
    with refused("invalid_argument", "INVALID_REQUEST"):
        ada.create_organization("ab")
    with refused("invalid_argument", "INVALID_REQUEST"):
        ada.organization("no-uuid")


def inviting(ada: Person, bob: Person, acme: Organization) -> Member:
    with refused("not_found", "ORGANIZATION_NOT_FOUND"):
        bob.organization(acme.id)
    with refused("not_found", "NO_LIVE_INVITE"):
        ada.invite(acme.id)
    invite = ada.create_invite(acme.id)
    assert ada.invite(acme.id) == invite
    assert bob.summary(invite) == Summary(acme.id, "Acme", 1)
    member = bob.join(invite)
    assert (member.role, member.status, member.email) == (MEMBER, ACTIVE, bob.account().email)
    assert bob.join(invite) == member
    assert bob.summary(invite) == Summary(acme.id, "Acme", 2)
    return member


def governing(ada: Person, bob: Person, acme: Organization, founder: Member, second: Member) -> None:
    # Whoever lists comes first.
    assert ada.members(acme.id) == [founder, second]
    assert bob.members(acme.id) == [second, founder]
    for forbidden in (
        lambda: bob.create_invite(acme.id),
        lambda: bob.invite(acme.id),
        lambda: bob.rename(acme.id, "Bob's"),
        lambda: bob.set_role(acme.id, second.user_id, ADMIN),
        lambda: bob.leave(founder.user_id),
        lambda: bob.delete_organization(acme.id),
    ):
        with refused("permission_denied", "ADMIN_REQUIRED"):
            forbidden()
    with refused("failed_precondition", "LAST_ADMIN"):
        ada.leave(founder.user_id)
    with refused("failed_precondition", "LAST_ADMIN"):
        ada.set_role(acme.id, founder.user_id, MEMBER)
    ada.set_role(acme.id, second.user_id, ADMIN)
    assert ada.members(acme.id) == [founder, replace(second, role=ADMIN)]


def regenerating(ada: Person, bob: Person, acme: Organization) -> str:
    old = ada.invite(acme.id)
    new = bob.create_invite(acme.id)
    assert new != old
    assert ada.invite(acme.id) == new
    for dead in (bob.summary, bob.join):
        with refused("not_found", "INVITE_NOT_FOUND"):
            dead(old)
    return new


def asking_who(ada: Person, bob: Person, acme: Organization, second: Member) -> None:
    account = bob.account()
    assert account.memberships == (Membership(second.user_id, ADMIN, acme.id, acme.name, 2),)
    user = User(second.user_id, acme.id, account.name, account.email)
    assert bob.own_user() == user
    assert ada.user(second.user_id) == user
    with refused("not_found", "USER_NOT_FOUND"):
        ada.user(acme.id)


def holding_tokens(bob: Person, acme: Organization, user_id: str) -> None:
    assert bob.tokens() == []
    reader = bob.with_token(bob.create_token(user_id, "for reading", read_only=True))
    assert reader.identity() == Identity("PRINCIPAL_USER", user_id, acme.id)
    assert reader.organization(acme.id) == acme
    with refused("permission_denied", "TOKEN_READ_ONLY"):
        reader.create_invite(acme.id)
    (token,) = bob.tokens()
    assert token == Token(token.id, user_id, "for reading", read_only=True)
    deleting_token(bob, reader, token)


def deleting_token(owner: Person, holder: Person, token: Token) -> None:
    """Delete a token; from the next second on it opens nothing."""
    assert owner.token(token.id) == token
    owner.delete_token(token.id)
    with refused("not_found", "ACCESS_TOKEN_NOT_FOUND"):
        owner.token(token.id)
    assert owner.tokens() == []
    time.sleep(1)
    with refused("unauthenticated", "CREDENTIALS_INVALID"):
        holder.identity()


def ended(ada: Person, bob: Person, acme: Organization, invite: str) -> None:
    for person in (ada, bob):
        with refused("not_found", "ORGANIZATION_NOT_FOUND"):
            person.organization(acme.id)
        with refused("not_found", "INVITE_NOT_FOUND"):
            person.join(invite)
        assert person.account().memberships == ()
