"""Calibrations on machines that are made up."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import numpy as np

from netspec.operators import Operator
from netspec.sampling import random_network
from netspec.spaces import Space
from netspec.wire import Calibration, Entry, NetworkSubject, OperatorSubject
from profiler_server.latency_tables.calibration import fit


def entry(of: Operator | NetworkSubject, ms: float) -> Entry:
    """An entry of many visits that all took `ms`."""
    subject: OperatorSubject | NetworkSubject
    subject = of if isinstance(of, NetworkSubject) else OperatorSubject(operator=of)
    return Entry(
        subject_hash=subject.content_hash,
        kind=subject.kind,
        name=subject.name,
        precision=subject.precision,
        method="isolated",
        value_ms=ms,
        low_ms=ms,
        high_ms=ms,
        visits=100,
        measured_at=datetime(2026, 1, 2, tzinfo=UTC),
    )


def calibrated(
    space: Space,
    networks: int,
    alone: Callable[[Operator], float],
    inside: Callable[[Operator], float],
) -> Calibration:
    """The calibration of random networks; latencies (ms) of an operator alone and inside."""
    rng = np.random.default_rng(0)
    drawn = [NetworkSubject(network=random_network(space, rng)) for _ in range(networks)]
    table = {one.key: (one, entry(one, alone(one))) for one in space.operators()}
    measured = [
        (one, entry(one, sum(inside(operator) for operator in one.network.operators)))
        for one in drawn
    ]
    return fit(space.precision, table, measured)
