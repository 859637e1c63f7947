"""Whole networks predicted against measured, and what their operators cost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain, repeat

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from netspec.console.latency_unit import LatencyUnit
from netspec.console.units import significant
from netspec.operators import Precision
from search_client.report.content import NetworkResult, Report
from search_client.report.figures.canvas import INK, LINE, MUTED, PRECISION_COLOURS, Drawing
from search_client.report.wording import latency, networks_of, shape_label

_SCATTER_SIZE = (500, 520)
_BARS_WIDTH = 500
_BARS_ROW = 26
_BARS_EDGE = 74


@dataclass(frozen=True)
class _Point:
    """One network, predicted by what has not seen it."""

    name: str
    mark: str
    measured_ms: float
    predicted_ms: float
    #: 95 % interval of the measured value, ms; equal to it where it is not known
    low_ms: float
    high_ms: float
    deployed: bool

    def error_percent(self, measured_ms: float) -> float:
        return 100 * (self.predicted_ms / measured_ms - 1)


def predicted_against_measured(report: Report, precision: Precision) -> Drawing:
    """Predicted over measured latency and, below it, the error in percent over the same axis.

    Filled: deployed models, with the 95 % interval of their measured latency. Hollow: calibration
    networks, each predicted by a calibration that was fitted without it; where a snapshot does not
    tell these predictions they are left out. Shaded: the calibration's 95 % prediction interval.
    """
    calibration = next((c for c in report.calibrations if c.precision == precision), None)
    factor = calibration.interval_factor if calibration else None
    points = _points(report, precision)
    values = [value for p in points for value in (p.measured_ms, p.predicted_ms)]
    unit = LatencyUnit.of(values)
    low, high = min(values), max(values)
    room = max(0.12 * (high - low), 0.08 * high)
    ends = [unit.scale * end for end in (max(low - room, 0.0), high + room)]
    colour = PRECISION_COLOURS[precision]

    def mark(axes: Axes, point: _Point, y: float) -> None:
        axes.plot(
            unit.scale * point.measured_ms,
            y,
            linestyle="none",
            marker=point.mark,
            markersize=9 if point.deployed else 7.5,
            markerfacecolor=colour if point.deployed else "none",
            markeredgecolor=colour if point.deployed else INK,
            label=point.name if point.deployed else "held out of the calibration",
        )

    def paint(figure: Figure) -> None:
        figure.set_layout_engine("constrained")
        upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(3, 2))
        upper.plot(ends, ends, color=MUTED, linewidth=1)
        lower.axhline(0, color=MUTED, linewidth=1)
        if factor is not None:
            upper.fill_between(
                ends,
                [end / factor for end in ends],
                [end * factor for end in ends],
                color=LINE,
                alpha=0.6,
                label="95 % of networks",
            )
            lower.axhspan(100 / factor - 100, 100 * factor - 100, color=LINE, alpha=0.6)
        for point in points:
            mark(upper, point, unit.scale * point.predicted_ms)
            mark(lower, point, point.error_percent(point.measured_ms))
            if point.deployed:
                lower.plot(
                    [unit.scale * point.measured_ms] * 2,
                    [point.error_percent(point.low_ms), point.error_percent(point.high_ms)],
                    color=colour,
                    linewidth=1.6,
                )
        upper.set(xlim=ends, ylim=ends, title=precision)
        upper.set_ylabel(f"predicted, {unit.name}")
        lower.set_ylabel("error, %")
        lower.set_xlabel(f"measured, {unit.name}")
        for axes in (upper, lower):
            axes.xaxis.set_major_locator(MaxNLocator(5))
            axes.yaxis.set_major_locator(MaxNLocator(5))
        lower.grid(axis="y")
        lower.set_axisbelow(True)
        lower.margins(y=0.2)
        named = dict(zip(*reversed(upper.get_legend_handles_labels()), strict=True))
        upper.legend(named.values(), named.keys(), loc="upper left")

    pairs = "; ".join(
        f"{point.name} predicted {latency(point.predicted_ms)}, "
        f"measured {latency(point.measured_ms)}"
        for point in points
        if point.deployed
    )
    return Drawing(
        f"prediction-{precision}",
        f"Predicted against measured latency in {precision}, and the error in percent: {pairs}",
        _SCATTER_SIZE,
        paint,
        (
            "network",
            "deployed",
            "predicted_ms",
            "measured_ms",
            "measured_low_ms",
            "measured_high_ms",
            "error_percent",
        ),
        [
            (
                point.name,
                int(point.deployed),
                point.predicted_ms,
                point.measured_ms,
                point.low_ms,
                point.high_ms,
                point.error_percent(point.measured_ms),
            )
            for point in points
        ],
    )


def _points(report: Report, precision: Precision) -> list[_Point]:
    calibration = next((c for c in report.calibrations if c.precision == precision), None)
    held_out = [
        _Point(
            network.name,
            "o",
            network.measured_ms,
            network.held_out_ms,
            network.measured_ms,
            network.measured_ms,
            deployed=False,
        )
        for network in (calibration.networks if calibration else ())
        if network.held_out_ms is not None and network.measured_ms
    ]
    return held_out + [
        _Point(
            role,
            mark,
            model.measured_ms,
            model.predicted_ms,
            model.measured_low_ms,
            model.measured_high_ms,
            deployed=True,
        )
        # all further ones bear one mark
        for (role, result), mark in zip(networks_of(report), chain("oD", repeat("s")), strict=False)
        for model in result.models
        if model.precision == precision
    ]


def operator_bars(report: Report, result: NetworkResult, role: str) -> Drawing:
    """The corrected entry of each operator of a network, one bar a precision.

    Both networks' bars have the same scale.
    """
    greatest_ms = max(
        value
        for each in (report.searched, report.baseline)
        for model in each.models
        for value in model.operator_ms
    )
    unit = LatencyUnit.of([greatest_ms])
    scale = unit.scale
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
        axes.set_xlabel(f"corrected entry, {unit.name}")
        axes.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=2, borderaxespad=0.2)

    dearest = "; ".join(
        f"{model.precision}: {labels[0]} costs most, {latency(value)}"
        for model in result.models
        for value, labels in [max(zip(model.operator_ms, _labels(result), strict=True))]
    )
    return Drawing(
        f"operators-{role}",
        f"Latency by operator of the {role} network. {dearest}",
        (_BARS_WIDTH, height),
        paint,
        ("position", "operator", "key", "precision", "corrected_ms"),
        [
            (
                place + 1,
                operator.label,
                operator.with_precision(model.precision).key,
                model.precision,
                value,
            )
            for model in result.models
            for place, (operator, value) in enumerate(
                zip(operators, model.operator_ms, strict=True)
            )
        ],
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
