"""The messages between the rooms: the one definition of what goes over HTTP."""

from __future__ import annotations

from datetime import datetime
from functools import cached_property
from typing import Annotated, Literal
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from netspec.networks import Network
from netspec.operators import Operator, Precision
from netspec.protocol import MeasurementProtocol, Sha256, TargetId, TargetIdentity, Text
from netspec.spaces import Space
from netspec.statistics import VisitStatistics

#: limits that server and clients agree on
MAX_VISITS_PER_BATCH = 1_000
MAX_TASKS_PER_LEASE = 2_000
MAX_MODEL_BYTES = 64 * 2**20
MAX_WAIT_S = 30.0

Milliseconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class Message(BaseModel):
    """Immutable, and strict about unknown fields."""

    model_config = ConfigDict(frozen=True, extra="forbid")


# What a task measures


class OperatorSubject(Message):
    """One operator by itself."""

    kind: Literal["operator"] = "operator"
    operator: Operator

    @property
    def content_hash(self) -> str:
        """The operator's content hash."""
        return self.operator.content_hash

    @property
    def name(self) -> str:
        """The operator's canonical key."""
        return self.operator.key

    @property
    def precision(self) -> Precision | None:
        """The operator's precision."""
        return self.operator.precision


class NetworkSubject(Message):
    """A whole network with seeded weights."""

    kind: Literal["network"] = "network"
    network: Network

    @property
    def content_hash(self) -> str:
        """The network's content hash."""
        return self.network.content_hash

    @property
    def name(self) -> str:
        """The network's name."""
        return self.network.name

    @property
    def precision(self) -> Precision | None:
        """The operators' precision, None where it is mixed."""
        precisions = {operator.precision for operator in self.network.operators}
        return precisions.pop() if len(precisions) == 1 else None


class ModelSubject(Message):
    """An uploaded `.tflite` file."""

    kind: Literal["model"] = "model"
    sha256: Sha256
    name: Text

    @property
    def content_hash(self) -> str:
        """SHA-256 of the file."""
        return self.sha256

    @property
    def precision(self) -> Precision | None:
        """Not known: the file says."""
        return None


Subject = Annotated[OperatorSubject | NetworkSubject | ModelSubject, Field(discriminator="kind")]


# Devices


class DeviceRegistration(Message):
    """An agent presents one device and the targets it can measure."""

    agent: Text
    serial: Text
    targets: Annotated[tuple[TargetIdentity, ...], Field(min_length=1, max_length=16)]
    protocol: MeasurementProtocol


class Device(Message):
    """A device as the server knows it."""

    id: Text
    agent: Text
    serial: Text
    target_ids: tuple[TargetId, ...]
    last_seen: AwareDatetime


class RegisteredDevice(Message):
    """The answer to a registration, with the intervals that the agent must keep."""

    id: Text
    target_ids: tuple[TargetId, ...]
    lease_ttl_s: float
    renew_every_s: float


class Target(Message):
    """A target with what its table holds."""

    id: TargetId
    identity: TargetIdentity
    entries: int
    devices: int


# Jobs


class JobRequest(Message):
    """What to measure on which target. Spaces are expanded by the server."""

    name: Text
    target_id: TargetId
    spaces: Annotated[tuple[Space, ...], Field(max_length=16)] = ()
    operators: Annotated[tuple[Operator, ...], Field(max_length=5_000)] = ()
    networks: Annotated[tuple[Network, ...], Field(max_length=500)] = ()
    models: Annotated[tuple[ModelSubject, ...], Field(max_length=100)] = ()
    #: visits wanted of each subject
    rounds: Annotated[int, Field(ge=1, le=1_000)] = 10
    #: measure also what has a fresh entry
    remeasure: bool = False
    #: higher is leased first
    priority: Annotated[int, Field(ge=-100, le=100)] = 0


JobState = Literal["queued", "running", "done", "failed", "cancelled"]


class TaskFailure(Message):
    """A task that was given up."""

    subject: str
    reason: str


class Job(Message):
    """A job and how far it is."""

    id: Text
    name: Text
    target_id: TargetId
    state: JobState
    created_at: AwareDatetime
    tasks: int
    tasks_done: int
    tasks_failed: int
    #: subjects that had a fresh entry and are not measured again
    reused: int
    visits: int
    visits_done: int
    #: time left, None until the first visits are there
    eta_s: float | None
    failures: tuple[TaskFailure, ...] = ()


# Leases


class LeaseRequest(Message):
    """An agent asks for a batch of tasks for one device."""

    device_id: Text
    max_tasks: Annotated[int, Field(ge=1, le=MAX_TASKS_PER_LEASE)] = 500
    #: how long the server may hold the question when there is nothing to do
    wait_s: Annotated[float, Field(ge=0, le=MAX_WAIT_S)] = 0.0


class LeasedTask(Message):
    """One task of a lease."""

    task_id: Text
    subject: Subject
    #: visits still wanted
    visits: Annotated[int, Field(ge=1)]


class Lease(Message):
    """A batch of tasks, an attempt of one device at them."""

    id: Text
    #: grows with every claim; a transition with an old one is refused
    fence: int
    target_id: TargetId
    ttl_s: float
    tasks: tuple[LeasedTask, ...]


class LeaseRenewal(Message):
    """The agent is still at it."""

    fence: int


class LeaseStatus(Message):
    """The answer to a renewal."""

    ttl_s: float
    #: tasks whose job was cancelled: stop visiting them
    cancelled_task_ids: tuple[Text, ...] = ()


class TaskOutcome(Message):
    """How an attempt at one task ended.

    `unfinished` returns the task to the queue without counting against it.
    """

    task_id: Text
    state: Literal["done", "failed", "unfinished"]
    reason: Annotated[str, Field(max_length=2_000)] = ""


class LeaseRelease(Message):
    """The agent hands the lease back."""

    fence: int
    outcomes: Annotated[tuple[TaskOutcome, ...], Field(max_length=MAX_TASKS_PER_LEASE)]


# Measurements


class Conditions(Message):
    """What was observed around a visit; None where the device does not say."""

    #: greatest CPU temperature in degrees Celsius
    cpu_celsius: float | None = None
    battery_percent: float | None = None
    #: runnable processes, average of the last minute
    load_1m: float | None = None
    #: clock of the core measured on, in MHz
    cpu_mhz: float | None = None


class Visit(Message):
    """One launch that measured one subject. Appended, never changed.

    The agent makes the id, so that an upload can be repeated.
    """

    id: UUID
    task_id: Text
    device_id: Text
    target_id: TargetId
    subject_hash: Sha256
    round: Annotated[int, Field(ge=0)]
    started_at: AwareDatetime
    statistics: VisitStatistics
    before: Conditions
    after: Conditions
    #: why this visit must not enter an estimate, empty if it may
    rejected: Annotated[str, Field(max_length=500)] = ""
    #: what the runner printed
    raw: Annotated[str, Field(max_length=65_536)]


class VisitBatch(Message):
    """An upload of spooled visits."""

    visits: Annotated[tuple[Visit, ...], Field(min_length=1, max_length=MAX_VISITS_PER_BATCH)]


class VisitReceipt(Message):
    """What became of one uploaded visit.

    `duplicate`: the same visit was there already; `conflict`: another one under its id;
    `unknown`: its device, target or subject is not known here, so it cannot be stored.
    """

    id: UUID
    state: Literal["stored", "duplicate", "conflict", "unknown"]


class VisitReceipts(Message):
    """One receipt a visit, in the order of the upload."""

    receipts: tuple[VisitReceipt, ...]


# Tables

Method = Literal["isolated", "in_network", "imported", "fitted"]


class Entry(Message):
    """A table's value for an operator, or the measured value of a network or model."""

    subject_hash: Sha256
    kind: Literal["operator", "network", "model"]
    #: an operator's canonical key, a network's or model's name
    name: str
    precision: Precision | None
    method: Method
    value_ms: Milliseconds
    #: 95 % bootstrap interval
    low_ms: Milliseconds
    high_ms: Milliseconds
    visits: int
    measured_at: AwareDatetime


class LatencyLookup(Message):
    """A question for many operators' entries on one target."""

    target_id: TargetId
    operators: Annotated[tuple[Operator, ...], Field(min_length=1, max_length=5_000)]


class LookedUpLatency(Message):
    """What the table says of one operator.

    `stale`: measured longer ago than the server's freshness setting; `missing`: no entry.
    """

    #: the operator's canonical key
    key: str
    state: Literal["hit", "stale", "missing"]
    #: None where it is missing
    entry: Entry | None


class LookedUpLatencies(Message):
    """One answer an operator, in the order of the question."""

    target_id: TargetId
    latencies: tuple[LookedUpLatency, ...]


class CalibrationNetwork(Message):
    """One network that a calibration was fitted on."""

    name: str
    subject_hash: Sha256
    #: sum of the operators' entries
    sum_ms: Milliseconds
    measured_ms: Milliseconds


class HeldOutError(Message):
    """Error of predictions for networks that took no part in the fit (leave one out)."""

    networks: int
    mape_percent: float
    bias_percent: float
    worst_percent: float


class Calibration(Message):
    """How sums of entries map to whole networks: measured = scale * sum + intercept."""

    precision: Precision
    scale: float
    intercept_ms: float
    networks: tuple[CalibrationNetwork, ...]
    held_out: HeldOutError | None

    def predict_ms(self, sum_ms: float) -> float:
        """Latency of a whole network (ms) from the sum of its operators' entries (ms)."""
        return self.scale * sum_ms + self.intercept_ms


class PublishRequest(Message):
    """Freeze a target's table as a snapshot."""

    #: content hashes of the measured networks to calibrate on; None: all of them
    calibrate_on: Annotated[tuple[Sha256, ...], Field(max_length=500)] | None = None


class Snapshot(Message):
    """An immutable table. Its id is the hash of its content, and its ETag."""

    id: Sha256
    target_id: TargetId
    identity: TargetIdentity
    created_at: datetime
    #: operators only, sorted by name
    entries: tuple[Entry, ...]
    calibrations: tuple[Calibration, ...]

    @cached_property
    def values_ms(self) -> dict[str, float]:
        """Entry value (ms) by canonical key."""
        return {entry.name: entry.value_ms for entry in self.entries}

    def calibration(self, precision: Precision) -> Calibration | None:
        """The calibration of one precision, None where no network was measured."""
        return next((c for c in self.calibrations if c.precision == precision), None)


class PredictRequest(Message):
    """A question for the latency of a whole network."""

    network: Network


class Prediction(Message):
    """A network's latency as the table predicts it."""

    target_id: TargetId
    #: the network's name and content hash
    name: str
    subject_hash: Sha256
    precision: Precision
    #: sum of the operators' entries as they are now
    sum_ms: Milliseconds
    predicted_ms: Milliseconds
    #: the snapshot whose calibration maps the sum
    snapshot_id: Sha256
    #: that calibration's error
    held_out: HeldOutError | None
    #: keys of operators measured longer ago than the server's freshness setting
    stale: tuple[str, ...]
