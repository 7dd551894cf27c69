"""The checker itself: it finds an order where there is one, and only there."""

from __future__ import annotations

import heapq
import itertools
import math
import random
import time
from collections.abc import Callable, Sequence
from contextlib import suppress

import pytest
from hypothesis import given, reject, settings
from hypothesis import strategies as st

from tests.faults.linearizability import UndecidedError, printed, search, smallest_without_order
from tests.faults.model import (
    ACCEPTED,
    ADMIN,
    ALL,
    EACH,
    EXPIRED,
    MEMBER,
    REFUSE,
    RENEW,
    REPLACE,
    Answer,
    Call,
    Organization,
    makers_known,
    stand_ins,
    start,
    with_stand_ins,
)
from tests.faults.moved_clock import REAL_TIME, Stretch
from tests.faults.wishes import HOUR, Knowledge

PEOPLE = ("ada", "bob", "cem", "dan", "eve")
START = start("ada")


def history(*lines: tuple[object, ...]) -> list[Call]:
    """Give calls from lines of: began, ended, who, what, asked, answer, made; an answer of … is in doubt."""
    calls = []
    for number, (began, ended, who, what, asked, answer, *made) in enumerate(lines):
        known = None if answer is ... else answer if isinstance(answer, Answer) else Answer(answer)
        end = math.inf if known is None else float(ended)  # type: ignore[arg-type]
        call = Call(number, str(what), str(who), tuple(asked), float(began), end, known)  # type: ignore[call-overload]
        calls.append(call._replace(made=tuple(map(str, made))) if made else with_stand_ins(call))
    return calls


def no(reason: str) -> Answer:
    return Answer(None, reason)


def pending(*invitations: str) -> frozenset[tuple[str, ...]]:
    """Give what a list shows of pending invitations, each an id and a person."""
    return frozenset((*one.split(), "pending", "") for one in invitations)


def specification(
    calls: Sequence[Call], seats: int | None = None, timeline: Sequence[Stretch] = REAL_TIME
) -> Organization:
    return Organization(seats, makers_known(calls), timeline)


def has_order(calls: Sequence[Call], seats: int | None = None, timeline: Sequence[Stretch] = REAL_TIME) -> bool:
    return search(specification(calls, seats, timeline), START, calls).order is not None


LINK = (1, 2, "ada", "create_link", (), "one", "one")
NEXT_LINK = (3, 5, "ada", "create_link", (), "two", "two")
PENDS = "INVITATION_PENDING"
BATCH = (1, 9, "ada", "invite_many", (EACH, MEMBER, REFUSE, "bob", "cem"), ("i1", "i2"), "i1", "t1", "i2", "t2")
INVITE = (1, 2, "ada", "invite", ("bob", MEMBER, REFUSE), "i1", "i1", "t1")

GOOD = {
    "joined by the old link while it was replaced": [LINK, NEXT_LINK, (4, 6, "bob", "join", ("one",), MEMBER)],
    "refused while it was replaced": [LINK, NEXT_LINK, (4, 6, "bob", "join", ("one",), no("INVITE_NOT_FOUND"))],
    "replaced by a call in doubt": [
        LINK,
        (3, 0, "ada", "create_link", (), ...),
        (9, 10, "bob", "join", ("one",), no("INVITE_NOT_FOUND")),
    ],
    "a call in doubt that was done late": [
        LINK,
        (3, 0, "ada", "create_link", (), ...),
        (9, 10, "bob", "join", ("one",), MEMBER),
        (11, 12, "ada", "get_link", (), "new"),
        (13, 14, "cem", "join", ("new",), MEMBER),
    ],
    "a call in doubt that was never done": [
        LINK,
        (3, 0, "ada", "create_link", (), ...),
        (9, 10, "ada", "get_link", (), "one"),
    ],
    "two like calls in doubt that were both done": [
        LINK,
        (3, 4, "bob", "join", ("one",), MEMBER),
        (5, 0, "ada", "set_role", ("bob", ADMIN), ...),
        (6, 0, "ada", "set_role", ("bob", ADMIN), ...),
        (7, 8, "ada", "members", (), frozenset({("ada", ADMIN), ("bob", ADMIN)})),
        (9, 10, "ada", "set_role", ("bob", MEMBER), None),
        (11, 12, "ada", "members", (), frozenset({("ada", ADMIN), ("bob", ADMIN)})),
    ],
    "two links by calls in doubt, and both were seen": [
        (1, 0, "ada", "create_link", (), ...),
        (2, 0, "ada", "create_link", (), ...),
        (3, 4, "ada", "get_link", (), "new"),
        (5, 6, "ada", "get_link", (), "newer"),
        (7, 8, "bob", "join", ("new",), no("INVITE_NOT_FOUND")),
    ],
    "an invitation by a call in doubt, found in the list": [
        (1, 0, "ada", "invite", ("bob", ADMIN, REFUSE), ...),
        (2, 3, "ada", "invitations", (), frozenset({("i9", "bob", "pending", "")})),
        (4, 5, "bob", "accept_own", ("i9",), ADMIN),
        (6, 7, "bob", "leave", ("ada",), None),
    ],
    "accepted and revoked at once": [
        INVITE,
        (3, 6, "bob", "accept", ("t1",), MEMBER),
        (3, 6, "ada", "revoke", ("i1",), no("INVITATION_ALREADY_ACCEPTED")),
    ],
    "a renewed invitation of a call in doubt": [
        (1, 0, "ada", "invite", ("bob", MEMBER, REFUSE), ...),
        (2, 3, "ada", "invite", ("bob", MEMBER, RENEW), "i7", "i7", "t7"),
        (4, 5, "ada", "revoke", ("i7",), None),
        (6, 7, "bob", "accept", ("t7",), no("INVITATION_REVOKED")),
    ],
    "two batches at once that share an address": [
        BATCH,
        (1, 9, "ada", "invite_many", (EACH, MEMBER, REFUSE, "cem", "dan"), (PENDS, "i3"), "?", "?", "i3", "t3"),
        (1, 9, "ada", "invite_many", (ALL, MEMBER, REFUSE, "eve", "dan"), no(PENDS)),
        (10, 11, "ada", "invitations", (), pending("i1 bob", "i2 cem", "i3 dan")),
        (12, 13, "cem", "accept", ("t2",), MEMBER),
    ],
    "a batch in doubt that was done": [
        (1, 0, "ada", "invite_many", (EACH, ADMIN, REFUSE, "bob", "cem"), ...),
        (2, 3, "ada", "invitations", (), pending("i8 bob", "i9 cem")),
        (4, 5, "cem", "accept_own", ("i9",), ADMIN),
        (6, 7, "ada", "revoke", ("i8",), None),
    ],
    "a token that was revoked less than a second ago": [
        (1, 2, "ada", "make_token", (), "p1", "p1"),
        (3, 4, "ada", "revoke_token", ("p1",), None),
        (4.9, 5, "ada", "use_token", ("p1",), None),
        (4.9, 5, "ada", "use_token", ("p1",), no("CREDENTIALS_INVALID")),
    ],
}

BAD = {
    "half of a batch is seen": [
        BATCH,
        (2, 3, "ada", "invitations", (), pending("i1 bob")),
    ],
    "half of a batch in doubt is seen": [
        (1, 0, "ada", "invite_many", (EACH, MEMBER, REFUSE, "bob", "cem"), ...),
        (2, 3, "ada", "invitations", (), pending("i1 bob")),
    ],
    "what was refused whole left something": [
        (1, 2, "ada", "invite_many", (ALL, MEMBER, REFUSE, "bob", "ada"), no("ALREADY_MEMBER")),
        (3, 4, "ada", "invitations", (), pending("i1 bob")),
    ],
    "a refusal in a batch hinders the others": [
        (1, 2, "ada", "invite_many", (EACH, MEMBER, REFUSE, "ada", "bob"), no("ALREADY_MEMBER")),
    ],
    "joined by a link that was replaced before": [LINK, NEXT_LINK, (6, 7, "bob", "join", ("one",), MEMBER)],
    "refused with the live link": [LINK, (3, 4, "bob", "join", ("one",), no("INVITE_NOT_FOUND"))],
    "the old link is shown again": [LINK, NEXT_LINK, (6, 7, "ada", "get_link", (), "one")],
    "a link that nobody made": [LINK, (3, 4, "ada", "get_link", (), "three")],
    "two links are live": [
        LINK,
        (1, 2, "ada", "create_link", (), "two", "two"),
        (3, 4, "bob", "join", ("one",), MEMBER),
        (5, 6, "cem", "join", ("two",), MEMBER),
    ],
    "a join is lost": [
        LINK,
        (3, 4, "bob", "join", ("one",), MEMBER),
        (5, 6, "ada", "members", (), frozenset({("ada", ADMIN)})),
    ],
    "no admin is left": [
        LINK,
        (3, 4, "bob", "join", ("one",), MEMBER),
        (5, 6, "ada", "set_role", ("bob", ADMIN), None),
        (7, 9, "ada", "leave", ("ada",), None),
        (7, 9, "bob", "leave", ("bob",), None),
    ],
    "a role that is gone is used": [
        LINK,
        (3, 4, "bob", "join", ("one",), MEMBER),
        (5, 6, "ada", "set_role", ("bob", ADMIN), None),
        (7, 8, "ada", "set_role", ("bob", MEMBER), None),
        (9, 10, "bob", "create_link", (), "two", "two"),
    ],
    "accepted and revoked both": [
        INVITE,
        (3, 6, "bob", "accept", ("t1",), MEMBER),
        (3, 6, "ada", "revoke", ("i1",), None),
    ],
    "accepted by two": [
        INVITE,
        (3, 6, "bob", "accept", ("t1",), MEMBER),
        (3, 6, "cem", "accept", ("t1",), MEMBER),
    ],
    "two pending of one address": [
        INVITE,
        (1, 2, "ada", "invite", ("bob", MEMBER, REFUSE), "i2", "i2", "t2"),
    ],
    "the token before is good still": [
        INVITE,
        (3, 4, "ada", "resend", ("i1",), "t2", "t2"),
        (5, 6, "bob", "accept", ("t1",), MEMBER),
    ],
    "a call in doubt is done and then undone": [
        LINK,
        (3, 0, "ada", "create_link", (), ...),
        (4, 5, "ada", "get_link", (), "new"),
        (6, 7, "bob", "join", ("one",), MEMBER),
    ],
    "one call in doubt is done twice": [
        LINK,
        (3, 4, "bob", "join", ("one",), MEMBER),
        (5, 0, "ada", "set_role", ("bob", ADMIN), ...),
        (7, 8, "ada", "members", (), frozenset({("ada", ADMIN), ("bob", ADMIN)})),
        (9, 10, "ada", "set_role", ("bob", MEMBER), None),
        (11, 12, "ada", "members", (), frozenset({("ada", ADMIN), ("bob", ADMIN)})),
    ],
    "a removed member's revoke still counts": [
        LINK,
        (3, 4, "bob", "join", ("one",), MEMBER),
        (5, 6, "ada", "set_role", ("bob", ADMIN), None),
        (7, 8, "ada", "invite", ("cem", MEMBER, REFUSE), "i1", "i1", "t1"),
        (9, 20, "bob", "revoke", ("i1",), None),
        (9, 10, "ada", "leave", ("bob",), None),
        (11, 12, "ada", "invitation", ("i1",), ("pending", "")),
    ],
    "somebody is a member of what is deleted": [
        LINK,
        (3, 6, "ada", "delete", (), None),
        (3, 6, "bob", "join", ("one",), MEMBER),
        (7, 8, "bob", "members", (), frozenset({("bob", MEMBER)})),
    ],
    "a token that was revoked a second ago": [
        (1, 2, "ada", "make_token", (), "p1", "p1"),
        (3, 4, "ada", "revoke_token", ("p1",), None),
        (5.1, 5.2, "ada", "use_token", ("p1",), None),
    ],
}


@pytest.mark.parametrize("name", GOOD)
def test_an_order_is_found(name: str) -> None:
    assert has_order(history(*GOOD[name]))


@pytest.mark.parametrize("name", BAD)
def test_no_order_is_found(name: str) -> None:
    assert not has_order(history(*BAD[name]))


@pytest.mark.parametrize(
    ("accepts", "answer", "possible"),
    [
        ((4, 5.5), Answer(MEMBER), False),
        ((6, 7), Answer(MEMBER), False),
        ((4, 5.5), no("INVITATION_EXPIRED"), True),
        ((4, 4.9), no("INVITATION_EXPIRED"), False),
        ((6, 7), no("INVITATION_EXPIRED"), True),
    ],
)
def test_nobody_accepts_after_somebody_found_it_expired(
    accepts: tuple[float, float], answer: Answer, possible: bool
) -> None:
    """The invitation ends at 5."""
    calls = history(
        (1, 2, "", "invite", ("bob", MEMBER, REFUSE), "i1", "i1", "t1"),
        (4, 5.2, "ada", "revoke", ("i1",), no("INVITATION_EXPIRED")),
        (*accepts, "bob", "accept", ("t1",), answer),
    )
    calls[0] = calls[0]._replace(expires_at=5.0)
    assert has_order(calls) is possible


@pytest.mark.parametrize(("read", "accepts"), [((5.1, 5.3), (4, 6)), ((5.1, 5.3), (5.05, 6))])
def test_what_was_accepted_in_time_may_look_expired_until_it_is_seen(
    read: tuple[float, float], accepts: tuple[float, float]
) -> None:
    """The invitation ends at 5. Who accepts looks at the clock a moment before it is seen; who reads, by themselves."""
    calls = history(
        (1, 2, "", "invite", ("bob", MEMBER, REFUSE), "i1", "i1", "t1"),
        (*read, "ada", "invitation", ("i1",), (EXPIRED, "")),
        (*accepts, "bob", "accept", ("t1",), MEMBER),
        (7, 8, "ada", "invitation", ("i1",), (ACCEPTED, "bob")),
    )
    calls[0] = calls[0]._replace(expires_at=5.0)
    assert has_order(calls) is (accepts[0] < 5)


FORWARD_AND_BACK = (
    Stretch(-math.inf, 10.1, 0.0),
    Stretch(10.0, 20.1, 100.0),
    Stretch(20.0, math.inf, 0.0),
)
"""The clock is moved over the end of what ends at 50, and set back."""


@pytest.mark.parametrize(
    ("began", "ended", "may_be_alive", "may_have_ended"),
    [
        (8, 9, True, False),
        (9, 11, True, True),
        (10.05, 10.06, True, True),
        (12, 13, False, True),
        (19, 22, True, True),
        (9, 22, True, True),
        (21, 22, True, False),
        (49, 51, True, True),
        (51, 52, False, True),
    ],
)
@pytest.mark.parametrize("what", ["accept", "preview", "use_token"])
def test_what_ends_does_so_by_the_clock_of_the_servers(
    what: str, began: float, ended: float, may_be_alive: bool, may_have_ended: bool
) -> None:
    alive, over = {
        "accept": (Answer(MEMBER), no("INVITATION_EXPIRED")),
        "preview": (Answer("pending"), Answer("expired")),
        "use_token": (Answer(None), no("CREDENTIALS_INVALID")),
    }[what]
    made = (1, 2, "ada", "make_token", (), "t1", "t1") if what == "use_token" else INVITE
    for answer, possible in ((alive, may_be_alive), (over, may_have_ended)):
        calls = history(made, (began, ended, "bob", what, ("t1",), answer))
        calls[0] = calls[0]._replace(expires_at=50.0)
        assert has_order(calls, timeline=FORWARD_AND_BACK) is possible


AHEAD = (Stretch(-math.inf, math.inf, 0.0), Stretch(-math.inf, math.inf, 1.5))
"""One of two servers is ahead of the other."""


@pytest.mark.parametrize(
    ("began", "may_be_alive", "may_have_ended"), [(48.0, True, False), (49.0, True, True), (50.5, False, True)]
)
def test_what_ends_may_do_so_by_the_clock_of_either_server(
    began: float, may_be_alive: bool, may_have_ended: bool
) -> None:
    """The invitation ends at 50."""
    for answer, possible in ((Answer(MEMBER), may_be_alive), (no("INVITATION_EXPIRED"), may_have_ended)):
        calls = history(INVITE, (began, began + 0.1, "bob", "accept", ("t1",), answer))
        calls[0] = calls[0]._replace(expires_at=50.0)
        assert has_order(calls, timeline=AHEAD) is possible


def test_the_clock_is_moved_at_one_moment_for_all() -> None:
    calls = history(
        INVITE,
        (10.5, 11, "ada", "revoke", ("i1",), no("INVITATION_EXPIRED")),
        (9, 21, "bob", "accept", ("t1",), MEMBER),
        (22, 23, "ada", "members", (), frozenset({("ada", ADMIN), ("bob", MEMBER)})),
    )
    calls[0] = calls[0]._replace(expires_at=50.0)
    assert has_order(calls, timeline=FORWARD_AND_BACK)
    accepted_before = calls[2]._replace(ended=19.0)
    assert not has_order([*calls[:2], accepted_before, *calls[3:]], timeline=FORWARD_AND_BACK)


@pytest.mark.parametrize("status", ["revoked", "expired"])
def test_what_is_replaced_when_it_ends_may_have_ended_or_not(status: str) -> None:
    calls = history(
        INVITE,
        (4, 6, "ada", "invite", ("bob", MEMBER, REPLACE), "i2", "i2", "t2"),
        (7, 8, "ada", "invitations", (), frozenset({("i1", "bob", status, ""), ("i2", "bob", "pending", "")})),
    )
    calls[0] = calls[0]._replace(expires_at=5.0)
    assert has_order(calls)


def test_seats_are_never_exceeded_and_all_can_be_taken() -> None:
    joins = [(3, 9, who, "join", ("one",), MEMBER) for who in ("bob", "cem")]
    full = (3, 9, "dan", "join", ("one",), no("ORGANIZATION_FULL"))
    assert has_order(history(LINK, *joins, full), seats=3)
    assert not has_order(history(LINK, joins[0], full), seats=3)
    assert not has_order(history(LINK, *joins), seats=2)


def test_the_smallest_history_says_what_is_wrong_and_nothing_else() -> None:
    before = [(n, n + 0.5, "ada", "members", (), frozenset({("ada", ADMIN)})) for n in range(-40, 0)]
    after = [(n, n + 0.5, "ada", "get_link", (), "two") for n in range(20, 40)]
    calls = history(*before, *BAD["joined by a link that was replaced before"], *after)
    smallest = smallest_without_order(specification(calls), START, calls)
    assert [(call.what, call.in_doubt) for call in smallest] == [
        ("create_link", False),
        ("create_link", False),
        ("join", False),
    ]
    assert "bob      join(one) → member" in printed(smallest)


# Histories that the specification makes itself.


def moved_at_random(dice: random.Random) -> Sequence[Stretch]:
    """Give a clock that is moved by hours, forward and back, a few times in the first seconds."""
    moments = [0.0, *sorted(dice.uniform(0.0, 1.5) for _ in range(4)), math.inf]
    offsets = [0.0, *(dice.choice((-5 * HOUR, -HOUR / 2, 0.0, HOUR / 2, 2 * HOUR, 5 * HOUR)) for _ in range(4))]
    return [Stretch(*one) for one in zip(moments, moments[1:], offsets, strict=False)]


def simulated(
    dice: random.Random,
    *,
    calls: int,
    clients: int,
    doubt: float = 0.0,
    seats: int | None = None,
    timeline: Sequence[Stretch] = REAL_TIME,
) -> list[Call]:
    """Let clients call the specification: each call is done at some moment between its beginning and its end."""

    def shown(moment: float) -> float:
        return moment + next(offset for start, end, offset in timeline if start <= moment < end)

    spec, known, state = Organization(seats), Knowledge(PEOPLE, {"ada"}, {"ada"}), START
    numbers, names = itertools.count(), itertools.count()
    history: list[Call] = []
    events: list[tuple[float, int, str, Call | None]] = [
        (0.01 * n, next(numbers), "begin", None) for n in range(clients)
    ]
    while events:
        now, _, event, call = heapq.heappop(events)
        if event == "begin":
            if len(history) + len(events) >= calls:
                continue
            wish = known.wish(dice)
            call = Call(next(numbers), wish.what, wish.who, wish.asked, now)
            made = tuple(f"{wish.what}-{next(names)}" for _ in stand_ins(call))
            call = call._replace(made=made, expires_at=shown(now) + (wish.lasts_seconds or math.inf))
            heapq.heappush(events, (now + dice.uniform(0.001, 0.05), next(numbers), "do", call))
        elif event == "do":
            assert call is not None
            ended = now + dice.uniform(0.001, 0.05)
            after, answer = spec.perform(state, call._replace(ended=ended), shown(now))
            if dice.random() >= doubt:
                state = after
                done = call._replace(ended=ended, answer=answer)
                heapq.heappush(events, (ended, next(numbers), "end", done))
            else:
                state = after if dice.random() < 0.5 else state
                history.append(with_stand_ins(call))
                heapq.heappush(events, (now + 0.05, next(numbers), "begin", None))
        else:
            assert call is not None
            assert call.answer is not None
            call = with_stand_ins(call) if call.answer.reason else call
            history.append(call)
            known.learn(call)
            heapq.heappush(events, (now + dice.uniform(0.0, 0.02), next(numbers), "begin", None))
    return history


@given(st.integers(0, 10**9), st.integers(1, 8), st.sampled_from([None, 3]))
@settings(max_examples=50, deadline=None)
def test_what_the_specification_answers_has_an_order(seed: int, clients: int, seats: int | None) -> None:
    dice = random.Random(seed)
    timeline = dice.choice((REAL_TIME, moved_at_random(dice)))
    calls = simulated(dice, calls=60, clients=clients, doubt=0.15, seats=seats, timeline=timeline)
    try:
        assert has_order(calls, seats, timeline)
    except UndecidedError:
        reject()


def _wrong(what: str, answer: Answer, dice: random.Random) -> Answer:
    """Give another answer, that can't be had at the same place."""
    if answer.reason:
        done = Answer(frozenset() if what in ("members", "invitations") else "never made")
        return Answer(None, "INTERNAL") if dice.random() < 0.5 else done
    if isinstance(answer.value, frozenset):
        return Answer(frozenset(list(answer.value)[1:])) if answer.value else Answer(frozenset({("x", "y", "z", "")}))
    return Answer(None, "LAST_ADMIN")


@given(st.integers(0, 10**9))
@settings(max_examples=100, deadline=None)
def test_one_wrong_answer_in_a_history_without_doubt_leaves_no_order(seed: int) -> None:
    dice = random.Random(seed)
    timeline = dice.choice((REAL_TIME, moved_at_random(dice)))
    calls = simulated(dice, calls=60, clients=1, timeline=timeline)
    place = dice.randrange(len(calls))
    answer = calls[place].answer
    assert answer is not None
    calls[place] = calls[place]._replace(answer=_wrong(calls[place].what, answer, dice))
    assert not has_order(calls, timeline=timeline)


def test_histories_of_hundreds_of_calls_many_in_doubt_are_searched(figure: Callable[[str], None]) -> None:
    histories = [simulated(random.Random(seed), calls=300, clients=6, doubt=0.15) for seed in range(6)]
    began = time.monotonic()
    decided = 0
    for calls in histories:
        with suppress(UndecidedError):
            assert search(specification(calls), START, calls, budget=40_000).order is not None
            decided += 1
    doubted = sum(call.in_doubt for calls in histories for call in calls) / sum(map(len, histories))
    assert decided >= len(histories) // 2
    figure(
        f"checker: {decided} of {len(histories)} histories of 300 calls, {doubted:.0%} of them in doubt, were decided"
        f" in {time.monotonic() - began:.1f} s"
    )
