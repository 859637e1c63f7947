"""`search-client targets`."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Column, Table

from netspec.client import ProfilerClient
from netspec.console.command import AsJson, print_json
from netspec.console.connection import DEFAULT_URL
from netspec.wire import TargetQuery
from search_client.commands.options import ProfilerUrl, console
from search_client.commands.queries import Label, NamePart, OwnerOption, Sort, query_of


def targets(
    profiler_url: ProfilerUrl = DEFAULT_URL,
    name: NamePart = None,
    text: Annotated[
        str | None,
        typer.Option(help="Only those with these words: model, SoC, runtime, label and so on."),
    ] = None,
    delegate: Annotated[str | None, typer.Option(help="Only those of this delegate.")] = None,
    threads: Annotated[int | None, typer.Option(help="Only those of so many threads.")] = None,
    owner: OwnerOption = None,
    label: Label = None,
    sort: Sort = None,
    as_json: AsJson = False,
) -> None:
    """List what latencies the profiler can tell."""
    query = query_of(
        TargetQuery,
        name=name,
        text=text,
        delegate=delegate,
        threads=threads,
        owner=owner,
        label=label,
        sort=sort,
    )
    with ProfilerClient(profiler_url) as client:
        found = client.targets(query)
    if as_json:
        print_json(found)
        return
    table = Table(Column("target", no_wrap=True), "latencies of", "entries", "devices")
    for target in found:
        described = escape(target.identity.label)
        table.add_row(target.id, described, str(target.entries), str(target.devices))
    console.print(table)
