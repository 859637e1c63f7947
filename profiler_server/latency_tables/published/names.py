"""Names of the published formats; apart, because naming one needs none of their readers."""

from __future__ import annotations

from typing import Literal

FormatName = Literal["proxylessnas", "ofa", "fbnet", "csv", "jsonl", "snapshot"]
