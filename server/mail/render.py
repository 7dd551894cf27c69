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
from server.ports import InvitationMail, Mail, MailError, SignInMail

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

    The files are `<language>/invitation.subject.txt`, `.txt` and `.html`, the same of `sign_in`, and what these
    include. Each is tried once at the beginning: `MailSetupError` when one doesn't compile, or asks for what there
    isn't.
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

    def render(self, mail: Mail) -> Rendered:
        """Write a mail in the best language for its locale; `MailError` when a template fails."""
        language = best_language(mail.locale)
        name, facts = _facts(mail, language)
        try:
            subject, text, html = (self._part(language, f"{name}.{part}", facts) for part in _PARTS)
        except TemplateError as error:
            raise MailError(f"a mail template can't be used ({type(error).__name__})") from error
        return Rendered(language.tag, " ".join(subject.split()), text, html)

    def _try(self, sample: Mail, language: Language) -> None:
        name, facts = _facts(sample, language)
        for part in _PARTS:
            try:
                self._part(language, f"{name}.{part}", facts)
            except Exception as error:
                place = f"{language.tag}/{name}.{part}"
                raise MailSetupError(f"the mail template {place} can't be used: {error}") from error

    def _part(self, language: Language, file: str, facts: dict[str, str]) -> str:
        return self._environment.get_template(f"{language.tag}/{file}").render(facts)


def _facts(mail: Mail, language: Language) -> tuple[str, dict[str, str]]:
    """Give the name of a mail's templates, and what they may use."""
    about = {
        "language": language.tag,
        "expires_at": language.moment_in_words(mail.expires_at),
        "expires_in": language.span_in_words(mail.expires_at - mail.written_at),
    }
    if isinstance(mail, SignInMail):
        # In two groups, as people read it out.
        return "sign_in", about | {"site": mail.site, "code": f"{mail.code[:4]} {mail.code[4:]}"}
    return "invitation", about | {
        "organization": harmless(mail.organization) or "—",
        "inviter": harmless(mail.inviter),
        "role": ", ".join(filter(None, map(harmless, mail.named_roles))) or language.roles[mail.role],
        "link": quote(mail.link, safe=_URL_CHARACTERS),
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


def _sign_in_sample() -> SignInMail:
    written_at = datetime(2030, 1, 1, 12, tzinfo=UTC)
    return SignInMail(
        id="",
        email="",
        locale="",
        site="example.com",
        code="12345678",
        written_at=written_at,
        expires_at=written_at + timedelta(minutes=10),
    )


_SAMPLES: tuple[Mail, ...] = (_sample("Ada", ()), _sample("", ("Billing",)), _sign_in_sample())
