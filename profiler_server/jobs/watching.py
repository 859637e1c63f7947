"""Waiting for a job to go on, without holding a database connection or a thread."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from contextvars import Context
from dataclasses import dataclass, field

import structlog
from fastapi.concurrency import run_in_threadpool
from sqlalchemy.exc import SQLAlchemyError

from profiler_server.jobs import repository
from profiler_server.kit.sql.database import Database
from profiler_server.kit.work_signal import WorkSignal

log = structlog.get_logger()

#: how often (s) the jobs that are waited for are looked at, all in one statement
_LOOK_EVERY_S = 0.5
#: requests of this process that wait; a further one is answered at once
_MOST_WAITERS = 5_000


@dataclass(eq=False)
class _Follower:
    """A request that waits until its job is not as it has seen it."""

    job_id: str
    #: `JobVersion.number` that it knows
    seen: str
    woken: asyncio.Event = field(default_factory=asyncio.Event)


class JobWatch:
    """The requests of this process that wait for jobs to go on.

    One task asks the database on behalf of them all, and only while there are any. What another
    replica has stored is seen in the same way.
    """

    def __init__(self, database: Database, signal: WorkSignal) -> None:
        self._database = database
        self._signal = signal
        self._followers: set[_Follower] = set()
        self._looking: asyncio.Task[None] | None = None

    async def close(self) -> None:
        """Ends when nothing is asked of the database any more; the signal is closed before."""
        if self._looking is not None:
            await self._looking

    async def changed(self, job_id: str, seen: str, wait_s: float) -> None:
        """Returns when the job is not as it was seen, or is gone, or after so many seconds."""
        if len(self._followers) >= _MOST_WAITERS or self._signal.closing:
            return
        follower = _Follower(job_id, seen)
        self._followers.add(follower)
        if self._looking is None or self._looking.done():
            # In no request's context: it is on behalf of all of them.
            self._looking = asyncio.create_task(self._look_while_anyone_waits(), context=Context())
        try:
            async with asyncio.timeout(wait_s):
                await follower.woken.wait()
        except TimeoutError:
            pass
        finally:
            self._followers.discard(follower)

    async def _look_while_anyone_waits(self) -> None:
        while self._followers and not self._signal.closing:
            await self._look()
            await asyncio.sleep(_LOOK_EVERY_S)
        for follower in self._followers:
            follower.woken.set()

    async def _look(self) -> None:
        ids = {follower.job_id for follower in self._followers}
        try:
            numbers = await run_in_threadpool(self._numbers, ids)
        except SQLAlchemyError as error:
            # The database restarts; the waiting ones need not know.
            log.warning("cannot look at jobs", why=str(error))
            return
        for follower in self._followers:
            # One that has come meanwhile is looked at the next time.
            if follower.job_id in ids and numbers.get(follower.job_id) != follower.seen:
                follower.woken.set()

    def _numbers(self, job_ids: Collection[str]) -> dict[str, str]:
        with self._database.read() as session:
            found = repository.versions(session, job_ids)
        return {job_id: version.number for job_id, version in found.items()}
