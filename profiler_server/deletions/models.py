"""Deleting an uploaded file: with a model goes the right to have it measured again."""

from __future__ import annotations

from sqlalchemy import exists, select
from sqlalchemy.orm import Session

from netspec.wire import MEASURING_METHODS
from profiler_server.auth.ownership import require_owner
from profiler_server.auth.service import Principal
from profiler_server.events import repository as events
from profiler_server.events.rows import EventKind
from profiler_server.jobs.rows import OPEN_STATES, TaskRow
from profiler_server.kit.problems import Problem
from profiler_server.kit.sql.database import database_now
from profiler_server.subjects.rows import SubjectRow
from profiler_server.uploaded_models import repository
from profiler_server.uploaded_models.rows import FileKind
from profiler_server.uploaded_models.service import UploadedModels, unknown


def delete_file(
    session: Session, models: UploadedModels, sha256: str, kind: FileKind, who: Principal
) -> None:
    """Deletes a file; what was measured or computed with it stays, under its hash.

    Raises:
        Problem: `unknown-model`, `unknown-images`, `not-the-owner`, or `model-in-use`: a job waits
            for it.
    """
    row = repository.lock(session, sha256, kind)
    if row is None:
        raise unknown([sha256], kind)
    name = "model" if kind == FileKind.MODEL else "images"
    require_owner(who, row.token_id, f"{name} {sha256}")
    # Subjects of evaluations, and of runs without pause, name the files that they need.
    waiting = exists().where(
        TaskRow.state.in_(OPEN_STATES),
        TaskRow.subject_hash == SubjectRow.hash,
        (SubjectRow.hash == sha256)
        | (TaskRow.method.not_in(MEASURING_METHODS) & SubjectRow.document.contains(sha256)),
    )
    if session.scalar(select(waiting)):
        raise Problem(
            "model-in-use",
            f"{name} {sha256} is still needed by a job; cancel its jobs, or wait until they are "
            "done",
        )
    models.remove(session, sha256)
    events.append(
        session, database_now(session), EventKind.MODEL_DELETED, sha256=sha256, by=who.token_id
    )
