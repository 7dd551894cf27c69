"""Signing in to the pages as a person does: by a code, which in development stands in the service's log."""

from __future__ import annotations

import re

from tests.running import RunningServer, wait_until
from tests.web.browser import Person


def code_for(service: RunningServer, email: str, seen: int = 0) -> str:
    """Wait for the newest code of an address in the log after its first `seen` characters."""
    pattern = re.compile(rf"the code to sign in as {re.escape(email)} is (\d{{4}} \d{{4}})")
    wait_until(lambda: pattern.search(service.log, seen))
    return pattern.findall(service.log, seen)[-1]


def sign_in(person: Person, service: RunningServer, email: str) -> None:
    """Sign in on the page that asks for it, which must be open."""
    seen = len(service.log)
    person.fill("E-mail address", email)
    person.click("Send me a code")
    person.see("Enter the code")
    person.fill("Code", code_for(service, email, seen))
    person.click("Sign in")
