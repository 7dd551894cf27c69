"""What `ports.Store` promises of invitations, their mails, named roles, backend keys and repeated requests."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.domain.account import Scope
from server.domain.address import address_key, fold
from server.domain.invitation import DeliveryState, Invitation, InvitationStatus
from server.domain.organization import MemberStatus, Organization, Role
from server.ports import InvitationFilter, InvitationOrder, MailState, OutboxMail, Snapshot, Store, StoredAnswer
from tests.store.contract import UndoError, examples, undone
from tests.store.making import (
    a_backend_key,
    a_mail,
    a_member,
    a_role,
    an_invitation,
    an_organization,
    digest,
    fresh_id,
    keep_account,
    keep_member,
    keep_organization,
    moment,
)

PENDING, ACCEPTED, DECLINED, REVOKED, EXPIRED = (InvitationStatus(s) for s in InvitationStatus)
ORDERS = [
    InvitationOrder(by, descending=down) for by in ("created_at", "expires_at", "email") for down in (False, True)
]


def keep_invitation(store: Store, organization: Organization, email: str = "i@example.com", **parts: Any) -> Invitation:
    invitation = an_invitation(organization, email, **parts)
    with store.transaction() as tx:
        assert tx.add_invitation(invitation) is True
    return invitation


def keep_mails(store: Store, *mails: OutboxMail) -> None:
    for mail in mails:
        with store.transaction() as tx:
            tx.queue_mail(mail)


def matching(tx: Snapshot, **parts: Any) -> list[str]:
    wanted = InvitationFilter(**{"now": moment(100), **parts})
    page = tx.invitations(wanted, InvitationOrder("email", descending=False), limit=100)
    assert tx.count_invitations(wanted) == len(page.invitations)
    return [invitation.email for invitation in page.invitations]


class InvitationStoreContract:
    """The contract; see `contract.py`."""

    refused_by_the_schema: Callable[[], AbstractContextManager[object]]

    # What is put in comes out.

    def test_what_only_one_wire_knows_comes_back_as_it_went_in(self, store: Store) -> None:
        details = {"slug": "acme", "Ünïcode": ["\U0001f985", 1, None, {"deep": True}]}
        organization = keep_organization(store, details=details)
        account = keep_account(store)
        member = a_member(
            organization, account, named_roles=("b", "a"), public_metadata=details, private_metadata={"x": 1}
        )
        with store.transaction() as tx:
            tx.put_member(member)
        with store.transaction() as tx:
            assert tx.organization(organization.id) == replace(organization, member_count=1)
            assert tx.member_by_user_id(member.user_id) == member
            changed = replace(organization, details={"slug": "other"}, member_count=1)
            tx.update_organization(changed)
            again = replace(member, named_roles=(), public_metadata={}, private_metadata={"y": 2})
            tx.put_member(again)
            assert tx.organization(organization.id) == changed
            assert tx.member_by_user_id(member.user_id) == again

    def test_an_invitation_comes_back_as_it_went_in(self, store: Store) -> None:
        organization, inviter, accepter = keep_organization(store), keep_account(store), keep_account(store)
        full = an_invitation(
            organization,
            role=Role.ADMIN,
            named_roles=("b", "a"),
            stored_status=ACCEPTED,
            inviter_account_id=inviter.id,
            public_metadata={"Ünï": [1, {"x": None}]},
            private_metadata={"y": "\U0001f985"},
            responded_at=moment(20),
            accepted_account_id=accepter.id,
        )
        bare = an_invitation(organization)
        with store.transaction() as tx:
            assert tx.add_invitation(full) is True
            assert tx.add_invitation(bare) is True
        with store.snapshot() as snapshot:
            for each in (full, bare):
                assert snapshot.invitation(each.id) == each
                assert snapshot.invitation_by_token(each.token_hash) == each
            assert snapshot.pending_invitation(organization.id, "invited@example.com") == bare

    def test_what_was_never_invited_is_not_found(self, store: Store) -> None:
        nothing = fresh_id()
        with store.transaction() as tx:
            assert tx.invitation(nothing) is None
            assert tx.invitation_by_token(digest(nothing)) is None
            assert tx.pending_invitation(nothing, "x@example.com") is None
            assert tx.member_by_email(nothing, "x@example.com") is None
            assert tx.backend_key(digest(nothing)) is None
            assert tx.delete_invitation(nothing) is False
            assert tx.delete_named_role(nothing) is False
            assert tx.revoke_backend_key(nothing, moment()) is False
            assert tx.count_mails_since("x@example.com", moment()) == (0, None)
            assert tx.requeue_failed_mails(moment(), ()) == 0
            assert tx.forget_answers(moment(), 10) == 0
            assert tx.organizations("", 0, 10) == ([], 0)
            assert (
                tx.members_by_offset(nothing, 0, 10)
                == tx.due_mails(moment(), 10)
                == tx.mails((), 10)
                == tx.named_roles()
                == tx.backend_keys()
                == []
            )
            tx.set_delivery(nothing, 1, DeliveryState.SENT, "")
            tx.touch_backend_keys({nothing: moment()})
            tx.store_answer(nothing, nothing, b"")

    # One pending invitation for each address.

    def test_an_address_has_one_pending_invitation_of_an_organization(self, store: Store) -> None:
        organization, other = keep_organization(store), keep_organization(store)
        first = keep_invitation(store, organization, "Bob@Bücher.example")
        with store.transaction() as tx:
            assert tx.add_invitation(an_invitation(organization, "bob@xn--bcher-kva.EXAMPLE")) is False
            assert tx.add_invitation(an_invitation(other, "bob@bücher.example")) is True
            assert tx.add_invitation(an_invitation(organization, "bob@bücher.example", stored_status=DECLINED)) is True
            assert tx.pending_invitation(organization.id, address_key(first.email)) == first
        with store.transaction() as tx:
            assert tx.update_invitation(replace(first, stored_status=REVOKED), PENDING) is True
            assert tx.add_invitation(an_invitation(organization, "bob@bücher.example")) is True

    def test_a_second_pending_row_can_not_be_written_down(self, store: Store) -> None:
        organization = keep_organization(store)
        keep_invitation(store, organization)
        declined = keep_invitation(store, organization, stored_status=DECLINED)
        with self.refused_by_the_schema(), store.transaction() as tx:
            tx._execute("UPDATE invitations SET status = 'pending' WHERE id = :id", {"id": declined.id})  # type: ignore[attr-defined]
        with store.snapshot() as snapshot:
            assert matching(snapshot, statuses=(PENDING,)) == ["i@example.com"]

    def test_two_invitations_can_not_have_the_same_token(self, store: Store) -> None:
        organization = keep_organization(store)
        first = keep_invitation(store, organization)
        with self.refused_by_the_schema(), store.transaction() as tx:
            tx.add_invitation(an_invitation(organization, "other@example.com", token_hash=first.token_hash))

    def test_an_invitation_needs_an_organization(self, store: Store) -> None:
        with self.refused_by_the_schema(), store.transaction() as tx:
            tx.add_invitation(an_invitation(an_organization()))

    # Moves.

    @pytest.mark.parametrize("was", InvitationStatus)
    @pytest.mark.parametrize("thought", InvitationStatus)
    def test_an_invitation_moves_only_from_where_it_stands(
        self, store: Store, was: InvitationStatus, thought: InvitationStatus
    ) -> None:
        organization = keep_organization(store)
        invitation = keep_invitation(store, organization, stored_status=was)
        bystander = keep_invitation(store, organization, "other@example.com", stored_status=was)
        moved = replace(
            invitation,
            email="new@example.com",
            role=Role.ADMIN,
            stored_status=REVOKED,
            inviter_name="Another",
            public_metadata={"a": 1},
            private_metadata={"b": 2},
            delivery_state=DeliveryState.FAILED,
            generation=4,
            key_id="other key",
            token_hash=digest("new token"),
            updated_at=moment(50),
            expires_at=moment(60),
            responded_at=moment(70),
        )
        with store.transaction() as tx:
            assert tx.update_invitation(moved, thought) is (was is thought)
        with store.snapshot() as snapshot:
            assert snapshot.invitation(invitation.id) == (moved if was is thought else invitation)
            assert snapshot.invitation(bystander.id) == bystander

    def test_of_many_who_move_an_invitation_at_once_one_does(self, store: Store) -> None:
        organization = keep_organization(store)
        invitation = keep_invitation(store, organization)

        def move(to: InvitationStatus) -> bool:
            with store.transaction() as tx:
                return tx.update_invitation(replace(invitation, stored_status=to), PENDING)

        with ThreadPoolExecutor(8) as pool:
            outcomes = list(pool.map(move, [ACCEPTED, REVOKED, DECLINED, EXPIRED] * 4))
        assert outcomes.count(True) == 1

    def test_an_invitation_does_not_become_the_second_pending_one_of_its_address(self, store: Store) -> None:
        organization = keep_organization(store)
        dead = keep_invitation(store, organization, stored_status=DECLINED)
        living = keep_invitation(store, organization)
        with store.transaction() as tx:
            assert tx.update_invitation(replace(dead, stored_status=PENDING), DECLINED) is False
            assert tx.update_invitation(replace(living, generation=9), PENDING) is True
        with store.transaction() as tx:
            assert tx.delete_invitation(living.id) is True
            assert tx.delete_invitation(living.id) is False
            assert tx.update_invitation(replace(dead, stored_status=PENDING), DECLINED) is True
            assert tx.invitation(living.id) is None

    def test_how_a_mail_fared_is_written_only_for_the_generation_it_was_of(self, store: Store) -> None:
        invitation = keep_invitation(store, keep_organization(store))
        with store.transaction() as tx:
            tx.set_delivery(invitation.id, invitation.generation - 1, DeliveryState.FAILED, "late news")
            assert tx.invitation(invitation.id) == invitation
            tx.set_delivery(invitation.id, invitation.generation, DeliveryState.SENT, "")
            assert tx.invitation(invitation.id) == replace(
                invitation, delivery_state=DeliveryState.SENT, delivery_error=""
            )

    def test_deleting_an_organization_takes_its_invitations_and_leaves_the_mails_to_be_counted(
        self, store: Store
    ) -> None:
        gone, kept = keep_organization(store), keep_organization(store)
        invitations = [keep_invitation(store, organization) for organization in (gone, kept)]
        mails = [a_mail(invitation) for invitation in invitations]
        keep_mails(store, *mails)
        with store.transaction() as tx:
            tx.delete_organization(gone.id)
        with store.snapshot() as snapshot:
            assert snapshot.invitation(invitations[0].id) is None
            assert snapshot.invitation(invitations[1].id) == invitations[1]
            assert {mail.id for mail in snapshot.mails((), 10)} == {mail.id for mail in mails}

    def test_mails_that_do_not_wait_any_more_are_forgotten_the_oldest_first(self, store: Store) -> None:
        invitations = [keep_invitation(store, keep_organization(store)) for _ in range(3)]
        waiting, sent, failed = (replace(a_mail(i), created_at=moment(n)) for n, i in enumerate(invitations))
        keep_mails(store, waiting, replace(sent, state=MailState.SENT), replace(failed, state=MailState.FAILED))
        with store.transaction() as tx:
            assert tx.forget_mails(moment(1), 10) == 0
            assert tx.forget_mails(moment(9), 1) == 1
            assert {mail.id for mail in tx.mails((), 10)} == {waiting.id, failed.id}
            assert tx.forget_mails(moment(9), 10) == 1
            assert [mail.id for mail in tx.mails((), 10)] == [waiting.id]

    # Lists of invitations.

    @examples
    @given(
        rows=st.lists(st.tuples(st.sampled_from("aAbBß"), st.integers(0, 3)), min_size=1, max_size=10),
        order=st.sampled_from(ORDERS),
        limit=st.integers(1, 4),
        comes=st.integers(0, 3),
    )
    def test_pages_show_every_invitation_once_and_in_order_while_others_come(
        self, store: Store, rows: list[tuple[str, int]], order: InvitationOrder, limit: int, comes: int
    ) -> None:
        organization = keep_organization(store)

        def keep(letter: str, seconds: int) -> Invitation:
            times = {"created_at": moment(seconds), "expires_at": moment(9 - seconds)}
            return keep_invitation(store, organization, f"{letter}@example.com", stored_status=DECLINED, **times)

        kept = [keep(*row) for row in rows]
        wanted = InvitationFilter(moment(), organization_ids=(organization.id,))
        seen: list[Invitation] = []
        after = None
        while True:
            with store.snapshot() as snapshot:
                page = snapshot.invitations(wanted, order, after, limit=limit)
            seen += page.invitations
            after = page.after
            if after is None:
                break
            assert len(page.invitations) == limit
            if comes:
                comes -= 1
                keep("b", comes)
        keys: list[tuple[Any, str]] = [
            (each.email_key if order.by == "email" else getattr(each, order.by), each.id) for each in seen
        ]
        assert keys == sorted(set(keys), reverse=order.descending)
        assert {each.id for each in kept} <= {each.id for each in seen}

    def test_each_part_of_a_filter_leaves_out_what_it_should(self, store: Store) -> None:
        organization, other = keep_organization(store), keep_organization(store)
        inviter = keep_account(store)
        past = {"expires_at": moment(100)}
        keep_invitation(store, organization, "accepted@x.example", stored_status=ACCEPTED, **past)
        keep_invitation(store, organization, "declined@x.example", stored_status=DECLINED, inviter_name="ZOË O'Neil")
        keep_invitation(store, organization, "expired@x.example", stored_status=EXPIRED)
        keep_invitation(store, organization, "over@x.example", **past)
        keep_invitation(
            store,
            organization,
            "Pending_100%@x.example",
            inviter_account_id=inviter.id,
            delivery_state=DeliveryState.FAILED,
            created_at=moment(50),
        )
        keep_invitation(store, other, "other@x.example")
        here = {"organization_ids": (organization.id,)}
        with store.snapshot() as snapshot:

            def found(**parts: Any) -> set[str]:
                return {email.partition("@")[0] for email in matching(snapshot, **parts)}

            assert found() == {"accepted", "declined", "expired", "over", "Pending_100%", "other"}
            assert found(**here, statuses=(PENDING,)) == {"Pending_100%"}
            assert found(**here, statuses=(PENDING,), now=moment(99)) == {"Pending_100%", "over"}
            assert found(**here, statuses=(EXPIRED,)) == {"expired", "over"}
            assert found(**here, statuses=(PENDING, EXPIRED)) == {"expired", "over", "Pending_100%"}
            assert found(**here, statuses=(ACCEPTED, DECLINED, REVOKED)) == {"accepted", "declined"}
            assert found(**here, statuses=(ACCEPTED, PENDING)) == {"accepted", "Pending_100%"}
            assert found(organization_ids=(other.id, fresh_id())) == {"other"}
            assert found(delivery_states=(DeliveryState.FAILED, DeliveryState.SENT)) == {"Pending_100%"}
            assert found(email_key=address_key("PENDING_100%@X.example")) == {"Pending_100%"}
            assert found(inviter_account_id=inviter.id) == {"Pending_100%"}
            assert found(created_from=moment(50)) == {"Pending_100%"}
            assert found(created_before=moment(50)) == found() - {"Pending_100%"}
            assert found(search=fold("G_1")) == {"Pending_100%"}
            assert found(search=fold("0%@")) == {"Pending_100%"}
            assert found(search=fold("zoë o'")) == {"declined"}
            assert found(search="\\") == set()

    def test_invitations_can_also_be_skipped_by_number(self, store: Store) -> None:
        organization = keep_organization(store)
        kept = [keep_invitation(store, organization, f"{i}@example.com", created_at=moment(i)) for i in range(5)]
        wanted = InvitationFilter(moment())
        with store.snapshot() as snapshot:
            page = snapshot.invitations(wanted, InvitationOrder(), limit=2, offset=1)
            assert list(page.invitations) == [kept[3], kept[2]]
            assert snapshot.invitations(wanted, InvitationOrder(), limit=2, offset=3).after is None
            assert snapshot.invitations(wanted, InvitationOrder(), limit=2, offset=9).invitations == ()

    # Mails that wait.

    def test_a_newer_mail_of_an_invitation_takes_the_place_of_those_that_wait(self, store: Store) -> None:
        organization = keep_organization(store)
        invitation, other = (keep_invitation(store, organization, f"{i}@example.com") for i in "ab")
        sent = a_mail(invitation, state=MailState.SENT, attempts=1, error="an error", sent_at=moment(13))
        waiting, newest, others = a_mail(invitation), a_mail(invitation), a_mail(other)
        keep_mails(store, sent, others, waiting, newest)
        with store.snapshot() as snapshot:
            wanted = [newest, others, replace(waiting, state=MailState.SUPERSEDED), sent]
            assert snapshot.mails((), 10) == sorted(wanted, key=lambda mail: mail.id, reverse=True)
            assert snapshot.mails((MailState.SENT, MailState.SUPERSEDED), 10) == [
                replace(waiting, state=MailState.SUPERSEDED),
                sent,
            ]
            assert snapshot.mails((MailState.QUEUED,), 1) == [others]

    def test_mails_are_due_from_their_time_on_and_the_longest_due_comes_first(self, store: Store) -> None:
        organization = keep_organization(store)
        mails = [
            a_mail(keep_invitation(store, organization, f"{i}@example.com"), next_attempt_at=moment(seconds))
            for i, seconds in enumerate((30, 10, 20))
        ]
        keep_mails(store, *mails)
        with store.snapshot() as snapshot:
            assert snapshot.due_mails(moment(9), 9) == []
            assert snapshot.due_mails(moment(20), 9) == [mails[1], mails[2]]
            assert snapshot.due_mails(moment(99), 1) == [mails[1]]

    def test_a_mail_is_changed_only_by_who_knows_where_it_stands(self, store: Store) -> None:
        mail = a_mail(keep_invitation(store, keep_organization(store)))
        keep_mails(store, mail)
        tried = replace(mail, attempts=1, error="refused", next_attempt_at=moment(60))
        sent = replace(tried, state=MailState.SENT, attempts=2, error="", sent_at=moment(70))
        with store.transaction() as tx:
            assert tx.update_mail(tried, attempts=1) is False
            assert tx.update_mail(tried, attempts=0) is True
            assert tx.update_mail(tried, attempts=0) is False
            assert tx.mails((), 9) == [tried]
            assert tx.update_mail(sent, attempts=1) is True
            assert tx.update_mail(tried, attempts=2) is False
            assert tx.mails((), 9) == [sent]

    def test_failed_mails_are_tried_anew_when_somebody_asks(self, store: Store) -> None:
        organization = keep_organization(store)
        failed = [
            a_mail(
                keep_invitation(store, organization, f"{i}@example.com"),
                state=MailState.FAILED,
                attempts=9,
                error="given up",
            )
            for i in range(3)
        ]
        sent = a_mail(keep_invitation(store, organization), state=MailState.SENT)
        keep_mails(store, *failed, sent)
        with store.transaction() as tx:
            assert tx.requeue_failed_mails(moment(80), (failed[0].id, sent.id)) == 1
            fresh = replace(failed[0], state=MailState.QUEUED, attempts=0, error="", next_attempt_at=moment(80))
            assert tx.due_mails(moment(80), 9) == [fresh]
            assert tx.requeue_failed_mails(moment(90), ()) == 2
            assert len(tx.due_mails(moment(90), 9)) == 3
            assert tx.mails((MailState.SENT,), 9) == [sent]

    def test_mails_to_an_address_are_counted_over_all_organizations_and_states(self, store: Store) -> None:
        invitations = [
            keep_invitation(store, keep_organization(store), email) for email in ("A@x.example", "a@X.example")
        ]
        mails = [a_mail(invitations[i % 2], created_at=moment(10 * i)) for i in range(4)]
        keep_mails(store, *mails)
        with store.snapshot() as snapshot:
            assert snapshot.count_mails_since("a@x.example", moment(-1)) == (4, moment(0))
            assert snapshot.count_mails_since("a@x.example", moment(10)) == (2, moment(20))
            assert snapshot.count_mails_since("a@x.example", moment(30)) == (0, None)
            assert snapshot.count_mails_since("b@x.example", moment(-1)) == (0, None)

    # Organizations and members as a backend lists them.

    def test_organizations_are_listed_the_newest_first_and_searched_by_name(self, store: Store) -> None:
        names = ("100% Äpfel", "Äpfel", "ÄPFEL & Birnen", "Birnen")
        kept = [keep_organization(store, name, created_at=moment(i)) for i, name in enumerate(names)]
        with store.snapshot() as snapshot:
            assert snapshot.organizations("", 0, 10) == (kept[::-1], 4)
            assert snapshot.organizations("", 1, 2) == ([kept[2], kept[1]], 4)
            assert snapshot.organizations(fold("äpfel"), 0, 10) == ([kept[2], kept[1], kept[0]], 3)
            assert snapshot.organizations(fold("ÄPFEL"), 1, 1) == ([kept[1]], 3)
            assert snapshot.organizations("%", 0, 10) == ([kept[0]], 1)
            assert snapshot.organizations("_", 0, 10) == ([], 0)

    def test_a_renamed_organization_is_found_by_its_new_name(self, store: Store) -> None:
        organization = keep_organization(store, "Old")
        with store.transaction() as tx:
            tx.update_organization(replace(organization, name="NÜW"))
            assert tx.organizations(fold("nüw"), 0, 10)[1] == 1
            assert tx.organizations(fold("old"), 0, 10) == ([], 0)

    def test_members_are_listed_by_number_the_last_to_join_first(self, store: Store) -> None:
        organization = keep_organization(store)
        kept = [keep_member(store, organization, str(i), joined_at=moment(i // 2)) for i in range(4)]
        keep_member(store, organization, "left", status=MemberStatus.LEFT)
        wanted = sorted(kept, key=lambda member: (member.joined_at, member.user_id), reverse=True)
        with store.snapshot() as snapshot:
            assert snapshot.members_by_offset(organization.id, 0, 10) == wanted
            assert snapshot.members_by_offset(organization.id, 1, 2) == wanted[1:3]

    def test_a_member_is_found_by_address_while_active(self, store: Store) -> None:
        organization = keep_organization(store)
        member = keep_member(store, organization, "", email="Bob@Bücher.example")
        keep_member(store, keep_organization(store), "", email="eve@example.com")
        with store.transaction() as tx:
            assert tx.member_by_email(organization.id, address_key("BOB@bücher.example")) == member
            assert tx.member_by_email(organization.id, "eve@example.com") is None
            tx.put_member(replace(member, status=MemberStatus.LEFT))
            assert tx.member_by_email(organization.id, address_key(member.email)) is None

    # Named roles and backend keys.

    def test_named_roles_have_keys_and_names_of_their_own_and_are_listed_by_name(self, store: Store) -> None:
        writer, auditor = a_role("Writer", rights=Role.ADMIN), a_role("Auditor")
        with store.transaction() as tx:
            assert tx.add_named_role(writer) is True
            assert tx.add_named_role(auditor) is True
            assert tx.add_named_role(a_role("Other", key=writer.key)) is False
            assert tx.add_named_role(a_role("Auditor", key="other")) is False
            assert tx.named_roles() == [auditor, writer]
            assert tx.delete_named_role(auditor.id) is True
            assert tx.delete_named_role(auditor.id) is False
            assert tx.named_roles() == [writer]

    def test_a_backend_key_comes_back_as_it_went_in(self, store: Store) -> None:
        full = a_backend_key(
            organization_ids=("b", "a"),
            scopes=(Scope.ROLES_WRITE, Scope.MEMBERS_READ),
            last_used_at=moment(20),
            revoked_at=moment(21),
        )
        bare = a_backend_key(expires_at=None)
        with store.transaction() as tx:
            tx.add_backend_key(full, digest("full"))
            tx.add_backend_key(bare, digest("bare"))
        with store.snapshot() as snapshot:
            assert snapshot.backend_key(digest("full")) == full
            assert snapshot.backend_key(digest("bare")) == bare
            assert snapshot.backend_keys() == [bare]

    def test_a_backend_key_is_revoked_once_and_used_never_backwards(self, store: Store) -> None:
        key = a_backend_key()
        with store.transaction() as tx:
            tx.add_backend_key(key, digest("key"))
            for seconds in (10, 30, 20):
                tx.touch_backend_keys({key.id: moment(seconds)})
            assert tx.backend_keys() == [replace(key, last_used_at=moment(30))]
            assert tx.revoke_backend_key(key.id, moment(40)) is True
            assert tx.revoke_backend_key(key.id, moment(50)) is False
            assert tx.backend_key(digest("key")) == replace(key, last_used_at=moment(30), revoked_at=moment(40))
            assert tx.backend_keys() == []

    # Repeated requests.

    def test_an_idempotency_key_is_taken_once_by_each_caller(self, store: Store) -> None:
        now, since = moment(), moment(-3600)
        with store.transaction() as tx:
            assert tx.claim_answer("ada", "key", b"request", now, since) is None
            tx.store_answer("ada", "key", b"answer")
        with store.transaction() as tx:
            assert tx.claim_answer("ada", "key", b"other", now, since) == StoredAnswer(b"request", b"answer")
            assert tx.claim_answer("bob", "key", b"request", now, since) is None
            assert tx.claim_answer("ada", "other", b"request", now, since) is None
            assert tx.claim_answer("ada", "other", b"request", now, since) == StoredAnswer(b"request", None)

    def test_an_idempotency_key_of_old_counts_as_free(self, store: Store) -> None:
        with store.transaction() as tx:
            assert tx.claim_answer("ada", "key", b"old", moment(0), moment(-10)) is None
            tx.store_answer("ada", "key", b"answer")
            assert tx.claim_answer("ada", "key", b"new", moment(10), moment(0)) == StoredAnswer(b"old", b"answer")
            assert tx.claim_answer("ada", "key", b"new", moment(10), moment(0) + timedelta(microseconds=1)) is None
            assert tx.claim_answer("ada", "key", b"new", moment(10), moment(5)) == StoredAnswer(b"new", None)

    def test_a_request_that_failed_frees_its_key(self, store: Store) -> None:
        with undone(), store.transaction() as tx:
            assert tx.claim_answer("ada", "key", b"request", moment(), moment(-9)) is None
            raise UndoError
        with store.transaction() as tx:
            assert tx.claim_answer("ada", "key", b"request", moment(), moment(-9)) is None

    def test_of_many_equal_requests_at_once_one_takes_the_key_and_all_others_get_its_answer(self, store: Store) -> None:
        def request(number: int) -> bytes:
            with store.transaction() as tx:
                stored = tx.claim_answer("ada", "key", b"request", moment(), moment(-9))
                if stored is not None:
                    assert stored.answer is not None
                    return stored.answer
                answer = f"answer {number}".encode()
                tx.store_answer("ada", "key", answer)
                return answer

        with ThreadPoolExecutor(16) as pool:
            assert len(set(pool.map(request, range(16)))) == 1

    def test_old_answers_are_forgotten_a_few_at_a_time(self, store: Store) -> None:
        with store.transaction() as tx:
            for i in range(5):
                tx.claim_answer("ada", str(i), b"request", moment(i), moment(-9))
            assert tx.forget_answers(moment(3), 2) == 2
            assert tx.forget_answers(moment(3), 2) == 1
            assert tx.forget_answers(moment(3), 2) == 0
            assert tx.claim_answer("ada", "3", b"request", moment(9), moment(-9)) is not None
            assert tx.claim_answer("ada", "2", b"request", moment(9), moment(-9)) is None
