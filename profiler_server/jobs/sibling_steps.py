"""Jobs that make a target's table out of a sibling's and a few visits.

First what the server chooses is measured. As soon as that is done, the rest is filled in with
intervals, and, within a budget, those operators are measured whose intervals leave the most doubt.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy.orm import Session

from netspec.operators import PRECISIONS, Precision
from netspec.validation import FrozenModel
from netspec.wire import SiblingTransfer, Subject
from profiler_server.devices import repository as devices
from profiler_server.devices.service import require_target
from profiler_server.jobs import siblings
from profiler_server.kit.problems import Problem

#: further operators that one step measures
_STEP = 8


class SiblingPlan(FrozenModel):
    """What a job may still do."""

    source_target_id: str
    precisions: tuple[Precision, ...]
    #: operators that may still be measured
    budget: int
    #: expected error of a network's sum that ends it, percent
    enough_percent: float


@dataclass(frozen=True)
class Filled:
    """What one step came to."""

    #: to measure next; none: the job is done
    subjects: tuple[Subject, ...]
    #: None where there are none
    plan: SiblingPlan | None
    #: expected error of a network's sum, of the worse precision; None: too little was measured
    table_error_percent: float | None


def first_step(
    session: Session, target_id: str, wanted: SiblingTransfer, precisions: Sequence[Precision]
) -> tuple[list[Subject], SiblingPlan]:
    """What to measure first.

    Args:
        session: reads.
        target_id: that gets a table.
        wanted: from where, and how much may be measured.
        precisions: only these; none: those that the source has.

    Raises:
        Problem: `unknown-target`, or `not-transferable`: the source has no table, or is the target.
    """
    source_id = require_target(session, wanted.source_target_id).id
    if source_id == target_id:
        raise Problem("not-transferable", f"{target_id} is the source itself; name another target")
    subjects: list[Subject] = []
    present: list[Precision] = []
    for precision in precisions or PRECISIONS:
        found = siblings.read(session, source_id, target_id, precision)
        if found is not None:
            present.append(precision)
            subjects += found.subjects(found.table.choose(wanted.visits, found.own))
    if not present:
        raise Problem(
            "not-transferable",
            f"target {source_id} has no table to transfer; GET /v1/targets shows how many entries "
            "each has",
        )
    return subjects, SiblingPlan(
        source_target_id=source_id,
        precisions=tuple(present),
        budget=wanted.budget,
        enough_percent=wanted.enough_percent,
    )


def next_step(session: Session, target_id: str, plan: SiblingPlan) -> Filled:
    """Fills the target's table from what is measured now, and chooses what comes next.

    Args:
        session: a writing transaction.
        target_id: that gets a table.
        plan: of the job, whose tasks are all closed.
    """
    devices.lock_targets(session, {target_id})
    subjects: list[Subject] = []
    errors: list[float] = []
    for precision in plan.precisions:
        found = siblings.read(session, plan.source_target_id, target_id, precision)
        table = None if found is None else found.table.bring_over(found.own)
        if found is None or table is None:
            errors.append(math.inf)
            continue
        siblings.fill(session, target_id, found, table)
        errors.append(table.sum_percent)
        if table.sum_percent > plan.enough_percent:
            left = plan.budget - len(subjects)
            subjects += found.subjects(table.doubtful[: min(_STEP, left)])
    worst = max(errors)
    rest = plan.model_copy(update={"budget": plan.budget - len(subjects)})
    return Filled(
        subjects=tuple(subjects),
        plan=rest if subjects else None,
        table_error_percent=worst if math.isfinite(worst) else None,
    )
