"""From architecture probabilities to one network: the most likely, or the most likely on target.

E[LAT] can meet its reference while a block is undecided; the most likely network then lies
elsewhere. `on_target` therefore asks for the most likely of the networks whose latency is
within a tolerance of the reference: a knapsack over the table, solved by dynamic programming.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch

from netspec.errors import UserError
from netspec.networks import Network
from search_client.latency.objective import Goal
from search_client.supernet.variants import Family

Rule = Literal["argmax", "on_target"]
Floats = npt.NDArray[np.float64]

#: steps of the latency grid across the tolerance; sums that fall into one step are merged
GRID_STEPS = 200
#: partial networks that are kept after a block; only reached with several targets
MOST_STATES = 200_000


class NoNetworkOnTarget(UserError):
    """No network of the space is as fast, or as slow, as was asked."""


@dataclass(frozen=True)
class Derived:
    """One network taken out of the probabilities."""

    rule: Rule
    variant: int
    #: one a block, as in `Space.network`
    choices: list[int]
    network: Network
    #: natural logarithm of the network's probability
    log_probability: float
    #: calibrated sum of entries on each target, ms
    latency_ms: tuple[float, ...]


def most_likely(family: Family, goal: Goal) -> Derived:
    """The most likely variant, and the most likely choice of each of its blocks."""
    variant = int(family.beta.argmax())
    choices = family.supernet(variant).most_likely()
    return derived(family, goal, variant, choices, "argmax")


def on_target(family: Family, goal: Goal, tolerance: float) -> Derived:
    """The most likely network within a tolerance of the reference.

    With several targets: on the worst of them under `worst`, else on the weighted mean of the
    latencies over their references.

    Args:
        family: holds the probabilities.
        goal: the references.
        tolerance: greatest |LAT / R - 1|, for instance 0.01.

    Raises:
        NoNetworkOnTarget: there is none.
    """
    found = []
    for variant in range(len(family.variants)):
        log_p = family.supernet(variant).log_probabilities().detach().cpu().double().numpy()
        choices = most_likely_within(
            log_p, *relative_costs(goal, variant), low=1 - tolerance, high=1 + tolerance
        )
        if choices is not None:
            found.append(derived(family, goal, variant, choices, "on_target"))
    if not found:
        references = " and ".join(f"{aim.reference_ms:g} ms" for aim in goal.aims)
        raise NoNetworkOnTarget(
            f"no network of the space is within {tolerance:.1%} of {references}; "
            "allow a greater tolerance, or ask for a latency between the space's least and greatest"
        )
    return max(found, key=lambda one: one.log_probability)


def derived(family: Family, goal: Goal, variant: int, choices: list[int], rule: Rule) -> Derived:
    """A network with its probability and latencies."""
    with torch.no_grad():
        log_p = family.supernet(variant).log_probabilities()
        of_choices = log_p[torch.arange(len(choices)), torch.tensor(choices)].double().sum()
        of_variant = family.variant_probabilities()[variant].log()
        latency_ms = tuple(goal.path_ms(variant, choices).tolist())
    return Derived(
        rule=rule,
        variant=variant,
        choices=choices,
        network=family.network(variant, choices),
        log_probability=float(of_choices) + float(of_variant),
        latency_ms=latency_ms,
    )


def most_likely_within(
    log_p: Floats, costs: Floats, fixed: Floats, low: float, high: float
) -> list[int] | None:
    """One choice a block of greatest summed log-probability, its greatest cost within limits.

    Exact but for the grid: of partial networks whose costs fall into the same step, a
    `GRID_STEPS`-th of the limits' distance, only the more likely is kept. The limits hold for
    the costs themselves. With several targets at most `MOST_STATES` partial networks are kept.

    Args:
        log_p: [blocks, choices], -inf where there is no such choice.
        costs: [targets, blocks, choices], each over its reference, at least 0.
        fixed: [targets], what every network costs, over the references.
        low: least cost of the target that costs most.
        high: greatest cost of the same.

    Returns:
        None where no network is within the limits.
    """
    grid = (high - low) / GRID_STEPS
    sums, scores = fixed[None, :].copy(), np.zeros(1)
    back: list[tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]] = []
    least_left = np.array([_least(log_p, row) for row in costs])
    for block in range(len(log_p)):
        exists = np.flatnonzero(np.isfinite(log_p[block]))
        grown = (sums[:, None, :] + costs[:, block, exists].T[None, :, :]).reshape(-1, len(fixed))
        score = (scores[:, None] + log_p[block, exists][None, :]).reshape(-1)
        reachable = np.flatnonzero((grown + least_left[:, block + 1] <= high).all(axis=1))
        kept = reachable[_best_of_each_step(grown[reachable], score[reachable], grid)]
        if not len(kept):
            return None
        sums, scores = grown[kept], score[kept]
        back.append((kept // len(exists), exists[kept % len(exists)]))
    within = np.flatnonzero((sums.max(axis=1) >= low) & (sums.max(axis=1) <= high))
    if not len(within):
        return None
    state = int(within[scores[within].argmax()])
    choices = []
    for before, chosen in reversed(back):
        choices.append(int(chosen[state]))
        state = int(before[state])
    return choices[::-1]


def _least(log_p: Floats, costs: Floats) -> Floats:
    """Least cost of the blocks from each on, [blocks + 1]."""
    least = np.where(np.isfinite(log_p), costs, math.inf).min(axis=1)
    return np.append(np.cumsum(least[::-1])[::-1], 0.0)


def _best_of_each_step(sums: Floats, scores: Floats, grid: float) -> npt.NDArray[np.int64]:
    """Indices of the best partial network in each step of the grid."""
    steps = np.floor(sums / grid).astype(np.int64)
    order = np.lexsort((-scores, *steps.T))
    ordered = steps[order]
    first = np.ones(len(order), dtype=bool)
    first[1:] = (ordered[1:] != ordered[:-1]).any(axis=1)
    kept = order[first]
    if len(kept) > MOST_STATES:
        kept = kept[np.argsort(-scores[kept], kind="stable")[:MOST_STATES]]
    return kept


def relative_costs(goal: Goal, variant: int) -> tuple[Floats, Floats]:
    """Return costs [targets, blocks, choices] and fixed parts [targets], over the references."""
    latencies = [goal.expected_latency(index, variant) for index in range(len(goal.aims))]
    references = np.array([aim.reference_ms for aim in goal.aims])
    scales = np.array([latency.scale for latency in latencies]) / references
    costs = np.stack([latency.costs_ms.double().cpu().numpy() for latency in latencies])
    fixed = np.array([latency.fixed_ms for latency in latencies]) * scales
    fixed += np.array([latency.intercept_ms for latency in latencies]) / references
    costs = costs * scales[:, None, None]
    if len(goal.aims) > 1 and goal.combine == "weighted":
        weights = np.array([aim.weight for aim in goal.aims])
        weights /= weights.sum()
        return np.tensordot(weights, costs, axes=1)[None], (weights @ fixed)[None]
    return costs, fixed
