"""A run names what it left out, and what runs that."""

from __future__ import annotations

from collections import Counter
from types import SimpleNamespace
from typing import Any

import pytest

from tests import conftest


def _item(*marks: str, keyword: str = "") -> Any:
    option = SimpleNamespace(keyword=keyword)
    return SimpleNamespace(config=SimpleNamespace(option=option), get_closest_marker={mark: mark for mark in marks}.get)


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Begin a run, and give what it says at its end."""
    monkeypatch.setattr(conftest, "_left_out", Counter())
    lines: list[str] = []
    reporter: Any = SimpleNamespace(getreports=lambda outcome: [], write_line=lines.append)

    def end() -> list[str]:
        conftest.pytest_terminal_summary(reporter)
        return lines

    return end


def test_what_is_left_out_by_its_mark_is_counted_once(said: Any) -> None:
    conftest.pytest_deselected([_item("slow"), _item("slow", "faults"), _item("slow"), _item("parametrize")])
    assert said() == [
        "1 tests marked `faults` weren't run, since they take long: make test-faults",
        "2 tests marked `slow` weren't run, since they take long: make test-slow",
    ]


def test_what_every_worker_left_out_is_the_same(said: Any) -> None:
    for count in (7, 7):
        conftest.pytest_testnodedown(SimpleNamespace(workeroutput={"left out": {"slow": count}}))
    conftest.pytest_testnodedown(SimpleNamespace())
    assert said() == ["7 tests marked `slow` weren't run, since they take long: make test-slow"]


def test_who_chose_tests_by_name_is_told_nothing_of_others(said: Any) -> None:
    conftest.pytest_deselected([_item("slow", keyword="invite")])
    assert said() == []
