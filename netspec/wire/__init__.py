"""The messages between the rooms: the one definition of what goes over HTTP."""

from __future__ import annotations

from netspec.wire.devices import (
    Device,
    DeviceLabels,
    DeviceRegistration,
    Quarantine,
    QuarantineRequest,
    RegisteredDevice,
    Target,
)
from netspec.wire.entries import DeviceEstimate, EntryDetail, StoredVisit
from netspec.wire.events import Event
from netspec.wire.jobs import Job, JobRequest, JobState, TargetSelector, TaskFailure
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
    MODEL_IDENTIFIER,
    Message,
)
from netspec.wire.profiles import ISOLATED, Profile, TaskMethod
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
from netspec.wire.transfers import Transfer, TransferOfPrecision, TransferRequest

__all__ = [
    "ISOLATED",
    "MAX_LOOKED_UP",
    "MAX_MODEL_BYTES",
    "MAX_TASKS_PER_LEASE",
    "MAX_VISITS_PER_BATCH",
    "MAX_WAIT_S",
    "MODEL_IDENTIFIER",
    "Calibration",
    "CalibrationNetwork",
    "Conditions",
    "Device",
    "DeviceEstimate",
    "DeviceLabels",
    "DeviceRegistration",
    "Entry",
    "EntryDetail",
    "Event",
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
    "Profile",
    "PublishRequest",
    "Quarantine",
    "QuarantineRequest",
    "RegisteredDevice",
    "Snapshot",
    "StoredVisit",
    "Subject",
    "Target",
    "TargetSelector",
    "TaskFailure",
    "TaskMethod",
    "TaskOutcome",
    "Transfer",
    "TransferOfPrecision",
    "TransferRequest",
    "Visit",
    "VisitBatch",
    "VisitReceipt",
    "VisitReceipts",
]
