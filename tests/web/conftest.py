"""The browser that tests of pages share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.web.browser import Browser, Person, built


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
