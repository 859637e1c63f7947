from __future__ import annotations

import math

import numpy as np
import pytest

from netspec.operators import Operator
from profiler_server.latency_model.adaptive import next_operators, table_error
from profiler_server.latency_model.design import Priced
from profiler_server.latency_model.predictor import LEAST_ENTRIES, OperatorModel, TooFewEntries
from tests.unit.profiler_server.latency_model.machine import SPACE, latency_ms, measured

OPERATORS = SPACE.operators()


def adaptively(count: int) -> list[tuple[Operator, Priced]]:
    """Entries of so many operators, chosen a few at a time."""
    entries: list[tuple[Operator, Priced]] = []
    while len(entries) < count:
        left = [one for one in OPERATORS if one not in dict(entries)]
        step = min(LEAST_ENTRIES if not entries else 6, count - len(entries))
        entries += measured(next_operators(left, entries, step))
    return entries


def sum_error(entries: list[tuple[Operator, Priced]]) -> float:
    """Relative error of the sum over all operators, predictions for what is not measured."""
    prices = {one.key: priced.value_ms for one, priced in entries}
    model = OperatorModel([one for one, _ in entries], [priced for _, priced in entries])
    lacking = [one for one in OPERATORS if one.key not in prices]
    for operator, found in zip(lacking, model.predict(lacking), strict=True):
        prices[operator.key] = found.value_ms
    errors = [(prices[one.key] - latency_ms(one)) ** 2 for one in OPERATORS]
    return float(np.sqrt(sum(errors)) / sum(map(latency_ms, OPERATORS)))


def test_first_one_of_every_kind_and_kernel_size() -> None:
    picked = next_operators(OPERATORS, [], 6)
    assert {one.family for one in picked} == {one.family for one in OPERATORS}
    assert len(set(next_operators(OPERATORS, [], LEAST_ENTRIES))) == LEAST_ENTRIES


def test_picks_are_distinct_and_no_more_than_there_are() -> None:
    entries = measured(OPERATORS[:20])
    left = list(OPERATORS[20:])
    picked = next_operators(left, entries, 1_000)
    assert sorted(one.key for one in picked) == sorted(one.key for one in left)
    assert next_operators(left, entries, 0) == []
    assert next_operators([], entries, 5) == []


def test_chosen_operators_tell_more_than_random_ones() -> None:
    chosen = sum_error(adaptively(28))
    rng = np.random.default_rng(0)
    ends = [OPERATORS[0], *OPERATORS[-2:]]
    random = []
    for _ in range(6):
        others = rng.permutation(np.arange(1, len(OPERATORS) - 2))[:25]
        random.append(sum_error(measured([*ends, *(OPERATORS[int(at)] for at in others)])))
    assert chosen < np.mean(random)
    assert chosen < 0.01


def test_what_networks_use_most_comes_first() -> None:
    entries = measured(OPERATORS[:20])
    left = list(OPERATORS[20:-2])
    weights = np.full(len(left), 1e-6)
    weights[7] = 1.0
    assert next_operators(left, entries, 1, list(weights)) == [left[7]]


def test_the_table_error_falls_and_ends_at_that_of_the_entries() -> None:
    errors = [table_error(OPERATORS, adaptively(count)) for count in (14, 28, 50)]
    assert errors == sorted(errors, reverse=True)
    without_kernel_7 = [one for one in OPERATORS if one.family != "mbconv kernel 7"]
    assert table_error(OPERATORS, measured(without_kernel_7)) == math.inf
    everything = table_error(OPERATORS, measured(OPERATORS))
    values = np.array([latency_ms(one) for one in OPERATORS])
    assert everything == pytest.approx(0.005 * np.sqrt((values**2).sum()) / values.sum())
    assert everything < errors[-1]


def test_an_error_needs_something_to_learn_from() -> None:
    with pytest.raises(TooFewEntries):
        table_error(OPERATORS, measured(OPERATORS[:5]))


def test_a_large_first_batch_is_spread_out() -> None:
    picked = next_operators(OPERATORS, [], 30)
    assert len(set(picked)) == 30
    per_group = [
        sum(one.family == name for one in picked) for name in (one.family for one in OPERATORS)
    ]
    assert min(per_group) >= 1
    assert len({one.input_size for one in picked}) == len({one.input_size for one in OPERATORS})
    assert len(next_operators(OPERATORS, [], 1_000)) == len(OPERATORS)
