"""Ids that a request names, in its path or its body: a token sees them, or gets to know nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from pydantic import BaseModel
from sqlalchemy import literal
from sqlalchemy.orm import Session

from profiler_server.kit.problems import Problem
from profiler_server.kit.sql.reach import Reach, Within, is_within
from profiler_server.reach.conditions import (
    Id,
    of_devices,
    of_jobs,
    of_snapshots,
    of_targets,
)

#: what the id is of that a parameter or a field of this name holds
NAMED: Mapping[str, tuple[str, Callable[[Id], Within]]] = {
    "target_id": ("target", of_targets),
    "source_target_id": ("target", of_targets),
    "device_id": ("device", of_devices),
    "job_id": ("job", of_jobs),
    "snapshot_id": ("snapshot", of_snapshots),
}


def named_by(message: BaseModel) -> Iterator[tuple[str, str]]:
    """Names and values of a message's own fields that hold such ids."""
    for name in NAMED:
        value = getattr(message, name, None)
        if isinstance(value, str):
            yield name, value


def require_within(session: Session, reach: Reach, named: Mapping[str, str]) -> None:
    """Refuses what a token does not see in the words in which it would be told of nothing at all.

    Args:
        session: a transaction for whoever has the reach.
        reach: of the token.
        named: ids by the names of their parameters or fields; others are looked at elsewhere.

    Raises:
        Problem: `unknown-target`, `unknown-device`, `unknown-job` or `unknown-snapshot`.
    """
    for name, value in named.items():
        if name not in NAMED:
            continue
        kind, within = NAMED[name]
        if not is_within(session, within(literal(value))):
            raise unseen(kind, value, reach)


def unseen(kind: str, value: str, reach: Reach) -> Problem:
    """The problem with what a token does not see, whether it is there or not."""
    listed = "targets" if kind == "snapshot" else f"{kind}s"
    return Problem(
        f"unknown-{kind}",
        f"no {kind} {value!r} among those of the devices labelled {reach}, to which this token is "
        f"limited; GET /v1/{listed} lists what it sees",
    )
