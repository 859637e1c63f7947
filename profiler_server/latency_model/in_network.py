"""What operators take inside networks, out of these networks' profiles.

Within one network it is estimated over visits as every other entry. Between networks an operator
differs by what stands around it, and no place is a disturbed one: what a search adds up is the
plain mean.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

from netspec.statistics import Estimate, estimate_each
from profiler_server.latency_model.design import INTERVAL_SIGMAS, Array

#: ms; profilers of runtimes, and runners of phones, count in whole microseconds
RESOLUTION_MS = 0.001


@dataclass(frozen=True)
class Profiled:
    """One network on one target, as its accepted profiles show it."""

    #: each position's operator
    operators: tuple[str, ...]
    #: what it takes there, over visits
    places: tuple[Estimate, ...]

    @classmethod
    def of(cls, operators: Sequence[str], operators_us: Array) -> Self:
        """Out of what the operators took, us [positions, visits], each row ascending."""
        return cls(tuple(operators), tuple(estimate_each(list(operators_us))))


@dataclass(frozen=True)
class InNetwork:
    """An operator's estimate over networks."""

    value_ms: float
    #: 95 % interval
    low_ms: float
    high_ms: float
    #: profiles with the operator
    visits: int
    #: places in different networks
    appearances: int


def in_network_estimates(networks: Sequence[Profiled]) -> dict[str, InNetwork]:
    """Each operator's mean over its places in networks.

    The interval has two parts: how far places differ, and how sure each is of itself.
    """
    places: dict[str, list[Estimate]] = {}
    for network in networks:
        for operator, found in zip(network.operators, network.places, strict=True):
            places.setdefault(operator, []).append(found)
    return {operator: _mean(found) for operator, found in places.items()}


def at_resolution(
    value_ms: float, low_ms: float, high_ms: float, kernels: int
) -> tuple[float, float]:
    """The 95 % interval of a sum of kernels' times that a profiler has counted, in ms.

    Each kernel may be off by `RESOLUTION_MS`, and all the same way: the low end of whole
    microseconds is the one below, however often it is seen. So that part does not shrink with the
    number of visits, places or devices.

    Args:
        value_ms: the estimate.
        low_ms: its interval without regard to the resolution.
        high_ms: likewise.
        kernels: how many times were added up.
    """
    step = kernels * RESOLUTION_MS
    below, above = value_ms - low_ms, high_ms - value_ms
    return max(0.0, value_ms - math.hypot(below, step)), value_ms + math.hypot(above, step)


def _mean(places: Sequence[Estimate]) -> InNetwork:
    values = np.array([place.value_ms for place in places])
    own = np.array(
        [max(place.high_ms - place.value_ms, place.value_ms - place.low_ms) for place in places]
    )
    between = values.std(ddof=1) if len(values) > 1 else 0.0
    value = float(values.mean())
    half = float(
        np.hypot(INTERVAL_SIGMAS * between, np.sqrt((own**2).mean())) / np.sqrt(len(values))
    )
    return InNetwork(
        value_ms=value,
        low_ms=max(0.0, value - half),
        high_ms=value + half,
        visits=sum(place.visits for place in places),
        appearances=len(places),
    )
