"""A database that does not answer, has no room left or no place for a value: problems."""

from __future__ import annotations

import sqlite3

import structlog
from fastapi import FastAPI, Request, Response
from sqlalchemy.exc import DataError, DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from profiler_server.kit.problems import Problem

log = structlog.get_logger()

#: a restarted database is back after about so long (s)
_RETRY_AFTER_S = 2
#: classes of SQLSTATE: connection, rollback, resources, object in use, operator intervention
_PASSING_CLASSES = frozenset({"08", "40", "53", "55", "57"})
#: a frozen transaction that was given up, a standby
_PASSING_STATES = frozenset({"25P03", "25006"})
_FULL_STATE = "53100"
#: class of SQLSTATE: a value that no column takes
_DATA_CLASS = "22"
_PASSING_CODES = frozenset(
    {
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_READONLY,
    }
)
#: the lower byte of an extended result code is the code
_PRIMARY = 0xFF


def install(app: FastAPI) -> None:
    """Answers errors of the database that the client cannot mend, but may outwait."""

    @app.exception_handler(DBAPIError)
    async def of_database(request: Request, error: DBAPIError) -> Response:
        problem = problem_of(error)
        if problem is None:
            raise error
        log.error("the database failed", why=str(error.orig), answer=problem.kind)
        return await _answer(app, request, problem)

    @app.exception_handler(PoolTimeout)
    async def of_pool(request: Request, error: PoolTimeout) -> Response:
        log.error("no connection to the database was free", why=str(error))
        return await _answer(app, request, _unavailable())


def problem_of(error: DBAPIError) -> Problem | None:
    """What to answer; None where the error is the server's own."""
    state: str | None = getattr(error.orig, "sqlstate", None)
    code: int = getattr(error.orig, "sqlite_errorcode", 0) & _PRIMARY
    if state == _FULL_STATE or code == sqlite3.SQLITE_FULL:
        return Problem(
            "storage-full",
            "the database has no room left and stored nothing of this request; make room on its "
            "disk, then send the request again",
        )
    if isinstance(error, DataError) and (state is None or state.startswith(_DATA_CLASS)):
        return Problem(
            "invalid-request",
            "a value in the request is none that the database can hold: a NUL character, or a "
            "number that is too large; leave it out",
        )
    # A connection that cannot be made has no state.
    lost = error.connection_invalidated or (state is None and _is_connecting(error))
    passing = state is not None and (state in _PASSING_STATES or state[:2] in _PASSING_CLASSES)
    if lost or passing or code in _PASSING_CODES:
        return _unavailable()
    return None


def _is_connecting(error: DBAPIError) -> bool:
    return type(error.orig).__module__.startswith("psycopg") and error.statement is None


def _unavailable() -> Problem:
    return Problem(
        "database-unavailable",
        "the database does not answer now, so this request may have had no effect; send it again",
        headers={"Retry-After": str(_RETRY_AFTER_S)},
    )


async def _answer(app: FastAPI, request: Request, problem: Problem) -> Response:
    answer = app.exception_handlers[Problem](request, problem)
    if isinstance(answer, Response):
        return answer
    made: Response = await answer
    return made
