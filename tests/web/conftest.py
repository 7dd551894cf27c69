"""The browser that tests of pages share."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.web.browser import Browser, Person, built
from tests.web.town import Come, Town, leaks_nothing, running_town


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    built()
    browser = Browser()
    yield browser
    browser.close()


@pytest.fixture
def person(chromium: Browser) -> Iterator[Person]:
    """Somebody who was never here."""
    person = chromium.come()
    yield person
    person.do("leave")


@pytest.fixture
def visitor(person: Person) -> Iterator[Person]:
    """The same, of whose console we know that nothing stands in it: no mistake, and nothing that the policy stopped."""
    yield person
    assert person.said() == []


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Town]:
    with running_town(tmp_path_factory.mktemp("town")) as running:
        yield running


@pytest.fixture
def newcomer(chromium: Browser, town: Town) -> Iterator[Come]:
    """Let people come. When they leave, nothing wrong may stand in their consoles, and nothing have leaked."""
    present: list[Person] = []

    def someone(path: str = "", **context: Any) -> Person:
        person = chromium.come(permissions=["clipboard-read", "clipboard-write"], reducedMotion="reduce", **context)
        present.append(person)
        if path:
            person.open(town.url + path)
        return person

    yield someone
    for person in present:
        assert person.said() == []
        for sent in person.sent():
            leaks_nothing(sent, town)
        person.do("leave")
