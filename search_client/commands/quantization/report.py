"""`search-client quantization-report`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Column, Table

from netspec.client import LatencyTable, ProfilerClient
from netspec.console.command import AsJson, print_json
from netspec.console.connection import DEFAULT_URL
from netspec.console.units import latency_text
from netspec.wire import JobRequest, Snapshot
from search_client.commands.options import (
    ProfilerUrl,
    RecipeOption,
    SavedTable,
    TargetOption,
    console,
)

if TYPE_CHECKING:
    from search_client.quantization.report import QuantizationReport
    from search_client.recipe import Recipe

_SHOWN = 20


def quantization_report(
    profiler_url: ProfilerUrl = DEFAULT_URL,
    target: TargetOption = None,
    snapshot: SavedTable = None,
    recipe: RecipeOption = "proxylessnas",
    classes: Annotated[int, typer.Option(min=2, help="Of the data.")] = 1000,
    profile_conversions: Annotated[
        bool,
        typer.Option(
            "--profile-conversions",
            help="Measure the conversions between precisions that the table lacks, first.",
        ),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Tell where int8 is slower than float32 on a target, and what avoiding it gains.

    Reads the target's newest table. The recipe's space and baseline tell what a search and
    mixed precision gain; an operator that is only in one precision is left out.
    """
    from search_client.quantization.report import quantization_report as tell  # noqa: PLC0415
    from search_client.recipe import read_recipe  # noqa: PLC0415

    settings = read_recipe(recipe).for_classes(classes)
    table = (
        _of_profiler(
            profiler_url,
            target,
            settings,
            profile_conversions=profile_conversions,
        )
        if snapshot is None
        else LatencyTable.from_file(snapshot).snapshot
    )
    report = tell(table, settings.space, [settings.baseline("int8")])
    if as_json:
        print_json(report)
    else:
        _show(report)


def _of_profiler(
    url: str, wished: str | None, settings: Recipe, *, profile_conversions: bool
) -> Snapshot:
    from search_client.progress import Stages  # noqa: PLC0415
    from search_client.quantization.mixed_precision import conversions_of  # noqa: PLC0415
    from search_client.stages.measure import measure  # noqa: PLC0415

    with ProfilerClient(url) as client:
        chosen = client.target(wished)
        if profile_conversions:
            request = JobRequest(
                name="conversions between precisions",
                target_id=chosen.id,
                operators=conversions_of(settings.baseline("int8")),
                rounds=settings.profiling.rounds,
            )
            measure(client, request, "conversions", Stages())
            return client.publish(chosen.id)
        return client.latest_snapshot(chosen.id)


def _show(report: QuantizationReport) -> None:
    table = Table(
        Column("operator", overflow="fold"),
        Column("float32", justify="right"),
        Column("int8", justify="right"),
        Column("ratio", justify="right"),
        title=f"int8 slower than float32: {len(report.slower)} of {len(report.operators)}",
    )
    for row in report.slower[:_SHOWN]:
        key = row.key.removesuffix("-int8")
        times = latency_text(row.float32_ms), latency_text(row.int8_ms)
        table.add_row(key, *times, f"{row.ratio:.2f}")
    console.print(table)
    if len(report.slower) > _SHOWN:
        console.print(f"and {len(report.slower) - _SHOWN} more; --json lists all")
    for held in report.kernels:
        console.print(
            f"{held.kernel}x{held.kernel} blocks: {held.slower} of {held.operators} slower, "
            f"int8 / float32 {held.ratio:.2f} (median)"
        )
    if report.space is not None:
        space = report.space
        console.print(
            f"{space.verdict}: a random network of the space takes {latency_text(space.mean_ms)}, "
            f"{latency_text(space.mean_without_slower_ms)} without them"
            if space.slower
            else space.verdict
        )
    for network in report.networks:
        console.print(
            f"{network.verdict}: int8 {latency_text(network.int8_ms)}, fastest mix "
            f"{latency_text(network.mixed_ms)}",
            markup=False,
        )
        if network.missing:
            console.print(
                f"{len(network.missing)} conversions have no entry, so mixes that need them were "
                "left out; measure them with --profile-conversions"
            )
