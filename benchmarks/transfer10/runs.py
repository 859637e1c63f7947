"""Runs models as one of the devices: a model's path a line on stdin, its runs in us on stdout.

Started with the Python that holds the device's runtime, as `python -m benchmarks.transfer10.runs
KERNELS THREADS CORES`; it needs numpy and the runtime alone.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
import time
from typing import Any

import numpy as np

from device_agent.runners.runtime import interpreter_class
from netspec.delegation import delegation

_WARMUP_NS, _MEASURE_NS = 2_000_000, 6_000_000
_LEAST_RUNS = 2


def main() -> None:
    """Answers until stdin ends."""
    kernels, threads, cores = sys.argv[1:]
    os.sched_setaffinity(0, map(int, cores.split(",")))
    made = interpreter_class()
    options: dict[str, Any] = {"num_threads": int(threads)}
    if kernels == "builtin":
        module = importlib.import_module(made.__module__)
        options["experimental_op_resolver_type"] = (
            module.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
        )
    expected = "none" if kernels == "builtin" else "full"
    for line in sys.stdin:
        interpreter = made(model_path=line.strip(), **options)
        interpreter.allocate_tensors()
        if (taken := delegation(interpreter)) != expected:
            sys.exit(f"{line.strip()}: XNNPACK took {taken} of the graph, expected {expected}")
        for detail in interpreter.get_input_details():
            values = np.random.default_rng(0).integers(-100, 100, detail["shape"])
            interpreter.set_tensor(
                detail["index"],
                (values / 100 if detail["dtype"] is np.float32 else values).astype(detail["dtype"]),
            )
        interpreter.invoke()
        _timed(interpreter, _WARMUP_NS)
        print(json.dumps(_timed(interpreter, _MEASURE_NS)), flush=True)


def _timed(interpreter: Any, at_least_ns: int) -> list[float]:
    runs: list[float] = []
    left = at_least_ns
    while left > 0 or len(runs) < _LEAST_RUNS:
        before = time.perf_counter_ns()
        interpreter.invoke()
        spent = time.perf_counter_ns() - before
        runs.append(spent / 1000)
        left -= spent
    return runs


if __name__ == "__main__":
    main()
