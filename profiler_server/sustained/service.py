"""Storing the windows of what runs without pause, and telling what they come to."""

from __future__ import annotations

from pydantic import TypeAdapter
from sqlalchemy.orm import Session

from netspec.wire import (
    MAX_WINDOWS,
    SUSTAINED,
    WINDOW_S,
    SpeedOverTime,
    SustainedSpeed,
    Window,
    WindowsUpload,
)
from profiler_server.jobs import service as jobs
from profiler_server.jobs import task_repository as tasks
from profiler_server.jobs.rows import TaskState
from profiler_server.kit.problems import Problem
from profiler_server.kit.sql.database import database_now
from profiler_server.leases.outputs import complete, require_leased
from profiler_server.sustained import repository

_WINDOWS: TypeAdapter[tuple[Window, ...]] = TypeAdapter(tuple[Window, ...])


def store(session: Session, task_id: str, upload: WindowsUpload) -> bool:
    """Stores a task's windows, and closes it if they are all; False if there were some.

    What a run that goes on has sent is replaced by what comes after it; what is whole stays.

    Args:
        session: a writing transaction.
        task_id: the task.
        upload: as its agent sends it.

    Raises:
        Problem: `outputs-without-lease`.
    """
    task = require_leased(session, task_id, upload.lease_id, SUSTAINED, "a run without pause")
    is_new = not repository.is_there(session, task_id)
    if task.is_done:
        return is_new
    repository.put(
        session,
        {
            "task_id": task_id,
            "device_id": task.device_id,
            "lease_id": upload.lease_id,
            "stored_at": database_now(session),
            "windows": _WINDOWS.dump_json(upload.windows, exclude_none=True).decode(),
        },
    )
    if upload.is_partial:
        # Windows may be shorter than they should be, and there are gaps between them.
        ran_s = upload.windows[-1].at_s + WINDOW_S
        tasks.note_windows(session, task_id, min(int(ran_s / WINDOW_S), MAX_WINDOWS))
    else:
        complete(session, task)
    return is_new


def speed(session: Session, job_id: str) -> SustainedSpeed:
    """How fast a job's subject stays, as soon as its device has said so.

    Raises:
        Problem: `unknown-job` or `not-sustained`.
    """
    jobs.require(session, job_id)
    found = speed_of(session, job_id)
    if found is None:
        raise Problem(
            "not-sustained",
            f"job {job_id} runs nothing without pause; file one with a `sustained`",
        )
    return found


def speed_of(session: Session, job_id: str) -> SustainedSpeed | None:
    """How fast a job's subject stays; None: it runs nothing without pause."""
    found = repository.of_job(session, job_id)
    if found is None:
        return None
    target_id, subject, state, row = found
    windows = () if row is None else _WINDOWS.validate_json(row.windows)
    return SustainedSpeed(
        job_id=job_id,
        target_id=target_id,
        subject=subject.subject,
        minutes=subject.minutes,
        device_id=None if row is None else row.device_id,
        stored_at=None if row is None else row.stored_at,
        speed=SpeedOverTime.of(windows) if windows else None,
        windows=windows,
        is_partial=bool(windows) and state != TaskState.DONE,
    )
