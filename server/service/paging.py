"""Page tokens: opaque to callers, and bound to the list they came from."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from typing import Any

from server.domain.errors import PAGE_TOKEN_INVALID, ServiceError

DEFAULT_PAGE_SIZE = 25
MAX_PAGE_SIZE = 100


def page_limit(page_size: int) -> int:
    """Give how many rows a page holds; 0 means the default."""
    return min(page_size or DEFAULT_PAGE_SIZE, MAX_PAGE_SIZE)


def _list_key(listing: object) -> str:
    return hashlib.sha256(repr(listing).encode()).hexdigest()[:12]


def page_token(listing: object, after: tuple[str | int, ...] | None) -> str:
    """Give the token of the place `after` in a list that `listing` describes (filter and order); "" at the end."""
    if after is None:
        return ""
    content = json.dumps([_list_key(listing), *after], separators=(",", ":"), ensure_ascii=False)
    return base64.urlsafe_b64encode(content.encode()).decode().rstrip("=")


def page_place(listing: object, token: str, *types: type) -> tuple[Any, ...] | None:
    """Give the place that a token of this list names, None for the beginning; `PAGE_TOKEN_INVALID` otherwise.

    `types` are the types that the place's parts must have.
    """
    if not token:
        return None
    try:
        key, *after = json.loads(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
    except (binascii.Error, ValueError, TypeError, RecursionError) as error:
        raise ServiceError(PAGE_TOKEN_INVALID) from error
    if key != _list_key(listing) or [type(part) for part in after] != list(types) or not all(map(_can_be_kept, after)):
        raise ServiceError(PAGE_TOKEN_INVALID)
    return tuple(after)


def _can_be_kept(part: str | int) -> bool:
    """Tell whether a database can be asked for it: who knows how tokens are made can make any."""
    if isinstance(part, int):
        return -(2**63) <= part < 2**63
    return "\0" not in part and not any("\ud800" <= char <= "\udfff" for char in part)
