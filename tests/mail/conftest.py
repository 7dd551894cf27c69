"""What tests of mail share: a mail server, organizations to invite into, and what sends."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from server.domain.invitation import Invitation
from server.domain.organization import Organization
from server.domain.secrets import SecretKeys
from server.mail.message import Sender
from server.mail.render import Templates
from server.mail.smtp import SmtpMailer, SmtpServer
from server.ports import Mailer, MailState, OutboxMail
from server.sealing import KeySealing
from server.service.call import Call
from server.service.invitations import NewInvitation
from server.service.outbox import Links, Outbox
from tests.conftest import KEY, World
from tests.mail.mail_server import MailServer, mail_server

SENDER = Sender.parse("Acme's organizations <no-reply@acme.example>")
TEMPLATES = Templates()
PUBLIC_URL = "https://organizations.example.com"


def smtp_mailer(url: str) -> SmtpMailer:
    return SmtpMailer(SmtpServer.from_url(url), SENDER, TEMPLATES)


@dataclass
class Household:
    """An organization of Ada's, and its invitations."""

    world: World
    organization: Organization

    def invite(self, email: str, **more: object) -> Invitation:
        new = NewInvitation(email, **more)  # type: ignore[arg-type]
        return self.world.service.invitations.create(self.world.call("Ada"), self.organization.id, new).invitation

    def invite_by_backend(self, email: str, **more: object) -> Invitation:
        key = self.world.service.backend_keys.issue("mail")[1]
        new = NewInvitation(email, **more)  # type: ignore[arg-type]
        return self.world.service.invitations.create(Call(key), self.organization.id, new).invitation

    def again(self, invitation: Invitation) -> Invitation:
        """Give the invitation as it is now."""
        return self.world.service.invitations.get(self.world.call("Ada"), invitation.id)

    def outbox(self, mailer: Mailer | str, jitter: float = 0.5) -> Outbox:
        """Give what sends, through a mailer or to the mail server at a URL."""
        return Outbox(
            self.world.service.store,
            self.world.clock,
            SecretKeys([KEY]),
            smtp_mailer(mailer) if isinstance(mailer, str) else mailer,
            Links(PUBLIC_URL, ("https://app.example.com",)),
            KeySealing(SecretKeys([KEY])),
            lambda: jitter,
        )

    def mails(self, *states: MailState) -> list[OutboxMail]:
        with self.world.service.store.snapshot() as tx:
            return list(tx.mails(states, 1000))


@pytest.fixture
def home(world: World) -> Household:
    return Household(world, world.service.organizations.create(world.call("Ada"), "Acme")[0])


@pytest.fixture
def smtp() -> Iterator[MailServer]:
    with mail_server() as running:
        yield running
