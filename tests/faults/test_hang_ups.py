"""Clients that hang up: before their request is read, and at moments of what it asks for.

No mistake of ours, and nothing is left half done.
"""

from __future__ import annotations

import json
import socket
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.faults import mutant_server
from tests.faults.attacks import RESET_AT_ONCE, connect
from tests.faults.histories import at_once
from tests.faults.load import CREATE_ORGANIZATION
from tests.running import RunningServer, running_server

CLIENTS, REQUESTS = 12, 40


def request(path: str, token: str, message: object, **more: str) -> bytes:
    body = json.dumps(message).encode()
    headers = {"host": "localhost", "authorization": f"Bearer {token}", "content-type": "application/json"} | more
    lines = [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([f"POST /{path} HTTP/1.1", *lines, f"content-length: {len(body)}", "", ""]).encode() + body


def reset_at_the_end(connection: socket.socket) -> None:
    """Have a connection end by a reset."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_AT_ONCE)


@pytest.mark.slow
def test_hanging_up_is_logged_in_a_line_and_is_no_error(tmp_path: Path) -> None:
    with running_server(tmp_path, environ={"LIMITS": "off"}) as server:
        token = server.token("ada@example.com")
        host, port = server.address.split(":")
        requests = [
            # By Connect, by REST, and to where nobody reads it.
            request("gitpod.v1.OrganizationService/CreateOrganization", token, {"name": "Gone"}),
            request("logto/api/organizations", token, {"name": "Gone"}),
            request("gitpod.v1.OrganizationService/Nothing", token, {}),
        ]

        def hang_up(number: int) -> None:
            for turn in range(REQUESTS):
                with suppress(ConnectionError), socket.create_connection((host, int(port))) as connection:
                    if turn % 2:
                        reset_at_the_end(connection)
                    connection.sendall(requests[(number + turn) % len(requests)])

        at_once([partial(hang_up, number) for number in range(CLIENTS)])
        time.sleep(0.5)
    assert "Traceback" not in server.log
    lines = [json.loads(line) for line in server.log.splitlines() if line.startswith("{")]
    codes = Counter((line["level"], line["code"]) for line in lines if "code" in line)
    assert codes["info", "canceled"] > 0, codes


INVITATIONS = "invitations.v1.InvitationService/"
BATCH = 50
MOMENTS = (0, 1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10_000)
"""Milliseconds after the last byte of a request at which its client hangs up; those after 100 only where nothing was
done sooner."""


class BatchesLeft:
    """Batches of invitations whose client hangs up, one in each organization; `wrong` is what was half done of them."""

    def __init__(self, server: RunningServer, client: httpx.Client, token: str) -> None:
        self._server = server
        self._client = client
        self._token = token
        self._organization = ""
        self.found: Counter[str] = Counter()
        self.wrong: list[str] = []

    def leave(self, milliseconds: int | None, *, reset: bool, keyed: bool) -> None:
        """Ask for a batch and hang up so long after its last byte, or before it (None); see what was done.

        With an Idempotency-Key it is sent again: then it is done, once, and the answer is that of whatever was done.
        """
        what = f"{milliseconds} ms, {'reset' if reset else 'closed'}{', with a key' if keyed else ''}"
        self._organization = self._ask(CREATE_ORGANIZATION, {"name": "Left"})["organization"]["id"]
        items = [{"email": f"{number}@example.com", "sendEmail": False} for number in range(BATCH)]
        batch = {"organizationId": self._organization, "allOrNothing": True, "invitations": items}
        headers = {"idempotency_key": self._organization} if keyed else {}
        sent = request(INVITATIONS + "BatchCreateInvitations", self._token, batch, **headers)
        with connect(self._server.address) as connection:
            if reset:
                reset_at_the_end(connection)
            connection.sendall(sent[:-1] if milliseconds is None else sent)
            time.sleep((milliseconds or 0) / 1000)
        seen = len(self._invited())
        self.found["nothing" if seen == 0 else "all" if seen == BATCH else "some"] += 1
        if seen not in (0, BATCH) or (seen and milliseconds is None):
            self.wrong.append(f"{what}: {seen} of {BATCH} were invited")
        if keyed:
            answers = [self._ask(INVITATIONS + "BatchCreateInvitations", batch, self._organization) for _ in range(2)]
            made = sorted(outcome["created"]["invitation"]["id"] for outcome in answers[0]["outcomes"])
            if answers[0] != answers[1] or made != self._invited():
                self.wrong.append(f"{what}: sent again it is another batch")

    def _invited(self) -> list[str]:
        asked = {"organizationId": self._organization, "pageSize": BATCH + 1}
        return sorted(each["id"] for each in self._ask(INVITATIONS + "ListInvitations", asked)["invitations"])

    def _ask(self, path: str, message: object, key: str = "") -> Any:
        answer = self._client.post(
            f"/{path.lstrip('/')}", json=message, headers={"idempotency-key": key} if key else {}
        )
        assert answer.status_code == 200, answer.text
        return answer.json()


def leave_batches(server: RunningServer) -> BatchesLeft:
    """Hang up at each moment of a batch, in every way, until something is wrong."""
    token = server.token("ada@example.com")
    headers = {"authorization": f"Bearer {token}"}
    with httpx.Client(base_url=server.url, headers=headers, timeout=30) as client:
        left = BatchesLeft(server, client, token)
        for reset, keyed in product((False, True), repeat=2):
            done_before = left.found["all"]
            for milliseconds in (None, *MOMENTS):
                late = milliseconds is not None and milliseconds > 100
                if left.wrong or (late and left.found["all"] > done_before):
                    break
                left.leave(milliseconds, reset=reset, keyed=keyed)
    return left


@pytest.mark.slow
def test_a_write_whose_client_hangs_up_at_any_moment_is_done_whole_or_not_at_all(
    tmp_path: Path, figure: Callable[[str], None]
) -> None:
    with running_server(tmp_path, environ={"LIMITS": "off"}) as server:
        left = leave_batches(server)
    figure(f"batches left in the middle: {dict(left.found)} of them was to be seen then")
    assert left.wrong == []
    assert left.found["all"] > 0
    assert "Traceback" not in server.log


@pytest.mark.slow
def test_a_write_that_is_not_done_at_one_moment_is_seen_half_done(tmp_path: Path) -> None:
    mutant = mutant_server.program("batches_made_one_by_one")
    with running_server(tmp_path, environ={"LIMITS": "off"}, program=mutant) as server:
        assert leave_batches(server).found["some"] > 0
