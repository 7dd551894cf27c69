"""Directed races through a real server: what random clients meet seldom, they meet here in every round.

Each brings an organization to the place where a safeguard matters, has several people call in the same moment, and
looks at what came of it. All is written down as any history is, and judged by the same checker.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from tests.faults.histories import at_once
from tests.faults.model import ADMIN, ALL, EACH, MEMBER, REFUSE, REMEMBERED_SECONDS, REPLACE, Call
from tests.faults.moved_clock import MovedClock
from tests.faults.recording import PEOPLE, Client, Crowd, JsonWire, Place
from tests.faults.wishes import HOUR, Wish

ADA, BOB, CEM, DAN, EVE = PEOPLE

Step = Wish | float
"""Something to ask, or how many seconds to wait."""


class NotPreparedError(Exception):
    """What a race needs wasn't done: it says nothing."""


@dataclass
class Stage:
    """An organization of ADA's and clients who call it, each by connections of its own."""

    crowd: Crowd
    place: Place
    clients: Sequence[Client]
    clock: MovedClock
    """That of the servers: only who is alone on the stage may move it."""

    def made(self, what: str, who: str, *asked: str, lasts_seconds: float | None = None) -> Call:
        """Ask for something that a sound server surely does, and give the call."""
        call = None
        # What lasts less long than it took to be asked for is asked for anew.
        for _ in range(5):
            if call is None:
                call = self.clients[0].ask(self.place, Wish(what, who, asked, lasts_seconds))
        if call is None or call.answer is None or call.answer.reason:
            raise NotPreparedError(f"{what}: {call}")
        return call

    def link(self) -> str:
        return self.made("create_link", ADA).made[0]

    def member(self, person: str, role: str = MEMBER) -> None:
        """Let somebody in, by an invitation."""
        _, token = self.invitation(person, role)
        self.made("accept", person, token)

    def invitation(self, person: str, role: str = MEMBER) -> tuple[str, str]:
        """Give the id and the token of one for a person."""
        one, token = self.made("invite", ADA, person, role, REFUSE).made
        return one, token

    def at_once(self, *scripts: Sequence[Step]) -> None:
        """Let clients do what is written for each; all begin in the same moment."""
        at_once([partial(self._play, *one) for one in zip(self.clients, scripts, strict=False)])

    def _play(self, client: Client, script: Sequence[Step]) -> None:
        for step in script:
            if isinstance(step, Wish):
                client.ask(self.place, step)
            else:
                time.sleep(step)

    def ask(self, what: str, who: str, *asked: str) -> None:
        """Ask for something that may be refused."""
        self.clients[0].ask(self.place, Wish(what, who, asked))

    def look(self) -> None:
        """See what there is, with the eyes of each."""
        for person in PEOPLE:
            for what in ("members", "invitations", "get_link"):
                self.ask(what, person)


def one_seat_left(stage: Stage) -> None:
    """Of three seats two are taken, and three people come, two by the link and one by an invitation."""
    link, (_, token) = stage.link(), stage.invitation(EVE)
    stage.member(BOB)
    stage.at_once([Wish("join", CEM, (link,))], [Wish("join", DAN, (link,))], [Wish("accept", EVE, (token,))])


def demoted_while_acting(stage: Stage) -> None:
    """Somebody's role is taken while they act on it; whoever took it looks at what there is."""
    stage.member(BOB, ADMIN)
    stage.member(CEM)
    seen = [Wish(what, ADA) for what in ("members", "get_link", "invitations")]
    stage.at_once(
        [Wish("set_role", BOB, (CEM, ADMIN))],
        [Wish("create_link", BOB)],
        [Wish("invite", BOB, (DAN, MEMBER, REFUSE))],
        [0.004, Wish("set_role", ADA, (BOB, MEMBER)), *seen],
    )


def demoted_while_moving(stage: Stage) -> None:
    """An admin's role is taken while they revoke, send again and remove invitations; whoever took it looks at these."""
    stage.member(BOB, ADMIN)
    (revoked, _), (sent, _), (removed, _) = (stage.invitation(who) for who in (CEM, DAN, EVE))
    stage.at_once(
        [Wish("revoke", BOB, (revoked,))],
        [Wish("resend", BOB, (sent,))],
        [Wish("remove_invitation", BOB, (removed,))],
        [0.004, Wish("set_role", ADA, (BOB, MEMBER)), Wish("invitations", ADA)],
    )


def removed_while_acting(stage: Stage) -> None:
    """An admin is removed while they make somebody an admin; whoever removed them looks who is there."""
    stage.member(BOB, ADMIN)
    stage.member(CEM)
    promote = [Wish("set_role", BOB, (CEM, ADMIN))]
    stage.at_once(promote, promote, [0.004, Wish("leave", ADA, (BOB,)), Wish("members", ADA), Wish("members", CEM)])


def last_admins_go(stage: Stage) -> None:
    """Both admins go at once, one by leaving."""
    stage.member(BOB, ADMIN)
    stage.member(CEM)
    stage.at_once([Wish("leave", ADA, (ADA,))], [Wish("set_role", BOB, (BOB, MEMBER))])


def replaced_while_joining(stage: Stage) -> None:
    """The link is replaced while somebody joins by it; whoever replaced it looks who is there."""
    link = stage.link()
    joins = [[Wish("join", who, (link,))] for who in (BOB, CEM, DAN)]
    stage.at_once(*joins, [0.004, Wish("create_link", ADA), Wish("members", ADA), Wish("summary", "", (link,))])


def two_links_at_once(stage: Stage) -> None:
    """Two links are made at once; both are tried, and one of them is live."""
    stage.member(BOB, ADMIN)
    stage.at_once([Wish("create_link", ADA)], [Wish("create_link", BOB)])
    for link in stage.place.known.links[-2:]:
        stage.ask("join", CEM, link)


def answered_all_at_once(stage: Stage) -> None:
    """Two people accept one invitation by its token while it is turned down, revoked and sent again."""
    one, token = stage.invitation(BOB)
    stage.at_once(
        [Wish("accept", BOB, (token,))],
        [Wish("accept", CEM, (token,))],
        [0.004, Wish("revoke", ADA, (one,)), Wish("invitation", ADA, (one,))],
        [0.004, Wish("decline", DAN, (token,))],
    )


def accepted_by_two(stage: Stage) -> None:
    """Two people accept one invitation by its token, and two others another."""
    for invited, others in ((BOB, (BOB, CEM)), (DAN, (DAN, EVE))):
        _, token = stage.invitation(invited)
        stage.at_once(*([Wish("accept", who, (token,))] for who in others))


def sent_again_while_accepting(stage: Stage) -> None:
    """An invitation gets another token while the first is being used."""
    one, token = stage.invitation(BOB)
    looks = [Wish("members", ADA), Wish("preview", "", (token,))]
    stage.at_once([Wish("accept", BOB, (token,))], [0.004, Wish("resend", ADA, (one,)), *looks])


def invited_twice(stage: Stage) -> None:
    """Two admins invite one person at once, and a third time instead of what there is."""
    stage.member(BOB, ADMIN)
    stage.at_once(*([Wish("invite", who, (DAN, MEMBER, how))] for who, how in ((ADA, REFUSE), (BOB, REFUSE))))
    stage.made("invite", ADA, DAN, MEMBER, REPLACE)
    for token in stage.place.known.invitation_tokens[-3:]:
        stage.ask("preview", "", token)


def batches_that_share_an_address(stage: Stage) -> None:
    """Two admins invite several at once, one address being in both; somebody looks how many there are."""
    stage.member(BOB, ADMIN)
    look = Wish("invitations", ADA)
    stage.at_once(
        [Wish("invite_many", ADA, (EACH, MEMBER, REFUSE, CEM, DAN))],
        [Wish("invite_many", BOB, (ALL, MEMBER, REFUSE, EVE, DAN))],
        [step for seconds in (0.004, 0.01, 0.02, 0.04, 0.08) for step in (seconds, look)],
    )


def expiring_while_accepting(stage: Stage) -> None:
    """Invitations end while they are accepted, and somebody finds that they have; another ended before."""
    # The token of an invitation by Logto's face goes by mail alone; the addressee needs none.
    late = stage.made("invite", "", DAN, MEMBER, REFUSE, lasts_seconds=0.9)
    ending = [stage.made("invite", "", who, MEMBER, REFUSE, lasts_seconds=2) for who in (BOB, CEM, EVE)]
    left = ending[-1].expires_at - time.time()
    revoked = [Wish("revoke", ADA, one.made[:1]) for one in ending]
    # Some near, and some farther off for a machine on which everything comes late.
    accepted = [
        [max(0.0, left - before), Wish("accept_own", one.asked[0], one.made[:1])]
        for before, one in zip((0.5, 0.25, 0.1), ending, strict=True)
    ]
    looks = [Wish("members", ADA), Wish("accept_own", DAN, late.made[:1])]
    stage.at_once(*accepted, [max(0.0, left + 0.003), *revoked, *looks])


def token_revoked(stage: Stage) -> None:
    """A token that every process knows is revoked by two at once, and used when all must have heard of it."""
    token = stage.made("make_token", ADA).made[0]
    use = Wish("use_token", ADA, (token,))
    stage.at_once([use, use], [use, use], [use, use])
    stage.at_once(*([Wish("revoke_token", ADA, (token,))] for _ in range(2)))
    time.sleep(REMEMBERED_SECONDS + 0.02)
    stage.at_once([use, use], [use, use], [use, use])


def deleted_while_joining(stage: Stage) -> None:
    """An organization is deleted while people come in."""
    link, (_, token) = stage.link(), stage.invitation(DAN)
    comes = [[Wish("join", BOB, (link,))], [Wish("join", CEM, (link,))], [Wish("accept", DAN, (token,))]]
    stage.at_once(*comes, [0.004, Wish("delete", ADA), Wish("members", BOB)])


def looked_at_after_each_change(stage: Stage) -> None:
    """Others look right after each change, having looked before it."""
    link = stage.link()
    looks = [Wish(what, ADA) for what in ("members", "get_link", "invitations")]
    for change in (
        Wish("join", BOB, (link,)),
        Wish("set_role", ADA, (BOB, ADMIN)),
        Wish("create_link", ADA),
        Wish("invite", ADA, (DAN, MEMBER, REFUSE)),
        Wish("leave", BOB, (BOB,)),
    ):
        stage.at_once(looks, looks, looks)
        stage.clients[0].ask(stage.place, change)
        stage.at_once(looks, looks, looks)


def used_after_it_was_sent_again(stage: Stage) -> None:
    """An invitation was sent again: the token before opens nothing, and the new one lets somebody in."""
    one, before = stage.invitation(BOB)
    token = stage.made("resend", ADA, one).made[0]
    stage.ask("preview", "", before)
    stage.ask("accept", CEM, before)
    stage.ask("preview", "", token)
    stage.ask("accept", BOB, token)


def looked_at_after_each_of_many(stage: Stage) -> None:
    """One client changes the same thing over and over, and looks each time whether it was kept."""
    for _ in range(MANY):
        stage.link()
        stage.ask("get_link", ADA)


def ended_by_the_clock(stage: Stage) -> None:
    """The clock is set two hours forward, and back: what lasts an hour ends, and is good again."""
    one, late, brief = (stage.made("invite", "", who, MEMBER, REFUSE, lasts_seconds=HOUR) for who in (BOB, CEM, DAN))
    token = stage.made("make_token", ADA, lasts_seconds=HOUR).made[0]
    use = Wish("use_token", ADA, (token,))
    # So that every process knows the token.
    stage.at_once([use, use], [use, use], [use, use])
    stage.clock.move(2 * HOUR)
    stage.at_once([use, use], [use, use], [use, use], [Wish("accept_own", BOB, one.made[:1])])
    stage.ask("invitation", ADA, one.made[0])
    stage.ask("invitations", ADA)
    # Another takes its place, since it has ended.
    stage.ask("invite", ADA, DAN, MEMBER, REFUSE)
    stage.clock.move(0.0)
    stage.at_once([use, use], [use, use], [use, use], [Wish("accept_own", BOB, one.made[:1])])
    for ended in (late, brief):
        stage.ask("invitation", ADA, ended.made[0])
    for offset in (2 * HOUR, 0.0, -2 * HOUR, 2 * HOUR, 0.0):
        moves = partial(stage.clock.move, offset)
        accept = Wish("accept_own", CEM, late.made[:1])
        looks = [partial(stage.ask, "invitation", ADA, late.made[0]), partial(stage.clients[1].ask, stage.place, use)]
        at_once([moves, *looks, partial(stage.clients[2].ask, stage.place, accept)])


TOGETHER: Sequence[Callable[[Stage], None]] = (
    one_seat_left,
    demoted_while_acting,
    demoted_while_moving,
    removed_while_acting,
    last_admins_go,
    replaced_while_joining,
    two_links_at_once,
    answered_all_at_once,
    accepted_by_two,
    sent_again_while_accepting,
    invited_twice,
    batches_that_share_an_address,
    expiring_while_accepting,
    token_revoked,
    deleted_while_joining,
    looked_at_after_each_change,
    used_after_it_was_sent_again,
)
"""Races that are played at the same time, each on a place of its own: so they also load the server."""

ALONE: Sequence[Callable[[Stage], None]] = (looked_at_after_each_of_many, ended_by_the_clock)
"""What needs the server to itself."""

CLIENTS_EACH = 4
MANY = 45
"""More writes than any process does before the server that answers before the commit loses one."""


def play_all(crowd: Crowd, clock: MovedClock) -> list[str]:
    """Play every burst once, each on a place of its own; give what couldn't be prepared."""
    crowd.doubtful = 1e-9
    unprepared: list[str] = []
    plays = [
        partial(_play, crowd, clock, burst, place, unprepared)
        for burst, place in zip((*TOGETHER, *ALONE), crowd.places, strict=True)
    ]
    at_once(plays[: len(TOGETHER)])
    for play in plays[len(TOGETHER) :]:
        play()
    return unprepared


def _play(crowd: Crowd, clock: MovedClock, burst: Callable[[Stage], None], place: Place, unprepared: list[str]) -> None:
    dice = [random.Random(f"{crowd.seed} {burst.__name__} {number}") for number in range(CLIENTS_EACH)]
    clients = [Client(crowd, [JsonWire(address) for address in crowd.addresses], one, keyless=0.8) for one in dice]
    stage = Stage(crowd, place, clients, clock)
    place.begun += 1
    try:
        burst(stage)
        stage.look()
    except NotPreparedError as error:
        unprepared.append(f"{burst.__name__}: {error}")
    finally:
        for client in clients:
            for wire in client.wires:
                wire.close()
