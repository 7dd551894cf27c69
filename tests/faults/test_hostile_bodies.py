"""Bodies that were made to take the server down, sent to the real one."""

from __future__ import annotations

import gzip
import struct
from collections.abc import Iterator

import httpx
import pytest

from tests.fuzz.requests import DEEP_BODIES, nested_metadata
from tests.running import RunningServer, running_server

pytestmark = pytest.mark.timeout(300)

DEEP, LIMIT = 100_000, 1024 * 1024
GITPOD = "/gitpod.v1.OrganizationService/GetOrganization"
INVITATIONS = "/invitations.v1.InvitationService/PreviewInvitation"
CREATE_INVITATION = "/invitations.v1.InvitationService/CreateInvitation"
REST = ("/clerk/v1/organizations", "/koyeb/v1/organizations", "/logto/api/organizations")

BODIES = {
    "arrays in arrays": b"[" * DEEP,
    "arrays in a text's place": b'{"organizationId":' + b"[" * DEEP,
    "objects in objects": b'{"x":' * DEEP,
    "both by turns": b'{"x":[' * DEEP,
    "arrays that are closed": b'{"x":' + b"[" * DEEP + b"]" * DEEP + b"}",
    "a long number": b'{"x":' + b"9" * (LIMIT - 100) + b"}",
    "many names": b"{" + b",".join(b'"%d":0' % number for number in range(80_000)) + b"}",
    "a text without an end": b'{"name":"' + b"\\u0000" * 100_000,
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """A server of its own, since the point is whether it survives."""
    with running_server(tmp_path_factory.mktemp("hostile"), "--log-level", "warning") as running:
        yield running


def answers(server: RunningServer) -> bool:
    return server.process.poll() is None and httpx.get(f"{server.url}/readyz", timeout=10).status_code == 200


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES.keys())
def test_no_json_takes_the_server_down(server: RunningServer, body: bytes) -> None:
    for path in (GITPOD, INVITATIONS, *REST):
        answer = httpx.post(
            server.url + path,
            content=body,
            headers={"content-type": "application/json", "authorization": "Bearer orgsvc_unknown"},
            timeout=20,
        )
        assert 400 <= answer.status_code < 500, (path, answer.text[:200])
    assert answers(server)


def test_no_binary_takes_the_server_down(server: RunningServer) -> None:
    # Groups in groups of an unknown field, and a field that says it is longer than there are bytes.
    for body in (b"\xc3\x3e" * DEEP, b"\x0a\xff\xff\xff\xff\x0f", b"\xff" * 1000):
        for content_type, content in (
            ("application/proto", body),
            ("application/grpc-web+proto", struct.pack(">BI", 0, len(body)) + body),
        ):
            answer = httpx.post(server.url + GITPOD, content=content, headers={"content-type": content_type})
            assert answer.status_code in (200, 400)
            assert answer.status_code == 400 or b"grpc-status: 3" in answer.content
    assert answers(server)


@pytest.mark.slow
@pytest.mark.parametrize("body", DEEP_BODIES.values(), ids=DEEP_BODIES.keys())
def test_no_monstrous_json_takes_the_server_down(server: RunningServer, body: bytes) -> None:
    for path in (CREATE_INVITATION, REST[0]):
        headers = {"content-type": "application/json", "authorization": "Bearer orgsvc_unknown"}
        answer = httpx.post(server.url + path, content=body, headers=headers, timeout=20)
        assert 400 <= answer.status_code < 500, (path, answer.text[:200])
    assert answers(server)


@pytest.mark.parametrize("depth", [50, 100, 1_000, pytest.param(100_000, marks=pytest.mark.slow)])
def test_no_nested_metadata_takes_the_server_down(server: RunningServer, depth: int) -> None:
    headers = {"content-type": "application/proto"}
    answer = httpx.post(server.url + CREATE_INVITATION, content=nested_metadata(depth), headers=headers, timeout=20)
    assert 400 <= answer.status_code < 500, answer.text[:200]
    assert answers(server)


def test_no_compressed_body_takes_the_server_down(server: RunningServer) -> None:
    bomb = gzip.compress(b" " * (128 * LIMIT), compresslevel=1)
    for content_type, content, header in (
        ("application/json", bomb, "content-encoding"),
        ("application/proto", bomb, "content-encoding"),
        ("application/grpc-web+proto", struct.pack(">BI", 1, len(bomb)) + bomb, "grpc-encoding"),
    ):
        headers = {"content-type": content_type, header: "gzip"}
        answer = httpx.post(server.url + GITPOD, content=content, headers=headers)
        assert answer.status_code in (200, 429)
        assert answer.status_code == 429 or b"grpc-status: 8" in answer.content
    assert answers(server)
