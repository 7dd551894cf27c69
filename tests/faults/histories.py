"""Races on one organization: many callers at once, what each was answered and when, and what must hold of it.

A call is known by the moments between which it took effect, and what must hold is said over these moments alone.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from tests.faults.doors import Door


@dataclass(frozen=True)
class Event:
    """One call: what was asked with what, what was answered, and between which moments.

    `seen` are the members that were listed after the answer of a regenerate.
    """

    what: str
    invite: str
    person: str
    answer: str | None
    began: float
    ended: float
    seen: frozenset[str] = frozenset()


def at_once(tasks: Sequence[Callable[[], object]]) -> None:
    """Run tasks on threads of their own that begin together; raise the first fault."""
    start = threading.Barrier(len(tasks))
    faults: list[BaseException] = []

    def run(task: Callable[[], object]) -> None:
        try:
            start.wait()
            task()
        except BaseException as fault:  # noqa: BLE001 # raised below, where the test sees it
            faults.append(fault)

    threads = [threading.Thread(target=run, args=(task,)) for task in tasks]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if faults:
        raise faults[0]


def race_join_and_regenerate(door: Door, *, admins: int, joiners: int, rounds: int, seed: int) -> list[str]:
    """Let admins make links while people join by whatever link they know; give what went wrong."""
    names = [f"admin{seed}-{n}" for n in range(admins)]
    door.prepare([f"person{seed}-{number}-{turn}" for number in range(joiners) for turn in range(rounds)])
    organization = door.make_organization(names)
    events: list[Event] = []
    known = [door.regenerate(names[0], organization)]
    events.append(Event("regenerate", known[0], names[0], known[0], 0.0, 0.0))

    def make_links(admin: str) -> None:
        dice = random.Random(admin)
        for _ in range(rounds):
            # So that links live long enough to be joined by, and end while somebody is joining.
            time.sleep(dice.uniform(0, 0.01))
            began = time.monotonic()
            invite = door.regenerate(admin, organization)
            ended = time.monotonic()
            known.append(invite)
            seen = frozenset(door.members(admin, organization) or ())
            events.append(Event("regenerate", invite, admin, invite, began, ended, seen))

    def join_often(number: int) -> None:
        dice = random.Random(seed * 1000 + number)
        for turn in range(rounds):
            person = f"person{seed}-{number}-{turn}"
            invite = known[-dice.choice([1, 1, 1, 2, 3][: len(known) + 2])]
            began = time.monotonic()
            joined = door.join(person, invite)
            events.append(Event("join", invite, person, joined, began, time.monotonic()))

    at_once([*(partial(make_links, name) for name in names), *(partial(join_often, n) for n in range(joiners))])
    return [*wrong_joins(events), *wrong_end(door, organization, names[0], names, events)]


def wrong_joins(events: Sequence[Event]) -> list[str]:
    """Name joins by a link that wasn't made yet, or that took effect after a link that replaced it was answered."""
    made = {event.invite: event for event in events if event.what == "regenerate"}
    wrong = []
    for join in events:
        if join.what != "join" or join.answer is None:
            continue
        own = made[join.invite]
        if own.began > join.ended:
            wrong.append(f"{join.person} joined by a link before it was made")
        # A link that was asked for after ours was answered surely replaced it. Who joined by ours did so before, and
        # is among the members that were listed after.
        replaced = [other for other in made.values() if other.began >= own.ended and other.seen]
        if any(join.person not in other.seen for other in replaced):
            wrong.append(f"{join.person} joined by a link that was replaced before")
    return wrong


def wrong_end(door: Door, organization: str, admin: str, admins: Sequence[str], events: Sequence[Event]) -> list[str]:
    """Name what is wrong after the race: which link is live, and who is a member how often."""
    wrong = []
    made = [event for event in events if event.what == "regenerate"]
    live = door.live_invite(admin, organization)
    own = next((event for event in made if event.invite == live), None)
    if own is None:
        wrong.append("the live link is none that was answered")
    elif any(other.began > own.ended for other in made):
        wrong.append("the live link is not the last that was made")
    alive = [event.invite for event in made if door.summary_count(event.invite) is not None]
    if alive != [live]:
        wrong.append(f"{len(alive)} links are live")
    members = door.members(admin, organization) or {}
    joined = {event.person for event in events if event.what == "join" and event.answer is not None}
    if set(members) != joined | set(admins):
        wrong.append(f"members are {len(members)} people, and {len(joined) + len(admins)} joined")
    count = door.summary_count(live)
    if count != len(members):
        wrong.append(f"the count of members is {count}, and there are {len(members)}")
    return wrong


def race_last_admins(door: Door, *, rounds: int, seed: int) -> list[str]:
    """Let the last two admins leave or step down at once, with a member looking on; give what went wrong."""
    wrong = []
    for turn in range(rounds):
        admins = [f"one{seed}-{turn}", f"two{seed}-{turn}"]
        organization = door.make_organization(admins)
        invite = door.regenerate(admins[0], organization)
        witness = f"witness{seed}-{turn}"
        door.join(witness, invite)
        moves = [door.leave if turn % 2 else door.step_down, door.leave if turn % 3 else door.step_down]
        at_once([partial(move, admin, organization) for move, admin in zip(moves, admins, strict=True)])
        members = door.members(witness, organization) or {}
        if "admin" not in members.values():
            wrong.append(f"no admin is left in round {turn}")
    return wrong


def race_delete_and_join(door: Door, *, joiners: int, rounds: int, seed: int) -> list[str]:
    """Delete an organization while people join it; nobody may be left a member of what is gone."""
    wrong, dice = [], random.Random(seed)
    for turn in range(rounds):
        admin = f"deleter{seed}-{turn}"
        organization = door.make_organization([admin])
        invite = door.regenerate(admin, organization)
        people = [f"late{seed}-{turn}-{n}" for n in range(joiners)]
        door.prepare(people)
        # So that some are in before it goes.
        delete = partial(_after, dice.uniform(0, 0.02), partial(door.delete, admin, organization))
        at_once([delete, *(partial(door.join, person, invite) for person in people)])
        left = [person for person in people if door.members(person, organization) is not None]
        if left:
            wrong.append(f"somebody is a member of a deleted organization in round {turn}")
        if door.join(people[0], invite) is not None:
            wrong.append(f"a link outlived its organization in round {turn}")
    return wrong


def _after(seconds: float, act: Callable[[], object]) -> None:
    time.sleep(seconds)
    act()
