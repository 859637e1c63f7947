"""Clients that repeat what was not answered, and remember every status that they saw."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from itertools import cycle
from typing import Self

import httpx2
from pydantic import BaseModel

from netspec.wire import Lease, LeaseRelease, LeaseRequest, Visit, VisitBatch, VisitReceipts
from tests.integration.profiler_server import farm

_PAUSE_S = 0.05


class Persistent:
    """Sends each request until somebody answers it; not safe to share between threads.

    Args:
        urls: of the replicas, which are asked in turn.
        token: with every scope.
        timeout_s: after so long without an answer the next replica is asked.
        give_up_s: after so long without an answer of any the test has failed.
    """

    def __init__(
        self, urls: Sequence[str], token: str, timeout_s: float = 40, give_up_s: float = 60
    ) -> None:
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
        self._clients = [
            httpx2.Client(base_url=url, timeout=timeout_s, headers=headers) for url in urls
        ]
        self._replicas = cycle(self._clients)
        self._give_up_s = give_up_s
        self.statuses: Counter[int] = Counter()
        #: answers that were no problem+json although they were errors
        self.strange: list[str] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for client in self._clients:
            client.close()

    def send(self, method: str, path: str, body: BaseModel | None = None) -> httpx2.Response:
        """The first answer that does not ask to be patient."""
        content = None if body is None else body.model_dump_json()
        until = time.monotonic() + self._give_up_s
        while time.monotonic() < until:
            try:
                answer = next(self._replicas).request(method, path, content=content)
            except httpx2.TransportError:
                time.sleep(_PAUSE_S)
                continue
            self.statuses[answer.status_code] += 1
            if answer.is_error and answer.headers["Content-Type"] != "application/problem+json":
                self.strange.append(answer.text)
            if answer.status_code < httpx2.codes.INTERNAL_SERVER_ERROR:
                return answer
            time.sleep(_PAUSE_S)
        raise TimeoutError(f"{method} {path} was not answered for {self._give_up_s} s")

    def upload(self, visits: Sequence[Visit]) -> list[str]:
        """The states of the receipts."""
        answer = self.send("POST", "/v1/visits:batch", VisitBatch(visits=tuple(visits)))
        receipts = VisitReceipts.model_validate_json(answer.content).receipts
        return [receipt.state for receipt in receipts]

    def work(self, device_id: str, *, max_tasks: int, wait_s: float = 2.0) -> list[Visit]:
        """Claims once, visits and uploads every task of the lease, hands it back.

        Returns:
            The visits, all of them accepted; none when there was no lease.
        """
        ask = LeaseRequest(device_id=device_id, max_tasks=max_tasks, wait_s=wait_s)
        answer = self.send("POST", "/v1/leases", ask)
        if answer.status_code == httpx2.codes.NO_CONTENT:
            return []
        lease = Lease.model_validate_json(answer.content)
        visits = farm.visits(lease, device_id, rounds=1).visits
        assert set(self.upload(visits)) <= {"stored", "duplicate"}
        released = LeaseRelease(fence=lease.fence, outcomes=())
        # Whether it still lives or was lost: the visits are there.
        self.send("POST", f"/v1/leases/{lease.id}:release", released)
        return list(visits)
