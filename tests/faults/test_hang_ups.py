"""Clients that hang up before their request is read: no mistake of ours, and nothing of it is done."""

from __future__ import annotations

import json
import socket
import time
from collections import Counter
from contextlib import suppress
from functools import partial
from pathlib import Path

import pytest

from tests.faults.attacks import RESET_AT_ONCE
from tests.faults.histories import at_once
from tests.running import running_server

CLIENTS, REQUESTS = 12, 40


def request(path: str, token: str, message: object) -> bytes:
    body = json.dumps(message).encode()
    headers = f"authorization: Bearer {token}\r\ncontent-type: application/json\r\ncontent-length: {len(body)}"
    return f"POST /{path} HTTP/1.1\r\nhost: localhost\r\n{headers}\r\n\r\n".encode() + body


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
                        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_AT_ONCE)
                    connection.sendall(requests[(number + turn) % len(requests)])

        at_once([partial(hang_up, number) for number in range(CLIENTS)])
        time.sleep(0.5)
    assert "Traceback" not in server.log
    lines = [json.loads(line) for line in server.log.splitlines() if line.startswith("{")]
    codes = Counter((line["level"], line["code"]) for line in lines if "code" in line)
    assert codes["info", "canceled"] > 0, codes
