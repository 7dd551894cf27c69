"""Photographs of every page, for people to look at: `make photographs`.

Each is taken at two widths, in light and in dark, into dist/photographs; those that the documentation shows, into
docs/images.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import httpx

from tests.running import ROOT, RunningServer, running_server
from tests.web.browser import Browser, Person, built
from tests.web.crowd import ADDRESS, Crowd, crowd
from tests.web.household import INVITATIONS, ORGANIZATIONS, bearer
from tests.web.signing_in import held, session

ALL = ROOT / "dist/photographs"
SHOWN = ROOT / "docs/images"
SIZES = ((360, 740), (1280, 800))
SHOWN_IN_DOCS = ("console-members", "console-link", "invite", "sign-in")


def main() -> None:
    """Take them all."""
    built()
    ALL.mkdir(parents=True, exist_ok=True)
    SHOWN.mkdir(exist_ok=True)
    browser = Browser()
    try:
        with tempfile.TemporaryDirectory() as directory:
            written = crowd(f"sqlite:///{directory}/organizations.db")
            with running_server(Path(directory), "--development") as server:
                _photograph(browser, server, written)
    finally:
        browser.close()


def _photograph(browser: Browser, server: RunningServer, written: Crowd) -> None:
    link, token = _doors(server, written)
    views = f"/console/organizations/{written.organization_id}"
    signed_in = {
        "console": "/console",
        "console-members": f"{views}/members?sort=newest",
        "console-invitations": f"{views}/invitations",
        "console-inviting": f"{views}/invitations/new",
        "console-link": f"{views}/link",
        "console-settings": f"{views}/settings",
        "console-tokens": "/console/tokens",
    }
    signed_out = {"sign-in": "/sign-in", "invite": f"/invite/{link}", "invitation": f"/invitations#{token}"}
    ada = session(server, ADDRESS)
    for size in SIZES:
        for scheme in ("light", "dark"):
            context = {"viewport": dict(zip(("width", "height"), size, strict=True)), "colorScheme": scheme}
            still = context | {"reducedMotion": "reduce"}
            for pages, options in ((signed_in, {"storageState": held(ada)}), (signed_out, {})):
                person = browser.come(**still, **options)
                for name, path in pages.items():
                    _take(person, server.url + path, name, size[0], scheme)
                person.do("leave")


def _take(person: Person, url: str, name: str, width: int, scheme: str) -> None:
    # From elsewhere, since another fragment alone loads no page.
    person.open("about:blank")
    person.open(url)
    person.do("still")
    person.do("photograph", str(ALL / f"{name}-{width}-{scheme}.png"))
    if name in SHOWN_IN_DOCS and (width, scheme) == (1280, "light"):
        person.do("photograph", str(SHOWN / f"{name}.png"))


def _doors(server: RunningServer, written: Crowd) -> tuple[str, str]:
    """Give the id of an invite link, and the token of an invitation."""
    organization = {"organizationId": written.organization_id}
    with httpx.Client(base_url=server.url, headers=bearer(written.token)) as ada:
        invite = ada.post(f"{ORGANIZATIONS}/CreateOrganizationInvite", json=organization).json()["invite"]
        invitation = {"email": "grace@example.org", "sendEmail": False}
        asked = organization | {"invitation": invitation}
        invited = ada.post(f"{INVITATIONS}/CreateInvitation", json=asked).json()
    return invite["inviteId"], invited["token"]


if __name__ == "__main__":
    main()
