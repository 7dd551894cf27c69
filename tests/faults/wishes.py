"""What clients ask of an organization at random, with what they know of it from the answers so far."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field

from tests.faults.model import ADMIN, ALL, EACH, MEMBER, REFUSE, RENEW, REPLACE, Call, each_invited

LATELY = 4
"""Of how many links, invitations and tokens clients still think: the live ones, and some that are dead."""

HOUR = 3600.0

WEIGHTS = {
    "join": 14,
    "leave": 7,
    "set_role": 8,
    "members": 8,
    "create_link": 6,
    "disable_link": 2,
    "get_link": 6,
    "summary": 4,
    "invite": 12,
    "invite_briefly": 6,
    "invite_many": 4,
    "resend": 4,
    "revoke": 4,
    "remove_invitation": 2,
    "accept": 8,
    "accept_own": 6,
    "decline": 3,
    "invitation": 5,
    "preview": 3,
    "invitations": 4,
    "make_token": 4,
    "revoke_token": 6,
    "use_token": 6,
    "delete": 0.4,
}


@dataclass(frozen=True)
class Wish:
    """Something to ask; see `model.Call`. `lasts_seconds` is how long what is made is to last, None for long."""

    what: str
    who: str
    asked: tuple[str, ...] = ()
    lasts_seconds: float | None = None


@dataclass
class Knowledge:
    """What all clients know of one organization; ids and secrets with the latest at the end."""

    people: Sequence[str]
    admins: set[str]
    been_members: set[str] = field(default_factory=set)
    links: list[str] = field(default_factory=list)
    invitations: list[tuple[str, str]] = field(default_factory=list)
    """With the person who is invited."""
    invitation_tokens: list[str] = field(default_factory=list)
    tokens: list[tuple[str, str]] = field(default_factory=list)
    """With the person whose it is."""

    def learn(self, call: Call) -> None:
        """Take in what a call was answered."""
        if call.answer is None or call.answer.reason:
            return
        if call.what in _LEARN:
            _LEARN[call.what](self, call)

    def _learn_link(self, call: Call) -> None:
        assert call.answer is not None
        _remember(self.links, call.answer.value)

    def _learn_members(self, call: Call) -> None:
        assert call.answer is not None
        self.admins = {person for person, role in call.answer.value if role == ADMIN}
        self.been_members |= {person for person, _ in call.answer.value}

    def _learn_role(self, call: Call) -> None:
        person, role = call.asked
        (self.admins.add if role == ADMIN else self.admins.discard)(person)

    def _learn_membership(self, call: Call) -> None:
        assert call.answer is not None
        self.been_members.add(call.who)
        if call.answer.value == ADMIN:
            self.admins.add(call.who)

    def _learn_invitation(self, call: Call) -> None:
        assert call.answer is not None
        _remember(self.invitations, (call.answer.value, call.asked[0]))
        if not call.made[1].startswith("?"):
            _remember(self.invitation_tokens, call.made[1])

    def _learn_batch(self, call: Call) -> None:
        assert call.answer is not None
        for (person, (made, token)), outcome in zip(each_invited(call), call.answer.value, strict=True):
            if outcome == made:
                _remember(self.invitations, (made, person))
                _remember(self.invitation_tokens, token)

    def _learn_invitations(self, call: Call) -> None:
        assert call.answer is not None
        for one, email, _, _ in sorted(call.answer.value)[:1]:
            _remember(self.invitations, (one, email))

    def _learn_token(self, call: Call) -> None:
        assert call.answer is not None
        if call.answer.value is not None:
            _remember(self.tokens, (call.answer.value, call.who))

    def _learn_leaving(self, call: Call) -> None:
        self.admins.discard(call.asked[0])

    def wish(self, dice: random.Random) -> Wish:
        """Think of something to ask."""
        while True:
            (what,) = dice.choices(list(WEIGHTS), list(WEIGHTS.values()))
            wish = _WISHES[what](self, dice)
            if wish is not None:
                return wish

    def anybody(self, dice: random.Random) -> str:
        return dice.choice(self.people)

    def an_admin(self, dice: random.Random) -> str:
        """Give somebody who is an admin as far as is known; now and then anybody."""
        known = sorted(self.admins)
        return dice.choice(known) if known and dice.random() < 0.85 else self.anybody(dice)


def _remember(known: list[str] | list[tuple[str, str]], one: str | tuple[str, str]) -> None:
    if one not in known[-LATELY:]:
        known.append(one)  # type: ignore[arg-type]


_LEARN = {
    "create_link": Knowledge._learn_link,
    "get_link": Knowledge._learn_link,
    "members": Knowledge._learn_members,
    "set_role": Knowledge._learn_role,
    "join": Knowledge._learn_membership,
    "accept": Knowledge._learn_membership,
    "accept_own": Knowledge._learn_membership,
    "leave": Knowledge._learn_leaving,
    "invite": Knowledge._learn_invitation,
    "invite_many": Knowledge._learn_batch,
    "invitations": Knowledge._learn_invitations,
    "resend": lambda known, call: _remember(known.invitation_tokens, call.answer.value),
    "make_token": Knowledge._learn_token,
}


def _lately(known: Sequence[str], dice: random.Random) -> str | None:
    """Give one of the latest, the last most often; None where there is none."""
    return known[-min(len(known), dice.choice((1, 1, 1, 2, 3, LATELY)))] if known else None


def _by_link(what: str, known: Knowledge, dice: random.Random) -> Wish | None:
    link = _lately(known.links, dice)
    return None if link is None else Wish(what, "" if what == "summary" else known.anybody(dice), (link,))


def _leave(known: Knowledge, dice: random.Random) -> Wish | None:
    if not known.been_members:
        return None
    person = dice.choice(sorted(known.been_members))
    return Wish("leave", person if dice.random() < 0.6 else known.an_admin(dice), (person,))


def _set_role(known: Knowledge, dice: random.Random) -> Wish | None:
    if not known.been_members:
        return None
    person = dice.choice(sorted(known.been_members))
    return Wish("set_role", known.an_admin(dice), (person, dice.choice((ADMIN, ADMIN, MEMBER))))


def _invite(known: Knowledge, dice: random.Random) -> Wish:
    role = ADMIN if dice.random() < 0.3 else MEMBER
    asked = (known.anybody(dice), role, dice.choice((REFUSE, RENEW, REPLACE)))
    return Wish("invite", known.an_admin(dice), asked)


def _invite_many(known: Knowledge, dice: random.Random) -> Wish:
    people = dice.sample(known.people, dice.choice((2, 3)))
    asked = (dice.choice((EACH, ALL)), MEMBER, dice.choice((REFUSE, REPLACE)), *people)
    return Wish("invite_many", known.an_admin(dice), asked)


def _invite_briefly(known: Knowledge, dice: random.Random) -> Wish:
    return Wish("invite", "", (known.anybody(dice), MEMBER, REFUSE), _some_time(dice))


def _some_time(dice: random.Random) -> float:
    """Give so many seconds that it is over soon, or hours, which are over when somebody moves the clock."""
    return dice.choice((dice.uniform(0.15, 0.8), HOUR, 4 * HOUR))


def _by_invitation(what: str, known: Knowledge, dice: random.Random) -> Wish | None:
    if not known.invitations:
        return None
    one, person = known.invitations[-min(len(known.invitations), dice.choice((1, 1, 1, 2, 3, LATELY)))]
    if what == "accept_own":
        return Wish(what, person if dice.random() < 0.9 else known.anybody(dice), (one,))
    return Wish(what, known.an_admin(dice), (one,))


def _by_invitation_token(what: str, known: Knowledge, dice: random.Random) -> Wish | None:
    token = _lately(known.invitation_tokens, dice)
    return None if token is None else Wish(what, "" if what == "preview" else known.anybody(dice), (token,))


def _by_token(what: str, known: Knowledge, dice: random.Random) -> Wish | None:
    if not known.tokens:
        return None
    secret, owner = known.tokens[-min(len(known.tokens), dice.choice((1, 1, 2, LATELY)))]
    return Wish(what, owner, (secret,))


_WISHES = {
    "join": lambda known, dice: _by_link("join", known, dice),
    "summary": lambda known, dice: _by_link("summary", known, dice),
    "leave": _leave,
    "set_role": _set_role,
    "members": lambda known, dice: Wish("members", known.anybody(dice)),
    "create_link": lambda known, dice: Wish("create_link", known.an_admin(dice)),
    "disable_link": lambda known, dice: Wish("disable_link", known.an_admin(dice)),
    "get_link": lambda known, dice: Wish("get_link", known.an_admin(dice)),
    "invite": _invite,
    "invite_briefly": _invite_briefly,
    "invite_many": _invite_many,
    "resend": lambda known, dice: _by_invitation("resend", known, dice),
    "revoke": lambda known, dice: _by_invitation("revoke", known, dice),
    "remove_invitation": lambda known, dice: _by_invitation("remove_invitation", known, dice),
    "accept": lambda known, dice: _by_invitation_token("accept", known, dice),
    "accept_own": lambda known, dice: _by_invitation("accept_own", known, dice),
    "decline": lambda known, dice: _by_invitation_token("decline", known, dice),
    "invitation": lambda known, dice: _by_invitation("invitation", known, dice),
    "preview": lambda known, dice: _by_invitation_token("preview", known, dice),
    "invitations": lambda known, dice: Wish("invitations", known.an_admin(dice)),
    "make_token": lambda known, dice: Wish(
        "make_token", known.anybody(dice), lasts_seconds=dice.choice((None, _some_time(dice)))
    ),
    "revoke_token": lambda known, dice: _by_token("revoke_token", known, dice),
    "use_token": lambda known, dice: _by_token("use_token", known, dice),
    "delete": lambda known, dice: Wish("delete", known.an_admin(dice)),
}
