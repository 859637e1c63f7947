"""The published formats of latency tables, by name."""

from __future__ import annotations

from typing import Literal

from profiler_server.tables.formats import fbnet, ofa, proxylessnas
from profiler_server.tables.formats.table import Format

FormatName = Literal["proxylessnas", "ofa", "fbnet"]

FORMATS: dict[FormatName, Format] = {
    "proxylessnas": proxylessnas.FORMAT,
    "ofa": ofa.FORMAT,
    "fbnet": fbnet.FORMAT,
}
