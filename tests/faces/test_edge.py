"""The edge: request ids, hints for clients, the log's line, and what stands beside the RPCs."""

from __future__ import annotations

import base64
import json
import logging
import re
import time
import uuid
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import pytest

from server.domain.errors import STORE_UNAVAILABLE, ServiceError
from server.edge import ARRIVAL, LONGEST_WAIT_SECONDS
from server.faces.connect import LONGEST_CALL_SECONDS
from server.logs import JsonFormatter, RequestRecord, TextFormatter
from server.wires import build_edge
from tests.faces.conftest import Stage
from tests.faces.refusals import FaultyStore, broken, with_store
from tests.faces.wire import CONNECT_JSON, PROTOCOLS, Wire
from tests.stories.people import party, some_id

ACCESS = "organization_service.access"
UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.DEBUG)
    return caplog


def written(lines: pytest.LogCaptureFixture, logger: str = ACCESS) -> list[dict[str, Any]]:
    """Give what the log would hold."""
    return [json.loads(JsonFormatter().format(record)) for record in lines.records if record.name == logger]


@pytest.mark.parametrize("given_id", ["abc-123", "x" * 128, "A.b:c/d+e=f_g", "0"])
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_request_id_is_taken_over_answered_and_logged(
    standing_stage: Stage, lines: pytest.LogCaptureFixture, protocol: str, given_id: str
) -> None:
    answer = standing_stage.wire.call(protocol, "GetAccount", headers={"x-request-id": given_id})
    assert answer.headers["x-request-id"] == given_id
    assert [line["request_id"] for line in written(lines)] == [given_id]


@pytest.mark.parametrize(
    "hostile",
    [
        "",
        " ",
        "x" * 129,
        "a b",
        "a\nb",
        "a\r\nset-cookie: x",
        "ü",
        "<script>",
        "a;b",
        '"',
        "a\x00b",
        "abc\n",
        "{}",
        "%0a",
    ],
)
def test_a_hostile_request_id_is_replaced(standing_stage: Stage, lines: pytest.LogCaptureFixture, hostile: str) -> None:
    answer = standing_stage.wire.call(CONNECT_JSON, "GetAccount", headers={"x-request-id": hostile})
    assert UUID.fullmatch(answer.headers["x-request-id"])
    assert [line["request_id"] for line in written(lines)] == [answer.headers["x-request-id"]]


@pytest.mark.parametrize("hostile", ["/a b", '/"', "/\\", "/\r\n{", "/\x00\x7f", "/ä\ud800", "/{0}%s"])
def test_a_line_says_what_any_record_would_whatever_the_path(hostile: str) -> None:
    told = {"method": hostile, "http_method": 'P"T', "status": "404", "code": "http_404", "reason": "", "ms": 0.125}
    record = RequestRecord(created=1893459661.25, **told, request_id="one")  # type: ignore[arg-type]
    (line,) = record.json().splitlines()
    assert line == JsonFormatter().format(record.logged())
    assert json.loads(line) == {
        "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
        "level": "info",
        "logger": ACCESS,
        "message": "request",
        **told,
        "request_id": "one",
    }


def test_every_request_has_an_id_of_its_own(standing_stage: Stage) -> None:
    ids = {standing_stage.wire.call(CONNECT_JSON, "GetAccount").headers["x-request-id"] for _ in range(20)}
    assert len(ids) == 20


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_each_request_is_one_line_that_says_how_it_ended(
    standing_stage: Stage, lines: pytest.LogCaptureFixture, protocol: str
) -> None:
    wire, ada = standing_stage.wire, standing_stage.token("Ada")
    lines.clear()
    wire.call(protocol, "GetOrganization", {"organizationId": standing_stage.it.id}, token=ada)
    wire.call(protocol, "GetOrganization", {"organizationId": some_id()}, token=ada)
    wire.call(protocol, "GetOrganization", {"organizationId": "x"}, token=ada)
    wire.call(protocol, "GetOrganization", {"organizationId": some_id()})
    found = written(lines)
    assert [(line["code"], line["reason"]) for line in found] == [
        ("ok", ""),
        ("not_found", "ORGANIZATION_NOT_FOUND"),
        ("invalid_argument", "INVALID_REQUEST"),
        ("unauthenticated", "CREDENTIALS_MISSING"),
    ]
    for line in found:
        assert line["method"] == "/gitpod.v1.OrganizationService/GetOrganization"
        assert (line["http_method"], line["level"], line["message"]) == ("POST", "info", "request")
        assert 0 <= line["ms"] < 5000
        assert UUID.fullmatch(line["request_id"])


def test_the_line_of_what_is_no_call_at_all_tells_its_status(
    standing_stage: Stage, lines: pytest.LogCaptureFixture
) -> None:
    standing_stage.wire.http("/nothing/here")
    standing_stage.wire.http("/gitpod.v1.AccountService/GetAccount", headers={"content-type": "text/plain"})
    standing_stage.wire.http("/gitpod.v1.OrganizationService/DeleteOrganization", http_method="GET")
    assert [line["status"] for line in written(lines)] == ["404", "415", "405"]
    assert all(line["code"] != "ok" for line in written(lines))


def spellings(secret: str) -> set[str]:
    """Give ways in which a secret could stand in a log."""
    found = {secret, secret.upper(), secret.lower(), quote(secret), base64.b64encode(secret.encode()).decode()}
    if UUID.fullmatch(secret):
        found |= {secret.replace("-", ""), base64.b64encode(uuid.UUID(secret).bytes).decode()}
    return found


def test_no_line_holds_a_token_or_an_invite(stage: Stage, lines: pytest.LogCaptureFixture) -> None:
    wire, it = stage.wire, {"organizationId": stage.it.id}
    ada, bob = stage.token("Ada"), stage.token("Bob")
    secrets = [ada, bob, stage.it.invite]
    for protocol in PROTOCOLS:

        def call(name: str, request: dict[str, Any], token: str | None = ada, protocol: str = protocol) -> Any:
            return wire.call(protocol, name, request, token=token)

        made = wire.message("CreateOrganizationInvite", call("CreateOrganizationInvite", it)).invite.invite_id
        personal = wire.message(
            "CreatePersonalAccessToken", call("CreatePersonalAccessToken", {"userId": stage.it.users["Ada"]})
        ).token
        secrets += [made, personal]
        for invite in (made, stage.it.invite):
            call("GetOrganizationInviteSummary", {"inviteId": invite}, None)
            call("JoinOrganization", {"inviteId": invite}, bob)
            call("JoinOrganization", {"inviteId": invite}, personal)
            call("JoinOrganization", {"inviteId": invite + "x"}, bob)
            call("GetOrganization", {"organizationId": invite}, bob)
        call("GetOrganizationInvite", it)
        for wrong in (personal + "x", personal[:-1], f"{personal} {ada}"):
            call("GetAccount", {}, wrong)
        wire.send(protocol, "JoinOrganization", made.encode(), token=ada)
        wire.send(protocol, "JoinOrganization", b"", token=ada, headers={"authorization": personal})
        message = quote(json.dumps({"inviteId": made}))
        for encoding in ("json", "none"):
            wire.http(
                "/gitpod.v1.OrganizationService/GetOrganizationInviteSummary",
                http_method="GET",
                query=f"encoding={encoding}&message={message}&access_token={personal}",
            )
        failing = broken(stage)
        failing.call(protocol, "JoinOrganization", {"inviteId": made}, token=ada)
        failing.call(protocol, "GetOrganizationInviteSummary", {"inviteId": made}, token=personal)
    stage.world.service.tokens.revoke(ada)
    assert len(lines.records) > 80
    said = [format_.format(record) for record in lines.records for format_ in (JsonFormatter(), TextFormatter())]
    for secret in secrets:
        for spelling in spellings(secret):
            assert not [line for line in said if spelling in line]


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_failure_of_ours_is_logged_with_its_cause_under_the_request_id(
    stage: Stage, lines: pytest.LogCaptureFixture, protocol: str
) -> None:
    answer = broken(stage).call(protocol, "GetOrganization", {"organizationId": stage.it.id}, token=stage.token("Ada"))
    assert answer.reason == "INTERNAL"
    (failure,) = [line for line in written(lines, "server.faces.connect") if line["level"] == "error"]
    assert "RuntimeError: secret of /etc/passwd" in failure["exception"]
    assert failure["request_id"] == answer.headers["x-request-id"]


def test_beside_the_calls_there_are_two_questions_for_the_operators_machines(wire: Wire) -> None:
    for path, body in (("/healthz", {"status": "ok"}), ("/readyz", {"status": "ready"})):
        answer = wire.http(path, http_method="GET")
        assert (answer.status, answer.json()) == (200, body)
        assert answer.headers["cache-control"] == "no-store"
        assert wire.http(path, http_method="HEAD").body == b""


def test_without_its_store_the_service_lives_but_is_not_ready(stage: Stage) -> None:
    down = FaultyStore(ServiceError(STORE_UNAVAILABLE, retry_after_seconds=5.0))
    wire = Wire(build_edge(replace(stage.world.service, store=down)))
    assert wire.http("/healthz", http_method="GET").status == 200
    answer = wire.http("/readyz", http_method="GET")
    assert (answer.status, answer.json()) == (503, {"status": "unavailable", "reason": "STORE_UNAVAILABLE"})
    assert answer.headers["retry-after"] == "5"


@pytest.mark.parametrize("path", ["/favicon.ico", "/../etc/passwd", "/gitpod.v1.AccountService", "/a/b/c", "/%00"])
def test_there_is_nothing_at_other_paths(wire: Wire, path: str) -> None:
    for http_method in ("GET", "POST"):
        answer = wire.http(path, http_method=http_method)
        assert (answer.status, answer.json()["code"]) == (404, "not_found")


def test_a_repeated_request_gets_the_answer_that_it_got(stage: Stage) -> None:
    ada = stage.token("Ada")
    for protocol in PROTOCOLS:
        headers = {"idempotency-key": str(uuid.uuid4())}
        first, again = (
            stage.wire.call(protocol, "CreateOrganization", {"name": "Once"}, token=ada, headers=headers)
            for _ in range(2)
        )
        assert stage.wire.message("CreateOrganization", first) == stage.wire.message("CreateOrganization", again)
    owned = stage.world.service.organizations.list_own(stage.world.call("Ada"))
    assert [m.organization.name for m in owned] == ["Acme", *["Once"] * len(PROTOCOLS)]


def test_an_idempotency_key_belongs_to_its_caller_and_a_failure_frees_it(stage: Stage) -> None:
    headers = {"idempotency-key": "the same"}
    other = party(stage.world, "Eve")

    def join(name: str, invite: str) -> str:
        return stage.wire.call(
            CONNECT_JSON, "JoinOrganization", {"inviteId": invite}, token=stage.token(name), headers=headers
        ).code

    dead = some_id()
    assert join("Ada", dead) == "not_found"
    assert join("Ada", other.invite) == join("Bob", other.invite) == "ok"
    assert stage.world.service.organizations.get(stage.world.call("Eve"), other.id).member_count == 3


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize(
    ("header", "value"),
    [
        ("connect-timeout-ms", "abc"),
        ("connect-timeout-ms", "99999999999"),
        ("connect-timeout-ms", "-1"),
        ("connect-protocol-version", "9"),
        ("grpc-timeout", "zzz"),
        ("grpc-timeout", "123456789S"),
    ],
)
def test_a_protocol_header_that_breaks_the_rules_is_refused_like_all_else(
    wire: Wire, protocol: str, header: str, value: str
) -> None:
    answer = wire.call(protocol, "GetAccount", headers={header: value})
    assert (answer.code, answer.reason) == ("invalid_argument", "PROTOCOL_ERROR")
    assert header in answer.message
    assert value not in answer.message.replace(header, "")
    assert answer.headers["x-should-retry"] == "false"


# Time.

TOOK = LONGEST_WAIT_SECONDS + 3
"""Seconds that a body has taken to arrive: longer than a whole request may wait for a thread."""


def slow_body(waited: float = 0.0) -> dict[str, str]:
    """Give what the server tells of a request whose body has taken so long, and that then has waited."""
    return {ARRIVAL: f"192.0.2.1 {time.time() - TOOK - waited} {TOOK * 1e6:.0f}"}


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_how_long_a_body_takes_to_arrive_is_no_wait_for_a_thread(standing_stage: Stage, protocol: str) -> None:
    token = standing_stage.token("Ada")
    answer = standing_stage.wire.call(protocol, "GetAccount", token=token, headers=slow_body())
    assert answer.code == "ok", answer.message
    late = slow_body(waited=LONGEST_WAIT_SECONDS + 1)
    assert standing_stage.wire.call(protocol, "GetAccount", token=token, headers=late).reason == "OVERLOADED"


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize(
    ("milliseconds", "seconds"), [("20000", 20.0), ("99999999", LONGEST_CALL_SECONDS), (None, LONGEST_CALL_SECONDS)]
)
def test_a_deadline_counts_from_the_first_byte_and_is_never_far_away(
    standing_stage: Stage, protocol: str, milliseconds: str | None, seconds: float
) -> None:
    store, token = FaultyStore(ServiceError(STORE_UNAVAILABLE)), standing_stage.token("Ada")
    wire = with_store(standing_stage, store)
    timeout = {"connect-timeout-ms": milliseconds, "grpc-timeout": f"{milliseconds}m"} if milliseconds else {}
    began = time.monotonic()
    wire.call(protocol, "CreateOrganization", {"name": "Made"}, token=token, headers=slow_body() | timeout)
    (deadline,) = store.deadlines
    assert deadline is not None
    # But for what the two clocks differ by in so short a time.
    assert began - 0.01 <= deadline + TOOK - seconds <= time.monotonic() + 0.01
