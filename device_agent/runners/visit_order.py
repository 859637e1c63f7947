"""What the agent's process asks of the fork server."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class VisitOrder:
    """One visit to make: a model, where to run it, and the protocol's numbers."""

    model: str
    #: core to pin to, None where the system cannot pin
    core: int | None
    warmup_ms: float
    measure_ms: float
    min_runs: int
    max_runs: int
    timeout_s: float
    #: after the visit's runs, more of them in which every kernel is timed
    profile: bool = False
    #: whether XNNPACK may leave a part of the graph to other kernels
    allow_partial: bool = False
