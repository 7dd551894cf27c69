"""Who may do what: every act by everybody."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from server.domain import errors
from server.domain.organization import Role
from server.ports import MemberFilter
from server.service.call import Call
from tests.conftest import World
from tests.domain.refusals import attempt, refused_with
from tests.stories.people import NOBODY, Party, call_with, party, read_only, secret_of_user, some_id

CELLS = {
    "yes": None,
    "sign-in": errors.CREDENTIALS_MISSING,
    "no-org": errors.ORGANIZATION_NOT_FOUND,
    "no-user": errors.USER_NOT_FOUND,
    "admins": errors.ADMIN_REQUIRED,
    "reads": errors.TOKEN_READ_ONLY,
    "account": errors.ACCOUNT_TOKEN_REQUIRED,
    "own": errors.NOT_YOURS,
}

# The last four are an admin's: with a token of the account that may only read, with a token of the admin's user here,
# with one of these that may only read, and with a token of the admin's user in another organization.
MATRIX = """
act                nobody   stranger  left     member   admin  reading  here     here-reading  elsewhere
get                sign-in  no-org    no-org   yes      yes    yes      yes      yes           no-org
list_members       sign-in  no-org    no-org   yes      yes    yes      yes      yes           no-org
get_member         sign-in  no-user   no-user  yes      yes    yes      yes      yes           no-user
update             sign-in  no-org    no-org   admins   yes    reads    yes      reads         no-org
promote            sign-in  no-org    no-org   admins   yes    reads    yes      reads         no-org
remove             sign-in  no-user   no-user  admins   yes    reads    yes      reads         no-user
create_link        sign-in  no-org    no-org   admins   yes    reads    yes      reads         no-org
get_link           sign-in  no-org    no-org   admins   yes    yes      yes      yes           no-org
delete             sign-in  no-org    no-org   admins   yes    reads    yes      reads         no-org
summary            yes      yes       yes      yes      yes    yes      yes      yes           yes
join               sign-in  yes       yes      yes      yes    reads    account  account       account
join_by_domain     sign-in  yes       yes      yes      yes    reads    account  account       account
create             sign-in  yes       yes      yes      yes    reads    account  account       account
token_for_another  sign-in  no-user   no-user  own      own    reads    own      reads         no-user
"""

ACTS: dict[str, Callable[[World, Call, Party], object]] = {
    "get": lambda world, call, it: world.service.organizations.get(call, it.id),
    "list_members": lambda world, call, it: world.service.organizations.list_members(call, it.id, MemberFilter()),
    "get_member": lambda world, call, it: world.service.organizations.get_member(call, it.users["Third"]),
    "update": lambda world, call, it: world.service.organizations.update(call, it.id, name="Changed"),
    "promote": lambda world, call, it: world.service.organizations.set_role(call, it.id, it.users["Third"], Role.ADMIN),
    "remove": lambda world, call, it: world.service.organizations.leave(call, it.users["Third"]),
    "create_link": lambda world, call, it: world.service.links.create(call, it.id),
    "get_link": lambda world, call, it: world.service.links.get(call, it.id),
    "delete": lambda world, call, it: world.service.organizations.delete(call, it.id),
    "summary": lambda world, call, it: world.service.links.summary(call, it.invite),
    "join": lambda world, call, it: world.service.organizations.join_by_invite(call, it.invite),
    "join_by_domain": lambda world, call, it: world.service.organizations.join_by_domain(call, it.id),
    "create": lambda world, call, it: world.service.organizations.create(call, "Another"),
    "token_for_another": lambda world, call, it: world.service.tokens.create_personal(
        call, it.users["Third"], description="", valid_for=timedelta(0), read_only=False
    ),
}

CALLERS: dict[str, Callable[[World, Party], Call]] = {
    "nobody": lambda world, it: NOBODY,
    "stranger": lambda world, it: world.call("Stranger"),
    "left": lambda world, it: world.call("Left"),
    "member": lambda world, it: world.call("Member"),
    "admin": lambda world, it: world.call("Admin"),
    "reading": lambda world, it: read_only(world.call("Admin")),
    "here": lambda world, it: call_with(world, secret_of_user(world, "Admin", it.users["Admin"])),
    "here-reading": lambda world, it: call_with(
        world, secret_of_user(world, "Admin", it.users["Admin"], read_only=True)
    ),
    "elsewhere": lambda world, it: call_with(
        world, secret_of_user(world, "Admin", party(world, "Admin", name="Elsewhere").users["Admin"])
    ),
}

HEADER, *ROWS = [line.split() for line in MATRIX.strip().splitlines()]


def the_organization(world: World) -> Party:
    made = party(world, "Admin", "Member", "Third", "Left")
    made.leave("Left")
    world.service.organizations.update(world.call("Admin"), made.id, invite_domains=("example.com",))
    return made


def answer(world: World, act: str, call: Call, it: Party) -> tuple[object, ...] | None:
    """Give all that a refused caller learns, None where the act was done."""
    _, refused = attempt(lambda: ACTS[act](world, call, it))
    return refused and (refused.reason, str(refused), refused.metadata, refused.violations, refused.retry_after_seconds)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0])
def test_an_act_is_done_for_those_who_may_and_refused_to_all_others(world: World, row: list[str]) -> None:
    act, *cells = row
    outcomes = []
    for caller in HEADER[1:]:
        it = the_organization(world)
        call = CALLERS[caller](world, it)
        _, refused = attempt(lambda call=call, it=it: ACTS[act](world, call, it))
        outcomes.append(refused and refused.reason.name)
    wanted = [reason and reason.name for reason in (CELLS[cell] for cell in cells)]
    assert dict(zip(HEADER[1:], outcomes, strict=True)) == dict(zip(HEADER[1:], wanted, strict=True))


def test_the_matrix_has_every_act_and_caller() -> None:
    assert HEADER[1:] == list(CALLERS)
    assert [row[0] for row in ROWS] == list(ACTS)


@pytest.mark.parametrize("act", [act for act in ACTS if act not in ("create", "join", "summary")])
@pytest.mark.parametrize("caller", ["stranger", "left", "elsewhere"])
def test_what_one_may_not_know_of_answers_exactly_as_what_does_not_exist(world: World, act: str, caller: str) -> None:
    it = the_organization(world)
    world.service.organizations.update(world.call("Admin"), it.id, invite_domains=())
    call = CALLERS[caller](world, it)
    nowhere = Party(world, some_id(), some_id(), dict.fromkeys(it.users, some_id()))
    assert answer(world, act, call, it) == answer(world, act, call, nowhere) is not None


@pytest.mark.parametrize("caller", [name for name in CALLERS if name not in ("nobody", "reading")])
def test_a_dead_link_answers_exactly_as_one_that_never_was(world: World, caller: str) -> None:
    it = the_organization(world)
    world.service.links.create(world.call("Admin"), it.id)
    call = CALLERS[caller](world, it)
    for act in ("summary", "join"):
        never = Party(world, it.id, some_id())
        assert answer(world, act, call, it) == answer(world, act, call, never) is not None


def test_a_change_of_role_counts_from_the_next_call_on(world: World) -> None:
    it = party(world, "Admin", "Member")
    organizations = world.service.organizations
    call = call_with(world, secret_of_user(world, "Member", it.users["Member"]))
    with refused_with(errors.ADMIN_REQUIRED):
        organizations.update(call, it.id, name="First")
    organizations.set_role(world.call("Admin"), it.id, it.users["Member"], Role.ADMIN)
    organizations.update(call, it.id, name="Second")
    organizations.set_role(world.call("Admin"), it.id, it.users["Member"], Role.MEMBER)
    with refused_with(errors.ADMIN_REQUIRED):
        organizations.update(call, it.id, name="Third")
    assert organizations.get(call, it.id).name == "Second"
