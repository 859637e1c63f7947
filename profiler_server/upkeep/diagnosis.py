"""What to do about what grows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from profiler_server.auth.rows import TokenRow
from profiler_server.entries.rows import RawArchiveRow, VisitRow
from profiler_server.jobs.rows import OPEN_STATES, JobRow, TaskRow
from profiler_server.kit.sql.database import database_now
from profiler_server.latency_tables.rows import SnapshotRow
from profiler_server.upkeep import growth
from profiler_server.upkeep.growth import TableGrowth
from profiler_server.uploaded_models.rows import ModelRow

_MB = 2**20
#: months of raw output that the advice leaves in the database
KEEP_MONTHS = 12
_OLD = timedelta(days=365)
#: bytes from which a line is worth reading
_MUCH = 100 * _MB
_MANY_JOBS = 1_000
_SQLITE_BYTES = 20_000 * _MB


@dataclass(frozen=True)
class Diagnosis:
    """A database's state, for people and for scripts."""

    at: datetime
    tables: Sequence[TableGrowth]
    #: free for new rows within an SQLite file, bytes
    free_bytes: int
    #: what to do, a sentence each; empty: nothing
    advice: Sequence[str]


def diagnose(session: Session, *, is_sqlite: bool) -> Diagnosis:
    """Looks at the whole database; takes a while on a large one."""
    now = database_now(session)
    tables = growth.tables(session, now)
    free = growth.free_bytes(session)
    advice = [
        *_about_raw_output(session, now),
        *_about_models(session),
        *_about_jobs(session, now),
        *_about_snapshots(session),
        *_about_tokens(session, now),
        *_about_file(tables, free, is_sqlite=is_sqlite),
    ]
    return Diagnosis(now, tables, free, advice)


def megabytes(size: int) -> str:
    """Bytes for people."""
    return f"{size / _MB:,.1f} MiB"


def _about_raw_output(session: Session, now: datetime) -> Iterator[str]:
    (old_bytes,) = session.execute(
        select(func.coalesce(func.sum(func.length(VisitRow.raw)), 0)).where(
            VisitRow.stored_at < now - timedelta(days=31 * (KEEP_MONTHS + 1)), VisitRow.raw != ""
        )
    ).one()
    if old_bytes >= _MUCH:
        yield (
            f"{megabytes(int(old_bytes))} are what runners printed more than {KEEP_MONTHS} months "
            f"ago: `profiler-server archive FOLDER --keep-months {KEEP_MONTHS}` moves that into "
            "files"
        )
    half = session.scalars(
        select(RawArchiveRow.month).where(RawArchiveRow.cleared_at.is_(None))
    ).all()
    if half:
        yield (
            f"archiving {', '.join(half)} was interrupted: call `profiler-server archive` with "
            "the same folder again"
        )


def _about_models(session: Session) -> Iterator[str]:
    size = func.coalesce(func.sum(ModelRow.size), 0)
    of_token = (
        select(ModelRow.token_id, TokenRow.name, func.count(), size)
        .outerjoin(TokenRow, TokenRow.id == ModelRow.token_id)
        .group_by(ModelRow.token_id, TokenRow.name)
        .order_by(size.desc())
        .limit(3)
    )
    rows = [row for row in session.execute(of_token) if row[3] >= _MUCH]
    for token_id, name, models, bytes_ in rows:
        whose = f"token {name!r} ({token_id})" if token_id else "no known token"
        yield (
            f"{models} models of {whose} take {megabytes(int(bytes_))}: delete what is measured "
            "with DELETE /v1/models/SHA256, or keep models outside with PROFILER_MODEL_STORE"
        )


def _about_jobs(session: Session, now: datetime) -> Iterator[str]:
    is_open = select(TaskRow.job_id).where(TaskRow.state.in_(OPEN_STATES))
    old = select(func.count()).where(JobRow.created_at < now - _OLD, JobRow.id.not_in(is_open))
    jobs = session.scalar(old) or 0
    if jobs >= _MANY_JOBS:
        yield (
            f"{jobs} jobs that are over are more than a year old: DELETE /v1/jobs/JOB removes one "
            "with its tasks; what it measured stays"
        )


def _about_snapshots(session: Session) -> Iterator[str]:
    size = func.sum(func.length(SnapshotRow.document))
    count, bytes_ = session.execute(select(func.count(), func.coalesce(size, 0))).one()
    if bytes_ >= 10 * _MUCH:
        yield (
            f"{count} snapshots take {megabytes(int(bytes_))}: searches cite them, so they stay; "
            "publish less often, or give the database room"
        )


def _about_tokens(session: Session, now: datetime) -> Iterator[str]:
    unused = select(TokenRow.id).where(
        TokenRow.revoked_at.is_(None),
        TokenRow.expires_at.is_(None) | (TokenRow.expires_at > now),
        func.coalesce(TokenRow.last_used_at, TokenRow.created_at) < now - timedelta(days=180),
    )
    ids = session.scalars(unused.order_by(TokenRow.created_at)).all()
    if ids:
        yield (
            f"{len(ids)} tokens were not used for 180 days: revoke them with "
            f"`profiler-server token revoke`, the oldest is {ids[0]}"
        )


def _about_file(tables: Sequence[TableGrowth], free: int, *, is_sqlite: bool) -> Iterator[str]:
    if not is_sqlite:
        return
    used = sum(one.size or 0 for one in tables)
    if free >= _MUCH and free > used / 4:
        yield (
            f"{megabytes(free)} of the file are free and are used by new rows; to make the file "
            "smaller, stop the server and run `sqlite3 FILE VACUUM`"
        )
    if used >= _SQLITE_BYTES:
        yield (
            f"the file has {megabytes(used)}: PostgreSQL keeps visits in a partition a month and "
            "serves several processes"
        )
