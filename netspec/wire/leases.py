"""An attempt at a batch of tasks: claimed, renewed, handed back."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from netspec.protocol import TargetId, Text
from netspec.wire.message import MAX_TASKS_PER_LEASE, MAX_WAIT_S, Fence, Message
from netspec.wire.profiles import ISOLATED, TaskMethod, is_isolated
from netspec.wire.subjects import Subject


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
    #: `in_network`: each visit shall carry a profile of the network's operators
    method: Annotated[TaskMethod, Field(exclude_if=is_isolated)] = ISOLATED


class Lease(Message):
    """A batch of tasks, an attempt of one device at them."""

    id: Text
    #: grows with every claim; a transition with an old one is refused
    fence: Fence
    target_id: TargetId
    ttl_s: float
    tasks: tuple[LeasedTask, ...]


class LeaseRenewal(Message):
    """The agent is still at it."""

    fence: Fence


class LeaseStatus(Message):
    """The answer to a renewal."""

    ttl_s: float
    #: stop visiting these: their job was cancelled, or the device put in quarantine
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

    fence: Fence
    outcomes: Annotated[tuple[TaskOutcome, ...], Field(max_length=MAX_TASKS_PER_LEASE)]
