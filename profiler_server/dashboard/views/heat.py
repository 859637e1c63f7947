"""Colours of a table's cells by value: a class a level, whose colours the style sheet knows."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

LEVELS = 8


@dataclass(frozen=True)
class HeatScale:
    """Levels of equal width on a logarithmic scale: early blocks cost many times what late do."""

    low: float
    high: float

    @classmethod
    def of(cls, values: Iterable[float]) -> HeatScale | None:
        """From the least to the greatest value; None where there is none above 0."""
        above = [value for value in values if value > 0]
        return cls(min(above), max(above)) if above else None

    def level(self, value: float) -> int:
        """From 0, the least, to `LEVELS - 1`."""
        if value <= self.low or self.low == self.high:
            return 0
        share = math.log(value / self.low) / math.log(self.high / self.low)
        return min(int(share * LEVELS), LEVELS - 1)

    @property
    def steps(self) -> list[float]:
        """Where each level begins."""
        ratio = self.high / self.low
        return [self.low * ratio ** (level / LEVELS) for level in range(LEVELS)]
