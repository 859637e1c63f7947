"""Endpoints that delete."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends

from profiler_server.auth.dependencies import JobsWriter, Requires
from profiler_server.auth.scopes import Scope
from profiler_server.auth.service import Principal
from profiler_server.deletions import jobs, models, targets
from profiler_server.kit.dependencies import DatabaseDep
from profiler_server.kit.http.routes import Route
from profiler_server.uploaded_models.dependencies import UploadedModelsDep
from profiler_server.uploaded_models.endpoints import Hash
from profiler_server.uploaded_models.rows import FileKind

router = APIRouter(prefix="/v1", route_class=Route)

#: whoever can make a target
TargetMaker = Annotated[Principal, Depends(Requires(Scope.AGENT, Scope.JOBS_WRITE))]


@router.delete("/targets/{target_id}", status_code=204, tags=["tables"])
def delete_target(target_id: str, database: DatabaseDep, who: TargetMaker) -> None:
    """Deletes a target on which nothing was measured, as a wrong import, with all its table."""
    with database.write() as session:
        targets.delete_target(session, target_id, who)


@router.delete("/jobs/{job_id}", status_code=204, tags=["jobs"])
def delete_job(job_id: str, database: DatabaseDep, who: JobsWriter) -> None:
    """Deletes a finished job of the token's own with its tasks; visits and entries stay."""
    with database.write() as session:
        jobs.delete_job(session, job_id, who)


@router.delete("/models/{sha256}", status_code=204, tags=["models"])
def delete_model(
    sha256: Hash, database: DatabaseDep, store: UploadedModelsDep, who: JobsWriter
) -> None:
    """Deletes a file of the token's own that no open task needs; its visits and entries stay."""
    with database.write() as session:
        models.delete_file(session, store, sha256, FileKind.MODEL, who)


@router.delete("/images/{sha256}", status_code=204, tags=["models"])
def delete_images(
    sha256: Hash, database: DatabaseDep, store: UploadedModelsDep, who: JobsWriter
) -> None:
    """Deletes images of the token's own that no open task needs; what models gave stays."""
    with database.write() as session:
        models.delete_file(session, store, sha256, FileKind.IMAGES, who)
