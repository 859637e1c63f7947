"""The messages between the rooms: the one definition of what goes over HTTP."""

from __future__ import annotations

from netspec.wire.devices import Device, DeviceRegistration, RegisteredDevice, Target
from netspec.wire.entries import DeviceEstimate, EntryDetail, StoredVisit
from netspec.wire.jobs import Job, JobRequest, JobState, TaskFailure
from netspec.wire.leases import (
    Lease,
    LeasedTask,
    LeaseRelease,
    LeaseRenewal,
    LeaseRequest,
    LeaseStatus,
    TaskOutcome,
)
from netspec.wire.measurements import Conditions, Visit, VisitBatch, VisitReceipt, VisitReceipts
from netspec.wire.message import (
    MAX_LOOKED_UP,
    MAX_MODEL_BYTES,
    MAX_TASKS_PER_LEASE,
    MAX_VISITS_PER_BATCH,
    MAX_WAIT_S,
    Message,
)
from netspec.wire.subjects import ModelSubject, NetworkSubject, OperatorSubject, Subject
from netspec.wire.tables import (
    Calibration,
    CalibrationNetwork,
    Entry,
    HeldOutError,
    LatencyLookup,
    LookedUpLatencies,
    LookedUpLatency,
    Method,
    PredictedLatency,
    Prediction,
    PredictRequest,
    PublishRequest,
    Snapshot,
)

__all__ = [
    "MAX_LOOKED_UP",
    "MAX_MODEL_BYTES",
    "MAX_TASKS_PER_LEASE",
    "MAX_VISITS_PER_BATCH",
    "MAX_WAIT_S",
    "Calibration",
    "CalibrationNetwork",
    "Conditions",
    "Device",
    "DeviceEstimate",
    "DeviceRegistration",
    "Entry",
    "EntryDetail",
    "HeldOutError",
    "Job",
    "JobRequest",
    "JobState",
    "LatencyLookup",
    "Lease",
    "LeaseRelease",
    "LeaseRenewal",
    "LeaseRequest",
    "LeaseStatus",
    "LeasedTask",
    "LookedUpLatencies",
    "LookedUpLatency",
    "Message",
    "Method",
    "ModelSubject",
    "NetworkSubject",
    "OperatorSubject",
    "PredictRequest",
    "PredictedLatency",
    "Prediction",
    "PublishRequest",
    "RegisteredDevice",
    "Snapshot",
    "StoredVisit",
    "Subject",
    "Target",
    "TaskFailure",
    "TaskOutcome",
    "Visit",
    "VisitBatch",
    "VisitReceipt",
    "VisitReceipts",
]
