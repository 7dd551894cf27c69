"""One request for each operation of every face, sent by whoever is to be tried.

An act is about an organization and what is in it (`Scene`); it must be a request that succeeds when the right caller
sends it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from typing import Any

from server.domain.invitation import IfPending
from server.faces.rest import epoch_millis
from server.faces.spelling import clerk_id, logto_id
from server.service.invitations import NewInvitation
from tests.conftest import World
from tests.stories.people import Party, party, some_id

GUEST, STRANGER, DAN = "guest@example.com", "eve@example.com", "dan@example.com"


@dataclass
class Scene:
    """An organization with Bob and Cora in it, and what else a request may be about; all of it as ids."""

    world: World
    it: Party
    admin: str = "Ada"

    @cached_property
    def another(self) -> Scene:
        """Another organization, of Eve's, with Ada, Bob, Cora and Fay in it."""
        return Scene(self.world, party(self.world, "Eve", "Ada", "Bob", "Cora", "Fay", name="Another"), "Eve")

    @property
    def outsider(self) -> str:
        """Somebody who is in the other organization alone."""
        assert "Fay" in self.another.it.users
        return "Fay"

    def account(self, name: str) -> str:
        return self.world.account(name).id

    def invited(self, email: str) -> tuple[str, str]:
        """Have an invitation of an address, and give its id and token."""
        invitations, admin = self.world.service.invitations, self.world.call(self.admin)
        new = NewInvitation(email, send_email=False, if_pending=IfPending.REPLACE)
        made = invitations.create(admin, self.it.id, new)
        assert made.token is not None
        return made.invitation.id, made.token

    def token_of(self, name: str) -> str:
        """Give the id of a token of a person's user."""
        call, tokens = self.world.call(name), self.world.service.tokens
        tokens.create_personal(call, self.it.users[name], description="", valid_for=timedelta(0), read_only=False)
        return tokens.list_personal(call, (self.it.users[name],))[0][0].id


Made = Callable[[Scene], Any]
"""Gives a part of a request."""


_RPC: Mapping[str, Made] = {
    "CreateOrganization": lambda s: {"name": "Another"},
    "GetOrganization": lambda s: {"organizationId": s.it.id},
    "UpdateOrganization": lambda s: {"organizationId": s.it.id, "name": "Changed"},
    "DeleteOrganization": lambda s: {"organizationId": s.it.id},
    "JoinOrganization": lambda s: {"inviteId": s.it.invite},
    "LeaveOrganization": lambda s: {"userId": s.it.users["Cora"]},
    "ListMembers": lambda s: {"organizationId": s.it.id},
    "SetRole": lambda s: {"organizationId": s.it.id, "userId": s.it.users["Cora"], "role": "ORGANIZATION_ROLE_ADMIN"},
    "CreateOrganizationInvite": lambda s: {"organizationId": s.it.id},
    "GetOrganizationInvite": lambda s: {"organizationId": s.it.id},
    "GetOrganizationInviteSummary": lambda s: {"inviteId": s.it.invite},
    "GetAccount": lambda s: {},
    "ListJoinableOrganizations": lambda s: {},
    "GetAuthenticatedIdentity": lambda s: {},
    "GetAuthenticatedUser": lambda s: {},
    "GetUser": lambda s: {"userId": s.it.users["Cora"]},
    "CreatePersonalAccessToken": lambda s: {"userId": s.it.users["Bob"], "validFor": "3600s"},
    "GetPersonalAccessToken": lambda s: {"personalAccessTokenId": s.token_of("Bob")},
    "ListPersonalAccessTokens": lambda s: {},
    "DeletePersonalAccessToken": lambda s: {"personalAccessTokenId": s.token_of("Bob")},
    "CreateInvitation": lambda s: {"organizationId": s.it.id, "invitation": {"email": GUEST, "sendEmail": False}},
    "BatchCreateInvitations": lambda s: {
        "organizationId": s.it.id,
        "invitations": [{"email": GUEST, "sendEmail": False}],
    },
    "GetInvitation": lambda s: {"invitationId": s.invited(GUEST)[0]},
    "ListInvitations": lambda s: {"organizationId": s.it.id},
    "ResendInvitation": lambda s: {"invitationId": s.invited(GUEST)[0], "sendEmail": False},
    "RevokeInvitation": lambda s: {"invitationId": s.invited(GUEST)[0]},
    "DeleteInvitation": lambda s: {"invitationId": s.invited(GUEST)[0]},
    "PreviewInvitation": lambda s: {"token": s.invited(GUEST)[1]},
    "AcceptInvitation": lambda s: {"token": s.invited(GUEST)[1]},
    "DeclineInvitation": lambda s: {"token": s.invited(GUEST)[1]},
    "ListMyInvitations": lambda s: {},
    "DisableInviteLink": lambda s: {"organizationId": s.it.id},
    "GetSession": lambda s: {},
    "BeginProviderSignIn": lambda s: {},
    "SendSignInCode": lambda s: {"email": GUEST},
    "SignInWithCode": lambda s: {"codeId": some_id(), "code": "12345678"},
    "SignOut": lambda s: {},
}

_BY_ID: Mapping[str, Made] = {
    # As the addressee, without the token: the invitation is the stranger's.
    f"{name} by id": lambda s: {"invitationId": s.invited(STRANGER)[0]}
    for name in ("PreviewInvitation", "AcceptInvitation", "DeclineInvitation")
}

_OF_ANOTHER: Mapping[str, Made] = {
    "SetRole of another": lambda s: {
        "organizationId": s.it.id,
        "userId": s.another.it.users["Cora"],
        "role": "ORGANIZATION_ROLE_ADMIN",
    },
    "LeaveOrganization of another": lambda s: {"userId": s.another.it.users["Ada"]},
}
"""About a user of another organization."""

Routes = Mapping[str, tuple[Made, Made]]
"""Operations of a plain HTTP face: each its method and path, and its body."""


def _clerk() -> Routes:
    def org(s: Scene) -> str:
        return f"/clerk/v1/organizations/{clerk_id('org', s.it.id)}"

    def invitation(s: Scene, of: Scene | None = None) -> str:
        return f"{org(s)}/invitations/{clerk_id('orginv', (of or s).invited(GUEST)[0])}"

    def member(s: Scene, name: str = "Cora") -> str:
        return f"{org(s)}/memberships/{clerk_id('user', s.account(name))}"

    new = {"email_address": GUEST, "role": "org:member", "notify": False}
    return {
        "clerk create_invitation": (lambda s: f"POST {org(s)}/invitations", lambda s: new),
        "clerk bulk_create_invitations": (lambda s: f"POST {org(s)}/invitations/bulk", lambda s: [new]),
        "clerk list_invitations": (lambda s: f"GET {org(s)}/invitations", _none),
        "clerk list_pending_invitations": (lambda s: f"GET {org(s)}/invitations/pending", _none),
        "clerk get_invitation": (lambda s: f"GET {invitation(s)}", _none),
        "clerk revoke_invitation": (lambda s: f"POST {invitation(s)}/revoke", lambda s: {}),
        "clerk get_invitation of another": (lambda s: f"GET {invitation(s, s.another)}", _none),
        "clerk revoke_invitation of another": (lambda s: f"POST {invitation(s, s.another)}/revoke", lambda s: {}),
        "clerk list_all_invitations": (lambda s: "GET /clerk/v1/organization_invitations", _none),
        "clerk list_invitations_of_user": (
            lambda s: f"GET /clerk/v1/users/{clerk_id('user', s.account('Cora'))}/organization_invitations",
            _none,
        ),
        "clerk create_organization": (lambda s: "POST /clerk/v1/organizations", lambda s: {"name": "Another"}),
        "clerk list_organizations": (lambda s: "GET /clerk/v1/organizations", _none),
        "clerk get_organization": (lambda s: f"GET {org(s)}", _none),
        "clerk update_organization": (lambda s: f"PATCH {org(s)}", lambda s: {"name": "Changed"}),
        "clerk delete_organization": (lambda s: f"DELETE {org(s)}", _none),
        "clerk merge_organization_metadata": (
            lambda s: f"PATCH {org(s)}/metadata",
            lambda s: {"public_metadata": {"a": 1}},
        ),
        "clerk replace_organization_metadata": (
            lambda s: f"PUT {org(s)}/metadata",
            lambda s: {"public_metadata": {"a": 1}},
        ),
        "clerk create_membership": (
            lambda s: f"POST {org(s)}/memberships",
            lambda s: {"user_id": clerk_id("user", s.account("Dan")), "role": "org:member"},
        ),
        "clerk list_memberships": (lambda s: f"GET {org(s)}/memberships", _none),
        "clerk update_membership": (lambda s: f"PATCH {member(s)}", lambda s: {"role": "org:admin"}),
        "clerk delete_membership": (lambda s: f"DELETE {member(s)}", _none),
        "clerk update_membership of another": (
            lambda s: f"PATCH {member(s, s.outsider)}",
            lambda s: {"role": "org:admin"},
        ),
        "clerk delete_membership of another": (lambda s: f"DELETE {member(s, s.outsider)}", _none),
        "clerk merge_membership_metadata": (
            lambda s: f"PATCH {member(s)}/metadata",
            lambda s: {"public_metadata": {"a": 1}},
        ),
    }


def _koyeb() -> Routes:
    base = "/koyeb/v1"

    def invitation(s: Scene) -> str:
        return f"{base}/organization_invitations/{s.invited(GUEST)[0]}"

    def received(s: Scene) -> str:
        return f"{base}/account/organization_invitations/{s.invited(STRANGER)[0]}"

    def org(s: Scene) -> str:
        return f"{base}/organizations/{s.it.id}"

    return {
        "koyeb create_organization_invitation": (
            lambda s: f"POST {base}/organization_invitations",
            lambda s: {"email": GUEST},
        ),
        "koyeb list_organization_invitations": (lambda s: f"GET {base}/organization_invitations", _none),
        "koyeb get_organization_invitation": (lambda s: f"GET {invitation(s)}", _none),
        "koyeb resend_organization_invitation": (lambda s: f"POST {invitation(s)}/resend", _none),
        "koyeb delete_organization_invitation": (lambda s: f"DELETE {invitation(s)}", _none),
        "koyeb list_user_organization_invitations": (
            lambda s: f"GET {base}/account/organization_invitations",
            _none,
        ),
        "koyeb get_user_organization_invitation": (lambda s: f"GET {received(s)}", _none),
        "koyeb accept_organization_invitation": (lambda s: f"POST {received(s)}/accept", _none),
        "koyeb decline_organization_invitation": (lambda s: f"POST {received(s)}/decline", _none),
        "koyeb get_current_user": (lambda s: f"GET {base}/account/profile", _none),
        "koyeb get_current_organization": (lambda s: f"GET {base}/account/organization", _none),
        "koyeb list_user_organizations": (lambda s: f"GET {base}/account/organizations", _none),
        "koyeb create_organization": (lambda s: f"POST {base}/organizations", lambda s: {"name": "Another"}),
        "koyeb get_organization": (lambda s: f"GET {org(s)}", _none),
        "koyeb update_organization": (lambda s: f"PATCH {org(s)}", lambda s: {"name": "Changed"}),
        "koyeb update_organization_name": (lambda s: f"PUT {org(s)}/name", lambda s: {"name": "Changed"}),
        "koyeb delete_organization": (lambda s: f"DELETE {org(s)}", _none),
        "koyeb switch_organization": (lambda s: f"POST {org(s)}/switch", lambda s: {}),
        "koyeb create_access_token": (lambda s: f"POST {org(s)}/access_token", lambda s: {}),
        "koyeb get_organization_summary": (lambda s: f"GET {org(s)}/summary", _none),
        "koyeb list_organization_members": (
            lambda s: f"GET {base}/organization_members?organization_id={s.it.id}",
            _none,
        ),
        "koyeb remove_organization_member": (
            lambda s: f"DELETE {base}/organization_members/{s.it.users['Cora']}",
            _none,
        ),
    }


def _logto() -> Routes:
    base = "/logto/api"

    def invitation(s: Scene) -> str:
        return f"{base}/organization-invitations/{logto_id(s.invited(DAN)[0])}"

    def org(s: Scene) -> str:
        return f"{base}/organizations/{logto_id(s.it.id)}"

    def user(s: Scene, name: str = "Cora") -> str:
        return f"{org(s)}/users/{logto_id(s.account(name))}"

    def later(s: Scene) -> int:
        return epoch_millis(s.world.clock() + timedelta(days=1))

    return {
        "logto create_organization_invitation": (
            lambda s: f"POST {base}/organization-invitations",
            lambda s: {"invitee": GUEST, "organizationId": logto_id(s.it.id), "expiresAt": later(s)},
        ),
        "logto list_organization_invitations": (
            lambda s: f"GET {base}/organization-invitations?organizationId={logto_id(s.it.id)}",
            _none,
        ),
        "logto get_organization_invitation": (lambda s: f"GET {invitation(s)}", _none),
        "logto delete_organization_invitation": (lambda s: f"DELETE {invitation(s)}", _none),
        "logto create_organization_invitation_message": (lambda s: f"POST {invitation(s)}/message", lambda s: {}),
        "logto replace_organization_invitation_status": (
            lambda s: f"PUT {invitation(s)}/status",
            lambda s: {"status": "Accepted", "acceptedUserId": logto_id(s.account("Dan"))},
        ),
        "logto create_organization": (lambda s: f"POST {base}/organizations", lambda s: {"name": "Another"}),
        "logto list_organizations": (lambda s: f"GET {base}/organizations", _none),
        "logto get_organization": (lambda s: f"GET {org(s)}", _none),
        "logto update_organization": (lambda s: f"PATCH {org(s)}", lambda s: {"name": "Changed"}),
        "logto delete_organization": (lambda s: f"DELETE {org(s)}", _none),
        "logto add_organization_users": (
            lambda s: f"POST {org(s)}/users",
            lambda s: {"userIds": [logto_id(s.account("Dan"))]},
        ),
        "logto delete_organization_user": (lambda s: f"DELETE {user(s)}", _none),
        "logto delete_organization_user of another": (lambda s: f"DELETE {user(s, s.outsider)}", _none),
        "logto assign_organization_roles_to_user": (
            lambda s: f"POST {user(s)}/roles",
            lambda s: {"organizationRoleIds": []},
        ),
        "logto list_organization_user_roles": (lambda s: f"GET {user(s)}/roles", _none),
        "logto create_organization_role": (
            lambda s: f"POST {base}/organization-roles",
            lambda s: {"name": f"role {some_id()}"},
        ),
        "logto list_organization_roles": (lambda s: f"GET {base}/organization-roles", _none),
    }


def _none(_scene: Scene) -> None:
    """No body."""


RPCS: Mapping[str, Made] = {**_RPC, **_BY_ID, **_OF_ANOTHER}
"""Requests by the RPC's name; what stands behind a space tells two ways of one RPC apart."""

ROUTES: Routes = {**_clerk(), **_koyeb(), **_logto()}
"""Requests of the plain HTTP faces, by face and operation."""
