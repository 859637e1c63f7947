"""Several runs as one self-contained HTML page."""

from __future__ import annotations

from search_client.report import wording
from search_client.report.figures.front import accuracy_against_latency
from search_client.report.page import page_environment, unbroken
from search_client.report.runs import ComparedRuns

_TEMPLATE = "runs.html.j2"


def render_runs(compared: ComparedRuns) -> str:
    """The HTML page of a comparison; it needs no network and no JavaScript."""
    return (
        page_environment()
        .get_template(_TEMPLATE)
        .render(
            compared=compared,
            runs=len({network.run for network in compared.networks}),
            headline=unbroken(headline(compared)),
            figure=accuracy_against_latency(compared),
            interval=wording.interval,
        )
    )


def headline(compared: ComparedRuns) -> str:
    """How many networks nothing beats, and the ends of their front."""
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
