"""Table 1 of the paper for a run: accuracy in 8 bits beside float, and latency on the target."""

from __future__ import annotations

from dataclasses import dataclass

from search_client.report.content import NetworkResult, Report
from search_client.report.wording import milliseconds, percent, setting_of


@dataclass(frozen=True)
class Table1Row:
    """One network in int8, as text without units."""

    model: str
    #: input side (px) and width multiplier, for instance `192-0.75`
    setting: str
    #: top-1 in percent: int8, then float
    accuracy: str
    predicted_ms: str
    measured_ms: str


def table1_rows(report: Report) -> tuple[Table1Row, ...]:
    """The searched network first, then every MobileNetV2."""
    space = report.search.space
    searched = _row("searched", f"{space.input_size}-{space.width:g}", report.searched)
    baselines = (report.baseline, *report.further)
    return (
        searched,
        *(_row("MobileNetV2", setting_of(baseline), baseline) for baseline in baselines),
    )


def _row(model: str, setting: str, result: NetworkResult) -> Table1Row:
    return Table1Row(
        model=model,
        setting=setting,
        accuracy=(
            f"{percent(100 * result.accuracy_int8)} ({percent(100 * result.accuracy_float)})"
        ),
        predicted_ms=milliseconds(result.predicted_ms["int8"]),
        measured_ms=milliseconds(result.measured_ms["int8"]),
    )
