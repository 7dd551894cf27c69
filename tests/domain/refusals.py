"""Expecting refusals."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from server.domain.errors import Reason, ServiceError


class Refusal:
    """What a block was refused with, once it is left."""

    error: ServiceError


@contextmanager
def refused_with(reason: Reason) -> Iterator[Refusal]:
    """Expect the block to be refused with this reason of the catalog."""
    refusal = Refusal()
    with pytest.raises(ServiceError) as caught:
        yield refusal
    refusal.error = caught.value
    assert refusal.error.reason is reason, f"{refusal.error.reason.name} instead of {reason.name}"


def attempt(act: Callable[[], Any]) -> tuple[Any, ServiceError | None]:
    """Give what the act gave, or what it was refused with."""
    try:
        return act(), None
    except ServiceError as refusal:
        return None, refusal
