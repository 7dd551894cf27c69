"""Backend keys: what a service of the operator's may do, within its scopes and its organizations, and for whom."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest

from server.domain import errors
from server.domain.account import BackendKey, Scope
from server.domain.errors import Reason
from server.domain.invitation import IfPending, Invitation, InvitationStatus
from server.domain.organization import Role
from server.ports import InvitationFilter, MemberFilter
from server.service.backend_keys import KEY_PREFIX
from server.service.call import Call
from server.service.invitations import Invited, NewInvitation
from tests.conftest import World
from tests.domain.refusals import attempt, refused_with
from tests.stories.people import NOBODY, Party, call_with, party, some_id

GUEST = "guest@example.com"


@dataclass
class Office:
    """An organization that services administer, with an invitation of Guest's that is pending."""

    world: World
    it: Party
    accounts: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("Ada", "Member", "Guest", "Stranger"):
            self.accounts[name] = self.world.account(name).id

    def key(self, *scopes: Scope, only: tuple[str, ...] = ()) -> Call:
        """A call with a key of its own; no scopes means all."""
        _, key = self.world.service.backend_keys.issue("service", organization_ids=only, scopes=scopes)
        return Call(key)

    def invited(self, organization_id: str = "") -> Invitation:
        """Have a pending invitation of Guest's."""
        new = NewInvitation(GUEST, send_email=False, if_pending=IfPending.REPLACE)
        return self.world.service.invitations.create(self.key(), organization_id or self.it.id, new).invitation


@pytest.fixture
def office(world: World) -> Office:
    return Office(world, party(world, "Ada", "Member"))


@dataclass(frozen=True)
class Place:
    """What an act is about: an organization and an invitation into it."""

    organization: str
    invitation: str


Act = Callable[[Office, Call, Place], object]


def _now(office: Office, *organizations: str) -> InvitationFilter:
    return InvitationFilter(office.world.clock(), organizations)


def _new(email: str = "new@example.com", **wanted: Any) -> NewInvitation:
    return NewInvitation(email, send_email=False, if_pending=IfPending.REPLACE, **wanted)


READ, WRITE = Scope.INVITATIONS_READ, Scope.INVITATIONS_WRITE

INVITING: dict[str, tuple[Scope, Act]] = {
    "create": (WRITE, lambda o, call, at: o.world.service.invitations.create(call, at.organization, _new())),
    "batch": (WRITE, lambda o, call, at: o.world.service.invitations.create_batch(call, at.organization, [_new()])),
    "get": (READ, lambda o, call, at: o.world.service.invitations.get(call, at.invitation)),
    "list": (
        READ,
        lambda o, call, at: o.world.service.invitations.list_for_organization(call, at.organization, _now(o)),
    ),
    "list by offset": (
        READ,
        lambda o, call, at: o.world.service.invitations.list_by_offset(call, _now(o, at.organization), limit=10),
    ),
    "resend": (WRITE, lambda o, call, at: o.world.service.invitations.resend(call, at.invitation)),
    "accept for": (
        WRITE,
        lambda o, call, at: o.world.service.invitations.accept_for(call, at.invitation, o.accounts["Guest"]),
    ),
    "revoke": (WRITE, lambda o, call, at: o.world.service.invitations.revoke(call, at.invitation)),
    "delete": (WRITE, lambda o, call, at: o.world.service.invitations.delete(call, at.invitation)),
}
ADMINISTERING: dict[str, tuple[Scope, Act]] = {
    "get organization": (
        Scope.ORGANIZATIONS_READ,
        lambda o, call, at: o.world.service.administration.get_organization(call, at.organization),
    ),
    "update organization": (
        Scope.ORGANIZATIONS_WRITE,
        lambda o, call, at: o.world.service.administration.update_organization(call, at.organization, name="Changed"),
    ),
    "list members": (
        Scope.MEMBERS_READ,
        lambda o, call, at: o.world.service.administration.list_members(call, at.organization),
    ),
    "get member": (
        Scope.MEMBERS_READ,
        lambda o, call, at: o.world.service.administration.get_member(call, at.organization, o.accounts["Member"]),
    ),
    "add member": (
        Scope.MEMBERS_WRITE,
        lambda o, call, at: o.world.service.administration.add_member(call, at.organization, o.accounts["Stranger"]),
    ),
    "add members": (
        Scope.MEMBERS_WRITE,
        lambda o, call, at: o.world.service.administration.add_members(call, at.organization, [o.accounts["Stranger"]]),
    ),
    "update member": (
        Scope.MEMBERS_WRITE,
        lambda o, call, at: o.world.service.administration.update_member(
            call, at.organization, o.accounts["Member"], public_metadata={"a": 1}
        ),
    ),
    "assign roles": (
        Scope.MEMBERS_WRITE,
        lambda o, call, at: o.world.service.administration.assign_roles(
            call, at.organization, o.accounts["Member"], ["member"]
        ),
    ),
    "remove member": (
        Scope.MEMBERS_WRITE,
        lambda o, call, at: o.world.service.administration.remove_member(call, at.organization, o.accounts["Member"]),
    ),
    "delete organization": (
        Scope.ORGANIZATIONS_WRITE,
        lambda o, call, at: o.world.service.administration.delete_organization(call, at.organization),
    ),
}
INSTANCE: dict[str, tuple[Scope, Act]] = {
    "create organization": (
        Scope.ORGANIZATIONS_WRITE,
        lambda o, call, at: o.world.service.administration.create_organization(call, "Another"),
    ),
    "list organizations": (
        Scope.ORGANIZATIONS_READ,
        lambda o, call, at: o.world.service.administration.list_organizations(call),
    ),
    "list all invitations": (
        READ,
        lambda o, call, at: o.world.service.invitations.list_by_offset(call, _now(o), limit=10),
    ),
    "get account": (
        Scope.MEMBERS_READ,
        lambda o, call, at: o.world.service.administration.get_account(call, o.accounts["Ada"]),
    ),
    "list roles": (Scope.ROLES_READ, lambda o, call, at: o.world.service.roles.list(call)),
    "create role": (
        Scope.ROLES_WRITE,
        lambda o, call, at: o.world.service.roles.create("auditor", "Auditor", call=call),
    ),
}
ACTS = INVITING | ADMINISTERING | INSTANCE


def outcome(office: Office, act: str, call: Call, at: Place) -> tuple[object, ...] | None:
    """Give all that a refused caller learns, None where the act was done."""
    _, refused = attempt(lambda: ACTS[act][1](office, call, at))
    return refused and (refused.reason, str(refused), refused.metadata, refused.violations, refused.retry_after_seconds)


def not_found(act: str) -> Reason:
    by_invitation = act in ("get", "resend", "accept for", "revoke", "delete")
    return errors.INVITATION_NOT_FOUND if by_invitation else errors.ORGANIZATION_NOT_FOUND


@pytest.mark.parametrize("act", ACTS)
def test_an_act_needs_its_scope_and_no_other(office: Office, act: str) -> None:
    scope = ACTS[act][0]
    at = Place(office.it.id, office.invited().id)
    others = office.key(*(other for other in Scope if other is not scope))
    refused = outcome(office, act, others, at)
    assert refused is not None
    assert refused[0] is errors.SCOPE_MISSING
    assert refused[2] == {"scope": scope.value}
    # One that doesn't exist is answered alike: who may not ask doesn't learn what there is.
    assert outcome(office, act, others, Place(some_id(), some_id())) == refused
    assert outcome(office, act, office.key(scope), at) is None


@pytest.mark.parametrize("act", [*INVITING, *ADMINISTERING])
def test_a_key_of_some_organizations_reaches_these_and_knows_no_other(office: Office, act: str) -> None:
    other = party(office.world, "Ada", "Member", name="Other")
    scope = ACTS[act][0]
    at = Place(office.it.id, office.invited().id)
    elsewhere = office.key(scope, only=(other.id, some_id()))
    refused = outcome(office, act, elsewhere, at)
    assert refused is not None
    assert refused[0] is not_found(act)
    assert outcome(office, act, elsewhere, Place(some_id(), some_id())) == refused
    assert outcome(office, act, office.key(scope, only=(other.id, office.it.id)), at) is None


@pytest.mark.parametrize("act", [*INVITING, *ADMINISTERING])
def test_what_does_not_exist_is_not_found_by_a_key_of_all_organizations(office: Office, act: str) -> None:
    refused = outcome(office, act, office.key(), Place(some_id(), some_id()))
    assert refused is not None
    assert refused[0] is not_found(act)


@pytest.mark.parametrize("act", [*ADMINISTERING, *INSTANCE, "accept for"])
def test_a_person_does_not_do_what_is_a_backends(office: Office, act: str) -> None:
    at = Place(office.it.id, office.invited().id)
    for call, reason in ((office.world.call("Ada"), errors.BACKEND_KEY_REQUIRED), (NOBODY, errors.CREDENTIALS_MISSING)):
        refused = outcome(office, act, call, at)
        assert refused is not None
        assert refused[0] is reason


PERSONS: dict[str, Act] = {
    "accept": lambda o, call, at: o.world.service.invitations.accept(call, invitation_id=at.invitation),
    "accept by token": lambda o, call, at: o.world.service.invitations.accept(call, token="x"),
    "decline": lambda o, call, at: o.world.service.invitations.decline(call, invitation_id=at.invitation),
    "preview": lambda o, call, at: o.world.service.invitations.preview(call, invitation_id=at.invitation),
    "list mine": lambda o, call, at: o.world.service.invitations.list_mine(call),
    "page of mine": lambda o, call, at: o.world.service.invitations.page_of_mine(call, ()),
    "create": lambda o, call, at: o.world.service.organizations.create(call, "Another"),
    "get": lambda o, call, at: o.world.service.organizations.get(call, at.organization),
    "update": lambda o, call, at: o.world.service.organizations.update(call, at.organization, name="Changed"),
    "delete": lambda o, call, at: o.world.service.organizations.delete(call, at.organization),
    "join": lambda o, call, at: o.world.service.organizations.join_by_invite(call, o.it.invite),
    "join by domain": lambda o, call, at: o.world.service.organizations.join_by_domain(call, at.organization),
    "leave": lambda o, call, at: o.world.service.organizations.leave(call, o.it.users["Member"]),
    "set role": lambda o, call, at: o.world.service.organizations.set_role(
        call, at.organization, o.it.users["Member"], Role.ADMIN
    ),
    "list members": lambda o, call, at: o.world.service.organizations.list_members(
        call, at.organization, MemberFilter()
    ),
    "get member": lambda o, call, at: o.world.service.organizations.get_member(call, o.it.users["Member"]),
    "create link": lambda o, call, at: o.world.service.links.create(call, at.organization),
    "get link": lambda o, call, at: o.world.service.links.get(call, at.organization),
    "create token": lambda o, call, at: o.world.service.tokens.create_personal(
        call, o.it.users["Member"], description="", valid_for=timedelta(0), read_only=False
    ),
}


@pytest.mark.parametrize("act", PERSONS)
def test_a_backend_key_is_no_person(office: Office, act: str) -> None:
    for at in (Place(office.it.id, office.invited().id), Place(some_id(), some_id())):
        with refused_with(errors.PERSON_REQUIRED):
            PERSONS[act](office, office.key(), at)


def test_the_tables_name_every_use_case_of_invitations_and_administration(office: Office) -> None:
    service = office.world.service
    cases = {
        name
        for part in (service.invitations, service.administration)
        for name, case in inspect.getmembers(part, inspect.ismethod)
        if name[0] != "_" and "call" in inspect.signature(case).parameters
    }
    assert "create" in cases
    assert cases <= {act.replace(" ", "_") for act in (*ACTS, *PERSONS)} | {"create_batch", "list_for_organization"}


# On behalf of somebody.


@pytest.mark.parametrize(
    ("name", "reason"),
    [("Ada", None), ("Member", errors.ADMIN_REQUIRED), ("Stranger", errors.INVITER_NOT_MEMBER)],
)
def test_a_key_invites_on_behalf_of_admins_alone(office: Office, name: str, reason: Reason | None) -> None:
    invitations, account = office.world.service.invitations, office.accounts[name]
    made, refused = attempt(lambda: invitations.create(office.key(), office.it.id, _new(on_behalf_of=account)))
    assert (refused and refused.reason) is reason
    if made is not None:
        assert (made.invitation.inviter_account_id, made.invitation.inviter_name) == (account, name)
    known = office.invited()
    _, refused = attempt(lambda: invitations.revoke(office.key(), known.id, on_behalf_of=account))
    assert (refused and refused.reason) is reason


def test_a_key_does_not_act_for_an_admin_who_left_or_is_nobody_or_of_another_organization(office: Office) -> None:
    world = office.world
    world.service.organizations.set_role(world.call("Ada"), office.it.id, office.it.users["Member"], Role.ADMIN)
    office.it.leave("Ada")
    party(world, "Stranger", name="Elsewhere")
    for account in (office.accounts["Ada"], office.accounts["Stranger"], some_id(), "nobody"):
        with refused_with(errors.INVITER_NOT_MEMBER):
            world.service.invitations.create(office.key(), office.it.id, _new(on_behalf_of=account))
    made = world.service.invitations.create(office.key(), office.it.id, _new(on_behalf_of=office.accounts["Member"]))
    assert made.invitation.inviter_name == "Member"


def test_scope_and_organization_are_asked_for_before_whom_a_key_acts_for(office: Office) -> None:
    create = office.world.service.invitations.create
    with refused_with(errors.SCOPE_MISSING):
        create(office.key(READ), office.it.id, _new(on_behalf_of=office.accounts["Stranger"]))
    with refused_with(errors.ORGANIZATION_NOT_FOUND):
        create(office.key(WRITE, only=(some_id(),)), office.it.id, _new(on_behalf_of=office.accounts["Ada"]))


def test_each_of_a_batch_names_its_own_inviter(office: Office) -> None:
    news = [
        _new("a@example.com", on_behalf_of=office.accounts["Ada"]),
        _new("b@example.com", on_behalf_of=office.accounts["Member"]),
        _new("c@example.com"),
    ]
    outcomes = office.world.service.invitations.create_batch(office.key(), office.it.id, news)
    shown = [o.invitation.inviter_name if isinstance(o, Invited) else o.reason.name for o in outcomes]
    assert shown == ["Ada", "ADMIN_REQUIRED", ""]


def test_for_nobody_an_invitation_has_no_inviter(office: Office) -> None:
    made = office.invited()
    assert (made.inviter_account_id, made.inviter_name) == (None, "")


# Accepting for somebody.


def test_a_backend_vouches_for_an_address_and_not_for_another(office: Office) -> None:
    accept_for = office.world.service.invitations.accept_for
    made = office.invited()
    with refused_with(errors.INVITATION_WRONG_ACCOUNT) as refusal:
        accept_for(office.key(), made.id, office.accounts["Stranger"])
    assert refusal.error.metadata == {"email": "g***@example.com"}
    with refused_with(errors.ACCOUNT_NOT_FOUND):
        accept_for(office.key(), made.id, some_id())
    view, member = accept_for(office.key(), made.id, office.accounts["Guest"])
    assert view.invitation.stored_status is InvitationStatus.ACCEPTED
    assert (member.account_id, member.is_active) == (office.accounts["Guest"], True)
    with refused_with(errors.INVITATION_ALREADY_ACCEPTED):
        accept_for(office.key(), made.id, office.accounts["Guest"])


@pytest.mark.parametrize("ended", ["revoked", "expired"])
def test_a_backend_accepts_nothing_that_is_over(office: Office, ended: str) -> None:
    made = office.invited()
    if ended == "revoked":
        office.world.service.invitations.revoke(office.key(), made.id)
    else:
        office.world.clock.forward(timedelta(days=30))
    reason = errors.INVITATION_REVOKED if ended == "revoked" else errors.INVITATION_EXPIRED
    for account in (office.accounts["Guest"], some_id()):
        with refused_with(reason):
            office.world.service.invitations.accept_for(office.key(), made.id, account)


# What a key reaches.


def test_a_list_of_all_invitations_holds_those_of_the_organizations_that_the_key_reaches(office: Office) -> None:
    other, third = (party(office.world, "Ada", name=name) for name in ("Other", "Third"))
    ids = {it.id: office.invited(it.id).id for it in (office.it, other, third)}

    def listed(*only: str) -> set[str]:
        views, count = office.world.service.invitations.list_by_offset(
            office.key(READ, only=only), _now(office), limit=10
        )
        assert len(views) == count
        return {view.invitation.id for view in views}

    assert listed() == set(ids.values())
    assert listed(other.id) == {ids[other.id]}
    assert listed(other.id, third.id, some_id()) == {ids[other.id], ids[third.id]}
    assert listed(some_id()) == set()
    # Asking for one that the key doesn't reach is refused, even among others.
    with refused_with(errors.ORGANIZATION_NOT_FOUND):
        office.world.service.invitations.list_by_offset(
            office.key(READ, only=(other.id,)), _now(office, other.id, office.it.id), limit=10
        )


def test_a_list_of_organizations_holds_those_that_the_key_reaches(office: Office) -> None:
    other = party(office.world, "Ada", name="Other")
    administration = office.world.service.administration
    for only, names in (((), {"Acme", "Other"}), ((other.id,), {"Other"}), ((some_id(),), set())):
        found, count = administration.list_organizations(office.key(only=only))
        assert ({organization.name for organization in found}, count) == (names, len(names))


def test_a_key_of_some_organizations_makes_no_other(office: Office) -> None:
    with refused_with(errors.ORGANIZATION_NOT_FOUND):
        office.world.service.administration.create_organization(office.key(only=(office.it.id,)), "Another")


def test_a_key_of_some_organizations_makes_no_roles_for_all(office: Office) -> None:
    roles = office.world.service.roles
    with refused_with(errors.SCOPE_MISSING):
        roles.create("auditor", "Auditor", call=office.key(only=(office.it.id,)))
    assert roles.list(office.key(only=(office.it.id,))) == []


def test_a_key_of_a_deleted_organization_reaches_nothing(office: Office) -> None:
    call = office.key(only=(office.it.id,))
    office.world.service.administration.delete_organization(call, office.it.id)
    for act in ("create", "list", "get organization", "add member"):
        refused = outcome(office, act, call, Place(office.it.id, some_id()))
        assert refused is not None
        assert refused[0] is errors.ORGANIZATION_NOT_FOUND


def test_members_are_added_all_or_none(office: Office) -> None:
    administration = office.world.service.administration
    with refused_with(errors.ACCOUNT_NOT_FOUND):
        administration.add_members(office.key(), office.it.id, [office.accounts["Stranger"], some_id()])
    assert office.world.service.organizations.get(office.world.call("Ada"), office.it.id).member_count == 2
    administration.add_members(office.key(), office.it.id, [office.accounts["Stranger"], office.accounts["Member"]])
    assert office.world.service.organizations.get(office.world.call("Ada"), office.it.id).member_count == 3


def test_a_backend_leaves_an_organization_its_last_admin(office: Office) -> None:
    administration, key = office.world.service.administration, office.key()
    with refused_with(errors.LAST_ADMIN):
        administration.remove_member(key, office.it.id, office.accounts["Ada"])
    with refused_with(errors.LAST_ADMIN):
        administration.update_member(key, office.it.id, office.accounts["Ada"], roles=["member"])
    # One that it made for nobody has none, until somebody joins as one.
    empty = administration.create_organization(key, "Empty")
    administration.add_member(key, empty.id, office.accounts["Guest"])
    administration.remove_member(key, empty.id, office.accounts["Guest"])


# The key itself.


def test_a_secret_is_shown_once_and_opens_as_it_was_made(office: Office) -> None:
    service = office.world.service
    secret, key = service.backend_keys.issue("ci", organization_ids=(office.it.id,), scopes=(READ,))
    assert secret.startswith(KEY_PREFIX)
    assert len(secret) == len(KEY_PREFIX) + 43
    assert call_with(office.world, secret).who == key
    assert key.scopes == (READ,)
    assert [known.id for known in service.backend_keys.list_all()] == [key.id]
    assert secret not in repr(service.backend_keys.list_all())
    with service.store.snapshot() as tx:
        rows = tx._execute("SELECT * FROM backend_keys", {}).fetchall()  # type: ignore[attr-defined]
    assert secret not in repr(rows)
    assert secret.removeprefix(KEY_PREFIX) not in repr(rows)


def test_a_key_opens_until_it_expires_or_is_revoked_and_never_under_another_spelling(office: Office) -> None:
    service, clock = office.world.service, office.world.clock
    secret, key = service.backend_keys.issue("a day", expires_at=clock() + timedelta(days=1))
    assert call_with(office.world, secret).who == key
    for other in (secret[:-1], secret + "A", secret.upper(), KEY_PREFIX, KEY_PREFIX + key.id, key.id):
        with refused_with(errors.CREDENTIALS_INVALID):
            call_with(office.world, other)
    clock.forward(timedelta(days=1) - timedelta(microseconds=1))
    call_with(office.world, secret)
    clock.forward(timedelta(microseconds=1))
    with refused_with(errors.CREDENTIALS_INVALID):
        call_with(office.world, secret)


@pytest.mark.parametrize("by_secret", [False, True])
def test_a_key_is_revoked_once_by_its_id_or_the_secret(office: Office, by_secret: bool) -> None:
    keys = office.world.service.backend_keys
    secret, key = keys.issue("short lived")
    _, other = keys.issue("another")
    name = secret if by_secret else key.id
    assert [keys.revoke(name), keys.revoke(name), keys.revoke(some_id()), keys.revoke(KEY_PREFIX + "x")] == [
        True,
        False,
        False,
        False,
    ]
    with refused_with(errors.CREDENTIALS_INVALID):
        call_with(office.world, secret)
    assert [known.id for known in keys.list_all()] == [other.id]


def test_a_key_without_scopes_named_has_all_and_one_with_some_has_these(office: Office) -> None:
    keys = office.world.service.backend_keys
    assert set(keys.issue("all")[1].scopes) == set(Scope)
    (_, some) = keys.issue("some", scopes=(READ, Scope.ROLES_READ))
    for scope in Scope:
        _, refused = attempt(lambda scope=scope: some.require(scope))
        assert (refused is None) == (scope in (READ, Scope.ROLES_READ))


def test_when_a_key_was_last_used_is_written_later(office: Office) -> None:
    service = office.world.service
    secret, _ = service.backend_keys.issue("used")
    call_with(office.world, secret)
    service.authentication.write_last_used()
    (kept,) = service.backend_keys.list_all()
    assert isinstance(kept, BackendKey)
    assert kept.last_used_at == office.world.clock()
