"""The outbox: mails that were queued in the transaction that made an invitation go out after it, at least once.

A mail is claimed in a transaction of its own before it is sent, so that of two processes one sends it; what a crash
leaves claimed is tried again when the lease ends. Text and token are made at sending, and never kept.
"""

from __future__ import annotations

import base64
import contextlib
import logging
import random
import re
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from urllib.parse import urlsplit

from server.domain.errors import INVITE_KEY_UNAVAILABLE, ServiceError
from server.domain.invitation import DeliveryState, Invitation, InvitationStatus, invitation_link
from server.domain.redirect import is_allowed_redirect
from server.domain.secrets import INVITATION_TOKEN_PREFIX, SecretKeys
from server.domain.text import is_plain_line
from server.ports import (
    Clock,
    InvitationMail,
    Mail,
    Mailer,
    MailError,
    MailRefusedError,
    MailServerError,
    MailState,
    OutboxMail,
    Sealing,
    Snapshot,
    Store,
)

log = logging.getLogger(__name__)

BATCH = 100
"""How many mails one call of `send_due` takes at most."""

LEASE = timedelta(minutes=5)
"""For how long a mail that is being sent is its sender's own; much longer than a mail server is waited for."""

REST = timedelta(seconds=10)
"""How long no mail is tried after the mail server couldn't be used."""

FIRST_DELAY_SECONDS = 10.0
LONGEST_DELAY_SECONDS = 3600.0
MAX_ATTEMPTS = 33
"""With the delays between them this is a day; then a mail has failed."""

_MAX_ERROR_LENGTH = 300
_MANY = 10_000
_TOKEN = re.compile(rf"{INVITATION_TOKEN_PREFIX}[\w-]*")


def delay_after(attempts: int, jitter: float) -> timedelta:
    """Give how long to wait after so many attempts: 10 s, doubled each time up to 1 h, a quarter more or less.

    `jitter` is from 0 to 1, so that mails that failed together aren't all tried again together.
    """
    seconds = min(FIRST_DELAY_SECONDS * 2 ** min(attempts - 1, 16), LONGEST_DELAY_SECONDS)
    return timedelta(seconds=seconds * (0.75 + jitter / 2))


@dataclass(frozen=True, slots=True)
class Links:
    """Where mails lead: to the page at `public_url` (without a slash at its end), or to one of the allowed origins."""

    public_url: str
    redirect_origins: tuple[str, ...] = ()

    def ours(self, redirect_url: str, token: str) -> str:
        """Give the link by which an invitation is answered. What the operator no longer allows isn't followed."""
        allowed = is_allowed_redirect(redirect_url, self.redirect_origins)
        return invitation_link(self.public_url, redirect_url if allowed else "", token)


@dataclass(frozen=True, slots=True)
class _Claim:
    """A mail that is ours to send, and what it is made of."""

    mail: OutboxMail
    invitation: Invitation
    organization: str
    named_roles: tuple[str, ...]
    at: datetime


@dataclass(slots=True)
class Outbox:
    """Sends what is due."""

    store: Store
    clock: Clock
    keys: SecretKeys
    mailer: Mailer
    links: Links
    sealing: Sealing
    jitter: Callable[[], float] = random.random
    _rests_until: datetime | None = field(default=None, init=False)

    def send_due(self, stopping: Callable[[], bool] = lambda: False) -> int:
        """Send the mails that are due, a hundred at most; give how many went out.

        Call it again and again, in as many processes as you like. It ends early when `stopping` says so, and when
        the mail server can't be used: then the next seconds' calls do nothing.
        """
        now = self.clock()
        if self._rests_until is not None and now < self._rests_until:
            return 0
        with self.store.snapshot() as tx:
            due = tx.due_mails(now, BATCH)
        if not due:
            return 0
        sent = 0
        with self.mailer.session() as send:
            for mail in due:
                if stopping():
                    break
                claim = self._claim(mail)
                if claim is None:
                    continue
                try:
                    sent += self._send(claim, send)
                except MailServerError:
                    self._rests_until = self.clock() + REST
                    break
        return sent

    def _claim(self, mail: OutboxMail) -> _Claim | None:
        """Take a mail for ourselves; None when another has it, or it isn't to be sent any more."""
        now = self.clock()
        with self.store.transaction() as tx:
            # The organization first, as everybody locks it, so that two never wait for each other.
            tx.hold_organization(mail.organization_id)
            invitation = tx.invitation(mail.invitation_id)
            organization = tx.organization(mail.organization_id)
            if invitation is None or organization is None:
                tx.update_mail(_superseded(mail, "not sent: the invitation was deleted"), mail.attempts)
                return None
            if invitation.generation != mail.generation:
                tx.update_mail(_superseded(mail, "a newer mail goes out instead"), mail.attempts)
                return None
            status = invitation.status_at(now)
            if status is not InvitationStatus.PENDING:
                reason = f"not sent: the invitation is {status}"
                if tx.update_mail(_superseded(mail, reason), mail.attempts):
                    ran_out = status is InvitationStatus.EXPIRED
                    state = DeliveryState.FAILED if ran_out else DeliveryState.NOT_REQUESTED
                    tx.set_delivery(invitation.id, mail.generation, state, reason)
                return None
            claimed = replace(mail, attempts=mail.attempts + 1, next_attempt_at=now + LEASE)
            if not tx.update_mail(claimed, mail.attempts):
                return None
            return _Claim(claimed, invitation, organization.name, _role_names(tx, invitation), now)

    def _send(self, claim: _Claim, send: Callable[[Mail], None]) -> bool:
        """Send a mail and write down how it fared; raise `MailServerError` when the others needn't be tried."""
        try:
            send(self._written(claim))
        except MailError as error:
            self._not_sent(claim.mail, error)
            if isinstance(error, MailServerError):
                raise
            return False
        except Exception as error:  # noqa: BLE001 # one mail that can't be made must not hold up the others
            # Its text may hold what the mail holds; the places in the code don't.
            places = "".join(traceback.format_tb(error.__traceback__))
            log.error("a mail can't be made", extra={"error": type(error).__name__, "places": places})
            self._not_sent(claim.mail, MailError(f"the mail can't be made ({type(error).__name__})"))
            return False
        self._write(replace(claim.mail, state=MailState.SENT, error="", sent_at=self.clock()), DeliveryState.SENT)
        log.info("mail sent", extra={"mail": claim.mail.id, "invitation": claim.mail.invitation_id})
        return True

    def _written(self, claim: _Claim) -> InvitationMail:
        invitation = claim.invitation
        return InvitationMail(
            id=claim.mail.id,
            email=invitation.email,
            locale=invitation.locale,
            organization=claim.organization,
            inviter=invitation.inviter_name,
            role=invitation.role,
            named_roles=claim.named_roles,
            link=self._link(claim),
            written_at=claim.at,
            expires_at=invitation.expires_at,
        )

    def _link(self, claim: _Claim) -> str:
        invitation, given = claim.invitation, self._given_link(claim.mail)
        if given:
            if not _is_web_link(given):
                raise MailRefusedError("the link that was given for this mail is no http or https URL")
            return given
        try:
            token = self.keys.invitation_token(invitation.id, invitation.generation, invitation.key_id)
        except ServiceError as error:
            if error.reason is INVITE_KEY_UNAVAILABLE:
                raise MailRefusedError("the key that the invitation was made with is no longer configured") from error
            raise
        return self.links.ours(invitation.redirect_url, token)

    def _given_link(self, mail: OutboxMail) -> str:
        """Give the link that was given for a mail, which is kept sealed: it may admit, as ours do."""
        try:
            return open_link(self.sealing, mail)
        except ValueError as error:
            raise MailRefusedError("the key that this mail's link is sealed with is no longer configured") from error

    def _not_sent(self, mail: OutboxMail, error: MailError) -> None:
        """Write down why a mail didn't go out, and when it is tried again if it is."""
        with contextlib.suppress(MailRefusedError):
            error = type(error)(str(error).replace(self._given_link(mail) or _NOTHING, "(link)"))
        reason = _harmless_reason(error)
        for_good = isinstance(error, MailRefusedError) or mail.attempts >= MAX_ATTEMPTS
        facts = {"mail": mail.id, "invitation": mail.invitation_id, "attempts": mail.attempts, "error": reason}
        if for_good:
            log.warning("mail failed", extra=facts)
            self._write(replace(mail, state=MailState.FAILED, error=reason), DeliveryState.FAILED)
            return
        next_attempt_at = self.clock() + delay_after(mail.attempts, self.jitter())
        log.warning("mail not sent yet", extra={**facts, "next_attempt_at": next_attempt_at.isoformat()})
        self._write(replace(mail, error=reason, next_attempt_at=next_attempt_at), DeliveryState.QUEUED)

    def _write(self, mail: OutboxMail, delivery: DeliveryState) -> None:
        with self.store.transaction() as tx:
            tx.hold_organization(mail.organization_id)
            # Not ours any more when the lease ran out, or a newer mail took its place.
            if tx.update_mail(mail, mail.attempts):
                tx.set_delivery(mail.invitation_id, mail.generation, delivery, mail.error)


_NOTHING = "\0"
"""What no error quotes."""


def seal_link(sealing: Sealing, invitation_id: str, link: str) -> str:
    """Give a link of the caller's own as the outbox keeps it; empty for none."""
    return base64.b64encode(sealing.seal(f"outbox-link\0{invitation_id}", link.encode())).decode() if link else ""


def open_link(sealing: Sealing, mail: OutboxMail) -> str:
    """Give the link of a mail back, empty for none; ValueError when the key is gone."""
    sealed = base64.b64decode(mail.link)
    return sealing.open(f"outbox-link\0{mail.invitation_id}", sealed).decode() if sealed else ""


def list_mails(
    store: Store, states: tuple[MailState, ...] = (), limit: int = 100
) -> Sequence[tuple[OutboxMail, Invitation]]:
    """List mails in some states (all, when empty), the newest first, each with its invitation; for the operator."""
    with store.snapshot() as tx:
        found = [(mail, tx.invitation(mail.invitation_id)) for mail in tx.mails(states, limit)]
    return [(mail, invitation) for mail, invitation in found if invitation is not None]


def retry_failed(store: Store, clock: Clock, ids: Sequence[str] = ()) -> int:
    """Queue failed mails again, with fresh attempts; give how many.

    `ids` are of mails or of invitations; none means all.
    """
    with store.transaction() as tx:
        failed = [
            mail
            for mail in tx.mails((MailState.FAILED,), _MANY)
            if not ids or mail.id in ids or mail.invitation_id in ids
        ]
        for mail in failed:
            tx.set_delivery(mail.invitation_id, mail.generation, DeliveryState.QUEUED, "")
        return tx.requeue_failed_mails(clock(), tuple(mail.id for mail in failed)) if failed else 0


KEPT = timedelta(days=30)
"""For how long mails that don't wait any more can be looked up."""

FORGOTTEN_AT_ONCE = 1000


def forget_old(store: Store, clock: Clock) -> None:
    """Remove mails that went out, or were given up, long ago; called now and then beside the requests."""
    forgotten = FORGOTTEN_AT_ONCE
    while forgotten == FORGOTTEN_AT_ONCE:
        with store.transaction() as tx:
            forgotten = tx.forget_mails(clock() - KEPT, FORGOTTEN_AT_ONCE)


def _superseded(mail: OutboxMail, reason: str) -> OutboxMail:
    return replace(mail, state=MailState.SUPERSEDED, error=reason)


def _role_names(tx: Snapshot, invitation: Invitation) -> tuple[str, ...]:
    if not invitation.named_roles:
        return ()
    return tuple(role.name for role in tx.named_roles() if role.id in invitation.named_roles)


def _is_web_link(link: str) -> bool:
    try:
        parts = urlsplit(link)
    except ValueError:
        return False
    blank = any(char.isspace() for char in link)
    return parts.scheme in ("http", "https") and bool(parts.hostname) and not blank and is_plain_line(link)


def _harmless_reason(error: MailError) -> str:
    """Give why a mail wasn't sent, on a line. Mail servers like to quote what they refuse: no token passes."""
    text = _TOKEN.sub("(token)", str(error))
    line = "".join(char if is_plain_line(char) else " " for char in text)
    return " ".join(line.split())[:_MAX_ERROR_LENGTH]
