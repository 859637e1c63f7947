"""The link to the server: what an agent says to it, one method a message."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus

import structlog

from device_agent.errors import ClockWrong
from netspec.client.http import ProfilerHttp
from netspec.console.heartbeat import heartbeat
from netspec.console.units import duration_text
from netspec.errors import ProfilerRefused
from netspec.wire import (
    DeviceRegistration,
    EnergyUpload,
    Lease,
    LeaseRelease,
    LeaseRenewal,
    LeaseRequest,
    LeaseStatus,
    PieceOutputs,
    QuarantineRequest,
    RegisteredDevice,
    TaskOutcome,
    Visit,
    VisitBatch,
    VisitReceipt,
    VisitReceipts,
    WindowsUpload,
)

#: an answer that takes longer is spoken of, s
SLOW_S = 10.0
#: a clock that is off by so much is spoken of, and refused, s
_DOUBTFUL_S, _WRONG_S = 60.0, 24 * 3600.0

_log = structlog.get_logger()

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


def _check_clock(date: str | None, now: datetime) -> None:
    """Compare this machine's clock with the server's, as the head of an answer tells it.

    Raises:
        ClockWrong: it is off by a day or more.
    """
    try:
        server = None if date is None else parsedate_to_datetime(date)
    except ValueError:
        server = None
    if server is None or server.tzinfo is None:
        return
    off_s = (now - server).total_seconds()
    if abs(off_s) >= _WRONG_S:
        raise ClockWrong(
            f"this machine's clock is {duration_text(abs(off_s))} "
            f"{'ahead of' if off_s > 0 else 'behind'} the profiler's, and visits would bear wrong "
            "moments; set the clock right"
        )
    if abs(off_s) >= _DOUBTFUL_S:
        _log.warning("this machine's clock differs from the profiler's", s=round(off_s))


@contextmanager
def _told_if_slow(what: str, patience_s: float = 0.0) -> Iterator[None]:
    """Says that the server has not answered yet, after a while and then now and then.

    Args:
        what: is asked.
        patience_s: the server may take for it.
    """
    began = time.monotonic()

    def tell() -> None:
        _log.warning("no answer yet", asked=what, s=round(time.monotonic() - began))

    with heartbeat(tell, SLOW_S, first_s=SLOW_S + patience_s):
        yield


class Link:
    """An agent's requests.

    Every method raises `ProfilerUnreachable` when nobody answers and `ProfilerRefused` when the
    server answers with a problem.
    """

    def __init__(self, http: ProfilerHttp) -> None:
        self._http = http

    def register(self, registration: DeviceRegistration) -> RegisteredDevice:
        """Presents a device.

        Raises:
            ClockWrong: this machine's clock is off by a day or more.
        """
        with _told_if_slow("to register"):
            answer = self._http.request("POST", "/v1/devices", body=registration, idempotent=True)
        _check_clock(answer.headers.get("Date"), datetime.now(UTC))
        return RegisteredDevice.model_validate_json(answer.content)

    def lease(self, request: LeaseRequest) -> Lease | NoWork:
        """A batch of tasks, if there are any."""
        with _told_if_slow("for work", request.wait_s):
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
        with _told_if_slow("to take visits"):
            answer = self._http.request(
                "POST", "/v1/visits:batch", body=VisitBatch(visits=tuple(visits)), idempotent=True
            )
        return VisitReceipts.model_validate_json(answer.content).receipts

    def model(self, sha256: str) -> bytes:
        """An uploaded model's bytes."""
        return self._http.request("GET", f"/v1/models/{sha256}").content

    def images(self, sha256: str) -> bytes:
        """A file of test images."""
        return self._http.request("GET", f"/v1/images/{sha256}").content

    def send_outputs(self, task_id: str, outputs: PieceOutputs) -> None:
        """Hands over what a model gave for a piece's images; safe to repeat."""
        with _told_if_slow("to take outputs"):
            self._http.request("PUT", f"/v1/tasks/{task_id}/outputs", body=outputs)

    def send_windows(self, task_id: str, upload: WindowsUpload) -> None:
        """Hands over what runs without pause were like; safe to repeat."""
        with _told_if_slow("to take windows"):
            self._http.request("PUT", f"/v1/tasks/{task_id}/windows", body=upload)

    def send_energy(self, task_id: str, upload: EnergyUpload) -> None:
        """Hands over what windows counted; safe to repeat."""
        with _told_if_slow("to take energy"):
            self._http.request("PUT", f"/v1/tasks/{task_id}/energy", body=upload)
