"""Visits on their way to the server, its receipts, and what takes visits back."""

from __future__ import annotations

from typing import Annotated, Literal, Self
from uuid import UUID

from pydantic import AwareDatetime, Field, model_validator

from netspec.protocol import Sha256, TargetId, Text
from netspec.statistics import VisitStatistics
from netspec.wire.message import MAX_VISITS_PER_BATCH, Count, ListQuery, Message, Moment
from netspec.wire.profiles import Profile


class Conditions(Message):
    """What was observed around a visit; None where the device does not say."""

    #: greatest CPU temperature in degrees Celsius
    cpu_celsius: float | None = None
    battery_percent: float | None = None
    #: runnable processes, average of the last minute
    load_1m: float | None = None
    #: clock of the core measured on, in MHz; after a visit its mean over the visit, where a phone
    #: keeps count
    cpu_mhz: float | None = None
    #: clock of the GPU, where it runs the subject, in MHz; after a visit its mean over the visit,
    #: where the device keeps count
    gpu_mhz: Annotated[float | None, Field(exclude_if=lambda value: value is None)] = None
    battery_celsius: float | None = None
    #: Android's, 0 is none; of a Linux board 1 where something lowers its clocks
    thermal_status: int | None = None
    #: share of the measured cores' time that others took: before a visit, while nothing was
    #: measured; after it, of its runs
    busy_share: float | None = None
    #: the anchor's time over its reference, at the last anchor before
    anchor_ratio: float | None = None
    #: what was done to the device and to this visit, in order, for instance `affinity f0`
    steps: tuple[Text, ...] = ()


class Visit(Message):
    """One launch that measured one subject. Appended, never changed.

    The agent makes the id, so that an upload can be repeated.
    """

    id: UUID
    task_id: Text
    #: under which it was made, of its device; None only of visits stored before leases were sent
    lease_id: Annotated[Text | None, Field(exclude_if=lambda value: value is None)] = None
    device_id: Text
    target_id: TargetId
    subject_hash: Sha256
    round: Count
    started_at: Moment
    statistics: VisitStatistics
    before: Conditions
    after: Conditions
    #: why this visit must not enter an estimate, empty if it may
    rejected: Annotated[str, Field(max_length=500)] = ""
    #: what the runner printed
    raw: Annotated[str, Field(max_length=65_536)]
    #: of the subject's operators, where the task asked for it
    profile: Annotated[Profile | None, Field(exclude_if=lambda value: value is None)] = None


class VisitBatch(Message):
    """An upload of spooled visits."""

    visits: Annotated[tuple[Visit, ...], Field(min_length=1, max_length=MAX_VISITS_PER_BATCH)]


class VisitReceipt(Message):
    """What became of one uploaded visit.

    `duplicate`: the same visit was there already; `conflict`: another one under its id;
    `unknown`: its device, target or subject is not known here, so it cannot be stored; `unleased`:
    its lease was not one of its device for its target and subject, so it is not taken.
    """

    id: UUID
    state: Literal["stored", "duplicate", "conflict", "unknown", "unleased"]


class VisitReceipts(Message):
    """One receipt a visit, in the order of the upload."""

    receipts: tuple[VisitReceipt, ...]


class VisitChoice(Message):
    """Visits that have everything that is named in common."""

    device_id: Text | None = None
    #: that they were uploaded with
    token_id: Text | None = None
    #: whose tasks they were made for
    job_id: Text | None = None
    lease_id: Text | None = None
    target_id: TargetId | None = None
    #: stored from here on, by the database's clock
    since: Moment | None = None
    #: stored before
    until: Moment | None = None

    @model_validator(mode="after")
    def _names_something(self) -> Self:
        chosen = (getattr(self, name) for name in VisitChoice.model_fields)
        if all(value is None for value in chosen):
            raise ValueError(f"name at least one of {', '.join(VisitChoice.model_fields)}")
        return self


class RetractionRequest(VisitChoice):
    """Take visits back."""

    #: for whoever meets one of them later
    reason: Annotated[str, Field(min_length=1, max_length=500, pattern=r"^[^\x00]*$")]


class Retraction(Message):
    """What was taken back together, by whom, when and why."""

    id: Text
    at: AwareDatetime
    #: the token's; None: a command beside the database
    token_id: Text | None
    #: the token's name
    by: str
    reason: str
    choice: VisitChoice
    #: how many visits it was
    visits: int


class RetractionQuery(ListQuery):
    """Which retractions, and in which order."""

    owner: Annotated[Text | None, Field(description="Name or id of the token that asked")] = None
    device_id: Annotated[Text | None, Field(description="Of visits of this device")] = None
    job_id: Annotated[Text | None, Field(description="Of visits made for this job")] = None
    target_id: Annotated[TargetId | None, Field(description="Of visits of this target")] = None
    since: Annotated[Moment | None, Field(description="From this time on")] = None
    until: Annotated[Moment | None, Field(description="Before this time")] = None
    sort: Annotated[Literal["at", "-at"], Field(description="By what; `-`: greatest first")] = "-at"
