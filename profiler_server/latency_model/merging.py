"""One price an operator, where it was measured by itself and inside networks.

Inside a network an operator finds other caches than alone, so the two differ by a common
factor and a little more. What search adds up are operators inside networks: both values are
averaged by their errors, and the isolated one has at least that of being alone.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from profiler_server.latency_model.design import LEAST_RELATIVE_ERROR, Priced

#: fewest operators measured both ways that tell the common factor
LEAST_SHARED = 3


def merge(isolated: Mapping[str, Priced], in_network: Mapping[str, Priced]) -> dict[str, Priced]:
    """Prices at the level of isolated entries, so that a calibration maps them as before.

    1. The common factor is the median over operators measured both ways of in-network over
       isolated value, weighted by the inverse of their squared errors: those that take no more
       than what a profiler can tell say nothing of the others. From fewer than three, in-network
       values are left out where there is an isolated one, and taken as they are where there is
       none.
    2. An operator measured both ways gets the mean of the isolated value and the in-network value
       over the factor, as logarithms, weighted by the inverse of their squared relative errors;
       the isolated one's is taken as at least `LEAST_RELATIVE_ERROR`, which is what being alone
       does to it. Where the two are further apart than their errors allow, the mean's error is
       greater by as much (Birge's ratio): so the surer of the two is always within a standard
       error of the mean, and a worse one can only be heard, not prevail.
    3. An operator measured one way has that value, the in-network one over the factor.

    Source: Birge, "The calculation of errors by the method of least squares", Physical Review 40
    (1932).

    Args:
        isolated: by operator key, values above 0 ms.
        in_network: likewise.
    """
    shared = sorted(isolated.keys() & in_network.keys())
    if len(shared) < LEAST_SHARED:
        return {**in_network, **isolated}
    factor = _common_factor([(isolated[key], in_network[key]) for key in shared])
    merged = dict(isolated)
    for key, inside in in_network.items():
        level = Priced(inside.value_ms / factor, inside.relative_error)
        alone = isolated.get(key)
        merged[key] = level if alone is None else _mean(alone, level)
    return merged


def _common_factor(pairs: Sequence[tuple[Priced, Priced]]) -> float:
    """The weighted median of in-network over isolated values; between two it interpolates."""
    ratios = np.array([inside.value_ms / alone.value_ms for alone, inside in pairs])
    errors = [math.hypot(_alone(alone), _inside(inside)) for alone, inside in pairs]
    order = np.argsort(ratios, kind="stable")
    weights = np.array(errors)[order] ** -2.0
    places = (np.cumsum(weights) - weights / 2) / weights.sum()
    return float(np.interp(0.5, places, ratios[order]))


def _mean(alone: Priced, inside: Priced) -> Priced:
    first, second = _alone(alone), _inside(inside)
    apart = math.log(inside.value_ms / alone.value_ms)
    both = math.hypot(first, second)
    value = alone.value_ms * math.exp(apart * (first / both) ** 2)
    return Priced(value, first * second / both * max(1.0, abs(apart) / both))


def _alone(price: Priced) -> float:
    """How far an isolated value may be off inside a network, relative."""
    return math.hypot(price.relative_error, LEAST_RELATIVE_ERROR)


def _inside(price: Priced) -> float:
    """Likewise of an in-network one: with no error at all it would outweigh anything."""
    return max(price.relative_error, LEAST_RELATIVE_ERROR / 10)
