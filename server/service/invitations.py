"""Invitations to an address: what one can ask, as an administrator and as the invited person."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from server.domain.account import Account, BackendKey, Scope
from server.domain.address import address_key, require_address
from server.domain.errors import (
    ACCOUNT_NOT_FOUND,
    ALREADY_MEMBER,
    CONFLICT,
    EMAIL_NOT_VERIFIED,
    INVITATION_NOT_FOUND,
    INVITATION_PENDING,
    MAIL_LIMIT,
    ORGANIZATION_NOT_FOUND,
    REDIRECT_NOT_ALLOWED,
    ServiceError,
    WrongSecretError,
    invalid_field,
)
from server.domain.invitation import (
    DeliveryState,
    IfPending,
    Invitation,
    InvitationStatus,
    invitation_expiry,
    token_hash,
)
from server.domain.metadata import require_metadata
from server.domain.organization import Member, Organization
from server.domain.rates import Rate
from server.domain.redirect import is_allowed_redirect
from server.domain.secrets import SecretKeys
from server.domain.text import is_plain_line
from server.ports import (
    Clock,
    Ids,
    InvitationFilter,
    InvitationOrder,
    MailState,
    OutboxMail,
    Sealing,
    Snapshot,
    Store,
    Transaction,
)
from server.service.call import Call, administrator, writing
from server.service.limits import rate_limited
from server.service.organizations import admit
from server.service.outbox import seal_link
from server.service.paging import page_limit, page_place, page_token
from server.service.roles import Rights, rights_of

MAX_BATCH = 1000
FORGOTTEN_AT_ONCE = 1000


@dataclass(frozen=True, slots=True)
class InvitationPolicy:
    """What the operator allows: where redirects may lead, how many may be members, how often what may be sent.

    The rates are of invitations that one person or one organization makes or sends again, and of mails to one
    recipient; None is no limit. They are counted in the database.
    """

    redirect_origins: tuple[str, ...] = ()
    most_members: int | None = None
    inviter_rate: Rate | None = None
    organization_rate: Rate | None = None
    recipient_rate: Rate | None = None

    def check_mails(
        self, email: str, now: datetime, sent_since: Callable[[str, datetime], tuple[int, datetime | None]]
    ) -> None:
        """Refuse another mail (`MAIL_LIMIT`) to an address that was sent all that fit into the time that ends now.

        `sent_since` gives how many mails the key of an address was sent since a moment, and when the first of them.
        """
        rate = self.recipient_rate
        if rate is None:
            return
        window = timedelta(seconds=rate.seconds)
        sent, first = sent_since(address_key(email), now - window)
        if sent >= rate.count and first is not None:
            facts = {"email": email, "limit": str(rate.count), "window_seconds": f"{rate.seconds:g}"}
            wait = (first + window - now).total_seconds()
            raise ServiceError(MAIL_LIMIT, facts, retry_after_seconds=max(wait, 1.0))


@dataclass(frozen=True, slots=True)
class NewInvitation:
    """What is asked for. `expires_at` goes before `ttl`; neither means 30 days.

    `roles` are keys or ids of roles (`admin`, `member`, or a named one); none means member. `link` is a link of the
    caller's own for the mail. `on_behalf_of` is the account that a backend key acts for.
    """

    email: str
    roles: tuple[str, ...] = ()
    ttl: timedelta | None = None
    expires_at: datetime | None = None
    public_metadata: dict[str, Any] = field(default_factory=dict)
    private_metadata: dict[str, Any] = field(default_factory=dict)
    redirect_url: str = ""
    locale: str = ""
    send_email: bool = True
    if_pending: IfPending = IfPending.REFUSE
    link: str = ""
    on_behalf_of: str | None = None


@dataclass(frozen=True, slots=True)
class Invited:
    """An invitation that was made, and its token where no mail carries it: shown here and never again."""

    invitation: Invitation
    token: str | None


@dataclass(frozen=True, slots=True)
class InvitationView:
    """An invitation together with the organization that it leads to."""

    invitation: Invitation
    organization: Organization


@dataclass(frozen=True, slots=True)
class InvitationsPage:
    """Invitations in order, the token of the next page ("" at the end), and the total where it was asked for."""

    invitations: Sequence[Invitation]
    next_token: str
    total: int | None


@dataclass(slots=True)
class _Use:
    """What a subject has used of a limit: `full_in` seconds from now it has everything back."""

    limit: str
    subject: str
    rate: Rate
    full_in: float


class _Quota:
    """What a call may still invite. It is read when it is first asked for, and kept once for all invitations.

    `now` is the moment of the call: those of a batch are all made then.
    """

    def __init__(
        self, tx: Transaction, call: Call, organization_id: str, policy: InvitationPolicy, now: datetime
    ) -> None:
        self._tx = tx
        self.now = now
        # The operator's own services are no persons who might send spam.
        person = "" if isinstance(call.who, BackendKey) else call.caller.account_id
        self._limits = [
            (limit, subject, rate)
            for limit, subject, rate in (
                ("invitations", organization_id, policy.organization_rate),
                ("inviter", person, policy.inviter_rate),
            )
            if rate is not None and subject
        ]
        self._uses: list[_Use] | None = None

    def take(self) -> None:
        """Count one more; `RATE_LIMITED` where it would be too many."""
        if self._uses is None:
            self._uses = [_Use(*limit, self._full_in(*limit)) for limit in self._limits]
        for use in self._uses:
            wait = use.rate.wait(use.full_in, 0.0)
            if wait:
                raise rate_limited(use.limit, use.rate, wait)
        for use in self._uses:
            use.full_in = use.rate.used(use.full_in, 0.0)

    def keep(self) -> None:
        """Write down what was counted."""
        for use in self._uses or ():
            self._tx.put_limit_use(use.limit, use.subject, self.now + timedelta(seconds=use.full_in))

    def _full_in(self, limit: str, subject: str, _rate: Rate) -> float:
        return max((self._tx.lock_limit_use(limit, subject) - self.now).total_seconds(), 0.0)


class Invitations:
    """The use cases of invitations."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        ids: Ids,
        keys: SecretKeys,
        sealing: Sealing,
        policy: InvitationPolicy | None = None,
    ) -> None:
        self._store = store
        self._clock = clock
        self._ids = ids
        self._keys = keys
        self._sealing = sealing
        self._policy = policy or InvitationPolicy()

    # Administrators.

    def create(self, call: Call, organization_id: str, new: NewInvitation) -> Invited:
        """Invite one address into an organization."""
        with writing(self._store, call) as tx:
            tx.hold_organization(organization_id)
            quota = self._quota(tx, call, organization_id)
            invited = self._invite(tx, call, organization_id, new, quota)
            quota.keep()
        return invited

    def create_batch(
        self,
        call: Call,
        organization_id: str,
        news: Sequence[NewInvitation | ServiceError],
        *,
        all_or_nothing: bool = False,
    ) -> list[Invited | ServiceError]:
        """Invite many addresses; give the outcome of each, in order. An item may be a refusal of the wire's already.

        One that fails doesn't hinder the others, unless `all_or_nothing` is asked for: then the first failure is
        raised and nothing is done.
        """
        if not 1 <= len(news) <= MAX_BATCH:
            raise invalid_field("invitations", f"must have 1 to {MAX_BATCH} items")
        outcomes: list[Invited | ServiceError] = []
        with writing(self._store, call) as tx:
            tx.hold_organization(organization_id)
            administrator(tx, call, organization_id, Scope.INVITATIONS_WRITE)
            quota = self._quota(tx, call, organization_id)
            for new in news:
                try:
                    if isinstance(new, ServiceError):
                        raise new
                    outcomes.append(self._invite(tx, call, organization_id, new, quota))
                except ServiceError as refusal:
                    if all_or_nothing:
                        raise
                    outcomes.append(refusal)
            quota.keep()
        return outcomes

    def get(self, call: Call, invitation_id: str, *, organization_id: str | None = None) -> Invitation:
        """Give an invitation, of this organization where one is named, to those who administer its organization."""
        with self._store.snapshot(call.deadline) as tx:
            return self._administered(tx, call, invitation_id, Scope.INVITATIONS_READ, organization_id=organization_id)

    def list_for_organization(
        self,
        call: Call,
        organization_id: str,
        wanted: InvitationFilter,
        order: InvitationOrder | None = None,
        *,
        page_size: int = 0,
        token: str = "",
        total: bool = False,
    ) -> InvitationsPage:
        """List an organization's invitations, the newest first unless asked otherwise."""
        order = order or InvitationOrder()
        wanted = replace(wanted, organization_ids=(organization_id,))
        listing = (replace(wanted, now=datetime.min), order)
        place = page_place(listing, token, str if order.by == "email" else int, str)
        with self._store.snapshot(call.deadline) as tx:
            administrator(tx, call, organization_id, Scope.INVITATIONS_READ)
            page = tx.invitations(wanted, order, place, limit=page_limit(page_size))
            count = tx.count_invitations(wanted) if total else None
        return InvitationsPage(page.invitations, page_token(listing, page.after), count)

    def list_by_offset(
        self,
        call: Call,
        wanted: InvitationFilter,
        order: InvitationOrder | None = None,
        *,
        offset: int = 0,
        limit: int,
    ) -> tuple[Sequence[InvitationView], int]:
        """List invitations of the organizations that `wanted` names, and their total; for wires that page so.

        Naming none means all that a backend key reaches.
        """
        with self._store.snapshot(call.deadline) as tx:
            for organization_id in wanted.organization_ids:
                administrator(tx, call, organization_id, Scope.INVITATIONS_READ)
            if not wanted.organization_ids:
                key = call.require_backend(Scope.INVITATIONS_READ)
                wanted = replace(wanted, organization_ids=key.organization_ids)
            page = tx.invitations(wanted, order or InvitationOrder(), limit=limit, offset=offset)
            return self._views(tx, page.invitations), tx.count_invitations(wanted)

    def resend(
        self,
        call: Call,
        invitation_id: str,
        *,
        ttl: timedelta | None = None,
        keep_expiry: bool = False,
        link: str = "",
        send_email: bool = True,
    ) -> Invited:
        """Send a pending or expired invitation again, with a new token; the one before opens nothing any more.

        It then lasts at least `ttl` (30 days when not given) from now, unless `keep_expiry` is asked for.
        """
        self._check_link(call, link)
        with writing(self._store, call) as tx:
            found = self._locked(tx, call, invitation_id)
            now = self._clock()
            if found.status_at(now) is not InvitationStatus.EXPIRED:
                found.require_pending(now)
            expires_at = found.expires_at if keep_expiry else max(found.expires_at, invitation_expiry(now, ttl))
            quota = self._quota(tx, call, found.organization_id)
            quota.take()
            renewed = self._renew(tx, found, expires_at, send_email=send_email, link=link)
            quota.keep()
        return renewed

    def revoke(
        self,
        call: Call,
        invitation_id: str,
        *,
        on_behalf_of: str | None = None,
        organization_id: str | None = None,
        once: bool = False,
    ) -> Invitation:
        """Withdraw a pending invitation, of this organization where one is named.

        One that is revoked already stays so, or is refused where it may happen only `once`.
        """
        with writing(self._store, call) as tx:
            found = self._locked(tx, call, invitation_id, on_behalf_of, organization_id)
            now = self._clock()
            if found.status_at(now) is InvitationStatus.REVOKED and not once:
                return found
            found.require_pending(now)
            return self._move(tx, found, stored_status=InvitationStatus.REVOKED, responded_at=now)

    def delete(self, call: Call, invitation_id: str) -> None:
        """Remove an invitation, in whatever state; who was let in by it stays a member."""
        with writing(self._store, call) as tx:
            found = self._locked(tx, call, invitation_id)
            tx.delete_invitation(found.id)

    # The invited person.

    def preview(self, call: Call, *, token: str = "", invitation_id: str = "") -> InvitationView:
        """Give what an invitation leads to: to whoever holds its token, signed in or not, or to its addressee."""
        with self._store.snapshot(call.deadline) as tx:
            found = self._presented(tx, call, token, invitation_id)
            return self._views(tx, [found])[0]

    def accept(self, call: Call, *, token: str = "", invitation_id: str = "") -> tuple[InvitationView, Member]:
        """Join by an invitation: with its token, or as an account whose verified address is the invited one.

        Accepting again gives the same membership.
        """
        account = call.require_account_token().account
        with writing(self._store, call) as tx:
            found = self._lock(tx, self._presented(tx, call, token, invitation_id), token)
            return self._accept(tx, found, account)

    def accept_for(self, call: Call, invitation_id: str, account_id: str) -> tuple[InvitationView, Member]:
        """Let an account join by its invitation, as a backend key; its address must be the invited one."""
        call.require_backend(Scope.INVITATIONS_WRITE)
        with writing(self._store, call) as tx:
            found = self._locked(tx, call, invitation_id)
            found.require_pending(self._clock())
            account = tx.account(account_id)
            if account is None:
                raise ServiceError(ACCOUNT_NOT_FOUND, {"account": account_id})
            # The backend vouches for the account; that the address is another's is still a mistake.
            found.require_addressee(replace(account, email_verified=True))
            return self._accept(tx, found, account)

    def decline(self, call: Call, *, token: str = "", invitation_id: str = "") -> InvitationView:
        """Turn an invitation down: with its token, or as its addressee. Declining again changes nothing."""
        call.require_account_token()
        with writing(self._store, call) as tx:
            found = self._lock(tx, self._presented(tx, call, token, invitation_id), token)
            now = self._clock()
            if found.status_at(now) is not InvitationStatus.DECLINED:
                found.require_pending(now)
                found = self._move(tx, found, stored_status=InvitationStatus.DECLINED, responded_at=now)
            return self._views(tx, [found])[0]

    def list_mine(
        self,
        call: Call,
        statuses: tuple[InvitationStatus, ...] = (InvitationStatus.PENDING,),
        *,
        offset: int = 0,
        page_size: int = 0,
    ) -> tuple[Sequence[InvitationView], int]:
        """List invitations of the caller's verified address, the newest first, and how many there are."""
        wanted = self._of_caller(call, statuses)
        with self._store.snapshot(call.deadline) as tx:
            page = tx.invitations(wanted, InvitationOrder(), limit=page_limit(page_size), offset=offset)
            return self._views(tx, page.invitations), tx.count_invitations(wanted)

    def page_of_mine(
        self, call: Call, statuses: tuple[InvitationStatus, ...], *, page_size: int = 0, token: str = ""
    ) -> tuple[Sequence[InvitationView], str]:
        """List invitations of the caller's verified address, the newest first, and the token of the next page.

        The token stays right while invitations are answered and others come.
        """
        wanted = self._of_caller(call, statuses)
        listing = ("my-invitations", call.caller.account_id, statuses)
        place = page_place(listing, token, int, str)
        with self._store.snapshot(call.deadline) as tx:
            page = tx.invitations(wanted, InvitationOrder(), place, limit=page_limit(page_size))
            return self._views(tx, page.invitations), page_token(listing, page.after)

    def _of_caller(self, call: Call, statuses: tuple[InvitationStatus, ...]) -> InvitationFilter:
        account = call.require_account_token().account
        # No address is no filter: it would list everybody's.
        if not account.email_verified or not account.email:
            raise ServiceError(EMAIL_NOT_VERIFIED)
        return InvitationFilter(self._clock(), statuses=statuses, email_key=address_key(account.email))

    def redirect_of(self, invitation: Invitation) -> str:
        """Give where the person goes after answering, as far as the operator still allows it; empty for our page."""
        url = invitation.redirect_url
        return url if is_allowed_redirect(url, self._policy.redirect_origins) else ""

    def forget_limit_uses(self) -> None:
        """Remove what limits no longer need; called now and then beside the requests."""
        with self._store.transaction() as tx:
            tx.forget_limit_uses(self._clock(), FORGOTTEN_AT_ONCE)

    # What they share.

    def _quota(self, tx: Transaction, call: Call, organization_id: str) -> _Quota:
        """Give what the call may still invite; whoever asks keeps it when all went well."""
        return _Quota(tx, call, organization_id, self._policy, self._clock())

    def _invite(self, tx: Transaction, call: Call, organization_id: str, new: NewInvitation, quota: _Quota) -> Invited:
        """Make an invitation under the organization's lock. Nothing is written before all checks have passed."""
        inviter = administrator(tx, call, organization_id, Scope.INVITATIONS_WRITE, new.on_behalf_of)
        now = quota.now
        email = require_address(new.email)
        rights = rights_of(tx, new.roles)
        expires_at = new.expires_at or invitation_expiry(now, new.ttl)
        if expires_at <= now:
            raise invalid_field("expires_at", "must be in the future")
        self._check_contents(call, new)
        key = address_key(email)
        if tx.member_by_email(organization_id, key) is not None:
            raise ServiceError(ALREADY_MEMBER, {"email": email})
        pending = tx.pending_invitation(organization_id, key)
        live = pending is not None and pending.status_at(now) is InvitationStatus.PENDING
        if live and new.if_pending is IfPending.REFUSE:
            raise ServiceError(INVITATION_PENDING, {"email": email})
        if pending is not None and live and new.if_pending is IfPending.RENEW:
            quota.take()
            return self._renew(tx, pending, expires_at, send_email=new.send_email, link=new.link)
        if new.send_email:
            self._policy.check_mails(email, now, tx.count_mails_since)
        quota.take()
        if pending is not None:
            outcome = InvitationStatus.REVOKED if live else InvitationStatus.EXPIRED
            self._move(tx, pending, stored_status=outcome, responded_at=now if live else None)
        return self._add(tx, organization_id, new, email, rights, inviter, expires_at, now)

    def _add(
        self,
        tx: Transaction,
        organization_id: str,
        new: NewInvitation,
        email: str,
        rights: Rights,
        inviter: Account | None,
        expires_at: datetime,
        now: datetime,
    ) -> Invited:
        invitation_id, key_id = self._ids(), self._keys.current_id
        token = self._keys.invitation_token(invitation_id, 1, key_id)
        invitation = Invitation(
            id=invitation_id,
            organization_id=organization_id,
            email=email,
            role=rights.role,
            named_roles=rights.named_roles,
            stored_status=InvitationStatus.PENDING,
            inviter_account_id=inviter.id if inviter else None,
            inviter_name=inviter.name if inviter else "",
            public_metadata=new.public_metadata,
            private_metadata=new.private_metadata,
            redirect_url=new.redirect_url,
            locale=new.locale,
            delivery_state=DeliveryState.QUEUED if new.send_email else DeliveryState.NOT_REQUESTED,
            delivery_error="",
            generation=1,
            key_id=key_id,
            token_hash=token_hash(token),
            created_at=now,
            updated_at=now,
            expires_at=expires_at,
            responded_at=None,
            accepted_account_id=None,
        )
        if not tx.add_invitation(invitation):
            raise ServiceError(INVITATION_PENDING, {"email": email})
        if new.send_email:
            self._queue_mail(tx, invitation, new.link)
        return Invited(invitation, None if new.send_email else token)

    def _renew(
        self, tx: Transaction, found: Invitation, expires_at: datetime, *, send_email: bool, link: str
    ) -> Invited:
        """Give an invitation a new token and time, and send it."""
        now = self._clock()
        if send_email:
            self._policy.check_mails(found.email, now, tx.count_mails_since)
        generation, key_id = found.generation + 1, self._keys.current_id
        token = self._keys.invitation_token(found.id, generation, key_id)
        renewed = self._move(
            tx,
            found,
            stored_status=InvitationStatus.PENDING,
            generation=generation,
            key_id=key_id,
            token_hash=token_hash(token),
            expires_at=expires_at,
            delivery_state=DeliveryState.QUEUED if send_email else DeliveryState.NOT_REQUESTED,
            delivery_error="",
        )
        if send_email:
            self._queue_mail(tx, renewed, link)
        return Invited(renewed, None if send_email else token)

    def _queue_mail(self, tx: Transaction, invitation: Invitation, link: str) -> None:
        now = self._clock()
        tx.queue_mail(
            OutboxMail(
                id=self._ids(),
                organization_id=invitation.organization_id,
                invitation_id=invitation.id,
                generation=invitation.generation,
                email_key=invitation.email_key,
                state=MailState.QUEUED,
                attempts=0,
                error="",
                link=seal_link(self._sealing, invitation.id, link),
                created_at=now,
                next_attempt_at=now,
                sent_at=None,
            )
        )

    def _check_contents(self, call: Call, new: NewInvitation) -> None:
        require_metadata("public_metadata", new.public_metadata)
        require_metadata("private_metadata", new.private_metadata)
        if new.redirect_url and not is_allowed_redirect(new.redirect_url, self._policy.redirect_origins):
            raise ServiceError(REDIRECT_NOT_ALLOWED)
        self._check_link(call, new.link)

    def _check_link(self, call: Call, link: str) -> None:
        """Refuse a link of the caller's own that a mail can't carry, or that this caller may not have it carry.

        The operator's backends may send people anywhere; a person only to where the operator allows.
        """
        web = link.startswith(("https://", "http://"))
        if link and (not web or not is_plain_line(link) or any(char.isspace() for char in link) or len(link) > 2048):
            raise invalid_field("link", "must be an http or https URL of at most 2048 characters")
        of_backend = isinstance(call.who, BackendKey)
        if link and not of_backend and not is_allowed_redirect(link, self._policy.redirect_origins):
            raise ServiceError(REDIRECT_NOT_ALLOWED)

    def _move(self, tx: Transaction, found: Invitation, **changes: Any) -> Invitation:
        """Write a change where the invitation is still as it was found; `CONFLICT` otherwise."""
        moved = replace(found, updated_at=self._clock(), **changes)
        if not tx.update_invitation(moved, found.stored_status):
            if moved.stored_status is InvitationStatus.PENDING:
                raise ServiceError(INVITATION_PENDING, {"email": found.email})
            raise ServiceError(CONFLICT)
        return moved

    def _administered(
        self,
        tx: Snapshot,
        call: Call,
        invitation_id: str,
        scope: Scope,
        on_behalf_of: str | None = None,
        organization_id: str | None = None,
    ) -> Invitation:
        # Before it is looked up: whoever may administer nothing mustn't learn what exists.
        if isinstance(call.who, BackendKey):
            call.who.require(scope)
        else:
            call.require_person()
        found = tx.invitation(invitation_id)
        if found is None or organization_id not in (None, found.organization_id):
            raise ServiceError(INVITATION_NOT_FOUND)
        try:
            administrator(tx, call, found.organization_id, scope, on_behalf_of)
        except ServiceError as refusal:
            if refusal.reason is ORGANIZATION_NOT_FOUND:
                raise ServiceError(INVITATION_NOT_FOUND) from refusal
            raise
        return found

    def _locked(
        self,
        tx: Transaction,
        call: Call,
        invitation_id: str,
        on_behalf_of: str | None = None,
        organization_id: str | None = None,
    ) -> Invitation:
        """Give an invitation that the call may administer, under its organization's lock.

        The lock comes first: others may have moved the invitation, or ended the caller's role, while we waited for it.
        """
        found = tx.invitation(invitation_id)
        if found is not None:
            tx.hold_organization(found.organization_id)
        scope = Scope.INVITATIONS_WRITE
        return self._administered(tx, call, invitation_id, scope, on_behalf_of, organization_id)

    @staticmethod
    def _lock(tx: Transaction, found: Invitation, token: str = "") -> Invitation:
        """Give the invitation as it stands under its organization's lock; a token must open it still."""
        tx.hold_organization(found.organization_id)
        # Looked at again under the lock: others may have moved it, or sent it with a new token, while we waited.
        again = tx.invitation(found.id)
        if again is None or (token and again.generation != found.generation):
            raise ServiceError(INVITATION_NOT_FOUND)
        return again

    def _presented(self, tx: Snapshot, call: Call, token: str, invitation_id: str) -> Invitation:
        """Give the invitation that a token opens, or that is the caller's own."""
        if token:
            found = tx.invitation_by_token(token_hash(token))
            if found is None:
                raise WrongSecretError(INVITATION_NOT_FOUND, guess=hash(token))
        else:
            call.require_account_token()
            found = tx.invitation(invitation_id)
        if found is None:
            raise ServiceError(INVITATION_NOT_FOUND)
        if not token and found.accepted_account_id != call.caller.account_id:
            found.require_addressee(call.caller.account)
        return found

    def _accept(self, tx: Transaction, found: Invitation, account: Account) -> tuple[InvitationView, Member]:
        """Let the account join by an invitation that is locked, and may be answered by it."""
        now = self._clock()
        known = tx.member(found.organization_id, account.id)
        again = found.accepted_account_id == account.id and known is not None and known.is_active
        if not again:
            found.require_pending(now)
            found = self._move(
                tx,
                found,
                stored_status=InvitationStatus.ACCEPTED,
                responded_at=now,
                accepted_account_id=account.id,
            )
            known = self._grant(tx, found, account)
        assert known is not None  # noqa: S101 # granted, or found to be a member
        return self._views(tx, [found])[0], known

    def _grant(self, tx: Transaction, invitation: Invitation, account: Account) -> Member:
        """Make the account a member with what the invitation gives; a member keeps what it has besides."""
        organization = tx.organization(invitation.organization_id)
        assert organization is not None  # noqa: S101 # it is locked, and the invitation refers to it
        member = admit(
            tx,
            organization,
            account,
            invitation.role,
            ids=self._ids,
            clock=self._clock,
            most_members=self._policy.most_members,
        )
        granted = member.granted(
            invitation.role, invitation.named_roles, invitation.public_metadata, invitation.private_metadata
        )
        tx.put_member(granted)
        return granted

    @staticmethod
    def _views(tx: Snapshot, invitations: Sequence[Invitation]) -> list[InvitationView]:
        organizations: dict[str, Organization] = {}
        views = []
        for invitation in invitations:
            organization = organizations.get(invitation.organization_id) or tx.organization(invitation.organization_id)
            if organization is not None:
                organizations[organization.id] = organization
                views.append(InvitationView(invitation, organization))
        return views
