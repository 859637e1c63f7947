"""The command `profiler-server transfer`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from netspec.errors import UserError
from profiler_server.kit.cli import DatabaseUrl, open_database

if TYPE_CHECKING:
    from netspec.wire import Transfer, TransferOfPrecision


def transfer_table(
    source: Annotated[
        str,
        typer.Argument(help="The target that has a table, or `offers`; an id's beginning will do."),
    ],
    target: Annotated[str, typer.Argument(help="The target that gets one.")],
    within: Annotated[
        float, typer.Option(min=0.01, max=100, help="Mean error, in percent, that is allowed.")
    ] = 5.0,
    measure: Annotated[
        int,
        typer.Option(min=0, max=500, help="First measure operators until both have so many."),
    ] = 0,
    database_url: DatabaseUrl = None,
) -> None:
    """Fills a target's table from another one's, times a fitted factor, if the two agree.

    For a phone whose sibling is measured, and for one whose firmware or runtime was updated: that
    makes a new target. `offers` instead of the source lists what the target was before.
    At least three operators must be measured on both; the median of their ratios is the factor.
    With --measure a job does that: run the command again when the job is done.
    Measurements replace what was filled in, entry by entry.

    Examples:
      profiler-server transfer offers fedcba9876543210
      profiler-server transfer 0123456789abcdef fedcba9876543210 --measure 12 --within 3
    """
    from netspec.wire import TransferRequest  # noqa: PLC0415
    from profiler_server.devices.predecessors import predecessors  # noqa: PLC0415
    from profiler_server.devices.service import find_target  # noqa: PLC0415
    from profiler_server.latency_tables.transfers import service  # noqa: PLC0415

    with (
        open_database(database_url, task=f"fill the table of {target}") as (database, settings),
        database.write() as session,
    ):
        if source == "offers":
            target = find_target(session, target)
            offers = predecessors(session, target)
            typer.echo("\n".join(offers) or f"{target} was never another target with entries")
            return
        source, target = find_target(session, source), find_target(session, target)
        request = TransferRequest(source_target_id=source, within_percent=within, measure=measure)
        done = service.carry_over(session, settings, target, request, None)
    if done.state == "measuring":
        typer.echo(
            f"job {done.job_id} measures a sample on {target}; run this again when it is done"
        )
        return
    for precision in done.precisions:
        typer.echo(_said(precision))
    if done.snapshot_id is not None:
        typer.echo(f"published with them as snapshot {done.snapshot_id}")
    if done.state == "refused":
        raise UserError(_refusal(done, within))


def _said(one: TransferOfPrecision) -> str:
    return (
        f"{one.precision}: {one.filled} entries filled in, times {one.factor:.3f}; "
        f"mean error {one.mape_percent:.1f} % over {one.shared} operators, "
        f"worst {one.worst_percent:.1f} % ({one.worst_operator})"
    )


def _refusal(done: Transfer, within: float) -> str:
    worst = max(precision.mape_percent for precision in done.precisions)
    return (
        f"{done.source_target_id} and {done.target_id} differ by {worst:.1f} % after scaling, more "
        f"than {within:g} %; measure {done.target_id} by itself, or allow more with --within"
    )
