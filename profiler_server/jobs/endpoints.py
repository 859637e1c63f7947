"""Endpoints of jobs."""

from __future__ import annotations

from fastapi import APIRouter

from netspec.wire import Entry, Job, JobRequest
from profiler_server.auth.dependencies import Anyone, JobsWriter, TablesReader
from profiler_server.jobs import service
from profiler_server.kit.dependencies import DatabaseDep, SettingsDep, WorkSignalDep
from profiler_server.kit.pages import PagingDep

router = APIRouter(prefix="/v1/jobs", tags=["jobs"])


@router.post("", status_code=201)
def create_job(
    request: JobRequest,
    database: DatabaseDep,
    settings: SettingsDep,
    signal: WorkSignalDep,
    _: JobsWriter,
) -> Job:
    """Files a job."""
    with database.write() as session:
        job = service.create(session, settings, request)
    signal.notify()
    return job


@router.get("")
def list_jobs(database: DatabaseDep, paging: PagingDep, _: Anyone) -> list[Job]:
    """Jobs, newest first."""
    with database.read() as session:
        return paging.answer(service.latest(session, paging.asked))


@router.get("/{job_id}")
def get_job(job_id: str, database: DatabaseDep, _: Anyone) -> Job:
    """One job and how far it is."""
    with database.read() as session:
        return service.get(session, job_id)


@router.post("/{job_id}:cancel")
def cancel_job(job_id: str, database: DatabaseDep, _: JobsWriter) -> Job:
    """Cancels a job; what is stored stays."""
    with database.write() as session:
        return service.cancel(session, job_id)


@router.get("/{job_id}/entries")
def list_entries(
    job_id: str, database: DatabaseDep, paging: PagingDep, _: TablesReader
) -> list[Entry]:
    """The entries of the job's subjects, as far as there are any, by name."""
    with database.read() as session:
        return paging.answer(service.entries_of(session, job_id, paging.asked))
