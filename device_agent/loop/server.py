"""The link to the server: what an agent says to it, one method a message."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus

from netspec.client.http import ProfilerHttp
from netspec.errors import ProfilerRefused
from netspec.wire import (
    DeviceRegistration,
    Lease,
    LeaseRelease,
    LeaseRenewal,
    LeaseRequest,
    LeaseStatus,
    QuarantineRequest,
    RegisteredDevice,
    TaskOutcome,
    Visit,
    VisitBatch,
    VisitReceipt,
    VisitReceipts,
)

_OF_THE_MOMENT = frozenset(
    {
        HTTPStatus.UNAUTHORIZED,
        HTTPStatus.FORBIDDEN,
        HTTPStatus.REQUEST_TIMEOUT,
        HTTPStatus.TOO_MANY_REQUESTS,
    }
)


def blames_the_moment(error: ProfilerRefused) -> bool:
    """Whether a refusal is of the moment or the token, not of what was asked."""
    return error.status in _OF_THE_MOMENT or error.status >= HTTPStatus.INTERNAL_SERVER_ERROR


@dataclass(frozen=True)
class NoWork:
    """The server has nothing to do for the device."""

    #: seconds until a task may be leased that rests now, or that another device holds; None: no
    #: task is left
    retry_after_s: float | None = None


class Link:
    """An agent's requests.

    Every method raises `ProfilerUnreachable` when nobody answers and `ProfilerRefused` when the
    server answers with a problem.
    """

    def __init__(self, http: ProfilerHttp) -> None:
        self._http = http

    def register(self, registration: DeviceRegistration) -> RegisteredDevice:
        """Presents a device."""
        answer = self._http.request("POST", "/v1/devices", body=registration, idempotent=True)
        return RegisteredDevice.model_validate_json(answer.content)

    def lease(self, request: LeaseRequest) -> Lease | NoWork:
        """A batch of tasks, if there are any."""
        answer = self._http.request("POST", "/v1/leases", body=request)
        if answer.status_code == HTTPStatus.NO_CONTENT:
            rest = answer.headers.get("Retry-After", "")
            return NoWork(float(rest) if rest.isdecimal() else None)
        return Lease.model_validate_json(answer.content)

    def renew(self, lease: Lease) -> LeaseStatus:
        """Says that the agent is still at it."""
        answer = self._http.request(
            "POST",
            f"/v1/leases/{lease.id}:renew",
            body=LeaseRenewal(fence=lease.fence),
            idempotent=True,
        )
        return LeaseStatus.model_validate_json(answer.content)

    def release(self, lease: Lease, outcomes: Sequence[TaskOutcome]) -> None:
        """Hands a lease back."""
        self._http.request(
            "POST",
            f"/v1/leases/{lease.id}:release",
            body=LeaseRelease(fence=lease.fence, outcomes=tuple(outcomes)),
            idempotent=True,
        )

    def quarantine(self, device_id: str, reason: str) -> None:
        """Has a device get no work until a person releases it."""
        self._http.request(
            "POST",
            f"/v1/devices/{device_id}:quarantine",
            body=QuarantineRequest(reason=reason),
            idempotent=True,
        )

    def upload(self, visits: Sequence[Visit]) -> tuple[VisitReceipt, ...]:
        """Hands visits over; safe to repeat."""
        answer = self._http.request(
            "POST", "/v1/visits:batch", body=VisitBatch(visits=tuple(visits)), idempotent=True
        )
        return VisitReceipts.model_validate_json(answer.content).receipts

    def model(self, sha256: str) -> bytes:
        """An uploaded model's bytes."""
        return self._http.request("GET", f"/v1/models/{sha256}").content
