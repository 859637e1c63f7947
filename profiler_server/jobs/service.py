"""Filing jobs, following them, cancelling them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy.orm import Session

from netspec.wire import (
    MAX_JOB_FAILURES,
    WINDOW_S,
    Entry,
    EntryQuery,
    FailureQuery,
    Job,
    JobQuery,
    JobRequest,
    JobState,
    ModelSubject,
    Owner,
    Subject,
    TaskFailure,
)
from profiler_server.auth import repository as auth
from profiler_server.auth.ownership import require_owner
from profiler_server.auth.service import Principal
from profiler_server.devices import repository as devices
from profiler_server.entries import isolated
from profiler_server.events import repository as events
from profiler_server.events.rows import EventKind
from profiler_server.jobs import endings, progress, repository, sibling_steps, targets
from profiler_server.jobs.budget import BudgetPlan, first_step
from profiler_server.jobs.expansion import method_of, rounds_of, subjects_of
from profiler_server.jobs.repository import JobVersion
from profiler_server.jobs.rows import JobRow, JobTargetRow
from profiler_server.jobs.sibling_steps import SiblingPlan
from profiler_server.kit.ids import new_id
from profiler_server.kit.problems import Problem
from profiler_server.kit.settings import Settings
from profiler_server.kit.sql.database import database_now
from profiler_server.kit.sql.pages import Page
from profiler_server.kit.work_notices import announce
from profiler_server.subjects.repository import ensure_subjects
from profiler_server.uploaded_models import service as models
from profiler_server.uploaded_models.rows import FileKind

_MOST_TASKS = 200_000


def create(session: Session, settings: Settings, request: JobRequest, token_id: str | None) -> Job:
    """Files a job; of subjects with fresh visits only the missing ones are asked for.

    Args:
        session: a writing transaction.
        settings: tell which visits are fresh.
        request: what to measure.
        token_id: whose it is; None: a command of the server files it.

    Raises:
        Problem: `unknown-target`, `imported-target`, `nothing-selected`, `method-not-supported`,
            `unknown-model`, `unknown-images`, `empty-job`, `not-transferable` or `job-too-large`.
    """
    target_ids = targets.chosen(session, request.target_id, request.select, method_of(request))
    _keep_files(session, request)
    subjects, plan, table_error_percent = _planned(session, target_ids[0], request)
    if len(subjects) * len(target_ids) > _MOST_TASKS:
        raise Problem(
            "job-too-large",
            f"{len(subjects)} subjects on {len(target_ids)} targets are more than "
            f"{_MOST_TASKS} tasks; file several jobs",
        )
    now = database_now(session)
    row = JobRow(
        id=new_id("job"),
        name=request.name,
        target_id=target_ids[0],
        rounds=rounds_of(request),
        priority=request.priority,
        created_at=now,
        visits_since=now if request.remeasure else now - timedelta(days=settings.fresh_days),
        visits_at_start=0,
        token_id=token_id,
        plan=None if plan is None else plan.model_dump_json(),
        table_error_percent=table_error_percent,
    )
    hashes = [subject.content_hash for subject in subjects]
    repository.add_job(session, row, target_ids, hashes, method_of(request))
    # Until then nobody stores visits for it: see `progress`.
    devices.lock_targets(session, target_ids)
    progress.count_stored_visits(session, row.id)
    if request.energy is not None:
        progress.reuse_energies(session, row, target_ids, subjects)
    announce(session)
    events.append(
        session, now, EventKind.JOB_CREATED, job_id=row.id, tasks=len(subjects) * len(target_ids)
    )
    endings.note_if_over(session, row.id)
    session.refresh(row)
    return _follow(session, [row], now)[0]


def _planned(
    session: Session, target_id: str, request: JobRequest
) -> tuple[list[Subject], BudgetPlan | SiblingPlan | None, float | None]:
    """What is measured first, what may follow, and the expected error of a network's sum."""
    if request.transfer is not None:
        first, plan = sibling_steps.first_step(
            session, target_id, request.transfer, request.precisions
        )
        if not first:
            raise Problem("empty-job", f"{target_id} has measured all that the source has")
        ensure_subjects(session, first)
        return first, plan, None
    subjects = subjects_of(request)
    if not subjects:
        raise Problem("empty-job", "name at least one space, operator, network or model")
    ensure_subjects(session, subjects)
    if request.budget is None:
        return subjects, None, None
    subjects, picked = first_step(session, target_id, request, subjects)
    return subjects, picked.plan, picked.table_error_percent


def _keep_files(session: Session, request: JobRequest) -> None:
    """Sees that no file which the job needs is deleted before it is filed.

    Raises:
        Problem: `unknown-model` or `unknown-images`.
    """
    needed = {model.sha256 for model in request.models}
    if request.evaluation is not None:
        needed.add(request.evaluation.model.sha256)
        images = {piece.images for piece in request.evaluation.pieces}
        models.keep(session, images, FileKind.IMAGES)
    if request.sustained is not None and isinstance(request.sustained.subject, ModelSubject):
        needed.add(request.sustained.subject.sha256)
    models.keep(session, needed, FileKind.MODEL)


def latest(session: Session, query: JobQuery) -> Page[Job]:
    """The jobs that a query asks for, by default the newest first.

    Raises:
        Problem: `bad-request`: the cursor is not one of this list.
    """
    page = repository.jobs(session, query)
    return page.with_items(_follow(session, page.items, database_now(session)))


def get(session: Session, job_id: str) -> Job:
    """One job.

    Raises:
        Problem: `unknown-job`.
    """
    return _follow(session, [require(session, job_id)], database_now(session))[0]


def cancel(session: Session, job_id: str, who: Principal | None) -> Job:
    """Cancels a job; agents that hold its tasks hear of it when they renew.

    Args:
        session: a writing transaction.
        job_id: the job.
        who: asks; None: the server itself.

    Raises:
        Problem: `unknown-job`, `not-the-owner`, or `job-finished` when there is nothing left to
            cancel.
    """
    row, now = require_own(session, job_id, who), database_now(session)
    if repository.cancel(session, job_id, now):
        endings.note_cancelled(session, job_id, now)
    session.refresh(row)
    job = _follow(session, [row], now)[0]
    if job.state != "cancelled":
        raise Problem("job-finished", f"job {job_id} is {job.state}; there is nothing to cancel")
    return job


def retry(session: Session, job_id: str, who: Principal) -> Job:
    """Returns the job's failed tasks to the queue, as if they had never failed.

    Raises:
        Problem: `unknown-job`, `not-the-owner`, or `job-finished` when it was cancelled.
    """
    row, now = require_own(session, job_id, who), database_now(session)
    # Visits may have come since the tasks were given up: see `progress`.
    devices.lock_targets(session, repository.target_ids(session, job_id))
    retried = repository.retry(session, job_id)
    # Not before: tasks are locked before their job, and it may be cancelled at this moment.
    if repository.lock_job(session, job_id).cancelled_at is not None:
        raise Problem("job-finished", f"job {job_id} was cancelled; file it again")
    if retried:
        progress.recount(session, job_id)
        events.append(session, now, EventKind.JOB_RETRIED, job_id=job_id, tasks=retried)
        announce(session)
    return _follow(session, [row], now)[0]


def entries_of(session: Session, job_id: str, query: EntryQuery) -> Page[Entry]:
    """The entries of every subject of the job that has one, reused ones included, by name.

    Args:
        session: a transaction.
        job_id: the job.
        query: names one of its targets, or means the first.

    Raises:
        Problem: `unknown-job`; `unknown-target`: it is none of the job's; or `bad-request`: the
            cursor is not one of this list.
    """
    row, target_id = require(session, job_id), query.target_id
    own = repository.target_ids(session, job_id)
    if target_id is not None and target_id not in own:
        raise Problem(
            "unknown-target", f"job {job_id} has no target {target_id!r}; it has {', '.join(own)}"
        )
    page = repository.entries_of_job(
        session, job_id, query.model_copy(update={"target_id": target_id or row.target_id})
    )
    return page.with_items([isolated.to_wire(found) for found in page.items])


def require(session: Session, job_id: str) -> JobRow:
    """One job's row.

    Raises:
        Problem: `unknown-job`.
    """
    row = repository.job(session, job_id)
    if row is None:
        raise _unknown(job_id)
    return row


def _unknown(job_id: str) -> Problem:
    return Problem("unknown-job", f"no job {job_id!r}; GET /v1/jobs lists the latest")


def require_own(session: Session, job_id: str, who: Principal | None) -> JobRow:
    """A job that may be changed by who asks.

    Args:
        session: a transaction.
        job_id: the job.
        who: asks; None: the server itself.

    Raises:
        Problem: `unknown-job` or `not-the-owner`.
    """
    row = require(session, job_id)
    if who is not None:
        require_owner(who, row.token_id, f"job {job_id}")
    return row


def version(session: Session, job_id: str) -> JobVersion:
    """What a job is at the moment: less than reading it.

    Raises:
        Problem: `unknown-job`.
    """
    found = repository.versions(session, [job_id]).get(job_id)
    if found is None:
        raise _unknown(job_id)
    return found


def failures_of(session: Session, job_id: str, query: FailureQuery) -> Page[TaskFailure]:
    """The tasks of a job that were given up, by default in the job's order.

    Raises:
        Problem: `unknown-job`, or `bad-request`: the cursor is not one of this list.
    """
    require(session, job_id)
    return repository.failures(session, job_id, query)


def _follow(session: Session, rows: Sequence[JobRow], now: datetime) -> list[Job]:
    ids = [row.id for row in rows]
    progress = repository.progress(session, ids)
    with_failures = [one for one in ids if any(part.failed_tasks for part in progress[one])]
    failures = repository.first_failures(session, with_failures, MAX_JOB_FAILURES)
    # Of many tasks none runs without pause.
    single = [one for one in ids if sum(part.open_tasks for part in progress[one]) == 1]
    paces = dict.fromkeys(repository.without_pause(session, single), WINDOW_S)
    names = auth.names(session, {row.token_id for row in rows})
    owners = {key: Owner(token_id=key, name=name) for key, name in names.items()}
    waiting = {
        row.id: {one.target_id for one in progress[row.id]}
        for row in rows
        if row.cancelled_at is None and any(one.open_tasks for one in progress[row.id])
    }
    waited_for = {one for target_ids in waiting.values() for one in target_ids}
    unserved = waited_for - devices.served(session, waited_for, now)
    return [
        _job(row, progress[row.id], failures.get(row.id, ()), now, paces.get(row.id)).model_copy(
            update={
                "owner": owners.get(row.token_id or ""),
                "unserved": tuple(
                    one.target_id
                    for one in progress[row.id]
                    if one.target_id in unserved & waiting.get(row.id, set())
                ),
            }
        )
        for row in rows
    ]


def _job(
    row: JobRow,
    progress: Sequence[JobTargetRow],
    failures: Sequence[TaskFailure],
    now: datetime,
    pace_s: float | None,
) -> Job:
    """The job; `pace_s` is what each of its visits takes, where that is known."""
    open_ = sum(one.open_tasks for one in progress)
    done = sum(one.done_tasks for one in progress)
    failed = sum(one.failed_tasks for one in progress)
    tasks = open_ + done + failed + sum(one.cancelled_tasks for one in progress)
    open_visits = sum(one.open_visits for one in progress)
    visits_done = open_visits + sum(one.closed_visits for one in progress)
    remaining = open_ * row.rounds - open_visits
    closed = [one.closed_at for one in progress if one.closed_at is not None]
    ended_at = None if open_ else max(closed, default=None)
    return Job(
        id=row.id,
        name=row.name,
        target_id=row.target_id,
        target_ids=tuple(one.target_id for one in progress),
        state=_state(row, open_, failed),
        created_at=row.created_at,
        started_at=row.started_at,
        ended_at=row.cancelled_at or ended_at,
        tasks=tasks,
        tasks_done=done,
        tasks_failed=failed,
        reused=sum(one.reused_tasks for one in progress),
        visits=row.rounds * tasks,
        visits_done=visits_done,
        eta_s=_eta_s(row, visits_done - row.visits_at_start, remaining, now, pace_s),
        failures=tuple(failures),
        table_error_percent=row.table_error_percent,
    )


def _state(row: JobRow, open_tasks: int, failed_tasks: int) -> JobState:
    if row.cancelled_at is not None:
        return "cancelled"
    if open_tasks:
        return "queued" if row.started_at is None else "running"
    return "failed" if failed_tasks else "done"


def _eta_s(
    row: JobRow, done: int, remaining: int, now: datetime, pace_s: float | None
) -> float | None:
    if remaining == 0:
        return 0.0
    if row.started_at is None or done <= 0:
        return None
    return remaining * (pace_s or (now - row.started_at).total_seconds() / done)
