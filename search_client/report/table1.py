"""Table 1 of the paper for a run: accuracy in 8 bits beside float, and latency on the target."""

from __future__ import annotations

from dataclasses import dataclass

from netspec.console.latency_unit import LatencyUnit
from search_client.report.content import NetworkResult, Report
from search_client.report.wording import percent, result_unit, setting_of


@dataclass(frozen=True)
class Table1Row:
    """One network in int8, as text without units."""

    model: str
    #: input side (px) and width multiplier, for instance `192-0.75`
    setting: str
    #: top-1 in percent: int8, then float
    accuracy: str
    predicted: str
    measured: str


def table1_rows(report: Report) -> tuple[Table1Row, ...]:
    """The searched network first, then every MobileNetV2."""
    space = report.search.space
    unit = result_unit(report)
    searched = _row("searched", f"{space.input_size}-{space.width:g}", report.searched, unit)
    baselines = (report.baseline, *report.further)
    return (
        searched,
        *(_row("MobileNetV2", setting_of(baseline), baseline, unit) for baseline in baselines),
    )


def _row(model: str, setting: str, result: NetworkResult, unit: LatencyUnit) -> Table1Row:
    return Table1Row(
        model=model,
        setting=setting,
        accuracy=(
            f"{percent(100 * result.accuracy_int8)} ({percent(100 * result.accuracy_float)})"
        ),
        predicted=unit.text(result.predicted_ms["int8"]),
        measured=unit.text(result.measured_ms["int8"]),
    )
