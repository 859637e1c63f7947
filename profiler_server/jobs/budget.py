"""Jobs with a budget: of the operators without entry only those that tell most of the others.

They are picked in steps: as soon as the operators of one are measured, what they say decides which
come next, until the budget is spent or sums over the table are expected to be good enough.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from pydantic import TypeAdapter
from sqlalchemy.orm import Session

from netspec.operators import PRECISIONS, Operator, Precision
from netspec.validation import FrozenModel
from netspec.wire import JobRequest, OperatorSubject, Subject
from profiler_server.entries import repository as measurements
from profiler_server.entries.derived_repository import FITTED
from profiler_server.entries.priced_operators import priced, table_of
from profiler_server.jobs import plan_repository as repository
from profiler_server.jobs import sibling_steps
from profiler_server.jobs import task_repository as tasks
from profiler_server.jobs.repository import has_open_tasks, lock_job
from profiler_server.jobs.rows import JobRow, TaskRow, TaskState
from profiler_server.jobs.sibling_steps import SiblingPlan
from profiler_server.kit.work_notices import announce
from profiler_server.latency_model.adaptive import next_operators, table_error
from profiler_server.latency_model.design import Priced
from profiler_server.latency_model.predictor import LEAST_ENTRIES
from profiler_server.subjects.repository import ensure_subjects

#: of the operators that a job may pick from, one step measures this share
STEP_SHARE = 0.1
#: and at least so many: visits of few operators are hardly spread over time
LEAST_STEP = 8


class BudgetPlan(FrozenModel):
    """What a job may still pick."""

    #: hashes of operators that are not picked yet
    candidates: tuple[str, ...]
    #: operators that may still be picked
    budget: int
    #: operators that a step picks
    step: int
    #: expected error of a network's sum that ends it, relative; 0: only the budget ends it
    enough: float
    #: how often a random network of the job's spaces contains each operator, by hash; those that
    #: are not named were asked for by themselves: always
    shares: dict[str, float]


#: of a job with a budget, or with a sibling
_PLAN: TypeAdapter[BudgetPlan | SiblingPlan] = TypeAdapter(BudgetPlan | SiblingPlan)


@dataclass(frozen=True)
class Picked:
    """What one step measures, and what is left for the next."""

    operators: frozenset[Operator]
    #: None: nothing
    plan: BudgetPlan | None
    #: expected error of a network's sum before this step; None: not known
    table_error_percent: float | None


def first_step(
    session: Session, target_id: str, request: JobRequest, subjects: Sequence[Subject]
) -> tuple[list[Subject], Picked]:
    """The job's subjects without the operators that are not measured yet, if ever.

    Operators with an entry, networks and models stay: the budget is for operators that nothing
    is known of.

    Args:
        session: reads.
        target_id: whose entries decide.
        request: has a budget.
        subjects: of the request.
    """
    wanted = [subject.operator for subject in subjects if isinstance(subject, OperatorSubject)]
    known = _known(session, target_id)
    unknown = [one for one in wanted if one not in known]
    plan = BudgetPlan(
        candidates=tuple(one.content_hash for one in unknown),
        budget=request.budget or 0,
        step=max(LEAST_STEP, math.ceil(STEP_SHARE * len(unknown))),
        enough=(request.enough_percent or 0.0) / 100,
        shares=_shares(request),
    )
    picked = _step(plan, wanted, unknown, known)
    later = set(unknown) - picked.operators
    kept = [
        subject
        for subject in subjects
        if not (isinstance(subject, OperatorSubject) and subject.operator in later)
    ]
    return kept, picked


def go_on(session: Session, task_ids: Collection[str]) -> None:
    """Takes the next step of jobs with a budget whose last open tasks these were.

    Args:
        session: a writing transaction that has closed the tasks.
        task_ids: done, or given up.
    """
    for job_id in repository.planned_jobs(session, task_ids):
        # Whoever closes a job's last task comes here, and waits for others that close some.
        job = lock_job(session, job_id)
        while (
            job.plan is not None
            and job.cancelled_at is None
            and not has_open_tasks(session, job_id)
        ):
            plan = _PLAN.validate_json(job.plan)
            if isinstance(plan, SiblingPlan):
                _fill(session, job, plan)
            else:
                _take_step(session, job, plan)


def _fill(session: Session, job: JobRow, plan: SiblingPlan) -> None:
    filled = sibling_steps.next_step(session, job.target_id, plan)
    job.plan = None if filled.plan is None else filled.plan.model_dump_json()
    job.table_error_percent = filled.table_error_percent
    session.flush()
    if filled.subjects:
        ensure_subjects(session, filled.subjects)
        _add_tasks(session, job, [one.content_hash for one in filled.subjects])


def _add_tasks(session: Session, job: JobRow, hashes: Sequence[str]) -> None:
    repository.add_tasks(session, job.id, hashes)
    counted = tasks.recounted(session, TaskRow.job_id == job.id)
    tasks.store_progress(session, counted, TaskState.REUSED)
    announce(session)


def _take_step(session: Session, job: JobRow, plan: BudgetPlan) -> None:
    known = _known(session, job.target_id)
    wanted = repository.operators(session, job.id, plan.candidates)
    candidates = set(plan.candidates)
    unknown = [one for one in wanted if one.content_hash in candidates and one not in known]
    picked = _step(plan, wanted, unknown, known)
    job.plan = None if picked.plan is None else picked.plan.model_dump_json()
    job.table_error_percent = picked.table_error_percent
    session.flush()
    if picked.operators:
        _add_tasks(session, job, [one.content_hash for one in wanted if one in picked.operators])


def _known(session: Session, target_id: str) -> dict[Operator, Priced]:
    found = measurements.entries_of_target(session, target_id)
    # What a sibling's table gave is no measurement.
    measured = [one for one in found if one[0].method != FITTED]
    return {
        operator: priced(entry)
        for precision in PRECISIONS
        for operator, entry in table_of(measured, precision).values()
    }


def _step(
    plan: BudgetPlan,
    wanted: Sequence[Operator],
    unknown: Sequence[Operator],
    known: Mapping[Operator, Priced],
) -> Picked:
    """The operators to measure next; each precision gets its share of the budget and the step."""
    chosen: set[Operator] = set()
    finished: set[Operator] = set()
    errors: list[float] = []
    remaining, budget = len(unknown), plan.budget
    for precision in PRECISIONS:
        every, own = _of(wanted, precision), _of(unknown, precision)
        if not every:
            continue
        measured = [(one, price) for one, price in known.items() if one.precision == precision]
        measured = [(one, price) for one, price in measured if price.value_ms > 0]
        shares = [plan.shares.get(one.content_hash, 1.0) for one in every]
        errors.append(_error(every, shares, measured, complete=not own))
        if not own:
            continue
        share = min(round(budget * len(own) / remaining), budget)
        remaining, budget = remaining - len(own), budget - share
        if errors[-1] <= plan.enough:
            finished.update(own)
            continue
        step = math.ceil(plan.step * len(own) / len(unknown))
        count = min(share, max(step, LEAST_ENTRIES - len(measured)))
        weights = [plan.shares.get(one.content_hash, 1.0) for one in own]
        chosen.update(next_operators(own, measured, count, weights))
    rest = [one.content_hash for one in unknown if one not in chosen | finished]
    spent = plan.budget - len(chosen)
    again = plan.model_copy(update={"candidates": tuple(rest), "budget": spent})
    worst = max(errors, default=math.inf)
    return Picked(
        operators=frozenset(chosen),
        # With nothing left to pick it still tells, once all is measured, how good the table is.
        plan=again if chosen else None,
        table_error_percent=100 * worst if math.isfinite(worst) else None,
    )


def _of(operators: Sequence[Operator], precision: Precision) -> list[Operator]:
    return [operator for operator in operators if operator.precision == precision]


def _shares(request: JobRequest) -> dict[str, float]:
    """How often a network contains each operator of the spaces, all choices alike."""
    shares: dict[str, float] = {}
    for space in request.spaces:
        for precision in request.precisions or (space.precision,):
            own = space.with_precision(precision)
            often: defaultdict[Operator, float] = defaultdict(float)
            for operator in (*own.fixed_start, *own.fixed_end):
                often[operator] += 1.0
            for block in own.blocks:
                for operator in block.candidates:
                    often[operator] += 1.0 / block.choices
            shares |= {operator.content_hash: share for operator, share in often.items()}
    return shares


def _error(
    wanted: Sequence[Operator],
    shares: Sequence[float],
    measured: Sequence[tuple[Operator, Priced]],
    *,
    complete: bool,
) -> float:
    """Of a network's sum, relative; infinity while too little is known."""
    if len(measured) >= LEAST_ENTRIES:
        return table_error(wanted, measured, shares)
    if not complete:
        return math.inf
    known = dict(measured)
    parts = [(known[one], share) for one, share in zip(wanted, shares, strict=True) if one in known]
    total_ms = sum(share * one.value_ms for one, share in parts)
    if total_ms == 0:
        return math.inf
    doubt = math.sqrt(sum(share * (p.value_ms * p.relative_error) ** 2 for p, share in parts))
    return doubt / total_ms
