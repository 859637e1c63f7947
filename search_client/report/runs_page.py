"""Several runs as one self-contained HTML page."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path

from netspec.console.latency_unit import LatencyUnit
from search_client.report import wording
from search_client.report.figures.front import accuracy_against_latency
from search_client.report.page import page_environment, unbroken
from search_client.report.runs import ComparedRuns

_TEMPLATE = "runs.html.j2"
_SCRIPT = Path(__file__).with_name("sorting.js")


def render_runs(compared: ComparedRuns) -> str:
    """The HTML page of a comparison; it needs no network, and JavaScript only to sort its table."""
    script = _SCRIPT.read_text(encoding="utf-8")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return (
        page_environment()
        .get_template(_TEMPLATE)
        .render(
            compared=compared,
            runs=len({run for network in compared.networks for run in network.runs}),
            headline=unbroken(headline(compared)),
            figure=accuracy_against_latency(compared),
            unit=LatencyUnit.of(network.measured_ms for network in compared.networks),
            script=script,
            script_hash=f"sha256-{digest}",
        )
    )


def headline(compared: ComparedRuns) -> str:
    """How many networks nothing beats, the ends of their front, and what the fronts enclose."""
    front = compared.front
    ends = [front[0], *front[1:][-1:]]
    range_ = " to ".join(
        f"{wording.percent(100 * end.accuracy)} at {wording.latency(end.measured_ms)}"
        for end in ends
    )
    searched = sum(network.role == "searched" for network in front)
    return (
        f"{len(front)} of {len(compared.networks)} networks are on the front, "
        f"{searched} of them searched: {range_}."
    )
