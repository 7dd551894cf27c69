"""Bytes of strangers at every method of the real server, Envoy included, in every protocol.

Each run prints its seed; `FUZZ_SEED=… pytest tests/fuzz/test_over_sockets.py` sends the same again.
"""

from __future__ import annotations

import os
import random
import secrets
from collections import Counter
from collections.abc import Callable, Iterator

import httpx
import pytest

from server.wires import REFLECTED
from tests.conformance.speaking import CONNECT_SPEECHES, SPEECHES, Line
from tests.fuzz.over_sockets import attempts, problem
from tests.fuzz.service import stage
from tests.running import RunningServer, running_server

# A hang in compiled code doesn't hear signals: the thread ends the process then, which fails the test.
pytestmark = pytest.mark.timeout(600, method="thread")


LOOKED_AT = ("ok", "not_found", "permission_denied", "failed_precondition", "already_exists")
"""Codes of answers that only a use case gives."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    """A server of its own, since the point is whether it survives; it lets everything through to the methods."""
    with running_server(tmp_path_factory.mktemp("strangers"), "--limits", "off", "--log-level", "warning") as running:
        yield running


@pytest.fixture(scope="module")
def lines(server: RunningServer) -> Iterator[tuple[Line, ...]]:
    """What to send by as an admin, as a member, with a token that opens nothing, and with none."""
    tokens = (server.token("ada@example.com"), server.token("bob@example.com"), "orgsvc_unknown", "")
    lines = tuple(Line(server, stage().wire, token) for token in tokens)
    yield lines
    for line in lines:
        line.close()


@pytest.fixture(scope="module")
def ids(lines: tuple[Line, ...]) -> tuple[str, ...]:
    """Ids that there are, so that some requests get far."""
    ada, bob = lines[:2]
    speech = CONNECT_SPEECHES[0]
    made = ada.call(speech, "CreateOrganization", {"name": "Acme", "joinOrganization": True}).json()
    organization = {"organizationId": made["organization"]["id"]}
    invite = ada.call(speech, "CreateOrganizationInvite", organization).json()["invite"]["inviteId"]
    joined = bob.call(speech, "JoinOrganization", {"inviteId": invite}).json()
    return organization["organizationId"], made["member"]["userId"], joined["member"]["userId"], invite


def test_every_service_that_is_announced_is_tried() -> None:
    announced = {f"{desc.type_name}/{method.name}" for desc in REFLECTED for method in desc.methods}
    assert stage().wire.methods.keys() == announced


@pytest.mark.parametrize(
    "thorough", [False, pytest.param(True, marks=pytest.mark.slow)], ids=["one of each kind", "all of each kind"]
)
def test_no_bytes_make_a_method_fail(
    server: RunningServer,
    lines: tuple[Line, ...],
    ids: tuple[str, ...],
    figure: Callable[[str], None],
    *,
    thorough: bool,
) -> None:
    # Where others wait for the tests of their change, they aren't to fail by what was found just now.
    seed = int(os.environ.get("FUZZ_SEED") or (secrets.randbelow(2**32) if thorough else 1))
    dice = random.Random(seed)
    wrong, answered, reached = [], Counter[str](), set[str]()
    for attempt in attempts(lines[0], ids, dice, thorough=thorough):
        line = dice.choices(lines, (6, 2, 1, 1))[0]
        try:
            answer = line.send(attempt.speech, attempt.path, attempt.body, attempt.headers, verb=attempt.verb)
        except Exception as error:  # noqa: BLE001 # no answer in time, or none that can be read
            wrong.append(f"{error!r} to {attempt}")
            continue
        answered[answer.code if answer.status not in (405, 415) else "not allowed"] += 1
        if answer.code in LOOKED_AT:
            reached |= {attempt.path.partition("?")[0], str(attempt.speech)}
        found = problem(line, attempt, answer)
        wrong += [f"{found} to {attempt}"] if found else []
    total, shown = answered.total(), ", ".join(f"{count} {code}" for code, count in answered.most_common())
    figure(f"{total} requests of strangers at {len(stage().wire.methods)} methods, seed {seed}: {shown}")
    assert not wrong, f"FUZZ_SEED={seed}: {len(wrong)} of {total}, among them\n" + "\n".join(wrong[:10])
    # Nothing is shown by requests that no method looks at: some got to each, and in each way.
    assert reached >= {str(speech) for speech in SPEECHES} | {f"/{name}" for name in stage().wire.methods}
    assert server.process.poll() is None
    assert httpx.get(f"{server.url}/readyz", timeout=30).status_code == 200
    assert '"level": "error"' not in server.log
    for speech in SPEECHES:
        assert lines[0].call(speech, "GetAccount").code == "ok", speech
