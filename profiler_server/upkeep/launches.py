"""Reading launches out of raw texts that an older version stored and did not read.

What a subject's visits say is stored in transactions of bounded size, each of which brings the
subject's entry up to date; so servers wait for none of them long, and whoever is interrupted begins
again where it was.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from uuid import UUID

from netspec.launches import read_launch
from profiler_server.devices import repository as devices
from profiler_server.entries import in_network, isolated
from profiler_server.entries.device_samples import LAUNCH_COLUMNS
from profiler_server.kit.sql.bulk import Row
from profiler_server.kit.sql.database import Database
from profiler_server.upkeep import launch_repository as repository
from profiler_server.upkeep import raw_file
from profiler_server.upkeep.launch_repository import Measured

#: visits whose raw texts, of up to 64 KiB each, are in memory at a time
VISITS_AT_A_TIME = 500


@dataclass(frozen=True)
class ReadLaunches:
    """What was done, and what remains."""

    #: visits whose raw text was read
    visits: int
    #: those of them that say anything of their launch
    telling: int
    #: visits that nothing is known of and whose raw text is in an archive
    archived: int


def read_launches(
    database: Database,
    archives: Iterable[Path] = (),
    on_batch: Callable[[int], None] = lambda _: None,
) -> ReadLaunches:
    """Stores what the raw texts of visits say of their launches, and what follows for entries.

    Args:
        database: servers may run on it.
        archives: files of archived raw output, to be read, too.
        on_batch: called with the number of visits read so far.

    Raises:
        UserError: a file is no archive, or cannot be read.
    """
    visits = telling = 0
    for batch in _batches(database, archives):
        rows = {
            visit_id: (measured, row)
            for visit_id, (measured, raw) in batch.items()
            if (row := _launch(visit_id, raw))
        }
        if rows:
            _store(database, rows)
        visits += len(batch)
        telling += len(rows)
        on_batch(visits)
    with database.read() as session:
        return ReadLaunches(visits, telling, repository.archived(session))


def _batches(
    database: Database, archives: Iterable[Path]
) -> Iterator[dict[UUID, tuple[Measured, str]]]:
    """By id, what visits are of, and their raw texts."""
    with database.read() as session:
        subjects = repository.unread_subjects(session)
    waiting: dict[UUID, tuple[Measured, str]] = {}
    for measured in subjects:
        after: UUID | None = None
        while True:
            with database.read() as session:
                found = repository.unread_visits(session, measured, after, VISITS_AT_A_TIME)
            waiting |= {visit_id: (measured, raw) for visit_id, raw in found}
            if len(waiting) >= VISITS_AT_A_TIME:
                yield waiting
                waiting = {}
            if len(found) < VISITS_AT_A_TIME:
                break
            after = found[-1][0]
    if waiting:
        yield waiting
    for file in archives:
        archived = raw_file.read(file)
        while rows := list(islice(archived, VISITS_AT_A_TIME)):
            texts = {UUID(row.visit_id): row.raw for row in rows}
            with database.read() as session:
                unread = repository.unread(session, texts)
            if unread:
                yield {
                    visit_id: (measured, texts[visit_id]) for visit_id, measured in unread.items()
                }


def _launch(visit_id: UUID, raw: str) -> Row:
    """The columns of a visit; empty where its raw text says nothing of its launch."""
    launch = read_launch(raw)
    columns = {name: getattr(launch, name) for name in LAUNCH_COLUMNS}
    return {"id": visit_id, **columns} if any(v is not None for v in columns.values()) else {}


def _store(database: Database, rows: Mapping[UUID, tuple[Measured, Row]]) -> None:
    subjects: dict[str, set[str]] = {}
    for (target_id, subject_hash), _ in rows.values():
        subjects.setdefault(target_id, set()).add(subject_hash)
    with database.write() as session:
        devices.lock_targets(session, subjects)
        repository.fill(session, [row for _, row in rows.values()])
        for target_id, hashes in sorted(subjects.items()):
            isolated.derive(session, target_id, sorted(hashes))
            in_network.merge_into_entries(session, target_id)
