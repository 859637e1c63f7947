"""The pages, a module for each group of them."""

from __future__ import annotations

from typing import Final

from profiler_server.dashboard.endpoints.comparison import router as comparison
from profiler_server.dashboard.endpoints.devices import router as devices
from profiler_server.dashboard.endpoints.entries import router as entries
from profiler_server.dashboard.endpoints.farm import router as farm
from profiler_server.dashboard.endpoints.filing import router as filing
from profiler_server.dashboard.endpoints.jobs import router as jobs
from profiler_server.dashboard.endpoints.login import router as login
from profiler_server.dashboard.endpoints.models import router as uploads
from profiler_server.dashboard.endpoints.progress import router as progress
from profiler_server.dashboard.endpoints.targets import router as targets

ROUTERS: Final = (
    login,
    farm,
    devices,
    uploads,
    filing,
    progress,
    jobs,
    targets,
    entries,
    comparison,
)
