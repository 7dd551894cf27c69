"""Text that people write and others see in a line: a name, a subject."""

from __future__ import annotations

import unicodedata

_BIDI_MARKS = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def is_plain_line(text: str) -> bool:
    """Tell whether the text has no line breaks, control characters or marks that turn its direction."""
    if text.isascii():
        return text.isprintable()
    return not any(char in _BIDI_MARKS or unicodedata.category(char) in ("Cc", "Cs", "Zl", "Zp") for char in text)
