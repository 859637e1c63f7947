"""The service under test, as its clients see it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

import httpx2
from pydantic import BaseModel, TypeAdapter

from netspec.wire import (
    DeviceRegistration,
    Entry,
    Job,
    JobRequest,
    Lease,
    LeaseRelease,
    LeaseRequest,
    RegisteredDevice,
    TaskOutcome,
    VisitBatch,
    VisitReceipts,
)

Model = TypeVar("Model", bound=BaseModel)


class Api:
    """The endpoints, in one line each; every answer's status is checked."""

    def __init__(self, http: httpx2.Client, token: str | None) -> None:
        self.http = http
        self.headers = {} if token is None else {"Authorization": f"Bearer {token}"}

    def call(
        self,
        method: str,
        path: str,
        body: BaseModel | Mapping[str, object] | bytes | None = None,
        *,
        status: int = 200,
        headers: Mapping[str, str] | None = None,
    ) -> httpx2.Response:
        options: dict[str, Any] = {"headers": {**self.headers, **(headers or {})}}
        if isinstance(body, BaseModel):
            options["content"] = body.model_dump_json()
            options["headers"]["Content-Type"] = "application/json"
        elif isinstance(body, bytes):
            options["content"] = body
        elif body is not None:
            options["json"] = body
        answer = self.http.request(method, path, **options)
        assert answer.status_code == status, (method, path, answer.status_code, answer.text)
        return answer

    def problem(
        self,
        method: str,
        path: str,
        body: BaseModel | Mapping[str, object] | bytes | None = None,
        *,
        status: int,
        kind: str,
        headers: Mapping[str, str] | None = None,
    ) -> str:
        """Checks that the answer is this problem; its detail."""
        answer = self.call(method, path, body, status=status, headers=headers)
        assert answer.headers["Content-Type"] == "application/problem+json"
        problem = answer.json()
        assert problem["type"] == f"/problems/{kind}"
        assert problem["status"] == status
        assert problem["title"]
        assert problem["instance"] == path.split("?", maxsplit=1)[0]
        return str(problem["detail"])

    def register(self, registration: DeviceRegistration) -> RegisteredDevice:
        return read(RegisteredDevice, self.call("POST", "/v1/devices", registration))

    def file(self, request: JobRequest) -> Job:
        return read(Job, self.call("POST", "/v1/jobs", request, status=201))

    def job(self, job_id: str) -> Job:
        return read(Job, self.call("GET", f"/v1/jobs/{job_id}"))

    def entries(self, job_id: str) -> list[Entry]:
        answer = self.call("GET", f"/v1/jobs/{job_id}/entries")
        return TypeAdapter(list[Entry]).validate_json(answer.content)

    def claim(self, device_id: str, *, max_tasks: int = 500, wait_s: float = 0.0) -> Lease:
        request = LeaseRequest(device_id=device_id, max_tasks=max_tasks, wait_s=wait_s)
        return read(Lease, self.call("POST", "/v1/leases", request))

    def no_work(self, device_id: str, *, wait_s: float = 0.0) -> None:
        request = LeaseRequest(device_id=device_id, wait_s=wait_s)
        self.call("POST", "/v1/leases", request, status=204)

    def upload(self, batch: VisitBatch) -> list[str]:
        """The states of the receipts, whose ids are checked."""
        answer = read(VisitReceipts, self.call("POST", "/v1/visits:batch", batch))
        assert [receipt.id for receipt in answer.receipts] == [visit.id for visit in batch.visits]
        return [receipt.state for receipt in answer.receipts]

    def release(self, lease: Lease, outcomes: Sequence[TaskOutcome] = ()) -> None:
        released = LeaseRelease(fence=lease.fence, outcomes=tuple(outcomes))
        self.call("POST", f"/v1/leases/{lease.id}:release", released, status=204)


def read(model: type[Model], answer: httpx2.Response) -> Model:
    """The answer as a message."""
    return model.model_validate_json(answer.content)
