"""The columns of a table in CSV, Arrow and Parquet: an entry's own fields."""

from __future__ import annotations

from datetime import datetime

from netspec.wire import Entry

COLUMNS = (
    "subject_hash",
    "kind",
    "name",
    "precision",
    "method",
    "value_ms",
    "low_ms",
    "high_ms",
    "visits",
    "measured_at",
    "devices",
    "disagreement_percent",
    "fitted_from",
)


def cells(entry: Entry) -> list[object]:
    """One entry's values as CSV writes them; times in ISO 8601, None as an empty cell."""
    values = (getattr(entry, column) for column in COLUMNS)
    return [value.isoformat() if isinstance(value, datetime) else value for value in values]
