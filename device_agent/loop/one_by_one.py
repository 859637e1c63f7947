"""The tasks of a lease of which no visits are made: one after the other, behind all visits."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Literal

import structlog

from device_agent.errors import VisitFailed
from device_agent.loop.bench import Bench
from device_agent.loop.model_files import WrongContent
from device_agent.loop.server import blames_the_moment
from device_agent.text import one_line
from netspec.errors import EncodingError, ProfilerRefused, ProfilerUnreachable
from netspec.images import BadImages
from netspec.wire import LeasedTask, TaskOutcome

#: between tries to hand something over while the server is away, s
_HAND_OVER_EVERY_S = 2.0
_MAX_REASON = 2_000

_log = structlog.get_logger()


@dataclass
class OneByOne(ABC):
    """Does the tasks of a lease in turn, and sends what each gave as soon as it is there.

    What is not sent when the lease ends is lost, and nothing else.
    """

    bench: Bench
    lease_id: str
    tasks: Sequence[LeasedTask]
    #: whether the lease is held and the agent shall go on
    go_on: Callable[[], bool]
    cancelled: Callable[[], frozenset[str]]

    #: of the progress, for people
    stage: ClassVar[str]

    #: of the tasks that ended, how
    _ended: dict[str, TaskOutcome] = field(default_factory=dict)

    def run(self) -> None:
        """Does what is wanted, until all is or `go_on` says no.

        Raises:
            DeviceNotReady: nothing can be run now.
            ProfilerUnreachable: the server is away, and the lease with it.
            ProfilerRefused: the server hands out nothing, or takes nothing, now.
        """
        if not self.tasks:
            return
        with self.bench.progress.stage(self.stage, sum(map(self.steps, self.tasks))):
            for task in self.tasks:
                if not self.go_on():
                    return
                if self.wanted(task):
                    self._run(task)

    def outcomes(self) -> tuple[TaskOutcome, ...]:
        """How each task ended."""
        return tuple(
            self._ended.get(task.task_id, TaskOutcome(task_id=task.task_id, state="unfinished"))
            for task in self.tasks
        )

    def wanted(self, task: LeasedTask) -> bool:
        """Whether the lease is held, and the task not cancelled."""
        return self.go_on() and task.task_id not in self.cancelled()

    def steps(self, task: LeasedTask) -> int:  # noqa: ARG002 - kinds of tasks differ in it
        """Steps of the progress that the task takes; `do` advances it."""
        return 1

    @abstractmethod
    def do(self, task: LeasedTask) -> Callable[[], None] | None:
        """Do one task; what sends its results, None where they are not wanted any more.

        Raises:
            VisitFailed: the task cannot be done on this device.
            WrongContent: the server sent another file.
            BadImages: its images cannot be read.
            EncodingError: its operators cannot be written as a file.
            ProfilerRefused: the server does not have its files.
            DeviceNotReady: nothing can be run now.
        """

    def _run(self, task: LeasedTask) -> None:
        try:
            send = self.do(task)
            if send is not None:
                self._hand_over(send)
                self._end(task, "done")
        except (VisitFailed, WrongContent, BadImages, EncodingError, ProfilerRefused) as error:
            if isinstance(error, ProfilerRefused) and blames_the_moment(error):
                raise
            self._end(task, "failed", one_line(error)[:_MAX_REASON])
            _log.warning("task failed", subject=task.subject.name, why=one_line(error))

    def _hand_over(self, send: Callable[[], None]) -> None:
        """Sends, waiting for the server while the lease lives."""
        while True:
            try:
                send()
            except ProfilerUnreachable:
                if not self.go_on():
                    raise
                self.bench.stop.wait(_HAND_OVER_EVERY_S)
            else:
                return

    def _end(self, task: LeasedTask, state: Literal["done", "failed"], reason: str = "") -> None:
        self._ended[task.task_id] = TaskOutcome(task_id=task.task_id, state=state, reason=reason)
