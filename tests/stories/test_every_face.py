"""The same stories on every face that can tell them, on every store."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from server.domain.organization import Member
from server.domain.secrets import SecretKeys
from server.ports import InvitationMail
from server.sealing import KeySealing
from server.service.outbox import Links, Outbox
from tests.conftest import KEY, World
from tests.stories.faces import FACES, PUBLIC_URL, Face, Invitation, RefusedError, address
from tests.stories.people import Party, party, some_id

DAY = timedelta(days=1)
INSTANT = timedelta(microseconds=1)

# Each cell has "yes", or what the story needs and the face can't do: why is said where its adapter says `cannot`.
TABLE = """
story                                                               gitpod   invitations  clerk   koyeb       logto
who_is_let_in_is_a_member_whom_all_see                              yes      yes          yes     yes         yes
who_is_let_in_as_a_member_may_not_invite                            yes      yes          yes     member      yes
who_is_let_in_as_an_admin_may_invite                                admin    yes          yes     yes         yes
coming_in_again_gives_the_same_membership                           yes      yes          yes     again       again
a_way_in_that_was_withdrawn_lets_nobody_in                          yes      yes          yes     yes         yes
only_an_admin_lets_people_in                                        yes      yes          yes     yes         yes
without_good_credentials_nothing_is_told_or_done                    yes      yes          yes     yes         yes
a_foreign_organization_is_as_one_that_never_was                     yes      yes          yes     elsewhere   yes
who_is_removed_is_no_member_and_may_be_let_in_again                 yes      yes          yes     yes         yes
the_last_admin_stays                                                yes      yes          yes     yes         yes
a_member_who_is_made_an_admin_may_invite                            yes      roles        yes     roles       yes
an_admin_made_a_member_may_not_invite_and_the_last_one_is_not       yes      roles        yes     roles       demote
the_same_key_again_gets_the_same_answer_and_nothing_happens_twice   yes      yes          yes     yes         yes
an_invitation_is_pending_for_those_who_invited_and_for_the_invited  address  yes          yes     yes         yes
an_address_has_one_pending_invitation_in_an_organization            address  yes          yes     yes         yes
a_member_is_not_invited                                             address  yes          yes     yes         yes
an_accepted_invitation_is_shown_as_such_and_makes_room              address  yes          yes     yes         yes
only_the_invited_accepts                                            address  yes          yes     yes         yes
a_declined_invitation_lets_nobody_in                                address  yes          yes     yes         yes
a_revoked_invitation_is_shown_as_such                               address  yes          yes     revoke      yes
a_deleted_invitation_is_gone_and_who_came_in_by_it_stays            address  yes          delete  yes         yes
an_invitation_expires_and_the_address_can_be_invited_again          address  yes          yes     yes         yes
an_invitation_that_is_sent_again_lasts_longer_also_once_expired     address  yes          renew   yes         renew
an_invitation_that_is_sent_again_is_the_same_with_another_mail      address  yes          resend  yes         yes
an_address_gets_ten_mails_in_ten_minutes                            address  yes          yes     yes         yes
deleting_invitations_does_not_get_around_the_limit_of_mails         address  yes          delete  yes         yes
a_key_is_not_for_another_request                                    address  yes          yes     yes         yes
metadata_goes_over_to_the_membership                                address  yes          yes     metadata    metadata
a_named_role_goes_over_to_the_membership                            address  yes          yes     named       yes
invitations_are_listed_by_status                                    address  yes          yes     yes         by-status
invitations_are_listed_by_address                                   address  yes          yes     by-address  yes
a_foreign_invitation_is_as_one_that_never_was                       address  yes          yes     yes         yes
what_happens_on_one_face_is_seen_on_every_other                     address  yes          yes     yes         yes
"""

STORIES: dict[str, tuple[str, ...]] = {}


def lacking(face: type[Face], needs: tuple[str, ...]) -> str | None:
    """Give the first need of a story that a face doesn't have."""
    return next((need for need in needs if need in face.cannot), None)


def story(*needs: str) -> Callable[[Callable[..., None]], Any]:
    """Tell a story on every face that can do what it needs besides letting people in, listing and removing them."""

    def told(test: Callable[..., None]) -> Any:
        STORIES[test.__name__.removeprefix("test_")] = needs
        able = [face for face in FACES if lacking(face, needs) is None]
        return pytest.mark.parametrize("face", able, ids=lambda face: face.name, indirect=True)(test)

    return told


@pytest.fixture
def face(request: pytest.FixtureRequest, world: World) -> Face:
    made: Face = request.param(world)
    return made


@pytest.fixture
def it(world: World) -> Party:
    """An organization with Ada as its admin and Mia, who is a plain member."""
    return party(world, "Ada", "Mia")


@contextmanager
def refused(word: str) -> Iterator[list[RefusedError]]:
    """Expect a refusal that means this; it is given in a list once the block is left."""
    refusals: list[RefusedError] = []
    with pytest.raises(RefusedError) as caught:
        yield refusals
    refusals.append(caught.value)
    assert caught.value.word == word, caught.value


def may_invite(face: Face, organization: str, person: str) -> bool:
    """Tell whether somebody is an admin by what they may do."""
    try:
        face.invite(person, organization, f"by-{person}@example.com")
    except RefusedError as refusal:
        if refusal.word != "forbidden":
            raise
        return False
    return True


def kept(world: World, organization: str, person: str) -> Member:
    """Give a membership as the store has it."""
    account = world.account(person)
    with world.service.store.snapshot() as tx:
        found = tx.member(organization, account.id)
    assert found is not None
    return found


def waiting_mails(world: World) -> int:
    with world.service.store.snapshot() as tx:
        return len(tx.mails((), 100))


class Postbox:
    """A mailer that keeps what it is given."""

    def __init__(self) -> None:
        self.mails: list[InvitationMail] = []

    @contextmanager
    def session(self) -> Iterator[Callable[[InvitationMail], None]]:
        yield self.mails.append


def another_mail(face: Face, invitation: Invitation) -> Invitation:
    """Have the invited person get another mail: of the same invitation, or of a new one."""
    if "resend" not in face.cannot:
        return face.resend("Ada", invitation)
    if face.get("Ada", invitation).status == "pending":
        face.revoke("Ada", invitation)
    return face.invite("Ada", invitation.organization, invitation.email)


def expire(world: World, invitation: Invitation, *, short_of: timedelta = timedelta()) -> None:
    assert invitation.expires_at is not None
    world.clock.forward(invitation.expires_at - world.clock() - short_of)


# Coming in and going out: by a link, or by an invitation.


@story()
def test_who_is_let_in_is_a_member_whom_all_see(face: Face, it: Party) -> None:
    way = face.invite("Ada", it.id, address("Bob"))
    assert face.membership("Ada", it.id, "Bob") is None
    joined = face.accept("Bob", way)
    assert face.membership("Ada", it.id, "Bob") == joined == face.membership("Mia", it.id, "Bob")


@story("member")
def test_who_is_let_in_as_a_member_may_not_invite(face: Face, it: Party) -> None:
    joined = face.accept("Bob", face.invite("Ada", it.id, address("Bob"), "member"))
    assert joined.roles == {"member"}
    assert not may_invite(face, it.id, "Bob")


@story("admin")
def test_who_is_let_in_as_an_admin_may_invite(face: Face, it: Party) -> None:
    joined = face.accept("Bob", face.invite("Ada", it.id, address("Bob"), "admin"))
    assert joined.roles == {"admin"}
    assert may_invite(face, it.id, "Bob")


@story("again")
def test_coming_in_again_gives_the_same_membership(face: Face, it: Party, world: World) -> None:
    way = face.invite("Ada", it.id, address("Bob"))
    joined = face.accept("Bob", way)
    world.clock.forward(DAY)
    assert face.accept("Bob", way) == joined
    assert world.service.organizations.get(world.call("Ada"), it.id).member_count == 3


@story()
def test_a_way_in_that_was_withdrawn_lets_nobody_in(face: Face, it: Party) -> None:
    way = face.invite("Ada", it.id, address("Bob"))
    face.withdraw("Ada", way)
    with refused(face.refused("revoked")):
        face.accept("Bob", way)
    assert face.membership("Ada", it.id, "Bob") is None
    assert face.accept("Bob", face.invite("Ada", it.id, address("Bob")))


@story()
def test_only_an_admin_lets_people_in(face: Face, it: Party) -> None:
    with refused("forbidden"):
        face.invite("Mia", it.id, address("Bob"))
    assert may_invite(face, it.id, "Ada")


@story()
@pytest.mark.parametrize("authorization", [None, "Bearer of-nobody"])
def test_without_good_credentials_nothing_is_told_or_done(face: Face, it: Party, authorization: str | None) -> None:
    face.authorization = authorization
    with refused("unauthenticated"):
        face.invite("Ada", it.id, address("Bob"))
    with refused("unauthenticated"):
        face.membership("Ada", it.id, "Mia")


@story("elsewhere")
def test_a_foreign_organization_is_as_one_that_never_was(face: Face, it: Party, world: World) -> None:
    party(world, "Eve", name="Other")
    with refused("not found") as foreign:
        face.invite("Eve", it.id, address("Bob"))
    with refused("not found") as unknown:
        face.invite("Eve", some_id(), address("Bob"))
    assert foreign[0].said == unknown[0].said


@story()
def test_who_is_removed_is_no_member_and_may_be_let_in_again(face: Face, it: Party) -> None:
    face.accept("Bob", face.invite("Ada", it.id, address("Bob")))
    face.remove("Ada", it.id, "Bob")
    assert face.membership("Ada", it.id, "Bob") is None
    joined = face.accept("Bob", face.invite("Ada", it.id, address("Bob")))
    assert face.membership("Ada", it.id, "Bob") == joined


@story()
def test_the_last_admin_stays(face: Face, it: Party) -> None:
    with refused("last admin"):
        face.remove("Ada", it.id, "Ada")
    assert may_invite(face, it.id, "Ada")


@story("roles")
def test_a_member_who_is_made_an_admin_may_invite(face: Face, it: Party) -> None:
    face.set_role("Ada", it.id, "Mia", "admin")
    shown = face.membership("Ada", it.id, "Mia")
    assert shown is not None
    assert shown.roles == {"admin"}
    assert may_invite(face, it.id, "Mia")


@story("roles", "demote")
def test_an_admin_made_a_member_may_not_invite_and_the_last_one_is_not(face: Face, it: Party) -> None:
    face.set_role("Ada", it.id, "Mia", "admin")
    face.set_role("Mia", it.id, "Ada", "member")
    assert not may_invite(face, it.id, "Ada")
    with refused("last admin"):
        face.set_role("Mia", it.id, "Mia", "member")
    assert may_invite(face, it.id, "Mia")


@story()
def test_the_same_key_again_gets_the_same_answer_and_nothing_happens_twice(face: Face, it: Party) -> None:
    first = face.invite("Ada", it.id, address("Bob"), key="once")
    assert face.invite("Ada", it.id, address("Bob"), key="once") == first
    assert face.accept("Bob", first)


# Invitations to an address.


@story("address")
def test_an_invitation_is_pending_for_those_who_invited_and_for_the_invited(face: Face, it: Party) -> None:
    made = face.invite("Ada", it.id, address("Bob"))
    assert (made.email, made.status, made.organization) == (address("Bob"), "pending", it.id)
    assert face.get("Ada", made) == made
    assert face.listed("Ada", it.id) == [made]
    assert face.mine("Bob") == [made.id]
    assert face.mine("Cem") == []


@story("address")
def test_an_address_has_one_pending_invitation_in_an_organization(face: Face, it: Party, world: World) -> None:
    made = face.invite("Ada", it.id, "Bob@Example.com")
    with refused("duplicate"):
        face.invite("Ada", it.id, "bOB@eXAMPLE.com")
    assert face.listed("Ada", it.id) == [made]
    other = face.invite("Eve", party(world, "Eve", name="Other").id, address("Bob"))
    assert sorted(face.mine("Bob")) == sorted([made.id, other.id])


@story("address")
def test_a_member_is_not_invited(face: Face, it: Party) -> None:
    with refused("already member"):
        face.invite("Ada", it.id, "MIA@example.com")
    assert face.listed("Ada", it.id) == []


@story("address")
def test_an_accepted_invitation_is_shown_as_such_and_makes_room(face: Face, it: Party) -> None:
    made = face.invite("Ada", it.id, address("Bob"))
    face.accept("Bob", made)
    assert face.get("Ada", made).status == "accepted"
    assert face.mine("Bob") == []
    if "again" in face.cannot:
        with refused(face.refused("accepted")):
            face.accept("Bob", made)
    face.remove("Ada", it.id, "Bob")
    assert face.invite("Ada", it.id, address("Bob")).id != made.id


@story("address")
def test_only_the_invited_accepts(face: Face, it: Party) -> None:
    made = face.invite("Ada", it.id, address("Bob"))
    with refused(face.refused("another's")):
        face.accept("Cem", made)
    assert face.membership("Ada", it.id, "Cem") is None
    assert face.get("Ada", made) == made


@story("address")
def test_a_declined_invitation_lets_nobody_in(face: Face, it: Party) -> None:
    made = face.invite("Ada", it.id, address("Bob"))
    face.decline("Bob", made)
    assert face.get("Ada", made).status == face.shown("declined")
    assert face.mine("Bob") == []
    with refused(face.refused("declined")):
        face.accept("Bob", made)
    assert face.invite("Ada", it.id, address("Bob")).status == "pending"


@story("address", "revoke")
def test_a_revoked_invitation_is_shown_as_such(face: Face, it: Party) -> None:
    made = face.invite("Ada", it.id, address("Bob"))
    face.revoke("Ada", made)
    assert face.get("Ada", made).status == "revoked"
    assert face.mine("Bob") == []


@story("address", "delete")
def test_a_deleted_invitation_is_gone_and_who_came_in_by_it_stays(face: Face, it: Party) -> None:
    answered, pending = (face.invite("Ada", it.id, address(name)) for name in ("Bob", "Cem"))
    face.accept("Bob", answered)
    for made in (answered, pending):
        face.delete("Ada", made)
        with refused("not found"):
            face.get("Ada", made)
        with refused("not found"):
            face.delete("Ada", made)
    assert face.listed("Ada", it.id) == []
    assert face.membership("Ada", it.id, "Bob")
    with refused("not found"):
        face.accept("Cem", pending)


@story("address")
def test_an_invitation_expires_and_the_address_can_be_invited_again(face: Face, it: Party, world: World) -> None:
    made = face.invite("Ada", it.id, address("Bob"))
    expire(world, made, short_of=INSTANT)
    assert face.get("Ada", made).status == "pending"
    world.clock.forward(INSTANT)
    assert face.get("Ada", made).status == "expired"
    assert face.mine("Bob") == []
    with refused(face.refused("expired")):
        face.accept("Bob", made)
    again = face.invite("Ada", it.id, address("Bob"))
    assert {shown.id: shown.status for shown in face.listed("Ada", it.id)} == {made.id: "expired", again.id: "pending"}
    assert face.accept("Bob", again)


@story("address", "renew")
def test_an_invitation_that_is_sent_again_lasts_longer_also_once_expired(face: Face, it: Party, world: World) -> None:
    made = face.invite("Ada", it.id, address("Bob"))
    for after in (DAY, 31 * DAY):
        world.clock.forward(after)
        renewed = face.resend("Ada", made)
        assert renewed == replace(made, expires_at=renewed.expires_at)
        assert renewed.expires_at is not None
        assert made.expires_at is not None
        assert renewed.expires_at - made.expires_at == after
        made = renewed
    assert face.accept("Bob", made)


@story("address", "resend")
def test_an_invitation_that_is_sent_again_is_the_same_with_another_mail(face: Face, it: Party, world: World) -> None:
    made = face.invite("Ada", it.id, address("Bob"))
    assert waiting_mails(world) == 1
    world.clock.forward(DAY)
    again = face.resend("Ada", made)
    assert waiting_mails(world) == 2
    assert (again.id, again.status) == (made.id, "pending")
    assert (again.expires_at == made.expires_at) is ("renew" in face.cannot)
    assert [shown.id for shown in face.listed("Ada", it.id)] == [made.id]
    face.accept("Bob", made)
    with refused("accepted"):
        face.resend("Ada", made)
    assert waiting_mails(world) == 2


@story("address")
def test_an_address_gets_ten_mails_in_ten_minutes(face: Face, it: Party, world: World) -> None:
    made = face.invite("Ada", it.id, address("Bob"))
    for _ in range(9):
        made = another_mail(face, made)
    with refused("rate limited") as refusals:
        another_mail(face, made)
    assert refusals[0].retry_after == 600
    assert face.invite("Ada", it.id, address("Cem"))
    world.clock.forward(timedelta(seconds=599))
    with refused("rate limited") as refusals:
        another_mail(face, made)
    assert refusals[0].retry_after == 1
    world.clock.forward(timedelta(seconds=1))
    another_mail(face, made)


@story("address", "delete")
def test_deleting_invitations_does_not_get_around_the_limit_of_mails(face: Face, it: Party, world: World) -> None:
    postbox = Postbox()
    keys = SecretKeys([KEY])
    outbox = Outbox(world.service.store, world.clock, keys, postbox, Links(PUBLIC_URL), KeySealing(keys))
    for _ in range(10):
        made = face.invite("Ada", it.id, address("Bob"))
        outbox.send_due()
        face.delete("Ada", made)
    assert [mail.email for mail in postbox.mails] == [address("Bob")] * 10
    with refused("rate limited"):
        face.invite("Ada", it.id, address("Bob"))


@story("address")
def test_a_key_is_not_for_another_request(face: Face, it: Party) -> None:
    made = face.invite("Ada", it.id, address("Bob"), key="once")
    with refused("key reused"):
        face.invite("Ada", it.id, address("Cem"), key="once")
    assert face.listed("Ada", it.id) == [made]


@story("address", "metadata")
def test_metadata_goes_over_to_the_membership(face: Face, it: Party, world: World) -> None:
    public, private = {"team": "ä", "seats": 3}, {"note": [None, True]}
    face.accept("Bob", face.invite("Ada", it.id, address("Bob"), public=public, private=private))
    member = kept(world, it.id, "Bob")
    assert (member.public_metadata, member.private_metadata) == (public, private)


@story("address", "named")
def test_a_named_role_goes_over_to_the_membership(face: Face, it: Party, world: World) -> None:
    role = world.service.roles.create("editor", "Editor")
    made = face.invite("Ada", it.id, address("Bob"), "editor")
    assert made.roles - {"member"} == {"editor"}
    assert face.accept("Bob", made).roles == made.roles
    assert kept(world, it.id, "Bob").named_roles == (role.id,)


@story("address", "by-status")
def test_invitations_are_listed_by_status(face: Face, it: Party) -> None:
    pending, accepted, declined = (face.invite("Ada", it.id, address(name)) for name in ("Bob", "Cem", "Dan"))
    face.accept("Cem", accepted)
    face.decline("Dan", declined)
    wanted = {"pending": pending.id, "accepted": accepted.id, face.shown("declined"): declined.id}
    for status, id_ in wanted.items():
        assert [(shown.id, shown.status) for shown in face.listed("Ada", it.id, status=status)] == [(id_, status)]
    assert face.listed("Ada", it.id, status="expired") == []


@story("address", "by-address")
def test_invitations_are_listed_by_address(face: Face, it: Party) -> None:
    made, _ = (face.invite("Ada", it.id, address(name)) for name in ("Bob", "Cem"))
    assert face.listed("Ada", it.id, email="BOB@example.com") == [made]
    assert face.listed("Ada", it.id, email=address("Dan")) == []


@story("address")
def test_a_foreign_invitation_is_as_one_that_never_was(face: Face, it: Party, world: World) -> None:
    other = party(world, "Eve", name="Other")
    made = face.invite("Ada", it.id, address("Bob"))
    # On wires whose paths name the organization, one's own doesn't help either.
    for organization in (it.id, other.id):
        said = []
        for foreign in (made, face.nowhere(organization)):
            with refused("not found") as got:
                face.get("Eve", replace(foreign, organization=organization))
            with refused("not found") as withdrawn:
                face.withdraw("Eve", replace(foreign, organization=organization))
            said.append([got[0].said, withdrawn[0].said])
        assert said[0] == said[1]
    assert face.get("Ada", made) == made


@story("address")
@pytest.mark.parametrize("end", ["pending", "accepted", "declined", "expired"])
def test_what_happens_on_one_face_is_seen_on_every_other(face: Face, it: Party, world: World, end: str) -> None:
    made = face.invite("Ada", it.id, address("Bob"))
    (view,), _ = world.service.invitations.list_mine(world.call("Bob"))
    match end:
        case "accepted":
            face.accept("Bob", made)
        case "declined":
            face.decline("Bob", made)
        case "expired":
            expire(world, made)
    for other in (known(world, face.client) for known in FACES if "address" not in known.cannot):
        seen = other.get("Ada", other.handle(view.invitation.id, it.id))
        assert (seen.organization, seen.email, seen.status) == (it.id, made.email, other.shown(end))
        assert seen.expires_at == made.expires_at


# Who tells what.


def test_every_story_is_told_by_two_faces_at_least_and_the_table_says_what_the_others_lack() -> None:
    header, *rows = [line.split() for line in TABLE.strip().splitlines()]
    assert header == ["story", *(face.name for face in FACES)]
    assert {name: cells for name, *cells in rows} == {
        name: [lacking(face, needs) or "yes" for face in FACES] for name, needs in STORIES.items()
    }
    assert [name for name, *cells in rows if cells.count("yes") < 2] == []


@pytest.mark.parametrize("teller", FACES, ids=lambda face: face.name)
def test_what_a_face_cannot_do_has_a_reason_and_a_story_that_is_not_told_for_it(teller: type[Face]) -> None:
    missed = {lacking(teller, needs) for needs in STORIES.values()}
    assert set(teller.cannot) <= missed
    assert all(reason.strip() for reason in teller.cannot.values())
