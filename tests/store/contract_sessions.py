"""What `ports.Store` promises of sessions, of codes to sign in with, of turning a link off, and of limits."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from server.domain.session import CodeMailState, SignInCode
from server.ports import Store
from tests.store.making import (
    a_code,
    a_link,
    a_session,
    digest,
    fresh_id,
    keep_account,
    keep_organization,
    moment,
)

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def keep_codes(store: Store, *codes: SignInCode) -> None:
    with store.transaction() as tx:
        for code in codes:
            tx.add_sign_in_code(code)


class SessionStoreContract:
    """The contract; see `contract.py`."""

    def test_the_use_of_a_limit_comes_back_as_it_was_kept_and_is_forgotten_when_all_is_back(self, store: Store) -> None:
        with store.transaction() as tx:
            assert tx.lock_limit_use("inviter", "ada") == EPOCH
            tx.put_limit_use("inviter", "ada", moment(5))
            assert tx.lock_limit_use("organization", "ada") == EPOCH
            tx.put_limit_use("organization", "ada", moment(9))
        with store.transaction() as tx:
            assert tx.lock_limit_use("inviter", "ada") == moment(5)
            assert tx.lock_limit_use("inviter", "eve") == EPOCH
            tx.put_limit_use("inviter", "eve", EPOCH)
        with store.transaction() as tx:
            assert tx.forget_limit_uses(moment(5), 1) == 1  # eve's, who used nothing
            assert tx.forget_limit_uses(moment(5), 10) == 0  # ada's ends just then
            assert tx.forget_limit_uses(moment(6), 10) == 1
            assert tx.lock_limit_use("inviter", "ada") == EPOCH
            assert tx.lock_limit_use("organization", "ada") == moment(9)

    @pytest.mark.parametrize("revoked", [None, moment(3.000003)])
    def test_a_session_comes_back_as_it_went_in_with_its_account(self, store: Store, revoked: object) -> None:
        ada, eve = keep_account(store), keep_account(store, "Eve")
        session = a_session(ada, revoked_at=revoked)
        with store.transaction() as tx:
            tx.add_session(session, digest("secret"))
            tx.add_session(a_session(eve), digest("another"))
            assert tx.session(digest("secret")) == (session, ada)
        with store.snapshot() as reading:
            assert reading.session(digest("secret")) == (session, ada)
            assert reading.session(digest("unknown")) is None

    def test_a_session_is_revoked_once(self, store: Store) -> None:
        session = a_session(keep_account(store))
        with store.transaction() as tx:
            tx.add_session(session, digest("one"))
            assert tx.revoke_session(digest("one"), moment(5)) is True
            assert tx.revoke_session(digest("one"), moment(6)) is False
            assert tx.revoke_session(digest("none"), moment(6)) is False
            found = tx.session(digest("one"))
        assert found is not None
        assert found[0] == replace(session, revoked_at=moment(5))

    def test_all_sessions_of_an_account_are_revoked_and_no_others(self, store: Store) -> None:
        ada, eve = keep_account(store), keep_account(store, "Eve")
        with store.transaction() as tx:
            for number, account in enumerate((ada, ada, eve)):
                tx.add_session(a_session(account), digest(f"{number}"))
            tx.revoke_session(digest("0"), moment(5))
            tx.revoke_sessions(ada.id, moment(6))
            found = [tx.session(digest(f"{number}")) for number in range(3)]
        assert [one and one[0].revoked_at for one in found] == [moment(5), moment(6), None]

    def test_sessions_that_expired_before_are_forgotten_a_few_at_a_time(self, store: Store) -> None:
        ada = keep_account(store)
        with store.transaction() as tx:
            for second in range(5):
                tx.add_session(a_session(ada, expires_at=moment(second)), digest(f"{second}"))
            assert tx.forget_sessions(moment(3), 2) == 2
            assert tx.forget_sessions(moment(3), 2) == 1
            assert tx.forget_sessions(moment(3), 2) == 0
            assert [tx.session(digest(f"{second}")) is None for second in range(5)] == [True] * 3 + [False] * 2

    def test_a_code_comes_back_as_it_went_in(self, store: Store) -> None:
        codes = [a_code(), a_code(used_at=moment(4.000004), mail_state=CodeMailState.FAILED)]
        keep_codes(store, *codes)
        with store.transaction() as tx:
            assert [tx.sign_in_code(code.id) for code in codes] == codes
            assert [tx.lock_sign_in_code(code.id) for code in codes] == codes
            assert tx.sign_in_code(fresh_id()) is tx.lock_sign_in_code(fresh_id()) is None

    def test_guesses_and_mail_are_written_apart(self, store: Store) -> None:
        code = a_code()
        keep_codes(store, code)
        mailed = replace(code, mail_state=CodeMailState.SENT, mail_attempts=2, next_attempt_at=moment(30))
        with store.transaction() as tx:
            tx.update_sign_in_code(replace(mailed, wrong_guesses=3, used_at=moment(9)))
            assert tx.sign_in_code(code.id) == replace(code, wrong_guesses=3, used_at=moment(9))
            assert tx.update_code_mail(mailed, 1) is True
            assert tx.sign_in_code(code.id) == replace(mailed, wrong_guesses=3, used_at=moment(9))

    def test_the_mail_of_a_code_is_written_where_it_is_as_it_was(self, store: Store) -> None:
        queued, sent = a_code(), a_code(mail_state=CodeMailState.SENT)
        keep_codes(store, queued, sent)
        with store.transaction() as tx:
            assert tx.update_code_mail(replace(queued, mail_attempts=2), 0) is False
            assert tx.update_code_mail(replace(sent, mail_attempts=2), 1) is False
            assert tx.update_code_mail(replace(queued, mail_attempts=2), 1) is True
            assert tx.update_code_mail(replace(queued, mail_attempts=2), 1) is False

    def test_codes_are_due_the_longest_first(self, store: Store) -> None:
        later, soon, now = (a_code(next_attempt_at=moment(second)) for second in (30, 20, 10))
        failed = a_code(next_attempt_at=moment(1), mail_state=CodeMailState.FAILED)
        keep_codes(store, later, soon, now, failed)
        with store.snapshot() as tx:
            assert tx.due_sign_in_codes(moment(20), 10) == [now, soon]
            assert tx.due_sign_in_codes(moment(40), 2) == [now, soon]

    def test_codes_of_an_address_are_counted_since_a_moment(self, store: Store) -> None:
        codes = [a_code(created_at=moment(second)) for second in (1, 2, 3)]
        keep_codes(store, *codes, a_code("eve@example.com", created_at=moment(2)))
        with store.snapshot() as tx:
            assert tx.count_sign_in_codes_since("ada@example.com", moment(1)) == (2, moment(2))
            assert tx.count_sign_in_codes_since("nobody@example.com", moment(1)) == (0, None)

    def test_old_codes_are_forgotten_a_few_at_a_time(self, store: Store) -> None:
        codes = [a_code(created_at=moment(second)) for second in range(4)]
        keep_codes(store, *codes)
        with store.transaction() as tx:
            assert tx.forget_sign_in_codes(moment(3), 2) == 2
            assert tx.forget_sign_in_codes(moment(3), 2) == 1
            assert [tx.sign_in_code(code.id) is None for code in codes] == [True] * 3 + [False]

    def test_who_locks_an_address_or_a_code_goes_on_alone(self, store: Store) -> None:
        code = a_code(wrong_guesses=0)
        keep_codes(store, code)
        together, order = threading.Barrier(8), []

        def add_one(number: int) -> None:
            together.wait(10)
            with store.transaction() as tx:
                tx.lock_address("ada@example.com")
                found = tx.lock_sign_in_code(code.id)
                assert found is not None
                order.append(found.wrong_guesses)
                tx.update_sign_in_code(replace(found, wrong_guesses=found.wrong_guesses + 1))

        with ThreadPoolExecutor(8) as threads:
            list(threads.map(add_one, range(8)))
        assert order == list(range(8))

    def test_an_organization_is_left_without_a_live_link(self, store: Store) -> None:
        ours, theirs = keep_organization(store), keep_organization(store)
        link = a_link(theirs, "theirs")
        with store.transaction() as tx:
            tx.put_invite_link(a_link(ours, "ours"))
            tx.put_invite_link(link)
            tx.delete_invite_link(ours.id)
            tx.delete_invite_link(ours.id)
            assert (tx.invite_link(ours.id), tx.invite_link(theirs.id)) == (None, link)
            assert tx.organization_by_invite(digest("ours")) is None
