"""`search-client targets`."""

from __future__ import annotations

from rich.markup import escape
from rich.table import Column, Table

from netspec.connection import DEFAULT_URL
from search_client.commands.options import ProfilerUrl, console, profiler_client


def targets(profiler_url: ProfilerUrl = DEFAULT_URL) -> None:
    """List what latencies the profiler can tell."""
    with profiler_client(profiler_url) as client:
        table = Table(Column("target", no_wrap=True), "latencies of", "entries", "devices")
        for target in client.targets():
            label = escape(target.identity.label)
            table.add_row(target.id, label, str(target.entries), str(target.devices))
    console.print(table)
