"""What the list of jobs and the page of one show."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.orm import Session

from netspec.protocol import TargetIdentity
from netspec.wire import (
    Entry,
    EntryQuery,
    Evaluation,
    Event,
    Job,
    JobQuery,
    VisitQuery,
)
from profiler_server.dashboard.views import farm_repository
from profiler_server.dashboard.views.devices.serving import Unserved, unserved
from profiler_server.dashboard.views.entry import who_runs
from profiler_server.dashboard.views.jobs import sustained
from profiler_server.dashboard.views.jobs.sustained import SustainedView
from profiler_server.devices.service import require_target
from profiler_server.entries import details, isolated
from profiler_server.entries import repository as measurements
from profiler_server.evaluations import service as evaluations
from profiler_server.events import service as events
from profiler_server.events.repository import EventsQuery
from profiler_server.jobs import service
from profiler_server.kit.sql.database import database_now
from profiler_server.kit.sql.pages import Page
from profiler_server.metering import repository as metering
from profiler_server.metering.repository import CountedSubject

_EVENTS_A_PAGE = 50
_JOBS_A_PAGE = 50
#: a job of more subjects is looked up in its table
_MOST_ENTRIES = 20
#: energies of a job that its page shows
_MOST_ENERGIES = 200
#: visits of a model that are asked who ran it; of the same file they say the same
_TELLING_VISITS = 5
_FINAL = ("done", "failed", "cancelled")


@dataclass(frozen=True)
class JobLine:
    """A job with the names of its targets."""

    job: Job
    #: by id, for people
    targets: Mapping[str, str]

    @property
    def percent(self) -> int:
        """How far it is, in visits or windows; what is done but for one of them is not done."""
        job = self.job
        return 100 if job.visits == 0 else 100 * min(job.visits_done, job.visits) // job.visits

    @property
    def is_open(self) -> bool:
        """Whether there is something to wait for."""
        return self.job.state not in _FINAL

    @property
    def tasks_left(self) -> int:
        """Tasks that are neither done, failed nor reused."""
        job = self.job
        return job.tasks - job.tasks_done - job.tasks_failed if self.is_open else 0

    @property
    def may_be_retried(self) -> bool:
        """Whether there is something to retry."""
        return self.job.tasks_failed > 0 and self.job.state != "cancelled"


@dataclass(frozen=True)
class JobShown:
    """The page of one job."""

    now: datetime
    line: JobLine
    #: newest first
    events: Page[Event]
    #: of the subjects that it measured on its first target, where it names few
    entries: Sequence[Entry]
    #: of the models among them, by hash: how much of the graph the delegate runs
    who_runs: Mapping[str, str]
    #: of the targets that no device serves: what would
    unserved: Mapping[str, Unserved]
    #: of a job that runs test images
    evaluation: Evaluation | None
    #: of a job that runs something without pause
    sustained: SustainedView | None
    #: of a job that measures energy, the first that are measured
    energies: Sequence[CountedSubject]
    #: entry of its model on its target, where that was measured, too
    latency: Entry | None


def latest(session: Session, cursor: str | None) -> Page[JobLine]:
    """A page of jobs, newest first.

    Raises:
        Problem: `bad-request`: the cursor is not one of this list.
    """
    jobs = service.latest(session, JobQuery(limit=_JOBS_A_PAGE, cursor=cursor))
    return jobs.with_items(lines(session, jobs.items))


def lines(session: Session, jobs: Sequence[Job]) -> list[JobLine]:
    """Jobs with the names of their targets."""
    ids = {target_id for job in jobs for target_id in job.target_ids}
    labels = {
        target_id: TargetIdentity.model_validate_json(identity).label
        for target_id, identity in farm_repository.identities(session, ids).items()
    }
    return [JobLine(job, {one: labels[one] for one in job.target_ids}) for job in jobs]


def read(session: Session, job_id: str, cursor: str | None = None) -> JobShown:
    """One job, with a page of its events.

    Raises:
        Problem: `unknown-job`, or `bad-request`: the cursor is not one of this list.
    """
    line = lines(session, [service.get(session, job_id)])[0]
    newest = EventsQuery(job_id=job_id, sort="-id", limit=_EVENTS_A_PAGE, cursor=cursor)
    log = events.list_events(session, newest)
    few = line.job.tasks + line.job.reused <= _MOST_ENTRIES
    measured = service.entries_of(session, job_id, EntryQuery(limit=_MOST_ENTRIES)) if few else None
    entries = () if measured is None else measured.items
    now = database_now(session)
    found = evaluations.evaluation_of(session, job_id)
    return JobShown(
        now=now,
        line=line,
        events=log,
        entries=entries,
        who_runs=_who_runs(session, line.job.target_id, entries),
        unserved=unserved(session, now, line.job.unserved),
        evaluation=found,
        sustained=sustained.read(session, job_id),
        energies=metering.of_job(session, job_id, _MOST_ENERGIES),
        latency=_latency(session, found),
    )


def _latency(session: Session, evaluation: Evaluation | None) -> Entry | None:
    if evaluation is None:
        return None
    found = measurements.entry(session, evaluation.target_id, evaluation.model.sha256)
    return None if found is None else isolated.to_wire(found)


def _who_runs(session: Session, target_id: str, entries: Sequence[Entry]) -> dict[str, str]:
    models = [entry.subject_hash for entry in entries if entry.kind == "model"]
    if not models:
        return {}
    identity = TargetIdentity.model_validate_json(require_target(session, target_id).identity)
    few = VisitQuery(limit=_TELLING_VISITS)
    visits = {digest: details.visits(session, target_id, digest, few).items for digest in models}
    return {digest: who_runs(identity, found) for digest, found in visits.items()}
