"""The runner is tried with a small operator before any task meets it."""

from __future__ import annotations

import shlex
import tempfile
from collections.abc import Sequence
from pathlib import Path

from device_agent.benchmark_model.evidence import check_backend, require_delegation
from device_agent.benchmark_model.failures import delegate_failure, ending, lacks_npu, start_failure
from device_agent.benchmark_model.output import parse_output
from device_agent.errors import DelegateRefused, VisitFailed
from device_agent.phones.files import PhoneFiles
from device_agent.runners.probe_operator import ANCHOR_OPERATOR
from device_agent.text import one_line
from device_agent.transports.base import ShellResult, Transport
from netspec.protocol import Delegate
from netspec.tflite import encode

#: two phases of a fraction of a second each, and delegates that compile
TRIAL_S = 120.0
_MAX_WORDS = 300


def trial_model() -> bytes:
    """The small operator's `.tflite` file."""
    return encode([ANCHOR_OPERATOR])


def pushed_trial_model(files: PhoneFiles) -> str:
    """Push the small operator's model; where it is on the phone."""
    with tempfile.TemporaryDirectory() as folder:
        model = Path(folder) / "probe.tflite"
        model.write_bytes(trial_model())
        return str(files.folders.models / files.push_models([model])[model])


def launch_trial(transport: Transport, command: Sequence[str], graph: str) -> ShellResult:
    """Launches a program, with its flags, on a model of the phone's."""
    line = f"{shlex.join([*command, f'--graph={graph}'])} 2>&1"
    return transport.shell(line, timeout_s=TRIAL_S)


def trial_problem(launch: ShellResult, delegate: Delegate, options: Sequence[str]) -> str:
    """Why the runner is of no use on the phone, with what to do; empty where it is.

    An accelerator may refuse this operator and take others, so that is no problem.
    """
    if cause := start_failure(launch.output, launch.exit_code):
        return cause
    refused, problem = delegate_failure(launch.output), ""
    try:
        parse_output(launch.output).statistics()
        require_delegation(launch.output, delegate)
        check_backend(launch.output, options)
    except DelegateRefused as error:
        refused = refused or one_line(error)
    except VisitFailed as error:
        problem = one_line(error)[:_MAX_WORDS]
    if refused:
        takes_others = delegate in ("nnapi", "npu") and not lacks_npu(launch.output)
        return "" if takes_others else f"{delegate} does not work here: {refused}"
    if launch.exit_code:
        words = one_line(launch.output)[-_MAX_WORDS:] or "nothing"
        return f"it {ending(launch.exit_code)} on a small model; it said: {words}"
    return problem
