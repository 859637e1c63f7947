"""Sessions on this machine."""

from __future__ import annotations

import tempfile
from pathlib import Path

from benchmarks.farm.attempts import Session, attempt, table_lease
from device_agent.host.identity import host_device, leave_core
from netspec.protocol import MeasurementProtocol
from netspec.statistics import estimate


def host_sessions(operators: int | None, rounds: int, sessions: int) -> list[Session]:
    """So many sessions one after the other, each with a runner of its own."""
    protocol = MeasurementProtocol()
    this_machine = host_device(protocol)
    lease = table_lease(operators, rounds, this_machine.identity.id)
    leave_core(this_machine.core)
    made: list[Session] = []
    with tempfile.TemporaryDirectory() as models:
        for _ in range(sessions):
            device = host_device(protocol)
            try:
                with tempfile.TemporaryDirectory() as folder:
                    session = attempt(device, protocol, lease, Path(folder), Path(models))
            finally:
                device.close()
            for task in lease.tasks:
                own = [one for one in session.visits if one.task_id == task.task_id]
                accepted = [one.statistics for one in own if not one.rejected]
                if accepted:
                    session.entries_ms[task.task_id] = estimate(accepted).value_ms
            made.append(session)
    return made
