"""From the kernels that a host's visit timed to the profile of its operators."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import structlog

from device_agent.errors import DeviceNotReady, VisitFailed
from device_agent.runners.base import Runner
from device_agent.runners.kernels import times_of
from device_agent.runners.probe_operator import ANCHOR_OPERATOR
from device_agent.text import one_line
from netspec.operators import Operator
from netspec.protocol import MeasurementProtocol
from netspec.statistics import low_run
from netspec.tflite import encode
from netspec.wire import ISOLATED, Profile, TaskMethod

_log = structlog.get_logger()


def read_profile(
    operators: Sequence[Operator], visit: dict[str, Any]
) -> tuple[Profile, dict[str, Any]]:
    """The profile, and what of it is kept as raw text.

    Each operator by itself: a disturbed run mostly hits one of them, and the others stay good.

    Args:
        operators: of the network that ran; none of an uploaded model.
        visit: what `profiled_runs.profile_runs` gave.

    Raises:
        ProfileMismatch: the kernels are not the operators' layers.
    """
    kinds: list[str] = visit["kinds"]
    kernels_us = np.array(visit["kernels_us"], dtype=np.float64)
    times_us, kernels = times_of(operators, kinds, kernels_us)
    runs_us = np.array(visit["runs_ns"], dtype=np.float64) / 1000
    profile = Profile(
        operators_us=tuple(low_run(times_us).tolist()),
        statistic="p5",
        count=len(runs_us),
        network_us=float(low_run(runs_us)),
        kernels=kernels,
    )
    kept = low_run(kernels_us).tolist()
    return profile, {"kinds": kinds, "kernels_p5_us": kept, "count": len(runs_us)}


def methods_of(runner: Runner, protocol: MeasurementProtocol) -> tuple[TaskMethod, ...]:
    """How tasks can be measured with the runner: it is tried with a small operator."""
    with tempfile.TemporaryDirectory() as folder:
        model = Path(folder) / "probe.tflite"
        model.write_bytes(encode([ANCHOR_OPERATOR]))
        try:
            runner.begin(model, protocol, [ANCHOR_OPERATOR])
            runner.finish()
        except (VisitFailed, DeviceNotReady) as error:
            _log.warning("no profiles of operators", why=one_line(error))
            return (ISOLATED,)
        finally:
            # The next visit starts it again, where the agent has moved by then.
            runner.close()
    return (ISOLATED, "in_network")
