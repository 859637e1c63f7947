"""What a token may allow; apart, because naming one needs no database."""

from __future__ import annotations

from enum import StrEnum


class Scope(StrEnum):
    """What a token allows."""

    #: read tables, targets, jobs and devices
    TABLES_READ = "tables:read"
    #: file jobs, upload models, publish snapshots, have events of own jobs sent
    JOBS_WRITE = "jobs:write"
    #: register devices, lease tasks, upload visits
    AGENT = "agent"
    #: everything
    ADMIN = "admin"
