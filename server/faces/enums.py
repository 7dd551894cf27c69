"""Enum values in JSON that the contract doesn't have.

The runtime leaves them out like unknown fields, which would widen a filter that was meant to narrow, and the rules
never meet them. In binary they arrive as numbers and are refused by the rules.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from protobuf import DescEnum, DescFieldValueEnum, DescFieldValueList, DescFieldValueMessage, DescMessage

from server.domain.errors import FieldViolation

EnumFields = Mapping[str, tuple[str, "frozenset[str | int] | EnumFields"]]
"""By JSON name: a field's name in the contract, and its values or the enum fields of its message."""


@cache
def enum_fields(message: DescMessage) -> EnumFields:
    """Give a message's fields that are enums, or messages with such fields; the contract's messages don't recur."""
    found: dict[str, tuple[str, frozenset[str | int] | EnumFields]] = {}
    for field in message.fields:
        kind = _kind(field.value)
        inside: frozenset[str | int] | EnumFields = {}
        if isinstance(kind, DescEnum):
            inside = frozenset(v.name for v in kind.values) | frozenset(v.number for v in kind.values)
        elif isinstance(kind, DescMessage) and not kind.type_name.startswith("google."):
            inside = enum_fields(kind)
        if inside:
            found[field.json_name] = found[field.name] = (field.name, inside)
    return found


def _kind(value: object) -> object:
    """Give the enum or message that a field holds, one or many of."""
    if isinstance(value, DescFieldValueList):
        return value.element
    if isinstance(value, DescFieldValueEnum):
        return value.enum
    return value.message if isinstance(value, DescFieldValueMessage) else None


def unknown_values(content: Any, fields: EnumFields, path: str = "") -> list[FieldViolation]:
    """Name the enums in a message's JSON that have a value which the contract doesn't know."""
    found: list[FieldViolation] = []
    if not isinstance(content, dict):
        return found
    for name in content.keys() & fields.keys():
        spelled, inside = fields[name]
        many = isinstance(content[name], list)
        for index, item in enumerate(content[name] if many else [content[name]]):
            place = f"{path}{spelled}" + (f"[{index}]" if many else "")
            if not isinstance(inside, frozenset):
                found += unknown_values(item, inside, f"{place}.")
            elif isinstance(item, str | int) and item not in inside:
                names = ", ".join(sorted(v for v in inside if isinstance(v, str)))
                found.append(FieldViolation(place, f"must be one of {names}"))
    return found
