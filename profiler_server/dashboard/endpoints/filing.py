"""Filing a job: where, what and how, one question after the other, then what that comes to."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import JSONResponse
from starlette.datastructures import FormData, UploadFile

from netspec.spaces import shipped_spaces
from netspec.wire import MAX_PAGE, JobRequest, TargetQuery
from profiler_server.auth.service import Principal
from profiler_server.dashboard import people, rendering
from profiler_server.dashboard.dependencies import JobsWriter
from profiler_server.dashboard.endpoints.jobs import to_job
from profiler_server.dashboard.filing import fields as form_fields
from profiler_server.dashboard.filing import places
from profiler_server.dashboard.filing.alternatives import (
    ALTERNATIVES,
    DEFAULTS,
    BadForm,
    left_over,
)
from profiler_server.dashboard.filing.estimate import JobEstimate, estimate
from profiler_server.dashboard.filing.fields import ANSWERS, STEPS
from profiler_server.dashboard.form_tokens import nonce
from profiler_server.devices import service as devices
from profiler_server.idempotency.service import once
from profiler_server.jobs import service
from profiler_server.kit.dependencies import DatabaseDep, SettingsDep, WorkSignalDep
from profiler_server.kit.problems import Problem
from profiler_server.kit.settings import Settings
from profiler_server.kit.sql.database import Database

router = APIRouter(prefix="/jobs")

_FILE = "file"
#: fields whose text may come from a file
_UPLOADED = ("recipe", "document")
#: of problems with the whole, whose answer is to be another; of others what is measured
_QUESTIONS = {
    "unknown-target": "where",
    "imported-target": "where",
    "nothing-selected": "where",
    "method-not-supported": "how",
}


@router.get("/new")
def show_form(
    request: Request,
    database: DatabaseDep,
    _: JobsWriter,
    target_id: Annotated[str, Query()] = "",
) -> Response:
    """The first question, with a target chosen if the link names one, or there is but one."""
    fields = {**DEFAULTS, "target_id": target_id}
    return _ask(request, database, "where", fields, problem_with(database, target_id))


def problem_with(database: Database, target_id: str) -> Problem | None:
    """What is wrong with a target that a link names; None: nothing, or it names none."""
    try:
        if target_id:
            _describe(database, {**DEFAULTS, "target_id": target_id})
    except Problem as problem:
        return problem
    return None


@router.get("/new/where", response_class=JSONResponse)
def describe_where(
    database: DatabaseDep,
    _: JobsWriter,
    where: str = "",
    target_id: str = "",
    labels: str = "",
) -> dict[str, str | bool]:
    """What an answer to the first question comes to, while it is given."""
    fields = {**DEFAULTS, "where": where, "target_id": target_id, "labels": labels}
    try:
        return {"is_good": True, "says": _describe(database, fields)}
    except Problem as problem:
        return {"is_good": False, "says": people.in_words(people.of_form(problem)).striptags()}


def _describe(database: Database, fields: Mapping[str, Any]) -> str:
    where = ANSWERS["where"](fields)
    with database.read() as session:
        return places.describe(session, where)


@router.post("/new")
async def answer_question(
    request: Request,
    database: DatabaseDep,
    settings: SettingsDep,
    signal: WorkSignalDep,
    viewer: JobsWriter,
) -> Response:
    """Leads to the next question, or files the job: sent twice by accident, it files one."""
    form = await request.form()
    step = str(form.get("step", _FILE))
    fields: dict[str, Any] = {
        # Scripts do not send the fields of alternatives that are not chosen.
        name: str(form.get(name, DEFAULTS[name]))
        for name in DEFAULTS
    }
    fields["precisions"] = tuple(map(str, form.getlist("precisions")))
    who = viewer.principal
    try:
        await _take_files(form, fields)
        if step != _FILE:
            return await run_in_threadpool(_lead_to, request, database, settings, step, fields, who)
        job = form_fields.request_of(fields)
        job_id = await run_in_threadpool(file, database, settings, who, job, form)
    except Problem as problem:
        return await run_in_threadpool(_ask_again, request, database, fields, problem)
    finally:
        await form.close()
    signal.notify()
    return to_job(request, job_id)


async def _take_files(form: FormData, fields: dict[str, Any]) -> None:
    """Puts what was uploaded into the fields.

    Raises:
        BadForm: a file is no text, or its field is filled in, too.
    """
    for name in _UPLOADED:
        upload = form.get(f"{name}_file")
        if not isinstance(upload, UploadFile) or not upload.filename:
            continue
        if str(fields[name]).strip():
            raise BadForm(
                f"{name}: {upload.filename} was chosen, and text was typed, too: empty the field, "
                "or choose no file",
                "what",
            )
        try:
            fields[name] = (await upload.read()).decode()
        except UnicodeDecodeError as error:
            raise BadForm(f"{name}: {upload.filename} is no text in UTF-8", "what") from error


def _lead_to(
    request: Request,
    database: Database,
    settings: Settings,
    step: str,
    fields: dict[str, Any],
    who: Principal,
) -> Response:
    """A question, once those before it have good answers."""
    if step not in STEPS:
        raise BadForm("There is no such question", "where")
    steps = tuple(STEPS)
    for earlier in steps[: steps.index(step)]:
        ANSWERS[earlier](fields)
        if earlier == "where":
            _describe(database, fields)
    found = None
    if step == "check":
        found = estimate(database, settings, form_fields.request_of(fields), who.token_id)
    return _ask(request, database, step, fields, found=found)


def _ask_again(
    request: Request, database: Database, fields: dict[str, Any], problem: Problem
) -> Response:
    step = problem.step if isinstance(problem, BadForm) else _QUESTIONS.get(problem.kind, "what")
    if step == "check":
        # What is wrong with the whole is put right where it was said.
        step = next(
            (one for one in ("where", "how") if problem.detail.startswith(STEPS[one])), "what"
        )
    return _ask(request, database, step, fields, problem)


def _ask(
    request: Request,
    database: Database,
    step: str,
    fields: dict[str, Any],
    problem: Problem | None = None,
    found: JobEstimate | None = None,
) -> Response:
    return form_page(
        request,
        database,
        "job_form.html.j2",
        problem,
        str(fields["target_id"]),
        fields=fields,
        step=step,
        steps=STEPS,
        alternatives=ALTERNATIVES,
        defaults=DEFAULTS,
        answers={**fields, "where": form_fields.chosen_where(fields)},
        left_over=left_over,
        spaces=shipped_spaces(),
        found=found,
        proposed_name=form_fields.proposed_name(fields),
    )


def file(
    database: Database, settings: Settings, who: Principal, job: JobRequest, form: FormData
) -> str:
    """Files a job for whoever is signed in, once for each form; its id."""
    with database.write() as session:
        answer = once(
            session,
            who.token_id,
            f"form-{form.get('request_id') or nonce()}",
            job,
            lambda: service.create(session, settings, job, who.token_id),
        )
    return str(json.loads(answer.document)["id"])


def form_page(
    request: Request,
    database: Database,
    template: str,
    problem: Problem | None,
    target_id: str,
    **values: Any,
) -> Response:
    """A form with the targets to choose from, and what was wrong with it when it was sent.

    Args:
        request: whose answer it is.
        database: has the targets.
        template: of the form.
        problem: with what was sent.
        target_id: that is chosen.
        values: what the template shows.
    """
    with database.read() as session:
        targets = devices.list_targets(session, TargetQuery(limit=MAX_PAGE))
    # Nothing can be measured on imported tables; what is chosen waits for a device.
    measurable = [one for one in targets.items if one.devices or one.id == target_id]
    return rendering.page(
        request,
        template,
        200 if problem is None else problem.status,
        targets=measurable or targets.items,
        target_id=target_id,
        request_id=nonce(),
        why="" if problem is None else people.of_form(problem),
        **values,
    )
