"""Endpoints of uploaded models, and of test images for them."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query, Request, Response
from fastapi.concurrency import run_in_threadpool

from netspec.wire import MAX_IMAGES_BYTES, MAX_MODEL_BYTES, ModelQuery, StoredModel
from profiler_server.auth.dependencies import Anyone, JobsWriter
from profiler_server.kit.dependencies import DatabaseDep
from profiler_server.kit.http.caching import IMMUTABLE, etag, is_current
from profiler_server.kit.http.routes import Route
from profiler_server.kit.sql.database import Database
from profiler_server.kit.sql.pages import PagingDep
from profiler_server.uploaded_models.dependencies import UploadedModelsDep
from profiler_server.uploaded_models.rows import FileKind
from profiler_server.uploaded_models.service import UploadedModels, page, require

router = APIRouter(prefix="/v1", tags=["models"], route_class=Route)

Hash = Annotated[str, Path(pattern=r"^[0-9a-f]{64}$", description="SHA-256 of the file")]

_BODY = {
    "requestBody": {
        "required": True,
        "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
    }
}


@router.get("/models")
def list_models(
    query: Annotated[ModelQuery, Query()], database: DatabaseDep, paging: PagingDep, _: Anyone
) -> list[StoredModel]:
    """Models, newest first."""
    with database.read() as session:
        return paging.answer(page(session, query, FileKind.MODEL))


@router.put("/models/{sha256}", status_code=204, openapi_extra=_BODY, max_body_size=MAX_MODEL_BYTES)
async def put_model(
    sha256: Hash,
    request: Request,
    database: DatabaseDep,
    models: UploadedModelsDep,
    who: JobsWriter,
) -> Response:
    """Uploads a `.tflite` file; 201 if it is new, 204 if it was there."""
    content = await request.body()
    return await run_in_threadpool(
        _store, database, models, sha256, content, FileKind.MODEL, who.token_id
    )


@router.get("/models/{sha256}", response_class=Response)
def get_model(
    sha256: Hash, request: Request, database: DatabaseDep, models: UploadedModelsDep, _: Anyone
) -> Response:
    """The file's bytes."""
    return _file(request, database, models, sha256, FileKind.MODEL)


@router.get("/images")
def list_images(
    query: Annotated[ModelQuery, Query()], database: DatabaseDep, paging: PagingDep, _: Anyone
) -> list[StoredModel]:
    """Files of test images, newest first."""
    with database.read() as session:
        return paging.answer(page(session, query, FileKind.IMAGES))


@router.put(
    "/images/{sha256}", status_code=204, openapi_extra=_BODY, max_body_size=MAX_IMAGES_BYTES
)
async def put_images(
    sha256: Hash,
    request: Request,
    database: DatabaseDep,
    models: UploadedModelsDep,
    who: JobsWriter,
) -> Response:
    """Uploads images as a model takes them, a `.npy` file; 201 if it is new, 204 if not."""
    content = await request.body()
    return await run_in_threadpool(
        _store, database, models, sha256, content, FileKind.IMAGES, who.token_id
    )


@router.get("/images/{sha256}", response_class=Response)
def get_images(
    sha256: Hash, request: Request, database: DatabaseDep, models: UploadedModelsDep, _: Anyone
) -> Response:
    """The file's bytes."""
    return _file(request, database, models, sha256, FileKind.IMAGES)


def _file(
    request: Request, database: Database, models: UploadedModels, sha256: str, kind: FileKind
) -> Response:
    headers = {"ETag": etag(sha256), "Cache-Control": IMMUTABLE}
    with database.read() as session:
        if is_current(request, sha256):
            require(session, [sha256], kind)
            return Response(status_code=304, headers=headers)
        content = models.get(session, sha256, kind)
    return Response(content, headers=headers, media_type="application/octet-stream")


def _store(
    database: Database,
    models: UploadedModels,
    sha256: str,
    content: bytes,
    kind: FileKind,
    token_id: str,
) -> Response:
    with database.write() as session:
        is_new = models.put(session, sha256, content, kind, token_id)
    return Response(status_code=201 if is_new else 204)
