"""Work that one replica is told of wakes those who wait at the others: PostgreSQL's NOTIFY."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import psycopg
import structlog
from sqlalchemy import text
from sqlalchemy.orm import Session

from profiler_server.kit.sql.database import Database
from profiler_server.kit.work_signal import WorkSignal

log = structlog.get_logger()

_CHANNEL = "profiler_work"
#: pause (s) before a lost connection is opened again, from and to
_AGAIN_AFTER_S = (0.5, 1.5)


def announce(session: Session) -> None:
    """Tells every replica, once this transaction is committed, that there may be work."""
    if session.get_bind().dialect.name == "postgresql":
        session.execute(text(f"NOTIFY {_CHANNEL}"))


@asynccontextmanager
async def hearing_notices(database: Database, signal: WorkSignal) -> AsyncIterator[None]:
    """Passes on, within the block, what is announced; an SQLite database has one process."""
    if database.is_sqlite:
        yield
        return
    hearing = asyncio.create_task(_hear(database, signal))
    try:
        yield
    finally:
        hearing.cancel()
        with suppress(asyncio.CancelledError):
            await hearing


async def _hear(database: Database, signal: WorkSignal) -> None:
    arguments, options = database.engine.dialect.create_connect_args(database.engine.url)
    while True:
        try:
            # Its own connection: one of the pool would be missing there.
            connection = await psycopg.AsyncConnection.connect(
                *arguments, **options, autocommit=True
            )
            async with connection:
                await connection.execute(f"LISTEN {_CHANNEL}")
                # What was announced while nobody listened.
                signal.notify()
                async for _ in connection.notifies():
                    signal.notify()
        except psycopg.OperationalError as error:
            log.warning("cannot hear other replicas", why=str(error))
        await asyncio.sleep(random.uniform(*_AGAIN_AFTER_S))  # noqa: S311 - no secret
