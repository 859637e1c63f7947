"""Moving what runners printed out of the database, a month at a time.

A file is written, read back and compared before anything leaves the database, and only what the
file has leaves it. Whoever is interrupted begins again where it was.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from netspec.errors import UserError
from profiler_server.entries.rows import RawArchiveRow
from profiler_server.events import repository as events
from profiler_server.events.rows import EventKind
from profiler_server.kit.months import Month
from profiler_server.kit.sql.database import Database, database_now
from profiler_server.upkeep import raw_file, raw_repository


@dataclass(frozen=True)
class Archived:
    """A month that is archived now."""

    month: Month
    file: Path
    visits: int
    raw_bytes: int


def archive(
    database: Database,
    folder: Path,
    keep_months: int,
    on_month: Callable[[Month], None] = lambda _: None,
) -> list[Archived]:
    """Archives every month that ended at least so many months ago.

    Args:
        database: servers may run on it.
        folder: gets a file `raw-MONTH.parquet` for each month.
        keep_months: of these last months, the present one apart, raw output stays.
        on_month: called before each month.

    Raises:
        ValueError: `keep_months` is negative.
        UserError: a file is there that is not this month's, cannot be written, or has not what was
            written into it; nothing of that month has left the database then.
    """
    if keep_months < 0:
        raise ValueError(f"expected at least 0 months to keep, got {keep_months}")
    with database.read() as session:
        first = raw_repository.first_month(session)
        last = Month.of(database_now(session)).plus(-keep_months - 1)
    done = []
    month = first
    while month is not None and month <= last:
        on_month(month)
        if (one := _archive_month(database, folder, month)) is not None:
            done.append(one)
        month = month.plus(1)
    return done


def _archive_month(database: Database, folder: Path, month: Month) -> Archived | None:
    file = folder / f"raw-{month}.parquet"
    with database.read() as session:
        row = raw_repository.archive_of(session, month)
    if row is None:
        content = _write(database, file, month)
        if content is None:
            return None
        with database.write() as session:
            now = database_now(session)
            row = RawArchiveRow(
                month=str(month),
                at=now,
                file=file.name,
                sha256=raw_file.sha256_of(file),
                visits=content.visits,
                raw_bytes=content.raw_bytes,
            )
            session.add(row)
            events.append(
                session, now, EventKind.RAW_ARCHIVED, month=str(month), visits=content.visits
            )
    elif row.cleared_at is not None:
        return None
    _clear(database, file, row)
    return Archived(month, file, row.visits, row.raw_bytes)


def _write(database: Database, file: Path, month: Month) -> raw_file.Content | None:
    """What the month's file has; None: nobody has printed anything, and there is none."""
    if file.exists():
        return _adopt(database, file, month)
    # A file under its own name is a whole one.
    partial = file.with_name(f"{file.name}.partial")
    partial.unlink(missing_ok=True)
    try:
        with database.read() as session:
            written = raw_file.write(raw_repository.raw_output(session, month), partial)
        if written.visits == 0:
            return None
        if raw_file.content_of(raw_file.read(partial)) != written:
            raise UserError(
                f"{partial} was not read back as it was written: the disk, or the folder's file "
                "system, is damaged; nothing has left the database"
            )
        partial.replace(file)
        raw_file.sync(file.parent)
    except OSError as error:
        raise UserError(f"cannot write {file}: {error.strerror}") from error
    finally:
        partial.unlink(missing_ok=True)
    return written


def _adopt(database: Database, file: Path, month: Month) -> raw_file.Content:
    """What a whole file has that was written before something interrupted the command."""
    with database.read() as session:
        wanted = raw_file.content_of(raw_repository.raw_output(session, month))
    if raw_file.content_of(raw_file.read(file)) != wanted:
        raise UserError(
            f"{file} exists, and is not what this database has of {month}; name another folder for "
            "each database, or remove the file"
        )
    return wanted


def _clear(database: Database, file: Path, row: RawArchiveRow) -> None:
    """Empties what is in the month's file."""
    if raw_file.sha256_of(file) != row.sha256:
        raise UserError(
            f"{file} is not the file that {row.month} was archived in: its SHA-256 is not "
            f"{row.sha256}; bring that one back, and call archive again"
        )
    month = Month.parse(row.month)
    for ids in _batches(one.visit_id for one in raw_file.read(file)):
        # A transaction for each: servers wait for none of them long.
        with database.write() as session:
            raw_repository.clear(session, ids, month)
    with database.write() as session:
        raw_repository.note_cleared(session, month, database_now(session))


def _batches(ids: Iterator[str]) -> Iterator[list[str]]:
    while batch := list(islice(ids, raw_file.ROWS_AT_A_TIME)):
        yield batch
