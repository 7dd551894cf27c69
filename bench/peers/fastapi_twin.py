"""The FastAPI twin, on uvicorn with uvloop and httptools; it prints its address when it listens.

The database stands in DATABASE.
"""

from __future__ import annotations

import os
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated
from uuid import UUID

import uvicorn
from fastapi import Depends, FastAPI, Header, Request
from fastapi.responses import JSONResponse
from organizations import Caller, Invitation, Member, Organizations, Refused
from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

STATUSES = {
    "unauthenticated": 401,
    "permission_denied": 403,
    "not_found": 404,
    "already_exists": 409,
    "resource_exhausted": 429,
}

organizations = Organizations(os.environ["DATABASE"])
app = FastAPI(openapi_url=None)


class Message(BaseModel):
    """What goes over the wire."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True)


class SummaryRequest(Message):
    invite_id: UUID


class Summary(Message):
    organization_id: str
    organization_name: str
    organization_member_count: int


class OrganizationRequest(Message):
    organization_id: UUID


class Invite(Message):
    invite_id: str


class InviteResponse(Message):
    invite: Invite


class MemberOut(Message):
    user_id: str
    role: str
    member_since: datetime
    avatar_url: str
    full_name: str
    email: str
    status: str
    login_provider: str


class JoinResponse(Message):
    member: MemberOut


class Pagination(Message):
    page_size: Annotated[int, Field(ge=0, le=100)] = 0
    token: Annotated[str, Field(max_length=2048)] = ""


class ListRequest(OrganizationRequest):
    pagination: Pagination = Pagination()


class NextPage(Message):
    next_token: str


class ListResponse(Message):
    pagination: NextPage
    members: list[MemberOut]


class Role(StrEnum):
    ADMIN = "admin"
    MEMBER = "member"


class NewInvitation(Message):
    email: Annotated[str, Field(min_length=3, max_length=320, pattern=r"^[^@\s]+@[^@\s]+\.[^@\s]+$")]
    role: Role = Role.MEMBER
    send_email: bool = True


class InvitationRequest(OrganizationRequest):
    invitation: NewInvitation


class InvitationOut(Message):
    id: str
    organization_id: str
    email: str
    role: str
    status: str
    inviter_account_id: str
    inviter_name: str
    created_at: datetime
    updated_at: datetime
    expires_at: datetime
    public_metadata: dict[str, str]
    private_metadata: dict[str, str]
    delivery_state: str


class InvitationResponse(Message):
    invitation: InvitationOut
    token: str


def moment(micros: int) -> datetime:
    return datetime.fromtimestamp(micros / 1e6, UTC)


def member_out(member: Member) -> MemberOut:
    return MemberOut(
        user_id=member.user_id,
        role=f"ORGANIZATION_ROLE_{member.role.upper()}",
        member_since=moment(member.joined_at),
        avatar_url=member.avatar_url,
        full_name=member.full_name,
        email=member.email,
        status=f"USER_STATUS_{member.status.upper()}",
        login_provider=member.login_provider,
    )


def invitation_out(made: Invitation) -> InvitationOut:
    created = moment(made.now)
    return InvitationOut(
        id=made.id,
        organization_id=made.organization_id,
        email=made.email,
        role=made.role,
        status="INVITATION_STATUS_PENDING",
        inviter_account_id=made.inviter_account_id,
        inviter_name=made.inviter_name,
        created_at=created,
        updated_at=created,
        expires_at=moment(made.expires_at),
        public_metadata={},
        private_metadata={},
        delivery_state="DELIVERY_STATE_QUEUED" if made.queued else "DELIVERY_STATE_NOT_REQUESTED",
    )


async def calling(authorization: Annotated[str | None, Header()] = None) -> Caller:
    return organizations.caller(authorization)


Calling = Annotated[Caller, Depends(calling)]


@app.exception_handler(Refused)
async def refuse(_: Request, refusal: Refused) -> JSONResponse:
    return JSONResponse({"code": refusal.code, "message": str(refusal)}, STATUSES[refusal.code])


@app.post("/gitpod.v1.OrganizationService/GetOrganizationInviteSummary")
async def get_organization_invite_summary(request: SummaryRequest, _: Calling) -> Summary:
    organization_id, name, count = organizations.summary(str(request.invite_id))
    return Summary(organization_id=organization_id, organization_name=name, organization_member_count=count)


@app.post("/gitpod.v1.OrganizationService/CreateOrganizationInvite")
async def create_organization_invite(request: OrganizationRequest, caller: Calling) -> InviteResponse:
    return InviteResponse(invite=Invite(invite_id=organizations.create_link(caller, str(request.organization_id))))


@app.post("/gitpod.v1.OrganizationService/JoinOrganization")
async def join_organization(request: SummaryRequest, caller: Calling) -> JoinResponse:
    return JoinResponse(member=member_out(organizations.join(caller, str(request.invite_id))))


@app.post("/gitpod.v1.OrganizationService/ListMembers")
async def list_members(request: ListRequest, caller: Calling) -> ListResponse:
    page, next_token = organizations.members(
        caller, str(request.organization_id), request.pagination.page_size, request.pagination.token
    )
    return ListResponse(pagination=NextPage(next_token=next_token), members=[member_out(member) for member in page])


@app.post("/invitations.v1.InvitationService/CreateInvitation")
async def create_invitation(request: InvitationRequest, caller: Calling) -> InvitationResponse:
    new = request.invitation
    made = organizations.invite(caller, str(request.organization_id), new.email, new.role, send_email=new.send_email)
    return InvitationResponse(invitation=invitation_out(made), token=made.token)


if __name__ == "__main__":
    served = {"loop": "uvloop", "http": "httptools", "timeout_keep_alive": 75}
    config = uvicorn.Config(app, host="127.0.0.1", port=0, log_level="warning", **served)
    listening = config.bind_socket()
    listening.listen(config.backlog)
    print(f"http://127.0.0.1:{listening.getsockname()[1]}", flush=True)
    uvicorn.Server(config).run([listening])
