"""What mails say, in every language."""

from __future__ import annotations

import itertools
from datetime import timedelta
from html.parser import HTMLParser
from pathlib import Path

import pytest

from server.domain.organization import Role
from server.mail import MailSetupError
from server.mail.languages import ENGLISH, GERMAN, LANGUAGES, best_language
from server.mail.render import Templates
from tests.mail.conftest import TEMPLATES
from tests.mail.test_headers import NOON, a_mail

SNAPSHOTS = Path(__file__).parent / "snapshots"
TAGS = [language.tag for language in LANGUAGES]


class Page(HTMLParser):
    """The elements of a page with their attributes, and its text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.mark.parametrize("tag", TAGS)
def test_a_mail_says_who_invites_where_to_until_when_and_what_to_do(tag: str) -> None:
    words = TEMPLATES.render(a_mail(locale=tag))
    assert f"{words.subject}\n\n{words.text}" == (SNAPSHOTS / f"{tag}.txt").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("tag", "inviter", "role", "named"),
    list(itertools.product(TAGS, ["Ada", ""], Role, [(), ("Billing",), ("Billing", "Support")])),
)
def test_every_language_says_everything_in_text_and_html(
    tag: str, inviter: str, role: Role, named: tuple[str, ...]
) -> None:
    language = best_language(tag)
    words = TEMPLATES.render(a_mail(locale=tag, inviter=inviter, role=role, named_roles=named))
    page = Page(words.html)
    assert words.language == tag
    assert "Acme" in words.subject
    role_in_words = ", ".join(named) or language.roles[role]
    until = language.moment_in_words(NOON + timedelta(days=7))
    in_words = language.span_in_words(timedelta(days=7))
    for part in (words.text, page.text):
        assert all(fact in part for fact in ("Acme", inviter, role_in_words, until, in_words))
        assert "https://organizations.example.com/invitations#token" in part


@pytest.mark.parametrize("tag", TAGS)
def test_the_html_loads_nothing_and_links_to_the_invitation_alone(tag: str) -> None:
    page = Page(TEMPLATES.render(a_mail(locale=tag, organization="evil.com", inviter="<img src=//evil.com>")).html)
    assert dict(page.elements[0:1]) == {"html": {"lang": tag}}
    links = [attributes["href"] for name, attributes in page.elements if name == "a"]
    assert links == ["https://organizations.example.com/invitations#token"]
    assert not {"img", "script", "link", "iframe", "object", "form"} & {name for name, _ in page.elements}
    assert not any("src" in attributes or "background" in attributes for _, attributes in page.elements)
    schemes = [attributes["content"] for _, attributes in page.elements if attributes.get("name") == "color-scheme"]
    assert schemes == ["light dark"]
    assert "<img src=/ /evil. com>" in page.text


def test_markup_in_names_is_shown_and_not_obeyed() -> None:
    words = TEMPLATES.render(a_mail(organization='<b>"Acme" & {{ 7 * 7 }}</b>', link='https://x.example/"><b>'))
    assert "<b>" not in words.html
    assert '<b>"Acme" & {{ 7 * 7 }}</b>' in Page(words.html).text
    assert 'href="https://x.example/%22%3E%3Cb%3E"' in words.html
    assert "https://x.example/%22%3E%3Cb%3E\n" in words.text


@pytest.mark.parametrize(
    ("locale", "tag"),
    [
        ("", "en"),
        ("de", "de"),
        ("de-AT", "de"),
        ("DE_ch", "de"),
        ("es-419", "es"),
        ("zh-Hant-TW", "zh"),
        ("gsw", "en"),
        ("pt-BR", "en"),
        ("../../etc/passwd", "en"),
        ("de\r\nX: y", "en"),
    ],
)
def test_the_language_is_the_best_for_the_locale(locale: str, tag: str) -> None:
    assert best_language(locale).tag == tag


@pytest.mark.parametrize(
    ("span", "english", "german"),
    [
        (timedelta(days=365), "in 365 days", "in 365 Tagen"),
        (timedelta(days=30), "in 30 days", "in 30 Tagen"),
        (timedelta(days=7), "in 7 days", "in 7 Tagen"),
        # As a mail that went out a moment after the invitation was made says it.
        (timedelta(days=7) - timedelta(seconds=5), "in 7 days", "in 7 Tagen"),
        (timedelta(hours=48), "in 2 days", "in 2 Tagen"),
        (timedelta(hours=48) - timedelta(seconds=1), "in 2 days", "in 2 Tagen"),
        (timedelta(hours=47), "in 47 hours", "in 47 Stunden"),
        (timedelta(hours=24), "in 24 hours", "in 24 Stunden"),
        (timedelta(hours=1), "in 1 hour", "in 1 Stunde"),
        (timedelta(hours=1) - timedelta(seconds=5), "in 1 hour", "in 1 Stunde"),
        (timedelta(minutes=59), "in 59 minutes", "in 59 Minuten"),
        (timedelta(minutes=1), "in 1 minute", "in 1 Minute"),
        (timedelta(seconds=1), "in 1 minute", "in 1 Minute"),
    ],
)
def test_a_span_is_said_in_words_that_people_use(span: timedelta, english: str, german: str) -> None:
    assert (ENGLISH.span_in_words(span), GERMAN.span_in_words(span)) == (english, german)


def test_a_span_is_never_said_in_thousands_of_minutes() -> None:
    for language in LANGUAGES:
        for minutes in range(1, 60 * 24 * 400, 7):
            words = language.span_in_words(timedelta(minutes=minutes))
            assert int("".join(filter(str.isdigit, words))) <= 400


# Templates of an operator's own.


def put(directory: Path, name: str, text: str) -> str:
    path = directory / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return str(directory)


def test_a_template_of_the_operators_goes_before_ours_and_the_others_stay(tmp_path: Path) -> None:
    directory = put(tmp_path, "de/invitation.subject.txt", "Komm zu {{ organization }},\n {{ inviter }}\n")
    templates = Templates(directory)
    assert templates.render(a_mail(locale="de")).subject == "Komm zu Acme, Ada"
    assert templates.render(a_mail(locale="de")).text == TEMPLATES.render(a_mail(locale="de")).text
    assert templates.render(a_mail()) == TEMPLATES.render(a_mail())


def test_a_layout_of_the_operators_is_used_by_our_pages(tmp_path: Path) -> None:
    templates = Templates(put(tmp_path, "layout.html", "<main>{% block body %}{% endblock %}</main>"))
    for tag in TAGS:
        assert templates.render(a_mail(locale=tag)).html.startswith("<main>")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("en/invitation.txt", "{% if %}"),
        ("es/invitation.html", "{{ organisation }}"),
        ("zh/invitation.txt", "{% if not inviter %}{{ nobody }}{% endif %}"),
        ("de/invitation.html", '{% extends "nowhere.html" %}'),
        ("de/invitation.txt", "{{ ''.__class__.__mro__ }}"),
    ],
)
def test_a_template_that_cannot_be_used_is_named_at_the_start(tmp_path: Path, name: str, text: str) -> None:
    with pytest.raises(MailSetupError, match=f"the mail template {name} can't be used"):
        Templates(put(tmp_path, name, text))


def test_a_template_that_is_no_text_is_named_at_the_start(tmp_path: Path) -> None:
    directory = put(tmp_path, "en/invitation.txt", "")
    (tmp_path / "en/invitation.txt").write_bytes(b"\xff\xfe")
    with pytest.raises(MailSetupError, match=r"en/invitation\.txt"):
        Templates(directory)
