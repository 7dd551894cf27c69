"""The address that limits count is the client's own, whatever the client says that it is; through the real server."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.running import RunningServer, running_server

PATH = "/gitpod.v1.OrganizationService/GetOrganizationInviteSummary"
LIMITED = "address=3/1h"
LIES = [
    "x-forwarded-for: {}",
    "x-forwarded-for: {}, 10.0.0.1",
    "x-forwarded-for: 10.0.0.1\r\nX-Forwarded-For: {}",
    "x-real-ip: {}",
    "forwarded: for={}",
    "x-client-address: {}",
    "X-Client-Address: {}\r\nx-client-address: {}",
    "x_client_address: {}",
    "X_Client-Address: {}",
    "x-envoy-external-address: {}",
    "x-envoy-original-dst-host: {}",
    "connection: x-client-address\r\nx-client-address: {}",
]


@pytest.fixture(scope="module")
def limited(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with running_server(tmp_path_factory.mktemp("limited"), "--limits", LIMITED) as server:
        yield server


def statuses(server: RunningServer, lie: str, source: str = "127.0.0.1") -> list[int]:
    """Give what four requests from a source are answered that each say another address."""
    found = []
    for n in range(4):
        host, port = server.address.rsplit(":", 1)
        with socket.create_connection((host, int(port)), timeout=10, source_address=(source, 0)) as connection:
            said = lie.replace("{}", f"198.51.100.{n}")
            connection.sendall(
                f"POST {PATH} HTTP/1.1\r\nhost: x\r\n{said}\r\ncontent-type: application/json\r\n"
                'content-length: 55\r\n\r\n{"inviteId": "00000000-0000-4000-8000-000000000000"}   \n'.encode()
            )
            found.append(int(connection.makefile("rb").readline().split()[1]))
    return found


@pytest.mark.parametrize("lie", LIES)
def test_a_client_can_not_say_that_it_is_another(limited: RunningServer, lie: str) -> None:
    source = f"127.0.1.{1 + LIES.index(lie)}"
    assert statuses(limited, lie, source) == [404, 404, 404, 429]


def test_our_own_proxies_are_believed_and_nobody_before_them(tmp_path: Path) -> None:
    with running_server(tmp_path, "--limits", LIMITED, "--trusted-proxies", "1") as server:
        assert statuses(server, "x-forwarded-for: {}") == [404] * 4
        assert statuses(server, "x-forwarded-for: {}, 203.0.113.9") == [404, 404, 404, 429], "the client's own claim"
        assert statuses(server, "x-forwarded-for: 2001:db8::1") == [404, 404, 404, 429]
        assert statuses(server, "x-forwarded-for: 2001:db8::2") == [429] * 4, "of the same network"


@pytest.mark.slow
def test_every_address_of_a_family_that_is_listened_on_counts(tmp_path: Path) -> None:
    with running_server(tmp_path, "--limits", LIMITED, "--host", "::1") as server:
        url = server.url.replace("://::1:", "://[::1]:")
        body = {"inviteId": "00000000-0000-4000-8000-000000000000"}
        assert [httpx.post(url + PATH, json=body).status_code for _ in range(4)] == [404, 404, 404, 429]
