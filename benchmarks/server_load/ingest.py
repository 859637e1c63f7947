"""Visits a second: several agents, each uploading the batches of its lease."""

from __future__ import annotations

from itertools import chain

from benchmarks.server_load import tables
from benchmarks.server_load.load import Measured, drive, request
from benchmarks.server_load.machine import service
from device_agent.loop.uploader import BATCH
from netspec.client.http import ProfilerHttp
from netspec.wire import Job, VisitBatch

#: half of them of one model: uploads for one target wait for each other
_PHONES = 4
_MODELS = 2


def ingest(kind: str, *, tasks: int, rounds: int) -> tuple[int, Measured]:
    """Visits stored, and the uploads' timing; every phone visits its tasks so many rounds.

    Raises:
        RuntimeError: the server has not counted every visit.
    """
    with service(kind) as served, ProfilerHttp(served.url, served.token) as http:
        phones = [_Phone(http, number, tasks, rounds) for number in range(_PHONES)]
        # In turn, as agents that started together would send them.
        bodies = chain.from_iterable(zip(*(phone.uploads for phone in phones), strict=True))
        requests = [
            request(served.url, "POST", "/v1/visits:batch", body, served.headers) for body in bodies
        ]
        measured = drive(served.url, requests, connections=_PHONES, status=200, seconds=None)
        for phone in phones:
            phone.check(http)
    return _PHONES * tasks * rounds, measured


class _Phone:
    """Its job, and the uploads of the lease that it has on it."""

    def __init__(self, http: ProfilerHttp, number: int, tasks: int, rounds: int) -> None:
        device = tables.register(http, number, f"model {number % _MODELS}")
        # Other operators than the other phones of the model have.
        wanted = tables.operators(tasks * _PHONES)[number * tasks :][:tasks]
        (self._job_id,) = tables.file_job(http, device.target_ids[0], wanted, rounds)
        lease = tables.claim(http, device, tasks)
        if lease is None:
            raise RuntimeError("a job was filed, and there is no work")
        visits = [
            tables.visit(device, lease, task, round_)
            for round_ in range(rounds)
            for task in lease.tasks
        ]
        self.uploads = [
            VisitBatch(visits=tuple(visits[start : start + BATCH])).model_dump_json().encode()
            for start in range(0, len(visits), BATCH)
        ]

    def check(self, http: ProfilerHttp) -> None:
        job = Job.model_validate_json(http.request("GET", f"/v1/jobs/{self._job_id}").content)
        if job.state != "done" or job.visits_done != job.visits:
            raise RuntimeError(f"uploads were lost: {job}")
