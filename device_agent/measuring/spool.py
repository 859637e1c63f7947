"""Visits on disk until the server has them."""

from __future__ import annotations

import hashlib
import os
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Self
from uuid import UUID

from pydantic import ValidationError

from device_agent.errors import SpoolUnusable
from netspec.validation import first_problem
from netspec.wire import Visit

#: of ids that follow from a launch, so that no launch counts twice
LAUNCH_ID_VERSION = 5
_SCHEMA = """
CREATE TABLE IF NOT EXISTS visits (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    body TEXT NOT NULL,
    refused TEXT,
    held INTEGER NOT NULL DEFAULT 0
)
"""
#: ids of visits that the server has and that a device may hand out again
_DELIVERED = "CREATE TABLE IF NOT EXISTS delivered (id TEXT PRIMARY KEY) WITHOUT ROWID"
_HELD_COLUMN = "ALTER TABLE visits ADD COLUMN held INTEGER NOT NULL DEFAULT 0"


def spool_path(folder: Path, server: str, serial: str) -> Path:
    """The spool's file: one for each device and server, whose task ids the visits carry.

    Args:
        folder: of all spools.
        server: what the server calls itself, or its URL where it does not say.
        serial: of the device.
    """
    digest = hashlib.sha256(f"{server}\n{serial}".encode()).hexdigest()
    return folder / f"spool-{digest[:12]}.db"


def adopt_spool(old: Path, new: Path) -> None:
    """Takes over the file of an agent that named it otherwise, if there is one."""
    if old.exists() and not new.exists():
        # Closing writes its log into it.
        Spool(old).close()
        old.rename(new)


class Spool:
    """A queue of visits in an SQLite file, safe to use from several threads.

    An appended visit survives the death of this process. Held visits wait for a verdict before
    they wait for upload; those of a process that died are let go: they are true measurements.
    Visits that the server refuses are kept aside with its reason.

    Every method raises `SpoolUnusable` when the file cannot be read or written.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()
        with self._explained():
            self._database = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        try:
            self._prepare()
        except SpoolUnusable:
            self._database.close()
            raise

    def _prepare(self) -> None:
        # WAL without a sync at each commit outlives a killed process, which is what we need.
        self._execute("PRAGMA journal_mode=WAL")
        self._execute("PRAGMA synchronous=NORMAL")
        self._execute(_SCHEMA)
        self._execute(_DELIVERED)
        if "held" not in {row[1] for row in self._execute("PRAGMA table_info(visits)")}:
            self._execute(_HELD_COLUMN)
        self._execute("UPDATE visits SET held = 0 WHERE held")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Closes the file."""
        with self._lock:
            self._database.close()

    def append(self, visit: Visit, *, held: bool = False) -> None:
        """Writes a visit behind the others; held, it is not uploaded before its release."""
        self._execute(
            "INSERT INTO visits (id, body, held) VALUES (?, ?, ?)",
            str(visit.id),
            visit.model_dump_json(),
            held,
        )

    def sync(self) -> None:
        """Returns when all that was appended would survive a power cut."""
        with self._explained():
            for path in (self.path.with_name(f"{self.path.name}-wal"), self.path, self.path.parent):
                if path.exists():
                    handle = os.open(path, os.O_RDONLY)
                    try:
                        os.fsync(handle)
                    finally:
                        os.close(handle)

    def knows(self, visit_id: UUID) -> bool:
        """Whether a visit, whose id follows from its launch, is here, or the server has it."""
        rows = self._execute(
            "SELECT 1 FROM visits WHERE id = ?1 UNION ALL SELECT 1 FROM delivered WHERE id = ?1",
            str(visit_id),
        )
        return bool(rows)

    def release(self, ids: Sequence[UUID], rejected: str = "") -> None:
        """Lets held visits go, as rejected where there is a reason."""
        self._execute_each(
            "UPDATE visits SET held = 0, body = CASE WHEN ?1 = '' THEN body "
            "ELSE json_set(body, '$.rejected', ?1) END WHERE id = ?2",
            [(rejected, str(visit_id)) for visit_id in ids],
        )

    def oldest(self, limit: int) -> list[Visit]:
        """At most so many visits that wait for upload, oldest first.

        Those that another version of the agent wrote otherwise are set aside.
        """
        while rows := self._execute(
            "SELECT id, body FROM visits WHERE refused IS NULL AND NOT held ORDER BY number "
            "LIMIT ?",
            limit,
        ):
            found: list[Visit] = []
            for visit_id, body in rows:
                try:
                    found.append(Visit.model_validate_json(body))
                except ValidationError as error:
                    why = f"this version of the agent cannot read it: {first_problem(error)}"
                    self.set_aside(UUID(visit_id), why)
            if found:
                return found
        return []

    def forget(self, ids: Sequence[UUID]) -> None:
        """Deletes visits that the server has.

        The ids of those that a device keeps until it is told stay here, see `knows`.
        """
        kept = [(str(one),) for one in ids if one.version == LAUNCH_ID_VERSION]
        with self._explained(), self._lock, self._database:
            self._database.execute("BEGIN")
            self._database.executemany("INSERT OR IGNORE INTO delivered VALUES (?)", kept)
            gone = [(str(one),) for one in ids]
            self._database.executemany("DELETE FROM visits WHERE id = ?", gone)

    def set_aside(self, visit_id: UUID, reason: str) -> None:
        """Keeps a visit that the server refuses, out of the queue."""
        self._execute("UPDATE visits SET refused = ? WHERE id = ?", reason, str(visit_id))

    def waiting(self) -> int:
        """Number of visits that wait for upload."""
        return int(self._execute("SELECT count(*) FROM visits WHERE refused IS NULL")[0][0])

    def refused(self) -> list[tuple[UUID, str]]:
        """Visits kept aside, with the server's reason."""
        rows = self._execute("SELECT id, refused FROM visits WHERE refused IS NOT NULL")
        return [(UUID(visit_id), reason) for visit_id, reason in rows]

    def _execute(self, statement: str, *values: object) -> list[tuple[str, ...]]:
        with (
            self._explained(),
            self._lock,
            closing(self._database.execute(statement, values)) as rows,
        ):
            return rows.fetchall()

    def _execute_each(self, statement: str, rows: Sequence[tuple[str, ...]]) -> None:
        """All or none: a transaction left open would take later visits with it."""
        with self._explained(), self._lock, self._database:
            self._database.execute("BEGIN")
            self._database.executemany(statement, rows)

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.IntegrityError:
            raise
        except (sqlite3.DatabaseError, OSError) as error:
            raise SpoolUnusable(
                f"the spool {self.path} cannot be written ({error}); put that right and start the "
                "agent again: visits that are in it are kept"
            ) from error
