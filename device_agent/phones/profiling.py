"""What a phone's launch with profiling tells of a network's operators."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import structlog

from device_agent.benchmark_model.evidence import require_delegation
from device_agent.benchmark_model.output import parse_output
from device_agent.benchmark_model.profile import parse_profile
from device_agent.errors import DeviceNotReady, RunnerFailed, VisitFailed
from device_agent.phones.files import PhoneFiles
from device_agent.phones.trial import launch_trial, pushed_trial_model
from device_agent.runners.kernels import times_of
from device_agent.runners.probe_operator import ANCHOR_OPERATOR
from device_agent.text import one_line
from device_agent.transports.base import ShellResult, Transport
from netspec.operators import Operator
from netspec.protocol import Delegate
from netspec.wire import ISOLATED, Profile, TaskMethod

_US_PER_MS = 1000

_log = structlog.get_logger()


def read_profile(
    launch: ShellResult,
    operators: Sequence[Operator],
    delegate: Delegate,
    allow_partial: bool = False,
) -> Profile:
    """The profile that a launch printed.

    The tool prints means of the runs, in whole us.

    Args:
        launch: of the runner.
        operators: of the network that ran; none of an uploaded model.
        delegate: that must have run it.
        allow_partial: whether it may have left operators to other kernels.

    Raises:
        VisitFailed: the launch failed, or its profile is not the network's.
    """
    if launch.exit_code:
        raise RunnerFailed(
            f"benchmark_model ended with exit code {launch.exit_code} when it was to profile"
        )
    output = parse_output(launch.output)
    require_delegation(launch.output, delegate, allow_partial=allow_partial)
    nodes = parse_profile(launch.output)
    means_us = np.array([[node.average_ms for node in nodes]]) * _US_PER_MS
    times_us, kernels = times_of(operators, [node.kind for node in nodes], means_us)
    return Profile(
        operators_us=tuple(times_us[0].round(3).tolist()),
        statistic="mean",
        count=output.measured.count,
        network_us=output.measured.mean_us,
        kernels=kernels,
    )


def methods_of(
    transport: Transport,
    files: PhoneFiles,
    command: Sequence[str],
    delegate: Delegate,
) -> tuple[TaskMethod, ...]:
    """How tasks can be measured with the phone's runner: it is tried with a small operator.

    Args:
        transport: connected.
        files: the phone's.
        command: program and flags of a launch that profiles.
        delegate: that must run it.
    """
    try:
        launch = launch_trial(transport, command, pushed_trial_model(files))
        read_profile(launch, [ANCHOR_OPERATOR], delegate)
    except (VisitFailed, DeviceNotReady) as error:
        why = one_line(error)[:300]
        _log.warning("no profiles of operators", device=transport.serial, why=why)
        return (ISOLATED,)
    return (ISOLATED, "in_network")
