"""A copy of the database in one file, taken while servers run on it."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path

from netspec.errors import UserError
from profiler_server.kit.sql.database import Database

_PG_DUMP = "pg_dump"


def back_up(database: Database, file: Path) -> str:
    """Writes the whole database as of one moment; a file that is there is not touched.

    SQLite gives a database that can be served as it is; PostgreSQL an archive for `pg_restore`.

    Returns:
        How to restore it.

    Raises:
        UserError: the file is there or cannot be written, or `pg_dump` is missing or fails.
    """
    if file.exists():
        raise UserError(f"{file} exists; name another file, so that no backup is lost")
    # A backup under its own name is a whole one.
    partial = file.with_name(file.name + ".partial")
    try:
        partial.touch(mode=0o600)
        if database.is_sqlite:
            _copy_sqlite(database, partial)
        else:
            _dump_postgresql(database, partial)
        partial.replace(file)
    except (OSError, sqlite3.Error) as error:
        raise UserError(f"cannot write {file}: {error}") from error
    finally:
        partial.unlink(missing_ok=True)
    if database.is_sqlite:
        return f"to restore, stop the server and put {file.name} in the database's place"
    # Not with --clean: it cannot drop the keys of partitions one by one.
    return f"to restore into an empty database: pg_restore --no-owner --dbname=... {file.name}"


def _copy_sqlite(database: Database, file: Path) -> None:
    source = sqlite3.connect(f"file:{database.engine.url.database}?mode=ro", uri=True)
    with closing(source), closing(sqlite3.connect(file)) as copy:
        source.backup(copy)
        (verdict,) = copy.execute("PRAGMA integrity_check").fetchone()
        # Without the files beside it that a database in WAL mode needs.
        copy.execute("PRAGMA journal_mode = DELETE")
    if verdict != "ok":
        raise UserError(f"the copy of the database is damaged: {verdict}")


def _dump_postgresql(database: Database, file: Path) -> None:
    program = shutil.which(_PG_DUMP)
    if program is None:
        raise UserError(
            f"{_PG_DUMP} is not on the PATH; install PostgreSQL's client programs, of the server's "
            "version or a later one, or back up on the database's machine"
        )
    url = database.engine.url
    variables = dict(os.environ)
    if url.password is not None:
        # Arguments can be read by every user of the machine.
        variables["PGPASSWORD"] = str(url.password)
    name = url.set(drivername="postgresql", password=None).render_as_string()
    done = subprocess.run(  # noqa: S603 - no shell, and the program is PostgreSQL's
        [program, "--format=custom", f"--file={file}", f"--dbname={name}"],
        env=variables,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise UserError(f"{_PG_DUMP} failed: {done.stderr.strip()}")
