"""What an attempt at a lease knows about its tasks."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Literal

from device_agent.errors import ProfileMismatch
from device_agent.measuring.rounds import interleaved_rounds
from device_agent.text import one_line
from netspec.operators import Operator
from netspec.wire import (
    Lease,
    LeasedTask,
    ModelSubject,
    NetworkSubject,
    TaskMethod,
    TaskOutcome,
)

_MAX_REASON = 2_000
#: visits that one attempt makes of a task, as times those wanted and some more: on a machine whose
#: neighbours take turns, an anchor may reject two of three
_MOST_TIMES, _SPARE = 4, 2


@dataclass(frozen=True)
class PlannedVisit:
    """One visit to make."""

    task: LeasedTask
    #: which time the lease's tasks are gone through
    round: int


class TaskBatch:
    """The tasks of one lease, the visits made of them, and how each ends."""

    def __init__(self, lease: Lease) -> None:
        self._tasks = {task.task_id: task for task in lease.tasks}
        self._accepted: Counter[str] = Counter()
        self._made: Counter[str] = Counter()
        self._rejections: dict[str, str] = {}
        #: whose last visit was taken back: that speaks against the machine, not against the task
        self._taken_back: set[str] = set()
        self._failures: dict[str, str] = {}
        self._seed = lease.id
        self._rounds = deque(enumerate(self._shuffled(self._wanted())))
        self._next_round = len(self._rounds)

    def stretch(self, at_least: int, dropped: Collection[str] = ()) -> list[PlannedVisit]:
        """The next visits: whole rounds until there are enough; empty when all is done.

        When every round was gone through, tasks with rejected visits are visited again.

        Args:
            at_least: visits wanted; there are fewer when the batch ends.
            dropped: ids of tasks that were cancelled.
        """
        planned = self._take(at_least, dropped)
        if not planned:
            self._plan_again()
            planned = self._take(at_least, dropped)
        return planned

    @property
    def tasks(self) -> tuple[LeasedTask, ...]:
        """All tasks, as leased."""
        return tuple(self._tasks.values())

    @property
    def visits(self) -> int:
        """Visits wanted of all tasks."""
        return sum(task.visits for task in self._tasks.values())

    def failed(self, task: LeasedTask) -> bool:
        """Whether a visit of the task failed in this attempt."""
        return task.task_id in self._failures

    def count(self, task: LeasedTask, rejected: str = "") -> None:
        """One more visit of the task is spooled."""
        self._made[task.task_id] += 1
        self._taken_back.discard(task.task_id)
        if rejected:
            self._rejections[task.task_id] = rejected
        else:
            self._accepted[task.task_id] += 1

    def take_back(self, task: LeasedTask, rejected: str) -> None:
        """A visit that was counted as accepted is rejected after all."""
        self._accepted[task.task_id] -= 1
        self._rejections[task.task_id] = rejected
        self._taken_back.add(task.task_id)

    def fail(self, task: LeasedTask, reason: str) -> None:
        """The task is given up for this attempt."""
        self._failures[task.task_id] = one_line(reason)[:_MAX_REASON]

    def outcomes(self) -> tuple[TaskOutcome, ...]:
        """How each task ended: failed, done with all its visits, or unfinished."""
        return tuple(self._outcome(task) for task in self._tasks.values())

    def _take(self, at_least: int, dropped: Collection[str]) -> list[PlannedVisit]:
        planned: list[PlannedVisit] = []
        while len(planned) < at_least and self._rounds:
            number, ids = self._rounds.popleft()
            planned += self._planned(number, ids, dropped)
        return planned

    def _plan_again(self) -> None:
        """Rounds of the visits that were rejected."""
        for ids in self._shuffled(self._wanted()):
            self._rounds.append((self._next_round, ids))
            self._next_round += 1

    def _wanted(self) -> dict[str, int]:
        """Visits still to make, by task id."""
        wanted = {
            task_id: min(task.visits - self._accepted[task_id], self._remaining(task))
            for task_id, task in self._tasks.items()
            if task_id not in self._failures
        }
        return {task_id: visits for task_id, visits in wanted.items() if visits > 0}

    def _remaining(self, task: LeasedTask) -> int:
        """How many more visits of the task this attempt may make, accepted or not."""
        return _MOST_TIMES * task.visits + _SPARE - self._made[task.task_id]

    def _shuffled(self, wanted: dict[str, int]) -> list[list[str]]:
        return interleaved_rounds(wanted, f"{self._seed} {sum(self._made.values())}")

    def _planned(self, number: int, ids: list[str], dropped: Collection[str]) -> list[PlannedVisit]:
        return [
            PlannedVisit(self._tasks[task_id], number)
            for task_id in ids
            if task_id not in self._failures and task_id not in dropped
        ]

    def _outcome(self, task: LeasedTask) -> TaskOutcome:
        reason = self._failures.get(task.task_id)
        if reason is not None:
            return TaskOutcome(task_id=task.task_id, state="failed", reason=reason)
        accepted = self._accepted[task.task_id]
        if accepted >= task.visits:
            return TaskOutcome(task_id=task.task_id, state="done")
        reason = f"{accepted} of {task.visits} visits are accepted"
        if task.task_id in self._rejections:
            reason += f"; the last one rejected: {self._rejections[task.task_id]}"
        # Without a failure, a task that nobody can measure here would come back for ever. What
        # anchors take back comes again: they follow the machine, so that an end is in sight.
        tired = self._remaining(task) <= 0 and task.task_id not in self._taken_back
        state: Literal["failed", "unfinished"] = "failed" if tired else "unfinished"
        return TaskOutcome(task_id=task.task_id, state=state, reason=reason)


def operators_to_profile(task: LeasedTask) -> Sequence[Operator] | None:
    """The operators that the task's visits shall carry a profile of; None: no profile.

    Of an uploaded model, whose operators nobody has told, there are none: its profile is one of
    its kernels.
    """
    if task.method != "in_network":
        return None
    if isinstance(task.subject, NetworkSubject):
        return task.subject.network.operators
    return () if isinstance(task.subject, ModelSubject) else None


def check_method(task: LeasedTask, methods: Sequence[TaskMethod]) -> None:
    """Refuse a task that cannot be measured as it asks.

    Raises:
        ProfileMismatch: the device has not this method, or there is nothing to profile.
    """
    if task.method not in methods:
        raise ProfileMismatch(
            f"the method {task.method!r} is not one that this device's runner has "
            f"({', '.join(methods)})"
        )
    if task.method == "in_network" and operators_to_profile(task) is None:
        raise ProfileMismatch(
            f"{task.subject.name} is neither network nor model, so it has no profile"
        )
