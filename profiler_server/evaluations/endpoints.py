"""Endpoints of evaluations."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query, Response

from netspec.wire import EvaluatedPiece, Evaluation, OutputsQuery, PieceOutputs
from profiler_server.auth.dependencies import TablesReader
from profiler_server.evaluations import service
from profiler_server.kit.dependencies import DatabaseDep
from profiler_server.kit.http.routes import Route
from profiler_server.kit.sql.pages import PagingDep
from profiler_server.leases.outputs import LeasedOutputsDep

router = APIRouter(prefix="/v1", tags=["evaluations"], route_class=Route)

Piece = Annotated[int, Path(ge=0, le=2**31 - 1, description="Which piece of the image set")]


@router.put("/tasks/{task_id}/outputs", status_code=204, max_body_size=16 * 2**20)
def put_outputs(task_id: str, outputs: PieceOutputs, leased: LeasedOutputsDep) -> Response:
    """Uploads what a model gave for a piece's images; 201 if it is new, 204 if some was there."""
    return leased.put(outputs.lease_id, lambda session: service.store(session, task_id, outputs))


@router.get("/jobs/{job_id}/evaluation")
def get_evaluation(job_id: str, database: DatabaseDep, _: TablesReader) -> Evaluation:
    """How good a job's model is on the job's target, as far as its images are run."""
    with database.read() as session:
        return service.evaluation(session, job_id)


@router.get("/jobs/{job_id}/outputs")
def list_outputs(
    job_id: str,
    query: Annotated[OutputsQuery, Query()],
    database: DatabaseDep,
    paging: PagingDep,
    _: TablesReader,
) -> list[EvaluatedPiece]:
    """What a job's model gave for each image, in order, as far as they are run."""
    with database.read() as session:
        return paging.answer(service.outputs_of(session, job_id, query))


@router.get("/jobs/{job_id}/outputs/{piece}", response_class=Response)
def get_logits(job_id: str, piece: Piece, database: DatabaseDep, _: TablesReader) -> Response:
    """All values of a piece's images: a `.npy` file of float32 in the shape [images, outputs]."""
    with database.read() as session:
        content = service.logits_of(session, job_id, piece)
    return Response(content, media_type="application/octet-stream")
