"""On PostgreSQL visits lie in a partition for each month, made before the month begins.

A month can be emptied of raw output and made smaller (`VACUUM FULL`) without the others, and what
names a time reads its months alone. Where no partition was made in time, visits go to the default
one, and are moved when theirs is made.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import structlog
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session

from profiler_server.kit.months import Month
from profiler_server.kit.sql.database import Database, database_now

log = structlog.get_logger()

#: months after the present one for which there are partitions
AHEAD = 2
#: how often (s) a server looks
_LOOK_EVERY_S = 6 * 3_600.0
#: one server at a time makes them. The number is arbitrary, and known to nobody else
_LOCK = 7_302_026
_DEFAULT = "visits_default"


def name_of(month: Month) -> str:
    """The name of a month's partition."""
    return f"visits_{month.year:04d}_{month.number:02d}"


def ensure_partitions(session: Session, now_month: Month | None = None) -> list[Month]:
    """Makes the partitions of the present month and the next ones; those that it has made.

    Args:
        session: a writing transaction on PostgreSQL.
        now_month: the present month; None: that of the database's clock.

    Raises:
        DBAPIError: somebody is at the table for longer than servers can wait, or the role may make
            no tables.
    """
    # Uploads wait behind this: better another time.
    session.execute(text("SET LOCAL lock_timeout = '1s'"))
    session.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
    present = now_month or Month.of(database_now(session))
    made = []
    for month in (present.plus(ahead) for ahead in range(AHEAD + 1)):
        there = session.scalar(text("SELECT to_regclass(:name)"), {"name": name_of(month)})
        if there is None:
            _make(session, month)
            made.append(month)
    return made


def _make(session: Session, month: Month) -> None:
    name, bounds = name_of(month), {"start": month.start, "end": month.end}
    # Names are made of digits here.
    session.execute(text(f"CREATE TABLE {name} (LIKE visits INCLUDING ALL)"))
    session.execute(
        text(
            f"WITH moved AS (DELETE FROM {_DEFAULT}"  # noqa: S608
            " WHERE stored_at >= :start AND stored_at < :end RETURNING *)"
            f" INSERT INTO {name} SELECT * FROM moved"
        ),
        bounds,
    )
    session.execute(
        text(
            f"ALTER TABLE visits ATTACH PARTITION {name}"
            f" FOR VALUES FROM ('{month.start.isoformat()}') TO ('{month.end.isoformat()}')"
        )
    )


@asynccontextmanager
async def keeping_partitions(database: Database) -> AsyncIterator[None]:
    """Makes partitions, within the block, before they are needed; SQLite has none."""
    if database.is_sqlite:
        yield
        return
    await asyncio.to_thread(_make_next, database)
    over = asyncio.Event()
    keeping = asyncio.create_task(_keep(database, over))
    try:
        yield
    finally:
        # A look that has begun is waited for: the database is about to be closed.
        over.set()
        await keeping


async def _keep(database: Database, over: asyncio.Event) -> None:
    while True:
        with suppress(TimeoutError):
            await asyncio.wait_for(over.wait(), _LOOK_EVERY_S)
            return
        await asyncio.to_thread(_make_next, database)


def _make_next(database: Database) -> None:
    try:
        with database.write() as session:
            made = ensure_partitions(session)
    except DBAPIError as error:
        # Two months early: another time, or another server, will do.
        log.warning("cannot make partitions of visits now", why=str(error.orig))
        return
    for month in made:
        log.info("made a partition of visits", month=str(month))
