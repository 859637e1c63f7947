"""The profiler as the search sees it: targets, jobs, models, snapshots."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Sequence
from typing import Self
from uuid import uuid4

from pydantic import TypeAdapter

from netspec.errors import ProfilerRefused, UserError
from netspec.profiler_http import ProfilerHttp
from netspec.wire import Entry, Job, JobRequest, ModelSubject, PublishRequest, Snapshot, Target

_TARGETS = TypeAdapter(list[Target])
_ENTRIES = TypeAdapter(list[Entry])

POLL_S = 0.5
#: items asked for at a time, the most that a server gives
_PAGE = 1_000
_ENDED = frozenset({"done", "failed", "cancelled"})


class JobFailed(UserError):
    """A job ended without measuring everything."""


class UnknownTarget(UserError):
    """The profiler has no such target."""


class NoTable(UserError):
    """No table of a target was published."""


class ProfilerClient:
    """Typed calls to one profiler.

    Every call raises `netspec.errors.ProfilerUnreachable` when nobody answers and
    `netspec.errors.ProfilerRefused` when the profiler answers with a problem.
    """

    def __init__(self, http: ProfilerHttp, on_poll: Callable[[], None] = lambda: None) -> None:
        self._http = http
        #: called before each look at a job that is waited for; what it raises ends the wait
        self._on_poll = on_poll

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def targets(self) -> list[Target]:
        """Every target that the profiler knows."""
        pages = self._http.pages(f"/v1/targets?limit={_PAGE}")
        return [target for page in pages for target in _TARGETS.validate_json(page.content)]

    def target(self, wished: str | None) -> Target:
        """The target whose id begins with `wished`; None: the only one there is.

        Raises:
            UnknownTarget: none or several fit; the message lists what exists.
        """
        targets = self.targets()
        fitting = [t for t in targets if wished is None or t.id.startswith(wished)]
        if len(fitting) == 1:
            return fitting[0]
        listed = "; ".join(f"{t.id} ({t.identity.label})" for t in targets)
        if not targets:
            raise UnknownTarget(
                f"the profiler at {self._http.url} has no targets yet; start `device-agent run` "
                "on the machine with the devices"
            )
        if wished is None:
            raise UnknownTarget(f"the profiler has several targets; choose by --target: {listed}")
        problem = "no target" if not fitting else f"{len(fitting)} targets"
        raise UnknownTarget(f"{problem} begins with {wished!r}; the profiler has: {listed}")

    def create_job(self, request: JobRequest) -> Job:
        """Files a job, once even if the answer to it is lost on the way."""
        key = {"Idempotency-Key": str(uuid4())}
        answer = self._http.request("POST", "/v1/jobs", body=request, headers=key, idempotent=True)
        return Job.model_validate_json(answer.content)

    def job(self, job_id: str) -> Job:
        """A job and how far it is."""
        return Job.model_validate_json(self._http.request("GET", f"/v1/jobs/{job_id}").content)

    def cancel(self, job_id: str) -> Job:
        """Cancels a job; visits already made stay."""
        answer = self._http.request("POST", f"/v1/jobs/{job_id}:cancel", idempotent=True)
        return Job.model_validate_json(answer.content)

    def wait(self, job: Job, on_progress: Callable[[Job], None]) -> Job:
        """The job once it is done, polled; on Ctrl-C the job is cancelled.

        Raises:
            JobFailed: tasks were given up, or somebody cancelled the job.
        """
        try:
            while job.state not in _ENDED:
                time.sleep(POLL_S)
                self._on_poll()
                job = self.job(job.id)
                on_progress(job)
        except KeyboardInterrupt:
            self._cancel_unless_finished(job.id)
            raise
        if job.state != "done":
            first = job.failures[0] if job.failures else None
            reason = f"; first: {first.subject}: {first.reason}" if first else ""
            raise JobFailed(
                f"job {job.name!r} ({job.id}) ended {job.state} with {job.tasks_failed} of "
                f"{job.tasks} tasks failed{reason}"
            )
        return job

    def _cancel_unless_finished(self, job_id: str) -> None:
        try:
            self.cancel(job_id)
        except ProfilerRefused as error:
            if error.kind != "job-finished":
                raise

    def entries(self, job_id: str) -> dict[str, Entry]:
        """The entries of everything that a job names, by subject hash."""
        pages = self._http.pages(f"/v1/jobs/{job_id}/entries?limit={_PAGE}")
        listed = (entry for page in pages for entry in _ENTRIES.validate_json(page.content))
        return {entry.subject_hash: entry for entry in listed}

    def upload_model(self, model: bytes, name: str) -> ModelSubject:
        """Sends a `.tflite` file; a repeated upload changes nothing."""
        digest = hashlib.sha256(model).hexdigest()
        self._http.request("PUT", f"/v1/models/{digest}", body=model)
        return ModelSubject(sha256=digest, name=name)

    def publish(self, target_id: str, calibrate_on: Sequence[str] | None = None) -> Snapshot:
        """Freezes the target's table, calibrated on networks by content hash (None: all)."""
        chosen = None if calibrate_on is None else tuple(calibrate_on)
        answer = self._http.request(
            "POST",
            f"/v1/targets/{target_id}/snapshots",
            body=PublishRequest(calibrate_on=chosen),
            idempotent=True,
        )
        return Snapshot.model_validate_json(answer.content)

    def latest_snapshot(self, target_id: str) -> Snapshot:
        """The target's newest published table.

        Raises:
            NoTable: none was published.
        """
        try:
            answer = self._http.request("GET", f"/v1/targets/{target_id}/snapshots/latest")
        except ProfilerRefused as error:
            if error.kind != "unknown-snapshot":
                raise
            raise NoTable(
                f"the profiler at {self._http.url} has published no table of target {target_id} "
                "yet; make one with `search-client profile`, or search with --profile-missing"
            ) from error
        return Snapshot.model_validate_json(answer.content)
