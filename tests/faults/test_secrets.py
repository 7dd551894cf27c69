"""A copied database admits nobody, and a log tells nobody anything that opens a door."""

from __future__ import annotations

import base64
import re
import sqlite3
import uuid
from pathlib import Path
from typing import Any

import httpx

from tests.running import RunningServer, running_server

_GITPOD = "/gitpod.v1."
_INVITATIONS = "/invitations.v1.InvitationService/"


def _ask(server: RunningServer, token: str, method: str, message: dict[str, Any], key: str = "") -> dict[str, Any]:
    headers = {"authorization": f"Bearer {token}"} | ({"idempotency-key": key} if key else {})
    answer = httpx.post(server.url + method, json=message, headers=headers)
    assert answer.status_code == 200, answer.text
    content: dict[str, Any] = answer.json()
    return content


def _spellings(secret: str) -> list[bytes]:
    """Every way in which a secret could stand in a file."""
    spelled = {secret, secret.lower(), secret.upper(), secret.replace("-", "")}
    raw = [text.encode() for text in spelled]
    raw += [text.encode("utf-16-le") for text in spelled]
    raw.append(base64.b64encode(secret.encode()).rstrip(b"="))
    if re.fullmatch(r"[0-9a-f-]{36}", secret):
        raw += [uuid.UUID(secret).bytes, base64.b64encode(uuid.UUID(secret).bytes).rstrip(b"=")]
    else:
        body = secret.split("_", 1)[1]
        raw += [body.encode(), base64.urlsafe_b64decode(body + "=" * (-len(body) % 4))]
    return raw


def test_no_live_secret_stands_in_the_database_its_wal_a_backup_or_the_log(tmp_path: Path) -> None:
    with running_server(tmp_path) as server:
        account = server.token("ada@example.com")
        secrets = {"account token": account, "second account token": server.token("bob@example.com")}
        made = _ask(server, account, _GITPOD + "OrganizationService/CreateOrganization",
                    {"name": "Acme", "joinOrganization": True})  # fmt: skip
        organization = {"organizationId": made["organization"]["id"]}
        invite = _ask(server, account, _GITPOD + "OrganizationService/CreateOrganizationInvite", organization, "k-1")
        secrets["invite id"] = invite["invite"]["inviteId"]
        user_id = made["member"]["userId"]
        pat = _ask(server, account, _GITPOD + "UserService/CreatePersonalAccessToken", {"userId": user_id}, "k-2")
        secrets["personal access token"] = str(pat["token"])
        new = {"email": "carol@example.com", "sendEmail": False}
        invited = _ask(server, account, _INVITATIONS + "CreateInvitation", organization | {"invitation": new}, "k-3")
        secrets["invitation token"] = str(invited["token"])
        waiting = {"email": "dan@example.com"}
        _ask(server, account, _INVITATIONS + "CreateInvitation", organization | {"invitation": waiting})
        # Each is used, so that using them leaves no trace either.
        _ask(server, secrets["personal access token"], _GITPOD + "UserService/GetAuthenticatedUser", {})
        httpx.post(server.url + _GITPOD + "OrganizationService/GetOrganizationInviteSummary",
                   json={"inviteId": secrets["invite id"]})  # fmt: skip
        httpx.get(f"{server.url}/invite/{secrets['invite id']}")
        httpx.post(server.url + _INVITATIONS + "PreviewInvitation", json={"token": secrets["invitation token"]})
        # Answered again from what is stored: the stored answer holds the secret, sealed.
        again = _ask(server, account, _INVITATIONS + "CreateInvitation", organization | {"invitation": new}, "k-3")
        assert again == invited

        backup = tmp_path / "backup.db"
        source, copy = sqlite3.connect(tmp_path / "organizations.db"), sqlite3.connect(backup)
        source.backup(copy)
        source.close()
        copy.close()
        kept = {file.name: file.read_bytes() for file in tmp_path.iterdir() if file.suffix != ".key"}
        assert {"organizations.db", "organizations.db-wal", "backup.db"} <= set(kept)
    kept["log"] = server.log.encode()
    assert b"CreateOrganizationInvite" in kept["log"]
    found = [
        f"{what} in {name}"
        for what, secret in secrets.items()
        for name, content in kept.items()
        for spelling in _spellings(secret)
        if spelling in content
    ]
    assert found == []


def test_a_copy_without_the_key_shows_no_link_and_with_it_does(tmp_path: Path) -> None:
    with running_server(tmp_path) as server:
        token = server.token("ada@example.com")
        made = _ask(server, token, _GITPOD + "OrganizationService/CreateOrganization", {"name": "Acme"})
        organization = {"organizationId": made["organization"]["id"]}
        invite = _ask(server, token, _GITPOD + "OrganizationService/CreateOrganizationInvite", organization)
    key_file = tmp_path / "organizations.key"
    old = key_file.read_text()
    key_file.write_text("t" * 64 + "\n")
    with running_server(tmp_path) as thief:
        # With another key the link is still known by its hash to whoever holds it, but nobody is shown it.
        answer = httpx.post(
            thief.url + _GITPOD + "OrganizationService/GetOrganizationInvite",
            json=organization,
            headers={"authorization": f"Bearer {thief.token('ada@example.com')}"},
        )
        assert (answer.status_code, "INVITE_KEY_UNAVAILABLE" in answer.text) == (400, True)
        assert str(invite["invite"]["inviteId"]) not in answer.text
    key_file.write_text("n" * 64 + "\n" + old)
    with running_server(tmp_path) as rotated:
        shown = _ask(rotated, rotated.token("ada@example.com"),
                     _GITPOD + "OrganizationService/GetOrganizationInvite", organization)  # fmt: skip
        assert shown == invite
