"""`search-client validate`."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import typer
from rich.markup import escape
from rich.table import Table

from netspec.client import LatencyTable, ProfilerClient
from netspec.console.command import AsJson, print_json
from netspec.console.connection import DEFAULT_URL
from netspec.console.outputs import make_folder
from netspec.console.units import latency_text
from netspec.errors import UserError
from netspec.operators import PRECISIONS, Precision
from search_client.commands.options import (
    ProfilerUrl,
    RecipeOption,
    TargetOption,
    console,
)

if TYPE_CHECKING:
    from search_client.validation.validate import Validation

_SEEDS = 2**31


def validate(
    profiler_url: ProfilerUrl = DEFAULT_URL,
    target: TargetOption = None,
    recipe: RecipeOption = "proxylessnas",
    classes: Annotated[int, typer.Option(min=2, help="Of the table's classifiers.")] = 1000,
    networks: Annotated[int, typer.Option(min=2, max=200, help="To measure.")] = 20,
    precision: Annotated[
        Precision | None, typer.Option(help="Only this one.", show_default="both")
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option(min=0, help="Of the networks.", show_default="networks unlike all before"),
    ] = None,
    plot: Annotated[
        Path | None, typer.Option(help="Predicted against measured: an .svg or .png file.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Measure fresh random networks and compare them with what the table predicts.

    The networks took no part in the calibration. With the seed of an earlier validation its
    networks are compared again, and what is still fresh is not measured again.
    """
    from search_client.progress import Stages  # noqa: PLC0415
    from search_client.recipe import read_recipe  # noqa: PLC0415
    from search_client.validation.validate import PLOT_ENDINGS, predict  # noqa: PLC0415
    from search_client.validation.validate import validate as run_validation  # noqa: PLC0415

    seed = secrets.randbelow(_SEEDS) if seed is None else seed
    if plot is not None and plot.suffix not in PLOT_ENDINGS:
        raise UserError(f"{plot} is neither .svg nor .png; name a plot with one of these endings")
    if plot is not None:
        make_folder(plot.parent)
    settings = read_recipe(recipe).for_classes(classes)
    stages = Stages()
    with ProfilerClient(profiler_url) as client:
        chosen = client.target(target)
        table = LatencyTable(client.latest_snapshot(chosen.id))
        # Every precision before the first visit: what lacks is told in seconds, not in an hour.
        predictions = [
            predict(table, settings.space.with_precision(one), networks, seed)
            for one in PRECISIONS
            if precision in (None, one)
        ]
        rounds = settings.profiling.network_rounds
        validations = [
            run_validation(client, chosen, predicted, rounds=rounds, stages=stages)
            for predicted in predictions
        ]
    if plot is not None:
        from search_client.validation.plot import plot as write_plot  # noqa: PLC0415

        write_plot(validations, plot)
    if as_json:
        print_json(
            {"seed": seed, "validations": [_document(validation) for validation in validations]}
        )
    else:
        _print(validations)
        console.print(f"These networks again: --seed {seed}", markup=False)
        if plot is not None:
            console.print(f"Plot: {plot}", markup=False)
    if wrong := [validation for validation in validations if not validation.interval_holds]:
        raise IntervalFails(_advice(wrong))


class IntervalFails(UserError):
    """Measured networks lie outside the interval that a snapshot states, too many for chance."""

    #: the command did its work, and what it found must not be trusted
    exit_code: ClassVar[int] = 3


def _advice(wrong: Sequence[Validation]) -> str:
    shares = " and ".join(f"{one.coverage or 0:.0%} in {one.precision}" for one in wrong)
    return (
        f"only {shares} of the networks are within the snapshot's 95 % interval: do not rely on it "
        "here; see that the device is as it was when it was profiled (doctor, heat, neighbours), "
        "then measure more calibration networks near these with `search-client profile --set "
        "profiling.calibration_networks=40`, which publishes a new table"
    )


def _document(validation: Validation) -> dict[str, Any]:
    return {
        "snapshot_id": validation.snapshot_id,
        "precision": validation.precision,
        "model": validation.calibration.model,
        "error": asdict(validation.error),
        "interval_coverage": validation.coverage,
        "networks": [
            {**network.model_dump(), "error_percent": network.error_percent}
            for network in validation.networks
        ],
    }


def _print(validations: Sequence[Validation]) -> None:
    for validation in validations:
        rows = Table("network", title=f"{validation.precision}: {validation.calibration.model}")
        for column in ("predicted", "95 % interval", "measured", "error %"):
            rows.add_column(column, justify="right")
        for network in validation.networks:
            interval = "not known"
            if network.low_ms is not None and network.high_ms is not None:
                interval = f"{latency_text(network.low_ms)} to {latency_text(network.high_ms)}"
            rows.add_row(
                escape(network.name),
                latency_text(network.predicted_ms),
                interval,
                latency_text(network.measured_ms),
                f"{network.error_percent:+.1f}",
            )
        console.print(rows)
        console.print(_summary(validation), markup=False)


def _summary(validation: Validation) -> str:
    found, stated = validation.error, validation.calibration.held_out
    parts = [
        f"{validation.precision}: mean error {found.mape_percent:.1f} %",
        f"bias {found.bias_percent:+.1f} %",
        f"{found.within_5:.0%} within 5 % and {found.within_10:.0%} within 10 %",
    ]
    if found.spearman is not None:
        parts.append(f"rank correlation {found.spearman:.3f}")
    if validation.coverage is not None:
        parts.append(f"{validation.coverage:.0%} within the stated interval")
    parts.append(f"worst {found.worst_percent:.1f} % ({found.worst_network})")
    if stated is not None:
        parts.append(f"the snapshot states {stated.mape_percent:.1f} %")
    return ", ".join(parts)
