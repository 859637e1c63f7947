"""When a task is done: as soon as enough accepted visits are stored, whoever made them.

An agent's word that a task is done is not needed, and not enough: without the
visits the task goes back to the queue.

A job's tasks count the visits that are there when it is filed; from then on, every upload adds its
own. Both hold their targets' locks, so no visit is missed and none is counted twice.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from sqlalchemy.orm import Session

from netspec.wire import ISOLATED
from profiler_server.jobs import budget, repository
from profiler_server.jobs import task_repository as tasks
from profiler_server.jobs.rows import TaskState


def count_new_visits(
    session: Session,
    target_id: str,
    visits: Mapping[str, int],
    profiled: Mapping[str, int],
    stored_at: datetime,
) -> None:
    """Counts visits for every open task that wants them.

    Args:
        session: a writing transaction that holds the target's lock.
        target_id: what they are true for.
        visits: how many accepted visits were stored, by subject.
        profiled: how many of these have a profile.
        stored_at: when.
    """
    counted = [
        task.with_more((visits if task.method == ISOLATED else profiled).get(task.subject_hash, 0))
        for task in tasks.lock_open_of_subjects(session, target_id, visits)
        if stored_at >= task.visits_since
    ]
    budget.go_on(session, tasks.store_progress(session, counted, TaskState.DONE))


def count_stored_visits(session: Session, job_id: str) -> None:
    """Counts what is there already for a new job; tasks that want no more are reused."""
    tasks.store_progress(session, tasks.recounted(session, job_id), TaskState.REUSED)
    repository.note_visits_at_start(session, job_id)


def recount(session: Session, job_id: str) -> None:
    """Counts the visits of the job's open tasks again, after they were closed for a while."""
    done = tasks.store_progress(session, tasks.recounted(session, job_id), TaskState.DONE)
    budget.go_on(session, done)
