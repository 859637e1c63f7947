"""How leases end, and what becomes of their tasks and their device."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy.orm import Session

from netspec.wire import TaskOutcome
from profiler_server.devices import repository as devices
from profiler_server.devices.rows import DeviceRow
from profiler_server.events import repository as events
from profiler_server.events.rows import EventKind
from profiler_server.jobs import endings
from profiler_server.jobs import task_repository as tasks
from profiler_server.kit.settings import Settings
from profiler_server.kit.work_notices import announce
from profiler_server.leases import repository
from profiler_server.leases.retries import (
    MOST_FAILURES,
    is_poison,
    rest_of_device,
    rest_of_task,
)
from profiler_server.leases.rows import LeaseRow


def end_old(
    session: Session, settings: Settings, device: DeviceRow, now: datetime, *, supersede: bool
) -> None:
    """Ends what was not renewed in time, and, with `supersede`, what the device still holds."""
    ended = [(lease, EventKind.LEASE_EXPIRED) for lease in repository.expire(session, now)]
    for lease in repository.supersede(session, device.id) if supersede else ():
        ended.append((lease, EventKind.LEASE_SUPERSEDED))
        _rest(settings, device, now, fruitless=not repository.has_visits(session, lease))
    if ended and tasks.give_back(session, [lease.id for lease, _ in ended]):
        announce(session)
    for lease, kind in ended:
        events.append(
            session,
            now,
            kind,
            lease_id=lease.id,
            device_id=lease.device_id,
            target_id=lease.target_id,
        )


def end_released(
    session: Session,
    settings: Settings,
    device: DeviceRow,
    lease: LeaseRow,
    outcomes: Sequence[TaskOutcome],
    now: datetime,
) -> bool:
    """Counts the failures of a released lease, and returns what it holds to the queue.

    Returns:
        Whether any task went back.
    """
    if any(outcome.state == "failed" for outcome in outcomes):
        # A task that is given up may be a job's last one, and then its target's table is filled;
        # a target is locked before tasks.
        devices.lock_targets(session, {lease.target_id})
    # The outcomes come in the agent's order.
    held = tasks.lock_held(session, lease.id)
    has_visits = repository.has_visits(session, lease)
    failed = {
        outcome.task_id: outcome
        for outcome in outcomes
        if outcome.state == "failed" and outcome.task_id in held
    }
    # The counts of their jobs in one order, as everywhere.
    in_order = sorted(failed.values(), key=lambda outcome: held[outcome.task_id])
    if has_visits or failed:
        _rest(settings, device, now, fruitless=not has_visits)
    given_up = [
        outcome.task_id for outcome in in_order if _gives_up(session, settings, lease, outcome, now)
    ]
    back = len(failed) - len(given_up) + tasks.give_back(session, [lease.id])
    endings.follow(session, given_up)
    events.append(
        session,
        now,
        EventKind.LEASE_RELEASED,
        lease_id=lease.id,
        device_id=device.id,
        target_id=lease.target_id,
        back=back,
    )
    if back:
        announce(session)
    return back > 0


def _rest(settings: Settings, device: DeviceRow, now: datetime, *, fruitless: bool) -> None:
    device.fruitless = device.fruitless + 1 if fruitless else 0
    rest_s = rest_of_device(device.fruitless, settings.retry_backoff_s)
    device.rests_until = now + timedelta(seconds=rest_s) if rest_s else None


def _gives_up(
    session: Session, settings: Settings, lease: LeaseRow, outcome: TaskOutcome, now: datetime
) -> bool:
    """Counts a failure: the task is given up, or goes back to the queue."""
    task = tasks.task(session, outcome.task_id)
    failures = task.failures + 1
    reason = outcome.reason or "the agent gave no reason"
    tasks.note_failure(session, outcome.task_id, lease.device_id, reason, now)
    if failures >= MOST_FAILURES:
        by_device = tasks.failures_by_device(session, outcome.task_id)
        others = devices.has_others(session, lease.target_id, task.method, lease.device_id, now)
        if is_poison(by_device, others=others):
            tasks.give_up(session, outcome.task_id, failures, reason)
            events.append(
                session,
                now,
                EventKind.TASK_FAILED,
                task_id=outcome.task_id,
                job_id=task.job_id,
                device_id=lease.device_id,
                target_id=lease.target_id,
                reason=reason,
            )
            return True
    retry_at = now + timedelta(seconds=rest_of_task(failures, settings.retry_backoff_s))
    tasks.retry_later(session, outcome.task_id, failures, reason, retry_at)
    return False
