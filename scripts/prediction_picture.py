# ruff: noqa: INP001 - a script beside the others, run as `python -m scripts.prediction_picture`
"""Draws how far predictions are off, as `docs/predictions.svg`, from the table in `examples/`.

Each network is predicted by a calibration that was chosen and fitted without it.
"""

from __future__ import annotations

import tomllib
from pathlib import Path

import matplotlib as mpl

from netspec.client import LatencyTable
from netspec.operators import operator_from_key
from netspec.spaces import Space
from netspec.wire import Calibration, Snapshot
from profiler_server.entries.priced_operators import priced
from profiler_server.latency_model.design import MeasuredNetwork, Priced, design
from profiler_server.latency_model.features import operator_price
from profiler_server.latency_model.selection import calibrate, held_out_predictions
from search_client.validation.plot import plot
from search_client.validation.validate import Validated, Validation

ROOT = Path(__file__).parents[1]
EXAMPLE = ROOT / "examples" / "desktop-96px"
#: choices in a network's name are digits to this base
_BASE = 13


def held_out(snapshot: Snapshot, calibration: Calibration, recipe: Path) -> Validation:
    """The calibration's own networks, each predicted without itself."""
    settings = tomllib.loads(recipe.read_text(encoding="utf-8"))
    space = Space(**settings["space"], classes=10, precision=calibration.precision)
    visits = settings["profiling"]["network_rounds"]
    prices = {
        entry.name: operator_price(operator_from_key(entry.name), priced(entry))
        for entry in snapshot.entries
        if entry.precision == calibration.precision
    }
    measured = []
    for one in calibration.networks:
        network = space.network([int(digit, _BASE) for digit in one.name.rpartition(" ")[2]])
        if network.content_hash != one.subject_hash:
            raise ValueError(f"{recipe} does not make {one.name}")
        keys = tuple(operator.key for operator in network.operators)
        latency = Priced.of_entry(one.measured_ms, one.measured_ms, one.measured_ms, visits)
        measured.append(MeasuredNetwork(one.name, keys, latency))
    designed = design(measured, prices)
    predicted_ms = held_out_predictions(designed)
    factor = calibrate(designed).interval_factor
    if predicted_ms is None or factor is None:
        raise ValueError(f"{recipe}: so few networks cannot be held out")
    networks = [
        Validated(
            name=one.name,
            predicted_ms=float(ms),
            low_ms=float(ms) / factor,
            high_ms=float(ms) * factor,
            measured_ms=one.measured_ms,
        )
        for one, ms in zip(calibration.networks, predicted_ms, strict=True)
    ]
    networks.sort(key=lambda one: one.predicted_ms)
    return Validation(snapshot.id, calibration, tuple(networks))


def validations() -> list[Validation]:
    """Of the example's table, one a precision."""
    snapshot = LatencyTable.from_file(EXAMPLE.with_suffix(".snapshot.json")).snapshot
    recipe = EXAMPLE.with_suffix(".toml")
    return [held_out(snapshot, calibration, recipe) for calibration in snapshot.calibrations]


if __name__ == "__main__":
    # Texts stay texts, and ids the same from run to run.
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "predictions"}):
        plot(validations(), ROOT / "docs" / "predictions.svg")
