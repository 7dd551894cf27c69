"""The calls that are measured: what each sends, on either wire, and what its answer must contain."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

from protobuf import Oneof

from bench.data import Data, Place
from bench.echo import ECHO_ID
from bench.load import Load, Request
from gen.gitpod.v1 import organization_pb, pagination_pb
from gen.invitations.v1 import invitation_pb

Asked = tuple[str, Any, bytes]
"""A token, a message of the contract, and what the answer must contain."""

MOST_A_SECOND = 15_000
"""More answers a second than any server gives; no more requests are made than that needs."""

ORGANIZATIONS = "/gitpod.v1.OrganizationService"


@dataclass(frozen=True, slots=True)
class Call:
    """One method; `asked` gives requests without end, `at_once` is how many are made for a load at most."""

    name: str
    path: str
    asked: Callable[[Data, random.Random], Iterator[Asked]]
    at_once: int = 20_000

    def load(
        self, data: Data, url: str, callers: int, seconds: float, *, grpc: bool, seed: float | None = None
    ) -> Load:
        """Give a load of this call on a server of our contract."""
        count = min(self.at_once, round(seconds * MOST_A_SECOND) + callers)
        asked = islice(self.asked(data, random.Random(seed)), count)
        requests = [
            Request(
                body=message.to_binary() if grpc else message.to_json().encode(),
                expected=expected,
                headers=(("authorization", f"Bearer {token}"),),
            )
            for token, message, expected in asked
        ]
        return Load(url, self.path, requests, callers, seconds, grpc)


def of_echo(load: Load, url: str) -> Load:
    """Give the same load on the echo handler."""
    requests = [replace(request, expected=ECHO_ID.encode()) for request in load.requests]
    return replace(load, url=url, requests=requests)


def _summary(data: Data, chance: random.Random) -> Iterator[Asked]:
    while True:
        who, place = chance.choice(data.read), chance.choice(data.read)
        message = organization_pb.GetOrganizationInviteSummaryRequest(invite_id=place.invite_id)
        yield who.token, message, place.organization_id.encode()


def _create(data: Data, chance: random.Random) -> Iterator[Asked]:
    while True:
        place = chance.choice(data.written)
        # An id of 36 characters: in JSON or, with its length before it, in binary.
        yield place.token, organization_pb.CreateOrganizationInviteRequest(organization_id=place.organization_id), b"-4"


def _join(data: Data, chance: random.Random) -> Iterator[Asked]:
    for who, place in data.joins(chance):
        yield who.token, organization_pb.JoinOrganizationRequest(join_id=_invite(place)), who.person.encode()


def _invite(place: Place) -> Any:
    return Oneof("invite_id", place.invite_id)


def _members(data: Data, _chance: random.Random) -> Iterator[Asked]:
    message = organization_pb.ListMembersRequest(
        organization_id=data.large.organization_id, pagination=pagination_pb.PaginationRequest(page_size=100)
    )
    while True:
        yield data.large.token, message, b"Person "


def _invitation(data: Data, chance: random.Random) -> Iterator[Asked]:
    while True:
        place = chance.choice(data.written)
        email = f"new.{chance.getrandbits(60):x}@example.com"
        invitation = invitation_pb.NewInvitation(email=email)
        message = invitation_pb.CreateInvitationRequest(organization_id=place.organization_id, invitation=invitation)
        yield place.token, message, email.encode()


SUMMARY = Call("GetOrganizationInviteSummary", f"{ORGANIZATIONS}/GetOrganizationInviteSummary", _summary)
CREATE = Call("CreateOrganizationInvite", f"{ORGANIZATIONS}/CreateOrganizationInvite", _create)
JOIN = Call("JoinOrganization", f"{ORGANIZATIONS}/JoinOrganization", _join, at_once=30_000)
MEMBERS = Call("ListMembers", f"{ORGANIZATIONS}/ListMembers", _members, at_once=1)
INVITATION = Call("CreateInvitation", "/invitations.v1.InvitationService/CreateInvitation", _invitation, at_once=30_000)
