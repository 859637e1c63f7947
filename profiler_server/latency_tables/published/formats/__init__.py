"""The published formats of latency tables, by name."""

from __future__ import annotations

from profiler_server.latency_tables.published.formats import (
    fbnet,
    neutral,
    ofa,
    proxylessnas,
    snapshot,
)
from profiler_server.latency_tables.published.formats.table import TableFormat
from profiler_server.latency_tables.published.names import FormatName

FORMATS: dict[FormatName, TableFormat] = {
    "proxylessnas": proxylessnas.FORMAT,
    "ofa": ofa.FORMAT,
    "fbnet": fbnet.FORMAT,
    "csv": neutral.CSV,
    "jsonl": neutral.JSONL,
    "snapshot": snapshot.FORMAT,
}
