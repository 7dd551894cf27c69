"""Metadata that callers attach: JSON objects that every wire can say and every reader reads alike."""

from __future__ import annotations

import json
import math
from typing import Any

from server.domain.errors import invalid_field

MAX_METADATA_BYTES = 16 * 1024
"""The largest JSON text of one kind of metadata."""

MAX_DEPTH = 32
"""How deep metadata may be nested; Protobuf's Struct ends at about fifty."""

LARGEST_WHOLE_NUMBER = 2**53
"""Beyond it, readers that know only doubles read another number."""


def require_metadata(name: str, metadata: dict[str, Any]) -> None:
    """Refuse metadata that is too large, nested too deep, or holds numbers that not every reader can read."""
    if not metadata:
        return
    if len(json.dumps(metadata)) > MAX_METADATA_BYTES:
        raise invalid_field(name, f"must be at most {MAX_METADATA_BYTES} bytes of JSON")
    problem = _problem(metadata, MAX_DEPTH)
    if problem:
        raise invalid_field(name, problem)


def _problem(value: Any, left: int) -> str:
    if left < 0:
        return f"must be nested at most {MAX_DEPTH} deep"
    if isinstance(value, float) and not math.isfinite(value):
        return "must hold finite numbers"
    if isinstance(value, int) and abs(value) > LARGEST_WHOLE_NUMBER:
        return f"must hold whole numbers of at most {LARGEST_WHOLE_NUMBER}"
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return next((problem for item in inner if (problem := _problem(item, left - 1))), "")
