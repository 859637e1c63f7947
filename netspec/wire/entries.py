"""What an entry is made of: its devices' estimates and its visits."""

from __future__ import annotations

from typing import Annotated

from pydantic import AwareDatetime, Field

from netspec.protocol import TargetId
from netspec.wire.measurements import Visit
from netspec.wire.message import Message
from netspec.wire.retractions import Retraction
from netspec.wire.tables import Entry, Milliseconds


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
