"""A made-up machine: latencies that follow from work, with a cliff at kernel 7."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from netspec.operators import Operator
from netspec.spaces import Space
from profiler_server.latency_model.design import Priced
from profiler_server.latency_model.features import work

SPACE = Space(input_size=96, width=0.5, classes=10)
_DEPTHWISE_MS = {"mbconv kernel 3": 0.05, "mbconv kernel 5": 0.06, "mbconv kernel 7": 0.6}


def latency_ms(operator: Operator, wobble: float = 0.03) -> float:
    """What the machine takes; each operator is off the rule by up to `wobble`."""
    does = work(operator)
    rule = (
        0.004
        + 0.02 * does.pointwise_macs / 1e6
        + _DEPTHWISE_MS.get(operator.family, 0.0) * does.depthwise_macs / 1e6
        + 0.1 * does.activations / 1e6
    )
    digit = int(hashlib.sha256(operator.key.encode()).hexdigest()[:4], 16) / 0xFFFF
    return rule * (1 + wobble * (2 * digit - 1))


def measured(operators: Sequence[Operator]) -> list[tuple[Operator, Priced]]:
    """Entries of the operators."""
    return [(operator, Priced(latency_ms(operator), 0.005)) for operator in operators]
