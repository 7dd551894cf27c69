"""The real server with one safeguard taken out, each a mistake that is easily made. The checker must catch every one.

`python -m tests.faults.mutant_server NAME serve …` is the command line with a mutant inside, or with `nothing`. What
the server mounts comes from here then: the clock that tests move and the mutant named in the environment are put in
place before the parts are joined.
"""

from __future__ import annotations

import os
import random
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from copy import copy
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from server.domain.account import Scope
from server.domain.errors import (
    INVITATION_NOT_FOUND,
    INVITATION_PENDING,
    INVITE_NOT_FOUND,
    LAST_ADMIN,
    STORE_UNAVAILABLE,
    ServiceError,
)
from server.domain.invitation import Invitation, InvitationStatus
from server.domain.invite_link import InviteLink, lookup_hash
from server.domain.organization import Member, MemberStatus, Role
from server.service import authentication, invitations, organizations
from server.service.authentication import Authentication
from server.service.call import Call, caller_admin, writing
from server.service.idempotency import Idempotency
from server.service.invitations import Invitations, Invited
from server.service.organizations import MembersPage, Organizations, active_member, keep_an_admin
from server.store.postgres import PostgresStore
from server.store.sql import SqlTransaction
from server.store.sql_invitations import _parameters
from server.store.sql_store import SqlStore
from server.store.sqlite import SqliteStore, _Commit, _Writer
from tests.faults import moved_clock
from tests.mounted import run_with


def pause() -> None:
    """Let time pass between a look and what is done on it, in which others get in: what load does to real servers."""
    time.sleep(random.choice((0.02, 0.1, 0.3)))


Mutant = Callable[[], None]
MUTANTS: dict[str, Mutant] = {}
"""Those that lack something on both stores."""


def mutant(put: Mutant) -> Mutant:
    """Register what puts a mutant in place, by its name."""
    MUTANTS[put.__name__] = put
    return put


def _patched(owner: Any, name: str, value: Any) -> None:
    setattr(owner, name, value)


def _changed(change: Callable[[SqlStore, Any], None]) -> None:
    """Have what a store opens changed by statements: once, while other processes open it too."""

    def changing(made: Callable[..., None], hold: str) -> Callable[..., None]:
        def init(self: SqlStore, *arguments: Any, **options: Any) -> None:
            made(self, *arguments, **options)
            with self._writing(None) as execute:
                execute(hold, {})
                change(self, execute)

        return init

    # Whoever writes has the SQLite file to itself.
    for store, hold in ((SqliteStore, "SELECT 1"), (PostgresStore, "SELECT pg_advisory_xact_lock(23)")):
        _patched(store, "__init__", changing(store.__init__, hold))


def _without_unique_pending() -> None:
    """Let an address have two pending invitations in an organization."""

    def add(self: SqlTransaction, invitation: Invitation) -> bool:
        row = _parameters(invitation)
        self._write(f"INSERT INTO invitations ({', '.join(row)}) VALUES ({', '.join(f':{p}' for p in row)})", **row)
        return True

    _changed(lambda _, execute: execute("DROP INDEX IF EXISTS invitations_pending", {}))
    _patched(SqlTransaction, "add_invitation", add)


@mutant
def link_looked_up_before_the_transaction() -> None:
    def join(self: Organizations, call: Call, invite_id: str) -> Member:
        with self._store.snapshot() as tx:
            found = tx.organization_by_invite(lookup_hash(invite_id))
        if found is None:
            raise ServiceError(INVITE_NOT_FOUND)
        pause()
        with writing(self._store, call) as tx:
            organization = tx.lock_organization(found.id)
            if organization is None:
                raise ServiceError(INVITE_NOT_FOUND)
            return self._admit(tx, organization, call.caller.account, Role.MEMBER)

    _patched(Organizations, "join_by_invite", join)


@mutant
def seats_counted_before() -> None:
    """Looks whether there is room before the lock, behind which others have taken it."""

    def join(self: Organizations, call: Call, invite_id: str) -> Member:
        account = call.require_account_token().account
        with self._store.snapshot() as tx:
            before = tx.organization_by_invite(lookup_hash(invite_id))
        pause()
        with writing(self._store, call) as tx:
            organization = tx.lock_organization_by_invite(lookup_hash(invite_id))
            if before is None or organization is None:
                raise ServiceError(INVITE_NOT_FOUND)
            return self._admit(tx, replace(organization, member_count=before.member_count), account, Role.MEMBER)

    _patched(Organizations, "join_by_invite", join)


@mutant
def role_checked_before() -> None:
    """Gives roles by the role that the caller had before the lock."""

    def set_role(self: Organizations, call: Call, organization_id: str, user_id: str, role: Role) -> None:
        with self._store.snapshot() as tx:
            caller_admin(tx, call, organization_id)
        pause()
        with writing(self._store, call) as tx:
            tx.hold_organization(organization_id)
            member = active_member(tx.member_by_user_id(user_id), organization_id)
            if role is not Role.ADMIN:
                keep_an_admin(tx, member)
            tx.put_member(replace(member, role=role))

    _patched(Organizations, "set_role", set_role)


@mutant
def invitations_moved_by_the_role_before() -> None:
    """Revokes, sends again and removes invitations by the role that the caller had before the lock."""
    administrator, checked = invitations.administrator, threading.local()

    def once(*arguments: Any) -> Any:
        return None if getattr(checked, "before", False) else administrator(*arguments)

    def late(move: Callable[..., Any]) -> Callable[..., Any]:
        def moved(self: Invitations, call: Call, invitation_id: str, *arguments: Any, **options: Any) -> Any:
            with self._store.snapshot() as tx:
                self._administered(tx, call, invitation_id, Scope.INVITATIONS_WRITE)
            pause()
            checked.before = True
            try:
                return move(self, call, invitation_id, *arguments, **options)
            finally:
                checked.before = False

        return moved

    _patched(invitations, "administrator", once)
    for name in ("revoke", "resend", "delete"):
        _patched(Invitations, name, late(getattr(Invitations, name)))


@mutant
def reads_from_before() -> None:
    """Lists members as they were when the same caller listed them a moment ago: no snapshot of now."""
    list_members = Organizations.list_members
    kept: dict[tuple[str, str], tuple[float, MembersPage]] = {}

    def listed(self: Organizations, call: Call, organization_id: str, *arguments: Any, **options: Any) -> MembersPage:
        key = organization_id, call.caller.account_id
        found = kept.get(key)
        if found is None or found[0] < time.monotonic():
            page = list_members(self, call, organization_id, *arguments, **options)
            found = kept[key] = time.monotonic() + 0.2, page
        return found[1]

    _patched(Organizations, "list_members", listed)


@mutant
def links_without_a_primary_key() -> None:
    """Keeps links where nothing says that an organization has one; a view shows them under the name of before."""

    def change(store: SqlStore, execute: Any) -> None:
        tables = (
            "sqlite_master WHERE type = 'table' AND name"
            if isinstance(store, SqliteStore)
            else "pg_tables WHERE tablename"
        )
        if execute(f"SELECT 1 FROM {tables} = 'invite_links'", {}).fetchone() is not None:
            execute("CREATE TABLE links_without_key AS SELECT * FROM invite_links", {})
            execute("DROP TABLE invite_links", {})
            execute("CREATE VIEW invite_links AS SELECT * FROM links_without_key", {})

    def put(self: SqlTransaction, link: InviteLink) -> None:
        self._write(
            "INSERT INTO links_without_key VALUES (:organization_id, :id, :key_id, :lookup_hash, :created_by, 0)",
            organization_id=link.organization_id,
            id=link.id,
            key_id=link.key_id,
            lookup_hash=link.lookup_hash,
            created_by=link.created_by,
        )

    _changed(change)
    _patched(SqlTransaction, "put_invite_link", put)


@mutant
def link_hash_not_replaced() -> None:
    put_link = SqlTransaction.put_invite_link

    def put(self: SqlTransaction, link: InviteLink) -> None:
        before = self.invite_link(link.organization_id)
        put_link(self, link if before is None else replace(link, lookup_hash=before.lookup_hash))

    _patched(SqlTransaction, "put_invite_link", put)


@mutant
def admins_counted_before_the_transaction() -> None:
    leave, set_role = Organizations.leave, Organizations.set_role

    def counted(self: Organizations, user_id: str) -> None:
        with self._store.snapshot() as tx:
            member = tx.member_by_user_id(user_id)
            if member and member.is_admin and not tx.has_other_admin(member.organization_id, user_id):
                raise ServiceError(LAST_ADMIN)
        pause()

    def go(self: Organizations, call: Call, user_id: str) -> None:
        counted(self, user_id)
        leave(self, call, user_id)

    def step(self: Organizations, call: Call, organization_id: str, user_id: str, role: Role) -> None:
        if role is not Role.ADMIN:
            counted(self, user_id)
        set_role(self, call, organization_id, user_id, role)

    _patched(organizations, "keep_an_admin", lambda *_: None)
    _patched(Organizations, "leave", go)
    _patched(Organizations, "set_role", step)


@mutant
def revoked_tokens_remembered_for_long() -> None:
    _patched(authentication, "REMEMBERED_SECONDS", 60.0)


@mutant
def pending_looked_for_before_and_no_unique_index() -> None:
    invite = Invitations._invite

    def create(self: Invitations, call: Call, organization_id: str, new: Any) -> Invited:
        with self._store.snapshot() as tx:
            pending = tx.pending_invitation(organization_id, new.email.lower())
        if pending is not None:
            raise ServiceError(INVITATION_PENDING, {"email": new.email})
        pause()
        with writing(self._store, call) as tx:
            tx.pending_invitation = lambda *_: None  # type: ignore[method-assign]
            quota = self._quota(tx, call, organization_id)
            invited = invite(self, tx, call, organization_id, new, quota)
            quota.keep()
            return invited

    _without_unique_pending()
    _patched(Invitations, "create", create)


@mutant
def batches_made_one_by_one() -> None:
    """Invites those of a batch one after the other, each in a transaction of its own."""

    def create_batch(
        self: Invitations, call: Call, organization_id: str, news: Sequence[Any], *, all_or_nothing: bool = False
    ) -> list[Any]:
        outcomes: list[Any] = []
        for new in news:
            try:
                outcomes.append(self.create(call, organization_id, new))
            except ServiceError as refusal:
                if all_or_nothing:
                    raise
                outcomes.append(refusal)
            pause()
        return outcomes

    _patched(Invitations, "create_batch", create_batch)


@mutant
def accepted_without_marking_it() -> None:
    """Lets a person in and leaves the invitation for the next."""

    def accept(self: Invitations, tx: Any, found: Invitation, account: Any) -> Any:
        found.require_pending(self._clock())
        return self._views(tx, [found])[0], self._grant(tx, found, account)

    _patched(Invitations, "_accept", accept)


def _presented_before(self: Invitations, call: Call, token: str, invitation_id: str) -> Invitation:
    call.require_account_token()
    with self._store.snapshot() as tx:
        return self._presented(tx, call, token, invitation_id)


def _was_pending(self: Invitations, found: Invitation) -> bool:
    """Tell whether an invitation that was looked at was pending, and let others get in before it is moved."""
    if found.stored_status is not InvitationStatus.PENDING:
        return False
    found.require_pending(self._clock())
    pause()
    return True


def _moved_as_it_was_before(write: Callable[[Any, Invitation, Invitation], object]) -> None:
    """Have invitations moved by their state before the lock; `write` puts the next one where another may stand."""
    accept, decline, revoke = Invitations.accept, Invitations.decline, Invitations.revoke

    def moved(self: Invitations, tx: Any, found: Invitation, **changes: Any) -> Invitation:
        tx.hold_organization(found.organization_id)
        now = self._clock()
        after = replace(found, updated_at=now, responded_at=now, **changes)
        write(tx, after, found)
        return after

    def accepted(self: Invitations, call: Call, *, token: str = "", invitation_id: str = "") -> Any:
        found, account = _presented_before(self, call, token, invitation_id), call.caller.account
        if not _was_pending(self, found):
            return accept(self, call, token=token, invitation_id=invitation_id)
        with writing(self._store, call) as tx:
            status = InvitationStatus.ACCEPTED
            found = moved(self, tx, found, stored_status=status, accepted_account_id=account.id)
            return self._views(tx, [found])[0], self._grant(tx, found, account)

    def declined(self: Invitations, call: Call, *, token: str = "", invitation_id: str = "") -> Any:
        found = _presented_before(self, call, token, invitation_id)
        if not _was_pending(self, found):
            return decline(self, call, token=token, invitation_id=invitation_id)
        with writing(self._store, call) as tx:
            return self._views(tx, [moved(self, tx, found, stored_status=InvitationStatus.DECLINED)])[0]

    def revoked(self: Invitations, call: Call, invitation_id: str, **options: Any) -> Invitation:
        found = self.get(call, invitation_id)
        if not _was_pending(self, found):
            return revoke(self, call, invitation_id, **options)
        with writing(self._store, call) as tx:
            return moved(self, tx, found, stored_status=InvitationStatus.REVOKED)

    for name, late in (("accept", accepted), ("decline", declined), ("revoke", revoked)):
        _patched(Invitations, name, late)


@mutant
def state_guarded_by_nothing() -> None:
    """Writes the next state over whatever stands there then."""

    def write(tx: Any, after: Invitation, _: Invitation) -> None:
        there = tx.invitation(after.id)
        if there is None:
            raise ServiceError(INVITATION_NOT_FOUND)
        tx.update_invitation(after, there.stored_status)

    _moved_as_it_was_before(write)


@mutant
def guard_of_the_update_ignored() -> None:
    """Writes the next state where nothing has changed, and goes on as if that were so."""
    _moved_as_it_was_before(lambda tx, after, before: tx.update_invitation(after, before.stored_status))


@mutant
def membership_before_the_state() -> None:
    """Makes somebody a member in one transaction, and the invitation accepted in the next."""
    accept = Invitations.accept

    def accepted(self: Invitations, call: Call, *, token: str = "", invitation_id: str = "") -> Any:
        account = call.require_account_token().account
        with writing(self._store, call) as tx:
            found = self._lock(tx, self._presented(tx, call, token, invitation_id), token)
            if found.accepted_account_id != account.id:
                found.require_pending(self._clock())
                self._grant(tx, found, account)
        pause()
        return accept(self, call, token=token, invitation_id=invitation_id)

    _patched(Invitations, "accept", accepted)


@mutant
def expiry_checked_before() -> None:
    """Takes the time when a call begins, and not when its turn has come."""
    accept = Invitations.accept

    def accepted(self: Invitations, call: Call, *, token: str = "", invitation_id: str = "") -> Any:
        early, now = copy(self), self._clock()
        _patched(early, "_clock", lambda: now)
        time.sleep(0.8)
        return accept(early, call, token=token, invitation_id=invitation_id)

    _patched(Invitations, "accept", accepted)


@mutant
def expiry_not_looked_at() -> None:
    _patched(Invitation, "status_at", lambda self, _now: self.stored_status)


@mutant
def expiry_by_another_clock() -> None:
    """Asks the machine what time it is, and not the one clock that the service goes by."""
    status_at = Invitation.status_at
    _patched(Invitation, "status_at", lambda self, _now: status_at(self, datetime.now(UTC)))


@mutant
def expiry_of_tokens_looked_at_when_they_are_read() -> None:
    """Remembers that a token is good, and not until when."""
    read = Authentication._read

    def forgetful(self: Authentication, secret: str, key: bytes, deadline: float | None) -> Any:
        known = read(self, secret, key, deadline)
        if known is not None and known.credential.usable_at(self._clock()):
            self._remembered[key] = replace(known, credential=replace(known.credential, expires_at=None))
        return known

    _patched(Authentication, "_read", forgetful)


@mutant
def answered_before_the_commit() -> None:
    """Answers what it wrote, and then it isn't kept now and then."""
    transaction = SqlStore.transaction
    turn = iter(range(10**9))

    @contextmanager
    def unsure(self: SqlStore, deadline: float | None = None) -> Iterator[Any]:
        with suppress(_LostError), transaction(self, deadline) as tx:
            yield tx
            if next(turn) % 40 == 39:
                raise _LostError

    _patched(SqlStore, "transaction", unsure)


class _LostError(Exception):
    pass


@mutant
def nothing_rolled_back() -> None:
    """Keeps what was written before a refusal: no savepoint around a turn."""
    transaction = SqlStore.transaction

    @contextmanager
    def kept(self: SqlStore, deadline: float | None = None) -> Iterator[Any]:
        refusal = None
        with transaction(self, deadline) as tx:
            try:
                yield tx
            except ServiceError as error:
                refusal = error
        if refusal is not None:
            raise refusal

    def last_admin_too_late(tx: Any, member: Member, *, clock: Any) -> None:
        tx.put_member(replace(member, status=MemberStatus.LEFT, role=Role.MEMBER))
        if member.is_admin and not tx.has_other_admin(member.organization_id, member.user_id):
            raise ServiceError(LAST_ADMIN)

    _patched(SqlStore, "transaction", kept)
    _patched(organizations, "end_membership", last_admin_too_late)


@mutant
def idempotency_outside_of_the_transaction() -> None:
    """Does the work, and keeps its answer for whoever asks later: who asks at once has it done again."""

    answers: dict[str, bytes] = {}

    def once(self: Idempotency, _call: Call, key: str, _what: str, _request: bytes, work: Callable[[], bytes]) -> bytes:
        if key not in answers:
            answer = work()
            # Whoever asks at the other process, or before the answer is kept, has it done once more.
            threading.Timer(0.05, lambda: answers.__setitem__(key, answer)).start()
            return answer
        return answers[key]

    _patched(Idempotency, "once", once)


@mutant
def resend_keeps_the_old_token() -> None:
    renew = Invitations._renew

    def kept(self: Invitations, tx: Any, found: Invitation, *arguments: Any, **options: Any) -> Invited:
        renewed = renew(self, tx, found, *arguments, **options)
        # The new one is made and shown, and the row keeps what opened it.
        now = tx.invitation(found.id)
        tx.update_invitation(replace(now, token_hash=found.token_hash), now.stored_status)
        return renewed

    _patched(Invitations, "_renew", kept)


@mutant
def token_is_good_for_any_generation() -> None:
    """Finds an invitation by its token and doesn't look whether another has taken its place meanwhile."""
    lock = Invitations._lock

    def locked(tx: Any, found: Invitation, token: str = "") -> Invitation:
        return lock(tx, found)

    _patched(Invitations, "_lock", staticmethod(locked))
    presented = Invitations._presented

    def slowly(self: Invitations, tx: Any, call: Call, token: str, invitation_id: str) -> Invitation:
        found = presented(self, tx, call, token, invitation_id)
        pause()
        return found

    def accept(self: Invitations, call: Call, *, token: str = "", invitation_id: str = "") -> Any:
        account = call.require_account_token().account
        with self._store.snapshot() as tx:
            found = slowly(self, tx, call, token, invitation_id)
        with writing(self._store, call) as tx:
            return self._accept(tx, self._lock(tx, found, token), account)

    _patched(Invitations, "accept", accept)


@mutant
def replaced_invitations_stay_pending() -> None:
    """Makes another invitation of an address and leaves the one before as good as it was."""
    move = Invitations._move

    def moved(self: Invitations, tx: Any, found: Invitation, **changes: Any) -> Invitation:
        if changes.get("stored_status") is InvitationStatus.REVOKED and sys._getframe(1).f_code.co_name == "_invite":
            return found
        return move(self, tx, found, **changes)

    _without_unique_pending()
    _patched(Invitations, "_move", moved)


@mutant
def members_outlive_their_organization() -> None:
    def delete(self: SqlTransaction, organization_id: str) -> None:
        self._write("DELETE FROM invite_links WHERE organization_id = :id", id=organization_id)
        self._write("DELETE FROM invitations WHERE organization_id = :id", id=organization_id)

    _patched(SqlTransaction, "delete_organization", delete)


def organizations_not_locked() -> None:
    """Reads an organization without keeping it from others until the end: on SQLite whoever writes is alone."""

    def late(read: Callable[..., Any]) -> Callable[..., Any]:
        def then_others(self: SqlTransaction, *arguments: Any) -> Any:
            found = read(self, *arguments)
            pause()
            return found

        return then_others

    _patched(PostgresStore, "row_lock", "")
    for name in ("hold_organization", "lock_organization", "lock_organization_by_invite"):
        _patched(SqlTransaction, name, late(getattr(SqlTransaction, name)))


OF_POSTGRES: dict[str, Mutant] = {"organizations_not_locked": organizations_not_locked}
"""Those that lack what only PostgreSQL needs."""


def failed_commits_answered() -> None:
    """Answers what was written, whatever came of the commit."""
    write_out = _Writer._write_out

    def written(self: _Writer, commit: _Commit) -> None:
        write_out(self, commit)
        commit.error = None

    _patched(_Writer, "_write_out", written)


def refused_for_what_was_never_kept() -> None:
    """Refuses a call for what it saw of another, whose commit, that both share, fails."""
    undo = _Writer.undo

    def undone(self: _Writer) -> None:
        commit = self._commit
        try:
            undo(self)
        except Exception as error:
            if commit is None or error is not commit.error:
                raise

    _patched(_Writer, "undo", undone)


def lost_commits_taken_for_undone() -> None:
    """Says that nothing was done when the answer to a commit was lost, and doesn't look whether it was."""

    def settle(self: PostgresStore, *_: Any) -> None:
        raise ServiceError(STORE_UNAVAILABLE, retry_after_seconds=1.0)

    _patched(PostgresStore, "_settle", settle)


UNDER_FAULTS: dict[str, Mutant] = {
    each.__name__: each
    for each in (failed_commits_answered, refused_for_what_was_never_kept, lost_commits_taken_for_undone)
}
"""Those that lack what counts only when something goes wrong beside."""

ENVIRONMENT = "MUTANT_FOR_TESTS"
NOTHING = "nothing"
"""Named in a mutant's place: the server lacks nothing."""

if os.environ.get(ENVIRONMENT) and __name__ != "__main__":
    moved_clock.put_in_place()
    if os.environ[ENVIRONMENT] != NOTHING:
        (MUTANTS | OF_POSTGRES | UNDER_FAULTS)[os.environ[ENVIRONMENT]]()
    from server import mounts

    wsgi, reflection, reflection_alpha = mounts.wsgi, mounts.reflection, mounts.reflection_alpha


def program(name: str = NOTHING) -> tuple[str, ...]:
    """Give the beginning of the command line of a server with a mutant inside."""
    return sys.executable, "-m", "tests.faults.mutant_server", name


def main() -> None:
    """Run the command line; the server's own process mounts this module."""
    os.environ[ENVIRONMENT] = sys.argv.pop(1)
    run_with("tests.faults.mutant_server")


if __name__ == "__main__":
    main()
