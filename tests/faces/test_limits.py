"""Limits by address, caller, organization and guesses: what each stops, whom it doesn't, and for how long."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from google.rpc.error_details_pb2 import RetryInfo

from server.domain.errors import RATE_LIMITED
from server.domain.rates import Rate
from server.edge import ARRIVAL, client_subject
from server.faces.spelling import clerk_id, logto_id
from server.service.access_tokens import TOKEN_PREFIX
from server.service.backend_keys import KEY_PREFIX
from server.service.limits import Limit, Limits, Recent
from server.wires import build_edge
from tests.domain.refusals import refused_with
from tests.faces.conftest import Stage
from tests.faces.wire import CONNECT_JSON, PROTOCOLS, Answer, Wire
from tests.stories.people import some_id

THREE = Rate(3, 60)
REST = ("/clerk/v1/organizations", "/koyeb/v1/account/organization_invitations", "/logto/api/organizations")


@dataclass
class Seconds:
    """Monotonic seconds that stand still until they are moved."""

    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Limited:
    """A stage whose service has limits, and calls from addresses."""

    stage: Stage
    rates: dict[str, Rate | None]
    seconds: Seconds = field(default_factory=Seconds)

    def __post_init__(self) -> None:
        self.wire = Wire(build_edge(self.stage.world.service, limits=Limits(self.rates, self.seconds)))

    def call(
        self,
        name: str = "GetAccount",
        request: dict[str, Any] | None = None,
        *,
        token: str | None = None,
        address: str = "192.0.2.1",
        protocol: str = CONNECT_JSON,
    ) -> Answer:
        return self.wire.call(protocol, name, request, token=token, headers={ARRIVAL: address})

    def rest(self, path: str, token: str, address: str = "192.0.2.1") -> Answer:
        authorization = token if path.startswith("/koyeb") else f"Bearer {token}"
        headers = {"authorization": authorization, ARRIVAL: address}
        path, _, query = path.partition("?")
        return self.wire.http(path, headers=headers, http_method="GET", query=query)

    def guess(self, address: str = "192.0.2.1", token: str | None = None) -> Answer:
        return self.call("GetOrganizationInviteSummary", {"inviteId": some_id()}, token=token, address=address)

    def key(self) -> str:
        return self.stage.world.service.backend_keys.issue("a service")[0]


def limited(answer: Answer) -> str:
    """Give the limit that a refusal names."""
    assert (answer.code, answer.reason) == ("resource_exhausted", "RATE_LIMITED"), answer
    return answer.metadata["limit"]


def waits(answer: Answer) -> float:
    """Give the seconds to wait, which both ways of saying it agree on."""
    seconds: float = answer.detail(RetryInfo).retry_delay.ToTimedelta().total_seconds()
    assert int(answer.headers["retry-after"]) == max(1, math.ceil(seconds))
    return seconds


def use_up(it: Limited, limit: str, protocol: str = CONNECT_JSON, **who: Any) -> Answer:
    """Call until the limit stops it, which it does after three; give the refusal."""
    for _ in range(3):
        assert it.call(protocol=protocol, **who).code == "ok"
    refusal = it.call(protocol=protocol, **who)
    assert limited(refusal) == limit
    return refusal


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("limit", ["address", "caller", "organization"])
def test_one_too_many_is_refused_until_the_time_that_is_said_has_passed(
    stage: Stage, protocol: str, limit: str
) -> None:
    it = Limited(stage, {limit: THREE})
    who = {"name": "GetOrganization", "request": {"organizationId": stage.it.id}, "token": stage.token("Ada")}
    refusal = use_up(it, limit, protocol, **who)
    assert refusal.metadata == {"limit": limit, "count": "3", "window_seconds": "60"}
    wait = waits(refusal)
    assert wait == pytest.approx(20)
    it.seconds.now += wait * 0.99
    assert limited(it.call(protocol=protocol, **who)) == limit
    it.seconds.now += wait * 0.01 + 1e-3
    assert it.call(protocol=protocol, **who).code == "ok"
    assert limited(it.call(protocol=protocol, **who)) == limit
    it.seconds.now += 60
    use_up(it, limit, protocol, **who)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_who_comes_again_after_the_seconds_in_the_header_is_let_in(stage: Stage, protocol: str) -> None:
    it, ada = Limited(stage, {"address": Rate(3, 10)}), stage.token("Ada")
    refusal = use_up(it, "address", protocol, token=ada)
    assert waits(refusal) == pytest.approx(10 / 3)
    it.seconds.now += int(refusal.headers["retry-after"])
    assert it.call(protocol=protocol, token=ada).code == "ok"


def test_other_addresses_callers_and_organizations_are_not_affected(stage: Stage) -> None:
    ada, bob = stage.token("Ada"), stage.token("Bob")
    it = Limited(stage, {"address": THREE})
    use_up(it, "address", token=ada)
    assert it.call(token=ada, address="192.0.2.2").code == "ok"
    it = Limited(stage, {"caller": THREE})
    use_up(it, "caller", token=ada)
    assert limited(it.call(token=stage.token("Ada"), address="192.0.2.9")) == "caller", "by account, not by token"
    assert it.call(token=bob).code == "ok"
    it = Limited(stage, {"organization": THREE})
    use_up(it, "organization", name="GetOrganization", request={"organizationId": stage.it.id}, token=ada)
    assert limited(it.call("GetOrganization", {"organizationId": stage.it.id}, token=bob)) == "organization"
    other, _ = stage.world.service.organizations.create(stage.world.call("Ada"), "Other")
    assert it.call("GetOrganization", {"organizationId": other.id}, token=ada).code == "ok"


def test_a_stranger_can_not_use_up_what_an_organization_has(stage: Stage) -> None:
    it, eve = Limited(stage, {"organization": THREE}), stage.token("Eve")
    for _ in range(10):
        refusal = it.call("GetOrganization", {"organizationId": stage.it.id}, token=eve)
        assert refusal.reason == "ORGANIZATION_NOT_FOUND"
    use_up(
        it, "organization", name="GetOrganization", request={"organizationId": stage.it.id}, token=stage.token("Ada")
    )
    unknown = it.call("GetOrganization", {"organizationId": some_id()}, token=eve)
    assert it.call("GetOrganization", {"organizationId": stage.it.id}, token=eve).same() == unknown.same()


def test_a_batch_is_one_call_of_its_organization(stage: Stage) -> None:
    it = Limited(stage, {"organization": THREE})
    items = [{"email": f"{i}@example.org"} for i in range(20)]
    made = it.call(
        "invitations.v1.InvitationService/BatchCreateInvitations",
        {"organizationId": stage.it.id, "invitations": items},
        token=stage.token("Ada"),
    )
    assert made.code == "ok", made
    assert "RATE_LIMITED" not in made.body.decode()


@pytest.mark.parametrize("path", REST)
@pytest.mark.parametrize("limit", ["address", "caller", "backend"])
def test_the_faces_say_it_with_429_and_retry_after(stage: Stage, path: str, limit: str) -> None:
    it = Limited(stage, {limit: THREE})
    person = path.startswith("/koyeb")
    token = stage.token("Ada") if person else it.key()
    statuses = [it.rest(path, token) for _ in range(4)]
    if limit == ("backend" if person else "caller"):
        assert all(answer.status != 429 for answer in statuses)
        return
    assert [answer.status for answer in statuses[:3]] == [200] * 3
    assert statuses[3].status == 429
    assert statuses[3].headers["retry-after"] == "20"
    assert f"limit of '{limit}'" in statuses[3].body.decode()
    it.seconds.now += 20
    assert it.rest(path, token).status == 200


def _clerk(path: str) -> Callable[[str], str]:
    return lambda organization_id: f"/clerk/v1/organizations/{clerk_id('org', organization_id)}{path}"


def _logto(path: str) -> Callable[[str], str]:
    return lambda organization_id: f"/logto/api{path}{logto_id(organization_id)}"


@pytest.mark.parametrize(
    ("of_a_person", "path"),
    [
        (False, _clerk("")),
        (False, _clerk("/memberships")),
        (False, _clerk("/invitations")),
        (True, _clerk("/invitations")),
        (True, "/koyeb/v1/organizations/{}".format),
        (False, _logto("/organizations/")),
        (False, _logto("/organization-invitations?organizationId=")),
        (True, _logto("/organization-invitations?organizationId=")),
    ],
)
def test_the_faces_count_calls_of_an_organization(stage: Stage, of_a_person: bool, path: Callable[[str], str]) -> None:
    it, eve, ada = Limited(stage, {"organization": THREE}), stage.token("Eve"), stage.token("Ada")
    token = ada if of_a_person else it.key()
    other, _ = stage.world.service.organizations.create(stage.world.call("Ada"), "Other")
    for _ in range(4):
        it.rest(path(stage.it.id), eve)
    assert [it.rest(path(stage.it.id), token).status for _ in range(3)] == [200] * 3, "strangers use up nothing"
    refusal = it.rest(path(stage.it.id), token)
    assert refusal.status == 429
    assert refusal.headers["retry-after"] == "20"
    assert "limit of 'organization'" in refusal.body.decode()
    assert limited(it.call("GetOrganization", {"organizationId": stage.it.id}, token=ada)) == "organization"
    assert it.rest(path(other.id), token).status == 200
    it.seconds.now += 20
    assert it.rest(path(stage.it.id), token).status == 200


def test_health_is_never_limited(stage: Stage) -> None:
    it = Limited(stage, {"address": Rate(1, 3600), "guesses": Rate(1, 3600)})
    for _ in range(5):
        it.guess()
        for path in ("/healthz", "/readyz"):
            answer = it.wire.http(path, headers={ARRIVAL: "192.0.2.1"}, http_method="GET")
            assert answer.status == 200
        assert it.call("grpc.health.v1.Health/Check").code == "ok"


@pytest.mark.parametrize("name", ["gitpod.v1.EnvironmentService/CreateEnvironment", "example.v9.Unknown/Do"])
def test_what_is_not_here_counts_too(stage: Stage, name: str) -> None:
    it = Limited(stage, {"address": THREE})
    codes = [it.wire.send(CONNECT_JSON, name, b"{}", headers={ARRIVAL: "192.0.2.1"}).code for _ in range(4)]
    assert codes == ["unimplemented"] * 3 + ["resource_exhausted"]


def test_without_limits_nothing_is_counted(stage: Stage) -> None:
    it = Limited(stage, dict.fromkeys(("address", "caller", "backend", "organization", "guesses")))
    ada = stage.token("Ada")
    for _ in range(200):
        assert it.call("GetOrganization", {"organizationId": stage.it.id}, token=ada).code == "ok"
        assert it.guess().reason == "INVITE_NOT_FOUND"


# Guessing.

GUESSES = [
    ("GetAccount", {}, TOKEN_PREFIX + "{}"),
    ("GetAccount", {}, KEY_PREFIX + "{}"),
    ("GetAccount", {}, "a.b.{}"),
    ("GetOrganizationInviteSummary", {"inviteId": "{}"}, None),
    ("invitations.v1.InvitationService/PreviewInvitation", {"token": "{}"}, None),
]


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize(("name", "request_", "token"), GUESSES)
def test_guesses_are_slowed_by_address(
    stage: Stage, protocol: str, name: str, request_: dict[str, str], token: str | None
) -> None:
    it = Limited(stage, {"guesses": THREE})

    def guess(address: str = "192.0.2.1") -> Answer:
        sent = {key: value.format(some_id()) for key, value in request_.items()}
        return it.call(name, sent, token=token and token.format(some_id()), address=address, protocol=protocol)

    assert [guess().code for _ in range(3)] == ["unauthenticated" if token else "not_found"] * 3
    refusal = guess()
    assert limited(refusal) == "guesses"
    assert guess("192.0.2.2").reason != "RATE_LIMITED"
    it.seconds.now += waits(refusal) + 1e-3
    assert guess().reason != "RATE_LIMITED"
    assert limited(guess()) == "guesses"


def test_guesses_of_a_signed_in_person_count_against_that_person_alone(stage: Stage) -> None:
    it, eve = Limited(stage, {"guesses": THREE}), stage.token("Eve")
    for name, key in (
        ("JoinOrganization", "inviteId"),
        ("GetOrganizationInviteSummary", "inviteId"),
        ("invitations.v1.InvitationService/AcceptInvitation", "token"),
    ):
        assert it.call(name, {key: some_id()}, token=eve).code == "not_found"
    assert limited(it.guess(token=eve)) == "guesses"
    assert limited(it.guess(token=stage.token("Eve"), address="192.0.2.2")) == "guesses", "another token of the person"
    assert it.call(token=stage.token("Bob")).code == "ok", "others at the address"
    assert it.guess().reason == "INVITE_NOT_FOUND", "and who isn't signed in"


def test_who_was_known_at_an_address_stays_so_while_others_guess_there(stage: Stage) -> None:
    it, ada, bob = Limited(stage, {"guesses": THREE}), stage.token("Ada"), stage.token("Bob")
    key = it.key()
    assert it.call(token=ada).code == "ok"
    assert it.rest(REST[0], key).status == 200
    for _ in range(4):
        it.guess()
    assert limited(it.guess()) == "guesses"
    assert it.call(token=ada).code == "ok"
    assert it.rest(REST[0], key).status == 200
    refusal = it.call(token=bob)
    assert limited(refusal) == "guesses", "a right token is not looked up either, or guessing would go on"
    assert it.call(token=bob, address="192.0.2.2").code == "ok"
    it.seconds.now += waits(refusal) + 1e-3
    assert it.call(token=bob).code == "ok", "it passes"
    it.guess()
    assert limited(it.guess()) == "guesses"
    assert it.call(token=bob).code == "ok", "and from then on is known"


def test_a_right_token_elsewhere_does_not_open_an_address_that_guesses(stage: Stage) -> None:
    it, ada = Limited(stage, {"guesses": THREE}), stage.token("Ada")
    assert it.call(token=ada, address="192.0.2.2").code == "ok"
    for _ in range(4):
        it.guess()
    assert limited(it.call(token=ada)) == "guesses"


def test_the_same_wrong_secret_again_is_no_new_guess(stage: Stage) -> None:
    it, wrong = Limited(stage, {"guesses": THREE}), some_id()
    for _ in range(20):
        assert it.call("GetOrganizationInviteSummary", {"inviteId": wrong}).reason == "INVITE_NOT_FOUND"
        assert it.call(token="orgsvc_gone").reason == "CREDENTIALS_INVALID"
    assert it.guess().reason == "INVITE_NOT_FOUND"
    assert limited(it.guess()) == "guesses"


def test_what_is_right_is_no_guess(stage: Stage) -> None:
    it, ada = Limited(stage, {"guesses": THREE}), stage.token("Ada")
    for _ in range(20):
        assert it.call(token=ada).code == "ok"
        assert it.call("GetOrganizationInviteSummary", {"inviteId": stage.it.invite}).code == "ok"
        assert it.call("GetOrganization", {"organizationId": some_id()}, token=ada).code == "not_found"
        assert it.call(token=None).reason == "CREDENTIALS_MISSING"


@pytest.mark.parametrize("path", REST)
def test_guesses_through_the_faces_count_too(stage: Stage, path: str) -> None:
    it = Limited(stage, {"guesses": THREE})
    prefix = TOKEN_PREFIX if path.startswith("/koyeb") else KEY_PREFIX
    statuses = [it.rest(path, prefix + some_id()).status for _ in range(4)]
    assert statuses == [401] * 3 + [429]


def test_who_overdid_it_waits_no_longer_than_others() -> None:
    """Guesses that are under way at once are counted when all of them have been let in."""
    seconds = Seconds()
    limit = Limit("guesses", THREE, seconds)
    for _ in range(10):
        limit.count("eve")
    with refused_with(RATE_LIMITED) as refusal:
        limit.require("eve")
    assert refusal.error.retry_after_seconds == pytest.approx(20)
    seconds.now += 20 + 1e-3
    limit.require("eve")


# Addresses, and what is remembered.


@pytest.mark.parametrize(
    ("address", "subject"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2:ffff::", "2001:db8:1:2::/64"),
        ("2001:db8:1:3::1", "2001:db8:1:3::/64"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("fe80::1%eth0", "fe80::/64"),
        ("::1", "::/64"),
        ("", ""),
        ("not:an:address", "not:an:address"),
    ],
)
def test_an_ipv6_client_is_its_network(address: str, subject: str) -> None:
    assert client_subject(address) == subject


def test_an_ipv6_client_can_not_take_another_address(stage: Stage) -> None:
    it = Limited(stage, {"address": THREE})
    codes = [it.call(address=f"2001:db8::{i:x}", token=stage.token("Ada")).code for i in range(1, 5)]
    assert codes == ["ok"] * 3 + ["resource_exhausted"]
    assert it.call(address="2001:db8:0:1::1", token=stage.token("Ada")).code == "ok"


def test_many_addresses_take_bounded_memory() -> None:
    seconds = Seconds()
    recent: Recent[int] = Recent(60.0, seconds, most=100)
    for i in range(10_000):
        recent.put(f"subject {i}", i)
        assert len(recent) <= 200
        assert recent.get(f"subject {i}") == i
        assert i == 0 or recent.get(f"subject {i - 1}") == i - 1


def test_what_is_remembered_lasts_at_least_as_long_as_it_must_and_not_for_ever() -> None:
    seconds = Seconds()
    recent: Recent[int] = Recent(60.0, seconds, most=100)
    recent.put("a", 1)
    for _ in range(6):
        seconds.now += 9.9
        recent.put("b", 2)
        assert recent.get("a") == 1
    for _ in range(13):
        seconds.now += 9.9
        recent.put("b", 2)
    assert (recent.get("a"), recent.get("b")) == (None, 2)
    seconds.now += 1000
    recent.put("c", 3)
    assert (recent.get("b"), recent.get("c")) == (None, 3)


def test_the_answer_to_one_too_many_is_json_in_json(stage: Stage) -> None:
    it = Limited(stage, {"address": Rate(1, 60)})
    it.call()
    answer = it.call()
    assert answer.status == 429
    assert json.loads(answer.body)["code"] == "resource_exhausted"
    assert "x-should-retry" not in answer.headers
