"""Clients who call a real server at random and write down what they asked, when, and what they were answered.

They hang up in the middle, set deadlines that are too short, and send again what they have had no answer to, with the
same Idempotency-Key. What stays without an answer is in doubt.
"""

from __future__ import annotations

import json
import math
import random
import socket
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from http.client import HTTPConnection, HTTPException
from typing import Any, Protocol

import grpc
from google.rpc import error_details_pb2, status_pb2

from gen.gitpod.v1 import organization_pb, user_pb
from gen.invitations.v1 import invitation_pb, invite_link_pb
from server.domain.account import Caller
from server.domain.errors import CATALOG
from server.faces.spelling import from_logto_id, logto_id
from server.main import Service
from server.service.access_tokens import DEFAULT_LIFE
from server.service.call import Call as ServiceCall
from tests.faults.linearizability import BUDGET, UndecidedError, printed, search, smallest_without_order
from tests.faults.model import (
    ALL,
    READS,
    REMEMBERED_SECONDS,
    RULES,
    Answer,
    Call,
    Organization,
    makers_known,
    start,
    with_stand_ins,
)
from tests.faults.moved_clock import REAL_TIME, Stretch, may_have_shown
from tests.faults.sums import Summed
from tests.faults.wishes import Knowledge, Wish
from tests.reasons import json_reason

PEOPLE = ("ada", "bob", "cem", "dan", "eve")
CALLS_EACH = 60
"""How many calls an organization gets before another takes its place."""

ANSWER_SECONDS = 12.0
"""How long a client waits: longer than the server lets a call wait for another process's lock."""

ORGANIZATIONS = "gitpod.v1.OrganizationService"
INVITATIONS = "invitations.v1.InvitationService"
USERS = "gitpod.v1.UserService"
LINKS = "invitations.v1.InviteLinkService"
LOGTO = "logto"
_MESSAGES = {ORGANIZATIONS: organization_pb, INVITATIONS: invitation_pb, USERS: user_pb, LINKS: invite_link_pb}

NOTHING_DONE = frozenset(
    {"DEADLINE_PASSED", "STORE_BUSY", "STORE_UNAVAILABLE", "CONFLICT", "OVERLOADED", "EXPIRY_PAST"}
)
"""Refusals of the moment, which promise that nothing was done."""

_MAY_BE_DONE = frozenset({"OUTCOME_UNKNOWN", "INTERNAL"})


@dataclass(frozen=True)
class Request:
    """What goes over the wire: a method like `Service/Method`, a message, and who asks ("" for nobody)."""

    method: str
    message: dict[str, Any]
    bearer: str = ""

    @property
    def service(self) -> str:
        return self.method.split("/")[0]


@dataclass(frozen=True)
class Reply:
    """What came back: a message, or the reason of a refusal. Neither is known of what is in doubt."""

    content: Any = None
    reason: str = ""
    unsent: bool = False
    """Surely nobody got the request."""

    @property
    def in_doubt(self) -> bool:
        return self.content is None and not self.reason and not self.unsent


DOUBT, UNSENT = Reply(), Reply(unsent=True)


class Wire(Protocol):
    """A way to a server."""

    def send(self, request: Request, key: str, *, timeout_ms: int | None, hang_up: bool) -> Reply: ...

    def cut(self) -> None:
        """Cut the connection, from whichever thread."""
        ...

    def close(self) -> None: ...


class JsonWire:
    """Connect's JSON over HTTP/1.1, a connection for each client; Logto's face too."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._connection: HTTPConnection | None = None

    def send(self, request: Request, key: str, *, timeout_ms: int | None, hang_up: bool) -> Reply:
        headers = {"content-type": "application/json"}
        headers |= {"authorization": f"Bearer {request.bearer}"} if request.bearer else {}
        headers |= {"idempotency-key": key} if key else {}
        headers |= {"connect-timeout-ms": str(timeout_ms)} if timeout_ms else {}
        connection = self._connection
        if connection is None:
            connection = HTTPConnection(self._address, timeout=ANSWER_SECONDS)
            try:
                connection.connect()
            except OSError:
                return UNSENT
            self._connection = connection
        try:
            connection.request("POST", f"/{request.method}", json.dumps(request.message), headers)
            if hang_up:
                time.sleep(0.002)
                raise ConnectionError  # as if the network had gone
            answer = connection.getresponse()
            content = json.loads(answer.read())
        except (OSError, HTTPException, ValueError):
            connection.close()
            self._connection = None
            return DOUBT
        if answer.status < 300:
            return Reply(content)
        return Reply(reason=logto_reason(content) if request.service == LOGTO else json_reason(content))

    def cut(self) -> None:
        sock = getattr(self._connection, "sock", None)
        if sock is not None:
            with suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()


_REASONS = {reason.sentence: name for name, reason in CATALOG.items()}


def logto_reason(content: Any) -> str:
    """Give the reason that an answer of Logto's face means; none where it doesn't say what became of the call."""
    code, said = content.get("code", ""), str(content.get("data", content.get("details", content)))
    if content.get("message") == "Internal server error.":
        return "INTERNAL"
    if code == "request.general":
        return _REASONS.get(content["message"], "")
    if "." not in code:
        # Envoy's own refusal, which is Connect's on every path.
        return json_reason(content)
    if code == "entity.relation_foreign_key_not_found":
        return "ORGANIZATION_NOT_FOUND"
    if code == "entity.unique_integrity_violation":
        return "INVITATION_PENDING"
    if code == "request.invalid_input":
        return "ALREADY_MEMBER" if "already a member" in said else "EXPIRY_PAST"
    return "EXPIRY_PAST" if code == "guard.invalid_input" else str(code)


class GrpcWire:
    """gRPC over HTTP/2."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._channel = self._connected()
        self._json = JsonWire(address)

    def _connected(self) -> grpc.Channel:
        # One of its own, not one that channels to the same address share.
        options = [("grpc.max_reconnect_backoff_ms", 300), ("grpc.use_local_subchannel_pool", 1)]
        return grpc.insecure_channel(self._address, options=options)

    def send(self, request: Request, key: str, *, timeout_ms: int | None, hang_up: bool) -> Reply:
        if request.service == LOGTO:
            return self._json.send(request, key, timeout_ms=timeout_ms, hang_up=hang_up)
        module, method = _MESSAGES[request.service], request.method.split("/")[1]
        asked, answered = getattr(module, f"{method}Request"), getattr(module, f"{method}Response")
        call = self._channel.unary_unary(
            f"/{request.method}",
            request_serializer=lambda message: message.to_binary(),
            response_deserializer=answered.from_binary,
        )
        metadata = [("authorization", f"Bearer {request.bearer}")] if request.bearer else []
        metadata += [("idempotency-key", key)] if key else []
        seconds = ANSWER_SECONDS if timeout_ms is None else timeout_ms / 1000
        try:
            under_way = call.future(asked.from_json(json.dumps(request.message)), timeout=seconds, metadata=metadata)
        except ValueError:
            # Cut before it was sent.
            return DOUBT
        if hang_up:
            time.sleep(0.002)
            under_way.cancel()
            return DOUBT
        try:
            return Reply(json.loads(under_way.result().to_json(always_emit_implicit=True)))
        except grpc.RpcError as error:
            return Reply(reason=_grpc_reason(error))
        except grpc.FutureCancelledError:
            return DOUBT

    def cut(self) -> None:
        self._json.cut()
        cut, self._channel = self._channel, self._connected()
        cut.close()

    def close(self) -> None:
        self._json.close()
        self._channel.close()


def _grpc_reason(error: Any) -> str:
    for name, value in error.trailing_metadata() or ():
        if name == "grpc-status-details-bin":
            for detail in status_pb2.Status.FromString(value).details:
                info = error_details_pb2.ErrorInfo()
                if detail.Unpack(info):
                    return str(info.reason)
    return ""


@dataclass
class Place:
    """An organization under test, and its history so far."""

    id: str
    known: Knowledge
    users: dict[str, str]
    """The user of each person who has been a member, as soon as it is known."""
    pat_ids: dict[str, str] = field(default_factory=dict)
    """The id of each access token."""
    shown: list[tuple[float, float, float]] = field(default_factory=list)
    """What the servers' clock showed to a call, and between which moments."""
    calls: list[Call] = field(default_factory=list)
    begun: int = 0
    wrong: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def done(self) -> list[str]:
        """What was answered, and not refused."""
        return [call.what for call in list(self.calls) if call.answer is not None and not call.answer.reason]


@dataclass
class Crowd:
    """Everybody who calls, and what they call about. `addresses` are those of the servers."""

    addresses: Sequence[str]
    tokens: dict[str, str]
    accounts: dict[str, str]
    backend_key: str
    places: list[Place]
    seed: int
    clock: Callable[[], float] = time.time
    """What the servers' clock shows, in seconds since 1970."""
    doubtful: float = 0.04
    """How often a client hangs up or sets a deadline that is too short."""
    ended: threading.Event = field(default_factory=threading.Event)
    wires: list[Wire] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)

    @property
    def has_done_everything(self) -> bool:
        """Tell whether each rule of the model was done by now."""
        return {what for place in self.places for what in place.done} == RULES

    def cut_all(self) -> None:
        """Cut all connections of clients."""
        for wire in list(self.wires):
            wire.cut()

    def run_client(self, number: int) -> None:
        """Call until it ends, or until there is nothing left to call about."""
        dice = random.Random(self.seed * 1000 + number)
        wires: list[Wire] = [GrpcWire(a) if number % 4 == 3 else JsonWire(a) for a in self.addresses]
        self.wires += wires
        client = Client(self, wires, dice)
        # Few at a time, so that many call about each.
        while not self.ended.is_set() and (some := [place for place in self.places if place.begun < CALLS_EACH][:2]):
            client.call(dice.choice(some))
        for wire in wires:
            wire.close()

    def settle(self) -> None:
        """Look at every organization once more, when all is well again."""
        wires = [JsonWire(address) for address in self.addresses]
        client = Client(self, list(wires), random.Random(self.seed))
        for place in self.places:
            if place.begun:
                for person in PEOPLE:
                    client.ask(place, Wish("members", person))
                    client.ask(place, Wish("get_link", person))
                    client.ask(place, Wish("invitations", person))
        # By now every token that was revoked is taken for dead.
        time.sleep(REMEMBERED_SECONDS)
        for place in self.places:
            for secret, owner in place.known.tokens:
                client.ask(place, Wish("use_token", owner, (secret,)))
        for wire in wires:
            wire.close()


@dataclass
class Client:
    """One client: one call at a time."""

    crowd: Crowd
    wires: list[Wire]
    dice: random.Random
    keyless: float = 0.3
    """How often a change is asked for without an Idempotency-Key. With one, all of a call is in one transaction."""

    def call(self, place: Place) -> None:
        """Ask something of a place."""
        with place.lock:
            wish = place.known.wish(self.dice)
            place.begun += 1
        self.ask(place, wish)
        if wish.who and wish.what in _LOOKED_AFTER and self.dice.random() < 0.5:
            # What was done is done: whoever was late must be too late.
            self.ask(place, Wish(_LOOKED_AFTER[wish.what], wish.who, wish.asked[:1]))

    def ask(self, place: Place, wish: Wish) -> Call | None:
        """Ask, again where there was no answer; write down what came of it, and give that if anything did."""
        request = asked_for(self.crowd, place, wish)
        if request is None:
            return None
        expires_at = request.message.get("expiresAt", math.inf) / 1000
        reads = wish.what in READS
        keyless = reads or self.dice.random() < self.keyless
        key = "" if keyless else str(uuid.UUID(int=self.dice.getrandbits(128), version=4))
        call = Call(0, wish.what, wish.who, wish.asked, 0.0, expires_at=expires_at)
        doubted = math.inf
        for _ in range(1 + self.dice.choice((0, 3, 3, 3))):
            began = time.time()
            reply = self._send(request, key)
            ended = time.time()
            if reply.reason == "INTERNAL":
                place.wrong.append(f"{wish.what} was answered INTERNAL")
            if reply.in_doubt or reply.reason in _MAY_BE_DONE:
                doubted = min(doubted, began)
            elif reply.content is not None:
                # Whichever of the tries it was that was done, it was done once.
                call = call._replace(began=min(doubted, began), ended=ended)
                return self._note_done(place, call, request, key, reply)
            elif not reply.unsent and reply.reason not in NOTHING_DONE:
                noted = self._note(place, call._replace(began=began, ended=ended), reply)
                if doubted < math.inf and not reads:
                    self._note(place, call._replace(began=doubted), DOUBT)
                return noted
            # Without a key a change that is asked for again might be done twice.
            again = reads or key or doubted == math.inf
            if not again or self.crowd.ended.wait(self.dice.uniform(0.01, 0.2)):
                break
        return self._note(place, call._replace(began=doubted), DOUBT) if doubted < math.inf and not reads else None

    def _send(self, request: Request, key: str) -> Reply:
        odd = self.dice.random() / self.crowd.doubtful
        timeout_ms = self.dice.choice((1, 3, 10, 30)) if 0.5 < odd < 1 else None
        self.crowd.counts["sent"] += 1
        reply = self.dice.choice(self.wires).send(request, key, timeout_ms=timeout_ms, hang_up=odd < 0.5)
        if reply.unsent or reply.in_doubt:
            self.crowd.counts["unsent" if reply.unsent else "unanswered"] += 1
        return reply

    def _note_done(self, place: Place, call: Call, request: Request, key: str, reply: Reply) -> Call | None:
        if call.what == "make_token":
            listing = self._send(listing_of_tokens(request), "")
            noted = self._note(place, *as_listed(place, call, request, reply, listing))
        else:
            noted = self._note(place, call, reply)
        if key and self.dice.random() < 0.1:
            self._repeat(place, request, key, reply)
        return noted

    def _repeat(self, place: Place, request: Request, key: str, first: Reply) -> None:
        """Send again what was answered, with the same key: the answer is the same."""
        reply = self._send(request, key)
        self.crowd.counts["repeated"] += 1
        if reply.unsent or reply.in_doubt or reply.reason in NOTHING_DONE | _MAY_BE_DONE:
            return
        if reply.content is None or _spelled(reply.content) != _spelled(first.content):
            place.wrong.append(f"{request.method} came again with its key and got another answer: {first} {reply}")

    def _note(self, place: Place, call: Call, reply: Reply) -> Call | None:
        with place.lock:
            noted = understood(self.crowd, place, call._replace(number=len(place.calls)), reply)
            if noted is not None:
                place.calls.append(noted)
                place.known.learn(noted)
            return noted


def seconds_of(text: str) -> float:
    """Give seconds since 1970 from a timestamp in JSON."""
    return datetime.fromisoformat(text).timestamp()


def listing_of_tokens(made: Request) -> Request:
    """Give what lists the tokens of the user for whom one was made."""
    only = {"pagination": {"pageSize": 100}, "filter": {"userIds": [made.message["userId"]]}}
    return Request(f"{USERS}/ListPersonalAccessTokens", only, made.bearer)


def as_listed(place: Place, call: Call, made: Request, reply: Reply, listing: Reply) -> tuple[Call, Reply]:
    """Give a call that made a token, and its answer, with what only lists tell: when it ends, and its id.

    Where it isn't listed (any more) it is as if nobody had learned the secret.
    """
    found = (listing.content or {}).get("personalAccessTokens", [])
    pat = next((one for one in found if one["description"] == made.message["description"]), None)
    if pat is None:
        return call, Reply({"token": ""})
    place.pat_ids[reply.content["token"]] = pat["id"]
    created, ends = seconds_of(pat["createdAt"]), seconds_of(pat["expiresAt"])
    asked = float(made.message["validFor"].removesuffix("s")) or DEFAULT_LIFE.total_seconds()
    if abs(ends - created - asked) > 0.001:
        place.wrong.append(f"a token that was asked for {asked} seconds lasts from {created} to {ends}")
    place.shown.append((created, call.began, call.ended))
    return call._replace(expires_at=ends), reply


def understood(crowd: Crowd, place: Place, call: Call, reply: Reply) -> Call | None:
    """Give the call with what was answered, as the model says it; None where that can't be said."""
    if reply.content is not None:
        made, value = _ANSWERS[call.what](crowd, place, call, reply.content)
        if value is _UNREADABLE:
            return None
        call = call._replace(answer=Answer(value), made=made)
    elif reply.reason:
        call = call._replace(answer=Answer(None, reply.reason))
    stand_ins = with_stand_ins(call._replace(made=())).made
    return call._replace(made=(*call.made, *stand_ins[len(call.made) :]))


def asked_for(crowd: Crowd, place: Place, wish: Wish) -> Request | None:
    """Give what goes over the wire, None for what can't be asked yet."""
    briefly = wish.what == "invite" and wish.lasts_seconds is not None
    return _REQUESTS["invite_briefly" if briefly else wish.what](crowd, place, wish)


_LOOKED_AFTER = {
    "create_link": "members",
    "disable_link": "members",
    "leave": "members",
    "set_role": "members",
    "revoke": "invitation",
    "resend": "members",
    "invite": "invitations",
    "invite_many": "invitations",
}


def _spelled(content: Any) -> Any:
    return json.dumps(content, sort_keys=True)


# What is asked, on the wire.

_UNREADABLE = object()
Ask = Callable[[Crowd, Place, Wish], Request | None]


def _of_organization(method: str) -> Ask:
    return lambda crowd, place, wish: Request(method, {"organizationId": place.id}, crowd.tokens[wish.who])


def _of_link(method: str) -> Ask:
    return lambda crowd, _, wish: Request(method, {"inviteId": wish.asked[0]}, crowd.tokens.get(wish.who, ""))


def _of_invitation(method: str, name: str = "invitationId") -> Ask:
    return lambda crowd, _, wish: Request(
        f"{INVITATIONS}/{method}", {name: wish.asked[0]}, crowd.tokens.get(wish.who, "")
    )


def _leave(crowd: Crowd, place: Place, wish: Wish) -> Request | None:
    user = place.users.get(wish.asked[0])
    return (user and Request(f"{ORGANIZATIONS}/LeaveOrganization", {"userId": user}, crowd.tokens[wish.who])) or None


def _set_role(crowd: Crowd, place: Place, wish: Wish) -> Request | None:
    user = place.users.get(wish.asked[0])
    role = f"ORGANIZATION_ROLE_{wish.asked[1].upper()}"
    message = {"organizationId": place.id, "userId": user, "role": role}
    return Request(f"{ORGANIZATIONS}/SetRole", message, crowd.tokens[wish.who]) if user else None


def _invite(crowd: Crowd, place: Place, wish: Wish) -> Request:
    message = {"organizationId": place.id, "invitation": _new_invitation(*wish.asked)}
    return Request(f"{INVITATIONS}/CreateInvitation", message, crowd.tokens[wish.who])


def _new_invitation(person: str, role: str, if_pending: str) -> dict[str, Any]:
    return {
        "email": f"{person}@example.com",
        "role": role,
        "sendEmail": False,
        "ifPending": f"IF_PENDING_{if_pending.upper()}",
    }


def _invite_many(crowd: Crowd, place: Place, wish: Wish) -> Request:
    how, role, if_pending, *people = wish.asked
    message = {
        "organizationId": place.id,
        "allOrNothing": how == ALL,
        "invitations": [_new_invitation(person, role, if_pending) for person in people],
    }
    return Request(f"{INVITATIONS}/BatchCreateInvitations", message, crowd.tokens[wish.who])


def _invite_briefly(crowd: Crowd, place: Place, wish: Wish) -> Request:
    """Invite by Logto's face, which alone lets an invitation end at a moment that is told."""
    assert wish.lasts_seconds is not None
    message = {
        "invitee": f"{wish.asked[0]}@example.com",
        "organizationId": logto_id(place.id),
        "expiresAt": int((crowd.clock() + wish.lasts_seconds) * 1000),
        "messagePayload": False,
    }
    return Request(f"{LOGTO}/api/organization-invitations", message, crowd.backend_key)


def _make_token(crowd: Crowd, place: Place, wish: Wish) -> Request | None:
    user = place.users.get(wish.who)
    message = {"userId": user, "description": str(uuid.uuid4()), "validFor": f"{wish.lasts_seconds or 0:.3f}s"}
    return Request(f"{USERS}/CreatePersonalAccessToken", message, crowd.tokens[wish.who]) if user else None


def _revoke_token(crowd: Crowd, place: Place, wish: Wish) -> Request:
    message = {"personalAccessTokenId": place.pat_ids[wish.asked[0]]}
    return Request(f"{USERS}/DeletePersonalAccessToken", message, crowd.tokens[wish.who])


_REQUESTS: dict[str, Ask] = {
    "join": _of_link(f"{ORGANIZATIONS}/JoinOrganization"),
    "summary": _of_link(f"{ORGANIZATIONS}/GetOrganizationInviteSummary"),
    "leave": _leave,
    "set_role": _set_role,
    "members": lambda crowd, place, wish: Request(
        f"{ORGANIZATIONS}/ListMembers",
        {"organizationId": place.id, "pagination": {"pageSize": 100}},
        crowd.tokens[wish.who],
    ),
    "create_link": _of_organization(f"{ORGANIZATIONS}/CreateOrganizationInvite"),
    "disable_link": _of_organization(f"{LINKS}/DisableInviteLink"),
    "get_link": _of_organization(f"{ORGANIZATIONS}/GetOrganizationInvite"),
    "invite": _invite,
    "invite_briefly": _invite_briefly,
    "invite_many": _invite_many,
    "resend": lambda crowd, _, wish: Request(
        f"{INVITATIONS}/ResendInvitation", {"invitationId": wish.asked[0], "sendEmail": False}, crowd.tokens[wish.who]
    ),
    "revoke": _of_invitation("RevokeInvitation"),
    "remove_invitation": _of_invitation("DeleteInvitation"),
    "accept": _of_invitation("AcceptInvitation", "token"),
    "accept_own": _of_invitation("AcceptInvitation"),
    "decline": _of_invitation("DeclineInvitation", "token"),
    "invitation": _of_invitation("GetInvitation"),
    "preview": _of_invitation("PreviewInvitation", "token"),
    "invitations": lambda crowd, place, wish: Request(
        f"{INVITATIONS}/ListInvitations", {"organizationId": place.id, "pageSize": 100}, crowd.tokens[wish.who]
    ),
    "make_token": _make_token,
    "revoke_token": _revoke_token,
    "use_token": lambda _, place, wish: Request(
        f"{ORGANIZATIONS}/GetOrganization", {"organizationId": place.id}, wish.asked[0]
    ),
    "delete": _of_organization(f"{ORGANIZATIONS}/DeleteOrganization"),
}

# What is answered, as the model says it: what was made, and the value.

Read = Callable[[Crowd, Place, Call, Any], tuple[tuple[str, ...], Any]]


def _user(place: Place, person: str, user: str) -> None:
    """Learn who somebody is in an organization: the same user for ever."""
    if place.users.setdefault(person, user) != user:
        place.wrong.append(f"{person} is two users: {place.users[person]} and {user}")


def _person(email: str) -> str:
    return email.split("@")[0]


def _read_join(_: Crowd, place: Place, call: Call, content: Any) -> tuple[tuple[str, ...], Any]:
    _user(place, call.who, content["member"]["userId"])
    return (), content["member"]["role"].removeprefix("ORGANIZATION_ROLE_").lower()


def _read_members(_: Crowd, place: Place, _call: Call, content: Any) -> tuple[tuple[str, ...], Any]:
    for member in content["members"]:
        _user(place, _person(member["email"]), member["userId"])
    names = [_person(member["email"]) for member in content["members"]]
    if len(set(names)) != len(names):
        place.wrong.append(f"somebody is a member twice: {names}")
    found = ((_person(m["email"]), m["role"].removeprefix("ORGANIZATION_ROLE_").lower()) for m in content["members"])
    return (), frozenset(found)


def _read_invite(_: Crowd, place: Place, call: Call, content: Any) -> tuple[tuple[str, ...], Any]:
    if "invitation" not in content:
        made = from_logto_id(content["id"]) or ""
        return (made,), made
    made = _read_created(place, call, content)
    return made, made[0]


def _read_created(place: Place, call: Call, content: Any) -> tuple[str, str]:
    place.shown.append((seconds_of(content["invitation"]["updatedAt"]), call.began, call.ended))
    return content["invitation"]["id"], content["token"]


def _read_invite_many(_: Crowd, place: Place, call: Call, content: Any) -> tuple[tuple[str, ...], Any]:
    made: list[str] = []
    outcomes = []
    for one in content["outcomes"]:
        created = _read_created(place, call, one["created"]) if "created" in one else ("?", "?")
        made += created
        outcomes.append(created[0] if "created" in one else one["refused"]["reason"])
    return tuple(made), tuple(outcomes)


def _status(content: Any) -> str:
    return str(content["status"]).removeprefix("INVITATION_STATUS_").lower()


def _read_invitations(crowd: Crowd, _: Place, _call: Call, content: Any) -> tuple[tuple[str, ...], Any]:
    if content["nextPageToken"]:
        return (), _UNREADABLE
    listed = (
        (one["id"], _person(one["email"]), _status(one), crowd.accounts.get(one["acceptedAccountId"], ""))
        for one in content["invitations"]
    )
    return (), frozenset(listed)


def _read_accept(_: Crowd, place: Place, call: Call, content: Any) -> tuple[tuple[str, ...], Any]:
    _user(place, call.who, content["member"]["userId"])
    return (), content["member"]["role"]


def _read_make_token(_: Crowd, place: Place, _call: Call, content: Any) -> tuple[tuple[str, ...], Any]:
    # What isn't told apart from others in any list isn't used either.
    return ((content["token"],), content["token"]) if content["token"] else ((), None)


def _nothing(*_: Any) -> tuple[tuple[str, ...], Any]:
    return (), None


_ANSWERS: dict[str, Read] = {
    "join": _read_join,
    "leave": _nothing,
    "set_role": _nothing,
    "members": _read_members,
    "create_link": lambda _c, _p, _call, content: ((content["invite"]["inviteId"],), content["invite"]["inviteId"]),
    "disable_link": _nothing,
    "get_link": lambda _c, _p, _call, content: ((), content["invite"]["inviteId"]),
    "summary": lambda _c, _p, _call, content: ((), content["organizationMemberCount"]),
    "invite": _read_invite,
    "invite_many": _read_invite_many,
    "resend": lambda _c, _p, _call, content: ((content["token"],), content["token"]),
    "revoke": _nothing,
    "remove_invitation": _nothing,
    "accept": _read_accept,
    "accept_own": _read_accept,
    "decline": _nothing,
    "invitation": lambda crowd, _p, _call, content: (
        (),
        (_status(content["invitation"]), crowd.accounts.get(content["invitation"]["acceptedAccountId"], "")),
    ),
    "preview": lambda _c, _p, _call, content: ((), _status(content["invitation"])),
    "invitations": _read_invitations,
    "make_token": _read_make_token,
    "revoke_token": _nothing,
    "use_token": _nothing,
    "delete": _nothing,
}


# Before and after.


def gather(
    service: Service,
    addresses: Sequence[str],
    *,
    places: int,
    seed: int,
    clock: Callable[[], float] = time.time,
) -> Crowd:
    """Make people with tokens and organizations, beside the servers; all in one transaction, which is quicker."""
    tokens, accounts, made = {}, {}, []
    with service.store.transaction():
        for person in PEOPLE:
            account = service.authentication.local_account(f"{person}@example.com", person)
            tokens[person], _ = service.tokens.issue(account, description="histories", expires_at=None)
            accounts[account.id] = person
            if person == PEOPLE[0]:
                founder = account
        key, _ = service.backend_keys.issue("histories")
        for number in range(places):
            organization, member = service.organizations.create(ServiceCall(Caller(founder)), f"History {number}")
            known = Knowledge(PEOPLE, {PEOPLE[0]}, {PEOPLE[0]})
            made.append(Place(organization.id, known, {PEOPLE[0]: member.user_id}))
    return Crowd(addresses, tokens, accounts, key, made, seed, clock)


@dataclass
class Verdict(Summed):
    """What the checker found about all histories of a run."""

    histories: int = 0
    calls: int = 0
    in_doubt: int = 0
    undecided: int = 0
    wrong: list[str] = field(default_factory=list)
    done: Counter[str] = field(default_factory=Counter)
    """How many calls of each kind were answered, and not refused."""

    def __str__(self) -> str:
        return (
            f"{self.histories} histories, {self.calls} calls, {self.in_doubt} in doubt"
            f" ({self.in_doubt / max(1, self.calls):.1%}), {self.undecided} histories undecided,"
            f" {len(self.wrong)} anomalies"
        )


def judged(
    places: Sequence[Place],
    seats: int | None = None,
    *,
    timeline: Sequence[Stretch] = REAL_TIME,
    thorough: bool = True,
) -> Verdict:
    """Look for an order in each history; where that isn't to be thorough, until one has none, and not for long.

    `timeline` is what the servers' clock showed when.
    """
    verdict = Verdict()
    for place in places:
        if not place.calls:
            continue
        verdict.histories += 1
        verdict.calls += len(place.calls)
        verdict.in_doubt += sum(call.in_doubt for call in place.calls)
        verdict.done.update(place.done)
        verdict.wrong += place.wrong
        verdict.wrong += [
            f"something was made when the clock showed {shown}, and asked for from {began} to {ended}"
            for shown, began, ended in place.shown
            if not may_have_shown(timeline, shown, began, ended)
        ]
        specification = Organization(seats, makers_known(place.calls), timeline)
        try:
            budget = BUDGET if thorough else BUDGET // 10
            if search(specification, start(PEOPLE[0]), place.calls, budget=budget).order is not None:
                continue
        except UndecidedError:
            verdict.undecided += 1
            continue
        calls: Sequence[Call] = place.calls
        if thorough and len(verdict.wrong) < 3:
            calls = smallest_without_order(specification, start(PEOPLE[0]), calls)
            verdict.wrong.append(f"no order explains this history of {place.id}:\n{printed(calls)}")
        else:
            verdict.wrong.append(f"no order explains the history of {place.id}")
        if not thorough:
            break
    return verdict
