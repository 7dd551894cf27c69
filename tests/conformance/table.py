"""The table of cases in docs/conformance.md, made of the tests themselves.

`python -m tests.conformance.table` writes it anew.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator
from math import prod
from pathlib import Path
from typing import Any

from tests.conformance import test_protocols

DOCUMENT = Path("docs/conformance.md")
HEAD = "| case | Connect | gRPC | gRPC-Web |\n| --- | --- | --- | --- |\n"
_PROTOCOLS = ("connect", "grpc", "grpc-web")


def table() -> str:
    """Give a row for each test: what it holds, and how often it is run in each protocol."""
    rows = list(_rows())
    sums = [sum(counts[protocol] for _, counts in rows) for protocol in _PROTOCOLS]
    lines = [(case, *(counts[protocol] for protocol in _PROTOCOLS)) for case, counts in rows]
    return HEAD + "".join(_line(*line) for line in (*lines, ("all", *sums)))


def _line(case: str, *counts: int) -> str:
    return f"| {case} | {' | '.join(str(count) if count else '–' for count in counts)} |\n"


def _rows() -> Iterator[tuple[str, Counter[str]]]:
    for name, test in vars(test_protocols).items():
        if name.startswith("test_"):
            yield name.removeprefix("test_").replace("_", " "), _counts(test)


def _counts(test: Callable[..., None]) -> Counter[str]:
    """Give how many tests a function makes in each protocol; without a speech it is of Connect's GET."""
    given: dict[str, Any] = {mark.args[0]: mark.args[1] for mark in getattr(test, "pytestmark", ())}
    speeches = given.pop("speech", None)
    protocols = Counter(("connect",)) if speeches is None else Counter(speech.protocol for speech in speeches)
    times = prod(len(values) for values in given.values())
    return Counter({protocol: count * times for protocol, count in protocols.items()})


def main() -> None:
    """Write the table where one stands."""
    written = DOCUMENT.read_text(encoding="utf-8")
    made, found = re.subn(re.escape(HEAD) + r"(\|.*\n)+", lambda _: table(), written)
    assert found == 1, f"{DOCUMENT} has no table of cases"
    DOCUMENT.write_text(made, encoding="utf-8")


if __name__ == "__main__":
    main()
