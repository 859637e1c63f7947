"""Waiting for work without holding a database connection."""

from __future__ import annotations

import time

from fastapi import Request
from fastapi.concurrency import run_in_threadpool

from netspec.wire import Lease, LeaseRequest
from profiler_server.kit.database import Database
from profiler_server.kit.settings import Settings
from profiler_server.kit.work_signal import WorkSignal
from profiler_server.leases import service

#: how often (s) to look for what this process was not told of: expired leases, other replicas
_LOOK_EVERY_S = 2.0


async def claim_or_wait(
    request: Request, database: Database, settings: Settings, signal: WorkSignal, ask: LeaseRequest
) -> Lease | None:
    """A lease, at once or within `ask.wait_s`; None if there was no work for the device.

    Raises:
        Problem: `unknown-device`.
    """
    until = time.monotonic() + ask.wait_s
    with signal.listening() as listener:
        lease = await run_in_threadpool(_claim, database, settings, ask)
        while lease is None:
            left = until - time.monotonic()
            if left <= 0 or signal.closing:
                return None
            await listener.wait(min(left, _LOOK_EVERY_S))
            # A lease for somebody who has hung up would block its device until it expires.
            if await request.is_disconnected():
                return None
            lease = await run_in_threadpool(_claim_if_worth_it, database, settings, ask)
        return lease


def _claim(database: Database, settings: Settings, ask: LeaseRequest) -> Lease | None:
    with database.write() as session:
        return service.claim(session, settings, ask)


def _claim_if_worth_it(database: Database, settings: Settings, ask: LeaseRequest) -> Lease | None:
    with database.read() as session:
        if not service.may_have_work(session, ask.device_id):
            return None
    with database.write() as session:
        return service.claim(session, settings, ask, waited=True)
