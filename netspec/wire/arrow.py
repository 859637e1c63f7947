"""A snapshot as an Arrow table. pyarrow is optional, and imported on first use."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from netspec.console.extras import needs_extra
from netspec.wire.columns import COLUMNS, OPERATOR_FIELDS, columns_of
from netspec.wire.tables import Snapshot

if TYPE_CHECKING:
    import pyarrow as pa

_FLOATS = (
    *("value_ms", "low_ms", "high_ms", "disagreement_percent", "corrected_ms"),
    *("load_ms", "first_inference_ms"),
)
_COUNTS = ("visits", "devices", "peak_memory_bytes")


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
