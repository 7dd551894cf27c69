"""What a running server opens: its port and nothing else. There are no metrics, traces or pages for debugging."""

from __future__ import annotations

import http.client
import os
import re
import socket
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import httpx
import pytest

from tests.certificates import self_signed
from tests.running import RunningServer, family, running_server

PATHS = (
    "/metrics",
    "/stats",
    "/stats/prometheus",
    "/debug",
    "/debug/pprof/",
    "/traces",
    "/admin",
    "/config_dump",
    "/clusters",
    "/listeners",
    "/server_info",
    "/logging",
    "/quitquitquit",
    "/.env",
)

LISTENS, ANY = "0A", "07"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    directory = tmp_path_factory.mktemp("server")
    with running_server(directory, "--workers", "2", environ={"TMPDIR": str(tmp_path_factory.mktemp("tmp"))}) as server:
        yield server


def _sockets(server: RunningServer) -> set[str]:
    """Give the inodes of all sockets that the server's processes hold."""
    found = set()
    for pid in family(server.process.pid):
        for descriptor in Path(f"/proc/{pid}/fd").iterdir():
            # What is closed meanwhile isn't open.
            with suppress(FileNotFoundError):
                if match := re.fullmatch(r"socket:\[(\d+)\]", os.readlink(descriptor)):
                    found.add(match[1])
    return found


def _open_sockets(server: RunningServer) -> list[str]:
    """Give what others could send to: `tcp 127.0.0.1:8080`, or `unix /path`, in which @ begins an abstract name."""
    held, found = _sockets(server), []
    for table in ("tcp", "tcp6", "udp", "udp6"):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            _, address, _, state, *rest = line.split()
            if rest[5] in held and state in (LISTENS, ANY):
                found.append(f"{table} {int(address.rpartition(':')[2], 16)}")
    for line in Path("/proc/net/unix").read_text().splitlines()[1:]:
        fields = line.split()
        if fields[6] in held and len(fields) > 7:
            found.append(f"unix {fields[7]}")
    return found


def _admin_sockets(server: RunningServer) -> list[Path]:
    return [Path(one.removeprefix("unix ")) for one in _open_sockets(server) if one.startswith("unix ")]


def test_a_server_listens_on_its_port_alone(server: RunningServer) -> None:
    port = server.address.rpartition(":")[2]
    others = [one for one in _open_sockets(server) if not one.startswith("unix ")]
    assert others == [f"tcp {port}"] * 2
    assert len(_admin_sockets(server)) == 2


def test_with_tls_it_listens_for_http_3_besides(tmp_path: Path) -> None:
    pem = str(self_signed(tmp_path / "server.pem"))
    with running_server(tmp_path, "--tls-cert", pem, "--tls-key", pem) as server:
        port = server.address.rpartition(":")[2]
        opened = [one for one in _open_sockets(server) if not one.startswith("unix ")]
    # The number of the other is the same where --port says one.
    assert [re.sub(r"^udp \d+$", "udp", one) for one in opened] == [f"tcp {port}", "udp"]


def test_envoys_own_interface_is_for_the_owner_alone(server: RunningServer) -> None:
    for path in _admin_sockets(server):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
        assert path.stat().st_uid == path.parent.stat().st_uid == os.geteuid()


@pytest.mark.parametrize("path", [*PATHS, "/stats?filter=.*", "/heap_dump", "/runtime_modify?a=b", "/help", "/"])
def test_envoys_own_interface_refuses_what_the_service_does_not_need(server: RunningServer, path: str) -> None:
    for at in _admin_sockets(server):
        for method in ("GET", "POST"):
            connection = http.client.HTTPConnection("admin", timeout=10)
            connection.sock = socket.socket(socket.AF_UNIX)
            connection.sock.connect(str(at))
            connection.request(method, path)
            assert connection.getresponse().status == 403
            connection.close()


@pytest.mark.parametrize("path", PATHS)
def test_no_path_shows_how_the_server_is_but_its_health(server: RunningServer, path: str) -> None:
    for method in ("GET", "POST"):
        answer = httpx.request(method, server.url + path)
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
