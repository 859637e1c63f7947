"""Small figures, drawn as SVG inside a page: they need no script and no style of their own.

A figure has 1,000 by 100 units whatever its size on the screen; lines keep their width.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

WIDTH, HEIGHT = 1_000, 100
#: of the height, kept free above and below what is drawn
_MARGIN = 0.08
#: a flat line is drawn in the middle of a range of this share of its value
_FLAT = 0.05


@dataclass(frozen=True)
class ValueRange:
    """A range of values, with the numbers that stand at its ends."""

    low: float
    high: float

    @classmethod
    def around(cls, values: Sequence[float], *, from_zero: bool = False) -> ValueRange:
        """The range that the values have; of equal ones a little more."""
        low, high = min(values), max(values)
        if from_zero:
            low = min(0.0, low)
        if high - low < 1e-9 * max(abs(high), 1.0):
            spread = _FLAT * abs(high) or 1.0
            return cls(low if from_zero else low - spread, high + spread)
        return cls(low, high)

    def share(self, value: float) -> float:
        """Where a value is: 0 at the low end, 1 at the high one."""
        return (value - self.low) / (self.high - self.low)


@dataclass(frozen=True)
class Bar:
    """A rectangle of a figure, in its units, with what it says."""

    x: float
    y: float
    width: float
    height: float
    title: str


@dataclass(frozen=True)
class Mark:
    """A horizontal or vertical line that a figure has a name for."""

    at: float
    name: str
    #: across the figure's height, at an x
    is_vertical: bool = False


@dataclass(frozen=True)
class Figure:
    """A figure; `label` says all that it shows, for who does not see it."""

    label: str
    #: below its left and right end
    left: str
    right: str
    #: beside its upper and lower end
    top: str = ""
    bottom: str = ""
    #: points of lines, as SVG writes them; where values are missing a line ends
    lines: Sequence[str] = ()
    #: centres of dots
    dots: Sequence[tuple[float, float]] = ()
    bars: Sequence[Bar] = ()
    marks: Sequence[Mark] = field(default_factory=tuple)


def line(
    at: Sequence[float], values: Sequence[float | None], axis: ValueRange
) -> tuple[list[str], list[tuple[float, float]]]:
    """The pieces of a line, and what is too short for one as dots.

    Args:
        at: where each value is between 0 and 1.
        values: None where there is none.
        axis: of the values.
    """
    pieces: list[list[tuple[float, float]]] = [[]]
    for place, value in zip(at, values, strict=True):
        if value is None:
            pieces.append([])
        else:
            pieces[-1].append((round(place * WIDTH, 1), y_of(value, axis)))
    lines = [" ".join(f"{x},{y}" for x, y in piece) for piece in pieces if len(piece) > 1]
    return lines, [piece[0] for piece in pieces if len(piece) == 1]


def y_of(value: float, axis: ValueRange) -> float:
    """How far below the upper edge a value is drawn."""
    share = min(max(axis.share(value), 0.0), 1.0)
    return round(HEIGHT * (_MARGIN + (1 - 2 * _MARGIN) * (1 - share)), 1)


def bars(counts: Sequence[int], titles: Sequence[str]) -> list[Bar]:
    """A bar a count from left to right, as high as its share of the greatest."""
    most = max(counts, default=0) or 1
    step = WIDTH / max(len(counts), 1)
    high = HEIGHT * (1 - _MARGIN)
    return [
        Bar(
            x=round(number * step, 1),
            y=round(HEIGHT - high * count / most, 1),
            width=round(step * 0.9, 1),
            height=round(high * count / most, 1),
            title=title,
        )
        for number, (count, title) in enumerate(zip(counts, titles, strict=True))
        if count
    ]


def histogram(values: Sequence[float], most_bins: int = 40) -> tuple[list[int], list[float]]:
    """How many values lie between edges: about as many bins as their number has roots.

    Returns:
        Counts, and edges, one more than counts.
    """
    bins = min(max(round(2 * math.sqrt(len(values))), 5), most_bins)
    counts, edges = np.histogram(np.asarray(values, dtype=float), bins=bins)
    return [int(count) for count in counts], [float(edge) for edge in edges]
