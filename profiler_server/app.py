"""The application: settings in, ASGI out."""

from __future__ import annotations

import importlib.metadata
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI
from starlette.types import ASGIApp

from profiler_server.auth import tokens
from profiler_server.auth.endpoints import router as token_router
from profiler_server.auth.guesses import TokenGuesses
from profiler_server.auth.ownership import DeviceGuard
from profiler_server.auth.rate_limit import RateLimit
from profiler_server.auth.service import TokenChecker
from profiler_server.dashboard import app as dashboard
from profiler_server.dashboard.live.pages import LivePages
from profiler_server.deletions.endpoints import router as deletions
from profiler_server.devices.endpoints import router as devices
from profiler_server.entries.partitions import keeping_partitions
from profiler_server.evaluations.endpoints import router as evaluations
from profiler_server.events.tail import EventTail
from profiler_server.jobs.endpoints import router as jobs
from profiler_server.jobs.watching import JobWatch
from profiler_server.kit import health, problems
from profiler_server.kit.http.compression import Compression
from profiler_server.kit.http.proxies import TrustedProxies
from profiler_server.kit.http.requests import Observe, Requests
from profiler_server.kit.metrics import Metrics
from profiler_server.kit.networks import Network
from profiler_server.kit.settings import Settings
from profiler_server.kit.sql import outages
from profiler_server.kit.sql.database import Database
from profiler_server.kit.sql.metadata import metadata
from profiler_server.kit.work_signal import WorkSignal
from profiler_server.latency_tables.endpoints import FREQUENT_ROUTES
from profiler_server.latency_tables.endpoints import router as tables
from profiler_server.latency_tables.lookups.calibrated_on import CalibrationOrigins
from profiler_server.latency_tables.lookups.fresh_latencies import FreshLatencies
from profiler_server.latency_tables.lookups.unmeasured import OperatorModels
from profiler_server.latency_tables.snapshot_answers import SnapshotAnswers
from profiler_server.latency_tables.transfers.endpoints import router as transfers
from profiler_server.leases.endpoints import router as leases
from profiler_server.leases.waiting import WaitingRoom
from profiler_server.metering.endpoints import router as energy
from profiler_server.monitoring.endpoints import router as monitoring
from profiler_server.monitoring.events import router as events
from profiler_server.monitoring.farm_figures import FarmCollector
from profiler_server.openapi.document import described
from profiler_server.openapi.problem_pages import router as problem_pages
from profiler_server.repeatability.endpoints import router as repeatability
from profiler_server.retractions.endpoints import router as retractions
from profiler_server.sustained.endpoints import router as sustained
from profiler_server.uploaded_models.endpoints import router as models
from profiler_server.uploaded_models.service import UploadedModels
from profiler_server.visits.endpoints import router as measurements
from profiler_server.webhooks.delivering import delivering
from profiler_server.webhooks.endpoints import router as webhooks

#: longer (s) than a transaction computes between two statements
_LEAST_FROZEN_S = 5.0


def create_app(settings: Settings) -> FastAPI:
    """The application on a database whose schema is up to date (`/readyz` tells).

    Raises:
        UserError: the database's URL, the server key or the model store cannot be used.
    """
    metadata()
    # A stopped replica must not keep agents from renewing their leases.
    frozen_after_s = max(_LEAST_FROZEN_S, settings.lease_ttl_s / 2)
    server_key = tokens.server_key(settings.server_key_file)
    database = Database(
        settings.database_url,
        frozen_after_s=frozen_after_s,
        cursor_key=tokens.key_for("cursors", server_key),
    )

    signal = WorkSignal()
    waiting_room = WaitingRoom(database, settings, signal)
    job_watch = JobWatch(database, signal)
    event_tail = EventTail(database, signal)
    live_pages = LivePages(database, signal)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        async with (
            keeping_partitions(database),
            delivering(database, server_key, settings.webhook_networks),
        ):
            yield
        await waiting_room.close()
        await job_watch.close()
        await event_tail.close()
        await live_pages.close()
        database.close()

    metrics = Metrics()
    metrics.registry.register(FarmCollector(database))
    app = _App(
        metrics.request,
        settings.trusted_proxies,
        title="profiler-server",
        summary="Measured latency tables of neural-network operators",
        version=importlib.metadata.version("proxyless-farm"),
        lifespan=lifespan,
        # The dashboard's package has a page of its own, which loads nothing from elsewhere.
        docs_url=None,
        redoc_url=None,
    )
    app.state.settings = settings
    app.state.database = database
    app.state.token_checker = TokenChecker(database, server_key)
    app.state.token_guesses = TokenGuesses()
    app.state.server_key = server_key
    app.state.uploaded_models = UploadedModels.of(settings)
    app.state.work_signal = signal
    app.state.waiting_room = waiting_room
    app.state.job_watch = job_watch
    app.state.event_tail = event_tail
    app.state.live_pages = live_pages
    app.state.device_guard = DeviceGuard(database)
    app.state.metrics = metrics
    app.state.rate_limit = _rate_limit(settings)
    app.state.snapshot_answers = SnapshotAnswers(settings.cache_mb * 2**20)
    app.state.fresh_latencies = FreshLatencies()
    app.state.operator_models = OperatorModels()
    app.state.calibration_origins = CalibrationOrigins()
    problems.install(app)
    outages.install(app)
    app.add_middleware(Compression)
    # Routes as they are: what includes a router analyses each route anew, at the first request.
    # The first are asked for most often, and routes are tried one after the other.
    app.router.routes.extend(FREQUENT_ROUTES)
    for router in (
        tables,
        leases,
        measurements,
        jobs,
        devices,
        models,
        evaluations,
        sustained,
        energy,
        repeatability,
        retractions,
        transfers,
        token_router,
        deletions,
        health.router,
        monitoring,
        events,
        webhooks,
        problem_pages,
    ):
        app.router.routes.extend(router.routes)
    dashboard.mount(app, server_key)
    return app


def _rate_limit(settings: Settings) -> RateLimit | None:
    if settings.rate_limit_per_s == 0:
        return None
    return RateLimit(settings.rate_limit_per_s, settings.rate_limit_burst)


class _App(FastAPI):
    """Its outermost layer sees every answer, those of the error handlers included."""

    def __init__(self, observe: Observe, proxies: Sequence[Network], **options: Any) -> None:
        self._observe = observe
        self._proxies = proxies
        super().__init__(**options)

    def build_middleware_stack(self) -> ASGIApp:
        answering = Requests(super().build_middleware_stack(), self._observe)
        return TrustedProxies(answering, self._proxies)

    def openapi(self) -> dict[str, Any]:
        if self.openapi_schema is None:
            self.openapi_schema = described(super().openapi())
        return self.openapi_schema
