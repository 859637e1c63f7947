"""SQL of subjects."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from sqlalchemy import select
from sqlalchemy.orm import Session

from netspec.wire import OperatorSubject, Subject
from profiler_server.kit.sql.bulk import Row, insert_absent
from profiler_server.kit.sql.many_values import is_in
from profiler_server.subjects.rows import SubjectRow
from profiler_server.subjects.shapes import Shape


def ensure_subjects(session: Session, subjects: Iterable[Subject]) -> None:
    """Inserts the subjects that are not there yet."""
    rows = [
        {
            "hash": subject.content_hash,
            "kind": subject.kind,
            "name": subject.name,
            "precision": subject.precision,
            "document": subject.model_dump_json(),
            **_place(subject),
        }
        # Two jobs with new subjects in common wait for each other at most one way.
        for subject in sorted(subjects, key=lambda one: one.content_hash)
    ]
    insert_absent(session, SubjectRow, rows)


def _place(subject: Subject) -> Row:
    """Where the subject stands in a table that people read."""
    if not isinstance(subject, OperatorSubject):
        return {"shape": None, "kernel": None, "expand": None}
    operator = subject.operator
    return {
        "shape": Shape.of(operator).text,
        "kernel": getattr(operator, "kernel", None),
        "expand": getattr(operator, "expand", None),
    }


#: kinds of subjects of which there are no visits
_NO_VISITS = ("evaluation", "sustained", "energy")


def measurable(session: Session, hashes: Collection[str]) -> set[str]:
    """Those of the hashes that are subjects of which there can be visits."""
    these = select(SubjectRow.hash).where(is_in(session, SubjectRow.hash, hashes))
    return set(session.scalars(these.where(SubjectRow.kind.not_in(_NO_VISITS))))


def name(session: Session, subject_hash: str) -> str:
    """The name of a subject that there is."""
    return session.scalars(select(SubjectRow.name).where(SubjectRow.hash == subject_hash)).one()
