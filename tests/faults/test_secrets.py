"""A copied database admits nobody, and a log tells nobody anything that opens a door."""

from __future__ import annotations

import base64
import re
import sqlite3
import uuid
from pathlib import Path
from typing import Any

import httpx

from tests.mail.mail_server import mail_server
from tests.oidc_issuer import TOKEN_PATH, issuer
from tests.running import RunningServer, running_server, wait_until

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
    if secret.isdecimal():
        raw.append(f"{secret[:4]} {secret[4:]}".encode())
    elif re.fullmatch(r"[0-9a-f-]{36}", secret):
        raw += [uuid.UUID(secret).bytes, base64.b64encode(uuid.UUID(secret).bytes).rstrip(b"=")]
    else:
        body = secret.split("_", 1)[1]
        raw += [body.encode(), base64.urlsafe_b64decode(body + "=" * (-len(body) % 4))]
    return raw


def _files(directory: Path) -> dict[str, bytes]:
    """Give what the service keeps but its key, and a backup of it, while it runs."""
    backup = directory / "backup.db"
    source, copy = sqlite3.connect(directory / "organizations.db"), sqlite3.connect(backup)
    source.backup(copy)
    source.close()
    copy.close()
    kept = {file.name: file.read_bytes() for file in directory.iterdir() if file.suffix != ".key"}
    assert {"organizations.db", "organizations.db-wal", "backup.db"} <= set(kept)
    return kept


def _found(secrets: dict[str, str], kept: dict[str, bytes]) -> list[str]:
    return [
        f"{what} in {name}"
        for what, secret in secrets.items()
        for name, content in kept.items()
        for spelling in _spellings(secret)
        if spelling in content
    ]


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

        kept = _files(tmp_path)
    kept["log"] = server.log.encode()
    assert b"CreateOrganizationInvite" in kept["log"]
    assert _found(secrets, kept) == []


_OURS = {"x-session": "cookie"}
_PUBLIC = ("--public-url", "https://organizations.example.com")
_SESSIONS = "/invitations.v1.SessionService/"


def _cookie(answer: httpx.Response, name: str) -> str:
    (value,) = [one for one in re.findall(rf"{name}=([^;,]*)", answer.headers.get("set-cookie", "")) if one]
    return str(value)


def _use_session(url: str, secret: str) -> None:
    """Read and write as a page does, also where it is refused, and with a key that keeps the answer."""
    headers = {**_OURS, "cookie": f"__Host-session={secret}"}
    for method, sent in (
        (_SESSIONS + "GetSession", {}),
        (_GITPOD + "AccountService/GetAccount", {}),
        (_GITPOD + "OrganizationService/CreateOrganization", {"name": "Acme"}),
        (_GITPOD + "OrganizationService/GetOrganization", {"organizationId": str(uuid.uuid4())}),
    ):
        httpx.post(url + method, json=sent, headers={**headers, "idempotency-key": f"key of {method}"})
    made = httpx.post(f"{url}{_GITPOD}AccountService/GetAccount", json={}, headers=headers)
    assert made.status_code == 200, made.text
    foreign = {"cookie": headers["cookie"], "origin": "https://evil.example"}
    assert httpx.post(f"{url}{_GITPOD}AccountService/GetAccount", json={}, headers=foreign).status_code == 401
    assert httpx.get(f"{url}/console", headers=headers).status_code in (200, 503)


def test_no_code_to_sign_in_and_no_session_stands_anywhere_either(tmp_path: Path) -> None:
    with mail_server() as smtp, running_server(tmp_path, "--smtp-url", smtp.url, *_PUBLIC) as server:
        secrets = {}
        for name in ("used", "waiting"):
            asked = httpx.post(f"{server.url}{_SESSIONS}SendSignInCode", json={"email": "ada@example.com"},
                               headers=_OURS)  # fmt: skip
            assert asked.status_code == 200, asked.text
            wait_until(lambda: len(smtp.mails) > len(secrets))
            (shown,) = re.findall(r"^(\d{4} \d{4})$", smtp.mails[-1].part("plain"), re.MULTILINE)
            secrets[f"code that is {name}"] = shown.replace(" ", "")
            if name == "used":
                given = {"codeId": asked.json()["codeId"], "code": shown}
                # A key keeps answers, and must not keep this one, nor the request.
                keep = {**_OURS, "idempotency-key": "k-1"}
        answer = httpx.post(f"{server.url}{_SESSIONS}SignInWithCode", json=given, headers=keep)
        assert answer.status_code == 200, answer.text
        secrets["session"] = _cookie(answer, "__Host-session")
        _use_session(server.url, secrets["session"])
        kept = _files(tmp_path)
    kept["log"] = server.log.encode()
    assert b"SignInWithCode" in kept["log"]
    assert _found(secrets, kept) == []


def test_nothing_of_a_sign_in_at_a_provider_stands_anywhere(tmp_path: Path) -> None:
    with issuer() as provider:
        provider.client_secrets["pages"] = "the client's own secret"
        trusted = {"OIDC_ISSUER": provider.url, "OIDC_AUDIENCE": "us", "OIDC_CLIENT_ID": "pages",
                   "OIDC_CLIENT_SECRET": provider.client_secrets["pages"]}  # fmt: skip
        with running_server(tmp_path, *_PUBLIC, environ=trusted) as server:
            url = server.url
            begun = httpx.post(f"{url}{_SESSIONS}BeginProviderSignIn", json={}, headers=_OURS)
            assert begun.status_code == 200, begun.text
            cookie = {"cookie": f"__Host-sign-in={_cookie(begun, '__Host-sign-in')}"}
            way_back = httpx.URL(httpx.get(begun.json()["authorizationUrl"]).headers["location"])
            code = way_back.params["code"]
            secrets = {"state": way_back.params["state"], "nonce": provider.begun[code]["nonce"], "code": code,
                       "cookie of the sign-in": cookie["cookie"].partition("=")[2]}  # fmt: skip
            # Refused first, since a log tells most of what is refused: another state, a token that is none.
            callback = f"{url}/sign-in/callback"
            assert (
                "error" in httpx.get(callback, params={"code": code, "state": "x"}, headers=cookie).headers["location"]
            )
            provider.answers[TOKEN_PATH] = 200, {}, b'{"id_token": "a.refused.token", "access_token": "x"}'
            refused = httpx.get(callback, params=way_back.params, headers=cookie)
            assert "error=SIGN_IN_REFUSED" in refused.headers["location"]
            del provider.answers[TOKEN_PATH]
            answer = httpx.get(callback, params=way_back.params, headers=cookie)
            assert answer.headers["location"] == "/console", answer.headers
            secrets["session"] = _cookie(answer, "__Host-session")
            _use_session(url, secrets["session"])
            kept = _files(tmp_path)
    kept["log"] = server.log.encode()
    assert b"/sign-in/callback" in kept["log"]
    assert _found({"session": secrets.pop("session")}, kept) == []
    secrets |= {"client's secret": provider.client_secrets["pages"], "refused token": "a.refused.token"}
    assert [(what, name) for what, secret in secrets.items() for name in kept if secret.encode() in kept[name]] == []


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
