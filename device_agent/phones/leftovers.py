"""What an agent that ended in the middle left on the phone: scripts, and the visits they made.

A script's last lines say, as comments, what its visits are for. So whoever finds the script and
its results can go on where the other one stopped.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import PurePosixPath

from device_agent.errors import FileRefused
from device_agent.measuring.device import VisitRequest
from device_agent.phones.files import QUICK_S, folders_on
from device_agent.phones.script import kill_command
from device_agent.transports.base import Transport
from netspec.operators import Operator, operator_from_key

_PLAN = "\n# plan "
_FETCH_S = 60.0


@dataclass(frozen=True)
class Plan:
    """What a script's visits are for."""

    target_id: str
    mark: str
    #: of each visit, what the caller gave
    labels: list[str]
    #: of each visit, keys of the operators that are profiled
    keys: list[list[str] | None]
    #: of each visit, whether the delegate may leave operators to other kernels
    allow_partial: list[bool]

    @property
    def operators(self) -> list[tuple[Operator, ...] | None]:
        """Of each visit, the operators that are profiled."""
        return [
            None if keys is None else tuple(operator_from_key(key) for key in keys)
            for keys in self.keys
        ]

    def comment(self) -> str:
        """As a script's last line."""
        return f"{_PLAN.strip()} {json.dumps(asdict(self))}\n"


def make_plan(target_id: str, mark: str, requests: Sequence[VisitRequest]) -> Plan:
    """The plan of a script that makes these visits."""
    keys = [
        None if request.operators is None else [operator.key for operator in request.operators]
        for request in requests
    ]
    labels = [request.label for request in requests]
    return Plan(target_id, mark, labels, keys, [request.allow_partial for request in requests])


def find_leftovers(transport: Transport) -> Iterator[tuple[Plan, str, str]]:
    """Ends the scripts that run; their plans, what they wrote, and their folders, which stay.

    Scripts of agents that made no plans are removed.
    """
    stretches = folders_on(transport).stretches
    listed = transport.shell(f"ls {stretches}", timeout_s=QUICK_S)
    for name in listed.output.split() if not listed.exit_code else ():
        folder = stretches / name
        transport.shell(kill_command(str(folder)), timeout_s=QUICK_S)
        script, results = (_text(transport, folder / file) for file in ("script.sh", "results"))
        _, separator, line = script.rpartition(_PLAN)
        if separator and (plan := _plan(line)):
            yield plan, results, str(folder)
        else:
            transport.shell(f"rm -rf {folder}", timeout_s=QUICK_S)


def _plan(line: str) -> Plan | None:
    """None for one of another version of the agent."""
    try:
        return Plan(**json.loads(line))
    except (ValueError, TypeError):
        return None


def _text(transport: Transport, path: PurePosixPath) -> str:
    try:
        return transport.pull(path, timeout_s=_FETCH_S).decode(errors="replace")
    except (FileNotFoundError, FileRefused):
        return ""
