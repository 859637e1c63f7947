"""What an entry is made of: its devices' estimates and its visits."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AwareDatetime, Field

from netspec.protocol import TargetId, Text
from netspec.wire.measurements import Retraction, Visit
from netspec.wire.message import ListQuery, Message, Milliseconds, Moment
from netspec.wire.tables import Entry, Method


class DeviceEstimate(Message):
    """What the accepted visits of one device alone say."""

    device_id: str
    agent: str
    serial: str
    value_ms: Milliseconds
    #: 95 % bootstrap interval
    low_ms: Milliseconds
    high_ms: Milliseconds
    visits: int
    measured_at: AwareDatetime
    #: whether it is near enough to the other devices to count for the entry
    counts: bool = True


class EntryDetail(Message):
    """An entry with what each device says, and how many visits were left out."""

    target_id: TargetId
    entry: Entry
    #: by device id; empty for an imported entry
    devices: tuple[DeviceEstimate, ...]
    #: whether all devices' intervals have a value in common
    agree: bool
    #: and those that were taken back
    rejected_visits: int


class StoredVisit(Message):
    """A visit as the server keeps it; `rejected` is the agent's reason, or else the server's."""

    visit: Visit
    #: by the database's clock
    stored_at: AwareDatetime
    #: where it was taken back
    retraction: Annotated[Retraction | None, Field(exclude_if=lambda value: value is None)] = None
    #: the file, made by `profiler-server archive`, that holds what its runner printed
    raw_archive: Annotated[str | None, Field(exclude_if=lambda value: value is None)] = None
    #: from the file to a model that is ready to run; this and the next two are None where the
    #: runner did not say so
    load_ms: Annotated[Milliseconds | None, Field(exclude_if=lambda value: value is None)] = None
    #: the very first inference
    first_inference_ms: Annotated[
        Milliseconds | None, Field(exclude_if=lambda value: value is None)
    ] = None
    #: by which the peak resident memory of the runner's process grew
    peak_memory_bytes: Annotated[
        int | None, Field(ge=0, exclude_if=lambda value: value is None)
    ] = None


class EntryQuery(ListQuery):
    """Which entries of a job's subjects, and in which order."""

    target_id: Annotated[
        str | None, Field(description="One of the job's targets; by default its first")
    ] = None
    name: Annotated[Text | None, Field(description="Part of the name, in either case")] = None
    method: Annotated[
        tuple[Method, ...], Field(max_length=8, description="By one of these; may be repeated")
    ] = ()
    sort: Annotated[
        Literal["name", "-name", "value_ms", "-value_ms", "measured_at", "-measured_at"],
        Field(description="By what; `-`: greatest first"),
    ] = "name"


class DisagreementQuery(ListQuery):
    """Which entries of several devices, and in which order."""

    at_least_percent: Annotated[
        float, Field(ge=0, le=1e6, description="By how much the devices differ at least")
    ] = 0.0
    name: Annotated[Text | None, Field(description="Part of the name, in either case")] = None
    sort: Annotated[
        Literal["name", "-name", "disagreement_percent", "-disagreement_percent"],
        Field(description="By what; `-`: greatest first"),
    ] = "name"


class VisitQuery(ListQuery):
    """Which visits of a subject, and in which order."""

    state: Annotated[
        tuple[Literal["accepted", "rejected", "retracted"], ...],
        Field(max_length=3, description="Whether it is in the entry; may be repeated"),
    ] = ()
    device_id: Annotated[Text | None, Field(description="Made by this device")] = None
    since: Annotated[Moment | None, Field(description="Stored from this time on")] = None
    until: Annotated[Moment | None, Field(description="Stored before this time")] = None
    sort: Annotated[
        Literal["stored_at", "-stored_at"], Field(description="By what; `-`: greatest first")
    ] = "stored_at"
