"""When a task is done: as soon as enough accepted visits are stored, whoever made them.

An agent's word that a task is done is not needed, and not enough: without the
visits the task goes back to the queue.

A job's tasks count the visits that are there when it is filed; from then on, every upload adds its
own. Both hold their targets' locks, so no visit is missed and none is counted twice.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime

from sqlalchemy import ColumnElement
from sqlalchemy.orm import Session

from netspec.wire import ISOLATED, EnergySubject, Subject
from profiler_server.energies import repository as energies
from profiler_server.jobs import endings, repository
from profiler_server.jobs import task_repository as tasks
from profiler_server.jobs.rows import OPEN_STATES, JobRow, TaskRow, TaskState


def count_new_visits(
    session: Session,
    target_id: str,
    visits: Mapping[str, int],
    profiled: Mapping[str, int],
    stored_at: datetime,
) -> list[str]:
    """Counts visits for every open task that wants them.

    Args:
        session: a writing transaction that holds the target's lock.
        target_id: what they are true for.
        visits: how many accepted visits were stored, by subject.
        profiled: how many of these have a profile.
        stored_at: when.

    Returns:
        The tasks that are done now, of which `endings` makes what follows.
    """
    counted = [
        task.with_more((visits if task.method == ISOLATED else profiled).get(task.subject_hash, 0))
        for task in tasks.lock_open_of_subjects(session, target_id, visits)
        if stored_at >= task.visits_since
    ]
    return tasks.store_progress(session, counted, TaskState.DONE)


def count_stored_visits(session: Session, job_id: str) -> None:
    """Counts what is there already for a new job; tasks that want no more are reused."""
    counted = tasks.recounted(session, TaskRow.job_id == job_id)
    tasks.store_progress(session, counted, TaskState.REUSED)
    repository.note_visits_at_start(session, job_id)


def reuse_energies(
    session: Session, job: JobRow, target_ids: Collection[str], subjects: Collection[Subject]
) -> None:
    """Closes those tasks of a new job whose subject's energy was measured not long ago."""
    tasks_of = {
        one.subject.content_hash: one.content_hash
        for one in subjects
        if isinstance(one, EnergySubject)
    }
    for target_id in target_ids:
        fresh = energies.fresh(session, target_id, tasks_of.keys(), job.visits_since)
        tasks.reuse(session, job.id, target_id, [tasks_of[one] for one in fresh])


def recount(session: Session, job_id: str) -> None:
    """Counts the visits of the job's open tasks again, after they were closed for a while."""
    _recount(session, TaskRow.job_id == job_id)


def recount_targets(session: Session, target_ids: Collection[str]) -> None:
    """Counts the visits of the targets' open tasks again, after some were taken back.

    Args:
        session: a writing transaction that holds the targets' locks.
        target_ids: the targets.
    """
    of_targets = TaskRow.target_id.in_(target_ids)
    tasks.lock(session, of_targets, TaskRow.state.in_(OPEN_STATES))
    _recount(session, of_targets)


def _recount(session: Session, which: ColumnElement[bool]) -> None:
    done = tasks.store_progress(session, tasks.recounted(session, which), TaskState.DONE)
    endings.follow(session, done)
