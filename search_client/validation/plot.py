"""Predicted against measured latencies of a validation, as a file."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

from matplotlib.figure import Figure

from netspec.console.outputs import write_file
from search_client.report.figures.canvas import LINE, MUTED, PRECISION_COLOURS
from search_client.validation.validate import Validation

_SIDE_INCHES = 5
#: errors that the band around the diagonal shows
_BAND = 0.05


def plot(validations: Sequence[Validation], file: Path) -> None:
    """Predicted against measured, one colour a precision; `.svg` or `.png` by the file's name.

    Raises:
        UserError: the file cannot be written.
    """
    image = io.BytesIO()
    _draw(validations, image, file.suffix[1:])
    write_file(file, image.getvalue())


def _draw(validations: Sequence[Validation], image: io.BytesIO, kind: str) -> None:
    figure = Figure(figsize=(_SIDE_INCHES, _SIDE_INCHES), dpi=100, layout="constrained")
    axes = figure.subplots()
    everything = [network for validation in validations for network in validation.networks]
    values = [ms for one in everything for ms in (one.predicted_ms, one.measured_ms)]
    ends = (0.95 * min(values), 1.05 * max(values))
    lower, upper = ([(1 + sign * _BAND) * end for end in ends] for sign in (-1, 1))
    axes.fill_between(ends, lower, upper, color=LINE, alpha=0.7, label="±5 %")
    axes.plot(ends, ends, color=MUTED, linewidth=1)
    for validation in validations:
        rows = validation.networks
        bars = [
            [row.predicted_ms - (row.low_ms or row.predicted_ms) for row in rows],
            [(row.high_ms or row.predicted_ms) - row.predicted_ms for row in rows],
        ]
        axes.errorbar(
            [row.measured_ms for row in rows],
            [row.predicted_ms for row in rows],
            yerr=bars,
            fmt="o",
            markersize=5,
            elinewidth=1,
            color=PRECISION_COLOURS[validation.precision],
            label=f"{validation.precision}: {validation.error.mape_percent:.1f} % off on average",
        )
    axes.set(xlim=ends, ylim=ends, aspect="equal", xlabel="measured, ms", ylabel="predicted, ms")
    axes.legend(loc="upper left", frameon=False)
    figure.savefig(image, format=kind)
