"""Keeps a lease alive while its batch is measured."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from http import HTTPStatus
from typing import Self

import structlog

from device_agent.loop.server import Link
from netspec.errors import ProfilerRefused, ProfilerUnreachable
from netspec.wire import Lease

_GONE = frozenset({HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT, HTTPStatus.GONE})
#: how long the end of a batch waits for a renewal in flight, s
_JOIN_TIMEOUT_S = 5.0

_log = structlog.get_logger()


class LeaseLost(Exception):
    """The server gave the lease to somebody else, or forgot it."""


class LeaseKeeper:
    """Renews a lease in a thread, from `with` to its end.

    A server that is away does not end the lease: it lives until its time is over.

    Args:
        link: to the server.
        lease: to renew.
        renew_every_s: the server's wish.
        clock: seconds, monotonic.
    """

    def __init__(
        self,
        link: Link,
        lease: Lease,
        renew_every_s: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._link = link
        self._lease = lease
        self._renew_every_s = renew_every_s
        self._clock = clock
        self._ends_at = 0.0
        self._lost = False
        self._expects_end = False
        self._done = threading.Event()
        # A renewal that hangs must not keep the process from ending.
        self._thread = threading.Thread(target=self._keep, name="lease-keeper", daemon=True)
        #: tasks whose job was cancelled
        self.cancelled: frozenset[str] = frozenset()

    def __enter__(self) -> Self:
        """Renews once before anything is measured.

        Raises:
            LeaseLost: the lease is gone already.
            ProfilerRefused: the server answers with another problem.
            ProfilerUnreachable: the server is away.
        """
        self._renew()
        if self._lost:
            raise LeaseLost(f"lease {self._lease.id} was gone before its first visit")
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join(_JOIN_TIMEOUT_S)

    @property
    def held(self) -> bool:
        """Whether the batch may go on."""
        return not self._lost and self._clock() < self._ends_at

    def expect_end(self) -> None:
        """The lease is being handed back: that it is gone is no news any more."""
        self._expects_end = True

    def _keep(self) -> None:
        while not self._lost and not self._done.wait(self._renew_every_s):
            try:
                self._renew()
            except (ProfilerUnreachable, ProfilerRefused) as error:
                left_s = round(self._ends_at - self._clock(), 1)
                _log.warning(
                    "lease not renewed", lease=self._lease.id, left_s=left_s, why=str(error)
                )

    def _renew(self) -> None:
        asked_at = self._clock()
        try:
            status = self._link.renew(self._lease)
        except ProfilerRefused as error:
            if error.status not in _GONE:
                raise
            if not self._expects_end:
                _log.warning("lease lost", lease=self._lease.id, why=str(error))
            self._lost = True
            return
        self._ends_at = asked_at + status.ttl_s
        self.cancelled = frozenset(status.cancelled_task_ids)
