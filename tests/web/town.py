"""A service as it runs in earnest: with a provider that isn't ours, and mails that really travel."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.mail.mail_server import MailServer, Received, mail_server
from tests.running import RunningServer, free_port, running_server, wait_until
from tests.web.browser import Person
from tests.web.photographs import ALL
from tests.web.provider import Provider, provider, sign_in_there

MAX_MEMBERS = 3

PEOPLE: dict[str, dict[str, Any]] = {
    name: {"name": name.title(), "email": f"{name}@example.com", "email_verified": name != "ulf"}
    for name in ("ada", "bob", "eve", "kim", "mia", "nia", "ulf")
}
PEOPLE["bob"]["inUserinfo"] = True


@dataclass(frozen=True)
class Town:
    """A service, the provider that people sign in at, and the mail server that takes its mails."""

    service: RunningServer
    provider: Provider
    mail: MailServer

    @property
    def url(self) -> str:
        return self.service.url

    def mail_to(self, email: str) -> Received:
        """Wait for the newest mail to an address."""

        def arrived() -> list[Received]:
            return [mail for mail in self.mail.mails if email in mail.recipients]

        wait_until(arrived)
        return arrived()[-1]

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        """Look into the database."""
        with closing(sqlite3.connect(self.service.database_url.removeprefix("sqlite:///"))) as database:
            return database.execute(sql).fetchall()

    def rows(self) -> dict[str, list[Any]]:
        """Give all that is in the database, by table."""
        tables = self.query("select name from sqlite_master where type = 'table'")
        return {name: self.query(f'select * from "{name}"') for (name,) in tables}


def reachable_server(directory: Path, environ: dict[str, str]) -> AbstractContextManager[RunningServer]:
    """Run a server that knows where people reach it, which its mails and the way back from a provider say."""
    return running_server(directory, "--port", str(free_port()), environ=environ)


Come = Callable[..., Person]
"""Lets somebody come, with a path to open and Playwright's options of a browser context."""


@contextmanager
def running_town(directory: Path) -> Iterator[Town]:
    """Run it all."""
    with provider() as away, mail_server() as mail:
        settings = away.settings | {"SMTP_URL": mail.url, "MAX_MEMBERS": str(MAX_MEMBERS)}
        with reachable_server(directory, settings) as service:
            away.set_up(service.url, PEOPLE)
            yield Town(service, away, mail)


def leaks_nothing(sent: dict[str, Any], town: Town) -> None:
    """See that a request goes where it should, and tells nobody where the person was or what they hold."""
    origin = re.match(r"\w+://[^/]+", sent["url"])
    assert origin, sent
    assert origin[0] in (town.url, town.provider.issuer)
    # The provider's own pages may tell where they are.
    assert not sent["headers"].get("referer", "").startswith(town.url), sent
    assert not [mail for mail in town.mail.mails if mail.token in sent["url"]], sent


def shown(person: Person, sentence: str, name: str) -> dict[str, Any]:
    """Wait for a sentence, and look at the page as people see it: narrow and wide, light and dark."""
    person.see(sentence)
    person.do("still")
    ALL.mkdir(parents=True, exist_ok=True)
    for width, height in ((360, 740), (1280, 800)):
        person.do("resize", [width, height])
        for scheme in ("dark", "light"):
            person.do("dress", scheme)
            person.do("photograph", str(ALL / f"{name}-{width}-{scheme}.png"))
            if width == 360:
                assert person.do("axe") == [], (name, scheme)
        seen = person.do("look")
        assert not seen["tooWide"], (name, width)
    looked_at: dict[str, Any] = seen
    return looked_at


def found(admin: Person, town: Town, login: str, name: str) -> str:
    """Sign in, make an organization in the console, and give its address there."""
    admin.open(f"{town.url}/console")
    sign_in_there(admin, town.service, login)
    admin.see("Organizations")
    admin.click("New organization")
    admin.fill("Name", name)
    admin.do("confirm", "Create")
    admin.see(f"{name} was created.")
    address: str = admin.see("1 member")["url"]
    return address.removesuffix("/members")


def invite(admin: Person, *addresses: str) -> None:
    """Invite people by mail, from a page of the organization in the console."""
    admin.follow("Invitations")
    admin.follow("Invite people")
    admin.fill("E-mail addresses", "\n".join(addresses))
    admin.click("Invite")
    admin.see(f"{len(addresses)} invited")
