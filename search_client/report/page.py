"""The run's two files: `report.json` for programs, `report.html` for people."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from netspec.console.latency_unit import LatencyUnit
from netspec.console.units import duration_text
from netspec.operators import PRECISIONS, Precision, operator_from_key
from netspec.wire import Entry
from search_client.report import sentences, wording
from search_client.report.content import DeployedModel, Report
from search_client.report.figures.architecture import (
    Scale,
    network_architecture,
    searched_architecture,
)
from search_client.report.figures.canvas import Drawing
from search_client.report.figures.heatmap import table_heatmap
from search_client.report.figures.latency import operator_bars, predicted_against_measured
from search_client.report.figures.search import (
    block_probabilities,
    choice_colours,
    choice_names,
    every_probability,
    expected_latency_curve,
    learning_curves,
)
from search_client.report.table1 import table1_rows

_TEMPLATE = "report.html.j2"
REPORT = "report.json"
#: folder of the figures beside the page
FIGURES = "figures"


@dataclass(frozen=True)
class _Figures:
    prediction: tuple[Drawing, ...]
    searched: Drawing
    baseline: Drawing
    searched_bars: Drawing
    baseline_bars: Drawing
    #: empty where the search left no points
    search: tuple[Drawing, ...]
    probabilities: tuple[Drawing, ...]
    #: the blocks' as one; None where there are none
    every_probability: Drawing | None
    #: name and colour (hex) of each choice
    choices: tuple[tuple[str, str], ...]
    table: tuple[Drawing, ...]

    def saved(self) -> tuple[Drawing, ...]:
        """Those that are files beside the page."""
        last = () if self.every_probability is None else (self.every_probability,)
        networks = (self.searched, self.baseline, self.searched_bars, self.baseline_bars)
        return (*self.prediction, *networks, *self.search, *last, *self.table)


def write_report(report: Report, folder: Path) -> None:
    """Writes `report.json`, the self-contained `report.html` and `figures/` into a folder.

    The page needs no network and no JavaScript. Every figure is in `figures/` as SVG and PNG, with
    its numbers as CSV. The folder is made if missing.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / REPORT).write_text(report.model_dump_json(indent=2) + "\n", encoding="utf-8")
    figures = _figures(report)
    (folder / "report.html").write_text(_rendered(report, figures), encoding="utf-8")
    save(figures.saved(), folder / FIGURES)


def save(drawings: Sequence[Drawing], folder: Path) -> None:
    """Write figures into a folder, each as SVG and PNG, and its numbers as CSV."""
    folder.mkdir(parents=True, exist_ok=True)
    for drawing in drawings:
        (folder / f"{drawing.name}.svg").write_text(drawing.svg, encoding="utf-8")
        (folder / f"{drawing.name}.png").write_bytes(drawing.png())
        (folder / f"{drawing.name}.csv").write_text(drawing.csv(), encoding="utf-8")


def page_environment() -> Environment:
    """The templates of this package, with the wording's filters."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "json": partial(json.dumps, indent=1, ensure_ascii=False),
        "latency": wording.latency,
        "percent": wording.percent,
        "signed": wording.signed_percent,
        "duration": duration_text,
    }
    return environment


def render_page(report: Report) -> str:
    """The HTML page of a report."""
    return _rendered(report, _figures(report))


def _rendered(report: Report, figures: _Figures) -> str:
    rows = groupby(wording.result_rows(report), key=lambda row: row.role)
    return (
        page_environment()
        .get_template(_TEMPLATE)
        .render(
            report=report,
            headline=unbroken(sentences.headline(report)),
            on_device=unbroken(sentences.on_device(report)),
            aim=unbroken(sentences.aim(report)),
            networks=[tuple(network) for _, network in rows],
            table1=table1_rows(report),
            identity=_identity(report),
            figures=figures,
            entries=_entries(report.table),
            precisions=PRECISIONS,
            unit=wording.result_unit(report),
            table_unit=LatencyUnit.of((entry.value_ms for entry in report.table), digits=2),
            images=_images(report),
            provenance=_provenance(report),
            signal=sentences.signal,
            ranking=sentences.ranking,
            unlike=tuple(map(unbroken, sentences.unlike(report))),
        )
    )


def unbroken(text: str) -> str:
    """A text in which a number keeps its unit on its line."""
    return re.sub(r" (?=ms|us|%)", "\u00a0", text)


def _figures(report: Report) -> _Figures:
    search = report.search
    scale = Scale.of(report.searched.network, report.baseline.network)
    # Most blocks choose among the same; what others choose among comes once, too.
    choices = dict.fromkeys(
        choice
        for block in sorted(search.space.blocks, key=lambda block: -block.choices)
        for choice in zip(choice_names(block), choice_colours(block), strict=True)
    )
    in_table = {entry.precision for entry in report.table}
    return _Figures(
        prediction=tuple(
            predicted_against_measured(report, precision)
            for precision in PRECISIONS
            if precision in _deployed_precisions(report)
        ),
        searched=searched_architecture(search.space, search.choices, scale),
        baseline=network_architecture(report.baseline.network, scale),
        searched_bars=operator_bars(report, report.searched, "searched"),
        baseline_bars=operator_bars(report, report.baseline, "baseline"),
        search=(
            (learning_curves(search), expected_latency_curve(search, report.latency_ref_ms))
            if search.points
            else ()
        ),
        probabilities=block_probabilities(search),
        every_probability=(
            every_probability(search)
            if any(point.probabilities for point in search.points)
            else None
        ),
        choices=tuple(choices),
        table=tuple(
            table_heatmap(report, precision) for precision in PRECISIONS if precision in in_table
        ),
    )


def _deployed_precisions(report: Report) -> set[Precision]:
    models: Sequence[DeployedModel] = (*report.searched.models, *report.baseline.models)
    return {model.precision for model in models}


def _identity(report: Report) -> tuple[tuple[str, str], ...]:
    identity = report.identity
    return (
        ("Target", report.target),
        ("Device model", identity.device_model),
        ("SoC", identity.soc),
        ("OS build", identity.os_build),
        ("ABI", identity.abi),
        ("Runtime", identity.runtime),
        ("SHA-256 of the runtime", identity.runtime_sha256),
        ("Delegate", identity.delegate),
        ("Threads", str(identity.threads)),
        ("Affinity", identity.affinity),
        ("Clock policy", identity.clock_policy.replace("_", " ")),
        ("Protocol", identity.protocol),
        ("Table snapshot", report.snapshot),
    )


def _images(report: Report) -> str:
    """On how many test images accuracies are, for captions."""
    counts = [
        count
        for _, result in wording.networks_of(report)
        for count in (result.images_float, result.images_int8)
        if count
    ]
    return " and ".join(f"{count:,}" for count in dict.fromkeys(counts)) or "the"


def _provenance(report: Report) -> tuple[tuple[str, str], ...]:
    known = report.provenance
    if known is None:
        return ()
    return (
        ("Command", known.command),
        ("Seed", str(known.recipe["seed"])),
        ("Images", known.data),
        ("Fingerprint of the training images", known.fingerprint),
        ("Training images", f"{known.training_images:,}"),
        ("Test images", f"{known.test_images:,}"),
        ("Processes of the search", str(known.processes)),
    )


def _entries(table: Sequence[Entry]) -> dict[str, dict[Precision, Entry]]:
    """Entries of each operator by precision, operators by their key in float32."""
    rows: dict[str, dict[Precision, Entry]] = {}
    for entry in table:
        if entry.kind == "operator":
            operator = operator_from_key(entry.name)
            key = operator.with_precision("float32").key.removesuffix("-float32")
            rows.setdefault(key, {})[operator.precision] = entry
    return rows
