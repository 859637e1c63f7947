"""A snapshot as Arrow and Parquet. pyarrow is optional, and imported on first use."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from netspec.wire import Snapshot
from profiler_server.latency_tables.columns import COLUMNS

if TYPE_CHECKING:
    import pyarrow as pa

_FLOATS = ("value_ms", "low_ms", "high_ms", "disagreement_percent")
_COUNTS = ("visits", "devices")


def arrow(snapshot: Snapshot) -> bytes:
    """An Arrow IPC stream; what is not an entry is in the schema's metadata."""
    import pyarrow as pa  # noqa: PLC0415 - optional

    sink = pa.BufferOutputStream()
    table = _table(snapshot)
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue().to_pybytes()


def parquet(snapshot: Snapshot) -> bytes:
    """A Parquet file with the same columns and metadata."""
    import pyarrow as pa  # noqa: PLC0415 - optional
    from pyarrow import parquet as files  # noqa: PLC0415 - optional

    sink = pa.BufferOutputStream()
    files.write_table(_table(snapshot), sink)
    return sink.getvalue().to_pybytes()


def _table(snapshot: Snapshot) -> pa.Table:
    import pyarrow as pa  # noqa: PLC0415 - optional

    types: dict[str, pa.DataType] = {
        **dict.fromkeys(COLUMNS, pa.string()),
        **dict.fromkeys(_FLOATS, pa.float64()),
        **dict.fromkeys(_COUNTS, pa.int64()),
        "measured_at": pa.timestamp("us", tz="UTC"),
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
    columns = {name: [getattr(entry, name) for entry in snapshot.entries] for name in COLUMNS}
    return pa.table(columns, schema=pa.schema(list(types.items()), metadata=metadata))
