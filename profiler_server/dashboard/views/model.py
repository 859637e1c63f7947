"""What the page of an uploaded model on one target shows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from sqlalchemy import select
from sqlalchemy.orm import Session

from netspec.launches import Launch, delegation_text, read_launch, typical_launch
from netspec.protocol import TargetIdentity
from netspec.wire import Entry, StoredVisit, Visit, VisitQuery
from profiler_server.dashboard.views.jobs import job as jobs_view
from profiler_server.dashboard.views.jobs.job import JobLine
from profiler_server.devices.service import require_target
from profiler_server.entries import details, isolated, repository
from profiler_server.jobs import service as jobs
from profiler_server.jobs.rows import JobRow, TaskRow
from profiler_server.kit.problems import Problem
from profiler_server.kit.sql.reach import narrowed
from profiler_server.reach.conditions import of_jobs
from profiler_server.subjects.rows import SubjectRow

#: whose launches are looked at; of the same file they say the same
_TELLING_VISITS = 20


@dataclass(frozen=True)
class Kernel:
    """A kernel of the model, or all of one name."""

    name: str
    #: ms of one run
    ms: float
    #: of all kernels
    share: float
    #: how many it stands for
    count: int = 1


@dataclass(frozen=True)
class ModelView:
    """The page."""

    name: str
    identity: TargetIdentity
    #: None: it is not measured yet
    entry: Entry | None
    #: the newest job that measures it here
    job: JobLine | None
    launch: Launch
    #: how much of the graph the delegate runs; empty: not known
    who_runs: str
    #: in the order of running; empty: no visit has a profile
    kernels: Sequence[Kernel]

    @property
    def by_name(self) -> list[Kernel]:
        """The kernels of each name together, those that take most first."""
        groups: dict[str, list[Kernel]] = {}
        for kernel in self.kernels:
            groups.setdefault(kernel.name, []).append(kernel)
        together = [
            Kernel(name, sum(one.ms for one in of), sum(one.share for one in of), len(of))
            for name, of in groups.items()
        ]
        return sorted(together, key=lambda one: -one.ms)


def read(session: Session, target_id: str, sha256: str) -> ModelView:
    """The page.

    Raises:
        Problem: `unknown-target` or `unknown-model`.
    """
    identity = TargetIdentity.model_validate_json(require_target(session, target_id).identity)
    subject = session.get(SubjectRow, sha256)
    if subject is None or subject.kind != "model":
        raise Problem("unknown-model", "no model with this hash was ever to be measured here")
    found = repository.entry(session, target_id, sha256)
    query = VisitQuery(limit=_TELLING_VISITS)
    stored = details.visits(session, target_id, sha256, query).items
    visits = [one.visit for one in stored if _counts(one)]
    launch = typical_launch(read_launch(visit.raw) for visit in visits if visit.raw)
    return ModelView(
        name=subject.name,
        identity=identity,
        entry=None if found is None else isolated.to_wire(found),
        job=_newest_job(session, target_id, sha256),
        launch=launch,
        who_runs=delegation_text(identity.delegate, launch),
        kernels=_kernels(visits),
    )


def _counts(stored: StoredVisit) -> bool:
    return not stored.visit.rejected and stored.retraction is None


def _newest_job(session: Session, target_id: str, sha256: str) -> JobLine | None:
    rows = (
        select(JobRow.id)
        .join(TaskRow, TaskRow.job_id == JobRow.id)
        .where(TaskRow.target_id == target_id, TaskRow.subject_hash == sha256)
        .order_by(JobRow.created_at.desc(), JobRow.id.desc())
        .limit(1)
    )
    newest = session.scalar(narrowed(session, rows, of_jobs(JobRow.id)))
    return None if newest is None else jobs_view.lines(session, [jobs.get(session, newest)])[0]


def _kernels(visits: Sequence[Visit]) -> list[Kernel]:
    """Each kernel's mean over the profiles of the newest kind."""
    profiles = [visit.profile for visit in visits if visit.profile and visit.profile.kernels]
    if not profiles:
        return []
    names = profiles[-1].kernels
    alike = [profile.operators_us for profile in profiles if profile.kernels == names]
    means_us = [fmean(times) for times in zip(*alike, strict=True)]
    total_us = sum(means_us) or 1.0
    return [
        Kernel(name, us / 1_000, us / total_us) for name, us in zip(names, means_us, strict=True)
    ]
