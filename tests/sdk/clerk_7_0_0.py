"""Runs with clerk-backend-api 7.0.0: `life`, `errors`, `asynchronous` or `outside`.

The server, the key, the people and what was made before are given in the environment: SERVER_URL, CLERK_KEY, ADA_ID,
and so on. Nothing of the SDK is changed but its server and its key; its repetitions are on, as they are by default.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
import urllib.request
from collections.abc import Callable
from typing import Any

from clerk_backend_api import Clerk, models
from life import raised, say

URL = os.environ["SERVER_URL"]
DAY = 86_400_000
NOTHING = 27 * "0"


def client(key: str | None = None) -> Any:
    return Clerk(server_url=f"{URL}/clerk/v1", bearer_auth=key or os.environ["CLERK_KEY"])


def accept(token: str, bearer: str) -> Any:
    """Accept an invitation as a person: Clerk's backend API has no word for that."""
    request = urllib.request.Request(
        f"{URL}/invitations.v1.InvitationService/AcceptInvitation",
        json.dumps({"token": token}).encode(),
        {"content-type": "application/json", "authorization": f"Bearer {bearer}"},
    )
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)


def life() -> None:
    """Every operation, as Clerk documents it."""
    with client() as clerk:
        acme = founding(clerk)
        inviting(clerk, acme)
        say("Invitations were made, found and revoked.")
        accepting(clerk, acme)
        say("Bob accepted, and has the metadata of his invitation.")
        belonging(clerk, acme)
        say("Carol came, was promoted, and went.")
        ending(clerk, acme)
        say("The organization was described, renamed and deleted.")


def founding(clerk: Any) -> Any:
    request = {"name": "Acme Labs", "created_by": os.environ["ADA_ID"], "max_allowed_memberships": 9}
    acme = clerk.organizations.create(request=request | {"private_metadata": {"plan": "old"}})
    assert (acme.name, acme.created_by, acme.members_count) == ("Acme Labs", os.environ["ADA_ID"], 1)
    assert acme.slug.startswith("acme-labs-")
    assert (acme.max_allowed_memberships, acme.private_metadata) == (9, {"plan": "old"})
    assert abs(acme.created_at - time.time() * 1000) < 60_000
    return acme


def inviting(clerk: Any, acme: Any) -> None:
    invitations = clerk.organization_invitations
    made = invitations.create(
        organization_id=acme.id,
        email_address="zoe@example.com",
        role="org:admin",
        inviter_user_id=os.environ["ADA_ID"],
        public_metadata={"team": "ä"},
        private_metadata={"seat": 7},
        expires_in_days=7,
    )
    assert (made.email_address, made.role, made.role_name, made.status) == (
        "zoe@example.com",
        "org:admin",
        "Admin",
        "pending",
    )
    assert made.expires_at - made.created_at == 7 * DAY
    assert (made.inviter_id, made.public_inviter_data.identifier) == (os.environ["ADA_ID"], os.environ["ADA_EMAIL"])
    assert (made.public_metadata, made.private_metadata) == ({"team": "ä"}, {"seat": 7})
    assert made.organization_id == acme.id
    assert "/invitations#id=" in made.url
    assert invitations.get(organization_id=acme.id, invitation_id=made.id) == made

    items = [{"email_address": f"{name}@example.com", "role": "org:member"} for name in "abcdefghi"]
    bulk = invitations.bulk_create(organization_id=acme.id, request_body=items)
    assert bulk.total_count == 9
    assert [i.expires_at - i.created_at for i in bulk.data] == 9 * [30 * DAY]
    assert [i.email_address for i in bulk.data] == [item["email_address"] for item in items]

    revoked = invitations.revoke(
        organization_id=acme.id, invitation_id=bulk.data[0].id, requesting_user_id=os.environ["ADA_ID"]
    )
    assert (revoked.id, revoked.status, revoked.url) == (bulk.data[0].id, "revoked", None)
    assert invitations.revoke(organization_id=acme.id, invitation_id=bulk.data[1].id).status == "revoked"
    listing(clerk, acme, made)


def listing(clerk: Any, acme: Any, made: Any) -> None:
    invitations = clerk.organization_invitations

    def listed(**options: Any) -> tuple[str, int]:
        page = invitations.list(organization_id=acme.id, **options)
        return "".join(i.email_address[0] for i in page.data), page.total_count

    assert listed(order_by="email_address") == ("abcdefghiz", 10)
    assert listed(order_by="+email_address", limit=3, offset=1) == ("bcd", 10)
    assert listed(order_by="-email_address", limit=500, status="pending") == ("zihgfedc", 8)
    assert listed(order_by="+created_at", limit=1) == ("z", 10)
    assert listed(status="revoked", order_by="email_address") == ("ab", 2)
    assert listed(email_address="ZOE@example.com") == ("z", 1)
    assert listed(status="accepted") == ("", 0)
    pending = invitations.list_pending(organization_id=acme.id, limit=2, offset=7)
    assert (len(pending.data), pending.total_count) == (1, 8)

    everywhere = invitations.get_all(query="zoe@ex", status="pending", order_by="-created_at", limit=1)
    (found,) = everywhere.data
    assert (found.id, found.public_organization_data.id) == (made.id, acme.id)
    assert (found.public_organization_data.name, found.public_organization_data.slug) == ("Acme Labs", acme.slug)


def accepting(clerk: Any, acme: Any) -> None:
    made = clerk.organization_invitations.create(
        organization_id=acme.id,
        email_address=os.environ["BOB_EMAIL"],
        role="org:member",
        public_metadata={"team": {"name": "blue"}},
        private_metadata={"seat": 8},
        notify=False,
    )
    _, _, token = made.url.partition("/invitations#")
    assert token.startswith("orgsvcinv_")
    again = clerk.organization_invitations.get(organization_id=acme.id, invitation_id=made.id)
    assert token not in again.url
    theirs = clerk.users.get_organization_invitations(user_id=os.environ["BOB_ID"], status="pending")
    assert [(i.id, i.public_organization_data.name) for i in theirs.data] == [(made.id, "Acme Labs")]

    accept(token, os.environ["BOB_TOKEN"])

    accepted = clerk.organization_invitations.get(organization_id=acme.id, invitation_id=made.id)
    assert (accepted.status, accepted.url) == ("accepted", None)
    members = clerk.organization_memberships.list(organization_id=acme.id)
    assert members.total_count == 2
    bob = members.data[0]
    assert (bob.role, bob.role_name, bob.permissions) == ("org:member", "Member", [])
    assert bob.public_user_data.user_id == os.environ["BOB_ID"]
    assert (bob.public_metadata, bob.private_metadata) == ({"team": {"name": "blue"}}, {"seat": 8})
    assert clerk.users.get_organization_invitations(user_id=os.environ["BOB_ID"], status="pending").total_count == 0


def belonging(clerk: Any, acme: Any) -> None:
    memberships, carol = clerk.organization_memberships, os.environ["CAROL_ID"]
    there = {"organization_id": acme.id, "user_id": carol}
    made = memberships.create(**there, role="org:member", public_metadata={"a": {"b": 1, "c": 2}})
    assert (made.role, made.organization.id, made.public_user_data.user_id) == ("org:member", acme.id, carol)
    assert memberships.update(**there, role="org:admin").role == "org:admin"
    merged = memberships.update_metadata(**there, public_metadata={"a": {"b": None}}, private_metadata={"d": 3})
    assert (merged.public_metadata, merged.private_metadata) == ({"a": {"c": 2}}, {"d": 3})
    page = memberships.list(organization_id=acme.id, limit=1, offset=0)
    assert (page.data, page.total_count) == ([merged], 3)
    assert memberships.delete(**there) == merged
    assert memberships.list(organization_id=acme.id).total_count == 2


def ending(clerk: Any, acme: Any) -> None:
    organizations = clerk.organizations
    organizations.merge_metadata(organization_id=acme.id, public_metadata={"a": {"b": 1}})
    merged = organizations.merge_metadata(
        organization_id=acme.id, public_metadata={"a": {"c": 2}}, private_metadata={"plan": None}
    )
    assert (merged.public_metadata, merged.private_metadata) == ({"a": {"b": 1, "c": 2}}, {})
    replaced = organizations.replace_metadata(organization_id=acme.id, public_metadata={"z": 0})
    assert (replaced.public_metadata, replaced.private_metadata) == ({"z": 0}, {})
    name = f"Acme {acme.id[-6:]}"
    renamed = organizations.update(organization_id=acme.id, name=name, admin_delete_enabled=False)
    assert (renamed.name, renamed.slug, renamed.admin_delete_enabled) == (name, acme.slug, False)
    assert organizations.get(organization_id=acme.id, include_members_count=True) == renamed
    found = organizations.list(query=name, include_members_count=True)
    assert (found.data, found.total_count) == ([renamed], 1)
    gone = organizations.delete(organization_id=acme.id)
    assert (gone.id, gone.deleted) == (acme.id, True)
    refused(404, "resource_not_found", lambda: organizations.get(organization_id=acme.id))


def soon_raised(kind: type[Exception], call: Callable[[], Any]) -> Any:
    """Give the exception that a call soon ends with: the SDK repeats for an hour what seems to be a passing failure."""
    began = time.monotonic()
    error = raised(kind, call)
    assert time.monotonic() - began < 30, error
    return error


def refused(status: int, code: str, call: Callable[[], Any], param: str | None = None) -> None:
    """Expect the exception that the SDK has for Clerk's own errors, without a repetition."""
    error = soon_raised(models.ClerkErrors, call)
    (said,) = error.data.errors
    assert (error.status_code, said.code) == (status, code), error.body
    assert said.message
    assert said.long_message
    assert (said.meta or {}).get("param_name") == param, said
    assert json.loads(error.body)["clerk_trace_id"] == error.headers["x-request-id"]


def errors() -> None:
    """Every documented error of each operation that there is here."""
    with client() as clerk:
        refused_creations(clerk)
        say("create, bulk_create")
        refused_lists(clerk)
        say("list, list_pending, get_all, users.get_organization_invitations")
        refused_moves(clerk)
        say("get, revoke")
        refused_organizations(clerk)
        say("organizations")
        refused_memberships(clerk)
        say("organization_memberships")
    with client(os.environ["NARROW_KEY"]) as clerk:
        refused_to_a_narrow_key(clerk)
    say("Each refusal came at once, with its own exception.")


def refused_creations(clerk: Any) -> None:
    acme, nowhere = os.environ["ORGANIZATION_ID"], f"org_{NOTHING}"
    new = {"email_address": "new@example.com", "role": "org:member"}
    cases: list[tuple[int, str, dict[str, Any], str | None]] = [
        (400, "organization_invitation_not_unique", {"email_address": "pending@example.com"}, None),
        (400, "already_a_member_in_organization", {"email_address": os.environ["BOB_EMAIL"]}, None),
        (403, "missing_organization_permission", {"inviter_user_id": os.environ["BOB_ID"]}, None),
        (403, "not_a_member_in_organization", {"inviter_user_id": os.environ["CAROL_ID"]}, None),
        (404, "resource_not_found", {"role": "org:nobody"}, "role"),
        (422, "form_param_format_invalid", {"email_address": "no address"}, "email_address"),
        (422, "form_param_missing", {"role": ""}, "role"),
        (422, "form_param_value_invalid", {"expires_in_days": 0}, "expires_in_days"),
        (422, "form_param_value_too_large", {"expires_in_days": 366}, "expires_in_days"),
        (422, "form_param_value_invalid", {"redirect_url": "https://evil.example.com"}, "redirect_url"),
    ]
    for status, code, changes, param in cases:
        one = {"organization_id": acme} | new | changes
        refused(status, code, lambda one=one: clerk.organization_invitations.create(**one), param)
        many = [{"email_address": "first@example.com", "role": "org:admin"}, new | changes]
        refused(status, code, lambda many=many: bulk(clerk, acme, many), param)
    refused(404, "resource_not_found", lambda: clerk.organization_invitations.create(organization_id=nowhere, **new))
    refused(404, "resource_not_found", lambda: bulk(clerk, nowhere, [new]))
    eleven = [{"email_address": f"p{n}@example.com", "role": "org:member"} for n in range(11)]
    refused(400, "bulk_size_exceeded", lambda: bulk(clerk, acme, eleven), "request_body")
    refused(422, "form_param_missing", lambda: bulk(clerk, acme, []), "request_body")
    assert clerk.organization_invitations.list_pending(organization_id=acme).total_count == 1


def bulk(clerk: Any, organization_id: str, items: list[Any]) -> Any:
    return clerk.organization_invitations.bulk_create(organization_id=organization_id, request_body=items)


def refused_lists(clerk: Any) -> None:
    acme, nowhere = os.environ["ORGANIZATION_ID"], f"org_{NOTHING}"
    invitations, users = clerk.organization_invitations, clerk.users
    unknown = "resource_not_found"
    refused(404, unknown, lambda: invitations.list(organization_id=nowhere))
    refused(404, unknown, lambda: invitations.list_pending(organization_id=nowhere))
    refused(404, unknown, lambda: users.get_organization_invitations(user_id=f"user_{NOTHING}"), "user_id")
    wrong, large = "form_param_value_invalid", "form_param_value_too_large"
    refused(422, large, lambda: invitations.list(organization_id=acme, limit=501), "limit")
    refused(422, wrong, lambda: invitations.list(organization_id=acme, order_by="role"), "order_by")
    refused(422, wrong, lambda: invitations.get_all(offset=-1), "offset")
    # Clerk documents no 422 for these two.
    refused(400, wrong, lambda: invitations.list_pending(organization_id=acme, limit=0), "limit")
    refused(400, wrong, lambda: users.get_organization_invitations(user_id=os.environ["BOB_ID"], limit=0), "limit")


def refused_moves(clerk: Any) -> None:
    invitations = clerk.organization_invitations
    there = {"organization_id": os.environ["ORGANIZATION_ID"], "invitation_id": os.environ["PENDING_ID"]}
    elsewhere = there | {"organization_id": os.environ["OTHER_ID"]}
    unknown = there | {"invitation_id": f"orginv_{NOTHING}"}
    for call in (invitations.get, invitations.revoke):
        for which in (elsewhere, unknown):
            refused(404, "resource_not_found", lambda call=call, which=which: call(**which))
    for name, code in (("BOB", "missing_organization_permission"), ("CAROL", "not_a_member_in_organization")):
        user = {"requesting_user_id": os.environ[f"{name}_ID"]}
        refused(403, code, lambda user=user: invitations.revoke(**there, **user))
    expired = there | {"invitation_id": os.environ["EXPIRED_ID"]}
    assert (invitations.get(**expired).status, invitations.get(**expired).url) == ("expired", None)
    for which in (expired, there | {"invitation_id": os.environ["ACCEPTED_ID"]}):
        refused(404, "organization_invitation_not_pending", lambda which=which: invitations.revoke(**which))
    assert invitations.revoke(**there).status == "revoked"
    refused(404, "organization_invitation_not_pending", lambda: invitations.revoke(**there))


def refused_organizations(clerk: Any) -> None:
    organizations, nowhere = clerk.organizations, {"organization_id": f"org_{NOTHING}"}
    for call in (
        organizations.get,
        organizations.update,
        organizations.delete,
        organizations.merge_metadata,
        organizations.replace_metadata,
    ):
        refused(404, "resource_not_found", lambda call=call: call(**nowhere))
    ghost = {"name": "Ghosts", "created_by": f"user_{NOTHING}"}
    refused(400, "organization_creator_not_found", lambda: organizations.create(request=ghost), "created_by")
    refused(422, "form_param_value_invalid", lambda: organizations.create(request={"name": "A"}), "name")
    refused(422, "form_param_missing", lambda: organizations.create(), "name")
    refused(422, "form_param_value_invalid", lambda: organizations.list(order_by="name"), "order_by")
    refused(422, "form_param_unknown", lambda: organizations.list(user_id=[os.environ["ADA_ID"]]), "user_id")
    acme = {"organization_id": os.environ["ORGANIZATION_ID"]}
    refused(422, "form_param_format_invalid", lambda: organizations.update(**acme, slug="A B"), "slug")


def refused_memberships(clerk: Any) -> None:
    memberships, acme = clerk.organization_memberships, os.environ["ORGANIZATION_ID"]
    ada, bob, carol = (
        {"organization_id": acme, "user_id": os.environ[f"{name}_ID"]} for name in ("ADA", "BOB", "CAROL")
    )
    ghost = {"organization_id": acme, "user_id": f"user_{NOTHING}"}
    refused(400, "already_a_member_in_organization", lambda: memberships.create(**bob, role="org:admin"))
    refused(404, "resource_not_found", lambda: memberships.create(**ghost, role="org:admin"), "user_id")
    refused(404, "resource_not_found", lambda: memberships.create(**carol, role="org:nobody"), "role")
    refused(404, "resource_not_found", lambda: memberships.update(**carol, role="org:admin"))
    refused(404, "resource_not_found", lambda: memberships.update(**bob, role="org:nobody"), "role")
    refused(404, "resource_not_found", lambda: memberships.update_metadata(**carol))
    refused(404, "resource_not_found", lambda: memberships.delete(**carol))
    # Clerk documents neither a 400 nor a 404 for these.
    refused(422, "organization_minimum_permissions_needed", lambda: memberships.update(**ada, role="org:member"))
    refused(422, "organization_minimum_permissions_needed", lambda: memberships.delete(**ada))
    refused(422, "resource_not_found", lambda: memberships.list(organization_id=f"org_{NOTHING}"))
    refused(422, "form_param_unknown", lambda: memberships.list(organization_id=acme, query="a"), "query")


def refused_to_a_narrow_key(clerk: Any) -> None:
    """What a key's scopes don't hold is a 403, and where Clerk documents none the nearest that it does."""
    acme, pending = os.environ["ORGANIZATION_ID"], os.environ["PENDING_ID"]
    there = {"organization_id": acme, "invitation_id": pending}
    new = {"email_address": "new@example.com", "role": "org:member"}
    invitations, organizations = clerk.organization_invitations, clerk.organizations
    for status, call in (
        (403, lambda: invitations.create(organization_id=acme, **new)),
        (403, lambda: bulk(clerk, acme, [new])),
        (403, lambda: invitations.get(**there)),
        (403, lambda: invitations.revoke(**there)),
        (404, lambda: invitations.list(organization_id=acme)),
        (404, lambda: invitations.list_pending(organization_id=acme)),
        (404, lambda: invitations.get_all()),
        (403, lambda: clerk.users.get_organization_invitations(user_id=os.environ["BOB_ID"])),
        (403, lambda: organizations.create(request={"name": "Acme"})),
        (403, lambda: organizations.get(organization_id=acme)),
        (403, lambda: organizations.list()),
        (403, lambda: organizations.update(organization_id=acme)),
        (404, lambda: organizations.delete(organization_id=acme)),
    ):
        refused(status, "authorization_invalid", call)


def outside() -> None:
    """What Clerk documents for no operation is the SDK's general exception, and comes at once too."""
    acme = os.environ["ORGANIZATION_ID"]

    def failed(status: int, code: str, call: Callable[[], Any]) -> Any:
        error = soon_raised(models.SDKError, call)
        assert error.status_code == status, error
        assert json.loads(error.body)["errors"][0]["code"] == code, error.body
        return error

    stranger, nobody = client("sk_test_nobody-has-this"), Clerk(server_url=f"{URL}/clerk/v1")
    failed(401, "clerk_key_invalid", lambda: stranger.organization_invitations.get_all())
    failed(401, "could_not_authenticate_request", lambda: nobody.organization_invitations.get_all())
    clerk = client()
    failed(404, "resource_not_found", lambda: clerk.jwks.get_jwks())
    to = {"organization_id": acme, "email_address": "many@example.com", "role": "org:member"}
    for _ in range(10):
        made = clerk.organization_invitations.create(**to)
        clerk.organization_invitations.revoke(organization_id=acme, invitation_id=made.id)
    error = failed(429, "too_many_requests", lambda: clerk.organization_invitations.create(**to))
    assert 0 < int(error.headers["retry-after"]) <= 600
    refused(404, "resource_not_found", lambda: clerk.users.get(user_id=os.environ["ADA_ID"]))
    refused(404, "resource_not_found", lambda: clerk.organizations.delete_logo(organization_id=acme))
    say("What isn't documented or isn't here came at once.")


def asynchronous() -> None:
    """The asynchronous twins of two operations."""

    async def invite() -> None:
        async with client() as clerk:
            invitations = clerk.organization_invitations
            new = {"organization_id": os.environ["ORGANIZATION_ID"], "email_address": "later@example.com"}
            made = await invitations.create_async(**new, role="org:member", expires_in_days=1)
            assert made.expires_at - made.created_at == DAY
            try:
                await invitations.create_async(**new, role="org:member")
            except models.ClerkErrors as error:
                say(f"asynchronous: {error.data.errors[0].code}")

    asyncio.run(invite())


if __name__ == "__main__":
    {"life": life, "errors": errors, "outside": outside, "asynchronous": asynchronous}[sys.argv[1]]()
