"""The latencies that a space reaches: whether a reference is among them, and what is nearest."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from netspec.console.units import latency_text
from netspec.errors import UserError
from search_client.latency.objective import Goal
from search_client.search.derive import (
    Derived,
    NoNetworkOnTarget,
    derived,
    on_target,
    relative_costs,
)
from search_client.supernet.variants import Family


class UnreachableLatency(UserError):
    """Every network of the space is slower, or every one is faster, than the reference."""

    exit_code: ClassVar[int] = 3


def fastest(family: Family, goal: Goal) -> Derived:
    """Return the network of least latency over its reference, exact for one target."""
    return _extreme(family, goal, 1.0)


def slowest(family: Family, goal: Goal) -> Derived:
    """Return the network of greatest latency over its reference, exact for one target."""
    return _extreme(family, goal, -1.0)


def check_reachable(family: Family, goal: Goal, tolerance: float) -> None:
    """See that some network can be as fast as the references ask, and some as slow.

    Args:
        family: whose networks these are.
        goal: the references.
        tolerance: greatest |latency / reference - 1| that counts as met.

    Raises:
        UnreachableLatency: the references lie outside what the space reaches; the message names
            the space's least and greatest latency and the nearest network.
    """
    least, greatest = fastest(family, goal), slowest(family, goal)
    if goal.over_reference(least.latency_ms) > 1 + tolerance:
        nearest = least
    elif goal.over_reference(greatest.latency_ms) < 1 - tolerance:
        nearest = greatest
    else:
        return
    references = _milliseconds([aim.reference_ms for aim in goal.aims])
    raise UnreachableLatency(
        f"no network of the space takes {references}: they take from "
        f"{_milliseconds(least.latency_ms)} to {_milliseconds(greatest.latency_ms)}, and the "
        f"nearest is {nearest.network.name}; give a --latency-ref between the two, or another space"
    )


def nearest_to_target(family: Family, goal: Goal, tolerance: float) -> Derived:
    """As `on_target`, with the tolerance doubled until a network is within.

    A search that took days ends with a network also where its space has a gap at the reference,
    and with the fastest or the slowest where the reference is outside.
    """
    while tolerance < 1:
        try:
            return on_target(family, goal, tolerance)
        except NoNetworkOnTarget:
            tolerance *= 2
    ends = fastest(family, goal), slowest(family, goal)
    return min(ends, key=lambda end: abs(goal.over_reference(end.latency_ms) - 1))


def _extreme(family: Family, goal: Goal, sign: float) -> Derived:
    """The network of least `sign` times its latency, summed over targets, in every variant."""
    ends = []
    for variant in range(len(family.variants)):
        costs, _ = relative_costs(goal, variant)
        exists = family.supernet(variant).exists.cpu().numpy()
        total = np.where(exists, sign * costs.sum(axis=0), np.inf)
        ends.append(derived(family, goal, variant, total.argmin(axis=1).tolist(), "on_target"))
    return min(ends, key=lambda end: sign * goal.over_reference(end.latency_ms))


def _milliseconds(values_ms: tuple[float, ...] | list[float]) -> str:
    return " and ".join(map(latency_text, values_ms))
