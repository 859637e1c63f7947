"""Deleting a job that is over, with its tasks: what it has measured belongs to the tables."""

from __future__ import annotations

from sqlalchemy import delete, exists, func, select
from sqlalchemy.orm import Session

from profiler_server.auth.service import Principal
from profiler_server.drift.rows import VerdictRow
from profiler_server.evaluations.rows import EvaluationRow
from profiler_server.events import repository as events
from profiler_server.events.rows import EventKind
from profiler_server.jobs import repository
from profiler_server.jobs.rows import JobRow, JobTargetRow, TaskFailureRow, TaskRow
from profiler_server.jobs.service import require_own
from profiler_server.jobs.task_repository import lock
from profiler_server.kit.problems import Problem
from profiler_server.kit.sql.database import database_now
from profiler_server.leases.rows import LeaseRow, LeaseState
from profiler_server.sustained.rows import SustainedRow


def delete_job(session: Session, job_id: str, who: Principal) -> None:
    """Deletes a job with its tasks, their failures and outputs. Visits, entries and events stay.

    Visits name their tasks for ever; what was made for the job can be taken back by its leases,
    its device or its token, but no longer by the job.

    Raises:
        Problem: `unknown-job`, `not-the-owner`, `job-not-finished`: something of it is to be
            measured, or an agent is still at it; or `job-in-use`: a target's last recheck.
    """
    require_own(session, job_id, who)
    # Tasks before their job, as everywhere.
    lock(session, TaskRow.job_id == job_id)
    repository.lock_job(session, job_id)
    _refuse_use(session, job_id)
    of_job = TaskRow.job_id == job_id
    its_tasks = select(TaskRow.id).where(of_job)
    tasks = session.scalar(select(func.count()).select_from(TaskRow).where(of_job)) or 0
    # While it is known whose it is, and what it is about.
    events.append(
        session,
        database_now(session),
        EventKind.JOB_DELETED,
        job_id=job_id,
        tasks=tasks,
        by=who.token_id,
    )
    session.execute(delete(TaskFailureRow).where(TaskFailureRow.task_id.in_(its_tasks)))
    session.execute(delete(EvaluationRow).where(EvaluationRow.task_id.in_(its_tasks)))
    session.execute(delete(SustainedRow).where(SustainedRow.task_id.in_(its_tasks)))
    session.execute(delete(TaskRow).where(of_job))
    session.execute(delete(JobTargetRow).where(JobTargetRow.job_id == job_id))
    session.execute(delete(JobRow).where(JobRow.id == job_id))


def _refuse_use(session: Session, job_id: str) -> None:
    if repository.has_open_tasks(session, job_id):
        raise Problem(
            "job-not-finished",
            f"job {job_id} is still to be measured; cancel it with POST /v1/jobs/{job_id}:cancel, "
            "then delete it",
        )
    held = exists().where(
        TaskRow.job_id == job_id,
        TaskRow.lease_id == LeaseRow.id,
        LeaseRow.state == LeaseState.LIVE,
        LeaseRow.expires_at > database_now(session),
    )
    if session.scalar(select(held)):
        raise Problem(
            "job-not-finished",
            f"an agent still holds tasks of job {job_id}; it hears of the end at its next "
            "renewal: try again in a minute",
        )
    rechecked = session.scalar(select(VerdictRow.target_id).where(VerdictRow.job_id == job_id))
    if rechecked is not None:
        raise Problem(
            "job-in-use",
            f"job {job_id} is the last recheck of target {rechecked}, on which its drift is "
            "judged; delete it after the next recheck",
        )
