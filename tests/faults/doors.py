"""Two ways for a race to reach the service: over HTTP to a real server, and the use cases in process."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import httpx

from server.domain.account import Caller
from server.domain.errors import ServiceError
from server.domain.organization import Role
from server.domain.secrets import SecretKeys
from server.main import Service, build_service, open_store
from server.ports import MemberFilter
from server.service.call import Call
from server.settings import Settings
from tests.running import RunningServer

_SERVICE = "/gitpod.v1.OrganizationService/"


class ServiceDoor:
    """The use cases, called by threads."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self._callers: dict[str, Caller] = {}

    def _call(self, person: str) -> Call:
        caller = self._callers.get(person)
        if caller is None:
            account = self.service.authentication.local_account(f"{person}@example.com", person)
            caller = self._callers[person] = Caller(account)
        return Call(caller)

    def prepare(self, people: Sequence[str]) -> None:
        for person in people:
            self._call(person)

    def _user_id(self, person: str, organization: str) -> str:
        with self.service.store.snapshot() as tx:
            member = tx.member(organization, self._call(person).caller.account_id)
        assert member is not None
        return member.user_id

    def make_organization(self, admins: Sequence[str]) -> str:
        first = self._call(admins[0])
        organization, _ = self.service.organizations.create(first, "Race")
        if len(admins) > 1:
            invite = self.service.links.create(first, organization.id)
            for admin in admins[1:]:
                member = self.service.organizations.join_by_invite(self._call(admin), invite)
                self.service.organizations.set_role(first, organization.id, member.user_id, Role.ADMIN)
        return organization.id

    def regenerate(self, admin: str, organization: str) -> str:
        return self.service.links.create(self._call(admin), organization)

    def live_invite(self, admin: str, organization: str) -> str:
        return self.service.links.get(self._call(admin), organization)

    def join(self, person: str, invite: str) -> str | None:
        return _or_none(lambda: self.service.organizations.join_by_invite(self._call(person), invite).user_id)

    def leave(self, person: str, organization: str) -> bool:
        user_id = self._user_id(person, organization)
        return _or_none(lambda: self.service.organizations.leave(self._call(person), user_id) or True) is True

    def step_down(self, person: str, organization: str) -> bool:
        user_id, call = self._user_id(person, organization), self._call(person)
        set_role = self.service.organizations.set_role
        return _or_none(lambda: set_role(call, organization, user_id, Role.MEMBER) or True) is True

    def delete(self, admin: str, organization: str) -> bool:
        return _or_none(lambda: self.service.organizations.delete(self._call(admin), organization) or True) is True

    def members(self, person: str, organization: str) -> dict[str, str] | None:
        call, found, token = self._call(person), {}, ""
        while True:
            page = _or_none(
                lambda token=token: self.service.organizations.list_members(
                    call, organization, MemberFilter(), page_size=100, token=token
                )
            )
            if page is None:
                return None
            found.update({member.full_name: member.role.value for member in page.members})
            token = page.next_token
            if not token:
                return found

    def summary_count(self, invite: str) -> int | None:
        return _or_none(lambda: self.service.links.summary(Call(None), invite).member_count)


def _or_none(ask: Callable[[], Any]) -> Any:
    try:
        return ask()
    except ServiceError:
        return None


class HttpDoor:
    """A real server, by Connect JSON, with a connection for each caller at once."""

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
