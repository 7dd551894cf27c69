"""Mails of the real server: its options, its processes, what they leave behind, and what the operator sees."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from server.domain.account import Caller
from server.domain.invitation import DeliveryState, Invitation
from server.domain.organization import Organization
from server.domain.secrets import SecretKeys
from server.main import Service, build_service, open_store
from server.service.call import Call
from server.service.invitations import NewInvitation
from server.settings import Settings
from tests.mail.conftest import PUBLIC_URL
from tests.mail.mail_server import MailServer, mail_server
from tests.running import RunningServer, family, run_program, wait_until


@dataclass
class Neighbour:
    """Another process's hand on the server's database: ours."""

    settings: Settings
    service: Service
    keys: SecretKeys
    call: Call
    organization: Organization

    def invite(self, email: str) -> Invitation:
        return self.service.invitations.create(self.call, self.organization.id, NewInvitation(email)).invitation

    def delivery(self, invitation: Invitation) -> DeliveryState:
        return self.service.invitations.get(self.call, invitation.id).delivery_state

    def token(self, invitation: Invitation) -> str:
        return self.keys.invitation_token(invitation.id, invitation.generation, invitation.key_id)

    def outbox(self, *arguments: str) -> str:
        done = run_program("outbox", *arguments, "--database-url", self.settings.database_url)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def kept(self) -> bytes:
        """Give all that stands in the database's files, the log of writes too.

        Read by another process: a process that closes a file lets go of all its locks on it, SQLite's too.
        """
        files = list(self.settings.sqlite_path.parent.glob("organizations.db*"))
        return subprocess.run(["cat", *files], capture_output=True, check=True).stdout


@contextmanager
def neighbour(directory: Path) -> Iterator[Neighbour]:
    settings = Settings(database_url=f"sqlite:///{directory / 'organizations.db'}")
    keys = SecretKeys(settings.secret_keys())
    service = build_service(open_store(settings), keys)
    call = Call(Caller(service.authentication.local_account("ada@example.com", "Ada")))
    organization, _ = service.organizations.create(call, "Acme")
    try:
        yield Neighbour(settings, service, keys, call, organization)
    finally:
        service.store.close()


@pytest.fixture
def us(tmp_path: Path) -> Iterator[Neighbour]:
    with neighbour(tmp_path) as found:
        yield found


@contextmanager
def serving(us: Neighbour, smtp_url: str, *options: str) -> Iterator[RunningServer]:
    running = RunningServer(
        us.settings.database_url, "--smtp-url", smtp_url, "--public-url", PUBLIC_URL, *options
    )  # fmt: skip
    try:
        yield running
    finally:
        running.stop()


def test_the_server_sends_what_another_process_queued(us: Neighbour, smtp: MailServer) -> None:
    with serving(us, smtp.url, "--mail-from", "Acme <hello@acme.example>") as running:
        invitation = us.invite("grace@example.com")
        wait_until(lambda: us.delivery(invitation) is DeliveryState.SENT)
    (mail,) = smtp.mails
    assert str(mail.message["From"]) == "Acme <hello@acme.example>"
    assert mail.link == f"{PUBLIC_URL}/invitations#{us.token(invitation)}"
    assert us.service.invitations.preview(Call(None), token=mail.token).organization.name == "Acme"
    assert mail.token not in running.log
    assert "grace@example.com" not in running.log


@pytest.mark.slow
def test_server_processes_on_one_port_send_each_mail_once(us: Neighbour, smtp: MailServer) -> None:
    with serving(us, smtp.url, "--workers", "2"):
        invitations = [us.invite(f"person{number}@example.com") for number in range(40)]
        wait_until(lambda: all(us.delivery(one) is DeliveryState.SENT for one in invitations), 30)
    assert Counter(mail.recipients[0] for mail in smtp.mails) == {
        f"person{number}@example.com": 1 for number in range(40)
    }


@pytest.mark.slow
def test_a_mail_whose_server_was_killed_before_sending_goes_out_after_the_restart(us: Neighbour) -> None:
    with mail_server() as gone:
        pass
    with serving(us, gone.url) as running:
        processes = family(running.process.pid)
        assert len(processes) > 1
        # Stopped first, so that the commit surely comes before the end and no try at sending does.
        for pid in processes:
            os.kill(pid, signal.SIGSTOP)
        invitation = us.invite("grace@example.com")
        for pid in processes:
            os.kill(pid, signal.SIGKILL)
        running.process.wait(10)
    assert us.delivery(invitation) is DeliveryState.QUEUED
    token = us.token(invitation)
    assert token.encode() not in us.kept()
    assert token not in running.log
    with mail_server(gone.port) as back, serving(us, back.url):
        wait_until(lambda: us.delivery(invitation) is DeliveryState.SENT, 20)
        assert [mail.token for mail in back.mails] == [token]


@pytest.mark.slow
def test_a_mail_that_a_server_tried_in_vain_goes_out_when_the_mail_server_is_there(us: Neighbour) -> None:
    with mail_server() as gone:
        pass
    with serving(us, gone.url) as running:
        invitation = us.invite("grace@example.com")
        wait_until(lambda: "mail not sent yet" in running.log)
        (waiting,) = json.loads(us.outbox("list", "--json"))
        assert (waiting["state"], waiting["attempts"]) == ("queued", 1)
        assert "Connection refused" in waiting["error"]
        token = us.token(invitation)
        assert token.encode() not in us.kept()
        with mail_server(gone.port) as back:
            wait_until(lambda: us.delivery(invitation) is DeliveryState.SENT, 30)
        assert [mail.token for mail in back.mails] == [token]
        assert token not in running.log
        # Not in a loop without rest: at most one try for each ten seconds or so.
        assert running.log.count("mail not sent yet") <= 3


@pytest.mark.slow
def test_without_a_mail_server_the_outbox_keeps_mails_and_the_operator_is_told(us: Neighbour) -> None:
    running = RunningServer(us.settings.database_url)
    try:
        assert re.search(r"SMTP_URL is not set: mails stay in the outbox", running.log)
        invitation = us.invite("Grace@Example.com")
        listed = us.outbox("list")
        (facts,) = json.loads(us.outbox("list", "--state", "queued", "--json"))
    finally:
        running.stop()
    token = us.token(invitation)
    assert f"invitation={invitation.id}" in listed
    assert "address=Grace@Example.com  state=queued  attempts=0" in listed
    assert set(facts) == {
        "id", "invitation", "address", "state", "attempts", "created_at", "next_attempt_at", "sent_at", "error",
    }  # fmt: skip
    for shown in (listed, json.dumps(facts), running.log, us.kept().decode("latin-1")):
        assert token not in shown
    assert us.outbox("list", "--state", "sent") == ""


@pytest.mark.slow
def test_the_operator_lists_failed_mails_and_tries_them_again(us: Neighbour, smtp: MailServer) -> None:
    smtp.answers["grace@example.com"] = "550 no such user"
    with serving(us, smtp.url):
        refused, taken = us.invite("grace@example.com"), us.invite("alan@example.com")
        wait_until(lambda: us.delivery(refused) is DeliveryState.FAILED)
        wait_until(lambda: us.delivery(taken) is DeliveryState.SENT)
        (failed,) = json.loads(us.outbox("list", "--state", "failed", "--json"))
        assert (failed["address"], failed["error"]) == ("grace@example.com", "550 no such user")
        assert failed["next_attempt_at"] is None
        smtp.answers.clear()
        assert us.outbox("retry", "unknown") == "0 mails queued again\n"
        assert us.outbox("retry", failed["id"]) == "1 mail queued again\n"
        wait_until(lambda: us.delivery(refused) is DeliveryState.SENT)
    assert us.outbox("retry") == "0 mails queued again\n"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("options", "named"),
    [
        (("--smtp-url", "nonsense://u:s3cret@x"), "SMTP_URL"),
        (("--smtp-url", "smtp://localhost", "--mail-from", "nobody"), "MAIL_FROM"),
        (("--smtp-url", "smtp://localhost", "--port", "0"), "PUBLIC_URL"),
        (("--mail-templates", "/nowhere"), "MAIL_TEMPLATES"),
        (("--limits", "recipient=none"), "LIMITS"),
        (("--redirect-origins", "example.com"), "REDIRECT_ORIGINS"),
    ],
)
def test_what_cannot_be_used_is_one_sentence_at_the_start(tmp_path: Path, options: tuple[str, ...], named: str) -> None:
    done = run_program("serve", "--database-url", f"sqlite:///{tmp_path / 'organizations.db'}", *options)
    assert done.returncode == 2
    (sentence,) = done.stderr.splitlines()
    assert sentence.startswith(f"organization-service: {named} ")
    assert "s3cret" not in sentence
