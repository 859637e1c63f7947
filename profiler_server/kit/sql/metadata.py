"""All tables, for migrations and for resolving foreign keys."""

from __future__ import annotations

import importlib
import re

from sqlalchemy import MetaData

from profiler_server.kit.sql.orm import Base

_DOMAINS = (
    "auth",
    "devices",
    "drift",
    "energies",
    "entries",
    "evaluations",
    "events",
    "idempotency",
    "jobs",
    "latency_tables",
    "leases",
    "subjects",
    "sustained",
    "uploaded_models",
)
#: tables of PostgreSQL that are parts of another
_PARTITION = re.compile(r"visits_(\d{4}_\d{2}|default)")


def metadata() -> MetaData:
    """The metadata with every domain's tables loaded."""
    for domain in _DOMAINS:
        importlib.import_module(f"profiler_server.{domain}.rows")
    return Base.metadata


def is_declared(name: str | None, kind: str, _parents: object) -> bool:
    """Whether a name in the database is one of the code's, and not a partition that a server made.

    As Alembic asks it: `kind` is `table`, `column` and so on.
    """
    return kind != "table" or name is None or not _PARTITION.fullmatch(name)
