"""An organization with two members and a link, a person outside, and what is kept of them all."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import httpx

from tests.running import RunningServer

ORGANIZATIONS = "/gitpod.v1.OrganizationService"
ACCOUNTS = "/gitpod.v1.AccountService"
USERS = "/gitpod.v1.UserService"
INVITATIONS = "/invitations.v1.InvitationService"
SESSIONS = "/invitations.v1.SessionService"
LINKS = "/invitations.v1.InviteLinkService"


@dataclass(frozen=True)
class People:
    """Three people's access tokens, and the connection that they are used on."""

    http: httpx.Client
    ada: str
    bob: str
    eve: str

    def ask(self, path: str, message: dict[str, Any], token: str) -> dict[str, Any]:
        """Call a method as a program does, which no browser stands in the way of."""
        answer = self.http.post(path, json=message, headers=bearer(token))
        assert answer.status_code == 200, answer.text
        content: dict[str, Any] = answer.json()
        return content


def people(server: RunningServer, http: httpx.Client) -> People:
    """Make the three people's tokens."""
    return People(http, *(server.token(f"{name}@example.com") for name in ("ada", "bob", "eve")))


def bearer(token: str) -> dict[str, str]:
    """Give the header that carries a token."""
    return {"authorization": f"Bearer {token}"}


@dataclass(frozen=True)
class Household:
    """An organization of Ada's that Bob joined. Eve holds its link and is invited, but hasn't used either."""

    people: People
    organization_id: str
    invite_id: str
    adas_user_id: str
    bobs_user_id: str
    adas_token_id: str
    invitation_id: str
    invitation_token: str

    def kept(self) -> list[Any]:
        """Everything about these people that a change would change, as the people themselves are told it."""
        organization = {"organizationId": self.organization_id}
        statuses = {"statuses": ["USER_STATUS_ACTIVE", "USER_STATUS_LEFT"]}
        people = self.people
        questions = [
            *((f"{ACCOUNTS}/GetAccount", {}, token) for token in (people.ada, people.bob, people.eve)),
            (f"{ORGANIZATIONS}/GetOrganization", organization, people.ada),
            (f"{ORGANIZATIONS}/GetOrganizationInvite", organization, people.ada),
            (f"{ORGANIZATIONS}/ListMembers", organization | {"filter": statuses}, people.ada),
            (f"{USERS}/ListPersonalAccessTokens", {"filter": {"userIds": [self.adas_user_id]}}, people.ada),
            (f"{INVITATIONS}/ListInvitations", organization | {"includeTotal": True}, people.ada),
        ]
        answers = (people.http.post(path, json=message, headers=bearer(by)) for path, message, by in questions)
        return [(answer.status_code, answer.json()) for answer in answers]


def household(people: People) -> Household:
    """Make a household."""
    made = people.ask(f"{ORGANIZATIONS}/CreateOrganization", {"name": "Acme", "joinOrganization": True}, people.ada)
    organization_id, adas_user_id = made["organization"]["id"], made["member"]["userId"]
    organization = {"organizationId": organization_id}
    invite = people.ask(f"{ORGANIZATIONS}/CreateOrganizationInvite", organization, people.ada)["invite"]
    bob = people.ask(f"{ORGANIZATIONS}/JoinOrganization", invite, people.bob)["member"]
    people.ask(f"{USERS}/CreatePersonalAccessToken", {"userId": adas_user_id}, people.ada)
    of_ada = {"filter": {"userIds": [adas_user_id]}}
    [token] = people.ask(f"{USERS}/ListPersonalAccessTokens", of_ada, people.ada)["personalAccessTokens"]
    invitation = {"email": "eve@example.com", "sendEmail": False}
    asked = {"organizationId": organization_id, "invitation": invitation}
    invited = people.ask(f"{INVITATIONS}/CreateInvitation", asked, people.ada)
    return Household(
        people,
        organization_id,
        invite["inviteId"],
        adas_user_id,
        bob["userId"],
        token["id"],
        invited["invitation"]["id"],
        invited["token"],
    )
