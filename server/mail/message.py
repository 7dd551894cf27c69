"""A mail as it goes over the wire: headers that nobody but us writes, text and HTML."""

from __future__ import annotations

import re
from dataclasses import dataclass
from email.header import Header
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP, EmailPolicy
from email.utils import format_datetime

from server.domain.address import domain_key, is_address
from server.domain.text import is_plain_line
from server.mail import MailSetupError
from server.mail.render import Rendered
from server.ports import Mail, MailRefusedError

_CODE = "=?"
"""How encoded text begins in a header. EmailMessage decodes it, and would write the line breaks that it hides."""

_NAME_AND_ADDRESS = re.compile(r"(?P<name>[^<>]*)<(?P<address>[^<>\s]+)>")


@dataclass(frozen=True, slots=True)
class Sender:
    """Whom mails are from: always the operator, never the inviter."""

    name: str
    user: str
    domain: str

    @classmethod
    def parse(cls, text: str) -> Sender:
        """Read MAIL_FROM: an address, or `Name <address>`; `MailSetupError` when it is none."""
        match = _NAME_AND_ADDRESS.fullmatch(text.strip())
        name, address = (match["name"], match["address"]) if match else ("", text.strip())
        user, _, domain = address.rpartition("@")
        if is_plain_line(text) and _CODE not in text:
            sender = cls(name.strip().strip('"'), user, domain_key(domain))
            # A host alone will do, as in no-reply@localhost.
            if is_address(f"{sender.address}.invalid") and sender.address.isascii():
                return sender
        raise MailSetupError(f"MAIL_FROM {text!r} is no address; write 'Name <no-reply@example.com>'")

    @property
    def address(self) -> str:
        """The address alone."""
        return f"{self.user}@{self.domain}"


class _Subject(str):
    """A subject that is written as it is, encoded where that is needed.

    EmailMessage would decode what looks encoded already, and when it folds what it encodes it loses blanks.
    """

    __slots__ = ()
    name = "Subject"

    def fold(self, *, policy: EmailPolicy) -> str:
        """Give the header's lines (`email.headerregistry.BaseHeader.fold`)."""
        plain = self.isascii() and len(self) <= 66 and _CODE not in self
        value = str(self) if plain else Header(str(self), "utf-8", header_name=self.name).encode(linesep=policy.linesep)
        return f"{self.name}: {value}{policy.linesep}"


def compose(mail: Mail, words: Rendered, sender: Sender) -> EmailMessage:
    """Give the mail with its headers; `MailRefusedError` for an address that no mail can be sent to.

    However often it is sent, its Message-ID is the same, so that mail systems can tell a repetition.
    """
    if not is_address(mail.email) or _CODE in mail.email:
        raise MailRefusedError("the address is none that a mail can be sent to")
    message = EmailMessage(policy=SMTP)
    message["From"] = Address(sender.name, sender.user, sender.domain)
    message["To"] = recipient(mail.email)
    message["Subject"] = _Subject(words.subject)
    message["Date"] = format_datetime(mail.written_at)
    message["Message-ID"] = f"<{mail.id}@{sender.domain}>"
    message["Auto-Submitted"] = "auto-generated"
    # Quoted-printable goes through every server, and its lines are never too long.
    message.set_content(words.text, cte="quoted-printable")
    message.add_alternative(words.html, subtype="html", cte="quoted-printable")
    message["Content-Language"] = words.language  # last, or it would be taken for the text's alone
    return message


def recipient(email: str) -> Address:
    """Give an address with its domain in ASCII; a local part in other letters needs SMTPUTF8."""
    local, _, domain = email.rpartition("@")
    return Address(username=local, domain=domain_key(domain))
