"""`search-client targets` and `repeatability`."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Column, Table

from netspec.client import ProfilerClient
from netspec.console.command import AsJson, print_json
from netspec.console.connection import DEFAULT_URL
from netspec.wire import TargetQuery
from search_client.commands.options import ProfilerUrl, TargetOption, console
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


def repeatability(
    profiler_url: ProfilerUrl = DEFAULT_URL, target: TargetOption = None, as_json: AsJson = False
) -> None:
    """Say how far the latencies of consecutive jobs differ on a target, from its history.

    Of what several jobs have measured on one device: the difference between one job's estimate and
    the next one's, and the coefficient of variation over all jobs.
    """
    with ProfilerClient(profiler_url) as client:
        chosen = client.target(target)
        found = client.repeatability(chosen.id)
    if as_json:
        print_json(found)
        return
    lines = [f"{chosen.identity.label}, target {chosen.id}", f"  {found.sentence}"]
    if found.entry_cv_median is not None:
        lines.append(
            f"  coefficient of variation {found.entry_cv_median:.2%}, median over subjects"
        )
        lines.append(
            f"  sessions of {found.visits_median:g} visits, "
            f"{found.hours_median:.1f} h apart (medians)"
        )
    for line in lines:
        console.print(line, markup=False, highlight=False, soft_wrap=True)
