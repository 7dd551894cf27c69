"""Runs with gitpod-sdk 0.11.0: the name of one of the functions below that take no arguments.

The server and the people are given in the environment: SERVER_URL, ADA_TOKEN and BOB_TOKEN. The client validates every
response strictly, as the SDK's own tests do.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable
from contextlib import contextmanager
from functools import partial
from typing import Any

import gitpod
import httpx
from gitpod import AsyncGitpod, Gitpod
from life import (
    Account,
    Identity,
    Member,
    Membership,
    Organization,
    Summary,
    Token,
    User,
    deleting_token,
    live,
    raised,
    refused_by_json,
    say,
)

URL = os.environ["SERVER_URL"]
FEW = 40
"""Members on a page: several pages, and a last one that isn't full."""


def client(token: str, **options: Any) -> Gitpod:
    return Gitpod(base_url=URL, bearer_token=token, _strict_response_validation=True, **options)


def ada() -> Gitpod:
    return client(os.environ["ADA_TOKEN"])


def bob() -> Gitpod:
    return client(os.environ["BOB_TOKEN"])


@contextmanager
def refusals() -> Any:
    try:
        yield
    except gitpod.APIStatusError as error:
        raise refused_by_json(error.body) from error


class Person:
    """A person of `life`, by this SDK. It can't make personal access tokens."""

    makes_tokens = False

    def __init__(self, token: str) -> None:
        self._client = client(token)

    def with_token(self, token: str) -> Person:
        return Person(token)

    def account(self) -> Account:
        with refusals():
            account = self._client.accounts.retrieve(empty=True).account
        memberships = tuple(
            Membership(
                m.user_id, m.user_role, m.organization_id, m.organization_name, m.organization_member_count
            )
            for m in account.memberships
        )  # fmt: skip
        return Account(account.id, account.name, account.email, memberships)

    def identity(self) -> Identity:
        with refusals():
            found = self._client.identity.get_authenticated_identity(empty=True)
        return Identity(found.subject.principal, found.subject.id, found.organization_id)

    def own_user(self) -> User:
        with refusals():
            return _user(self._client.users.get_authenticated_user(empty=True).user)

    def user(self, user_id: str) -> User:
        with refusals():
            return _user(self._client.users.get_user(user_id=user_id).user)

    def create_organization(self, name: str) -> tuple[Organization, Member]:
        with refusals():
            created = self._client.organizations.create(name=name, join_organization=True)
        return _organization(created.organization), _member(created.member)

    def organization(self, organization_id: str) -> Organization:
        with refusals():
            return _organization(self._client.organizations.retrieve(organization_id=organization_id).organization)

    def rename(self, organization_id: str, name: str) -> Organization:
        with refusals():
            updated = self._client.organizations.update(organization_id=organization_id, name=name)
        return _organization(updated.organization)

    def delete_organization(self, organization_id: str) -> None:
        with refusals():
            assert self._client.organizations.delete(organization_id=organization_id) == {}

    def create_invite(self, organization_id: str) -> str:
        with refusals():
            return self._client.organizations.invites.create(organization_id=organization_id).invite.invite_id

    def invite(self, organization_id: str) -> str:
        with refusals():
            return self._client.organizations.invites.retrieve(organization_id=organization_id).invite.invite_id

    def summary(self, invite_id: str) -> Summary:
        with refusals():
            found = self._client.organizations.invites.get_summary(invite_id=invite_id)
        return Summary(found.organization_id, found.organization_name, found.organization_member_count)

    def join(self, invite_id: str) -> Member:
        with refusals():
            return _member(self._client.organizations.join(invite_id=invite_id).member)

    def members(self, organization_id: str) -> list[Member]:
        """List with the SDK's own paging, so that it is part of its life."""
        with refusals():
            members = self._client.organizations.list_members(
                organization_id=organization_id, pagination={"page_size": 1}
            )
            return [_member(m) for m in members]

    def set_role(self, organization_id: str, user_id: str, role: Any) -> None:
        with refusals():
            answer = self._client.organizations.set_role(organization_id=organization_id, user_id=user_id, role=role)
        assert answer == {}

    def leave(self, user_id: str) -> None:
        with refusals():
            assert self._client.organizations.leave(user_id=user_id) == {}

    def create_token(self, user_id: str, description: str, *, read_only: bool) -> str:
        raise NotImplementedError

    def tokens(self) -> list[Token]:
        with refusals():
            return [_token(t) for t in self._client.users.pats.list()]

    def token(self, token_id: str) -> Token:
        with refusals():
            return _token(self._client.users.pats.get(personal_access_token_id=token_id).pat)

    def delete_token(self, token_id: str) -> None:
        with refusals():
            assert self._client.users.pats.delete(personal_access_token_id=token_id) == {}


def _organization(found: Any) -> Organization:
    return Organization(found.id, found.name, found.tier)


def _member(found: Any) -> Member:
    return Member(found.user_id, found.role, found.status, found.full_name, found.email, found.login_provider)


def _user(found: Any) -> User:
    return User(found.id, found.organization_id, found.name, found.email)


def _token(found: Any) -> Token:
    return Token(found.id, found.user_id, found.description, found.read_only)


def life() -> None:
    live(Person(os.environ["ADA_TOKEN"]), Person(os.environ["BOB_TOKEN"]))


def paging() -> None:
    """List the members of ORGANIZATION_ID with the SDK's own paging, in each way to ask for a page's size.

    There must be MEMBERS of them, each once, and no more requests than pages.
    """
    organization_id, count = os.environ["ORGANIZATION_ID"], int(os.environ["MEMBERS"])
    urls: list[httpx.URL] = []
    http = httpx.Client(event_hooks={"request": [lambda request: urls.append(request.url)]})
    organizations = client(os.environ["ADA_TOKEN"], http_client=http).organizations
    ways: list[dict[str, Any]] = [
        {"page_size": FEW},
        {"pagination": {"page_size": FEW}},
        {"pagination": {"page_size": 7}, "page_size": FEW},
        {"page_size": FEW, "sort": {"field": "SORT_FIELD_NAME", "order": "SORT_ORDER_DESC"}},
        {"page_size": FEW, "sort": {"field": "SORT_FIELD_DATE_JOINED", "order": "SORT_ORDER_ASC"}},
    ]
    for way in ways:
        urls.clear()
        members = list(organizations.list_members(organization_id=organization_id, **way))
        assert len(members) == count, len(members)
        assert len({member.user_id for member in members}) == count
        assert len(urls) == -(-count // FEW), urls
        names = [member.full_name for member in members]
        if way.get("sort", {}).get("field") == "SORT_FIELD_NAME":
            assert names == sorted(names, reverse=True)
        say(f"{way}: {len(members)} members in {len(urls)} requests")
    first = organizations.list_members(organization_id=organization_id)
    assert len(first.members) == 25
    assert first.pagination.next_token
    found = organizations.list_members(organization_id=organization_id, filter={"search": "MEMBER 7"}, page_size=5)
    assert [m.full_name for m in found] == ["Member 7", *(f"Member {n}" for n in range(70, 80))]
    for wrong in ({"page_size": 101}, {"page_size": -1}, {"token": "none of this list"}):
        call = partial(organizations.list_members, organization_id=organization_id, **wrong)
        say(f"{wrong}: {raised(gitpod.BadRequestError, call).message}")


def paging_asynchronously() -> None:
    """The same by the asynchronous client."""
    organization_id, count = os.environ["ORGANIZATION_ID"], int(os.environ["MEMBERS"])

    async def user_ids() -> list[str]:
        async with AsyncGitpod(
            base_url=URL, bearer_token=os.environ["ADA_TOKEN"], _strict_response_validation=True
        ) as gitpod_client:
            members = gitpod_client.organizations.list_members(organization_id=organization_id, page_size=FEW)
            return [member.user_id async for member in members]

    found = asyncio.run(user_ids())
    assert len(found) == len(set(found)) == count


def errors() -> None:
    """Each refusal is an exception of its own, raised at the first try."""
    mine, his = ada(), bob()
    created = mine.organizations.create(name="Errors", join_organization=True)
    organization_id, founder = created.organization.id, created.member.user_id
    his.organizations.join(
        invite_id=mine.organizations.invites.create(organization_id=organization_id).invite.invite_id
    )
    of = {"organization_id": organization_id}
    cases: list[tuple[type[gitpod.APIStatusError], int, str, Callable[[Gitpod], Any]]] = [
        (gitpod.NotFoundError, 404, "not_found", lambda c: c.organizations.retrieve(organization_id=founder)),
        (gitpod.BadRequestError, 400, "invalid_argument", lambda c: c.organizations.retrieve(organization_id="x")),
        (gitpod.BadRequestError, 400, "invalid_argument", lambda c: c.organizations.join()),
        (gitpod.BadRequestError, 400, "invalid_argument", lambda c: c.organizations.create(name=1)),
        (gitpod.BadRequestError, 400, "failed_precondition", lambda c: c.organizations.leave(user_id=founder)),
        (gitpod.InternalServerError, 501, "unimplemented", lambda c: c.organizations.policies.retrieve(**of)),
        (gitpod.InternalServerError, 501, "unimplemented", lambda c: c.users.set_suspended(user_id=founder)),
        (gitpod.InternalServerError, 501, "unimplemented", lambda c: c.groups.list()),
    ]
    for kind, status, code, call in cases:
        refused_once(os.environ["ADA_TOKEN"], kind, status, code, call)
    refused_once(
        os.environ["BOB_TOKEN"],
        gitpod.PermissionDeniedError,
        403,
        "permission_denied",
        lambda c: c.organizations.invites.create(**of),
    )
    refused_once(
        "orgsvc_nobody-has-this",
        gitpod.AuthenticationError,
        401,
        "unauthenticated",
        lambda c: c.organizations.retrieve(**of),
    )


def refused_once(
    token: str, kind: type[gitpod.APIStatusError], status: int, code: str, call: Callable[[Gitpod], Any]
) -> None:
    """Expect an exception, and that one request was sent, which the server knows by the printed id."""
    sent: list[httpx.Request] = []
    http = httpx.Client(event_hooks={"request": [sent.append]})
    error = raised(gitpod.APIStatusError, lambda: call(client(token, http_client=http)))
    assert type(error) is kind, repr(error)
    assert (error.status_code, error.code) == (status, code), error
    assert len(sent) == 1, sent
    say(f"{code} {error.response.headers['x-request-id']} {sent[0].url.path}")


def updating() -> None:
    """What is None or left out is kept; an empty list of domains clears them."""
    organizations = ada().organizations
    organization_id = organizations.create(name="Updated").organization.id
    organizations.update(organization_id=organization_id, invite_domains={"domains": ["Example.com", "example.org"]})
    kept = organizations.update(organization_id=organization_id, invite_domains=None, name="Renamed").organization
    assert kept.name == "Renamed"
    assert kept.invite_domains.domains == ["example.com", "example.org"]
    kept = organizations.update(organization_id=organization_id, name=None).organization
    assert kept.name == "Renamed"
    assert kept.invite_domains.domains == ["example.com", "example.org"]
    cleared = organizations.update(organization_id=organization_id, invite_domains={"domains": []}).organization
    assert cleared.invite_domains is None
    assert organizations.retrieve(organization_id=organization_id).organization == cleared


def matching_domain() -> None:
    """Who has an address at the organization's domain sees that it may join, and joins by the organization's id."""
    mine, his = ada(), bob()
    organization_id = mine.organizations.create(
        name="Joinable", join_organization=True, invite_accounts_with_matching_domain=True
    ).organization.id
    assert organization_id in [found.organization_id for found in his.accounts.list_joinable_organizations()]
    member = his.organizations.join(organization_id=organization_id).member
    assert his.organizations.join(organization_id=organization_id).member == member
    assert organization_id not in [found.organization_id for found in his.accounts.list_joinable_organizations()]


def tokens() -> None:
    """List, read and delete the token that another client made, USER_TOKEN of USER_ID, while calling with it."""
    user_id = os.environ["USER_ID"]
    owner, holder = Person(os.environ["ADA_TOKEN"]), Person(os.environ["USER_TOKEN"])
    (token,) = owner.tokens()
    assert token == Token(token.id, user_id, "by another client", read_only=False)
    assert holder.identity().principal == "PRINCIPAL_USER"
    assert holder.own_user().id == user_id
    assert [t.id for t in ada().users.pats.list(filter={"user_ids": [user_id]})] == [token.id]
    deleting_token(owner, holder, token)


if __name__ == "__main__":
    globals()[sys.argv[1]]()
