"""Deleting an uploaded model: the file, and with it the right to have it measured again."""

from __future__ import annotations

from sqlalchemy import exists, select
from sqlalchemy.orm import Session

from profiler_server.auth.ownership import require_owner
from profiler_server.auth.service import Principal
from profiler_server.events import repository as events
from profiler_server.events.rows import EventKind
from profiler_server.jobs.rows import OPEN_STATES, TaskRow
from profiler_server.kit.problems import Problem
from profiler_server.kit.sql.database import database_now
from profiler_server.uploaded_models import repository
from profiler_server.uploaded_models.service import UploadedModels, unknown


def delete_model(session: Session, models: UploadedModels, sha256: str, who: Principal) -> None:
    """Deletes a model's file; its visits and entries stay, under its hash.

    Raises:
        Problem: `unknown-model`, `not-the-owner`, or `model-in-use`: a job waits for it.
    """
    row = repository.lock(session, sha256)
    if row is None:
        raise unknown([sha256])
    require_owner(who, row.token_id, f"model {sha256}")
    waiting = exists().where(TaskRow.subject_hash == sha256, TaskRow.state.in_(OPEN_STATES))
    if session.scalar(select(waiting)):
        raise Problem(
            "model-in-use",
            f"model {sha256} is still to be measured; cancel its jobs, or wait until they are done",
        )
    models.remove(session, sha256)
    events.append(
        session, database_now(session), EventKind.MODEL_DELETED, sha256=sha256, by=who.token_id
    )
