"""Who waited for an organization's lock acts by the role that they have when their turn comes.

On PostgreSQL a transaction that waits has read already what others change meanwhile; on SQLite it hasn't begun.
"""

from __future__ import annotations

from collections.abc import Callable
from threading import Thread
from typing import Any

import pytest

from server.domain.account import Caller
from server.domain.errors import ServiceError
from server.domain.invitation import InvitationStatus
from server.domain.organization import Role
from server.main import Service
from server.service.call import Call
from server.service.invitations import NewInvitation
from tests.postgres.cluster import Cluster
from tests.postgres.people import service_beside
from tests.running import wait_until

MOVES: dict[str, Callable[[Service, Call, str], Any]] = {
    "revoke": lambda service, call, one: service.invitations.revoke(call, one),
    "resend": lambda service, call, one: service.invitations.resend(call, one, send_email=False),
    "delete": lambda service, call, one: service.invitations.delete(call, one),
}


@pytest.mark.parametrize("move", MOVES)
def test_whoever_is_no_admin_any_more_when_their_turn_comes_moves_no_invitation(postgres: Cluster, move: str) -> None:
    with service_beside(postgres.create_database(f"rights_{move}")) as service:
        ada, bob = (Call(Caller(service.authentication.local_account(f"{n}@example.com", n))) for n in ("ada", "bob"))
        organization, _ = service.organizations.create(ada, "Acme")
        link = service.links.create(ada, organization.id)
        user = service.organizations.join_by_invite(bob, link).user_id
        service.organizations.set_role(ada, organization.id, user, Role.ADMIN)
        made = service.invitations.create(ada, organization.id, NewInvitation("cem@example.com", send_email=False))
        refusals: list[str] = []

        def late() -> None:
            try:
                MOVES[move](service, bob, made.invitation.id)
            except ServiceError as refusal:
                refusals.append(refusal.reason.name)

        waiting = Thread(target=late)
        with service.store.transaction() as tx:
            tx.hold_organization(organization.id)
            waiting.start()
            wait_until(lambda: postgres.execute("SELECT 1 FROM pg_locks WHERE NOT granted"))
            service.organizations.set_role(ada, organization.id, user, Role.MEMBER)
        waiting.join()
        assert refusals == ["ADMIN_REQUIRED"]
        again = service.invitations.get(ada, made.invitation.id)
        assert (again.stored_status, again.generation) == (InvitationStatus.PENDING, 1)
