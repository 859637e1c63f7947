"""`search-client targets`."""

from __future__ import annotations

from rich.markup import escape
from rich.table import Column, Table

from netspec.client import ProfilerClient
from netspec.console.command import AsJson, print_json
from netspec.console.connection import DEFAULT_URL
from search_client.commands.options import ProfilerUrl, console


def targets(profiler_url: ProfilerUrl = DEFAULT_URL, as_json: AsJson = False) -> None:
    """List what latencies the profiler can tell."""
    with ProfilerClient(profiler_url) as client:
        found = client.targets()
    if as_json:
        print_json(found)
        return
    table = Table(Column("target", no_wrap=True), "latencies of", "entries", "devices")
    for target in found:
        label = escape(target.identity.label)
        table.add_row(target.id, label, str(target.entries), str(target.devices))
    console.print(table)
