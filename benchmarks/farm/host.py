"""Sessions on this machine."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.farm.attempts import Session, attempt, table_lease
from device_agent.host.device import LocalDevice
from device_agent.host.identity import host_device, leave_core
from netspec.protocol import MeasurementProtocol
from netspec.statistics import estimate


@contextmanager
def this_machine(protocol: MeasurementProtocol) -> Iterator[LocalDevice]:
    """This machine, while this process keeps off the measured core.

    Afterwards it may use that core again: else the next session would be measured on another one,
    where this process runs, too.
    """
    device = host_device(protocol)
    allowed = os.sched_getaffinity(0) if device.core is not None else set()
    leave_core(device.core)
    try:
        yield device
    finally:
        device.close()
        if allowed:
            os.sched_setaffinity(0, allowed)


def host_sessions(operators: int | None, rounds: int, sessions: int) -> list[Session]:
    """So many sessions one after the other, each with a runner of its own."""
    protocol = MeasurementProtocol()
    made: list[Session] = []
    with tempfile.TemporaryDirectory() as models:
        for _ in range(sessions):
            with this_machine(protocol) as device, tempfile.TemporaryDirectory() as folder:
                lease = table_lease(operators, rounds, device.identity.id)
                session = attempt(device, protocol, lease, Path(folder), Path(models))
            for task in lease.tasks:
                own = [one for one in session.visits if one.task_id == task.task_id]
                accepted = [one.statistics for one in own if not one.rejected]
                if accepted:
                    session.entries_ms[task.task_id] = estimate(accepted).value_ms
            made.append(session)
    return made
