"""The inside of a profile: runs of a model in which every kernel is timed.

Runs in the process of its visit, after the visit's own runs.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from device_agent.runners.litert_library import LibraryUnusable, ProfiledModel
from device_agent.runners.orders import VisitOrder

_NS_PER_MS = 1_000_000
_MIN_WARMUP_RUNS = 2


def profile_runs(order: VisitOrder, inputs: Sequence[bytes]) -> dict[str, Any]:
    """Kinds of the kernels, their times in us run by run, and the runs' times in ns.

    Or `error` (a class of `errors`) and `message`.
    """
    try:
        with ProfiledModel(order.model, inputs, allow_partial=order.allow_partial) as model:
            remaining_ns = order.warmup_ms * _NS_PER_MS
            warmups = 0
            while remaining_ns > 0 or warmups < _MIN_WARMUP_RUNS:
                remaining_ns -= _timed(model)
                warmups += 1
            return _profiled(model, order)
    except LibraryUnusable as error:
        return {"error": "RunnerFailed", "message": f"LiteRT gives no profile: {error}"}


def _profiled(model: ProfiledModel, order: VisitOrder) -> dict[str, Any]:
    kinds: list[tuple[str, ...]] = []
    kernels_us: list[list[int]] = []
    runs_ns: list[int] = []
    remaining_ns = order.measure_ms * _NS_PER_MS
    limit = max(order.min_runs, order.max_runs)
    while len(runs_ns) < limit and (remaining_ns > 0 or len(runs_ns) < order.min_runs):
        model.start()
        spent = _timed(model)
        kernels = model.stop()
        kinds.append(tuple(kind for kind, _ in kernels))
        kernels_us.append([us for _, us in kernels])
        runs_ns.append(spent)
        remaining_ns -= spent
    if len(set(kinds)) > 1:
        raise LibraryUnusable("two runs of one model ran other kernels")
    return {"kinds": kinds[0], "kernels_us": kernels_us, "runs_ns": runs_ns}


def _timed(model: ProfiledModel) -> int:
    before = time.perf_counter_ns()
    model.run()
    return time.perf_counter_ns() - before
