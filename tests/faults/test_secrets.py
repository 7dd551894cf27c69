"""A copied database admits nobody, and a log tells nobody anything that opens a door."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import secrets as py_secrets
import uuid
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus

import httpx
import pytest
from aiosmtpd.smtp import AuthResult

from server.domain.secrets import INVITATION_TOKEN_PREFIX
from server.service.access_tokens import TOKEN_PREFIX
from server.service.backend_keys import KEY_PREFIX
from server.service.sessions import SESSION_PREFIX
from tests.mail.mail_server import mail_server
from tests.oidc_issuer import TOKEN_PATH, issuer
from tests.postgres.cluster import Cluster
from tests.running import RunningServer, run_program, running_server, wait_until

_GITPOD = "/gitpod.v1."
_INVITATIONS = "/invitations.v1.InvitationService/"
_SESSIONS = "/invitations.v1.SessionService/"
_OURS = {"x-session": "cookie"}
_PUBLIC = ("--public-url", "https://organizations.example.com")
_DATABASE = "copied"


def _ask(server: RunningServer, token: str, method: str, message: dict[str, Any], key: str = "") -> dict[str, Any]:
    headers = {"authorization": f"Bearer {token}"} | ({"idempotency-key": key} if key else {})
    answer = httpx.post(server.url + method, json=message, headers=headers)
    assert answer.status_code == 200, answer.text
    content: dict[str, Any] = answer.json()
    return content


_PREFIXES = (TOKEN_PREFIX, KEY_PREFIX, SESSION_PREFIX, INVITATION_TOKEN_PREFIX)


def _bytes_of(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


_KINDS: dict[str, Callable[[str], list[str | bytes]]] = {
    rf"(?:{'|'.join(_PREFIXES)})([A-Za-z0-9_-]{{43}})": lambda behind: [behind, _bytes_of(behind)],
    r"([A-Za-z0-9_-]{22}|[A-Za-z0-9_-]{43}|[A-Za-z0-9_-]{100,})": lambda text: [_bytes_of(text)],
    r"[\w-]+\.[\w-]+\.([\w-]{43,})": lambda signature: [signature, _bytes_of(signature)],
    r"([0-9a-f]{64})": lambda key: [bytes.fromhex(key)],
    r"([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})": lambda id_: [uuid.UUID(id_).bytes],
    r"(\d{8})": lambda code: [f"{code[:4]} {code[4:]}"],
    # Passwords, which people choose, and what is made of them to log in with.
    r"(.*[a-z](?:[ +][a-z%27']+)+)": lambda _: [],
}
"""What secrets look like, and what of one opens as much as the whole of it does."""


def _spellings(secret: str) -> set[bytes]:
    """Every way in which a secret, which is of one of the kinds above, could stand in a file, a dump or a log."""
    matches = [(found, inside) for kind, inside in _KINDS.items() if (found := re.fullmatch(kind, secret, re.DOTALL))]
    assert len(matches) == 1, f"a secret of {len(matches)} kinds: {secret}"
    ((found, inside),) = matches
    raw: set[bytes] = set()
    for part in (secret, *inside(found[1])):
        if isinstance(part, str):
            texts = {part, part.lower(), part.upper(), part.replace("-", ""), quote(part, safe=""), quote_plus(part)}
            raw |= {text.encode() for text in texts} | {text.encode("utf-16-le") for text in texts}
        else:
            raw.add(part)
    return raw | {base64.b64encode(one).rstrip(b"=") for one in raw} | {one.hex().encode() for one in raw}


def _search(secrets: dict[str, str], kept: dict[str, bytes]) -> list[str]:
    """Give which secret stands where."""
    return [
        f"{what} in {name}"
        for what, spellings in {what: _spellings(secret) for what, secret in secrets.items()}.items()
        for name, content in kept.items()
        if any(spelling in content for spelling in spellings)
    ]


@dataclass
class Desk:
    """A running service on one engine, the secrets that it was shown or gave, and what it leaves behind."""

    engine: str
    server: RunningServer
    secrets: dict[str, str]
    copy: Callable[[], dict[str, bytes]]

    def backend_key(self) -> str:
        where = ("--database-url", self.server.database_url)
        made = run_program("token", "create", "--backend", "--name", "crm", *where, environ=self.server._environ)
        assert made.returncode == 0, made.stderr
        return made.stdout.strip()

    def found(self, kept: dict[str, bytes]) -> list[str]:
        """Give which secret stands where in copies that were made while it ran, and in its log."""
        kept = kept | {"log": self.server.log.encode()}
        # What we look through is whole, and libraries write of what they do as well.
        assert [name for name in _WHOLE[self.engine] if b"ada@example.com" not in kept[name]] == []
        assert re.findall(rb"\w+@example\.com", kept["log"]) == []
        talkers = {b"asyncio", *([b"psycopg.pool"] if self.engine == "postgres" else [])}
        assert talkers <= set(re.findall(rb'"level": "debug", "logger": "([^"]+)"', kept["log"]))
        return _search(self.secrets, kept)


_EVERY_LOGGER = """
import logging
# Libraries that keep quiet unless they are asked are asked too.
logging.Logger.isEnabledFor = lambda self, level: True
"""

_WHOLE = {
    "sqlite": {"organizations.db-wal", "backup.db", "restored.db"},
    "postgres": {"dump", "files", "statements"},
    "copied": {"organizations.db-wal", "backup.db", "restored.db", "dump", "files", "again.db"},
}
"""Copies in which all stands that was written. (SQLite's file may still wait for what is in its WAL.)"""

OpenDesk = Callable[..., AbstractContextManager[Desk]]


def _said(*arguments: str) -> bytes:
    """Run a command, and give all that it says."""
    done = run_program(*arguments)
    assert done.returncode == 0, done.stderr
    return (done.stdout + done.stderr).encode()


def _sqlite_copy(directory: Path) -> dict[str, bytes]:
    """Give what the service keeps but its key, a backup that is made while it runs, and what that is restored to."""
    backup, restored = str(directory / "backup.db"), _url(directory / "restored.db")
    said = _said("backup", backup, "--database-url", _url(directory / "organizations.db"))
    said += _said("restore", backup, "--database-url", restored)
    kept = {file.name: file.read_bytes() for file in directory.iterdir() if file.suffix != ".key"}
    assert {"organizations.db"} | _WHOLE["sqlite"] <= set(kept)
    return kept | {"what backup and restore say": said}


def _copied(cluster: Cluster, directory: Path) -> dict[str, bytes]:
    """Give the same, copied from the restored file to PostgreSQL, and from there to a file again."""
    kept, database = _sqlite_copy(directory), cluster.url(_DATABASE)
    said = _said("copy", "--from", _url(directory / "restored.db"), "--to", database)
    said += _said("copy", "--from", database, "--to", _url(directory / "again.db"))
    again = {"again.db": (directory / "again.db").read_bytes(), "what copy says": said}
    return kept | _postgres_copy(cluster) | again


def _url(file: Path) -> str:
    return f"sqlite:///{file}"


def _postgres_copy(cluster: Cluster) -> dict[str, bytes]:
    """Give a dump, the files of the database with its WAL, and every statement that was sent with its parameters."""
    return {
        "dump": cluster.dump(_DATABASE),
        "files": b"".join(cluster.files(_DATABASE)),
        "statements": cluster.log.encode(),
    }


@pytest.fixture(params=["sqlite", *(pytest.param(one, marks=pytest.mark.slow) for one in ("postgres", "copied"))])
def open_desk(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[OpenDesk]:
    """Run a service on each engine, that logs all there is to log."""
    with ExitStack() as stack:
        if request.param != "sqlite":
            cluster = stack.enter_context(Cluster(log_statement="all"))
            cluster.create_database(_DATABASE)

        @contextmanager
        def opened(*options: str, environ: dict[str, str] | None = None) -> Iterator[Desk]:
            key = tmp_path / "organizations.key"
            secrets, environ = {}, {"PYTHONPATH": str(tmp_path)} | (environ or {})
            (tmp_path / "sitecustomize.py").write_text(_EVERY_LOGGER)
            if request.param == "postgres":
                key.write_text(py_secrets.token_hex(32))
                secrets["database's password"] = password = "the database's own password"
                url = cluster.url(_DATABASE).replace("@", f":{quote(password)}@")
                environ["SECRET_KEY_FILE"] = str(key)
                copy = partial(_postgres_copy, cluster)
            else:
                url, copy = _url(tmp_path / "organizations.db"), partial(_sqlite_copy, tmp_path)
                copy = partial(_copied, cluster, tmp_path) if request.param == "copied" else copy
            server = RunningServer(url, *_PUBLIC, "--log-level", "debug", *options, environ=environ)
            try:
                yield Desk(request.param, server, secrets | {"master key": key.read_text().strip()}, copy)
            finally:
                server.stop()

        yield opened


def _one_of_each_kind() -> dict[str, tuple[str, str, bytes]]:
    """Give secrets that nobody has seen: whole, the part that opens a door, and the bytes of that part."""

    def fresh(prefix: str, size: int = 32) -> tuple[str, str, bytes]:
        raw = py_secrets.token_bytes(size)
        text = base64.urlsafe_b64encode(raw).decode().rstrip("=")
        return prefix + text, text, raw

    id_, key, code = uuid.uuid4(), py_secrets.token_bytes(32), f"{py_secrets.randbelow(10**8):08}"
    password = f"a password {code.translate(str.maketrans('0123456789', 'abcdefghij'))}"
    return {
        **{f"{prefix}…": fresh(prefix) for prefix in _PREFIXES},
        "state": fresh(""),
        "authorization code": fresh("", 16),
        "cookie of a sign-in": fresh("", 90),
        "ID token": fresh("eyJhbGciOiJFUzI1NiJ9.e30.", 64),
        "invite id": (str(id_), str(id_), id_.bytes),
        "master key": (key.hex(), key.hex(), key),
        "code to sign in": (code, f"{code[:4]} {code[4:]}", code.encode()),
        "password": (password, password, password.encode()),
    }


@pytest.mark.parametrize("kind", _one_of_each_kind())
def test_the_search_finds_a_secret_of_each_kind_however_it_is_written(kind: str) -> None:
    whole, part, raw = _one_of_each_kind()[kind]
    other = _one_of_each_kind()[kind][0]
    written = [whole, part, part.upper(), raw, raw.hex(), base64.b64encode(raw), base64.b64encode(part.encode())]
    for one in written:
        kept = {"log": b"before" + (one.encode() if isinstance(one, str) else one) + b"behind"}
        assert _search({"it": whole, "another": other}, kept) == ["it in log"]


def test_a_secret_of_no_known_kind_is_not_passed_over() -> None:
    with pytest.raises(AssertionError, match="of 0 kinds"):
        _search({"of a new kind": "orgnew_" + py_secrets.token_urlsafe(32)}, {})


def test_a_secret_that_stands_in_the_database_is_found_in_every_copy(open_desk: OpenDesk) -> None:
    with open_desk() as desk:
        account = desk.server.token("ada@example.com")
        kinds = _one_of_each_kind()
        for _, part, _ in kinds.values():
            _ask(desk.server, account, _GITPOD + "OrganizationService/CreateOrganization", {"name": part})
        kept = desk.copy()
    desk.secrets = {kind: whole for kind, (whole, _, _) in kinds.items()}
    assert {f"{kind} in {name}" for kind in kinds for name in _WHOLE[desk.engine]} <= set(desk.found(kept))


def test_no_live_secret_stands_in_the_database_its_wal_a_backup_a_dump_or_the_log(open_desk: OpenDesk) -> None:
    with open_desk() as desk:
        server, secrets = desk.server, desk.secrets
        account = secrets["account token"] = server.token("ada@example.com")
        secrets["second account token"] = server.token("bob@example.com")
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
        secrets["backend key"] = desk.backend_key()
        # Each is used, so that using them leaves no trace either.
        _ask(server, secrets["personal access token"], _GITPOD + "UserService/GetAuthenticatedUser", {})
        key = {"authorization": f"Bearer {secrets['backend key']}"}
        assert httpx.get(f"{server.url}/clerk/v1/organizations", headers=key).status_code in (200, 403)
        httpx.post(server.url + _GITPOD + "OrganizationService/GetOrganizationInviteSummary",
                   json={"inviteId": secrets["invite id"]})  # fmt: skip
        httpx.get(f"{server.url}/invite/{secrets['invite id']}")
        httpx.post(server.url + _INVITATIONS + "PreviewInvitation", json={"token": secrets["invitation token"]})
        # Answered again from what is stored: the stored answer holds the secret, sealed.
        again = _ask(server, account, _INVITATIONS + "CreateInvitation", organization | {"invitation": new}, "k-3")
        assert again == invited
        # Where each has no business, or nothing else is right.
        for secret in secrets.values():
            headers = {"authorization": f"Bearer {quote(secret)}", "idempotency-key": "k-4"}
            for method, sent in (("GetOrganization", organization), ("JoinOrganization", {"inviteId": user_id})):
                httpx.post(f"{server.url}{_GITPOD}OrganizationService/{method}", json=sent, headers=headers)
        kept = desk.copy()
        if desk.engine == "postgres":
            # The search would find what stands there: the hash does.
            digest = hashlib.sha256(account.encode()).digest()
            assert digest in kept["files"]
            assert digest.hex().encode() in kept["dump"]
            assert digest.hex().encode() in kept["statements"]
    assert "CreateOrganizationInvite" in server.log
    assert desk.found(kept) == []


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


@pytest.mark.slow
def test_nothing_that_is_mailed_no_session_and_no_password_of_the_mail_server_stands_anywhere(
    open_desk: OpenDesk,
) -> None:
    password = "the mail server's own password"

    def right(_server: Any, _session: Any, _envelope: Any, _mechanism: str, data: Any) -> AuthResult:
        return AuthResult(success=data.password.decode() == password, auth_data=data)

    with ExitStack() as stack:
        smtp = stack.enter_context(mail_server(auth_require_tls=False, authenticator=right))
        desk = stack.enter_context(
            open_desk("--smtp-url", smtp.url.replace("//", f"//us:{quote(password)}@"), "--sign-in-codes", "on")
        )
        server, secrets = desk.server, desk.secrets
        secrets["mail server's password"] = password
        secrets["login to the mail server"] = f"\0us\0{password}"
        for number, name in enumerate(("used", "waiting"), 1):
            asked = httpx.post(f"{server.url}{_SESSIONS}SendSignInCode", json={"email": "ada@example.com"},
                               headers=_OURS)  # fmt: skip
            assert asked.status_code == 200, asked.text
            wait_until(lambda number=number: len(smtp.mails) >= number)
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
        # Invitations: one that is mailed, and one that the mail server refuses, quoting what it was sent.
        ada = server.token("ada@example.com")
        made = _ask(server, ada, _GITPOD + "OrganizationService/CreateOrganization", {"name": "Acme"})
        invite = {"organizationId": made["organization"]["id"], "invitation": {"email": "bob@example.com"}}
        invited = _ask(server, ada, _INVITATIONS + "CreateInvitation", invite)["invitation"]
        wait_until(lambda: len(smtp.mails) == 3)
        secrets["mailed token"] = smtp.mails[-1].token
        smtp.answer = "550 not {content}"
        again = {"invitationId": invited["id"]}
        _ask(server, ada, _INVITATIONS + "ResendInvitation", again)
        wait_until(lambda: smtp.refused)
        wait_until(lambda: "FAILED" in str(_ask(server, ada, _INVITATIONS + "GetInvitation", again)))
        secrets["refused token"] = smtp.refused[-1].token
        kept = desk.copy()
    assert "SignInWithCode" in server.log
    assert desk.found(kept) == []


@pytest.mark.slow
def test_nothing_of_a_sign_in_at_a_provider_stands_anywhere(open_desk: OpenDesk) -> None:
    with issuer() as provider:
        secret = provider.client_secrets["pages"] = "the client's own secret"
        trusted = {"OIDC_ISSUER": provider.url, "OIDC_AUDIENCE": "us", "OIDC_CLIENT_ID": "pages",
                   "OIDC_CLIENT_SECRET": secret}  # fmt: skip
        with open_desk(environ=trusted) as desk:
            url, secrets = desk.server.url, desk.secrets
            begun = httpx.post(f"{url}{_SESSIONS}BeginProviderSignIn", json={}, headers=_OURS)
            assert begun.status_code == 200, begun.text
            cookie = {"cookie": f"__Host-sign-in={_cookie(begun, '__Host-sign-in')}"}
            way_back = httpx.URL(httpx.get(begun.json()["authorizationUrl"]).headers["location"])
            code = way_back.params["code"]
            secrets |= {"client's secret": secret, "client's credentials": f"pages:{quote_plus(secret)}",
                        "authorization code": code,
                        "state": way_back.params["state"], "nonce": provider.begun[code]["nonce"],
                        "cookie of the sign-in": cookie["cookie"].partition("=")[2]}  # fmt: skip
            # Refused first, since a log tells most of what is refused: another state, a token that is none.
            callback = f"{url}/sign-in/callback"
            assert (
                "error" in httpx.get(callback, params={"code": code, "state": "x"}, headers=cookie).headers["location"]
            )
            secrets["refused ID token"], secrets["refused access token"] = (
                f"a.refused.{py_secrets.token_urlsafe(32)}",
                "an access token",
            )
            answer = {"id_token": secrets["refused ID token"], "access_token": secrets["refused access token"]}
            provider.answers[TOKEN_PATH] = 200, {}, json.dumps(answer).encode()
            refused = httpx.get(callback, params=way_back.params, headers=cookie)
            assert "error=SIGN_IN_REFUSED" in refused.headers["location"]
            del provider.answers[TOKEN_PATH]
            signed_in = httpx.get(callback, params=way_back.params, headers=cookie)
            assert signed_in.headers["location"] == "/console", signed_in.headers
            secrets["session"] = _cookie(signed_in, "__Host-session")
            _use_session(url, secrets["session"])
            # The issuer's own tokens are credentials too: one that is good, and one that isn't.
            for name, audience in (("token of the issuer", "us"), ("token for another", "others")):
                secrets[name] = provider.mint(aud=audience, email="ada@example.com")
                headers = {"authorization": f"Bearer {secrets[name]}"}
                asked = httpx.post(f"{url}{_GITPOD}AccountService/GetAccount", json={}, headers=headers)
                assert asked.status_code == (200 if audience == "us" else 401)
            kept = desk.copy()
    assert "/sign-in/callback" in desk.server.log
    assert desk.found(kept) == []


@pytest.mark.slow
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
