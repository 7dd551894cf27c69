"""A way for a race to reach a real server. Names of people are words; a refusal is False or None, a fault raises."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import httpx

from server.domain.secrets import SecretKeys
from server.main import build_service, open_store
from server.settings import Settings
from tests.running import RunningServer

_SERVICE = "/gitpod.v1.OrganizationService/"


class Door:
    """By Connect JSON, with a connection for each caller at once."""

    def __init__(self, server: RunningServer) -> None:
        limits = httpx.Limits(max_connections=128, max_keepalive_connections=128)
        self._http = httpx.Client(base_url=server.url, timeout=30, limits=limits)
        self._tokens: dict[str, str] = {}
        # Tokens are made on the database beside the server, which is quicker than the command line.
        settings = Settings(database_url=server.database_url)
        self._beside = build_service(open_store(settings), SecretKeys(settings.secret_keys()))

    def close(self) -> None:
        self._http.close()
        self._beside.store.close()

    def prepare(self, people: Sequence[str]) -> None:
        """Make accounts ahead, so that making them is no part of a race."""
        for person in people:
            self._token(person)

    def _token(self, person: str) -> str:
        token = self._tokens.get(person)
        if token is None:
            account = self._beside.authentication.local_account(f"{person}@example.com", person)
            token = self._beside.tokens.issue(account, description="race", expires_at=None)[0]
            self._tokens[person] = token
        return token

    def _ask(self, person: str, method: str, message: dict[str, Any]) -> dict[str, Any] | None:
        headers = {"authorization": f"Bearer {self._token(person)}"} if person else {}
        answer = self._http.post(method if method.startswith("/") else _SERVICE + method, json=message, headers=headers)
        assert answer.status_code < 500, answer.text
        content: dict[str, Any] = answer.json()
        return content if answer.status_code == 200 else None

    def make_organization(self, admins: Sequence[str]) -> str:
        made = self._ask(admins[0], "CreateOrganization", {"name": "Race"})
        assert made is not None
        organization: str = made["organization"]["id"]
        if len(admins) > 1:
            invite = self.regenerate(admins[0], organization)
            for admin in admins[1:]:
                user_id = self.join(admin, invite)
                message = {"organizationId": organization, "userId": user_id, "role": "ORGANIZATION_ROLE_ADMIN"}
                assert self._ask(admins[0], "SetRole", message) is not None
        return organization

    def regenerate(self, admin: str, organization: str) -> str:
        made = self._ask(admin, "CreateOrganizationInvite", {"organizationId": organization})
        assert made is not None
        return str(made["invite"]["inviteId"])

    def live_invite(self, admin: str, organization: str) -> str:
        found = self._ask(admin, "GetOrganizationInvite", {"organizationId": organization})
        assert found is not None
        return str(found["invite"]["inviteId"])

    def join(self, person: str, invite: str) -> str | None:
        joined = self._ask(person, "JoinOrganization", {"inviteId": invite})
        return None if joined is None else str(joined["member"]["userId"])

    def _user_id(self, person: str, organization: str) -> str:
        account = self._ask(person, "/gitpod.v1.AccountService/GetAccount", {})
        assert account is not None
        own = [m["userId"] for m in account["account"]["memberships"] if m["organizationId"] == organization]
        return str(own[0])

    def leave(self, person: str, organization: str) -> bool:
        return self._ask(person, "LeaveOrganization", {"userId": self._user_id(person, organization)}) is not None

    def step_down(self, person: str, organization: str) -> bool:
        message = {"organizationId": organization, "userId": self._user_id(person, organization)}
        return self._ask(person, "SetRole", message | {"role": "ORGANIZATION_ROLE_MEMBER"}) is not None

    def delete(self, admin: str, organization: str) -> bool:
        return self._ask(admin, "DeleteOrganization", {"organizationId": organization}) is not None

    def members(self, person: str, organization: str) -> dict[str, str] | None:
        """Give names and roles of active members, None for who isn't one."""
        found: dict[str, str] = {}
        token = ""
        while True:
            message = {"organizationId": organization, "pagination": {"pageSize": 100, "token": token}}
            page = self._ask(person, "ListMembers", message)
            if page is None:
                return None
            for member in page["members"]:
                found[member["fullName"]] = member["role"].removeprefix("ORGANIZATION_ROLE_").lower()
            token = page["pagination"]["nextToken"]
            if not token:
                return found

    def summary_count(self, invite: str) -> int | None:
        found = self._ask("", "GetOrganizationInviteSummary", {"inviteId": invite})
        return None if found is None else int(found["organizationMemberCount"])
