"""A device as the agent's loop sees it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from device_agent.runners.base import Runner
from netspec.protocol import TargetIdentity
from netspec.wire import Conditions


@dataclass(frozen=True)
class Device:
    """Who it is, how a visit is made on it, and how its conditions are observed."""

    #: names the device among those of this agent
    serial: str
    identity: TargetIdentity
    runner: Runner
    #: conditions at this moment
    observe: Callable[[], Conditions]
    #: core of this machine that its visits need to themselves, None if they need none
    core: int | None
