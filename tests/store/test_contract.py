"""The contract of stores leaves nothing out."""

from __future__ import annotations

import inspect
from pathlib import Path

from server.ports import Transaction


def test_the_contract_has_something_to_say_of_every_method_of_the_port() -> None:
    said = "\n".join(path.read_text() for path in Path(__file__).parent.glob("contract*.py"))
    methods = [name for name, _ in inspect.getmembers(Transaction, inspect.isfunction) if not name.startswith("_")]
    assert len(methods) > 20
    assert [name for name in methods if f".{name}(" not in said] == []
