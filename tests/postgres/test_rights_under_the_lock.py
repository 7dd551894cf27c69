"""Who waited for an organization's lock acts by the role and on what they find when their turn comes.

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


def refusals_of_who_waits(
    postgres: Cluster, service: Service, organization_id: str, late: Callable[[], Any], meanwhile: Callable[[], Any]
) -> list[str]:
    """Do one thing while another waits for the organization's lock; give the reason that this one is refused for."""
    refusals: list[str] = []

    def wait_and_do() -> None:
        try:
            late()
        except ServiceError as refusal:
            refusals.append(refusal.reason.name)

    waiting = Thread(target=wait_and_do)
    with service.store.transaction() as tx:
        tx.hold_organization(organization_id)
        waiting.start()
        wait_until(lambda: postgres.execute("SELECT 1 FROM pg_locks WHERE NOT granted"))
        meanwhile()
    waiting.join()
    return refusals


@pytest.mark.parametrize("move", MOVES)
def test_whoever_is_no_admin_any_more_when_their_turn_comes_moves_no_invitation(postgres: Cluster, move: str) -> None:
    with service_beside(postgres.create_database(f"rights_{move}")) as service:
        ada, bob = (Call(Caller(service.authentication.local_account(f"{n}@example.com", n))) for n in ("ada", "bob"))
        organization, _ = service.organizations.create(ada, "Acme")
        link = service.links.create(ada, organization.id)
        user = service.organizations.join_by_invite(bob, link).user_id
        service.organizations.set_role(ada, organization.id, user, Role.ADMIN)
        made = service.invitations.create(ada, organization.id, NewInvitation("cem@example.com", send_email=False))
        refusals = refusals_of_who_waits(
            postgres,
            service,
            organization.id,
            lambda: MOVES[move](service, bob, made.invitation.id),
            lambda: service.organizations.set_role(ada, organization.id, user, Role.MEMBER),
        )
        assert refusals == ["ADMIN_REQUIRED"]
        again = service.invitations.get(ada, made.invitation.id)
        assert (again.stored_status, again.generation) == (InvitationStatus.PENDING, 1)


def test_whoever_leaves_what_is_gone_when_their_turn_comes_is_told_so_and_not_that_they_are_its_last_admin(
    postgres: Cluster,
) -> None:
    with service_beside(postgres.create_database("rights_leave")) as service:
        ada = Call(Caller(service.authentication.local_account("ada@example.com", "Ada")))
        organization, member = service.organizations.create(ada, "Acme")
        refusals = refusals_of_who_waits(
            postgres,
            service,
            organization.id,
            lambda: service.organizations.leave(ada, member.user_id),
            lambda: service.organizations.delete(ada, organization.id),
        )
        assert refusals == ["USER_NOT_FOUND"]
