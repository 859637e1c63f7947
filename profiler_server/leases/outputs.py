"""What an agent sends of a task beside visits: under the lease that named the task."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Response
from sqlalchemy import select
from sqlalchemy.orm import Session

from netspec.wire import TaskMethod
from profiler_server.auth.dependencies import Agent
from profiler_server.auth.ownership import DeviceGuard, DeviceGuardDep
from profiler_server.auth.service import Principal
from profiler_server.devices import repository as devices
from profiler_server.devices.rows import DeviceRow
from profiler_server.jobs import endings
from profiler_server.jobs import task_repository as tasks
from profiler_server.jobs.rows import TaskRow, TaskState
from profiler_server.kit.dependencies import DatabaseDep
from profiler_server.kit.problems import Problem
from profiler_server.kit.sql.database import Database
from profiler_server.leases.coverage import coverages
from profiler_server.leases.ownership import check_lease
from profiler_server.leases.rows import LeaseRow
from profiler_server.subjects.rows import SubjectRow


@dataclass(frozen=True)
class LeasedOutputs:
    """Takes what an agent sends of tasks, under leases of its own devices alone."""

    database: Database
    guard: DeviceGuard
    #: the agent
    who: Principal

    def put(self, lease_id: str, store: Callable[[Session], bool]) -> Response:
        """Stores what was made under a lease: 201 if it is new, 204 if some was there.

        Args:
            lease_id: as the agent names it.
            store: does so in a writing transaction; False if some was there.

        Raises:
            Problem: `foreign-device`, or as `store` does.
        """
        check_lease(self.database, self.guard, self.who, lease_id)
        with self.database.write() as session:
            is_new = store(session)
        return Response(status_code=201 if is_new else 204)


def _leased_outputs(database: DatabaseDep, guard: DeviceGuardDep, who: Agent) -> LeasedOutputs:
    return LeasedOutputs(database, guard, who)


LeasedOutputsDep = Annotated[LeasedOutputs, Depends(_leased_outputs)]


@dataclass(frozen=True)
class NamedTask:
    """A task of which no visits are made, as one of its leases named it."""

    task_id: str
    target_id: str
    #: of its subject, as JSON
    document: str
    device_id: str
    #: None where it was deleted since
    device: DeviceRow | None
    #: it has all that it asks for
    is_done: bool


def require_leased(
    session: Session, task_id: str, lease_id: str, method: TaskMethod, what: str
) -> NamedTask:
    """The task, its device locked, whether or not the lease still lives: what was found was found.

    Args:
        session: a writing transaction.
        task_id: the task.
        lease_id: as its agent names it.
        method: that the task must have.
        what: it would be, with its article, for the message.

    Raises:
        Problem: `outputs-without-lease`.
    """
    row = session.execute(
        select(TaskRow, SubjectRow.document, LeaseRow.device_id)
        .join(SubjectRow, SubjectRow.hash == TaskRow.subject_hash)
        .join(LeaseRow, LeaseRow.target_id == TaskRow.target_id)
        .where(TaskRow.id == task_id, TaskRow.method == method, LeaseRow.id == lease_id)
    ).first()
    covering = coverages(session, [lease_id]).get(lease_id)
    if row is None or covering is None or not covering.names(row[0].target_id, row[0].subject_hash):
        raise Problem(
            "outputs-without-lease",
            f"lease {lease_id} is not for {what} {task_id}; send outputs under the lease that "
            "named their task",
        )
    device = devices.lock_device(session, row[2])
    return NamedTask(
        task_id, row[0].target_id, row[1], row[2], device, row[0].state == TaskState.DONE
    )


def complete(session: Session, task: NamedTask) -> None:
    """Closes the task: all that it asks for is stored. Its device is of use again."""
    if tasks.complete(session, task.task_id):
        endings.follow(session, [task.task_id])
    if task.device is not None:
        task.device.fruitless, task.device.rests_until = 0, None
