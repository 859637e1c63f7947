"""Once a day: 2 % of a table's entries are measured again, and compared with what they were."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from sqlalchemy.orm import Session

from netspec.wire import ISOLATED, JobRequest, NetworkSubject, OperatorSubject
from profiler_server.devices import repository as devices
from profiler_server.drift import repository
from profiler_server.drift.judging import judge
from profiler_server.drift.verdicts import VERDICT, TableVerdict
from profiler_server.entries import derived_repository as derived
from profiler_server.entries import repository as measurements
from profiler_server.entries.repository import EntryOfSubject
from profiler_server.events import repository as events
from profiler_server.events.rows import EventKind
from profiler_server.jobs import repository as jobs_of
from profiler_server.jobs import service as jobs
from profiler_server.jobs.rows import JobRow
from profiler_server.kit.settings import Settings
from profiler_server.kit.sql.database import database_now
from profiler_server.latency_model.drift import due
from profiler_server.latency_tables import published_calibrations
from profiler_server.subjects.rows import SubjectRow

#: name of the jobs that look at old entries again
JOB_NAME = "daily recheck"
#: a little later than old visits and often enough to tell 3 %
ROUNDS = 10


@dataclass(frozen=True)
class Recheck:
    """What was done for one target."""

    target_id: str
    #: `waiting`: the last recheck is not measured yet, so nothing else was done;
    #: `no device`: nobody measures the target any more
    state: Literal["waiting", "filed", "nothing due", "no device"]
    #: operators and networks that are measured again
    filed: int
    #: what the last recheck found, if nobody was told yet
    found: TableVerdict | None


def recheck(session: Session, settings: Settings, target_id: str) -> Recheck:
    """Judges a target's last recheck, and files the next; to be called once a day.

    A target whose table is no longer true gets an event `target_drifted`.

    Args:
        session: a writing transaction, for this target alone: it takes the target's lock.
        settings: for the job that is filed.
        target_id: the target.
    """
    last = jobs_of.latest_of_name(session, target_id, JOB_NAME)
    is_measured = devices.measures(session, target_id, ISOLATED)
    if last is not None and jobs_of.has_open_tasks(session, last.id):
        if is_measured:
            return Recheck(target_id, "waiting", 0, None)
        # An update of the device has left the target behind: nobody will ever take the tasks.
        jobs.cancel(session, last.id, None)
        last = None
    now = database_now(session)
    found = None if last is None else _judge(session, last, now)
    if not is_measured:
        return Recheck(target_id, "no device", 0, found)
    request = _request(session, target_id, now)
    if request is None:
        return Recheck(target_id, "nothing due", 0, found)
    jobs.create(session, settings, request, None)
    return Recheck(target_id, "filed", len(request.operators) + len(request.networks), found)


def _judge(session: Session, job: JobRow, now: datetime) -> TableVerdict | None:
    """What the job found; None where that was told before, or is nothing."""
    told = repository.verdict(session, job.target_id)
    if told is not None and told.job_id == job.id:
        return None
    found = judge(session, job)
    if found.drift is None and found.error is None:
        return None
    repository.put_verdict(
        session,
        job.target_id,
        job.id,
        now,
        VERDICT.dump_json(found).decode(),
        alarming=found.is_alarming,
    )
    if found.is_alarming:
        events.append(
            session,
            now,
            EventKind.TARGET_DRIFTED,
            job_id=job.id,
            target_id=job.target_id,
            found=str(found),
        )
    return found


def _request(session: Session, target_id: str, now: datetime) -> JobRequest | None:
    """The job that measures again what is due: operators, and networks that are predicted."""
    found = measurements.entries_of_target(session, target_id)
    published = published_calibrations.latest(session, target_id)
    predicted = {
        network.subject_hash
        for calibration in (published.calibrations if published else ())
        for network in calibration.networks
    }
    operators = _due(_measured_alone(session, target_id, found), now)
    networks = _due([one for one in found if one[1].hash in predicted], now)
    if not operators and not networks:
        return None
    return JobRequest(
        name=JOB_NAME,
        target_id=target_id,
        operators=tuple(
            OperatorSubject.model_validate_json(operator.document).operator
            for operator in operators
        ),
        networks=tuple(
            NetworkSubject.model_validate_json(network.document).network for network in networks
        ),
        rounds=ROUNDS,
        remeasure=True,
        # What somebody waits for comes first.
        priority=-100,
    )


def _measured_alone(
    session: Session, target_id: str, found: Iterable[EntryOfSubject]
) -> list[EntryOfSubject]:
    """The operators that were visited by themselves, and so can be compared with new visits.

    Those that were only seen inside networks would be brought to another level by such visits;
    their networks are measured again.
    """
    operators = [one for one in found if one[1].kind == "operator"]
    visited = derived.visited(session, target_id, [subject.hash for _, subject in operators])
    return [operator for operator in operators if operator[1].hash in visited]


def _due(found: Collection[EntryOfSubject], now: datetime) -> list[SubjectRow]:
    subjects = {subject.hash: subject for _, subject in found}
    return [
        subjects[key] for key in due({row.subject_hash: row.measured_at for row, _ in found}, now)
    ]
