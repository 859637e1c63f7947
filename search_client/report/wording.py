"""Numbers, operators and the result table as text, one wording for the page and the terminal."""

from __future__ import annotations

from dataclasses import dataclass

from netspec.console.latency_unit import LatencyUnit
from netspec.console.units import latency_text
from netspec.operators import Operator, Precision
from search_client.report.content import DeployedModel, NetworkResult, Report
from search_client.report.proportions import wilson


def latency(value_ms: float) -> str:
    """A latency with its unit, and digits enough to see a prediction's error in it."""
    return latency_text(value_ms, digits=4)


def percent(value: float) -> str:
    """A share or error given in percent."""
    return f"{value:.1f} %"


def accuracy_interval(share: float, images: int | None) -> str:
    """The 95 % interval of a top-1 in percent; empty where the number of images is not known."""
    if not images:
        return ""
    low, high = wilson(share, images)
    return f"[{100 * low:.1f}, {100 * high:.1f}]"


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
    #: its 95 % interval, empty where the number of images is not known
    accuracy_interval: str
    #: E[LAT] at the end of the search, empty where it was not in the loss
    expected: str
    predicted: str
    measured: str
    interval: str
    error: str
    #: int8: test images on which the file and fake quantization agree; float32: empty
    agreement: str
    #: greatest difference from torch
    difference: str


def result_unit(report: Report) -> LatencyUnit:
    """The unit of the deployed networks' latencies."""
    return LatencyUnit.of(
        value
        for _, result in networks_of(report)
        for model in result.models
        for value in (model.predicted_ms, model.measured_ms)
    )


def result_rows(report: Report) -> tuple[ResultRow, ...]:
    """The result table in `result_unit`: network after network, models in the report's order."""
    unit = result_unit(report)
    return tuple(
        _row(report, role, result, model, unit)
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


def _row(
    report: Report, role: str, result: NetworkResult, model: DeployedModel, unit: LatencyUnit
) -> ResultRow:
    int8 = model.precision == "int8"
    steps = "step" if result.int8_max_steps == 1 else "steps"
    expected = result.expected_ms if model.precision == report.search.precision else None
    accuracy, images = (
        (result.accuracy_int8, result.images_int8)
        if int8
        else (result.accuracy_float, result.images_float)
    )
    return ResultRow(
        role=role,
        network=result.network.name,
        precision=model.precision,
        accuracy=percent(100 * accuracy),
        accuracy_interval=accuracy_interval(accuracy, images),
        expected="" if expected is None else unit.text(expected),
        predicted=unit.text(model.predicted_ms),
        measured=unit.text(model.measured_ms),
        interval=unit.interval(model.measured_low_ms, model.measured_high_ms),
        error=signed_percent(model.prediction_error_percent),
        # two decimals: the goal is 99.5 %
        agreement=f"{100 * result.int8_top1_agreement:.2f} %" if int8 else "",
        difference=(
            f"{result.int8_max_steps} {steps}" if int8 else f"{result.float32_max_difference:.1e}"
        ),
    )
