"""SQL of rechecks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from profiler_server.drift.rows import VerdictRow
from profiler_server.entries.rows import ACCEPTED, VisitRow
from profiler_server.jobs.rows import TaskRow
from profiler_server.kit.sql.bulk import insert_or_replace
from profiler_server.subjects.rows import SubjectRow


@dataclass(frozen=True)
class RecheckedSubject:
    """A subject of a recheck, with p5 of its accepted visits (us, ascending) before and since."""

    subject: SubjectRow
    before: list[float]
    since: list[float]


def rechecked_subjects(
    session: Session, job_id: str, since: datetime
) -> Sequence[RecheckedSubject]:
    """What was measured of the job's subjects, by their names."""
    of_job = TaskRow.job_id == job_id
    subjects = session.scalars(
        select(SubjectRow)
        .join(TaskRow, TaskRow.subject_hash == SubjectRow.hash)
        .where(of_job)
        .order_by(SubjectRow.name, SubjectRow.hash)
    )
    rechecked = {subject.hash: RecheckedSubject(subject, [], []) for subject in subjects}
    of_task = (VisitRow.subject_hash == TaskRow.subject_hash) & (
        VisitRow.target_id == TaskRow.target_id
    )
    for subject_hash, p5_us, stored_at in session.execute(
        select(VisitRow.subject_hash, VisitRow.p5_us, VisitRow.stored_at)
        .join(TaskRow, of_task)
        .where(of_job, ACCEPTED)
        .order_by(VisitRow.p5_us)
    ):
        subject = rechecked[subject_hash]
        (subject.since if stored_at >= since else subject.before).append(p5_us)
    return list(rechecked.values())


def verdict(session: Session, target_id: str) -> VerdictRow | None:
    """What the last judged recheck of the target has found."""
    return session.get(VerdictRow, target_id)


def put_verdict(
    session: Session, target_id: str, job_id: str, now: datetime, document: str, *, alarming: bool
) -> None:
    """Keeps what a recheck has found, as JSON, in place of what the one before has."""
    row = {
        "target_id": target_id,
        "job_id": job_id,
        "at": now,
        "is_alarming": alarming,
        "verdict": document,
    }
    insert_or_replace(session, VerdictRow, [row], ("target_id",))
