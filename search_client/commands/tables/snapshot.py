"""`search-client snapshot`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from netspec.client import ProfilerClient
from netspec.console.connection import DEFAULT_URL
from search_client.commands.options import ProfilerUrl, TargetOption, console


def snapshot(
    output: Annotated[Path, typer.Option(help="File to write.")],
    profiler_url: ProfilerUrl = DEFAULT_URL,
    target: TargetOption = None,
) -> None:
    """Save a target's newest table as JSON, for work without a profiler.

    `search` and `quantization-report` take it by --snapshot, Python by `LatencyTable.from_file`.
    """
    with ProfilerClient(profiler_url) as client:
        table = client.table(target)
    table.save(output)
    found = table.snapshot
    console.print(
        f"Wrote {output}: snapshot {found.id} of target {found.target_id}, "
        f"{len(found.entries)} entries",
        markup=False,
        soft_wrap=True,
    )
