"""The form that has a `.tflite` file measured, and the page that shows what it takes."""

from __future__ import annotations

import hashlib
from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import RedirectResponse
from pydantic import ValidationError
from starlette.datastructures import FormData, UploadFile

from netspec.validation import first_problem
from netspec.wire import MAX_MODEL_BYTES, JobRequest, ModelSubject
from profiler_server.dashboard import rendering
from profiler_server.dashboard.dependencies import Anyone, JobsWriter
from profiler_server.dashboard.endpoints.filing import file, form_page, problem_with
from profiler_server.dashboard.endpoints.targets import TargetId
from profiler_server.dashboard.filing.alternatives import BadForm
from profiler_server.dashboard.views import model as model_view
from profiler_server.devices import repository as devices
from profiler_server.kit.dependencies import DatabaseDep, SettingsDep, WorkSignalDep
from profiler_server.kit.problems import Problem
from profiler_server.kit.sql.database import Database
from profiler_server.uploaded_models.dependencies import UploadedModelsDep
from profiler_server.uploaded_models.rows import FileKind
from profiler_server.uploaded_models.service import UploadedModels
from profiler_server.visits.endpoints import SubjectHash

#: the path of the form, as the limit of bodies knows it
UPLOAD = "/models/new"
#: of the form: a model, and what stands around it
MOST_BYTES = MAX_MODEL_BYTES + 2**20

#: visits, until somebody writes another number into the form
_ROUNDS = "20"

router = APIRouter()


@router.get(UPLOAD)
def show_form(
    request: Request,
    database: DatabaseDep,
    _: JobsWriter,
    target_id: Annotated[str, Query()] = "",
) -> Response:
    """The form, with a target chosen if the link names one."""
    return _form(request, database, target_id, _ROUNDS, problem_with(database, target_id))


@router.post(UPLOAD)
async def measure_model(
    request: Request,
    database: DatabaseDep,
    settings: SettingsDep,
    signal: WorkSignalDep,
    models: UploadedModelsDep,
    viewer: JobsWriter,
) -> Response:
    """Stores the file and files its job; the same form sent twice files no second one."""
    form = await request.form()
    target_id, rounds = str(form.get("target_id", "")), str(form.get("rounds", ""))
    try:
        job, content = await _request_of(form)
        sha256, token_id = job.models[0].sha256, viewer.principal.token_id
        await run_in_threadpool(_store, database, models, sha256, content, token_id)
        job = await run_in_threadpool(_profiled, database, job)
        await run_in_threadpool(file, database, settings, viewer.principal, job, form)
    except Problem as problem:
        return await run_in_threadpool(_form, request, database, target_id, rounds, problem)
    finally:
        await form.close()
    signal.notify()
    address = f"{rendering.base_of(request)}/targets/{job.target_id}/models/{sha256}"
    return RedirectResponse(address, HTTPStatus.SEE_OTHER)


@router.get("/targets/{target_id}/models/{sha256}")
def show_model(
    request: Request, target_id: TargetId, sha256: SubjectHash, database: DatabaseDep, _: Anyone
) -> Response:
    """What a model takes on a target: latency, load, first inference, layers, and who runs it."""
    with database.read() as session:
        shown = model_view.read(session, target_id, sha256)
    return rendering.page(request, "model.html.j2", shown=shown, target_id=target_id, sha256=sha256)


def _profiled(database: Database, job: JobRequest) -> JobRequest:
    """The job with the time of each layer, where a device can tell it."""
    with database.read() as session:
        able = devices.measures(session, job.target_id or "", "in_network")
    return job.model_copy(update={"method": "in_network"}) if able else job


async def _request_of(form: FormData) -> tuple[JobRequest, bytes]:
    """The job that a filled form asks for, and the file.

    Raises:
        BadForm: naming the field, and what was expected.
    """
    upload = form.get("model")
    if not isinstance(upload, UploadFile) or not upload.filename:
        raise BadForm("model: choose a .tflite file", "what")
    if not form.get("target_id"):
        raise BadForm("Choose a target", "what")
    content = await upload.read()
    digest = hashlib.sha256(content).hexdigest()
    try:
        model = ModelSubject(sha256=digest, name=upload.filename)
        fields = {
            "name": f"latency of {upload.filename}",
            "target_id": form.get("target_id"),
            "models": (model,),
            "rounds": form.get("rounds"),
        }
        return JobRequest.model_validate(fields), content
    except ValidationError as error:
        raise BadForm(first_problem(error), "what") from error


def _store(
    database: Database, models: UploadedModels, sha256: str, content: bytes, token_id: str
) -> None:
    if len(content) > MAX_MODEL_BYTES:
        raise Problem("body-too-large", f"a model has at most {MAX_MODEL_BYTES} bytes")
    with database.write() as session:
        models.put(session, sha256, content, FileKind.MODEL, token_id)


def _form(
    request: Request,
    database: Database,
    target_id: str,
    rounds: str,
    problem: Problem | None = None,
) -> Response:
    return form_page(
        request,
        database,
        "model_form.html.j2",
        problem,
        target_id,
        rounds=rounds,
        most_mb=MAX_MODEL_BYTES // 2**20,
    )
