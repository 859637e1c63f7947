"""The inside of a visit: load a model, see who runs it, warm up, time its runs.

Runs in a process of its own, which ends with the visit.
"""

from __future__ import annotations

import gc
import resource
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import numpy as np
import numpy.typing as npt

# numpy loads its random module on first use: once here, not in every child.
from numpy.random import default_rng

from device_agent.runners.orders import VisitOrder
from device_agent.runners.profiled_runs import profile_runs
from device_agent.runners.runtime import interpreter_class
from netspec.delegation import delegation, operator_counts

#: loaded once, here: a child finds it in its memory
Interpreter = interpreter_class()

_NS_PER_MS = 1_000_000
#: of what `getrusage` counts memory in
_BYTES_PER_UNIT = 1 if sys.platform == "darwin" else 1024
_MIN_WARMUP_RUNS = 2
#: a run that lasts longer than its thread had the core, by more than this, was interrupted
_CLEAN_RATIO = 1.02
_CLEAN_NS = 20_000
#: of the random input, and how many values of it are made
_SEED = 0
_BLOCK = 1 << 16
#: random once, here: a child only copies them
_FLOATS = default_rng(_SEED).uniform(-1, 1, _BLOCK).astype(np.float32)
_BYTES = default_rng(_SEED).integers(0, 256, _BLOCK, np.uint8)
_PARTS = {"none": "nothing", "partial": "only a part"}


def make_visit(
    order: VisitOrder, loaded: Callable[[], object], over: Callable[[], object]
) -> dict[str, Any]:
    """The visit's times in ns and what ran it, or `error` (a class of `errors`) and `message`.

    Args:
        order: what to do.
        loaded: called when the model is loaded.
        over: called when the last run is over.
    """
    memory_before = peak_bytes()
    started = time.perf_counter_ns()
    try:
        interpreter = Interpreter(model_path=order.model, num_threads=1)
        interpreter.allocate_tensors()
        ready = time.perf_counter_ns()
        _fill_inputs(interpreter)
        loaded()
        filled = time.perf_counter_ns()
        interpreter.invoke()
    except (ValueError, RuntimeError) as error:
        return {"error": "ModelRefused", "message": f"LiteRT refused the model: {error}"}
    first = time.perf_counter_ns()
    # Later runs need no more, and what notes their times is no part of the model.
    memory = peak_bytes() - memory_before
    gc.disable()
    warmup, _ = _timed(interpreter, order.warmup_ms, _MIN_WARMUP_RUNS, order.max_runs)
    runs, used = _timed(interpreter, order.measure_ms, order.min_runs, order.max_runs)
    profile: dict[str, Any] = {}
    if order.profile:
        profile = profile_runs(order, _inputs(interpreter))
    over()
    # Who ran it is looked at now that the core is free: what is refused then is rare.
    taken, counts = delegation(interpreter), operator_counts(interpreter)
    if taken == "none" or (taken == "partial" and not order.allow_partial):
        others = ", ".join(counts.undelegated) or "the way between its parts"
        return {
            "error": "DelegateRefused",
            "message": f"XNNPACK took {_PARTS[taken]} of the graph, expected all of it; it left "
            f"{others} to other kernels: change these operators, or their types",
        }
    clean = sum(1 for run, own in zip(runs, used, strict=True) if _is_clean(run, own))
    visit = {
        "order": asdict(order),
        "delegation": taken,
        **asdict(counts),
        "load_ns": ready - started,
        "first_run_ns": first - filled,
        "peak_memory_bytes": memory,
        "warmup_runs": len(warmup),
        "warmup_ns": sum(warmup),
        "runs_ns": runs,
        "clean_share": clean / len(runs),
        "busy_share": max(0.0, 1 - sum(used) / sum(runs)),
    }
    if "error" not in profile:
        return {**visit, "profile": profile} if profile else visit
    # What an own model's kernels take is told beside its latency, not needed for it.
    return {**visit, "no_profile": profile["message"]} if order.allow_partial else profile


def peak_bytes() -> int:
    """The most resident memory that this process has had, bytes; a fork begins with its own."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * _BYTES_PER_UNIT


def _fill_inputs(interpreter: Any) -> None:
    """Random values: zeros, and float32 denormals, can run at another speed."""
    for detail in interpreter.get_input_details():
        _fill(interpreter.tensor(detail["index"])())


def _inputs(interpreter: Any) -> list[bytes]:
    """The same values, of each input."""
    details = interpreter.get_input_details()
    tensors = [np.empty(tuple(one["shape"]), np.dtype(one["dtype"])) for one in details]
    for tensor in tensors:
        _fill(tensor)
    return [tensor.tobytes() for tensor in tensors]


def _fill(tensor: npt.NDArray[Any]) -> None:
    """Fills a tensor where it lies; its values repeat after a block, which no kernel knows."""
    if np.issubdtype(tensor.dtype, np.integer):
        flat, block = tensor.reshape(-1).view(np.uint8), _BYTES
    else:
        flat, block = tensor.reshape(-1), _FLOATS
    for begin in range(0, flat.size, _BLOCK):
        part = flat[begin : begin + _BLOCK]
        part[:] = block[: part.size]


def _is_clean(run_ns: int, own_ns: int) -> bool:
    """Whether the core was this process's own during a run."""
    return run_ns <= own_ns * _CLEAN_RATIO + _CLEAN_NS


def _timed(
    interpreter: Any, at_least_ms: float, min_runs: int, max_runs: int
) -> tuple[list[int], list[int]]:
    """Times of runs, and the time the thread had the core in each, in ns.

    At least so long and so many, but never more than `max_runs`.
    """
    clock, own_clock, invoke = time.perf_counter_ns, time.thread_time_ns, interpreter.invoke
    runs: list[int] = []
    used: list[int] = []
    remaining_ns = at_least_ms * _NS_PER_MS
    limit = max(min_runs, max_runs)
    while len(runs) < limit and (remaining_ns > 0 or len(runs) < min_runs):
        own_before = own_clock()
        before = clock()
        invoke()
        spent = clock() - before
        used.append(own_clock() - own_before)
        runs.append(spent)
        remaining_ns -= spent
    return runs, used
