"""Inviting by address, from the first mail to the membership."""

from __future__ import annotations

import itertools
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from server.domain import errors
from server.domain.account import Caller
from server.domain.errors import Reason, ServiceError
from server.domain.invitation import DeliveryState, IfPending, Invitation, InvitationStatus
from server.domain.organization import Member, Role
from server.domain.secrets import SecretKeys
from server.ports import InvitationFilter, InvitationOrder, MailState
from server.sealing import KeySealing
from server.service.call import Call
from server.service.invitations import InvitationPolicy, Invitations, Invited, NewInvitation
from server.service.outbox import open_link
from tests.conftest import KEY, World
from tests.domain.refusals import attempt, refused_with
from tests.stories.people import NOBODY, Issuer, Party, call_with, party, read_only, secret_of_user, some_id

PENDING, ACCEPTED, DECLINED, REVOKED, EXPIRED = InvitationStatus
GUEST = "guest@example.com"


@dataclass
class Desk:
    """Where Ada invites people into her organization."""

    world: World
    it: Party

    @property
    def invitations(self) -> Invitations:
        return self.world.service.invitations

    @property
    def ada(self) -> Call:
        return self.world.call("Ada")

    @property
    def guest(self) -> Call:
        """A call by whom Ada invites unless told otherwise."""
        return self.world.call("Guest")

    def new(self, email: str = GUEST, **wanted: Any) -> NewInvitation:
        return NewInvitation(email, **{"send_email": False} | wanted)

    def invite(self, email: str = GUEST, **wanted: Any) -> Invited:
        return self.invitations.create(self.ada, self.it.id, self.new(email, **wanted))

    def token(self, email: str = GUEST, **wanted: Any) -> str:
        token = self.invite(email, **wanted).token
        assert token is not None
        return token

    def pass_by(self, span: timedelta) -> None:
        self.world.clock.forward(span)

    def status(self, invitation_id: str) -> InvitationStatus:
        return self.invitations.get(self.ada, invitation_id).status_at(self.world.clock())

    def membership(self, name: str) -> Member | None:
        """Give a person's active membership."""
        account_id = self.world.account(name).id
        with self.world.service.store.snapshot() as tx:
            found = tx.member(self.it.id, account_id)
        return found if found is not None and found.is_active else None

    def listed(self, **wanted: Any) -> list[Invitation]:
        """Give all invitations that fit, newest first."""
        with self.world.service.store.snapshot() as tx:
            chosen = InvitationFilter(self.world.clock(), (self.it.id,), **wanted)
            return list(tx.invitations(chosen, InvitationOrder(), limit=2000).invitations)

    def mails(self) -> int:
        with self.world.service.store.snapshot() as tx:
            return len(tx.mails((), 2000))

    def with_policy(self, **policy: Any) -> Invitations:
        service = self.world.service
        ids = lambda: str(uuid.uuid4())  # noqa: E731
        return Invitations(
            service.store,
            self.world.clock,
            ids,
            SecretKeys([KEY]),
            KeySealing(SecretKeys([KEY])),
            InvitationPolicy(**policy),
        )


@pytest.fixture
def desk(world: World) -> Desk:
    return Desk(world, party(world, "Ada", "Member"))


# Who may answer.


def test_the_token_lets_in_any_account_that_is_signed_in(desk: Desk) -> None:
    issuer = Issuer(desk.world)
    callers = [
        desk.guest,
        desk.world.call("Somebody"),
        issuer.call("unverified", GUEST, verified=False),
        issuer.call("elsewhere", "other@elsewhere.example", verified=False),
    ]
    for number, caller in enumerate(callers):
        token = desk.token(f"invited{number}@example.com")
        view, member = desk.invitations.accept(caller, token=token)
        assert member.account_id == caller.caller.account_id == view.invitation.accepted_account_id
        assert view.invitation.stored_status is ACCEPTED
        assert view.organization.id == member.organization_id == desk.it.id


@pytest.mark.parametrize("invited", [GUEST, "Guest@EXAMPLE.com", "ｇuest@example.com"])
def test_a_verified_address_that_is_the_invited_one_lets_in_without_the_token(desk: Desk, invited: str) -> None:
    made = desk.invite(invited).invitation
    assert desk.invitations.preview(desk.guest, invitation_id=made.id).invitation.id == made.id
    _, member = desk.invitations.accept(desk.guest, invitation_id=made.id)
    assert desk.membership("Guest") == member


ANSWERS: dict[str, Callable[[Desk, Call, dict[str, str]], object]] = {
    "preview": lambda desk, call, by: desk.invitations.preview(call, **by),
    "accept": lambda desk, call, by: desk.invitations.accept(call, **by),
    "decline": lambda desk, call, by: desk.invitations.decline(call, **by),
}


@pytest.mark.parametrize("answer", ANSWERS)
@pytest.mark.parametrize(
    ("email", "verified", "reason"),
    [
        (GUEST, False, errors.EMAIL_NOT_VERIFIED_FOR_INVITATION),
        ("other@example.com", True, errors.INVITATION_WRONG_ACCOUNT),
        ("other@example.com", False, errors.INVITATION_WRONG_ACCOUNT),
        ("guest+tag@example.com", True, errors.INVITATION_WRONG_ACCOUNT),
        ("", False, errors.INVITATION_WRONG_ACCOUNT),
    ],
)
def test_whoever_shows_neither_token_nor_address_is_told_the_masked_address_alone(
    desk: Desk, answer: str, email: str, verified: bool, reason: Reason
) -> None:
    made = desk.invite().invitation
    call = Issuer(desk.world).call("subject", email, verified=verified)
    with refused_with(reason) as refusal:
        ANSWERS[answer](desk, call, {"invitation_id": made.id})
    assert refusal.error.metadata == {"email": "g***@example.com"}
    assert "guest" not in str(refusal.error)
    assert desk.status(made.id) is PENDING


@pytest.mark.parametrize("answer", ANSWERS)
def test_what_opens_nothing_answers_alike(desk: Desk, answer: str) -> None:
    dead = desk.token("dead@example.com")
    gone = desk.invite("gone@example.com")
    desk.invitations.resend(desk.ada, desk.listed(email_key="dead@example.com")[0].id, send_email=False)
    desk.invitations.delete(desk.ada, gone.invitation.id)
    outcomes = []
    for by in (
        {"token": dead},
        {"token": str(gone.token)},
        {"token": "orgsvcinv_" + "A" * 43},
        {"token": "x"},
        {"invitation_id": some_id()},
        {"invitation_id": gone.invitation.id},
        {},
    ):
        with refused_with(errors.INVITATION_NOT_FOUND) as refusal:
            ANSWERS[answer](desk, desk.guest, by)
        outcomes.append((str(refusal.error), refusal.error.metadata, refusal.error.violations))
    assert all(outcome == outcomes[0] for outcome in outcomes)


def test_without_signing_in_one_sees_what_a_token_leads_to_and_answers_nothing(desk: Desk) -> None:
    made = desk.invite()
    token = str(made.token)
    view = desk.invitations.preview(NOBODY, token=token)
    assert (view.organization.name, view.invitation.id) == ("Acme", made.invitation.id)
    for act in (
        lambda: desk.invitations.accept(NOBODY, token=token),
        lambda: desk.invitations.decline(NOBODY, token=token),
        lambda: desk.invitations.preview(NOBODY, invitation_id=made.invitation.id),
        lambda: desk.invitations.preview(NOBODY, invitation_id=some_id()),
        lambda: desk.invitations.list_mine(NOBODY),
        lambda: desk.invitations.page_of_mine(NOBODY, ()),
    ):
        with refused_with(errors.CREDENTIALS_MISSING):
            act()
    assert desk.status(made.invitation.id) is PENDING


def test_a_token_of_one_organization_or_for_reading_answers_no_invitation(desk: Desk) -> None:
    token = desk.token()
    party(desk.world, "Guest", name="Elsewhere")
    user_id = desk.world.service.organizations.own_member(desk.guest).user_id
    here = call_with(desk.world, secret_of_user(desk.world, "Guest", user_id))
    for act in (desk.invitations.accept, desk.invitations.decline):
        with refused_with(errors.ACCOUNT_TOKEN_REQUIRED):
            act(here, token=token)
        with refused_with(errors.TOKEN_READ_ONLY):
            act(read_only(desk.guest), token=token)
    with refused_with(errors.ACCOUNT_TOKEN_REQUIRED):
        desk.invitations.list_mine(here)
    assert desk.invitations.list_mine(read_only(desk.guest))[1] == 1
    assert desk.membership("Guest") is None


# Answering once.


def test_accepting_again_gives_the_same_membership(desk: Desk) -> None:
    token = desk.token()
    first = desk.invitations.accept(desk.guest, token=token)
    desk.pass_by(timedelta(days=400))
    assert desk.invitations.accept(desk.guest, token=token) == first
    assert desk.invitations.accept(desk.guest, invitation_id=first[0].invitation.id) == first
    assert desk.world.service.organizations.get(desk.ada, desk.it.id).member_count == 3


def test_who_came_by_the_token_may_look_at_the_invitation_by_its_id_later(desk: Desk) -> None:
    made = desk.invite()
    somebody = desk.world.call("Somebody")
    desk.invitations.accept(somebody, token=str(made.token))
    assert desk.invitations.preview(somebody, invitation_id=made.invitation.id).invitation.stored_status is ACCEPTED


def test_an_invitation_lets_in_one_person(desk: Desk) -> None:
    token = desk.token()
    desk.invitations.accept(desk.world.call("First"), token=token)
    for late in (desk.world.call("Second"), desk.guest):
        with refused_with(errors.INVITATION_ALREADY_ACCEPTED) as refusal:
            desk.invitations.accept(late, token=token)
        assert refusal.error.metadata == {"email": "g***@example.com"}
    assert desk.membership("Second") is None


def test_who_left_does_not_return_by_the_same_invitation(desk: Desk) -> None:
    token = desk.token()
    _, member = desk.invitations.accept(desk.guest, token=token)
    desk.world.service.organizations.leave(desk.guest, member.user_id)
    with refused_with(errors.INVITATION_ALREADY_ACCEPTED):
        desk.invitations.accept(desk.guest, token=token)
    _, again = desk.invitations.accept(desk.guest, token=desk.token())
    assert again.user_id == member.user_id


def test_declining_again_changes_nothing(desk: Desk) -> None:
    token = desk.token()
    desk.invitations.decline(desk.guest, token=token)
    (first,) = desk.listed()
    desk.pass_by(timedelta(hours=1))
    desk.invitations.decline(desk.world.call("Somebody"), token=token)
    assert desk.listed() == [first]
    assert first.responded_at == first.created_at


# Where an invitation stands, and what can be done with it there.

CELLS: dict[str, Reason | None] = {
    "yes": None,
    "accepted": errors.INVITATION_ALREADY_ACCEPTED,
    "declined": errors.INVITATION_DECLINED,
    "revoked": errors.INVITATION_REVOKED,
    "expired": errors.INVITATION_EXPIRED,
}
MOVES_MATRIX = """
          pending  accepted  declined  revoked  expired
preview   yes      yes       yes       yes      yes
accept    yes      accepted  declined  revoked  expired
decline   yes      accepted  yes       revoked  expired
revoke    yes      accepted  declined  yes      expired
once      yes      accepted  declined  revoked  expired
resend    yes      accepted  declined  revoked  yes
get       yes      yes       yes       yes      yes
delete    yes      yes       yes       yes      yes
"""
_HEADER, *_ROWS = [line.split() for line in MOVES_MATRIX.strip().splitlines()]
MOVES: dict[str, Callable[[Desk, str, str], object]] = {
    "preview": lambda desk, id_, token: desk.invitations.preview(NOBODY, token=token),
    "accept": lambda desk, id_, token: desk.invitations.accept(desk.guest, token=token),
    "decline": lambda desk, id_, token: desk.invitations.decline(desk.guest, token=token),
    "revoke": lambda desk, id_, token: desk.invitations.revoke(desk.ada, id_),
    "once": lambda desk, id_, token: desk.invitations.revoke(desk.ada, id_, once=True),
    "resend": lambda desk, id_, token: desk.invitations.resend(desk.ada, id_),
    "get": lambda desk, id_, token: desk.invitations.get(desk.ada, id_),
    "delete": lambda desk, id_, token: desk.invitations.delete(desk.ada, id_),
}
BRING: dict[str, Callable[[Desk, str, str], object]] = {
    "pending": lambda desk, id_, token: None,
    "accepted": lambda desk, id_, token: desk.invitations.accept(desk.world.call("Other"), token=token),
    "declined": lambda desk, id_, token: desk.invitations.decline(desk.world.call("Other"), token=token),
    "revoked": lambda desk, id_, token: desk.invitations.revoke(desk.ada, id_),
    "expired": lambda desk, id_, token: desk.pass_by(timedelta(days=30)),
}
AFTER = {"accept": ACCEPTED, "decline": DECLINED, "revoke": REVOKED, "once": REVOKED, "resend": PENDING}


@pytest.mark.parametrize("row", _ROWS, ids=lambda row: row[0])
def test_a_move_is_made_where_it_can_be_and_refused_with_the_reason_elsewhere(desk: Desk, row: list[str]) -> None:
    move, *cells = row
    for state, cell in zip(_HEADER, cells, strict=True):
        made = desk.invite(f"{state}-{move}@example.com")
        id_, token = made.invitation.id, str(made.token)
        BRING[state](desk, id_, token)
        before = desk.status(id_)
        assert before.value == state
        _, refused = attempt(lambda id_=id_, token=token: MOVES[move](desk, id_, token))
        wanted = CELLS[cell]
        assert (refused and refused.reason) is wanted, state
        if move == "delete":
            with refused_with(errors.INVITATION_NOT_FOUND):
                desk.invitations.get(desk.ada, id_)
        else:
            assert desk.status(id_) is (AFTER.get(move, before) if wanted is None else before)


def test_an_answer_is_dated_and_a_change_too(desk: Desk) -> None:
    made = desk.invite().invitation
    assert made.responded_at is None
    desk.pass_by(timedelta(hours=1))
    desk.invitations.decline(desk.guest, invitation_id=made.id)
    (found,) = desk.listed()
    assert found.created_at == made.created_at
    assert found.responded_at == found.updated_at == made.created_at + timedelta(hours=1)


def test_deleting_takes_the_invitation_and_leaves_the_member(desk: Desk) -> None:
    made = desk.invite()
    desk.invitations.accept(desk.guest, token=str(made.token))
    desk.invitations.delete(desk.ada, made.invitation.id)
    assert desk.listed() == []
    assert desk.membership("Guest") is not None


def test_a_deleted_organization_takes_its_invitations_with_it(desk: Desk) -> None:
    token = desk.token()
    desk.world.service.organizations.delete(desk.ada, desk.it.id)
    with refused_with(errors.INVITATION_NOT_FOUND):
        desk.invitations.accept(desk.guest, token=token)
    assert desk.invitations.list_mine(desk.guest) == ([], 0)
    assert desk.listed() == []


# What an invitation gives.


def test_an_invitation_makes_a_member_unless_told_otherwise(desk: Desk) -> None:
    for number, (roles, role) in enumerate([((), Role.MEMBER), (("member",), Role.MEMBER), (("admin",), Role.ADMIN)]):
        token = desk.token(f"guest{number}@example.com", roles=roles)
        assert desk.invitations.accept(desk.world.call(f"guest{number}"), token=token)[1].role is role


@pytest.mark.parametrize(
    ("roles", "role", "named"),
    [
        (("auditor",), Role.MEMBER, ["auditor"]),
        (("owner",), Role.ADMIN, ["owner"]),
        (("auditor", "owner"), Role.ADMIN, ["auditor", "owner"]),
        (("owner", "member"), Role.ADMIN, ["owner"]),
        (("admin", "auditor"), Role.ADMIN, ["auditor"]),
        (("writer", "auditor", "writer"), Role.MEMBER, ["writer", "auditor"]),
    ],
)
def test_named_roles_give_the_rights_of_all_of_them(
    desk: Desk, roles: tuple[str, ...], role: Role, named: list[str]
) -> None:
    ids = named_roles(desk)
    _, member = desk.invitations.accept(desk.guest, token=desk.token(roles=roles))
    assert (member.role, member.named_roles) == (role, tuple(ids[key] for key in named))
    assert desk.membership("Guest") == member


def named_roles(desk: Desk) -> dict[str, str]:
    """Make roles; give their ids by key."""
    rights = {"auditor": Role.MEMBER, "writer": Role.MEMBER, "owner": Role.ADMIN}
    create = desk.world.service.roles.create
    return {key: create(key, key.title(), rights=right).id for key, right in rights.items()}


def test_a_role_may_be_given_by_its_id_and_one_that_is_unknown_is_refused(desk: Desk) -> None:
    ids = named_roles(desk)
    made = desk.invite(roles=(ids["auditor"], "auditor")).invitation
    assert made.named_roles == (ids["auditor"],)
    for unknown in ("Auditor", "nobody", "", ids["auditor"].upper(), "x" * 500):
        with refused_with(errors.ROLE_NOT_FOUND) as refusal:
            desk.invite("other@example.com", roles=("member", unknown))
        assert refusal.error.metadata == {"role": unknown[:64]}
    assert len(desk.listed()) == 1


def test_a_member_who_accepts_has_what_they_had_and_what_the_invitation_gives(desk: Desk) -> None:
    ids = named_roles(desk)
    for roles in (("writer",), ("owner",), ("auditor",)):
        _, member = desk.invitations.accept(desk.guest, token=desk.token(f"{roles[0]}@example.com", roles=roles))
    assert member.role is Role.ADMIN
    assert member.named_roles == (ids["writer"], ids["owner"], ids["auditor"])
    assert desk.world.service.organizations.get(desk.ada, desk.it.id).member_count == 3


def test_an_invitation_never_lowers_a_role(desk: Desk) -> None:
    token = desk.token(roles=("member",))
    _, member = desk.invitations.accept(desk.ada, token=token)
    assert member.role is Role.ADMIN
    assert desk.it.member("Ada").role is Role.ADMIN


def test_an_invitation_as_admin_raises_a_member_and_keeps_when_they_joined(desk: Desk) -> None:
    before = desk.it.member("Member")
    desk.pass_by(timedelta(days=1))
    _, member = desk.invitations.accept(desk.world.call("Member"), token=desk.token(roles=("admin",)))
    assert member == replace(before, role=Role.ADMIN)


def test_who_returns_by_an_invitation_has_its_role_and_not_the_one_before(desk: Desk) -> None:
    token = desk.token(roles=("admin",))
    _, admin = desk.invitations.accept(desk.guest, token=token)
    desk.world.service.organizations.leave(desk.guest, admin.user_id)
    _, member = desk.invitations.accept(desk.guest, token=desk.token(roles=("member",)))
    assert (member.user_id, member.role) == (admin.user_id, Role.MEMBER)


def test_metadata_of_an_invitation_becomes_the_memberships_on_top_of_what_is_there(desk: Desk) -> None:
    first = {"plan": "free", "seat": 1}, {"crm": "a", "deep": {"x": [1, None]}}
    second = {"plan": "paid"}, {"note": "ü"}
    for number, (public, private) in enumerate((first, second)):
        token = desk.token(f"meta{number}@example.com", public_metadata=public, private_metadata=private)
        _, member = desk.invitations.accept(desk.guest, token=token)
    assert member.public_metadata == {"plan": "paid", "seat": 1}
    assert member.private_metadata == {"crm": "a", "deep": {"x": [1, None]}, "note": "ü"}
    assert desk.membership("Guest") == member


@pytest.mark.parametrize("kind", ["public_metadata", "private_metadata"])
def test_metadata_has_a_largest_size(desk: Desk, kind: str) -> None:
    room = 16 * 1024 - len('{"a": ""}')
    desk.invite("fits@example.com", **{kind: {"a": "x" * room}})
    with refused_with(errors.INVALID_REQUEST) as refusal:
        desk.invite("does-not@example.com", **{kind: {"a": "x" * (room + 1)}})
    assert [violation.field for violation in refusal.error.violations] == [kind]


def test_language_redirect_and_inviter_are_kept_with_the_invitation(desk: Desk) -> None:
    invitations = desk.with_policy(redirect_origins=("https://app.example.com",))
    url = "https://app.example.com/welcome"
    made = invitations.create(desk.ada, desk.it.id, desk.new(locale="pt-BR", redirect_url=url)).invitation
    kept = desk.invitations.get(desk.ada, made.id)
    assert kept == made
    assert (kept.locale, kept.redirect_url, kept.inviter_name) == ("pt-BR", url, "Ada")
    assert kept.inviter_account_id == desk.world.account("Ada").id
    # The name is the one of then.
    desk.world.service.authentication.local_account("ada@example.com", "Ada Lovelace")
    assert desk.invitations.get(desk.ada, made.id).inviter_name == "Ada"


@pytest.mark.parametrize("url", ["https://evil.example/", "https://app.example.com.evil.example/", "//app.example.com"])
def test_a_redirect_elsewhere_is_refused(desk: Desk, url: str) -> None:
    invitations = desk.with_policy(redirect_origins=("https://app.example.com",))
    with refused_with(errors.REDIRECT_NOT_ALLOWED):
        invitations.create(desk.ada, desk.it.id, desk.new(redirect_url=url))
    with refused_with(errors.REDIRECT_NOT_ALLOWED):
        desk.invite(redirect_url="https://app.example.com/")
    assert desk.listed() == []


# Inviting again, and sending again.


def test_a_second_invitation_of_an_address_is_refused_while_the_first_is_pending(desk: Desk) -> None:
    first = desk.invite()
    for email in (GUEST, " Guest@Example.COM"):
        with refused_with(errors.INVITATION_PENDING):
            desk.invite(email)
    assert [found.id for found in desk.listed()] == [first.invitation.id]
    # Another organization knows nothing of it.
    other = party(desk.world, "Ada", name="Other")
    desk.invitations.create(desk.ada, other.id, desk.new())


def test_to_renew_is_to_keep_the_invitation_with_a_new_token_and_time(desk: Desk) -> None:
    first = desk.invite(roles=("admin",), locale="de", public_metadata={"a": 1})
    desk.pass_by(timedelta(days=1))
    again = desk.invite(if_pending=IfPending.RENEW, ttl=timedelta(days=2))
    assert again.invitation == replace(
        first.invitation,
        generation=2,
        token_hash=again.invitation.token_hash,
        updated_at=desk.world.clock(),
        expires_at=desk.world.clock() + timedelta(days=2),
    )
    assert desk.listed() == [again.invitation]
    with refused_with(errors.INVITATION_NOT_FOUND):
        desk.invitations.accept(desk.guest, token=str(first.token))
    assert desk.invitations.accept(desk.guest, token=str(again.token))[1].role is Role.ADMIN


def test_to_replace_is_to_revoke_the_first_and_make_another(desk: Desk) -> None:
    first = desk.invite(roles=("admin",))
    second = desk.invite(if_pending=IfPending.REPLACE)
    assert [desk.status(made.invitation.id) for made in (first, second)] == [REVOKED, PENDING]
    assert desk.invitations.get(desk.ada, first.invitation.id).responded_at == desk.world.clock()
    with refused_with(errors.INVITATION_REVOKED):
        desk.invitations.accept(desk.guest, token=str(first.token))
    assert desk.invitations.accept(desk.guest, token=str(second.token))[1].role is Role.MEMBER


@pytest.mark.parametrize("if_pending", IfPending)
def test_an_expired_invitation_makes_room_for_another_without_being_asked(desk: Desk, if_pending: IfPending) -> None:
    first = desk.invite()
    desk.pass_by(timedelta(days=30))
    second = desk.invite(if_pending=if_pending)
    assert first.invitation.id != second.invitation.id
    assert [desk.status(made.invitation.id) for made in (first, second)] == [EXPIRED, PENDING]
    assert desk.invitations.get(desk.ada, first.invitation.id).responded_at is None
    # And can't be sent again beside it.
    with refused_with(errors.INVITATION_PENDING):
        desk.invitations.resend(desk.ada, first.invitation.id)
    desk.invitations.revoke(desk.ada, second.invitation.id)
    desk.invitations.resend(desk.ada, first.invitation.id)
    assert desk.status(first.invitation.id) is PENDING


@pytest.mark.parametrize("state", ["accepted", "declined", "revoked"])
def test_after_an_end_an_address_can_be_invited_again(desk: Desk, state: str) -> None:
    made = desk.invite("once@example.com")
    BRING[state](desk, made.invitation.id, str(made.token))
    assert desk.status(desk.invite("once@example.com").invitation.id) is PENDING


def test_the_address_of_a_member_is_not_invited(desk: Desk) -> None:
    for email in ("member@example.com", "Member@EXAMPLE.com", "ada@example.com"):
        with refused_with(errors.ALREADY_MEMBER):
            desk.invite(email)
    desk.it.leave("Member")
    desk.invite("member@example.com")


@pytest.mark.parametrize("expired", [False, True])
def test_sending_again_rotates_the_token_and_keeps_the_invitation(desk: Desk, expired: bool) -> None:
    first = desk.invite()
    desk.pass_by(timedelta(days=30 if expired else 1))
    tokens = [str(first.token)]
    for generation in (2, 3):
        again = desk.invitations.resend(desk.ada, first.invitation.id, send_email=False)
        assert (again.invitation.id, again.invitation.generation) == (first.invitation.id, generation)
        assert again.invitation.expires_at == desk.world.clock() + timedelta(days=30)
        for old in tokens:
            for answer in ANSWERS.values():
                with refused_with(errors.INVITATION_NOT_FOUND):
                    answer(desk, desk.guest, {"token": old})
        tokens.append(str(again.token))
    assert len(set(tokens)) == 3
    assert desk.invitations.accept(desk.guest, token=tokens[-1])[0].invitation.id == first.invitation.id


def test_sending_again_never_shortens_unless_the_time_is_to_stay(desk: Desk) -> None:
    made = desk.invite(ttl=timedelta(days=100)).invitation
    assert desk.invitations.resend(desk.ada, made.id).invitation.expires_at == made.expires_at
    longer = desk.invitations.resend(desk.ada, made.id, ttl=timedelta(days=200)).invitation
    assert longer.expires_at == desk.world.clock() + timedelta(days=200)
    desk.pass_by(timedelta(days=150))
    kept = desk.invitations.resend(desk.ada, made.id, keep_expiry=True).invitation
    assert kept.expires_at == longer.expires_at
    for ttl in (timedelta(minutes=59), timedelta(days=366)):
        with refused_with(errors.INVALID_REQUEST):
            desk.invitations.resend(desk.ada, made.id, ttl=ttl)


def test_after_a_rotation_of_keys_old_tokens_open_and_new_ones_come_from_the_new_key(desk: Desk) -> None:
    first = desk.invite()
    newer = b"a newer key of thirty-two bytes."
    service = desk.world.service
    ids = lambda: str(uuid.uuid4())  # noqa: E731
    keys = SecretKeys([newer, KEY])
    rotated = Invitations(service.store, desk.world.clock, ids, keys, KeySealing(keys))
    assert rotated.preview(NOBODY, token=str(first.token)).invitation.id == first.invitation.id
    again = rotated.resend(desk.ada, first.invitation.id, send_email=False)
    assert again.invitation.key_id == SecretKeys([newer]).current_id != first.invitation.key_id
    # A token is looked up by its hash: no key is needed to let in.
    assert desk.invitations.accept(desk.guest, token=str(again.token))[1].is_active


# How long.


@pytest.mark.parametrize("ttl", [timedelta(hours=1), timedelta(days=365)])
def test_an_invitation_ends_when_it_was_asked_to(desk: Desk, ttl: timedelta) -> None:
    made = desk.invite(ttl=ttl)
    desk.pass_by(ttl - timedelta(microseconds=1))
    assert (
        desk.invitations.preview(desk.guest, token=str(made.token)).invitation.status_at(desk.world.clock()) is PENDING
    )
    desk.pass_by(timedelta(microseconds=1))
    assert desk.status(made.invitation.id) is EXPIRED
    assert desk.invitations.list_mine(desk.guest) == ([], 0)
    with refused_with(errors.INVITATION_EXPIRED):
        desk.invitations.accept(desk.guest, token=str(made.token))


@pytest.mark.parametrize("ttl", [timedelta(0), timedelta(minutes=59), timedelta(days=365, seconds=1), -timedelta(1)])
def test_a_life_beyond_the_limits_is_refused(desk: Desk, ttl: timedelta) -> None:
    with refused_with(errors.INVALID_REQUEST):
        desk.invite(ttl=ttl)
    assert desk.listed() == []


def test_a_moment_to_end_at_goes_before_a_life_and_must_be_to_come(desk: Desk) -> None:
    now = desk.world.clock()
    made = desk.invite(expires_at=now + timedelta(microseconds=1), ttl=timedelta(days=1))
    assert made.invitation.expires_at == now + timedelta(microseconds=1)
    for moment in (now, now - timedelta(days=1)):
        with refused_with(errors.INVALID_REQUEST) as refusal:
            desk.invite("late@example.com", expires_at=moment)
        assert [violation.field for violation in refusal.error.violations] == ["expires_at"]


# Mail.


def test_a_token_is_given_only_where_no_mail_carries_it(desk: Desk) -> None:
    mailed, shown = desk.invite("mailed@example.com", send_email=True), desk.invite("shown@example.com")
    assert mailed.token is None
    assert mailed.invitation.delivery_state is DeliveryState.QUEUED
    assert shown.token is not None
    assert shown.invitation.delivery_state is DeliveryState.NOT_REQUESTED
    assert desk.mails() == 1
    assert desk.invitations.resend(desk.ada, mailed.invitation.id).token is None
    assert desk.invitations.resend(desk.ada, mailed.invitation.id, send_email=False).token is not None


def test_an_address_is_sent_so_many_mails_in_a_window_over_all_organizations(desk: Desk) -> None:
    other = party(desk.world, "Ada", name="Other")
    first = desk.invite(send_email=True).invitation
    desk.pass_by(timedelta(seconds=60))
    desk.invitations.create(desk.ada, other.id, desk.new("Guest@EXAMPLE.com", send_email=True))
    for _ in range(8):
        desk.invitations.resend(desk.ada, first.id)
    for act in (
        lambda: desk.invitations.resend(desk.ada, first.id),
        lambda: desk.invite(send_email=True, if_pending=IfPending.RENEW),
        lambda: desk.invite(send_email=True, if_pending=IfPending.REPLACE),
    ):
        with refused_with(errors.MAIL_LIMIT) as refusal:
            act()
        assert refusal.error.retry_after_seconds == 540
    # What was refused has changed nothing, and what needs no mail goes on.
    assert desk.listed()[0].generation == 9
    desk.invite("other@example.com", send_email=True)
    desk.invitations.resend(desk.ada, first.id, send_email=False)
    # Nor is it forgotten with the invitation.
    desk.invitations.delete(desk.ada, first.id)
    with refused_with(errors.MAIL_LIMIT):
        desk.invite(send_email=True)
    desk.pass_by(timedelta(seconds=541))
    desk.invite(send_email=True)


def test_a_limit_of_mails_refuses_those_of_a_batch_alone_that_are_beyond_it(desk: Desk) -> None:
    for _ in range(10):
        desk.invite(send_email=True, if_pending=IfPending.REPLACE)
    news = [desk.new(email, send_email=True, if_pending=IfPending.REPLACE) for email in ("a@b.example", GUEST)]
    made, refused = desk.invitations.create_batch(desk.ada, desk.it.id, news)
    assert isinstance(made, Invited)
    assert isinstance(refused, ServiceError)
    assert (refused.reason, refused.retry_after_seconds) == (errors.MAIL_LIMIT, 600)


# Many at once.

BAD = [
    "",
    "no address",
    "alice@",
    "@example.com",
    "a b@example.com",
    "eve@example.com\r\nBcc: x@example.com",
    "x" * 400,
]


def emails_of(outcomes: Sequence[Invited | ServiceError]) -> list[str]:
    return [o.invitation.email if isinstance(o, Invited) else o.reason.name for o in outcomes]


def test_of_a_thousand_addresses_the_bad_are_refused_and_the_others_invited_in_order(desk: Desk) -> None:
    emails = [f"guest{number}@example.com" for number in range(1000)]
    for number, text in enumerate(BAD):
        emails[number * 140 + 3] = text
    emails[500], emails[501], emails[999] = "Member@example.com", "GUEST499@example.com", "guest0@example.com"
    desk.invite("guest250@example.com")
    outcomes = desk.invitations.create_batch(desk.ada, desk.it.id, [desk.new(email) for email in emails])
    wanted = [
        "ADDRESS_INVALID"
        if email in BAD
        else {500: "ALREADY_MEMBER"}.get(number, "INVITATION_PENDING")
        if number in (250, 500, 501, 999)
        else email
        for number, email in enumerate(emails)
    ]
    assert emails_of(outcomes) == wanted
    invited = [email for email in wanted if "@" in email]
    assert len(invited) == 1000 - len(BAD) - 4
    assert {found.email for found in desk.listed(statuses=(PENDING,))} == {*invited, "guest250@example.com"}
    assert len({o.token for o in outcomes if isinstance(o, Invited)}) == len(invited)


def test_where_it_is_all_or_nothing_one_bad_address_invites_nobody(desk: Desk) -> None:
    first = desk.invite("first@example.com").invitation
    emails = [f"guest{number}@example.com" for number in range(50)]
    for bad, reason in (
        ("no address", errors.ADDRESS_INVALID),
        ("first@example.com", errors.INVITATION_PENDING),
        ("GUEST7@example.com", errors.INVITATION_PENDING),
        ("member@example.com", errors.ALREADY_MEMBER),
    ):
        news = [desk.new(email, send_email=True) for email in (*emails, bad)]
        with refused_with(reason):
            desk.invitations.create_batch(desk.ada, desk.it.id, news, all_or_nothing=True)
    assert desk.listed() == [first]
    assert desk.mails() == 0
    whole = desk.invitations.create_batch(desk.ada, desk.it.id, [desk.new(e) for e in emails], all_or_nothing=True)
    assert emails_of(whole) == emails


def test_a_replacement_in_a_batch_that_is_refused_leaves_the_invitation_as_it_was(desk: Desk) -> None:
    first = desk.invite()
    news = [desk.new(if_pending=IfPending.REPLACE), desk.new("no address")]
    with refused_with(errors.ADDRESS_INVALID):
        desk.invitations.create_batch(desk.ada, desk.it.id, news, all_or_nothing=True)
    assert desk.listed() == [first.invitation]
    assert desk.invitations.preview(NOBODY, token=str(first.token)).invitation == first.invitation


def test_each_of_a_batch_is_asked_for_by_itself(desk: Desk) -> None:
    ids = named_roles(desk)
    news = [
        desk.new("a@example.com", roles=("owner",), ttl=timedelta(days=1), locale="de"),
        desk.new("b@example.com", roles=("unknown",)),
        desk.new("c@example.com", ttl=timedelta(0)),
        desk.new("d@example.com", redirect_url="https://evil.example"),
        desk.new("e@example.com", public_metadata={"a": "x" * 20_000}),
        desk.new("f@example.com", send_email=True),
    ]
    outcomes = desk.invitations.create_batch(desk.ada, desk.it.id, news)
    assert emails_of(outcomes) == [
        "a@example.com",
        "ROLE_NOT_FOUND",
        "INVALID_REQUEST",
        "REDIRECT_NOT_ALLOWED",
        "INVALID_REQUEST",
        "f@example.com",
    ]
    first, last = outcomes[0], outcomes[-1]
    assert isinstance(first, Invited)
    assert isinstance(last, Invited)
    assert (first.invitation.role, first.invitation.named_roles) == (Role.ADMIN, (ids["owner"],))
    assert (first.invitation.locale, last.token) == ("de", None)


@pytest.mark.parametrize("count", [0, 1001])
def test_a_batch_of_none_or_more_than_a_thousand_is_refused(desk: Desk, count: int) -> None:
    with refused_with(errors.INVALID_REQUEST):
        desk.invitations.create_batch(desk.ada, desk.it.id, [desk.new()] * count)


# Listing.


def many(desk: Desk, count: int) -> list[Invitation]:
    """Invite people one second after the other, for different times."""
    made = []
    for number in range(count):
        desk.pass_by(timedelta(seconds=1))
        ttl = timedelta(days=1 + number * 7 % 5)
        made.append(desk.invite(f"{chr(97 + number * 5 % 26)}{number}@example.com", ttl=ttl).invitation)
    return made


KEYS: dict[str, Callable[[Invitation], Any]] = {
    "created_at": lambda found: (found.created_at, found.id),
    "expires_at": lambda found: (found.expires_at, found.id),
    "email": lambda found: (found.email_key, found.id),
}


ORDERS = [(by, descending) for by in KEYS for descending in (False, True)]


def pages(desk: Desk, order: InvitationOrder | None, size: int, **wanted: Any) -> list[list[Invitation]]:
    found, token = [], ""
    for _ in range(100):
        chosen = InvitationFilter(desk.world.clock(), **wanted)
        page = desk.invitations.list_for_organization(
            desk.ada, desk.it.id, chosen, order, page_size=size, token=token, total=True
        )
        found.append(list(page.invitations))
        token = page.next_token
        if not token:
            return found
    raise AssertionError("the pages have no end")


@pytest.mark.parametrize(("by", "descending"), ORDERS)
def test_pages_give_every_invitation_once_and_in_order(desk: Desk, by: str, descending: bool) -> None:
    made = many(desk, 13)
    found = [one for page in pages(desk, InvitationOrder(by, descending), 4) for one in page]
    assert found == sorted(made, key=KEYS[by], reverse=descending)


def test_the_newest_come_first_unless_told_otherwise_and_a_page_has_25(desk: Desk) -> None:
    made = many(desk, 27)
    page = desk.invitations.list_for_organization(desk.ada, desk.it.id, InvitationFilter(desk.world.clock()))
    assert list(page.invitations) == made[:1:-1]
    assert page.next_token
    assert page.total is None


@pytest.mark.parametrize(("by", "descending"), ORDERS)
def test_those_who_stay_are_seen_once_while_others_come_and_go_between_pages(
    desk: Desk, by: str, descending: bool
) -> None:
    staying = many(desk, 12)
    leaving = [desk.invite(f"leaving{number}@example.com").invitation for number in range(6)]
    seen: list[str] = []
    token = ""
    for number in itertools.count():
        page = desk.invitations.list_for_organization(
            desk.ada,
            desk.it.id,
            InvitationFilter(desk.world.clock()),
            InvitationOrder(by, descending),
            page_size=3,
            token=token,
        )
        seen += [found.id for found in page.invitations]
        token = page.next_token
        if not token:
            break
        desk.pass_by(timedelta(seconds=1))
        desk.invite(f"{'az'[number % 2]}late{number}@example.com")
        if number == 1:
            # Whoever is at the end of a page may be gone when the next is asked for.
            last = page.invitations[-1].id
            desk.invitations.delete(desk.ada, last)
            leaving, staying = ([one for one in rows if one.id != last] for rows in (leaving, staying))
        if leaving:
            desk.invitations.delete(desk.ada, leaving.pop().id)
    assert len(seen) == len(set(seen))
    order = [one.id for one in sorted(staying, key=KEYS[by], reverse=descending)]
    ids = set(order)
    assert [id_ for id_ in seen if id_ in ids] == order


def test_the_total_is_of_all_that_fit_whatever_the_page(desk: Desk) -> None:
    many(desk, 7)
    desk.invitations.revoke(desk.ada, desk.listed()[0].id)
    for wanted, count in (((), 7), ((PENDING,), 6), ((REVOKED,), 1), ((ACCEPTED,), 0)):
        chosen = InvitationFilter(desk.world.clock(), statuses=wanted)
        page = desk.invitations.list_for_organization(desk.ada, desk.it.id, chosen, page_size=2, total=True)
        assert (page.total, len(page.invitations)) == (count, min(count, 2))


def test_a_page_token_is_good_for_its_own_list_alone(desk: Desk) -> None:
    many(desk, 5)
    other = party(desk.world, "Ada", name="Other")

    def ask(organization_id: str, order: InvitationOrder, token: str, **wanted: Any) -> str:
        chosen = InvitationFilter(desk.world.clock(), **wanted)
        return desk.invitations.list_for_organization(
            desk.ada, organization_id, chosen, order, page_size=2, token=token
        ).next_token

    token = ask(desk.it.id, InvitationOrder(), "")
    # Time goes on between two pages, and their size may change.
    desk.pass_by(timedelta(minutes=5))
    assert ask(desk.it.id, InvitationOrder(), token)
    for act in (
        lambda: ask(other.id, InvitationOrder(), token),
        lambda: ask(desk.it.id, InvitationOrder(descending=False), token),
        lambda: ask(desk.it.id, InvitationOrder("email"), token),
        lambda: ask(desk.it.id, InvitationOrder(), token, statuses=(PENDING,)),
        lambda: ask(desk.it.id, InvitationOrder(), token, search="a"),
        lambda: ask(desk.it.id, InvitationOrder(), token[:-2]),
        lambda: ask(desk.it.id, InvitationOrder(), "x"),
    ):
        with refused_with(errors.PAGE_TOKEN_INVALID):
            act()


def test_each_part_of_a_filter_is_asked_together_with_the_others(desk: Desk) -> None:
    service = desk.world.service
    service.organizations.set_role(desk.ada, desk.it.id, desk.it.users["Member"], Role.ADMIN)
    start = desk.world.clock()
    first = desk.invite("first@example.com", ttl=timedelta(hours=1)).invitation
    desk.pass_by(timedelta(minutes=10))
    by_member = desk.invitations.create(desk.world.call("Member"), desk.it.id, desk.new("second_%@example.com"))
    desk.pass_by(timedelta(minutes=10))
    mailed = desk.invite("Third@example.com", send_email=True).invitation
    desk.invitations.revoke(desk.ada, mailed.id)
    desk.pass_by(timedelta(minutes=50))
    ada_id = desk.world.account("Ada").id
    for wanted, emails in (
        ({}, ["Third@example.com", "second_%@example.com", "first@example.com"]),
        ({"statuses": (PENDING,)}, ["second_%@example.com"]),
        ({"statuses": (EXPIRED,)}, ["first@example.com"]),
        ({"statuses": (EXPIRED, REVOKED)}, ["Third@example.com", "first@example.com"]),
        ({"email_key": "third@example.com"}, ["Third@example.com"]),
        ({"email_search": "ir"}, ["Third@example.com", "first@example.com"]),
        ({"search": "_%"}, ["second_%@example.com"]),
        ({"search": "ada"}, ["Third@example.com", "first@example.com"]),
        ({"inviter_account_id": ada_id}, ["Third@example.com", "first@example.com"]),
        ({"delivery_states": (DeliveryState.QUEUED,)}, ["Third@example.com"]),
        ({"created_from": start + timedelta(minutes=10)}, ["Third@example.com", "second_%@example.com"]),
        ({"created_before": start + timedelta(minutes=10)}, ["first@example.com"]),
        ({"inviter_account_id": ada_id, "statuses": (REVOKED,), "search": "third"}, ["Third@example.com"]),
        ({"inviter_account_id": ada_id, "statuses": (PENDING,)}, []),
    ):
        found = [one.email for page in pages(desk, None, 2, **wanted) for one in page]
        assert found == emails, wanted
    assert by_member.invitation.inviter_name == "Member"
    assert first.expires_at < desk.world.clock()


# One's own.


def test_ones_own_invitations_are_those_of_the_verified_address_in_all_organizations(desk: Desk) -> None:
    other = party(desk.world, "Bob", name="Other")
    desk.invite("Guest@Example.com")
    desk.pass_by(timedelta(seconds=1))
    desk.invitations.create(desk.world.call("Bob"), other.id, desk.new())
    desk.invite("else@example.com")
    views, count = desk.invitations.list_mine(desk.guest)
    assert ([view.organization.name for view in views], count) == (["Other", "Acme"], 2)
    assert desk.invitations.list_mine(desk.world.call("Nobody Invited")) == ([], 0)


def test_an_unverified_address_lists_nothing(desk: Desk) -> None:
    desk.invite()
    with refused_with(errors.EMAIL_NOT_VERIFIED):
        desk.invitations.list_mine(Issuer(desk.world).call("subject", GUEST, verified=False))


def test_an_account_without_an_address_lists_nothing_of_others(desk: Desk) -> None:
    desk.invite()
    # Whatever an issuer says of an address that there isn't.
    call = Issuer(desk.world).call("subject", "", verified=True)
    with refused_with(errors.EMAIL_NOT_VERIFIED):
        desk.invitations.list_mine(call)
    with refused_with(errors.EMAIL_NOT_VERIFIED):
        desk.invitations.page_of_mine(call, ())


def test_pending_ones_are_listed_unless_others_are_asked_for(desk: Desk) -> None:
    parties = [party(desk.world, "Ada", name=f"Organization {number}") for number in range(4)]
    made = [desk.invitations.create(desk.ada, it.id, desk.new()) for it in parties]
    desk.invitations.decline(desk.guest, token=str(made[0].token))
    desk.invitations.accept(desk.guest, token=str(made[1].token))
    desk.invitations.revoke(desk.ada, made[2].invitation.id)

    def listed(*statuses: InvitationStatus) -> set[str]:
        views, count = desk.invitations.list_mine(desk.guest, *([statuses] if statuses else []))
        assert len(views) == count
        return {view.organization.name for view in views}

    assert listed() == {"Organization 3"}
    assert listed(DECLINED, ACCEPTED) == {"Organization 0", "Organization 1"}
    assert listed(REVOKED) == {"Organization 2"}
    desk.pass_by(timedelta(days=30))
    assert (listed(), listed(EXPIRED)) == (set(), {"Organization 3"})


def test_ones_own_are_paged(desk: Desk) -> None:
    for number in range(7):
        desk.pass_by(timedelta(seconds=1))
        desk.invitations.create(desk.ada, party(desk.world, "Ada", name=f"Organization {number}").id, desk.new())
    found = []
    for offset in (0, 3, 6, 9):
        views, count = desk.invitations.list_mine(desk.guest, offset=offset, page_size=3)
        assert (count, len(views)) == (7, max(0, min(3, 7 - offset)))
        found += [view.organization.name for view in views]
    assert found == [f"Organization {number}" for number in reversed(range(7))]


def test_pages_of_ones_own_show_each_once_while_they_are_answered_and_others_come(desk: Desk) -> None:
    def invite_from(name: str) -> str:
        desk.pass_by(timedelta(seconds=1))
        it = party(desk.world, "Ada", name=name)
        return desk.invitations.create(desk.ada, it.id, desk.new()).invitation.id

    made = [invite_from(f"Organization {number}") for number in range(7)]
    seen: list[str] = []
    token = ""
    while True:
        views, token = desk.invitations.page_of_mine(desk.guest, (PENDING,), page_size=2, token=token)
        seen += [view.invitation.id for view in views]
        if not token:
            break
        # The last that was seen is answered, and another organization invites.
        desk.invitations.decline(desk.guest, invitation_id=seen[-1])
        invite_from(f"Late {len(seen)}")
    assert seen == made[::-1]
    first = desk.invitations.page_of_mine(desk.guest, (PENDING,), page_size=2)[1]
    for other in ((DECLINED,), (PENDING, DECLINED), ()):
        with refused_with(errors.PAGE_TOKEN_INVALID):
            desk.invitations.page_of_mine(desk.guest, other, page_size=2, token=first)
    with refused_with(errors.PAGE_TOKEN_INVALID):
        desk.invitations.page_of_mine(desk.world.call("Somebody"), (PENDING,), page_size=2, token=first)


# Who may administer.

ACTS: dict[str, Callable[[Desk, Call, str, str], object]] = {
    "create": lambda desk, call, it, id_: desk.invitations.create(call, it, desk.new("new@example.com")),
    "batch": lambda desk, call, it, id_: desk.invitations.create_batch(call, it, [desk.new("new@example.com")]),
    "list": lambda desk, call, it, id_: desk.invitations.list_for_organization(
        call, it, InvitationFilter(desk.world.clock())
    ),
    "list by offset": lambda desk, call, it, id_: desk.invitations.list_by_offset(
        call, InvitationFilter(desk.world.clock(), (it,)), limit=10
    ),
    "get": lambda desk, call, it, id_: desk.invitations.get(call, id_),
    "resend": lambda desk, call, it, id_: desk.invitations.resend(call, id_),
    "revoke": lambda desk, call, it, id_: desk.invitations.revoke(call, id_),
    "delete": lambda desk, call, it, id_: desk.invitations.delete(call, id_),
}
READING = ("list", "list by offset", "get")
CALLERS: dict[str, Callable[[Desk], Call]] = {
    "nobody": lambda desk: NOBODY,
    "stranger": lambda desk: desk.world.call("Stranger"),
    "addressee": lambda desk: desk.guest,
    "left": lambda desk: desk.world.call("Left"),
    "member": lambda desk: desk.world.call("Member"),
    "admin": lambda desk: desk.ada,
    "reading": lambda desk: read_only(desk.ada),
    "here": lambda desk: call_with(desk.world, secret_of_user(desk.world, "Ada", desk.it.users["Ada"])),
    "elsewhere": lambda desk: call_with(
        desk.world, secret_of_user(desk.world, "Ada", party(desk.world, "Ada", name="Elsewhere").users["Ada"])
    ),
}


def outcome(desk: Desk, act: str, call: Call, organization_id: str, invitation_id: str) -> tuple[object, ...] | None:
    """Give all that a refused caller learns, None where the act was done."""
    _, refused = attempt(lambda: ACTS[act](desk, call, organization_id, invitation_id))
    return refused and (refused.reason, str(refused), refused.metadata, refused.violations, refused.retry_after_seconds)


@pytest.mark.parametrize("caller", CALLERS)
def test_invitations_are_administered_by_admins_and_unknown_to_all_others(desk: Desk, caller: str) -> None:
    desk.it.join("Left")
    desk.it.leave("Left")
    call = CALLERS[caller](desk)
    for act in ACTS:
        made = desk.invite(if_pending=IfPending.REPLACE).invitation
        found = outcome(desk, act, call, desk.it.id, made.id)
        unknown = outcome(desk, act, call, some_id(), some_id())
        unknown_id = errors.INVITATION_NOT_FOUND if act in ("get", "resend", "revoke", "delete") else None
        not_found = unknown_id or errors.ORGANIZATION_NOT_FOUND
        if caller in ("admin", "here") or (caller == "reading" and act in READING):
            assert found is None, act
            continue
        assert found is not None, act
        wanted = {"nobody": errors.CREDENTIALS_MISSING, "member": errors.ADMIN_REQUIRED}.get(caller, not_found)
        assert found[0] is (errors.TOKEN_READ_ONLY if caller == "reading" else wanted), act
        if caller != "member":
            assert found == unknown, act
        assert desk.status(made.id) is PENDING
    assert desk.listed(email_key="new@example.com") == [] or caller in ("admin", "here")


def test_a_person_invites_in_nobody_elses_name(desk: Desk) -> None:
    with refused_with(errors.NOT_YOURS):
        desk.invite(on_behalf_of=desk.world.account("Member").id)
    assert desk.invite(on_behalf_of=desk.world.account("Ada").id).invitation.inviter_name == "Ada"


def test_an_admin_who_steps_down_administers_nothing_from_the_next_call_on(desk: Desk) -> None:
    made = desk.invite().invitation
    service = desk.world.service
    call = desk.ada
    service.organizations.set_role(call, desk.it.id, desk.it.users["Member"], Role.ADMIN)
    service.organizations.set_role(call, desk.it.id, desk.it.users["Ada"], Role.MEMBER)
    for act in ACTS:
        with refused_with(errors.ADMIN_REQUIRED):
            ACTS[act](desk, call, desk.it.id, made.id)


def test_an_invitation_is_another_organizations_to_nobody(desk: Desk) -> None:
    other = party(desk.world, "Ada", name="Other")
    made = desk.invite().invitation
    with refused_with(errors.INVITATION_NOT_FOUND):
        desk.invitations.revoke(desk.ada, made.id, organization_id=other.id)
    assert desk.invitations.revoke(desk.ada, made.id, organization_id=desk.it.id).stored_status is REVOKED


def test_the_account_of_an_admin_who_is_deleted_from_an_issuer_leaves_a_name(desk: Desk) -> None:
    """An inviter who leaves stays named, and what they made stays good."""
    desk.world.service.organizations.set_role(desk.ada, desk.it.id, desk.it.users["Member"], Role.ADMIN)
    made = desk.invitations.create(desk.world.call("Member"), desk.it.id, desk.new())
    desk.it.leave("Member")
    view, _ = desk.invitations.accept(desk.guest, token=str(made.token))
    assert view.invitation.inviter_name == "Member"


def test_a_link_of_the_callers_own_leads_to_where_the_operator_allows(desk: Desk) -> None:
    invitations, link = desk.with_policy(redirect_origins=("https://app.example.com",)), "https://app.example.com/x"
    made = invitations.create(desk.ada, desk.it.id, desk.new(send_email=True, link=link)).invitation
    with desk.world.service.store.snapshot() as tx:
        (mail,) = tx.mails((MailState.QUEUED,), 10)
    assert (mail.invitation_id, mail.generation) == (made.id, 1)
    assert open_link(KeySealing(SecretKeys([KEY])), mail) == link
    with refused_with(errors.REDIRECT_NOT_ALLOWED):
        desk.invite("other@example.com", link=link)
    for wrong in ("https://app.example.com/\r\nBcc: x", "javascript:alert(1)", "https://app.example.com/" + "x" * 2048):
        with refused_with(errors.INVALID_REQUEST):
            invitations.create(desk.ada, desk.it.id, desk.new("other@example.com", link=wrong))


def test_the_moments_of_an_invitation_come_back_to_the_microsecond(desk: Desk) -> None:
    desk.world.clock.now = datetime(2030, 6, 1, 12, 0, 0, 123456, tzinfo=desk.world.clock.now.tzinfo)
    made = desk.invite().invitation
    assert desk.invitations.get(desk.ada, made.id) == made
    assert made.created_at.microsecond == 123456


def test_a_call_with_an_account_whose_address_was_just_verified_is_let_in(desk: Desk) -> None:
    made = desk.invite().invitation
    issuer = Issuer(desk.world)
    with refused_with(errors.EMAIL_NOT_VERIFIED_FOR_INVITATION):
        desk.invitations.accept(issuer.call("subject", GUEST, verified=False), invitation_id=made.id)
    now_verified = issuer.call("subject", GUEST, verified=True)
    assert isinstance(now_verified.who, Caller)
    assert desk.invitations.accept(now_verified, invitation_id=made.id)[1].email == GUEST
