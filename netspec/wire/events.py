"""What happened, for whoever follows a job or looks after a device."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AwareDatetime, Field

from netspec.protocol import Text
from netspec.wire.message import ListQuery, Message, Moment


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


class EventQuery(ListQuery):
    """Which events, and in which order; `id` is the order in which they were noted."""

    job_id: Annotated[Text | None, Field(description="Only what is about this job")] = None
    device_id: Annotated[Text | None, Field(description="Only what is about this device")] = None
    kind: Annotated[
        tuple[str, ...], Field(max_length=32, description="Of one of these; may be repeated")
    ] = ()
    since: Annotated[Moment | None, Field(description="From this time on")] = None
    until: Annotated[Moment | None, Field(description="Before this time")] = None
    sort: Annotated[Literal["id", "-id"], Field(description="By what; `-`: greatest first")] = "id"
