"""What follows when tasks are closed: a job goes on, or it is over, of which an event tells once.

Whoever closes tasks comes here in the same transaction, when it has locked all else: of those that
close a job's last tasks at the same time, the job's lock makes one the last.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from sqlalchemy.orm import Session

from profiler_server.events import repository as events
from profiler_server.events.rows import EventKind
from profiler_server.jobs import budget, repository
from profiler_server.kit.sql.database import database_now


def follow(session: Session, task_ids: Collection[str]) -> None:
    """Takes the next step of the tasks' jobs, or notes that they are over.

    Args:
        session: a writing transaction that has closed the tasks.
        task_ids: that were open before.
    """
    if not task_ids:
        return
    budget.go_on(session, task_ids)
    for job_id in repository.closed_on_a_target(session, task_ids):
        note_if_over(session, job_id)


def note_if_over(session: Session, job_id: str) -> None:
    """Notes that a job is over whose last open tasks this transaction may have closed."""
    job = repository.lock_job(session, job_id)
    if job.cancelled_at is None and not repository.has_open_tasks(session, job_id):
        _note(session, job_id, database_now(session))


def note_cancelled(session: Session, job_id: str, now: datetime) -> None:
    """Notes that a job was cancelled, and is over."""
    events.append(session, now, EventKind.JOB_CANCELLED, job_id=job_id)
    _note(session, job_id, now, state="cancelled")


def _note(session: Session, job_id: str, now: datetime, state: str | None = None) -> None:
    counts = repository.progress(session, [job_id])[job_id]
    failed = sum(one.failed_tasks for one in counts)
    events.append(
        session,
        now,
        EventKind.JOB_FINISHED,
        job_id=job_id,
        state=state or ("failed" if failed else "done"),
        tasks_done=sum(one.done_tasks + one.reused_tasks for one in counts),
        tasks_failed=failed,
    )
