"""SQL of what several jobs have measured again."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import func, literal_column, select
from sqlalchemy.orm import Session

from profiler_server.entries.rows import ACCEPTED, VisitRow
from profiler_server.jobs.rows import TaskRow
from profiler_server.kit.sql.many_values import is_in

#: tasks that are done and looked at, in the order of their subjects' hashes, which are as good as
#: chance: a table of 100,000 operators is not read to the end
MOST_TASKS = 2_000
#: subjects that are looked at
MOST_SUBJECTS = 200
#: visits that are looked at, the newest of a subject first
MOST_VISITS = 50_000


class SessionVisit(NamedTuple):
    """An accepted visit, as far as its session needs it."""

    subject_hash: str
    device_id: str
    task_id: str
    started_at: datetime
    p5_us: float


def repeated_subjects(session: Session, target_id: str) -> Sequence[str]:
    """Subjects that several jobs have measured on the target; at most `MOST_SUBJECTS`."""
    done = (
        select(TaskRow.subject_hash)
        # A parameter would hide from the planner which index this is.
        .where(TaskRow.target_id == target_id, TaskRow.state == literal_column("'done'"))
        .order_by(TaskRow.subject_hash)
        .limit(MOST_TASKS)
        .subquery()
    )
    return session.scalars(
        select(done.c.subject_hash)
        .group_by(done.c.subject_hash)
        .having(func.count() > 1)
        .order_by(done.c.subject_hash)
        .limit(MOST_SUBJECTS)
    ).all()


def visits(
    session: Session, target_id: str, subject_hashes: Sequence[str]
) -> Sequence[SessionVisit]:
    """Their accepted visits, at most `MOST_VISITS`, as they began."""
    rows = session.execute(
        select(
            VisitRow.subject_hash,
            VisitRow.device_id,
            VisitRow.task_id,
            VisitRow.started_at,
            VisitRow.p5_us,
        )
        .where(
            VisitRow.target_id == target_id,
            is_in(session, VisitRow.subject_hash, subject_hashes),
            ACCEPTED,
        )
        .order_by(VisitRow.subject_hash, VisitRow.stored_at.desc())
        .limit(MOST_VISITS)
    )
    return sorted((SessionVisit(*row) for row in rows), key=lambda one: one.started_at)
