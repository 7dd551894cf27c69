"""What one organization does when calls come one after the other: the specification that histories are held to.

Pure functions of a state and a call. A call that is in doubt (its caller never heard how it ended) may have been done
at any time after it began, or never; what it made is then known by a stand-in until somebody sees the real thing.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from tests.faults.moved_clock import REAL_TIME, Stretch, latest_reading, readings

ADMIN, MEMBER, LEFT = "admin", "member", "left"
PENDING, ACCEPTED, DECLINED, REVOKED, EXPIRED = "pending", "accepted", "declined", "revoked", "expired"
REFUSE, RENEW, REPLACE = "refuse", "renew", "replace"
EACH, ALL = "each", "all"
"""Whether what a batch can't do hinders the rest of it."""
REMEMBERED_SECONDS = 1.0
"""How long a token that was revoked may still be taken for good."""


class Answer(NamedTuple):
    """How a call ended: a value (of its own kind for each `what`), or the reason of a refusal."""

    value: Any = None
    reason: str = ""


class Call(NamedTuple):
    """One call of a history: what `who` asked, between which moments (seconds since 1970), and what was answered.

    Moments are of real time, and `expires_at` is of the servers' clock, which may be moved meanwhile.

    `answer` is None when that isn't known, and `ended` then infinite. `made` are the secrets and ids that the call
    makes if it is done: known from the answer, else stand-ins.
    """

    number: int
    what: str
    who: str
    asked: tuple[str, ...]
    began: float
    ended: float = math.inf
    answer: Answer | None = None
    made: tuple[str, ...] = ()
    expires_at: float = math.inf
    """When the invitation or the token that is asked for ends."""

    @property
    def in_doubt(self) -> bool:
        return self.answer is None


class Invitation(NamedTuple):
    """An invitation; `status` is as stored: a pending one may have expired."""

    id: str
    email: str
    role: str
    status: str
    token: str
    expires_at: float
    acceptor: str = ""

    def status_at(self, now: float) -> str:
        return EXPIRED if self.status == PENDING and now >= self.expires_at else self.status


class Token(NamedTuple):
    """An access token of one member. From `dead_from` on it is surely taken for dead (infinite while it lives)."""

    secret: str
    owner: str
    expires_at: float = math.inf
    revoked: bool = False
    dead_from: float = math.inf


class State(NamedTuple):
    """One organization. Who left stays in `members`, as `LEFT`; a deleted organization has none."""

    members: tuple[tuple[str, str], ...]
    link: str = ""
    invitations: tuple[Invitation, ...] = ()
    tokens: tuple[Token, ...] = ()
    time: float = 0.0
    """The latest moment at which the time mattered for what was done: what comes after comes later."""


class Refused(Exception):  # noqa: N818 # it is an answer, and no error
    """The call changes nothing, for this reason."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


Done = tuple[State, Any]


def start(founder: str) -> State:
    """Give an organization that has just been made."""
    return State(((founder, ADMIN),))


# What the rules share.


def roles(state: State) -> dict[str, str]:
    """Give the roles of active members."""
    return {person: role for person, role in state.members if role != LEFT}


def _with_member(state: State, person: str, role: str) -> State:
    return state._replace(members=tuple(sorted({**dict(state.members), person: role}.items())))


def _require_admin(state: State, who: str, otherwise: str = "ORGANIZATION_NOT_FOUND") -> None:
    role = roles(state).get(who)
    if role is None:
        raise Refused(otherwise)
    if role != ADMIN:
        raise Refused("ADMIN_REQUIRED")


def _keep_an_admin(state: State, leaving: str) -> None:
    admins = [person for person, role in roles(state).items() if role == ADMIN]
    if admins == [leaving]:
        raise Refused("LAST_ADMIN")


def _end_tokens(state: State, mine: Callable[[Token], bool], call: Call) -> State:
    dead_from = call.ended + REMEMBERED_SECONDS
    ended = (t._replace(revoked=True, dead_from=dead_from) if mine(t) and not t.revoked else t for t in state.tokens)
    return state._replace(tokens=tuple(ended))


def _by_id(state: State, invitation_id: str) -> Invitation:
    for invitation in state.invitations:
        if invitation.id == invitation_id:
            return invitation
    raise Refused("INVITATION_NOT_FOUND")


def _by_token(state: State, token: str) -> Invitation:
    for invitation in state.invitations:
        if invitation.token == token:
            return invitation
    raise Refused("INVITATION_NOT_FOUND")


def _administered(state: State, call: Call) -> Invitation:
    found = _by_id(state, call.asked[0])
    _require_admin(state, call.who, "INVITATION_NOT_FOUND")
    return found


_DEAD = {
    ACCEPTED: "INVITATION_ALREADY_ACCEPTED",
    DECLINED: "INVITATION_DECLINED",
    REVOKED: "INVITATION_REVOKED",
    EXPIRED: "INVITATION_EXPIRED",
}


def _require_pending(invitation: Invitation, now: float) -> None:
    status = invitation.status_at(now)
    if status != PENDING:
        raise Refused(_DEAD[status])


def _moved(state: State, found: Invitation, **changes: Any) -> State:
    moved = found._replace(**changes)
    return state._replace(invitations=tuple(moved if i is found else i for i in state.invitations))


@dataclass(frozen=True)
class Organization:
    """The specification; `seats` is how many members an organization may have, None for as many as like."""

    seats: int | None = None
    known: frozenset[str] = frozenset()
    """Secrets and ids whose makers are known. Any other that is seen was made by a call in doubt."""
    timeline: Sequence[Stretch] = REAL_TIME
    """What the servers' clock showed when."""

    # Members.

    def _admit(self, state: State, person: str, role: str) -> State:
        members = roles(state)
        if person in members:
            return state
        if self.seats is not None and len(members) >= self.seats:
            raise Refused("ORGANIZATION_FULL")
        return _with_member(state, person, role)

    def join(self, state: State, call: Call, _now: float) -> Done:
        if not state.link or state.link != call.asked[0]:
            raise Refused("INVITE_NOT_FOUND")
        joined = self._admit(state, call.who, MEMBER)
        return joined, roles(joined)[call.who]

    def leave(self, state: State, call: Call, _now: float) -> Done:
        person = call.asked[0]
        found = dict(state.members).get(person)
        if found is None:
            raise Refused("USER_NOT_FOUND")
        if person != call.who:
            _require_admin(state, call.who, "USER_NOT_FOUND")
        if found == LEFT:
            return state, None
        _keep_an_admin(state, person)
        return _end_tokens(_with_member(state, person, LEFT), lambda token: token.owner == person, call), None

    def set_role(self, state: State, call: Call, _now: float) -> Done:
        person, role = call.asked
        _require_admin(state, call.who)
        if person not in roles(state):
            raise Refused("USER_NOT_FOUND")
        if role != ADMIN:
            _keep_an_admin(state, person)
        return _with_member(state, person, role), None

    def members(self, state: State, call: Call, _now: float) -> Done:
        if call.who not in roles(state):
            raise Refused("ORGANIZATION_NOT_FOUND")
        return state, frozenset(roles(state).items())

    def delete(self, state: State, call: Call, _now: float) -> Done:
        _require_admin(state, call.who)
        return _end_tokens(State((), tokens=state.tokens), lambda _: True, call), None

    # The link.

    def create_link(self, state: State, call: Call, _now: float) -> Done:
        _require_admin(state, call.who)
        return state._replace(link=call.made[0]), call.made[0]

    def disable_link(self, state: State, call: Call, _now: float) -> Done:
        _require_admin(state, call.who)
        return state._replace(link=""), None

    def get_link(self, state: State, call: Call, _now: float) -> Done:
        _require_admin(state, call.who)
        if not state.link:
            raise Refused("NO_LIVE_INVITE")
        return state, state.link

    def summary(self, state: State, call: Call, _now: float) -> Done:
        if not state.link or state.link != call.asked[0]:
            raise Refused("INVITE_NOT_FOUND")
        return state, len(roles(state))

    # Invitations.

    def invite(self, state: State, call: Call, now: float) -> Done:
        """Invite a person. Who calls is an admin, or nobody: a key of the operator's."""
        if call.who:
            _require_admin(state, call.who)
        elif not state.members:
            raise Refused("ORGANIZATION_NOT_FOUND")
        return self._invite(state, call.asked, call.made, call.expires_at, now)

    def invite_many(self, state: State, call: Call, now: float) -> Done:
        """Invite several at one moment; the value is what became of each, in their order."""
        _require_admin(state, call.who)
        how, role, if_pending, *_ = call.asked
        outcomes = []
        for person, made in each_invited(call):
            try:
                asked = person, role, if_pending
                state, outcome = self._invite(state, asked, made, call.expires_at, now)
            except Refused as refused:
                if how == ALL:
                    raise
                outcome = refused.reason
            outcomes.append(outcome)
        return state, tuple(outcomes)

    def _invite(
        self, state: State, asked: tuple[str, ...], made: tuple[str, ...], expires_at: float, now: float
    ) -> Done:
        person, role, if_pending = asked
        if person in roles(state):
            raise Refused("ALREADY_MEMBER")
        made_id, token = made
        found = next((i for i in state.invitations if i.email == person and i.status == PENDING), None)
        if found is not None:
            live = found.status_at(now) == PENDING
            if live and if_pending == REFUSE:
                raise Refused("INVITATION_PENDING")
            if live and if_pending == RENEW:
                return _moved(state, found, token=token, expires_at=expires_at), found.id
            state = _moved(state, found, status=REVOKED if live else EXPIRED)
        new = Invitation(made_id, person, role, PENDING, token, expires_at)
        return state._replace(invitations=(*state.invitations, new)), made_id

    def resend(self, state: State, call: Call, now: float) -> Done:
        found = _administered(state, call)
        if found.status_at(now) != EXPIRED:
            _require_pending(found, now)
        elif any(i.email == found.email and i.status == PENDING and i is not found for i in state.invitations):
            raise Refused("INVITATION_PENDING")
        changed = _moved(state, found, status=PENDING, token=call.made[0], expires_at=call.expires_at)
        return changed, call.made[0]

    def revoke(self, state: State, call: Call, now: float) -> Done:
        found = _administered(state, call)
        if found.status == REVOKED:
            return state, None
        _require_pending(found, now)
        return _moved(state, found, status=REVOKED), None

    def remove_invitation(self, state: State, call: Call, _now: float) -> Done:
        found = _administered(state, call)
        return state._replace(invitations=tuple(i for i in state.invitations if i is not found)), None

    def accept(self, state: State, call: Call, now: float) -> Done:
        return self._accept(state, call, _by_token(state, call.asked[0]), now)

    def accept_own(self, state: State, call: Call, now: float) -> Done:
        found = _by_id(state, call.asked[0])
        if call.who not in (found.email, found.acceptor):
            raise Refused("INVITATION_WRONG_ACCOUNT")
        return self._accept(state, call, found, now)

    def _accept(self, state: State, call: Call, found: Invitation, now: float) -> Done:
        members = roles(state)
        if found.acceptor == call.who and call.who in members:
            return state, members[call.who]
        _require_pending(found, now)
        state = _moved(state, found, status=ACCEPTED, acceptor=call.who)
        state = self._admit(state, call.who, found.role)
        if found.role == ADMIN:
            state = _with_member(state, call.who, ADMIN)
        return state, roles(state)[call.who]

    def decline(self, state: State, call: Call, now: float) -> Done:
        found = _by_token(state, call.asked[0])
        if found.status == DECLINED:
            return state, None
        _require_pending(found, now)
        return _moved(state, found, status=DECLINED), None

    def invitation(self, state: State, call: Call, now: float) -> Done:
        found = _administered(state, call)
        return state, (found.status_at(now), found.acceptor)

    def preview(self, state: State, call: Call, now: float) -> Done:
        return state, _by_token(state, call.asked[0]).status_at(now)

    def invitations(self, state: State, call: Call, now: float) -> Done:
        _require_admin(state, call.who)
        return state, frozenset((i.id, i.email, i.status_at(now), i.acceptor) for i in state.invitations)

    # Access tokens of one member.

    def make_token(self, state: State, call: Call, _now: float) -> Done:
        if call.who not in roles(state):
            raise Refused("USER_NOT_FOUND")
        if call.made[0].startswith("?"):
            return state, None  # nobody ever learned it
        return state._replace(tokens=(*state.tokens, Token(*call.made, call.who, call.expires_at))), call.made[0]

    def revoke_token(self, state: State, call: Call, _now: float) -> Done:
        own = (token for token in state.tokens if token.owner == call.who and not token.revoked)
        if all(token.secret != call.asked[0] for token in own):
            raise Refused("ACCESS_TOKEN_NOT_FOUND")
        return _end_tokens(state, lambda token: token.secret == call.asked[0], call), None

    def use_token(self, state: State, call: Call, now: float) -> Done:
        token = next((token for token in state.tokens if token.secret == call.asked[0]), None)
        remembered = token is None or (token.revoked and call.began <= token.dead_from)
        said_dead = call.answer is not None and call.answer.reason == "CREDENTIALS_INVALID"
        if token is None or now >= token.expires_at or (token.revoked and (said_dead or not remembered)):
            raise Refused("CREDENTIALS_INVALID")
        if token.owner not in roles(state):
            raise Refused("ORGANIZATION_NOT_FOUND")
        return state, None

    # Calls of a history.

    def perform(self, state: State, call: Call, now: float) -> tuple[State, Answer]:
        """Do a call when the clock shows `now`; give what it leaves and what must be answered."""
        rule: Callable[[State, Call, float], Done] = getattr(self, call.what)
        try:
            after, value = rule(state, call, now)
        except Refused as refused:
            return state, Answer(None, refused.reason)
        return after, Answer(value)

    def steps(self, state: State, call: Call, earliest: float) -> Iterator[State]:
        """Give the states in which a call may leave the organization, none when its answer can't be.

        `earliest` is when a call that changes something can have looked at the clock at the soonest: it does so when
        all that changed something before it are done. What it does is seen a moment later, with its commit.
        """
        found: list[State] = []
        for bound in self._bindings(state, call):
            for moment, now in self._moments(bound, call, earliest):
                after, answer = self.perform(bound, call, now)
                possible = not answer.reason and after != bound if call.in_doubt else answer == call.answer
                # The sooner it was done, the more can come after.
                if possible and after not in found:
                    found.append(after)
                    yield after if call.what in READS else _no_earlier(after, moment, earliest)

    def _moments(self, state: State, call: Call, earliest: float) -> list[tuple[float, float]]:
        """Give moments at which the call may have been done that differ for it, and what the clock showed then.

        A read looks at the clock by itself, in no order with others.
        """
        first = call.began if call.what in READS else max(earliest, state.time)
        if first > call.ended:
            return []
        if call.what not in _IN_TIME:
            return [(first, first)]
        ending: Sequence[Token | Invitation] = state.tokens if call.what == "use_token" else state.invitations
        return readings(self.timeline, first, call.ended, {one.expires_at for one in ending} - {math.inf})

    def _bindings(self, state: State, call: Call) -> Iterator[State]:
        """Give the state, and what it is if stand-ins in it stand for what the call mentions."""
        yield state
        unseen = [one for one in _mentions(call) if one not in self.known]
        if not unseen:
            return
        if call.what == "invitations":
            assert call.answer is not None
            bound = _bind_listed(
                state, call.answer.value, set(unseen), latest_reading(self.timeline, call.began, call.ended)
            )
            if bound is not state:
                yield bound
            return
        (seen,) = unseen
        if call.what in LINK_CALLS:
            if state.link.startswith("?"):
                yield state._replace(link=seen)
        elif all(invitation.id != seen for invitation in state.invitations):
            for invitation in state.invitations:
                if invitation.id.startswith("?"):
                    yield _moved(state, invitation, id=seen)


READS = frozenset({"members", "get_link", "summary", "invitation", "preview", "invitations", "use_token"})
"""Calls that change nothing."""

LINK_CALLS = frozenset({"join", "summary", "get_link"})
_BY_INVITATION_ID = frozenset({"resend", "revoke", "remove_invitation", "accept_own", "invitation"})
_IN_TIME = frozenset({"invite", "invite_many", "resend", "revoke", "accept", "accept_own", "decline", *READS})
"""Calls whose answer depends on the time."""


RULES = {name for name, rule in vars(Organization).items() if callable(rule) and not name.startswith("_")} - {
    "perform",
    "steps",
}
"""What there is a rule for. A run in which one was never done, and not only refused, shows less than it says."""


def _no_earlier(state: State, moment: float, earliest: float) -> State:
    return state._replace(time=moment) if moment > max(earliest, state.time) else state


def _mentions(call: Call) -> list[str]:
    """Give secrets and ids that the caller knew before, or that a read told."""
    if call.what in _BY_INVITATION_ID or call.what in ("join", "summary"):
        return [call.asked[0]]
    if call.answer is None or call.answer.reason:
        return []
    if call.what == "get_link":
        return [call.answer.value]
    if call.what == "invite" and call.asked[2] == RENEW:
        return [call.answer.value]
    if call.what == "invitations":
        return [one[0] for one in call.answer.value]
    return []


def _bind_listed(state: State, listed: frozenset[tuple[str, str, str, str]], unseen: set[str], now: float) -> State:
    there = {invitation.id for invitation in state.invitations}
    for one, email, status, acceptor in sorted(listed):
        if one not in unseen or one in there:
            continue
        for invitation in state.invitations:
            alike = invitation.email == email and status in (invitation.status, invitation.status_at(now))
            if invitation.id.startswith("?") and alike and invitation.acceptor == acceptor:
                state = _moved(state, invitation, id=one)
                break
    return state


def each_invited(call: Call) -> list[tuple[str, tuple[str, ...]]]:
    """Give each whom a batch invites, and what it makes for them: an id and a token."""
    people = call.asked[3:]
    return [(person, call.made[2 * place : 2 * place + 2]) for place, person in enumerate(people)]


def stand_ins(call: Call) -> tuple[str, ...]:
    """Give what is to stand for each secret and id that a call makes, until somebody sees it."""
    # Only ids of invitations need telling apart: a link that nobody saw is like any other, and so is a token.
    if call.what == "invite":
        return f"?{call.number}", "?"
    if call.what == "invite_many":
        return tuple(one for number, _ in enumerate(call.asked[3:]) for one in (f"?{call.number}.{number}", "?"))
    return ("?",) if call.what in ("create_link", "resend", "make_token") else ()


def makers_known(calls: Iterable[Call]) -> frozenset[str]:
    """Give the secrets and ids whose makers are known; a renewed invitation may be another's."""
    made = (call.made for call in calls if not (call.what == "invite" and call.asked[2] == RENEW))
    return frozenset(one for several in made for one in several if not one.startswith("?"))


def with_stand_ins(call: Call) -> Call:
    """Give a call whose answer isn't known something to know by what it may have made."""
    return call._replace(made=stand_ins(call))


def forgotten(call: Call) -> Call:
    """Give the call as if its caller hadn't heard how it ended. What it made stays known: others have seen it."""
    return call._replace(answer=None, ended=math.inf)


# What calls touch, for a search that wants to know what a call can't have been influenced by.


class Footprint(NamedTuple):
    """Parts of an organization (as bits): those that a call's answer may depend on, and those that it may change."""

    reads: int
    writes: int


class Footprints:
    """Tells what calls of one history touch. Parts are the link, the tokens, and each person's role and invitations."""

    _LINK, _TOKENS = 1, 2

    def __init__(self, calls: Sequence[Call], *, seats: bool = False) -> None:
        people = sorted({one for call in calls for one in (call.who, *_people(call)) if one})
        self._roles = {person: 4 << 2 * place for place, person in enumerate(people)}
        self._invited = {person: 8 << 2 * place for place, person in enumerate(people)}
        self._all_roles = sum(self._roles.values())
        self._all_invited = sum(self._invited.values())
        self._seats = self._all_roles if seats else 0
        self._addressee: dict[str, str] = {}
        for call in calls:
            if call.what == "invite":
                self._addressee |= dict.fromkeys(call.made, call.asked[0])
                if call.answer is not None and call.answer.value:
                    self._addressee[call.answer.value] = call.asked[0]
            elif call.what == "invite_many":
                for person, made in each_invited(call):
                    self._addressee |= dict.fromkeys(made, person)
            elif call.what == "invitations" and call.answer is not None and call.answer.value is not None:
                self._addressee |= {one: email for one, email, _, _ in call.answer.value}
        for call in calls:
            if call.what == "resend" and call.asked[0] in self._addressee:
                self._addressee[call.made[0]] = self._addressee[call.asked[0]]

    def of(self, call: Call, state: State) -> Footprint:
        """Give what a call touches in a state; more than that does no harm."""
        who = self._roles.get(call.who, 0)
        what = call.what
        if what == "delete":
            return Footprint(who, self._all_roles | self._all_invited | self._LINK | self._TOKENS)
        if what in ("leave", "set_role"):
            person = self._roles[call.asked[0]]
            # Only an admin can be the last one.
            others = self._all_roles if roles(state).get(call.asked[0]) == ADMIN else 0
            return Footprint(who | person | others, person | (self._TOKENS if what == "leave" else 0))
        if what == "members":
            return Footprint(self._all_roles, 0)
        if what == "join":
            return Footprint(who | self._LINK | self._seats, who)
        if what.endswith("_link"):
            return Footprint(who | self._LINK, 0 if what == "get_link" else self._LINK)
        if what == "summary":
            return Footprint(self._all_roles | self._LINK, 0)
        if what.endswith("_token"):
            return Footprint(who | self._TOKENS, 0 if what == "use_token" else self._TOKENS)
        return self._of_invitations(call, who)

    def why_not(self, call: Call, state: State) -> int:
        """Give parts of a state that are enough to make a call's answer impossible: few, where it can be told."""
        assert call.answer is not None
        members = roles(state)
        if call.answer.reason in _OF_CALLER and call.what in _ADMINS_CALLS and call.who:
            return self._roles[call.who]
        if call.what in _ADMINS_CALLS and call.who and members.get(call.who) != ADMIN:
            return self._roles[call.who]
        if call.what == "members" and not call.answer.reason and call.who in members:
            return self._roles[next(person for person, _ in sorted(call.answer.value ^ set(members.items())))]
        if call.what == "invitations" and not call.answer.reason:
            return self._why_not_listed(call.answer.value, state)
        return self.of(call, state).reads

    def _why_not_listed(self, listed: frozenset[tuple[str, str, str, str]], state: State) -> int:
        """Find an address of which there are more or fewer invitations; what stands in for an id may be any."""
        counts = Counter(email for _, email, _, _ in listed)
        counts.subtract(invitation.email for invitation in state.invitations)
        return next((self._invited[email] for email, count in sorted(counts.items()) if count), self._all_invited)

    def _of_invitations(self, call: Call, who: int) -> Footprint:
        if call.what == "invitations":
            return Footprint(who | self._all_invited, 0)
        if call.what in ("invite", "invite_many"):
            people = _people(call)
            invited = sum(self._invited[person] for person in people)
            return Footprint(who | invited | sum(self._roles[person] for person in people), invited)
        person = self._addressee.get(call.asked[0])
        invited = self._all_invited if person is None else self._invited[person]
        if call.what in ("accept", "accept_own"):
            return Footprint(who | invited | self._seats, who | invited)
        return Footprint(who | invited, 0 if call.what in READS else invited)


_OF_CALLER = frozenset({"ORGANIZATION_NOT_FOUND", "ADMIN_REQUIRED"})
_ADMINS_CALLS = frozenset(
    {"set_role", "delete", "create_link", "disable_link", "get_link", "invite", "invite_many", "invitations"}
)
"""Calls of admins that look at who calls before anything else."""


def _people(call: Call) -> tuple[str, ...]:
    if call.what == "invitations" and call.answer is not None and call.answer.value is not None:
        return tuple(email for _, email, _, _ in call.answer.value)
    if call.what == "invite_many":
        return call.asked[3:]
    return call.asked[:1] if call.what in ("leave", "set_role", "invite") else ()
