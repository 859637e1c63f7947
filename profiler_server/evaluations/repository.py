"""SQL of evaluations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.orm import Session, undefer

from netspec.wire import EVALUATE, EvaluationSubject, OutputsQuery
from profiler_server.evaluations.rows import EvaluationRow
from profiler_server.jobs.rows import TaskRow
from profiler_server.kit.sql.bulk import insert_absent
from profiler_server.kit.sql.lists import Listing
from profiler_server.kit.sql.pages import Page
from profiler_server.kit.sql.reach import of_what_was_named
from profiler_server.subjects.rows import SubjectRow


@dataclass(frozen=True)
class JobTotals:
    """What is known of a job's pieces."""

    target_id: str
    #: of its first piece
    subject: EvaluationSubject
    #: of all pieces, done or not
    images: int
    images_done: int
    top1: int
    top5: int
    load_ms: Sequence[float]
    peak_memory_mib: float | None


def add(session: Session, row: dict[str, object]) -> bool:
    """Inserts the outputs of a piece; False if it has some."""
    return insert_absent(session, EvaluationRow, [row]) == 1


def totals(session: Session, job_id: str) -> JobTotals | None:
    """What a job's pieces come to; None: it has none."""
    of_job = (TaskRow.job_id == job_id, TaskRow.method == EVALUATE)
    pieces = session.execute(
        select(TaskRow.target_id, SubjectRow.document)
        .join(SubjectRow, SubjectRow.hash == TaskRow.subject_hash)
        .where(*of_job)
        .order_by(TaskRow.position)
    ).all()
    if not pieces:
        return None
    subjects = [EvaluationSubject.model_validate_json(document) for _, document in pieces]
    done, top1, top5, peak = session.execute(
        select(
            func.coalesce(func.sum(EvaluationRow.images), 0),
            func.coalesce(func.sum(EvaluationRow.top1), 0),
            func.coalesce(func.sum(EvaluationRow.top5), 0),
            func.max(EvaluationRow.peak_memory_mib),
        )
        .join(TaskRow, TaskRow.id == EvaluationRow.task_id)
        .where(*of_job)
    ).one()
    loads = session.scalars(
        select(EvaluationRow.load_ms)
        .join(TaskRow, TaskRow.id == EvaluationRow.task_id)
        .where(*of_job, EvaluationRow.load_ms.is_not(None))
    )
    return JobTotals(
        target_id=pieces[0][0],
        subject=subjects[0],
        images=sum(len(one.piece.labels) for one in subjects),
        images_done=int(done),
        top1=int(top1),
        top5=int(top5),
        load_ms=[one for one in loads if one is not None],
        peak_memory_mib=peak,
    )


def outputs(
    session: Session, job_id: str, query: OutputsQuery
) -> Page[tuple[EvaluationRow, EvaluationSubject, int]]:
    """The pieces of a job that are done, with their logits, in order."""
    rows = (
        select(EvaluationRow, SubjectRow.document, TaskRow.position)
        .join(TaskRow, TaskRow.id == EvaluationRow.task_id)
        .join(SubjectRow, SubjectRow.hash == TaskRow.subject_hash)
        .where(TaskRow.job_id == job_id)
        .options(undefer(EvaluationRow.logits))
    )
    page = _OUTPUTS.page(session, rows, query)
    return page.with_items(
        [(row[0], EvaluationSubject.model_validate_json(row[1]), row[2]) for row in page.items]
    )


_OUTPUTS = Listing(OutputsQuery, {}, {"first": (TaskRow.position,)}, of_what_was_named)


def logits(session: Session, job_id: str, piece: int) -> tuple[int, bytes] | None:
    """The classes and the logits of a job's piece by its position; None: there are none."""
    row = session.execute(
        select(EvaluationRow.classes, EvaluationRow.logits)
        .join(TaskRow, TaskRow.id == EvaluationRow.task_id)
        .where(TaskRow.job_id == job_id, TaskRow.position == piece)
    ).first()
    return None if row is None else (row[0], row[1])
