"""`search-client transfer`."""

from __future__ import annotations

from typing import Annotated

import typer

from netspec.client import ProfilerClient
from netspec.console.command import AsJson, print_json
from netspec.console.connection import DEFAULT_URL
from netspec.wire import SiblingTransfer
from search_client.commands.completion import complete_target
from search_client.commands.options import ProfilerUrl, console


def transfer(
    source: Annotated[
        str,
        typer.Argument(
            help="The target that has a table: its id, or its beginning.",
            autocompletion=complete_target,
        ),
    ],
    target: Annotated[
        str, typer.Argument(help="The target that gets one.", autocompletion=complete_target)
    ],
    profiler_url: ProfilerUrl = DEFAULT_URL,
    visits: Annotated[
        int,
        typer.Option(
            min=4, max=500, help="Networks and operators that are measured first, of a precision."
        ),
    ] = 10,
    budget: Annotated[
        int, typer.Option(min=0, max=5_000, help="Operators that may be measured after these.")
    ] = 0,
    enough: Annotated[
        float,
        typer.Option(
            min=0.1, max=100, help="Percent: none is, once a network's sum is expected this near."
        ),
    ] = 3.0,
    rounds: Annotated[int, typer.Option(min=1, max=1_000, help="Visits of each of them.")] = 10,
    as_json: AsJson = False,
) -> None:
    """Make a target's table out of another target's and ten things that the server chooses.

    For a phone whose sibling is measured. What is not measured is filled in with an interval;
    within the budget, what leaves the most doubt is measured, too. Then the table is published.
    """
    from search_client.progress import Stages  # noqa: PLC0415
    from search_client.stages.transfer import transfer_table  # noqa: PLC0415

    with ProfilerClient(profiler_url) as client:
        chosen = client.target(target)
        request = SiblingTransfer(
            source_target_id=client.target(source).id,
            visits=visits,
            budget=budget,
            enough_percent=enough,
        )
        made = transfer_table(client, chosen, request, Stages(), rounds=rounds)
    snapshot, error_percent = made.snapshot, made.job.table_error_percent
    if as_json:
        print_json(
            {
                "snapshot_id": snapshot.id,
                "entries": len(snapshot.entries),
                "fitted": made.fitted,
                "table_error_percent": error_percent,
                "job_id": made.job.id,
            }
        )
        return
    parts = f"{made.fitted} are fitted from {request.source_target_id}, the others measured"
    lines = [f"Published {len(snapshot.entries)} entries as snapshot {snapshot.id}: {parts}"]
    if error_percent is not None:
        lines.append(f"  a network's sum is expected to be off by {error_percent:.1f} %")
        if error_percent > enough:
            lines.append(
                f"  more than the {enough:g} % asked for: give a greater --budget, or measure "
                "the whole space with `search-client profile`"
            )
    for line in lines:
        console.print(line, markup=False, highlight=False, soft_wrap=True)
