"""Accuracy against latency of many networks, and the front that nothing beats."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from netspec.console.latency_unit import LatencyUnit
from search_client.report.figures.canvas import INK, MUTED, Drawing
from search_client.report.runs import ComparedRuns, RunNetwork
from search_client.report.wording import latency, percent

_SIZE = (760, 470)
#: px between a mark's middle and its number's, in the order in which they are tried
_PLACES = ((0, 14), (14, 6), (-14, 6), (0, -14), (14, -10), (-14, -10), (0, 27), (0, -27))
#: px within which two texts, or a text and a mark, would touch
_NEAR = (15.0, 13.0)
_MARKS = {"searched": ("o", "#3b82c4"), "MobileNetV2": ("D", "#d9772b")}
#: marks above so many are smaller, and their intervals paler
_FEW = 20


def accuracy_against_latency(compared: ComparedRuns, *, numbered: bool = True) -> Drawing:
    """Every network as a mark with both intervals, and the front.

    Args:
        compared: the networks.
        numbered: give every network its number, as a part of the figure `number-1` that a page may
            hide; else those of the front alone have one.
    """
    networks, front = compared.networks, compared.front
    unit = LatencyUnit.of(network.measured_ms for network in networks)

    def paint(figure: Figure) -> None:
        figure.set_layout_engine("constrained")
        axes = figure.subplots()
        axes.step(
            [unit.scale * network.measured_ms for network in front],
            [100 * network.accuracy for network in front],
            where="post",
            color=MUTED,
            linewidth=1.2,
            linestyle=(0, (5, 3)),
            label="front",
        )
        for number, network in enumerate(networks, start=1):
            _intervals(axes, network, unit, few=len(networks) <= _FEW)
            _mark(axes, network, number, unit, few=len(networks) <= _FEW)
        axes.margins(0.08, 0.12)
        axes.set_xlabel(f"measured latency, {unit.name} ({compared.precision})")
        axes.set_ylabel("top-1, %")
        axes.grid()
        axes.set_axisbelow(True)
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_locator(MaxNLocator(6))
        named = dict(zip(*reversed(axes.get_legend_handles_labels()), strict=True))
        axes.legend(named.values(), named.keys(), loc="lower right")
        figure.draw_without_rendering()
        _numbers(axes, networks, unit, every=numbered)

    best = "; ".join(
        f"{', '.join(network.runs[:1])}, {network.role}: {percent(100 * network.accuracy)} at "
        f"{latency(network.measured_ms)}"
        for network in front
    )
    return Drawing(
        "front",
        f"Accuracy against latency. On the front: {best}",
        _SIZE,
        paint,
        ("number", "runs", *_FIELDS),
        [
            (number, " ".join(network.runs), *(getattr(network, name) for name in _FIELDS))
            for number, network in enumerate(networks, start=1)
        ],
        {f"mark-{number}": _told(number, each) for number, each in enumerate(networks, start=1)},
    )


_FIELDS = (
    *("role", "network", "trainings", "accuracy", "accuracy_low", "accuracy_high"),
    *("predicted_ms", "measured_ms", "measured_low_ms", "measured_high_ms", "on_front"),
)


def _told(number: int, network: RunNetwork) -> str:
    """What pointing at a mark says."""
    first, *others = network.runs
    runs = f"{first} and {len(others)} more" if others else first
    return (
        f"{number}: {network.role} {network.network}, {runs}: {percent(100 * network.accuracy)} at "
        f"{latency(network.measured_ms)}"
    )


def _intervals(axes: Axes, network: RunNetwork, unit: LatencyUnit, *, few: bool) -> None:
    colour = _MARKS[network.role][1]
    at = unit.scale * network.measured_ms, 100 * network.accuracy
    width, alpha = (1.4, 0.8) if few else (0.9, 0.35)
    lows = unit.scale * network.measured_low_ms, unit.scale * network.measured_high_ms
    axes.plot(lows, (at[1], at[1]), color=colour, linewidth=width, alpha=alpha)
    if network.accuracy_low is not None and network.accuracy_high is not None:
        ends = 100 * network.accuracy_low, 100 * network.accuracy_high
        axes.plot((at[0], at[0]), ends, color=colour, linewidth=width, alpha=alpha)


def _mark(axes: Axes, network: RunNetwork, number: int, unit: LatencyUnit, *, few: bool) -> None:
    mark, colour = _MARKS[network.role]
    axes.plot(
        unit.scale * network.measured_ms,
        100 * network.accuracy,
        linestyle="none",
        marker=mark,
        markersize=8.5 if few else 6.5,
        color=colour,
        markerfacecolor=colour if network.on_front else "none",
        label=network.role if network.on_front else f"{network.role}, beaten",
        gid=f"mark-{number}",
    )


def _numbers(axes: Axes, networks: Sequence[RunNetwork], unit: LatencyUnit, *, every: bool) -> None:
    """Numbers at the marks, where they touch neither a mark nor another number."""
    points = [(unit.scale * one.measured_ms, 100 * one.accuracy) for one in networks]
    middles = [tuple(axes.transData.transform(point)) for point in points]
    taken = [(float(x), float(y)) for x, y in middles]
    for number, (network, (x, y)) in enumerate(zip(networks, tuple(taken), strict=True), start=1):
        if not (every or network.on_front):
            continue
        others = [place for place in taken if place != (x, y)]
        away = next(
            (
                (right, up)
                for right, up in _PLACES
                if not any(
                    abs(x + right - a) < _NEAR[0] and abs(y + up - b) < _NEAR[1] for a, b in others
                )
            ),
            _PLACES[0],
        )
        taken.append((x + away[0], y + away[1]))
        axes.annotate(
            str(number),
            points[number - 1],
            xytext=away,
            textcoords="offset points",
            ha="center",
            va="center",
            size=10,
            color=INK,
            gid=f"number-{'front' if network.on_front else 'beaten'}-{number}",
        )
