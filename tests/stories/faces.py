"""One adapter for each face: the same few acts on every wire, with its ids, states and refusals in common words.

Every request passes the WSGI application that serves all faces; nothing else of the service is called, but to make
people and keys. An adapter says what its wire `cannot` do, and why.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar
from urllib.parse import parse_qs, urlsplit

from werkzeug.test import Client

from gen.google.rpc.error_details_pb import ErrorInfo
from server.domain.errors import CATALOG
from server.faces.spelling import clerk_id, from_clerk_id, from_logto_id, logto_id
from server.wires import build_edge
from tests.conftest import World
from tests.stories.people import some_id

PUBLIC_URL = "https://organizations.example.com"
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MILLISECOND = timedelta(milliseconds=1)

WORDS = {
    "CREDENTIALS_MISSING": "unauthenticated",
    "CREDENTIALS_INVALID": "unauthenticated",
    "ADMIN_REQUIRED": "forbidden",
    "ORGANIZATION_NOT_FOUND": "not found",
    "INVITATION_NOT_FOUND": "not found",
    "INVITE_NOT_FOUND": "not found",
    "INVITATION_PENDING": "duplicate",
    "ALREADY_MEMBER": "already member",
    "INVITATION_ALREADY_ACCEPTED": "accepted",
    "INVITATION_DECLINED": "declined",
    "INVITATION_REVOKED": "revoked",
    "INVITATION_EXPIRED": "expired",
    "INVITATION_WRONG_ACCOUNT": "another's",
    "MAIL_LIMIT": "rate limited",
    "IDEMPOTENCY_KEY_REUSED": "key reused",
    "LAST_ADMIN": "last admin",
}
"""What our reasons mean, where a wire tells them."""

_SENTENCES = {
    name: re.compile(re.sub(r"\\\{\w+\\\}", ".*", re.escape(reason.sentence))) for name, reason in CATALOG.items()
}


def word_of(sentence: str) -> str | None:
    """Give the word of the reason whose sentence this is, for wires that tell reasons apart by nothing else."""
    return next((WORDS.get(name) for name, known in _SENTENCES.items() if known.fullmatch(sentence)), None)


class RefusedError(Exception):
    """A face said no: what it means (`word`), all that it said, and after how many seconds to try again."""

    def __init__(self, word: str, said: object, retry_after: int | None) -> None:
        super().__init__(word, said)
        self.word = word
        self.said = said
        self.retry_after = retry_after


@dataclass(frozen=True)
class Wanted:
    """What is asked for: `metadata` by `public` and `private`."""

    email: str
    role: str
    metadata: Mapping[str, Any]


@dataclass(frozen=True)
class Invitation:
    """A way in, as a wire shows it; `id` is the wire's, `organization` ours. A link has no more than these two."""

    id: str
    organization: str
    email: str = ""
    status: str = ""
    roles: frozenset[str] = frozenset()
    expires_at: datetime | None = None
    link: str = ""


@dataclass(frozen=True)
class Membership:
    """What somebody is in an organization; `id` is the wire's."""

    id: str
    roles: frozenset[str]


def address(name: str) -> str:
    return f"{name.lower()}@example.com"


class Face:
    """What all have in common. `by` and `person` are names of people, `organization` is an id of ours."""

    name: ClassVar[str]
    cannot: ClassVar[Mapping[str, str]]
    """What the wire can't do, and why: stories that need it aren't told there."""

    shown_as: ClassVar[Mapping[str, str]] = {}
    """States that it shows as others, for want of a word."""

    refused_as: ClassVar[Mapping[str, str]] = {}
    """Refusals of an answer that it doesn't tell from others: `over` is whatever can't be answered any more."""

    def __init__(self, world: World, client: Client | None = None) -> None:
        self.world = world
        self.client = client or Client(build_edge(world.service, public_url=PUBLIC_URL, sends_mail=True))
        self.authorization: str | None = ""
        """What is sent instead of the caller's credentials; None for nothing at all."""
        self._secrets: dict[object, str] = {}

    def shown(self, status: str) -> str:
        return self.shown_as.get(status, status)

    def refused(self, word: str) -> str:
        return self.refused_as.get(word, word)

    # What each does in its own way.

    def _invite(self, by: str, organization: str, wanted: Wanted, key: str) -> Invitation:
        raise NotImplementedError

    def handle(self, id_: str, organization: str) -> Invitation:
        """Give what stands for the invitation that has this id of ours."""
        raise NotImplementedError

    def get(self, by: str, invitation: Invitation) -> Invitation:
        raise NotImplementedError

    def listed(self, by: str, organization: str, *, status: str = "", email: str = "") -> list[Invitation]:
        raise NotImplementedError

    def resend(self, by: str, invitation: Invitation) -> Invitation:
        raise NotImplementedError

    def revoke(self, by: str, invitation: Invitation) -> None:
        raise NotImplementedError

    def delete(self, by: str, invitation: Invitation) -> None:
        raise NotImplementedError

    def mine(self, person: str) -> list[str]:
        """Give the ids of a person's pending invitations, in all organizations."""
        raise NotImplementedError

    def accept(self, person: str, invitation: Invitation) -> Membership:
        raise NotImplementedError

    def decline(self, person: str, invitation: Invitation) -> None:
        raise NotImplementedError

    def membership(self, by: str, organization: str, person: str) -> Membership | None:
        raise NotImplementedError

    def set_role(self, by: str, organization: str, person: str, role: str) -> None:
        raise NotImplementedError

    def remove(self, by: str, organization: str, person: str) -> None:
        raise NotImplementedError

    def _word(self, answer: Any) -> str | None:
        """Give what a refusal means."""
        raise NotImplementedError

    def _credentials(self, by: str) -> str:
        raise NotImplementedError

    # What they share.

    def invite(
        self, by: str, organization: str, email: str, role: str = "", *, key: str = "", **metadata: Any
    ) -> Invitation:
        """Make a way in; without a role with what the wire gives by itself. `key` is an Idempotency-Key."""
        return self._invite(by, organization, Wanted(email, role, metadata), key)

    def withdraw(self, by: str, invitation: Invitation) -> None:
        """End a way in, by whatever the wire has for it."""
        (self.delete if "revoke" in self.cannot else self.revoke)(by, invitation)

    def nowhere(self, organization: str) -> Invitation:
        """Give what stands for an invitation that never was."""
        return self.handle(some_id(), organization)

    def _call(self, by: str, method: str, path: str, body: Any = None, *, key: str = "", **query: str) -> Any:
        authorization = self._credentials(by) if self.authorization == "" else self.authorization
        headers = {"authorization": authorization, "idempotency-key": key or None}
        answer = self.client.open(
            path,
            method=method,
            json=body,
            query_string={name: value for name, value in query.items() if value},
            headers={name: value for name, value in headers.items() if value is not None},
        )
        said = json.loads(answer.data) if answer.data else None
        if answer.status_code < 300:
            return said
        assert answer.status_code < 500, (method, path, said)
        word = self._word(said)
        assert word is not None, (method, path, answer.status_code, said)
        wait = answer.headers.get("retry-after")
        told = json.dumps({name: value for name, value in said.items() if name != "clerk_trace_id"})
        raise RefusedError(word, (answer.status_code, told), None if wait is None else int(wait))

    def _known(self, by: str, organization: str, person: str) -> Membership:
        found = self.membership(by, organization, person)
        assert found is not None
        return found

    def _token(self, person: str) -> str:
        if person not in self._secrets:
            account = self.world.account(person)
            self._secrets[person], _ = self.world.service.tokens.issue(account, description="", expires_at=None)
        return self._secrets[person]

    def _account_id(self, person: str) -> str:
        return self.world.account(person).id


# Connect.


class Gitpod(Face):
    """A way in is the organization's live link."""

    name = "gitpod"
    cannot: ClassVar = {
        "address": "a link is for whoever holds it: it has no address, no status and no end",
        "admin": "who comes by a link is a plain member, until an admin makes them more",
    }
    refused_as: ClassVar = {"revoked": "not found"}

    def _credentials(self, by: str) -> str:
        return f"Bearer {self._token(by)}"

    def _rpc(self, by: str, method: str, key: str = "", **request: Any) -> Any:
        return self._call(by, "POST", f"/gitpod.v1.OrganizationService/{method}", request, key=key)

    def _word(self, answer: Any) -> str | None:
        for detail in answer.get("details", ()):
            if detail["type"] == "google.rpc.ErrorInfo":
                content = base64.b64decode(detail["value"] + "=" * (-len(detail["value"]) % 4))
                return WORDS.get(ErrorInfo.from_binary(content).reason)
        return None

    def _invite(self, by: str, organization: str, wanted: Wanted, key: str) -> Invitation:
        made = self._rpc(by, "CreateOrganizationInvite", key, organizationId=organization)
        return self.handle(made["invite"]["inviteId"], organization)

    def handle(self, id_: str, organization: str) -> Invitation:
        return Invitation(id_, organization)

    def withdraw(self, by: str, invitation: Invitation) -> None:
        self.invite(by, invitation.organization, "")  # a fresh link ends the one before

    def accept(self, person: str, invitation: Invitation) -> Membership:
        return self._member(self._rpc(person, "JoinOrganization", inviteId=invitation.id)["member"])

    def membership(self, by: str, organization: str, person: str) -> Membership | None:
        wanted = {"email": address(person)}
        found = self._rpc(by, "ListMembers", organizationId=organization, filter=wanted)["members"]
        return self._member(found[0]) if found else None

    def set_role(self, by: str, organization: str, person: str, role: str) -> None:
        user_id, spelled = self._known(by, organization, person).id, f"ORGANIZATION_ROLE_{role.upper()}"
        self._rpc(by, "SetRole", organizationId=organization, userId=user_id, role=spelled)

    def remove(self, by: str, organization: str, person: str) -> None:
        self._rpc(by, "LeaveOrganization", userId=self._known(by, organization, person).id)

    @staticmethod
    def _member(shown: Mapping[str, Any]) -> Membership:
        return Membership(shown["userId"], frozenset({shown["role"].removeprefix("ORGANIZATION_ROLE_").lower()}))


class InvitationService(Gitpod):
    """Our own contract, which stands beside Gitpod's: members are listed and removed there."""

    name = "invitations"
    cannot: ClassVar = {"roles": "it is about invitations; members' roles are changed on the other wires"}
    refused_as: ClassVar = {}

    def _own(self, by: str, method: str, key: str = "", **request: Any) -> Any:
        return self._call(by, "POST", f"/invitations.v1.InvitationService/{method}", request, key=key)

    def _invite(self, by: str, organization: str, wanted: Wanted, key: str) -> Invitation:
        metadata = {f"{which}Metadata": content for which, content in wanted.metadata.items()}
        new = {"email": wanted.email, "role": wanted.role} | metadata
        made = self._own(by, "CreateInvitation", key, organizationId=organization, invitation=new)
        return self._read(made["invitation"])

    def get(self, by: str, invitation: Invitation) -> Invitation:
        return self._read(self._own(by, "GetInvitation", invitationId=invitation.id)["invitation"])

    def listed(self, by: str, organization: str, *, status: str = "", email: str = "") -> list[Invitation]:
        wanted = {"statuses": [f"INVITATION_STATUS_{status.upper()}"] if status else [], "email": email}
        found = self._own(by, "ListInvitations", organizationId=organization, filter=wanted)
        return [self._read(shown) for shown in found["invitations"]]

    def resend(self, by: str, invitation: Invitation) -> Invitation:
        return self._read(self._own(by, "ResendInvitation", invitationId=invitation.id)["invitation"])

    def revoke(self, by: str, invitation: Invitation) -> None:
        self._own(by, "RevokeInvitation", invitationId=invitation.id)

    def delete(self, by: str, invitation: Invitation) -> None:
        self._own(by, "DeleteInvitation", invitationId=invitation.id)

    def withdraw(self, by: str, invitation: Invitation) -> None:
        self.revoke(by, invitation)

    def mine(self, person: str) -> list[str]:
        return [shown["id"] for shown in self._own(person, "ListMyInvitations")["invitations"]]

    def accept(self, person: str, invitation: Invitation) -> Membership:
        member = self._own(person, "AcceptInvitation", invitationId=invitation.id)["member"]
        return Membership(member["userId"], frozenset({member["role"], *member["namedRoles"]}))

    def decline(self, person: str, invitation: Invitation) -> None:
        self._own(person, "DeclineInvitation", invitationId=invitation.id)

    @staticmethod
    def _read(shown: Mapping[str, Any]) -> Invitation:
        return Invitation(
            shown["id"],
            shown["organizationId"],
            shown["email"],
            shown["status"].removeprefix("INVITATION_STATUS_").lower(),
            frozenset({shown["role"], *shown["namedRoles"]}),
            datetime.fromisoformat(shown["expiresAt"]),
        )


# REST, called by people.


class Koyeb(Face):
    name = "koyeb"
    cannot: ClassVar = {
        "member": "it has one role, OWNER, and who is invited there becomes an admin",
        "roles": "it has one role, OWNER",
        "named": "it has one role, OWNER",
        "elsewhere": "a request names no organization: it is the one that the token is for",
        "again": "an answer that was given stays, so a second one is refused",
        "revoke": "an invitation is deleted there, and it has no word for one that was revoked",
        "metadata": "its invitations have none",
        "by-address": "its lists know only the caller's own address",
    }
    refused_as: ClassVar = {"revoked": "not found", "another's": "not found"}

    _INVITATIONS = "/koyeb/v1/organization_invitations"
    _RECEIVED = "/koyeb/v1/account/organization_invitations"
    _MEMBERS = "/koyeb/v1/organization_members"
    _STATUSES: ClassVar = {"declined": "REFUSED"}

    def _credentials(self, by: str) -> str:
        return self._token(by)

    def _word(self, answer: Any) -> str | None:
        return word_of(answer["message"])

    def _invite(self, by: str, organization: str, wanted: Wanted, key: str) -> Invitation:
        return self._read(self._call(by, "POST", self._INVITATIONS, {"email": wanted.email}, key=key)["invitation"])

    def handle(self, id_: str, organization: str) -> Invitation:
        return Invitation(id_, organization)

    def get(self, by: str, invitation: Invitation) -> Invitation:
        return self._read(self._call(by, "GET", f"{self._INVITATIONS}/{invitation.id}")["invitation"])

    def listed(self, by: str, organization: str, *, status: str = "", email: str = "") -> list[Invitation]:
        spelled = self._STATUSES.get(status, status.upper())
        found = self._call(by, "GET", self._INVITATIONS, statuses=spelled)["invitations"]
        return [self._read(shown) for shown in found]

    def resend(self, by: str, invitation: Invitation) -> Invitation:
        return self._read(self._call(by, "POST", f"{self._INVITATIONS}/{invitation.id}/resend", {})["invitation"])

    def delete(self, by: str, invitation: Invitation) -> None:
        self._call(by, "DELETE", f"{self._INVITATIONS}/{invitation.id}")

    def mine(self, person: str) -> list[str]:
        return [shown["id"] for shown in self._call(person, "GET", self._RECEIVED, statuses="PENDING")["invitations"]]

    def accept(self, person: str, invitation: Invitation) -> Membership:
        self._call(person, "POST", f"{self._RECEIVED}/{invitation.id}/accept", {})
        return self._known(person, invitation.organization, person)

    def decline(self, person: str, invitation: Invitation) -> None:
        self._call(person, "POST", f"{self._RECEIVED}/{invitation.id}/decline", {})

    def membership(self, by: str, organization: str, person: str) -> Membership | None:
        wanted = {"organization_id": organization, "user_id": self._account_id(person)}
        found = self._call(by, "GET", self._MEMBERS, **wanted)["members"]
        return Membership(found[0]["id"], self._roles(found[0])) if found else None

    def remove(self, by: str, organization: str, person: str) -> None:
        self._call(by, "DELETE", f"{self._MEMBERS}/{self._known(by, organization, person).id}")

    def _read(self, shown: Mapping[str, Any]) -> Invitation:
        status = shown["status"]
        return Invitation(
            shown["id"],
            shown["organization_id"],
            shown["email"],
            next((word for word, spelled in self._STATUSES.items() if spelled == status), status.lower()),
            self._roles(shown),
            datetime.fromisoformat(shown["expires_at"]),
        )

    @staticmethod
    def _roles(shown: Mapping[str, Any]) -> frozenset[str]:
        return frozenset({{"OWNER": "admin"}[shown["role"]]})


# REST, called by backends.


class _Backend(Face):
    """Called by the backend of the organizations that `by` is in, for `by`; by "" with a key that reaches all."""

    def __init__(self, world: World, client: Client | None = None) -> None:
        super().__init__(world, client)
        self._page = InvitationService(world, self.client)

    def _credentials(self, by: str) -> str:
        organizations = self.world.service.organizations
        reached = () if not by else tuple(m.organization.id for m in organizations.list_own(self.world.call(by)))
        # A key that names no organizations reaches all: whoever is in none gets one that reaches none.
        confined = reached or ((some_id(),) if by else ())
        if (by, reached) not in self._secrets:
            issued, _ = self.world.service.backend_keys.issue("stories", organization_ids=confined)
            self._secrets[by, reached] = issued
        return f"Bearer {self._secrets[by, reached]}"


class Clerk(_Backend):
    """People answer where the `url` of an invitation leads: at our page, which speaks our own contract."""

    name = "clerk"
    cannot: ClassVar = {
        "resend": "Clerk's API sends an invitation once",
        "renew": "Clerk's API sends an invitation once",
        "delete": "an invitation there is revoked, and stays",
    }
    shown_as: ClassVar = {"declined": "revoked"}

    _WORDS: ClassVar = {
        "could_not_authenticate_request": "unauthenticated",
        "clerk_key_invalid": "unauthenticated",
        "missing_organization_permission": "forbidden",
        "resource_not_found": "not found",
        "organization_invitation_not_unique": "duplicate",
        "already_a_member_in_organization": "already member",
        "organization_minimum_permissions_needed": "last admin",
        "too_many_requests": "rate limited",
        "idempotency_key_reused": "key reused",
    }

    def _word(self, answer: Any) -> str | None:
        (error,) = answer["errors"]
        return self._WORDS.get(error["code"])

    def _invite(self, by: str, organization: str, wanted: Wanted, key: str) -> Invitation:
        role = f"org:{wanted.role or 'member'}"
        body = {"email_address": wanted.email, "role": role, "inviter_user_id": self._user_id(by)}
        body |= {f"{which}_metadata": content for which, content in wanted.metadata.items()}
        return self._read(self._call(by, "POST", f"{self._organization(organization)}/invitations", body, key=key))

    def handle(self, id_: str, organization: str) -> Invitation:
        return Invitation(clerk_id("orginv", id_), organization)

    def get(self, by: str, invitation: Invitation) -> Invitation:
        return self._read(self._call(by, "GET", self._path(invitation)))

    def listed(self, by: str, organization: str, *, status: str = "", email: str = "") -> list[Invitation]:
        path = f"{self._organization(organization)}/invitations"
        return [self._read(i) for i in self._call(by, "GET", path, status=status, email_address=email)["data"]]

    def revoke(self, by: str, invitation: Invitation) -> None:
        self._call(by, "POST", f"{self._path(invitation)}/revoke", {"requesting_user_id": self._user_id(by)})

    def mine(self, person: str) -> list[str]:
        path = f"/clerk/v1/users/{self._user_id(person)}/organization_invitations"
        return [shown["id"] for shown in self._call("", "GET", path, status="pending")["data"]]

    def accept(self, person: str, invitation: Invitation) -> Membership:
        self._page.accept(person, self._on_page(invitation))
        return self._known(person, invitation.organization, person)

    def decline(self, person: str, invitation: Invitation) -> None:
        self._page.decline(person, self._on_page(invitation))

    def membership(self, by: str, organization: str, person: str) -> Membership | None:
        path, user_id = f"{self._organization(organization)}/memberships", self._user_id(person)
        for shown in self._call(by, "GET", path, limit="100")["data"]:
            if shown["public_user_data"]["user_id"] == user_id:
                return Membership(shown["id"], self._roles(shown))
        return None

    def set_role(self, by: str, organization: str, person: str, role: str) -> None:
        path = f"{self._organization(organization)}/memberships/{self._user_id(person)}"
        self._call(by, "PATCH", path, {"role": f"org:{role}"})

    def remove(self, by: str, organization: str, person: str) -> None:
        self._call(by, "DELETE", f"{self._organization(organization)}/memberships/{self._user_id(person)}")

    def _user_id(self, person: str) -> str:
        return clerk_id("user", self._account_id(person))

    @staticmethod
    def _organization(organization: str) -> str:
        return f"/clerk/v1/organizations/{clerk_id('org', organization)}"

    def _path(self, invitation: Invitation) -> str:
        return f"{self._organization(invitation.organization)}/invitations/{invitation.id}"

    def _on_page(self, invitation: Invitation) -> Invitation:
        (id_,) = parse_qs(urlsplit(invitation.link).fragment)["id"]
        return self._page.handle(id_, invitation.organization)

    def _read(self, shown: Mapping[str, Any]) -> Invitation:
        organization = from_clerk_id("org", shown["organization_id"])
        assert organization is not None
        return Invitation(
            shown["id"],
            organization,
            shown["email_address"],
            shown["status"],
            self._roles(shown),
            EPOCH + shown["expires_at"] * MILLISECOND,
            shown["url"] or "",
        )

    @staticmethod
    def _roles(shown: Mapping[str, Any]) -> frozenset[str]:
        return frozenset({shown["role"].removeprefix("org:")})


class Logto(_Backend):
    """The backend accepts for people; who declines does so on our own page."""

    name = "logto"
    cannot: ClassVar = {
        "demote": "its roles come on top of those that a member has",
        "again": "the status of an invitation that was accepted can't be changed any more",
        "renew": "sending an invitation again leaves its end as it is",
        "metadata": "its invitations have none",
        "by-status": "its lists are filtered by organization, inviter and address",
    }
    shown_as: ClassVar = {"declined": "revoked"}
    refused_as: ClassVar = {"accepted": "over", "declined": "over", "revoked": "over", "expired": "over"}

    _INVITATIONS = "/logto/api/organization-invitations"
    _LIFE = timedelta(days=30)
    _WORDS: ClassVar = {
        "auth.authorization_header_missing": "unauthenticated",
        "auth.unauthorized": "unauthenticated",
        "auth.forbidden": "forbidden",
        "entity.not_found": "not found",
        "entity.relation_foreign_key_not_found": "not found",
        "organization.require_membership": "no member",
        "entity.unique_integrity_violation": "duplicate",
        "request.message_rate_limited": "rate limited",
        "request.idempotency_key_reused": "key reused",
    }
    _DETAILS: ClassVar = {
        "The invitee is already a member of the organization.": "already member",
        "The status of the invitation cannot be changed anymore.": "over",
        "The accepted user must have the same email as the invitee.": "another's",
    }

    def _word(self, answer: Any) -> str | None:
        if answer["code"] != "request.invalid_input":
            return self._WORDS.get(answer["code"])
        details = answer["message"].removeprefix("Input is invalid. ")
        return self._DETAILS.get(details) or word_of(details)

    def _invite(self, by: str, organization: str, wanted: Wanted, key: str) -> Invitation:
        body = {
            "inviterId": self._user_id(by),
            "invitee": wanted.email,
            "organizationId": logto_id(organization),
            "expiresAt": (self.world.clock() + self._LIFE - EPOCH) // MILLISECOND,
            "organizationRoleIds": self._role_ids(wanted.role),
            "messagePayload": {},
        }
        return self._read(self._call(by, "POST", self._INVITATIONS, body, key=key))

    def handle(self, id_: str, organization: str) -> Invitation:
        return Invitation(logto_id(id_), organization)

    def get(self, by: str, invitation: Invitation) -> Invitation:
        return self._read(self._call(by, "GET", f"{self._INVITATIONS}/{invitation.id}"))

    def listed(self, by: str, organization: str, *, status: str = "", email: str = "") -> list[Invitation]:
        wanted = {"organizationId": logto_id(organization), "invitee": email}
        return [self._read(shown) for shown in self._call(by, "GET", self._INVITATIONS, **wanted)]

    def resend(self, by: str, invitation: Invitation) -> Invitation:
        self._call(by, "POST", f"{self._INVITATIONS}/{invitation.id}/message", {})
        return self.get(by, invitation)

    def revoke(self, by: str, invitation: Invitation) -> None:
        self._call(by, "PUT", f"{self._INVITATIONS}/{invitation.id}/status", {"status": "Revoked"})

    def delete(self, by: str, invitation: Invitation) -> None:
        self._call(by, "DELETE", f"{self._INVITATIONS}/{invitation.id}")

    def mine(self, person: str) -> list[str]:
        found = self._call("", "GET", self._INVITATIONS, invitee=address(person))
        return [shown["id"] for shown in found if shown["status"] == "Pending"]

    def accept(self, person: str, invitation: Invitation) -> Membership:
        body = {"status": "Accepted", "acceptedUserId": self._user_id(person)}
        # By a key that reaches all: who isn't in yet has no backend.
        self._call("", "PUT", f"{self._INVITATIONS}/{invitation.id}/status", body)
        return self._known(person, invitation.organization, person)

    def decline(self, person: str, invitation: Invitation) -> None:
        id_ = from_logto_id(invitation.id)
        assert id_ is not None
        self._page.decline(person, self._page.handle(id_, invitation.organization))

    def membership(self, by: str, organization: str, person: str) -> Membership | None:
        try:
            roles = self._call(by, "GET", f"{self._user(organization, person)}/roles")
        except RefusedError as refusal:
            if refusal.word != "no member":
                raise
            return None
        return Membership(self._user_id(person), self._roles(roles))

    def set_role(self, by: str, organization: str, person: str, role: str) -> None:
        body = {"organizationRoleIds": self._role_ids(role)}
        self._call(by, "POST", f"{self._user(organization, person)}/roles", body)

    def remove(self, by: str, organization: str, person: str) -> None:
        self._call(by, "DELETE", self._user(organization, person))

    def _user_id(self, person: str) -> str:
        return logto_id(self._account_id(person))

    def _user(self, organization: str, person: str) -> str:
        return f"/logto/api/organizations/{logto_id(organization)}/users/{self._user_id(person)}"

    def _role_ids(self, role: str) -> list[str]:
        """Give a role as it is asked for; being a member needs none."""
        named = {known.key: logto_id(known.id) for known in self.world.service.roles.list()}
        return [] if role in ("", "member") else [named.get(role, role)]

    def _read(self, shown: Mapping[str, Any]) -> Invitation:
        organization = from_logto_id(shown["organizationId"])
        assert organization is not None
        return Invitation(
            shown["id"],
            organization,
            shown["invitee"],
            shown["status"].lower(),
            self._roles(shown["organizationRoles"]),
            EPOCH + shown["expiresAt"] * MILLISECOND,
        )

    @staticmethod
    def _roles(shown: Iterable[Mapping[str, Any]]) -> frozenset[str]:
        return frozenset(role["name"].lower() for role in shown)


FACES: tuple[type[Face], ...] = (Gitpod, InvitationService, Clerk, Koyeb, Logto)
