"""The words of a mail, from the templates of its language."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import quote

from jinja2 import FileSystemLoader, StrictUndefined, TemplateError, select_autoescape
from jinja2.sandbox import ImmutableSandboxedEnvironment

from server.domain.organization import Role
from server.mail import MailSetupError
from server.mail.languages import LANGUAGES, Language, best_language
from server.mail.names import harmless
from server.ports import InvitationMail, MailError

OUR_TEMPLATES = Path(__file__).parent / "templates"

_PARTS = ("subject.txt", "txt", "html")

_URL_CHARACTERS = "%/:=&?~#+!$,;'@()*[]"
"""What may stand in a URL as it is, beside letters and digits; nothing of it ends a link in a plain text."""


@dataclass(frozen=True, slots=True)
class Rendered:
    """A mail's words, and the tag of their language."""

    language: str
    subject: str
    text: str
    html: str


class Templates:
    """The templates: an operator's directory where it has the file, and ours otherwise.

    The files are `<language>/invitation.subject.txt`, `.txt` and `.html`, and what these include. Each is tried once
    at the beginning: `MailSetupError` when one doesn't compile, or asks for what there isn't.
    """

    def __init__(self, directory: str = "") -> None:
        if directory and not Path(directory).is_dir():
            raise MailSetupError(f"MAIL_TEMPLATES {directory!r} is no directory")
        searched = [*([directory] if directory else []), str(OUR_TEMPLATES)]
        self._environment = ImmutableSandboxedEnvironment(
            loader=FileSystemLoader(searched),
            autoescape=select_autoescape(("html",)),
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,
        )
        for language in LANGUAGES:
            for sample in _SAMPLES:
                self._try(sample, language)

    def render(self, mail: InvitationMail) -> Rendered:
        """Write a mail in the best language for its locale; `MailError` when a template fails."""
        language = best_language(mail.locale)
        facts = _facts(mail, language)
        try:
            subject, text, html = (self._part(language, part, facts) for part in _PARTS)
        except TemplateError as error:
            raise MailError(f"a mail template can't be used ({type(error).__name__})") from error
        return Rendered(language.tag, " ".join(subject.split()), text, html)

    def _try(self, sample: InvitationMail, language: Language) -> None:
        facts = _facts(sample, language)
        for part in _PARTS:
            try:
                self._part(language, part, facts)
            except Exception as error:
                place = f"{language.tag}/invitation.{part}"
                raise MailSetupError(f"the mail template {place} can't be used: {error}") from error

    def _part(self, language: Language, part: str, facts: dict[str, str]) -> str:
        return self._environment.get_template(f"{language.tag}/invitation.{part}").render(facts)


def _facts(mail: InvitationMail, language: Language) -> dict[str, str]:
    """Give what the templates may use."""
    return {
        "language": language.tag,
        "organization": harmless(mail.organization) or "—",
        "inviter": harmless(mail.inviter),
        "role": ", ".join(filter(None, map(harmless, mail.named_roles))) or language.roles[mail.role],
        "link": quote(mail.link, safe=_URL_CHARACTERS),
        "expires_at": language.moment_in_words(mail.expires_at),
        "expires_in": language.span_in_words(mail.expires_at - mail.written_at),
    }


def _sample(inviter: str, named_roles: tuple[str, ...]) -> InvitationMail:
    written_at = datetime(2030, 1, 1, 12, tzinfo=UTC)
    return InvitationMail(
        id="",
        email="",
        locale="",
        organization="Acme",
        inviter=inviter,
        role=Role.MEMBER,
        named_roles=named_roles,
        link="https://example.com/",
        written_at=written_at,
        expires_at=written_at + timedelta(days=7),
    )


_SAMPLES = (_sample("Ada", ()), _sample("", ("Billing",)))
