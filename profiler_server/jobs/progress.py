"""When a task is done: as soon as enough accepted visits are stored, whoever made them.

An agent's word that a task is done is not needed, and not enough: without the
visits the task goes back to the queue.
"""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy.orm import Session

from profiler_server.jobs import repository
from profiler_server.jobs import task_repository as tasks
from profiler_server.jobs.tables import TaskState
from profiler_server.jobs.task_repository import TaskProgress


def update_of_subjects(session: Session, target_id: str, subject_hashes: Collection[str]) -> None:
    """Brings every open task that measures the subjects on the target up to date."""
    open_tasks = tasks.open_of_subjects(session, target_id, subject_hashes)
    tasks.store_progress(session, open_tasks, TaskState.DONE)


def update_of_new_job(session: Session, job_id: str) -> None:
    """Sets aside, as reused, the tasks of a new job whose visits are there already."""
    tasks.store_progress(session, tasks.open_of_job(session, job_id), TaskState.REUSED)
    repository.note_visits_at_start(session, job_id)


def update_of_tasks(session: Session, task_ids: Collection[str]) -> list[TaskProgress]:
    """Brings tasks up to date; those that still want visits."""
    open_tasks = tasks.open_of_ids(session, task_ids)
    tasks.store_progress(session, open_tasks, TaskState.DONE)
    return [task for task in open_tasks if task.remaining]
