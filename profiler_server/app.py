"""The application: settings in, ASGI out."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI
from starlette.middleware.gzip import GZipMiddleware

from netspec.wire import MAX_MODEL_BYTES
from profiler_server.auth import tokens
from profiler_server.auth.service import TokenChecker
from profiler_server.devices.endpoints import router as devices
from profiler_server.jobs.endpoints import router as jobs
from profiler_server.kit import health, problems
from profiler_server.kit.database import Database
from profiler_server.kit.logs import RequestLog
from profiler_server.kit.metadata import metadata
from profiler_server.kit.settings import Settings
from profiler_server.kit.work_signal import WorkSignal
from profiler_server.leases.endpoints import router as leases
from profiler_server.leases.waiting import WaitingRoom
from profiler_server.measurements.endpoints import router as measurements
from profiler_server.models.endpoints import router as models
from profiler_server.tables.endpoints import router as tables

#: smaller answers (bytes) are sent as they are
_GZIP_MINIMUM = 1_000
#: a full batch of visits with their raw output is the largest body
_MAX_BODY_BYTES = 2 * MAX_MODEL_BYTES


def create_app(settings: Settings) -> FastAPI:
    """The application on a database whose schema is up to date (`/readyz` tells).

    Raises:
        UserError: the database's URL or the server key cannot be used.
    """
    metadata()
    database = Database(settings.database_url)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        yield
        database.close()

    app = FastAPI(
        title="profiler-server",
        summary="Measured latency tables of neural-network operators",
        lifespan=lifespan,
        responses=problems.RESPONSES,
        max_body_size=_MAX_BODY_BYTES,
    )
    app.state.settings = settings
    app.state.database = database
    app.state.token_checker = TokenChecker(database, tokens.server_key(settings.server_key_file))
    app.state.work_signal = WorkSignal()
    app.state.waiting_room = WaitingRoom(database, settings, app.state.work_signal)
    problems.install(app)
    app.add_middleware(GZipMiddleware, minimum_size=_GZIP_MINIMUM)
    app.add_middleware(RequestLog)
    for router in (health.router, devices, jobs, models, leases, measurements, tables):
        app.include_router(router)
    return app
