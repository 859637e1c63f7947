"""Waiting for work without holding a database connection or a thread."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import Context
from dataclasses import dataclass, field
from datetime import timedelta
from enum import Enum, auto

import structlog
from fastapi import Request
from fastapi.concurrency import run_in_threadpool
from sqlalchemy.exc import SQLAlchemyError

from netspec.wire import Lease, LeaseRequest
from profiler_server.devices import repository as devices
from profiler_server.devices.rows import DeviceRow
from profiler_server.kit.settings import Settings
from profiler_server.kit.sql.database import Database, database_now
from profiler_server.kit.sql.many_values import is_in
from profiler_server.kit.work_notices import hearing_notices
from profiler_server.kit.work_signal import WorkSignal
from profiler_server.leases import repository, service
from profiler_server.leases.arrivals import Arrivals
from profiler_server.leases.repository import Standing

log = structlog.get_logger()

#: how often (s) to look for what no signal tells of: expired leases, ends of rests, lost notices;
#: from and to, so that replicas do not look in step
_LOOK_EVERY_S = (1.5, 2.5)
#: how often (s) at most, however many signals there are
_LOOK_AT_MOST_EVERY_S = 0.01
#: claims at a time that need not wait for their turn: for one task, more would be in vain
_CLAIMING_AT_ONCE = 4


class _At(Enum):
    """What a waiter is doing."""

    WAITING = auto()
    #: it was woken for work, and is claiming it
    CLAIMING = auto()


@dataclass(eq=False)
class _Waiter:
    """A claim that waits for work on one of its device's targets."""

    request: Request
    device_id: str
    max_tasks: int
    target_ids: frozenset[str]
    at: _At = _At.WAITING
    woken: asyncio.Event = field(default_factory=asyncio.Event)

    def wake(self) -> None:
        self.at = _At.CLAIMING
        self.woken.set()

    async def wait(self, timeout_s: float) -> bool:
        """Whether there may be work, within so many seconds."""
        self.at = _At.WAITING
        try:
            async with asyncio.timeout(timeout_s):
                await self.woken.wait()
        except TimeoutError:
            return False
        self.woken.clear()
        return True


class WaitingRoom:
    """The claims of this process that wait for work.

    One task asks the database on behalf of them all, and wakes as many as there is work for:
    five hundred that claim at once for one task would get in each other's way.
    """

    def __init__(self, database: Database, settings: Settings, signal: WorkSignal) -> None:
        self._database = database
        self._settings = settings
        self._signal = signal
        self._arrivals = Arrivals(database)
        #: how many claim without having waited
        self._claiming = 0
        self._waiters: dict[_Waiter, None] = {}
        #: when (s) it was noted last who waits
        self._noted_at = 0.0
        self._looking: asyncio.Task[None] | None = None

    async def close(self) -> None:
        """Sends everybody home, and ends when nothing is asked of the database any more."""
        self._signal.close()
        if self._looking is not None:
            await self._looking

    async def claim(self, request: Request, ask: LeaseRequest) -> Lease | None:
        """A lease, at once or within `ask.wait_s`; None if there was no work for the device.

        Raises:
            Problem: `unknown-device` or `device-quarantined`.
        """
        until = time.monotonic() + ask.wait_s
        standing = await self._arrivals.standing(ask.device_id)
        if standing is None:
            raise service.unknown_device(ask.device_id)
        if standing.device.quarantined_at is not None:
            raise service.quarantined(standing.device)
        lease = await self._claim_now(ask, standing)
        if lease is None and ask.wait_s == 0:
            await run_in_threadpool(self._hear, [ask.device_id], devices.BETWEEN_QUESTIONS)
        if lease is not None or ask.wait_s == 0:
            return lease
        with self._waiting(request, ask, standing) as waiter:
            while await waiter.wait(max(0.0, until - time.monotonic())):
                # A lease for somebody who has hung up would hold its tasks until it expires.
                if self._signal.closing or await request.is_disconnected():
                    return None
                lease = await run_in_threadpool(self._claim_after_waiting, ask)
                if lease is not None:
                    return lease
            return None

    async def _claim_now(self, ask: LeaseRequest, standing: Standing) -> Lease | None:
        """What is there at once; where many ask, the others wait until there is work for them."""
        if not standing.has_live:
            if standing.rests or not standing.has_work:
                return None
            if ask.wait_s and self._claiming >= _CLAIMING_AT_ONCE:
                return None
        self._claiming += 1
        try:
            return await run_in_threadpool(self._claim, ask)
        finally:
            self._claiming -= 1

    def _claim(self, ask: LeaseRequest) -> Lease | None:
        with self._database.write() as session:
            return service.claim(session, self._settings, ask)

    def _claim_after_waiting(self, ask: LeaseRequest) -> Lease | None:
        with self._database.write() as session:
            return service.claim(session, self._settings, ask, waited=True)

    @contextmanager
    def _waiting(
        self, request: Request, ask: LeaseRequest, standing: Standing
    ) -> Iterator[_Waiter]:
        waiter = _Waiter(request, ask.device_id, ask.max_tasks, frozenset(standing.target_ids))
        self._waiters[waiter] = None
        if self._looking is None or self._looking.done():
            # In no request's context: it is on behalf of all of them.
            self._looking = asyncio.create_task(self._look_while_anyone_waits(), context=Context())
        # Work may have come since the database was asked for it.
        self._signal.notify()
        try:
            yield waiter
        finally:
            del self._waiters[waiter]
            if waiter.at is _At.CLAIMING:
                # There may be more work than it took, or it took none.
                self._signal.notify()

    async def _look_while_anyone_waits(self) -> None:
        # Again where a claim has come while the connection that hears of work was being closed.
        while self._anyone_waits:
            async with hearing_notices(self._database, self._signal):
                await self._look_again_and_again()
        for waiter in self._waiters:
            waiter.wake()

    @property
    def _anyone_waits(self) -> bool:
        return bool(self._waiters) and not self._signal.closing

    async def _look_again_and_again(self) -> None:
        with self._signal.listening() as listener:
            while self._anyone_waits:
                await self._wake_for_work()
                await self._note_who_waits()
                await asyncio.sleep(_LOOK_AT_MOST_EVERY_S)
                await listener.wait(random.uniform(*_LOOK_EVERY_S))  # noqa: S311 - no secret

    async def _wake_for_work(self) -> None:
        target_ids = frozenset().union(*(waiter.target_ids for waiter in self._waiters))
        try:
            work = await run_in_threadpool(self._work, target_ids)
        except SQLAlchemyError as error:
            # The database restarts; the waiting ones need not know.
            log.warning("cannot look for work", why=str(error))
            return
        for target_id, tasks in work.items():
            self._wake(target_id, tasks)

    async def _note_who_waits(self) -> None:
        """An open question is a sign of life, as a renewal is of an agent that measures."""
        if time.monotonic() - self._noted_at < self._settings.renew_every_s:
            return
        self._noted_at = time.monotonic()
        there = [
            waiter.device_id
            for waiter in tuple(self._waiters)
            if not await waiter.request.is_disconnected()
        ]
        try:
            # Looks come a while apart.
            late = timedelta(seconds=_LOOK_EVERY_S[1])
            await run_in_threadpool(self._hear, there, self._settings.silent_after + late)
        except SQLAlchemyError as error:
            log.warning("cannot note who waits for work", why=str(error))

    def _hear(self, device_ids: list[str], silent_after: timedelta) -> None:
        with self._database.write() as session:
            now = database_now(session)
            which = is_in(session, DeviceRow.id, device_ids)
            devices.hear_devices(session, which, now, now + silent_after)

    def _work(self, target_ids: frozenset[str]) -> dict[str, int]:
        with self._database.read() as session:
            return repository.work(session, target_ids)

    def _wake(self, target_id: str, tasks: int) -> None:
        able = [waiter for waiter in self._waiters if target_id in waiter.target_ids]
        tasks -= sum(waiter.max_tasks for waiter in able if waiter.at is _At.CLAIMING)
        for waiter in able:
            if tasks <= 0:
                return
            if waiter.at is _At.WAITING:
                tasks -= waiter.max_tasks
                waiter.wake()
                # To the end of the queue: if it cannot do this work, another one may.
                del self._waiters[waiter]
                self._waiters[waiter] = None
