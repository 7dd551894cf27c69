"""Runs with koyeb-sdk 1.5.5: `life`, `errors`, `asynchronous` or `organization_token`.

The server, the people and what was made before are given in the environment: SERVER_URL, ADA_TOKEN, ADA_ID, and so on.
Nothing of the SDK is changed but the host and the API key.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from koyeb import api, api_async
from koyeb.api import exceptions
from koyeb.api.models.organization_invitation_status import OrganizationInvitationStatus as Status
from koyeb.api.models.organization_member_status import OrganizationMemberStatus as MemberStatus
from koyeb.api.models.organization_status import OrganizationStatus
from koyeb.api.models.user_role_role import UserRoleRole as Role
from life import raised, say

HOST = os.environ["SERVER_URL"] + "/koyeb"
NOTHING = "7a4b6b3e-0000-4000-8000-000000000000"


class Person:
    """The SDK with somebody's token; `prefix` is the word before it, which the SDK leaves out unless told."""

    def __init__(self, token: str, prefix: str = "") -> None:
        configuration = api.Configuration(host=HOST)
        if token:
            configuration.api_key["Bearer"] = token
        if prefix:
            configuration.api_key_prefix["Bearer"] = prefix
        client = api.ApiClient(configuration)
        self.invitations = api.OrganizationInvitationsApi(client)
        self.members = api.OrganizationMembersApi(client)
        self.organizations = api.OrganizationApi(client)
        self.profile = api.ProfileApi(client)
        self.summary = api.SummaryApi(client)
        self.apps = api.AppsApi(client)

    def invite(self, email: str | None) -> Any:
        request = api.CreateOrganizationInvitationRequest(email=email)
        return self.invitations.create_organization_invitation(request).invitation

    def create(self, name: str | None) -> Any:
        return self.organizations.create_organization(api.CreateOrganizationRequest(name=name)).organization


def life() -> None:
    """Two people, one organization, and every call that the face answers."""
    ada, bob = Person(os.environ["ADA_TOKEN"]), Person(os.environ["BOB_TOKEN"], prefix="Bearer")
    me = ada.profile.get_current_user().user
    assert (me.id, me.email, me.email_validated) == (os.environ["ADA_ID"], os.environ["ADA_EMAIL"], True)
    assert me.created_at <= me.updated_at <= datetime.now(UTC)
    assert bob.profile.get_current_user().user.id == os.environ["BOB_ID"]
    say("A token is read with and without the word Bearer.")

    acme = ada.create("Acme")
    assert (acme.name, acme.status) == ("Acme", OrganizationStatus.ACTIVE)
    assert ada.organizations.get_organization(acme.id).organization == acme
    # The only organization of an account is the one that its token means.
    assert ada.profile.get_current_organization().organization == acme
    inviting(ada, acme)
    answering(ada, bob, acme)
    say("Bob saw his invitations, declined one and accepted another.")
    scoped = switching(ada, acme)
    say("A token of one organization names it in every call.")
    renaming(ada, acme)
    belonging(ada, bob, scoped, acme)
    removing(ada, bob, acme)
    say("Ada removed Bob, and deleted the organization.")


def inviting(ada: Person, acme: Any) -> None:
    carol = ada.invite("carol@example.com")
    assert (carol.email, carol.role, carol.status) == ("carol@example.com", Role.OWNER, Status.PENDING)
    assert (carol.organization_id, carol.organization.name) == (acme.id, "Acme")
    assert (carol.inviter_id, carol.inviter.name) == (os.environ["ADA_ID"], "Ada")
    assert (carol.invitee_id, carol.invitee) == ("", None)
    week = carol.expires_at - datetime.now(UTC)
    assert timedelta(days=7) - timedelta(minutes=5) < week <= timedelta(days=7), week
    assert ada.invitations.get_organization_invitation(carol.id).invitation == carol

    dora = ada.invite("dora@example.com")
    resent = ada.invitations.resend_organization_invitation(dora.id, {}).invitation
    assert (resent.id, resent.status) == (dora.id, Status.PENDING)
    assert resent.expires_at > dora.expires_at

    page = ada.invitations.list_organization_invitations()
    assert (page.limit, page.offset, page.count) == (10, 0, 2)
    assert page.invitations == [resent, carol]
    second = ada.invitations.list_organization_invitations(limit="1", offset="1", statuses=["PENDING", "EXPIRED"])
    assert (second.limit, second.offset, second.count, second.invitations) == (1, 1, 2, [carol])
    assert ada.invitations.list_organization_invitations(statuses=["REFUSED"]).invitations == []
    to_me = ada.invitations.list_organization_invitations(user_id=os.environ["ADA_ID"])
    assert (to_me.invitations, to_me.count) == ([], 0)

    assert ada.invitations.delete_organization_invitation(dora.id) == {}
    raised(exceptions.NotFoundException, lambda: ada.invitations.get_organization_invitation(dora.id))
    say("Ada invited two, sent one again, listed them, and withdrew one.")


def answering(ada: Person, bob: Person, acme: Any) -> None:
    assert bob.profile.list_user_organization_invitations().invitations == []
    first = ada.invite(os.environ["BOB_EMAIL"])
    page = bob.profile.list_user_organization_invitations(limit="5", offset="0", statuses=["PENDING"])
    (mine,) = page.invitations
    assert (page.limit, page.offset, page.count) == (5, 0, 1)
    assert (mine.id, mine.organization.name, mine.invitee_id) == (first.id, "Acme", os.environ["BOB_ID"])
    assert bob.profile.get_user_organization_invitation(first.id).invitation == mine
    declined = bob.profile.decline_organization_invitation(first.id, {}).invitation
    assert (declined.id, declined.status) == (first.id, Status.REFUSED)
    (refused,) = ada.invitations.list_organization_invitations(statuses=["REFUSED"]).invitations
    assert refused.id == first.id

    again = ada.invite(os.environ["BOB_EMAIL"])
    assert again.id != first.id
    accepted = bob.profile.accept_organization_invitation(again.id, {}).invitation
    assert (accepted.status, accepted.invitee_id) == (Status.ACCEPTED, os.environ["BOB_ID"])
    assert ada.invitations.get_organization_invitation(again.id).invitation.invitee_id == os.environ["BOB_ID"]
    # Everybody is an owner there, so that who was invited may invite.
    assert bob.invite("erin@example.com").inviter_id == os.environ["BOB_ID"]

    summary = ada.summary.get_organization_summary(acme.id).summary
    assert (summary.organization_id, summary.members.total) == (acme.id, "2")
    counts = {"PENDING": "2", "ACCEPTED": "1", "REFUSED": "1", "EXPIRED": "0"}
    assert summary.members.invitations_by_status == counts


def switching(ada: Person, acme: Any) -> Person:
    beta = ada.create("Beta")
    # Now the account's token means none, and switching gives one that does.
    ambiguous = raised(exceptions.BadRequestException, lambda: ada.invite("frank@example.com"))
    assert ambiguous.data.code == "failed_precondition", ambiguous
    token = ada.organizations.switch_organization(acme.id, {}).token
    assert (token.user_id, token.organization_id) == (os.environ["ADA_ID"], acme.id)
    assert timedelta(hours=23) < token.expires_at - datetime.now(UTC) <= timedelta(hours=24)
    scoped = Person(token.id)
    assert scoped.profile.get_current_organization().organization.id == acme.id
    assert scoped.invite("frank@example.com").organization_id == acme.id
    raised(exceptions.NotFoundException, lambda: scoped.organizations.get_organization(beta.id))
    raised(exceptions.ForbiddenException, lambda: scoped.profile.list_user_organization_invitations())
    raised(exceptions.ForbiddenException, lambda: scoped.create("Gamma"))

    for body in (api.CreateAccessTokenRequest(), api.CreateAccessTokenRequest(validity="90.5s")):
        secret = ada.organizations.create_access_token(beta.id, body).token
        assert Person(secret).profile.get_current_organization().organization == beta
    return scoped


def renaming(ada: Person, acme: Any) -> None:
    organizations = ada.organizations
    request = api.UpdateOrganizationNameRequest(name="Acme Labs")
    assert organizations.update_organization_name(acme.id, request).organization.name == "Acme Labs"
    put = organizations.update_organization(acme.id, api.Organization(name="Acme Put"))
    assert put.organization.name == "Acme Put"
    patched = organizations.update_organization2(acme.id, api.Organization(name="Acme"), update_mask="name")
    assert patched.organization == acme
    unchanged = organizations.update_organization2(acme.id, api.Organization(city="Paris"))
    assert unchanged.organization == acme


def belonging(ada: Person, bob: Person, scoped: Person, acme: Any) -> None:
    page = ada.profile.list_user_organizations()
    assert ([o.name for o in page.organizations], page.has_next) == (["Acme", "Beta"], False)
    page = ada.profile.list_user_organizations(limit="1", offset="0", order="desc", statuses=["ACTIVE"])
    assert ([o.name for o in page.organizations], page.limit, page.has_next) == (["Beta"], 1, True)
    assert [o.name for o in ada.profile.list_user_organizations(search="ACM").organizations] == ["Acme"]
    assert [o.name for o in scoped.profile.list_user_organizations().organizations] == ["Acme"]

    members = scoped.members.list_organization_members()
    assert (members.limit, members.offset, members.count) == (10, 0, 2)
    newest, first = members.members
    assert (newest.user_id, newest.role, newest.status) == (os.environ["BOB_ID"], Role.OWNER, MemberStatus.ACTIVE)
    assert (newest.user.email, newest.organization.name) == (os.environ["BOB_EMAIL"], "Acme")
    assert first.user_id == os.environ["ADA_ID"]
    assert bob.members.list_organization_members(limit="1", offset="1").members == [first]
    named = ada.members.list_organization_members(organization_id=acme.id, user_id=os.environ["BOB_ID"])
    assert (named.members, named.count) == ([newest], 1)
    own = ada.members.list_organization_members(user_id=os.environ["ADA_ID"], organization_statuses=["ACTIVE"])
    assert [m.organization.name for m in own.members] == ["Acme", "Beta"]


def removing(ada: Person, bob: Person, acme: Any) -> None:
    (second, first) = ada.members.list_organization_members(organization_id=acme.id).members
    removed = ada.members.remove_organization_member(second.id).member
    assert (removed.id, removed.status) == (second.id, MemberStatus.DELETED)
    raised(exceptions.NotFoundException, lambda: bob.organizations.get_organization(acme.id))
    raised(exceptions.NotFoundException, lambda: ada.members.remove_organization_member(second.id))
    raised(exceptions.BadRequestException, lambda: ada.members.remove_organization_member(first.id))
    deleted = ada.organizations.delete_organization(acme.id).organization
    assert (deleted.id, deleted.status) == (acme.id, OrganizationStatus.DELETED)
    raised(exceptions.NotFoundException, lambda: ada.organizations.get_organization(acme.id))


def errors() -> None:
    """The SDK gives each refusal its own exception, with the body read."""
    ada, bob = Person(os.environ["ADA_TOKEN"]), Person(os.environ["BOB_TOKEN"])
    reader, member = Person(os.environ["READER_TOKEN"]), Person(os.environ["MEMBER_TOKEN"])
    expired = os.environ["EXPIRED_ID"]
    pending = ada.invite("carol@example.com")
    to_bob = ada.invite(os.environ["BOB_EMAIL"])
    bob.profile.decline_organization_invitation(to_bob.id, {})

    # 401, with its body read whatever the word before the token.
    for nobody in (Person(""), Person("orgsvc_nobody-has-this"), Person("orgsvc_nobody-has-this", prefix="Bearer")):
        error = raised(exceptions.UnauthorizedException, nobody.profile.get_current_user)
        assert (error.status, error.data.status, error.data.code) == (401, 401, "unauthorized"), error

    forbidden: list[Callable[[], object]] = [
        lambda: reader.invite("dora@example.com"),
        lambda: member.invite("dora@example.com"),
        lambda: member.invitations.list_organization_invitations(),
        lambda: member.summary.get_organization_summary(pending.organization_id),
        lambda: ada.invitations.list_organization_invitations(user_id=os.environ["BOB_ID"]),
    ]
    for call in forbidden:
        error = raised(exceptions.ForbiddenException, call)
        assert (error.data.status, error.data.code) == (403, "forbidden"), error

    missing: list[Callable[[], object]] = [
        lambda: ada.invitations.get_organization_invitation(NOTHING),
        lambda: ada.invitations.get_organization_invitation("no uuid/at all"),
        lambda: ada.invitations.resend_organization_invitation(NOTHING, {}),
        lambda: ada.invitations.delete_organization_invitation(NOTHING),
        lambda: bob.invitations.get_organization_invitation(pending.id),
        lambda: bob.profile.get_user_organization_invitation(pending.id),
        lambda: bob.profile.accept_organization_invitation(pending.id, {}),
        lambda: bob.profile.decline_organization_invitation(pending.id, {}),
        lambda: bob.organizations.get_organization(pending.organization_id),
        lambda: bob.organizations.switch_organization(pending.organization_id, {}),
        lambda: ada.apps.list_apps(),
    ]
    for call in missing:
        error = raised(exceptions.NotFoundException, call)
        assert (error.data.status, error.data.code) == (404, "not_found"), error

    validity = api.CreateAccessTokenRequest(validity="86401s")
    wrong: list[tuple[str, Callable[[], object]]] = [
        ("email", lambda: ada.invite("no address")),
        ("email", lambda: ada.invite(None)),
        ("email", lambda: ada.invite("carol@example.com")),
        ("email", lambda: ada.invite(os.environ["ADA_EMAIL"])),
        ("limit", lambda: ada.invitations.list_organization_invitations(limit="-1")),
        ("statuses", lambda: ada.invitations.list_organization_invitations(statuses=["REVOKED"])),
        ("name", lambda: ada.create("ab")),
        ("validity", lambda: ada.organizations.create_access_token(pending.organization_id, validity)),
        (
            "update_mask",
            lambda: ada.organizations.update_organization(
                pending.organization_id, api.Organization(city="Paris"), update_mask="city"
            ),
        ),
    ]
    for field, call in wrong:
        error = raised(exceptions.BadRequestException, call)
        assert (error.data.status, error.data.code) == (400, "invalid_argument"), error
        (about,) = error.data.fields
        assert about.var_field == field, error
        assert about.description, error

    late: list[Callable[[], object]] = [
        lambda: ada.invitations.resend_organization_invitation(to_bob.id, {}),
        lambda: bob.profile.accept_organization_invitation(to_bob.id, {}),
        lambda: bob.profile.decline_organization_invitation(to_bob.id, {}),
    ]
    for call in late:
        error = raised(exceptions.BadRequestException, call)
        assert (error.data.code, error.data.fields) == ("failed_precondition", []), error

    # What has expired is listed so, and sending it again gives it a week.
    (old,) = ada.invitations.list_organization_invitations(statuses=["EXPIRED"]).invitations
    assert (old.id, old.status) == (expired, Status.EXPIRED)
    renewed = ada.invitations.resend_organization_invitation(expired, {}).invitation
    assert renewed.status == Status.PENDING
    assert renewed.expires_at > datetime.now(UTC) + timedelta(days=6)

    limited(ada)
    say("Each refusal came as the exception that Koyeb's SDK has for it.")


def limited(ada: Person) -> None:
    """One address gets only so many mails; then the answer tells how long to wait."""
    invitation = ada.invite("often@example.com")
    error = None
    for _ in range(20):
        try:
            ada.invitations.resend_organization_invitation(invitation.id, {})
        except exceptions.ApiException as refusal:
            error = refusal
            break
    assert error is not None
    assert error.status == 429, error
    assert int(error.headers["Retry-After"]) > 0, error
    assert error.data.code == 8, error


async def _asynchronous() -> None:
    configuration = api_async.Configuration(host=HOST)
    configuration.api_key["Bearer"] = os.environ["ADA_TOKEN"]
    async with api_async.ApiClient(configuration) as client:
        invitations = api_async.OrganizationInvitationsApi(client)
        request = api_async.CreateOrganizationInvitationRequest(email="async@example.com")
        made = (await invitations.create_organization_invitation(request)).invitation
        page = await invitations.list_organization_invitations(limit="1", statuses=["PENDING"])
        assert (page.count, page.invitations) == (1, [made])
        assert await invitations.delete_organization_invitation(made.id) == {}
        try:
            await invitations.get_organization_invitation(made.id)
        except api_async.exceptions.NotFoundException as error:
            say(f"asynchronous: {error.data.code}")


def asynchronous() -> None:
    asyncio.run(_asynchronous())


def organization_token() -> None:
    """Ada belongs to two organizations, and holds a token of one that was made at the command line."""
    ada = Person(os.environ["ADA_TOKEN"])
    organization_id = os.environ["ORGANIZATION_ID"]
    invited = ada.invite("carol@example.com")
    assert invited.organization_id == organization_id
    assert ada.invitations.list_organization_invitations().invitations == [invited]
    assert ada.profile.get_current_user().user.id == os.environ["ADA_ID"]
    assert ada.profile.get_current_organization().organization.id == organization_id
    say(f"invited into {organization_id}")


if __name__ == "__main__":
    {"life": life, "errors": errors, "asynchronous": asynchronous, "organization_token": organization_token}[
        sys.argv[1]
    ]()
