"""What `ports.Store` promises, as tests that every engine has to pass.

An engine's own file has a class that inherits `StoreContract` and gives `store`, a fresh one, and
`integrity_errors`, what its driver raises where a row breaks the schema.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from server.domain.address import address_key, fold
from server.domain.errors import DEADLINE_PASSED
from server.domain.organization import Member, MemberStatus, Organization, Role
from server.ports import MemberFilter, MemberOrder, Snapshot, Store, Transaction
from tests.domain.refusals import refused_with
from tests.store.making import (
    a_link,
    a_member,
    a_token,
    an_account,
    an_organization,
    digest,
    fresh_id,
    keep_account,
    keep_member,
    keep_organization,
    moment,
)

EVERYBODY = MemberFilter(statuses=())
ORDERS = [MemberOrder(by, descending=descending) for by in ("name", "joined_at") for descending in (False, True)]
AN_EVENING = (
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100000000) SELECT count(*) FROM n"
)
"""A statement that takes far longer than any test waits."""

# The store is made once for all examples of a test; each example makes an organization of its own.
# Each engine's class runs the same tests, which Hypothesis would take for a mistake.
_MEANT = [HealthCheck.function_scoped_fixture, HealthCheck.differing_executors]
examples = settings(max_examples=25, deadline=None, suppress_health_check=_MEANT, derandomize=True)


class UndoError(Exception):
    """Raised by tests to end a transaction without a commit."""


def undone() -> AbstractContextManager[object]:
    """Expect the block to end with `UndoError`."""
    return pytest.raises(UndoError)


def everybody(tx: Snapshot, organization: Organization) -> list[Member]:
    return list(tx.members(organization.id, EVERYBODY, MemberOrder(), None, 1000).members)


def found(store: Store, organization: Organization, search: str, **parts: Any) -> list[str]:
    """Give the names of the members that a search finds."""
    wanted = MemberFilter(search=fold(search), **parts)
    with store.snapshot() as tx:
        members = tx.members(organization.id, wanted, MemberOrder(), None, 100).members
        assert tx.count_members(organization.id, wanted) == len(members)
    return [member.full_name for member in members]


@contextmanager
def refused_for_the_deadline() -> Iterator[None]:
    """Expect that a deadline which is near, or past, is kept by work that would take far longer."""
    began = time.monotonic()
    with refused_with(DEADLINE_PASSED):
        yield
    assert time.monotonic() - began < 20


class StoreContract:
    """The contract; see the module."""

    integrity_errors: tuple[type[Exception], ...]

    # What is put in comes out.

    def test_an_organization_comes_back_as_it_went_in(self, store: Store) -> None:
        organization = an_organization("Ünïcode \U0001f985 & Söhne", invite_domains=("example.com", "example.org"))
        with store.transaction() as tx:
            tx.add_organization(organization)
            assert tx.organization(organization.id) == organization
            assert tx.lock_organization(organization.id) == organization
        with store.snapshot() as snapshot:
            assert snapshot.organization(organization.id) == organization

    def test_an_account_comes_back_as_it_went_in(self, store: Store) -> None:
        account = an_account("Åsa", email_verified=False)
        keep_account(store, "Bob")
        with store.transaction() as tx:
            assert tx.add_account(account) is True
        with store.snapshot() as snapshot:
            assert snapshot.account(account.id) == account
            assert snapshot.account_by_identity(account.issuer, account.subject) == account

    def test_a_member_comes_back_as_it_went_in(self, store: Store) -> None:
        organization = keep_organization(store)
        member = keep_member(store, organization, role=Role.ADMIN)
        left = keep_member(store, organization, status=MemberStatus.LEFT)
        with store.snapshot() as snapshot:
            for each in (member, left):
                assert snapshot.member(organization.id, each.account_id) == each
                assert snapshot.member_by_user_id(each.user_id) == each

    def test_a_link_comes_back_as_it_went_in(self, store: Store) -> None:
        organization = keep_organization(store)
        link = a_link(organization, "secret", lookup_hash=bytes(range(32)))
        with store.transaction() as tx:
            tx.put_invite_link(link)
        with store.snapshot() as snapshot:
            assert snapshot.invite_link(organization.id) == link
            assert snapshot.organization_by_invite(bytes(range(32))) == organization

    @pytest.mark.parametrize("of_a_user", [False, True])
    def test_a_token_comes_back_as_it_went_in(self, store: Store, *, of_a_user: bool) -> None:
        account = keep_account(store)
        member = None
        if of_a_user:
            organization = keep_organization(store)
            member = a_member(organization, account)
            with store.transaction() as tx:
                tx.put_member(member)
        full = a_token(account, member, read_only=True, last_used_at=moment(9), revoked_at=moment(10))
        bare = a_token(account, member, expires_at=None)
        with store.transaction() as tx:
            tx.add_access_token(full, digest("full"))
            tx.add_access_token(bare, digest("bare"))
        with store.snapshot() as snapshot:
            assert snapshot.access_token(digest("full")) == (full, account)
            assert snapshot.access_token(digest("bare")) == (bare, account)
            assert snapshot.access_token_by_id(full.id) == full

    def test_what_was_never_kept_is_not_found(self, store: Store) -> None:
        nothing = fresh_id()
        with store.transaction() as tx:
            assert tx.organization(nothing) is None
            assert tx.lock_organization(nothing) is None
            assert tx.lock_organization_by_invite(digest(nothing)) is None
            assert tx.organization_by_invite(digest(nothing)) is None
            assert tx.invite_link(nothing) is None
            assert tx.member(nothing, nothing) is None
            assert tx.member_by_user_id(nothing) is None
            assert tx.account(nothing) is None
            assert tx.account_by_identity(nothing, nothing) is None
            assert tx.access_token(digest(nothing)) is None
            assert tx.access_token_by_id(nothing) is None
            assert tx.memberships(nothing) == []
            assert tx.accounts_by_email(nothing) == []
            assert tx.access_tokens(nothing, (), of_users_only=False, after="", limit=10) == []
            assert tx.organizations_admitting("example.com", "", 10) == []
            assert tx.members(nothing, EVERYBODY, MemberOrder(), None, 10).members == ()
            assert tx.count_members(nothing, EVERYBODY) == 0
            assert tx.has_other_admin(nothing, nothing) is False
            assert tx.revoke_access_token(nothing, moment()) is False
            tx.delete_organization(nothing)
            tx.revoke_user_access_tokens(nothing, moment())
            tx.touch_access_tokens({nothing: moment()})

    # Organizations.

    def test_updating_an_organization_writes_name_domains_and_time_and_nothing_else(self, store: Store) -> None:
        organization = keep_organization(store, invite_domains=("old.example", "kept.example"))
        other = keep_organization(store, "Other", invite_domains=("old.example",))
        keep_member(store, organization)
        changed = replace(
            organization, name="New name", invite_domains=("kept.example", "new.example"), updated_at=moment(99)
        )
        with store.transaction() as tx:
            tx.update_organization(replace(changed, member_count=77, created_at=moment(1)))
        with store.snapshot() as snapshot:
            assert snapshot.organization(organization.id) == replace(changed, member_count=1)
            assert snapshot.organizations_admitting("old.example", "", 10) == [other]
            assert snapshot.organizations_admitting("new.example", "", 10) == [replace(changed, member_count=1)]

    def test_organizations_admitting_a_domain_are_paged_by_id(self, store: Store) -> None:
        kept = [keep_organization(store, f"Nr. {i}", invite_domains=("a.example", f"b{i}.example")) for i in range(5)]
        kept.sort(key=lambda organization: organization.id)
        with store.snapshot() as snapshot:
            assert snapshot.organizations_admitting("a.example", "", 2) == kept[:2]
            assert snapshot.organizations_admitting("a.example", kept[1].id, 2) == kept[2:4]
            assert snapshot.organizations_admitting("a.example", kept[4].id, 2) == []
            assert snapshot.organizations_admitting("b3.example", "", 9) == [
                next(each for each in kept if each.name == "Nr. 3")
            ]
            assert snapshot.organizations_admitting("example", "", 9) == []

    def test_deleting_an_organization_takes_all_that_is_its_and_nothing_else(self, store: Store) -> None:
        gone, kept = (keep_organization(store, name, invite_domains=("both.example",)) for name in ("Gone", "Kept"))
        account = keep_account(store)
        members = {o.id: a_member(o, account, role=Role.ADMIN) for o in (gone, kept)}
        tokens = {o.id: a_token(account, members[o.id]) for o in (gone, kept)}
        own = a_token(account)
        with store.transaction() as tx:
            for organization in (gone, kept):
                tx.put_member(members[organization.id])
                tx.put_invite_link(a_link(organization, organization.id))
                tx.add_access_token(tokens[organization.id], digest(f"token of {organization.id}"))
            tx.add_access_token(own, digest("own"))
        with store.transaction() as tx:
            tx.delete_organization(gone.id)
        with store.snapshot() as snapshot:
            assert snapshot.organization(gone.id) is None
            assert snapshot.member_by_user_id(members[gone.id].user_id) is None
            assert snapshot.invite_link(gone.id) is None
            assert snapshot.organization_by_invite(digest(gone.id)) is None
            assert snapshot.access_token(digest(f"token of {gone.id}")) is None
            assert snapshot.access_token_by_id(tokens[gone.id].id) is None
            still = replace(kept, member_count=1)
            assert snapshot.organization(kept.id) == still
            assert snapshot.organizations_admitting("both.example", "", 9) == [still]
            assert [m.member for m in snapshot.memberships(account.id)] == [members[kept.id]]
            assert snapshot.organization_by_invite(digest(kept.id)) == still
            assert snapshot.access_tokens(account.id, (), of_users_only=False, after="", limit=9) == [
                tokens[kept.id],
                own,
            ]
            assert snapshot.account(account.id) == account
        assert self.rows(store, "members") == self.rows(store, "invite_links") == 1
        assert self.rows(store, "invite_domains") == 1

    # Members.

    def test_putting_a_known_member_changes_all_but_its_ids(self, store: Store) -> None:
        organization = keep_organization(store)
        member = keep_member(store, organization)
        changed = replace(
            member,
            role=Role.ADMIN,
            status=MemberStatus.LEFT,
            joined_at=moment(50),
            full_name="Another Name",
            email="another@example.org",
            avatar_url="https://pictures.example/another",
            login_provider="local",
        )
        with store.transaction() as tx:
            tx.put_member(changed)
        with store.snapshot() as snapshot:
            assert snapshot.member_by_user_id(member.user_id) == changed
        assert found(store, organization, "another name", statuses=()) == ["Another Name"]
        assert found(store, organization, member.email, statuses=()) == []

    def test_an_account_is_one_user_of_an_organization_at_most(self, store: Store) -> None:
        organization = keep_organization(store)
        member = keep_member(store, organization)
        with self.refused_by_the_schema(), store.transaction() as tx:
            tx.put_member(replace(member, user_id=fresh_id()))
        with store.snapshot() as snapshot:
            assert everybody(snapshot, organization) == [member]
            assert snapshot.organization(organization.id) == replace(organization, member_count=1)

    @pytest.mark.parametrize("status", MemberStatus)
    def test_who_is_added_is_counted_when_active_and_never_over_another(
        self, store: Store, status: MemberStatus
    ) -> None:
        organization = keep_organization(store)
        added = a_member(organization, keep_account(store), status=status)
        with store.transaction() as tx:
            tx.hold_organization(fresh_id())
            tx.add_member(added)
        with self.refused_by_the_schema(), store.transaction() as tx:
            tx.add_member(replace(added, role=Role.ADMIN))
        with store.snapshot() as snapshot:
            assert snapshot.member_by_user_id(added.user_id) == added
            counted = snapshot.organization(organization.id)
        assert counted == replace(organization, member_count=int(status is MemberStatus.ACTIVE))

    def test_a_member_needs_an_organization_and_an_account(self, store: Store) -> None:
        organization, account = keep_organization(store), keep_account(store)
        for orphan in (a_member(an_organization(), account), a_member(organization, an_account())):
            with self.refused_by_the_schema(), store.transaction() as tx:
                tx.put_member(orphan)
        assert self.rows(store, "members") == 0

    @examples
    @given(
        moves=st.lists(
            st.tuples(st.integers(0, 3), st.sampled_from(MemberStatus), st.sampled_from(Role)), min_size=1, max_size=12
        )
    )
    def test_the_member_count_is_right_after_every_move(
        self, store: Store, moves: list[tuple[int, MemberStatus, Role]]
    ) -> None:
        organization = keep_organization(store)
        people = [an_account(f"P{i}") for i in range(4)]
        users = [a_member(organization, account) for account in people]
        with store.transaction() as tx:
            for account in people:
                tx.add_account(account)
        active: set[int] = set()
        for who, status, role in moves:
            with store.transaction() as tx:
                tx.put_member(replace(users[who], status=status, role=role))
            (active.add if status is MemberStatus.ACTIVE else active.discard)(who)
            with store.snapshot() as snapshot:
                kept = snapshot.organization(organization.id)
                assert kept is not None
                assert kept.member_count == len(active) == snapshot.count_members(organization.id, MemberFilter())

    def test_another_admin_counts_only_while_active_and_in_this_organization(self, store: Store) -> None:
        organization = keep_organization(store)
        ada = keep_member(store, organization, "Ada", role=Role.ADMIN)
        keep_member(store, organization, "Left", role=Role.ADMIN, status=MemberStatus.LEFT)
        keep_member(store, organization, "Member")
        keep_member(store, keep_organization(store), "Elsewhere", role=Role.ADMIN)
        with store.snapshot() as snapshot:
            assert snapshot.has_other_admin(organization.id, ada.user_id) is False
            assert snapshot.has_other_admin(organization.id, fresh_id()) is True
        keep_member(store, organization, "Bob", role=Role.ADMIN)
        with store.snapshot() as snapshot:
            assert snapshot.has_other_admin(organization.id, ada.user_id) is True

    def test_memberships_are_the_active_ones_by_organization_name_and_id(self, store: Store) -> None:
        account = keep_account(store)
        kept = [keep_organization(store, name) for name in ("Beta", "Alpha", "Beta", "Left")]
        with store.transaction() as tx:
            for organization in kept:
                status = MemberStatus.LEFT if organization.name == "Left" else MemberStatus.ACTIVE
                tx.put_member(a_member(organization, account, status=status))
        keep_member(store, kept[0], "Somebody else")
        with store.snapshot() as snapshot:
            memberships = snapshot.memberships(account.id)
        wanted = sorted(kept[:3], key=lambda o: (o.name, o.id))
        assert [m.organization.id for m in memberships] == [o.id for o in wanted]
        assert [m.organization.member_count for m in memberships] == [1 + (o == kept[0]) for o in wanted]
        assert all(m.member.account_id == account.id for m in memberships)

    # Lists of members.

    @examples
    @given(
        people=st.lists(
            st.tuples(st.text("aAbBäÄßéz \U0001f985", max_size=3), st.integers(0, 3)), min_size=1, max_size=12
        ),
        order=st.sampled_from(ORDERS),
        limit=st.integers(1, 4),
        between=st.lists(st.tuples(st.booleans(), st.integers(0, 11), st.sampled_from("aBßz")), max_size=4),
    )
    def test_pages_show_everybody_once_and_in_order_while_others_come_and_go(
        self,
        store: Store,
        people: list[tuple[str, int]],
        order: MemberOrder,
        limit: int,
        between: list[tuple[bool, int, str]],
    ) -> None:
        organization = keep_organization(store)
        members = [
            keep_member(store, organization, "", full_name=name, joined_at=moment(time), email=f"{i}@example.com")
            for i, (name, time) in enumerate(people)
        ]
        moves = iter(between)
        gone: set[str] = set()
        seen: list[Member] = []
        after = None
        while True:
            with store.snapshot() as snapshot:
                page = snapshot.members(organization.id, MemberFilter(), order, after, limit)
            assert len(page.members) <= limit
            seen += page.members
            after = page.after
            if after is None:
                break
            assert len(page.members) == limit
            move = next(moves, None)
            if move is None:
                continue
            comes, which, name = move
            if comes:
                keep_member(store, organization, "", full_name=name, joined_at=moment(which % 4))
            elif which < len(members):
                gone.add(members[which].user_id)
                with store.transaction() as tx:
                    tx.put_member(replace(members[which], status=MemberStatus.LEFT))
        keys = [
            (m.joined_at if order.by == "joined_at" else fold(m.full_name), m.user_id)  # type: ignore[misc]
            for m in seen
        ]
        assert keys == sorted(set(keys), reverse=order.descending)
        assert {m.user_id for m in members} - gone <= {m.user_id for m in seen}

    @pytest.mark.parametrize("order", ORDERS, ids=str)
    def test_a_page_that_ends_with_the_list_has_no_place_after_it(self, store: Store, order: MemberOrder) -> None:
        organization = keep_organization(store)
        for name in "abcd":
            keep_member(store, organization, name)
        with store.snapshot() as snapshot:
            first = snapshot.members(organization.id, MemberFilter(), order, None, 2)
            second = snapshot.members(organization.id, MemberFilter(), order, first.after, 2)
        assert first.after is not None
        assert (len(second.members), second.after) == (2, None)

    @pytest.mark.parametrize(
        ("search", "names"),
        [
            ("100%", ["100% Wool"]),
            ("%", ["100% Wool"]),
            ("_", ["snake_case"]),
            ("a_e", []),
            ("\\", ["back\\slash"]),
            ("k\\s", ["back\\slash"]),
            ("\\%", []),
            ("STRASSE", ["Große Straße"]),
            ("große", ["Große Straße"]),
            ("ÅSA", ["Åsa"]),
            ("A\u030asa", ["Åsa"]),
            ("ＷＯＯＬ", ["100% Wool"]),
            ("ΣΊΣΥΦΟΣ", ["Σίσυφος"]),
            ("'; DROP TABLE members; --", []),
            ("mail.example", ["Åsa"]),
            ("", ["100% Wool", "back\\slash", "Große Straße", "snake_case", "Åsa", "Σίσυφος"]),
        ],
    )
    def test_a_search_finds_a_part_of_the_name_or_address_as_it_stands(
        self, store: Store, search: str, names: list[str]
    ) -> None:
        organization = keep_organization(store)
        for name in ("100% Wool", "back\\slash", "Große Straße", "snake_case", "Åsa", "Σίσυφος"):
            host = "mail.example" if name == "Åsa" else "host"
            keep_member(store, organization, "", full_name=name, email=f"{len(name)}@{host}")
        assert sorted(found(store, organization, search)) == sorted(names)

    def test_each_part_of_a_filter_leaves_out_whom_it_should(self, store: Store) -> None:
        organization = keep_organization(store)
        ada = keep_member(store, organization, "Ada", role=Role.ADMIN, login_provider="github.com")
        bob = keep_member(store, organization, "Bob", email="bob+tag@Bücher.example", login_provider="local")
        eve = keep_member(store, organization, "Eve", status=MemberStatus.LEFT, login_provider="local")
        keep_member(store, keep_organization(store), "Ada")

        def ids(**parts: Any) -> set[str]:
            wanted = MemberFilter(**parts)
            with store.snapshot() as snapshot:
                page = snapshot.members(organization.id, wanted, MemberOrder(), None, 10)
                assert snapshot.count_members(organization.id, wanted) == len(page.members)
            return {member.user_id for member in page.members}

        assert ids() == {ada.user_id, bob.user_id}
        assert ids(statuses=(MemberStatus.LEFT,)) == {eve.user_id}
        assert ids(statuses=()) == {ada.user_id, bob.user_id, eve.user_id}
        assert ids(roles=(Role.ADMIN,)) == {ada.user_id}
        assert ids(user_ids=(bob.user_id, fresh_id())) == {bob.user_id}
        assert ids(user_ids=("",)) == set()
        assert ids(login_providers=("github.com", "accounts.google.com")) == {ada.user_id}
        assert ids(other_than_login_providers=("github.com",)) == {bob.user_id}
        assert ids(exclude_user_id=ada.user_id) == {bob.user_id}
        assert ids(email=address_key("BOB+TAG@xn--bcher-kva.EXAMPLE")) == {bob.user_id}
        assert ids(email=address_key("bob@bücher.example")) == set()
        assert ids(statuses=(), login_providers=("local",), search="e") == {eve.user_id, bob.user_id}
        assert ids(roles=(Role.ADMIN,), login_providers=("local",)) == set()

    # Invite links.

    def test_a_new_link_takes_the_place_of_the_one_before(self, store: Store) -> None:
        organization, other = keep_organization(store), keep_organization(store)
        with store.transaction() as tx:
            tx.put_invite_link(a_link(other, "other"))
        for secret in ("first", "second", "third"):
            link = a_link(organization, secret)
            with store.transaction() as tx:
                tx.put_invite_link(link)
            with store.snapshot() as snapshot:
                assert snapshot.invite_link(organization.id) == link
        with store.transaction() as tx:
            live = [s for s in ("first", "second", "third", "other") if tx.organization_by_invite(digest(s))]
            assert live == ["third", "other"]
            assert tx.lock_organization_by_invite(digest("second")) is None
            assert tx.lock_organization_by_invite(digest("third")) == organization
        assert self.rows(store, "invite_links") == 2

    def test_a_second_live_link_of_an_organization_can_not_be_written_down(self, store: Store) -> None:
        organization = keep_organization(store)
        with store.transaction() as tx:
            tx.put_invite_link(a_link(organization, "first"))
        with pytest.raises(self.integrity_errors):
            self.sql(
                store,
                "INSERT INTO invite_links (organization_id, id, key_id, lookup_hash, created_by, created_at)"
                " SELECT organization_id, 'other', key_id, :hash, created_by, created_at FROM invite_links",
                hash=digest("second"),
            )
        assert self.rows(store, "invite_links") == 1

    def test_two_organizations_can_not_have_the_same_secret(self, store: Store) -> None:
        organization, other = keep_organization(store), keep_organization(store)
        with store.transaction() as tx:
            tx.put_invite_link(a_link(organization, "same"))
        with self.refused_by_the_schema(), store.transaction() as tx:
            tx.put_invite_link(a_link(other, "same"))

    def test_a_link_needs_an_organization(self, store: Store) -> None:
        with self.refused_by_the_schema(), store.transaction() as tx:
            tx.put_invite_link(a_link(an_organization(), "orphan"))
        assert self.rows(store, "invite_links") == 0

    # Accounts.

    def test_a_known_identity_is_not_added_again(self, store: Store) -> None:
        account = keep_account(store)
        again = replace(an_account("Impostor"), issuer=account.issuer, subject=account.subject)
        with store.transaction() as tx:
            assert tx.add_account(again) is False
            assert tx.add_account(replace(an_account(), issuer="https://other.example", subject=account.subject))
        with store.snapshot() as snapshot:
            assert snapshot.account_by_identity(account.issuer, account.subject) == account
            assert snapshot.account(again.id) is None

    def test_updating_an_account_reaches_its_users_everywhere(self, store: Store) -> None:
        account, other = keep_account(store, "Ada"), keep_account(store, "Bob")
        organizations = [keep_organization(store), keep_organization(store)]
        with store.transaction() as tx:
            for organization in organizations:
                tx.put_member(a_member(organization, account))
                tx.put_member(a_member(organization, other))
        changed = replace(
            account,
            name="Zoë",
            email="zoe@New.example",
            email_verified=False,
            avatar_url="https://new.example/",
            updated_at=moment(77),
        )
        with store.transaction() as tx:
            tx.update_account(replace(changed, created_at=moment(1), issuer="not to be changed", subject="nor this"))
        with store.snapshot() as snapshot:
            assert snapshot.account(account.id) == changed
            assert snapshot.account(other.id) == other
            for organization in organizations:
                member = snapshot.member(organization.id, account.id)
                assert member is not None
                assert (member.full_name, member.email, member.avatar_url) == (
                    changed.name,
                    changed.email,
                    changed.avatar_url,
                )
                assert (member.role, member.login_provider) == (Role.MEMBER, "issuer.example")
            assert snapshot.accounts_by_email(address_key("ZOE@new.EXAMPLE")) == [changed]
            assert snapshot.accounts_by_email(address_key(account.email)) == []
        for organization in organizations:
            assert found(store, organization, "zoë") == found(store, organization, "zoe@new.example") == ["Zoë"]
            assert found(store, organization, "ada") == []

    def test_accounts_with_the_same_address_come_in_the_order_in_which_they_were_made(self, store: Store) -> None:
        second = keep_account(store, email="Same@Example.com", created_at=moment(2))
        first = keep_account(store, email="same@example.COM", created_at=moment(1))
        keep_account(store, email="other@example.com")
        with store.snapshot() as snapshot:
            assert snapshot.accounts_by_email("same@example.com") == [first, second]

    # Access tokens.

    def test_a_token_is_revoked_once_and_is_then_found_but_not_listed(self, store: Store) -> None:
        account = keep_account(store)
        token, other = a_token(account), a_token(account)
        with store.transaction() as tx:
            tx.add_access_token(token, digest("token"))
            tx.add_access_token(other, digest("other"))
        with store.transaction() as tx:
            assert tx.revoke_access_token(token.id, moment(20)) is True
        with store.transaction() as tx:
            assert tx.revoke_access_token(token.id, moment(30)) is False
        with store.snapshot() as snapshot:
            revoked = replace(token, revoked_at=moment(20))
            assert snapshot.access_token(digest("token")) == (revoked, account)
            assert snapshot.access_token_by_id(token.id) == revoked
            assert snapshot.access_tokens(account.id, (), of_users_only=False, after="", limit=9) == [other]

    def test_revoking_a_users_tokens_leaves_others_alone_and_earlier_times_standing(self, store: Store) -> None:
        organization, account = keep_organization(store), keep_account(store)
        member = a_member(organization, account)
        tokens = [a_token(account, member), a_token(account, member, revoked_at=moment(1)), a_token(account)]
        with store.transaction() as tx:
            tx.put_member(member)
            for token in tokens:
                tx.add_access_token(token, digest(token.id))
            tx.revoke_user_access_tokens(member.user_id, moment(20))
        with store.snapshot() as snapshot:
            kept = [snapshot.access_token_by_id(token.id) for token in tokens]
        assert [token and token.revoked_at for token in kept] == [moment(20), moment(1), None]

    def test_tokens_are_listed_by_id_and_only_those_asked_for(self, store: Store) -> None:
        account, other = keep_account(store), keep_account(store)
        organizations = [keep_organization(store), keep_organization(store)]
        users = [a_member(organization, account) for organization in organizations]
        stranger = a_member(organizations[0], other)
        own = a_token(account)
        tokens = [a_token(account, users[i % 2]) for i in range(4)]
        with store.transaction() as tx:
            for member in (*users, stranger):
                tx.put_member(member)
            for token in (own, *tokens, a_token(other, stranger)):
                tx.add_access_token(token, digest(token.id))

        def listed(*user_ids: str, of_users_only: bool = True, after: str = "", limit: int = 9) -> list[str]:
            with store.snapshot() as snapshot:
                rows = snapshot.access_tokens(
                    account.id, user_ids, of_users_only=of_users_only, after=after, limit=limit
                )
            return [token.id for token in rows]

        ids = sorted(token.id for token in tokens)
        assert listed() == ids
        assert listed(of_users_only=False) == sorted([own.id, *ids])
        assert listed(limit=3) == ids[:3]
        assert listed(after=ids[1], limit=1) == ids[2:3]
        assert listed(users[1].user_id) == sorted([tokens[1].id, tokens[3].id])
        assert listed(stranger.user_id) == []

    def test_the_time_of_last_use_never_goes_back(self, store: Store) -> None:
        account = keep_account(store)
        token, other = a_token(account), a_token(account)
        with store.transaction() as tx:
            tx.add_access_token(token, digest("token"))
            tx.add_access_token(other, digest("other"))
        for given_seconds, kept_seconds in ((10, 10), (30, 30), (20, 30)):
            with store.transaction() as tx:
                tx.touch_access_tokens({token.id: moment(given_seconds), fresh_id(): moment()})
            with store.snapshot() as snapshot:
                assert snapshot.access_token_by_id(token.id) == replace(token, last_used_at=moment(kept_seconds))
                assert snapshot.access_token_by_id(other.id) == other

    def test_two_tokens_can_not_have_the_same_secret(self, store: Store) -> None:
        account = keep_account(store)
        with store.transaction() as tx:
            tx.add_access_token(a_token(account), digest("same"))
        with self.refused_by_the_schema(), store.transaction() as tx:
            tx.add_access_token(a_token(account), digest("same"))

    # Transactions and snapshots.

    def test_an_exception_undoes_all_that_the_transaction_wrote(self, store: Store) -> None:
        kept = keep_organization(store, invite_domains=("kept.example",))
        account, added = keep_account(store), an_account()
        with undone(), store.transaction() as tx:
            tx.add_organization(an_organization())
            tx.update_organization(replace(kept, name="Changed", invite_domains=()))
            tx.put_member(a_member(kept, account))
            tx.put_invite_link(a_link(kept, "secret"))
            tx.add_account(added)
            tx.add_access_token(a_token(account), digest("token"))
            assert len(everybody(tx, kept)) == 1
            raise UndoError
        with store.snapshot() as snapshot:
            assert snapshot.organization(kept.id) == kept
            assert snapshot.organizations_admitting("kept.example", "", 9) == [kept]
            assert snapshot.account(added.id) is None
            assert snapshot.access_token(digest("token")) is None
        for table, rows in {"organizations": 1, "members": 0, "invite_links": 0, "access_tokens": 0}.items():
            assert self.rows(store, table) == rows
        keep_organization(store)  # and the store goes on

    def test_a_statement_that_fails_undoes_the_whole_transaction(self, store: Store) -> None:
        organization = keep_organization(store)
        with self.refused_by_the_schema(), store.transaction() as tx:
            tx.add_organization(an_organization())
            tx.add_organization(organization)
        assert self.rows(store, "organizations") == 1

    def test_a_transaction_within_a_transaction_is_part_of_it(self, store: Store) -> None:
        outer, inner = an_organization("Outer"), an_organization("Inner")
        with undone(), store.transaction() as tx:
            tx.add_organization(outer)
            with store.transaction() as nested:
                assert nested.organization(outer.id) == outer
                nested.add_organization(inner)
            with store.snapshot() as snapshot:
                assert snapshot.organization(inner.id) == inner
            raise UndoError
        with store.snapshot() as snapshot:
            assert snapshot.organization(outer.id) is snapshot.organization(inner.id) is None
        with store.transaction() as tx:
            tx.add_organization(outer)
            with store.transaction() as nested:
                nested.add_organization(inner)
        with store.snapshot() as snapshot:
            assert (snapshot.organization(outer.id), snapshot.organization(inner.id)) == (outer, inner)

    def test_a_transaction_of_another_thread_is_its_own(self, store: Store) -> None:
        mine, theirs = an_organization("Mine"), an_organization("Theirs")
        inside, answered = threading.Event(), threading.Event()

        def write_theirs() -> None:
            inside.wait(10)
            with store.transaction() as tx:
                tx.add_organization(theirs)
            answered.set()

        with ThreadPoolExecutor(1) as pool:
            writing = pool.submit(write_theirs)
            with undone(), store.transaction() as tx:
                tx.add_organization(mine)
                inside.set()
                answered.wait(0.2)
                raise UndoError
            writing.result(10)
        with store.snapshot() as snapshot:
            assert snapshot.organization(mine.id) is None
            assert snapshot.organization(theirs.id) == theirs

    def test_what_isn_t_committed_is_seen_by_nobody_else(self, store: Store) -> None:
        organization = an_organization()

        def read() -> Organization | None:
            with store.snapshot() as snapshot:
                return snapshot.organization(organization.id)

        with ThreadPoolExecutor(1) as pool:
            with store.transaction() as tx:
                tx.add_organization(organization)
                assert pool.submit(read).result(10) is None
            assert pool.submit(read).result(10) == organization

    def test_a_snapshot_sees_one_moment(self, store: Store) -> None:
        organization = keep_organization(store)
        keep_member(store, organization)

        def write() -> None:
            keep_member(store, organization)
            with store.transaction() as tx:
                tx.put_invite_link(a_link(organization, "secret"))

        with ThreadPoolExecutor(1) as pool, store.snapshot() as snapshot:
            before = snapshot.organization(organization.id)
            pool.submit(write).result(10)
            assert snapshot.organization(organization.id) == before
            assert len(everybody(snapshot, organization)) == 1
            assert snapshot.invite_link(organization.id) is None
        with store.snapshot() as snapshot:
            assert len(everybody(snapshot, organization)) == 2
            assert snapshot.invite_link(organization.id) is not None

    def test_a_snapshot_within_a_snapshot_sees_the_same_moment(self, store: Store) -> None:
        organization = keep_organization(store)
        with ThreadPoolExecutor(1) as pool, store.snapshot() as outer:
            assert len(everybody(outer, organization)) == 0
            pool.submit(keep_member, store, organization).result(10)
            with store.snapshot() as inner:
                assert len(everybody(inner, organization)) == 0
            assert len(everybody(outer, organization)) == 0

    def test_a_snapshot_can_not_write(self, store: Store) -> None:
        with store.snapshot() as snapshot, pytest.raises(Exception):  # noqa: B017, PT011 # each engine has its own
            snapshot._execute("DELETE FROM organizations", {})  # type: ignore[attr-defined]

    def test_an_exception_in_a_snapshot_leaves_the_store_usable(self, store: Store) -> None:
        organization = keep_organization(store)
        with undone(), store.snapshot() as snapshot:
            snapshot.organization(organization.id)
            raise UndoError
        keep_member(store, organization)
        with store.snapshot() as snapshot:
            assert len(everybody(snapshot, organization)) == 1

    def test_what_is_decided_under_the_lock_holds(self, store: Store) -> None:
        organization = keep_organization(store, "0")
        link = a_link(organization, "secret")
        with store.transaction() as tx:
            tx.put_invite_link(link)

        def count(lock: Callable[[Transaction], Organization | None]) -> None:
            with store.transaction() as tx:
                current = lock(tx)
                assert current is not None
                number = int(current.name)
                time.sleep(0.001)
                tx.update_organization(replace(current, name=str(number + 1)))

        def hold(tx: Transaction) -> Organization | None:
            tx.hold_organization(organization.id)
            return tx.organization(organization.id)

        locks: list[Callable[[Transaction], Organization | None]] = [
            lambda tx: tx.lock_organization(organization.id),
            lambda tx: tx.lock_organization_by_invite(link.lookup_hash),
            hold,
        ]
        self.at_once([lambda i=i: count(locks[i % 3]) for i in range(24)])
        with store.snapshot() as snapshot:
            kept = snapshot.organization(organization.id)
        assert kept is not None
        assert kept.name == "24"

    def test_of_many_threads_that_write_exactly_the_successful_ones_are_there(self, store: Store) -> None:
        kept = [an_organization(str(i)) for i in range(96)]

        def write(number: int) -> None:
            with store.transaction() as tx:
                tx.add_organization(kept[number])
                if number % 3 == 1:
                    raise UndoError
                if number % 3 == 2:
                    tx.add_organization(kept[number])  # breaks the schema
            # Whoever was answered is seen by everybody from then on.
            with store.snapshot() as snapshot:
                assert snapshot.organization(kept[number].id) is not None

        def write_three(number: int) -> list[Exception | None]:
            outcomes: list[Exception | None] = []
            for mine in range(number, 96, 32):
                try:
                    write(mine)
                    outcomes.append(None)
                except (UndoError, *self.integrity_errors) as error:
                    outcomes.append(error)
            return outcomes

        answers = self.at_once([lambda i=i: write_three(i) for i in range(32)])
        succeeded = {
            kept[number + 32 * place].id
            for number, outcomes in enumerate(answers)
            for place, outcome in enumerate(outcomes)
            if outcome is None
        }
        assert succeeded == {organization.id for number, organization in enumerate(kept) if number % 3 == 0}
        with store.snapshot() as snapshot:
            assert {o.id for o in kept if snapshot.organization(o.id)} == succeeded

    # Deadlines.

    def test_after_the_deadline_nothing_is_begun(self, store: Store) -> None:
        with refused_for_the_deadline(), store.transaction(time.monotonic() - 1) as tx:
            tx.add_organization(an_organization())
        assert self.rows(store, "organizations") == 0

    def test_who_waits_for_another_transaction_gives_up_at_the_deadline(self, store: Store) -> None:
        organization = keep_organization(store)
        inside, done = threading.Event(), threading.Event()

        def hold() -> None:
            with store.transaction() as tx:
                tx.lock_organization(organization.id)
                tx.update_organization(replace(organization, name="Held"))
                inside.set()
                done.wait(60)

        with ThreadPoolExecutor(1) as pool:
            holding = pool.submit(hold)
            inside.wait(10)
            with refused_for_the_deadline(), store.transaction(time.monotonic() + 0.1) as tx:
                tx.lock_organization(organization.id)
                tx.update_organization(replace(organization, name="Late"))
            done.set()
            holding.result(10)
        with store.snapshot() as snapshot:
            assert snapshot.organization(organization.id) == replace(organization, name="Held")

    def test_a_statement_that_runs_past_the_deadline_is_stopped_and_all_is_undone(self, store: Store) -> None:
        added = an_organization()
        with refused_for_the_deadline(), store.transaction(time.monotonic() + 0.1) as tx:
            tx.add_organization(added)
            tx._execute(AN_EVENING, {}).fetchone()  # type: ignore[attr-defined]
        with store.snapshot() as snapshot:
            assert snapshot.organization(added.id) is None
        keep_organization(store)  # a later transaction isn't bound by that deadline

    def test_a_read_that_runs_past_the_deadline_is_stopped(self, store: Store) -> None:
        with refused_for_the_deadline(), store.snapshot(time.monotonic() + 0.1) as snapshot:
            snapshot._execute(AN_EVENING, {}).fetchone()  # type: ignore[attr-defined]
        with store.snapshot() as snapshot:
            assert snapshot.organization(fresh_id()) is None

    def test_a_deadline_that_is_kept_changes_nothing(self, store: Store) -> None:
        organization = an_organization()
        with store.transaction(time.monotonic() + 60) as tx:
            tx.add_organization(organization)
        with store.snapshot(time.monotonic() + 60) as snapshot:
            assert snapshot.organization(organization.id) == organization

    def test_the_store_can_be_asked_whether_it_works(self, store: Store) -> None:
        store.ping()

    # What the tests above need.

    def refused_by_the_schema(self) -> AbstractContextManager[object]:
        return pytest.raises(self.integrity_errors)

    def sql(self, store: Store, statement: str, **parameters: Any) -> Any:
        """Run a statement in a transaction of its own, past the methods of the port."""
        with store.transaction() as tx:
            return tx._execute(statement, parameters)  # type: ignore[attr-defined]

    def rows(self, store: Store, table: str) -> int:
        with store.snapshot() as tx:
            row: Sequence[int] = tx._execute(f"SELECT count(*) FROM {table}", {}).fetchone()  # type: ignore[attr-defined]
        return row[0]

    def at_once(self, work: list[Callable[[], Any]]) -> list[Any]:
        """Begin all at the same time, each on a thread of its own, and give their results."""
        ready = threading.Barrier(len(work))

        def begin(each: Callable[[], Any]) -> Any:
            ready.wait(10)
            return each()

        with ThreadPoolExecutor(len(work)) as pool:
            return [future.result(60) for future in [pool.submit(begin, each) for each in work]]
