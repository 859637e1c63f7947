"""Numbers, operators and the result as words: one wording for the page and the terminal."""

from __future__ import annotations

import math
from dataclasses import dataclass

from netspec.console.units import latency_text
from netspec.operators import Operator, Precision
from search_client.report.content import DeployedModel, NetworkResult, Report

_MOST_DECIMALS = 6
#: signal to noise of a whole search below which it may as well have been drawn: at 3, chance alone
#: moves alpha a third as far
LEAST_SIGNAL = 3.0


def milliseconds(value: float) -> str:
    """A latency in ms with at least three significant digits, without its unit."""
    if value <= 0:
        return "0"
    magnitude = math.floor(math.log10(value))
    decimals = 3 - magnitude if magnitude >= 0 else 2 - magnitude
    return f"{value:.{min(max(decimals, 1), _MOST_DECIMALS)}f}"


def latency(value_ms: float) -> str:
    """A latency with its unit, and digits enough to see a prediction's error in it."""
    return latency_text(value_ms, digits=4)


def interval(low: float, high: float) -> str:
    """An interval of latencies in ms."""
    return f"[{milliseconds(low)}, {milliseconds(high)}]"


def percent(value: float) -> str:
    """A share or error given in percent."""
    return f"{value:.1f} %"


def signed_percent(value: float) -> str:
    """An error in percent with its sign; what rounds to zero has none."""
    rounded = round(value, 1)
    return f"{rounded:+.1f} %" if rounded else "0.0 %"


def shape_label(operator: Operator) -> str:
    """Input side (px), channels and stride, for instance `28 px, 40→80, /2`."""
    stride = operator.total_stride
    return (
        f"{operator.input_size} px, {operator.in_channels}→{operator.out_channels}"
        f"{f', /{stride}' if stride > 1 else ''}"
    )


@dataclass(frozen=True)
class ResultRow:
    """One deployed model in the result table, as text without units."""

    #: `searched`, `baseline`, or the setting of a further MobileNetV2
    role: str
    network: str
    precision: Precision
    #: top-1 in percent
    accuracy: str
    #: E[LAT] in ms at the end of the search, empty where it was not in the loss
    expected_ms: str
    predicted_ms: str
    measured_ms: str
    interval_ms: str
    error: str
    #: int8: test images on which the file and fake quantization agree; float32: empty
    agreement: str
    #: greatest difference from torch
    difference: str


def result_rows(report: Report) -> tuple[ResultRow, ...]:
    """The result table: network after network, each model in the report's order."""
    return tuple(
        _row(report, role, result, model)
        for role, result in networks_of(report)
        for model in result.models
    )


def networks_of(report: Report) -> tuple[tuple[str, NetworkResult], ...]:
    """Every network with its role: searched, baseline, further MobileNetV2 by their settings."""
    further = ((setting_of(result), result) for result in report.further)
    return ("searched", report.searched), ("baseline", report.baseline), *further


def setting_of(result: NetworkResult) -> str:
    """Input side (px) and width multiplier of a MobileNetV2, for instance `192-0.75`."""
    # `netspec.networks.mobilenet_v2` names a network by its setting.
    return result.network.name.rpartition(" ")[2]


def _row(report: Report, role: str, result: NetworkResult, model: DeployedModel) -> ResultRow:
    int8 = model.precision == "int8"
    steps = "step" if result.int8_max_steps == 1 else "steps"
    expected = result.expected_ms if model.precision == report.search.precision else None
    return ResultRow(
        role=role,
        network=result.network.name,
        precision=model.precision,
        accuracy=percent(100 * (result.accuracy_int8 if int8 else result.accuracy_float)),
        expected_ms="" if expected is None else milliseconds(expected),
        predicted_ms=milliseconds(model.predicted_ms),
        measured_ms=milliseconds(model.measured_ms),
        interval_ms=interval(model.measured_low_ms, model.measured_high_ms),
        error=signed_percent(model.prediction_error_percent),
        # two decimals: the goal is 99.5 %
        agreement=f"{100 * result.int8_top1_agreement:.2f} %" if int8 else "",
        difference=(
            f"{result.int8_max_steps} {steps}" if int8 else f"{result.float32_max_difference:.1e}"
        ),
    )


def signal(snr: float, steps: int) -> str:
    """What the signal to noise of alpha's gradient says of a search.

    Args:
        snr: of one architecture step.
        steps: architecture steps; their sum's signal to noise is sqrt(steps) times that of one.
    """
    summed = snr * math.sqrt(steps)
    said = (
        f"The gradient of alpha had a signal to noise of {snr:.2g} a step, {summed:.2g} over "
        f"{steps} architecture steps"
    )
    if summed >= LEAST_SIGNAL:
        return f"{said}."
    return (
        f"{said}: too small to mean anything, chance moved alpha as far as the accuracy did. Give "
        "more architecture steps, search.architecture_batches or larger batches, or let scores "
        "decide (search.method = evolution)."
    )


def headline(report: Report) -> str:
    """What came out of the run, in two or three sentences."""
    searched, baseline = report.searched, report.baseline
    faster = 100 * (searched.measured_ms["int8"] / baseline.measured_ms["int8"] - 1)
    points = 100 * (searched.accuracy_int8 - baseline.accuracy_int8)
    return (
        f"The searched network takes {_int8_result(searched, report.identity.device_model)}; "
        f"{baseline.network.name} takes {_int8_result(baseline)}. "
        f"Against this baseline the searched network needs {_compared(faster, '%', 'time')} "
        f"and has {_compared(points, 'points', 'accuracy')}."
    )


def _int8_result(result: NetworkResult, device: str = "") -> str:
    measured, predicted = result.measured_ms["int8"], result.predicted_ms["int8"]
    error = signed_percent(100 * (predicted - measured) / measured)
    place = f" as int8 on {device}" if device else ""
    return (
        f"{latency(measured)}{place}, predicted {latency(predicted)} ({error}), "
        f"and is right on {percent(100 * result.accuracy_int8)} of the test images"
    )


def _compared(difference: float, unit: str, what: str) -> str:
    rounded = round(difference, 1)
    if not rounded:
        return f"the same {what}"
    return f"{abs(rounded):.1f} {unit} {'more' if rounded > 0 else 'less'} {what}"
