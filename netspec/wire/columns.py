"""A table as columns, the same in CSV, Arrow, Parquet and pandas: one row an entry.

pyarrow is optional, and imported on first use.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from netspec.console.extras import needs_extra
from netspec.operators import operator_from_key, registered_operators
from netspec.wire.tables import Entry, Snapshot

if TYPE_CHECKING:
    import pyarrow as pa

#: an entry's own fields
ENTRY_COLUMNS = (
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
    "median_ms",
    "p95_ms",
    "std_ms",
    "load_ms",
    "first_inference_ms",
    "peak_memory_bytes",
)
#: an entry's energy, empty where none was measured
ENERGY_COLUMNS = ("energy_mj", "energy_low_mj", "energy_high_mj", "energy_meter")
#: `value_ms` as the calibration corrects it: what sums of networks add up
CORRECTED = "corrected_ms"
#: fields that operators have, by JSON type; a cell is empty where its kind has no such field
OPERATOR_FIELDS: dict[str, str] = {
    name: field.get("type", "string")
    for kind in registered_operators()
    for name, field in kind.model_json_schema()["properties"].items()
    if name not in {"kind", "precision"}
} | {"output_size": "integer"}
#: what the table is true for, the same in every row
TABLE_COLUMNS = ("target_id", "runtime", "snapshot_id")
COLUMNS = (*ENTRY_COLUMNS, *ENERGY_COLUMNS, CORRECTED, "operator", *OPERATOR_FIELDS, *TABLE_COLUMNS)
_FLOATS = (
    *("value_ms", "low_ms", "high_ms", "disagreement_percent", "corrected_ms"),
    *ENERGY_COLUMNS[:3],
    *("median_ms", "p95_ms", "std_ms", "load_ms", "first_inference_ms"),
)
_COUNTS = ("visits", "devices", "peak_memory_bytes")


def columns_of(snapshot: Snapshot) -> dict[str, list[Any]]:
    """Return the columns of a snapshot by name, its entries in their order.

    Raises:
        InvalidSpec: an entry's name is no operator's key.
    """
    entries = snapshot.entries
    operators = [operator_from_key(entry.name) for entry in entries]
    everywhere = (snapshot.target_id, snapshot.identity.runtime, snapshot.id)
    return {
        **{name: [getattr(entry, name) for entry in entries] for name in ENTRY_COLUMNS},
        **{name: [_energy(one)[at] for one in entries] for at, name in enumerate(ENERGY_COLUMNS)},
        CORRECTED: [snapshot.values_ms[entry.name] for entry in entries],
        "operator": [operator.kind for operator in operators],
        **{name: [getattr(one, name, None) for one in operators] for name in OPERATOR_FIELDS},
        **{
            name: [value] * len(entries)
            for name, value in zip(TABLE_COLUMNS, everywhere, strict=True)
        },
    }


def _energy(entry: Entry) -> tuple[float, float, float, str] | tuple[None, None, None, None]:
    found = entry.energy
    if found is None:
        return (None, None, None, None)
    return (found.value_mj, found.low_mj, found.high_mj, found.meter.name)


def arrow_table(snapshot: Snapshot) -> pa.Table:
    """Return the entries as rows; all else of the snapshot is in the schema's metadata.

    Raises:
        UserError: pyarrow is not installed.
        InvalidSpec: an entry's name is no operator's key.
    """
    with needs_extra("arrow", "a table in Arrow"):
        import pyarrow as pa  # noqa: PLC0415 - optional

    of_fields: dict[str, pa.DataType] = {
        "integer": pa.int64(),
        "boolean": pa.bool_(),
        "number": pa.float64(),
    }
    types: dict[str, pa.DataType] = {
        **dict.fromkeys(COLUMNS, pa.string()),
        **dict.fromkeys(_FLOATS, pa.float64()),
        **dict.fromkeys(_COUNTS, pa.int64()),
        "measured_at": pa.timestamp("us", tz="UTC"),
        **{name: of_fields.get(kind, pa.string()) for name, kind in OPERATOR_FIELDS.items()},
    }
    metadata: dict[bytes | str, bytes | str] = {
        "snapshot_id": snapshot.id,
        "target_id": snapshot.target_id,
        "created_at": snapshot.created_at.isoformat(),
        "identity": snapshot.identity.model_dump_json(),
        "calibrations": json.dumps(
            [calibration.model_dump(mode="json") for calibration in snapshot.calibrations]
        ),
    }
    schema = pa.schema(list(types.items()), metadata=metadata)
    return pa.table(columns_of(snapshot), schema=schema)
