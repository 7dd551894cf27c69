"""So many times in so many seconds."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from server.domain.rates import Rate

RATES = st.builds(Rate, st.integers(1, 50), st.integers(1, 3600))
PAUSES = st.lists(st.floats(0, 100, allow_nan=False), min_size=1, max_size=150)


def admitted(rate: Rate, pauses: list[float]) -> list[float]:
    """Give the moments at which something may be done, of those at which it is tried."""
    now, full_at, moments = 1000.0, 0.0, []
    for pause in pauses:
        now += pause
        if rate.wait(full_at, now) == 0:
            full_at = rate.used(full_at, now)
            moments.append(now)
    return moments


@given(RATES, PAUSES)
def test_never_more_than_all_at_once_and_what_came_back_since(rate: Rate, pauses: list[float]) -> None:
    moments = admitted(rate, pauses)
    for begin, first in enumerate(moments):
        for end in range(begin, len(moments)):
            came_back = (moments[end] - first) * rate.count / rate.seconds
            assert end - begin + 1 <= rate.count + came_back + 1e-3


@given(RATES, st.floats(0, 10, allow_nan=False))
def test_waiting_as_long_as_is_said_helps_and_nothing_shorter_does(rate: Rate, begin: float) -> None:
    full_at = rate.used(0.0, begin, rate.count)
    wait = rate.wait(full_at, begin)
    assert 0 < wait <= rate.seconds / rate.count + 1e-6
    assert rate.wait(full_at, begin + wait * 0.9) > 0
    assert rate.wait(full_at, begin + wait) == 0


@given(RATES, st.integers(0, 50))
def test_what_is_left_can_be_used_at_once_and_no_more(rate: Rate, before: int) -> None:
    full_at = rate.used(0.0, 5.0, min(before, rate.count))
    left = rate.available(full_at, 5.0)
    assert left == rate.count - min(before, rate.count)
    for _ in range(left):
        assert rate.wait(full_at, 5.0) == 0
        full_at = rate.used(full_at, 5.0)
    assert rate.wait(full_at, 5.0) > 0


def test_everything_comes_back_within_the_time_and_not_more_than_that() -> None:
    rate = Rate(10, 60)
    full_at = rate.used(0.0, 100.0, 10)
    assert [rate.available(full_at, 100.0 + seconds) for seconds in (0, 6, 30, 60, 6000)] == [0, 1, 5, 10, 10]
