from __future__ import annotations

import sqlite3

import psycopg
import pytest
from sqlalchemy.exc import DataError, DBAPIError

from profiler_server.kit.sql.outages import problem_of


def kind_of(
    cause: Exception, *, statement: str | None = "SELECT 1", lost: bool = False
) -> str | None:
    problem = problem_of(DBAPIError(statement, None, cause, connection_invalidated=lost))
    return None if problem is None else problem.kind


def of_sqlite(code: int) -> sqlite3.Error:
    error = sqlite3.OperationalError("made up")
    error.sqlite_errorcode = code
    return error


@pytest.mark.parametrize(
    "cause",
    [
        psycopg.errors.AdminShutdown(),
        psycopg.errors.CannotConnectNow(),
        psycopg.errors.TooManyConnections(),
        psycopg.errors.DeadlockDetected(),
        psycopg.errors.SerializationFailure(),
        psycopg.errors.LockNotAvailable(),
        psycopg.errors.IdleInTransactionSessionTimeout(),
        psycopg.errors.ReadOnlySqlTransaction(),
        of_sqlite(sqlite3.SQLITE_BUSY),
        of_sqlite(sqlite3.SQLITE_BUSY_SNAPSHOT),
        of_sqlite(sqlite3.SQLITE_IOERR_WRITE),
    ],
)
def test_what_passes(cause: Exception) -> None:
    assert kind_of(cause) == "database-unavailable"


def test_a_lost_connection_passes() -> None:
    assert kind_of(psycopg.OperationalError("closed unexpectedly"), lost=True) == (
        "database-unavailable"
    )


def test_a_refused_connection_passes() -> None:
    refused = psycopg.OperationalError("connection refused")
    assert kind_of(refused, statement=None) == "database-unavailable"


@pytest.mark.parametrize(
    "cause",
    [
        psycopg.DataError("PostgreSQL text fields cannot contain NUL (0x00) bytes"),
        psycopg.errors.UntranslatableCharacter(),
        psycopg.errors.NumericValueOutOfRange(),
    ],
)
def test_a_value_that_no_column_takes(cause: psycopg.Error) -> None:
    problem = problem_of(DataError("INSERT", None, cause))
    assert problem is not None
    assert problem.kind == "invalid-request"


@pytest.mark.parametrize("cause", [psycopg.errors.DiskFull(), of_sqlite(sqlite3.SQLITE_FULL)])
def test_no_room(cause: Exception) -> None:
    assert kind_of(cause) == "storage-full"


@pytest.mark.parametrize(
    "cause",
    [
        psycopg.errors.UniqueViolation(),
        psycopg.errors.UndefinedTable(),
        psycopg.errors.InFailedSqlTransaction(),
        of_sqlite(sqlite3.SQLITE_CONSTRAINT_UNIQUE),
        of_sqlite(sqlite3.SQLITE_CORRUPT),
        sqlite3.ProgrammingError("without a code"),
    ],
)
def test_what_is_our_fault_stays_a_failure(cause: Exception) -> None:
    assert kind_of(cause) is None
