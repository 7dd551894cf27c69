"""The whole service in process, for requests of any kind: nothing that comes in may fail on our side."""

from __future__ import annotations

import atexit
import json
import shutil
import struct
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

from server.domain.account import Scope
from server.domain.secrets import SecretKeys
from server.main import build_service
from server.store.sqlite import SqliteStore
from server.wires import build_edge
from tests.conftest import KEY, GivenClock, World
from tests.faces.conftest import Stage
from tests.faces.wire import Answer, Wire
from tests.stories.people import party


@cache
def stage() -> Stage:
    """An organization of Ada's with Bob in it; what is changed in it stays changed."""
    directory = tempfile.mkdtemp(prefix="fuzz")
    atexit.register(shutil.rmtree, directory, ignore_errors=True)
    clock = GivenClock()
    store = SqliteStore(Path(directory) / "organizations.db", clock)
    store._writer_db.execute("PRAGMA synchronous = OFF")
    world = World(build_service(store, SecretKeys([KEY]), clock=clock), clock)
    return Stage(world, Wire(build_edge(world.service)), party(world, "Ada", "Bob"))


@cache
def _tokens() -> tuple[str, ...]:
    here = stage()
    backend, _ = here.world.service.backend_keys.issue(
        "fuzz", scopes=frozenset(Scope), organization_ids=(), expires_at=None
    )
    return ("", here.token("Ada"), here.user_token("Ada"), backend)


@cache
def methods() -> tuple[str, ...]:
    return tuple(sorted(stage().wire.methods))


CONTENT_TYPES = (
    "application/json",
    "application/proto",
    "application/grpc+proto",
    "application/grpc+json",
    "application/grpc-web+proto",
    "application/grpc-web+json",
)


def _ours(data: bytes) -> bytes:
    """Give what stands for our ids their place, so that a request may get further than the first look."""
    here = stage()
    named = {b"IT": here.it.id, b"ADA": here.it.users["Ada"], b"BOB": here.it.users["Bob"], b"INVITE": here.it.invite}
    for word, id_ in named.items():
        data = data.replace(b'"' + word + b'"', json.dumps(id_).encode())
    return data


def _headers(who: int) -> dict[str, str]:
    token = _tokens()[who % len(_tokens())]
    return {"authorization": f"Bearer {token}"} if token else {}


def any_rpc(data: bytes) -> Answer:
    """Send bytes to a method; the first three say to which, in which protocol and codec, and as whom."""
    which, how, who, body = (*data[:3].ljust(3, b"\0"), _ours(data[3:]))
    content_type = CONTENT_TYPES[how % len(CONTENT_TYPES)]
    if "grpc" in content_type and not how & 0x40:
        body = struct.pack(">BI", how >> 7, len(body)) + body
    headers = {"content-type": content_type, **_headers(who)}
    if how & 0x80:
        headers["grpc-encoding" if "grpc" in content_type else "content-encoding"] = "gzip"
    if who & 0x80:
        headers["idempotency-key"] = "once"
    answer = stage().wire.http(f"/{methods()[which % len(methods())]}", body, headers)
    require_no_failure(answer)
    return answer


REST_PATHS = tuple(
    f"{prefix}/{path}"
    for prefix, paths in {
        "/clerk/v1": (
            "organizations",
            "organizations/ID",
            "organizations/ID/invitations",
            "organizations/ID/invitations/bulk",
            "organizations/ID/memberships",
            "organizations/ID/memberships/ADA",
            "organizations/ID/memberships/ADA/metadata",
            "organizations/ID/metadata",
        ),
        "/koyeb/v1": ("organizations", "organizations/ID", "organization_invitations", "organization_members"),
        "/logto/api": (
            "organizations",
            "organizations/ID",
            "organizations/ID/users",
            "organization-invitations",
            "organization-roles",
            "one-time-tokens/verify",
        ),
        "": ("healthz", "readyz", "invitations", "sign-in/callback", ""),
    }.items()
    for path in paths
)
VERBS = ("POST", "GET", "PATCH", "PUT", "DELETE", "HEAD", "OPTIONS")


def any_rest(data: bytes) -> Answer:
    """Send bytes to a path of another face; the first three say where, how and as whom; a path may stand in front."""
    which, how, who, body = (*data[:3].ljust(3, b"\0"), _ours(data[3:]))
    here = stage()
    path, query = REST_PATHS[which % len(REST_PATHS)].replace("ID", here.it.id).replace("ADA", here.it.users["Ada"]), ""
    if body[:1] in (b"/", b"?"):
        written, _, body = body.partition(b"\0")
        given, _, query = written.decode("latin-1").partition("?")
        path = given or path
    headers = {**_headers(who)}
    if how & 0x80:
        headers["content-type"] = "application/json"
    if who & 0x80:
        headers["idempotency-key"] = "once"
    answer = here.wire.http(path, body, headers, http_method=VERBS[how % 0x40 % len(VERBS)], query=query)
    require_no_failure(answer)
    return answer


def require_no_failure(answer: Answer) -> None:
    said: dict[str, Any] = {**answer.headers, **answer.trailers}
    # 501 is a method that we don't have.
    assert answer.status < 500 or answer.status == 501, answer.body[:300]
    assert said.get("grpc-status") not in ("2", "13", "14", "15"), said
    assert b"grpc-status: 2\r" not in answer.body, answer.body[:300]
    assert b"grpc-status: 13" not in answer.body, answer.body[:300]
    assert b'"reason": "INTERNAL"' not in answer.body, answer.body[:300]
