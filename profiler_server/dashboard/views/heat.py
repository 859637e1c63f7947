"""Colours of a table's cells by latency: a class a level, whose colours the style sheet knows."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

LEVELS = 8


@dataclass(frozen=True)
class HeatScale:
    """Levels of equal width on a logarithmic scale: early blocks cost many times what late do."""

    low_ms: float
    high_ms: float

    @classmethod
    def of(cls, values_ms: Iterable[float]) -> HeatScale | None:
        """From the least to the greatest value; None where there is none above 0."""
        above = [value for value in values_ms if value > 0]
        return cls(min(above), max(above)) if above else None

    def level(self, value_ms: float) -> int:
        """From 0, the fastest, to `LEVELS - 1`."""
        if value_ms <= self.low_ms or self.low_ms == self.high_ms:
            return 0
        share = math.log(value_ms / self.low_ms) / math.log(self.high_ms / self.low_ms)
        return min(int(share * LEVELS), LEVELS - 1)

    @property
    def steps_ms(self) -> list[float]:
        """Where each level begins."""
        ratio = self.high_ms / self.low_ms
        return [self.low_ms * ratio ** (level / LEVELS) for level in range(LEVELS)]
