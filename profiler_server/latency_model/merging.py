"""One price an operator, where it was measured by itself and inside networks.

Inside a network an operator finds other caches than alone, so the two differ by a common
factor and a little more. What search adds up are operators inside networks: both values are
averaged by their errors, and the isolated one has at least that of being alone.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from profiler_server.latency_model.design import LEAST_RELATIVE_ERROR, Priced

#: fewest operators measured both ways that tell the common factor
LEAST_SHARED = 3


def merge(isolated: Mapping[str, Priced], in_network: Mapping[str, Priced]) -> dict[str, Priced]:
    """Prices at the level of isolated entries, so that a calibration maps them as before.

    1. The common factor is the median over operators measured both ways of in-network over
       isolated value; from fewer than three, in-network values are left out where there is an
       isolated one, and taken as they are where there is none.
    2. An operator measured both ways gets the mean of the isolated value and the in-network value
       over the factor, weighted by the inverse of their squared relative errors; the isolated one's
       is taken as at least `LEAST_RELATIVE_ERROR`, which is what being alone does to it.
    3. An operator measured one way has that value, the in-network one over the factor.

    Args:
        isolated: by operator key, values above 0 ms.
        in_network: likewise.
    """
    shared = sorted(isolated.keys() & in_network.keys())
    if len(shared) < LEAST_SHARED:
        return {**in_network, **isolated}
    ratios = [in_network[key].value_ms / isolated[key].value_ms for key in shared]
    factor = float(np.median(ratios))
    merged = dict(isolated)
    for key, inside in in_network.items():
        level = Priced(inside.value_ms / factor, inside.relative_error)
        alone = isolated.get(key)
        merged[key] = level if alone is None else _mean(alone, level)
    return merged


def _mean(alone: Priced, inside: Priced) -> Priced:
    doubt = float(np.hypot(alone.relative_error, LEAST_RELATIVE_ERROR))
    first = doubt**-2
    # With no error at all, as one visit states it, it would outweigh anything.
    second = max(inside.relative_error, LEAST_RELATIVE_ERROR / 10) ** -2
    value = (first * alone.value_ms + second * inside.value_ms) / (first + second)
    return Priced(value, (first + second) ** -0.5)
