"""Where a job is measured."""

from __future__ import annotations

from sqlalchemy.orm import Session

from netspec.wire import ISOLATED, TargetSelector, TaskMethod
from profiler_server.devices import repository as devices
from profiler_server.devices.selection import select_targets
from profiler_server.devices.service import require_target
from profiler_server.entries import repository as measurements
from profiler_server.jobs.expansion import LACKING
from profiler_server.kit.problems import Problem


def chosen(
    session: Session, target_id: str | None, selector: TargetSelector | None, method: TaskMethod
) -> list[str]:
    """The targets that a request names or selects, by id.

    Args:
        session: a transaction.
        target_id: the one; None: there is a selector.
        selector: of several.
        method: by which is measured.

    Raises:
        Problem: `unknown-target`, `imported-target`, `nothing-selected` or `method-not-supported`.
    """
    if selector is not None:
        return select_targets(session, selector, method)
    target_id = require_target(session, target_id or "").id
    served = devices.measures(session, target_id, method)
    if measurements.is_imported(session, target_id) and not served:
        raise Problem(
            "imported-target",
            f"target {target_id} is an imported table, which no device can measure; name a target "
            "that a device has: GET /v1/devices shows them",
        )
    # Isolated tasks wait until a device comes, which the job says: `unserved`.
    if not served and (why := LACKING.get(method)):
        raise Problem(
            "method-not-supported",
            f"no device of target {target_id} {why}. GET /v1/devices shows what each can",
        )
    if method != ISOLATED and not served:
        raise Problem(
            "method-not-supported",
            f"no device of target {target_id} can measure {method}; GET /v1/devices "
            f"shows what each can; leave `method` out to measure {ISOLATED}",
        )
    return [target_id]
