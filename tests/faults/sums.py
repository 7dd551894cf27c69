"""Figures of several runs in one."""

from __future__ import annotations

import operator
from dataclasses import dataclass, fields
from typing import Self


@dataclass
class Summed:
    """Figures that can be added to those of another run, each field to its like; texts stay."""

    def __iadd__(self, other: Self) -> Self:
        for each in fields(self):
            mine = getattr(self, each.name)
            if not isinstance(mine, str):
                setattr(self, each.name, operator.iadd(mine, getattr(other, each.name)))
        return self
