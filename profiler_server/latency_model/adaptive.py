"""Which operators to measure next, so that sums over networks become certain soonest."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from netspec.operators import Operator
from profiler_server.latency_model.design import Array, Priced
from profiler_server.latency_model.features import features
from profiler_server.latency_model.predictor import LEAST_ENTRIES, OperatorModel

#: noise of one more entry, relative
_ENTRY_NOISE = 0.02


def next_operators(
    candidates: Sequence[Operator],
    measured: Sequence[tuple[Operator, Priced]],
    count: int,
    weights: Sequence[float] | None = None,
) -> list[Operator]:
    """The operators to measure next, most useful first.

    First one operator of every kind and kernel size; then, while there is too little to learn
    from, those least like any other. Otherwise each pick is the one that leaves the least
    variance in the other candidates' latencies, given the picks before it.

    Args:
        candidates: not measured yet, distinct, of one precision.
        measured: entries of the same precision.
        count: how many are wanted; there are never more than candidates.
        weights: how often a network contains each candidate, 1 each by default.
    """
    known = [operator for operator, _ in measured]
    few = len(known) < LEAST_ENTRIES
    picked = _spread_out(candidates, known, count, least=count if few else 0)
    remaining = [candidate for candidate in candidates if candidate not in picked]
    wanted = min(count - len(picked), len(remaining))
    if few or wanted <= 0:
        return picked
    share = dict(zip(candidates, weights or np.ones(len(candidates)), strict=True))
    model = OperatorModel(known, [priced for _, priced in measured])
    # What was just picked will be known by then; the first of its kind teaches nothing of others.
    soon = [one for one in picked if model.knows(one)]
    remaining = [one for one in remaining if model.knows(one)]
    means, covariance = model.posterior([*remaining, *soon])
    values = np.exp(means)
    shares = np.array([share[one] for one in [*remaining, *soon]])
    for index in range(len(remaining), len(remaining) + len(soon)):
        covariance = _after(covariance, index)
    order = _greedy(covariance, values, shares, len(remaining), min(wanted, len(remaining)))
    return [*picked, *(remaining[index] for index in order)]


def table_error(
    operators: Sequence[Operator],
    measured: Sequence[tuple[Operator, Priced]],
    weights: Sequence[float] | None = None,
) -> float:
    """Expected error of a network's sum of operators, measured or predicted; relative.

    Args:
        operators: of the table that is wanted, measured or not.
        measured: entries, at least `LEAST_ENTRIES`.
        weights: how often a network contains each operator; 1 each by default, which makes it
            the error of the sum of all.

    Returns:
        Infinity where a kind or a kernel size has no entry at all.

    Raises:
        TooFewEntries: there is too little to learn from.
    """
    model = OperatorModel([one for one, _ in measured], [priced for _, priced in measured])
    if not all(map(model.knows, operators)):
        return math.inf
    priced = dict(measured)
    means, covariance = model.posterior(operators)
    known = [priced.get(operator) for operator in operators]
    values = np.array(
        [one.value_ms if one else np.exp(mean) for one, mean in zip(known, means, strict=True)]
    )
    shares = np.array(weights if weights is not None else np.ones(len(operators)))
    unknown = np.array([one is None for one in known])
    own = np.array([one.relative_error if one else 0.0 for one in known])
    covariance = np.where(np.outer(unknown, unknown), covariance, 0.0) + np.diag(own**2)
    return float(doubt_ms(covariance, values, shares) / (shares @ values))


def doubt_ms(covariance: Array, values: Array, shares: Array) -> float:
    """Standard deviation of a network's sum (ms), operators being in it or not by themselves.

    What is off in common adds up; what is not averages out over a table, but less over the few
    operators of one network.
    """
    usual = values * shares
    single = values**2 * shares * np.maximum(1.0 - shares, 0.0)
    return float(np.sqrt(usual @ covariance @ usual + single @ np.diag(covariance)))


def _spread_out(
    candidates: Sequence[Operator], known: Sequence[Operator], count: int, least: int
) -> list[Operator]:
    """One of each new group, then the farthest from all others until there are `least`."""
    groups = {operator.family for operator in known}
    picked: list[Operator] = []
    for operator in candidates:
        if operator.family not in groups and len(picked) < count:
            groups.add(operator.family)
            picked.append(operator)
    wanted = min(least, len(candidates))
    if len(picked) >= wanted:
        return picked
    rows = features([*candidates, *known])
    rows = (rows - rows.mean(axis=0)) / np.maximum(rows.std(axis=0), 1e-9)
    near = [candidates.index(one) for one in picked] + list(range(len(candidates), len(rows)))
    nearest = np.min([np.linalg.norm(rows - rows[at], axis=1) for at in near], axis=0)
    nearest[near] = -1.0
    while len(picked) < wanted:
        chosen = int(nearest[: len(candidates)].argmax())
        picked.append(candidates[chosen])
        nearest = np.minimum(nearest, np.linalg.norm(rows - rows[chosen], axis=1))
        nearest[chosen] = -1.0
    return picked


def _greedy(
    covariance: Array, values: Array, shares: Array, candidates: int, count: int
) -> list[int]:
    order: list[int] = []
    while len(order) < count:
        weights = values**2 * shares
        gains = (weights @ covariance**2) / (np.diag(covariance) + _ENTRY_NOISE**2)
        gains[[*order, *range(candidates, len(gains))]] = -1.0
        order.append(int(gains.argmax()))
        covariance = _after(covariance, order[-1])
    return order


def _after(covariance: Array, index: int) -> Array:
    """What is left of a covariance once one of its variables is measured."""
    column = covariance[:, index]
    return np.asarray(
        covariance - np.outer(column, column) / (covariance[index, index] + _ENTRY_NOISE**2)
    )
