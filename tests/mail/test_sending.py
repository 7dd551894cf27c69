"""When mails of invitations go out, and when they don't."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import pytest

from server.domain.errors import INVITATION_NOT_FOUND, ServiceError
from server.domain.invitation import DeliveryState, InvitationStatus
from server.domain.secrets import INVITATION_TOKEN_PREFIX, SecretKeys
from server.ports import InvitationMail, MailError, MailRefusedError, MailServerError, MailState
from server.sealing import KeySealing
from server.service.call import Call
from server.service.invitations import NewInvitation
from server.service.outbox import (
    LEASE,
    MAX_ATTEMPTS,
    REST,
    Links,
    Outbox,
    delay_after,
    list_mails,
    retry_failed,
    seal_link,
)
from server.store.sqlite import SqliteStore
from tests.conftest import KEY
from tests.mail.conftest import PUBLIC_URL, Household
from tests.mail.mail_server import MailServer, mail_server

DAY = timedelta(days=1)


@dataclass
class GivenMailer:
    """A mailer that keeps what it is given, or fails as it is told to."""

    failure: Callable[[InvitationMail], BaseException | None] = lambda mail: None
    sent: list[InvitationMail] = field(default_factory=list)
    tries: int = 0

    @contextmanager
    def session(self) -> Iterator[Callable[[InvitationMail], None]]:
        yield self._send

    def _send(self, mail: InvitationMail) -> None:
        self.tries += 1
        failure = self.failure(mail)
        if failure is not None:
            raise failure
        self.sent.append(mail)


def failing(error: BaseException) -> GivenMailer:
    return GivenMailer(lambda mail: error)


class Killed(BaseException):
    """The process ends here."""


# What arrives.


def test_the_link_in_a_mail_shows_the_invitation_and_accepts_it(home: Household, smtp: MailServer) -> None:
    invitation = home.invite("grace@example.com")
    assert home.outbox(smtp.url).send_due() == 1
    (mail,) = smtp.mails
    assert mail.recipients == ("grace@example.com",)
    assert mail.link.startswith(f"{PUBLIC_URL}/invitations#{INVITATION_TOKEN_PREFIX}")
    invitations = home.world.service.invitations
    assert invitations.preview(Call(None), token=mail.token).invitation.id == invitation.id
    _, member = invitations.accept(home.world.call("Grace"), token=mail.token)
    assert member.organization_id == home.organization.id


def test_a_mail_that_was_sent_is_sent_once_and_its_invitation_says_so(home: Household, smtp: MailServer) -> None:
    invitation = home.invite("grace@example.com")
    assert [home.outbox(smtp.url).send_due() for _ in range(3)] == [1, 0, 0]
    assert len(smtp.mails) == 1
    (mail,) = home.mails()
    assert (mail.state, mail.sent_at, mail.error) == (MailState.SENT, home.world.clock.now, "")
    assert home.again(invitation).delivery_state is DeliveryState.SENT


def test_a_batch_shares_one_connection(home: Household, smtp: MailServer) -> None:
    for number in range(5):
        home.invite(f"person{number}@example.com")
    assert home.outbox(smtp.url).send_due() == 5
    assert len(smtp.mails) == 5
    assert smtp.connections == 1


def test_a_redirect_url_carries_the_token_in_its_fragment(home: Household) -> None:
    mailer = GivenMailer()
    outbox = home.outbox(mailer)
    token = SecretKeys([KEY]).invitation_token("an-id", 1, SecretKeys([KEY]).current_id)
    links = outbox.links
    assert (
        links.ours("https://app.example.com/in?x=1", token)
        == f"https://app.example.com/in?x=1#invitation_token={token}"
    )
    assert links.ours("https://app.example.com/#/in", token) == f"https://app.example.com/#/in&invitation_token={token}"
    assert links.ours("", token) == f"{PUBLIC_URL}/invitations#{token}"


def test_a_redirect_that_the_operator_no_longer_allows_leads_to_our_own_page() -> None:
    assert Links(PUBLIC_URL).ours("https://app.example.com/", "token") == f"{PUBLIC_URL}/invitations#token"


def test_a_link_of_the_callers_own_is_sent_as_it_is(home: Household) -> None:
    mailer = GivenMailer()
    link = "https://elsewhere.example/x?y=magic"
    home.invite_by_backend("grace@example.com", link=link)
    # It is kept sealed: it may admit, as ours do.
    assert "magic" not in home.mails()[0].link
    home.outbox(mailer).send_due()
    assert mailer.sent[0].link == link


@pytest.mark.parametrize("link", ["javascript:alert(1)", "https:// evil", "evil", "https://[", "data:text/html,x"])
def test_a_link_that_is_no_web_link_is_never_sent(home: Household, link: str) -> None:
    with home.world.service.store.transaction() as tx:
        invitation = home.invite("grace@example.com")
        (mail,) = tx.mails((), 10)
        sealed = seal_link(KeySealing(SecretKeys([KEY])), invitation.id, link)
        tx._write("UPDATE outbox SET link = :link WHERE id = :id", link=sealed, id=mail.id)
    mailer = GivenMailer()
    assert home.outbox(mailer).send_due() == 0
    assert mailer.sent == []
    assert home.again(invitation).delivery_error == "the link that was given for this mail is no http or https URL"


# What is not sent.


def test_a_mail_of_what_was_rolled_back_never_goes_out(home: Household) -> None:
    def invite_and_fail() -> None:
        with home.world.service.store.transaction():
            home.invite("grace@example.com")
            raise Killed

    with pytest.raises(Killed):
        invite_and_fail()
    mailer = GivenMailer()
    assert home.outbox(mailer).send_due() == 0
    home.world.clock.forward(DAY)
    assert home.outbox(mailer).send_due() == 0
    assert mailer.tries == 0
    assert home.mails() == []


def test_a_resent_invitation_sends_the_newer_mail_alone_and_the_older_token_opens_nothing(
    home: Household, smtp: MailServer
) -> None:
    invitation = home.invite("grace@example.com")
    older = SecretKeys([KEY]).invitation_token(invitation.id, 1, invitation.key_id)
    home.world.service.invitations.resend(home.world.call("Ada"), invitation.id)
    assert home.outbox(smtp.url).send_due() == 1
    assert len(smtp.mails) == 1
    assert sorted(mail.state for mail in home.mails()) == [MailState.SENT, MailState.SUPERSEDED]
    invitations = home.world.service.invitations
    with pytest.raises(ServiceError) as refusal:
        invitations.preview(Call(None), token=older)
    assert refusal.value.reason is INVITATION_NOT_FOUND
    assert invitations.preview(Call(None), token=smtp.mails[0].token).invitation.id == invitation.id


def test_an_invitation_that_was_resent_without_mail_leaves_the_queued_one_unsent(home: Household) -> None:
    invitation = home.invite("grace@example.com")
    home.world.service.invitations.resend(home.world.call("Ada"), invitation.id, send_email=False)
    mailer = GivenMailer()
    assert home.outbox(mailer).send_due() == 0
    assert mailer.tries == 0
    assert [mail.state for mail in home.mails()] == [MailState.SUPERSEDED]
    assert home.again(invitation).delivery_state is DeliveryState.NOT_REQUESTED


def _revoke(home: Household, invitation_id: str) -> None:
    home.world.service.invitations.revoke(home.world.call("Ada"), invitation_id)


def _accept(home: Household, invitation_id: str) -> None:
    home.world.service.invitations.accept(home.world.call("Grace"), invitation_id=invitation_id)


def _decline(home: Household, invitation_id: str) -> None:
    home.world.service.invitations.decline(home.world.call("Grace"), invitation_id=invitation_id)


def _expire(home: Household, invitation_id: str) -> None:
    home.world.clock.forward(timedelta(days=30))


@pytest.mark.parametrize(
    ("ending", "status", "delivery"),
    [
        (_revoke, InvitationStatus.REVOKED, DeliveryState.NOT_REQUESTED),
        (_accept, InvitationStatus.ACCEPTED, DeliveryState.NOT_REQUESTED),
        (_decline, InvitationStatus.DECLINED, DeliveryState.NOT_REQUESTED),
        (_expire, InvitationStatus.EXPIRED, DeliveryState.FAILED),
    ],
)
def test_a_mail_of_an_invitation_that_is_over_is_never_sent(
    home: Household, ending: Callable[[Household, str], None], status: InvitationStatus, delivery: DeliveryState
) -> None:
    invitation = home.invite("grace@example.com")
    ending(home, invitation.id)
    mailer = GivenMailer()
    assert home.outbox(mailer).send_due() == 0
    assert mailer.tries == 0
    assert [mail.state for mail in home.mails()] == [MailState.SUPERSEDED]
    again = home.again(invitation)
    assert (again.delivery_state, again.delivery_error) == (delivery, f"not sent: the invitation is {status}")
    assert retry_failed(home.world.service.store, home.world.clock) == 0


def test_a_mail_of_a_deleted_invitation_is_not_sent(home: Household) -> None:
    invitation = home.invite("grace@example.com")
    home.world.service.invitations.delete(home.world.call("Ada"), invitation.id)
    mailer = GivenMailer()
    assert home.outbox(mailer).send_due() == 0
    assert mailer.tries == 0


def test_a_mail_whose_invitation_is_revoked_between_two_tries_is_not_tried_again(home: Household) -> None:
    invitation = home.invite("grace@example.com")
    home.outbox(failing(MailError("not now"))).send_due()
    _revoke(home, invitation.id)
    home.world.clock.forward(DAY)
    mailer = GivenMailer()
    assert home.outbox(mailer).send_due() == 0
    assert mailer.tries == 0


# Failing and trying again.


def test_the_delays_double_from_ten_seconds_to_an_hour_and_last_a_day() -> None:
    delays = [delay_after(attempts, 0.5).total_seconds() for attempts in range(1, MAX_ATTEMPTS)]
    assert delays[:10] == [10, 20, 40, 80, 160, 320, 640, 1280, 2560, 3600]
    assert set(delays[9:]) == {3600}
    assert DAY <= timedelta(seconds=sum(delays)) < DAY + timedelta(hours=1)
    assert (delay_after(1, 0), delay_after(1, 1)) == (timedelta(seconds=7.5), timedelta(seconds=12.5))


def test_what_cannot_be_sent_now_is_tried_again_after_the_delay_and_not_before(home: Household) -> None:
    invitation = home.invite("grace@example.com")
    assert home.outbox(failing(MailError("450 greylisted"))).send_due() == 0
    again = home.again(invitation)
    assert (again.delivery_state, again.delivery_error) == (DeliveryState.QUEUED, "450 greylisted")
    mailer = GivenMailer()
    home.world.clock.forward(timedelta(seconds=9.9))
    assert home.outbox(mailer).send_due() == 0
    assert mailer.tries == 0
    home.world.clock.forward(timedelta(seconds=0.1))
    assert home.outbox(mailer).send_due() == 1
    again = home.again(invitation)
    assert (again.delivery_state, again.delivery_error) == (DeliveryState.SENT, "")


def test_a_mail_that_cannot_be_sent_for_a_day_has_failed_with_the_reason(home: Household) -> None:
    invitation = home.invite("grace@example.com")
    mailer = failing(MailError("450 greylisted"))
    began = home.world.clock.now
    while home.again(invitation).delivery_state is DeliveryState.QUEUED:
        home.outbox(mailer).send_due()
        (mail,) = home.mails()
        if mail.state is MailState.QUEUED:
            home.world.clock.forward(mail.next_attempt_at - home.world.clock.now)
    assert mailer.tries == MAX_ATTEMPTS
    assert DAY <= home.world.clock.now - began < DAY + timedelta(hours=1)
    again = home.again(invitation)
    assert (again.delivery_state, again.delivery_error) == (DeliveryState.FAILED, "450 greylisted")
    home.world.clock.forward(DAY)
    assert home.outbox(mailer).send_due() == 0
    assert mailer.tries == MAX_ATTEMPTS


def test_a_mail_that_is_refused_for_good_has_failed_at_once(home: Household) -> None:
    invitation = home.invite("grace@example.com")
    mailer = failing(MailRefusedError("550 no such user"))
    assert [home.outbox(mailer).send_due() for _ in range(2)] == [0, 0]
    home.world.clock.forward(DAY)
    home.outbox(mailer).send_due()
    assert mailer.tries == 1
    again = home.again(invitation)
    assert (again.delivery_state, again.delivery_error) == (DeliveryState.FAILED, "550 no such user")


def test_one_mail_that_cannot_be_made_does_not_hold_up_the_others(
    home: Household, caplog: pytest.LogCaptureFixture
) -> None:
    for number in range(3):
        home.invite(f"person{number}@example.com")
    mailer = GivenMailer(lambda mail: ZeroDivisionError(mail.link) if mail.email.startswith("person1") else None)
    with caplog.at_level(logging.INFO):
        assert home.outbox(mailer).send_due() == 2
    (broken,) = home.mails(MailState.QUEUED)
    assert broken.error == "the mail can't be made (ZeroDivisionError)"
    assert INVITATION_TOKEN_PREFIX not in str([vars(record) for record in caplog.records])


def test_a_mail_server_that_cannot_be_used_is_left_alone_for_a_while(home: Household) -> None:
    for number in range(20):
        home.invite(f"person{number}@example.com")
    mailer = failing(MailServerError("nobody listens"))
    outbox = home.outbox(mailer)
    for _ in range(5):
        assert outbox.send_due() == 0
    assert mailer.tries == 1
    assert sum(mail.attempts for mail in home.mails()) == 1
    home.world.clock.forward(REST)
    outbox.send_due()
    assert mailer.tries == 2


def test_a_mail_is_delivered_when_the_mail_server_is_back(home: Household) -> None:
    with mail_server() as gone:
        pass
    invitation = home.invite("grace@example.com")
    outbox = home.outbox(gone.url)
    assert outbox.send_due() == 0
    assert "refused" in home.again(invitation).delivery_error
    with mail_server(gone.port) as back:
        assert outbox.send_due() == 0
        home.world.clock.forward(timedelta(seconds=10))
        assert outbox.send_due() == 1
        assert [mail.recipients for mail in back.mails] == [("grace@example.com",)]
    assert home.again(invitation).delivery_state is DeliveryState.SENT


def test_an_invitation_whose_key_is_gone_fails_with_the_reason_and_goes_out_when_it_is_back(home: Household) -> None:
    invitation = home.invite("grace@example.com")
    store, clock, mailer = home.world.service.store, home.world.clock, GivenMailer()
    other = SecretKeys([b"another key of thirty-two bytes.."])
    stranger = Outbox(store, clock, other, mailer, Links(PUBLIC_URL), KeySealing(other))
    assert stranger.send_due() == 0
    assert "key" in home.again(invitation).delivery_error
    assert retry_failed(store, clock) == 1
    assert home.outbox(mailer).send_due() == 1


def test_what_the_mail_server_quotes_of_a_mail_shows_no_token(
    home: Household, caplog: pytest.LogCaptureFixture
) -> None:
    theirs = "https://elsewhere.example/secret"
    own = home.invite("grace@example.com")
    given = home.invite_by_backend("alan@example.com", link=theirs)
    with caplog.at_level(logging.INFO):
        home.outbox(GivenMailer(lambda mail: MailRefusedError(f"554 spam:\r\n {mail.link}\x07 {'x' * 999}"))).send_due()
    shown = [home.again(own).delivery_error, home.again(given).delivery_error]
    assert shown[0].startswith(f"554 spam: {PUBLIC_URL}/invitations#(token) xxx")
    assert shown[1].startswith("554 spam: (link) xxx")
    assert all(len(reason) <= 300 for reason in shown)
    logged = str([vars(record) for record in caplog.records])
    assert "554 spam" in logged
    assert INVITATION_TOKEN_PREFIX not in logged
    assert theirs not in logged


# Crashes and company.


def test_a_mail_whose_sender_died_goes_out_when_the_lease_ends(home: Household) -> None:
    home.invite("grace@example.com")
    with pytest.raises(Killed):
        home.outbox(failing(Killed())).send_due()
    mailer = GivenMailer()
    home.world.clock.forward(timedelta(minutes=5) - timedelta(microseconds=1))
    assert home.outbox(mailer).send_due() == 0
    home.world.clock.forward(timedelta(microseconds=1))
    assert home.outbox(mailer).send_due() == 1


def test_a_mail_that_was_sent_twice_has_one_message_id(home: Household, smtp: MailServer) -> None:
    home.invite("grace@example.com")

    @contextmanager
    def dying_after() -> Iterator[Callable[[InvitationMail], None]]:
        with home.outbox(smtp.url).mailer.session() as send:

            def deliver(mail: InvitationMail) -> None:
                send(mail)
                raise Killed

            yield deliver

    mailer = GivenMailer()
    mailer.session = dying_after  # type: ignore[method-assign]
    with pytest.raises(Killed):
        home.outbox(mailer).send_due()
    home.world.clock.forward(LEASE)
    assert home.outbox(smtp.url).send_due() == 1
    first, second = smtp.mails
    assert first.message["Message-ID"] == second.message["Message-ID"]
    assert first.token == second.token


def test_two_that_send_at_once_send_each_mail_once(home: Household, tmp_path: Path) -> None:
    for number in range(60):
        home.invite(f"person{number}@example.com")
    mailer, start = GivenMailer(), threading.Barrier(4)
    # A store of each one's own on the same file, as in processes of their own.
    stores = [SqliteStore(tmp_path / "organizations.db", home.world.clock) for _ in range(4)]

    def send(store: SqliteStore) -> None:
        outbox = Outbox(
            store, home.world.clock, SecretKeys([KEY]), mailer, Links(PUBLIC_URL), KeySealing(SecretKeys([KEY]))
        )
        start.wait()
        outbox.send_due()

    threads = [threading.Thread(target=send, args=(store,)) for store in stores]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for store in stores:
        store.close()
    assert len(mailer.sent) == len({mail.email for mail in mailer.sent}) == 60
    assert {mail.state for mail in home.mails()} == {MailState.SENT}


def test_a_sender_whose_lease_ran_out_does_not_undo_what_another_wrote(home: Household) -> None:
    invitation = home.invite("grace@example.com")
    other = GivenMailer()

    def slow(mail: InvitationMail) -> MailError:
        home.world.clock.forward(LEASE)
        assert home.outbox(other).send_due() == 1
        return MailRefusedError("too late")

    home.outbox(GivenMailer(slow)).send_due()
    assert home.again(invitation).delivery_state is DeliveryState.SENT
    assert [mail.state for mail in home.mails()] == [MailState.SENT]


def test_who_is_told_to_stop_sends_no_more(home: Household) -> None:
    for number in range(3):
        home.invite(f"person{number}@example.com")
    mailer = GivenMailer()
    assert home.outbox(mailer).send_due(lambda: bool(mailer.sent)) == 1
    assert home.outbox(mailer).send_due() == 2


# What the operator sees and does.


def test_failed_mails_are_tried_again_on_request_all_or_some(home: Household) -> None:
    store, clock = home.world.service.store, home.world.clock
    invitations = [home.invite(f"person{number}@example.com") for number in range(3)]
    home.outbox(failing(MailRefusedError("550 no"))).send_due()
    by_invitation = {mail.invitation_id: mail for mail in home.mails(MailState.FAILED)}
    assert len(by_invitation) == 3
    assert retry_failed(store, clock, ["unknown"]) == 0
    assert retry_failed(store, clock, [by_invitation[invitations[0].id].id, invitations[1].id]) == 2
    again = home.again(invitations[0])
    assert (again.delivery_state, again.delivery_error) == (DeliveryState.QUEUED, "")
    assert retry_failed(store, clock) == 1
    assert retry_failed(store, clock) == 0
    assert home.outbox(GivenMailer()).send_due() == 3


def test_a_failed_mail_of_an_older_generation_that_is_tried_again_is_superseded(home: Household) -> None:
    store, clock = home.world.service.store, home.world.clock
    invitation = home.invite("grace@example.com")
    home.outbox(failing(MailRefusedError("550 no"))).send_due()
    home.world.service.invitations.resend(home.world.call("Ada"), invitation.id)
    mailer = GivenMailer()
    home.outbox(mailer).send_due()
    assert retry_failed(store, clock) == 1
    assert home.outbox(mailer).send_due() == 0
    assert len(mailer.sent) == 1
    assert home.again(invitation).delivery_state is DeliveryState.SENT


def test_the_list_names_each_mail_with_its_invitation(home: Household) -> None:
    store = home.world.service.store
    first, second = home.invite("Grace@Example.com"), home.invite("alan@example.com")
    home.outbox(GivenMailer(lambda mail: MailRefusedError("550 no") if "alan" in mail.email else None)).send_due()
    assert {invitation.email for _, invitation in list_mails(store)} == {"Grace@Example.com", "alan@example.com"}
    assert [invitation.id for _, invitation in list_mails(store, (MailState.FAILED,))] == [second.id]
    assert [invitation.id for _, invitation in list_mails(store, (MailState.SENT,))] == [first.id]
    assert len(list_mails(store, limit=1)) == 1


def test_a_role_of_the_instance_is_called_by_its_name(home: Household) -> None:
    home.world.service.roles.create("billing", "Billing desk")
    home.invite("grace@example.com", roles=("billing",))
    mailer = GivenMailer()
    home.outbox(mailer).send_due()
    assert mailer.sent[0].named_roles == ("Billing desk",)


def test_the_link_is_not_in_what_is_printed_of_a_mail(home: Household) -> None:
    mailer = GivenMailer()
    home.invite("grace@example.com")
    home.outbox(mailer).send_due()
    assert INVITATION_TOKEN_PREFIX in mailer.sent[0].link
    assert INVITATION_TOKEN_PREFIX not in repr(mailer.sent[0])


def test_new_invitations_ask_for_a_mail_unless_told_otherwise(home: Household) -> None:
    home.invite("grace@example.com", send_email=False)
    mailer = GivenMailer()
    assert home.outbox(mailer).send_due() == 0
    assert NewInvitation("x@example.com").send_email
