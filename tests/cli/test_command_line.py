"""The command line as an operator meets it: what it prints where, and what it says to mistakes."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import sqlite3
import ssl
import stat
import subprocess
import threading
import uuid
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import httpx
import pytest

from server.cli import DATA_COMMANDS
from server.cli_data import COMMANDS
from server.settings import DEFAULT_LIMITS
from server.tour import tour
from tests.certificates import self_signed
from tests.running import (
    PROGRAM,
    ROOT,
    RunningServer,
    clean_environ,
    free_port,
    run_program,
    running_server,
    wait_until,
)

ISSUER = "https://login.example.com"


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'organizations.db'}"


def _refused(done: subprocess.CompletedProcess[str]) -> str:
    """The one sentence that a mistake is answered with."""
    assert done.returncode == 2, (done.stdout, done.stderr)
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    [sentence] = done.stderr.strip().splitlines()
    assert sentence.startswith("organization-service: ")
    return sentence


def test_help_names_every_command_and_what_to_do_first() -> None:
    done = run_program("--help")
    assert done.returncode == 0
    for word in ("serve", "token", "show", "role", "outbox", "DATABASE_URL", *COMMANDS):
        assert word in done.stdout
    assert sorted(COMMANDS) == list(DATA_COMMANDS)


def test_the_table_of_limits_in_docs_has_every_limit_with_its_default() -> None:
    table = re.findall(r"^\| `(\w+)` \| .* \| (\d+/\w+) \|$", (ROOT / "docs/operating.md").read_text(), re.MULTILINE)
    assert " ".join(f"{name}={rate}" for name, rate in table) == DEFAULT_LIMITS


def test_a_token_is_printed_alone_on_standard_output(url: str) -> None:
    done = run_program("token", "create", "--email", "ada@example.com", "--name", "Ada", "--database-url", url)
    assert done.returncode == 0
    assert re.fullmatch(r"orgsvc_[A-Za-z0-9_-]{43}\n", done.stdout)


def test_every_option_is_an_environment_variable_too(url: str) -> None:
    done = run_program("token", "create", "--email", "ada@example.com", environ={"DATABASE_URL": url})
    assert done.returncode == 0
    assert json.loads(run_program("show", "account", "ada@example.com", "--json", "--database-url", url).stdout)


@pytest.mark.slow
def test_tokens_are_listed_without_their_secrets_and_revoked_by_id_or_by_the_token_itself(url: str) -> None:
    first, second = (
        run_program("token", "create", "--email", "ada@example.com", "--expires", "90d", "--database-url", url)
        for _ in range(2)
    )
    listed = run_program("token", "list", "--email", "ada@example.com", "--json", "--database-url", url)
    assert first.stdout.strip() not in listed.stdout
    tokens = json.loads(listed.stdout)
    assert [token["expires_at"] is not None for token in tokens] == [True, True]
    assert run_program("token", "revoke", first.stdout.strip(), "--database-url", url).returncode == 0
    left = json.loads(
        run_program("token", "list", "--email", "ada@example.com", "--json", "--database-url", url).stdout
    )
    assert len(left) == 1
    assert run_program("token", "revoke", left[0]["id"], "--database-url", url).returncode == 0
    assert "no such token" in _refused(run_program("token", "revoke", second.stdout.strip(), "--database-url", url))


def test_a_revoked_token_stops_working_in_a_running_server_within_a_second(server: RunningServer) -> None:
    token = server.token("short-lived@example.com")
    ask = {"headers": {"authorization": f"Bearer {token}"}, "json": {}}
    assert httpx.post(f"{server.url}/gitpod.v1.AccountService/GetAccount", **ask).status_code == 200
    assert run_program("token", "revoke", token, "--database-url", server.database_url).returncode == 0
    threading.Event().wait(1.05)
    assert httpx.post(f"{server.url}/gitpod.v1.AccountService/GetAccount", **ask).status_code == 401


@pytest.mark.slow
def test_an_account_an_organization_and_their_ids_are_shown(server: RunningServer) -> None:
    token = server.token("shown@example.com")
    made = httpx.post(
        f"{server.url}/gitpod.v1.OrganizationService/CreateOrganization",
        headers={"authorization": f"Bearer {token}"},
        json={"name": "Shown", "joinOrganization": True},
    ).json()
    organization_id, user_id = made["organization"]["id"], made["member"]["userId"]

    def show(*what: str) -> dict[str, object]:
        done = run_program("show", *what, "--json", "--database-url", server.database_url)
        assert done.returncode == 0, done.stderr
        facts: dict[str, object] = json.loads(done.stdout)
        return facts

    account = show("account", "Shown@Example.com")
    assert account["ids"].keys() == {"gitpod", "clerk", "koyeb", "logto"}  # type: ignore[attr-defined]
    assert account["memberships"] == [
        {"user_id": user_id, "role": "admin", "organization": "Shown", "organization_id": organization_id}
    ]
    for spelling in account["ids"].values():  # type: ignore[attr-defined]
        assert show("account", spelling) == account
    organization = show("organization", organization_id)
    for spelling in organization["ids"].values():  # type: ignore[attr-defined]
        assert show("organization", spelling) == organization
    assert organization["ids"]["gitpod"] == organization_id  # type: ignore[index]
    assert len(organization["ids"]["logto"]) == 21  # type: ignore[index]
    assert organization["members"][0]["user_id"] == user_id  # type: ignore[index]


@pytest.mark.slow
def test_a_backend_key_is_listed_and_revoked(url: str) -> None:
    made = run_program(
        "token", "create", "--backend", "--name", "crm", "--scope", "invitations:write", "--database-url", url
    )
    assert made.stdout.startswith("orgkey_")
    [key] = json.loads(run_program("token", "list", "--backend", "--json", "--database-url", url).stdout)
    assert (key["description"], key["scopes"]) == ("crm", ["invitations:write"])
    assert run_program("token", "revoke", made.stdout.strip(), "--database-url", url).returncode == 0
    assert json.loads(run_program("token", "list", "--backend", "--json", "--database-url", url).stdout) == []


def test_named_roles_are_made_and_listed(url: str) -> None:
    done = run_program("role", "create", "editor", "--name", "Editor", "--database-url", url)
    assert uuid.UUID(done.stdout.strip())
    [role] = json.loads(run_program("role", "list", "--json", "--database-url", url).stdout)
    assert (role["key"], role["name"], role["rights"]) == ("editor", "Editor", "member")
    assert "already" in _refused(run_program("role", "create", "editor", "--database-url", url))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--database-url", "mysql://somewhere"], "DATABASE_URL 'mysql://somewhere' can't be used"),
        (["--database-url", "sqlite://somewhere/x.db"], "can't be used"),
        (["--database-url", "sqlite:///"], "can't be used"),
        (["--database-url", "sqlite:////proc/nowhere/x.db"], "/proc/nowhere/x.key can't be made"),
        (["--secret-key-file", "/nowhere/keys"], "can't be read"),
        (["--oidc-issuer", ISSUER], "OIDC_AUDIENCE is missing"),
        (["--cors-origins", "https://app.example.com/path"], "is no origin"),
        (["--redirect-origins", "app.example.com"], "is no origin"),
        (["--limits", "recipient=none"], "LIMITS has 'recipient=none'"),
        (["--limits", "recipient=10/721h"], "mails are counted for 720h at most"),
        (
            ["--development", "--public-url", "https://orgs.example.com"],
            "whoever reads the log could sign in as anybody",
        ),
        (["--smtp-url", "http://mail.example.com"], "SMTP"),
    ],
)
def test_a_mistake_in_a_setting_is_one_clear_sentence(url: str, arguments: list[str], says: str) -> None:
    assert says in _refused(run_program("serve", "--port", "0", *arguments, environ={"DATABASE_URL": url}))


def test_a_short_key_is_refused(url: str) -> None:
    done = run_program("serve", "--port", "0", environ={"DATABASE_URL": url, "SECRET_KEY": "short"})
    assert "at least 32 characters" in _refused(done)


def test_a_file_that_is_no_database_is_refused(tmp_path: Path, url: str) -> None:
    (tmp_path / "organizations.key").write_text("k" * 32)
    (tmp_path / "organizations.db").write_text("a diary, and not a database, of more than a hundred bytes " * 20)
    assert "can't be opened and written" in _refused(run_program("serve", "--port", "0", "--database-url", url))


def test_a_port_in_use_is_refused(url: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        assert "can't listen on 127.0.0.1" in _refused(run_program("serve", "--port", port, "--database-url", url))


def test_a_port_on_which_another_server_of_ours_listens_is_refused(server: RunningServer, url: str) -> None:
    port = server.address.rsplit(":", 1)[1]
    assert "choose another" in _refused(run_program("serve", "--port", port, "--database-url", url))


def test_a_certificate_without_its_key_is_refused(tmp_path: Path, url: str) -> None:
    (tmp_path / "cert.pem").write_text("x")
    done = run_program("serve", "--port", "0", "--tls-cert", str(tmp_path / "cert.pem"), "--database-url", url)
    assert "go together" in _refused(done)


@pytest.mark.slow
def test_tls_is_spoken_over_http_1_and_2_on_the_same_port(tmp_path: Path) -> None:
    pem = str(self_signed(tmp_path / "server.pem"))
    trusting = ssl.create_default_context(cafile=pem)
    with running_server(tmp_path, "--tls-cert", pem, "--tls-key", pem) as server:
        assert server.url.startswith("https://")
        for http2, version in ((False, "HTTP/1.1"), (True, "HTTP/2")):
            with httpx.Client(verify=trusting, http2=http2) as http:
                answer = http.get(f"{server.url}/readyz")
                assert (answer.status_code, answer.http_version) == (200, version)


def test_what_is_no_address_gets_no_token(url: str) -> None:
    done = run_program("token", "create", "--email", "ada", "--database-url", url)
    assert "is no e-mail address" in _refused(done)


def test_the_key_file_is_readable_by_its_owner_alone_and_kept(tmp_path: Path, url: str) -> None:
    run_program("token", "create", "--email", "ada@example.com", "--database-url", url)
    key_file = tmp_path / "organizations.key"
    before = key_file.read_text()
    assert stat.S_IMODE(key_file.stat().st_mode) == 0o600
    run_program("token", "create", "--email", "bob@example.com", "--database-url", url)
    assert key_file.read_text() == before


def test_a_key_file_that_got_lost_is_missed(tmp_path: Path, url: str) -> None:
    run_program("token", "create", "--email", "ada@example.com", "--database-url", url)
    (tmp_path / "organizations.key").unlink()
    assert "organizations.key is missing" in _refused(run_program("serve", "--port", "0", "--database-url", url))
    assert not (tmp_path / "organizations.key").exists()


def test_the_database_is_its_owners_alone(tmp_path: Path, url: str) -> None:
    run_program("token", "create", "--email", "ada@example.com", "--database-url", url)
    assert stat.S_IMODE((tmp_path / "organizations.db").stat().st_mode) == 0o600


@pytest.mark.slow
def test_what_would_not_confine_a_token_is_refused(url: str) -> None:
    for options in (
        ["--backend", "--name", "crm", "--read-only"],
        ["--backend", "--name", "crm", "--organization", "x"],
        ["--backend", "--name", "crm", "--only-organization", "nonsense"],
        ["--email", "ada@example.com", "--scope", "invitations:read"],
        ["--email", "ada@example.com", "--only-organization", "x"],
    ):
        _refused(run_program("token", "create", *options, "--database-url", url))


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[RunningServer]:
    with running_server(tmp_path) as server:
        yield server


@pytest.mark.slow
def test_a_stopped_server_finishes_what_it_has_begun(own_server: RunningServer) -> None:
    token = own_server.token("ada@example.com")
    outcomes: list[int | str] = []
    begun = threading.Barrier(9)

    def ask() -> None:
        with httpx.Client(base_url=own_server.url, headers={"authorization": f"Bearer {token}"}) as http:
            path = "/gitpod.v1.OrganizationService/CreateOrganization"
            assert http.post(path, json={"name": "First"}).status_code == 200
            begun.wait()
            while True:
                try:
                    outcomes.append(http.post(path, json={"name": "Another"}).status_code)
                except httpx.ConnectError:
                    # Nobody listens any more. A request that found somebody is answered.
                    outcomes.append("late")
                    return
                except httpx.ReadError:
                    # The connection waited to be taken when the server stopped listening: nobody read the request.
                    outcomes.append("not taken")
                    return
                except httpx.TransportError as error:
                    outcomes.append(repr(error))
                    return

    askers = [threading.Thread(target=ask) for _ in range(8)]
    for asker in askers:
        asker.start()
    begun.wait()
    wait_until(lambda: 200 in outcomes)
    own_server.process.send_signal(signal.SIGTERM)
    for asker in askers:
        asker.join(20)
    assert own_server.stop() == 0
    assert set(outcomes) <= {200, "late", "not taken"}, outcomes
    with closing(sqlite3.connect(own_server.database_url.removeprefix("sqlite:///"))) as database:
        [(made,)] = database.execute("SELECT count(*) FROM organizations WHERE name = 'Another'").fetchall()
    assert made == outcomes.count(200) > 0


@pytest.mark.slow
def test_run_twice_nothing_is_lost_and_it_says_so(tmp_path: Path) -> None:
    port = free_port()

    def run_tour() -> str:
        process = subprocess.Popen(
            [PROGRAM, "serve", "--tour", "--port", str(port), "--database-url", "sqlite:///data/organizations.db"],
            cwd=tmp_path,
            env=clean_environ(),
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        assert process.stdout is not None
        said = ""
        for line in process.stdout:
            said += line
            if "--help" in line:
                break
        token = re.search(r"TOKEN=(\S+)", said)
        assert token is not None
        answer = httpx.post(
            f"http://127.0.0.1:{port}/gitpod.v1.OrganizationService/CreateOrganization",
            headers={"authorization": f"Bearer {token[1]}"},
            json={"name": "Kept"},
        )
        assert answer.status_code == 200
        process.send_signal(signal.SIGTERM)
        process.stdout.close()
        assert process.wait(20) == 0
        return said

    assert "Made anew" in run_tour()
    assert "nothing was lost" in run_tour()
    shown = run_program(
        "show", "account", "admin@example.com", "--json",
        "--database-url", f"sqlite:///{tmp_path / 'data' / 'organizations.db'}",
    )  # fmt: skip
    assert len(json.loads(shown.stdout)["memberships"]) == 2


def test_what_the_tour_says_to_paste_works(server: RunningServer) -> None:
    """All but the last part, which installs the SDK; `tests/sdk` runs that one."""
    text = tour(server.url, server.token("tourist@example.com"), server.database_url, known=False)
    script = text[text.index("export TOKEN") : text.index("# gitpod-sdk")]
    done = subprocess.run(
        ["bash", "-euc", script], cwd=ROOT, env=clean_environ(), capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    assert '"name":"Acme"' in done.stdout
    assert '"email": "tourist@example.com"' in done.stdout
    assert 'email: "tourist@example.com"' in done.stdout


@pytest.mark.slow
def test_several_workers_answer_on_one_port(tmp_path: Path) -> None:
    with running_server(tmp_path, "--workers", "2") as server:
        for _ in range(20):
            assert httpx.get(f"{server.url}/readyz").status_code == 200


@pytest.mark.skipif(os.name != "posix", reason="file modes are POSIX's")
def test_a_database_in_a_directory_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "keys").write_text("k" * 32)
    url, keys = f"sqlite:///{tmp_path / 'file' / 'x.db'}", str(tmp_path / "keys")
    done = run_program("serve", "--port", "0", "--database-url", url, "--secret-key-file", keys)
    assert "can't be opened and written" in _refused(done)
