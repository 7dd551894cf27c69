"""Runs with py-logto 2.0.0: `life`, `mails`, `companions`, `errors`, `limit` or
`without_mail`.

The server, the keys and the people are given in the environment: SERVER_URL, KEY, ADA_ID, ADA_EMAIL, and so on. Nothing
of the SDK is changed but the host and the access token.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from typing import Any

import py_logto
from life import raised, say
from py_logto.exceptions import (
    ApiException,
    BadRequestException,
    ForbiddenException,
    NotFoundException,
    ServiceException,
    UnauthorizedException,
)
from py_logto.models.add_organization_users_request import AddOrganizationUsersRequest
from py_logto.models.assign_organization_roles_to_user_request import AssignOrganizationRolesToUserRequest
from py_logto.models.create_organization_invitation_request import CreateOrganizationInvitationRequest
from py_logto.models.create_organization_invitation_request_message_payload import (
    CreateOrganizationInvitationRequestMessagePayload as Payload,
)
from py_logto.models.create_organization_invitation_request_message_payload_one_of import (
    CreateOrganizationInvitationRequestMessagePayloadOneOf as Message,
)
from py_logto.models.create_organization_request import CreateOrganizationRequest
from py_logto.models.create_organization_role_request import CreateOrganizationRoleRequest
from py_logto.models.replace_organization_invitation_status_request import ReplaceOrganizationInvitationStatusRequest
from py_logto.models.update_organization_request import UpdateOrganizationRequest

HOST = os.environ["SERVER_URL"] + "/logto"
NOTHING = "0" * 20 + "1"
"""An id that nothing has."""

DAY = 24 * 3600 * 1000


def in_a_week() -> int:
    return int(time.time() * 1000) + 7 * DAY


class Backend:
    """The SDK with a key, or with none."""

    def __init__(self, key: str | None) -> None:
        client = py_logto.ApiClient(py_logto.Configuration(host=HOST, access_token=key))
        self.invitations = py_logto.OrganizationInvitationsApi(client)
        self.organizations = py_logto.OrganizationsApi(client)
        self.roles = py_logto.OrganizationRolesApi(client)
        self.users = py_logto.UsersApi(client)

    def organization(self, name: str = "Acme", **more: Any) -> Any:
        return self.organizations.create_organization(CreateOrganizationRequest(name=name, **more))

    def role(self, name: str, **more: Any) -> Any:
        request = CreateOrganizationRoleRequest(name=name, organizationScopeIds=[], resourceScopeIds=[], **more)
        return self.roles.create_organization_role(request)

    def invite(self, organization_id: str, invitee: str, link: str | None = None, **more: Any) -> Any:
        payload = Payload(False) if link is None else Payload(Message(link=link))
        request = CreateOrganizationInvitationRequest(
            **{"invitee": invitee, "organizationId": organization_id, "expiresAt": in_a_week()} | more,
            messagePayload=payload,
        )
        return self.invitations.create_organization_invitation(request)

    def send(self, invitation_id: str, link: str | None = None) -> None:
        self.invitations.create_organization_invitation_message(invitation_id, Message(link=link))

    def answer(self, invitation_id: str, status: str, account_id: str | None = None) -> Any:
        # Made without its own checks, so that the server's are seen too.
        request = ReplaceOrganizationInvitationStatusRequest.model_construct(status=status, accepted_user_id=account_id)
        return self.invitations.replace_organization_invitation_status(invitation_id, request)

    def member(self, organization_id: str, account_id: str, *role_ids: str) -> None:
        self.organizations.add_organization_users(organization_id, AddOrganizationUsersRequest(userIds=[account_id]))
        request = AssignOrganizationRolesToUserRequest(organizationRoleIds=list(role_ids))
        self.organizations.assign_organization_roles_to_user(organization_id, account_id, request)

    def roles_of(self, organization_id: str, account_id: str) -> list[str]:
        found = self.organizations.list_organization_user_roles(organization_id, account_id)
        return [role.name for role in found]


def backend(name: str = "KEY") -> Backend:
    return Backend(os.environ[name])


def refused(kind: type[ApiException], status: int, code: str, call: Callable[[], object]) -> Any:
    """Give the body of a refusal that must be of this very exception, status and code."""
    error = raised(kind, call)
    body = json.loads(error.body)
    assert (type(error), error.status, body["code"]) == (kind, status, code), (type(error), error.status, body)
    say(f"{status} {code}")
    return body


def life() -> None:
    """Every operation of OrganizationInvitationsApi, and what comes of it."""
    logto, ada, bob = backend(), os.environ["ADA_ID"], os.environ["BOB_ID"]
    acme = logto.organization()
    editor = logto.role("Editor of Acme")
    logto.member(acme.id, ada, "admin")
    expires_at = in_a_week()

    created = logto.invite(
        acme.id,
        os.environ["BOB_EMAIL"].upper(),
        "https://app.example.com/join?first",
        inviterId=ada,
        expiresAt=expires_at,
        organizationRoleIds=[editor.id, "admin"],
    )
    assert len(created.id) == 21
    assert (created.tenant_id, created.organization_id, created.inviter_id) == ("default", acme.id, ada)
    assert (created.invitee, created.status) == (os.environ["BOB_EMAIL"].upper(), "Pending")
    assert (created.accepted_user_id, created.expires_at) == (None, expires_at)
    assert created.created_at == created.updated_at
    assert abs(created.created_at - time.time() * 1000) < DAY
    assert [role.name for role in created.organization_roles] == ["Editor of Acme", "admin"]
    say("created")

    invitations = logto.invitations
    assert invitations.get_organization_invitation(created.id) == created
    logto.send(created.id, "https://app.example.com/join?second")
    again = invitations.get_organization_invitation(created.id)
    assert again.model_copy(update={"updated_at": created.updated_at}) == created
    say("sent again")

    other = logto.invite(acme.id, f"guest.{acme.id}@example.com")
    assert [role.id for role in other.organization_roles] == ["member"]
    assert [found.id for found in invitations.list_organization_invitations(acme.id)] == [other.id, created.id]
    assert invitations.list_organization_invitations(inviter_id=ada) == [again]
    assert invitations.list_organization_invitations(acme.id, ada, os.environ["BOB_EMAIL"]) == [again]
    assert invitations.list_organization_invitations(invitee="nobody@example.com") == []
    assert invitations.list_organization_invitations(organization_id=NOTHING) == []
    assert other in invitations.list_organization_invitations()
    say("listed")

    accepted = logto.answer(created.id, "Accepted", bob)
    assert (accepted.status, accepted.accepted_user_id) == ("Accepted", bob)
    assert invitations.get_organization_invitation(created.id) == accepted
    assert logto.roles_of(acme.id, bob) == ["Editor of Acme", "admin"]
    say("accepted")

    assert logto.answer(other.id, "Revoked").status == "Revoked"
    logto.invite(acme.id, f"guest.{acme.id}@example.com")
    say("revoked, and invited again")

    soon = logto.invite(acme.id, f"late.{acme.id}@example.com", expiresAt=int(time.time() * 1000) + 3000)
    assert soon.status == "Pending"
    time.sleep(max(0.0, soon.expires_at / 1000 + 0.1 - time.time()))
    assert invitations.get_organization_invitation(soon.id).status == "Expired"
    logto.invite(acme.id, f"LATE.{acme.id}@example.com")
    say("expired, and invited again")

    for invitation in (created, other, soon):
        assert invitations.delete_organization_invitation(invitation.id) is None
    assert created not in invitations.list_organization_invitations(acme.id)
    for number in range(30):
        logto.invite(acme.id, f"guest-{number}.{acme.id}@example.com")
    assert len(invitations.list_organization_invitations(acme.id)) == 32
    say("deleted")

    logto.organizations.delete_organization(acme.id)
    assert invitations.list_organization_invitations(acme.id) == []
    say("The organization is gone, and its invitations with it.")


def mails() -> None:
    """Three mails: with a link, sent again with another, and with none."""
    logto = backend()
    acme = logto.organization("Acme & Sons")
    logto.invite(acme.id, "first@example.com", "https://app.example.com/join?first=1&x=ä")
    again = logto.invite(acme.id, "again@example.com")
    logto.send(again.id, "https://app.example.com/join?again")
    plain = CreateOrganizationInvitationRequest(
        invitee="ours@example.com", organizationId=acme.id, expiresAt=in_a_week(), messagePayload=Payload(Message())
    )
    logto.invitations.create_organization_invitation(plain)
    logto.invite(acme.id, "silent@example.com")


def companions() -> None:
    """Organizations, their users, and roles."""
    logto, ada, bob = backend(), os.environ["ADA_ID"], os.environ["BOB_ID"]
    organizations = logto.organizations
    acme = logto.organization("Companions", description="Rockets", customData={"seats": 5})
    assert (acme.name, acme.description, acme.custom_data) == ("Companions", "Rockets", {"seats": 5})
    assert (acme.tenant_id, acme.is_mfa_required, len(acme.id)) == ("default", False, 21)
    assert organizations.get_organization(acme.id) == acme
    renamed = organizations.update_organization(acme.id, UpdateOrganizationRequest(name="Companions & Sons"))
    assert renamed == acme.model_copy(update={"name": "Companions & Sons"})
    cleared = organizations.update_organization(acme.id, UpdateOrganizationRequest(description=None))
    assert cleared.description is None

    for number in range(5):
        logto.organization(f"Paged {number}")
    pages = [organizations.list_organizations_with_http_info(q="paged", page=n, page_size=2) for n in (1, 2, 3)]
    assert [len(page.data) for page in pages] == [2, 2, 1]
    assert [found.name for page in pages for found in page.data] == [f"Paged {n}" for n in (4, 3, 2, 1, 0)]
    headers = [{name.lower(): value for name, value in page.headers.items()} for page in pages]
    assert {one["total-number"] for one in headers} == {"5"}
    assert 'rel="next"' in headers[1]["link"]
    assert organizations.list_organizations(q="paged", show_featured="true", page_size=1)[0].users_count == 0
    say("organizations")

    reviewer = logto.role("Reviewer", description="Reads")
    assert (reviewer.name, reviewer.description, reviewer.type) == ("Reviewer", "Reads", "User")
    listed = logto.roles.list_organization_roles(page_size=100)
    assert [role.id for role in listed][:2] == ["admin", "member"]
    assert reviewer.id in [role.id for role in listed]
    assert [role.name for role in logto.roles.list_organization_roles(q="review")] == ["Reviewer"]
    assert logto.role("Admin").id == "admin"
    say("roles")

    logto.member(acme.id, ada, "admin")
    logto.member(acme.id, bob, reviewer.id)
    assert logto.roles_of(acme.id, ada) == ["admin"]
    assert logto.roles_of(acme.id, bob) == ["Reviewer"]
    organizations.delete_organization_user(acme.id, bob)
    refused(ApiException, 422, "organization.require_membership", lambda: logto.roles_of(acme.id, bob))
    refused(NotFoundException, 404, "entity.not_found", lambda: organizations.list_organization_users(acme.id))
    say("users")

    for wrong, call in {
        BadRequestException: lambda: logto.organization("ab"),
        NotFoundException: lambda: organizations.get_organization(NOTHING),
    }.items():
        raised(wrong, call)
    taken = "entity.unique_integrity_violation"
    refused(ApiException, 422, taken, lambda: logto.role("Reviewer"))
    refused(ForbiddenException, 403, "auth.forbidden", backend("READER_KEY").organization)
    refused(NotFoundException, 404, "entity.not_found", lambda: logto.users.get_user(ada))
    say("The companions did what they should.")


def errors() -> None:
    """Every error that the operations of OrganizationInvitationsApi document, where the SDK can provoke it."""
    logto, ada, bob = backend(), os.environ["ADA_ID"], os.environ["BOB_ID"]
    acme, address = logto.organization(), "error.{}@example.com".format
    pending = logto.invite(acme.id, address(1))

    def operations(one: Backend, invitation_id: str) -> list[Callable[[], object]]:
        return [
            lambda: one.invite(acme.id, address(2)),
            lambda: one.send(invitation_id, "https://app.example.com"),
            lambda: one.invitations.get_organization_invitation(invitation_id),
            lambda: one.invitations.list_organization_invitations(),
            lambda: one.answer(invitation_id, "Revoked"),
            lambda: one.invitations.delete_organization_invitation(invitation_id),
        ]

    for call in operations(Backend(None), pending.id):
        refused(UnauthorizedException, 401, "auth.authorization_header_missing", call)
    for call in operations(Backend("nonsense"), pending.id):
        refused(UnauthorizedException, 401, "auth.unauthorized", call)
    for call in operations(backend("OTHER_KEY"), pending.id):
        refused(ForbiddenException, 403, "auth.forbidden", call)
    create, send, get, _, answer, delete = operations(logto, NOTHING)
    for call in (send, get, answer, delete):
        refused(NotFoundException, 404, "entity.not_found", call)
    refused(NotFoundException, 404, "entity.not_found", lambda: logto.answer(NOTHING, "Accepted", bob))

    wrong = refused(BadRequestException, 400, "guard.invalid_input", lambda: logto.invite(acme.id, "no address"))
    assert wrong["data"]["name"] == "ZodError"
    assert wrong["data"]["issues"][0]["path"] == ["invitee"]
    refused(BadRequestException, 400, "guard.invalid_input", lambda: logto.send(pending.id, "no link"))
    refused(BadRequestException, 400, "guard.invalid_input", lambda: logto.answer(pending.id, "Expired"))
    past = refused(
        BadRequestException, 400, "request.invalid_input", lambda: logto.invite(acme.id, address(3), expiresAt=1)
    )
    assert past["message"] == "Input is invalid. The value of `expiresAt` must be in the future."

    logto.member(acme.id, ada, "admin")
    logto.member(acme.id, bob, "member")
    invalid, unknown = "request.invalid_input", "entity.relation_foreign_key_not_found"
    refused(ApiException, 422, invalid, lambda: logto.invite(acme.id, os.environ["BOB_EMAIL"].upper()))
    refused(ApiException, 422, "entity.unique_integrity_violation", lambda: logto.invite(acme.id, address(1).upper()))
    refused(ApiException, 422, unknown, lambda: logto.invite(NOTHING, address(4)))
    refused(ApiException, 422, unknown, lambda: logto.invite(acme.id, address(4), inviterId=NOTHING))
    refused(ApiException, 422, unknown, lambda: logto.invite(acme.id, address(4), organizationRoleIds=[NOTHING]))
    refused(ForbiddenException, 403, "auth.forbidden", lambda: logto.invite(acme.id, address(4), inviterId=bob))

    refused(ApiException, 422, invalid, lambda: logto.answer(pending.id, "Accepted"))
    refused(NotFoundException, 404, "entity.not_found", lambda: logto.answer(pending.id, "Accepted", NOTHING))
    refused(ApiException, 422, invalid, lambda: logto.answer(pending.id, "Accepted", ada))
    logto.answer(pending.id, "Revoked")
    for status in ("Accepted", "Revoked"):
        ended = refused(ApiException, 422, invalid, lambda status=status: logto.answer(pending.id, status, ada))
        assert ended["message"] == "Input is invalid. The status of the invitation cannot be changed anymore."
    refused(ApiException, 422, invalid, lambda: logto.send(pending.id))
    create()
    say("Each refusal came as its own exception.")


def limit() -> None:
    """Eleven mails to one address: the last is one too many, wherever it is asked for."""
    logto = backend()
    acme = logto.organization()
    address = f"busy.{acme.id}@example.com"
    invitation = logto.invite(acme.id, address, "https://app.example.com/1")
    for number in range(2, 11):
        logto.send(invitation.id, f"https://app.example.com/{number}")
    limited = "request.message_rate_limited"
    refused(ApiException, 429, limited, lambda: logto.send(invitation.id))
    umbrella = logto.organization("Umbrella")
    refused(ApiException, 429, limited, lambda: logto.invite(umbrella.id, address.upper(), "https://x.example"))
    error = raised(ApiException, lambda: logto.send(invitation.id))
    assert 500 < int(error.headers["Retry-After"]) <= 600
    assert logto.invitations.list_organization_invitations(umbrella.id) == []


def without_mail() -> None:
    """An instance that sends no mail says so, and has done nothing."""
    logto = backend()
    acme = logto.organization()
    missing, address = "connector.not_found", "quiet@example.com"
    refused(ServiceException, 501, missing, lambda: logto.invite(acme.id, address, "https://app.example.com"))
    assert logto.invitations.list_organization_invitations(acme.id) == []
    invitation = logto.invite(acme.id, address)
    refused(ServiceException, 501, missing, lambda: logto.send(invitation.id, "https://app.example.com"))
    assert logto.invitations.list_organization_invitations(acme.id) == [invitation]


if __name__ == "__main__":
    programs = (life, mails, companions, errors, limit, without_mail)
    {program.__name__: program for program in programs}[sys.argv[1]]()
