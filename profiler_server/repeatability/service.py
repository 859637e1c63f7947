"""How well a target's latencies repeat."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime, timedelta
from itertools import pairwise
from statistics import median

import numpy as np
from sqlalchemy.orm import Session

from netspec.repeatability import repeatability
from netspec.statistics import trimmed_mean_ms
from netspec.wire import TargetRepeatability
from profiler_server.devices.service import require_target
from profiler_server.repeatability import repository
from profiler_server.repeatability.repository import SessionVisit

_HOUR = timedelta(hours=1)


def of_target(session: Session, target_id: str) -> TargetRepeatability:
    """What the target's devices gave in one job and in the next.

    Raises:
        Problem: `unknown-target`.
    """
    require_target(session, target_id)
    subjects = repository.repeated_subjects(session, target_id)
    of_devices: dict[tuple[str, str], dict[str, list[SessionVisit]]] = {}
    for visit in repository.visits(session, target_id, subjects) if subjects else ():
        tasks = of_devices.setdefault((visit.subject_hash, visit.device_id), {})
        tasks.setdefault(visit.task_id, []).append(visit)
    # Visits come as they began, and so do the sessions that they begin.
    histories = [list(tasks.values()) for tasks in of_devices.values() if len(tasks) > 1]
    found = repeatability([[_value_ms(one) for one in history] for history in histories])
    if found is None:
        return TargetRepeatability(target_id=target_id, subjects=0, sessions=0)
    figures = asdict(found)
    return TargetRepeatability(
        target_id=target_id,
        sessions=figures.pop("values"),
        visits_median=median(len(one) for history in histories for one in history),
        hours_median=median(
            (_began(after) - _began(before)) / _HOUR
            for history in histories
            for before, after in pairwise(history)
        ),
        **figures,
    )


def _value_ms(visits: list[SessionVisit]) -> float:
    return trimmed_mean_ms(np.sort([visit.p5_us for visit in visits]))


def _began(visits: list[SessionVisit]) -> datetime:
    return visits[0].started_at
