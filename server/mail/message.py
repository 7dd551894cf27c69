"""A mail as it goes over the wire: headers that nobody but us writes, text and HTML."""

from __future__ import annotations

from dataclasses import dataclass
from email import policy
from email.headerregistry import Address, AddressHeader
from email.message import EmailMessage
from email.utils import format_datetime

from server.domain.address import domain_key, is_address
from server.domain.text import is_plain_line
from server.mail import MailSetupError
from server.mail.render import Rendered
from server.ports import InvitationMail, MailRefusedError


@dataclass(frozen=True, slots=True)
class Sender:
    """Whom mails are from: always the operator, never the inviter."""

    name: str
    user: str
    domain: str

    @classmethod
    def parse(cls, text: str) -> Sender:
        """Read MAIL_FROM: an address, or `Name <address>`; `MailSetupError` when it is none."""
        header = policy.SMTP.header_factory("from", text if is_plain_line(text) else "")
        addresses = header.addresses if isinstance(header, AddressHeader) else ()
        for address in addresses[:1]:
            sender = cls(address.display_name, address.username, domain_key(address.domain))
            # A host alone will do, as in no-reply@localhost.
            if len(addresses) == 1 and is_address(f"{sender.address}.invalid") and sender.address.isascii():
                return sender
        raise MailSetupError(f"MAIL_FROM {text!r} is no address; write 'Name <no-reply@example.com>'")

    @property
    def address(self) -> str:
        """The address alone."""
        return f"{self.user}@{self.domain}"


def compose(mail: InvitationMail, words: Rendered, sender: Sender) -> EmailMessage:
    """Give the mail with its headers; `MailRefusedError` for an address that no mail can be sent to.

    However often it is sent, its Message-ID is the same, so that mail systems can tell a repetition.
    """
    if not is_address(mail.email):
        raise MailRefusedError("the address is none that a mail can be sent to")
    message = EmailMessage(policy=policy.SMTP)
    message["From"] = Address(sender.name, sender.user, sender.domain)
    message["To"] = recipient(mail.email)
    message["Subject"] = words.subject
    message["Date"] = format_datetime(mail.written_at)
    message["Message-ID"] = f"<{mail.id}@{sender.domain}>"
    message["Auto-Submitted"] = "auto-generated"
    message["Content-Language"] = words.language
    # Quoted-printable goes through every server, and its lines are never too long.
    message.set_content(words.text, cte="quoted-printable")
    message.add_alternative(words.html, subtype="html", cte="quoted-printable")
    return message


def recipient(email: str) -> Address:
    """Give an address with its domain in ASCII; a local part in other letters needs SMTPUTF8."""
    local, _, domain = email.rpartition("@")
    return Address(username=local, domain=domain_key(domain))
