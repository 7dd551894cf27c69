"""The ceiling of our runtime: a server like ours whose methods answer a fixed message of the size that ours has.

It runs on the same Envoy with the same configuration and the same runtime, and does nothing else: no caller, no rules,
no store, no log. `python -m bench.echo` prints its address and serves until it is told to stop.
"""

from __future__ import annotations

import asyncio
import os
import signal
from datetime import UTC, datetime
from typing import Any

from protobuf.wkt import Timestamp
from pyvoy import Mount

from gen.gitpod.v1 import organization_pb, user_pb
from gen.gitpod.v1.organization_connect import OrganizationServiceSync, OrganizationServiceWSGIApplication
from gen.invitations.v1 import invitation_pb
from gen.invitations.v1.invitation_connect import InvitationServiceSync, InvitationServiceWSGIApplication
from server.serve import MOUNTS, Listen, Server
from server.settings import Settings

ECHO_ID = "00000000-0000-4000-8000-000000000000"
"""Every id in the answers."""

_NOW = Timestamp.from_datetime(datetime(2030, 1, 1, 1, 1, 1, 123456, tzinfo=UTC))


def _member(number: int) -> organization_pb.OrganizationMember:
    return organization_pb.OrganizationMember(
        user_id=ECHO_ID,
        role=organization_pb.OrganizationRole.MEMBER,
        member_since=_NOW,
        full_name=f"Person {number:05}",
        email=f"Person.{number:05}@example.com",
        status=user_pb.UserStatus.ACTIVE,
        login_provider="https://accounts.example.com",
    )


class EchoOrganizations(OrganizationServiceSync):
    """Answers at once."""

    def get_organization_invite_summary(self, _request: Any, _ctx: Any) -> Any:
        return organization_pb.GetOrganizationInviteSummaryResponse(
            organization_id=ECHO_ID, organization_name="Organization 12345", organization_member_count=5
        )

    def create_organization_invite(self, _request: Any, _ctx: Any) -> Any:
        invite = organization_pb.OrganizationInvite(invite_id=ECHO_ID)
        return organization_pb.CreateOrganizationInviteResponse(invite=invite)

    def join_organization(self, _request: Any, _ctx: Any) -> Any:
        return organization_pb.JoinOrganizationResponse(member=_member(1))

    def list_members(self, _request: Any, _ctx: Any) -> Any:
        return organization_pb.ListMembersResponse(members=[_member(number) for number in range(100)])


class EchoInvitations(InvitationServiceSync):
    """Answers at once."""

    def create_invitation(self, _request: Any, _ctx: Any) -> Any:
        invitation = invitation_pb.Invitation(
            id=ECHO_ID,
            organization_id=ECHO_ID,
            email="somebody.12345@example.com",
            role="member",
            created_at=_NOW,
            expires_at=_NOW,
        )
        return invitation_pb.CreateInvitationResponse(invitation=invitation)


_organizations = OrganizationServiceWSGIApplication(EchoOrganizations())
_invitations = InvitationServiceWSGIApplication(EchoInvitations())


def wsgi(environ: dict[str, Any], start_response: Any) -> Any:
    """Find the service by path, as our edge does."""
    path = environ["PATH_INFO"] = "/" + environ["PATH_INFO"].lstrip("/")
    environ["SCRIPT_NAME"] = ""
    return (_invitations if path.startswith("/invitations") else _organizations)(environ, start_response)


async def main() -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    mounts = [Mount("bench.echo:wsgi", mount.path, "wsgi") for mount in MOUNTS]
    async with Server(Listen("127.0.0.1", 0), Settings(), mounts) as server:
        print(f"http://127.0.0.1:{server.listener_port}", flush=True)
        await stop.wait()


if __name__ == "__main__":
    os.environ["PYTHONPATH"] = os.getcwd()
    asyncio.run(main())
