"""Once a day: 2 % of a table's entries are measured again, and compared with what they were."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from sqlalchemy.orm import Session

from netspec.statistics import estimate_each
from netspec.wire import JobRequest, OperatorSubject
from profiler_server.devices import repository as devices
from profiler_server.drift import repository
from profiler_server.events import repository as events
from profiler_server.events.tables import EventKind
from profiler_server.jobs import service as jobs
from profiler_server.jobs.tables import OPEN_STATES, JobRow
from profiler_server.kit.database import database_now
from profiler_server.kit.settings import Settings
from profiler_server.latency_model.design import Priced
from profiler_server.latency_model.drift import Drift, drift, due
from profiler_server.measurements import repository as measurements
from profiler_server.measurements.share_repository import FITTED, IMPORTED

#: name of the jobs that look at old entries again
JOB_NAME = "daily recheck"
#: a little later than old visits and often enough to tell 3 %
ROUNDS = 10


@dataclass(frozen=True)
class Recheck:
    """What was done for one target."""

    target_id: str
    #: `waiting`: the last recheck is not measured yet, so nothing else was done
    state: Literal["waiting", "filed", "nothing due"]
    #: operators that are measured again
    filed: int
    #: what the last recheck found, None where there was none
    found: Drift | None


def recheck(session: Session, settings: Settings) -> list[Recheck]:
    """Judges each target's last recheck, and files the next; to be called once a day.

    A target that has drifted gets an event `target_drifted`.
    """
    return [_recheck(session, settings, target.id) for target in devices.targets(session)]


def _recheck(session: Session, settings: Settings, target_id: str) -> Recheck:
    last = repository.latest_job(session, target_id, JOB_NAME)
    if last is not None and repository.task_states(session, last.id) & set(OPEN_STATES):
        return Recheck(target_id, "waiting", 0, None)
    now = database_now(session)
    subjects = {
        subject.name: (row, subject)
        for row, subject in measurements.entries_of_target(session, target_id)
        if subject.kind == "operator" and row.method not in (IMPORTED, FITTED)
    }
    names = due({name: row.measured_at for name, (row, _) in subjects.items()}, now)
    if not names:
        return Recheck(target_id, "nothing due", 0, None)
    found = None if last is None else _judge(session, last)
    if found is not None and found.is_alarming:
        events.append(
            session,
            now,
            EventKind.TARGET_DRIFTED,
            target_id=target_id,
            looks=found.looks,
            median_percent=f"{found.median_percent:+.1f}",
            worst=found.worst,
            worst_percent=f"{found.worst_percent:+.1f}",
        )
    request = JobRequest(
        name=JOB_NAME,
        target_id=target_id,
        operators=tuple(
            OperatorSubject.model_validate_json(subjects[name][1].document).operator
            for name in names
        ),
        rounds=ROUNDS,
        remeasure=True,
        # What somebody waits for comes first.
        priority=-100,
    )
    jobs.create(session, settings, request)
    return Recheck(target_id, "filed", len(names), found)


def _judge(session: Session, job: JobRow) -> Drift | None:
    """What a finished recheck found; None where nothing was measured before and after."""
    looks = []
    for name, both in repository.samples(session, job.id, job.created_at).items():
        if all(both):
            before, after = (
                Priced.of_entry(one.value_ms, one.low_ms, one.high_ms, one.visits)
                for one in estimate_each([np.array(samples) for samples in both])
            )
            if min(before.value_ms, after.value_ms) > 0:
                looks.append((name, before, after))
    return drift(looks) if looks else None
