"""What can be asked of a profiler about jobs, and how everything is asked."""

from __future__ import annotations

import asyncio
import hashlib
import sys
from collections.abc import Awaitable, Callable
from typing import TypeVar
from urllib.parse import urlencode
from uuid import uuid4

from pydantic import TypeAdapter

from netspec.client.errors import JobFailed, NoAgent
from netspec.client.http import IDEMPOTENCY_KEY, Exchange
from netspec.client.snapshot_cache import SnapshotCache
from netspec.console.short_ids import is_whole, the_only
from netspec.errors import DevicesDisagree, ProfilerRefused
from netspec.wire import (
    MAX_PAGE,
    Entry,
    FailureQuery,
    Job,
    JobQuery,
    JobRequest,
    ListQuery,
    ModelSubject,
    SustainedSpeed,
    TaskFailure,
)

T = TypeVar("T")

#: pause (s) between two looks at a job
POLL_S = 0.5
#: how long (s) the server holds a look at a job that does not go on
WAIT_S = 5.0
_ENDED = frozenset({"done", "failed", "cancelled"})


def _nothing() -> None:
    """Between two looks at a job."""


class JobCalls:
    """Filing jobs, waiting for them, and what they measured.

    Every call raises `netspec.errors.ProfilerUnreachable` when nobody answers and
    `netspec.errors.ProfilerRefused` when the profiler answers with a problem.
    """

    def __init__(
        self, http: Exchange, cache: SnapshotCache, on_poll: Callable[[], None] = _nothing
    ) -> None:
        self._http = http
        self._cache = cache
        self._on_poll = on_poll

    async def create_job(self, request: JobRequest) -> Job:
        """Files a job, once even if the answer to it is lost on the way."""
        key = {IDEMPOTENCY_KEY: str(uuid4())}
        answer = await self._http.ask("POST", "/v1/jobs", body=request, headers=key)
        return Job.model_validate_json(answer.content)

    async def jobs(self, query: JobQuery | None = None, *, most: int | None = None) -> list[Job]:
        """The jobs that a query asks for; without one every job, newest first.

        Args:
            query: filters and order.
            most: of these the first ones, at most so many.
        """
        return await self._all(Job, "/v1/jobs", query, most)

    async def job(self, job_id: str) -> Job:
        """A job and how far it is."""
        answer = await self._http.ask("GET", f"/v1/jobs/{job_id}")
        return Job.model_validate_json(answer.content)

    async def find_job(self, beginning: str) -> Job:
        """The job whose id begins so, with or without `job_`.

        Raises:
            UnknownId: none or several fit.
        """
        if is_whole(beginning):
            return await self.job(beginning)
        return the_only(
            "job",
            await self.jobs(),
            beginning,
            "search-client jobs list",
            names=lambda job: [job.id],
            label=lambda job: job.name,
        )

    async def cancel(self, job_id: str) -> Job:
        """Cancels a job; visits already made stay."""
        answer = await self._http.ask("POST", f"/v1/jobs/{job_id}:cancel", idempotent=True)
        return Job.model_validate_json(answer.content)

    async def retry(self, job_id: str) -> Job:
        """Returns a job's failed tasks to the queue, as if they had never failed."""
        answer = await self._http.ask("POST", f"/v1/jobs/{job_id}:retry")
        return Job.model_validate_json(answer.content)

    async def wait(
        self,
        job: Job | str,
        on_progress: Callable[[Job], None] = lambda _: None,
        worth_it: Callable[[Job], Awaitable[None]] | None = None,
    ) -> Job:
        """The job once it is done; on Ctrl-C, or a cancelled await, it is cancelled.

        The server is asked to answer when the job goes on, and at least every few seconds.

        Args:
            job: to wait for, or its id.
            on_progress: called with the job as it goes on.
            worth_it: awaited at each look; `NoAgent` ends the wait, and the job.

        Raises:
            JobFailed: tasks were given up, or somebody cancelled the job.
        """
        job = job if isinstance(job, Job) else await self.job(job)
        known: dict[str, str] = {}
        try:
            while job.state not in _ENDED:
                await self._http.pause(POLL_S)
                self._on_poll()
                path = f"/v1/jobs/{job.id}"
                answer = await self._http.ask(
                    "GET", path, headers=known, params={"wait": f"{WAIT_S:g}"}
                )
                job = Job.model_validate_json(answer.content)
                known = {"If-None-Match": answer.headers.get("ETag", "*")}
                on_progress(job)
                if worth_it is not None:
                    await worth_it(job)
        except (KeyboardInterrupt, asyncio.CancelledError, NoAgent):
            await self._cancel_unless_finished(job.id)
            raise
        if job.state != "done":
            first = job.failures[0] if job.failures else None
            reason = f"; first: {first.subject}: {first.reason}" if first else ""
            raise JobFailed(
                f"job {job.name!r} ({job.id}) ended {job.state} with {job.tasks_failed} of "
                f"{job.tasks} tasks failed{reason}"
            )
        return job

    async def _cancel_unless_finished(self, job_id: str) -> None:
        try:
            await self.cancel(job_id)
        except ProfilerRefused as error:
            if error.kind != "job-finished":
                raise

    async def entries(self, job_id: str) -> dict[str, Entry]:
        """The entries of everything that a job names, by subject hash.

        Raises:
            DevicesDisagree: some are held back.
        """
        listed = await self._all(Entry, f"/v1/jobs/{job_id}/entries")
        if held_back := [entry.name for entry in listed if entry.held_back]:
            raise DevicesDisagree((await self.job(job_id)).target_id, held_back)
        return {entry.subject_hash: entry for entry in listed}

    async def sustained(self, job_id: str) -> SustainedSpeed:
        """How fast a job's subject stays without pause, as soon as its device has said so."""
        answer = await self._http.ask("GET", f"/v1/jobs/{job_id}/sustained")
        return SustainedSpeed.model_validate_json(answer.content)

    async def failures(
        self, job_id: str, query: FailureQuery | None = None, *, most: int | None = None
    ) -> list[TaskFailure]:
        """The first `most` tasks of a job that were given up and that a query asks for.

        Without one every task that was given up, in the job's order; `Job.failures` has the first.
        """
        return await self._all(TaskFailure, f"/v1/jobs/{job_id}/failures", query, most)

    async def upload_model(self, model: bytes, name: str) -> ModelSubject:
        """Stores a `.tflite` file, so that a job can name it."""
        digest = hashlib.sha256(model).hexdigest()
        await self._http.ask("PUT", f"/v1/models/{digest}", body=model)
        return ModelSubject(sha256=digest, name=name)

    async def _all(
        self, kind: type[T], path: str, query: ListQuery | None = None, most: int | None = None
    ) -> list[T]:
        """The items of all pages, or the first `most` of them."""
        items = TypeAdapter(list[kind])  # type: ignore[valid-type]
        wanted = sys.maxsize if most is None else most
        named = query.parameters() if query else []
        if "limit" not in dict(named):
            named = [("limit", str(max(1, min(wanted, MAX_PAGE)))), *named]
        found: list[T] = []
        async for page in self._http.pages(f"{path}?{urlencode(named)}"):
            found += items.validate_json(page.content)
            if len(found) >= wanted:
                break
        return found[:wanted]
