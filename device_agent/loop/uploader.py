"""Takes visits from the spool to the server."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Self

import structlog

from device_agent.errors import SpoolUnusable
from device_agent.loop.server import Link, blames_the_moment
from device_agent.measuring.spool import Spool
from netspec.errors import ProfilerRefused, ProfilerUnreachable
from netspec.wire import MAX_VISITS_PER_BATCH, Visit

#: visits of one upload, some MB: the more, the less each costs the server
BATCH = MAX_VISITS_PER_BATCH
#: between uploads while a batch is measured, s
EVERY_S = 3.0
#: how long the end of a batch waits for an upload in flight, s
_JOIN_TIMEOUT_S = 5.0
_log = structlog.get_logger()


class Uploader:
    """Uploads on demand and, within `with`, at intervals in a thread."""

    def __init__(self, spool: Spool, link: Link, every_s: float = EVERY_S) -> None:
        self._spool = spool
        self._link = link
        self._every_s = every_s
        self._lock = threading.Lock()
        self._done = threading.Event()
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        self._done.clear()
        # An upload that hangs must not keep the process from ending.
        self._thread = threading.Thread(target=self._keep, name="uploader", daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        if self._thread is not None:
            self._thread.join(_JOIN_TIMEOUT_S)

    def upload(self) -> None:
        """Uploads all that waits in the spool; what the server refuses is kept aside.

        Raises:
            ProfilerUnreachable: the server is away; the visits stay spooled.
            ProfilerRefused: the server takes no upload now; the visits stay spooled.
        """
        with self._lock:
            while visits := self._spool.oldest(BATCH):
                self._settle(visits)

    def _keep(self) -> None:
        while not self._done.wait(self._every_s):
            try:
                self.upload()
            except (ProfilerUnreachable, ProfilerRefused, SpoolUnusable) as error:
                _log.warning("upload failed", waiting=self._spool.waiting(), why=str(error))

    def _settle(self, visits: Sequence[Visit]) -> None:
        """Every one of the visits leaves the queue, or this raises."""
        try:
            receipts = {receipt.id: receipt.state for receipt in self._link.upload(visits)}
        except ProfilerRefused as error:
            if blames_the_moment(error):
                raise
            if len(visits) == 1:
                self._set_aside(visits[0], str(error))
                return
            # One visit that the server cannot take must not hold up the others.
            middle = len(visits) // 2
            self._settle(visits[:middle])
            self._settle(visits[middle:])
            return
        self._spool.forget([visit.id for visit in visits if receipts.get(visit.id) in _THERE])
        for visit in visits:
            state = receipts.get(visit.id)
            if state not in _THERE:
                self._set_aside(visit, _REFUSALS[state])

    def _set_aside(self, visit: Visit, reason: str) -> None:
        self._spool.set_aside(visit.id, reason)
        _log.error("visit refused", visit=str(visit.id), spool=str(self._spool.path), why=reason)


_THERE = frozenset({"stored", "duplicate"})
#: why a visit is not there, by the state in its receipt
_REFUSALS = {
    None: "the profiler gave no receipt",
    "conflict": "the profiler holds another visit under this id",
    "unknown": "the profiler does not know the visit's device, target or subject",
    "unleased": "the profiler gave the visit's device no lease that covers it",
}
