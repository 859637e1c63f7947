"""Visits that are taken back: kept and marked, and no longer in any entry."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import AwareDatetime, Field, model_validator

from netspec.protocol import TargetId, Text
from netspec.wire.message import ListQuery, Message, Moment


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
