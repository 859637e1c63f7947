"""Whether the process lives, and whether it can serve."""

from __future__ import annotations

from fastapi import APIRouter
from pydantic import BaseModel

from profiler_server.kit.dependencies import DatabaseDep, WorkSignalDep
from profiler_server.kit.http.routes import operation_id
from profiler_server.kit.problems import Problem
from profiler_server.kit.sql import schema

router = APIRouter(tags=["health"], generate_unique_id_function=operation_id)


class Health(BaseModel):
    """A sign of life."""

    status: str = "ok"


@router.get("/healthz")
async def healthz() -> Health:
    """The process lives; says nothing of the database."""
    return Health()


@router.get("/readyz")
def readyz(database: DatabaseDep, signal: WorkSignalDep) -> Health:
    """The database answers, its schema is the one that the code needs, and the server stays."""
    if signal.closing:
        raise Problem("not-ready", "the server was told to stop; ask another one")
    current, wanted = schema.current_revision(database), schema.wanted_revision()
    if current != wanted:
        raise Problem(
            "not-ready",
            f"the database is at schema {current or 'none'}, this server needs {wanted}; "
            "run `profiler-server migrate`",
        )
    return Health()
