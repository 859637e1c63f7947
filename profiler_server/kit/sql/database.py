"""The engine, and the two kinds of transaction."""

from __future__ import annotations

import copy
import secrets
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Any, cast

from sqlalchemy import (
    Connection,
    CursorResult,
    Engine,
    Result,
    create_engine,
    event,
    make_url,
    select,
)
from sqlalchemy.engine import URL
from sqlalchemy.exc import ArgumentError, DatabaseError, NoSuchModuleError
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.orm import Session
from sqlalchemy.pool import ConnectionPoolEntry
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

from netspec.console.private_file import make_private
from netspec.console.storage import obstacle
from netspec.errors import UserError
from profiler_server.kit.sql.orm import UtcDateTime
from profiler_server.kit.sql.reach import REACH, Reach

#: how long (s) a writer waits for another one on SQLite
_BUSY_TIMEOUT_S = 30
_POOL_SIZE = 10
#: FastAPI's thread pool runs at most 40 endpoints at a time
_POOL_OVERFLOW = 30
#: how long (s) a request waits for one of these
_POOL_TIMEOUT_S = 10.0
_WRITES = "profiler_writes"
#: of a session's `info`: what signs the cursors of its lists
CURSOR_KEY = "profiler_cursor_key"
#: how long (s) to wait for PostgreSQL to accept a connection
_CONNECT_TIMEOUT_S = 5


class Database:
    """One database. A transaction is a `with` block at the edge: an endpoint or a command.

    Args:
        url: `sqlite:///FILE` or `postgresql+psycopg://...`.
        frozen_after_s: PostgreSQL rolls a transaction back that says nothing for so long (s),
            because a process that is stopped, or has lost its network, holds locks; None: never.
        cursor_key: signs the cursors of lists; None: one that no other process has.

    Raises:
        UserError: the URL names no database that can be reached.
    """

    def __init__(
        self, url: str, *, frozen_after_s: float | None = None, cursor_key: bytes | None = None
    ) -> None:
        parsed = _parse(url)
        self.is_sqlite = parsed.get_backend_name() == "sqlite"
        if self.is_sqlite:
            self.engine = _sqlite_engine(parsed)
        else:
            self.engine = _postgresql_engine(parsed, frozen_after_s)
        self._session_info: dict[Any, Any] = {CURSOR_KEY: cursor_key or secrets.token_bytes()}
        self._reach: Callable[[], Reach | None] = lambda: None
        self._writer = threading.Lock()
        self._writing_engine = self.engine.execution_options(**{_WRITES: True})

    def within(self, reach: Callable[[], Reach | None]) -> Database:
        """The same database, as one sees it who may not see everything.

        Args:
            reach: asked at the beginning of each transaction; None: everything.
        """
        seen = copy.copy(self)
        seen._reach = reach  # noqa: SLF001 - its own
        return seen

    @contextmanager
    def read(self) -> Iterator[Session]:
        """A transaction that only reads, and sees one state of the database on SQLite."""
        with self._session(self.engine) as session:
            yield session

    @contextmanager
    def write(self) -> Iterator[Session]:
        """A transaction that is committed at the end of the block, or rolled back by an error.

        On SQLite it waits for other writers at its start: a reading transaction
        that turns into a writing one fails when another has written in between.
        """
        with (
            self._turn_to_write(),
            self._session(self._writing_engine) as session,
            session.begin(),
        ):
            yield session

    def _session(self, engine: Engine) -> Session:
        reach = self._reach()
        info = self._session_info if reach is None else {**self._session_info, REACH: reach}
        return Session(engine, expire_on_commit=False, info=info)

    @contextmanager
    def _turn_to_write(self) -> Iterator[None]:
        # SQLite's own way of waiting is to sleep and try again, up to 0.1 s after a turn was free.
        waited = self.is_sqlite and self._writer.acquire(timeout=_BUSY_TIMEOUT_S)
        try:
            yield
        finally:
            if waited:
                self._writer.release()

    @contextmanager
    def migration(self) -> Iterator[Connection]:
        """Like `write`, below the ORM, and with SQLite's foreign keys off.

        SQLite changes a table by making another one and dropping the first, which
        rows of other tables may refer to.
        """
        with self._writing_engine.connect() as connection:
            self._set_foreign_keys(connection, on=False)
            try:
                with connection.begin():
                    yield connection
            finally:
                self._set_foreign_keys(connection, on=True)

    def _set_foreign_keys(self, connection: Connection, *, on: bool) -> None:
        # On the driver's connection: within a transaction, the statement does nothing.
        driver: Any = connection.connection.driver_connection
        if self.is_sqlite and driver is not None:
            driver.execute(f"PRAGMA foreign_keys = {int(on)}")

    def check(self) -> None:
        """Asks the database for a sign of life.

        Raises:
            UserError: it does not answer.
        """
        try:
            with self.engine.connect():
                pass
        except DatabaseError as error:
            file = self.engine.url.database if self.is_sqlite else None
            advice = obstacle(Path(file)) if file else ""
            raise UserError(
                f"the database {_shown(self.engine.url)} does not open: {error.orig}; "
                f"{advice or 'check --database-url'}"
            ) from error

    def close(self) -> None:
        """Closes the pooled connections."""
        self.engine.dispose()


_EXPECTED = "expected sqlite:////absolute/file.db or postgresql+psycopg://user:password@host/name"


def _parse(url: str) -> URL:
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        # Nothing of it is repeated: a password may be anywhere in it.
        raise UserError(f"this is no database URL; {_EXPECTED}") from None
    # Before its driver is looked for: nobody shall install what does not help.
    if parsed.get_backend_name() not in ("sqlite", "postgresql"):
        raise UserError(f"the database {parsed.get_backend_name()} is not supported; {_EXPECTED}")
    if "password" in parsed.query:
        raise UserError(f"the database URL has a password as parameter; {_EXPECTED}")
    try:
        parsed.get_dialect().import_dbapi()
    except NoSuchModuleError as error:
        raise UserError(f"{_shown(parsed)} is no database URL; {_EXPECTED}") from error
    except ModuleNotFoundError as error:
        raise UserError(
            f"{parsed.drivername} needs the package {error.name}: pip install {error.name}"
        ) from error
    if parsed.get_backend_name() == "sqlite" and parsed.database in (None, "", ":memory:"):
        raise UserError(f"an SQLite database must be a file; {_EXPECTED}")
    return parsed


def _shown(url: URL) -> str:
    """Return the URL for messages, without what may be secret."""
    return url.set(query={}).render_as_string(hide_password=True)


def _postgresql_engine(url: URL, frozen_after_s: float | None) -> Engine:
    engine = create_engine(
        url,
        pool_size=_POOL_SIZE,
        max_overflow=_POOL_OVERFLOW,
        pool_timeout=_POOL_TIMEOUT_S,
        pool_pre_ping=True,
        connect_args={"connect_timeout": _CONNECT_TIMEOUT_S},
    )

    @event.listens_for(engine, "connect")
    def prepare(connection: Any, _: ConnectionPoolEntry) -> None:
        if frozen_after_s is None:
            return
        # In a transaction, a rollback would undo it.
        connection.autocommit = True
        milliseconds = round(frozen_after_s * 1000)
        connection.execute(f"SET idle_in_transaction_session_timeout = {milliseconds}")
        connection.autocommit = False

    return engine


def _sqlite_engine(url: URL) -> Engine:
    folder = Path(str(url.database)).parent
    if not folder.is_dir():
        raise UserError(f"the folder {folder} of the database does not exist; create it first")
    engine = create_engine(
        url,
        pool_size=_POOL_SIZE,
        max_overflow=_POOL_OVERFLOW,
        pool_timeout=_POOL_TIMEOUT_S,
        connect_args={"timeout": _BUSY_TIMEOUT_S},
    )

    @event.listens_for(engine, "do_connect")
    def make(*_: object) -> None:
        # SQLite would let everybody read it, and gives the files beside it the same mode.
        file = Path(str(url.database))
        if not file.exists():
            # What is in the way is in SQLite's way, too, and told with its words.
            with suppress(OSError):
                make_private(file, b"")

    @event.listens_for(engine, "connect")
    def prepare(connection: Any, _: ConnectionPoolEntry) -> None:
        # The driver would begin transactions by itself, and never IMMEDIATE ones.
        connection.isolation_level = None
        cursor = connection.cursor()
        cursor.execute("PRAGMA journal_mode = WAL")
        # A receipt lets the agent forget a visit, so it must survive a power cut.
        cursor.execute("PRAGMA synchronous = FULL")
        cursor.execute("PRAGMA foreign_keys = ON")
        cursor.close()

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        writes = connection.get_execution_options().get(_WRITES, False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine


class DatabaseNow(FunctionElement[datetime]):
    """The database's clock, as a column."""

    type = UtcDateTime()
    inherit_cache = True
    name = "database_now"


@compiles(DatabaseNow)
def _now(_element: DatabaseNow, _compiler: SQLCompiler, **_options: Any) -> str:
    return "clock_timestamp()"


@compiles(DatabaseNow, "sqlite")
def _now_sqlite(_element: DatabaseNow, _compiler: SQLCompiler, **_options: Any) -> str:
    # six digits, as the driver writes them: times are compared as text
    return "strftime('%Y-%m-%d %H:%M:%f000', 'now')"


def database_now(session: Session) -> datetime:
    """The database's clock: the only one that leases and freshness go by."""
    now: datetime = session.execute(select(DatabaseNow())).scalar_one()
    return now


def row_count(result: Result[Any]) -> int:
    """How many rows an UPDATE or DELETE changed."""
    return cast("CursorResult[Any]", result).rowcount
