"""What endpoints ask for."""

from __future__ import annotations

from typing import Annotated, cast

from fastapi import Depends, Request

from profiler_server.kit.settings import Settings
from profiler_server.kit.sql.database import Database
from profiler_server.kit.work_signal import WorkSignal


async def _database(request: Request) -> Database:
    return cast("Database", request.app.state.database)


async def _settings(request: Request) -> Settings:
    return cast("Settings", request.app.state.settings)


async def _work_signal(request: Request) -> WorkSignal:
    return cast("WorkSignal", request.app.state.work_signal)


DatabaseDep = Annotated[Database, Depends(_database)]
SettingsDep = Annotated[Settings, Depends(_settings)]
WorkSignalDep = Annotated[WorkSignal, Depends(_work_signal)]
