"""Accuracy against latency of many networks, and the front that nothing beats."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from search_client.report.figures.canvas import ACCENT, INK, MUTED, SECOND_ACCENT, draw
from search_client.report.runs import ComparedRuns, RunNetwork
from search_client.report.wording import latency, percent

_SIZE = (680, 450)
#: px between a mark's middle and its number's, in the order in which they are tried
_PLACES = ((0, 14), (14, 6), (-14, 6), (0, -14), (14, -10), (-14, -10), (0, 27), (0, -27))
#: px within which two texts, or a text and a mark, would touch
_NEAR = (15.0, 13.0)
_MARKS = {"searched": ("o", ACCENT), "MobileNetV2": ("D", SECOND_ACCENT)}


def accuracy_against_latency(compared: ComparedRuns) -> Markup:
    """Every network as a numbered mark, with the interval of its latency, and the front."""
    networks, front = compared.networks, compared.front

    def paint(figure: Figure) -> None:
        figure.set_layout_engine("constrained")
        axes = figure.subplots()
        _front(axes, front)
        for role, (mark, colour) in _MARKS.items():
            _marks(
                axes, [network for network in networks if network.role == role], role, mark, colour
            )
        axes.margins(0.12, 0.15)
        axes.set_xlabel(f"measured latency, ms ({compared.precision})")
        axes.set_ylabel("top-1, %")
        axes.grid()
        axes.set_axisbelow(True)
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_locator(MaxNLocator(6))
        axes.legend(loc="lower right")
        figure.draw_without_rendering()
        _numbers(axes, networks)

    best = "; ".join(
        f"{best_network.run}, {best_network.role}: {percent(100 * best_network.accuracy)} at "
        f"{latency(best_network.measured_ms)}"
        for best_network in front
    )
    return draw("front", f"Accuracy against latency. On the front: {best}", _SIZE, paint)


def _front(axes: Axes, front: Sequence[RunNetwork]) -> None:
    axes.step(
        [network.measured_ms for network in front],
        [100 * network.accuracy for network in front],
        where="post",
        color=MUTED,
        linewidth=1.2,
        linestyle=(0, (5, 3)),
        label="front",
    )


def _marks(axes: Axes, networks: Sequence[RunNetwork], role: str, mark: str, colour: str) -> None:
    for network in networks:
        axes.plot(
            (network.measured_low_ms, network.measured_high_ms),
            (100 * network.accuracy, 100 * network.accuracy),
            color=colour,
            linewidth=1.4,
        )
    for filled in (True, False):
        some = [one for one in networks if one.on_front == filled]
        if some:
            axes.plot(
                [one.measured_ms for one in some],
                [100 * one.accuracy for one in some],
                linestyle="none",
                marker=mark,
                markersize=8.5,
                color=colour,
                markerfacecolor=colour if filled else "none",
                label=role if filled else f"{role}, beaten",
            )


def _numbers(axes: Axes, networks: Sequence[RunNetwork]) -> None:
    """A number at every mark, where it touches neither a mark nor another number."""
    middles = [
        tuple(axes.transData.transform((network.measured_ms, 100 * network.accuracy)))
        for network in networks
    ]
    taken = [(float(x), float(y)) for x, y in middles]
    for number, (x, y) in enumerate(tuple(taken), start=1):
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
            (networks[number - 1].measured_ms, 100 * networks[number - 1].accuracy),
            xytext=away,
            textcoords="offset points",
            ha="center",
            va="center",
            size=10,
            color=INK,
        )
