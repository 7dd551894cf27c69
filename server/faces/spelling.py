"""One id, several spellings: each wire has limits of its own, and every spelling leads back to the UUID inside.

Clerk writes a prefix and 27 base-62 digits. Logto's SDK refuses more than 21 characters: a UUID of version 4 or 7 has
122 free bits, and the version takes one more, which 21 base-62 digits (125 bits) hold.
"""

from __future__ import annotations

import uuid

_DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_VALUES = {digit: value for value, digit in enumerate(_DIGITS)}
_CLERK_LENGTH = 27
_LOGTO_LENGTH = 21
_LOW_62 = (1 << 62) - 1
_LOW_12 = (1 << 12) - 1


def _base62(number: int, length: int) -> str:
    digits = []
    for _ in range(length):
        number, digit = divmod(number, 62)
        digits.append(_DIGITS[digit])
    return "".join(reversed(digits))


def _number(text: str) -> int | None:
    number = 0
    for char in text:
        value = _VALUES.get(char)
        if value is None:
            return None
        number = number * 62 + value
    return number


def clerk_id(prefix: str, id_: str) -> str:
    """Spell an id as Clerk does: `org_…`, `user_…`, `orginv_…`, `orgmem_…`."""
    return f"{prefix}_{_base62(uuid.UUID(id_).int, _CLERK_LENGTH)}"


def from_clerk_id(prefix: str, text: str) -> str | None:
    """Read a Clerk spelling; None when it is none."""
    head, _, digits = text.rpartition("_")
    number = _number(digits) if head == prefix and len(digits) == _CLERK_LENGTH else None
    return str(uuid.UUID(int=number)) if number is not None and number < 1 << 128 else None


def logto_id(id_: str) -> str:
    """Spell an id of version 4 or 7 in 21 characters, as Logto's SDK demands."""
    value = uuid.UUID(id_)
    number = value.int
    free = (number >> 80) << 74 | ((number >> 64) & _LOW_12) << 62 | (number & _LOW_62)
    if value.version not in (4, 7) or value.variant != uuid.RFC_4122:
        raise ValueError("only ids of version 4 or 7 have a short spelling")
    return _base62(free | (1 << 122 if value.version == 7 else 0), _LOGTO_LENGTH)


def from_logto_id(text: str) -> str | None:
    """Read a 21-character spelling; None when it is none."""
    number = _number(text) if len(text) == _LOGTO_LENGTH else None
    if number is None or number >= 1 << 123:
        return None
    version = 7 if number >> 122 else 4
    free = number & ((1 << 122) - 1)
    high, middle, low = free >> 74, (free >> 62) & _LOW_12, free & _LOW_62
    return str(uuid.UUID(int=high << 80 | version << 76 | middle << 64 | 0b10 << 62 | low))


_PREFIXES = {"account": "user", "organization": "org", "invitation": "orginv"}
"""How Clerk calls what has a spelling there."""


def from_any_spelling(kind: str, text: str) -> str | None:
    """Read an id of a kind in whatever spelling; None when it is none."""
    try:
        return str(uuid.UUID(text))
    except ValueError:
        return from_clerk_id(_PREFIXES[kind], text) or from_logto_id(text)


def spellings(kind: str, id_: str) -> dict[str, str]:
    """Give all spellings of an id, by wire; `kind` is `account`, `organization`, `invitation` or `role`."""
    ids = {"gitpod": id_, "koyeb": id_, "logto": logto_id(id_)}
    return ids | ({"clerk": clerk_id(_PREFIXES[kind], id_)} if kind in _PREFIXES else {})
