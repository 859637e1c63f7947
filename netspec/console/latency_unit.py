"""One unit and one number of decimals for all latencies, or energies, of a table or figure."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar, Self

_MOST_DECIMALS = 4
_US_PER_MS = 1000
_FEW_MS = 10


@dataclass(frozen=True)
class LatencyUnit:
    """Latencies as numbers whose decimals stand below each other: us where they are small.

    >>> unit = LatencyUnit.of([0.08788, 0.1181])
    >>> unit.name, unit.text(0.08788), unit.interval(0.1179, 0.1183)
    ('us', '87.88', '[117.90, 118.30]')
    """

    #: of which there are a thousand in the other, and that
    _NAMES: ClassVar = ("us", "ms")

    name: str
    #: units in a millisecond
    scale: int
    decimals: int

    @classmethod
    def of(cls, values_ms: Iterable[float], digits: int = 4) -> Self:
        """Return the unit in which the greatest is short and the least keeps its digits.

        Args:
            values_ms: all that are shown, in ms.
            digits: significant ones of the least that is above 0; at most four decimals.
        """
        known = [value for value in values_ms if value > 0]
        if not known:
            return cls(cls._NAMES[1], 1, 0)
        # A few ms among many us are still read in us: 1,500.0 beside 56.6, not 1.5000 and 0.0566.
        is_small = max(known) < 1 or (max(known) < _FEW_MS and min(known) < 1 / _FEW_MS)
        name, scale = (cls._NAMES[0], _US_PER_MS) if is_small else (cls._NAMES[1], 1)
        magnitude = math.floor(math.log10(scale * min(known)))
        return cls(name, scale, min(max(digits - 1 - magnitude, 0), _MOST_DECIMALS))

    def text(self, value_ms: float) -> str:
        """Return a latency in this unit, without the unit's name."""
        return f"{self.scale * value_ms:.{self.decimals}f}"

    def interval(self, low_ms: float, high_ms: float) -> str:
        """Return an interval in this unit."""
        return f"[{self.text(low_ms)}, {self.text(high_ms)}]"


class EnergyUnit(LatencyUnit):
    """The same of energies, which are given in mJ: uJ where they are small.

    >>> EnergyUnit.of([0.042, 0.118]).name
    'uJ'
    """

    _NAMES = ("uJ", "mJ")
