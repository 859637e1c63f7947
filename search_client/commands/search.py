"""`search-client search`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from netspec.console.command import AsJson, print_json
from netspec.console.connection import DEFAULT_URL
from netspec.console.outputs import make_folder
from netspec.errors import UserError
from search_client.commands.completion import complete_target
from search_client.commands.options import (
    DataFolder,
    LatencyRef,
    Loggers,
    Overrides,
    Overwrite,
    ProfilerUrl,
    RecipeOption,
    Resume,
    RunFolder,
    SavedTable,
    client_of,
    console,
    observed_stages,
    print_found,
)

if TYPE_CHECKING:
    from search_client.recipe import Recipe


def search(
    data: DataFolder,
    profiler_url: ProfilerUrl = DEFAULT_URL,
    target: Annotated[
        list[str] | None,
        typer.Option(
            help="Target id, or its beginning; not needed where there is only one. Given several "
            "times, the search aims at all of them.",
            autocompletion=complete_target,
        ),
    ] = None,
    latency_ref: LatencyRef = None,
    recipe: RecipeOption = "proxylessnas",
    run: RunFolder = Path("runs/search"),
    sizes: Annotated[
        str | None, typer.Option(help="Input sizes to choose among, as in 160,192,224.")
    ] = None,
    widths: Annotated[
        str | None, typer.Option(help="Width multipliers to choose among, as in 0.5,0.75,1.0.")
    ] = None,
    overrides: Overrides = None,
    profile_missing: Annotated[
        bool,
        typer.Option(
            "--profile-missing", help="File what the table lacks as a job and wait for it."
        ),
    ] = False,
    only_search: Annotated[
        bool, typer.Option("--only-search", help="End with the network, untrained.")
    ] = False,
    snapshot: SavedTable = None,
    resume: Resume = False,
    overwrite: Overwrite = False,
    log: Loggers = None,
    as_json: AsJson = False,
) -> None:
    """Search, train, quantize and measure; ends with RUN/report.html.

    Every parameter and what was found is in RUN/run.json. Ctrl-C and SIGTERM save the
    search; --resume goes on from there. Under torchrun all processes search together. With
    --only-search --snapshot a search needs no profiler.
    """
    from search_client.pipeline import Pipeline  # noqa: PLC0415
    from search_client.recipe import read_recipe  # noqa: PLC0415
    from search_client.report.terminal import print_report  # noqa: PLC0415
    from search_client.runs.record import NETWORK  # noqa: PLC0415
    from search_client.stages.latency_tables import target_of  # noqa: PLC0415
    from search_client.training import distributed  # noqa: PLC0415

    if snapshot is not None and not only_search:
        raise UserError(
            "a saved snapshot cannot measure what was found; add --only-search, or search with a "
            "profiler"
        )
    given = [*(overrides or [])]
    given += [f"sizes=[{sizes}]"] if sizes else []
    given += [f"widths=[{widths}]"] if widths else []
    settings = read_recipe(recipe, given)
    make_folder(run)
    targets: list[str | None] = [*target] if target else [None]
    settings = _aimed(settings, targets, latency_ref or [])
    with (
        distributed.joined(),
        client_of(profiler_url, snapshot) as client,
        observed_stages(log, run, "search", settings.model_dump(mode="json")) as stages,
    ):
        if distributed.world() > 1 and not only_search:
            raise UserError(
                "several processes only search; add --only-search, then train what they find with "
                "`search-client train`"
            )
        pipeline = Pipeline(
            client,
            target_of(client, targets[0]),
            settings,
            data,
            run,
            stages,
            profile_missing=profile_missing,
            resume=resume,
            overwrite=overwrite,
        )
        if only_search:
            result = pipeline.search_only()
            if distributed.rank() > 0:
                return
            if as_json:
                print_found(result.found, run / NETWORK)
            else:
                console.print(f"Found: {run / NETWORK}", markup=False)
            return
        report = pipeline.run()
    if as_json:
        print_json(report)
        return
    print_report(report, console)
    console.print(f"Report: {run / 'report.html'}", markup=False)


def _aimed(settings: Recipe, targets: list[str | None], references: list[str]) -> Recipe:
    """Settings that aim at the targets and references of the command line.

    Raises:
        UserError: their numbers do not fit.
    """
    from search_client.recipe import FurtherTarget, parse_ms  # noqa: PLC0415

    if (len(targets) > 1 or len(references) > 1) and len(targets) != len(references):
        raise UserError(
            f"got {len(targets)} --target and {len(references)} --latency-ref; several targets "
            "need one latency each, in the same order"
        )
    values = [parse_ms(text) for text in references]
    changed: dict[str, object] = {}
    if values:
        changed["latency_ref_ms"] = values[0]
    if len(targets) > 1:
        changed["further_targets"] = tuple(
            FurtherTarget(target=str(name), latency_ref_ms=value)
            for name, value in zip(targets[1:], values[1:], strict=True)
        )
    return settings.model_copy(update=changed)
