"""What servers on one PostgreSQL count together, and by how much it can be exceeded (docs/scaling.md)."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest

from server.domain.errors import MAIL_LIMIT, ServiceError
from server.domain.rates import Rate
from server.domain.secrets import SecretKeys
from server.main import build_service
from server.service.invitations import InvitationPolicy, NewInvitation
from server.store.postgres import PostgresStore
from tests.conftest import KEY, GivenClock, World

LIMIT, AT_ONCE = 3, 5


def test_organizations_that_mail_one_address_at_once_exceed_the_limit_by_one_mail_each_at_most(
    fresh_url: Callable[[str], str], clock: GivenClock
) -> None:
    url = fresh_url("postgresql")
    stores = [PostgresStore(url, clock) for _ in range(AT_ONCE)]
    policy = InvitationPolicy(recipient_rate=Rate(LIMIT, 600))
    worlds = [World(build_service(store, SecretKeys([KEY]), clock=clock, policy=policy), clock) for store in stores]
    names = itertools.count()
    all_have_counted = threading.Barrier(AT_ONCE, timeout=30)

    def invite(world: World, *, together: bool = False) -> None:
        """Invite one address from a fresh organization; `together` commits only when all others have counted too."""
        call = world.call(f"Admin{next(names)}")
        organization, _ = world.service.organizations.create(call, "Acme")
        with world.service.store.transaction():
            world.service.invitations.create(call, organization.id, NewInvitation("carol@example.com"))
            if together:
                all_have_counted.wait()

    try:
        for _ in range(LIMIT - 1):
            invite(worlds[0])
        with ThreadPoolExecutor(AT_ONCE) as threads:
            list(threads.map(lambda world: invite(world, together=True), worlds))
        with stores[0].snapshot() as tx:
            assert tx.count_mails_since("carol@example.com", clock() - timedelta(seconds=600))[0] == LIMIT + AT_ONCE - 1
        for world in worlds:
            with pytest.raises(ServiceError) as refusal:
                invite(world)
            assert refusal.value.reason is MAIL_LIMIT
    finally:
        for store in stores:
            store.close()
