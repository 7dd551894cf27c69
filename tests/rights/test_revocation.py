"""What one server takes away, another on the same store refuses: rights at the next call, tokens after a second.

A server remembers for a second what a token says, and for longer while it sees that nothing has changed.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import httpx
import pytest

from server.domain.secrets import SecretKeys
from server.main import build_service, open_store
from server.settings import Settings
from tests.faces.wire import CONNECT_JSON, Answer, read_answer
from tests.oidc_issuer import AUDIENCE, issuer
from tests.postgres.cluster import Cluster
from tests.postgres.people import INVITATIONS, KEY, ORGANIZATIONS, PROMISED_SECONDS, serving
from tests.rights.court import IssuersWorld, cookie
from tests.rights.outside import Now
from tests.running import RunningServer
from tests.stories.people import Party, party, secret_of_user

Credentials = Mapping[str, str]
"""The headers that say who is calling."""

HERE, THERE = 0, 1


def bearer(secret: str) -> Credentials:
    return {"authorization": f"Bearer {secret}"}


@dataclass
class Pair:
    """Two servers on one store, and the use cases beside them."""

    world: IssuersWorld
    servers: tuple[RunningServer, RunningServer]
    http: httpx.Client

    def ask(self, server: int, method: str, message: Mapping[str, object], who: Credentials) -> str:
        """Call a server, and give the reason of its refusal; empty where there is none."""
        given = self.http.post(f"{self.servers[server].url}/{method}", json=message, headers=who)
        answer = read_answer(CONNECT_JSON, Answer(given.status_code, dict(given.headers), given.content))
        assert bool(answer.reason) is (answer.status != 200), answer
        return answer.reason

    def ways_of(self, name: str, it: Party) -> dict[str, Credentials]:
        """Give every way in which a person may call about an organization."""
        world = self.world
        account = world.account(name)
        return {
            "token": bearer(world.service.tokens.issue(account, description="", expires_at=None)[0]),
            "user's token": bearer(secret_of_user(world, name, it.users[name])),
            "session": {**cookie(world.service.sessions.start(account).secret), "x-session": "cookie"},
            "JWT": bearer(world.jwt(name)),
        }


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def pair(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    if request.param == "postgres":
        cluster: Cluster = request.getfixturevalue("postgres")
        url = cluster.create_database("revocation")
    else:
        url = f"sqlite:///{tmp_path_factory.mktemp('revocation') / 'organizations.db'}"
    with issuer() as accounts:
        trusted = {"OIDC_ISSUER": accounts.url, "OIDC_AUDIENCE": AUDIENCE}
        with serving(url, **trusted) as first, serving(url, **trusted) as second:
            store = open_store(Settings(database_url=url))
            world = IssuersWorld(build_service(store, SecretKeys([KEY.encode()])), Now(), accounts)
            with httpx.Client(timeout=30, headers={"accept-encoding": "identity"}) as client:
                yield Pair(world, (first, second), client)
            store.close()


@pytest.fixture
def it(pair: Pair) -> Party:
    return party(pair.world, "Ada", "Bob")


@pytest.mark.slow
def test_a_role_that_one_server_changes_counts_at_the_other_at_the_next_call(pair: Pair, it: Party) -> None:
    (ada, *_), bob = pair.ways_of("Ada", it).values(), pair.ways_of("Bob", it)
    renamed = {"organizationId": it.id, "name": "Changed"}
    for role, expected in [("ADMIN", ""), ("MEMBER", "ADMIN_REQUIRED")] * 2:
        change = {"organizationId": it.id, "userId": it.users["Bob"], "role": f"ORGANIZATION_ROLE_{role}"}
        assert pair.ask(HERE, f"{ORGANIZATIONS}/SetRole", change, ada) == ""
        for way, who in bob.items():
            for server in (THERE, HERE):
                assert pair.ask(server, f"{ORGANIZATIONS}/UpdateOrganization", renamed, who) == expected, way


def _remove_member(pair: Pair, it: Party, ada: Credentials) -> None:
    assert pair.ask(HERE, f"{ORGANIZATIONS}/LeaveOrganization", {"userId": it.users["Bob"]}, ada) == ""


def _delete_organization(pair: Pair, it: Party, ada: Credentials) -> None:
    assert pair.ask(HERE, f"{ORGANIZATIONS}/DeleteOrganization", {"organizationId": it.id}, ada) == ""


@pytest.mark.parametrize("take_away", [_remove_member, _delete_organization])
def test_a_membership_that_one_server_ends_is_none_at_the_other_at_the_next_call(
    pair: Pair, it: Party, take_away: Callable[[Pair, Party, Credentials], None]
) -> None:
    (ada, *_), bob = pair.ways_of("Ada", it).values(), pair.ways_of("Bob", it)
    wanted = {"organizationId": it.id}
    for who in bob.values():
        assert pair.ask(THERE, f"{ORGANIZATIONS}/GetOrganization", wanted, who) == ""
    take_away(pair, it, ada)
    for way, who in bob.items():
        # The token of a user goes with the user; for a second it may still be known, and reaches nothing.
        refused = {"ORGANIZATION_NOT_FOUND"} | ({"CREDENTIALS_INVALID"} if way == "user's token" else set())
        for server in (THERE, HERE):
            assert pair.ask(server, f"{ORGANIZATIONS}/GetOrganization", wanted, who) in refused, way


@pytest.mark.parametrize("unchanged_seconds", [0.0, 1.5 * PROMISED_SECONDS], ids=["just read", "read long ago"])
def test_a_credential_that_is_revoked_opens_nothing_anywhere_after_a_second(
    pair: Pair, it: Party, unchanged_seconds: float
) -> None:
    """Also one that a server remembers for longer, since nothing has changed in the store."""
    world, service = pair.world, pair.world.service
    bob, cem = pair.ways_of("Bob", it), pair.ways_of("Cem", _joined(it, "Cem"))
    leaver = secret_of_user(world, "Cem", it.users["Cem"])
    key, known_key = service.backend_keys.issue("service")
    elsewhere = {**cookie(service.sessions.start(world.account("Cem")).secret), "x-session": "cookie"}
    ((personal, *_), _) = service.tokens.list_personal(world.call("Bob"), (it.users["Bob"],))
    revoked = {
        "token": bob["token"],
        "user's token": bob["user's token"],
        "session": bob["session"],
        "session that was ended from another": elsewhere,
        "token of a user who left": bearer(leaver),
        "backend key": bearer(key),
    }

    def opened() -> dict[tuple[str, int], bool]:
        def opens(way: str, server: int) -> bool:
            of_key = way == "backend key"
            method = f"{INVITATIONS}/ListInvitations" if of_key else "gitpod.v1.AccountService/GetAccount"
            refusal = pair.ask(server, method, {"organizationId": it.id} if of_key else {}, revoked[way])
            assert refusal in ("", "CREDENTIALS_MISSING" if "session" in way else "CREDENTIALS_INVALID")
            return not refusal

        return {(way, server): opens(way, server) for way in revoked for server in (HERE, THERE)}

    assert set(opened().values()) == {True}
    time.sleep(unchanged_seconds)
    assert set(opened().values()) == {True}
    delete = {"personalAccessTokenId": personal.id}
    assert pair.ask(HERE, "gitpod.v1.UserService/DeletePersonalAccessToken", delete, bob["JWT"]) == ""
    assert pair.ask(HERE, "invitations.v1.SessionService/SignOut", {}, bob["session"]) == ""
    assert pair.ask(HERE, "invitations.v1.SessionService/SignOut", {"everywhere": True}, cem["session"]) == ""
    assert pair.ask(HERE, f"{ORGANIZATIONS}/LeaveOrganization", {"userId": it.users["Cem"]}, cem["JWT"]) == ""
    # As the command line does, in a process of its own.
    assert service.tokens.revoke(bob["token"]["authorization"].removeprefix("Bearer "))
    assert service.backend_keys.revoke(known_key.id)
    time.sleep(PROMISED_SECONDS)
    for _ in range(2):
        assert {which for which, opens in opened().items() if opens} == set()


def _joined(it: Party, name: str) -> Party:
    it.join(name)
    return it
