"""The grpc.aio twin, on the stubs that other services call us with; it prints its address when it listens.

The database stands in DATABASE.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

import grpc
import uvloop
from organizations import Caller, Invitation, Member, Organizations, Refused

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "gen" / "grpcio"))

from gitpod.v1 import organization_pb2, organization_pb2_grpc, pagination_pb2, user_pb2
from google.protobuf.timestamp_pb2 import Timestamp
from invitations.v1 import invitation_pb2, invitation_pb2_grpc

REQUEST = TypeVar("REQUEST")
RESPONSE = TypeVar("RESPONSE")
UUID = re.compile("[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
ROLES = {
    "admin": organization_pb2.ORGANIZATION_ROLE_ADMIN,
    "member": organization_pb2.ORGANIZATION_ROLE_MEMBER,
}
STATUSES = {"active": user_pb2.USER_STATUS_ACTIVE, "left": user_pb2.USER_STATUS_LEFT}


def method(
    act: Callable[[Any, REQUEST, Caller], RESPONSE],
) -> Callable[[Any, REQUEST, grpc.aio.ServicerContext], Awaitable[RESPONSE]]:
    """Make a handler of what answers a known caller's request."""

    async def handler(self: Any, request: REQUEST, context: grpc.aio.ServicerContext) -> RESPONSE:
        try:
            authorization = next((v for k, v in context.invocation_metadata() or () if k == "authorization"), None)
            return act(self, request, self.organizations.caller(authorization))
        except Refused as refusal:
            await context.abort(grpc.StatusCode[refusal.code.upper()], str(refusal))
            raise

    return handler


def require_uuid(value: str, field: str) -> None:
    if not UUID.fullmatch(value):
        raise Refused("invalid_argument", f"{field} must be a UUID")


def moment(micros: int) -> Timestamp:
    return Timestamp(seconds=micros // 1_000_000, nanos=micros % 1_000_000 * 1000)


def member_out(member: Member) -> organization_pb2.OrganizationMember:
    return organization_pb2.OrganizationMember(
        user_id=member.user_id,
        role=ROLES[member.role],
        member_since=moment(member.joined_at),
        avatar_url=member.avatar_url,
        full_name=member.full_name,
        email=member.email,
        status=STATUSES[member.status],
        login_provider=member.login_provider,
    )


def invitation_out(made: Invitation) -> invitation_pb2.Invitation:
    created = moment(made.now)
    return invitation_pb2.Invitation(
        id=made.id,
        organization_id=made.organization_id,
        email=made.email,
        role=made.role,
        status=invitation_pb2.INVITATION_STATUS_PENDING,
        inviter_account_id=made.inviter_account_id,
        inviter_name=made.inviter_name,
        created_at=created,
        updated_at=created,
        expires_at=moment(made.expires_at),
        public_metadata={},
        private_metadata={},
        delivery_state=invitation_pb2.DELIVERY_STATE_QUEUED
        if made.queued
        else invitation_pb2.DELIVERY_STATE_NOT_REQUESTED,
    )


class OrganizationServicer(organization_pb2_grpc.OrganizationServiceServicer):
    def __init__(self, organizations: Organizations) -> None:
        self.organizations = organizations

    @method
    def GetOrganizationInviteSummary(self, request: Any, _: Caller) -> Any:  # noqa: N802
        require_uuid(request.invite_id, "invite_id")
        organization_id, name, count = self.organizations.summary(request.invite_id)
        return organization_pb2.GetOrganizationInviteSummaryResponse(
            organization_id=organization_id, organization_name=name, organization_member_count=count
        )

    @method
    def CreateOrganizationInvite(self, request: Any, caller: Caller) -> Any:  # noqa: N802
        require_uuid(request.organization_id, "organization_id")
        invite_id = self.organizations.create_link(caller, request.organization_id)
        return organization_pb2.CreateOrganizationInviteResponse(
            invite=organization_pb2.OrganizationInvite(invite_id=invite_id)
        )

    @method
    def JoinOrganization(self, request: Any, caller: Caller) -> Any:  # noqa: N802
        require_uuid(request.invite_id, "invite_id")
        return organization_pb2.JoinOrganizationResponse(
            member=member_out(self.organizations.join(caller, request.invite_id))
        )

    @method
    def ListMembers(self, request: Any, caller: Caller) -> Any:  # noqa: N802
        require_uuid(request.organization_id, "organization_id")
        page, next_token = self.organizations.members(
            caller, request.organization_id, request.pagination.page_size, request.pagination.token
        )
        return organization_pb2.ListMembersResponse(
            pagination=pagination_pb2.PaginationResponse(next_token=next_token),
            members=[member_out(member) for member in page],
        )


class InvitationServicer(invitation_pb2_grpc.InvitationServiceServicer):
    def __init__(self, organizations: Organizations) -> None:
        self.organizations = organizations

    @method
    def CreateInvitation(self, request: Any, caller: Caller) -> Any:  # noqa: N802
        require_uuid(request.organization_id, "organization_id")
        new = request.invitation
        if not 3 <= len(new.email) <= 320 or "@" not in new.email:
            raise Refused("invalid_argument", "email must be an address")
        made = self.organizations.invite(
            caller,
            request.organization_id,
            new.email,
            new.role or "member",
            send_email=new.send_email if new.HasField("send_email") else True,
        )
        return invitation_pb2.CreateInvitationResponse(invitation=invitation_out(made), token=made.token)


async def serve() -> None:
    server = grpc.aio.server()
    organizations = Organizations(os.environ["DATABASE"])
    organization_pb2_grpc.add_OrganizationServiceServicer_to_server(OrganizationServicer(organizations), server)
    invitation_pb2_grpc.add_InvitationServiceServicer_to_server(InvitationServicer(organizations), server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    print(f"http://127.0.0.1:{port}", flush=True)
    await server.wait_for_termination()


if __name__ == "__main__":
    uvloop.run(serve())
