"""What is asked for, and how far it is."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AwareDatetime, Field

from netspec.networks import Network
from netspec.operators import Operator
from netspec.protocol import TargetId, Text
from netspec.spaces import Space
from netspec.wire.message import Message
from netspec.wire.subjects import ModelSubject


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
