"""Finds an order of the calls of a history that explains every answer, or shows the smallest history that has none.

The search is Wing and Gong's with Lowe's memory, and with calls in doubt, which may come at any time after they began
or never. It looks at calls whose answers are known first, and has those in doubt done only where it gets no further. Of
two ways to the same place the one that needed fewer calls in doubt is as good as the other, so only that is followed.

J. M. Wing, C. Gong: Testing and verifying concurrent objects (1993). G. Lowe: Testing for linearizability (2017).
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from tests.faults.model import READS, Call, Footprints, State, forgotten

BUDGET = 300_000
"""How many steps a search takes at most before it gives up."""


FIRST_TRY = 3_000
"""After how many steps the search begins anew for the first time."""


class Specification(Protocol):
    @property
    def seats(self) -> int | None: ...

    def steps(self, state: State, call: Call, earliest: float) -> Iterator[State]:
        """Give the states that a call may lead to, none if its answer can't be."""
        ...


class UndecidedError(Exception):
    """The search gave up before it knew."""


@dataclass(frozen=True, slots=True)
class Found:
    """The outcome of a search: an order where there is one, and which calls in doubt it ever found of use."""

    order: tuple[Call, ...] | None
    steps: int
    tried: frozenset[int] = frozenset()


class _Search:
    """A search by depth. What a failed try tells is why: the parts of the organization that it hung on."""

    def __init__(self, specification: Specification, calls: Sequence[Call], budget: int, dice: random.Random) -> None:
        self._specification = specification
        self._known = sorted((call for call in calls if not call.in_doubt), key=lambda call: call.began)
        doubted = (call for call in calls if call.in_doubt and call.what not in READS)
        self._doubted = sorted(doubted, key=lambda call: call.began)
        self._twins = _twins(self._doubted)
        self._touch = Footprints(calls, seats=specification.seats is not None)
        self._all = (1 << len(self._known)) - 1
        self._seen: dict[tuple[int, State], list[tuple[int, int]]] = {}
        self._budget = budget
        self._dice = dice
        self._steps = 0
        self._tried: set[int] = set()
        self._order: list[Call] = []

    def run(self, state: State) -> Found:
        """Search from a state."""
        if self._failure(0, 0, state, 0.0) is None:
            return Found(tuple(reversed(self._order)), self._steps)
        return Found(None, self._steps, frozenset(self._tried))

    def _failure(self, done: int, doubted: int, state: State, latest: float) -> int | None:
        """Go on from a place; give None where an order was found, else the parts on which it hung that there is none.

        `done` and `doubted` are the calls of each kind that are done, as bits. Another place from which the same calls
        are left fails too when it agrees in those parts.
        """
        if done == self._all:
            return None
        seen = self._seen.setdefault((done, state), [])
        for fewer, parts in seen:
            if fewer & doubted == fewer:
                return parts
        possible, until = self._next_known(done)
        hung = 0
        for number in possible:
            call = self._known[number]
            impossible = True
            for after, moment in self._after(state, call, latest):
                impossible = False
                parts = self._failure(done | 1 << number, doubted, after, moment)
                if parts is None:
                    self._order.append(call)
                    return None
                reads, writes = self._touch.of(call, state)
                hung |= parts | (reads if parts & writes else 0)
            if impossible:
                hung |= self._touch.why_not(call, state)
        parts = self._with_doubted(done, doubted, state, latest, until, hung)
        if parts is not None:
            seen.append((doubted, parts))
        return parts

    def _with_doubted(
        self, done: int, doubted: int, state: State, latest: float, until: float, hung: int
    ) -> int | None:
        """Have calls in doubt done first, as far as they change something on which it hung."""
        left = [
            (self._touch.of(call, state), number)
            for number, call in enumerate(self._doubted)
            if call.began <= until and not doubted >> number & 1 and self._twins[number] & ~doubted == 0
        ]
        self._dice.shuffle(left)
        left.sort(key=lambda one: not one[0].writes & hung)
        while True:
            useful = next((one for one in left if one[0].writes & hung), None)
            if useful is None:
                return hung
            left.remove(useful)
            (reads, _), number = useful
            call = self._doubted[number]
            hung |= reads
            for after, moment in self._after(state, call, latest):
                self._tried.add(call.number)
                parts = self._failure(done, doubted | 1 << number, after, moment)
                if parts is None:
                    self._order.append(call)
                    return None
                hung |= parts

    def _next_known(self, done: int) -> tuple[list[int], float]:
        """Give which known calls may come next, those that ended first before others, and when the first ended."""
        until, possible = math.inf, []
        first = ((done + 1) & ~done).bit_length() - 1
        for number in range(first, len(self._known)):
            call = self._known[number]
            if call.began > until:
                break
            if not done >> number & 1:
                possible.append(number)
                until = min(until, call.ended)
        possible = [number for number in possible if self._known[number].began <= until]
        return sorted(possible, key=lambda number: self._known[number].ended), until

    def _after(self, state: State, call: Call, latest: float) -> Iterator[tuple[State, float]]:
        self._steps += 1
        if self._steps > self._budget:
            raise UndecidedError(f"no order was found and none was ruled out in {self._budget} steps")
        # Of those that change something, for only they wait for each other before they look at the clock.
        moment = latest if call.what in READS else max(latest, call.began)
        for after in self._specification.steps(state, call, moment):
            yield after, moment


def _twins(doubted: Sequence[Call]) -> list[int]:
    """Give for each call in doubt, as a bit, the one like it that began last before it, 0 where there is none.

    Whatever order there is with the later of the two done and the earlier not, there is one the other way round too.
    """
    last: dict[object, int] = {}
    twins = []
    for number, call in enumerate(doubted):
        alike = call.what, call.who, call.asked, call.expires_at, tuple(m for m in call.made if not m.startswith("?"))
        twins.append(last.get(alike, 0))
        last[alike] = 1 << number
    return twins


def search(specification: Specification, start: State, calls: Sequence[Call], *, budget: int = BUDGET) -> Found:
    """Look for an order; raise `UndecidedError` when that takes too long.

    Which calls in doubt are thought of first is luck, and it matters much: searches that take long begin anew.
    """
    dice, steps = random.Random(0), 0
    while True:
        allowed = min(max(FIRST_TRY, steps // 2), budget - steps)
        try:
            return _Search(specification, calls, allowed, dice).run(start)
        except UndecidedError:
            steps += allowed
            if steps >= budget:
                raise


def smallest_without_order(
    specification: Specification, start: State, calls: Sequence[Call], *, budget: int = 600_000
) -> tuple[Call, ...]:
    """Give a history that has no order, as small as can be, from one that has none.

    It only ever forgets: what came later, what a read told, how a call that changes something was answered. What is
    left without an order is therefore as wrong as the whole. When `budget` is used up it stays as it is.
    """
    left = budget

    def is_wrong(some: Sequence[Call]) -> bool:
        nonlocal left
        allowed = min(left, 20_000)
        try:
            found = search(specification, start, some, budget=allowed)
        except UndecidedError:
            left -= allowed
            return False
        left -= found.steps
        return found.order is None

    calls = _shortest_beginning(calls, is_wrong)
    calls = _without(calls, is_wrong)
    try:
        tried = search(specification, start, calls, budget=20_000).tried
    except UndecidedError:
        return tuple(calls)
    return tuple(call for call in calls if not call.in_doubt or call.number in tried)


def _shortest_beginning(calls: Sequence[Call], is_wrong: Callable[[Sequence[Call]], bool]) -> list[Call]:
    """Find, by halves, the first answer before which all is well."""
    ends = sorted(call.ended for call in calls if not call.in_doubt)
    good, wrong = -1, len(ends) - 1
    while wrong - good > 1:
        middle = (good + wrong) // 2
        if is_wrong(_until(calls, ends[middle])):
            wrong = middle
        else:
            good = middle
    return _until(calls, ends[wrong])


def _until(calls: Sequence[Call], moment: float) -> list[Call]:
    begun = [call for call in calls if call.began <= moment]
    return [call for some in begun for call in ([some] if call_is_over(some, moment) else _doubt(some))]


def call_is_over(call: Call, moment: float) -> bool:
    """Tell whether a call had been answered at a moment, or never was."""
    return call.in_doubt or call.ended <= moment


def _doubt(call: Call) -> list[Call]:
    return [] if call.what in READS else [forgotten(call)]


def _without(calls: list[Call], is_wrong: Callable[[Sequence[Call]], bool]) -> list[Call]:
    """Forget as many answers as can be, first many at once, in the end one by one."""
    size = max(1, len(calls) // 2)
    while True:
        place = 0
        while place < len(calls):
            some = calls[place : place + size]
            fewer = [*calls[:place], *(one for call in some for one in _doubt(call)), *calls[place + size :]]
            if any(not call.in_doubt for call in some) and is_wrong(fewer):
                place += len(fewer) - len(calls) + size
                calls = fewer
            else:
                place += size
        if size == 1:
            return calls
        size = max(1, size // 2)


def printed(calls: Sequence[Call]) -> str:
    """Give a history as a table, a line for each call in the order in which they began; times in milliseconds."""
    if not calls:
        return "(no calls)"
    zero = min(call.began for call in calls)
    names: dict[str, str] = {}
    lines = []
    for call in sorted(calls, key=lambda call: call.began):
        ended = "…" if call.in_doubt else f"{(call.ended - zero) * 1000:.1f}"
        asked = ", ".join(_short(one, names) for one in call.asked)
        lines.append(
            f"{(call.began - zero) * 1000:9.1f} – {ended:>9}  {call.who or '-':<8} {call.what}({asked})"
            f" → {_answer_text(call, names)}"
        )
    return "\n".join(lines)


def _answer_text(call: Call, names: dict[str, str]) -> str:
    made = " ".join(_short(one, names) for one in call.made if not one.startswith("?"))
    if call.answer is None:
        return f"in doubt{f' (would make {made})' if made else ''}"
    if call.answer.reason:
        return call.answer.reason
    value = call.answer.value
    if isinstance(value, tuple):
        return " ".join(_short(one, names) for one in value)
    if made:
        return made
    if isinstance(value, frozenset):
        return "; ".join(sorted(" ".join(_short(part, names) for part in one) for one in value)) or "nothing"
    return "done" if value is None else str(value) if not isinstance(value, str) else _short(value, names)


def _short(text: str, names: dict[str, str]) -> str:
    """Give long ids and secrets short names, in the order in which they are met."""
    return text if len(text) < 20 else names.setdefault(text, f"#{len(names) + 1}")
