"""Storing what models give for test images, each piece once, and telling how good they are."""

from __future__ import annotations

import io
from statistics import median

import numpy as np
import numpy.typing as npt
from sqlalchemy.orm import Session

from netspec.wire import (
    EVALUATE,
    TOP,
    ClassValue,
    EvaluatedPiece,
    Evaluation,
    EvaluationSubject,
    OutputsQuery,
    PieceOutputs,
)
from profiler_server.evaluations import repository
from profiler_server.evaluations.rows import EvaluationRow
from profiler_server.jobs import service as jobs
from profiler_server.kit.problems import Problem
from profiler_server.kit.sql.database import database_now
from profiler_server.kit.sql.pages import Page
from profiler_server.leases.outputs import complete, require_leased

Logits = npt.NDArray[np.float32]


def store(session: Session, task_id: str, outputs: PieceOutputs) -> bool:
    """Stores the outputs of a piece, and closes its task; False if there were some.

    Whether the lease still lives does not matter: what a model gave it gave. The first outputs
    stay, whoever sends others.

    Args:
        session: a writing transaction.
        task_id: the piece's.
        outputs: as its agent sends them.

    Raises:
        Problem: `outputs-without-lease` or `outputs-misfit`.
    """
    task = require_leased(session, task_id, outputs.lease_id, EVALUATE, "an evaluation")
    labels = np.array(EvaluationSubject.model_validate_json(task.document).piece.labels)
    logits = _checked(outputs, len(labels))
    best = _best(logits)
    row = {
        "task_id": task_id,
        "device_id": task.device_id,
        "lease_id": outputs.lease_id,
        "stored_at": database_now(session),
        "images": len(labels),
        "top1": int((best[:, 0] == labels).sum()),
        "top5": int((best == labels[:, None]).any(axis=1).sum()),
        "classes": outputs.classes,
        "load_ms": outputs.load_ms,
        "peak_memory_mib": outputs.peak_memory_mib,
        "logits": logits.tobytes(),
    }
    if not repository.add(session, row):
        return False
    complete(session, task)
    return True


def _checked(outputs: PieceOutputs, images: int) -> Logits:
    """The logits [images, classes].

    Raises:
        Problem: `outputs-misfit`.
    """
    expected = images * outputs.classes * 4
    if len(outputs.logits) != expected:
        raise Problem(
            "outputs-misfit",
            f"{images} images of {outputs.classes} classes in float32 have {expected} bytes, got "
            f"{len(outputs.logits)}",
        )
    logits = np.frombuffer(outputs.logits, "<f4").reshape(images, outputs.classes)
    if not np.isfinite(logits).all():
        image = int(np.argmin(np.isfinite(logits).all(axis=1)))
        raise Problem(
            "outputs-misfit", f"the outputs of the piece's image {image} are no finite numbers"
        )
    return logits


def _best(logits: Logits) -> npt.NDArray[np.intp]:
    """The outputs with the greatest values of each image, the greatest first; ties as they come."""
    return np.argsort(-logits, axis=1, kind="stable")[:, :TOP]


def evaluation(session: Session, job_id: str) -> Evaluation:
    """How good a job's model is, as far as its images are run.

    Raises:
        Problem: `unknown-job` or `no-evaluation`.
    """
    jobs.require(session, job_id)
    found = evaluation_of(session, job_id)
    if found is None:
        raise Problem(
            "no-evaluation", f"job {job_id} runs no images; file one with an `evaluation`"
        )
    return found


def evaluation_of(session: Session, job_id: str) -> Evaluation | None:
    """How good a job's model is, as far as its images are run; None: it runs none."""
    found = repository.totals(session, job_id)
    if found is None:
        return None
    done = found.images_done
    return Evaluation(
        job_id=job_id,
        target_id=found.target_id,
        model=found.subject.model,
        images=found.images,
        images_done=done,
        top1=found.top1 / done if done else None,
        top5=found.top5 / done if done else None,
        load_ms=median(found.load_ms) if found.load_ms else None,
        peak_memory_mib=found.peak_memory_mib,
    )


def outputs_of(session: Session, job_id: str, query: OutputsQuery) -> Page[EvaluatedPiece]:
    """What a job's model gave for each image, piece by piece, as far as they are run.

    Raises:
        Problem: `unknown-job`, or `bad-request`: the cursor is not one of this list.
    """
    jobs.require(session, job_id)
    page = repository.outputs(session, job_id, query)
    return page.with_items([_to_wire(*one) for one in page.items])


def logits_of(session: Session, job_id: str, piece: int) -> bytes:
    """A `.npy` file of the logits of a piece, float32 [images, classes].

    Raises:
        Problem: `unknown-job` or `no-evaluation`.
    """
    jobs.require(session, job_id)
    found = repository.logits(session, job_id, piece)
    if found is None:
        raise Problem(
            "no-evaluation",
            f"job {job_id} has no outputs of a piece {piece}, or not yet; those that it has: "
            f"GET /v1/jobs/{job_id}/outputs",
        )
    classes, content = found
    stream = io.BytesIO()
    np.save(stream, np.frombuffer(content, "<f4").reshape(-1, classes))
    return stream.getvalue()


def _to_wire(row: EvaluationRow, subject: EvaluationSubject, piece: int) -> EvaluatedPiece:
    logits = np.frombuffer(row.logits, "<f4").reshape(row.images, row.classes)
    return EvaluatedPiece(
        piece=piece,
        first=subject.first,
        images=subject.piece.images,
        labels=subject.piece.labels,
        device_id=row.device_id,
        stored_at=row.stored_at,
        load_ms=row.load_ms,
        peak_memory_mib=row.peak_memory_mib,
        classes=row.classes,
        top=tuple(
            tuple(ClassValue(output=int(output), value=float(values[output])) for output in outputs)
            for outputs, values in zip(_best(logits), logits, strict=True)
        ),
    )
