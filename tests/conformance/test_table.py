"""What the document says of the cases is what the tests do."""

from __future__ import annotations

from tests.conformance.table import DOCUMENT, table


def test_the_table_of_cases_is_made_of_the_tests() -> None:
    assert table() in DOCUMENT.read_text(encoding="utf-8"), "python -m tests.conformance.table writes it anew"
