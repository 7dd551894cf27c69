"""Bytes read as text of any kind."""

from __future__ import annotations


def any_text(data: bytes) -> str:
    """Give text; behind a byte 0xED also with halves of surrogate pairs, as JSON can have them."""
    try:
        return data.decode("utf-8", "surrogatepass") if data[:1] == b"\xed" else data.decode("utf-8", "replace")
    except UnicodeDecodeError:
        return data.decode("latin-1")
