"""Small scatter plots as coordinates of inline SVG: no script draws them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from netspec.console.latency_unit import LatencyUnit
from netspec.console.units import significant

WIDTH, HEIGHT = 360, 260
_LEFT, _RIGHT, _TOP, _BOTTOM = 56, 8, 8, 40
_TICKS = (1, 2, 5)
_MOST_TICKS = 6
#: room on both sides of the values, as a factor
_ROOM = 1.15


@dataclass(frozen=True)
class Axis:
    """A logarithmic axis in px of the plot."""

    low: float
    high: float
    start: float
    end: float

    def at(self, value: float) -> float:
        """Where a value is, px."""
        share = math.log(value / self.low) / math.log(self.high / self.low)
        return round(self.start + share * (self.end - self.start), 1)

    def ticks(self) -> list[float]:
        """Round values along it, from 1, 2 and 5 times powers of ten."""
        powers = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
        for steps in (_TICKS, (1, 3), (1,)):
            every = [step * 10.0**power for power in powers for step in steps]
            ticks = [value for value in every if self.low <= value <= self.high]
            if len(ticks) <= _MOST_TICKS:
                break
        return ticks or [math.sqrt(self.low * self.high)]


@dataclass(frozen=True)
class Scatter:
    """One plot: marks, ticks and one line, all in px."""

    label: str
    x_title: str
    y_title: str
    #: x and y
    marks: Sequence[tuple[float, float]]
    #: place and text
    x_ticks: Sequence[tuple[float, str]]
    y_ticks: Sequence[tuple[float, str]]
    #: from x, y to x, y
    line: tuple[float, float, float, float]


def first_and_second(
    points: Sequence[tuple[float, float]], label: str, names: tuple[str, str]
) -> Scatter:
    """The second target's latency over the first's; the line is where both are equal.

    Args:
        points: both latencies of each subject, ms, above 0; at least one.
        label: for who does not see it.
        names: of the two targets.
    """
    unit = LatencyUnit.of(value for point in points for value in point)
    scaled = [(unit.scale * x, unit.scale * y) for x, y in points]
    values = [value for point in scaled for value in point]
    x, y = _axes((min(values), max(values)), (min(values), max(values)))
    ends = x.at(x.low), y.at(y.low), x.at(x.high), y.at(y.high)
    return _plot(
        scaled, x, y, ends, label, (f"{names[0]}, {unit.name}", f"{names[1]}, {unit.name}")
    )


def ratios(points: Sequence[tuple[float, float]], label: str, name: str) -> Scatter:
    """Second over first, over the first's latency; the line is the ratio 1."""
    unit = LatencyUnit.of(first for first, _ in points)
    scaled = [(unit.scale * first, second / first) for first, second in points]
    firsts, shares = [point[0] for point in scaled], [point[1] for point in scaled]
    x, y = _axes((min(firsts), max(firsts)), (min(*shares, 1.0), max(*shares, 1.0)))
    ends = x.start, y.at(1.0), x.end, y.at(1.0)
    return _plot(scaled, x, y, ends, label, (f"{name}, {unit.name}", "ratio"))


def _axes(x: tuple[float, float], y: tuple[float, float]) -> tuple[Axis, Axis]:
    return (
        Axis(x[0] / _ROOM, x[1] * _ROOM, _LEFT, WIDTH - _RIGHT),
        Axis(y[0] / _ROOM, y[1] * _ROOM, HEIGHT - _BOTTOM, _TOP),
    )


def _plot(
    points: Sequence[tuple[float, float]],
    x: Axis,
    y: Axis,
    line: tuple[float, float, float, float],
    label: str,
    titles: tuple[str, str],
) -> Scatter:
    return Scatter(
        label=label,
        x_title=titles[0],
        y_title=titles[1],
        # Marks that cover each other are one.
        marks=list(dict.fromkeys((x.at(a), y.at(b)) for a, b in points)),
        x_ticks=[(x.at(value), _text(value)) for value in x.ticks()],
        y_ticks=[(y.at(value), _text(value)) for value in y.ticks()],
        line=line,
    )


def _text(value: float) -> str:
    return significant(value, 2).rstrip("0").rstrip(".") if value < 1 else f"{value:.3g}"
