"""All tables, for migrations and for resolving foreign keys."""

from __future__ import annotations

import importlib

from sqlalchemy import MetaData

from profiler_server.kit.sql.orm import Base

_DOMAINS = (
    "auth",
    "devices",
    "drift",
    "entries",
    "events",
    "idempotency",
    "jobs",
    "latency_tables",
    "leases",
    "subjects",
    "uploaded_models",
)


def metadata() -> MetaData:
    """The metadata with every domain's tables loaded."""
    for domain in _DOMAINS:
        importlib.import_module(f"profiler_server.{domain}.rows")
    return Base.metadata
