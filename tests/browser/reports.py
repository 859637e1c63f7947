"""Pages without a server: the report of a search, and a comparison of sixty."""

from __future__ import annotations

from pathlib import Path

from search_client.report.page import render_page
from search_client.report.runs import ComparedRuns, RunNetwork, hypervolume, with_front
from search_client.report.runs_page import render_runs
from tests.unit.search_client.report import synthetic

RUNS = 60
REPORT, COMPARISON = "report.html", "runs.html"


def write(folder: Path) -> None:
    """Writes both pages."""
    (folder / REPORT).write_text(render_page(synthetic.report()), encoding="utf-8")
    networks = [_network(number) for number in range(RUNS)]
    baseline = _network(0).model_copy(
        update={"role": "MobileNetV2", "network": "mobilenet", "runs": ("run 1", "run 2")}
    )
    compared = ComparedRuns(
        target="0123456789abcdef",
        label="Synthetic phone",
        precision="int8",
        networks=with_front([*networks, baseline]),
        hypervolume=hypervolume([*networks, baseline], 10),
    )
    (folder / COMPARISON).write_text(render_runs(compared), encoding="utf-8")


def _network(number: int) -> RunNetwork:
    """The slower, the more accurate, but for every third."""
    ms, accuracy = 0.1 + number / 200, 0.5 + number / 200 - (0.1 if number % 3 else 0.0)
    return RunNetwork(
        runs=(f"run {number}",),
        role="searched",
        network=f"net {number}",
        accuracy=accuracy,
        accuracy_low=accuracy - 0.01,
        accuracy_high=accuracy + 0.01,
        predicted_ms=1.02 * ms,
        measured_ms=ms,
        measured_low_ms=0.99 * ms,
        measured_high_ms=1.01 * ms,
    )
