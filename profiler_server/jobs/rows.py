"""Rows of jobs and tasks."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from sqlalchemy import Double, ForeignKey, Index, String, Text, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from profiler_server.kit.sql.orm import COUNTER, ID, Base, one_of


class JobRow(Base):
    """A request to measure."""

    __tablename__ = "jobs"

    id: Mapped[str] = mapped_column(ID, primary_key=True)
    name: Mapped[str] = mapped_column(String(200))
    #: the first of its tasks' targets
    target_id: Mapped[str] = mapped_column(ForeignKey("targets.id"), index=True)
    #: visits wanted of each subject; of what runs without pause, windows
    rounds: Mapped[int]
    priority: Mapped[int]
    created_at: Mapped[datetime] = mapped_column(index=True)
    #: accepted visits stored from here on count for this job
    visits_since: Mapped[datetime]
    #: visits of its tasks that were there when it was filed
    visits_at_start: Mapped[int]
    #: when its first task was leased
    started_at: Mapped[datetime | None]
    cancelled_at: Mapped[datetime | None]
    #: that filed it; None: a command of the server, or an older version, which did not keep it
    token_id: Mapped[str | None] = mapped_column(ForeignKey("tokens.id"), index=True)
    #: with a budget: `budget.BudgetPlan` as JSON, while there may be something to pick
    plan: Mapped[str | None] = mapped_column(Text)
    #: with a budget: expected error of a network's sum, when it picked last
    table_error_percent: Mapped[float | None] = mapped_column(Double)


class TaskState(StrEnum):
    """Where a task is."""

    #: waits for a lease
    QUEUED = "queued"
    #: in the hands of a lease
    LEASED = "leased"
    #: enough accepted visits are stored
    DONE = "done"
    #: given up after too many failures
    FAILED = "failed"
    #: its job was cancelled
    CANCELLED = "cancelled"
    #: enough fresh visits were there when the job was filed
    REUSED = "reused"


OPEN_STATES = (TaskState.QUEUED, TaskState.LEASED)


class TaskRow(Base):
    """One subject to measure on one target for one job."""

    __tablename__ = "tasks"
    __table_args__ = (
        UniqueConstraint("job_id", "target_id", "subject_hash"),
        Index("ix_tasks_target_id_state", "target_id", "state"),
        Index("ix_tasks_job_id_state", "job_id", "state"),
        Index(
            "ix_tasks_open_subject",
            "target_id",
            "subject_hash",
            postgresql_where=text("state IN ('queued', 'leased')"),
            sqlite_where=text("state IN ('queued', 'leased')"),
        ),
        Index(
            "ix_tasks_done_subject",
            "target_id",
            "subject_hash",
            postgresql_where=text("state = 'done'"),
            sqlite_where=text("state = 'done'"),
        ),
    )

    id: Mapped[str] = mapped_column(ID, primary_key=True)
    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id"))
    target_id: Mapped[str] = mapped_column(ForeignKey("targets.id"))
    subject_hash: Mapped[str] = mapped_column(ForeignKey("subjects.hash"))
    #: order within the job
    position: Mapped[int]
    state: Mapped[TaskState] = mapped_column(one_of(TaskState, "state"))
    #: the lease that holds the task, or held it last when it was closed
    lease_id: Mapped[str | None] = mapped_column(ForeignKey("leases.id"), index=True)
    #: accepted visits that count, at most the job's rounds
    visits_done: Mapped[int]
    failures: Mapped[int]
    #: of the last failure
    reason: Mapped[str] = mapped_column(String(2_000))
    #: after a failure: it is not leased before
    retry_at: Mapped[datetime | None]
    #: how it is measured; `in_network`: only visits with a profile count
    method: Mapped[str] = mapped_column(String(16), server_default="isolated")


class JobTargetRow(Base):
    """How far a job is on one of its targets.

    The database keeps it: triggers of the table of tasks count what any statement changes there,
    and one of this table notes when nothing is open any more.
    """

    __tablename__ = "job_targets"

    job_id: Mapped[str] = mapped_column(ForeignKey("jobs.id"), primary_key=True)
    target_id: Mapped[str] = mapped_column(ForeignKey("targets.id"), primary_key=True, index=True)
    #: of its first task
    position: Mapped[int]
    #: tasks by what has become of them
    open_tasks: Mapped[int]
    done_tasks: Mapped[int]
    failed_tasks: Mapped[int]
    cancelled_tasks: Mapped[int]
    reused_tasks: Mapped[int]
    #: `visits_done` of the open tasks
    open_visits: Mapped[int]
    #: of those that were done, failed or cancelled
    closed_visits: Mapped[int]
    #: when its last open task was closed last
    closed_at: Mapped[datetime | None]


class TaskFailureRow(Base):
    """A failure of a task that counts against it; forgotten when the task is retried."""

    __tablename__ = "task_failures"
    __table_args__ = (Index("ix_task_failures_task_id", "task_id"), {"sqlite_autoincrement": True})

    id: Mapped[int] = mapped_column(COUNTER, primary_key=True)
    task_id: Mapped[str] = mapped_column(ForeignKey("tasks.id"))
    device_id: Mapped[str] = mapped_column(ForeignKey("devices.id"))
    at: Mapped[datetime]
    reason: Mapped[str] = mapped_column(String(2_000))
