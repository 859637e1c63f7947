"""The published formats of latency tables, by name."""

from __future__ import annotations

from profiler_server.tables.format_names import FormatName
from profiler_server.tables.formats import fbnet, ofa, proxylessnas
from profiler_server.tables.formats.table import Format

FORMATS: dict[FormatName, Format] = {
    "proxylessnas": proxylessnas.FORMAT,
    "ofa": ofa.FORMAT,
    "fbnet": fbnet.FORMAT,
}
