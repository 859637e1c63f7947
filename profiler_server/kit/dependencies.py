"""What endpoints ask for."""

from __future__ import annotations

from typing import Annotated, Any, cast

from fastapi import Depends, Request

from profiler_server.kit.settings import Settings
from profiler_server.kit.sql.database import Database
from profiler_server.kit.sql.reach import REACH
from profiler_server.kit.work_signal import WorkSignal


def of_application(name: str) -> Any:
    """A dependency that is what the application has under this name of its state."""

    async def get(request: Request) -> Any:
        return getattr(request.app.state, name)

    return Depends(get)


async def _database(request: Request) -> Database:
    """The database as the one sees it who asks."""
    database = cast("Database", request.app.state.database)
    # Later: who asks may be found out after this dependency is solved.
    return database.within(lambda: request.scope.get(REACH))


DatabaseDep = Annotated[Database, Depends(_database)]
SettingsDep = Annotated[Settings, of_application("settings")]
WorkSignalDep = Annotated[WorkSignal, of_application("work_signal")]
