"""What an attempt at a lease knows about its tasks."""

from __future__ import annotations

from collections import Counter

from device_agent.rounds import interleaved_rounds
from netspec.wire import Lease, LeasedTask, TaskOutcome

_MAX_REASON = 2_000


class Batch:
    """The tasks of one lease, the visits made of them, and how each ends."""

    def __init__(self, lease: Lease) -> None:
        self._tasks = {task.task_id: task for task in lease.tasks}
        self._made: Counter[str] = Counter()
        self._failures: dict[str, str] = {}
        self._seed = lease.id

    def rounds(self) -> list[list[LeasedTask]]:
        """The tasks in the order of their visits."""
        wanted = {task_id: task.visits for task_id, task in self._tasks.items()}
        rounds = interleaved_rounds(wanted, self._seed)
        return [[self._tasks[task_id] for task_id in ids] for ids in rounds]

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

    def count(self, task: LeasedTask) -> None:
        """One more visit of the task is spooled."""
        self._made[task.task_id] += 1

    def fail(self, task: LeasedTask, reason: str) -> None:
        """The task is given up for this attempt."""
        self._failures[task.task_id] = " ".join(reason.split())[:_MAX_REASON]

    def outcomes(self) -> tuple[TaskOutcome, ...]:
        """How each task ended: failed, done with all its visits, or unfinished."""
        return tuple(self._outcome(task) for task in self._tasks.values())

    def _outcome(self, task: LeasedTask) -> TaskOutcome:
        reason = self._failures.get(task.task_id)
        if reason is not None:
            return TaskOutcome(task_id=task.task_id, state="failed", reason=reason)
        made = self._made[task.task_id]
        if made == task.visits:
            return TaskOutcome(task_id=task.task_id, state="done")
        return TaskOutcome(
            task_id=task.task_id,
            state="unfinished",
            reason=f"{made} of {task.visits} visits were made",
        )
