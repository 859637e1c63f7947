"""Whole networks predicted against measured, and what their operators cost."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain, repeat

from markupsafe import Markup
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from netspec.console.units import significant
from netspec.operators import Precision
from search_client.report.content import NetworkResult, Report
from search_client.report.figures.canvas import (
    INK,
    LINE,
    MUTED,
    PRECISION_COLOURS,
    draw,
)
from search_client.report.wording import (
    latency,
    networks_of,
    shape_label,
)

_SCATTER_SIZE = (500, 440)
_BAND = 0.05
_BARS_WIDTH = 500
_BARS_ROW = 26
_BARS_EDGE = 74
_US_PER_MS = 1000


def predicted_against_measured(report: Report, precision: Precision) -> Markup:
    """Calibration networks (hollow) and deployed models (filled) of one precision.

    Around the diagonal a band of 5 %.
    """
    calibration = next((c for c in report.calibrations if c.precision == precision), None)
    fitted = (
        [(n.measured_ms, calibration.predict_ms(n.sum_ms)) for n in calibration.networks]
        if calibration
        else []
    )
    deployed = [
        (role, mark, model.measured_ms, model.predicted_ms)
        # all further ones bear one mark
        for (role, result), mark in zip(networks_of(report), chain("oD", repeat("s")), strict=False)
        for model in result.models
        if model.precision == precision
    ]
    values = [value for pair in fitted for value in pair]
    values += [value for *_, measured, predicted in deployed for value in (measured, predicted)]
    low, high = min(values), max(values)
    room = max(0.12 * (high - low), 0.08 * high)
    ends = (max(low - room, 0.0), high + room)
    colour = PRECISION_COLOURS[precision]

    def paint(figure: Figure) -> None:
        figure.set_layout_engine("constrained")
        axes = figure.subplots()
        lower, upper = ([(1 + sign * _BAND) * end for end in ends] for sign in (-1, 1))
        axes.fill_between(ends, lower, upper, color=LINE, alpha=0.7, label="±5 %")
        axes.plot(ends, ends, color=MUTED, linewidth=1)
        if fitted:
            axes.plot(
                *zip(*fitted, strict=True),
                linestyle="none",
                marker="o",
                markersize=7.5,
                markerfacecolor="none",
                markeredgecolor=INK,
                label="calibration networks",
            )
        for role, mark, measured, predicted in deployed:
            axes.plot(
                measured, predicted, ls="none", marker=mark, markersize=9, color=colour, label=role
            )
        axes.set(xlim=ends, ylim=ends, aspect="equal", title=precision)
        axes.set_xlabel("measured, ms")
        axes.set_ylabel("predicted, ms")
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_locator(MaxNLocator(5))
        axes.legend(loc="upper left")

    pairs = "; ".join(
        f"{role} predicted {latency(predicted)}, measured {latency(measured)}"
        for role, _, measured, predicted in deployed
    )
    label = f"Predicted against measured latency in {precision}: {pairs}"
    return draw(f"prediction-{precision}", label, _SCATTER_SIZE, paint)


def operator_bars(report: Report, result: NetworkResult, role: str) -> Markup:
    """The corrected entry of each operator of a network, one bar a precision.

    Both networks' bars have the same scale.
    """
    greatest_ms = max(
        value
        for each in (report.searched, report.baseline)
        for model in each.models
        for value in model.operator_ms
    )
    unit, scale = ("us", _US_PER_MS) if greatest_ms < 1 else ("ms", 1)
    operators = result.network.operators
    height = _BARS_EDGE + _BARS_ROW * len(operators)

    def paint(figure: Figure) -> None:
        axes = figure.add_axes(
            (0.40, 44 / height, 0.57, (height - _BARS_EDGE) / height),
        )
        thickness = 0.8 / len(result.models)
        for place, model in enumerate(result.models):
            values = [scale * value for value in model.operator_ms]
            at = [
                row + (place - (len(result.models) - 1) / 2) * thickness
                for row in range(len(operators))
            ]
            axes.barh(
                at,
                values,
                height=thickness * 0.9,
                color=PRECISION_COLOURS[model.precision],
                label=model.precision,
            )
            for y, value in zip(at, values, strict=True):
                axes.text(
                    value + 0.012 * scale * greatest_ms,
                    y,
                    significant(value),
                    size=8.5,
                    va="center_baseline",
                    color=MUTED,
                )
        axes.set_ylim(len(operators) - 0.4, -0.6)
        axes.set_xlim(0, 1.14 * scale * greatest_ms)
        axes.set_yticks(range(len(operators)), [""] * len(operators))
        axes.tick_params(axis="y", length=0)
        _operator_names(figure, axes_height=height, labels=_labels(result))
        axes.grid(axis="x")
        axes.set_axisbelow(True)
        axes.set_xlabel(f"corrected entry, {unit}")
        axes.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=2, borderaxespad=0.2)

    dearest = "; ".join(
        f"{model.precision}: {labels[0]} costs most, {latency(value)}"
        for model in result.models
        for value, labels in [max(zip(model.operator_ms, _labels(result), strict=True))]
    )
    return draw(
        f"operators-{role}",
        f"Latency by operator of the {role} network. {dearest}",
        (_BARS_WIDTH, height),
        paint,
    )


def _labels(result: NetworkResult) -> list[tuple[str, str]]:
    return [(each.label, shape_label(each)) for each in result.network.operators]


def _operator_names(
    figure: Figure, *, axes_height: float, labels: Sequence[tuple[str, str]]
) -> None:
    for row, (name, shape) in enumerate(labels):
        # the axes start 30 px below the top and each row's middle lies 0.6 rows in
        rows = len(labels)
        y = 1 - (30 + (row + 0.6) * (axes_height - _BARS_EDGE) / (rows + 0.2)) / axes_height
        figure.text(0.005, y, name, size=10, va="center")
        figure.text(0.165, y, shape, size=9.5, va="center", color=MUTED)
