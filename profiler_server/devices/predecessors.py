"""Targets that a new one may take entries from: the same device before its last update."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

from sqlalchemy.orm import Session

from netspec.protocol import TargetIdentity
from profiler_server.devices import repository
from profiler_server.events import repository as events
from profiler_server.events.rows import EventKind

#: what an update of firmware or runtime changes
UPDATED = ("os_build", "runtime", "runtime_sha256")


def changed(before: TargetIdentity, after: TargetIdentity) -> tuple[str, ...]:
    """The fields in which two targets differ."""
    names = TargetIdentity.model_fields
    return tuple(name for name in names if getattr(before, name) != getattr(after, name))


def predecessors(session: Session, target_id: str) -> list[str]:
    """Targets with entries that differ from this one by an update alone, newest first."""
    rows = {row.id: row for row in repository.targets(session)}
    own = TargetIdentity.model_validate_json(rows[target_id].identity)
    alike = [
        row
        for row in rows.values()
        if row.id != target_id
        and set(changed(TargetIdentity.model_validate_json(row.identity), own)) <= set(UPDATED)
    ]
    with_entries = repository.counts_by_target(session, [row.id for row in alike])
    return [
        row.id
        for row in sorted(alike, key=lambda one: (one.created_at, one.id), reverse=True)
        if with_entries.get(row.id, (0, 0))[0]
    ]


def offer(session: Session, new_target_ids: Collection[str], now: datetime) -> None:
    """Keeps an event for each new target that could take over entries."""
    for target_id in sorted(new_target_ids):
        found = predecessors(session, target_id)
        if found:
            events.append(
                session,
                now,
                EventKind.TRANSFER_OFFERED,
                target_id=target_id,
                source_target_id=found[0],
            )
