"""The profiler's Python client; needs neither torch nor any of the three rooms.

    from netspec.client import ProfilerClient

    with ProfilerClient("http://lab:8600") as client:
        table = client.table()
        print(table.predict_ms(network))
        print(client.measure("model.tflite").value_ms)

Offline, from a file that `search-client snapshot` or `LatencyTable.save` wrote:

    table = LatencyTable.from_file("pixel.json")
"""

from __future__ import annotations

from netspec.client.clients import AsyncProfilerClient, ProfilerClient
from netspec.client.errors import (
    InvalidModel,
    JobFailed,
    NoAgent,
    NoCalibration,
    NoPrediction,
    NoSnapshot,
    NoTable,
    Offline,
)
from netspec.client.latency_table import LatencyTable
from netspec.client.model_latency import KernelShare, ModelLatency
from netspec.client.model_prediction import ModelPieces, ModelPrediction, PricedPiece
from netspec.client.snapshot_cache import SnapshotCache
from netspec.errors import UnknownId

__all__ = [
    "AsyncProfilerClient",
    "InvalidModel",
    "JobFailed",
    "KernelShare",
    "LatencyTable",
    "ModelLatency",
    "ModelPieces",
    "ModelPrediction",
    "NoAgent",
    "NoCalibration",
    "NoPrediction",
    "NoSnapshot",
    "NoTable",
    "Offline",
    "PricedPiece",
    "ProfilerClient",
    "SnapshotCache",
    "UnknownId",
]
