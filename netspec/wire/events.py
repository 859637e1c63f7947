"""What happened, for whoever follows a job or looks after a device."""

from __future__ import annotations

from pydantic import AwareDatetime

from netspec.wire.message import Message


class Event(Message):
    """One line of the log, which is only ever appended to."""

    #: grows from event to event
    id: int
    at: AwareDatetime
    kind: str
    #: what it is about, if it is about one
    job_id: str | None
    device_id: str | None
    #: ids and values, by name
    data: dict[str, str | int]
