"""Signing in to the pages as a person does: by a code, which in development stands in the service's log."""

from __future__ import annotations

import re
from typing import Any

import httpx

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


def session(service: RunningServer, email: str) -> str:
    """Sign in without a page, for those who needn't show once more that they can; give the session's secret."""
    own = {"x-session": "cookie", "origin": service.url, "sec-fetch-site": "same-origin"}
    seen = len(service.log)
    with httpx.Client(base_url=f"{service.url}/invitations.v1.SessionService/", headers=own) as page:
        sent = page.post("SendSignInCode", json={"email": email})
        assert sent.status_code == 200, sent.text
        given = {"codeId": sent.json()["codeId"], "code": code_for(service, email, seen)}
        answer = page.post("SignInWithCode", json=given)
        assert answer.status_code == 200, answer.text
        return answer.cookies["__Host-session"]


def held(secret: str) -> dict[str, Any]:
    """Give what a browser keeps that holds a session: `storageState` among Playwright's options of a context."""
    cookie = {"name": "__Host-session", "value": secret, "domain": "127.0.0.1", "path": "/", "expires": -1}
    return {"cookies": [cookie | {"httpOnly": True, "secure": True, "sameSite": "Lax"}], "origins": []}
